//! One pass: one automaton over the bytes of the pass before.

use plan::{RuleNo, Transform};

use super::machine::Machine;
use super::{Active, Event, Follows, Work};

/// A match that was taken away may join what was around it; its first bytes stay pending while they may match. After
/// this many bytes of the piece they are finished all the same.
const SEAM_BYTES_MAX: u32 = 4096;

/// What a match's rest becomes where its replacement's own would match again.
const FILLERS: [u8; 4] = *b"-x ~";

pub(super) struct Pass<'a, 'b> {
    pub(super) active: &'a Active<'a>,
    /// Which automaton.
    pub(super) at: usize,
    /// Where the piece ends for this pass.
    pub(super) end: u32,
    pub(super) follows: Follows,
    pub(super) work: &'b mut Work,
}

pub(super) struct Done {
    pub(super) decided: u32,
    /// After the last byte.
    pub(super) state: u32,
    pub(super) cut: bool,
    pub(super) full: bool,
}

/// How far a pass has come. Output and states are in the work's `next` and `history`.
struct Run<S> {
    state: S,
    /// Output before this is finished.
    finished: usize,
    cut: Option<RuleNo>,
    full: bool,
}

impl Pass<'_, '_> {
    /// Reads `work.text`, leaves what is finished in `work.next`.
    pub(super) fn run<M: Machine>(&mut self, machine: &M, state: u32) -> Done {
        self.work.next.clear();
        self.work.history.clear();
        let mut run = Run { state: machine.resume(state), finished: 0, cut: None, full: false };
        let mut from = 0_usize;
        while let (Some(&byte), Some(&origin)) =
            (self.work.text.bytes.get(from), self.work.text.origin.get(from))
        {
            self.feed(machine, &mut run, byte, origin, true);
            from = from.saturating_add(1);
            if let Some(rule) = run.cut {
                let removed = self.work.text.len().saturating_sub(from);
                if let (Some(&at), Ok(removed)) =
                    (self.work.text.origin.get(from), u32::try_from(removed))
                {
                    self.work.event(Event { at, rule, removed, inserted: 0 });
                }
                break;
            }
        }
        self.settle(machine, run)
    }

    /// Finishes what can be finished.
    fn settle<M: Machine>(&mut self, machine: &M, mut run: Run<M::State>) -> Done {
        let len = self.work.next.len();
        if self.follows == Follows::More && run.cut.is_none() {
            let open = self.work.next.bytes.get(run.finished..).unwrap_or_default();
            let pending = machine.pending(run.state, open);
            run.finished = run.finished.max(len.saturating_sub(pending));
        } else {
            run.finished = len;
        }
        let mut decided = self.end;
        if let Some(&first) = self.work.next.origin.get(run.finished) {
            decided = first;
            // Bytes that were put in for one match stay together.
            run.finished = self.work.next.origin.partition_point(|&origin| origin < first);
        }
        self.work.next.truncate(run.finished);
        Done { decided, state: machine.keep(run.state), cut: run.cut.is_some(), full: run.full }
    }

    /// One byte of input; `with` bytes of a replacement come this way too, and are not replaced again.
    fn feed<M: Machine>(
        &mut self,
        machine: &M,
        run: &mut Run<M::State>,
        byte: u8,
        origin: u32,
        replaces: bool,
    ) {
        let before = machine.keep(run.state);
        if !self.work.next.push(byte, origin) {
            run.full = true;
            return;
        }
        self.work.history.push(before);
        run.state = machine.step(run.state, byte);
        if machine.may_match(run.state) {
            self.matched(machine, run, origin, replaces);
        }
    }

    fn matched<M: Machine>(
        &mut self,
        machine: &M,
        run: &mut Run<M::State>,
        origin: u32,
        replaces: bool,
    ) {
        let len = self.work.next.len();
        let open = self.work.next.bytes.get(run.finished..).unwrap_or_default();
        let pending = machine.pending(run.state, open);
        let open = open.get(open.len().saturating_sub(pending)..).unwrap_or_default();
        run.finished = run.finished.max(len.saturating_sub(open.len()));
        let Some((rule, match_len)) = machine.matched(run.state, open, self.active, self.at) else {
            return;
        };
        let reaches_back = match_len > open.len();
        let start = len.saturating_sub(match_len).max(run.finished);
        match self.active.transform(rule) {
            Some(Transform::Replace { with, .. }) if reaches_back && with.len() == match_len => {
                self.finish_match(machine, run, start, with, rule);
            }
            Some(Transform::Replace { with, .. }) => {
                let first = self.take_away(machine, run, start, rule);
                if replaces && !reaches_back {
                    self.put_in(machine, run, with, first, rule);
                }
                self.bound_seam(run, origin);
            }
            Some(Transform::CutAt { keep_match, .. }) => {
                if !keep_match {
                    self.take_away(machine, run, start, rule);
                }
                run.cut = Some(rule);
            }
            Some(Transform::MaskPattern { with, .. }) => {
                self.overwrite(machine, run, start, *with, rule);
            }
            _ => {}
        }
    }

