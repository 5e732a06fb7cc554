//! What a port is asked for, what it has, and what came of it.

use core::fmt;
use dpdk_sys as sys;

/// How a NIC with several queues chooses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rss {
    /// Whatever the driver does by itself.
    Off,
    /// By addresses and ports, both directions of a connection to the same queue. Fragments have
    /// no ports and go by addresses alone, to another queue than the rest of their flow.
    SymmetricPorts,
    /// By addresses alone, both directions and fragments to the same queue. Spreads less where
    /// there are few hosts.
    SymmetricAddresses,
}

/// What a port is asked for. What the driver lacks is left out, and [`Applied`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Receive queues: one for each core that polls the port.
    pub rx_queues: u16,
    /// Transmit queues: one for each core that sends on the port.
    pub tx_queues: u16,
    /// Descriptors of a receive queue; brought within the driver's bounds.
    pub rx_descriptors: u16,
    /// Descriptors of a transmit queue; brought within the driver's bounds.
    pub tx_descriptors: u16,
    /// The largest IP packet. The driver's own where none is given.
    pub mtu: Option<u16>,
    /// Receives what is for other stations: a bump in the wire has to.
    pub promiscuous: bool,
    /// How the NIC chooses among several queues.
    pub rss: Rss,
    /// Has the NIC check checksums ([`crate::Mbuf::rx_l4_checksum`]).
    pub rx_checksum: bool,
    /// Lets the NIC fill in checksums ([`crate::Mbuf::request_checksum`]).
    pub tx_checksum: bool,
    /// Has the driver prepare [`crate::RxQueue::event_fd`].
    pub rx_interrupts: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mtu: None,
            promiscuous: true,
            rss: Rss::SymmetricPorts,
            rx_checksum: true,
            tx_checksum: true,
            rx_interrupts: false,
        }
    }
}

/// Which checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ChecksumOffloads {
    pub ipv4: bool,
    pub tcp: bool,
    pub udp: bool,
}

impl ChecksumOffloads {
    pub(super) const fn of_rx(bits: u64) -> Self {
        Self {
            ipv4: bits & sys::DPDK_RX_OFFLOAD_IPV4_CKSUM != 0,
            tcp: bits & sys::DPDK_RX_OFFLOAD_TCP_CKSUM != 0,
            udp: bits & sys::DPDK_RX_OFFLOAD_UDP_CKSUM != 0,
        }
    }

    pub(super) const fn of_tx(bits: u64) -> Self {
        Self {
            ipv4: bits & sys::DPDK_TX_OFFLOAD_IPV4_CKSUM != 0,
            tcp: bits & sys::DPDK_TX_OFFLOAD_TCP_CKSUM != 0,
            udp: bits & sys::DPDK_TX_OFFLOAD_UDP_CKSUM != 0,
        }
    }
}

/// What came of a [`PortConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Checksums that are checked on received packets.
    pub rx_checksum: ChecksumOffloads,
    /// Checksums that may be asked for.
    pub tx_checksum: ChecksumOffloads,
    /// Whether the driver took the symmetric key, by which a NIC keeps both directions of a flow
    /// on one queue. net_null and net_tap take it and do without, but behind net_tap, as behind
    /// net_af_packet (which does not take it), the kernel's own choice is symmetric. Where it is
    /// `false` with several queues, and the driver is none of these, a software hash has to do it.
    pub symmetric_rss: bool,
    /// The MTU in force.
    pub mtu: u16,
    /// Whether it receives what is for other stations. Drivers that can't be asked (net_null)
    /// say no.
    pub promiscuous: bool,
    /// Descriptors of each receive queue.
    pub rx_descriptors: u16,
    /// Descriptors of each transmit queue.
    pub tx_descriptors: u16,
}

/// What a device is and has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// Its name: `net_tap0`, `0000:01:00.0`.
    pub name: String,
    /// DPDK's number for it.
    pub index: u16,
    /// Its driver.
    pub driver: String,
    /// Its NUMA node, if it is on one.
    pub socket: Option<u32>,
    /// The bounds of its queues.
    pub rx_queues_max: u16,
    /// The bounds of its queues.
    pub tx_queues_max: u16,
    /// The smallest MTU.
    pub mtu_min: u16,
    /// The largest MTU.
    pub mtu_max: u16,
    /// Checksums it can check.
    pub rx_checksum: ChecksumOffloads,
    /// Checksums it can fill in.
    pub tx_checksum: ChecksumOffloads,
    /// All it can do on receiving: DPDK's `RTE_ETH_RX_OFFLOAD_*`.
    pub rx_offloads: u64,
    /// All it can do on sending: DPDK's `RTE_ETH_TX_OFFLOAD_*`.
    pub tx_offloads: u64,
    /// What it can choose queues by: DPDK's `RTE_ETH_RSS_*`, 0 where it has no RSS.
    pub rss_types: u64,
    /// Bytes of its RSS key.
    pub rss_key_bytes: u8,
    /// Entries of its RSS table.
    pub rss_table_len: u16,
}

