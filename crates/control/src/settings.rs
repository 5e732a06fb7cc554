//! Every key of `wirepatch.yaml`: one row a key. `keys.rs` explains a row.
//!
//! Where another crate obeys a default, the row names that crate's constant.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use datapath::{Limits, Midstream, Tunnels};
use flow::limits::{COPY_BYTES_MAX, OPEN_IDLE_MS, WAITING_BYTES_MAX};
use patch::yaml::Spanned;
use plan::{FailMode, Mode};

use crate::forms::{AddressPrefix, FilePermissions, PortDevice};
use crate::keys::keys;
use crate::words::{Choice, Layout, LogFormat, LogLevel};

/// Where an appliance listens for `wirepatch ctl` unless told otherwise.
pub const CONTROL_SOCKET: &str = "/run/wirepatch/control.sock";

/// Blocks of held bytes and copies that make a MiB.
pub const BLOCKS_PER_MIB: u32 = (1_024 * 1_024 / flow::limits::BLOCK_BYTES) as u32;

/// The data path's own defaults.
const LIMITS: Limits = Limits::DEFAULT;
const COPIES_MIB: u32 = LIMITS.blocks_max / BLOCKS_PER_MIB;
const FRAGMENTS: u32 = LIMITS.fragmented_datagrams_max as u32;
const FRAGMENT_MS: u32 = LIMITS.fragment_timeout_ms as u32;

keys! {
    /// `wirepatch.yaml`, whole.
    pub struct Settings {
        eal: EalSettings = EalSettings::default(), Inside,
            "DPDK's environment abstraction layer.";
        ports: Spanned<Vec<PortSettings>>, Restart,
            "The network ports.";
        bridges: Spanned<Vec<[Spanned<String>; 2]>>, Restart,
            "Pairs of port names. A frame that comes in on one leaves on the other.";
        workers: WorkerSettings = WorkerSettings::default(), Inside,
            "How the packet's journey is laid on cores.";
        server_groups: Vec<GroupSettings>, Reload,
            "The servers behind the box and their patches.";
        limits: LimitSettings = LimitSettings::default(), Inside,
            "Bounds of memory and state, each a worker's own. Each has a counter for when it is \
             reached.";
        fail_mode: Choice<FailMode> = Choice(FailMode::Open), Reload,
            "Fate of traffic that finds no room (a full flow table) or whose rules cannot be \
             decided (a bound is reached, a module panics).";
        midstream: Choice<Midstream> = Choice(LIMITS.midstream), Restart,
            "Fate of connections that are older than the appliance.";
        tunnels: Choice<Tunnels> = Choice(LIMITS.tunnels), Restart,
            "Fate of packets in scope inside tunnels (MPLS, PPPoE, IP in IP, GRE, VXLAN, GENEVE): \
             wirepatch cannot patch them there.";
        metrics: MetricsSettings = MetricsSettings::default(), Inside,
            "Where Prometheus scrapes.";
        control: ControlSettings = ControlSettings::default(), Inside,
            "Where `wirepatch ctl` connects.";
        logging: LogSettings = LogSettings::default(), Inside,
            "The log on standard error.";
    }
}

keys! {
    /// DPDK's environment abstraction layer.
    pub struct EalSettings {
        hugepages: bool = false, Restart,
            "Use 2 MiB hugepages (`--in-memory`: no hugetlbfs mount needed). \
             deploy/prepare-host.sh reserves them. `false` runs anywhere, slower.";
        memory_mib: u32 [1..=u32::MAX, "MiB"] = 512, Restart,
            "Memory to take from the system.";
        pci: bool = false, Restart,
            "Probe PCI devices. Needed where a port is named by its PCI address.";
        file_prefix: Option<String> = None, Restart,
            "Prefix of DPDK's own files. Two appliances on one host need two.";
        extra: Vec<String> = Vec::new(), Restart,
            "More EAL arguments, as DPDK's manual writes them.";
    }
}

keys! {
    /// One network port.
    pub struct PortSettings {
        name: Spanned<String>, Restart,
            "Its name in this file and in the metrics.";
        device: Spanned<PortDevice>, Restart,
            "Its DPDK device.";
        mtu: Option<u16> [1..=65_535, "bytes"] = None, Restart,
            "Largest IP packet. None: the device's own.";
        descriptors: u16 [1..=65_535, "descriptors"] = 1_024, Restart,
            "Descriptors in each receive and transmit queue.";
        checksum_offload: bool = true, Restart,
            "Let the NIC compute checksums where it can.";
        trust_checksums: bool = false, Restart,
            "Patch packets with a wrong TCP or UDP checksum too. For links that hand packets over \
             before their checksums are computed (veth and other virtual links).";
    }
}

