//! Which module, if any, a packet concerns: (transport, server address, server port) to
//! [`ModuleNo`].
//!
//! Holds:     per transport a 65,536-bit map of the ports any module names, the class of each such
//!            port, and one hash table of (port class, prefix length, prefix).
//! Promises:  the longest prefix that names the port wins; a packet on a port nobody names costs
//!            two bit tests; the cost of any look-up depends on the number of distinct prefix
//!            *lengths*, never on the number of patches or groups.
//! Never:     allocates or changes once built.
//!
//! Ports that are named by the same set of modules share a class, so a module of all 65,535 ports
//! takes no more entries than a module of one.

use proto::Transport;
use stage::Direction;

use crate::module::{GroupInfo, Module, ModuleNo};

/// One end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// IPv6, or IPv4 mapped (`::ffff:a.b.c.d`).
    pub address: [u8; 16],
    /// TCP or UDP port.
    pub port: u16,
}

/// The result of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeMatch {
    /// The module that is active there.
    pub module: ModuleNo,
    /// Towards the server's port, or from it.
    pub direction: Direction,
}

/// The scope look-up of one plan.
#[derive(Debug, Default)]
pub struct ScopeTable {
    tcp: PortTable,
    udp: PortTable,
    /// Open addressing, a power of two, at most half full.
    prefixes: Box<[Option<PrefixEntry>]>,
}

/// Ports of one transport.
#[derive(Debug, Default)]
struct PortTable {
    /// One bit a port; empty when no module is of this transport.
    named: Box<[u64]>,
    /// Index into `classes`, one a port; only read for a port whose bit is set.
    class_of: Box<[u16]>,
    classes: Box<[PortClass]>,
    /// Prefixes of all modules of this transport, for fragments, which carry no ports.
    any_address: bool,
    lengths: Box<[u8]>,
}

/// Ports that the same modules name.
#[derive(Debug, Default)]
struct PortClass {
    /// Distinct prefix lengths, longest first, 0 left out.
    lengths: Box<[u8]>,
    /// The module of prefix length 0.
    everywhere: Option<ModuleNo>,
}

#[derive(Clone, Copy, Debug)]
struct PrefixEntry {
    key: ScopeKey,
    module: ModuleNo,
}

/// Class [`ANY_PORT`] holds every prefix of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ScopeKey {
    transport: Transport,
    class: u32,
    length_bits: u8,
    prefix: u128,
}

const ANY_PORT: u32 = u32::MAX;

/// UDP ports whose datagrams carry whole packets. They count as named, so that the prefilter does
/// not let them by; but a look-up finds no module there, unless one names them. (`wire::tunnel`
/// reads them; `datapath` asserts that the two lists agree.)
pub const TUNNEL_PORTS: [u16; 6] = [4_754, 4_789, 4_790, 6_081, 6_635, 8_472];

/// The class of a port that no module names.
const NO_CLASS: u16 = u16::MAX;
const PORTS: usize = 65_536;

impl ScopeTable {
    /// Built once by [`crate::Plan::new`]. Where two modules name the same (transport, prefix,
    /// port), the first wins: the compiler refuses such a pair.
    pub fn new(modules: &[Module], groups: &[GroupInfo]) -> Self {
        let mut entries = Vec::new();
        let tcp = PortTable::new(Transport::Tcp, modules, groups, &mut entries);
        let udp = PortTable::new(Transport::Udp, modules, groups, &mut entries);
        let buckets = entries.len().saturating_mul(2).next_power_of_two().max(2);
        let mut prefixes = vec![None; buckets].into_boxed_slice();
        for entry in entries {
            insert(&mut prefixes, entry);
        }
        Self { tcp, udp, prefixes }
    }

