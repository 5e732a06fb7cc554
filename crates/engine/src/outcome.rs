//! What the engine tells its caller.

use plan::PatchNo;

/// Who the client of a conversation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// The client's address; IPv4 mapped into IPv6 (`::ffff:a.b.c.d`).
    pub address: [u8; 16],
}

/// What one patch did in one call (or, in observe mode, would have done).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which patch.
    pub patch: PatchNo,
    /// Fields or elements it changed.
    pub edits: u32,
    /// Bytes it took away or overwrote.
    pub removed_bytes: u32,
    /// Bytes it put in their place.
    pub inserted_bytes: u32,
    /// Messages it dropped or refused, connections it closed.
    pub verdicts: u32,
}

/// Why rules could not be decided. The module's fail mode has been applied to what the caller is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Undecided {
    /// More fields, or more decoded text, than the tables hold.
    FieldsOverflowed,
    /// The unit is longer than the hold bound, and a rule needed all of it.
    UnitTooLong,
    /// The rest of the unit did not come in time, and a rule needed it.
    UnitTooSlow,
    /// The edited message has no consistent form, or the bytes are under a MAC.
    RepairImpossible,
    /// Not the protocol this port is meant to speak; the rest of the half-stream is not inspected.
    NotThisProtocol,
    /// More edits than the tables hold.
    EditsFull,
    /// A module panicked. The caller contains panics; the engine never says this.
    Panicked,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramVerdict {
    /// It goes on as it came.
    Pass,
    /// It goes on with `Scratch::edits` applied to its payload.
    Edited,
    /// It goes no further.
    Drop,
    /// It goes no further; `Scratch::reply` goes back to its sender.
    Reply,
}

/// The outcome of [`crate::datagram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramResult {
    /// What becomes of it.
    pub verdict: DatagramVerdict,
    /// Some rule could not be decided.
    pub undecided: Option<Undecided>,
    /// Messages seen: 1, or 0 if it is not this protocol.
    pub messages: u32,
}

/// What the caller does with what follows `decided` bytes of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing is held. Where `decided` is less than the input's length (an output table was full), `input[decided..]` is to
    /// be handed in again at once, as if it had just come.
    Inspect,
    /// `input[decided..]` is to be held and handed in again in front of what follows it.
    Hold(HoldKind),
    /// The next `bytes` bytes after `decided` (all of them past the end of input) need not be seen.
    Skip {
        /// How many; never 0.
        bytes: u64,
        /// They are to be deleted from the stream.
        discard: bool,
    },
    /// Nothing more of this half-stream need be seen; `decided` is all of the input.
    SkipRest {
        /// It is to be deleted from the stream.
        discard: bool,
    },
}

/// Why bytes are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldKind {
    /// A unit is not complete, so the server cannot act on its bytes yet: they may be acknowledged to the sender.
    Unit,
    /// They may be the beginning of a pattern: to be released on demand, by calling again with `release`.
    Window,
    /// They are a message that gets its answer from here, and the server still owes answers to messages before it. They
    /// may be acknowledged to the sender, and are to be handed in again whenever the other direction is [`Back::Open`], or over;
    /// at the end of the stream, too.
    Answers,
}

/// Contiguous bytes of one direction, and how they come.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// They begin where the last decided byte ended.
    pub bytes: &'a [u8],
    /// `bytes[..held]` was handed in before, held then.
    pub held: usize,
    /// No byte follows.
    pub ended: bool,
    /// What must be let go now.
    pub release: Release,
    /// How the other direction stands.
    pub back: Back,
}

/// A hold whose deadline has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// None has.
    #[default]
    Nothing,
    /// A [`HoldKind::Window`] hold is let go.
    Window,
    /// A [`HoldKind::Unit`] hold ends: the unit will not be complete. It never goes on undecided because of that, or who waits long
    /// enough would pass every rule: the connection is reset, whatever the fail mode. (Observed, it goes on.)
    Unit,
}

/// Whether an answer may be put into the other direction now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// All that its sender is known to have said stands before it.
    Open,
    /// Some of that has not come, or is held.
    Busy,
    /// It has ended: nobody will read an answer.
    Over,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    #[default]
    GoesOn,
    /// Both ends are to be reset; nothing of this input goes on.
    Reset,
    /// Behind the answer its sender is told that the other direction has ended, and what either end still says is deleted.
    Finished,
}

/// The outcome of [`crate::stream`]. `Scratch::edits` apply to `input[..decided]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamResult {
    /// Bytes of input that are decided: they go on as edited, and are not to be handed in again.
    pub decided: usize,
    /// What to do with what follows them.
    pub then: Then,
    /// `Scratch::reply` is to be put into the other direction, behind all that is there. Only where that was [`Back::Open`].
    pub answer: bool,
    /// What becomes of the connection.
    pub end: End,
    /// Some rule could not be decided.
    pub undecided: Option<Undecided>,
    /// Messages that began in the decided bytes.
    pub messages: u32,
}
