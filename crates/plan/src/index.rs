//! Fusion: which of a side's rules can concern the message at hand, found at a cost that does not grow with the rules that
//! don't.
//!
//! Holds:     for every slot the **guards** of the rules that wait for it (a guard is a necessary condition that is cheap
//!            to look up: "longer than 128", "contains one of these literals"), and the slot's [`Program`], its streamable rules
//!            fused into one pass over the bytes.
//! Promises:  a rule whose guard fails could not have fired on the message as it came. Looking a field up costs one
//!            binary search or one pass over its bytes for each kind of guard in use, and then only what was found.
//! Never:     evaluates a condition: that is `engine`'s, for the candidates found here.

mod guard;
mod program;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use aho_corasick::{AhoCorasick, MatchKind};
use proto::{Slot, Wanted, Watch};

use crate::condition::Condition;
use crate::module::{Rule, RuleNo};
use crate::transform::{Scope, Transform};
use guard::{Atom, Guard, Kind};
use program::Taken;
pub use program::{
    AUTOMATA_MAX, Automaton, LiteralState, Literals, MaskTable, Owner, Program, WINDOW_BYTES_MAX,
};

/// Streamable rules with a condition that one slot's program takes in: a bit each in an open field's state. Those past it
/// are run on whole fields only.
pub const CONDITIONAL_RULES_MAX: usize = 32;

/// Built once from a side's rules, immutable in use.
#[derive(Debug, Default)]
pub struct Index {
    slots: Box<[SlotIndex]>,
    counted: Box<[Slot]>,
    every_unit: Box<[RuleNo]>,
    literal_count: usize,
    /// Tells indices apart: see [`Index::id`].
    id: u32,
}

/// Counts indices built by this process.
static IDS: AtomicU32 = AtomicU32::new(1);

/// What waits for one slot.
#[derive(Debug, Default)]
pub struct SlotIndex {
    /// The values that get past some guard, or that the program without conditions may change.
    watch: Watch,
    present: Box<[RuleNo]>,
    /// Ascending: the slot occurs more often in the unit.
    more: Box<[(usize, RuleNo)]>,
    /// Ascending.
    longer: Box<[(usize, RuleNo)]>,
    /// Ascending.
    equal: Box<[(u64, RuleNo)]>,
    /// Ascending: the value is above the number.
    above: Box<[(u64, RuleNo)]>,
    /// Ascending: the value is below the number.
    below: Box<[(u64, RuleNo)]>,
    /// Ascending.
    bytes: Box<[(Box<[u8]>, RuleNo)]>,
    contains: Option<Contains>,
    /// The slot's streamable rules, fused.
    program: Option<Box<Program>>,
    /// Rules that work on this slot and need it whole, in rule order.
    whole: Box<[RuleNo]>,
    /// Some rule that waits for this slot cannot be decided before the field is complete.
    needs_whole: bool,
}

/// The literals some rule wants to see in one slot.
#[derive(Debug)]
struct Contains {
    search: AhoCorasick,
    /// By pattern of `search`: whose it is.
    owners: Box<[Box<[RuleNo]>]>,
    /// Number of the first literal among all the index's literals.
    first_literal: usize,
}

/// The rules that may concern one message: the caller's scratch, allocated once.
#[derive(Debug)]
pub struct Candidates {
    rules: Vec<RuleNo>,
    marks: Vec<u64>,
    literals: Vec<u32>,
    literal_marks: Vec<u64>,
}

/// Rules of one side, and literals of one side that are looked up once only: what the scratch has room for.
const NUMBERS_MAX: usize = 1 << 16;

impl Candidates {
    /// Allocates once, for good.
    pub fn new() -> Self {
        Self {
            rules: Vec::with_capacity(NUMBERS_MAX),
            marks: vec![0; NUMBERS_MAX / 64],
            literals: Vec::with_capacity(NUMBERS_MAX),
            literal_marks: vec![0; NUMBERS_MAX / 64],
        }
    }

    /// Forgets the last message.
    #[inline]
    pub fn clear(&mut self) {
        if !self.rules.is_empty() || !self.literals.is_empty() {
            self.forget();
        }
    }

