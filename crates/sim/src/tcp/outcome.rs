//! How a seed is played, and how it went.

use serde::Serialize;

/// How a seed is to be played.
#[derive(Clone, Debug, Default)]
pub struct PlayOptions {
    /// Only conversations in this protocol.
    pub protocol: Option<String>,
    /// What ends hear is exactly the edited stream, even where the beginning of a match had to be
    /// let go.
    pub exact: bool,
    /// Without the box: a seed that fails here as well is not the fault of the box.
    pub bare: bool,
    /// Without the box, and with everything expected as if it were there: shows that the checks
    /// find something.
    pub unpatched: bool,
    /// Minimise a failing run.
    pub minimise: bool,
    /// Keep a line of every frame.
    pub trace: bool,
}

/// How a seed went.
#[derive(Clone, Debug, Serialize)]
pub struct SeedOutcome {
    /// The seed.
    pub seed: u64,
    /// Spoken.
    pub protocol: &'static str,
    /// Frames that came to the box.
    pub frames: u64,
    /// Milliseconds that passed.
    pub clock_ms: u64,
    /// The beginnings of matches were let go, and what was heard is not exactly the edited stream.
    pub inexact: bool,
    /// Frames from the box that reached past the window of the host they went to.
    pub past_window: u64,
    /// The stack of a host panicked, and the run was given up.
    pub given_up: bool,
    /// The failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<SimFailure>,
    /// A line of every frame, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// An end receives other bytes than it must.
    WrongBytes,
    /// A whole match went through.
    MatchLeaked,
    /// The connection could go on and does not.
    Stalled,
    /// The connection goes on, and takes far too long.
    Slow,
    /// A connection that nobody reset has been reset.
    Reset,
    /// The same position left the box with two values.
    Contradicts,
    /// Something was acknowledged that was never sent.
    AcknowledgesUnsent,
    /// A frame left with a wrong length or checksum, or is longer than its receiver takes.
    BadFrame,
    /// A connection is over and something of it is left.
    LeftBehind,
    /// A frame was counted under no reason, or under two.
    Unaccounted,
    /// The data path panicked.
    Panicked,
    /// A stack panicked, which is no fault of the box.
    StackPanicked,
}

/// Something is not as it must be.
#[derive(Clone, Debug, Serialize)]
pub struct SimFailure {
    /// Its kind.
    pub kind: FailureKind,
    /// In words.
    pub what: String,
}

impl SimFailure {
    pub(super) fn new(kind: FailureKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}
