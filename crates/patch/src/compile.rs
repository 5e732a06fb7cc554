//! Patches and server groups to a plan.
//!
//! Holds:     [`compile`] and its arguments, [`Group`] and [`Options`].
//! Promises:  a plan is made whole or not at all. Every mistake is reported at once.
//! Never:     types a rule: that was done when its patch was read.

mod direction;

use std::collections::{BTreeMap, HashMap, HashSet};

use plan::{DirectionRules, FailMode, GroupInfo, GroupNo, Mode, Module, PatchInfo, PatchNo, Plan};
use proto::{Transport, limits};
use stage::Direction;

use crate::diagnostic::Diagnostic;
use crate::library::{Patch, repeated};
use direction::RuleSet;

/// Servers that share patches and a mode.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its name in the configuration.
    pub name: String,
    /// Enforce or observe.
    pub mode: Mode,
    /// Prefixes: 16-byte address (IPv4 mapped) and length in bits of 128. Empty: every address.
    pub prefixes: Vec<([u8; 16], u8)>,
    /// Server ports of a protocol here, instead of those its patches name.
    pub ports: BTreeMap<String, Vec<u16>>,
    /// Indices into the patches, in the order they run.
    pub patches: Vec<usize>,
}

impl Group {
    /// Every address, and `patches` patches in the order loaded. `check` and `explain` compile this
    /// without a configuration.
    pub fn everywhere(patches: usize) -> Self {
        Self { name: "everywhere".to_owned(), patches: (0..patches).collect(), ..Self::default() }
    }
}

/// The operator's choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of one unit that may be held back over TCP.
    pub hold_bytes_max: u32,
    /// The fate of traffic whose rules cannot be decided.
    pub fail: FailMode,
}

impl Default for Options {
    fn default() -> Self {
        Self { hold_bytes_max: limits::HOLD_BYTES_DEFAULT, fail: FailMode::default() }
    }
}

/// Compiles `patches` for `groups`.
///
/// # Errors
/// Every mistake.
pub fn compile(
    patches: &[Patch],
    groups: &[Group],
    options: &Options,
) -> Result<Plan, Vec<Diagnostic>> {
    let mut compiler = Compiler { patches, options, found: repeated(patches) };
    let mut modules = Vec::new();
    if u16::try_from(patches.len()).is_err() || u16::try_from(groups.len()).is_err() {
        compiler.found.push(Diagnostic::of_file("", "more than 65535 patches or server groups"));
        return Err(compiler.found);
    }
    if options.hold_bytes_max > limits::HOLD_BYTES_MAX || options.hold_bytes_max == 0 {
        let message = format!("the hold limit is 1 to {} bytes", limits::HOLD_BYTES_MAX);
        compiler.found.push(Diagnostic::of_file("", message));
        return Err(compiler.found);
    }
    let mut owners = HashMap::new();
    for (no, group) in groups.iter().enumerate() {
        let scope = compiler.scope(group);
        compiler.claim(&scope, no, groups, &mut owners);
        for ((transport, members), ports) in scope {
            let group_no = GroupNo(u16::try_from(no).unwrap_or(u16::MAX));
            modules.extend(compiler.module(group, group_no, transport, &members, ports));
        }
    }
    if u16::try_from(modules.len()).is_err() {
        compiler.found.push(Diagnostic::of_file("", "more than 65535 modules"));
    }
    if !compiler.found.is_empty() {
        return Err(distinct(compiler.found));
    }
    let patches = patches.iter().map(info).collect();
    let groups = groups
        .iter()
        .map(|group| GroupInfo {
            name: group.name.as_str().into(),
            mode: group.mode,
            prefixes: group.prefixes.clone().into(),
        })
        .collect();
    Ok(Plan::new(modules, patches, groups))
}

fn info(patch: &Patch) -> PatchInfo {
    PatchInfo {
        name: patch.name.as_str().into(),
        cve: patch.cve.iter().map(|cve| cve.as_str().into()).collect(),
        released: patch.released,
        postpone_until: patch.postpone_until,
    }
}

/// A patch in several groups is wrong once.
fn distinct(found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut seen = HashSet::new();
    found.into_iter().filter(|diagnostic| seen.insert(diagnostic.to_string())).collect()
}

/// The patches of a module, and its ports.
type GroupScope = BTreeMap<(Transport, Vec<usize>), Vec<u16>>;

/// Which group a (transport, port, prefix) belongs to, and its first patch there.
type Owners = HashMap<(Transport, u16, ([u8; 16], u8)), (usize, usize)>;

/// Where a protocol is spoken.
#[derive(Clone, Copy)]
struct ServerPort {
    transport: Transport,
    port: u16,
}

struct Compiler<'a> {
    patches: &'a [Patch],
    options: &'a Options,
    found: Vec<Diagnostic>,
}