/// Whether there is a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Whether it is up.
    pub up: bool,
    /// In Mbit/s, where it is known.
    pub speed_mbps: Option<u32>,
    /// Both ways at once.
    pub full_duplex: bool,
}

/// Since the start, or the last [`crate::Port::reset_stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets lost because no descriptor was free: the cores are too slow.
    pub rx_missed: u64,
    /// Packets that arrived broken.
    pub rx_errors: u64,
    /// Packets lost because the pool was empty.
    pub rx_no_mbuf: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
}

/// One of the driver's own counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xstat {
    /// Its name, as in `dpdk-testpmd`'s `show port xstats`.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress(
    /// In the order of the wire.
    pub [u8; 6],
);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What the NIC is to hash, of what it can.
pub(super) const fn rss_types(rss: Rss, can: u64) -> u64 {
    let addresses = sys::DPDK_RSS_IPV4
        | sys::DPDK_RSS_FRAG_IPV4
        | sys::DPDK_RSS_NONFRAG_IPV4_OTHER
        | sys::DPDK_RSS_IPV6
        | sys::DPDK_RSS_FRAG_IPV6
        | sys::DPDK_RSS_NONFRAG_IPV6_OTHER
        | sys::DPDK_RSS_IPV6_EX;
    let ports = sys::DPDK_RSS_NONFRAG_IPV4_TCP
        | sys::DPDK_RSS_NONFRAG_IPV4_UDP
        | sys::DPDK_RSS_NONFRAG_IPV6_TCP
        | sys::DPDK_RSS_NONFRAG_IPV6_UDP
        | sys::DPDK_RSS_IPV6_TCP_EX
        | sys::DPDK_RSS_IPV6_UDP_EX;
    can & match rss {
        Rss::Off => 0,
        Rss::SymmetricPorts => addresses | ports,
        Rss::SymmetricAddresses => addresses,
    }
}

/// A Toeplitz key of a 16-bit period gives the same hash with source and destination exchanged:
/// the fields of an address pair and of a port pair are multiples of 16 bits apart. 0x6d5a is the
/// start of Microsoft's own key, and spreads well (Woo and Park, 2012).
pub(super) fn symmetric_key(bytes: u8) -> Vec<u8> {
    [0x6d, 0x5a].into_iter().cycle().take(usize::from(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash as Microsoft's RSS document defines it.
    fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
        let bit = |at: usize| u32::from(key[at / 8] >> (7 - at % 8) & 1);
        let window = |at: usize| (at..at + 32).fold(0, |word, at| word << 1 | bit(at));
        (0..input.len() * 8)
            .filter(|at| input[at / 8] >> (7 - at % 8) & 1 == 1)
            .fold(0, |hash, at| hash ^ window(at))
    }

    #[test]
    fn the_key_is_blind_to_direction_and_nothing_else() {
        let key = symmetric_key(40);
        let there = [10, 99, 0, 1, 192, 168, 7, 2, 0xc3, 0x50, 0x00, 0x50];
        let back = [192, 168, 7, 2, 10, 99, 0, 1, 0x00, 0x50, 0xc3, 0x50];
        let other = [10, 99, 0, 1, 192, 168, 7, 2, 0xc3, 0x51, 0x00, 0x50];
        assert_eq!(toeplitz(&key, &there), toeplitz(&key, &back));
        assert_ne!(toeplitz(&key, &there), toeplitz(&key, &other));
    }

    #[test]
    fn only_what_the_driver_can_is_asked() {
        let can = sys::DPDK_RSS_IPV4 | sys::DPDK_RSS_NONFRAG_IPV4_UDP;
        assert_eq!(rss_types(Rss::Off, can), 0);
        assert_eq!(rss_types(Rss::SymmetricPorts, can), can);
        assert_eq!(rss_types(Rss::SymmetricAddresses, can), sys::DPDK_RSS_IPV4);
        assert_eq!(rss_types(Rss::SymmetricPorts, 0), 0);
    }

    #[test]
    fn addresses_print_as_usual() {
        assert_eq!(MacAddress([2, 0, 0x5e, 0xa, 0xff, 1]).to_string(), "02:00:5e:0a:ff:01");
    }
}
