//! The bytes of one segment: what was seen before, what is to be passed, what is to be inspected, what has to wait.
//!
//! Holds:     [`Assembler`], one segment's way through its half-stream.
//! Promises:  a byte is decided once, in order; what is sent of inspected bytes comes out of the copy or is, byte for byte,
//!            what was just put into it.
//! Never:     touches acknowledgement numbers: those are the other half's.

use crate::Tick;
use crate::blocks::{index, len32};
use crate::commit::StageDecision;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::{AHEAD_LEAVES_FREE, GROWTH_RESERVE_BYTES, WAITING_BYTES_MAX, WAITING_RUNS_MAX};
use crate::segment::{Outputs, Payload, SegmentOutcome};
use crate::seq_map::EditKind;
use crate::waiting::PutResult;
use stage::Direction;
use stage::{Deadline, Stage};
use wire::Seq;

/// What a segment's bytes led to, besides outputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadResult {
    pub(crate) outcome: SegmentOutcome,
    /// The sender is to be told where we stand, though the receiver will not.
    pub(crate) answer: bool,
    /// A position ahead of order that was just stored, for a selective acknowledgement.
    pub(crate) ahead: Option<Seq>,
    /// The end of the connection was asked for, or forced.
    pub(crate) close: bool,
}

impl PayloadResult {
    /// A segment without bytes.
    pub(crate) const fn nothing() -> Self {
        Self::with(SegmentOutcome::Moved)
    }

    const fn with(outcome: SegmentOutcome) -> Self {
        Self { outcome, answer: false, ahead: None, close: false }
    }

    const fn answered(outcome: SegmentOutcome) -> Self {
        Self { outcome, answer: true, ahead: None, close: false }
    }

    /// What both led to; the later outcome says more, unless nothing came of it.
    pub(crate) fn then(self, later: Self) -> Self {
        let outcome =
            if later.outcome == SegmentOutcome::Held { self.outcome } else { later.outcome };
        Self {
            outcome,
            answer: self.answer || later.answer,
            ahead: self.ahead.or(later.ahead),
            close: self.close || later.close,
        }
    }
}

/// One segment with bytes on its way through its half-stream.
pub(crate) struct Assembler<'a, S> {
    pub(crate) half: &'a mut Half,
    /// The other half-stream of the connection, into which answers are put.
    pub(crate) other: &'a mut Half,
    pub(crate) stores: &'a mut Stores,
    pub(crate) stage: &'a mut S,
    pub(crate) out: &'a mut Outputs,
    pub(crate) direction: Direction,
    pub(crate) now: Tick,
    /// Position of the payload's first byte.
    pub(crate) start: Seq,
    pub(crate) payload: &'a [u8],
}

/// Where the bytes handed to the stage stand.
#[derive(Clone, Copy)]
enum InputSource {
    /// In the frame's payload, from here on.
    Frame(usize),
    /// Brought together in the work buffer.
    Work,
}

