//! Run to completion: a worker polls its own queues of every port.

use std::sync::Arc;
use std::time::Duration;

use capsule::{Backoff, Mbuf, Mempool, RxQueue, TxQueue};
use datapath::limits::BURST_FRAMES_MAX;
use datapath::{FramePool, Lost, Nic, PortNo};

use super::{DpdkFrame, hand_out, take_in};

/// Room for a port's backlog on its way to the driver; more would have to be allocated on the
/// packet path.
pub(super) const HAND_OUT_FRAMES: usize = 4_096;

/// One worker's queues, by port number.
#[derive(Debug)]
pub(crate) struct QueueNic {
    ports: Vec<(RxQueue, TxQueue)>,
    pool: Mempool,
    mbufs: Vec<Mbuf>,
    too_long: Arc<Lost>,
}

impl QueueNic {
    /// `ports` in the order of the configuration.
    pub(crate) fn new(ports: Vec<(RxQueue, TxQueue)>, pool: Mempool) -> Self {
        Self { ports, pool, mbufs: Vec::with_capacity(HAND_OUT_FRAMES), too_long: Arc::default() }
    }

    /// Received frames that did not fit a packet buffer and were dropped. Read by the one who sums.
    pub(crate) fn too_long(&self) -> Arc<Lost> {
        Arc::clone(&self.too_long)
    }

    /// Waits a little. Where every port can wake us, until one does, `longest` at most.
    pub(crate) fn idle(&self, backoff: &mut Backoff, longest: Duration) {
        let dropped: u64 = self.ports.iter().map(|(rx, _)| rx.dropped_multi_segment()).sum();
        self.too_long.frames.set(dropped);
        if let [(one, _), (other, _)] = self.ports.as_slice()
            && let (Some(one), Some(other)) = (one.event_fd(), other.event_fd())
        {
            backoff.idle_on(&[one, other], longest);
        } else {
            backoff.idle();
        }
    }
}

impl FramePool for QueueNic {
    type Frame = DpdkFrame;

    fn alloc(&mut self) -> Option<DpdkFrame> {
        self.pool.alloc().map(DpdkFrame)
    }
}

impl Nic for QueueNic {
    fn receive(&mut self, port: PortNo, burst: &mut Vec<DpdkFrame>) {
        if let Some((rx, _)) = self.ports.get_mut(usize::from(port.0)) {
            rx.receive(&mut self.mbufs, BURST_FRAMES_MAX);
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
        if let Some((_, tx)) = self.ports.get_mut(usize::from(port.0)) {
            hand_out(out, &mut self.mbufs, |mbufs| {
                tx.transmit(mbufs);
            });
        }
    }
}
