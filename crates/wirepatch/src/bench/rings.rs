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

use super::histogram::Histogram;
use super::lcore::{Bench, FEEDER, Look, WORKER, Watch, burst, forward, join, sleep, tick};
use super::row::{Latency, Row, RowResult, Work, added, real, reasons};
use crate::nic::{DpdkFrame, hand_out, take_in};

/// Frames of one ring.
const RING_FRAMES: u32 = 2_048;

/// Frames on their way to the worker at a time: enough that it never waits, too few to overtake one another.
const AHEAD_FRAMES_MAX: usize = 512;

/// The share of what went through that is offered for latency.
const LATENCY_LOAD: f64 = 0.8;

/// A packet in so many has its time taken.
const STAMP_EVERY: u64 = 32;

/// What the feeder does now.
const PAUSE: u64 = 0;
const FULL: u64 = 1;
/// Anything above is the time, in ticks, from one burst to the next.
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

    fn transmit(&mut self, port: PortNo, out: &mut Vec<DpdkFrame>) {
        if let Some(ring) = self.tx.get_mut(usize::from(port.0)) {
            hand_out(out, &mut self.mbufs, |mbufs| {
                ring.enqueue(mbufs);
            });
        }
    }
}

/// What main tells the feeder, and hears of it.
#[derive(Debug, Default)]
struct Orders {
    pace: AtomicU64,
    /// The opening is over.
    opened: AtomicU64,
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
    latency: Histogram,
    next_at: u64,
}

impl Feeder {
    fn run(mut self, orders: &Orders, watch: &Watch) -> Histogram {
        while !watch.stop.load(Relaxed) {
            self.sink(orders.pace.load(Relaxed) >= PACED_MIN);
            match orders.pace.load(Relaxed) {
                PAUSE => core::hint::spin_loop(),
                FULL => self.generate(watch),
                ticks => {
                    let now = rdtsc();
                    if now >= self.next_at {
                        // A feeder that fell behind does not make up for it in one go.
                        self.next_at = now.max(self.next_at.saturating_add(ticks));
                        self.generate(watch);
                    }
                }
            }
            if !self.load.is_opening() {
                orders.opened.store(1, Relaxed);
            }
        }
        self.latency
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
                    self.latency.add(now.saturating_sub(at));
                }
            }
            Mbuf::free_bulk(&mut self.back);
        }
    }

    /// One burst towards the worker, if it may have it.
    fn generate(&mut self, watch: &Watch) {
        self.flush();
        if self.out.iter().any(|out| out.len() >= BURST_FRAMES_MAX) {
            return;
        }
        let spacing = self.load.spacing().unwrap_or(usize::MAX);
        let ahead = AHEAD_FRAMES_MAX.min(spacing / 2);
        let handed: u64 = self.sent.iter().sum();
        let on_the_way =
            usize::try_from(handed.saturating_sub(watch.packets())).unwrap_or(usize::MAX);
        let count = BURST_FRAMES_MAX.min(spacing);
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
        // With few conversations about, none of them may wait for company.
        let whole = self.load.is_opening();
        if whole || self.out.iter().any(|out| out.len() >= BURST_FRAMES_MAX) {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for port in 0..2 {
            let out = &mut self.out[port];
            if out.is_empty() || (out.len() < BURST_FRAMES_MAX && !self.load.is_opening()) {
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
    let mut burst = burst();
    let floor = fed(
        bench,
        row,
        "f",
        bench.seconds / 2.0,
        false,
        || {},
        move |nic| forward(nic, &mut burst),
    )?;

    let counters = Arc::new(CoreCounters::default());
    let reader = Reader::new(row.publisher()?);
    let mut core = Core::new(CoreConfig::default(), reader, Arc::clone(&counters));
    let (start, ticks_per_ms) = (rdtsc(), bench.ticks_per_ms());
    let mut before = reasons(&counters);
    let note = || before = reasons(&counters);
    let fed = fed(bench, row, "j", bench.seconds, true, note, move |nic| {
        turn(nic, &mut core, tick(start, ticks_per_ms))
    })?;
    let left = added(&before, &reasons(&counters));
    let work = (fed.work, floor.work);
    let bytes = Load::new(row.kind).mean_frame_bytes();
    Ok(RowResult::new(row, "rings", bytes, work, bench.hz(), left).with_latency(fed.latency))
}

struct Fed {
    work: Work,
    latency: Option<Latency>,
}

/// Runs `turn` on the worker and feeds it the row's load; `note` is called when the opening is over.
fn fed(
    bench: &Bench,
    row: &Row,
    name: &str,
    seconds: f64,
    timed: bool,
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
        load: Load::new(row.kind),
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
        latency: Histogram::new(),
        next_at: 0,
    };
    let watch = Arc::new(Watch::default());
    let orders = Arc::new(Orders::default());
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
        // Caches and branch predictors have seen it all by then.
        sleep(0.1);
        note();
        let from = watch.look()?;
        sleep(seconds);
        let work = from.until(watch.look()?, bench.hz());
        let mut offered = None;
        if timed {
            let per_second = real(work.packets) * 1e9 / work.wall_ns * LATENCY_LOAD;
            let ticks = real(BURST_FRAMES_MAX as u64) * bench.hz() / per_second.max(1.0);
            orders.pace.store((ticks as u64).max(PACED_MIN), Relaxed);
            let from: Look = watch.look()?;
            sleep(seconds / 2.0);
            let paced = from.until(watch.look()?, bench.hz());
            offered = Some(real(paced.packets) * 1e3 / paced.wall_ns);
        }
        anyhow::Ok((work, offered))
    })();
    watch.stop.store(true, Relaxed);
    join(worker, "worker")?;
    let histogram = join(fed, "feeder")?;
    let (work, offered) = watched?;
    let us = |ticks: u64| real(ticks) * 1e6 / bench.hz();
    let latency = offered.and_then(|offered_mpps| {
        Some(Latency {
            offered_mpps,
            p50: us(histogram.per_mille(500)?),
            p90: us(histogram.per_mille(900)?),
            p99: us(histogram.per_mille(990)?),
            p999: us(histogram.per_mille(999)?),
            max: us(histogram.max()),
        })
    });
    Ok(Fed { work, latency })
}
