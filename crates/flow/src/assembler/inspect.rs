//! Bytes at the inspection edge: the stage decides about them, and what it decides goes on.

use super::{Assembler, PayloadResult};
use crate::commit::StageDecision;
use crate::half::Facts;
use crate::limits::GROWTH_RESERVE_BYTES;
use crate::segment::{Payload, SegmentOutcome};
use crate::waiting::PutResult;
use stage::position::{index, minus, plus};
use stage::{Deadline, HoldKind, Stage};
use wire::Seq;

/// Where the bytes are that the stage is shown.
#[derive(Clone, Copy)]
pub(crate) enum InputSource {
    /// In the frame's payload, from here on.
    Frame(usize),
    /// In the work buffer, where held and new bytes were brought together.
    Work,
}

/// The bytes that the stage is shown: they begin at the inspection edge.
#[derive(Clone, Copy)]
pub(crate) struct Front<'a> {
    pub(crate) bytes: &'a [u8],
    /// The stage has seen this many of them.
    pub(crate) held: usize,
    /// No byte follows them.
    pub(crate) ended: bool,
    pub(crate) deadline: Deadline,
    pub(crate) source: InputSource,
}

/// What the stage has decided, and is to be sent.
struct ToSend {
    /// Where the edited stream ended before.
    from: Seq,
    /// How many bytes of the front were decided.
    decided: usize,
    edited: bool,
    source: InputSource,
}

