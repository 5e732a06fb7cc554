//! The interface between the stream editor (`flow`) and the code that decides about its bytes
//! (`engine`).
//!
//! Holds:     the [`Stage`] trait, what a stage is told ([`InspectContext`]) and what it answers
//!            ([`Inspected`], [`Edit`]); the [`Direction`] of bytes; arithmetic on their
//!            [`position`]s.
//! Promises:  `flow` and `engine` meet here and nowhere else. `flow` knows positions and bytes,
//!            `engine` knows fields and rules, and neither imports the other.
//! Never:     decides, stores, or depends on a crate of the workspace.
//!
//! A stage that deletes every capital letter:
//!
//! ```
//! use stage::{ConnectionEnd, Direction, Edit, InspectContext, Inspected, Next, Stage};
//!
//! struct NoCapitals(Vec<usize>);
//!
//! impl Stage for NoCapitals {
//!     fn inspect(&mut self, _: Direction, input: &[u8], _: InspectContext) -> Inspected {
//!         let capitals = input.iter().enumerate().filter(|(_, byte)| byte.is_ascii_uppercase());
//!         self.0 = capitals.map(|(at, _)| at).collect();
//!         Inspected {
//!             decided: input.len(),
//!             next: Next::Inspect,
//!             answer: false,
//!             end: ConnectionEnd::GoesOn,
//!         }
//!     }
//!
//!     fn edit(&self, nth: usize) -> Option<Edit<'_>> {
//!         self.0.get(nth).map(|&at| Edit { start: at, end: at + 1, with: &[] })
//!     }
//! }
//! ```
#![warn(missing_docs)]
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

mod direction;
pub mod position;

pub use direction::Direction;

/// Decides about the bytes of a stream, in order. It sees each byte once, unless it asked to see it
/// again.
///
/// The data path implements it with its engine, tests with a few lines.
pub trait Stage {
    /// Looks at `input`: contiguous bytes that begin where the last decided byte ended.
    fn inspect(&mut self, direction: Direction, input: &[u8], context: InspectContext)
    -> Inspected;

    /// The edits of the last [`Stage::inspect`] by number. They are sorted, do not overlap, and lie
    /// within the decided bytes.
    fn edit(&self, nth: usize) -> Option<Edit<'_>>;

    /// The bytes that the last [`Stage::inspect`] puts into the other direction, where it set
    /// [`Inspected::answer`].
    fn answer(&self) -> &[u8] {
        &[]
    }

    /// Its decisions are carried out. Otherwise the stage observes, and the stream editor must not
    /// delay, drop or end anything: a box that sees one direction of a connection must be able to
    /// learn that without harm.
    fn enforces(&self) -> bool {
        true
    }
}

/// How the input of [`Stage::inspect`] comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectContext {
    /// The stage saw `input[..held]` before, and asked to hold it.
    pub held: usize,
    /// No byte follows the input.
    pub ended: bool,
    /// Whether the hold of `input[..held]` has reached its deadline.
    pub deadline: Deadline,
    /// Whether an answer may be put into the other direction.
    pub reverse: ReverseState,
}

impl InspectContext {
    /// For new bytes in the middle of a stream, where nothing is held.
    pub const FRESH: Self =
        Self { held: 0, ended: false, deadline: Deadline::Nothing, reverse: ReverseState::Open };
}

/// Which hold has reached its deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deadline {
    /// None has.
    #[default]
    Nothing,
    /// A [`HoldKind::PartialMatch`]: the stage must release it.
    PartialMatch,
    /// A [`HoldKind::Unit`]: the unit will not be complete. The stage resets the connection,
    /// whatever the fail mode, because a sender that waits long enough would otherwise pass every
    /// rule. A stage that observes releases the unit.
    Unit,
}

/// Whether an answer may be put into the other direction now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReverseState {
    /// It may: nothing that the other end is known to have sent is missing or held.
    Open,
    /// Not yet: bytes that the other end is known to have sent are missing or held.
    Busy,
    /// Never: that direction has ended, and nobody will read an answer.
    Over,
}

/// The decision about the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// `input[..decided]` goes on with the edits of [`Stage::edit`] applied, and is not handed in
    /// again.
    pub decided: usize,
    /// What to do with the bytes that follow.
    pub next: Next,
    /// [`Stage::answer`] is to be put into the other direction. Only set where
    /// [`InspectContext::reverse`] was [`ReverseState::Open`].
    pub answer: bool,
    /// Whether the connection goes on.
    pub end: ConnectionEnd,
}

/// What to do with the bytes that follow the decided ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Show them. Where `decided` is less than the length of the input (a table of the stage was
    /// full), the rest of the input is handed in again at once, as if it had just come.
    Inspect,
    /// Hold `input[decided..]`, and hand it in again in front of the bytes that follow it.
    Hold(HoldKind),
    /// The stage need not see the next `bytes` bytes, which may reach past the input.
    Skip {
        /// How many; never 0.
        bytes: u64,
        /// Delete them from the stream.
        discard: bool,
    },
    /// The stage need not see the rest of this direction.
    SkipRest {
        /// Delete it from the stream.
        discard: bool,
    },
}

/// Why bytes are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldKind {
    /// They are part of a unit that is not complete. The receiver cannot act on them yet, so the
    /// proxy may acknowledge them to the sender. When no byte of the unit has come for long,
    /// [`Deadline::Unit`] tells the stage.
    Unit,
    /// They may be the beginning of a pattern. [`Deadline::PartialMatch`] releases them.
    PartialMatch,
    /// They are a message that the proxy answers, and the receiver still has earlier messages to
    /// answer. They are held as long as a unit, and handed in again whenever the other direction is
    /// [`ReverseState::Open`] or [`ReverseState::Over`], also at the end of the stream.
    Answers,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// It goes on.
    #[default]
    GoesOn,
    /// Both ends are reset, and no byte of the input goes on.
    Reset,
    /// The sender gets a FIN behind the answer. Everything that either end sends after that is
    /// deleted.
    Finished,
}

/// Replaces `start..end` of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    /// The first replaced byte.
    pub start: usize,
    /// One past the last replaced byte; equal to `start` for an insertion.
    pub end: usize,
    /// The new bytes; none for a deletion.
    pub with: &'a [u8],
}
