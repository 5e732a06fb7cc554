//! One connection: both halves, its state, and the function that handles a segment.
//!
//! Holds:     two [`Half`]s and the [`ConnectionState`].
//! Promises:  every segment has a [`SegmentOutcome`]. A connection whose numbers were moved is
//!            never forgotten without a reset.
//! Never:     changes its state for a segment that its receiver would discard:
//!            [`crate::acceptance`] answers that.
//!
//! | segment | handled in |
//! |---|---|
//! | SYN, or any segment before it is answered | [`handshake`] |
//! | RST, and whatever comes behind it | [`reset`] |
//! | everything else | [`synchronized`] |
//! | none: a deadline has come | [`timeout`] |

mod handshake;
mod reset;
mod stamps;
mod synchronized;
mod timeout;
mod to_sender;

use crate::Tick;
use crate::acceptance;
use crate::acked::Acked;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::{DEAD_IDLE_MS, HALF_OPEN_MS, TRANSITORY_IDLE_MS};
use crate::segment::{Output, Outputs, Payload, SegmentIn, SegmentOutcome, To};
pub use reset::reset_untracked;
use stage::{Direction, Stage};
use stamps::note_stamps;
use wire::{Seq, TcpFlags};

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// A SYN was seen.
    Opening,
    /// It is older than this process, and at most one end has sent a segment since.
    PickedUp,
    /// Both ends have sent segments.
    Open,
    /// Both halves have ended (or a reset was seen, where nothing is enforced). Late segments are
    /// still translated.
    Closing,
    /// It was reset, by an end or from here. Whatever still comes is answered with a reset.
    Dead,
    /// Its segments are signed: they pass as they are.
    Signed,
}

/// A tracked connection. What it needs only while bytes are in flight is in the [`Stores`].
#[derive(Debug)]
pub struct Connection {
    halves: [Half; 2],
    seen: Tick,
    state: ConnectionState,
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub const fn new(now: Tick) -> Self {
        Self { halves: [Half::UNKNOWN; 2], seen: now, state: ConnectionState::Opening }
    }

    /// A connection that is older than this process. The first segment of each direction tells its
    /// numbers; the options of its SYNs are not known.
    pub const fn picked_up(now: Tick) -> Self {
        Self { halves: [Half::PICKED_UP; 2], seen: now, state: ConnectionState::PickedUp }
    }

    /// It has been half-open for longer than a handshake takes (RFC 4987 section 2), or was reset
    /// some time ago.
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

    /// Its state.
    pub const fn state(&self) -> ConnectionState {
        self.state
    }

    /// It has been silent for longer than its state allows (RFC 5382 section 5): `idle_ms` while it
    /// is open.
    pub fn is_expired(&self, now: Tick, idle_ms: u32) -> bool {
        let allowed = match self.state {
            ConnectionState::Open | ConnectionState::Signed => idle_ms,
            ConnectionState::Opening | ConnectionState::PickedUp | ConnectionState::Closing => {
                TRANSITORY_IDLE_MS
            }
            // An end that had not acknowledged everything may have accepted none of the resets, and
            // goes on.
            ConnectionState::Dead if self.halves.iter().any(|half| half.una_e != half.sent_e) => {
                idle_ms
            }
            ConnectionState::Dead => DEAD_IDLE_MS,
        };
        now.since(self.seen) > allowed
    }

    /// This segment would begin another connection between the same ports.
    pub fn would_begin_again(&self, segment: &SegmentIn<'_>) -> bool {
        matches!(self.state, ConnectionState::Closing | ConnectionState::Dead)
            && acceptance::opens_connection(segment)
    }

    /// Neither end could go on without this state: the sequence numbers of the two sides differ, or
    /// bytes are kept that their sender was told are delivered.
    pub fn is_needed(&self, stores: &Stores) -> bool {
        self.halves.iter().any(|half| half.is(Facts::EDITED) || half.has_proxy_acknowledged(stores))
            && matches!(
                self.state,
                ConnectionState::Open | ConnectionState::Opening | ConnectionState::PickedUp
            )
    }

    /// Copies the bytes of a [`Payload::Copy`] that begins at `at` into `out`, and answers how many
    /// there were. A segment that travels in `direction` caused the output, which goes `to` one of
    /// its ends.
    pub fn copy_out(
        &self,
        direction: Direction,
        to: To,
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

    /// The sequence and acknowledgement number that the sender of a segment gave it, which left
    /// here with `seq` and `ack`. An ICMP error quotes the segment as it left; its sender must see
    /// the numbers it knows.
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

    /// Releases its buffers. Call it before the connection is dropped.
    pub fn release(&mut self, stores: &mut Stores) {
        for half in &mut self.halves {
            half.release(stores);
        }
    }

    /// Handles a segment that travels in `direction`. `out` has the segments to send for it.
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
        if !acceptance::has_valid_flags(segment) {
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

    /// [`Self::on_segment`] for an acknowledgement between two half-streams of which nothing was
    /// edited and nothing is kept, as most are. It changes two numbers here, and the frame goes on
    /// untouched. `false`: the segment is another, and nothing was done.
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
        let acceptable = half.accepts_position(segment);
        note_stamps(half, segment, acceptable);
        if acceptable {
            other.on_plain_ack(segment.tcp.ack(), segment.tcp.window(), stores);
        }
        self.seen = now;
        true
    }

    /// The half-stream that travels in `direction`, and the other one.
    fn pair(&mut self, direction: Direction) -> (&mut Half, &mut Half) {
        let [server, client] = &mut self.halves;
        match direction {
            Direction::Request => (server, client),
            Direction::Response => (client, server),
        }
    }
}

/// A segment that its receiver would discard may be kept from it, and a connection may be ended.
/// Neither is done where patches only observe, nor in a capture, whose ends may have accepted the
/// segment.
fn enforcing<S: Stage>(stage: &S, stores: &Stores) -> bool {
    stage.enforces() && !stores.bounds.offline_capture
}

/// Sends a segment without bytes to the receiver.
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

/// Sends the frame as it came.
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

#[cfg(test)]
mod tests;
