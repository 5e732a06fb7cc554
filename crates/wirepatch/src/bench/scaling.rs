//! Two lcores at a time: what each does alone and both do together, and what one does behind an
//! lcore that receives and sends.
//!
//! Holds:     the layouts of `wirepatch run` on two CPUs: run to completion twice, each lcore with
//!            its own ports, journey and counters over one plan and one pool; and a worker behind
//!            rings.
//! Promises:  time is taken in stretches of 2 ms, and those count in which the kernel took the CPU
//!            from no lcore concerned; the middle one of all rounds is told, so that neither a
//!            lucky nor a disturbed one decides.
//! Never:     plays a connection twice: TCP's frames are made on the lcore that takes them, and
//!            making them is not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use anyhow::{Context as _, Result};
use capsule::{Mempool, MempoolConfig, RxQueue, TxQueue, rdtsc};
use datapath::limits::BURST_FRAMES_MAX;
use datapath::memory::MemoryNic;
use datapath::{ActivePlan, Core, CoreConfig, CoreCounters, Event, Publisher, turn};
use offline::load::{Load, TrafficKind};
use plan::Subscriber;

use super::clock::{Task, now};
use super::lcore::{Bench, FEEDER, WORKER, join, sleep, tick};
use super::memory;
use super::ports;
use super::report::ScalingResult;
use super::row::{BenchRow, real, ticks};
use crate::cli::BenchArgs;
use crate::nic::{Io, QueueNic, lay_rings};

/// Traffic, and whether it comes from a capture that `net_pcap` plays.
const ROWS: [(TrafficKind, bool); 4] = [
    (TrafficKind::UdpOutOfScope, true),
    (TrafficKind::Dns, true),
    (TrafficKind::HttpRequests, false),
    (TrafficKind::TcpAcks, false),
];

/// How long a stretch is.
const STRETCH_SECONDS: f64 = 0.002;

/// One part in so many of what ran is left out: until caches and branch predictors have seen it
/// all.
const WARM_UP: usize = 8;

/// Of the captures of four ports, queues, rings and caches.
const MBUFS: u32 = 65_535;

/// Packets of one ring; `limits.ring_packets` unless set.
const RING_PACKETS: u32 = 2_048;

/// What an lcore does over and over: gives the frames that left, and, where only a part of a turn
/// counts, its ticks.
struct LcoreJob {
    turn: Box<dyn FnMut() -> (u64, u64) + Send>,
    /// All of the time counts.
    is_whole: bool,
}

/// A stretch of an lcore's time.
#[derive(Clone, Copy, Debug)]
struct LcoreStretch {
    from: u64,
    to: u64,
    packets: u64,
    ticks: u64,
    /// The lcore had its CPU all the time.
    is_clean: bool,
}

/// Ticks a packet of every stretch that counts.
#[derive(Debug, Default)]
struct StretchTicks {
    alone: [Vec<f64>; 2],
    together: [Vec<f64>; 2],
    rings: Vec<f64>,
}

/// All rows, so many times.
pub(super) fn measure(bench: &Bench, args: &BenchArgs) -> Result<Vec<ScalingResult>> {
    let config =
        MempoolConfig { name: "scaling".to_owned(), mbufs: MBUFS, ..MempoolConfig::default() };
    let pool = Mempool::new(&bench.eal, &config).context("making the packet pool scaling")?;
    let rows = ROWS
        .iter()
        .map(|&(kind, is_played)| Ok((BenchRow::loaded(kind, &args.library)?, is_played)));
    let rows: Vec<(BenchRow, bool)> = rows.collect::<Result<_>>()?;
    let mut found: Vec<StretchTicks> = rows.iter().map(|_| StretchTicks::default()).collect();
    for _ in 0..args.repeat {
        for ((row, is_played), found) in rows.iter().zip(&mut found) {
            crate::output::say_error(&format!("wirepatch bench: {}, two lcores\n", row.title()));
            round(bench, &pool, row, *is_played, found)?;
        }
    }
    let hz = bench.hz();
    let shown = rows.iter().zip(&mut found).map(|((row, is_played), found)| {
        let mpps = |ticks: &mut Vec<f64>| median(ticks).map(|ticks| hz / ticks / 1e6);
        let [one, other] = &mut found.together;
        let stretches = one.len().min(other.len());
        ScalingResult {
            row: row.name(),
            title: row.title(),
            ports: if *is_played { "net_pcap" } else { "memory" },
            alone_mpps: found.alone.each_mut().map(mpps),
            together_mpps: [mpps(one), mpps(other)],
            rings_mpps: mpps(&mut found.rings),
            stretches,
        }
    });
    Ok(shown.collect())
}

