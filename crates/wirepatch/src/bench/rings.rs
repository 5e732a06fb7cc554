//! Rows over rings: generator and sink on one lcore, the journey on another.
//!
//! ```text
//! feeder: templates ─ ring ─> worker: journey ─ ring ─> feeder: free
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context as _, Result};
use capsule::{Mbuf, Mempool, RingConsumer, RingProducer, rdtsc, spsc};
use datapath::limits::BURST_FRAMES_MAX;
use datapath::{Core, CoreConfig, CoreCounters, FramePool, Nic, PortNo, turn};
use plan::Reader;
use sim::load::{Load, Side};

use super::clock::{Task, resident_bytes};
use super::histogram::Histogram;
use super::lcore::{Bench, FEEDER, WORKER, Watch, burst, forward, join, sleep, tick};
use super::row::{Latency, Row, RowResult, Work, added, real, reasons};
use crate::nic::{DpdkFrame, hand_out, take_in};

/// Frames of one ring.
const RING_FRAMES: u32 = 2_048;

/// Frames on their way to the worker at a time: enough that it never waits, too few to overtake one another.
const AHEAD_FRAMES_MAX: usize = 512;

/// The share of what the worker could do that is offered for latency, as far as the generator is able to.
const LATENCY_LOAD: f64 = 0.8;

/// A packet in so many has its time taken.
const STAMP_EVERY: u64 = 32;

/// What the feeder does now.
const PAUSE: u64 = 0;
const FULL: u64 = 1;
/// Anything above is the time, in ticks, from one handful of frames to the next.
const PACED_MIN: u64 = 2;

/// The worker's ends.
struct RingPair {
    rx: [RingConsumer; 2],
    tx: [RingProducer; 2],
    pool: Mempool,
    mbufs: Vec<Mbuf>,
}

impl FramePool for RingPair {
    type Frame = DpdkFrame;

    fn alloc(&mut self) -> Option<DpdkFrame> {
        self.pool.alloc().map(DpdkFrame)
    }
}

impl Nic for RingPair {
    fn receive(&mut self, port: PortNo, burst: &mut Vec<DpdkFrame>) {
        if let Some(ring) = self.rx.get_mut(usize::from(port.0)) {
            ring.dequeue(&mut self.mbufs, BURST_FRAMES_MAX);
            take_in(&mut self.mbufs, burst);
        }
    }

    fn prefetch<T>(&self, place: &T) {
        capsule::prefetch(place);
    }

    fn cycles(&mut self) -> u64 {
        rdtsc()
    }

    fn transmit(&mut self, port: PortNo, out: &mut Vec<DpdkFrame>) {
        if let Some(ring) = self.tx.get_mut(usize::from(port.0)) {
            hand_out(out, &mut self.mbufs, |mbufs| {
                ring.enqueue(mbufs);
            });
        }
    }
}

/// Frames handed in at a time when latency is taken: a NIC's come one by one, and how long the last of a burst waits for the
/// first is a matter of the burst.
const PACED_FRAMES: usize = 4;

/// How long a stretch is: seldom interrupted on a machine that has other things to do, and many times a burst's way.
const STRETCH_SECONDS: f64 = 0.002;

/// What main tells the feeder, and hears of it.
#[derive(Debug, Default)]
struct Orders {
    pace: AtomicU64,
    /// The opening is over.
    opened: AtomicU64,
    stretch_ticks: AtomicU64,
}

/// A stretch of time, in which both lcores have to have had their CPUs to themselves to count.
#[derive(Debug)]
struct Stretch {
    from: u64,
    sent: u64,
    turns: [(u64, u64); 2],
}

