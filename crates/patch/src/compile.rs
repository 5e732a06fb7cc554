//! Patches and server groups to a plan.
//!
//! Holds:     [`compile`], and what it is asked for ([`Group`], [`Options`]).
//! Promises:  a plan is made whole or not at all; everything that stands in its way is reported at once.
//! Never:     types a rule: that was done when its patch was read.

use std::collections::{BTreeMap, HashMap, HashSet};

use plan::{
    Condition, DirectionRules, FailMode, GroupInfo, GroupNo, Hold, Mode, Module, PatchInfo,
    PatchNo, Plan, Rule, Transform,
};
use proto::{Slot, Transport, Wanted, limits};
use stage::Direction;

use crate::conflict::{self, Facts};
use crate::diagnostic::Diagnostic;
use crate::hold::{self, Need};
use crate::library::{Patch, repeated};
use crate::rule::CheckedRule;
use crate::slots;

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
    /// Every address, and `patches` patches in the order loaded: what `check` and `explain` compile without a
    /// configuration.
    pub fn everywhere(patches: usize) -> Self {
        Self { name: "everywhere".to_owned(), patches: (0..patches).collect(), ..Self::default() }
    }
}

/// What the operator chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of one unit that may be held back over TCP.
    pub hold_bytes_max: u32,
    /// What becomes of traffic whose rules cannot be decided.
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
/// Everything that stands in the way.
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
type Scope = BTreeMap<(Transport, Vec<usize>), Vec<u16>>;

/// Which group a (transport, port, prefix) belongs to, and its first patch there.
type Owners = HashMap<(Transport, u16, ([u8; 16], u8)), (usize, usize)>;

struct Compiler<'a> {
    patches: &'a [Patch],
    options: &'a Options,
    found: Vec<Diagnostic>,
}

impl<'a> Compiler<'a> {
    /// A group's ports, those with the same patches together: each such set is a module.
    fn scope(&mut self, group: &Group) -> Scope {
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
        let mut scope = Scope::new();
        for ((transport, port), members) in by_port {
            let protocol =
                |index: &usize| self.patches.get(*index).map(|patch| patch.protocol().name);
            let first = members.first().copied().unwrap_or_default();
            let strange = members.iter().find(|index| protocol(index) != protocol(&first));
            if let Some(&strange) = strange {
                if refused.insert((first, strange)) {
                    self.two_protocols(group, (transport, port), first, strange);
                }
                continue;
            }
            scope.entry((transport, members)).or_default().push(port);
        }
        scope
    }