keys! {
    /// How the journey is laid on cores.
    pub struct WorkerSettings {
        layout: Choice<Layout> = Choice(Layout::RunToCompletion), Restart,
            "Who polls the ports.";
        count: u16 [1..=65_535, "workers"] = 1, Restart,
            "How many workers.";
        cpus: Vec<Spanned<u16>> [0..=65_535, ""] = Vec::new(), Restart,
            "CPUs to run on: workers first, then the receiving and transmitting lcores of `rings`. \
             Empty: wirepatch chooses. Keep the kernel off them: `isolcpus=2,3 nohz_full=2,3`.";
        sleep_when_idle: bool = true, Restart,
            "Let a core sleep when its ports are idle, some ten microseconds at a time.";
    }
}

keys! {
    /// Servers that share patches and a mode.
    pub struct GroupSettings {
        name: Spanned<String>, Reload,
            "Its name in metrics and messages.";
        addresses: Vec<AddressPrefix> = Vec::new(), Reload,
            "Addresses or prefixes of the servers. Empty: every address.";
        ports: BTreeMap<String, Spanned<Vec<u16>>> [1..=65_535, ""] = BTreeMap::new(), Reload,
            "Server ports by protocol, where they differ from the protocol's own.";
        patches: Vec<Spanned<String>>, Reload,
            "Patch files, folders (searched recursively) or globs, relative to this file.";
        mode: Choice<Mode> = Choice(Mode::Enforce), Reload,
            "Whether patches edit. Observe first, and enforce when the counters look right.";
    }
}

keys! {
    /// Bounds of memory and state, each a worker's own.
    pub struct LimitSettings {
        flows: u32 [64..=16_777_216, "connections"] = LIMITS.flows_max, Restart,
            "Connections tracked.";
        hold_bytes: u32 [64..=patch::HOLD_BYTES_MAX, "bytes"] = patch::HOLD_BYTES_DEFAULT, Reload,
            "Bytes of one message part held back until its rules can be decided.";
        pattern_hold_ms: u32 [10..=60_000, "ms"] = LIMITS.flow.pattern_hold_ms, Restart,
            "How long bytes that may begin a pattern are held back for those that would complete \
             it.",
            formerly "window_hold_ms";
        unit_hold_ms: u32 [100..=7_200_000, "ms"] = LIMITS.flow.unit_hold_ms, Restart,
            "How long part of a message is held back for its rest. Then the connection is reset.";
        idle_ms: u32 [OPEN_IDLE_MS..=1_209_600_000, "ms"] = LIMITS.flow.idle_ms, Restart,
            "How long an open connection may be silent. Then it is reset at both ends. RFC 5382 \
             section 5 demands at least 2 hours 4 minutes.";
        ahead_bytes: u32 [1_460..=WAITING_BYTES_MAX, "bytes"] = LIMITS.flow.ahead_bytes, Restart,
            "Bytes of one direction of a connection kept while a gap before them is open.";
        in_flight_bytes: u32 [131_072..=COPY_BYTES_MAX, "bytes"] = LIMITS.flow.in_flight_bytes,
            Restart,
            "Bytes of one direction of a connection copied until they are acknowledged.";
        copies_mib: u32 [1..=65_536, "MiB"] = COPIES_MIB, Restart,
            "Memory for held bytes and copies of bytes in flight.";
        fragments: u32 [1..=65_536, "datagrams"] = FRAGMENTS, Restart,
            "Datagrams in reassembly.";
        fragment_ms: u32 [100..=60_000, "ms"] = FRAGMENT_MS, Restart,
            "How long a datagram waits for its fragments.";
        mbufs: u32 [2_048..=16_777_216, "buffers"] = 65_536, Restart,
            "Packet buffers.";
        ring_packets: u32 [64..=1_048_576, "packets"] = 4_096, Restart,
            "Packets in each ring of `layout: rings`.";
    }
}

keys! {
    /// Where Prometheus scrapes.
    pub struct MetricsSettings {
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 9433)), Restart,
            "Address and port of `/metrics`.";
    }
}

keys! {
    /// Where `wirepatch ctl` connects.
    pub struct ControlSettings {
        socket: PathBuf = PathBuf::from(CONTROL_SOCKET), Restart,
            "The Unix socket.";
        permissions: FilePermissions = FilePermissions(0o660), Restart,
            "The socket's permissions.";
    }
}

keys! {
    /// The log on standard error.
    pub struct LogSettings {
        level: Choice<LogLevel> = Choice(LogLevel::Info), Restart,
            "Least severe level that is written.";
        format: Choice<LogFormat> = Choice(LogFormat::Text), Restart,
            "How an event is written.";
    }
}
