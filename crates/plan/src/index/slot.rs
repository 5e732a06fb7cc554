//! The rules that wait for one slot.
//!
//! Holds:     a sorted list or an automaton for each kind of precondition, and the slot's program.
//! Promises:  a value outside the watched ranges concerns no rule that waits for the slot, and its
//!            program leaves the value alone.
//! Never:     evaluates a condition.

use stage::position::index;
use std::sync::Arc;

use proto::{HeaderFieldPrefilter, Span, WatchedRanges};
use regex_automata::dfa::regex::Regex;

use super::byte_hints::SlotByteHints;
use super::candidates::Candidates;
use super::end_bytes::EndByteRules;
use super::literal_set::{LiteralSet, Waiter, are_rare, rare_bytes};
use super::ngram_filter::ValueFilter;
use super::precondition::{AtomKind, LiteralAtom};
use super::program::{Program, StreamedRules};
use super::ranges::ByteRanges;
use crate::condition::Condition;
use crate::rule::{Rule, RuleNo};
use crate::transform::ByteSet;

/// See the module.
#[derive(Debug, Default)]
pub struct SlotIndex {
    /// The values that fulfil some precondition, or that the unconditional program may change.
    watched: WatchedRanges,
    /// The same for a unit without any byte of [`SlotIndex::rare`].
    watched_in_plain: WatchedRanges,
    /// The same without the values whose first byte some rule waits for.
    watched_without_first: WatchedRanges,
    /// Each literal that some rule waits for has one of these bytes, masks change only these, and
    /// no rule waits for any other single byte. Empty: there is no such set.
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
    /// The same, to rule out most values quickly.
    value_filter: ValueFilter,
    first: EndByteRules,
    last: EndByteRules,
    any_byte: Box<[(ByteRanges, RuleNo)]>,
    /// Expressions that have no literals.
    expressions: Box<[(Arc<Regex>, RuleNo)]>,
    literals: Option<LiteralSet>,
    /// The slot's streamable rules, fused.
    program: Option<Box<Program>>,
    /// What the program may change: bytes of its masks.
    masked: ByteRanges,
    /// The program may change any value.
    program_always: bool,
    /// Some rule waits for what [`SlotIndex::look_up_more`] looks up.
    has_more: bool,
    /// There are literals or masks.
    has_text: bool,
    /// The bytes by which the searched text can be seen.
    byte_hints: SlotByteHints,
    /// `rare` is not empty.
    covered: bool,
    /// Rules that work on this slot and need it whole, in rule order.
    whole: Box<[RuleNo]>,
    /// Of these the streamable rules, for which the slot's program has no room, and a program for
    /// each.
    apart: Box<[(RuleNo, Program)]>,
    /// Rules that wait for this slot and are not in its program.
    waiting: Box<[RuleNo]>,
}

/// How a value can concern a rule, besides its length and its number.
#[derive(Clone, Copy)]
struct ValueTraits {
    /// By its first or its last byte.
    ends: bool,
    /// By a literal or a byte in it.
    text: bool,
}

impl SlotIndex {
    /// `marks`: the number of marks of the slots before.
    pub(super) fn new(
        atoms: Vec<(AtomKind, RuleNo)>,
        whole: Vec<RuleNo>,
        streamed: &StreamedRules,
        rules: &[Rule],
        marks: usize,
    ) -> Self {
        let apart = whole
            .iter()
            .filter_map(|&no| Some((no, Program::of_rule(no, rules.get(usize::from(no))?)?)));
        let mut slot = Self { apart: apart.collect(), whole: whole.into(), ..Self::default() };
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
        slot.masked = ByteRanges::new(masked);
        let decodes = |waits: &Waiter| matches!(waits, Waiter::Rule { decodings: 1.., .. });
        let any_byte = slot.any_byte.iter();
        let any_byte = any_byte.fold(ByteSet::new(), |any, (set, _)| any.union(set.set()));
        if let (Some(rare), true) = (rare_bytes(texts), are_rare(&masked.union(&any_byte)))
            && !literals.iter().any(|(_, waits)| decodes(waits))
        {
            slot.rare = rare.union(&masked).union(&any_byte);
        }
        slot.byte_hints = SlotByteHints::of(&literals, &masked.union(&any_byte));
        let rules: Vec<RuleNo> = literals
            .iter()
            .filter_map(|(_, waits)| match waits {
                Waiter::Program => None,
                Waiter::Rule { rule, .. } | Waiter::Expression { rule, .. } => Some(*rule),
            })
            .collect();
        let wanted = !literals.is_empty();
        slot.literals = LiteralSet::new(literals, marks);
        if wanted && slot.literals.is_none() {
            // Without its automaton, a literal rules nothing out.
            slot.present = slot.present.iter().copied().chain(rules).collect();
            slot.program_always = slot.program.is_some();
        }
        slot.covered = !slot.rare.is_empty();
        slot.has_text = slot.literals.is_some() || !slot.masked.is_empty();
        let ends = !slot.last.is_empty() || !slot.any_byte.is_empty();
        let numbers = [&slot.equal, &slot.above, &slot.below].iter().any(|list| !list.is_empty());
        let texts = !slot.bytes.is_empty() || !slot.expressions.is_empty();
        slot.has_more = ends || numbers || texts || !slot.present.is_empty();
        slot.watched = slot.watched_values(false);
        if let Some(to) = slot.only_cut() {
            slot.watched = slot.watched.with_cut(to);
        }
        slot.watched_in_plain = slot.watched_values(slot.covered);
        let first = core::mem::take(&mut slot.first);
        slot.watched_without_first = slot.watched_values(slot.covered);
        slot.first = first;
        slot
    }

