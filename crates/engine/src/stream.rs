//! The bytes of a half-stream: unit after unit.
//!
//! The loop asks the decoder for the unit at the front. A complete unit is decided like a datagram. Where the direction holds
//! nothing back, or a unit has reached the hold bound, the decoder yields what is there with its last field open, and the
//! rules that can work on pieces do ([`open`]). A unit is opened after exactly the bound's bytes, so that the outcome does not
//! depend on how many came at once.

mod open;
mod unaffected;
mod verdict;

use plan::{DirectionRules, FailMode, Hold, Mode, Module};
use proto::{DecoderState, Edits, Flags, Span, Step, Transport, View};
use stage::{
    ConnectionEnd, Deadline, Direction, HoldKind, InspectContext, Inspected, Next, ReverseState,
};

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
    let lost = request.given_up || response.given_up;
    let mine = match from {
        Direction::Request => request,
        Direction::Response => response,
    };
    mine.belong_to(direction_rules);
    if !ended && deadline != Deadline::Unit && mine.still_waits(direction_rules, input, held) {
        return StreamRun::result(0, Next::Hold(HoldKind::Unit));
    }
    mine.need = None;
    let mut run = StreamRun {
        module,
        direction_rules,
        from,
        peer,
        ended,
        release: deadline == Deadline::PartialMatch,
        overdue: deadline == Deadline::Unit,
        reverse,
        lost,
        state,
        mine,
        scratch,
        piece_bytes: PIECE_BYTES,
        flush_pending: false,
        answer: false,
        next_is_affected: false,
        undecided: None,
        messages: 0,
    };
    run.over(input)
}

/// One call.
struct StreamRun<'a> {
    module: &'a Module,
    direction_rules: &'a DirectionRules,
    from: Direction,
    peer: &'a Peer,
    ended: bool,
    release: bool,
    /// A unit that is not complete is not waited for any more.
    overdue: bool,
    /// How the other direction stands.
    reverse: ReverseState,
    /// The decoder has not seen all that was said.
    lost: bool,
    state: &'a mut DecoderState,
    mine: &'a mut DirectionState,
    scratch: &'a mut Scratch,
    /// Bytes of an open field taken at once.
    piece_bytes: usize,
    /// What is pending in the next unit goes on.
    flush_pending: bool,
    /// There is an answer in [`Scratch::reply`].
    answer: bool,
    /// The next unit concerns somebody.
    next_is_affected: bool,
    undecided: Option<Undecided>,
    messages: u32,
}

/// How a unit ended.
enum UnitEnd {
    /// So many bytes are decided.
    Decided(usize),
    /// Its first bytes may belong to a pattern: hold it from its first byte.
    Pending,
    /// There is no room for its edits, or its answer, behind those of the units before it.
    Full,
    /// It gets its answer from here, but not yet: hold it from its first byte.
    AwaitsResponses,
    /// It has got its answer, with which the connection ends.
    Finished,
    /// The connection is to be closed.
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

    /// An answer was given, and is the last.
    fn finished(&self, decided: usize) -> StreamResult {
        let next = Next::SkipRest { discard: true };
        self.ending(decided, next, self.answer, ConnectionEnd::Finished)
    }

    fn ending(&self, decided: usize, next: Next, answer: bool, end: ConnectionEnd) -> StreamResult {
        let inspected = Inspected { decided, next, answer, end };
        StreamResult { inspected, undecided: self.undecided, messages: self.messages }
    }

    /// Notes that a rule could not be decided; whether the fail mode closes the connection.
    fn undecided(&mut self, why: Undecided) -> bool {
        let slow = self.overdue && why == Undecided::UnitTooLong;
        self.undecided = Some(if slow { Undecided::UnitTooSlow } else { why });
        self.module.fail == FailMode::Closed && self.enforces()
    }

    fn enforces(&self) -> bool {
        self.module.mode == Mode::Enforce
    }