fn round(
    bench: &Bench,
    pool: &Mempool,
    row: &BenchRow,
    is_played: bool,
    found: &mut StretchTicks,
) -> Result<()> {
    let publisher = row.publisher()?;
    let job = |lcore| {
        if is_played { played(bench, pool, row, &publisher) } else { made(bench, row, &publisher) }
            .map(|job| (lcore, job))
    };
    let mut jobs = vec![job(WORKER)?, job(FEEDER)?];
    for at in [0, 1] {
        let (lcore, alone) = jobs.remove(at);
        let mut ran = run(bench, vec![(lcore, alone)])?;
        let (alone, stretches) = ran.remove(0);
        if let Some(all) = found.alone.get_mut(at) {
            all.extend(counting(&stretches, None));
        }
        jobs.insert(at, (lcore, alone));
    }
    let ran = run(bench, jobs)?;
    if let [(_, one), (_, other)] = ran.as_slice() {
        let [first, second] = &mut found.together;
        first.extend(counting(one, Some(other)));
        second.extend(counting(other, Some(one)));
    }
    drop(ran);
    if is_played {
        let ran = run(bench, behind_rings(bench, pool, row, &publisher)?)?;
        if let [(_, worker), (_, io)] = ran.as_slice() {
            found.rings.extend(counting(worker, Some(io)));
        }
    }
    Ok(())
}

/// Runs the jobs on their lcores at the same time, and gives them back.
fn run(bench: &Bench, jobs: Vec<(u32, LcoreJob)>) -> Result<Vec<(LcoreJob, Vec<LcoreStretch>)>> {
    let stop = Arc::new(AtomicBool::new(false));
    let stretch_ticks = ticks(bench.hz() * STRETCH_SECONDS);
    let room = usize::try_from(ticks(bench.seconds / STRETCH_SECONDS)).unwrap_or(0) + 64;
    let mut running = Vec::new();
    for (lcore, mut job) in jobs {
        let stop = Arc::clone(&stop);
        running.push(bench.eal.launch(lcore, move || {
            let own = Task::current();
            let mut stretches = Vec::with_capacity(room);
            let mut turns = own.turns();
            let (mut from, mut packets, mut ticks) = (rdtsc(), 0, 0);
            while !stop.load(Relaxed) {
                let (sent, took) = (job.turn)();
                packets += sent;
                ticks += took;
                let to = rdtsc();
                if to.saturating_sub(from) < stretch_ticks {
                    continue;
                }
                let before = core::mem::replace(&mut turns, own.turns());
                let ticks_counted = if job.is_whole { to - from } else { ticks };
                let is_clean = before == turns;
                stretches.push(LcoreStretch { from, to, packets, ticks: ticks_counted, is_clean });
                (from, packets, ticks) = (rdtsc(), 0, 0);
            }
            (job, stretches)
        })?);
    }
    sleep(bench.seconds);
    stop.store(true, Relaxed);
    running.into_iter().map(|handle| join(handle, "lcore")).collect()
}

