//! What waits for one slot.
//!
//! Holds:     by kind of guard a sorted list or an automaton, and the slot's program.
//! Promises:  a value that is not watched concerns no rule that waits for the slot, and its program leaves it alone.
//! Never:     evaluates a condition.

use std::sync::Arc;

use proto::{Mesh, Span, Watch};
use regex_automata::dfa::regex::Regex;

use super::candidates::Candidates;
use super::grams::Wholes;
use super::guard::Kind;
use super::needles::{Needles, Waits, are_rare, rare_bytes};
use super::program::{Program, Taken};
use super::ranges::Ranges;
use super::sieve::Signs;
use crate::condition::Condition;
use crate::module::{Rule, RuleNo};
use crate::transform::ByteSet;

/// See the module.
#[derive(Debug, Default)]
pub struct SlotIndex {
    /// The values that get past some guard, or that the program without conditions may change.
    watch: Watch,
    /// The same in a unit that has none of [`SlotIndex::rare`].
    watch_in_plain: Watch,
    /// The same, but for the values whose first byte some rule waits for.
    watch_behind_first: Watch,
    /// Every literal that is waited for has one of these bytes, the masks change no others, and no other single byte is waited
    /// for. Empty: they may lack any.
    rare: ByteSet,
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
    /// The same, to tell that a value is none of them.
    wholes: Wholes,
    first: Ends,
    last: Ends,
    any_byte: Box<[(Ranges, RuleNo)]>,
    /// Expressions that have no literals.
    expressions: Box<[(Arc<Regex>, RuleNo)]>,
    needles: Option<Needles>,
    /// The slot's streamable rules, fused.
    program: Option<Box<Program>>,
    /// What the program may change: bytes of its masks.
    masked: Ranges,
    /// Whatever the value, the program may change it.
    program_always: bool,
    /// Some rule waits for what [`SlotIndex::look_up_more`] looks up.
    has_more: bool,
    /// There are needles or masks.
    has_text: bool,
    /// Where what is looked for in values can be seen from.
    signs: Signs,
    /// `rare` is not empty.
    covered: bool,
    /// Rules that work on this slot and need it whole, in rule order.
    whole: Box<[RuleNo]>,
    /// Rules that wait for this slot and are none of its program.
    waiting: Box<[RuleNo]>,
}

/// Rules that wait for a first (or last) byte.
#[derive(Debug, Default)]
struct Ends {
    /// Any of the sets has it.
    any: ByteSet,
    /// Any of the rules waits for an empty value.
    any_empty: bool,
    rules: Box<[(ByteSet, bool, RuleNo)]>,
}

impl Ends {
    fn new(rules: Vec<(ByteSet, bool, RuleNo)>) -> Self {
        Self {
            any: rules.iter().fold(ByteSet::new(), |any, (set, ..)| any.union(set)),
            any_empty: rules.iter().any(|(_, empty, _)| *empty),
            rules: rules.into(),
        }
    }

    #[inline]
    fn waits_for(&self, end: Option<&u8>) -> bool {
        end.map_or(self.any_empty, |&byte| self.any.contains(byte))
    }

    #[inline]
    fn look_up(&self, end: Option<&u8>, out: &mut Candidates) {
        if self.rules.is_empty() {
            return;
        }
        if self.waits_for(end) {
            let waits = |set: &ByteSet, empty: bool| end.map_or(empty, |&byte| set.contains(byte));
            for &(_, _, rule) in self.rules.iter().filter(|(set, empty, _)| waits(set, *empty)) {
                out.add(rule);
            }
        }
    }
}

