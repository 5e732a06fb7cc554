//! One packet buffer, owned.

use core::{marker::PhantomData, ptr::NonNull};
use dpdk_sys as sys;

/// A packet buffer: not `Clone`, freed exactly once.
///
/// It may be sent to another thread, and may be read by several. Growing it over bytes that an
/// earlier packet left clears them, so that no old packet leaks onto the wire.
///
/// ```compile_fail,E0277
/// fn doubled<T: Clone>() {}
/// doubled::<capsule::Mbuf>();
/// ```
///
/// Invariants, set up by `Mbuf::adopt` and kept by every method:
/// 1. `raw` came from a mempool, its reference count is one and no other `Mbuf` holds it. So
///    DPDK is up (`Eal` invariant 3) and the buffer is ours;
/// 2. it is one segment, `data_off + data_len <= buf_len`, `data_len == pkt_len`, and `buf_len`
///    initialised bytes begin at `buf_addr` (pools are mapped zeroed);
/// 3. it is one non-null pointer and nothing else, so that a slice of `Mbuf` is what DPDK takes
///    and gives as an array of `rte_mbuf *`.
#[must_use = "dropping a packet frees it; send it, or free it on purpose"]
#[repr(transparent)]
#[derive(Debug)]
pub struct Mbuf {
    raw: NonNull<sys::rte_mbuf>,
}

const _: () = assert!(size_of::<Mbuf>() == size_of::<*mut sys::rte_mbuf>(), "invariant 3");

// SAFETY: invariant 1: it has one owner, and its pool takes packets from any thread.
unsafe impl Send for Mbuf {}
// SAFETY: all methods on `&Mbuf` only read, and invariant 1 rules out other writers.
unsafe impl Sync for Mbuf {}

/// Where a field of `rte_mbuf` lies, and its type.
///
/// Invariant: only the constants below exist. Their offsets come from the C compiler, and the
/// shim asserts that their widths are those of `T`.
struct MbufField<T> {
    offset: usize,
    of: PhantomData<T>,
}

impl<T> MbufField<T> {
    const fn at(offset: usize) -> Self {
        Self { offset, of: PhantomData }
    }
}

const BUF_ADDR: MbufField<*mut u8> = MbufField::at(sys::DPDK_MBUF_BUF_ADDR);
const DATA_OFF: MbufField<u16> = MbufField::at(sys::DPDK_MBUF_DATA_OFF);
const NB_SEGS: MbufField<u16> = MbufField::at(sys::DPDK_MBUF_NB_SEGS);
const PORT: MbufField<u16> = MbufField::at(sys::DPDK_MBUF_PORT);
const OL_FLAGS: MbufField<u64> = MbufField::at(sys::DPDK_MBUF_OL_FLAGS);
const PACKET_TYPE: MbufField<u32> = MbufField::at(sys::DPDK_MBUF_PACKET_TYPE);
const PKT_LEN: MbufField<u32> = MbufField::at(sys::DPDK_MBUF_PKT_LEN);
const DATA_LEN: MbufField<u16> = MbufField::at(sys::DPDK_MBUF_DATA_LEN);
const BUF_LEN: MbufField<u16> = MbufField::at(sys::DPDK_MBUF_BUF_LEN);
const RSS: MbufField<u32> = MbufField::at(sys::DPDK_MBUF_RSS);

/// What the NIC says of a checksum in a packet it received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumState {
    /// It did not look.
    Unknown,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
    /// The field is not filled in, but the data is whole (a virtual machine on the same host).
    Absent,
}

/// The IP header of a packet whose checksum the NIC is to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxNetwork {
    /// With or without its own header checksum.
    Ipv4 {
        /// Whether the NIC also fills in the header checksum.
        header_checksum: bool,
    },
    /// Has none.
    Ipv6,
}

/// Whose checksum the NIC is to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TxTransport {
    Tcp,
    Udp,
}

