//! The checked configuration, and the one door to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use patch::yaml::{Spanned, from_source};
use patch::{Diagnostic, Place, SourceFile, nearest, protocols};
use plan::{FailMode, Mode};

use crate::limits::Limits;
pub use crate::raw::{Midstream, Tunnels};
use crate::raw::{
    RawConfig, RawFailMode, RawFormat, RawGroup, RawLayout, RawLevel, RawMode, RawPort, RawWorkers,
};

/// A configuration whose parts fit together.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read.
    pub path: PathBuf,
    /// DPDK's environment.
    pub eal: Eal,
    /// Network ports; their index is the port number everywhere.
    pub ports: Vec<Port>,
    /// Pairs of indices into `ports`; every port is in exactly one.
    pub bridges: Vec<[usize; 2]>,
    /// How the journey is laid on cores.
    pub workers: Workers,
    /// Servers and their patches.
    pub groups: Vec<Group>,
    /// Bounds.
    pub limits: Limits,
    /// What becomes of what cannot be decided.
    pub fail_mode: FailMode,
    /// What becomes of connections that were there before the appliance.
    pub midstream: Midstream,
    /// What becomes of packets in scope inside tunnels.
    pub tunnels: Tunnels,
    /// Where `/metrics` listens.
    pub metrics: SocketAddr,
    /// Where `ctl` connects.
    pub control: ControlSocket,
    /// Least severe level written.
    pub log_level: LogLevel,
    /// How it is written.
    pub log_format: LogFormat,
}

/// See [`crate::raw::RawEal`].
#[derive(Clone, Debug)]
pub struct Eal {
    /// Hugepages, without files.
    pub hugepages: bool,
    /// MiB taken.
    pub memory_mib: u32,
    /// Probe PCI.
    pub pci: bool,
    /// Prefix of DPDK's files.
    pub file_prefix: Option<String>,
    /// More arguments.
    pub extra: Vec<String>,
}

/// One network port.
#[derive(Clone, Debug)]
pub struct Port {
    /// Name in messages and metrics.
    pub name: String,
    /// What it is.
    pub device: Device,
    /// Largest IP packet; `None`: the device's own.
    pub mtu: Option<u16>,
    /// Descriptors a queue.
    pub descriptors: u16,
    /// Offload checksums where the NIC can.
    pub checksum_offload: bool,
    /// Do not hold a wrong TCP or UDP checksum against a packet.
    pub trust_checksums: bool,
}

/// A DPDK device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// `0000:3b:00.0`
    Pci(String),
    /// `net_tap0,iface=lan`
    Virtual(String),
}

impl Device {
    /// As DPDK names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Pci(name) | Self::Virtual(name) => name,
        }
    }
}

/// See [`crate::raw::RawLayout`].
pub type Layout = RawLayout;
/// See [`crate::raw::RawLevel`].
pub type LogLevel = RawLevel;
/// See [`crate::raw::RawFormat`].
pub type LogFormat = RawFormat;

/// How the journey is laid on cores.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Layout.
    pub layout: Layout,
    /// Workers.
    pub count: u16,
    /// CPUs in order; empty: the binary chooses.
    pub cpus: Vec<u16>,
    /// Sleep when idle.
    pub sleep_when_idle: bool,
}

/// Servers that share patches.
#[derive(Clone, Debug)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Prefixes, v4-mapped: address and length in bits of 128.
    pub prefixes: Vec<([u8; 16], u8)>,
    /// Server ports by protocol, where they differ from the protocol's own.
    pub ports: BTreeMap<String, Vec<u16>>,
    /// Patch files, sorted.
    pub patches: Vec<PathBuf>,
    /// Mode.
    pub mode: Mode,
}

/// A Unix socket.
#[derive(Clone, Debug)]
pub struct ControlSocket {
    /// Path.
    pub path: PathBuf,
    /// File permissions.
    pub permissions: u32,
}

/// JSON Schema of the configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(RawConfig).to_value()
}

