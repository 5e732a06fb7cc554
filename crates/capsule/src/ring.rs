//! Lockless rings that carry packets from core to core.

use crate::{
    eal::{Eal, Lease, c_name},
    error::{Errno, Error, Result},
    mbuf::Mbuf,
};
use core::{cell::Cell, marker::PhantomData, ptr::NonNull};
use dpdk_sys as sys;
use std::sync::{Arc, Weak};

/// The most packets in a ring. DPDK keeps positions of 32 bits, and its own check overflows.
const CAPACITY_MAX: u32 = (1 << 30) - 1;

/// The ring itself, shared by its ends.
///
/// Invariants:
/// 1. `raw` is alive until this is dropped; `_lease` keeps DPDK up (`Eal` invariant 3);
/// 2. what is in it are packets that nothing else owns: enqueued from an `Mbuf` that was then
///    forgotten, dequeued into one;
/// 3. one thread at a time dequeues: there is one [`RingConsumer`], used by `&mut`. Where the
///    ring was made for one producer, the same holds of [`RingProducer`].
#[derive(Debug)]
struct Ring {
    raw: NonNull<sys::rte_ring>,
    _lease: Arc<Lease>,
}

// SAFETY: invariant 3 gives the ring the threads it was made for; counting is for any thread.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

/// The one end that puts packets in.
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<capsule::RingProducer>();
/// ```
#[derive(Debug)]
pub struct RingProducer {
    ring: Arc<Ring>,
    _one_core: PhantomData<Cell<()>>,
}

/// One of several ends that put packets in. A clone is another.
#[derive(Clone, Debug)]
pub struct RingProducers {
    ring: Arc<Ring>,
}

/// The one end that takes packets out.
///
/// ```compile_fail,E0277
/// fn shared<T: Sync>() {}
/// shared::<capsule::RingConsumer>();
/// ```
#[derive(Debug)]
pub struct RingConsumer {
    ring: Arc<Ring>,
    _one_core: PhantomData<Cell<()>>,
}

/// Looks at a ring from any thread, and does not keep it alive.
#[derive(Clone, Debug)]
pub struct RingGauge {
    ring: Weak<Ring>,
    capacity: usize,
}

/// A ring of exactly `capacity` packets for one producer and one consumer. Names are unique in
/// the process.
pub fn spsc(eal: &Eal, name: &str, capacity: u32) -> Result<(RingProducer, RingConsumer)> {
    let ring = Ring::new(eal, name, capacity, sys::DPDK_RING_SP_ENQ)?;
    let consumer = RingConsumer { ring: Arc::clone(&ring), _one_core: PhantomData };
    Ok((RingProducer { ring, _one_core: PhantomData }, consumer))
}

/// A ring of exactly `capacity` packets for any number of producers and one consumer.
pub fn mpsc(eal: &Eal, name: &str, capacity: u32) -> Result<(RingProducers, RingConsumer)> {
    let ring = Ring::new(eal, name, capacity, 0)?;
    let consumer = RingConsumer { ring: Arc::clone(&ring), _one_core: PhantomData };
    Ok((RingProducers { ring }, consumer))
}

impl RingProducer {
    /// Puts in what fits, in order, from the front of `frames`. What does not fit stays there.
    /// Returns how many went in.
    pub fn enqueue(&mut self, frames: &mut Vec<Mbuf>) -> usize {
        self.ring.enqueue(frames)
    }

    /// Looks at the ring from another thread.
    pub fn gauge(&self) -> RingGauge {
        self.ring.gauge()
    }
}

impl RingProducers {
    /// Puts in what fits, in order, from the front of `frames`. What does not fit stays there.
    /// Returns how many went in.
    pub fn enqueue(&self, frames: &mut Vec<Mbuf>) -> usize {
        self.ring.enqueue(frames)
    }

    /// Looks at the ring from another thread.
    pub fn gauge(&self) -> RingGauge {
        self.ring.gauge()
    }
}

impl RingConsumer {
    /// Appends what is there, at most `max` packets and no more than `frames` has spare
    /// capacity for. Returns how many.
    pub fn dequeue(&mut self, frames: &mut Vec<Mbuf>, max: usize) -> usize {
        let spare = frames.spare_capacity_mut();
        let count = u32::try_from(spare.len().min(max)).unwrap_or(u32::MAX);
        let to = spare.as_mut_ptr().cast();
        let raw = self.ring.raw.as_ptr();
        // SAFETY: invariants 1 and 3: the ring is alive and this is its consumer; there is room
        // for `count` pointers at `to` (`Mbuf` invariant 3).
        let taken = unsafe { sys::dpdk_ring_dequeue_burst(raw, to, count) };
        let taken = usize::try_from(taken).unwrap_or(0);
        let len = frames.len().saturating_add(taken);
        let old_len = frames.len();
        // SAFETY: `taken` packets were written there, and are ours now (invariant 2).
        unsafe { frames.set_len(len) };
        // Another lcore wrote them: all misses at once rather than one after the other.
        let taken_now = frames.get(old_len..).unwrap_or_default();
        taken_now.iter().for_each(Mbuf::prefetch_header);
        taken_now.iter().for_each(Mbuf::prefetch);
        taken
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.ring.len() == 0
    }

