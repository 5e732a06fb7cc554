//! One connection: both halves, the handshake, the end, and the function that takes a segment.
//!
//! Holds:     two [`Half`]s and the state of the connection.
//! Promises:  every segment has an [`SegmentOutcome`]; a connection whose numbers were moved is never let go silently.
//! Never:     believes a segment's flags further than its state: a stray SYN or RST does not end the bookkeeping.

use crate::Tick;
use crate::acked::Acked;
use crate::assembler::{Assembler, PayloadResult};
use crate::blocks::len32;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::{DEAD_IDLE_MS, HALF_OPEN_MS, SEGMENT_BYTES_MIN, TRANSITORY_IDLE_MS};
use crate::options;
use crate::segment::{Output, Outputs, Payload, SegmentIn, SegmentOutcome, To};
pub use reset::reset_untracked;
use stage::{Direction, ReverseState, Stage};
use stamps::{is_too_old, note_stamps};
use wire::{Seq, TcpFlags};

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// A SYN was seen.
    Opening,
    /// It was there before this box, and one end at most has spoken since.
    PickedUp,
    /// Both ends have spoken.
    Open,
    /// The end of both halves was seen (or a reset, where nothing is enforced); stragglers are still translated.
    Closing,
    /// It was reset, by an end or from here; whatever still comes is answered with a reset.
    Dead,
    /// Its segments are signed: it passes as it is.
    Signed,
}

/// A tracked connection. Everything it needs only while bytes are in flight is in the [`Stores`].
#[derive(Debug)]
pub struct Connection {
    halves: [Half; 2],
    seen: Tick,
    state: ConnectionState,
}

impl Connection {
    /// One of which nothing was seen yet.
    pub const fn new(now: Tick) -> Self {
        Self { halves: [Half::UNKNOWN; 2], seen: now, state: ConnectionState::Opening }
    }

    /// One that was there before this box: its numbers are those of the first segment each way, and what its ends agreed on is
    /// not known.
    pub const fn picked_up(now: Tick) -> Self {
        Self { halves: [Half::PICKED_UP; 2], seen: now, state: ConnectionState::PickedUp }
    }

    /// Half-open for so long that its handshake is not under way any more (RFC 4987 section 2), or reset some time ago.
    pub fn may_make_room(&self, stores: &Stores, now: Tick) -> bool {
        let silent = now.since(self.seen);
        match self.state {
            ConnectionState::Opening | ConnectionState::PickedUp => {
                silent > HALF_OPEN_MS && !self.is_needed(stores)
            }
            ConnectionState::Dead => silent > DEAD_IDLE_MS,
            ConnectionState::Open | ConnectionState::Closing | ConnectionState::Signed => false,
        }
    }

    /// How far it has come.
    pub const fn state(&self) -> ConnectionState {
        self.state
    }

    /// It has been silent for longer than its state allows (RFC 5382 section 5): `idle_ms` while it is open.
    pub fn is_expired(&self, now: Tick, idle_ms: u32) -> bool {
        let allowed = match self.state {
            ConnectionState::Open | ConnectionState::Signed => idle_ms,
            ConnectionState::Opening | ConnectionState::PickedUp | ConnectionState::Closing => {
                TRANSITORY_IDLE_MS
            }
            // Where an end had not acknowledged all that was sent to it, it may have taken none of the resets for its own, and go on.
            ConnectionState::Dead if self.halves.iter().any(|half| half.una_e != half.sent_e) => {
                idle_ms
            }
            ConnectionState::Dead => DEAD_IDLE_MS,
        };
        now.since(self.seen) > allowed
    }

    /// This segment would begin another connection between the same ports (RFC 9293 section 3.6.1).
    pub fn would_begin_again(&self, segment: &SegmentIn<'_>) -> bool {
        let flags = segment.tcp.flags();
        matches!(self.state, ConnectionState::Closing | ConnectionState::Dead)
            && flags.has(TcpFlags::SYN)
            && !flags.has_any(TcpFlags::ACK.with(TcpFlags::RST).with(TcpFlags::FIN))
    }

    /// Neither end could go on without what is here: its two sides differ, or bytes are kept that their sender believes
    /// delivered.
    pub fn is_needed(&self, stores: &Stores) -> bool {
        self.halves.iter().any(|half| half.is(Facts::EDITED) || half.has_proxy_acknowledged(stores))
            && matches!(
                self.state,
                ConnectionState::Open | ConnectionState::Opening | ConnectionState::PickedUp
            )
    }

