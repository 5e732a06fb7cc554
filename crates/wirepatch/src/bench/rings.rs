//! Rows over rings: generator and sink on one lcore, the journey on another.
//!
//! ```text
//! feeder: templates ─ ring ─> worker: journey ─ ring ─> feeder: free
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::{Context as _, Result};
use capsule::{Mbuf, Mempool, RingConsumer, RingProducer, rdtsc, spsc};
use datapath::limits::BURST_FRAMES_MAX;
use datapath::{Core, CoreConfig, CoreCounters, FramePool, Nic, PortNo, turn};
use plan::Subscriber;

use super::clock::resident_bytes;
use super::feeder::{FULL, Feeder, FeederOrders, Latencies, PACED_FRAMES, PACED_MIN};
use super::latency::{Control, Latency};
use super::lcore::{Bench, FEEDER, LcoreWatch, PORTS, WORKER, burst, forward, join, sleep, tick};
use super::row::{BenchRow, LcoreWork, RowResult, added, real, reasons, ticks};
use super::steady;
use super::turns::TurnHistograms;
use crate::nic::{DpdkFrame, hand_out, take_in};

/// Frames of one ring.
const RING_FRAMES: u32 = 2_048;

/// The share of what the worker could do that is offered for latency, as far as the generator is
/// able to.
const LATENCY_LOAD: f64 = 0.8;

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

/// How long a stretch is: seldom interrupted on a machine that has other things to do, and many
/// times a burst's way.
const STRETCH_SECONDS: f64 = 0.002;

/// Measures the journey, the floor, and latency.
pub(super) fn measure(bench: &Bench, row: &BenchRow) -> Result<RowResult> {
    let counters = Arc::new(CoreCounters::default());
    let reader = Subscriber::new(row.publisher()?);
    let config = CoreConfig { limits: row.limits(), ..CoreConfig::default() };
    let mut core = Core::new(config, reader, Arc::clone(&counters));
    let (start, ticks_per_ms) = (rdtsc(), bench.ticks_per_ms());
    let mut before = reasons(&counters);
    let note = || before = reasons(&counters);
    let seconds = bench.seconds;
    let times = OfferTimes { full: seconds, paced: seconds, pace: None };
    let journey = fed(bench, row, "j", times, note, move |nic| {
        turn(nic, &mut core, tick(start, ticks_per_ms))
    })?;
    let left = added(&before, &reasons(&counters));

    let mut frames = burst();
    let times = OfferTimes { full: seconds / 2.0, paced: seconds / 2.0, pace: Some(journey.pace) };
    let floor = fed(bench, row, "f", times, || {}, move |nic| forward(nic, &mut frames))?;

    // As much work a packet as the journey on the mean, all in registers: what comes late here, the
    // machine delayed.
    let each = ticks(journey.work.ns_per_packet() * bench.hz() / 1e9);
    let (mut frames, rounds) = (burst(), steady::rounds(each));
    let times = OfferTimes { full: 0.0, paced: seconds / 2.0, pace: Some(journey.pace) };
    let busy = move |nic: &mut RingPair| {
        let mut count = 0;
        for (from, to) in [(PORTS[0], PORTS[1]), (PORTS[1], PORTS[0])] {
            nic.receive(from, &mut frames);
            count += frames.len();
            frames.iter().for_each(|_| steady::work(rounds));
            nic.transmit(to, &mut frames);
            frames.clear();
        }
        count
    };
    let control = fed(bench, row, "c", times, || {}, busy)?;

    let bytes = row.load().mean_frame_bytes();
    let us = |ticks: u64| real(ticks) * 1e6 / bench.hz();
    let of = |fed: &FeedResult, per_mille| fed.latency.clean.per_mille(per_mille).map(us);
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
            turns: journey.turns.times(bench.hz())?,
            control: Control {
                p50: of(&control, 500)?,
                p99: of(&control, 990)?,
                turns: control.turns.times(bench.hz())?,
            },
        })
    })();
    let result = RowResult::new(row, "rings", bytes, journey.work, floor.work, bench.hz(), left);
    Ok(result.with_latency(latency).with_opening(journey.opening_bytes))
}

struct FeedResult {
    work: LcoreWork,
    latency: Latencies,
    turns: TurnHistograms,
    /// Ticks from one handful of frames to the next that were offered for latency.
    pace: u64,
    opening_bytes: u64,
}

/// How long frames are offered.
#[derive(Clone, Copy)]
struct OfferTimes {
    /// Seconds of as many as the worker takes, and of a pace that it can keep.
    full: f64,
    paced: f64,
    /// Ticks from one handful to the next; otherwise such that it is a share of what the worker
    /// could do.
    pace: Option<u64>,
}

/// Runs `turn` on the worker and feeds it the row's load; `note` is called when the opening is
/// over.
fn fed(
    bench: &Bench,
    row: &BenchRow,
    name: &str,
    times: OfferTimes,
    note: impl FnOnce(),
    mut turn: impl FnMut(&mut RingPair) -> usize + Send + 'static,
) -> Result<FeedResult> {
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
    let feeder = Feeder::new(row.load(), bench.pool.clone(), [in0, in1], [out0, out1]);
    let watch = Arc::new(LcoreWatch::default());
    let orders = Arc::new(FeederOrders::default());
    orders.stretch_ticks.store(ticks(bench.hz() * STRETCH_SECONDS), Relaxed);
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
        watch.snapshot()?;
        orders.pace.store(FULL, Relaxed);
        while orders.opened.load(Relaxed) == 0 {
            sleep(0.005);
        }
        let opening_bytes = resident_bytes().saturating_sub(resident);
        // Caches and branch predictors have seen it all by then.
        sleep(0.1);
        note();
        let from = watch.snapshot()?;
        sleep(times.full);
        let work = from.until(watch.snapshot()?, bench.hz());
        let each = work.ns_per_packet() * bench.hz() / 1e9;
        let share = ticks(real(PACED_FRAMES) * each / LATENCY_LOAD);
        let pace = times.pace.unwrap_or(share).max(PACED_MIN);
        orders.pace.store(pace, Relaxed);
        sleep(times.paced);
        anyhow::Ok((work, pace, opening_bytes))
    })();
    watch.stop.store(true, Relaxed);
    let turns = join(worker, "worker")?;
    let latency = join(fed, "feeder")?;
    let (work, pace, opening_bytes) = watched?;
    Ok(FeedResult { work, latency, turns, pace, opening_bytes })
}
