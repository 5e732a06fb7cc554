//! The bytes of one segment: which were seen before, pass, are inspected, or wait.
//!
//! Holds:     [`Assembler`], which takes one segment through its half-stream; [`seen`], for bytes
//!            before the inspection edge; [`inspect`], for bytes at the edge.
//! Promises:  a byte is decided once, in order. Inspected bytes that are sent come out of the copy,
//!            or are equal to the bytes that were just put into it.
//! Never:     changes acknowledgement numbers: those belong to the other half.

mod inspect;
mod seen;

use crate::Tick;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::{AHEAD_LEAVES_FREE, GROWTH_RESERVE_BYTES, WAITING_BYTES_MAX, WAITING_RUNS_MAX};
use crate::segment::{Outputs, SegmentOutcome};
use crate::seq_map::EditKind;
use crate::waiting::PutResult;
pub(crate) use inspect::{Front, InputSource};
use stage::position::{index, len32, minus, plus};
use stage::{Deadline, Direction, Stage};
use wire::Seq;

/// What the bytes of a segment led to, besides outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadResult {
    pub(crate) outcome: SegmentOutcome,
    /// The sender is to be told what is acknowledged, though the receiver will not acknowledge
    /// anything.
    pub(crate) answer: bool,
    /// A position ahead of order that was just stored, for a selective acknowledgement.
    pub(crate) ahead: Option<Seq>,
    /// The stage ended the connection, or the connection cannot go on.
    pub(crate) close: bool,
}

impl PayloadResult {
    /// Of a segment without bytes.
    pub(crate) const fn nothing() -> Self {
        Self::with(SegmentOutcome::Moved)
    }

    const fn with(outcome: SegmentOutcome) -> Self {
        Self { outcome, answer: false, ahead: None, close: false }
    }

    const fn answered(outcome: SegmentOutcome) -> Self {
        Self { outcome, answer: true, ahead: None, close: false }
    }

    /// Of both, one after the other. The later outcome counts, unless nothing came of it.
    pub(crate) fn then(self, later: Self) -> Self {
        let nothing = later.outcome == SegmentOutcome::Held;
        let outcome = if nothing { self.outcome } else { later.outcome };
        Self {
            outcome,
            answer: self.answer || later.answer,
            ahead: self.ahead.or(later.ahead),
            close: self.close || later.close,
        }
    }
}

/// Takes the bytes of one segment through their half-stream.
pub(crate) struct Assembler<'a, S> {
    pub(crate) half: &'a mut Half,
    /// The other half-stream of the connection, which answers are put into.
    pub(crate) other: &'a mut Half,
    pub(crate) stores: &'a mut Stores,
    pub(crate) stage: &'a mut S,
    pub(crate) out: &'a mut Outputs,
    pub(crate) direction: Direction,
    pub(crate) now: Tick,
    /// Original position of the payload's first byte.
    pub(crate) start: Seq,
    pub(crate) payload: &'a [u8],
}

