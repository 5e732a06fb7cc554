//! Would the receiver of this segment accept it?
//!
//! Holds:     every clause of TCP that answers this question, one function a clause, with the
//!            section of its RFC.
//! Promises:  whoever asks gets the same answer. A segment that its receiver would discard is not
//!            taken for the first copy of its bytes, ends no connection, and acknowledges nothing.
//! Never:     changes a half-stream, or sends.
//!
//! | question | RFC | asked by |
//! |---|---|---|
//! | [`has_valid_flags`] | 9293 §3.10.7, 2385 §2.0 | every segment |
//! | [`opens_connection`] | 9293 §3.6.1 | a segment of no connection, or of one that is over |
//! | [`may_be_picked_up`] | 9293 §3.10.7.2 | a segment of no connection |
//! | [`Half::challenges_syn`] | 9293 §3.10.7.4, 5961 §4 | a SYN |
//! | [`in_syn_sent`] | 9293 §3.10.7.3 | a segment before the SYN is answered |
//! | [`Half::accepts_position`] | 9293 §3.10.7.4 | every segment behind the handshake |
//! | [`Half::check_stamp`] | 7323 §5.3 | a segment with bytes or FIN |
//! | [`Half::accepts_reset`] | 5961 §3.2 | a RST |
//! | [`Half::accepts_ack`] | 9293 §3.10.7.4 | an acknowledgement |
//! | [`Half::discards_ack`] | 5961 §5.2 | a segment with bytes or FIN |
//! | [`Half::accepts_end`] | 9293 §3.10.7.4 | a FIN |
//! | [`Half::is_keep_alive`] | 9293 §3.8.4 | a segment with one byte, or none |
//! | [`Half::window_room`], [`Half::is_within_window`] | 9293 §3.8.6 | bytes to send |
//!
//! A half-stream knows its receiver's window only from the receiver's acknowledgements, and one of
//! them may have been lost on its way here. The checks therefore allow a little more than the RFCs:
//! [`WAITING_BYTES_MAX`], the most that is held.

use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::{FIN_AHEAD_BYTES_MAX, OLD_ACK_BYTES, STAMP_LEEWAY, WAITING_BYTES_MAX};
use crate::options;
use crate::segment::SegmentIn;
use crate::seq_map::shifted;
use stage::position::len32;
use wire::{Seq, TcpFlags};

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7
//= https://www.rfc-editor.org/rfc/rfc2385#section-2.0
//# A failing comparison must result in the segment being dropped
/// Its flags make sense together: no state of a connection accepts SYN with FIN or RST, or neither
/// of SYN, ACK and RST. And it has no signature that nobody agreed to: hosts that know the option
/// drop such a segment, others accept it. (Nobody asks about the segments of a connection whose
/// ends have agreed on signatures.)
#[inline]
pub(crate) fn has_valid_flags(segment: &SegmentIn<'_>) -> bool {
    let flags = segment.tcp.flags();
    let is_syn = flags.has(TcpFlags::SYN);
    let contradicts = is_syn && flags.has_any(TcpFlags::FIN.with(TcpFlags::RST));
    let is_mute = !flags.has_any(TcpFlags::SYN.with(TcpFlags::ACK).with(TcpFlags::RST));
    !contradicts && !is_mute && (is_syn || !options::is_signed(segment.tcp.option_bytes()))
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.2
//# Third, check for a SYN: If the SYN bit is set, check the security.
//= https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1
//# it MAY accept a new SYN from the remote endpoint to reopen the connection directly from the
//# TIME-WAIT state
/// It opens a connection: its receiver listens, or an earlier connection between the ports is over.
pub fn opens_connection(segment: &SegmentIn<'_>) -> bool {
    let flags = segment.tcp.flags();
    flags.has(TcpFlags::SYN)
        && !flags.has_any(TcpFlags::ACK.with(TcpFlags::RST).with(TcpFlags::FIN))
}

/// It may belong to a connection that is older than this process, and that goes on: both ends have
/// sent a SYN, and this segment ends nothing.
pub fn may_be_picked_up(segment: &SegmentIn<'_>) -> bool {
    let flags = segment.tcp.flags();
    flags.has(TcpFlags::ACK)
        && !flags.has_any(TcpFlags::SYN.with(TcpFlags::RST).with(TcpFlags::FIN))
}

/// What a receiver in SYN-SENT does with a segment that is no SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InSynSent {
    /// It is a reset that its receiver accepts.
    Resets,
    /// Its receiver does not accept it, but answers it: it goes on, and changes nothing.
    IsAnswered,
    /// Its receiver discards it.
    IsDiscarded,
}

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
//# If neither of the SYN or RST bits is set, then drop the segment and return.
/// A segment that is no SYN, while only one end has sent its SYN. `half` is the segment's, `other`
/// has its acknowledgement.
///
/// An acknowledgement may be the challenge of an end that already has a connection. The end that
/// asked for another answers it with a reset, so it goes on.
///
/// A SYN is 99, and 100 "decoy" comes before the answer: as its first bytes they would contradict
/// the SYN that the server does answer.
pub(crate) fn in_syn_sent(half: &Half, other: &Half, segment: &SegmentIn<'_>) -> InSynSent {
    let (tcp, flags) = (&segment.tcp, segment.tcp.flags());
    if flags.has(TcpFlags::RST) {
        // A reset that acknowledges another SYN than the one that was sent is not accepted.
        let acknowledges_syn = flags.has(TcpFlags::ACK) && tcp.ack() == other.sent_e;
        let accepted = half.is(Facts::KNOWN) || acknowledges_syn;
        return if accepted { InSynSent::Resets } else { InSynSent::IsAnswered };
    }
    let carries = flags.has(TcpFlags::FIN) || !segment.payload.is_empty();
    if half.is(Facts::KNOWN) || carries { InSynSent::IsDiscarded } else { InSynSent::IsAnswered }
}

