//! The way of packets: bursts in, bursts out. Nothing here allocates, locks or formats.

use super::device::EthDevice;
use crate::{mbuf::Mbuf, ring::forget_front};
use core::{cell::Cell, marker::PhantomData, ptr::NonNull};
use dpdk_sys as sys;
use std::{
    os::fd::{BorrowedFd, RawFd},
    sync::Arc,
};

/// Frames offered to a driver at once. The vector paths of some take no more.
const BURST_FRAMES_MAX: usize = 32;

/// A receive queue: moved to the core that polls it, and used by that one alone.
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<capsule::RxQueue>();
/// ```
///
/// Invariants:
/// 1. `device` runs with this queue while this is alive (`EthDevice` invariant 2);
/// 2. there is one `RxQueue` of its number, it is not `Sync`, and polls by `&mut`.
#[derive(Debug)]
pub struct RxQueue {
    device: Arc<EthDevice>,
    queue: u16,
    /// The driver keeps it open while the port runs: while `device` is shared (invariant 1).
    event: Option<RawFd>,
    dropped_multi_segment: u64,
    _one_core: PhantomData<Cell<()>>,
}

/// A transmit queue: moved to the core that sends on it, and used by that one alone.
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<capsule::TxQueue>();
/// ```
///
/// Invariants: those of [`RxQueue`].
#[derive(Debug)]
pub struct TxQueue {
    device: Arc<EthDevice>,
    queue: u16,
    /// Whether packets may ask for checksums, which drivers want to prepare for.
    offloads: bool,
    _one_core: PhantomData<Cell<()>>,
}

impl RxQueue {
    /// Asks the driver for an event descriptor only where it was told to prepare one: others
    /// would complain in the log.
    pub(super) fn new(device: Arc<EthDevice>, queue: u16, interrupts: bool) -> Self {
        let event = interrupts.then(|| {
            // SAFETY: the port and its queue exist, and `CONTROL` is not needed to read this.
            unsafe { sys::rte_eth_dev_rx_intr_ctl_q_get_fd(device.index, queue) }
        });
        let event = event.filter(|fd| *fd >= 0);
        Self { device, queue, event, dropped_multi_segment: 0, _one_core: PhantomData }
    }

    /// DPDK's number of its port.
    pub fn port(&self) -> u16 {
        self.device.index
    }

    /// Its number.
    pub const fn queue(&self) -> u16 {
        self.queue
    }

    /// Appends what has arrived, at most `max` packets and no more than `frames` has spare
    /// capacity for. Returns how many.
    ///
    /// A packet that the driver spread over several segments, because it is longer than a buffer
    /// of the pool, is dropped and counted.
    pub fn receive(&mut self, frames: &mut Vec<Mbuf>, max: usize) -> usize {
        let old_len = frames.len();
        let spare = frames.spare_capacity_mut();
        let count = u16::try_from(spare.len().min(max)).unwrap_or(u16::MAX);
        let to = spare.as_mut_ptr();
        let (port, queue) = (self.device.index, self.queue);
        // SAFETY: invariants 1 and 2: the queue runs and is ours alone; there is room for `count`
        // pointers at `to` (`Mbuf` invariant 3).
        let arrived = unsafe { sys::dpdk_rx_burst(port, queue, to.cast(), count) };
        // SAFETY: as many pointers were written there, and nothing else looks at them meanwhile.
        let arrived = unsafe { core::slice::from_raw_parts_mut(to.cast(), arrived.into()) };
        let arrived = self.drop_multi_segment(arrived);
        // SAFETY: that many packets were written there, of one segment each, and the driver has
        // given them to us.
        unsafe { frames.set_len(old_len.saturating_add(arrived)) };
        arrived
    }

    /// Packets dropped because they were longer than one buffer: give the pool more data room.
    pub const fn dropped_multi_segment(&self) -> u64 {
        self.dropped_multi_segment
    }