impl<S: Stage> Assembler<'_, S> {
    /// The bytes of which a decision can be kept now: for a moment they are in the pool twice, as
    /// waiting bytes and as copies. Edits insert into the last blocks of the pool, which are kept
    /// free but for a little: a half-stream that holds all others must be able to go on.
    fn room(&self) -> u32 {
        let copied =
            self.stores.buffers(self.half.buffers_id()).map_or(0, |buffers| buffers.copy.len());
        let free = self.stores.pool.free_bytes();
        let free =
            free.saturating_sub(GROWTH_RESERVE_BYTES).max(free.min(GROWTH_RESERVE_BYTES) / 4);
        // An answer may exceed the bound, which is checked before.
        free.min(self.stores.bounds.in_flight_bytes.saturating_sub(copied))
    }

    /// Shows everything that waits at the edge to the stage, or as much as there is room for: the
    /// bytes that are decided make room for the rest.
    ///
    /// A gap has closed, 105 KiB wait behind it, and 96 KiB of the pool are free: the stage sees 64
    /// KiB first, for 32 must stay free.
    pub(super) fn inspect_waiting(&mut self, mut deadline: Deadline) -> PayloadResult {
        let edge = self.half.edge_o();
        let held = self.half.shown(self.stores);
        let mut front = self.half.held(self.stores);
        let mut ended = false;
        if self.half.is(Facts::FIN_SEEN) {
            front = front.min(self.half.fin_o.bytes_after(edge));
            ended = edge.advance(front) == self.half.fin_o;
        }
        if let Err(outcome) = self.prepare(0) {
            return PayloadResult::with(outcome);
        }
        let room = self.room();
        if room < front {
            if room == 0 {
                return PayloadResult::with(SegmentOutcome::InFlightFull);
            }
            (front, ended) = (room, false);
            if deadline == Deadline::PartialMatch {
                deadline = Deadline::Nothing;
            }
        }
        let mut work = core::mem::take(&mut self.stores.work);
        work.clear();
        // The capacity was allocated for the longest front there can be.
        work.resize(index(front).min(work.capacity()), 0);
        if let Some(buffers) = self.stores.buffers(self.half.buffers_id()) {
            buffers.waiting.read(&self.stores.pool, edge, &mut work);
        }
        let (held, source) = (index(held.min(front)), InputSource::Work);
        let result = self.inspect(Front { bytes: &work, held, ended, deadline, source });
        self.stores.work = work;
        result
    }

    /// The stage decides about the front. What it decides is committed and sent.
    pub(super) fn inspect(&mut self, front: Front<'_>) -> PayloadResult {
        let Front { bytes, source, .. } = front;
        let (before_o, before_e) = (self.half.next_o, self.half.next_e);
        self.half.hold(None);
        let Ok(decision) = self.decide(front) else {
            return PayloadResult { close: true, ..PayloadResult::with(SegmentOutcome::Broken) };
        };
        let StageDecision { at, edited, passed, close, .. } = decision;
        let mut outcome = match (edited, source) {
            (true, _) => SegmentOutcome::Edited,
            (false, InputSource::Work) => SegmentOutcome::Released,
            (false, InputSource::Frame(_)) => SegmentOutcome::Moved,
        };
        if !self.store_rest(&decision, front, before_o) {
            // The bytes were not acknowledged: the sender sends them again.
            outcome = SegmentOutcome::NoBlocks;
        }
        if self.note_hold(decision.hold) && at == 0 && outcome != SegmentOutcome::NoBlocks {
            outcome = SegmentOutcome::Held;
        }
        if edited {
            self.half.note(Facts::EDITED);
        }
        if close {
            outcome = SegmentOutcome::Closed;
        } else {
            self.send_decided(&ToSend { from: before_e, decided: at, edited, source });
            if passed && let InputSource::Frame(from) = source {
                let seq = self.half.next_e;
                let frame = Payload::Frame(plus(from, at), plus(from, bytes.len()));
                let sent = self.out.push_bytes(seq, frame);
                self.note_sent(sent);
            }
        }
        self.half.rebase(self.stores);
        PayloadResult { close, ..PayloadResult::with(outcome) }
    }

    /// Takes the decided bytes off what waits, or stores the bytes of a frame that were not
    /// decided. `false`: no block is free.
    #[inline(always)]
    fn store_rest(&mut self, decision: &StageDecision, front: Front<'_>, before_o: Seq) -> bool {
        let rest = front.bytes.get(decision.at..).unwrap_or_default();
        let (next_o, edge_o) = (self.half.next_o, self.half.edge_o());
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return true;
        };
        match front.source {
            // Bytes behind a gap inside the tail go: their sender will resend them, and then they
            // pass.
            InputSource::Work => buffers.waiting.advance(pool, before_o, edge_o),
            InputSource::Frame(_) if !decision.passed => {
                return buffers.waiting.put(pool, next_o, next_o, rest) == PutResult::Stored;
            }
            InputSource::Frame(_) => {}
        }
        true
    }

    /// Notes for what the bytes at the edge are held. `true`: there are some.
    #[inline(always)]
    fn note_hold(&mut self, hold: Option<HoldKind>) -> bool {
        self.half.note_shown(self.stores, 0, self.now);
        let Some(kind) = hold else { return false };
        let held = self.half.held(self.stores);
        if held == 0 {
            return false;
        }
        self.half.note_shown(self.stores, held, self.now);
        self.half.hold(Some(kind));
        true
    }

    /// Sends the bytes that were committed.
    fn send_decided(&mut self, what: &ToSend) {
        let ToSend { from, decided, edited, source } = *what;
        let bytes = self.half.next_e.bytes_after(from);
        if bytes == 0 {
            return;
        }
        if self.half.is(Facts::BACKLOG) {
            // Others before them wait for the receiver's window.
            return;
        }
        let copied =
            self.stores.buffers(self.half.buffers_id()).map_or(0, |buffers| buffers.copy.len());
        let payload = match source {
            InputSource::Frame(at) if !edited => Payload::Frame(at, plus(at, decided)),
            InputSource::Frame(_) | InputSource::Work => {
                let len = self.half.window_room(from, bytes);
                if len < bytes {
                    self.half.note(Facts::BACKLOG);
                    self.half.sent_e = self.half.sent_e.max(from.advance(len));
                }
                Payload::Copy { at: minus(copied, bytes), len }
            }
        };
        self.out.push_bytes(from, payload);
        if self.half.is(Facts::BACKLOG) {
            return;
        }
        // Bytes that found no room among the outputs count as sent. Like any lost segment they are
        // sent again when their sender resends.
        self.half.sent_e = self.half.sent_e.max(self.half.next_e);
    }
}
