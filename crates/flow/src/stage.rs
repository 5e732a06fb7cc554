//! What decides about the bytes of a stream. The data path implements it over its engine, tests over a few lines.

use crate::Way;

/// The decision about the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// `input[..decided]` goes on, with the edits of [`Stage::edit`] applied.
    pub decided: usize,
    /// What is to happen behind it.
    pub then: Then,
    /// [`Stage::answer`] is to be put into the other half-stream. Only where it was [`Back::Open`].
    pub answer: bool,
    /// What becomes of the connection.
    pub end: End,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    #[default]
    GoesOn,
    /// It is reset, at both ends; nothing of the input goes on.
    Reset,
    /// The sender is told that the other half-stream ends here, behind the answer; what either end still says is deleted.
    Finished,
}

/// Whether bytes may be put into the other half-stream now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    /// All of it that is known stands before them.
    Open,
    /// Some of it that is known has not come, or is held.
    Busy,
    /// It has ended.
    Over,
}

/// A hold whose deadline has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// None has.
    Nothing,
    /// That of a [`HoldKind::Window`].
    Window,
    /// That of a [`HoldKind::Unit`].
    Unit,
}

/// How the input comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// `input[..held]` was handed in before.
    pub held: usize,
    /// No byte will follow.
    pub ended: bool,
    /// What must be let go.
    pub release: Release,
    /// How the other half-stream stands.
    pub back: Back,
}

/// What is to happen behind the decided bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing is left over; the next bytes are to be inspected.
    Inspect,
    /// `input[decided..]` waits and is handed in again in front of what follows.
    Hold(HoldKind),
    /// The next `bytes` bytes, which may reach past the input, need not be seen.
    Skip {
        /// How many.
        bytes: u64,
        /// They are to be deleted.
        discard: bool,
    },
    /// Nothing more of this half-stream needs to be seen.
    SkipRest {
        /// All of it is to be deleted.
        discard: bool,
    },
}

/// What held bytes wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldKind {
    /// The rest of a unit: the receiver cannot act on them without it, so they may be acknowledged to the sender. When nothing
    /// has come for long ([`crate::limits::Bounds::unit_hold_ms`]) the stage is told so, and ends the connection or lets them go.
    Unit,
    /// Perhaps the beginning of a pattern: let go after a deadline, [`crate::limits::Bounds::window_hold_ms`].
    Window,
    /// Answers of the receiver that stand before the one this message gets from here: held as long as a unit, and handed in again
    /// when the other half-stream is [`Back::Open`], or over.
    Answers,
}

/// A replacement of `start..end` of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    /// First replaced byte.
    pub start: usize,
    /// One past the last; equal to `start` for an insertion.
    pub end: usize,
    /// The new bytes; none for a deletion.
    pub with: &'a [u8],
}

/// Decides about bytes, in order, each exactly once unless it asked to see them again.
pub trait Stage {
    /// Looks at contiguous bytes.
    fn inspect(&mut self, way: Way, input: &[u8], look: Look) -> Inspected;

    /// The edits of the last [`Stage::inspect`] by number: sorted, not overlapping, within the decided bytes.
    fn edit(&self, nth: usize) -> Option<Edit<'_>>;

    /// What the last [`Stage::inspect`] puts into the other half-stream, where it said so.
    fn answer(&self) -> &[u8] {
        &[]
    }

    /// What it decides is done. Otherwise it only looks on, and nothing may hang on it: a box that stands where it sees one way
    /// of a connection must find that out without ending any.
    fn enforces(&self) -> bool {
        true
    }
}
