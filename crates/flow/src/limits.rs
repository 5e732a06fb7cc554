//! Every bound of the stream editor in one place, each with its reason.

/// The bounds that an operator may set, for every connection of a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one half-stream kept ahead of a gap; at most [`WAITING_BYTES_MAX`].
    pub ahead_bytes: u32,
    /// Bytes of edited stream one half-stream may have in flight as copies; at most
    /// [`COPY_BYTES_MAX`]. A segment past it is dropped and counted, and the sender slows down.
    pub in_flight_bytes: u32,
    /// Milliseconds the possible beginning of a pattern is held after the last byte of it came.
    pub pattern_hold_ms: u32,
    /// Milliseconds a unit is held after the last byte of it came.
    pub unit_hold_ms: u32,
    /// Milliseconds an open connection may be silent; at least [`OPEN_IDLE_MS`].
    pub idle_ms: u32,
    /// The segments come from a capture. Bytes that they acknowledge may be missing in it, or were
    /// cut here and not there, so their own bytes are inspected whatever they acknowledge.
    /// Otherwise a segment that acknowledges bytes that were never sent is left for its receiver to
    /// challenge.
    pub offline_capture: bool,
}

impl Bounds {
    /// Unless set.
    pub const DEFAULT: Self = Self {
        ahead_bytes: WAITING_BYTES_MAX,
        in_flight_bytes: COPY_BYTES_DEFAULT,
        pattern_hold_ms: PATTERN_HOLD_MS,
        unit_hold_ms: UNIT_HOLD_MS,
        idle_ms: OPEN_IDLE_MS,
        offline_capture: false,
    };
}

