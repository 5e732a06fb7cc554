//! Rows over `net_pcap` ports that play a capture from memory without end and drop sent frames:
//! the ports testpmd is compared on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context as _, Result};
use capsule::{Mempool, Port, PortConfig, Rss, RxQueue, TxQueue, rdtsc};
use datapath::{Core, CoreConfig, CoreCounters, turn};
use offline::load::{Load, TrafficKind};
use plan::Subscriber;

use super::lcore::{Bench, LcoreWatch, WORKER, burst, forward, join, sleep, tick};
use super::row::{BenchRow, LcoreWork, RowResult, added, reasons};
use crate::nic::QueueNic;

/// Frames of the capture, each another client's. A datagram is decided on its own, so playing it
/// again flatters nobody.
const CAPTURE_FRAMES: usize = 4_096;

/// Devices made so far: no two may have the same name.
static DEVICES: AtomicUsize = AtomicUsize::new(0);

/// Datagrams only: a connection cannot be played twice.
pub(super) const fn concerns(kind: TrafficKind) -> bool {
    matches!(
        kind,
        TrafficKind::UdpOutOfScope
            | TrafficKind::UdpHalf
            | TrafficKind::Dns
            | TrafficKind::DnsEdited
    )
}

/// The capture of a row's frames, written once.
pub(super) fn capture(bench: &Bench, kind: TrafficKind) -> Result<PathBuf> {
    let path = bench.folder.0.join(format!("{}.pcap", kind.name()));
    if path.exists() {
        return Ok(path);
    }
    let mut load = Load::new(kind);
    // Of libpcap's first format: magic, version 2.4, and Ethernet frames.
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for _ in 0..CAPTURE_FRAMES {
        let packet = load.next_packet();
        let len = u32::try_from(packet.frame_bytes()).unwrap_or(0);
        for word in [0, 0, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        let at = bytes.len();
        bytes.resize(at + packet.frame_bytes(), 0);
        packet.write(&mut bytes[at..]);
    }
    std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// The journey, and the floor, on two ports.
pub(super) fn measure(bench: &Bench, row: &BenchRow) -> Result<RowResult> {
    let (mut left, mut right) = two(bench, row.kind)?;

    // Started once: net_pcap has read the capture by then and cannot do so again.
    let queues = [start(&mut left, &bench.ports_pool)?, start(&mut right, &bench.ports_pool)?];
    let nic = QueueNic::new(queues.into(), bench.ports_pool.clone());
    let mut frames = burst();
    let (floor, nic) =
        watched(bench, nic, bench.seconds / 2.0, || {}, move |nic| forward(nic, &mut frames))?;

    let counters = Arc::new(CoreCounters::default());
    let reader = Subscriber::new(row.publisher()?);
    let config = CoreConfig { limits: row.limits(), ..CoreConfig::default() };
    let mut core = Core::new(config, reader, Arc::clone(&counters));
    let (clock, ticks_per_ms) = (rdtsc(), bench.ticks_per_ms());
    let mut before = reasons(&counters);
    let note = || before = reasons(&counters);
    let (work, _nic) = watched(bench, nic, bench.seconds, note, move |nic| {
        turn(nic, &mut core, tick(clock, ticks_per_ms))
    })?;
    let reasons = added(&before, &reasons(&counters));
    let bytes = Load::new(row.kind).mean_frame_bytes();
    Ok(RowResult::new(row, "net_pcap", bytes, work, floor, bench.hz(), reasons))
}

/// Two new ports that play a kind's capture.
pub(super) fn two(bench: &Bench, kind: TrafficKind) -> Result<(Port, Port)> {
    let path = capture(bench, kind)?;
    let first = DEVICES.fetch_add(2, Relaxed);
    let device =
        |side: usize| format!("net_pcap{},rx_pcap={},infinite_rx=1", first + side, path.display());
    let open = |side| Port::probe(&bench.eal, &device(side)).with_context(|| device(side));
    Ok((open(0)?, open(1)?))
}

/// Starts a port with one queue each way.
pub(super) fn start(port: &mut Port, pool: &Mempool) -> Result<(RxQueue, TxQueue)> {
    let config = PortConfig {
        rss: Rss::Off,
        rx_checksum: false,
        tx_checksum: false,
        ..PortConfig::default()
    };
    let started = port.start(&config, pool).context("starting a net_pcap port")?;
    let queues = started.rx.into_iter().zip(started.tx).next();
    queues.context("a net_pcap port without queues")
}

/// Runs `turn` on the worker, and gives the ports back.
fn watched(
    bench: &Bench,
    mut nic: QueueNic,
    seconds: f64,
    note: impl FnOnce(),
    mut turn: impl FnMut(&mut QueueNic) -> usize + Send + 'static,
) -> Result<(LcoreWork, QueueNic)> {
    let watch = Arc::new(LcoreWatch::default());
    let worker = bench.eal.launch(WORKER, {
        let watch = Arc::clone(&watch);
        move || {
            watch.run(|| turn(&mut nic));
            nic
        }
    })?;
    let work = (|| {
        watch.snapshot()?;
        sleep(0.1);
        note();
        let from = watch.snapshot()?;
        sleep(seconds);
        anyhow::Ok(from.until(watch.snapshot()?, bench.hz()))
    })();
    watch.stop.store(true, Relaxed);
    let nic = join(worker, "worker")?;
    Ok((work?, nic))
}