impl<S: Stage> Assembler<'_, S> {
    /// Takes all of the payload.
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
        let taken = if self.start.is_after(held_end) {
            self.store_ahead(edge, end)
        } else if end.is_after(held_end) {
            self.on_fresh(edge, held, end)
        } else if held > self.half.shown(self.stores) || self.ends_within(held_end) {
            self.inspect_waiting(Deadline::Nothing)
        } else {
            PayloadResult::answered(SegmentOutcome::Rebuilt)
        };
        self.inspect_further(taken)
    }

    /// Where a skipped range ends, bytes may wait that came ahead of it and were not shown to the stage yet.
    fn inspect_further(&mut self, mut taken: PayloadResult) -> PayloadResult {
        for _ in 0..WAITING_RUNS_MAX {
            if taken.close || self.half.held(self.stores) <= self.half.shown(self.stores) {
                break;
            }
            let edge = self.half.edge_o();
            let more = self.inspect_waiting(Deadline::Nothing);
            taken.close |= more.close;
            if more.outcome == SegmentOutcome::Edited || more.close {
                taken.outcome = more.outcome;
            }
            // It waits for more than there is, or than there is room for.
            if self.half.edge_o() == edge {
                break;
            }
        }
        taken
    }

    /// The end came without bytes. It stands for whatever the receiver still lacks before it, like any segment; and
    /// what is held is decided without more.
    pub(crate) fn on_end(&mut self) -> PayloadResult {
        let edge = self.half.edge_o();
        self.send_seen(self.start.min(edge));
        if self.half.held(self.stores) == 0 {
            return PayloadResult::nothing();
        }
        let taken = self.inspect_waiting(Deadline::Nothing);
        self.inspect_further(taken)
    }

    /// The deadline of what is held has come: it is let go.
    pub(crate) fn on_deadline(&mut self) -> PayloadResult {
        let window = self.half.is(Facts::HOLDS_PARTIAL_MATCH);
        let taken =
            self.inspect_waiting(if window { Deadline::PartialMatch } else { Deadline::Unit });
        self.inspect_further(taken)
    }

    /// The receiver's answers that were waited for may be out.
    pub(crate) fn ask_again(&mut self) -> PayloadResult {
        let taken = self.inspect_waiting(Deadline::Nothing);
        self.inspect_further(taken)
    }

    /// Sends what the receiver lacks of what its sender believes acknowledged.
    pub(crate) fn resend_proxy_acknowledged(&mut self) {
        self.send_seen(self.start.min(self.half.next_o));
    }

    /// The stream's end is known and nothing before it is missing: what is held will not grow.
    fn ends_within(&self, held_end: Seq) -> bool {
        self.half.is(Facts::FIN_SEEN) && !self.half.fin_o.is_after(held_end)
    }

    /// Bytes before the edge: those of inspected ranges out of the copy, those of the others as they are.
    fn send_seen(&mut self, end: Seq) {
        let Self { half, stores, out, start, .. } = self;
        let Some(buffers) = stores.buffers(half.buffers_id()) else {
            self.send_tail(end);
            return;
        };
        // The receiver lacks bytes that the sender believes acknowledged: its first outstanding segment stands for them.
        let proxy_acknowledged = !start.is_after(half.acked_o)
            && half.una_e.is_before(buffers.map.through(half.acked_o));
        // Neighbouring copied ranges go out as one: (edited position, place in the copy, bytes).
        let mut run: Option<(Seq, u32, u32)> = None;
        for placed in buffers.map.placed() {
            let piece = placed.piece;
            let put_in = piece.original == 0 && proxy_acknowledged;
            let reaches = placed.original.is_before(end) || (put_in && placed.original == end);
            let touched = reaches && start.is_before(placed.original_end());
            match piece.kind {
                EditKind::Copied if touched || (proxy_acknowledged && reaches) => {
                    let (mut from, mut to) = (placed.edited, placed.edited_end());
                    if piece.linear {
                        to = placed
                            .edited
                            .advance(end.min(placed.original_end()).bytes_after(placed.original));
                        if !proxy_acknowledged {
                            from = from.advance(start.bytes_after(placed.original));
                        }
                    }
                    from = from.max(half.una_e);
                    if !to.is_after(from) {
                        continue;
                    }
                    let at = placed.copied_before.wrapping_add(from.bytes_after(placed.edited));
                    let bytes = to.bytes_after(from);
                    run = match run {
                        Some((seq, place, len)) if seq.advance(len) == from => {
                            Some((seq, place, len.saturating_add(bytes)))
                        }
                        Some((seq, place, len)) => {
                            out.push_bytes(seq, Payload::Copy { at: place, len });
                            Some((from, at, bytes))
                        }
                        None => Some((from, at, bytes)),
                    };
                }
                EditKind::Passed if touched => {
                    if let Some((seq, at, len)) = run.take() {
                        out.push_bytes(seq, Payload::Copy { at, len });
                    }
                    let from = start.max(placed.original);
                    let to = end.min(placed.original_end());
                    let seq = placed.edited.advance(from.bytes_after(placed.original));
                    let range = (index(from.bytes_after(*start)), index(to.bytes_after(*start)));
                    out.push_bytes(seq, Payload::Frame(range.0, range.1));
                }
                EditKind::Copied | EditKind::Passed => {}
            }
        }
        if let Some((seq, at, len)) = run {
            out.push_bytes(seq, Payload::Copy { at, len });
        }
        self.send_tail(end);
    }

    /// Bytes of the tail go on as they came, in whatever order.
    fn send_tail(&mut self, end: Seq) {
        let from = self.start.max(self.half.next_o);
        if !end.is_after(from) {
            return;
        }
        let seq = self.half.next_e.advance(from.bytes_after(self.half.next_o));
        let range = (index(from.bytes_after(self.start)), index(end.bytes_after(self.start)));
        let sent = self.out.push_bytes(seq, Payload::Frame(range.0, range.1));
        self.note_sent(sent);
    }

    /// Remembers how far the receiver was sent to. A range that is not inspected may be forged past its window: that the
    /// receiver discards, and it does not count.
    fn note_sent(&mut self, end: Seq) {
        let limit = self.half.right_e.max(self.half.sent_e);
        if !self.half.is(Facts::WINDOW) || !end.is_after(limit) {
            self.half.sent_e = self.half.sent_e.max(end);
        }
    }

    fn outcome_of_seen(&self) -> SegmentOutcome {
        let copied = |payload: Payload| matches!(payload, Payload::Copy { .. });
        if self.out.list().iter().any(|output| copied(output.payload)) {
            SegmentOutcome::Rebuilt
        } else {
            SegmentOutcome::Moved
        }
    }

    /// Bytes behind a gap.
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

    /// Bytes that continue what was inspected or is held.
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
            return self.run(fresh, 0, ended, Deadline::Nothing, InputSource::Frame(old));
        }
        let skip = index(edge.advance(held).bytes_after(self.start));
        let room = index(WAITING_BYTES_MAX.saturating_sub(held));
        let beyond = self.payload.get(skip..len.min(skip.saturating_add(room))).unwrap_or_default();
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

    /// There is room for everything a decision about `bytes` more may need, or nothing is decided.
    fn prepare(&mut self, bytes: u32) -> Result<(), SegmentOutcome> {
        let tail = self.half.tail();
        let edge = (self.half.edge_o(), self.half.edge_e());
        let una_e = self.half.una_e;
        let in_flight_bytes = self.stores.bounds.in_flight_bytes;
        let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) else {
            return Err(SegmentOutcome::NoInFlightBuffers);
        };
        if !pool.has_room_for(bytes.saturating_add(GROWTH_RESERVE_BYTES)) {
            return Err(SegmentOutcome::NoBlocks);
        }
        if buffers.copy.len().saturating_add(bytes) > in_flight_bytes || !buffers.map.make_room() {
            return Err(SegmentOutcome::InFlightFull);
        }
        if tail == 0 {
            return Ok(());
        }
        // Inspection goes on behind the tail, which becomes a piece of the past.
        if !buffers.map.push_linear(EditKind::Passed, tail) {
            return Err(SegmentOutcome::InFlightFull);
        }
        self.half.next_o = edge.0;
        self.half.next_e = edge.1;
        self.half.skip(u64::from(tail));
        self.half.acknowledge_again(self.stores, una_e);
        Ok(())
    }

    /// Bytes of which a decision can be kept now: what is decided of them stands in the pool twice for a moment, as waiting bytes and
    /// as copies. The last of the pool is for what edits insert, but for a little: who holds all the rest must be able to go on.
    fn room(&self) -> u32 {
        let copied =
            self.stores.buffers(self.half.buffers_id()).map_or(0, |buffers| buffers.copy.len());
        let free = self.stores.pool.free_bytes();
        let free =
            free.saturating_sub(GROWTH_RESERVE_BYTES).max(free.min(GROWTH_RESERVE_BYTES) / 4);
        free.min(self.stores.bounds.in_flight_bytes.saturating_sub(copied))
    }

    /// Hands everything that waits at the edge to the stage, or as much of it as there is room for: what is decided makes room for the
    /// rest.
    ///
    /// 105 KiB wait, a gap before them having closed, and 96 KiB of the pool are free: 64 KiB are shown first, for 32 must stay.
    fn inspect_waiting(&mut self, mut deadline: Deadline) -> PayloadResult {
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
        let taken = self.run(&work, index(held.min(front)), ended, deadline, InputSource::Work);
        self.stores.work = work;
        taken
    }

    /// The stage decides about `input`, which begins at the edge; what it decides is committed and sent.
    fn run(
        &mut self,
        input: &[u8],
        held: usize,
        ended: bool,
        deadline: Deadline,
        source: InputSource,
    ) -> PayloadResult {
        let (before_o, before_e) = (self.half.next_o, self.half.next_e);
        self.half.hold(None);
        let decision =
            self.decide(input, held, ended, deadline, matches!(source, InputSource::Frame(_)));
        let Ok(StageDecision { at, edited, hold, passed, close }) = decision else {
            return PayloadResult { close: true, ..PayloadResult::with(SegmentOutcome::Broken) };
        };
        let rest = input.get(at..).unwrap_or_default();
        let mut outcome = match (edited, source) {
            (true, _) => SegmentOutcome::Edited,
            (false, InputSource::Work) => SegmentOutcome::Released,
            (false, InputSource::Frame(_)) => SegmentOutcome::Moved,
        };
        let (next_o, edge_o) = (self.half.next_o, self.half.edge_o());
        if let Some((buffers, pool)) = self.stores.buffers_mut(self.half.buffers_id()) {
            match source {
                // What waits behind a gap inside the tail goes: it will be resent, and then passed on.
                InputSource::Work => buffers.waiting.advance(pool, before_o, edge_o),
                InputSource::Frame(_) if !passed => {
                    if buffers.waiting.put(pool, next_o, next_o, rest) != PutResult::Stored {
                        // They were not acknowledged: the sender brings them again.
                        outcome = SegmentOutcome::NoBlocks;
                    }
                }
                InputSource::Frame(_) => {}
            }
        }
        self.half.note_shown(self.stores, 0, self.now);
        if let Some(kind) = hold
            && let held = self.half.held(self.stores)
            && held > 0
        {
            self.half.note_shown(self.stores, held, self.now);
            self.half.hold(Some(kind));
            if at == 0 && outcome != SegmentOutcome::NoBlocks {
                outcome = SegmentOutcome::Held;
            }
        }
        if edited {
            self.half.note(Facts::EDITED);
        }
        if !close {
            self.send_decided(before_e, at, edited, source);
            if passed && let InputSource::Frame(from) = source {
                let seq = self.half.next_e;
                let frame =
                    Payload::Frame(from.saturating_add(at), from.saturating_add(input.len()));
                let sent = self.out.push_bytes(seq, frame);
                self.note_sent(sent);
            }
        }
        self.half.rebase(self.stores);
        PayloadResult {
            close,
            ..PayloadResult::with(if close { SegmentOutcome::Closed } else { outcome })
        }
    }

    /// Sends what was committed since the edited stream ended at `from`.
    fn send_decided(&mut self, from: Seq, decided: usize, edited: bool, source: InputSource) {
        let bytes = self.half.next_e.bytes_after(from);
        if bytes == 0 {
            return;
        }
        if self.half.is(Facts::BACKLOG) {
            // Others wait before them for the receiver's window.
            return;
        }
        let copied =
            self.stores.buffers(self.half.buffers_id()).map_or(0, |buffers| buffers.copy.len());
        let payload = match source {
            InputSource::Frame(at) if !edited => Payload::Frame(at, at.saturating_add(decided)),
            InputSource::Frame(_) | InputSource::Work => {
                let len = self.half.let_in(from, bytes);
                if len < bytes {
                    self.half.note(Facts::BACKLOG);
                    self.half.sent_e = self.half.sent_e.max(from.advance(len));
                }
                Payload::Copy { at: copied.saturating_sub(bytes), len }
            }
        };
        self.out.push_bytes(from, payload);
        if self.half.is(Facts::BACKLOG) {
            return;
        }
        // What found no room among the outputs counts as sent: like any lost segment it is sent again when its sender asks.
        self.half.sent_e = self.half.sent_e.max(self.half.next_e);
    }
}