    /// Takes the output from `start` on away; the origin of its first byte.
    fn take_away<M: Machine>(
        &mut self,
        machine: &M,
        run: &mut Run<M::State>,
        start: usize,
        rule: RuleNo,
    ) -> u32 {
        let first = self.work.next.origin.get(start).copied().unwrap_or(self.end);
        let removed = self.work.next.len().saturating_sub(start);
        let removed = u32::try_from(removed).unwrap_or(u32::MAX);
        self.work.next.truncate(start);
        if let Some(&state) = self.work.history.get(start) {
            run.state = machine.resume(state);
        }
        self.work.history.truncate(start);
        self.work.event(Event { at: first, rule, removed, inserted: 0 });
        first
    }

    fn put_in<M: Machine>(
        &mut self,
        machine: &M,
        run: &mut Run<M::State>,
        with: &[u8],
        origin: u32,
        rule: RuleNo,
    ) {
        for &byte in with {
            let (byte, _) = self.active.mask(byte);
            self.feed(machine, run, byte, origin, false);
        }
        let inserted = u32::try_from(with.len()).unwrap_or(u32::MAX);
        if let Some(event) = self.work.events.last_mut().filter(|event| event.rule == rule) {
            event.inserted = event.inserted.saturating_add(inserted);
        }
    }

    /// The first bytes of the match are gone already, and a replacement of its length must not change the length: "ev" of
    /// "evil" was let go, so that with "good" for "evil" the receiver gets "evod". Where that is (or ends) a match after all, other
    /// bytes are taken; where none will do, the rest is deleted.
    fn finish_match<M: Machine>(
        &mut self,
        machine: &M,
        run: &mut Run<M::State>,
        start: usize,
        with: &[u8],
        rule: RuleNo,
    ) {
        let len = self.work.next.len().saturating_sub(start);
        let rest = with.get(with.len().saturating_sub(len)..).unwrap_or_default();
        let before = self.work.history.get(start).copied().unwrap_or_default();
        let harmless = |byte_at: &dyn Fn(usize) -> u8| {
            let mut state = machine.resume(before);
            (0..len).all(|at| {
                state = machine.step(state, byte_at(at));
                !machine.may_match(state)
            })
        };
        let own = |at: usize| rest.get(at).copied().unwrap_or_default();
        if harmless(&own) {
            self.overwrite_each(machine, run, start, &own, rule);
            return;
        }
        for filler in FILLERS {
            if harmless(&|_| filler) {
                self.overwrite_each(machine, run, start, &|_| filler, rule);
                return;
            }
        }
        self.take_away(machine, run, start, rule);
    }

    fn overwrite<M: Machine>(
        &mut self,
        machine: &M,
        run: &mut Run<M::State>,
        start: usize,
        with: u8,
        rule: RuleNo,
    ) {
        self.overwrite_each(machine, run, start, &|_| with, rule);
    }

    /// Same length: the bytes keep their origins, and are not matched again.
    fn overwrite_each<M: Machine>(
        &mut self,
        machine: &M,
        run: &mut Run<M::State>,
        start: usize,
        with: &dyn Fn(usize) -> u8,
        rule: RuleNo,
    ) {
        let mut changed = 0_u32;
        let mut state =
            self.work.history.get(start).map_or(run.state, |&state| machine.resume(state));
        let bytes = self.work.next.bytes.get_mut(start..).unwrap_or_default();
        let states = self.work.history.get_mut(start..).unwrap_or_default();
        for (at, (byte, before)) in bytes.iter_mut().zip(states).enumerate() {
            let with = with(at);
            if *byte != with {
                changed = changed.saturating_add(1);
            }
            *byte = with;
            *before = machine.keep(state);
            state = machine.step(state, with);
        }
        run.state = state;
        let at = self.work.next.origin.get(start).copied().unwrap_or(self.end);
        if changed > 0 {
            self.work.event(Event { at, rule, removed: changed, inserted: changed });
        }
    }

    /// Keeps the input that is pending around a seam bounded.
    fn bound_seam<S>(&mut self, run: &mut Run<S>, origin: u32) {
        let first = self.work.next.origin.get(run.finished).copied().unwrap_or(origin);
        if origin.saturating_sub(first) > SEAM_BYTES_MAX {
            run.finished = self.work.next.len();
        }
    }
}