/// A request to the NIC, for ports whose [`crate::Applied::tx_checksum`] has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxChecksum {
    /// Bytes in front of the IP header: at most 127.
    pub l2_bytes: u8,
    /// Bytes of the IP header with options or extensions: at most 511.
    pub l3_bytes: u16,
    /// The IP header.
    pub network: TxNetwork,
    /// The TCP or UDP checksum; `None` for the IPv4 header's only.
    pub transport: Option<TxTransport>,
}

impl Mbuf {
    /// Takes a buffer over.
    ///
    /// # Safety
    ///
    /// `raw` must be from a mempool, of one segment, and nothing else may use it from now on.
    pub(crate) const unsafe fn adopt(raw: NonNull<sys::rte_mbuf>) -> Self {
        Self { raw }
    }

    /// How many segments `raw` has.
    ///
    /// # Safety
    ///
    /// `raw` must be a live buffer that nothing else writes to.
    pub(crate) unsafe fn segments(raw: NonNull<sys::rte_mbuf>) -> u16 {
        // SAFETY: the caller's word; the shorter life of `Mbuf` is not used to free it.
        let frame = core::mem::ManuallyDrop::new(unsafe { Self::adopt(raw) });
        frame.load(NB_SEGS)
    }

    /// The packet.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: invariant 2: `data_off` is inside the buffer.
        let start = unsafe { self.load(BUF_ADDR).add(usize::from(self.load(DATA_OFF))) };
        // SAFETY: invariant 2: `data_len` initialised bytes follow; invariant 1: nothing writes
        // them while `self` is borrowed.
        unsafe { core::slice::from_raw_parts(start, self.len()) }
    }

    /// The packet, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: invariant 2: `data_off` is inside the buffer.
        let start = unsafe { self.load(BUF_ADDR).add(usize::from(self.load(DATA_OFF))) };
        // SAFETY: invariant 2: `data_len` initialised bytes follow; invariant 1: nothing else
        // sees them while `self` is borrowed.
        unsafe { core::slice::from_raw_parts_mut(start, self.len()) }
    }

    /// Has the processor fetch the packet's first bytes, which whoever wrote them (a NIC, another
    /// lcore) has left in a cache further away.
    pub(crate) fn prefetch(&self) {
        let start = self.load(BUF_ADDR).wrapping_add(usize::from(self.load(DATA_OFF)));
        prefetch(start);
        prefetch(start.wrapping_add(CACHE_LINE_BYTES));
    }

    /// Has the processor fetch the header of the buffer.
    pub(crate) fn prefetch_header(&self) {
        prefetch(self.raw.as_ptr().cast());
    }

    /// Bytes of the packet.
    pub fn len(&self) -> usize {
        usize::from(self.load(DATA_LEN))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Free bytes in front of the packet.
    pub fn headroom(&self) -> usize {
        usize::from(self.load(DATA_OFF))
    }

    /// Free bytes after the packet.
    pub fn tailroom(&self) -> usize {
        let room = usize::from(self.load(BUF_LEN));
        room.saturating_sub(self.headroom()).saturating_sub(self.len())
    }

    /// Grows the packet at its end by `count` zero bytes, and gives them. `None`, and no change,
    /// where there is no room.
    pub fn append(&mut self, count: usize) -> Option<&mut [u8]> {
        let old_len = self.len();
        self.grow_tail(count)?;
        let added = self.bytes_mut().get_mut(old_len..)?;
        added.fill(0);
        Some(added)
    }

    /// Grows the packet at its end by `bytes`. `false`, and no change, where there is no room.
    #[must_use]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> bool {
        let old_len = self.len();
        if self.grow_tail(bytes.len()).is_none() {
            return false;
        }
        if let Some(added) = self.bytes_mut().get_mut(old_len..) {
            added.copy_from_slice(bytes);
        }
        true
    }

    /// Takes `count` bytes off the end. `false`, and no change, where there are fewer.
    #[must_use]
    pub fn trim(&mut self, count: usize) -> bool {
        let Some(len) = self.len().checked_sub(count) else { return false };
        self.set_len(len)
    }

    /// Cuts the packet to its first `len` bytes. Does nothing where it is shorter.
    pub fn truncate(&mut self, len: usize) {
        let _shorter = self.trim(self.len().saturating_sub(len));
    }

    /// Grows the packet in front by `count` zero bytes, and gives them. `None`, and no change,
    /// where there is no room.
    pub fn prepend(&mut self, count: usize) -> Option<&mut [u8]> {
        let offset = u16::try_from(self.headroom().checked_sub(count)?).ok()?;
        let len = u16::try_from(self.len().checked_add(count)?).ok()?;
        self.store(DATA_OFF, offset);
        self.store_len(len);
        let added = self.bytes_mut().get_mut(..count)?;
        added.fill(0);
        Some(added)
    }

    /// Takes `count` bytes off the front. `false`, and no change, where there are fewer.
    #[must_use]
    pub fn adj(&mut self, count: usize) -> bool {
        let Some(len) = self.len().checked_sub(count) else { return false };
        let (Ok(len), Ok(count)) = (u16::try_from(len), u16::try_from(count)) else {
            return false;
        };
        // Fits: invariant 2 bounds the sum by `buf_len`, which is a u16.
        let offset = self.load(DATA_OFF).wrapping_add(count);
        self.store(DATA_OFF, offset);
        self.store_len(len);
        true
    }

    /// The port it came from, by DPDK's number; meaningless in a packet of our own.
    pub fn port(&self) -> u16 {
        self.load(PORT)
    }

    /// What the NIC took it for: DPDK's `RTE_PTYPE_*`, 0 where it did not look.
    pub fn packet_type(&self) -> u32 {
        self.load(PACKET_TYPE)
    }

    /// The hash by which the NIC chose the queue, if it told.
    pub fn rss_hash(&self) -> Option<u32> {
        (self.load(OL_FLAGS) & sys::DPDK_MBUF_RX_RSS_HASH != 0).then(|| self.load(RSS))
    }

    /// What the NIC says of the IPv4 header's checksum.
    pub fn rx_ip_checksum(&self) -> ChecksumState {
        match self.load(OL_FLAGS) & sys::DPDK_MBUF_RX_IP_CKSUM_MASK {
            sys::DPDK_MBUF_RX_IP_CKSUM_GOOD => ChecksumState::Good,
            sys::DPDK_MBUF_RX_IP_CKSUM_BAD => ChecksumState::Bad,
            sys::DPDK_MBUF_RX_IP_CKSUM_NONE => ChecksumState::Absent,
            _ => ChecksumState::Unknown,
        }
    }

    /// What the NIC says of the TCP or UDP checksum.
    pub fn rx_l4_checksum(&self) -> ChecksumState {
        match self.load(OL_FLAGS) & sys::DPDK_MBUF_RX_L4_CKSUM_MASK {
            sys::DPDK_MBUF_RX_L4_CKSUM_GOOD => ChecksumState::Good,
            sys::DPDK_MBUF_RX_L4_CKSUM_BAD => ChecksumState::Bad,
            sys::DPDK_MBUF_RX_L4_CKSUM_NONE => ChecksumState::Absent,
            _ => ChecksumState::Unknown,
        }
    }

    /// Asks the NIC to fill in checksums as it sends. `false`, and no change, where a header is
    /// too long for it to be said.
    ///
    /// For a transport checksum, drivers want the pseudo-header's sum in its place;
    /// [`crate::TxQueue::transmit`] has the driver put it there.
    #[must_use]
    pub fn request_checksum(&mut self, request: TxChecksum) -> bool {
        // Seven and nine bits in the descriptor of DPDK.
        if request.l2_bytes > 127 || request.l3_bytes > 511 {
            return false;
        }
        let network = match request.network {
            TxNetwork::Ipv4 { header_checksum: true } => {
                sys::DPDK_MBUF_TX_IPV4 | sys::DPDK_MBUF_TX_IP_CKSUM
            }
            TxNetwork::Ipv4 { header_checksum: false } => sys::DPDK_MBUF_TX_IPV4,
            TxNetwork::Ipv6 => sys::DPDK_MBUF_TX_IPV6,
        };
        let transport = match request.transport {
            Some(TxTransport::Tcp) => sys::DPDK_MBUF_TX_TCP_CKSUM,
            Some(TxTransport::Udp) => sys::DPDK_MBUF_TX_UDP_CKSUM,
            None => 0,
        };
        let other = self.load(OL_FLAGS) & !sys::DPDK_MBUF_TX_OFFLOAD_MASK;
        self.store(OL_FLAGS, other | network | transport);
        // SAFETY: invariant 1: the buffer is live and ours.
        unsafe {
            sys::dpdk_mbuf_set_tx_lengths(self.raw.as_ptr(), request.l2_bytes, request.l3_bytes);
        }
        true
    }

    /// Takes back what was asked of the NIC.
    pub fn clear_requests(&mut self) {
        let flags = self.load(OL_FLAGS) & !sys::DPDK_MBUF_TX_OFFLOAD_MASK;
        self.store(OL_FLAGS, flags);
    }

    /// Frees many at once, cheaper than one by one.
    pub fn free_bulk(frames: &mut Vec<Self>) {
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        // SAFETY: 0 is within any capacity; the packets are DPDK's from here.
        unsafe { frames.set_len(0) };
        // SAFETY: invariant 3: the vector's memory holds `count` packets, which were ours alone
        // (invariant 1) and are forgotten above.
        unsafe { sys::rte_pktmbuf_free_bulk(frames.as_mut_ptr().cast(), count) };
    }

    fn grow_tail(&mut self, count: usize) -> Option<()> {
        (count <= self.tailroom()).then_some(())?;
        self.set_len(self.len().checked_add(count)?).then_some(())
    }

    /// The caller has seen to it that there is room for `len`.
    fn set_len(&mut self, len: usize) -> bool {
        let Ok(len) = u16::try_from(len) else { return false };
        self.store_len(len);
        true
    }

    fn store_len(&mut self, len: u16) {
        self.store(DATA_LEN, len);
        self.store(PKT_LEN, u32::from(len));
    }

    fn load<T: Copy>(&self, field: MbufField<T>) -> T {
        // SAFETY: the field is inside the buffer's header (`MbufField`), which is live (invariant
        // 1).
        let at = unsafe { self.raw.as_ptr().cast::<u8>().add(field.offset) };
        // SAFETY: it is a `T` (`MbufField`), and nothing writes it while `self` is borrowed.
        unsafe { at.cast::<T>().read() }
    }

    fn store<T: Copy>(&mut self, field: MbufField<T>, value: T) {
        // SAFETY: the field is inside the buffer's header (`MbufField`), which is live (invariant
        // 1).
        let at = unsafe { self.raw.as_ptr().cast::<u8>().add(field.offset) };
        // SAFETY: it is a `T` (`MbufField`), and nothing else sees it while `self` is borrowed.
        unsafe { at.cast::<T>().write(value) };
    }
}

/// Of all x86-64 processors.
const CACHE_LINE_BYTES: usize = 64;

/// A hint only: nothing is read, so `at` may be any address.
#[inline]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _no_hint = at;
}

impl AsRef<[u8]> for Mbuf {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl AsMut<[u8]> for Mbuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes_mut()
    }
}

impl Drop for Mbuf {
    fn drop(&mut self) {
        // SAFETY: invariant 1: it is live, and ours to free.
        unsafe { sys::dpdk_mbuf_free(self.raw.as_ptr()) };
    }
}