    /// Looks at the ring from another thread.
    pub fn gauge(&self) -> RingGauge {
        self.ring.gauge()
    }
}

impl RingGauge {
    /// Packets in the ring; 0 when it is gone.
    pub fn len(&self) -> usize {
        self.ring.upgrade().map_or(0, |ring| ring.len())
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Packets it can hold.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Ring {
    fn new(eal: &Eal, name: &str, capacity: u32, producers: u32) -> Result<Arc<Self>> {
        let c_name = c_name("ring name", name, sys::DPDK_RING_NAME_BYTES)?;
        let refused = |cause| Error::Ring { name: name.to_owned(), capacity, cause };
        if capacity == 0 || capacity > CAPACITY_MAX {
            return Err(refused(Errno::from_status(-libc::EINVAL)));
        }
        let flags = producers | sys::DPDK_RING_SC_DEQ | sys::DPDK_RING_EXACT_SZ;
        // SAFETY: DPDK is up; the name ends with a NUL and is copied.
        let raw = unsafe {
            sys::rte_ring_create(c_name.as_ptr(), capacity, sys::DPDK_SOCKET_ID_ANY, flags)
        };
        let raw = NonNull::new(raw).ok_or_else(|| refused(Errno::last()))?;
        Ok(Arc::new(Self { raw, _lease: Arc::clone(eal.lease()) }))
    }

    /// The caller is a producer that invariant 3 allows.
    fn enqueue(&self, frames: &mut Vec<Mbuf>) -> usize {
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        let from = frames.as_mut_ptr().cast();
        // SAFETY: invariants 1 and 3: the ring is alive and the caller may enqueue; `count`
        // packets are at `from` (`Mbuf` invariant 3).
        let taken = unsafe { sys::dpdk_ring_enqueue_burst(self.raw.as_ptr(), from, count) };
        let taken = usize::try_from(taken).unwrap_or(0);
        forget_front(frames, taken);
        taken
    }

    fn len(&self) -> usize {
        // SAFETY: invariant 1: the ring is alive. Only reads counters.
        let count = unsafe { sys::dpdk_ring_count(self.raw.as_ptr()) };
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn gauge(self: &Arc<Self>) -> RingGauge {
        // SAFETY: invariant 1: the ring is alive. Only reads a constant of it.
        let capacity = unsafe { sys::dpdk_ring_capacity(self.raw.as_ptr()) };
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        RingGauge { ring: Arc::downgrade(self), capacity }
    }
}

/// Removes the first `count` packets, which belong to DPDK now, without freeing them.
pub(crate) fn forget_front(frames: &mut Vec<Mbuf>, count: usize) {
    let left = frames.len().saturating_sub(count);
    let start = frames.as_mut_ptr();
    // SAFETY: `count` is at most the length: DPDK never takes more than it is offered.
    let rest = unsafe { start.add(count) };
    // SAFETY: `left` packets lie at `rest`, and there is room for them at `start`. The copies
    // left behind at the end are cut off below.
    unsafe { core::ptr::copy(rest, start, left) };
    // SAFETY: `left` is at most the length, and that many packets are in front.
    unsafe { frames.set_len(left) };
}

impl Drop for Ring {
    /// All ends are gone: what is left in the ring is freed, then the ring.
    fn drop(&mut self) {
        loop {
            let mut raw: *mut sys::rte_mbuf = core::ptr::null_mut();
            // SAFETY: no end is left, so this is the only user; there is room for one pointer.
            let taken = unsafe { sys::dpdk_ring_dequeue_burst(self.raw.as_ptr(), &mut raw, 1) };
            let Some(raw) = NonNull::new(raw).filter(|_| taken == 1) else { break };
            // SAFETY: invariant 2: it is a packet that nothing else owns.
            drop(unsafe { Mbuf::adopt(raw) });
        }
        // SAFETY: invariant 1: it is alive, and nobody will use it again.
        unsafe { sys::rte_ring_free(self.raw.as_ptr()) };
    }
}
