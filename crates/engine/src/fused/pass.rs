//! One pass: one automaton over the bytes of the pass before.

use plan::{RuleNo, Transform};
use stage::position::len32;

use super::matcher::PatternMatcher;
use super::{ActiveProgram, Follows, ProgramEdit, ProgramScratch};

/// After this many bytes of the piece, bytes around a deleted match are finished even if they may
/// still join to a match.
const SEAM_BYTES_MAX: u32 = 4096;

/// Bytes for the rest of a match whose replacement would match again.
const FILLERS: [u8; 4] = *b"-x ~";

pub(super) struct Pass<'a, 'b> {
    pub(super) active: &'a ActiveProgram<'a>,
    /// Which automaton.
    pub(super) at: usize,
    /// Where the piece ends for this pass.
    pub(super) end: u32,
    pub(super) follows: Follows,
    pub(super) work: &'b mut ProgramScratch,
}

pub(super) struct PassEnd {
    pub(super) decided: u32,
    /// After the last byte.
    pub(super) state: u32,
    pub(super) cut: bool,
    pub(super) full: bool,
}

/// How far a pass is. Output and states are in `next` and `history` of the scratch.
struct PassProgress<S> {
    state: S,
    /// Output before this is finished.
    finished: usize,
    cut: Option<RuleNo>,
    full: bool,
}

impl Pass<'_, '_> {
    /// Reads `work.text`, leaves what is finished in `work.next`.
    pub(super) fn run<M: PatternMatcher>(&mut self, matcher: &M, state: u32) -> PassEnd {
        self.work.next.clear();
        self.work.history.clear();
        let mut run =
            PassProgress { state: matcher.resume(state), finished: 0, cut: None, full: false };
        let mut from = 0_usize;
        while let (Some(&byte), Some(&origin)) =
            (self.work.text.bytes.get(from), self.work.text.origin.get(from))
        {
            self.feed(matcher, &mut run, byte, origin, true);
            from = from.saturating_add(1);
            if let Some(rule) = run.cut {
                let removed = self.work.text.len().saturating_sub(from);
                if let (Some(&at), Ok(removed)) =
                    (self.work.text.origin.get(from), u32::try_from(removed))
                {
                    self.work.event(ProgramEdit { at, rule, removed, inserted: 0 });
                }
                break;
            }
        }
        self.settle(matcher, run)
    }