    #[inline(never)]
    fn forget(&mut self) {
        for rule in self.rules.drain(..) {
            unmark(&mut self.marks, usize::from(rule));
        }
        for literal in self.literals.drain(..) {
            unmark(&mut self.literal_marks, usize::try_from(literal).unwrap_or(usize::MAX));
        }
    }

    /// Each candidate once.
    pub fn rules(&self) -> &[RuleNo] {
        &self.rules
    }

    /// Rule order.
    pub fn sort(&mut self) {
        self.rules.sort_unstable();
    }

    /// Adds a rule, once.
    pub fn add(&mut self, rule: RuleNo) {
        if mark(&mut self.marks, usize::from(rule)) {
            self.rules.push(rule);
        }
    }

    /// The first time this literal is seen in this message.
    fn first_sight(&mut self, literal: usize) -> bool {
        let first = mark(&mut self.literal_marks, literal);
        if first && let Ok(literal) = u32::try_from(literal) {
            self.literals.push(literal);
        }
        first || literal >= NUMBERS_MAX
    }
}

impl Default for Candidates {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets a bit; whether it was clear. A bit past the end counts as set.
fn mark(marks: &mut [u64], at: usize) -> bool {
    let Some(word) = marks.get_mut(at / 64) else { return false };
    let bit = 1_u64.wrapping_shl(u32::try_from(at % 64).unwrap_or(0));
    let clear = *word & bit == 0;
    *word |= bit;
    clear
}

fn unmark(marks: &mut [u64], at: usize) {
    if let Some(word) = marks.get_mut(at / 64) {
        *word &= !1_u64.wrapping_shl(u32::try_from(at % 64).unwrap_or(0));
    }
}

impl Index {
    /// Fuses `rules`.
    pub fn new(wanted: &Wanted, rules: &[Rule]) -> Self {
        let mut every_unit = Vec::new();
        let mut atoms: Vec<Vec<(Kind, RuleNo)>> = Vec::new();
        let mut whole: Vec<Vec<RuleNo>> = Vec::new();
        let mut streamed: Vec<Taken> = Vec::new();
        let slot_count = wanted.slot_count();
        atoms.resize_with(slot_count, Vec::new);
        whole.resize_with(slot_count, Vec::new);
        streamed.resize_with(slot_count, Taken::default);

        for (no, rule) in rules.iter().enumerate() {
            let Ok(no) = RuleNo::try_from(no) else { break };
            let always = matches!(rule.when, Condition::Always);
            if let Some(target) = rule.target.map(usize::from) {
                let streams = streamed.get_mut(target).is_some_and(|taken| taken.take(no, rule));
                if !streams && let Some(list) = whole.get_mut(target) {
                    list.push(no);
                }
                if streams && always {
                    // The program looks for its own work.
                    continue;
                }
            }
            match Guard::of(rule) {
                Guard::Nothing => every_unit.push(no),
                Guard::Any(any) => {
                    for Atom { slot, kind } in any {
                        match atoms.get_mut(usize::from(slot)) {
                            Some(list) => list.push((kind, no)),
                            None => every_unit.push(no),
                        }
                    }
                }
            }
        }

        let mut literal_count = 0;
        let slots: Box<[SlotIndex]> = atoms
            .into_iter()
            .zip(whole)
            .zip(streamed)
            .map(|((atoms, whole), streamed)| {
                let foreign =
                    atoms.iter().any(|(_, rule)| streamed.rules.binary_search(rule).is_err());
                let mut slot = SlotIndex::new(atoms, literal_count);
                slot.needs_whole = foreign || !whole.is_empty();
                literal_count = literal_count
                    .saturating_add(slot.contains.as_ref().map_or(0, |some| some.owners.len()));
                slot.whole = whole.into();
                slot.program = Program::new(&streamed, rules).map(Box::new);
                slot.watch = slot.watched();
                slot
            })
            .collect();
        every_unit.dedup();
        let counted = (0..).zip(&slots).filter(|(_, slot)| !slot.more.is_empty());
        let counted = counted.map(|(slot, _)| slot).collect();
        Self {
            slots,
            counted,
            every_unit: every_unit.into(),
            literal_count,
            id: IDS.fetch_add(1, Relaxed),
        }
    }

    /// A number no other index of this process has: whoever keeps states of an index's automata keeps it too.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Slots whose occurrences some rule waits for: see [`SlotIndex::look_up_count`].
    pub fn counted(&self) -> &[Slot] {
        &self.counted
    }

