//! SYN: first numbers, what the two ends agree on, and what comes before they have.
//!
//! Holds:     [`Connection::on_syn`] and [`Connection::on_early`].
//! Promises:  no data of a SYN goes on; an offer of multipath is taken out; a connection that its server signs is left alone.
//! Never:     believes a SYN in the middle of a connection.

use super::stamps::{note_first_stamp, note_stamps};
use super::{Connection, ConnectionState, pass};
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::options::{self, SynOptions};
use crate::segment::{Output, Outputs, Payload, SegmentIn, SegmentOutcome, To};
use stage::Direction;
use wire::{Seq, TcpFlags};

impl Connection {
    /// The handshake: first numbers, options, and no data.
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
        let answered = half.is(Facts::KNOWN) && other.is(Facts::KNOWN);
        if opening && answered && !half.began_at(first) {
            // Its receiver has answered another SYN, and challenges this one.
            return self.on_stray_syn(direction, segment, stores, out);
        }
        // The ports are used again (RFC 9293 section 3.6.1).
        if self.state == ConnectionState::Closing && !answers {
            self.release(stores);
            self.halves = [Half::UNKNOWN; 2];
            self.state = ConnectionState::Opening;
        }
        let (found, without) = options::of_a_syn(tcp.option_bytes());
        // Who asks for signatures is not believed before the server signs, too: a server that was not told a key drops the SYN (or
        // does not know the option), and its connection would go on unpatched.
        if found.signed && direction == Direction::Response {
            self.state = ConnectionState::Signed;
            pass(segment, out);
            return SegmentOutcome::Signed;
        }
        let (half, other) = self.pair(direction);
        // The first data may be acknowledged here, before its receiver has stamped anything but this.
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
            // Its sender resends them behind the handshake, where they are inspected (RFC 7413 section 4.2.2 lets a
            // server take none).
            SegmentOutcome::SynDataStripped
        } else if out.onward_options.is_some() {
            SegmentOutcome::Moved
        } else {
            SegmentOutcome::Untouched
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.3
    //# If neither of the SYN or RST bits is set, then drop the segment and return.
    /// What is no SYN, while one end only has sent its own: nobody takes bytes of it, so they are not what was said first. An
    /// acknowledgement may be a challenge by an end that has a connection already: who asked for another answers it with a
    /// reset. `None`: a reset that counts.
    ///
    /// 99 SYN, and 100 "decoy" before the answer: were it believed, the SYN that the server does answer would not say where
    /// its stream begins.
    pub(super) fn on_early(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        out: &mut Outputs,
    ) -> Option<SegmentOutcome> {
        let (half, other) = self.pair(direction);
        let (tcp, flags) = (&segment.tcp, segment.tcp.flags());
        if flags.has(TcpFlags::RST) {
            // One that acknowledges another SYN than the one that was sent is not believed.
            let answers = flags.has(TcpFlags::ACK) && tcp.ack() == other.sent_e;
            if half.is(Facts::KNOWN) || answers {
                return None;
            }
        } else if half.is(Facts::KNOWN) || flags.has(TcpFlags::FIN) || !segment.payload.is_empty() {
            return Some(SegmentOutcome::Early);
        }
        pass(segment, out);
        Some(SegmentOutcome::Untouched)
    }

    //= https://www.rfc-editor.org/rfc/rfc5961#section-4
    //# If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (challenge ACK)
    /// A SYN in the middle of a connection: its receiver challenges it, and nothing changes here.
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
            // Its sender lacks the handshake's last acknowledgement, whatever else it may have said (it challenges what it does not
            // take), and the bytes that brought it again may be held here and acknowledged: nobody else would say it again.
            let stamps = note_stamps(half, segment, true).map(|echo| (other.stamp, echo));
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

impl Half {
    /// Its first byte has, or may have had, this number: nothing of it was acknowledged yet, or nothing was said.
    fn began_at(&self, first: Seq) -> bool {
        self.una_e == first || self.next_o == first
    }
}

/// What a SYN (`answers`: with ACK) says about both halves.
fn learn(half: &mut Half, other: &mut Half, found: SynOptions, answers: bool, window: u16) {
    if found.sack {
        half.note(Facts::SACK);
    }
    if found.scale.is_some() {
        half.note(Facts::SCALE);
    }
    // The sender of this receives the other half.
    other.mss = found.mss.unwrap_or(536).max(64);
    other.scale = found.scale.unwrap_or(0);
    //= https://www.rfc-editor.org/rfc/rfc7323#section-2.2
    //# Both sides MUST send Window Scale options in their <SYN> segments to enable window scaling
    if answers && !(half.is(Facts::SCALE) && other.is(Facts::SCALE)) {
        half.scale = 0;
        other.scale = 0;
    }
    // The window of a SYN is never scaled.
    other.window = window >> other.scale.min(14);
}
