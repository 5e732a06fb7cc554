//! The lcore that feeds the measured one over rings: generator and sink, and the stopwatch.
//!
//! Holds:     [`Feeder`], its orders ([`FeederOrders`]) and the latencies
//!            ([`Latencies`]).
//! Promises:  latency counts in stretches only in which neither lcore lost its CPU to another
//!            thread.
//! Never:     hands in more than the worker's rings hold.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use capsule::{Mbuf, Mempool, RingConsumer, RingProducer, rdtsc};
use datapath::limits::BURST_FRAMES_MAX;
use offline::ConnectionSide;
use offline::load::Load;

use super::clock::Task;
use super::histogram::Histogram;
use super::lcore::{LcoreWatch, burst};

/// Frames on their way to the worker at a time: enough that it never waits, too few to overtake one
/// another.
const AHEAD_FRAMES_MAX: usize = 512;

/// A packet in so many has its time taken.
const STAMP_EVERY: u64 = 32;

/// Frames handed in at a time when latency is taken: a NIC's come one by one, and how long the last
/// of a burst waits for the first is a matter of the burst.
pub(super) const PACED_FRAMES: u64 = 4;

/// The pace of the feeder.
const PAUSE: u64 = 0;
pub(super) const FULL: u64 = 1;
/// Anything above is the time, in ticks, from one handful of frames to the next.
pub(super) const PACED_MIN: u64 = 2;

/// Orders of the main thread to the feeder, and its answer.
#[derive(Debug, Default)]
pub(super) struct FeederOrders {
    pub(super) pace: AtomicU64,
    /// The opening is over.
    pub(super) opened: AtomicU64,
    pub(super) stretch_ticks: AtomicU64,
}

/// A stretch of time, in which both lcores have to have had their CPUs to themselves to count.
#[derive(Debug)]
struct FeederStretch {
    from: u64,
    sent: u64,
    turns: [(u64, u64); 2],
}

/// Generator and sink.
pub(super) struct Feeder {
    load: Load,
    pool: Mempool,
    tx: [RingProducer; 2],
    rx: [RingConsumer; 2],
    out: [Vec<Mbuf>; 2],
    back: Vec<Mbuf>,
    /// Handed in, by port, and come out at the other.
    sent: [u64; 2],
    came: [u64; 2],
    /// `(number, when)` of frames whose time is taken.
    stamps: [VecDeque<(u64, u64)>; 2],
    latency: Latencies,
    next_at: u64,
}

/// The latencies of all stretches.
#[derive(Debug)]
pub(super) struct Latencies {
    /// In stretches that count.
    pub(super) clean: Histogram,
    pub(super) stretches: u64,
    pub(super) all: u64,
    /// Handed in during stretches that count, and the ticks those took.
    pub(super) packets: u64,
    pub(super) ticks: u64,
    /// In the stretch under way.
    now: Histogram,
}

impl Feeder {
    /// Feeds the rings of `tx` with the load, and takes the frames back from those of `rx`.
    pub(super) fn new(
        load: Load,
        pool: Mempool,
        tx: [RingProducer; 2],
        rx: [RingConsumer; 2],
    ) -> Self {
        Self {
            load,
            pool,
            tx,
            rx,
            out: [burst(), burst()].map(|mut out: Vec<Mbuf>| {
                out.reserve(2 * BURST_FRAMES_MAX);
                out
            }),
            back: Vec::with_capacity(2 * BURST_FRAMES_MAX),
            sent: [0; 2],
            came: [0; 2],
            stamps: [VecDeque::with_capacity(1_024), VecDeque::with_capacity(1_024)],
            latency: Latencies {
                clean: Histogram::new(),
                stretches: 0,
                all: 0,
                packets: 0,
                ticks: 0,
                now: Histogram::new(),
            },
            next_at: 0,
        }
    }

    pub(super) fn run(mut self, orders: &FeederOrders, watch: &LcoreWatch) -> Latencies {
        let own = Task::current();
        let mut stretch: Option<FeederStretch> = None;
        while !watch.stop.load(Relaxed) {
            let pace = orders.pace.load(Relaxed);
            self.sink(pace >= PACED_MIN);
            match pace {
                PAUSE => core::hint::spin_loop(),
                FULL => self.generate(watch, BURST_FRAMES_MAX, false),
                ticks => self.paced(ticks, orders, watch, &own, &mut stretch),
            }
            if !self.load.is_opening() {
                orders.opened.store(1, Relaxed);
            }
        }
        self.latency
    }

    fn begin(&self, watch: &LcoreWatch, own: &Task) -> Option<FeederStretch> {
        let turns = [own.turns(), watch.task()?.turns()];
        Some(FeederStretch { from: rdtsc(), sent: self.sent.iter().sum(), turns })
    }