/// What [`Half::check_stamp`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StampCheck {
    /// The receiver discards the segment.
    TooOld,
    /// The receiver accepts the segment, and TS.Recent becomes this value.
    Newest(u32),
    /// The receiver accepts the segment, and TS.Recent stays.
    Fine,
}

impl Half {
    /// The last position that its receiver may accept: the right edge of its window, or the end of
    /// the bytes that were sent to it.
    #[inline]
    fn reach_e(&self) -> Seq {
        self.right_e.max(self.sent_e)
    }

    //= https://www.rfc-editor.org/rfc/rfc5961#section-4
    //# If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (challenge
    //# ACK)
    /// A SYN whose first byte would be `first`, while the connection opens: its receiver has
    /// answered another SYN, and challenges this one. (Where the connection is open, the receiver
    /// challenges every SYN.)
    pub(crate) fn challenges_syn(&self, other: &Self, first: Seq) -> bool {
        let answered = self.is(Facts::KNOWN) && other.is(Facts::KNOWN);
        // Nothing was acknowledged, or nothing was sent.
        let begins_there = self.una_e == first || self.next_o == first;
        answered && !begins_there
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# If an incoming segment is not acceptable, an acknowledgment should be sent in reply ...
    //# After sending the acknowledgment, drop the unacceptable segment and return.
    /// Its receiver does not discard the segment for its sequence number. It ends no earlier than
    /// what was acknowledged to its sender, and begins no later than the receiver's window allows.
    /// A keep-alive, one byte before, is acceptable.
    ///
    /// Acknowledged 5000, window up to 9000: 4999 with no byte is acceptable, 4990 with nine is
    /// not; 9000 is, 9001 is not (but for the bytes that may be held, which the sender was told of
    /// before its receiver).
    #[inline]
    pub(crate) fn accepts_position(&self, segment: &SegmentIn<'_>) -> bool {
        if !self.is(Facts::KNOWN) || !self.is(Facts::WINDOW) {
            return true;
        }
        let seq = segment.tcp.seq();
        let end = seq.advance(len32(segment.payload.len()));
        let last = self.reach_e().advance(WAITING_BYTES_MAX);
        let at = shifted(seq, self.next_o, self.next_e);
        !end.is_before(self.acked_o.retreat(1)) && !at.is_after(last)
    }

    //= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
    //# If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent, TS.Recent is
    //# valid (see later discussion), and if the RST bit is not set, then treat the arriving segment
    //# as not acceptable
    //= https://www.rfc-editor.org/rfc/rfc7323#section-4.3
    //# If SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent, then SEG.TSval is copied to
    //# TS.Recent
    /// Protection against wrapped sequence numbers, for bytes that are to be inspected: the
    /// receiver discards a segment with an old timestamp, and its bytes would be kept here as the
    /// first copy. One tick of leeway is what Linux gives.
    ///
    /// TS.Recent 700: a segment of 699 is accepted, one of 698 is dropped. Across the wrap, 2 is
    /// later than 0xffff_fffe by 4. The timestamp of a SYN counts only against bytes ahead of a
    /// gap. A SYN proxy stamps by another clock than the server behind it, and bytes in order are
    /// the first copy whatever their timestamp.
    pub(crate) fn check_stamp(&self, segment: &SegmentIn<'_>, stores: &Stores) -> StampCheck {
        let flags = segment.tcp.flags();
        let carries = flags.has(TcpFlags::FIN) || !segment.payload.is_empty();
        // The handshake's last acknowledgement has the clock of what follows: a FIN with an older
        // timestamp is none.
        let begins = !self.is(Facts::RECENT) && self.is(Facts::KNOWN);
        if !(carries || begins) || flags.has(TcpFlags::RST) || self.tail() > 0 {
            return StampCheck::Fine;
        }
        let Some(value) = options::stamp_of(segment) else { return StampCheck::Fine };
        let later = value.wrapping_sub(self.recent).cast_signed();
        let in_order = !segment.tcp.seq().is_after(self.edge_o().advance(self.held(stores)));
        let counts = self.is(Facts::RECENT) || (self.recent != 0 && !in_order);
        if counts && later < -STAMP_LEEWAY {
            StampCheck::TooOld
        } else if in_order && (later > 0 || !self.is(Facts::RECENT)) {
            StampCheck::Newest(value)
        } else {
            StampCheck::Fine
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc5961#section-3.2
    //# If the RST bit is set and the sequence number does not exactly match the next expected
    //# sequence value, yet is within the current receive window, TCP MUST send an acknowledgment
    //# (challenge ACK).
    /// Its receiver accepts a RST at edited `seq`. Which number the receiver expects is not known
    /// exactly: it is one of those from what it acknowledged last to what was sent last.
    pub(crate) fn accepts_reset(&self, seq: Seq) -> bool {
        !seq.is_before(self.una_e) && !seq.is_after(self.sent_e)
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the
    //# segment, and return.
    /// The furthest edited position that its receiver can acknowledge: no further than was sent,
    /// and no further than the receiver's window allowed.
    fn last_ack_e(&self) -> Seq {
        let end = self.edge_e().advance(u32::from(self.is(Facts::FIN_OUT)));
        if !self.is(Facts::WINDOW) {
            return end;
        }
        end.min(self.reach_e().advance(WAITING_BYTES_MAX))
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# If SND.UNA < SEG.ACK =< SND.NXT, then set SND.UNA <- SEG.ACK.
    /// The sender accepts an acknowledgement of edited `ack` as the latest.
    pub(crate) fn accepts_ack(&self, ack: Seq) -> bool {
        !ack.is_before(self.una_e) && !ack.is_after(self.last_ack_e())
    }

    //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
    //# The ACK value is considered acceptable only if it is in the range of ((SND.UNA -
    //# MAX.SND.WND) <= SEG.ACK <= SND.NXT).  All incoming segments whose ACK value doesn't satisfy
    //# the above condition MUST be discarded and an ACK sent back.
    /// The sender of this half-stream discards the segment, whatever it carries, because it
    /// acknowledges bytes that were never sent, or a position that is older than a window.
    ///
    /// Acknowledged 9000, sent up to 9500, window 64 KiB: 9600 is discarded, and so is everything
    /// before 9000 - 65,535. 8000 is merely late. With a window of 1 MiB, an acknowledgement may be
    /// late by as much: on a fast path many segments overtake it.
    pub(crate) fn discards_ack(&self, segment: &SegmentIn<'_>) -> bool {
        if !segment.tcp.flags().has(TcpFlags::ACK) || !self.is(Facts::KNOWN) {
            return false;
        }
        let ack = segment.tcp.ack();
        ack.is_after(self.last_ack_e().max(self.sent_e))
            || ack.is_before(self.una_e.retreat(self.window_bytes().max(OLD_ACK_BYTES)))
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# Eighth, check the FIN bit
    /// The half-stream may end at original `end`: not before bytes that were decided or
    /// acknowledged, and not past everything that its receiver's window allows. Such a FIN is
    /// forged, or its receiver does not accept it yet.
    pub(crate) fn accepts_end(&self, end: Seq) -> bool {
        if end.is_before(self.next_o) || end.is_before(self.acked_o) {
            return false;
        }
        let end_e = self.next_e.advance(end.bytes_after(self.next_o));
        let last = self.reach_e().max(self.next_e).advance(FIN_AHEAD_BYTES_MAX);
        !self.is(Facts::WINDOW) || !end_e.is_after(last)
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.4
    //# SEG.SEQ = SND.NXT-1 and may or may not contain one garbage octet of data.
    /// It is one before the number that was acknowledged to its sender, and carries at most one
    /// byte: its receiver answers it.
    pub(crate) fn is_keep_alive(&self, segment: &SegmentIn<'_>) -> bool {
        segment.payload.len() <= 1 && segment.tcp.seq() == self.acked_o.retreat(1)
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.8.6
    //# The window sent in each segment indicates the range of sequence numbers the sender of the
    //# window (the data receiver) is currently prepared to accept.
    /// How many of `bytes` bytes from edited `from` on the receiver's window has room for.
    pub(crate) fn window_room(&self, from: Seq, bytes: u32) -> u32 {
        if self.is(Facts::WINDOW) { self.right_e.bytes_after(from).min(bytes) } else { bytes }
    }

    /// The receiver's window has room for bytes that end at edited `end`. Bytes that are not
    /// inspected may be forged past it; the receiver discards those, and they do not count as sent.
    pub(crate) fn is_within_window(&self, end: Seq) -> bool {
        !self.is(Facts::WINDOW) || !end.is_after(self.reach_e())
    }

    /// Edited `end`, or the edge of what the receiver may accept where that is nearer.
    pub(crate) fn cut_to_window(&self, end: Seq) -> Seq {
        end.min(self.reach_e())
    }
}

#[cfg(test)]
mod tests;
