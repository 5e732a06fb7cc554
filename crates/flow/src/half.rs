//! One direction of a connection: how far its bytes have come, on both sides of the editor.
//!
//! Holds:     numbers only; bytes and pieces in flight are in the half's
//!            [`crate::in_flight::InFlightBuffers`], where it has one.
//! Promises:  a byte is acknowledged to the sender only when the receiver has it, cannot use it
//!            yet, or will never get it: see [`Half::acknowledgeable`].
//! Never:     reads a segment.
//!
//! ```text
//! original   ... acknowledged | pieces in flight | next_o .. tail .. edge | held | gap | ahead
//! edited     ...        una_e | pieces in flight | next_e .. tail .. edge |
//! ```
//!
//! Everything before `next` is decided. The *tail* is a range that needs no inspection, of which
//! bytes may be missing: its bytes go on as they come, even out of order. Inspection goes on at the
//! *edge* behind it. Names that end in `_o` are positions of the original stream, those that end in
//! `_e` of the edited one.

use crate::Tick;
use crate::in_flight::{InFlightId, NO_BUFFERS, Stores};
use crate::limits::{MSS_DEFAULT, SKIP_AHEAD_BYTES_MAX, WINDOW_AHEAD_BYTES_MAX};
use crate::seq_map::shifted;
use stage::HoldKind;
use wire::Seq;

/// The greatest shift of a window that counts (RFC 7323 section 2.3).
pub(crate) const WINDOW_SHIFT_MAX: u8 = 14;

/// Yes-or-no facts about a half-stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(u16);

impl Facts {
    /// Its first sequence number is known.
    pub(crate) const KNOWN: Self = Self(1);
    /// Its end is known (`fin_o`).
    pub(crate) const FIN_SEEN: Self = Self(2);
    /// Its end was passed on.
    pub(crate) const FIN_OUT: Self = Self(4);
    /// The bytes that are skipped are deleted.
    pub(crate) const DISCARD: Self = Self(8);
    /// The held bytes wait for the rest of a unit.
    pub(crate) const HOLDS_UNIT: Self = Self(16);
    /// The held bytes may be the beginning of a pattern.
    pub(crate) const HOLDS_PARTIAL_MATCH: Self = Self(32);
    /// It was edited: its numbers differ, or its bytes do.
    pub(crate) const EDITED: Self = Self(64);
    /// Its sender understands selective acknowledgements.
    pub(crate) const SACK: Self = Self(128);
    /// `window` and `right_e` are known: the receiver has acknowledged something.
    pub(crate) const WINDOW: Self = Self(256);
    /// Its sender offered a window scale.
    pub(crate) const SCALE: Self = Self(512);
    /// Its sender stamps its segments.
    pub(crate) const STAMPS: Self = Self(1024);
    /// `told_o` is known.
    pub(crate) const TOLD: Self = Self(4096);
    /// `recent` is known.
    pub(crate) const RECENT: Self = Self(2048);
    /// The held message waits for the receiver's answers to the messages before it. Set with
    /// [`Self::HOLDS_UNIT`].
    pub(crate) const HOLDS_ANSWERS: Self = Self(8192);
    /// A stage ended it: the receiver gets a FIN from here, and bytes that the sender still sends
    /// are deleted.
    pub(crate) const FINISHED: Self = Self(1 << 14);
    /// From `sent_e` to `next_e` there are bytes in the copy that were not sent yet.
    pub(crate) const BACKLOG: Self = Self(1 << 15);
}