impl SlotIndex {
    /// `marks`: those of the slots before.
    pub(super) fn new(
        atoms: Vec<(Kind, RuleNo)>,
        whole: Vec<RuleNo>,
        streamed: &Taken,
        rules: &[Rule],
        marks: usize,
    ) -> Self {
        let mut slot = Self { whole: whole.into(), ..Self::default() };
        let foreign = |rule: &RuleNo| streamed.rules.binary_search(rule).is_err();
        let mut waiting: Vec<RuleNo> =
            atoms.iter().map(|&(_, rule)| rule).filter(foreign).collect();
        waiting.sort_unstable();
        waiting.dedup();
        slot.waiting = waiting.into();
        let mut literals = slot.enter(atoms);
        slot.enter_program(streamed, rules, &mut literals);
        let texts = literals.iter().map(|(literal, _)| &**literal);
        let masks = slot.program.as_ref().and_then(|program| program.masks.as_ref());
        let masked = masks.map_or(ByteSet::new(), |masks| masks.changed());
        slot.masked = Ranges::new(masked);
        let decodes = |waits: &Waits| matches!(waits, Waits::Rule { decodings: 1.., .. });
        let any_byte = slot.any_byte.iter();
        let any_byte = any_byte.fold(ByteSet::new(), |any, (set, _)| any.union(set.set()));
        if let (Some(rare), true) = (rare_bytes(texts), are_rare(&masked.union(&any_byte)))
            && !literals.iter().any(|(_, waits)| decodes(waits))
        {
            slot.rare = rare.union(&masked).union(&any_byte);
        }
        slot.signs = Signs::of(&literals, &masked.union(&any_byte));
        let rules: Vec<RuleNo> = literals
            .iter()
            .filter_map(|(_, waits)| match waits {
                Waits::Program => None,
                Waits::Rule { rule, .. } | Waits::Expression { rule, .. } => Some(*rule),
            })
            .collect();
        let wanted = !literals.is_empty();
        slot.needles = Needles::new(literals, marks);
        if wanted && slot.needles.is_none() {
            // An automaton that could not be built guards nothing.
            slot.present = slot.present.iter().copied().chain(rules).collect();
            slot.program_always = slot.program.is_some();
        }
        slot.covered = !slot.rare.is_empty();
        slot.has_text = slot.needles.is_some() || !slot.masked.is_empty();
        let ends = !slot.last.rules.is_empty() || !slot.any_byte.is_empty();
        let numbers = [&slot.equal, &slot.above, &slot.below].iter().any(|list| !list.is_empty());
        let texts = !slot.bytes.is_empty() || !slot.expressions.is_empty();
        slot.has_more = ends || numbers || texts || !slot.present.is_empty();
        slot.watch = slot.watched(false);
        if let Some(to) = slot.only_cut() {
            slot.watch = slot.watch.with_cut(to);
        }
        slot.watch_in_plain = slot.watched(slot.covered);
        let first = core::mem::take(&mut slot.first);
        slot.watch_behind_first = slot.watched(slot.covered);
        slot.first = first;
        slot
    }

    /// Enters what rules wait for; the literals among it.
    fn enter(&mut self, atoms: Vec<(Kind, RuleNo)>) -> Vec<(Box<[u8]>, Waits)> {
        let mut present = Vec::new();
        let mut more = Vec::new();
        let mut longer = Vec::new();
        let mut equal = Vec::new();
        let mut above = Vec::new();
        let mut below = Vec::new();
        let mut bytes = Vec::new();
        let mut first = Vec::new();
        let mut last = Vec::new();
        let mut any_byte = Vec::new();
        let mut expressions = Vec::new();
        let mut literals: Vec<(Box<[u8]>, Waits)> = Vec::new();
        for (kind, rule) in atoms {
            match kind {
                Kind::Present => present.push(rule),
                // The index keeps it: it is of the unit, not of a value.
                Kind::Lacks(_) => {}
                Kind::MoreThan(than) => more.push((than, rule)),
                Kind::LongerThan(than) => longer.push((than, rule)),
                Kind::NumberEqual(number) => equal.push((number, rule)),
                Kind::NumberAbove(number) => above.push((number, rule)),
                Kind::NumberBelow(number) => below.push((number, rule)),
                Kind::BytesEqual(value) => bytes.push((value, rule)),
                Kind::First { set, empty } => first.push((set, empty, rule)),
                Kind::Last { set, empty } => last.push((set, empty, rule)),
                Kind::AnyByte(set) => any_byte.push((Ranges::new(set), rule)),
                Kind::Contains(needle) => {
                    let (place, decodings) = (needle.place, needle.decodings);
                    literals.push((needle.literal, Waits::Rule { rule, place, decodings }));
                }
                Kind::Matches { regex, needles } if needles.is_empty() => {
                    expressions.push((regex, rule));
                }
                Kind::Matches { regex, needles } => literals.extend(needles.iter().map(|needle| {
                    (needle.clone(), Waits::Expression { rule, regex: regex.clone() })
                })),
            }
        }
        present.dedup();
        more.sort_unstable();
        longer.sort_unstable();
        equal.sort_unstable();
        above.sort_unstable();
        below.sort_unstable();
        bytes.sort_unstable();
        self.present = present.into();
        self.more = more.into();
        self.longer = longer.into();
        self.equal = equal.into();
        self.above = above.into();
        self.below = below.into();
        self.bytes = bytes.into();
        self.wholes = Wholes::new(self.bytes.iter().map(|(value, _)| &**value));
        self.first = Ends::new(first);
        self.last = Ends::new(last);
        self.any_byte = any_byte.into();
        self.expressions = expressions.into();
        literals
    }