    /// What waits for `slot`.
    pub fn slot(&self, slot: Slot) -> Option<&SlotIndex> {
        self.slots.get(usize::from(slot))
    }

    /// What is watched of every slot, in order. `None`: some rule is evaluated for every unit.
    pub fn watches(&self) -> Option<Vec<Watch>> {
        let every = self.slots.iter().map(|slot| slot.watch.clone());
        self.every_unit.is_empty().then(|| every.collect())
    }

    /// Rules that no guard was found for (`not http.host`): evaluated for every unit.
    pub fn every_unit(&self) -> &[RuleNo] {
        &self.every_unit
    }

    /// Distinct literals that are looked up, over all slots.
    pub fn literal_count(&self) -> usize {
        self.literal_count
    }
}

impl Transform {
    /// Works on open fields: see [`Scope`].
    pub fn streams(&self) -> bool {
        !matches!(self.scope(), Scope::Unit)
    }
}

impl SlotIndex {
    fn new(atoms: Vec<(Kind, RuleNo)>, first_literal: usize) -> Self {
        let mut present = Vec::new();
        let mut more = Vec::new();
        let mut longer = Vec::new();
        let mut equal = Vec::new();
        let mut above = Vec::new();
        let mut below = Vec::new();
        let mut bytes = Vec::new();
        let mut literals: Vec<(Box<[u8]>, RuleNo)> = Vec::new();
        for (kind, rule) in atoms {
            match kind {
                Kind::Present => present.push(rule),
                Kind::MoreThan(than) => more.push((than, rule)),
                Kind::LongerThan(than) => longer.push((than, rule)),
                Kind::NumberEqual(number) => equal.push((number, rule)),
                Kind::NumberAbove(number) => above.push((number, rule)),
                Kind::NumberBelow(number) => below.push((number, rule)),
                Kind::BytesEqual(value) => bytes.push((value, rule)),
                Kind::Contains(literal) => {
                    literals.push((literal.to_ascii_lowercase().into(), rule))
                }
            }
        }
        present.dedup();
        more.sort_unstable();
        longer.sort_unstable();
        equal.sort_unstable();
        above.sort_unstable();
        below.sort_unstable();
        bytes.sort_unstable();
        literals.sort_unstable();
        literals.dedup();
        let contains = Contains::new(&literals, first_literal);
        if contains.is_none() {
            // An automaton that could not be built guards nothing: its rules are looked at whenever the field is there.
            present.extend(literals.iter().map(|&(_, rule)| rule));
        }
        Self {
            watch: Watch::default(),
            present: present.into(),
            more: more.into(),
            longer: longer.into(),
            equal: equal.into(),
            above: above.into(),
            below: below.into(),
            bytes: bytes.into(),
            contains,
            program: None,
            whole: Box::default(),
            needs_whole: false,
        }
    }

    /// The slot's streamable rules.
    pub fn program(&self) -> Option<&Program> {
        self.program.as_deref()
    }

    /// Rules that work on this slot and need it whole.
    pub fn whole(&self) -> &[RuleNo] {
        &self.whole
    }

    /// Some rule that waits for this slot cannot be decided before the field is complete.
    pub fn needs_whole(&self) -> bool {
        self.needs_whole
    }

    /// Some rule changes fields of this slot.
    pub fn is_target(&self) -> bool {
        self.program.is_some() || !self.whole.is_empty()
    }

    /// What gets past some guard, or the program may change.
    fn watched(&self) -> Watch {
        const ANY: (usize, usize) = (0, usize::MAX);
        let mut lengths = Vec::new();
        let mut numbers = Vec::new();
        lengths.extend((!self.present.is_empty()).then_some(ANY));
        let least = self.longer.first().and_then(|(than, _)| than.checked_add(1));
        lengths.extend(least.map(|least| (least, usize::MAX)));
        lengths.extend(self.bytes.iter().map(|(value, _)| (value.len(), value.len())));
        let contains = self.contains.as_ref();
        lengths.extend(contains.map(|some| (some.search.min_pattern_len(), usize::MAX)));
        numbers.extend(self.equal.iter().map(|&(number, _)| (number, number)));
        let least = self.above.first().and_then(|(number, _)| number.checked_add(1));
        numbers.extend(least.map(|least| (least, u64::MAX)));
        let most = self.below.last().and_then(|(number, _)| number.checked_sub(1));
        numbers.extend(most.map(|most| (0, most)));
        if let Some(program) = &self.program {
            let least = program.truncate.and_then(|(to, _)| to.checked_add(1));
            lengths.extend(least.map(|least| (least, usize::MAX)));
            let any = program.masks.is_some() || !program.automata.is_empty();
            lengths.extend(any.then_some(ANY));
        }
        let more = self.more.first().map_or(usize::MAX, |(than, _)| than.saturating_add(1));
        Watch::new(&lengths, &numbers).from_occurrences(more)
    }