    /// The module that a packet from `source` to `destination` concerns. Where both ends are
    /// servers in scope, the longer prefix decides, and the destination where they are equal.
    pub fn find(
        &self,
        transport: Transport,
        source: &Endpoint,
        destination: &Endpoint,
    ) -> Option<ScopeMatch> {
        let ports = self.ports(transport);
        let to = ports.names(destination.port);
        let from = ports.names(source.port);
        if !to && !from {
            return None;
        }
        let to = if to { self.server(transport, destination) } else { None };
        let from = if from { self.server(transport, source) } else { None };
        match (to, from) {
            (None, None) => None,
            (Some((module, _)), None) => Some(ScopeMatch { module, direction: Direction::Request }),
            (None, Some((module, _))) => {
                Some(ScopeMatch { module, direction: Direction::Response })
            }
            (Some((_, to_bits)), Some((module, from_bits))) if from_bits > to_bits => {
                Some(ScopeMatch { module, direction: Direction::Response })
            }
            (Some((module, _)), Some(_)) => {
                Some(ScopeMatch { module, direction: Direction::Request })
            }
        }
    }

    /// Some module names this port, or it is one of [`TUNNEL_PORTS`]: one load, and most traffic
    /// needs no more.
    pub fn names_port(&self, transport: Transport, port: u16) -> bool {
        self.ports(transport).names(port)
    }

    /// Whether a packet between these addresses could concern a module on some port: the question
    /// for an IP fragment without ports.
    pub fn concerns(
        &self,
        transport: Transport,
        source: &[u8; 16],
        destination: &[u8; 16],
    ) -> bool {
        let ports = self.ports(transport);
        ports.any_address
            || [source, destination].into_iter().any(|address| {
                let address = u128::from_be_bytes(*address);
                ports.lengths.iter().any(|&length_bits| {
                    let prefix = address & mask(length_bits);
                    let key = ScopeKey { transport, class: ANY_PORT, length_bits, prefix };
                    self.entry(&key).is_some()
                })
            })
    }

    /// No module at all: every packet is out of scope.
    pub fn is_empty(&self) -> bool {
        self.tcp.named.is_empty() && self.udp.named.is_empty()
    }

    const fn ports(&self, transport: Transport) -> &PortTable {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }

    /// The module of a server, and the length of the prefix that named it.
    fn server(&self, transport: Transport, server: &Endpoint) -> Option<(ModuleNo, u8)> {
        let ports = self.ports(transport);
        let class_no = *ports.class_of.get(usize::from(server.port))?;
        let class = ports.classes.get(usize::from(class_no))?;
        let class_no = u32::from(class_no);
        let address = u128::from_be_bytes(server.address);
        for &length_bits in &class.lengths {
            let prefix = address & mask(length_bits);
            let key = ScopeKey { transport, class: class_no, length_bits, prefix };
            if let Some(module) = self.entry(&key) {
                return Some((module, length_bits));
            }
        }
        class.everywhere.map(|module| (module, 0))
    }

    fn entry(&self, key: &ScopeKey) -> Option<ModuleNo> {
        let mask = self.prefixes.len().checked_sub(1)?;
        let mut at = key.hash() & mask;
        loop {
            let entry = self.prefixes.get(at)?.as_ref()?;
            if entry.key == *key {
                return Some(entry.module);
            }
            at = at.wrapping_add(1) & mask;
        }
    }
}