#[derive(Debug)]
pub(crate) struct Half {
    /// Everything before this position is decided.
    pub(crate) next_o: Seq,
    pub(crate) next_e: Seq,
    /// The receiver has acknowledged everything before it.
    pub(crate) una_e: Seq,
    /// Everything before it was acknowledged to the sender.
    pub(crate) acked_o: Seq,
    /// One past the last position that was sent to the receiver.
    pub(crate) sent_e: Seq,
    /// One past the last position that the receiver's window allows.
    pub(crate) right_e: Seq,
    /// The right edge of the window that the sender was told.
    pub(crate) told_o: Seq,
    /// The position of the FIN, once one was seen.
    pub(crate) fin_o: Seq,
    /// [`Self::skip_left`], its low and its high half: a connection is smaller without eight-byte
    /// fields.
    skip: [u32; 2],
    /// The sender's latest timestamp.
    pub(crate) stamp: u32,
    /// TS.Recent of RFC 7323: the timestamp of the latest segment that came in order.
    pub(crate) recent: u32,
    buffers: InFlightId,
    facts: Facts,
    /// The receiver's latest window field, and how far it is to be shifted.
    pub(crate) window: u16,
    pub(crate) scale: u8,
    /// The MSS of the receiver.
    pub(crate) mss: u16,
}

impl Half {
    pub(crate) const UNKNOWN: Self = Self {
        next_o: Seq::new(0),
        next_e: Seq::new(0),
        una_e: Seq::new(0),
        acked_o: Seq::new(0),
        sent_e: Seq::new(0),
        right_e: Seq::new(0),
        told_o: Seq::new(0),
        fin_o: Seq::new(0),
        skip: [0; 2],
        stamp: 0,
        recent: 0,
        buffers: NO_BUFFERS,
        facts: Facts(0),
        window: 0,
        scale: 0,
        mss: MSS_DEFAULT,
    };

    /// Of a connection whose handshake was not seen. With the widest scale, no segment counts as
    /// past its receiver's window.
    pub(crate) const PICKED_UP: Self = Self { scale: WINDOW_SHIFT_MAX, ..Self::UNKNOWN };

    /// The half-stream's first byte has number `first`.
    pub(crate) fn begin(&mut self, first: Seq) {
        self.next_o = first;
        self.next_e = first;
        self.una_e = first;
        self.acked_o = first;
        self.sent_e = first;
        self.set_skip_left(0);
        self.facts.0 &= Facts::WINDOW.0 | Facts::SACK.0 | Facts::SCALE.0 | Facts::STAMPS.0;
        self.note(Facts::KNOWN);
    }

    pub(crate) const fn is(&self, fact: Facts) -> bool {
        self.facts.0 & fact.0 != 0
    }

    pub(crate) fn note(&mut self, fact: Facts) {
        self.facts.0 |= fact.0;
    }

    pub(crate) fn drop_fact(&mut self, fact: Facts) {
        self.facts.0 &= !fact.0;
    }

    pub(crate) const fn buffers_id(&self) -> InFlightId {
        self.buffers
    }

    pub(crate) const fn has_buffers(&self) -> bool {
        self.buffers != NO_BUFFERS
    }

    /// The rest of it needs no inspection, and nothing of it was ever edited: both sides are the
    /// same.
    pub(crate) fn is_transparent(&self) -> bool {
        !self.is(Facts::EDITED)
            && self.skip_left() == u64::MAX
            && !self.has_buffers()
            && !self.is(Facts::DISCARD)
    }

    /// Both sides have the same numbers, and nothing is kept, held or ended.
    pub(crate) fn is_plain(&self) -> bool {
        const OTHERWISE: u16 = Facts::EDITED.0
            | Facts::FIN_SEEN.0
            | Facts::FIN_OUT.0
            | Facts::DISCARD.0
            | Facts::HOLDS_UNIT.0
            | Facts::HOLDS_PARTIAL_MATCH.0
            | Facts::FINISHED.0
            | Facts::BACKLOG.0;
        self.facts.0 & (OTHERWISE | Facts::KNOWN.0) == Facts::KNOWN.0 && !self.has_buffers()
    }

    /// Bytes from `next_o` on that need no inspection; all bits set: the rest of the half-stream.
    pub(crate) fn skip_left(&self) -> u64 {
        let [low, high] = self.skip;
        (u64::from(high) << 32) | u64::from(low)
    }

    pub(crate) fn set_skip_left(&mut self, bytes: u64) {
        let part = |bits: u64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
        self.skip = [part(bytes), part(bytes >> 32)];
    }

    /// `bytes` of them are past.
    pub(crate) fn skip(&mut self, bytes: u64) {
        let left = self.skip_left();
        if left != u64::MAX {
            self.set_skip_left(left.saturating_sub(bytes));
        }
    }

