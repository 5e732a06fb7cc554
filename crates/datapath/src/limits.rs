//! Every bound of the data path in one place, each with its reason.

/// Frames in one receive burst; DPDK's drivers vectorise for 32.
pub const BURST_FRAMES_MAX: usize = 32;

/// Ports the box may have: two bridges a NIC of four ports, and room. Counters are laid out for all
/// of them.
pub const PORTS_MAX: usize = 32;

/// Frames that may wait for one port's full queue; past it they are dropped and counted
/// (`tx_queue_full`). A full default DPDK ring: longer only adds delay.
pub const BACKLOG_FRAMES_MAX: usize = 512;

/// Frames one frame may cause: a datagram of 65,535 bytes in fragments of the smallest MTU an IPv6
/// link may have (RFC 8200 section 5: 1,280 bytes), and a TCP hold let go at once.
pub const FRAMES_CAUSED_MAX: usize = 64;

/// The largest IP packet (RFC 791: 16-bit total length; RFC 8200: 16-bit payload length behind a
/// header of 40).
pub const IP_BYTES_MAX: usize = 65_575;

/// What may stand before IP: an Ethernet header with four tags (30 bytes), or a Linux cooked header
/// (20).
pub const LINK_BYTES_MAX: usize = 32;

/// An Ethernet frame without its check sequence is no shorter (IEEE 802.3 clause 4.2.3.3).
pub const ETHERNET_BYTES_MIN: usize = 60;

/// What the operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// IP bytes that fit the links; what an edit grows past it is fragmented.
    pub mtu_bytes: usize,
    /// TCP connections one core tracks.
    pub flows_max: u32,
    /// Blocks for held TCP bytes and copies, of 2 KiB each, on one core.
    pub blocks_max: u32,
    /// What one connection may hold, and for how long.
    pub flow: flow::limits::Bounds,
    /// What becomes of connections that were there before this box.
    pub midstream: Midstream,
    /// What becomes of packets in scope that travel inside others.
    pub tunnels: Tunnels,
    /// Datagrams whose fragments one core may hold at a time.
    pub fragmented_datagrams_max: usize,
    /// Fragments of all those datagrams together.
    pub fragments_max: usize,
    /// How long a datagram waits for its fragments. Linux gives up after 30 s; a bump in the wire
    /// need not wait for what a sender sends in one go.
    pub fragment_timeout_ms: u64,
}

/// What becomes of a TCP segment in scope whose connection was not seen to begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Midstream {
    /// It goes on, and is not inspected.
    #[default]
    Pass,
    /// Its connection is tracked from here on; what comes first each way is taken for the beginning
    /// of a message.
    PickUp,
    /// Both ends are reset, and begin again.
    Reset,
}

/// What becomes of a packet inside a tunnel that is in scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tunnels {
    /// It is dropped: no server is reached past its patches.
    #[default]
    Drop,
    /// It goes on, and is not inspected.
    Pass,
}

impl Limits {
    /// Unless set.
    pub const DEFAULT: Self = Self {
        mtu_bytes: 1_500,
        flows_max: 1 << 18,
        blocks_max: 1 << 15,
        flow: flow::limits::Bounds::DEFAULT,
        midstream: Midstream::Pass,
        tunnels: Tunnels::Drop,
        fragmented_datagrams_max: 256,
        fragments_max: 2_048,
        fragment_timeout_ms: 5_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = assert!(BACKLOG_FRAMES_MAX >= BURST_FRAMES_MAX, "a burst must fit the backlog");
const _: () =
    assert!(FRAMES_CAUSED_MAX >= IP_BYTES_MAX / 1_280, "the largest datagram, at the least MTU");
