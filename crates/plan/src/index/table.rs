//! An automaton of few literals as one table: every transition is one load.
//!
//! Holds:     the next state for each state and class of bytes; states that end a literal have the
//!            highest numbers.
//! Promises:  finds the same literals as the automaton it was made of, overlapping ones included.
//! Never:     has so many literals that its table would not fit a core's caches.

use core::ops::Range;
use stage::position::index;
use std::collections::HashMap;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};

use crate::transform::ByteSet;

/// See the module.
#[derive(Debug)]
pub(super) struct TransitionTable {
    classes: [u8; 256],
    /// By the number of a state (a multiple of the number of classes) plus a class.
    next: Box<[u32]>,
    start: u32,
    /// The lowest state that ends a literal.
    first_end: u32,
    stride: u32,
    /// By state from there on: the literals, and their bytes.
    ends: Box<[LiteralEnds]>,
    shortest: usize,
}

/// Literals that end with one state, and their bytes.
type LiteralEnds = Box<[(usize, usize)]>;

impl TransitionTable {
    /// Without ASCII case. `None` if the literals are too many.
    pub(super) fn new(literals: &[Box<[u8]>]) -> Option<Self> {
        let mut automaton = DFA::builder();
        automaton.match_kind(MatchKind::Standard).ascii_case_insensitive(true).prefilter(false);
        let automaton = automaton.build(literals).ok()?;
        let (classes, bytes) = classes(literals);
        let start = automaton.start_state(Anchored::No).ok()?;
        let states = states(&automaton, start, &bytes);
        let (ends, others): (Vec<_>, Vec<_>) =
            states.into_iter().partition(|&state| automaton.is_match(state));
        let stride = u32::try_from(bytes.len()).ok()?;
        // The start comes first and ends nothing: no literal is empty.
        let mut numbers: HashMap<StateID, u32> = HashMap::new();
        for (&state, number) in others.iter().chain(&ends).zip(0_u32..) {
            numbers.insert(state, number.checked_mul(stride)?);
        }
        let mut next = Vec::new();
        for &state in others.iter().chain(&ends) {
            for &byte in &bytes {
                let to = automaton.next_state(Anchored::No, state, byte);
                next.push(numbers.get(&to).copied()?);
            }
        }
        let literals_of = |&state: &StateID| {
            let each = (0..automaton.match_len(state)).map(|at| automaton.match_pattern(state, at));
            each.map(|literal| (literal.as_usize(), automaton.pattern_len(literal))).collect()
        };
        Some(Self {
            classes,
            next: next.into(),
            start: numbers.get(&start).copied()?,
            first_end: u32::try_from(others.len()).ok()?.checked_mul(stride)?,
            stride: stride.max(1),
            ends: ends.iter().map(literals_of).collect(),
            shortest: automaton.min_pattern_len(),
        })
    }

    /// Bytes of the shortest literal.
    pub(super) fn shortest(&self) -> usize {
        self.shortest
    }

    /// Calls `found` with every literal in `value` and its position.
    pub(super) fn run(&self, value: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
        let mut state = self.start;
        let mut end = 0_usize;
        loop {
            let rest = value.get(end..).unwrap_or_default();
            let (next, bytes) = self.advance(state, rest);
            if next < self.first_end {
                return;
            }
            state = next;
            end = end.wrapping_add(bytes);
            for &(literal, bytes) in self.literals_at(state) {
                found(literal, end.saturating_sub(bytes)..end);
            }
        }
    }

    /// Goes on to the next end of a literal; answers a state that ends none if there is no more. A
    /// function of its own, so that all it needs stays in registers.
    #[inline(never)]
    fn advance(&self, mut state: u32, bytes: &[u8]) -> (u32, usize) {
        let Self { classes, next, first_end, .. } = self;
        for (&byte, taken) in bytes.iter().zip(1_usize..) {
            let class = classes.get(usize::from(byte)).copied().unwrap_or(0);
            let place = index(state).wrapping_add(usize::from(class));
            let Some(&to) = next.get(place) else { break };
            state = to;
            if state >= *first_end {
                return (state, taken);
            }
        }
        (0, bytes.len())
    }

    fn literals_at(&self, state: u32) -> &[(usize, usize)] {
        let at = state.saturating_sub(self.first_end).checked_div(self.stride).unwrap_or(0);
        let ends = self.ends.get(index(at));
        ends.map_or(&[], |ends| ends)
    }
}

/// The class of every byte, and one byte of every class. Each byte of a literal has a class, case
/// aside; all other bytes share one.
fn classes(literals: &[Box<[u8]>]) -> ([u8; 256], Vec<u8>) {
    let mut used = ByteSet::new();
    literals.iter().flatten().for_each(|byte| used.insert(byte.to_ascii_lowercase()));
    let in_use = |byte: u8| used.contains(byte.to_ascii_lowercase());
    let other = (0..=u8::MAX).find(|&byte| !in_use(byte));
    let mut bytes: Vec<u8> = other.into_iter().collect();
    let mut classes = [0; 256];
    for byte in 0..=u8::MAX {
        let lower = byte.to_ascii_lowercase();
        let class = if !in_use(byte) {
            0
        } else if let Some(known) = bytes.iter().position(|&one| one == lower && in_use(one)) {
            known
        } else {
            bytes.push(lower);
            bytes.len().saturating_sub(1)
        };
        if let Some(cell) = classes.get_mut(usize::from(byte)) {
            *cell = u8::try_from(class).unwrap_or(0);
        }
    }
    (classes, bytes)
}

/// All states that some text reaches.
fn states(automaton: &DFA, start: StateID, bytes: &[u8]) -> Vec<StateID> {
    let mut states = vec![start];
    let mut known: std::collections::HashSet<StateID> = states.iter().copied().collect();
    let mut at = 0_usize;
    while let Some(&state) = states.get(at) {
        at = at.saturating_add(1);
        for &byte in bytes {
            let next = automaton.next_state(Anchored::No, state, byte);
            if known.insert(next) {
                states.push(next);
            }
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_every_literal_wherever_it_stands() {
        let literals: Vec<Box<[u8]>> = ["she", "he", "hers", "..", "%2e", "\0", "a"]
            .iter()
            .map(|literal| literal.as_bytes().into())
            .collect();
        let table = TransitionTable::new(&literals).unwrap();
        assert_eq!(table.shortest(), 1);
        for text in
            ["usHErs", "...", "%2E%2e%", "\0\0", "", "zzz", "ashe..%2eshers\u{0}b", "\u{ff}A"]
        {
            let mut found = Vec::new();
            table.run(text.as_bytes(), |literal, at| found.push((literal, (at.start, at.end))));
            found.sort_unstable();
            let lower = text.as_bytes().to_ascii_lowercase();
            let mut want = Vec::new();
            for (literal, bytes) in literals.iter().enumerate() {
                for start in 0..lower.len() {
                    if lower[start..].starts_with(bytes) {
                        want.push((literal, (start, start + bytes.len())));
                    }
                }
            }
            want.sort_unstable();
            assert_eq!(found, want, "{text}");
        }
        let every: Vec<Box<[u8]>> =
            (0..=u8::MAX).map(|byte| [byte.to_ascii_lowercase()].into()).collect();
        let table = TransitionTable::new(&every).unwrap();
        for byte in 0..=u8::MAX {
            let mut found = 0;
            table.run(&[byte], |literal, at| {
                assert_eq!((every[literal][0], at), (byte.to_ascii_lowercase(), 0..1));
                found += 1;
            });
            assert!(found > 0, "{byte}");
        }
    }
}