/// Generator and sink.
struct Feeder {
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

/// What was seen of latency.
#[derive(Debug)]
struct Latencies {
    /// In stretches that count.
    clean: Histogram,
    stretches: u64,
    all: u64,
    /// Handed in during stretches that count, and the ticks those took.
    packets: u64,
    ticks: u64,
    /// In the stretch under way.
    now: Histogram,
}

impl Feeder {
    fn run(mut self, orders: &Orders, watch: &Watch) -> Latencies {
        let own = Task::current();
        let mut stretch: Option<Stretch> = None;
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

    fn begin(&self, watch: &Watch, own: &Task) -> Option<Stretch> {
        let turns = [own.turns(), watch.task()?.turns()];
        Some(Stretch { from: rdtsc(), sent: self.sent.iter().sum(), turns })
    }

    /// At a given pace: a stretch begins and ends with nothing on its way, and counts if nothing interrupted it.
    fn paced(
        &mut self,
        ticks: u64,
        orders: &Orders,
        watch: &Watch,
        own: &Task,
        stretch: &mut Option<Stretch>,
    ) {
        let (now, stretch_ticks) = (rdtsc(), orders.stretch_ticks.load(Relaxed));
        let on_the_way = self.sent.iter().sum::<u64>().saturating_sub(self.came.iter().sum());
        match stretch {
            Some(begun) if now - begun.from < stretch_ticks => {
                if now >= self.next_at {
                    // A feeder that fell behind does not make up for it in one go.
                    self.next_at = now.max(self.next_at.saturating_add(ticks));
                    self.generate(watch, PACED_FRAMES, true);
                }
            }
            Some(begun) => {
                // What is lost on its way must not be waited for.
                if on_the_way > 0 && now - begun.from < 2 * stretch_ticks {
                    return;
                }
                self.latency.all += 1;
                let turns = watch.task().map(|task| [own.turns(), task.turns()]);
                if on_the_way == 0 && turns == Some(begun.turns) {
                    self.latency.stretches += 1;
                    self.latency.packets += self.sent.iter().sum::<u64>() - begun.sent;
                    self.latency.ticks += stretch_ticks;
                    self.latency.clean.take(&mut self.latency.now);
                }
                *stretch = None;
            }
            None => {
                // Also the one that full pace left over.
                self.latency.now = Histogram::new();
                for stamps in &mut self.stamps {
                    stamps.clear();
                }
                *stretch = self.begin(watch, own);
                self.next_at = rdtsc();
            }
        }
    }

    /// Takes back what has come through.
    fn sink(&mut self, timed: bool) {
        for (port, ring) in self.rx.iter_mut().enumerate() {
            let frames = ring.dequeue(&mut self.back, 2 * BURST_FRAMES_MAX);
            if frames == 0 {
                continue;
            }
            // What leaves at one port came in at the other.
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
    fn generate(&mut self, watch: &Watch, frames: usize, at_once: bool) {
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
            let side = usize::from(packet.side() == Side::Server);
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

/// Measures the journey, the floor, and latency.
pub(super) fn measure(bench: &Bench, row: &Row) -> Result<RowResult> {
    let counters = Arc::new(CoreCounters::default());
    let reader = Reader::new(row.publisher()?);
    let config = CoreConfig { limits: row.limits(), ..CoreConfig::default() };
    let mut core = Core::new(config, reader, Arc::clone(&counters));
    let (start, ticks_per_ms) = (rdtsc(), bench.ticks_per_ms());
    let mut before = reasons(&counters);
    let note = || before = reasons(&counters);
    let journey = fed(bench, row, "j", bench.seconds, None, note, move |nic| {
        turn(nic, &mut core, tick(start, ticks_per_ms))
    })?;
    let left = added(&before, &reasons(&counters));

    let mut burst = burst();
    let floor = fed(
        bench,
        row,
        "f",
        bench.seconds / 2.0,
        Some(journey.pace),
        || {},
        move |nic| forward(nic, &mut burst),
    )?;

    let work = (journey.work, floor.work);
    let bytes = row.load().mean_frame_bytes();
    let us = |ticks: u64| real(ticks) * 1e6 / bench.hz();
    let of = |fed: &Fed, per_mille| fed.latency.clean.per_mille(per_mille).map(us);
    let latency = (|| {
        Some(Latency {
            offered_mpps: real(journey.latency.packets) * bench.hz()
                / 1e6
                / real(journey.latency.ticks.max(1)),
            stretches: journey.latency.stretches,
            stretches_all: journey.latency.all,
            floor_p50: of(&floor, 500)?,
            floor_p99: of(&floor, 990)?,
            p50: of(&journey, 500)?,
            p90: of(&journey, 900)?,
            p99: of(&journey, 990)?,
            p999: of(&journey, 999)?,
            max: us(journey.latency.clean.max()),
        })
    })();
    let result = RowResult::new(row, "rings", bytes, work, bench.hz(), left);
    Ok(result.with_latency(latency).with_opening(journey.opening_bytes))
}

struct Fed {
    work: Work,
    latency: Latencies,
    /// Ticks from one handful of frames to the next that were offered for latency.
    pace: u64,
    opening_bytes: u64,
}

/// Runs `turn` on the worker and feeds it the row's load; `note` is called when the opening is over. Latency is taken at `pace`,
/// or at a share of what the worker could do.
fn fed(
    bench: &Bench,
    row: &Row,
    name: &str,
    seconds: f64,
    pace: Option<u64>,
    note: impl FnOnce(),
    mut turn: impl FnMut(&mut RingPair) -> usize + Send + 'static,
) -> Result<Fed> {
    let ring = |what: &str| {
        let name = format!("bench-{name}{what}");
        spsc(&bench.eal, &name, RING_FRAMES).with_context(|| format!("making ring {name}"))
    };
    let ((in0, from0), (in1, from1)) = (ring("i0")?, ring("i1")?);
    let ((to0, out0), (to1, out1)) = (ring("o0")?, ring("o1")?);
    let mut nic = RingPair {
        rx: [from0, from1],
        tx: [to0, to1],
        pool: bench.pool.clone(),
        mbufs: Vec::with_capacity(4_096),
    };
    let feeder = Feeder {
        load: row.load(),
        pool: bench.pool.clone(),
        tx: [in0, in1],
        rx: [out0, out1],
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
    };
    let watch = Arc::new(Watch::default());
    let orders = Arc::new(Orders::default());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "millions"
    )]
    orders.stretch_ticks.store((bench.hz() * STRETCH_SECONDS) as u64, Relaxed);
    let resident = resident_bytes();
    let worker = bench.eal.launch(WORKER, {
        let watch = Arc::clone(&watch);
        move || watch.run(|| turn(&mut nic))
    })?;
    let fed = bench.eal.launch(FEEDER, {
        let (watch, orders) = (Arc::clone(&watch), Arc::clone(&orders));
        move || feeder.run(&orders, &watch)
    })?;

    let watched = (|| {
        watch.look()?;
        orders.pace.store(FULL, Relaxed);
        while orders.opened.load(Relaxed) == 0 {
            sleep(0.005);
        }
        let opening_bytes = resident_bytes().saturating_sub(resident);
        // Caches and branch predictors have seen it all by then.
        sleep(0.1);
        note();
        let from = watch.look()?;
        sleep(seconds);
        let work = from.until(watch.look()?, bench.hz());
        let ticks = work.ns_per_packet() * bench.hz() / 1e9 / LATENCY_LOAD;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "ticks of a few frames"
        )]
        let share = (real(PACED_FRAMES as u64) * ticks) as u64;
        let pace = pace.unwrap_or(share).max(PACED_MIN);
        orders.pace.store(pace, Relaxed);
        sleep(seconds);
        anyhow::Ok((work, pace, opening_bytes))
    })();
    watch.stop.store(true, Relaxed);
    join(worker, "worker")?;
    let latency = join(fed, "feeder")?;
    let (work, pace, opening_bytes) = watched?;
    Ok(Fed { work, latency, pace, opening_bytes })
}