impl Config {
    /// Reads and checks a file; every problem at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            vec![
                Diagnostic::of_file(&shown, format!("cannot read the configuration: {error}"))
                    .help("`--config` names a YAML file; deploy/wirepatch.yaml is a sample"),
            ]
        })?;
        Self::check(&SourceFile::new(shown, text), path)
    }

    /// Checks a file's text. Relative paths in it are relative to the folder of `path`.
    pub fn check(file: &SourceFile, path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let raw: RawConfig = from_source(file)?;
        let mut found = Found { file, list: Vec::new() };
        let folder = path.parent().unwrap_or(Path::new("."));
        let ports = ports(&raw, &mut found);
        let bridges = bridges(&raw, &mut found);
        let workers = workers(&raw.workers, &mut found);
        let groups = groups(&raw.server_groups, folder, &mut found);
        let limits = Limits::check(&raw.limits, &mut found);
        let control = control_socket(&raw, folder, &mut found);
        if !found.list.is_empty() {
            return Err(found.list);
        }
        Ok(Self {
            path: path.to_owned(),
            eal: Eal {
                hugepages: raw.eal.hugepages,
                memory_mib: raw.eal.memory_mib.get(),
                pci: raw.eal.pci,
                file_prefix: raw.eal.file_prefix,
                extra: raw.eal.extra,
            },
            ports,
            bridges,
            workers,
            groups,
            limits,
            fail_mode: match raw.fail_mode {
                RawFailMode::Open => FailMode::Open,
                RawFailMode::Closed => FailMode::Closed,
            },
            midstream: raw.midstream,
            tunnels: raw.tunnels,
            metrics: raw.metrics.listen,
            control,
            log_level: raw.logging.level,
            log_format: raw.logging.format,
        })
    }
}

/// The problems of a file.
pub(crate) struct Found<'a> {
    file: &'a SourceFile,
    list: Vec<Diagnostic>,
}

impl Found<'_> {
    pub(crate) fn add(
        &mut self,
        place: Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.list.push(Diagnostic::new(self.file, place, message).help(help));
    }

    /// Complains of the second and later uses of a name.
    fn unique<'n>(&mut self, what: &str, names: impl Iterator<Item = &'n Spanned<String>>) {
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        for name in names {
            if let Some(first) = seen.insert(name.value.as_str(), name.place) {
                self.list.push(
                    Diagnostic::new(
                        self.file,
                        name.place,
                        format!("two {what}s are called `{}`", name.value),
                    )
                    .help("give each a name of its own")
                    .other(self.file, first, "the first one"),
                );
            }
        }
    }
}

fn ports(raw: &RawConfig, found: &mut Found<'_>) -> Vec<Port> {
    found.unique("port", raw.ports.iter().map(|port| &port.name));
    if raw.ports.len() < 2 {
        found.add(
            raw.ports.place,
            "a bump in the wire needs two ports",
            "name at least two under `ports`",
        );
    }
    let mut ports = Vec::new();
    for port in raw.ports.iter() {
        if let Some(device) = device(port, raw.eal.pci, found) {
            ports.push(Port {
                name: port.name.value.clone(),
                device,
                mtu: port.mtu.map(std::num::NonZeroU16::get),
                descriptors: port.descriptors.map_or(1024, std::num::NonZeroU16::get),
                checksum_offload: port.checksum_offload,
                trust_checksums: port.trust_checksums,
            });
        }
    }
    ports
}

/// PCI addresses are `domain:bus:device.function` in hexadecimal; virtual devices begin with their driver's name.
fn device(port: &RawPort, pci: bool, found: &mut Found<'_>) -> Option<Device> {
    let text = port.device.value.trim();
    if is_pci_address(text) {
        if !pci {
            found.add(
                port.device.place,
                "a PCI device, but `eal.pci` is off",
                "set `eal: { pci: true }` so that DPDK looks for PCI devices",
            );
        }
        return Some(Device::Pci(text.to_ascii_lowercase()));
    }
    if text.starts_with("net_") || text.starts_with("eth_") || text.starts_with("virtio_user") {
        return Some(Device::Virtual(text.to_owned()));
    }
    found.add(
        port.device.place,
        format!("`{text}` is neither a PCI address nor a DPDK virtual device"),
        "write a PCI address (`0000:3b:00.0`, see `lspci -D`) or a virtual device (`net_tap0,iface=lan`, \
         `net_af_packet0,iface=eth1`, `net_af_xdp0,iface=eth1`)",
    );
    None
}