    /// Enters what rules wait for. Answers the literals among it.
    fn enter(&mut self, atoms: Vec<(AtomKind, RuleNo)>) -> Vec<(Box<[u8]>, Waiter)> {
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
        let mut literals: Vec<(Box<[u8]>, Waiter)> = Vec::new();
        for (kind, rule) in atoms {
            match kind {
                AtomKind::Present => present.push(rule),
                // It is a property of the unit, so the index keeps it.
                AtomKind::Lacks(_) => {}
                AtomKind::MoreThan(than) => more.push((than, rule)),
                AtomKind::LongerThan(than) => longer.push((than, rule)),
                AtomKind::NumberEqual(number) => equal.push((number, rule)),
                AtomKind::NumberAbove(number) => above.push((number, rule)),
                AtomKind::NumberBelow(number) => below.push((number, rule)),
                AtomKind::BytesEqual(value) => bytes.push((value, rule)),
                AtomKind::First { set, empty } => first.push((set, empty, rule)),
                AtomKind::Last { set, empty } => last.push((set, empty, rule)),
                AtomKind::AnyByte(set) => any_byte.push((ByteRanges::new(set), rule)),
                AtomKind::Contains(LiteralAtom { literal, place, decodings }) => {
                    literals.push((literal, Waiter::Rule { rule, place, decodings }));
                }
                AtomKind::Matches { regex, required } if required.is_empty() => {
                    expressions.push((regex, rule));
                }
                AtomKind::Matches { regex, required } => {
                    literals.extend(required.iter().map(|literal| {
                        (literal.clone(), Waiter::Expression { rule, regex: regex.clone() })
                    }))
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
        self.present = present.into();
        self.more = more.into();
        self.longer = longer.into();
        self.equal = equal.into();
        self.above = above.into();
        self.below = below.into();
        self.bytes = bytes.into();
        self.value_filter = ValueFilter::new(self.bytes.iter().map(|(value, _)| &**value));
        self.first = EndByteRules::new(first);
        self.last = EndByteRules::new(last);
        self.any_byte = any_byte.into();
        self.expressions = expressions.into();
        literals
    }

    /// Fuses the slot's streamable rules. The literals of those without a condition are added to
    /// the others.
    fn enter_program(
        &mut self,
        streamed: &StreamedRules,
        rules: &[Rule],
        literals: &mut Vec<(Box<[u8]>, Waiter)>,
    ) {
        self.program = Program::new(streamed, rules).map(Box::new);
        let rules = streamed.rules.iter().filter_map(|&no| rules.get(usize::from(no)));
        for rule in rules.filter(|rule| matches!(rule.when, Condition::Always)) {
            let Some(pattern) = rule.transform.pattern() else { continue };
            let required = pattern.required_literals();
            self.program_always |= required.is_empty();
            literals.extend(required.into_iter().map(|literal| (literal, Waiter::Program)));
        }
    }

    /// Lets the program run on any value.
    pub(super) fn open_program(&mut self) {
        self.program_always = self.program.is_some();
        self.watched = self.watched_values(false);
        self.watched_in_plain = self.watched.clone();
        self.watched_without_first = self.watched.clone();
    }

    /// The number of marks it needs in a [`Candidates`].
    pub(super) fn marks(&self) -> usize {
        self.literals.as_ref().map_or(0, LiteralSet::marks)
    }

    /// See [`SlotIndex::is_watched_in`].
    pub(super) fn rare(&self) -> ByteSet {
        self.rare
    }

    /// Whether some rule waits for a number of occurrences.
    pub(super) fn counts(&self) -> bool {
        !self.more.is_empty()
    }

    /// The slot's part of the header prefilter: the values that a rule may concern in a unit
    /// without [`SlotIndex::rare_hints`].
    pub(super) fn header_prefilter_part(&self) -> HeaderFieldPrefilter {
        let by_text = !self.byte_hints.are_few();
        let watched = self.watched_values_by(ValueTraits { ends: false, text: by_text });
        self.byte_hints.add_to(HeaderFieldPrefilter::new(watched), &self.first, &self.last)
    }

    /// See [`SlotIndex::header_prefilter_part`].
    pub(super) fn rare_hints(&self) -> ByteSet {
        self.byte_hints.rare
    }

    /// The values that are watched.
    pub(super) fn watched(&self) -> &WatchedRanges {
        &self.watched
    }

    /// The slot's streamable rules.
    pub fn program(&self) -> Option<&Program> {
        self.program.as_deref()
    }

    /// Rules that work on this slot and need it whole.
    pub fn whole(&self) -> &[RuleNo] {
        &self.whole
    }

    /// Rules that wait for this slot, without those of its program. All of them are candidates for
    /// a value that is not complete: only their conditions can rule them out.
    pub fn waiting(&self) -> &[RuleNo] {
        &self.waiting
    }

    /// The program of a streamable rule that the slot's program has no room for.
    pub fn program_of(&self, no: RuleNo) -> Option<&Program> {
        let at = self.apart.binary_search_by_key(&no, |(rule, _)| *rule).ok()?;
        self.apart.get(at).map(|(_, program)| program)
    }

    /// Whether some rule changes fields of this slot.
    pub fn is_target(&self) -> bool {
        self.program.is_some() || !self.whole.is_empty()
    }

    /// The bytes that stay of a value, if its rules do nothing but truncate it.
    fn only_cut(&self) -> Option<usize> {
        let program = self.program.as_ref().filter(|program| program.only_cuts())?;
        let (to, _) = program.truncate?;
        (self.waiting.is_empty() && self.whole.is_empty()).then_some(to)
    }

    /// The values that fulfil some precondition, or that the program may change: in a unit without
    /// rare bytes (`plain`), or in any unit.
    fn watched_values(&self, plain: bool) -> WatchedRanges {
        let ends = !self.first.is_empty() || !self.last.is_empty();
        self.watched_values_by(ValueTraits { ends, text: !plain })
    }

    fn watched_values_by(&self, ValueTraits { ends, text }: ValueTraits) -> WatchedRanges {
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
            let literals = self.literals.as_ref();
            lengths.extend(literals.map(|literals| (literals.shortest(), usize::MAX)));
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
        WatchedRanges::new(&lengths, &numbers).from_occurrences(more)
    }

    /// The least number of occurrences that some rule waits for, less one.
    #[inline]
    pub fn least_count(&self) -> usize {
        self.more.first().map_or(usize::MAX, |&(than, _)| than)
    }

    /// Adds the rules that wait for this many occurrences of the slot in one unit. Where more may
    /// follow (`open`), adds all that count them.
    pub fn look_up_count(&self, occurrences: usize, open: bool, out: &mut Candidates) {
        let reached = |&&(than, _): &&(usize, RuleNo)| occurrences > than || open;
        for &(_, rule) in self.more.iter().take_while(reached) {
            out.add(rule);
        }
    }

    /// Whether an occurrence of this many bytes and with this number may concern any rule: one
    /// load. A value that is not watched adds no candidate, and the unconditional program leaves it
    /// alone.
    #[inline]
    pub fn is_watched(&self, bytes: usize, number: Option<u64>) -> bool {
        self.is_watched_in(false, bytes, number)
    }

    /// The same for a value at `at` of a plain unit, without a number.
    #[inline]
    pub fn is_watched_in_plain(&self, unit: &[u8], at: Span) -> bool {
        self.watched_without_first.length(index(at.len()))
            || (!self.first.is_empty() && self.first.waits_for(at.of(unit).first()))
    }

    /// The same for an occurrence in a unit that is plain or not: see [`super::Index::is_plain`].
    #[inline]
    pub fn is_watched_in(&self, plain: bool, bytes: usize, number: Option<u64>) -> bool {
        let watch = if plain { &self.watched_in_plain } else { &self.watched };
        match number {
            Some(number) => watch.number(bytes, number),
            None => watch.length(bytes),
        }
    }

    /// Adds the rules that an occurrence with this value may concern. Answers whether the
    /// unconditional program may change it.
    #[inline]
    pub fn look_up(&self, value: &[u8], number: Option<u64>, out: &mut Candidates) -> bool {
        self.is_watched(value.len(), number) && self.look_up_watched(false, value, number, out)
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
        let literals = self.literals.as_ref().filter(|literals| value.len() >= literals.shortest());
        let found = literals.is_some_and(|literals| literals.look_up(value, out));
        program | masked | found
    }

    /// The kinds of preconditions that few slots have.
    fn look_up_more(&self, value: &[u8], number: Option<u64>, out: &mut Candidates) {
        for &rule in &self.present {
            out.add(rule);
        }
        if let Some(number) = number {
            self.look_up_number(number, out);
        }
        if !self.bytes.is_empty() && self.value_filter.may_be(value) {
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
