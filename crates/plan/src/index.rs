//! Fusion: finds the rules of one direction that can concern a message, at a cost that does not
//! grow with the rules that cannot.
//!
//! Holds:     for every slot the **preconditions** of the rules that wait for it, and the slot's
//!            [`Program`], its streamable rules fused into one pass over the bytes. A precondition
//!            is a necessary condition that is cheap to look up: "longer than 128", "contains one
//!            of these literals".
//! Promises:  a rule whose precondition fails could not have fired on the message as it came. A
//!            look-up of a field costs one binary search, or one pass over its bytes, for each kind
//!            of precondition in use, and then only the rules it found.
//! Never:     evaluates a condition: `engine` does, for the candidates found here.

mod candidates;

mod byte_hints;
mod end_bytes;
mod literal_set;
mod ngram_filter;
mod precondition;
mod program;
mod ranges;
mod slot;
mod table;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proto::{HeaderPrefilter, Slot, Wanted, WatchedRanges};

use crate::condition::Condition;
use crate::rule::{Rule, RuleNo};
use crate::transform::ByteSet;
pub use candidates::Candidates;
use literal_set::widened;
use precondition::{Atom, AtomKind, Precondition};
use program::StreamedRules;
pub use program::{
    AUTOMATA_MAX, Automaton, CONDITIONAL_RULES_MAX, LiteralAutomaton, LiteralState, MaskTable,
    Owner, PARTIAL_MATCH_BYTES_MAX, Program,
};
use ranges::ByteRanges;
pub use slot::SlotIndex;

/// Built once from a direction's rules, immutable in use.
#[derive(Debug, Default)]
pub struct Index {
    slots: Box<[SlotIndex]>,
    counted: Box<[Slot]>,
    lacking: Box<[Lacking]>,
    every_unit: Box<[RuleNo]>,
    /// A unit without these bytes has no literal and no masked byte of a covered slot.
    rare: ByteRanges,
    /// The least byte above the letters that the header prefilter takes for absent.
    rare_from: u8,
    /// Distinguishes indices: see [`Index::id`].
    id: u32,
}

/// A rule that waits for a unit with one slot and without another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// It has this one.
    pub given: Slot,
    /// The unit does not have this one.
    pub missing: Slot,
    /// Whose.
    pub rule: RuleNo,
}

/// Counts indices built by this process.
static IDS: AtomicU32 = AtomicU32::new(1);

impl Index {
    /// Fuses `rules`.
    pub fn new(wanted: &Wanted, rules: &[Rule]) -> Self {
        Self::with_preconditions(wanted, rules, Precondition::of)
    }

    /// Fuses `rules` without preconditions: every rule is looked at for every unit. Tests compare
    /// an index with this one.
    pub fn without_preconditions(wanted: &Wanted, rules: &[Rule]) -> Self {
        let mut index = Self::with_preconditions(wanted, rules, |_| Precondition::Unknown);
        index.slots.iter_mut().for_each(SlotIndex::open_program);
        index.rare = ByteRanges::default();
        index
    }

