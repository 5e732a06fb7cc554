//! A segment of a connection whose ends have both sent a SYN, or that is older than this process.
//!
//! Holds:     [`Connection::on_synchronized`], in four steps:
//!            [`check`](Connection::on_synchronized) it and apply its acknowledgement,
//!            [`assemble`](Connection::assemble) its bytes, write the
//!            [headers](Outputs::fill_headers) of the segments to send, and
//!            [answer](super::to_sender) its sender.
//! Promises:  the acknowledgement of a segment reaches its receiver even where its bytes do not.
//! Never:     assembles bytes of a segment that its receiver would discard.

use super::stamps::{is_too_old, note_stamps};
use super::{Connection, ConnectionState, enforcing, finish, push_empty, to_sender};
use crate::acked::Acked;
use crate::assembler::{Assembler, PayloadResult};
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::{MSS_MIN, SEGMENT_BYTES_MIN};
use crate::segment::{Outputs, SegmentIn, SegmentOutcome};
use stage::position::len32;
use stage::{Direction, ReverseState, Stage};
use to_sender::ForSender;
use wire::TcpFlags;

/// The flags of a segment that do not go on as they came: the last segment made of it carries them,
/// if any does.
const FLAGS_OF_THE_LAST: TcpFlags = TcpFlags::URG.with(TcpFlags::FIN).with(TcpFlags::PSH);

/// A segment whose acknowledgement is applied.
pub(super) struct Acknowledged<'a> {
    pub(super) segment: &'a SegmentIn<'a>,
    pub(super) acked: Acked,
    /// Its timestamp, for an acknowledgement of it to echo.
    pub(super) echo: Option<u32>,
}

impl Connection {
    /// Handles every segment but a SYN.
    pub(super) fn on_synchronized<S: Stage>(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        stores: &mut Stores,
        stage: &mut S,
        out: &mut Outputs,
    ) -> SegmentOutcome {
        let tcp = &segment.tcp;
        let flags = tcp.flags();
        let enforcing = enforcing(stage, stores);
        let (half, other) = self.pair(direction);
        if is_too_old(half, segment, stores) {
            return SegmentOutcome::TooOld;
        }
        let acceptable = half.accepts_position(segment);
        let echo = note_stamps(half, segment, acceptable);
        let acked = Acked::on_ack(other, acceptable, segment, stores, out);
        if !half.is(Facts::KNOWN) {
            half.begin(tcp.seq());
        }
        if flags.has(TcpFlags::RST) {
            return self.on_reset(direction, enforcing, segment, &acked, stores, out);
        }
        let carries = !segment.payload.is_empty() || flags.has(TcpFlags::FIN);
        if carries && !stores.bounds.offline_capture && other.discards_ack(segment) {
            // The receiver challenges the rest of it, and never gets its bytes.
            let seq = half.place_of_nothing(stores, tcp.seq());
            push_empty(out, seq, &acked, TcpFlags::ACK);
            return SegmentOutcome::Moved;
        }
        note_fin(half, segment);
        let result = self.assemble(direction, segment, acked.news, stores, stage, out);
        if result.close {
            self.close(direction, segment, out, stores);
            return result.outcome;
        }
        let arrived = Acknowledged { segment, acked, echo };
        self.send_assembled(direction, &arrived, &result, stores, out);
        finish(segment, out, result.outcome)
    }

    /// Hands the bytes of a segment to the stage, or its end where no byte comes with it; then the
    /// bytes that were held for answers which may be out. `news`: the segment acknowledges
    /// something.
    #[inline(always)]
    fn assemble<S: Stage>(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        news: bool,
        stores: &mut Stores,
        stage: &mut S,
        out: &mut Outputs,
    ) -> PayloadResult {
        let now = self.seen;
        let (half, other) = self.pair(direction);
        let (start, payload) = (segment.tcp.seq(), segment.payload);
        let mut result = PayloadResult::nothing();
        if half.is_transparent() && !payload.is_empty() {
            let end = half.send_as_it_is(segment, out);
            half.sent_e = half.sent_e.max(half.cut_to_window(end));
        } else if !payload.is_empty() {
            out.chunk = chunk_bytes(half, segment);
            let mut assembler =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            result = assembler.on_payload();
        } else if half.is_ending() && segment.tcp.flags().has(TcpFlags::FIN) {
            out.chunk = chunk_bytes(half, segment);
            let mut assembler =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            result = assembler.on_end();
        }
        let (half, other) = self.pair(direction);
        if half.is(Facts::HOLDS_ANSWERS)
            && news
            && other.reverse_state(stores) != ReverseState::Busy
        {
            out.chunk = chunk_bytes(half, segment);
            let (start, payload) = (half.edge_o(), [].as_slice());
            let mut assembler =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            result = result.then(assembler.ask_again());
        }
        result
    }

