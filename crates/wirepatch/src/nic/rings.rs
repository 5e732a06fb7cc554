//! Rings: an lcore that receives hands frames to workers, and takes back what they send, through
//! lockless rings.
//!
//! ```text
//! port 0 ─ receive ─┬─ ring 0→worker 0 ─ worker 0 ─┬─ ring →port 1 ─ transmit ─ port 1
//!                   └─ ring 0→worker 1 ─ worker 1 ─┘
//! ```
//!
//! A connection's worker is chosen by a hash that is the same for both directions
//! ([`super::hash`]).

use std::sync::Arc;

use anyhow::{Context as _, Result};
use capsule::{
    Eal, Mbuf, Mempool, RingConsumer, RingGauge, RingProducer, RingProducers, RxQueue, TxQueue,
    mpsc, spsc,
};
use datapath::limits::BURST_FRAMES_MAX;
use datapath::{FramePool, Lost, Nic, PortNo};

use super::queues::HAND_OUT_FRAMES;
use super::{DpdkFrame, hand_out, hash, take_in};

/// A worker's ends of the rings.
#[derive(Debug)]
pub(crate) struct RingNic {
    /// From each port.
    rx: Vec<RingConsumer>,
    /// To each port.
    tx: Vec<RingProducers>,
    pool: Mempool,
    mbufs: Vec<Mbuf>,
}

impl FramePool for RingNic {
    type Frame = DpdkFrame;

    fn alloc(&mut self) -> Option<DpdkFrame> {
        self.pool.alloc().map(DpdkFrame)
    }
}

impl Nic for RingNic {
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
        capsule::rdtsc()
    }

    fn transmit(&mut self, port: PortNo, out: &mut Vec<DpdkFrame>) {
        if let Some(ring) = self.tx.get(usize::from(port.0)) {
            hand_out(out, &mut self.mbufs, |mbufs| {
                ring.enqueue(mbufs);
            });
        }
    }
}

/// What an lcore beside the workers does: receive, transmit, or both.
#[derive(Debug, Default)]
pub(crate) struct Io {
    receive: Vec<Receiver>,
    transmit: Vec<Transmitter>,
}

#[derive(Debug)]
struct Receiver {
    queue: RxQueue,
    /// To each worker.
    rings: Vec<RingProducer>,
    /// What goes to each worker of this burst.
    sorted: Vec<Vec<Mbuf>>,
    burst: Vec<Mbuf>,
    /// All receivers of an lcore share one.
    full: Arc<Lost>,
}

#[derive(Debug)]
struct Transmitter {
    queue: TxQueue,
    ring: RingConsumer,
    waiting: Vec<Mbuf>,
}

impl Io {
    /// One round over all its ports. `false`: there was nothing to do.
    pub(crate) fn turn(&mut self) -> bool {
        let mut busy = false;
        for receiver in &mut self.receive {
            busy |= receiver.turn();
        }
        for transmitter in &mut self.transmit {
            busy |= transmitter.turn();
        }
        busy
    }

    /// Both halves on one lcore, where CPUs are scarce.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.receive.extend(other.receive);
        self.transmit.extend(other.transmit);
        self
    }
}

impl Receiver {
    fn turn(&mut self) -> bool {
        self.queue.receive(&mut self.burst, BURST_FRAMES_MAX);
        if self.burst.is_empty() {
            return false;
        }
        let workers = u32::try_from(self.rings.len()).unwrap_or(1).max(1);
        for mbuf in self.burst.drain(..) {
            let worker = hash::symmetric(mbuf.bytes()).checked_rem(workers).unwrap_or(0);
            if let Some(batch) = self.sorted.get_mut(usize::try_from(worker).unwrap_or(0)) {
                batch.push(mbuf);
            }
        }
        for (ring, batch) in self.rings.iter_mut().zip(&mut self.sorted) {
            if batch.is_empty() {
                continue;
            }
            ring.enqueue(batch);
            // A worker that cannot keep up: what its ring refuses is lost here and counted, as a
            // NIC would.
            self.full.frames.add(u64::try_from(batch.len()).unwrap_or(0));
            Mbuf::free_bulk(batch);
        }
        true
    }
}

impl Transmitter {
    fn turn(&mut self) -> bool {
        if self.waiting.len() < BURST_FRAMES_MAX {
            self.ring.dequeue(&mut self.waiting, BURST_FRAMES_MAX);
        }
        if self.waiting.is_empty() {
            return false;
        }
        // What the port refuses waits for the next round; the ring behind it fills, and then the
        // workers' backlog, which counts.
        self.queue.transmit(&mut self.waiting);
        true
    }
}

/// Everything the layout needs: a NIC a worker, the two I/O halves, and what telemetry watches.
#[derive(Debug)]
pub(crate) struct RingPlan {
    /// By worker.
    pub(crate) workers: Vec<RingNic>,
    /// Receives from every port.
    pub(crate) receive: Io,
    /// Transmits to every port.
    pub(crate) transmit: Io,
    /// By name.
    pub(crate) gauges: Vec<(String, RingGauge)>,
    /// Frames lost to full rings.
    pub(crate) full: Arc<Lost>,
}

/// Makes the rings between `ports` (in the order of the configuration) and `workers`.
pub(crate) fn lay_rings(
    eal: &Eal,
    ports: Vec<(String, RxQueue, TxQueue)>,
    workers: usize,
    ring_packets: u32,
    pool: &Mempool,
) -> Result<RingPlan> {
    let full = Arc::new(Lost::default());
    let mut gauges = Vec::new();
    let mut nics: Vec<RingNic> = (0..workers)
        .map(|_| RingNic {
            rx: Vec::new(),
            tx: Vec::new(),
            pool: pool.clone(),
            mbufs: Vec::with_capacity(HAND_OUT_FRAMES),
        })
        .collect();
    let (mut receive, mut transmit) = (Io::default(), Io::default());
    for (number, (name, rx, tx)) in ports.into_iter().enumerate() {
        let mut rings = Vec::new();
        for (worker, nic) in nics.iter_mut().enumerate() {
            let ring = format!("{name}_to_worker{worker}");
            let (producer, consumer) = spsc(eal, &format!("rx{number}w{worker}"), ring_packets)
                .with_context(|| format!("making ring {ring}"))?;
            gauges.push((ring, consumer.gauge()));
            rings.push(producer);
            nic.rx.push(consumer);
        }
        let sorted = (0..workers).map(|_| Vec::with_capacity(BURST_FRAMES_MAX)).collect();
        let burst = Vec::with_capacity(BURST_FRAMES_MAX);
        receive.receive.push(Receiver { queue: rx, rings, sorted, burst, full: Arc::clone(&full) });

        let ring = format!("workers_to_{name}");
        let (producers, consumer) = mpsc(eal, &format!("tx{number}"), ring_packets)
            .with_context(|| format!("making ring {ring}"))?;
        gauges.push((ring, consumer.gauge()));
        for nic in &mut nics {
            nic.tx.push(producers.clone());
        }
        let waiting = Vec::with_capacity(BURST_FRAMES_MAX.saturating_mul(2));
        transmit.transmit.push(Transmitter { queue: tx, ring: consumer, waiting });
    }
    Ok(RingPlan { workers: nics, receive, transmit, gauges, full })
}
