//! One trait for both kinds of automata: literals, and one regular expression.

use plan::RuleNo;
use plan::index::{LiteralAutomaton, LiteralState};
use regex_automata::dfa::{Automaton as _, dense, regex::Regex};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_automata::{Anchored, Input};

use super::ActiveProgram;

/// An automaton that runs over output bytes and can stop after any byte.
pub(super) trait PatternMatcher {
    type MatcherState: Copy;

    /// The state of a kept number; 0 is the start.
    fn resume(&self, number: u32) -> Self::MatcherState;

    /// The number to keep for a state; 0 only for the start.
    fn keep(&self, state: Self::MatcherState) -> u32;

    fn step(&self, state: Self::MatcherState, byte: u8) -> Self::MatcherState;

    /// Whether a match of any rule ends here. Cheap.
    fn may_match(&self, state: Self::MatcherState) -> bool;

    /// The active rule whose match ends with `out`, and the length of the match. A length of more
    /// than `out` means that it began earlier.
    fn matched(
        &self,
        state: Self::MatcherState,
        out: &[u8],
        active: &ActiveProgram<'_>,
        at: usize,
    ) -> Option<(RuleNo, usize)>;

    /// How many of the last bytes of `out` may belong to a match that is still to come.
    fn pending(&self, state: Self::MatcherState, out: &[u8]) -> usize;

    /// Runs over `piece`. Answers the state after it, if there was no match and nothing is pending.
    fn crosses(&self, state: u32, piece: &[u8]) -> Option<u32> {
        let mut state = self.resume(state);
        for &byte in piece {
            state = self.step(state, byte);
            if self.may_match(state) {
                return None;
            }
        }
        (self.pending(state, piece) == 0).then(|| self.keep(state))
    }
}

/// All literals of a slot.
pub(super) struct LiteralMatcher<'a>(pub(super) &'a LiteralAutomaton);

impl PatternMatcher for LiteralMatcher<'_> {
    type MatcherState = LiteralState;

    fn resume(&self, number: u32) -> LiteralState {
        if number == 0 { self.0.start() } else { self.0.state(number) }
    }

    fn keep(&self, state: LiteralState) -> u32 {
        if state == self.0.start() { 0 } else { state.number() }
    }

    #[inline]
    fn step(&self, state: LiteralState, byte: u8) -> LiteralState {
        self.0.step(state, byte)
    }

    #[inline]
    fn may_match(&self, state: LiteralState) -> bool {
        self.0.is_match(state)
    }

    fn matched(
        &self,
        state: LiteralState,
        _: &[u8],
        active: &ActiveProgram<'_>,
        _: usize,
    ) -> Option<(RuleNo, usize)> {
        self.0
            .matches(state)
            .find(|(owner, _)| owner.is_active(active.set))
            .map(|(owner, len)| (owner.rule, len))
    }

    fn pending(&self, state: LiteralState, _: &[u8]) -> usize {
        self.0.depth(state)
    }

    fn crosses(&self, state: u32, piece: &[u8]) -> Option<u32> {
        if state == 0 && self.0.occur_in(piece) {
            return None;
        }
        let mut now = self.resume(state);
        // From the start, and without a literal in the piece, only its end decides the state.
        let from = if state == 0 { piece.len().saturating_sub(self.0.longest()) } else { 0 };
        for &byte in piece.get(from..).unwrap_or_default() {
            now = self.step(now, byte);
            if self.may_match(now) {
                return None;
            }
        }
        (self.0.depth(now) == 0).then(|| self.keep(now))
    }
}

/// One regular expression.
pub(super) struct RegexMatcher<'a> {
    pub(super) regex: &'a Regex,
    pub(super) anchored: &'a dense::DFA<Vec<u32>>,
    /// Bytes of the longest match.
    pub(super) longest: usize,
}

impl RegexMatcher<'_> {
    fn start(dfa: &dense::DFA<Vec<u32>>, anchored: Anchored) -> Option<StateID> {
        dfa.start_state(&start::Config::new().anchored(anchored)).ok()
    }

    /// The state after `bytes`, if nothing came before them.
    fn state_after(&self, bytes: &[u8]) -> RegexState {
        let start = Self::start(self.regex.forward(), Anchored::No);
        bytes.iter().fold(start, |state, &byte| self.step(state, byte))
    }
}

/// A state; none where the automaton could not start, and then it matches nothing.
type RegexState = Option<StateID>;

impl PatternMatcher for RegexMatcher<'_> {
    type MatcherState = RegexState;

    fn resume(&self, number: u32) -> RegexState {
        match number.checked_sub(1) {
            None => Self::start(self.regex.forward(), Anchored::No),
            Some(number) => StateID::new(usize::try_from(number).ok()?).ok(),
        }
    }

    fn keep(&self, state: RegexState) -> u32 {
        if state == Self::start(self.regex.forward(), Anchored::No) {
            return 0;
        }
        state.and_then(|state| state.as_u32().checked_add(1)).unwrap_or(0)
    }

    fn step(&self, state: RegexState, byte: u8) -> RegexState {
        Some(self.regex.forward().next_state(state?, byte))
    }

    fn may_match(&self, state: RegexState) -> bool {
        let dfa = self.regex.forward();
        state.is_some_and(|state| dfa.is_match_state(dfa.next_eoi_state(state)))
    }

    fn matched(
        &self,
        _: RegexState,
        out: &[u8],
        active: &ActiveProgram<'_>,
        at: usize,
    ) -> Option<(RuleNo, usize)> {
        let Some(plan::index::Automaton::Regex { owner, .. }) = active.program.automata.get(at)
        else {
            return None;
        };
        if !owner.is_active(active.set) {
            return None;
        }
        let input = Input::new(out).anchored(Anchored::Yes);
        let start = self.regex.reverse().try_search_rev(&input).ok().flatten();
        let len = match start {
            Some(start) => out.len().saturating_sub(start.offset()),
            // It began in finished bytes.
            None => out.len().saturating_add(1),
        };
        Some((owner.rule, len))
    }

    fn pending(&self, state: RegexState, out: &[u8]) -> usize {
        if out.len() < self.longest && state != self.state_after(out) {
            // A match that began before `out` may still be going on.
            return out.len();
        }
        let Some(start) = Self::start(self.anchored, Anchored::Yes) else { return 0 };
        let alive = |bytes: &[u8]| {
            let mut state = start;
            for &byte in bytes {
                state = self.anchored.next_state(state, byte);
                if self.anchored.is_dead_state(state) {
                    return false;
                }
            }
            true
        };
        let len = out.len();
        (len.saturating_sub(self.longest)..len)
            .find(|&from| alive(out.get(from..).unwrap_or_default()))
            .map_or(0, |from| len.saturating_sub(from))
    }
}