    /// Copies bytes that an output `to` an end, caused by a segment that travels `way`, names out of the copy; says how many
    /// there were.
    pub fn copy_out(
        &self,
        (direction, to): (Direction, To),
        stores: &Stores,
        at: u32,
        out: &mut [u8],
    ) -> usize {
        let [server, client] = &self.halves;
        let half = match (direction, to) {
            (Direction::Request, To::Receiver) | (Direction::Response, To::Sender) => server,
            (Direction::Response, To::Receiver) | (Direction::Request, To::Sender) => client,
        };
        stores
            .buffers(half.buffers_id())
            .map_or(0, |buffers| buffers.copy.read(&stores.pool, at, out))
    }

    /// The sequence and acknowledgement number that the sender of a segment travelling `way` gave it, which left here with these.
    pub fn original_of_icmp_quote(
        &self,
        direction: Direction,
        stores: &Stores,
        seq: Seq,
        ack: Seq,
    ) -> (Seq, Seq) {
        let [server, client] = &self.halves;
        let (half, other) = match direction {
            Direction::Request => (server, client),
            Direction::Response => (client, server),
        };
        (half.to_original(stores, seq), other.to_edited(stores, ack))
    }

    /// Gives back what it holds in the stores. Call before it is dropped.
    pub fn release(&mut self, stores: &mut Stores) {
        for half in &mut self.halves {
            half.release(stores);
        }
    }

