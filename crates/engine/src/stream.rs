//! The bytes of a half-stream: unit after unit.
//!
//! The loop asks the decoder for the unit at the front, and decides a complete unit like a
//! datagram. Where the direction holds nothing, or a unit has reached the hold bound, the decoder
//! yields the bytes at hand with the last field open. The rules that can work on pieces run on it
//! ([`open`]). A unit is opened after exactly as many bytes as the bound has, so that the outcome
//! does not depend on how many came at once.

mod open;
mod step;
mod unaffected;
mod verdict;

use core::ops::ControlFlow;

use plan::{DirectionRules, FailMode, Hold, Mode, Module};
use proto::{DecoderState, Edits, Flags, Span, Step, Transport, View};
use stage::{
    ConnectionEnd, Deadline, Direction, HoldKind, InspectContext, Inspected, Next, ReverseState,
};

use stage::position::{index, len32};

use crate::conversation::{Conversation, DirectionState, OPEN_FIELDS_MAX};
use crate::decide::{Unit, decide};
use crate::outcome::{Peer, StreamResult, Undecided};
use crate::scratch::{Scratch, UnitScratch};
use verdict::VerdictUnit;

/// Bytes of an open field taken at once, so that even an edit for every one of them has room.
const PIECE_BYTES: usize = 4096;

/// Runs `module` over contiguous bytes of one direction.
pub fn stream(
    module: &Module,
    from: Direction,
    conversation: &mut Conversation,
    input: &[u8],
    context: InspectContext,
    peer: &Peer,
    scratch: &mut Scratch,
) -> StreamResult {
    scratch.clear();
    let InspectContext { held, ended, deadline, reverse } = context;
    let direction_rules = module.direction(from);
    let Conversation { state, directions: [request, response] } = conversation;
    let decoder_missed_bytes = request.given_up || response.given_up;
    let direction = match from {
        Direction::Request => request,
        Direction::Response => response,
    };
    direction.belong_to(direction_rules);
    if !ended && deadline != Deadline::Unit && direction.still_waits(direction_rules, input, held) {
        return StreamRun::result(0, Next::Hold(HoldKind::Unit));
    }
    direction.need = None;
    let mut run = StreamRun {
        module,
        direction_rules,
        from,
        peer,
        ended,
        releases_partial_match: deadline == Deadline::PartialMatch,
        overdue: deadline == Deadline::Unit,
        reverse,
        decoder_missed_bytes,
        state,
        direction,
        scratch,
        piece_bytes: PIECE_BYTES,
        flush_pending: false,
        answer: false,
        next_is_affected: false,
        undecided: None,
        messages: 0,
    };
    run.run(input)
}

/// The state of one call.
struct StreamRun<'a> {
    module: &'a Module,
    direction_rules: &'a DirectionRules,
    from: Direction,
    peer: &'a Peer,
    ended: bool,
    /// Bytes that may be the beginning of a match must go on now.
    releases_partial_match: bool,
    /// A unit that is not complete must not wait any longer.
    overdue: bool,
    /// The state of the other direction.
    reverse: ReverseState,
    /// The decoder has missed bytes of one direction.
    decoder_missed_bytes: bool,
    state: &'a mut DecoderState,
    direction: &'a mut DirectionState,
    scratch: &'a mut Scratch,
    /// Bytes of an open field taken at once.
    piece_bytes: usize,
    /// The pending bytes of the next unit must go on now.
    flush_pending: bool,
    /// There is an answer in [`Scratch::reply`].
    answer: bool,
    /// The next unit concerns a rule.
    next_is_affected: bool,
    undecided: Option<Undecided>,
    messages: u32,
}

/// The conversation as it was before a unit.
struct Snapshot {
    state: DecoderState,
    direction: DirectionState,
}

/// A unit in the input of a call.
#[derive(Clone, Copy)]
struct UnitInput<'a> {
    /// Where it begins.
    at: usize,
    view: View<'a>,
    /// The input from there on.
    rest: &'a [u8],
    /// A message begins with it.
    first: bool,
    /// The message ends with it.
    last: bool,
}