impl<S: Stage> Assembler<'_, S> {
    /// Handles the payload.
    pub(crate) fn on_payload(&mut self) -> PayloadResult {
        let mut end = self.start.advance(len32(self.payload.len()));
        if self.half.is(Facts::FIN_SEEN) {
            end = end.min(self.half.fin_o);
        }
        let edge = self.half.edge_o();
        if self.start.is_before(edge) {
            self.send_seen(end.min(edge));
        }
        if !end.is_after(edge) {
            let silent = self.out.list().is_empty();
            return if silent {
                PayloadResult::answered(SegmentOutcome::Rebuilt)
            } else {
                PayloadResult::with(self.outcome_of_seen())
            };
        }
        let held = self.half.held(self.stores);
        let held_end = edge.advance(held);
        let result = if self.start.is_after(held_end) {
            self.store_ahead(edge, end)
        } else if end.is_after(held_end) {
            self.on_fresh(edge, held, end)
        } else if held > self.half.shown(self.stores) || self.ends_within(held_end) {
            self.inspect_waiting(Deadline::Nothing)
        } else {
            PayloadResult::answered(SegmentOutcome::Rebuilt)
        };
        self.inspect_further(result)
    }

    /// Inspects bytes behind a skipped range that came ahead of it, and that the stage has not
    /// seen.
    fn inspect_further(&mut self, mut result: PayloadResult) -> PayloadResult {
        for _ in 0..WAITING_RUNS_MAX {
            if result.close || self.half.held(self.stores) <= self.half.shown(self.stores) {
                break;
            }
            let edge = self.half.edge_o();
            let more = self.inspect_waiting(Deadline::Nothing);
            result.close |= more.close;
            if more.outcome == SegmentOutcome::Edited || more.close {
                result.outcome = more.outcome;
            }
            // The stage waits for more bytes than there are, or than there is room for.
            if self.half.edge_o() == edge {
                break;
            }
        }
        result
    }

    /// Handles an end without bytes. Like any segment it makes bytes that the receiver lacks go out
    /// again; and the stage decides about what is held.
    pub(crate) fn on_end(&mut self) -> PayloadResult {
        let edge = self.half.edge_o();
        self.send_seen(self.start.min(edge));
        if self.half.held(self.stores) == 0 {
            return PayloadResult::nothing();
        }
        let result = self.inspect_waiting(Deadline::Nothing);
        self.inspect_further(result)
    }

    /// Handles the deadline of what is held.
    pub(crate) fn on_deadline(&mut self) -> PayloadResult {
        let partial_match = self.half.is(Facts::HOLDS_PARTIAL_MATCH);
        let deadline = if partial_match { Deadline::PartialMatch } else { Deadline::Unit };
        let result = self.inspect_waiting(deadline);
        self.inspect_further(result)
    }

    /// Asks the stage again about a message that was held for the answers of its receiver: they may
    /// be out now.
    pub(crate) fn ask_again(&mut self) -> PayloadResult {
        let result = self.inspect_waiting(Deadline::Nothing);
        self.inspect_further(result)
    }

    /// Sends the proxy-acknowledged bytes again that the receiver lacks.
    pub(crate) fn resend_proxy_acknowledged(&mut self) {
        self.send_seen(self.start.min(self.half.next_o));
    }

    /// The end of the stream is known and no byte before it is missing: no more bytes will come
    /// behind what is held.
    fn ends_within(&self, held_end: Seq) -> bool {
        self.half.is(Facts::FIN_SEEN) && !self.half.fin_o.is_after(held_end)
    }

    /// Stores bytes behind a gap.
    fn store_ahead(&mut self, edge: Seq, end: Seq) -> PayloadResult {
        let gap = edge.advance(self.half.held(self.stores));
        if end.bytes_after(gap) > self.stores.bounds.ahead_bytes {
            return PayloadResult::answered(SegmentOutcome::AheadDropped);
        }
        if !self.half.acquire(self.stores) {
            return PayloadResult::with(SegmentOutcome::NoInFlightBuffers);
        }
        let bytes = self.payload.get(..index(end.bytes_after(self.start))).unwrap_or_default();
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return PayloadResult::with(SegmentOutcome::NoInFlightBuffers);
        };
        let put = if pool.free_count() > pool.capacity() / AHEAD_LEAVES_FREE {
            buffers.waiting.put(pool, edge, self.start, bytes)
        } else {
            PutResult::NoBlocks
        };
        self.half.rebase(self.stores);
        match put {
            PutResult::Stored => PayloadResult {
                ahead: Some(self.start),
                ..PayloadResult::answered(SegmentOutcome::Ahead)
            },
            PutResult::NoRoom => PayloadResult::answered(SegmentOutcome::AheadDropped),
            PutResult::NoBlocks => PayloadResult::with(SegmentOutcome::NoBlocks),
        }
    }

    /// Inspects bytes that continue what was inspected or is held.
    fn on_fresh(&mut self, edge: Seq, held: u32, end: Seq) -> PayloadResult {
        let old = index(edge.bytes_after(self.start));
        let len = index(end.bytes_after(self.start));
        let fresh = self.payload.get(old..len).unwrap_or_default();
        if !self.half.acquire(self.stores) {
            return PayloadResult::with(SegmentOutcome::NoInFlightBuffers);
        }
        if let Err(outcome) = self.prepare(len32(fresh.len())) {
            self.half.rebase(self.stores);
            return PayloadResult::with(outcome);
        }
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return PayloadResult::with(SegmentOutcome::NoInFlightBuffers);
        };
        if buffers.waiting.is_empty() {
            let ended = self.half.is(Facts::FIN_SEEN) && end == self.half.fin_o;
            let (deadline, source) = (Deadline::Nothing, InputSource::Frame(old));
            return self.inspect(Front { bytes: fresh, held: 0, ended, deadline, source });
        }
        let skip = index(edge.advance(held).bytes_after(self.start));
        let room = index(minus(WAITING_BYTES_MAX, held));
        let beyond = self.payload.get(skip..len.min(plus(skip, room))).unwrap_or_default();
        if beyond.is_empty() {
            // The stage holds more than it may, and nothing could ever release it.
            return PayloadResult { close: true, ..PayloadResult::with(SegmentOutcome::Broken) };
        }
        match buffers.waiting.put(pool, edge, edge.advance(held), beyond) {
            PutResult::Stored => {}
            PutResult::NoRoom => return PayloadResult::with(SegmentOutcome::AheadDropped),
            PutResult::NoBlocks => return PayloadResult::with(SegmentOutcome::NoBlocks),
        }
        self.inspect_waiting(Deadline::Nothing)
    }

    /// Makes sure that there is room for everything a decision about `bytes` more bytes may need.
    fn prepare(&mut self, bytes: u32) -> Result<(), SegmentOutcome> {
        let tail = self.half.tail();
        let (edge_o, edge_e) = (self.half.edge_o(), self.half.edge_e());
        let una_e = self.half.una_e;
        let in_flight_bytes = self.stores.bounds.in_flight_bytes;
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return Err(SegmentOutcome::NoInFlightBuffers);
        };
        if !pool.has_room_for(plus(bytes, GROWTH_RESERVE_BYTES)) {
            return Err(SegmentOutcome::NoBlocks);
        }
        if plus(buffers.copy.len(), bytes) > in_flight_bytes || !buffers.map.make_room() {
            return Err(SegmentOutcome::InFlightFull);
        }
        if tail == 0 {
            return Ok(());
        }
        // Inspection goes on behind the tail, which becomes a piece of the past.
        if !buffers.map.push_linear(EditKind::Passed, tail) {
            return Err(SegmentOutcome::InFlightFull);
        }
        self.half.next_o = edge_o;
        self.half.next_e = edge_e;
        self.half.skip(u64::from(tail));
        self.half.acknowledge_again(self.stores, una_e);
        Ok(())
    }
}