    /// Takes one segment that travels `way`; `out` says what is to be sent for it.
    pub fn on_segment<S: Stage>(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        stores: &mut Stores,
        stage: &mut S,
        now: Tick,
        out: &mut Outputs,
    ) -> SegmentOutcome {
        out.clear();
        if self.on_plain_ack(direction, segment, stores, now) {
            pass(segment, out);
            return SegmentOutcome::Untouched;
        }
        self.seen = now;
        let flags = segment.tcp.flags();
        let opens = flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK);
        match self.state {
            // The ports of a connection that was reset may be used again at once.
            ConnectionState::Dead if opens => self.state = ConnectionState::Closing,
            ConnectionState::Dead => return self.answer_dead(segment, out),
            ConnectionState::Signed => {
                pass(segment, out);
                return SegmentOutcome::Signed;
            }
            ConnectionState::Opening
            | ConnectionState::PickedUp
            | ConnectionState::Open
            | ConnectionState::Closing => {}
        }
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7
        //# SYN with FIN or RST, and a segment with neither ACK, SYN nor RST, belong to no state: they are discarded.
        let contradicts =
            flags.has(TcpFlags::SYN) && flags.has_any(TcpFlags::FIN.with(TcpFlags::RST));
        let mute = !flags.has_any(TcpFlags::SYN.with(TcpFlags::ACK).with(TcpFlags::RST));
        // Signed where nobody agreed to sign: hosts that know the option drop it (RFC 2385 section 2.0), others take it for what it says.
        let signed = !flags.has(TcpFlags::SYN) && options::is_signed(segment.tcp.option_bytes());
        if contradicts || mute || signed {
            return SegmentOutcome::BadFlags;
        }
        if flags.has(TcpFlags::SYN) {
            return self.on_syn(direction, segment, stores, out);
        }
        let both = self.halves.iter().all(|half| half.is(Facts::KNOWN));
        match self.state {
            ConnectionState::Opening | ConnectionState::PickedUp if both => {
                if !flags.has(TcpFlags::RST) {
                    self.state = ConnectionState::Open;
                }
            }
            ConnectionState::Opening if enforcing(stage, stores) => {
                if let Some(outcome) = self.on_early(direction, segment, out) {
                    return outcome;
                }
            }
            ConnectionState::Opening
            | ConnectionState::PickedUp
            | ConnectionState::Open
            | ConnectionState::Closing
            | ConnectionState::Dead
            | ConnectionState::Signed => {}
        }
        self.on_synchronized(direction, segment, stores, stage, out)
    }

    /// [`Self::on_segment`] for an acknowledgement between two half-streams of which nothing was edited and nothing is kept, as most are:
    /// it changes two numbers here, and goes on untouched. `false`: it is no such segment, and nothing was done.
    #[inline]
    pub fn on_plain_ack(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        stores: &mut Stores,
        now: Tick,
    ) -> bool {
        let is_ack = segment.tcp.flags() == TcpFlags::ACK && segment.payload.is_empty();
        if !is_ack || self.state != ConnectionState::Open {
            return false;
        }
        let (half, other) = self.pair(direction);
        if !half.is_plain() || !other.is_plain() {
            return false;
        }
        let acceptable = half.is_acceptable(segment);
        note_stamps(half, segment, acceptable);
        if acceptable {
            other.on_plain_ack(segment.tcp.ack(), segment.tcp.window(), stores);
        }
        self.seen = now;
        true
    }

    fn pair(&mut self, direction: Direction) -> (&mut Half, &mut Half) {
        let [server, client] = &mut self.halves;
        match direction {
            Direction::Request => (server, client),
            Direction::Response => (client, server),
        }
    }

    /// Everything but SYN.
    fn on_synchronized<S: Stage>(
        &mut self,
        direction: Direction,
        segment: &SegmentIn<'_>,
        stores: &mut Stores,
        stage: &mut S,
        out: &mut Outputs,
    ) -> SegmentOutcome {
        let tcp = &segment.tcp;
        let flags = tcp.flags();
        let (now, enforcing) = (self.seen, enforcing(stage, stores));
        let (half, other) = self.pair(direction);
        if is_too_old(half, segment, stores) {
            return SegmentOutcome::TooOld;
        }
        let acceptable = half.is_acceptable(segment);
        let stamps = note_stamps(half, segment, acceptable);
        let acked = Acked::on_ack(other, acceptable, segment, stores, out);
        if !half.is(Facts::KNOWN) {
            half.begin(tcp.seq());
        }
        if flags.has(TcpFlags::RST) {
            return self.on_reset((direction, enforcing), segment, &acked, stores, out);
        }

        let carries = !segment.payload.is_empty() || flags.has(TcpFlags::FIN);
        if carries && !stores.bounds.offline_capture && other.refuses(segment) {
            // What is left of it is challenged; its bytes are nobody's.
            let seq = half.place_of_nothing(stores, tcp.seq());
            push_empty(out, seq, &acked, TcpFlags::ACK);
            return SegmentOutcome::Moved;
        }
        note_fin(half, segment);
        let empty = segment.payload.is_empty();
        let mut taken = PayloadResult::nothing();
        if half.is_transparent() && !empty {
            let end = half.send_as_it_is(segment, out);
            half.sent_e = half.sent_e.max(end.min(half.right_e.max(half.sent_e)));
        } else if !empty {
            out.chunk = chunk_bytes(half, segment);
            let (start, payload) = (tcp.seq(), segment.payload);
            let mut turn =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            taken = turn.on_payload();
        } else if half.is_ending() && flags.has(TcpFlags::FIN) {
            out.chunk = chunk_bytes(half, segment);
            let (start, payload) = (tcp.seq(), segment.payload);
            let mut turn =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            taken = turn.on_end();
        }
        let (half, other) = self.pair(direction);
        if half.is(Facts::HOLDS_ANSWERS)
            && acked.news
            && other.reverse_state(stores) != ReverseState::Busy
        {
            // The answer that was waited for may be out: its receiver has acknowledged something.
            out.chunk = chunk_bytes(half, segment);
            let (start, payload) = (half.edge_o(), [].as_slice());
            let mut turn =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            taken = taken.then(turn.ask_again());
        }
        if taken.close {
            self.close(direction, segment, out, stores);
            return taken.outcome;
        }

        let (half, other) = self.pair(direction);
        let ended = send_end(half, stores, out, flags);
        for output in out.list_mut() {
            output.ack = acked.ack;
            output.window = acked.window;
            output.flags = flags.without(TcpFlags::URG.with(TcpFlags::FIN).with(TcpFlags::PSH));
        }
        let last_place = out.list().len().saturating_sub(1);
        if let Some(last) = out.list_mut().get_mut(last_place) {
            if !last.payload.is_empty() && flags.has(TcpFlags::PSH) {
                last.flags = last.flags.with(TcpFlags::PSH);
            }
            if ended {
                last.flags = last.flags.with(TcpFlags::FIN);
            }
        }
        let keep_alive = !empty && is_keep_alive(half, segment) && taken.answer;
        // A receiver that has said no more than SYN waits for the acknowledgement of it (RFC 9293 section 3.5).
        let greets = !half.is(Facts::WINDOW);
        if out.list().is_empty() && (empty || keep_alive || acked.news || greets) {
            let seq = if empty || keep_alive {
                half.place_of_nothing(stores, tcp.seq())
            } else {
                half.sent_end()
            };
            let quiet = TcpFlags::URG.with(TcpFlags::FIN).with(TcpFlags::PSH);
            push_empty(out, seq, &acked, flags.without(quiet));
            if keep_alive && half.held(stores) > 0 {
                // The receiver drops that, and with it what it acknowledges; the bytes that would have said so are held here.
                push_empty(out, half.sent_end(), &acked, flags.without(quiet));
            }
        }
        let answer = taken.answer && !keep_alive && !has_bytes(out);
        to_sender::send_back(half, other, stores, out, (answer, taken.ahead), stamps);
        self.note_end(stores);
        finish(segment, out, taken.outcome)
    }

    /// Both ends have said and acknowledged all.
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

/// What is not believed here may be kept from its receiver, and a connection ended. Not where patches only look on, and not of what was
/// offline_capture: its ends may have believed it.
fn enforcing<S: Stage>(stage: &S, stores: &Stores) -> bool {
    stage.enforces() && !stores.bounds.offline_capture
}

