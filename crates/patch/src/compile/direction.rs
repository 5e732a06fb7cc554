//! The rules of one direction of a module.
//!
//! Promises:  the first pass numbers the slots, the second finds contradictions, the third decides
//!            the hold.

use std::collections::HashMap;

use plan::{Condition, DirectionRules, Hold, PatchNo, Rule, Transform};
use proto::{Protocol, Slot, Transport, Wanted};
use stage::Direction;

use super::Options;
use crate::conflict::{self, ConditionFacts};
use crate::diagnostic::Diagnostic;
use crate::hold::{self, HeldRule, HoldNeed};
use crate::library::Patch;
use crate::rule::CheckedRule;
use crate::slots;

/// Where a rule comes from.
#[derive(Clone, Copy)]
struct RuleOrigin<'a> {
    patch: &'a Patch,
    rule: &'a CheckedRule,
}

/// The rules of all patches for one direction, in the order they run.
pub(super) struct RuleSet<'a, 'f> {
    protocol: &'static Protocol,
    options: &'a Options,
    found: &'f mut Vec<Diagnostic>,
    wanted: Wanted,
    rules: Vec<Rule>,
    /// Of each rule.
    origins: Vec<RuleOrigin<'a>>,
    /// Those with a rule here.
    patches: Vec<PatchNo>,
}

impl<'a, 'f> RuleSet<'a, 'f> {
    pub(super) fn new(
        protocol: &'static Protocol,
        options: &'a Options,
        found: &'f mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            protocol,
            options,
            found,
            wanted: Wanted::new(protocol),
            rules: Vec::new(),
            origins: Vec::new(),
            patches: Vec::new(),
        }
    }

    /// Adds the rules that a patch has for this direction, their slots in the numbering of this
    /// set.
    pub(super) fn add(&mut self, no: PatchNo, patch: &'a Patch, direction: Direction) {
        let mine =
            patch.rules.iter().filter(|rule| rule.direction.is_none_or(|own| own == direction));
        for rule in mine {
            if self.patches.last() != Some(&no) {
                self.patches.push(no);
            }
            let mut slot = |old: Slot| -> Slot {
                let (id, key) = patch.wanted.field_of(old);
                match key {
                    Some(key) => self.wanted.want_key(id, key),
                    None => self.wanted.want(id),
                }
            };
            let mut when: Condition = rule.when.clone();
            slots::each(&mut when, &mut |old, _| *old = slot(*old));
            let target = rule.target.map(&mut slot);
            self.rules.push(Rule { patch: no, target, when, transform: rule.transform.clone() });
            self.origins.push(RuleOrigin { patch, rule });
        }
    }

    /// Checks the rules against each other and against the hold limit.
    pub(super) fn compile(mut self, transport: Transport) -> Option<DirectionRules> {
        // The last number is not used: a table of rules writes it for "none".
        let most = usize::from(u16::MAX);
        if self.rules.len() >= most || self.wanted.slot_count() >= most {
            let name = self.protocol.name;
            let message = format!("more than 65534 rules or fields of {name} in one group");
            self.found.push(Diagnostic::of_file("", message));
            return None;
        }
        self.contradictions();
        if transport == Transport::Udp {
            // A datagram is always whole.
            let Self { wanted, rules, patches, .. } = self;
            return Some(DirectionRules::new(wanted, rules, Hold::Streaming, patches));
        }
        let mut holds = self.holds();
        let Self { wanted, rules, patches, protocol, options, origins, found } = self;
        let mut compiled = DirectionRules::new(wanted, rules, Hold::Streaming, patches);
        // A slot's program has room for so many rules; the rest wait for the whole field.
        for (no, (rule, origin)) in compiled.rules.iter().zip(&origins).enumerate() {
            let slot = rule.target.and_then(|target| compiled.index.slot(target));
            let waits =
                slot.is_some_and(|slot| slot.whole().iter().any(|whole| usize::from(*whole) == no));
            holds |= waits;
            if waits && rule.transform.streams() {
                let why = "the field has more patterns and conditions than one pass can look for";
                let held = HeldRule::new(protocol, &compiled.wanted, rule);
                found.extend(not_within(options, held, *origin, why));
            }
        }
        if holds {
            compiled.hold = Hold::UpTo(options.hold_bytes_max);
        }
        Some(compiled)
    }

    /// Whether a rule needs a hold. Those that cannot be decided within the limit are reported.
    fn holds(&mut self) -> bool {
        let mut holds = false;
        for (rule, origin) in self.rules.iter().zip(&self.origins) {
            let held = HeldRule::new(self.protocol, &self.wanted, rule);
            let need = held.need();
            let why = match &need {
                HoldNeed::Streaming(_) => continue,
                HoldNeed::Unit(why) | HoldNeed::Head(why) => why,
            };
            holds = true;
            self.found.extend(not_within(self.options, held, *origin, why));
            if matches!(need, HoldNeed::Head(_)) {
                self.wanted.want_whole();
            }
        }
        holds
    }

    fn contradictions(&mut self) {
        let mut by_target: HashMap<Slot, Vec<usize>> = HashMap::new();
        let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
        for (no, (rule, origin)) in self.rules.iter().zip(&self.origins).enumerate() {
            match rule.target {
                Some(target) => by_target.entry(target).or_default().push(no),
                // Two verdicts contradict each other only on the same condition; else the first
                // that applies decides.
                None => by_text.entry(&origin.rule.when_text).or_default().push(no),
            }
        }
        let mut pairs: Vec<(usize, usize, String)> = Vec::new();
        for same in by_text.values() {
            pairs.extend(clashes(&self.rules, same, |_, _| false));
        }
        for (target, same) in by_target {
            let facts: HashMap<usize, ConditionFacts> = same
                .iter()
                .filter_map(|&no| {
                    let single = |slot: Slot| {
                        slot == target
                            || self
                                .protocol
                                .def(self.wanted.field_of(slot).0)
                                .is_some_and(|def| !def.repeated && !def.keyed)
                    };
                    Some((no, ConditionFacts::of(&self.rules.get(no)?.when, &single)))
                })
                .collect();
            pairs.extend(clashes(&self.rules, &same, |a, b| {
                facts.get(&a).zip(facts.get(&b)).is_some_and(|(a, b)| a.exclude(b))
            }));
        }
        pairs.sort();
        for (earlier, later, why) in pairs {
            let origins = (self.origins.get(earlier), self.origins.get(later));
            if let (Some(first), Some(second)) = origins {
                self.found.push(contradiction(*first, *second, why));
            }
        }
    }
}

