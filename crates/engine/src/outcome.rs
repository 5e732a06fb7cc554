//! The results that the engine returns.

use plan::PatchNo;
use stage::Inspected;

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

/// Why rules could not be decided. The result already follows the module's fail mode.
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
    /// The bytes are not this port's protocol. The engine does not inspect the rest of the
    /// half-stream.
    NotThisProtocol,
    /// More edits than the tables hold.
    EditsFull,
    /// A module panicked. The caller contains panics; the engine never returns this.
    Panicked,
}

/// What the caller does with a datagram.
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
    /// What the caller does with it.
    pub verdict: DatagramVerdict,
    /// Some rule could not be decided.
    pub undecided: Option<Undecided>,
    /// Messages seen: 1, or 0 if it is not this protocol.
    pub messages: u32,
}

/// The outcome of [`crate::stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamResult {
    /// The decision about the bytes. `Scratch::edits` are its edits, `Scratch::reply` is its
    /// answer.
    pub inspected: Inspected,
    /// Some rule could not be decided.
    pub undecided: Option<Undecided>,
    /// Messages that began in the decided bytes.
    pub messages: u32,
}
