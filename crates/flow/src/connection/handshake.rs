//! SYN: first numbers, the options of both ends, and segments that come before the handshake is
//! over.
//!
//! Holds:     [`Connection::on_syn`] and [`Connection::on_early`].
//! Promises:  no data of a SYN goes on; an offer of multipath is taken out; a connection whose
//!            server signs its segments passes as it is.
//! Never:     changes an open connection for a SYN.

use super::stamps::{note_first_stamp, note_stamps};
use super::{Connection, ConnectionState, pass};
use crate::acceptance::{InSynSent, in_syn_sent};
use crate::half::{Facts, Half, WINDOW_SHIFT_MAX};
use crate::in_flight::Stores;
use crate::limits::{MSS_DEFAULT, MSS_MIN};
use crate::options::{self, SynOptions, Timestamps};
use crate::segment::{Output, Outputs, Payload, SegmentIn, SegmentOutcome, To};
use stage::Direction;
use wire::TcpFlags;

impl Connection {
    /// Handles a SYN: its number, its options, and none of its data.
    pub(super) fn on_syn(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        stores: &mut Stores,
        out: &mut Outputs,
    ) -> SegmentOutcome {
        let tcp = &segment.tcp;
        let first = tcp.seq().advance(1);
        let answers = tcp.flags().has(TcpFlags::ACK);
        if self.state == ConnectionState::Open {
            return self.on_stray_syn(direction, segment, stores, out);
        }
        let opening = self.state == ConnectionState::Opening && !answers;
        let (half, other) = self.pair(direction);
        if opening && half.challenges_syn(other, first) {
            return self.on_stray_syn(direction, segment, stores, out);
        }
        // The ports are used again (RFC 9293 section 3.6.1).
        if self.state == ConnectionState::Closing && !answers {
            self.release(stores);
            self.halves = [Half::UNKNOWN; 2];
            self.state = ConnectionState::Opening;
        }
        let (found, without) = options::of_a_syn(tcp.option_bytes());
        // The segments are signed only where the server signs its SYN, too. A server without a key
        // drops the client's SYN (or does not know the option), and its connection would go on
        // unpatched.
        if found.signed && direction == Direction::Response {
            self.state = ConnectionState::Signed;
            pass(segment, out);
            return SegmentOutcome::Signed;
        }
        let (half, other) = self.pair(direction);
        // The first data may be acknowledged here while this timestamp is the only one of its
        // receiver.
        half.drop_fact(Facts::STAMPS);
        note_stamps(half, segment, true);
        if !half.is(Facts::KNOWN) || (half.next_o != first && half.una_e == half.sent_e) {
            half.begin(first);
        }
        note_first_stamp(half, segment);
        if answers && other.next_o != tcp.ack() && other.sent_e == other.next_e {
            // The answer settles which of several SYNs counts.
            other.begin(tcp.ack());
        }
        learn(half, other, found, answers, tcp.window());
        pass(segment, out);
        out.onward_options = without;
        let stripped = !segment.payload.is_empty();
        for output in out.list_mut() {
            output.payload = Payload::None;
        }
        if stripped {
            // Its sender resends the data behind the handshake, where it is inspected. RFC 7413
            // section 4.2.2 lets a server accept none.
            SegmentOutcome::SynDataStripped
        } else if out.onward_options.is_some() {
            SegmentOutcome::Moved
        } else {
            SegmentOutcome::Untouched
        }
    }

    /// Handles a segment that is no SYN while only one end has sent its SYN. `None`: it is a reset
    /// that its receiver accepts.
    pub(super) fn on_early(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        out: &mut Outputs,
    ) -> Option<SegmentOutcome> {
        let (half, other) = self.pair(direction);
        match in_syn_sent(half, other, segment) {
            InSynSent::Resets => None,
            InSynSent::IsDiscarded => Some(SegmentOutcome::Early),
            InSynSent::IsAnswered => {
                pass(segment, out);
                Some(SegmentOutcome::Untouched)
            }
        }
    }

    /// Handles a SYN that its receiver challenges: nothing changes here.
    fn on_stray_syn(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        stores: &Stores,
        out: &mut Outputs,
    ) -> SegmentOutcome {
        let (half, other) = self.pair(direction);
        let ack = other.to_original(stores, segment.tcp.ack());
        pass(segment, out);
        for output in out.list_mut() {
            output.payload = Payload::None;
            if segment.tcp.flags().has(TcpFlags::ACK) {
                output.ack = ack;
            }
        }
        let first = segment.tcp.seq().advance(1);
        let again = segment.tcp.flags().has(TcpFlags::ACK) && half.una_e == first;
        if again && other.is(Facts::KNOWN) {
            // Its sender lacks the handshake's last acknowledgement, and challenges everything
            // else. The bytes that brought the acknowledgement again may be held and acknowledged
            // here: then nobody else would repeat it.
            let stamps = note_stamps(half, segment, true)
                .map(|echo| Timestamps { value: other.stamp, echo });
            out.back_options = options::of_an_ack(stamps, None);
            out.push(Output {
                to: To::Sender,
                seq: other.sent_e,
                ack: first,
                flags: TcpFlags::ACK,
                window: half.window,
                payload: Payload::None,
            });
        }
        if segment.payload.is_empty() {
            SegmentOutcome::Moved
        } else {
            SegmentOutcome::SynDataStripped
        }
    }
}

/// Notes the options and the window of a SYN. `answers`: it carries ACK.
fn learn(half: &mut Half, other: &mut Half, found: SynOptions, answers: bool, window: u16) {
    if found.sack {
        half.note(Facts::SACK);
    }
    if found.scale.is_some() {
        half.note(Facts::SCALE);
    }
    // The sender of this SYN receives the other half.
    other.mss = found.mss.unwrap_or(MSS_DEFAULT).max(MSS_MIN);
    other.scale = found.scale.unwrap_or(0);
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
    //# Both sides MUST send Window Scale options in their <SYN> segments to enable window scaling
    if answers && !(half.is(Facts::SCALE) && other.is(Facts::SCALE)) {
        half.scale = 0;
        other.scale = 0;
    }
    // The window of a SYN is never scaled.
    other.window = window >> other.scale.min(WINDOW_SHIFT_MAX);
}