    /// Bytes at the edge that the stage was shown and asked to hold.
    pub(crate) fn shown(&self, stores: &Stores) -> u32 {
        stores.buffers(self.buffers).map_or(0, |buffers| buffers.shown)
    }

    pub(crate) fn note_shown(&self, stores: &mut Stores, bytes: u32, now: Tick) {
        if let Some((buffers, _)) = stores.buffers_mut(self.buffers) {
            buffers.shown = bytes;
            buffers.shown_at = now;
        }
    }

    /// Bytes behind `next` that are passed on as they come.
    pub(crate) fn tail(&self) -> u32 {
        if self.is(Facts::DISCARD) {
            return 0;
        }
        u32::try_from(self.skip_left()).unwrap_or(u32::MAX).min(SKIP_AHEAD_BYTES_MAX)
    }

    /// Where inspection goes on.
    pub(crate) fn edge_o(&self) -> Seq {
        self.next_o.advance(self.tail())
    }

    pub(crate) fn edge_e(&self) -> Seq {
        self.next_e.advance(self.tail())
    }

    /// The receiver may get the FIN: everything before it is decided and was sent.
    pub(crate) fn end_is_due(&self, stores: &Stores) -> bool {
        let known = self.is(Facts::FIN_SEEN) && self.edge_o() == self.fin_o;
        (known || self.is(Facts::FINISHED)) && !self.is(Facts::BACKLOG) && self.held(stores) == 0
    }

    /// Bytes that wait at the edge without a gap.
    pub(crate) fn held(&self, stores: &Stores) -> u32 {
        stores.buffers(self.buffers).map_or(0, |buffers| buffers.waiting.front(self.edge_o()))
    }

    pub(crate) fn to_edited(&self, stores: &Stores, at: Seq) -> Seq {
        if !self.is(Facts::EDITED) {
            return shifted(at, self.next_o, self.next_e);
        }
        stores.buffers(self.buffers).map_or_else(
            || shifted(at, self.next_o, self.next_e),
            |buffers| buffers.map.to_edited(at),
        )
    }

    pub(crate) fn to_original(&self, stores: &Stores, at: Seq) -> Seq {
        if !self.is(Facts::EDITED) {
            return shifted(at, self.next_e, self.next_o);
        }
        stores.buffers(self.buffers).map_or_else(
            || shifted(at, self.next_e, self.next_o),
            |buffers| buffers.map.to_original(at),
        )
    }

    /// The furthest original position that may be acknowledged to the sender. The receiver has
    /// acknowledged the bytes before it, or they were deleted, or they are held: because the
    /// receiver cannot act on a unit without its rest, or, until a deadline, because they may begin
    /// a pattern.
    ///
    /// It never covers the bytes that will release a unit, nor the last byte before an insertion.
    /// So the sender has something outstanding while the receiver lacks something, and its timer
    /// drives the resending. Held bytes that a deadline released are the exception: the proxy
    /// resends them ([`Self::has_proxy_acknowledged`]).
    pub(crate) fn acknowledgeable(&self, stores: &Stores) -> Seq {
        let mut reached = self.to_original(stores, self.una_e);
        if self.is(Facts::FINISHED) && !(self.is(Facts::FIN_SEEN) && self.next_o == self.fin_o) {
            // The receiver has acknowledged an end that the sender has not reached.
            reached = reached.min(self.next_o);
        }
        let holds = self.is(Facts::HOLDS_UNIT) || self.is(Facts::HOLDS_PARTIAL_MATCH);
        if holds && self.una_e == self.edge_e() {
            reached.advance(self.shown(stores))
        } else {
            reached
        }
    }