    /// Fuses the slot's streamable rules; what those without a condition look for is looked for here too.
    fn enter_program(
        &mut self,
        streamed: &Taken,
        rules: &[Rule],
        literals: &mut Vec<(Box<[u8]>, Waits)>,
    ) {
        self.program = Program::new(streamed, rules).map(Box::new);
        let rules = streamed.rules.iter().filter_map(|&no| rules.get(usize::from(no)));
        for rule in rules.filter(|rule| matches!(rule.when, Condition::Always)) {
            let Some(pattern) = rule.transform.pattern() else { continue };
            let needles = pattern.needles();
            self.program_always |= needles.is_empty();
            literals.extend(needles.into_iter().map(|needle| (needle, Waits::Program)));
        }
    }

    /// Takes it that any value may concern the program.
    pub(super) fn open_program(&mut self) {
        self.program_always = self.program.is_some();
        self.watch = self.watched(false);
        self.watch_in_plain = self.watch.clone();
        self.watch_behind_first = self.watch.clone();
    }

    /// Marks it takes in a [`Candidates`].
    pub(super) fn marks(&self) -> usize {
        self.needles.as_ref().map_or(0, Needles::marks)
    }

    /// See [`SlotIndex::watches_in`].
    pub(super) fn rare(&self) -> ByteSet {
        self.rare
    }

    /// Some rule waits for a number of occurrences.
    pub(super) fn counts(&self) -> bool {
        !self.more.is_empty()
    }

    /// What somebody has to look at in a unit without [`SlotIndex::signs_rare`].
    pub(super) fn mesh(&self) -> Mesh {
        self.signs.mesh(self)
    }

    /// See [`SlotIndex::mesh`].
    pub(super) fn signs_rare(&self) -> ByteSet {
        self.signs.rare
    }

    /// First bytes some rule waits for, and whether one waits for an empty value.
    pub(super) fn first_bytes(&self) -> (ByteSet, bool) {
        (self.first.any, self.first.any_empty)
    }

    /// The same of last bytes.
    pub(super) fn last_bytes(&self) -> (ByteSet, bool) {
        (self.last.any, self.last.any_empty)
    }

    /// The values that are watched.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The slot's streamable rules.
    pub fn program(&self) -> Option<&Program> {
        self.program.as_deref()
    }

    /// Rules that work on this slot and need it whole.
    pub fn whole(&self) -> &[RuleNo] {
        &self.whole
    }

    /// Rules that wait for this slot, but those of its program: for a value that is not complete, the only ones that can be
    /// told not to concern it are those whose condition says so.
    pub fn waiting(&self) -> &[RuleNo] {
        &self.waiting
    }

    /// Some rule changes fields of this slot.
    pub fn is_target(&self) -> bool {
        self.program.is_some() || !self.whole.is_empty()
    }

    /// All that becomes of a value is that so many bytes of it are left, whatever else there is.
    fn only_cut(&self) -> Option<usize> {
        let program = self.program.as_ref().filter(|program| program.only_cuts())?;
        let (to, _) = program.truncate?;
        (self.waiting.is_empty() && self.whole.is_empty()).then_some(to)
    }

    /// What gets past some guard, or the program may change; in a unit without a rare byte (`plain`), or in any.
    fn watched(&self, plain: bool) -> Watch {
        let ends = !self.first.rules.is_empty() || !self.last.rules.is_empty();
        self.watched_by(ends, !plain)
    }

    /// The same without what is known by first and last bytes; what is known by a literal or a byte of it only if `text`.
    pub(super) fn watched_besides_text(&self, text: bool) -> Watch {
        self.watched_by(false, text)
    }