    /// At a given pace: a stretch begins and ends with nothing on its way, and counts if nothing
    /// interrupted it.
    fn paced(
        &mut self,
        ticks: u64,
        orders: &FeederOrders,
        watch: &LcoreWatch,
        own: &Task,
        stretch: &mut Option<FeederStretch>,
    ) {
        let (now, stretch_ticks) = (rdtsc(), orders.stretch_ticks.load(Relaxed));
        let on_the_way = self.sent.iter().sum::<u64>().saturating_sub(self.came.iter().sum());
        match stretch {
            Some(begun) if now - begun.from < stretch_ticks => {
                if now >= self.next_at {
                    // A feeder that fell behind does not make up for it in one go.
                    self.next_at = now.max(self.next_at.saturating_add(ticks));
                    self.generate(watch, usize::try_from(PACED_FRAMES).unwrap_or(1), true);
                }
            }
            Some(begun) => {
                // Do not wait for a frame that was lost on its way.
                if on_the_way > 0 && now - begun.from < 2 * stretch_ticks {
                    return;
                }
                self.latency.all += 1;
                let turns = watch.task().map(|task| [own.turns(), task.turns()]);
                let counts = on_the_way == 0 && turns == Some(begun.turns);
                watch.order.end(counts);
                if counts {
                    self.latency.stretches += 1;
                    self.latency.packets += self.sent.iter().sum::<u64>() - begun.sent;
                    self.latency.ticks += stretch_ticks;
                    self.latency.clean.take(&mut self.latency.now);
                }
                *stretch = None;
            }
            // What full pace, or a stretch that was given up, has left in the rings would be waited
            // for in this one.
            None if on_the_way > 0 => {}
            None => {
                // Also the one that full pace left over.
                self.latency.now = Histogram::new();
                for stamps in &mut self.stamps {
                    stamps.clear();
                }
                *stretch = self.begin(watch, own);
                watch.order.record();
                self.next_at = rdtsc();
            }
        }
    }

    /// Takes back the frames that have come through.
    fn sink(&mut self, timed: bool) {
        for (port, ring) in self.rx.iter_mut().enumerate() {
            let frames = ring.dequeue(&mut self.back, 2 * BURST_FRAMES_MAX);
            if frames == 0 {
                continue;
            }
            // A frame that leaves at one port came in at the other.
            let from = 1 - port;
            self.came[from] += u64::try_from(frames).unwrap_or(0);
            let now = rdtsc();
            while let Some(&(number, at)) = self.stamps[from].front()
                && number <= self.came[from]
            {
                self.stamps[from].pop_front();
                if timed {
                    self.latency.now.add(now.saturating_sub(at));
                }
            }
            Mbuf::free_bulk(&mut self.back);
        }
    }

    /// So many frames towards the worker, if it may have them; in full bursts, or at once.
    fn generate(&mut self, watch: &LcoreWatch, frames: usize, at_once: bool) {
        // With few conversations about, none of them may wait for company.
        let at_once = at_once || self.load.is_opening();
        self.flush(at_once);
        if self.out.iter().any(|out| out.len() >= BURST_FRAMES_MAX) {
            return;
        }
        let spacing = self.load.spacing().unwrap_or(usize::MAX);
        let ahead = AHEAD_FRAMES_MAX.min(spacing / 2);
        let handed: u64 = self.sent.iter().sum();
        let on_the_way =
            usize::try_from(handed.saturating_sub(watch.packets())).unwrap_or(usize::MAX);
        let count = frames.min(spacing);
        if on_the_way > ahead {
            return;
        }
        for _ in 0..count {
            let Some(mut mbuf) = self.pool.alloc() else { break };
            let packet = self.load.next_packet();
            if let Some(room) = mbuf.append(packet.frame_bytes()) {
                packet.write(room);
            }
            let side = usize::from(packet.side() == ConnectionSide::Server);
            self.out[side].push(mbuf);
        }
        if at_once || self.out.iter().any(|out| out.len() >= BURST_FRAMES_MAX) {
            self.flush(at_once);
        }
    }

    fn flush(&mut self, at_once: bool) {
        for port in 0..2 {
            let out = &mut self.out[port];
            if out.is_empty() || (out.len() < BURST_FRAMES_MAX && !at_once) {
                continue;
            }
            let taken = u64::try_from(self.tx[port].enqueue(out)).unwrap_or(0);
            let before = self.sent[port];
            self.sent[port] += taken;
            if before / STAMP_EVERY != self.sent[port] / STAMP_EVERY
                && self.stamps[port].len() < 1_024
            {
                self.stamps[port].push_back((self.sent[port], rdtsc()));
            }
        }
    }
}
