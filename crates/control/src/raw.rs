//! The configuration as written: what the operator may say, key by key. Nothing here is promised to make sense together;
//! [`crate::Config`] is the checked form. The JSON Schema is generated from these types.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use patch::yaml::Spanned;
use schemars::JsonSchema;
use serde::Deserialize;

/// `wirepatch.yaml`: what `wirepatch run` starts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawConfig {
    /// How DPDK's environment is set up.
    #[serde(default)]
    pub eal: RawEal,
    /// The network ports, by name.
    pub ports: Spanned<Vec<RawPort>>,
    /// Pairs of port names: what comes in on one leaves on the other.
    pub bridges: Spanned<Vec<[Spanned<String>; 2]>>,
    /// How the packet's journey is laid on cores.
    #[serde(default)]
    pub workers: RawWorkers,
    /// The servers behind the box and their patches.
    pub server_groups: Vec<RawGroup>,
    /// Bounds. Each has a counter for when it is reached.
    #[serde(default)]
    pub limits: RawLimits,
    /// What becomes of traffic whose rules cannot be decided (a bound is reached, a module panics).
    #[serde(default)]
    pub fail_mode: RawFailMode,
    /// What becomes of connections that were there before the appliance.
    #[serde(default)]
    pub midstream: Midstream,
    /// What becomes of packets in scope inside tunnels (MPLS, PPPoE, IP in IP, GRE, VXLAN, GENEVE), which cannot be patched there.
    #[serde(default)]
    pub tunnels: Tunnels,
    /// Where Prometheus scrapes.
    #[serde(default)]
    pub metrics: RawMetrics,
    /// Where `wirepatch ctl` connects.
    #[serde(default)]
    pub control: RawControl,
    /// What is written to standard error, one event a line.
    #[serde(default)]
    pub logging: RawLogging,
}

/// DPDK's environment abstraction layer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawEal {
    /// Use hugepages (`--in-memory`: no hugetlbfs mount needed). `false` runs anywhere, slower.
    pub hugepages: bool,
    /// MiB of memory to take from the system.
    pub memory_mib: NonZeroU32,
    /// Probe PCI devices. Needed when a port is named by its PCI address.
    pub pci: bool,
    /// Prefix of DPDK's own files; two appliances on one host need two.
    pub file_prefix: Option<String>,
    /// More EAL arguments, as DPDK's manual writes them.
    pub extra: Vec<String>,
}

impl Default for RawEal {
    fn default() -> Self {
        const MEMORY_MIB: NonZeroU32 = match NonZeroU32::new(512) {
            Some(mib) => mib,
            None => NonZeroU32::MIN,
        };
        Self {
            hugepages: false,
            memory_mib: MEMORY_MIB,
            pci: false,
            file_prefix: None,
            extra: Vec::new(),
        }
    }
}

/// One network port.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawPort {
    /// Its name in this file and in the metrics.
    pub name: Spanned<String>,
    /// A PCI address (`0000:3b:00.0`) or a DPDK virtual device (`net_tap0,iface=lan`).
    pub device: Spanned<String>,
    /// Largest IP packet, bytes.
    #[serde(default)]
    pub mtu: Option<NonZeroU16>,
    /// Descriptors in each receive and transmit queue.
    #[serde(default)]
    pub descriptors: Option<NonZeroU16>,
    /// Let the NIC compute checksums where it can.
    #[serde(default = "yes")]
    pub checksum_offload: bool,
    /// The link hands over packets whose TCP and UDP checksums are not computed yet (veth and other virtual links):
    /// do not hold a wrong checksum against a packet that comes in here.
    #[serde(default)]
    pub trust_checksums: bool,
}

const fn yes() -> bool {
    true
}

/// How the journey is laid on cores.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawWorkers {
    /// `run_to_completion`: each worker polls its own queues. `rings`: receiving and transmitting lcores feed workers
    /// through rings, for NICs that cannot keep both directions of a connection on one queue.
    pub layout: RawLayout,
    /// How many workers.
    pub count: Option<Spanned<NonZeroU16>>,
    /// CPUs to run on, in order: workers first, then the receiving and transmitting lcores of `rings`.
    pub cpus: Vec<Spanned<u16>>,
    /// Let a core sleep when its ports are idle (at most some ten microseconds at a time).
    pub sleep_when_idle: Option<bool>,
}

