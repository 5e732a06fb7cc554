//! Resets: which are accepted, the segments that go out for them, and answers to late segments.
//!
//! Holds:     [`Connection::reset`], [`Connection::on_reset`], [`Connection::answer_dead`],
//!            [`reset_untracked`].
//! Promises:  when a RST is accepted here, one goes out at every sequence number that the receiver
//!            may expect, and the connection is over.
//! Never:     accepts a RST at another number than those (RFC 5961 section 3).

use super::{Connection, ConnectionState, finish, push_empty};
use crate::Tick;
use crate::acked::Acked;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::segment::{Output, Outputs, Payload, SegmentIn, SegmentOutcome, To};
use stage::Direction;
use stage::position::len32;
use wire::{Seq, TcpFlags};

impl Connection {
    /// Ends the connection: `out` has resets to both ends, those of [`To::Receiver`] in
    /// `direction`. Each is at a number that its receiver may expect; it would challenge any other
    /// (RFC 5961 section 3). From `now` on, late segments are answered.
    pub fn reset(
        &mut self,
        direction: Direction,
        now: Tick,
        stores: &mut Stores,
        out: &mut Outputs,
    ) {
        out.clear();
        self.seen = now;
        self.release(stores);
        self.state = ConnectionState::Dead;
        let (half, other) = self.pair(direction);
        let flags = TcpFlags::RST.with(TcpFlags::ACK);
        for (to, half, other) in [(To::Receiver, &*half, &*other), (To::Sender, &*other, &*half)] {
            for seq in half.expected() {
                let (ack, payload) = (other.sent_e, Payload::None);
                out.push(Output { to, seq, ack, flags, window: 0, payload });
            }
        }
    }

    /// Handles a RST that an end sent. Where `enforcing`, one that is accepted ends the connection.
    pub(super) fn on_reset(
        &mut self,
        direction: Direction,
        enforcing: bool,
        segment: &SegmentIn<'_>,
        acked: &Acked,
        stores: &mut Stores,
        out: &mut Outputs,
    ) -> SegmentOutcome {
        let (half, _) = self.pair(direction);
        let seq = place_of_reset(half, stores, segment.tcp.seq());
        let flags = segment.tcp.flags().without(TcpFlags::URG);
        let accepted = half.accepts_reset(seq);
        if !accepted || !enforcing {
            push_empty(out, seq, acked, flags);
            if accepted {
                self.state = ConnectionState::Closing;
            }
            return finish(segment, out, SegmentOutcome::Moved);
        }
        // The receiver must accept what is accepted here. It expects the number that it
        // acknowledged last, or the one that was sent last; whatever else it sends is answered.
        let ack = if flags.has(TcpFlags::ACK) { acked.ack } else { Seq::new(0) };
        for seq in half.expected() {
            push_empty(out, seq, &Acked { ack, ..*acked }, flags);
        }
        self.release(stores);
        self.state = ConnectionState::Dead;
        finish(segment, out, SegmentOutcome::Moved)
    }

    /// Resets both ends. [`Self::answer_dead`] answers what still comes.
    pub(super) fn close(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        out: &mut Outputs,
        stores: &mut Stores,
    ) {
        self.reset(direction, self.seen, stores, out);
        let tcp = &segment.tcp;
        let ack = tcp.seq().advance(len32(segment.payload.len()));
        for output in out.list_mut().iter_mut().filter(|output| output.to == To::Sender) {
            output.ack = ack;
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.1
        //# <SEQ=SEG.ACK><CTL=RST>
        if tcp.flags().has(TcpFlags::ACK) {
            let (seq, flags) = (tcp.ack(), TcpFlags::RST.with(TcpFlags::ACK));
            let is_same = |output: &Output| output.to == To::Sender && output.seq == seq;
            if !out.list().iter().any(is_same) {
                let payload = Payload::None;
                out.push(Output { to: To::Sender, seq, ack, flags, window: 0, payload });
            }
        }
    }

    /// Answers a segment of a connection that was reset with a reset; a reset itself is not
    /// answered.
    pub(super) fn answer_dead(&self, segment: &SegmentIn<'_>, out: &mut Outputs) -> SegmentOutcome {
        let flags = segment.tcp.flags();
        if flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST) {
            out.push(Output {
                to: To::Sender,
                seq: segment.tcp.ack(),
                ack: Seq::new(0),
                flags: TcpFlags::RST,
                window: 0,
                payload: Payload::None,
            });
        }
        SegmentOutcome::Dead
    }
}

impl Half {
    /// The sequence numbers that the receiver may expect next, as far as is known here.
    ///
    /// Acknowledged 100, sent up to 400 into a window of 0: the receiver expects 100, and a reset
    /// at 400 is past its window.
    fn expected(&self) -> impl Iterator<Item = Seq> + use<> {
        let behind = (self.una_e != self.sent_e).then_some(self.una_e);
        behind.into_iter().chain([self.sent_e])
    }
}

/// The edited sequence number of a reset at original `at`. A reset past everything that its sender
/// can have sent stays as far past the number that its receiver expects. Moved to that number, a
/// blind reset would be accepted (RFC 5961 section 3).
///
/// Decided up to 5000, which left here as 4986, and 20 bytes more are held. Resets at 5000 to 5020
/// go on at 4986, one at 5021 at 5007.
fn place_of_reset(half: &Half, stores: &Stores, at: Seq) -> Seq {
    let edge = half.edge_o();
    let ended = half.is(Facts::FINISHED) || half.is(Facts::FIN_OUT);
    if ended || !at.is_after(edge.advance(half.held(stores))) {
        half.place_of_nothing(stores, at)
    } else {
        half.edge_e().advance(at.bytes_after(edge))
    }
}

/// Resets both ends of a connection that is not tracked, in answer to a segment of it.
pub fn reset_untracked(segment: &SegmentIn<'_>, out: &mut Outputs) {
    out.clear();
    let (tcp, payload) = (&segment.tcp, Payload::None);
    let fin = u32::from(tcp.flags().has(TcpFlags::FIN));
    let end = tcp.seq().advance(len32(segment.payload.len())).advance(fin);
    let flags = TcpFlags::RST.with(TcpFlags::ACK);
    out.push(Output {
        to: To::Receiver,
        seq: tcp.seq(),
        ack: tcp.ack(),
        flags,
        window: 0,
        payload,
    });
    out.push(Output { to: To::Sender, seq: tcp.ack(), ack: end, flags, window: 0, payload });
}