    /// Adds the rules that wait for so many occurrences of the slot in one unit; where more may follow (`open`), all that
    /// count them.
    pub fn look_up_count(&self, occurrences: usize, open: bool, out: &mut Candidates) {
        let reached = |&&(than, _): &&(usize, RuleNo)| occurrences > than || open;
        for &(_, rule) in self.more.iter().take_while(reached) {
            out.add(rule);
        }
    }

    /// Whether an occurrence of this many bytes and with this number may concern any rule: one load. What is not watched
    /// adds no candidate, and the program without conditions leaves it alone.
    #[inline]
    pub fn watches(&self, bytes: usize, number: Option<u64>) -> bool {
        match number {
            Some(number) => self.watch.number(bytes, number),
            None => self.watch.length(bytes),
        }
    }

    /// Adds the rules that an occurrence with this value may concern.
    #[inline]
    pub fn look_up(&self, value: &[u8], number: Option<u64>, out: &mut Candidates) {
        if self.watches(value.len(), number) {
            self.look_up_watched(value, number, out);
        }
    }

    fn look_up_watched(&self, value: &[u8], number: Option<u64>, out: &mut Candidates) {
        for &rule in &self.present {
            out.add(rule);
        }
        for &(_, rule) in self.longer.iter().take_while(|&&(than, _)| value.len() > than) {
            out.add(rule);
        }
        if let Some(number) = number {
            let from = self.equal.partition_point(|&(wanted, _)| wanted < number);
            let equal = self.equal.get(from..).unwrap_or_default();
            for &(_, rule) in equal.iter().take_while(|&&(wanted, _)| wanted == number) {
                out.add(rule);
            }
            for &(_, rule) in self.above.iter().take_while(|&&(least, _)| number > least) {
                out.add(rule);
            }
            for &(_, rule) in self.below.iter().rev().take_while(|&&(most, _)| number < most) {
                out.add(rule);
            }
        }
        if !self.bytes.is_empty() {
            let from = self.bytes.partition_point(|(wanted, _)| **wanted < *value);
            let equal = self.bytes.get(from..).unwrap_or_default();
            for (_, rule) in equal.iter().take_while(|(wanted, _)| **wanted == *value) {
                out.add(*rule);
            }
        }
        if let Some(contains) = &self.contains {
            contains.look_up(value, out);
        }
    }
}

impl Contains {
    /// `literals` is sorted and in lower case. The automaton ignores case: a guard may say yes too often.
    fn new(literals: &[(Box<[u8]>, RuleNo)], first_literal: usize) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        let mut distinct: Vec<&[u8]> = Vec::new();
        let mut owners: Vec<Vec<RuleNo>> = Vec::new();
        for (literal, rule) in literals {
            if distinct.last() == Some(&&**literal) {
                if let Some(list) = owners.last_mut() {
                    list.push(*rule);
                }
            } else {
                distinct.push(literal);
                owners.push(vec![*rule]);
            }
        }
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(&distinct)
            .ok()?;
        let owners = owners.into_iter().map(Into::into).collect();
        Some(Self { search, owners, first_literal })
    }

    fn look_up(&self, value: &[u8], out: &mut Candidates) {
        // Most values contain none: ask with the searcher's prefilter first.
        if !self.search.is_match(value) {
            return;
        }
        for found in self.search.find_overlapping_iter(value) {
            let literal = found.pattern().as_usize();
            if out.first_sight(self.first_literal.saturating_add(literal)) {
                for &rule in self.owners.get(literal).into_iter().flatten() {
                    out.add(rule);
                }
            }
        }
    }
}