/// How a unit ended.
#[derive(Clone, Copy)]
enum UnitEnd {
    /// So many bytes are decided.
    Decided(usize),
    /// Its first bytes may begin a match: hold it from its first byte.
    Pending,
    /// There is no room for its edits, or its answer, behind those of the units before it.
    Full,
    /// It gets an answer, but not yet: hold it from its first byte.
    AwaitsResponses,
    /// It has its answer, and the connection ends with that.
    Finished,
    /// Reset the connection.
    Close,
}

impl StreamRun<'_> {
    /// The result of a call that decided nothing about the connection.
    fn result(decided: usize, next: Next) -> StreamResult {
        let end = ConnectionEnd::GoesOn;
        let inspected = Inspected { decided, next, answer: false, end };
        StreamResult { inspected, undecided: None, messages: 0 }
    }

    fn done(&self, decided: usize, next: Next) -> StreamResult {
        self.ending(decided, next, self.answer, ConnectionEnd::GoesOn)
    }

    fn close(&self, decided: usize) -> StreamResult {
        self.ending(decided, Next::SkipRest { discard: true }, false, ConnectionEnd::Reset)
    }

    /// The answer that was given is the last.
    fn finished(&self, decided: usize) -> StreamResult {
        let next = Next::SkipRest { discard: true };
        self.ending(decided, next, self.answer, ConnectionEnd::Finished)
    }

    fn ending(&self, decided: usize, next: Next, answer: bool, end: ConnectionEnd) -> StreamResult {
        let inspected = Inspected { decided, next, answer, end };
        StreamResult { inspected, undecided: self.undecided, messages: self.messages }
    }

    /// Notes that a rule could not be decided. Answers whether the fail mode closes the connection.
    fn undecided(&mut self, why: Undecided) -> bool {
        let slow = self.overdue && why == Undecided::UnitTooLong;
        self.undecided = Some(if slow { Undecided::UnitTooSlow } else { why });
        self.module.fail == FailMode::Closed && self.enforces()
    }

    fn enforces(&self) -> bool {
        self.module.mode == Mode::Enforce
    }

    /// Decides unit after unit, to the end of the input or until bytes have to wait.
    fn run(&mut self, input: &[u8]) -> StreamResult {
        let mut at = 0_usize;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(bytes) = self.skip_unaffected(rest) {
                at = at.saturating_add(bytes);
                continue;
            }
            let before = self.snapshot();
            let (step, view) = self.dissect(rest);
            let next = match step {
                Step::Unit { bytes, first, last } if (1..=view.input.len()).contains(&bytes) => {
                    let bytes = view.input.get(..bytes).unwrap_or_default();
                    let unit =
                        UnitInput { at, view: View { input: bytes, ..view }, rest, first, last };
                    let end = self.unit(unit, &before);
                    self.after_unit(end, unit, &before)
                }
                Step::Skip { bytes, last } if bytes > 0 => {
                    self.skip(bytes, last, at, rest, &before)
                }
                Step::SkipRest => ControlFlow::Break(self.skip_rest(at, rest, &before)),
                Step::More(need) => self.more(need, at, view, rest),
                Step::NotThisProtocol | Step::Unit { .. } | Step::Skip { .. } => {
                    ControlFlow::Break(self.give_up(Undecided::NotThisProtocol, at, input.len()))
                }
            };
            match next {
                ControlFlow::Continue(next) => at = next,
                ControlFlow::Break(result) => return result,
            }
        }
        self.done(at, Next::Inspect)
    }

    #[inline(always)]
    fn snapshot(&self) -> Snapshot {
        Snapshot { state: *self.state, direction: *self.direction }
    }

    #[inline(always)]
    fn restore(&mut self, before: &Snapshot) {
        *self.state = before.state;
        *self.direction = before.direction;
    }

    /// Answers where the next unit begins, or ends the call.
    #[inline(always)]
    fn after_unit(
        &mut self,
        end: UnitEnd,
        unit: UnitInput<'_>,
        before: &Snapshot,
    ) -> ControlFlow<StreamResult, usize> {
        let UnitInput { at, view, rest, .. } = unit;
        let result = match end {
            UnitEnd::Decided(bytes) => {
                self.piece_bytes = PIECE_BYTES;
                self.flush_pending = false;
                return ControlFlow::Continue(at.saturating_add(bytes));
            }
            UnitEnd::Pending if view.input.len() < rest.len() => {
                // The piece was too short to tell. One that cannot get longer has to go on.
                self.restore(before);
                self.flush_pending = self.piece_bytes >= rest.len();
                self.piece_bytes = self.piece_bytes.saturating_mul(4);
                return ControlFlow::Continue(at);
            }
            UnitEnd::Pending => self.undone(at, Next::Hold(HoldKind::PartialMatch), before),
            UnitEnd::Full => self.undone(at, Next::Inspect, before),
            UnitEnd::AwaitsResponses => self.undone(at, Next::Hold(HoldKind::Answers), before),
            UnitEnd::Finished => self.finished(at.saturating_add(rest.len())),
            UnitEnd::Close => self.close(at),
        };
        ControlFlow::Break(result)
    }

    /// The result of a call whose last unit has to be seen again.
    #[inline(always)]
    fn undone(&mut self, decided: usize, next: Next, before: &Snapshot) -> StreamResult {
        self.restore(before);
        self.done(decided, next)
    }

    fn bound(&self) -> usize {
        let bound = match self.direction_rules.hold {
            Hold::Streaming => proto::limits::HOLD_BYTES_MAX,
            Hold::UpTo(bytes) => bytes,
        };
        index(bound).max(1)
    }

    fn too_long(&self, len: usize) -> bool {
        len >= self.bound()
    }

    /// Asks the decoder for the unit at the front, opened where it must be. Answers the view too
    /// with which it asked.
    fn dissect<'b>(&mut self, rest: &'b [u8]) -> (Step, View<'b>) {
        let bounded = rest.get(..self.bound()).unwrap_or(rest);
        let streaming = self.direction_rules.hold == Hold::Streaming || self.direction.inside_field;
        if streaming {
            let piece = bounded.get(..self.piece_bytes).unwrap_or(bounded);
            let step = self.ask(piece, rest, true);
            if !matches!(step.0, Step::More(_)) || piece.len() == bounded.len() {
                return step;
            }
            return self.ask(bounded, rest, true);
        }
        let (step, view) = self.ask(bounded, rest, false);
        let gives_up = self.overdue && !self.enforces();
        let must_open = view.ended || gives_up || self.too_long(bounded.len());
        if matches!(step, Step::More(_)) && must_open {
            return self.ask(bounded, rest, true);
        }
        (step, view)
    }

    fn ask<'b>(&mut self, piece: &'b [u8], rest: &[u8], open: bool) -> (Step, View<'b>) {
        let ended = self.ended && piece.len() == rest.len();
        let view = View { input: piece, from: self.from, open, ended };
        self.scratch.fields.clear();
        let wanted = &self.direction_rules.wanted;
        let step = self.module.decoder.stream(wanted, self.state, view, &mut self.scratch.fields);
        (step, view)
    }

    /// Decides a unit, and writes its edits behind those of the units before it.
    fn unit(&mut self, input: UnitInput<'_>, before: &Snapshot) -> UnitEnd {
        let UnitInput { at, view, first, last, .. } = input;
        let went_on = self.direction.inside_message && !first;
        self.direction.inside_field = self.is_open();
        self.direction.inside_message = !last;
        if self.direction.discarding {
            return self.discard(input);
        }
        if self.direction_rules.rules.is_empty() {
            self.messages = self.messages.saturating_add(u32::from(first));
            return UnitEnd::Decided(view.input.len());
        }
        let Scratch { fields, unit_scratch, .. } = &mut *self.scratch;
        let (module, direction_rules, peer) = (self.module, self.direction_rules, self.peer);
        let unit = Unit { module, direction_rules, transport: Transport::Tcp, view, fields, peer };
        let decision = decide(unit, unit_scratch);
        let rule = decision.verdict.and_then(|no| self.direction_rules.rule(no));
        if let Some(verdict) = rule.and_then(|rule| rule.transform.verdict()) {
            let message = VerdictUnit { at, len: view.input.len(), first, last, went_on };
            return self.verdict(verdict, message, view, input.rest, &before.state);
        }
        self.edit_unit(input, decision.undecided, before)
    }

    /// Deletes a unit of a message that is being deleted.
    #[inline]
    fn discard(&mut self, input: UnitInput<'_>) -> UnitEnd {
        let UnitInput { at, view, last, .. } = input;
        self.direction.discarding = !last;
        self.direction.open = [None; OPEN_FIELDS_MAX];
        let end = at.saturating_add(view.input.len());
        if self.enforces() && !self.scratch.edits.delete(Span::new(at, end)) {
            return UnitEnd::Full;
        }
        UnitEnd::Decided(view.input.len())
    }

    /// Runs the open fields of a unit without a verdict, and writes the unit's edits.
    #[inline(always)]
    fn edit_unit(
        &mut self,
        input: UnitInput<'_>,
        mut undecided: Option<Undecided>,
        before: &Snapshot,
    ) -> UnitEnd {
        let UnitInput { at, view, rest, first, .. } = input;
        let mut decided = view.input.len();
        if self.has_pieces() {
            let released = self.releases_partial_match && view.input.len() == rest.len();
            let release = self.flush_pending || released;
            let (bytes, of_open_fields) = self.open_fields(view, release);
            decided = bytes;
            undecided = of_open_fields.or(undecided);
            if decided < view.input.len() {
                match self.rerun(view, rest, decided, before) {
                    Rerun::Done(why) => undecided = undecided.or(why),
                    Rerun::Pending => {
                        self.scratch.unit_scratch.hit_log.abandon();
                        return UnitEnd::Pending;
                    }
                }
            }
        }
        self.messages = self.messages.saturating_add(u32::from(first));
        if let Some(why) = undecided
            && self.undecided(why)
        {
            return UnitEnd::Close;
        }
        let Scratch { edits, unit_scratch, .. } = &mut *self.scratch;
        if self.module.mode == Mode::Enforce && !append(at, unit_scratch, edits) {
            unit_scratch.hit_log.abandon();
            if at > 0 {
                self.messages = self.messages.saturating_sub(u32::from(first));
                return UnitEnd::Full;
            }
            if self.undecided(Undecided::EditsFull) {
                return UnitEnd::Close;
            }
        }
        self.scratch.unit_scratch.hit_log.commit();
        UnitEnd::Decided(decided)
    }

    fn is_open(&self) -> bool {
        self.scratch.fields.items().iter().any(|field| field.flags.has(Flags::OPEN))
    }
}

/// The result of running a unit's first bytes again.
enum Rerun {
    Done(Option<Undecided>),
    Pending,
}

/// Appends the unit's edits to those of the units before it: all or none.
fn append(at: usize, unit_scratch: &mut UnitScratch, edits: &mut Edits) -> bool {
    if unit_scratch.edits.is_empty() {
        return true;
    }
    if edits.is_empty() && at == 0 {
        core::mem::swap(edits, &mut unit_scratch.edits);
        return true;
    }
    let count = edits.list().len().saturating_add(unit_scratch.edits.list().len());
    let bytes = edits.bytes().len().saturating_add(unit_scratch.edits.bytes().len());
    if count > proto::limits::EDITS_MAX || bytes > proto::limits::EDIT_BYTES_MAX {
        return false;
    }
    let at = len32(at);
    for edit in unit_scratch.edits.list() {
        let place =
            Span { start: edit.at.start.saturating_add(at), end: edit.at.end.saturating_add(at) };
        if !edits.replace(place, edit.with.of(unit_scratch.edits.bytes())) {
            return false;
        }
    }
    true
}