impl Default for Bounds {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Bytes of one block of the pool: a full Ethernet segment fits one, and a page holds two.
pub const BLOCK_BYTES: usize = 2_048;

/// Blocks one half-stream's waiting bytes (held, and ahead of order) are spread over. A power of
/// two, because a position finds its block by masking.
pub const WAITING_BLOCKS: usize = 64;

/// Bytes past the inspection edge one half-stream may keep: held for a unit, or ahead of order. One
/// block less than the slots cover, because the edge may be in the middle of a block. Past that
/// a segment is dropped and counted; TCP resends it.
pub const WAITING_BYTES_MAX: u32 = 63 * 2_048;

/// Separate runs of bytes ahead of order. A thirty-third gap in one window means a path that
/// reorders more than it delivers; the segment is dropped and counted.
pub const WAITING_RUNS_MAX: usize = 32;

/// Bytes ahead of order leave one part in so many of the pool alone: nobody can act on them yet,
/// and bytes in order, which make room, must never wait for them.
pub const AHEAD_LEAVES_FREE: u32 = 4;

/// Pieces of the sequence map in flight, in one direction. Edits past that are fused with their
/// neighbours, which costs precision of acknowledgements, never correctness.
pub const PIECES_MAX: usize = 64;

/// [`Bounds::in_flight_bytes`] unless set: more than most receive windows.
pub const COPY_BYTES_DEFAULT: u32 = 1 << 20;

/// The most [`Bounds::in_flight_bytes`] may be: Linux's receive windows end at 6 MiB unless told
/// otherwise.
pub const COPY_BYTES_MAX: u32 = 1 << 24;

/// How far the window that a sender is told may reach past its receiver's: by the bytes that are
/// held, and by those that edits in flight have inserted.
pub const WINDOW_AHEAD_BYTES_MAX: u32 = WAITING_BYTES_MAX + COPY_BYTES_MAX;

/// Free bytes the pool must have over a segment's own before the segment is inspected: room for
/// what its edits insert, and as much for an answer.
pub const GROWTH_RESERVE_BYTES: u32 = 2 * 16 * 1_024;

/// How far a range that is skipped may reach ahead of the acknowledged edge: TCP's windows are
/// smaller (RFC 7323 section 2.3 ends at 1 GiB), and half the circle must stay free to tell before
/// from after.
pub const SKIP_AHEAD_BYTES_MAX: u32 = 1 << 30;

//= https://www.rfc-editor.org/rfc/rfc9293#section-3.7.1
//# If an MSS Option is not received at connection setup, TCP implementations MUST assume a default
//# send MSS of 536
/// The MSS of a receiver that names none.
pub const MSS_DEFAULT: u16 = 536;

/// Every receiver accepts a segment with this many bytes, so a segment is not split below it.
pub const SEGMENT_BYTES_MIN: u32 = 536;

/// A smaller MSS counts as this one: an end that names one only makes many segments of its stream.
pub const MSS_MIN: u16 = 64;

/// The options of a segment are no longer (RFC 9293 section 3.1).
pub const OPTION_BYTES_MAX: u32 = 40;

/// An acknowledgement that is older than the receiver's window, and older than the widest window
/// without scaling, belongs to another time.
pub const OLD_ACK_BYTES: u32 = 65_535;

/// Ticks that a timestamp may be older than TS.Recent, as in Linux.
pub const STAMP_LEEWAY: i32 = 1;

/// How far behind the receiver's window the end of a half-stream may be: a little more than
/// [`WAITING_BYTES_MAX`].
pub const FIN_AHEAD_BYTES_MAX: u32 = 131_072;

/// Output segments one input segment may cause. A rebuild that needs more goes on with the next
/// retransmission.
pub const OUTPUTS_MAX: usize = 256;

/// Times the stage is asked again about one input: each turn consumes at least a byte, and a
/// hostile stream of one-byte skips must not own the core. The rest is handed in again with the
/// next segment.
pub const STAGE_TURNS_MAX: u32 = 4_096;

//= https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.2.7
//# An SMTP server SHOULD have a timeout of at least 5 minutes while it is awaiting the next command
//# from the sender.
/// [`Bounds::unit_hold_ms`] unless set; most servers wait for less. A receiver that could act on
/// the bytes as they are would have got them, unless the port has another protocol than its group
/// names.
pub const UNIT_HOLD_MS: u32 = 300_000;

/// [`Bounds::pattern_hold_ms`] unless set. The bytes are acknowledged and the sender has nothing to
/// resend, so more comes at once or not at all. But a last segment that is lost comes again only
/// after the sender's retransmission timer, which Linux never sets below 200 ms, and a round trip.
pub const PATTERN_HOLD_MS: u32 = 400;

//= https://www.rfc-editor.org/rfc/rfc6298#section-2
//# Until a round-trip time (RTT) measurement has been made for a segment sent between the sender
//# and receiver, the sender SHOULD set RTO <- 1 second
/// Milliseconds until proxy-acknowledged bytes are sent again. Doubled each time.
pub const RESEND_MS: u32 = 1_000;

/// Times the wait for an acknowledgement doubles: the last waits are 64 seconds.
pub const RESEND_DOUBLINGS_MAX: u8 = 6;

/// Milliseconds between two looks at a half-stream that waits for a deadline.
pub const LOOK_AGAIN_MS: u32 = 100;

//= https://www.rfc-editor.org/rfc/rfc5382#section-5
//# the value of the "established connection idle-timeout" MUST NOT be less than 2 hours 4 minutes.
/// [`Bounds::idle_ms`] unless set, and the least it may be.
pub const OPEN_IDLE_MS: u32 = (2 * 60 + 4) * 60 * 1_000;

//= https://www.rfc-editor.org/rfc/rfc5382#section-5
//# the value of the "transitory connection idle-timeout" MUST NOT be less than 4 minutes.
/// Milliseconds a half-open or closing connection may be silent. TIME-WAIT (twice two minutes) fits
/// as well.
pub const TRANSITORY_IDLE_MS: u32 = 4 * 60 * 1_000;

/// Milliseconds after which a half-open connection may make room for another in a full table. A
/// handshake that needs longer is rare, and goes on being tracked where there is room.
pub const HALF_OPEN_MS: u32 = 1_000;

/// Milliseconds a connection that was reset from here goes on answering stragglers with resets.
pub const DEAD_IDLE_MS: u32 = 60 * 1_000;

const _: () = assert!(WAITING_BLOCKS.is_power_of_two(), "a position masks, it does not divide");
const _: () = assert!(BLOCK_BYTES.is_power_of_two(), "a position masks, it does not divide");
const _: () = assert!(
    WAITING_BYTES_MAX > 65_537 + 32 * 1_024,
    "the longest unit that is held whole, and room ahead of it"
);
const _: () = assert!(PIECES_MAX <= 128, "a piece is counted in a byte");