impl<'a> Compiler<'a> {
    /// A group's ports, those with the same patches together: each such set is a module.
    fn scope(&mut self, group: &Group) -> GroupScope {
        let mut by_port: BTreeMap<(Transport, u16), Vec<usize>> = BTreeMap::new();
        let mut seen = HashSet::new();
        for &index in &group.patches {
            let Some(patch) = self.patches.get(index).filter(|_| seen.insert(index)) else {
                continue;
            };
            for (transport, own) in &patch.scope {
                for &port in group.ports.get(patch.protocol().name).unwrap_or(own) {
                    let members = by_port.entry((*transport, port)).or_default();
                    // A port may be listed twice.
                    if members.last() != Some(&index) {
                        members.push(index);
                    }
                }
            }
        }
        let mut refused: HashSet<(usize, usize)> = HashSet::new();
        let mut scope = GroupScope::new();
        for ((transport, port), members) in by_port {
            let protocol =
                |index: &usize| self.patches.get(*index).map(|patch| patch.protocol().name);
            let first = members.first().copied().unwrap_or_default();
            let strange = members.iter().find(|index| protocol(index) != protocol(&first));
            if let Some(&strange) = strange {
                if refused.insert((first, strange)) {
                    self.two_protocols(group, ServerPort { transport, port }, first, strange);
                }
                continue;
            }
            scope.entry((transport, members)).or_default().push(port);
        }
        scope
    }

    fn two_protocols(&mut self, group: &Group, at: ServerPort, first: usize, strange: usize) {
        let (Some(first), Some(strange)) = (self.patches.get(first), self.patches.get(strange))
        else {
            return;
        };
        let ServerPort { transport, port } = at;
        let word = match transport {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        };
        let message = format!(
            "{word} port {port} of group `{}` would be read as {} and as {}",
            group.name,
            first.protocol().name,
            strange.protocol().name
        );
        self.found.push(
            Diagnostic::new(&strange.file, strange.protocol_place, message)
                .other(&first.file, first.protocol_place, "the other protocol")
                .help("one server port speaks one protocol: narrow one patch with `scope.ports`"),
        );
    }

    /// Two groups may not both have a module on the same servers' port.
    fn claim(&mut self, scope: &GroupScope, no: usize, groups: &[Group], owners: &mut Owners) {
        let Some(group) = groups.get(no) else { return };
        let everywhere = [([0; 16], 0)];
        let prefixes: &[_] = if group.prefixes.is_empty() { &everywhere } else { &group.prefixes };
        let mut refused = HashSet::new();
        for ((transport, members), ports) in scope {
            let first = members.first().copied().unwrap_or_default();
            for (&port, &prefix) in
                ports.iter().flat_map(|port| prefixes.iter().map(move |p| (port, p)))
            {
                let (other, other_patch) =
                    *owners.entry((*transport, port, prefix)).or_insert((no, first));
                if other == no || !refused.insert((other, first)) {
                    continue;
                }
                let (Some(other_group), Some(patch), Some(other_patch)) =
                    (groups.get(other), self.patches.get(first), self.patches.get(other_patch))
                else {
                    continue;
                };
                let message = format!(
                    "groups `{}` and `{}` both have patches for port {port} of the same servers",
                    other_group.name, group.name
                );
                self.found.push(
                    Diagnostic::new(&patch.file, patch.protocol_place, message)
                        .other(&other_patch.file, other_patch.protocol_place, "in the other group")
                        .help("a server's port belongs to one group: merge the two, or part their addresses"),
                );
            }
        }
    }

    fn module(
        &mut self,
        group: &Group,
        group_no: GroupNo,
        transport: Transport,
        members: &[usize],
        ports: Vec<u16>,
    ) -> Option<Module> {
        let decoder = self.patches.get(*members.first()?)?.decoder;
        let request = self.direction(transport, Direction::Request, members);
        let response = self.direction(transport, Direction::Response, members);
        Some(Module {
            group: group_no,
            decoder,
            transport,
            ports: ports.into(),
            mode: group.mode,
            fail: self.options.fail,
            directions: [request?, response?],
        })
    }

    /// One direction of one module: all its patches' rules, in order, in one numbering.
    fn direction(
        &mut self,
        transport: Transport,
        direction: Direction,
        members: &[usize],
    ) -> Option<DirectionRules> {
        let protocol = self.patches.get(*members.first()?)?.protocol();
        let mut rules = RuleSet::new(protocol, self.options, &mut self.found);
        for &index in members {
            let Some(patch) = self.patches.get(index) else { continue };
            rules.add(PatchNo(u16::try_from(index).unwrap_or(u16::MAX)), patch, direction);
        }
        rules.compile(transport)
    }
}