    /// The receiver has not acknowledged bytes that were acknowledged to the sender, or that a
    /// stage put in, or a FIN that a stage put in. If they are lost, nobody else will resend them.
    pub(crate) fn has_proxy_acknowledged(&self, stores: &Stores) -> bool {
        if !self.is(Facts::EDITED) {
            // The difference is the same everywhere. Bytes past the decided ones are held, and were
            // never sent.
            let told = shifted(self.acked_o, self.next_o, self.next_e).min(self.next_e);
            return self.has_buffers() && self.una_e.is_before(told);
        }
        let bytes = stores
            .buffers(self.buffers)
            .is_some_and(|buffers| self.una_e.is_before(buffers.map.through(self.acked_o)));
        bytes || (self.is(Facts::FINISHED) && !self.una_e.is_after(self.next_e))
    }

    /// When the stage last saw the held bytes, where only a deadline or the sender's next bytes
    /// will release them: no bytes are missing that the sender will resend. A message that is held
    /// for the receiver's answers has no deadline: while they are due, nobody waits for its own
    /// answer.
    pub(crate) fn held_since(&self, stores: &Stores) -> Option<Tick> {
        let held = self.is(Facts::HOLDS_PARTIAL_MATCH)
            || (self.is(Facts::HOLDS_UNIT) && !self.is(Facts::HOLDS_ANSWERS));
        let buffers = stores.buffers(self.buffers).filter(|_| held)?;
        (buffers.shown > 0 && !buffers.waiting.has_gap()).then_some(buffers.shown_at)
    }

    /// Milliseconds it may be held.
    pub(crate) fn hold_ms(&self, stores: &Stores) -> u32 {
        if self.is(Facts::HOLDS_PARTIAL_MATCH) {
            stores.bounds.pattern_hold_ms
        } else {
            stores.bounds.unit_hold_ms
        }
    }

    /// The window field to go with an acknowledgement of `acked_o`, less the bytes that edits have
    /// inserted.
    ///
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6.2.1
    //# A TCP receiver SHOULD NOT shrink the window, i.e., move the right window edge to the left
    /// Held bytes are acknowledged before the receiver has them, so the right edge that the sender
    /// was told is ahead of the receiver's own by as much. It is never taken back: when a sender
    /// fills such a window, the receiver drops the last bytes, and the sender resends them.
    ///
    /// The receiver sends ACK 83306 with a window of 536. One byte is held and acknowledged: the
    /// sender gets ACK 83307 with a window of 536, right edge 83843. Then the receiver is full, and
    /// sends ACK 83842 with a window of 0: the sender gets ACK 83842 with a window of 1.
    pub(crate) fn tell_window(&mut self, stores: &Stores) -> u16 {
        let scale = self.scale.min(WINDOW_SHIFT_MAX);
        let unit = 1_u32 << scale;
        let growth = self.growth(stores);
        let open = self.window_bytes().saturating_sub(growth);
        let real = self.acked_o.advance(open);
        let known = self.is(Facts::TOLD) && !real.is_after(self.told_o);
        let ahead = if known { self.told_o.bytes_after(real) } else { 0 };
        // More than is ever held: the edge is an old one, from when this half-stream was not
        // edited.
        if !known || ahead > WINDOW_AHEAD_BYTES_MAX {
            self.told_o = real;
            self.note(Facts::TOLD);
        } else if ahead >= unit {
            let bytes = self.told_o.bytes_after(self.acked_o);
            return u16::try_from(bytes.div_ceil(unit)).unwrap_or(u16::MAX);
        }
        let grown = u16::try_from(growth >> scale).unwrap_or(u16::MAX);
        if grown == 0 { self.window } else { self.window.saturating_sub(grown).saturating_sub(1) }
    }

    /// The sequence number of a segment without bytes.
    pub(crate) fn place_of_nothing(&self, stores: &Stores, at: Seq) -> Seq {
        let place = if self.is(Facts::FINISHED) && self.is(Facts::FIN_OUT) {
            // Behind the FIN that was put in: a receiver drops a segment before it, and a reset as
            // well.
            self.edge_e().advance(1)
        } else if self.is(Facts::FIN_OUT) && at.is_after(self.fin_o) {
            return shifted(at, self.edge_o(), self.edge_e());
        } else if at.is_before(self.edge_o()) {
            self.to_edited(stores, at)
        } else {
            self.edge_e()
        };
        // A keep-alive is one before the number that was acknowledged to its sender (RFC 9293
        // section 3.8.4). It must be one before the number that the receiver has acknowledged, or
        // the receiver would not answer it.
        if at.is_before(self.acked_o) { place.min(self.una_e.retreat(1)) } else { place }
    }

