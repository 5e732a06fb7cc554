//! The loops that busy lcores run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use capsule::{Backoff, Eal, rdtsc};
use datapath::{Core, LcoreCycles, turn};

use crate::nic::{DpdkFrame, Io, QueueNic, RingNic};

/// A core whose ports wake it still looks up this often: fragments and idle connections time out.
const LOOK_UP: Duration = Duration::from_millis(20);

/// Milliseconds since the start, from the time-stamp counter: one instruction a burst, no system
/// call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: u64,
    ticks_per_ms: u64,
}

impl Clock {
    pub(super) fn start(eal: &Eal) -> Self {
        Self { start: rdtsc(), ticks_per_ms: eal.tsc_hz().checked_div(1_000).unwrap_or(1).max(1) }
    }

    fn at_ms(self, cycles: u64) -> u64 {
        // The counter of a virtual machine that was moved may step back: then time does not move
        // for a while.
        cycles.saturating_sub(self.start).checked_div(self.ticks_per_ms).unwrap_or(0)
    }
}

/// Written once, read by every lcore at every turn. It has cache lines of its own: nothing beside
/// it may be written while they run.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Stop(AtomicBool);

impl Stop {
    /// Every loop ends with the turn it is at.
    pub(super) fn order(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_ordered(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// The parts that every loop shares.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) stop: Arc<Stop>,
    pub(super) clock: Clock,
    pub(super) sleep_when_idle: bool,
    /// The counters of the lcore it runs on.
    pub(super) cycles: Arc<LcoreCycles>,
}

/// Reads the time-stamp counter once a turn, for the clock and for the length of the turn before.
#[derive(Debug)]
struct Meter<'a> {
    cycles: &'a LcoreCycles,
    since: u64,
    busy: bool,
}

impl<'a> Meter<'a> {
    fn start(cycles: &'a LcoreCycles) -> Self {
        Self { cycles, since: rdtsc(), busy: false }
    }

    /// A turn begins at `now`.
    fn turn(&mut self, now: u64) -> u64 {
        let cell = if self.busy { &self.cycles.busy } else { &self.cycles.idle };
        cell.add(now.saturating_sub(self.since));
        self.since = now;
        now
    }
}

impl Loop {
    /// Run to completion.
    pub(super) fn poll_queues(&self, nic: &mut QueueNic, core: &mut Core<DpdkFrame>) {
        let (mut backoff, mut meter) = (Backoff::new(), Meter::start(&self.cycles));
        while !self.stop.is_ordered() {
            let now = self.clock.at_ms(meter.turn(rdtsc()));
            meter.busy = turn(nic, core, now) > 0;
            if meter.busy {
                backoff.busy();
            } else if self.sleep_when_idle {
                nic.idle(&mut backoff, LOOK_UP);
            }
        }
    }

    /// A worker behind rings.
    pub(super) fn poll_rings(&self, nic: &mut RingNic, core: &mut Core<DpdkFrame>) {
        let (mut backoff, mut meter) = (Backoff::new(), Meter::start(&self.cycles));
        while !self.stop.is_ordered() {
            let now = self.clock.at_ms(meter.turn(rdtsc()));
            meter.busy = turn(nic, core, now) > 0;
            self.pace(&mut backoff, meter.busy);
        }
    }

    /// Between ports and rings.
    pub(super) fn move_frames(&self, io: &mut Io) {
        let (mut backoff, mut meter) = (Backoff::new(), Meter::start(&self.cycles));
        while !self.stop.is_ordered() {
            meter.turn(rdtsc());
            meter.busy = io.turn();
            self.pace(&mut backoff, meter.busy);
        }
    }

    fn pace(&self, backoff: &mut Backoff, busy: bool) {
        if busy {
            backoff.busy();
        } else if self.sleep_when_idle {
            backoff.idle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_to_stop_is_alone_on_its_lines() {
        assert_eq!((align_of::<Stop>(), size_of::<Stop>()), (128, 128));
        let stop = Stop::default();
        assert!(!stop.is_ordered());
        stop.order();
        assert!(stop.is_ordered());
    }

    #[test]
    fn a_turn_is_busy_or_idle_by_what_it_found() {
        let cycles = LcoreCycles::default();
        let mut meter = Meter { cycles: &cycles, since: 100, busy: false };
        assert_eq!(meter.turn(110), 110, "nothing was found before the first turn");
        meter.busy = true;
        meter.turn(150);
        meter.busy = false;
        meter.turn(1_150);
        // The counter of a virtual machine that was moved may step back.
        meter.turn(900);
        meter.turn(903);
        assert_eq!((cycles.busy.load(), cycles.idle.load()), (40, 1_013));
    }
}