    fn watched_by(&self, ends: bool, text: bool) -> Watch {
        const ANY: (usize, usize) = (0, usize::MAX);
        let mut lengths = Vec::new();
        let mut numbers = Vec::new();
        let any = !self.present.is_empty() || ends || !self.expressions.is_empty();
        lengths.extend((any || self.program_always).then_some(ANY));
        let least = self.longer.first().and_then(|(than, _)| than.checked_add(1));
        lengths.extend(least.map(|least| (least, usize::MAX)));
        lengths.extend(self.bytes.iter().map(|(value, _)| (value.len(), value.len())));
        if text {
            lengths.extend((!self.any_byte.is_empty()).then_some((1, usize::MAX)));
            let needles = self.needles.as_ref();
            lengths.extend(needles.map(|needles| (needles.shortest(), usize::MAX)));
            lengths.extend((!self.masked.is_empty()).then_some((1, usize::MAX)));
        }
        numbers.extend(self.equal.iter().map(|&(number, _)| (number, number)));
        let least = self.above.first().and_then(|(number, _)| number.checked_add(1));
        numbers.extend(least.map(|least| (least, u64::MAX)));
        let most = self.below.last().and_then(|(number, _)| number.checked_sub(1));
        numbers.extend(most.map(|most| (0, most)));
        if let Some(program) = &self.program {
            let least = program.truncate.and_then(|(to, _)| to.checked_add(1));
            lengths.extend(least.map(|least| (least, usize::MAX)));
        }
        let more = self.more.first().map_or(usize::MAX, |(than, _)| than.saturating_add(1));
        Watch::new(&lengths, &numbers).from_occurrences(more)
    }

    /// The least number of occurrences some rule waits for, less one.
    #[inline]
    pub fn least_count(&self) -> usize {
        self.more.first().map_or(usize::MAX, |&(than, _)| than)
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
        self.watches_in(false, bytes, number)
    }

    /// The same of a value at `at` of a plain unit, without a number.
    #[inline]
    pub fn watches_in_plain(&self, unit: &[u8], at: Span) -> bool {
        self.watch_behind_first.length(usize::try_from(at.len()).unwrap_or(usize::MAX))
            || (!self.first.rules.is_empty() && self.first.waits_for(at.of(unit).first()))
    }

    /// The same of an occurrence in a unit that is plain or not: see [`super::Index::is_plain`].
    #[inline]
    pub fn watches_in(&self, plain: bool, bytes: usize, number: Option<u64>) -> bool {
        let watch = if plain { &self.watch_in_plain } else { &self.watch };
        match number {
            Some(number) => watch.number(bytes, number),
            None => watch.length(bytes),
        }
    }

    /// Adds the rules that an occurrence with this value may concern. Whether the program without conditions may change it.
    #[inline]
    pub fn look_up(&self, value: &[u8], number: Option<u64>, out: &mut Candidates) -> bool {
        self.watches(value.len(), number) && self.look_up_watched(false, value, number, out)
    }

    /// The same for a value that is watched, in a unit that is plain or not.
    pub fn look_up_watched(
        &self,
        plain: bool,
        value: &[u8],
        number: Option<u64>,
        out: &mut Candidates,
    ) -> bool {
        self.first.look_up(value.first(), out);
        if let Some((least, _)) = self.longer.first()
            && value.len() > *least
        {
            for &(_, rule) in self.longer.iter().take_while(|&&(than, _)| value.len() > than) {
                out.add(rule);
            }
        }
        if self.has_more {
            self.look_up_more(value, number, out);
        }
        let truncate = self.program.as_ref().and_then(|program| program.truncate);
        let program = self.program_always || truncate.is_some_and(|(to, _)| value.len() > to);
        if !self.has_text || (plain && self.covered) {
            return program;
        }
        let masked = self.masked.any_in(value);
        let needles = self.needles.as_ref().filter(|needles| value.len() >= needles.shortest());
        let found = needles.is_some_and(|needles| needles.look_up(value, out));
        program | masked | found
    }

    /// The kinds of guards that few slots have.
    fn look_up_more(&self, value: &[u8], number: Option<u64>, out: &mut Candidates) {
        for &rule in &self.present {
            out.add(rule);
        }
        if let Some(number) = number {
            self.look_up_number(number, out);
        }
        if !self.bytes.is_empty() && self.wholes.may_be(value) {
            let from = self.bytes.partition_point(|(wanted, _)| **wanted < *value);
            let equal = self.bytes.get(from..).unwrap_or_default();
            for (_, rule) in equal.iter().take_while(|(wanted, _)| **wanted == *value) {
                out.add(*rule);
            }
        }
        self.last.look_up(value.last(), out);
        for (ranges, rule) in &self.any_byte {
            if ranges.any_in(value) {
                out.add(*rule);
            }
        }
        for (regex, rule) in &self.expressions {
            if regex.is_match(value) {
                out.add(*rule);
            }
        }
    }

    fn look_up_number(&self, number: u64, out: &mut Candidates) {
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
}
