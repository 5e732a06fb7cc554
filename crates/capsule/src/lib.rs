//! DPDK made safe.
//!
//! Holds:     the environment ([`Eal`]), packet memory ([`Mempool`], [`Mbuf`]), Ethernet devices
//!            ([`Port`], [`RxQueue`], [`TxQueue`]), lockless rings of packets
//!            ([`RingProducer`], [`RingConsumer`]) and cores ([`Eal::launch`]).
//! Promises:  no call of this interface, in any order and on any thread the types allow, is
//!            undefined behaviour. What DPDK asks of its caller is held by ownership: a packet
//!            has one owner, a queue is used by one core, a port with queues about can't be
//!            stopped, and DPDK is not cleaned up under something that still lives in it.
//! Never:     looks into a packet, reads a clock, or allocates or locks on the way of a packet.
//!
//! Calls that a core makes for every burst ([`RxQueue::receive`], [`TxQueue::transmit`], the
//! rings, [`Mempool::alloc`], everything on [`Mbuf`]) take no lock and allocate nothing. All the
//! others are for start, stop and monitoring, and are serialised.
//!
//! `docs/unsafe.md` says which invariants hold the `unsafe` blocks up.

#![allow(unsafe_code, reason = "this crate is where unsafe lives; see docs/unsafe.md")]
#![warn(missing_docs)]

mod backoff;
mod eal;
mod error;
mod large;
mod lcore;
mod mbuf;
mod mempool;
mod port;
mod prefetch;
mod ring;

pub use backoff::Backoff;
pub use eal::{Eal, EalArgs, LogLevel, Memory, Pci};
pub use error::{Errno, Error, Result};
pub use large::LargePages;
pub use lcore::{Lcore, LcoreHandle, current_lcore, rdtsc};
pub use mbuf::{ChecksumState, Mbuf, TxChecksum, TxNetwork, TxTransport};
pub use mempool::{HEADROOM_BYTES, Mempool, MempoolConfig};
pub use port::{
    Applied, ChecksumOffloads, LinkState, MacAddress, Port, PortConfig, PortInfo, PortStats, Rss,
    RxQueue, Started, TxQueue, Xstat,
};
pub use prefetch::prefetch;
pub use ring::{RingConsumer, RingGauge, RingProducer, RingProducers, mpsc, spsc};

/// What may cross threads; the types' own examples show what may not.
const _: () = {
    const fn sent<T: Send>() {}
    const fn shared<T: Send + Sync>() {}
    sent::<RxQueue>();
    sent::<TxQueue>();
    sent::<RingProducer>();
    sent::<RingConsumer>();
    sent::<LcoreHandle<()>>();
    shared::<Mbuf>();
    shared::<Mempool>();
    shared::<Port>();
    shared::<RingProducers>();
    shared::<RingGauge>();
};