fn is_pci_address(text: &str) -> bool {
    let Some((rest, function)) = text.rsplit_once('.') else { return false };
    let parts: Vec<&str> = rest.split(':').collect();
    let hex = |part: &str, width: usize| {
        part.len() == width && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let function =
        function.len() == 1 && function.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    function
        && match parts.as_slice() {
            [domain, bus, device] => hex(domain, 4) && hex(bus, 2) && hex(device, 2),
            [bus, device] => hex(bus, 2) && hex(device, 2),
            _ => false,
        }
}

fn bridges(raw: &RawConfig, found: &mut Found<'_>) -> Vec<[usize; 2]> {
    let names: Vec<&str> = raw.ports.iter().map(|port| port.name.as_str()).collect();
    let mut taken: BTreeMap<usize, Place> = BTreeMap::new();
    let mut bridges = Vec::new();
    for ends in raw.bridges.iter() {
        let mut pair = Vec::new();
        for end in ends {
            match names.iter().position(|name| *name == end.value) {
                None => {
                    let help = nearest(&end.value, names.iter().copied()).map_or_else(
                        || "name a port of `ports`".to_owned(),
                        |name| format!("did you mean `{name}`?"),
                    );
                    found.add(end.place, format!("no port is called `{}`", end.value), help);
                }
                Some(port) => {
                    if let Some(first) = taken.insert(port, end.place) {
                        found.list.push(
                            Diagnostic::new(
                                found.file,
                                end.place,
                                format!("port `{}` is bridged twice", end.value),
                            )
                            .help("what comes in on a port leaves on exactly one other")
                            .other(
                                found.file,
                                first,
                                "bridged here first",
                            ),
                        );
                    }
                    pair.push(port);
                }
            }
        }
        if let [one, other] = pair.as_slice() {
            bridges.push([*one, *other]);
        }
    }
    if raw.bridges.is_empty() {
        found.add(
            raw.bridges.place,
            "no bridge: nothing would be forwarded",
            "write `bridges: [[lan, srv]]`",
        );
    }
    for (number, port) in raw.ports.iter().enumerate() {
        if !taken.contains_key(&number) {
            found.add(
                port.name.place,
                format!("port `{}` is in no bridge", port.name.value),
                "join it to another under `bridges`, or take it out",
            );
        }
    }
    bridges
}

fn workers(raw: &RawWorkers, found: &mut Found<'_>) -> Workers {
    let cpus: Vec<u16> = raw.cpus.iter().map(|cpu| cpu.value).collect();
    let count = raw.count.map_or(1, |count| count.value.get());
    let beside = match raw.layout {
        RawLayout::RunToCompletion => 0,
        RawLayout::Rings => 2,
    };
    let needed = usize::from(count).saturating_add(beside);
    if let (false, Some(last)) = (cpus.is_empty(), raw.cpus.last())
        && cpus.len() < needed
    {
        found.add(
            last.place,
            format!("{} CPUs for {needed} busy lcores", cpus.len()),
            format!("name {needed} CPUs (workers first, then those that receive and transmit), or lower `count`"),
        );
    }
    for (at, cpu) in raw.cpus.iter().enumerate() {
        if raw.cpus.iter().take(at).any(|earlier| earlier.value == cpu.value) {
            found.add(
                cpu.place,
                format!("CPU {} is named twice", cpu.value),
                "two busy-polling lcores on one CPU starve each other: name each CPU once",
            );
        }
    }
    Workers {
        layout: raw.layout,
        count,
        cpus,
        sleep_when_idle: raw.sleep_when_idle.unwrap_or(true),
    }
}

fn groups(raw: &[RawGroup], folder: &Path, found: &mut Found<'_>) -> Vec<Group> {
    found.unique("server group", raw.iter().map(|group| &group.name));
    raw.iter()
        .map(|group| Group {
            name: group.name.value.clone(),
            prefixes: group.addresses.iter().filter_map(|address| prefix(address, found)).collect(),
            ports: group
                .ports
                .iter()
                .map(|(protocol, ports)| {
                    if !protocols().any(|name| name == protocol) {
                        let help = nearest(protocol, protocols()).map_or_else(
                            || "`wirepatch fields` lists them".to_owned(),
                            |name| format!("did you mean `{name}`?"),
                        );
                        found.add(ports.place, format!("no protocol is called `{protocol}`"), help);
                    }
                    if ports.is_empty() || ports.contains(&0) {
                        found.add(
                            ports.place,
                            "not a list of ports",
                            "write port numbers from 1 to 65535",
                        );
                    }
                    (protocol.clone(), ports.value.clone())
                })
                .collect(),
            patches: patch_files(group, folder, found),
            mode: match group.mode {
                RawMode::Enforce => Mode::Enforce,
                RawMode::Observe => Mode::Observe,
            },
        })
        .collect()
}

/// An address or prefix as 16 bytes (IPv4 mapped, RFC 4291 section 2.5.5.2) and a length of 128. `10.0.0.0/8` is 104 bits long.
fn prefix(text: &Spanned<String>, found: &mut Found<'_>) -> Option<([u8; 16], u8)> {
    let (address, length) = match text.value.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text.value.as_str(), None),
    };
    let parsed: Result<IpAddr, _> = address.trim().parse();
    let Ok(address) = parsed else {
        found.add(
            text.place,
            format!("`{}` is no address or prefix", text.value),
            "write `192.0.2.10`, `192.0.2.0/24`, `2001:db8::10` or `2001:db8::/64`",
        );
        return None;
    };
    let (bytes, width) = match address {
        IpAddr::V4(v4) => (Ipv4Addr::to_ipv6_mapped(&v4).octets(), 32_u8),
        IpAddr::V6(v6) => (v6.octets(), 128_u8),
    };
    let bits = match length.map(str::parse::<u8>) {
        None => width,
        Some(Ok(bits)) if bits <= width => bits,
        Some(_) => {
            found.add(
                text.place,
                format!("a prefix of this address is at most {width} bits long"),
                "write `/24`, `/64` and the like",
            );
            return None;
        }
    };
    let bits = bits.saturating_add(128_u8.saturating_sub(width));
    let whole = u128::from_be_bytes(bytes);
    let mask = u128::MAX.checked_shl(u32::from(128_u8.saturating_sub(bits))).unwrap_or(0);
    if whole & !mask != 0 {
        found.add(
            text.place,
            format!("`{}` has bits set behind the prefix", text.value),
            "write the network's own address, or leave the length off for a single server",
        );
        return None;
    }
    Some((bytes, bits))
}