/// See [`RawWorkers::layout`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawLayout {
    /// Workers poll ports.
    #[default]
    RunToCompletion,
    /// Ports, rings, workers, rings, ports.
    Rings,
}

/// Servers that share patches and a mode.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawGroup {
    /// Its name in metrics and messages.
    pub name: Spanned<String>,
    /// Addresses or prefixes of the servers. None: every address.
    #[serde(default)]
    pub addresses: Vec<Spanned<String>>,
    /// Server ports, when they differ from the protocols' own: by protocol name.
    #[serde(default)]
    pub ports: std::collections::BTreeMap<String, Spanned<Vec<u16>>>,
    /// Patch files, folders (searched recursively) or globs, relative to this file.
    pub patches: Vec<Spanned<String>>,
    /// Edit, or only count and report.
    #[serde(default)]
    pub mode: RawMode,
}

/// See [`RawGroup::mode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawMode {
    /// Edit.
    #[default]
    Enforce,
    /// Count and report what would have been edited.
    Observe,
}

/// See [`RawConfig::fail_mode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawFailMode {
    /// Pass it on unpatched.
    #[default]
    Open,
    /// Drop the datagram, reset the connection.
    Closed,
}

/// See [`RawConfig::midstream`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Midstream {
    /// They go on, and are not patched.
    #[default]
    Pass,
    /// They are patched from here on; what comes first each way is taken for the beginning of a message.
    PickUp,
    /// They are reset at both ends, and begin again.
    Reset,
}

/// See [`RawConfig::tunnels`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tunnels {
    /// They are dropped, so that no server is reached past its patches. (Those of a group that observes go on.)
    #[default]
    Drop,
    /// They go on, and are not patched.
    Pass,
}

/// Bounds of memory and state, each a worker's own.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLimits {
    /// Connections tracked.
    pub flows: Option<Spanned<NonZeroU32>>,
    /// Bytes of one message part held back until its rules can be decided.
    pub hold_bytes: Option<Spanned<NonZeroU32>>,
    /// Milliseconds that bytes which may begin a pattern are held back for those that would complete it.
    pub pattern_hold_ms: Option<Spanned<NonZeroU32>>,
    /// Milliseconds that part of a message is held back for its rest; then the connection is reset.
    pub unit_hold_ms: Option<Spanned<NonZeroU32>>,
    /// Milliseconds an open connection may be silent until it is reset at both ends; no less than 2 hours 4 minutes.
    pub idle_ms: Option<Spanned<NonZeroU32>>,
    /// Bytes of one direction of a connection kept while a gap before them is open.
    pub ahead_bytes: Option<Spanned<NonZeroU32>>,
    /// Bytes of one direction of a connection copied until they are acknowledged.
    pub in_flight_bytes: Option<Spanned<NonZeroU32>>,
    /// MiB for held bytes and copies of bytes in flight.
    pub copies_mib: Option<Spanned<NonZeroU32>>,
    /// Datagrams in reassembly.
    pub fragments: Option<Spanned<NonZeroU32>>,
    /// Milliseconds a datagram waits for its fragments.
    pub fragment_ms: Option<Spanned<NonZeroU32>>,
    /// Packet buffers.
    pub mbufs: Option<Spanned<NonZeroU32>>,
    /// Packets in each ring of `layout: rings`.
    pub ring_packets: Option<Spanned<NonZeroU32>>,
}

/// Where Prometheus scrapes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawMetrics {
    /// Address and port of `/metrics`.
    pub listen: SocketAddr,
}

impl Default for RawMetrics {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9433)) }
    }
}

/// Where `wirepatch ctl` connects.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawControl {
    /// Path of the Unix socket.
    pub socket: PathBuf,
    /// Its permissions, octal.
    pub permissions: Spanned<String>,
}

impl Default for RawControl {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/wirepatch/control.sock"),
            permissions: Spanned { value: "0660".to_owned(), place: patch::Place::default() },
        }
    }
}

/// What is written to standard error.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLogging {
    /// Least severe level that is written.
    pub level: RawLevel,
    /// One line of text, or one JSON object, an event.
    pub format: RawFormat,
}

/// See [`RawLogging::level`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawLevel {
    /// Something failed.
    Error,
    /// Something wants attention.
    Warn,
    /// Starts, stops, reloads.
    #[default]
    Info,
    /// More than an operator wants.
    Debug,
}

/// See [`RawLogging::format`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
