//! The literals that rules wait for in one slot. One pass over the value finds them all; one more
//! finds them in each percent-decoded form.
//!
//! Holds:     an automaton without case, and for each literal its rules and the places where each
//!            rule accepts it.
//! Promises:  finds every literal in the value, and in its decoded forms. Rules may read decoded
//!            values after further steps, but those only take bytes away, so the literal is found
//!            here too.
//! Never:     distinguishes a literal of the value from one of a decoded form: a precondition may
//!            be fulfilled too often.

use core::ops::Range;
use stage::position::index;
use std::sync::Arc;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use regex_automata::dfa::regex::Regex;

use super::candidates::Candidates;
use super::ngram_filter::NgramFilter;
use super::precondition::LiteralPlace;
use super::table::TransitionTable;
use crate::decode::url_decode;
use crate::rule::RuleNo;
use crate::transform::ByteSet;

/// Up to this many literals have a table of all transitions.
const TABLE_LITERALS_MAX: usize = 256;

/// Expressions of one slot that run only where one of their literals is found: a bit each.
const CONFIRMED_MAX: usize = 64;

/// Who waits for a literal.
#[derive(Clone, Debug)]
pub(super) enum Waiter {
    /// A rule, for a literal in this place of a value decoded so many times.
    Rule { rule: RuleNo, place: LiteralPlace, decodings: u8 },
    /// The slot's program.
    Program,
    /// A rule, for this expression.
    Expression { rule: RuleNo, regex: Arc<Regex> },
}

/// See the module.
#[derive(Debug)]
pub(super) struct LiteralSet {
    search: LiteralSearch,
    /// By literal.
    owners: Box<[LiteralOwners]>,
    expressions: Box<[(RuleNo, Arc<Regex>)]>,
    /// Times a value is decoded.
    decodings: u8,
    /// The rules that read decoded values.
    decoded: Box<[RuleNo]>,
    /// Number of the first literal's first place among all the index's.
    first_mark: usize,
}

#[derive(Debug, Default)]
struct LiteralOwners {
    /// By [`LiteralPlace`].
    rules: [Vec<RuleNo>; PLACES],
    program: bool,
    /// A bit each.
    expressions: u64,
}

const PLACES: usize = 3;

#[derive(Debug)]
enum LiteralSearch {
    Table(Box<TransitionTable>),
    Compact(Box<NFA>, Option<NgramFilter>),
}

/// What one pass over a value has found, besides rules.
#[derive(Clone, Copy, Debug, Default)]
struct LiteralHits {
    program: bool,
    expressions: u64,
}

impl LiteralSet {
    /// `literals` in lower case. `None` if there is none, or their automaton is too large.
    pub(super) fn new(mut literals: Vec<(Box<[u8]>, Waiter)>, first_mark: usize) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        literals.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut distinct: Vec<Box<[u8]>> = Vec::new();
        let mut owners: Vec<LiteralOwners> = Vec::new();
        let mut expressions: Vec<(RuleNo, Arc<Regex>)> = Vec::new();
        let mut most_decodings = 0;
        let mut decoded = Vec::new();
        for (literal, waits) in literals {
            if distinct.last() != Some(&literal) {
                distinct.push(literal);
                owners.push(LiteralOwners::default());
            }
            let Some(owner) = owners.last_mut() else { continue };
            match waits {
                Waiter::Program => owner.program = true,
                Waiter::Rule { rule, place, decodings } => {
                    owner.add(place, rule);
                    if decodings > 0 {
                        most_decodings = most_decodings.max(decodings);
                        decoded.push(rule);
                    }
                }
                Waiter::Expression { rule, regex } => {
                    let known = expressions.iter().position(|(other, _)| *other == rule);
                    let at = known.unwrap_or(expressions.len());
                    if at >= CONFIRMED_MAX {
                        owner.add(LiteralPlace::Anywhere, rule);
                        continue;
                    }
                    if known.is_none() {
                        expressions.push((rule, regex));
                    }
                    owner.expressions |= 1_u64.wrapping_shl(u32::try_from(at).unwrap_or(0));
                }
            }
        }
        decoded.sort_unstable();
        decoded.dedup();
        Some(Self {
            search: LiteralSearch::new(&distinct)?,
            owners: owners.into(),
            expressions: expressions.into(),
            decodings: most_decodings,
            decoded: decoded.into(),
            first_mark,
        })
    }

    /// Marks it takes in a [`Candidates`].
    pub(super) fn marks(&self) -> usize {
        self.owners.len().saturating_mul(PLACES)
    }

    /// Bytes of the shortest literal.
    pub(super) fn shortest(&self) -> usize {
        match &self.search {
            LiteralSearch::Table(table) => table.shortest(),
            LiteralSearch::Compact(compact, _) => compact.min_pattern_len(),
        }
    }

    /// Adds the rules that wait for a literal in `value`. Answers whether the slot's program waits
    /// for one.
    pub(super) fn look_up(&self, value: &[u8], out: &mut Candidates) -> bool {
        let mut seen = LiteralHits::default();
        self.pass(value, &mut seen, out);
        let mut left = seen.expressions;
        while left != 0 {
            let at = index(left.trailing_zeros());
            left &= left.wrapping_sub(1);
            if let Some((rule, regex)) = self.expressions.get(at)
                && regex.is_match(value)
            {
                out.add(*rule);
            }
        }
        if self.decodings > 0 && value.contains(&b'%') {
            self.look_up_decoded(value, &mut seen, out);
        }
        seen.program
    }

    fn look_up_decoded(&self, value: &[u8], seen: &mut LiteralHits, out: &mut Candidates) {
        let mut text = core::mem::take(&mut out.text);
        if value.len() > text.capacity() {
            self.decoded.iter().for_each(|&rule| out.add(rule));
        } else {
            text.clear();
            text.extend_from_slice(value);
            for _ in 0..self.decodings {
                let before = text.len();
                let after = url_decode(&mut text);
                if after == before {
                    break;
                }
                text.truncate(after);
                // What the program and the expressions look for stands in the value as it came.
                let program = seen.program;
                self.pass(&text, seen, out);
                seen.program = program;
            }
        }
        out.text = text;
    }

    fn pass(&self, value: &[u8], seen: &mut LiteralHits, out: &mut Candidates) {
        let trimmed = Trimmed::of(value);
        match &self.search {
            LiteralSearch::Table(table) => table.run(value, |literal, at| {
                self.found(literal, trimmed, at, seen, out);
            }),
            LiteralSearch::Compact(compact, filter) => {
                if filter.as_ref().is_none_or(|filter| filter.may_be_in(value)) {
                    run(compact, value, |literal, at| self.found(literal, trimmed, at, seen, out));
                }
            }
        }
    }

    #[inline(never)]
    fn found(
        &self,
        literal: usize,
        trimmed: Trimmed,
        at: Range<usize>,
        seen: &mut LiteralHits,
        out: &mut Candidates,
    ) {
        let Some(owners) = self.owners.get(literal) else { return };
        seen.program |= owners.program;
        seen.expressions |= owners.expressions;
        let first_mark = self.first_mark.saturating_add(literal.saturating_mul(PLACES));
        for ((rules, place), mark) in owners.rules.iter().zip(LiteralPlace::ALL).zip(first_mark..) {
            if !rules.is_empty() && place.is_at(trimmed, &at) && out.first_time(mark) {
                rules.iter().for_each(|&rule| out.add(rule));
            }
        }
    }
}