    /// A descriptor that becomes readable when packets arrive, for drivers that have one
    /// (net_tap, and NICs under vfio-pci) on ports with `rx_interrupts`: for
    /// [`crate::Backoff::idle_on`]. NICs want [`RxQueue::arm`] first.
    pub fn event_fd(&self) -> Option<BorrowedFd<'_>> {
        // SAFETY: it is open as long as `self` is about (see the field).
        self.event.map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Has the NIC raise its interrupt for the next packet. Poll once more afterwards, for what
    /// came in between, then sleep on [`RxQueue::event_fd`]. `false` where the driver has nothing
    /// to arm; net_tap's descriptor works without.
    pub fn arm(&mut self) -> bool {
        // SAFETY: invariants 1 and 2: the queue runs and is ours alone.
        unsafe { sys::rte_eth_dev_rx_intr_enable(self.device.index, self.queue) == 0 }
    }

    /// The opposite of [`RxQueue::arm`], on waking up.
    pub fn disarm(&mut self) -> bool {
        // SAFETY: invariants 1 and 2: the queue runs and is ours alone.
        unsafe { sys::rte_eth_dev_rx_intr_disable(self.device.index, self.queue) == 0 }
    }

    /// Leaves packets of one segment in front, and returns how many. `arrived` is what the driver
    /// has just given us.
    fn drop_multi_segment(&mut self, arrived: &mut [RawMbuf]) -> usize {
        // SAFETY: the packet is live and ours alone.
        let single = |raw: RawMbuf| unsafe { Mbuf::segments(raw) } == 1;
        if arrived.iter().all(|raw| single(*raw)) {
            return arrived.len();
        }
        let mut kept: usize = 0;
        for at in 0..arrived.len() {
            let Some(raw) = arrived.get(at).copied() else { break };
            if single(raw) {
                if let Some(slot) = arrived.get_mut(kept) {
                    *slot = raw;
                    kept = kept.saturating_add(1);
                }
            } else {
                // SAFETY: the packet is live and ours alone, and is forgotten here.
                unsafe { sys::dpdk_mbuf_free(raw.as_ptr()) };
                self.dropped_multi_segment = self.dropped_multi_segment.wrapping_add(1);
            }
        }
        kept
    }
}

type RawMbuf = NonNull<sys::rte_mbuf>;

impl TxQueue {
    pub(super) const fn new(device: Arc<EthDevice>, queue: u16, offloads: bool) -> Self {
        Self { device, queue, offloads, _one_core: PhantomData }
    }

    /// DPDK's number of its port.
    pub fn port(&self) -> u16 {
        self.device.index
    }

    /// Its number.
    pub const fn queue(&self) -> u16 {
        self.queue
    }

    /// Sends from the front of `frames`, in order. What the driver refuses stays there, for the
    /// caller to offer again or to free and count. Returns how many were taken.
    ///
    /// A packet whose checksum request the driver can't fulfil is refused every time.
    pub fn transmit(&mut self, frames: &mut Vec<Mbuf>) -> usize {
        let (port, queue) = (self.device.index, self.queue);
        let mut sent: usize = 0;
        while let Some(chunk) = frames.get_mut(sent..).filter(|rest| !rest.is_empty()) {
            let offered = chunk.len().min(BURST_FRAMES_MAX);
            let mut count = u16::try_from(offered).unwrap_or(u16::MAX);
            let from = chunk.as_mut_ptr().cast();
            if self.offloads {
                // SAFETY: invariants 1 and 2: the queue runs and is ours alone; `count` packets
                // are at `from` (`Mbuf` invariant 3), which stay ours.
                count = unsafe { sys::dpdk_tx_prepare(port, queue, from, count) };
            }
            // SAFETY: invariants 1 and 2: the queue runs and is ours alone; `count` packets are
            // at `from` (`Mbuf` invariant 3). Those taken are forgotten below.
            let taken = usize::from(unsafe { sys::dpdk_tx_burst(port, queue, from, count) });
            sent = sent.saturating_add(taken);
            if taken < offered {
                break;
            }
        }
        forget_front(frames, sent);
        sent
    }
}