/// Two rules and why they contradict each other.
fn contradiction(first: RuleOrigin<'_>, second: RuleOrigin<'_>, why: String) -> Diagnostic {
    let names = (&first.patch.name, &second.patch.name);
    let message = if names.0 == names.1 {
        format!("two rules of `{}` contradict each other", names.0)
    } else {
        format!("`{}` and `{}` contradict each other", names.0, names.1)
    };
    let and_this = format!("and this `{}`", first.rule.verb);
    Diagnostic::new(&second.patch.file, second.rule.place, message)
        .label(format!("this `{}`", second.rule.verb))
        .other(&first.patch.file, first.rule.place, and_this)
        .note(why)
        .help("leave one of them out of the group, or tell them apart by their conditions")
}

/// The mistake of a rule that needs more held back than the limit allows.
fn not_within(
    options: &Options,
    held: HeldRule<'_>,
    origin: RuleOrigin<'_>,
    why: &str,
) -> Option<Diagnostic> {
    let RuleOrigin { patch, rule } = origin;
    if let Some(slot) = held.endless() {
        let field = hold::shown(held.protocol, held.wanted, slot);
        let message = format!("`{}` cannot be run on `{field}` as it streams by", rule.verb);
        return Some(
            Diagnostic::new(&patch.file, rule.place, message)
                .note(format!("{why}, and `{field}` has no end that could be waited for"))
                .help("use truncate, mask, or a pattern whose longest match is bounded, without reading the field in `when`"),
        );
    }
    let needed = hold::field_bytes(held.when, held.transform);
    let limit = options.hold_bytes_max;
    if needed <= u64::from(limit) {
        return None;
    }
    let message = format!("this rule needs {needed} bytes held back, and the limit is {limit}");
    Some(
        Diagnostic::new(&patch.file, rule.place, message)
            .note(format!("it cannot be streamed: {why}"))
            .help("raise the hold limit, lower the rule's bound, or leave `when` out so that it streams"),
    )
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
    // Patterns contradict nothing by their constants: those of the many patches of a field stay out
    // of the pairing.
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