    /// The receiver has acknowledged edited `at`, which lies between `una_e` and `sent_e`.
    pub(crate) fn acknowledge(&mut self, stores: &mut Stores, at: Seq) {
        self.una_e = at;
        if let Some((buffers, pool)) = stores.buffers_mut(self.buffers) {
            let freed = buffers.map.acknowledge(at);
            buffers.copy.pop(pool, freed);
        }
        // The tail begins where the acknowledged part ends, so that it never falls half a circle
        // behind.
        let into = at.bytes_after(self.next_e).min(self.tail());
        if into > 0 {
            self.next_o = self.next_o.advance(into);
            self.next_e = self.next_e.advance(into);
            self.skip(u64::from(into));
        }
        self.rebase(stores);
    }

    /// Applies an acknowledgement inside the tail again, once the tail has become a piece.
    pub(crate) fn acknowledge_again(&mut self, stores: &mut Stores, at: Seq) {
        if let Some((buffers, pool)) = stores.buffers_mut(self.buffers) {
            let freed = buffers.map.acknowledge(at);
            buffers.copy.pop(pool, freed);
        }
    }

    /// Keeps the map's end at `next`, and releases buffers that have nothing in them.
    pub(crate) fn rebase(&mut self, stores: &mut Stores) {
        let (next_o, next_e, una_e) = (self.next_o, self.next_e, self.una_e);
        let finished = self.is(Facts::FINISHED);
        let Some((buffers, _)) = stores.buffers_mut(self.buffers) else { return };
        if buffers.map.is_empty() {
            // A FIN that was put in is kept until it is acknowledged.
            let ends = finished && !una_e.is_after(next_e);
            if buffers.waiting.is_empty() && !ends {
                self.release(stores);
                return;
            }
            buffers.map.begin(next_o, next_e);
        }
    }

    /// Acquires buffers, if it has none. `false`: there are none left.
    #[must_use]
    pub(crate) fn acquire(&mut self, stores: &mut Stores) -> bool {
        if self.has_buffers() {
            return true;
        }
        match stores.acquire(self.next_o, self.next_e) {
            Some(id) => {
                self.buffers = id;
                true
            }
            None => false,
        }
    }

    /// Releases its buffers and all bytes in them.
    pub(crate) fn release(&mut self, stores: &mut Stores) {
        if self.has_buffers() {
            stores.release(self.buffers);
            self.buffers = NO_BUFFERS;
        }
        self.hold(None);
        self.drop_fact(Facts::BACKLOG);
    }

    /// Notes why the bytes at the edge are held.
    pub(crate) fn hold(&mut self, kind: Option<HoldKind>) {
        self.drop_fact(Facts::HOLDS_UNIT);
        self.drop_fact(Facts::HOLDS_PARTIAL_MATCH);
        self.drop_fact(Facts::HOLDS_ANSWERS);
        match kind {
            None => {}
            Some(HoldKind::Unit) => self.note(Facts::HOLDS_UNIT),
            Some(HoldKind::PartialMatch) => self.note(Facts::HOLDS_PARTIAL_MATCH),
            Some(HoldKind::Answers) => {
                self.note(Facts::HOLDS_UNIT);
                self.note(Facts::HOLDS_ANSWERS);
            }
        }
    }

    /// The receiver's latest window in bytes.
    pub(crate) fn window_bytes(&self) -> u32 {
        u32::from(self.window) << self.scale.min(WINDOW_SHIFT_MAX)
    }

    /// How many bytes more are in flight to the receiver than the sender knows of.
    pub(crate) fn growth(&self, stores: &Stores) -> u32 {
        let Some(buffers) = stores.buffers(self.buffers) else { return 0 };
        let (base_o, base_e) = buffers.map.base();
        self.next_e.bytes_after(base_e).saturating_sub(self.next_o.bytes_after(base_o))
    }
}