    /// Completes what the assembler has sent to the receiver, and sends the segments without bytes:
    /// to the receiver for the acknowledgement, to the sender for its bytes.
    #[inline(always)]
    fn send_assembled(
        &mut self,
        direction: Direction,
        arrived: &Acknowledged<'_>,
        result: &PayloadResult,
        stores: &mut Stores,
        out: &mut Outputs,
    ) {
        let Acknowledged { segment, acked, echo } = *arrived;
        let flags = segment.tcp.flags();
        let (half, other) = self.pair(direction);
        let ended = send_end(half, stores, out, flags);
        out.fill_headers(acked.ack, acked.window, flags.without(FLAGS_OF_THE_LAST));
        out.mark_last(flags.has(TcpFlags::PSH) && out.ends_in_bytes(), ended);
        let empty = segment.payload.is_empty();
        let keep_alive = !empty && half.is_keep_alive(segment) && result.answer;
        // A receiver that has sent nothing but its SYN waits for the acknowledgement of it (RFC
        // 9293 section 3.5).
        let greets = !half.is(Facts::WINDOW);
        if out.list().is_empty() && (empty || keep_alive || acked.news || greets) {
            let quiet = flags.without(FLAGS_OF_THE_LAST);
            let seq = if empty || keep_alive {
                half.place_of_nothing(stores, segment.tcp.seq())
            } else {
                half.sent_end()
            };
            push_empty(out, seq, &acked, quiet);
            if keep_alive && half.held(stores) > 0 {
                // The receiver drops that segment and its acknowledgement; the bytes that carried
                // the acknowledgement are held here.
                push_empty(out, half.sent_end(), &acked, quiet);
            }
        }
        let due = result.answer && !keep_alive && !out.has_bytes();
        let what = ForSender { due, ahead: result.ahead, echo };
        to_sender::send_back(half, other, stores, out, what);
        self.note_end(stores);
    }

    /// Notes that both ends have sent and acknowledged everything.
    fn note_end(&mut self, stores: &Stores) {
        let over = |half: &Half| half.is(Facts::FIN_OUT) && half.una_e.is_after(half.edge_e());
        let [server, client] = &self.halves;
        if self.state == ConnectionState::Open
            && over(server)
            && over(client)
            && server.held(stores) == 0
            && client.held(stores) == 0
        {
            self.state = ConnectionState::Closing;
        }
    }
}

/// Notes where the half-stream ends.
fn note_fin(half: &mut Half, segment: &SegmentIn<'_>) {
    if !segment.tcp.flags().has(TcpFlags::FIN) || half.is(Facts::FIN_SEEN) {
        return;
    }
    let end = segment.tcp.seq().advance(len32(segment.payload.len()));
    if !half.accepts_end(end) {
        return;
    }
    half.fin_o = end;
    half.note(Facts::FIN_SEEN);
    if !half.is(Facts::DISCARD) {
        half.set_skip_left(half.skip_left().min(u64::from(end.bytes_after(half.next_o))));
    }
}

/// Puts the end behind the last output, or makes an output of it. `true`: the last output carries
/// FIN.
pub(super) fn send_end(
    half: &mut Half,
    stores: &Stores,
    out: &mut Outputs,
    flags: TcpFlags,
) -> bool {
    if !half.end_is_due(stores) {
        return false;
    }
    let again = flags.has(TcpFlags::FIN) || out.has_bytes();
    if half.is(Facts::FIN_OUT) && !again {
        return false;
    }
    let end = half.edge_e();
    let reaches = out.list().last().is_some_and(|last| last.seq.advance(last.payload.len()) == end);
    if !reaches {
        if half.is(Facts::FIN_OUT) && !flags.has(TcpFlags::FIN) {
            return false;
        }
        // Where the outputs are full, the sender sends its end again; the last output ends
        // somewhere before it.
        if !out.push_end(end) {
            return false;
        }
    }
    half.note(Facts::FIN_OUT);
    half.sent_e = half.sent_e.max(end.advance(1));
    true
}

/// The longest payload of a segment made here: the MSS of the receiver without the options, and no
/// longer than the segments of this sender, which may know of a narrower path.
fn chunk_bytes(half: &Half, segment: &SegmentIn<'_>) -> u32 {
    let options = len32(segment.tcp.option_bytes().len());
    let room = u32::from(half.mss).saturating_sub(options).max(u32::from(MSS_MIN));
    room.min(len32(segment.payload.len()).max(SEGMENT_BYTES_MIN))
}
