//! How long the turns of a measured lcore take: those that had frames, and those that found none.
//!
//! Holds:     [`TurnHistograms`], two histograms; [`StretchOrder`], what the feeder tells the
//!            measured lcore about its stretches of time; and [`Recorder`], which the lcore's loop
//!            fills.
//! Promises:  only stretches that the feeder said count are kept.
//! Never:     is part of the product: `wirepatch run` times no turn.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::histogram::Histogram;
use super::latency::TurnTimes;
use super::row::{real, ticks as to_ticks};

/// Ticks of turns.
#[derive(Clone, Debug)]
pub(super) struct TurnHistograms {
    /// Of those that had frames.
    pub(super) work: Histogram,
    /// Of those that found none: a long one did nothing, and had the CPU taken away.
    pub(super) idle: Histogram,
}

/// From here on a turn without frames was interrupted: one takes a tenth of it.
const GAP_US: f64 = 2.0;

impl TurnHistograms {
    fn new() -> Self {
        Self { work: Histogram::new(), idle: Histogram::new() }
    }

    /// As shown: `hz` ticks are a second.
    pub(super) fn times(&self, hz: f64) -> Option<TurnTimes> {
        let us = |ticks: u64| real(ticks) * 1e6 / hz;
        let of = |per_mille| self.work.per_mille(per_mille).map(us);
        // Every turn is one or the other.
        let all = real(self.work.sum().saturating_add(self.idle.sum()).max(1));
        let gap = to_ticks(hz * GAP_US / 1e6);
        Some(TurnTimes {
            p50: of(500)?,
            p99: of(990)?,
            p999: of(999)?,
            max: us(self.work.max()),
            busy_per_cent: 100.0 * real(self.work.sum()) / all,
            gaps_per_s: real(self.idle.at_least(gap)) * hz / all,
            gap_max: us(self.idle.max()),
        })
    }

    fn take(&mut self, other: &mut Self) {
        self.work.take(&mut other.work);
        self.idle.take(&mut other.idle);
    }
}

/// What becomes of the turns taken now. The number of a stretch, and how it stands with it: a
/// reader that missed a word of it sees that by the number.
#[derive(Debug, Default)]
pub(super) struct StretchOrder(AtomicU64);

const RECORD: u64 = 1;
const KEEP: u64 = 2;
const DROP: u64 = 3;
const STATES: u64 = 4;

impl StretchOrder {
    fn set(&self, state: u64) {
        let begins = u64::from(state == RECORD) * STATES;
        let stretch = self.0.load(Relaxed) / STATES * STATES;
        self.0.store(stretch + begins + state, Relaxed);
    }

    /// A stretch begins.
    pub(super) fn record(&self) {
        self.set(RECORD);
    }

    /// The stretch that began last is over, and counts or does not.
    pub(super) fn end(&self, counts: bool) {
        self.set(if counts { KEEP } else { DROP });
    }
}

/// The loop's own.
#[derive(Debug)]
pub(super) struct Recorder {
    seen: u64,
    settled: bool,
    now: TurnHistograms,
    kept: TurnHistograms,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { seen: 0, settled: true, now: TurnHistograms::new(), kept: TurnHistograms::new() }
    }

    /// One turn is over.
    pub(super) fn turn(&mut self, order: &StretchOrder, ticks: u64, frames: usize) {
        let told = order.0.load(Relaxed);
        if told != self.seen {
            self.follow(told);
            // The turn after this one is longer by what that took.
            self.settled = false;
        } else if !self.settled {
            self.settled = true;
        } else if told % STATES == RECORD {
            let kind = if frames == 0 { &mut self.now.idle } else { &mut self.now.work };
            kind.add(ticks);
        }
    }

    fn follow(&mut self, told: u64) {
        if told == self.seen + (KEEP - RECORD) && self.seen % STATES == RECORD {
            self.kept.take(&mut self.now);
        } else if self.seen % STATES == RECORD {
            self.now = TurnHistograms::new();
        }
        self.seen = told;
    }

    /// The turns that were to be kept.
    pub(super) fn kept(self) -> TurnHistograms {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns in which the recorder takes note of what it is told.
    fn settle(order: &StretchOrder, recorder: &mut Recorder) {
        recorder.turn(order, 9_999, 0);
        recorder.turn(order, 9_999, 1);
    }

    #[test]
    fn only_stretches_that_count_are_kept() {
        let (order, mut recorder) = (StretchOrder::default(), Recorder::new());
        recorder.turn(&order, 9_999, 1);
        for (ticks, counts) in [(100, true), (200, false), (300, true)] {
            order.record();
            settle(&order, &mut recorder);
            recorder.turn(&order, ticks, 4);
            recorder.turn(&order, ticks / 10, 0);
            order.end(counts);
            settle(&order, &mut recorder);
        }
        // One whose verdict is never seen, as the next has begun by then.
        order.record();
        settle(&order, &mut recorder);
        recorder.turn(&order, 5_000, 1);
        order.end(true);
        order.record();
        settle(&order, &mut recorder);
        recorder.turn(&order, 400, 1);
        order.end(true);
        settle(&order, &mut recorder);
        let kept = recorder.kept();
        assert_eq!((kept.work.count(), kept.work.max()), (3, 400));
        let times = kept.times(1e9).unwrap();
        assert_eq!((times.busy_per_cent.round(), times.gaps_per_s), (95.0, 0.0));
        assert_eq!((kept.idle.count(), kept.idle.max()), (2, 30));
    }
}