/// Remembers where the half-stream ends, if it can end there.
fn note_fin(half: &mut Half, segment: &SegmentIn<'_>) {
    if !segment.tcp.flags().has(TcpFlags::FIN) || half.is(Facts::FIN_SEEN) {
        return;
    }
    let end = segment.tcp.seq().advance(len32(segment.payload.len()));
    if end.is_before(half.next_o) || end.is_before(half.acked_o) {
        return;
    }
    if half.is(Facts::WINDOW) {
        // Past everything the receiver lets in, it is forged, or its receiver will not take it yet.
        let ahead = end.bytes_after(half.next_o);
        if half
            .next_e
            .advance(ahead)
            .is_after(half.right_e.max(half.edge_or_sent()).advance(131_072))
        {
            return;
        }
    }
    half.fin_o = end;
    half.note(Facts::FIN_SEEN);
    if !half.is(Facts::DISCARD) {
        half.set_skip_left(half.skip_left().min(u64::from(end.bytes_after(half.next_o))));
    }
}

impl Half {
    fn edge_or_sent(&self) -> Seq {
        self.sent_e.max(self.next_e)
    }
}

/// Puts the end behind the last output, or makes an output of it. `true`: the last output carries FIN.
fn send_end(half: &mut Half, stores: &Stores, out: &mut Outputs, flags: TcpFlags) -> bool {
    if !half.end_is_due(stores) {
        return false;
    }
    let again = flags.has(TcpFlags::FIN) || has_bytes(out);
    if half.is(Facts::FIN_OUT) && !again {
        return false;
    }
    let end = half.edge_e();
    let reaches = out.list().last().is_some_and(|last| last.seq.advance(last.payload.len()) == end);
    if !reaches {
        if half.is(Facts::FIN_OUT) && !flags.has(TcpFlags::FIN) {
            return false;
        }
        // Where the outputs are full its sender asks for it again; the last of them ends somewhere before it.
        if !out.push_end(end) {
            return false;
        }
    }
    half.note(Facts::FIN_OUT);
    half.sent_e = half.sent_e.max(end.advance(1));
    true
}

/// The longest payload of a segment made here: what the receiver said, less the options, and no longer than segments of
/// this sender are (it may know of a narrower path).
fn chunk_bytes(half: &Half, segment: &SegmentIn<'_>) -> u32 {
    let options = len32(segment.tcp.option_bytes().len());
    let said = u32::from(half.mss).saturating_sub(options).max(64);
    said.min(len32(segment.payload.len()).max(SEGMENT_BYTES_MIN))
}

/// One byte that was acknowledged long ago, or none, just before what is acknowledged (RFC 9293 section 3.8.4).
fn is_keep_alive(half: &Half, segment: &SegmentIn<'_>) -> bool {
    segment.payload.len() <= 1 && segment.tcp.seq() == half.acked_o.retreat(1)
}

fn has_bytes(out: &Outputs) -> bool {
    out.list().iter().any(|output| !output.payload.is_empty())
}

fn push_empty(out: &mut Outputs, seq: Seq, acked: &Acked, flags: TcpFlags) {
    let payload = Payload::None;
    out.push(Output {
        to: To::Receiver,
        seq,
        ack: acked.ack,
        flags,
        window: acked.window,
        payload,
    });
}

/// The frame goes on as it is.
fn pass(segment: &SegmentIn<'_>, out: &mut Outputs) {
    let tcp = &segment.tcp;
    out.push(Output {
        to: To::Receiver,
        seq: tcp.seq(),
        ack: tcp.ack(),
        flags: tcp.flags(),
        window: tcp.window(),
        payload: Payload::Frame(0, segment.payload.len()),
    });
}

/// Tells a frame that goes on untouched from one whose numbers moved.
fn finish(segment: &SegmentIn<'_>, out: &Outputs, outcome: SegmentOutcome) -> SegmentOutcome {
    let tcp = &segment.tcp;
    if outcome != SegmentOutcome::Moved || out.onward_options.is_some() {
        return outcome;
    }
    let whole = match out.list() {
        [only] => {
            let all = match only.payload {
                Payload::Frame(0, end) => end == segment.payload.len(),
                Payload::None => segment.payload.is_empty(),
                Payload::Frame(..) | Payload::Copy { .. } => false,
            };
            all && only.to == To::Receiver
                && only.seq == tcp.seq()
                && (only.ack == tcp.ack() || !tcp.flags().has(TcpFlags::ACK))
                && only.flags == tcp.flags()
                && only.window == tcp.window()
        }
        _ => false,
    };
    if whole { SegmentOutcome::Untouched } else { SegmentOutcome::Moved }
}

mod handshake;
mod reset;
mod stamps;
mod timeout;
mod to_sender;

#[cfg(test)]
mod tests;