/// Files, folders (all `.yaml` and `.yml` below) and globs.
fn patch_files(group: &RawGroup, folder: &Path, found: &mut Found<'_>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for pattern in &group.patches {
        let absolute = folder.join(&pattern.value);
        let before = files.len();
        match glob::glob(&absolute.to_string_lossy()) {
            Err(error) => {
                found.add(
                    pattern.place,
                    format!("not a glob: {error}"),
                    "`*` matches a name, `**` folders, `[ab]` a character",
                );
                continue;
            }
            Ok(paths) => {
                for path in paths.flatten() {
                    crate::reload::collect(&path, &mut files);
                }
            }
        }
        if files.len() == before {
            found.add(
                pattern.place,
                format!("no patch file matches `{}`", pattern.value),
                format!("paths are relative to {}; patches end in .yaml or .yml", folder.display()),
            );
        }
    }
    files.sort();
    files.dedup();
    files
}

fn control_socket(raw: &RawConfig, folder: &Path, found: &mut Found<'_>) -> ControlSocket {
    let text = &raw.control.permissions;
    let permissions =
        u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o777);
    if permissions.is_none() {
        found.add(
            text.place,
            format!("`{}` are no file permissions", text.value),
            "write octal digits as in `\"0660\"` (owner and group may talk to the appliance)",
        );
    }
    ControlSocket {
        path: folder.join(&raw.control.socket),
        permissions: permissions.unwrap_or(0o660),
    }
}

#[cfg(test)]
mod tests;