    fn over(&mut self, input: &[u8]) -> StreamResult {
        let mut at = 0_usize;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(bytes) = self.skip_unaffected(rest) {
                at = at.saturating_add(bytes);
                continue;
            }
            let before = (*self.state, *self.mine);
            let (step, view) = self.dissect(rest);
            match step {
                Step::Unit { bytes, first, last } if (1..=view.input.len()).contains(&bytes) => {
                    let unit = view.input.get(..bytes).unwrap_or_default();
                    let view = View { input: unit, ..view };
                    let end = self.unit(at, view, rest, first, last, before);
                    match end {
                        UnitEnd::Decided(bytes) => {
                            at = at.saturating_add(bytes);
                            self.piece_bytes = PIECE_BYTES;
                            self.flush_pending = false;
                        }
                        UnitEnd::Pending if unit.len() < rest.len() => {
                            // The piece was too short to tell; one that cannot be longer has to go on.
                            (*self.state, *self.mine) = before;
                            self.flush_pending = self.piece_bytes >= rest.len();
                            self.piece_bytes = self.piece_bytes.saturating_mul(4);
                        }
                        UnitEnd::Pending => {
                            (*self.state, *self.mine) = before;
                            return self.done(at, Next::Hold(HoldKind::PartialMatch));
                        }
                        UnitEnd::Full => {
                            (*self.state, *self.mine) = before;
                            return self.done(at, Next::Inspect);
                        }
                        UnitEnd::AwaitsResponses => {
                            (*self.state, *self.mine) = before;
                            return self.done(at, Next::Hold(HoldKind::Answers));
                        }
                        UnitEnd::Finished => return self.finished(input.len()),
                        UnitEnd::Close => return self.close(at),
                    }
                }
                Step::Skip { bytes, last } if bytes > 0 => {
                    let discard = self.mine.discarding && self.enforces();
                    self.mine.inside_message = !last;
                    self.mine.discarding &= !last;
                    let here = usize::try_from(bytes).unwrap_or(usize::MAX).min(rest.len());
                    let end = at.saturating_add(here);
                    if discard && !self.scratch.edits.delete(Span::new(at, end)) {
                        (*self.state, *self.mine) = before;
                        return self.done(at, Next::Inspect);
                    }
                    at = end;
                    let beyond = bytes.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                    if beyond > 0 {
                        return self.done(at, Next::Skip { bytes: beyond, discard });
                    }
                }
                Step::SkipRest => {
                    let discard = self.mine.discarding && self.enforces();
                    if discard && !self.scratch.edits.delete(Span::new(at, input.len())) {
                        (*self.state, *self.mine) = before;
                        return self.done(at, Next::Inspect);
                    }
                    return self.done(input.len(), Next::SkipRest { discard });
                }
                Step::More(_) if self.ended && view.input.len() == rest.len() => {
                    // Nobody can act on a unit that will never be complete.
                    let discard = self.mine.discarding && self.enforces();
                    if discard && !self.scratch.edits.delete(Span::new(at, input.len())) {
                        return self.done(at, Next::Inspect);
                    }
                    at = input.len();
                }
                Step::More(_) if self.overdue && self.enforces() => {
                    self.undecided = Some(Undecided::UnitTooSlow);
                    return self.close(at);
                }
                Step::More(need) if !self.overdue && !self.too_long(view.input.len()) => {
                    self.mine.wait_for(need);
                    return self.done(at, Next::Hold(HoldKind::Unit));
                }
                Step::More(_) => return self.give_up(Undecided::UnitTooLong, at, input.len()),
                Step::NotThisProtocol | Step::Unit { .. } | Step::Skip { .. } => {
                    return self.give_up(Undecided::NotThisProtocol, at, input.len());
                }
            }
        }
        self.done(at, Next::Inspect)
    }

    /// The rest of the half-stream cannot be read.
    fn give_up(&mut self, why: Undecided, at: usize, end: usize) -> StreamResult {
        if self.undecided(why) {
            return self.close(at);
        }
        self.mine.given_up = true;
        self.done(end, Next::SkipRest { discard: false })
    }

    fn bound(&self) -> usize {
        let bound = match self.direction_rules.hold {
            Hold::Streaming => proto::limits::HOLD_BYTES_MAX,
            Hold::UpTo(bytes) => bytes,
        };
        usize::try_from(bound).unwrap_or(usize::MAX).max(1)
    }

    fn too_long(&self, len: usize) -> bool {
        len >= self.bound()
    }

    /// Asks the decoder for the unit at the front, opened where it must be. The view is what it was asked with.
    fn dissect<'b>(&mut self, rest: &'b [u8]) -> (Step, View<'b>) {
        let bounded = rest.get(..self.bound()).unwrap_or(rest);
        let streaming = self.direction_rules.hold == Hold::Streaming || self.mine.inside_field;
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

    /// Decides the unit in `view`, which begins at `at` of the input, and writes its edits behind the others.
    fn unit(
        &mut self,
        at: usize,
        view: View<'_>,
        rest: &[u8],
        first: bool,
        last: bool,
        before: (DecoderState, DirectionState),
    ) -> UnitEnd {
        let went_on = self.mine.inside_message && !first;
        self.mine.inside_field = self.is_open();
        self.mine.inside_message = !last;
        let end = at.saturating_add(view.input.len());
        if self.mine.discarding {
            self.mine.discarding = !last;
            self.mine.open = [None; OPEN_FIELDS_MAX];
            if self.enforces() && !self.scratch.edits.delete(Span::new(at, end)) {
                return UnitEnd::Full;
            }
            return UnitEnd::Decided(view.input.len());
        }
        if self.direction_rules.rules.is_empty() {
            self.messages = self.messages.saturating_add(u32::from(first));
            return UnitEnd::Decided(view.input.len());
        }
        let Scratch { fields, unit_scratch, .. } = &mut *self.scratch;
        let unit = Unit {
            module: self.module,
            direction_rules: self.direction_rules,
            transport: Transport::Tcp,
            view,
            fields,
            peer: self.peer,
        };
        let decision = decide(unit, unit_scratch);
        let rule = decision.verdict.and_then(|no| self.direction_rules.rule(no));
        if let Some(verdict) = rule.and_then(|rule| rule.transform.verdict()) {
            let message = VerdictUnit { at, len: view.input.len(), first, last, went_on };
            return self.verdict(verdict, message, view, rest, &before.0);
        }
        let mut undecided = decision.undecided;
        let mut decided = view.input.len();
        if self.has_pieces() {
            let release = self.flush_pending || (self.release && view.input.len() == rest.len());
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

/// How a unit that was cut short went.
enum Rerun {
    Done(Option<Undecided>),
    Pending,
}

/// Moves the unit's edits behind those of the units before it; all or none.
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
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    for edit in unit_scratch.edits.list() {
        let place =
            Span { start: edit.at.start.saturating_add(at), end: edit.at.end.saturating_add(at) };
        if !edits.replace(place, edit.with.of(unit_scratch.edits.bytes())) {
            return false;
        }
    }
    true
}