    fn two_protocols(
        &mut self,
        group: &Group,
        (transport, port): (Transport, u16),
        first: usize,
        strange: usize,
    ) {
        let (Some(first), Some(strange)) = (self.patches.get(first), self.patches.get(strange))
        else {
            return;
        };
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
    fn claim(&mut self, scope: &Scope, no: usize, groups: &[Group], owners: &mut Owners) {
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
        let request = self.side(transport, Direction::Request, members);
        let response = self.side(transport, Direction::Response, members);
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
    fn side(
        &mut self,
        transport: Transport,
        direction: Direction,
        members: &[usize],
    ) -> Option<DirectionRules> {
        let protocol = self.patches.get(*members.first()?)?.protocol();
        let mut wanted = Wanted::new(protocol);
        let mut rules: Vec<Rule> = Vec::new();
        let mut from: Vec<(&'a Patch, &'a CheckedRule)> = Vec::new();
        let mut concerned = Vec::new();
        for &index in members {
            let Some(patch) = self.patches.get(index) else { continue };
            let no = PatchNo(u16::try_from(index).unwrap_or(u16::MAX));
            let mine =
                patch.rules.iter().filter(|rule| rule.direction.is_none_or(|own| own == direction));
            for rule in mine {
                if concerned.last() != Some(&no) {
                    concerned.push(no);
                }
                let mut slot = |old: Slot| -> Slot {
                    let (id, key) = patch.wanted.field_of(old);
                    match key {
                        Some(key) => wanted.want_key(id, key),
                        None => wanted.want(id),
                    }
                };
                let mut when: Condition = rule.when.clone();
                slots::each(&mut when, &mut |old, _| *old = slot(*old));
                let target = rule.target.map(&mut slot);
                rules.push(Rule { patch: no, target, when, transform: rule.transform.clone() });
                from.push((patch, rule));
            }
        }
        // The last number is not used: a table of rules writes it for "none".
        if rules.len() >= usize::from(u16::MAX) || wanted.slot_count() >= usize::from(u16::MAX) {
            let message =
                format!("more than 65534 rules or fields of {} in one group", protocol.name);
            self.found.push(Diagnostic::of_file("", message));
            return None;
        }
        self.contradictions(&wanted, &rules, &from);
        if transport == Transport::Udp {
            // A datagram is always whole.
            return Some(DirectionRules::new(wanted, rules, Hold::Streaming, concerned));
        }
        let mut holds = false;
        let mut undecidable = Vec::new();
        for (rule, (patch, checked)) in rules.iter().zip(&from) {
            let need = hold::of_rule(protocol, &wanted, rule.target, &rule.when, &rule.transform);
            match &need {
                Need::Streaming(_) => continue,
                Need::Unit(_) => holds = true,
                Need::Head(_) => {
                    holds = true;
                    wanted.want_whole();
                }
            }
            undecidable.extend(self.bounded(&wanted, rule, patch, checked, &need));
        }
        self.found.extend(undecidable);
        let mut side = DirectionRules::new(wanted, rules, Hold::Streaming, concerned);
        // A slot's program has room for so many rules; the rest wait for the whole field.
        for (no, (rule, (patch, checked))) in side.rules.iter().zip(&from).enumerate() {
            let Some(slot) = rule.target.and_then(|target| side.index.slot(target)) else {
                continue;
            };
            if slot.whole().iter().any(|whole| usize::from(*whole) == no) {
                holds = true;
                if rule.transform.streams() {
                    let need = Need::Unit(
                        "the field has more patterns and conditions than one pass can look for"
                            .to_owned(),
                    );
                    let refused = self.bounded(&side.wanted, rule, patch, checked, &need);
                    self.found.extend(refused);
                }
            }
        }
        if holds {
            side.hold = Hold::UpTo(self.options.hold_bytes_max);
        }
        Some(side)
    }

    /// A rule that needs a hold has to be decidable within it.
    fn bounded(
        &self,
        wanted: &Wanted,
        rule: &Rule,
        patch: &Patch,
        checked: &CheckedRule,
        need: &Need,
    ) -> Option<Diagnostic> {
        let protocol = patch.protocol();
        let why = match need {
            Need::Streaming(_) => return None,
            Need::Unit(why) | Need::Head(why) => why,
        };
        if let Some(slot) = hold::endless(protocol, wanted, rule.target, &rule.when) {
            let field = hold::shown(protocol, wanted, slot);
            let message = format!("`{}` cannot be run on `{field}` as it streams by", checked.verb);
            return Some(
                Diagnostic::new(&patch.file, checked.place, message)
                    .note(format!("{why}, and `{field}` has no end that could be waited for"))
                    .help("use truncate, mask, or a pattern whose longest match is bounded, without reading the field in `when`"),
            );
        }
        let needed = hold::field_bytes(&rule.when, &rule.transform);
        let limit = self.options.hold_bytes_max;
        if needed <= u64::from(limit) {
            return None;
        }
        Some(
            Diagnostic::new(
                &patch.file,
                checked.place,
                format!("this rule needs {needed} bytes held back, and the limit is {limit}"),
            )
            .note(format!("it cannot be streamed: {why}"))
            .help("raise the hold limit, lower the rule's bound, or leave `when` away so that it streams"),
        )
    }

    fn contradictions(
        &mut self,
        wanted: &Wanted,
        rules: &[Rule],
        from: &[(&'a Patch, &'a CheckedRule)],
    ) {
        let mut by_target: HashMap<Slot, Vec<usize>> = HashMap::new();
        let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
        for (no, (rule, (_, checked))) in rules.iter().zip(from).enumerate() {
            match rule.target {
                Some(target) => by_target.entry(target).or_default().push(no),
                // Two verdicts contradict each other only on the same condition; else the first that applies decides.
                None => by_text.entry(&checked.when_text).or_default().push(no),
            }
        }
        let mut pairs: Vec<(usize, usize, String)> = Vec::new();
        for same in by_text.values() {
            pairs.extend(clashes(rules, same, |_, _| false));
        }
        for (target, same) in by_target {
            let facts: HashMap<usize, Facts> = same
                .iter()
                .filter_map(|&no| {
                    let (patch, _) = from.get(no)?;
                    let protocol = patch.protocol();
                    let single = |slot: Slot| {
                        slot == target
                            || protocol
                                .def(wanted.field_of(slot).0)
                                .is_some_and(|def| !def.repeated && !def.keyed)
                    };
                    Some((no, Facts::of(&rules.get(no)?.when, &single)))
                })
                .collect();
            pairs.extend(clashes(rules, &same, |a, b| {
                facts.get(&a).zip(facts.get(&b)).is_some_and(|(a, b)| a.exclude(b))
            }));
        }
        pairs.sort();
        for (earlier, later, why) in pairs {
            let (Some((first, first_rule)), Some((second, second_rule))) =
                (from.get(earlier), from.get(later))
            else {
                continue;
            };
            let message = if first.name == second.name {
                format!("two rules of `{}` contradict each other", first.name)
            } else {
                format!("`{}` and `{}` contradict each other", first.name, second.name)
            };
            self.found.push(
                Diagnostic::new(&second.file, second_rule.place, message)
                    .label(format!("this `{}`", second_rule.verb))
                    .other(&first.file, first_rule.place, format!("and this `{}`", first_rule.verb))
                    .note(why)
                    .help("leave one of them out of the group, or part them by their conditions"),
            );
        }
    }
}

/// The pairs among `same` that contradict each other and are not parted by their conditions.
fn clashes(
    rules: &[Rule],
    same: &[usize],
    parted: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    let numbered: Vec<(usize, &Transform)> =
        same.iter().filter_map(|&no| rules.get(no).map(|rule| (no, &rule.transform))).collect();
    // Patterns contradict nothing by their constants: those of the many patches of a field stay out of the pairing.
    let bounds: Vec<_> =
        numbered.iter().filter(|(_, transform)| transform.pattern().is_none()).collect();
    for (at, (earlier, first)) in bounds.iter().enumerate() {
        for (later, second) in bounds.iter().skip(at.saturating_add(1)) {
            if let Some(why) = conflict::between(first, second)
                && !parted(*earlier, *later)
            {
                found.push((*earlier, *later, why));
            }
        }
    }
    let transforms: Vec<&Transform> = numbered.iter().map(|(_, transform)| *transform).collect();
    for (keeper, writer) in conflict::written_back(&transforms) {
        let (Some((keeper, _)), Some((writer, _))) = (numbered.get(keeper), numbered.get(writer))
        else {
            continue;
        };
        if !parted(*keeper, *writer) {
            let why = "one writes what the other takes out".to_owned();
            found.push((*keeper.min(writer), *keeper.max(writer), why));
        }
    }
    found.sort();
    found.dedup_by_key(|(earlier, later, _)| (*earlier, *later));
    found
}
