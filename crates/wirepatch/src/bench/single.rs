//! Without DPDK: generator, journey and sink on one thread, over ports in memory. What they share
//! is the floor.

use std::sync::Arc;
use std::time::Duration;

use datapath::limits::BURST_FRAMES_MAX;
use datapath::memory::{MemoryFrame, MemoryNic};
use datapath::{Core, CoreConfig, CoreCounters, Nic as _, turn};
use offline::load::Load;
use plan::Subscriber;

use super::clock::{Task, now};
use super::memory::{PORTS, round};
use super::row::{BenchRow, LcoreWork, RowResult, added, reasons};

pub(super) fn measure(row: &BenchRow, seconds: f64, hz: f64) -> anyhow::Result<RowResult> {
    let counters = Arc::new(CoreCounters::default());
    let reader = Subscriber::new(row.publisher()?);
    let config = CoreConfig { limits: row.limits(), ..CoreConfig::default() };
    let mut core = Core::new(config, reader, Arc::clone(&counters));
    let start = now();
    let mut journey = |nic: &mut MemoryNic| {
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(0);
        while turn(nic, &mut core, ms) > 0 {}
    };
    let mut load = row.load();
    let mut nic = MemoryNic::new(2, 4 * BURST_FRAMES_MAX);
    while load.is_opening() {
        let few = load.spacing().unwrap_or(BURST_FRAMES_MAX).min(BURST_FRAMES_MAX);
        round(&mut load, &mut nic, few, &mut journey);
    }
    let before = reasons(&counters);
    let work = run(&mut load, &mut nic, seconds, &mut journey);
    let left = added(&before, &reasons(&counters));

    let mut load = row.load();
    let mut burst: Vec<MemoryFrame> = Vec::with_capacity(BURST_FRAMES_MAX);
    let floor = run(&mut load, &mut nic, seconds / 2.0, &mut |nic: &mut MemoryNic| {
        for (from, to) in [(PORTS[0], PORTS[1]), (PORTS[1], PORTS[0])] {
            nic.receive(from, &mut burst);
            nic.transmit(to, &mut burst);
        }
    });
    Ok(RowResult::new(row, "memory", load.mean_frame_bytes(), work, floor, hz, left))
}

fn run(
    load: &mut Load,
    nic: &mut MemoryNic,
    seconds: f64,
    forward: &mut impl FnMut(&mut MemoryNic),
) -> LcoreWork {
    let task = Task::current();
    let (cpu, start) = (task.cpu_ns(), now());
    let end = Duration::from_secs_f64(seconds);
    let mut packets = 0_u64;
    while start.elapsed() < end {
        for _ in 0..64 {
            round(load, nic, BURST_FRAMES_MAX, forward);
            packets += u64::try_from(BURST_FRAMES_MAX).unwrap_or(0);
        }
    }
    let busy = task.cpu_ns().saturating_sub(cpu);
    LcoreWork {
        packets,
        busy_ns: super::row::real(busy),
        wall_ns: start.elapsed().as_secs_f64() * 1e9,
    }
}
