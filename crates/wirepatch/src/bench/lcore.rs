//! DPDK for the bench, and the loop of a measured lcore.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use capsule::{Eal, EalArgs, LcoreHandle, LogLevel, Memory, Mempool, MempoolConfig, Pci, rdtsc};
use datapath::limits::BURST_FRAMES_MAX;
use datapath::{Nic, PortNo};

use super::clock::{self, BenchMachine, Task, now};
use super::row::{LcoreWork, real};
use super::turns::{Recorder, StretchOrder, TurnHistograms};
use crate::cli::BenchArgs;
use crate::run::cpus;

/// The lcore that runs the journey, and the one that feeds it.
pub(super) const WORKER: u32 = 1;
pub(super) const FEEDER: u32 = 2;

pub(super) const PORTS: [PortNo; 2] = [PortNo(0), PortNo(1)];

/// More than rings full, and caches.
const MBUFS: u32 = 32_767;

/// More than `infinite_rx` keeps of a capture on two ports, queues full, and caches.
const PORTS_MBUFS: u32 = 16_383;

/// How long a measured lcore may take to begin.
const BEGIN: Duration = Duration::from_secs(10);

/// DPDK, up, with two busy lcores to give away.
pub(super) struct Bench {
    pub(super) eal: Eal,
    pub(super) pool: Mempool,
    /// For `net_pcap` only: packets that rings have shuffled lie nowhere near one another, which
    /// testpmd's do.
    pub(super) ports_pool: Mempool,
    pub(super) seconds: f64,
    pub(super) hugepages: bool,
    /// The CPUs of the main lcore, the worker and the feeder, for testpmd.
    pub(super) cpus: (u16, u16),
    /// Captures that `net_pcap` reads.
    pub(super) folder: BenchFolder,
}

/// A folder that goes when it is dropped.
pub(super) struct BenchFolder(pub(super) PathBuf);