/// Ticks a packet in each stretch that counts: undisturbed itself, and all the while the other
/// lcore as well.
fn counting(own: &[LcoreStretch], other: Option<&[LcoreStretch]>) -> Vec<f64> {
    let is_quiet = |stretch: &LcoreStretch| {
        let Some(other) = other else { return true };
        let covers = other.first().is_some_and(|first| first.from <= stretch.from)
            && other.last().is_some_and(|last| last.to >= stretch.to);
        let mut meanwhile =
            other.iter().filter(|other| other.from < stretch.to && other.to > stretch.from);
        covers && meanwhile.all(|other| other.is_clean)
    };
    own.iter()
        .skip(own.len() / WARM_UP)
        .filter(|stretch| stretch.is_clean && stretch.packets > 0 && is_quiet(stretch))
        .map(|stretch| real(stretch.ticks) / real(stretch.packets))
        .collect()
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// A core of its own, and its counters.
fn core<F: datapath::Frame>(
    row: &BenchRow,
    publisher: &Arc<Publisher<ActivePlan>>,
) -> (Core<F>, Arc<CoreCounters>) {
    let counters = Arc::new(CoreCounters::default());
    let config = CoreConfig { limits: row.limits(), ..CoreConfig::default() };
    let core = Core::new(config, Subscriber::new(Arc::clone(publisher)), Arc::clone(&counters));
    (core, counters)
}

/// The frames that left: losses of a full queue are no throughput.
fn left(counters: &CoreCounters, lost: &mut u64, frames: usize) -> u64 {
    let before = core::mem::replace(lost, counters.event(Event::TxQueueFull));
    u64::try_from(frames).unwrap_or(0).saturating_sub(*lost - before)
}

type QueuePair = (RxQueue, TxQueue);

fn two_ports(bench: &Bench, pool: &Mempool, row: &BenchRow) -> Result<[QueuePair; 2]> {
    let (mut left, mut right) = ports::two(bench, row.kind)?;
    Ok([ports::start(&mut left, pool)?, ports::start(&mut right, pool)?])
}

/// Run to completion on ports that play a capture.
fn played(
    bench: &Bench,
    pool: &Mempool,
    row: &BenchRow,
    publisher: &Arc<Publisher<ActivePlan>>,
) -> Result<LcoreJob> {
    let mut nic = QueueNic::new(two_ports(bench, pool, row)?.into(), pool.clone());
    let (mut core, counters) = core(row, publisher);
    let (start, ticks_per_ms, mut lost) = (rdtsc(), bench.ticks_per_ms(), 0);
    let turn = move || {
        let frames = turn(&mut nic, &mut core, tick(start, ticks_per_ms));
        (left(&counters, &mut lost, frames), 0)
    };
    Ok(LcoreJob { turn: Box::new(turn), is_whole: true })
}

/// A worker, and the lcore that receives and transmits for it.
fn behind_rings(
    bench: &Bench,
    pool: &Mempool,
    row: &BenchRow,
    publisher: &Arc<Publisher<ActivePlan>>,
) -> Result<Vec<(u32, LcoreJob)>> {
    let queues = two_ports(bench, pool, row)?;
    let ports = queues.into_iter().enumerate().map(|(at, (rx, tx))| (format!("port{at}"), rx, tx));
    let laid = lay_rings(&bench.eal, ports.collect(), 1, RING_PACKETS, pool)?;
    let mut nic = laid.workers.into_iter().next().context("a worker without rings")?;
    let mut io = Io::default().join(laid.receive).join(laid.transmit);
    let (mut core, counters) = core(row, publisher);
    let (start, ticks_per_ms, mut lost) = (rdtsc(), bench.ticks_per_ms(), 0);
    let worker = move || {
        let frames = turn(&mut nic, &mut core, tick(start, ticks_per_ms));
        (left(&counters, &mut lost, frames), 0)
    };
    let io = move || (u64::from(io.turn()), 0);
    Ok(vec![
        (WORKER, LcoreJob { turn: Box::new(worker), is_whole: true }),
        (FEEDER, LcoreJob { turn: Box::new(io), is_whole: true }),
    ])
}

/// A journey whose frames its own lcore makes, in memory.
fn made(bench: &Bench, row: &BenchRow, publisher: &Arc<Publisher<ActivePlan>>) -> Result<LcoreJob> {
    let (mut core, _counters) = core(row, publisher);
    let (start, ticks_per_ms) = (rdtsc(), bench.ticks_per_ms());
    let mut load: Load = row.load();
    let mut nic = MemoryNic::new(2, 4 * BURST_FRAMES_MAX);
    let mut one = move || {
        let is_opening = load.is_opening();
        let most =
            if is_opening { load.spacing().unwrap_or(BURST_FRAMES_MAX) } else { BURST_FRAMES_MAX };
        let mut counted = (0_u64, 0_u64);
        memory::round(
            &mut load,
            &mut nic,
            most.min(BURST_FRAMES_MAX),
            &mut |nic: &mut MemoryNic| {
                let begun = rdtsc();
                let mut frames = turn(nic, &mut core, tick(start, ticks_per_ms));
                counted.0 += u64::try_from(frames).unwrap_or(0);
                counted.1 += rdtsc().saturating_sub(begun);
                // What both ports had was at most a burst, so this finds nothing, unless it was
                // left for the next turn.
                while frames > 0 {
                    frames = turn(nic, &mut core, tick(start, ticks_per_ms));
                }
            },
        );
        (counted, is_opening)
    };
    let begun: Instant = now();
    while one().1 {
        anyhow::ensure!(begun.elapsed().as_secs() < 60, "{}: connections do not open", row.title());
    }
    Ok(LcoreJob { turn: Box::new(move || one().0), is_whole: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(from: u64, packets: u64, is_clean: bool) -> LcoreStretch {
        LcoreStretch { from, to: from + 90, packets, ticks: 90, is_clean }
    }

    #[test]
    fn only_what_nobody_disturbed_counts() {
        let own: Vec<_> = (0..16)
            .map(|at| stretch(at * 100, if at == 9 { 0 } else { 10 + at }, at != 5))
            .collect();
        // Alone: the first two are warming up, one was disturbed, one had no packets.
        assert_eq!(counting(&own, None).len(), 12);
        // Begins 40 later, so that each of own's meets two; that from 640 on was disturbed, and
        // meets own's 600 and 700.
        let other: Vec<_> = (0..16).map(|at| stretch(at * 100 + 40, 1, at != 6)).collect();
        let found = counting(&own, Some(&other));
        assert_eq!(found.len(), 10);
        assert!(found.iter().all(|&each| each < 90.0 / 11.0), "{found:?}");
        // Nothing counts that the other was not there for.
        assert_eq!(counting(&own, Some(&other[..8])).len(), 3);
        assert!(counting(&own, Some(&[])).is_empty());
    }

    #[test]
    fn the_middle_one_is_reported() {
        assert_eq!(median(&mut [9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(&mut []), None);
    }
}