    /// Finishes what can be finished.
    fn settle<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        mut run: PassProgress<M::MatcherState>,
    ) -> PassEnd {
        let len = self.work.next.len();
        if self.follows == Follows::More && run.cut.is_none() {
            let open = self.work.next.bytes.get(run.finished..).unwrap_or_default();
            let pending = matcher.pending(run.state, open);
            run.finished = run.finished.max(len.saturating_sub(pending));
        } else {
            run.finished = len;
        }
        let mut decided = self.end;
        if let Some(&first) = self.work.next.origin.get(run.finished) {
            decided = first;
            // The bytes that were inserted for one match stay together.
            run.finished = self.work.next.origin.partition_point(|&origin| origin < first);
        }
        self.work.next.truncate(run.finished);
        PassEnd { decided, state: matcher.keep(run.state), cut: run.cut.is_some(), full: run.full }
    }

    /// Feeds one byte of input. The bytes of a replacement come this way too, and are not replaced
    /// again.
    fn feed<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        run: &mut PassProgress<M::MatcherState>,
        byte: u8,
        origin: u32,
        replaces: bool,
    ) {
        let before = matcher.keep(run.state);
        if !self.work.next.push(byte, origin) {
            run.full = true;
            return;
        }
        self.work.history.push(before);
        run.state = matcher.step(run.state, byte);
        if matcher.may_match(run.state) {
            self.matched(matcher, run, origin, replaces);
        }
    }

    fn matched<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        run: &mut PassProgress<M::MatcherState>,
        origin: u32,
        replaces: bool,
    ) {
        let len = self.work.next.len();
        let open = self.work.next.bytes.get(run.finished..).unwrap_or_default();
        let pending = matcher.pending(run.state, open);
        let found = matcher.matched(run.state, open, self.active, self.at);
        let match_len = found.map_or(0, |(_, match_len)| match_len);
        let reaches_back = match_len > open.len();
        if !reaches_back {
            // No later match begins before this one, or before the pending bytes.
            run.finished = run.finished.max(len.saturating_sub(pending.max(match_len)));
        }
        let Some((rule, match_len)) = found else { return };
        let start = len.saturating_sub(match_len).max(run.finished);
        match self.active.transform(rule) {
            Some(Transform::Replace { with, .. }) if reaches_back && with.len() == match_len => {
                self.finish_match(matcher, run, start, with, rule);
            }
            Some(Transform::Replace { with, .. }) => {
                let first = self.take_away(matcher, run, start, rule);
                if replaces && !reaches_back {
                    self.put_in(matcher, run, with, first, rule);
                }
                self.bound_seam(run, origin);
            }
            Some(Transform::CutAt { keep_match, .. }) => {
                if !keep_match {
                    self.take_away(matcher, run, start, rule);
                }
                run.cut = Some(rule);
            }
            Some(Transform::MaskPattern { with, .. }) => {
                self.overwrite(matcher, run, start, *with, rule);
            }
            _ => {}
        }
    }

    /// Deletes the output from `start` on. Answers the origin of its first byte.
    fn take_away<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        run: &mut PassProgress<M::MatcherState>,
        start: usize,
        rule: RuleNo,
    ) -> u32 {
        let first = self.work.next.origin.get(start).copied().unwrap_or(self.end);
        let removed = self.work.next.len().saturating_sub(start);
        let removed = len32(removed);
        self.work.next.truncate(start);
        if let Some(&state) = self.work.history.get(start) {
            run.state = matcher.resume(state);
        }
        self.work.history.truncate(start);
        self.work.event(ProgramEdit { at: first, rule, removed, inserted: 0 });
        first
    }

    fn put_in<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        run: &mut PassProgress<M::MatcherState>,
        with: &[u8],
        origin: u32,
        rule: RuleNo,
    ) {
        for &byte in with {
            let (byte, _) = self.active.mask(byte);
            self.feed(matcher, run, byte, origin, false);
        }
        let inserted = len32(with.len());
        if let Some(event) = self.work.events.last_mut().filter(|event| event.rule == rule) {
            event.inserted = event.inserted.saturating_add(inserted);
        }
    }

    /// Finishes a match whose first bytes are gone, with a replacement of the same length. The
    /// length must not change: "ev" of "evil" was released, so with "good" for "evil" the receiver
    /// gets "evod". Where that would end a match after all, filler bytes replace it; where no
    /// filler will do, the rest is deleted.
    fn finish_match<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        run: &mut PassProgress<M::MatcherState>,
        start: usize,
        with: &[u8],
        rule: RuleNo,
    ) {
        let len = self.work.next.len().saturating_sub(start);
        let rest = with.get(with.len().saturating_sub(len)..).unwrap_or_default();
        let before = self.work.history.get(start).copied().unwrap_or_default();
        let harmless = |byte_at: &dyn Fn(usize) -> u8| {
            let mut state = matcher.resume(before);
            (0..len).all(|at| {
                state = matcher.step(state, byte_at(at));
                !matcher.may_match(state)
            })
        };
        let own = |at: usize| rest.get(at).copied().unwrap_or_default();
        if harmless(&own) {
            self.overwrite_each(matcher, run, start, &own, rule);
            return;
        }
        for filler in FILLERS {
            if harmless(&|_| filler) {
                self.overwrite_each(matcher, run, start, &|_| filler, rule);
                return;
            }
        }
        self.take_away(matcher, run, start, rule);
    }

    fn overwrite<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        run: &mut PassProgress<M::MatcherState>,
        start: usize,
        with: u8,
        rule: RuleNo,
    ) {
        self.overwrite_each(matcher, run, start, &|_| with, rule);
    }

    /// Overwrites the output from `start` on. The bytes keep their origins and are not matched
    /// again.
    fn overwrite_each<M: PatternMatcher>(
        &mut self,
        matcher: &M,
        run: &mut PassProgress<M::MatcherState>,
        start: usize,
        with: &dyn Fn(usize) -> u8,
        rule: RuleNo,
    ) {
        let mut changed = 0_u32;
        let mut state =
            self.work.history.get(start).map_or(run.state, |&state| matcher.resume(state));
        let bytes = self.work.next.bytes.get_mut(start..).unwrap_or_default();
        let states = self.work.history.get_mut(start..).unwrap_or_default();
        for (at, (byte, before)) in bytes.iter_mut().zip(states).enumerate() {
            let with = with(at);
            if *byte != with {
                changed = changed.saturating_add(1);
            }
            *byte = with;
            *before = matcher.keep(state);
            state = matcher.step(state, with);
            if matcher.may_match(state) {
                // An automaton that runs on from a match finds nothing more.
                state = matcher.resume(0);
            }
        }
        run.state = state;
        // The whole match is finished. Otherwise a piece that ends here would release its first
        // bytes unmasked.
        run.finished = self.work.next.len();
        let at = self.work.next.origin.get(start).copied().unwrap_or(self.end);
        if changed > 0 {
            self.work.event(ProgramEdit { at, rule, removed: changed, inserted: changed });
        }
    }

    /// Bounds the input that is pending around a deleted match.
    fn bound_seam<S>(&mut self, run: &mut PassProgress<S>, origin: u32) {
        let first = self.work.next.origin.get(run.finished).copied().unwrap_or(origin);
        if origin.saturating_sub(first) > SEAM_BYTES_MAX {
            run.finished = self.work.next.len();
        }
    }
}