    fn with_preconditions(
        wanted: &Wanted,
        rules: &[Rule],
        precondition: impl Fn(&Rule) -> Precondition,
    ) -> Self {
        let mut every_unit = Vec::new();
        let mut lacking = Vec::new();
        let mut atoms: Vec<Vec<(AtomKind, RuleNo)>> = Vec::new();
        let mut whole: Vec<Vec<RuleNo>> = Vec::new();
        let mut streamed: Vec<StreamedRules> = Vec::new();
        let slot_count = wanted.slot_count();
        atoms.resize_with(slot_count, Vec::new);
        whole.resize_with(slot_count, Vec::new);
        streamed.resize_with(slot_count, StreamedRules::default);

        for (no, rule) in rules.iter().enumerate() {
            let Ok(no) = RuleNo::try_from(no) else { break };
            let always = matches!(rule.when, Condition::Always);
            if let Some(target) = rule.target.map(usize::from) {
                let streams = streamed.get_mut(target).is_some_and(|taken| taken.take(no, rule));
                if !streams && let Some(list) = whole.get_mut(target) {
                    list.push(no);
                }
                if streams && always {
                    // The program finds its own work.
                    continue;
                }
            }
            match precondition(rule) {
                Precondition::Unknown => every_unit.push(no),
                Precondition::Any(any) => {
                    for Atom { slot, kind } in any {
                        if let AtomKind::Lacks(missing) = kind {
                            lacking.push(Lacking { given: slot, missing, rule: no });
                        }
                        match atoms.get_mut(usize::from(slot)) {
                            Some(list) => list.push((kind, no)),
                            None => every_unit.push(no),
                        }
                    }
                }
            }
        }

        let mut literal_count = 0;
        let mut rare = ByteSet::new();
        let mut byte_hints = ByteSet::new();
        let mut slots = Vec::with_capacity(slot_count);
        for ((atoms, whole), streamed) in atoms.into_iter().zip(whole).zip(streamed) {
            let slot = SlotIndex::new(atoms, whole, &streamed, rules, literal_count);
            literal_count = literal_count.saturating_add(slot.marks());
            rare = rare.union(&slot.rare());
            byte_hints = byte_hints.union(&slot.rare_hints());
            slots.push(slot);
        }
        every_unit.dedup();
        let counted = (0..).zip(&slots).filter(|(_, slot)| slot.counts());
        let counted = counted.map(|(slot, _)| slot).collect();
        Self {
            slots: slots.into(),
            counted,
            lacking: lacking.into(),
            every_unit: every_unit.into(),
            rare: ByteRanges::new(widened(&rare)),
            rare_from: byte_hints.iter().find(|byte| *byte > b'z').unwrap_or(u8::MAX),
            id: IDS.fetch_add(1, Relaxed),
        }
    }

    /// A number that no other index of this process has. Whoever keeps states of an index's
    /// automata keeps it too.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Slots for which some rule waits for a number of occurrences: see
    /// [`SlotIndex::look_up_count`].
    pub fn counted(&self) -> &[Slot] {
        &self.counted
    }

    /// What waits for `slot`.
    pub fn slot(&self, slot: Slot) -> Option<&SlotIndex> {
        self.slots.get(usize::from(slot))
    }

    /// The watched ranges of every slot, in order. `None`: some rule is evaluated for every unit.
    pub fn watched_ranges(&self) -> Option<Vec<WatchedRanges>> {
        let every = self.slots.iter().map(|slot| slot.watched().clone());
        (self.every_unit.is_empty() && self.lacking.is_empty()).then(|| every.collect())
    }

    /// The header prefilter: the fields that can concern a rule in a unit without rare bytes.
    /// `None`: some rule is evaluated for every unit.
    pub fn header_prefilter(&self) -> Option<HeaderPrefilter> {
        let parts = self.slots.iter().map(SlotIndex::header_prefilter_part).collect();
        let pair = |lacking: &Lacking| (lacking.given, lacking.missing);
        let lacking = self.lacking.iter().map(pair).collect();
        self.every_unit.is_empty().then(|| HeaderPrefilter::new(parts, lacking, self.rare_from))
    }

    /// Rules that wait for a unit without some slot.
    pub fn lacking(&self) -> &[Lacking] {
        &self.lacking
    }

    /// Whether `unit` has no byte that a covered slot waits for. [`SlotIndex::is_watched_in`] takes
    /// this for fields whose values are bytes of the unit.
    #[inline]
    pub fn is_plain(&self, unit: &[u8]) -> bool {
        !self.rare.is_empty() && !self.rare.any_in(unit)
    }

    /// Rules without a precondition (`not http.host`): evaluated for every unit.
    pub fn every_unit(&self) -> &[RuleNo] {
        &self.every_unit
    }
}