impl Drop for BenchFolder {
    fn drop(&mut self) {
        // Files left in the temporary folder do no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Bench {
    pub(super) fn start(args: &BenchArgs) -> Result<Self> {
        let online = cpus::online();
        let (Some(&first), Some(&last)) = (online.first(), online.last()) else {
            bail!("no CPU to run on")
        };
        if first == last {
            crate::output::say_error(
                "wirepatch bench: one CPU only: the journey and its feeder take turns on it\n",
            );
        }
        let all: Vec<String> = online.iter().map(u16::to_string).collect();
        let eal = Eal::start(&EalArgs {
            memory: if args.hugepages {
                Memory::InMemory { mib: None }
            } else {
                Memory::NoHugepages { mib: 512 }
            },
            lcores: Some(format!("0@({}),{WORKER}@{last},{FEEDER}@{first}", all.join(","))),
            pci: Pci::Off,
            file_prefix: (!args.hugepages)
                .then(|| format!("wirepatch-bench-{}", std::process::id())),
            log_level: LogLevel::Error,
            ..EalArgs::default()
        })
        .context(if args.hugepages {
            "starting DPDK with hugepages (deploy/ has a script that reserves them)"
        } else {
            "starting DPDK without hugepages"
        })?;
        let pool = |name: &str, mbufs| {
            let config = MempoolConfig { name: name.to_owned(), mbufs, ..MempoolConfig::default() };
            Mempool::new(&eal, &config).with_context(|| format!("making the packet pool {name}"))
        };
        let (pool, ports_pool) = (pool("rings", MBUFS)?, pool("ports", PORTS_MBUFS)?);
        let folder = std::env::temp_dir().join(format!("wirepatch-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let folder = BenchFolder(folder);
        Ok(Self {
            eal,
            pool,
            ports_pool,
            seconds: args.seconds,
            hugepages: args.hugepages,
            cpus: (first, last),
            folder,
        })
    }

    pub(super) fn hz(&self) -> f64 {
        real(self.eal.tsc_hz())
    }

    pub(super) fn machine(&self) -> BenchMachine {
        clock::machine(self.hz(), Some(Eal::dpdk_version()), Some(self.hugepages))
    }

    /// Milliseconds of the time-stamp counter, as `wirepatch run` reads them.
    pub(super) fn ticks_per_ms(&self) -> u64 {
        (self.eal.tsc_hz() / 1_000).max(1)
    }
}

/// Counters that a measured lcore and its observers share. Each cell has one writer.
#[derive(Debug, Default)]
pub(super) struct LcoreWatch {
    pub(super) stop: AtomicBool,
    packets: AtomicU64,
    idle_ticks: AtomicU64,
    /// Written by the feeder: whether the turns of this stretch are kept.
    pub(super) order: StretchOrder,
    task: OnceLock<Task>,
}

/// A turn that finds nothing takes a fraction of this; one that takes longer was interrupted, and
/// that time was another's.
const IDLE_TICKS_MAX: u64 = 2_000;

/// One look at a measured lcore.
#[derive(Clone, Copy, Debug)]
pub(super) struct LcoreSnapshot {
    packets: u64,
    idle_ticks: u64,
    cpu_ns: u64,
    at: Instant,
}

impl LcoreWatch {
    /// Turns until it is stopped; `turn` says how many frames came. Gives the turns that were to be
    /// kept.
    pub(super) fn run(&self, mut turn: impl FnMut() -> usize) -> TurnHistograms {
        // Only ever set here.
        let _ = self.task.set(Task::current());
        let mut recorder = Recorder::new();
        let (mut packets, mut idle_ticks) = (0_u64, 0_u64);
        let mut before = rdtsc();
        while !self.stop.load(Relaxed) {
            let frames = turn();
            let now = rdtsc();
            let ticks = now.saturating_sub(before);
            recorder.turn(&self.order, ticks, frames);
            if frames == 0 {
                if ticks < IDLE_TICKS_MAX {
                    idle_ticks += ticks;
                    self.idle_ticks.store(idle_ticks, Relaxed);
                }
            } else {
                packets += u64::try_from(frames).unwrap_or(0);
                self.packets.store(packets, Relaxed);
            }
            before = now;
        }
        recorder.kept()
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets.load(Relaxed)
    }

    /// The measured thread, once it runs.
    pub(super) fn task(&self) -> Option<&Task> {
        self.task.get()
    }

    pub(super) fn snapshot(&self) -> Result<LcoreSnapshot> {
        let started = now();
        let task = loop {
            if let Some(task) = self.task.get() {
                break task;
            }
            if started.elapsed() > BEGIN {
                bail!("the measured lcore did not begin");
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let (packets, idle_ticks) = (self.packets.load(Relaxed), self.idle_ticks.load(Relaxed));
        Ok(LcoreSnapshot { packets, idle_ticks, cpu_ns: task.cpu_ns(), at: now() })
    }
}

impl LcoreSnapshot {
    /// The work done until `after`; `hz` ticks of the time-stamp counter are a second.
    pub(super) fn until(self, after: Self, hz: f64) -> LcoreWork {
        let idle_ns = real(after.idle_ticks.saturating_sub(self.idle_ticks)) * 1e9 / hz;
        LcoreWork {
            packets: after.packets.saturating_sub(self.packets),
            busy_ns: (real(after.cpu_ns.saturating_sub(self.cpu_ns)) - idle_ns).max(0.0),
            wall_ns: after.at.duration_since(self.at).as_secs_f64() * 1e9,
        }
    }
}

/// The loop without the journey: a frame of one port leaves at the other.
pub(super) fn forward<N: Nic>(nic: &mut N, burst: &mut Vec<N::Frame>) -> usize {
    let mut frames = 0;
    for (from, to) in [(PORTS[0], PORTS[1]), (PORTS[1], PORTS[0])] {
        nic.receive(from, burst);
        frames += burst.len();
        if !burst.is_empty() {
            nic.transmit(to, burst);
        }
        // A full queue loses frames here as it would a NIC's.
        burst.clear();
    }
    frames
}

pub(super) fn burst<F>() -> Vec<F> {
    Vec::with_capacity(BURST_FRAMES_MAX)
}

/// Milliseconds since `start`.
pub(super) fn tick(start: u64, ticks_per_ms: u64) -> u64 {
    rdtsc().saturating_sub(start) / ticks_per_ms
}

pub(super) fn sleep(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

pub(super) fn join<T>(handle: LcoreHandle<T>, what: &str) -> Result<T> {
    handle.join().map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no message)");
        anyhow::anyhow!("the {what} panicked: {said}")
    })
}