impl PortTable {
    fn new(
        transport: Transport,
        modules: &[Module],
        groups: &[GroupInfo],
        entries: &mut Vec<PrefixEntry>,
    ) -> Self {
        let ours = || {
            modules.iter().enumerate().filter_map(|(at, module)| {
                let prefixes =
                    groups.get(usize::from(module.group.0)).map(|group| &*group.prefixes);
                let no = ModuleNo(u16::try_from(at).ok()?);
                (module.transport == transport).then_some((
                    no,
                    module,
                    prefixes.unwrap_or_default(),
                ))
            })
        };
        let tunnels = match transport {
            Transport::Udp if !modules.is_empty() => TUNNEL_PORTS.as_slice(),
            Transport::Udp | Transport::Tcp => &[],
        };
        if ours().next().is_none() && tunnels.is_empty() {
            return Self::default();
        }
        let mut namers: Vec<Vec<ModuleNo>> = vec![Vec::new(); PORTS];
        for (no, module, _) in ours() {
            for &port in &module.ports {
                if let Some(namers) = namers.get_mut(usize::from(port)) {
                    namers.push(no);
                }
            }
        }
        let mut named = vec![0_u64; PORTS / 64].into_boxed_slice();
        let mut class_of = vec![NO_CLASS; PORTS].into_boxed_slice();
        for &port in tunnels {
            if let Some(word) = named.get_mut(usize::from(port) / 64) {
                *word |= bit(port.into());
            }
        }
        let mut class_nos = std::collections::HashMap::<&[ModuleNo], u16>::new();
        let mut classes = Vec::new();
        for (port, namers) in namers.iter().enumerate().filter(|(_, namers)| !namers.is_empty()) {
            let fresh = u16::try_from(classes.len()).unwrap_or(u16::MAX);
            let class_no = *class_nos.entry(namers).or_insert(fresh);
            if class_no == fresh {
                let prefixes = ours().filter(|(no, ..)| namers.contains(no));
                classes.push(PortClass::new(transport, class_no.into(), prefixes, entries));
            }
            if let (Some(word), Some(slot)) = (named.get_mut(port / 64), class_of.get_mut(port)) {
                *word |= bit(port);
                *slot = class_no;
            }
        }
        let any = PortClass::new(transport, ANY_PORT, ours(), entries);
        Self {
            named,
            class_of,
            classes: classes.into(),
            any_address: any.everywhere.is_some(),
            lengths: any.lengths,
        }
    }

    fn names(&self, port: u16) -> bool {
        let port = usize::from(port);
        self.named.get(port / 64).is_some_and(|word| word & bit(port) != 0)
    }
}

impl PortClass {
    fn new<'a>(
        transport: Transport,
        class: u32,
        modules: impl Iterator<Item = (ModuleNo, &'a Module, &'a [([u8; 16], u8)])>,
        entries: &mut Vec<PrefixEntry>,
    ) -> Self {
        let mut lengths = Vec::new();
        let mut everywhere = None;
        for (module, _, prefixes) in modules {
            if prefixes.is_empty() {
                everywhere = everywhere.or(Some(module));
            }
            for &(address, length_bits) in prefixes {
                let length_bits = length_bits.min(128);
                if length_bits == 0 {
                    everywhere = everywhere.or(Some(module));
                    continue;
                }
                let prefix = u128::from_be_bytes(address) & mask(length_bits);
                let key = ScopeKey { transport, class, length_bits, prefix };
                entries.push(PrefixEntry { key, module });
                lengths.push(length_bits);
            }
        }
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Self { lengths: lengths.into(), everywhere }
    }
}

impl ScopeKey {
    /// Multiply and fold. The entries are the operator's, not the network's: a hostile address can
    /// only miss, and a miss walks at most one cluster of a half-empty table.
    fn hash(&self) -> usize {
        let [high, low] = [self.prefix >> 64, self.prefix & u128::from(u64::MAX)]
            .map(|half| u64::try_from(half).unwrap_or(0));
        let place = (u64::from(self.class) << 16)
            ^ (u64::from(self.length_bits) << 1)
            ^ u64::from(self.transport == Transport::Tcp);
        let mixed = (high ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xff51_afd7_ed55_8ccd)
            .rotate_left(29)
            ^ low.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        let folded = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(folded).unwrap_or(0)
    }
}

fn insert(table: &mut [Option<PrefixEntry>], entry: PrefixEntry) {
    let Some(mask) = table.len().checked_sub(1) else { return };
    let mut at = entry.key.hash() & mask;
    loop {
        match table.get_mut(at) {
            Some(slot @ None) => {
                *slot = Some(entry);
                return;
            }
            Some(Some(taken)) if taken.key != entry.key => at = at.wrapping_add(1) & mask,
            Some(Some(_)) | None => return,
        }
    }
}

/// The first `length_bits` bits set.
fn mask(length_bits: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(length_bits))).unwrap_or(0)
}

fn bit(port: usize) -> u64 {
    1_u64.wrapping_shl(u32::try_from(port % 64).unwrap_or(0))
}

#[cfg(test)]
mod tests;