impl LiteralOwners {
    fn add(&mut self, place: LiteralPlace, rule: RuleNo) {
        let [anywhere, start, end] = &mut self.rules;
        match place {
            LiteralPlace::Anywhere => anywhere.push(rule),
            LiteralPlace::Start => start.push(rule),
            LiteralPlace::End => end.push(rule),
        }
    }
}

impl LiteralPlace {
    /// In the order of [`LiteralOwners::rules`].
    const ALL: [Self; PLACES] = [Self::Anywhere, Self::Start, Self::End];

    /// Whether a literal found there is where it has to be. White space before or behind it may be
    /// trimmed.
    fn is_at(self, trimmed: Trimmed, at: &Range<usize>) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Start => at.start <= trimmed.start,
            Self::End => at.end >= trimmed.end,
        }
    }
}

/// A value without the white space around it.
#[derive(Clone, Copy)]
struct Trimmed {
    start: usize,
    end: usize,
}

impl Trimmed {
    fn of(value: &[u8]) -> Self {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        Self {
            start: value.iter().take_while(blank).count(),
            end: value.len().saturating_sub(value.iter().rev().take_while(blank).count()),
        }
    }
}

impl LiteralSearch {
    fn new(literals: &[Box<[u8]>]) -> Option<Self> {
        if literals.len() <= TABLE_LITERALS_MAX {
            TransitionTable::new(literals).map(|table| Self::Table(Box::new(table)))
        } else {
            let mut compact = NFA::builder();
            compact.match_kind(MatchKind::Standard).ascii_case_insensitive(true).prefilter(false);
            let compact = compact.build(literals).ok()?;
            Some(Self::Compact(Box::new(compact), NgramFilter::new(literals)))
        }
    }
}

/// Hands every literal that ends in `value` to `found`, with where it stands.
fn run(automaton: &NFA, value: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
    let Ok(mut state) = automaton.start_state(Anchored::No) else { return };
    for (at, &byte) in value.iter().enumerate() {
        state = automaton.next_state(Anchored::No, state, byte);
        if automaton.is_special(state) && automaton.is_match(state) {
            let end = at.wrapping_add(1);
            for place in 0..automaton.match_len(state) {
                let literal = automaton.match_pattern(state, place);
                let start = end.saturating_sub(automaton.pattern_len(literal));
                found(literal.as_usize(), start..end);
            }
        }
    }
}

/// Bytes that ordinary text fields hardly ever have, the rarest first. HTAB, CR and LF are none.
fn rarest_first() -> impl Iterator<Item = u8> {
    let controls = (0..0x20).filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n'));
    let marks = b"{}`^\\|<>~$[]".iter().copied();
    controls.chain(marks).chain(0x7f..=0xff)
}

/// A set of rare bytes of which each of `literals` has one; `None` if one of them has no rare byte.
pub(super) fn rare_bytes<'a>(literals: impl Iterator<Item = &'a [u8]>) -> Option<ByteSet> {
    let mut set = ByteSet::new();
    for literal in literals {
        set.insert(rarest_first().find(|byte| literal.contains(byte))?);
    }
    Some(set)
}

/// The set with the rare bytes between its members, where there are no others between them: fewer
/// ranges.
pub(super) fn widened(set: &ByteSet) -> ByteSet {
    let mut wide = ByteSet::new();
    let mut gap = Vec::new();
    let mut inside = false;
    for byte in 0..=u8::MAX {
        if set.contains(byte) {
            gap.drain(..).chain([byte]).for_each(|byte| wide.insert(byte));
            inside = true;
        } else if inside && rarest_first().any(|rare| rare == byte) {
            gap.push(byte);
        } else {
            gap.clear();
            inside = false;
        }
    }
    wide
}

/// Whether all bytes of `set` are rare.
pub(super) fn are_rare(set: &ByteSet) -> bool {
    set.iter().all(|byte| rarest_first().any(|rare| rare == byte))
}
