//! The recorded times of frames, and of the turns that carry them, in microseconds.

use serde::Serialize;

/// From the generator's first attempt to hand a burst in to its coming out again.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) offered_mpps: f64,
    /// Stretches in which neither lcore lost its CPU to another thread: only those count. And all
    /// there were.
    pub(super) stretches: u64,
    pub(super) stretches_all: u64,
    /// The same load without the journey.
    pub(super) floor_p50: f64,
    pub(super) floor_p99: f64,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    /// How long the worker's turns took then.
    pub(super) turns: TurnTimes,
    pub(super) control: Control,
}

/// The same load through a loop that does as much work in registers a packet as the journey takes
/// on the mean, and nothing else.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Control {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) turns: TurnTimes,
}

/// How long the turns of a loop took, in microseconds, in the stretches that count.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct TurnTimes {
    /// Of turns that had frames.
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    /// The share of the time that turns with frames took.
    pub(super) busy_per_cent: f64,
    /// Turns that found no frame and took so long all the same, a second that was looked at; and
    /// the longest.
    pub(super) gaps_per_s: f64,
    pub(super) gap_max: f64,
}

/// How evenly the CPUs ran: pieces of work in registers, measured before anything else.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Steadiness {
    /// Ticks of a piece on the worker's CPU at the median, with no such work on the other; and with
    /// the same on both.
    pub(super) alone_ticks: u64,
    pub(super) together_ticks: u64,
    /// Of a hundred pieces on both: those that took 1.1 to 3 times as long as the quickest, and
    /// those that took longer still.
    pub(super) slow_per_cent: f64,
    pub(super) taken_per_cent: f64,
}
