//! Where packets come from and go back to.

use crate::{
    eal::{Eal, Lease, c_name},
    error::{Errno, Error, Result},
    mbuf::Mbuf,
};
use core::ptr::NonNull;
use std::sync::Arc;

/// Bytes a fresh packet has free in front of its data.
pub const HEADROOM_BYTES: u32 = dpdk_sys::DPDK_HEADROOM_BYTES;

/// Room for an Ethernet frame of the usual MTU; many NICs take buffers of whole KiB only.
const DATA_ROOM_BYTES: u16 = 2048 + HEADROOM_BYTES as u16;

/// How to make a [`Mempool`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MempoolConfig {
    /// Unique in the process, at most 25 bytes.
    pub name: String,
    /// How many packets. One less than a power of two wastes least.
    pub mbufs: u32,
    /// Packets each lcore keeps at hand, at most 512 and two thirds of `mbufs`. They count as
    /// available, but other cores can't have them.
    pub cache: u32,
    /// Bytes of a packet, [`HEADROOM_BYTES`] included.
    pub data_room_bytes: u16,
    /// NUMA node; any where none is given.
    pub socket: Option<i32>,
}

impl Default for MempoolConfig {
    fn default() -> Self {
        Self {
            name: "mbufs".to_owned(),
            mbufs: 8191,
            cache: 256,
            data_room_bytes: DATA_ROOM_BYTES,
            socket: None,
        }
    }
}

/// A pool of packets. A clone is another handle to the same pool.
///
/// The pool itself lives until DPDK is cleaned up, so a packet always finds its way home.
///
/// Invariants:
/// 1. `raw` is a pool of packet buffers with the `ring_mp_mc` handler, which any number of
///    threads may take from and give to at once;
/// 2. `_lease` keeps DPDK up (`Eal` invariant 3), and with it the pool.
#[derive(Clone, Debug)]
pub struct Mempool {
    raw: RawPool,
    data_room_bytes: u16,
    _lease: Arc<Lease>,
}

/// The pool without a lease, for the list in [`Lease`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawPool(NonNull<dpdk_sys::rte_mempool>);

// SAFETY: `Mempool` invariant 1: any thread may use the pool.
unsafe impl Send for RawPool {}
// SAFETY: `Mempool` invariant 1: any number of threads may use the pool at once.
unsafe impl Sync for RawPool {}

impl RawPool {
    /// Packets out of the pool. Exact when no other thread is using it.
    pub(crate) fn in_use(&self) -> usize {
        // SAFETY: `Mempool` invariant 2: the pool is alive. Only reads counters.
        let count = unsafe { dpdk_sys::rte_mempool_in_use_count(self.0.as_ptr()) };
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

impl Mempool {
    /// Makes a pool.
    pub fn new(eal: &Eal, config: &MempoolConfig) -> Result<Self> {
        let name = c_name("pool name", &config.name, dpdk_sys::DPDK_MEMPOOL_NAME_BYTES)?;
        // The handler is named, for the default can be changed by an option (invariant 1).
        // SAFETY: DPDK is up; both strings end with a NUL and are copied.
        let raw = unsafe {
            dpdk_sys::rte_pktmbuf_pool_create_by_ops(
                name.as_ptr(),
                config.mbufs,
                config.cache,
                0,
                config.data_room_bytes,
                config.socket.unwrap_or(dpdk_sys::DPDK_SOCKET_ID_ANY),
                c"ring_mp_mc".as_ptr(),
            )
        };
        let Some(raw) = NonNull::new(raw) else {
            let cause = Errno::last();
            return Err(Error::Mempool {
                name: config.name.clone(),
                mbufs: config.mbufs,
                cause,
                advice: pool_advice(cause),
            });
        };
        let raw = RawPool(raw);
        let lease = Arc::clone(eal.lease());
        lease.pools().push(raw);
        Ok(Self { raw, data_room_bytes: config.data_room_bytes, _lease: lease })
    }

    /// An empty packet, or none when the pool is.
    pub fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: invariants 1 and 2: the pool is alive and made for any thread.
        let raw = unsafe { dpdk_sys::dpdk_mbuf_alloc(self.as_ptr()) };
        // SAFETY: it is fresh from the pool: one segment, and ours alone.
        NonNull::new(raw).map(|raw| unsafe { Mbuf::adopt(raw) })
    }

    /// A packet that holds `bytes`; `None` when the pool is empty or a packet is too small.
    pub fn alloc_with(&self, bytes: &[u8]) -> Option<Mbuf> {
        let mut frame = self.alloc()?;
        frame.extend_from_slice(bytes).then_some(frame)
    }

    /// Appends `count` empty packets, or none and `false` when the pool has fewer. Allocates
    /// only where `frames` lacks room.
    #[must_use]
    pub fn alloc_bulk(&self, frames: &mut Vec<Mbuf>, count: usize) -> bool {
        let Ok(count_c) = u32::try_from(count) else { return false };
        frames.reserve(count);
        let to = frames.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: there is room for `count` pointers at `to` (an `Mbuf` is one, by its invariant
        // 3); invariants 1 and 2: the pool is alive and made for any thread.
        let status = unsafe { dpdk_sys::dpdk_mbuf_alloc_bulk(self.as_ptr(), to, count_c) };
        if status != 0 {
            return false;
        }
        let len = frames.len().saturating_add(count);
        // SAFETY: `count` packets were written, fresh from the pool: one segment each, and ours.
        unsafe { frames.set_len(len) };
        true
    }

    /// Packets out of the pool. Walks all caches: for monitoring.
    pub fn in_use(&self) -> usize {
        self.raw.in_use()
    }

    /// Packets in the pool and its caches. Walks all caches: for monitoring.
    pub fn available(&self) -> usize {
        // SAFETY: invariant 2: the pool is alive. Only reads counters.
        let count = unsafe { dpdk_sys::rte_mempool_avail_count(self.as_ptr()) };
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Bytes of a packet, [`HEADROOM_BYTES`] included.
    pub const fn data_room_bytes(&self) -> u16 {
        self.data_room_bytes
    }

    pub(crate) const fn as_ptr(&self) -> *mut dpdk_sys::rte_mempool {
        self.raw.0.as_ptr()
    }
}

fn pool_advice(cause: Errno) -> &'static str {
    match cause.raw() {
        libc::EEXIST => "There is one of this name; names are unique in the process",
        libc::ENOMEM => "Give DPDK more memory, or ask for fewer packets or less room in each",
        libc::EINVAL => {
            "The cache may hold at most 512 packets and two thirds of the pool. \
             The message also comes where DPDK's mempool drivers are not installed"
        }
        _ => "DPDK's own messages above may say why",
    }
}
