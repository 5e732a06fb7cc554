//! Headers as offsets and views, Internet checksums, and positions in TCP's sequence space.
//!
//! Holds:     [`Layers`] (the offset of each header of a frame), views of IPv4, IPv6, TCP and UDP
//!            headers, [`checksum`], [`tunnel`] (packets inside a packet), and [`Seq`].
//! Promises:  parsing never panics, never copies, and names the reason where it fails
//!            ([`NotParsed`]); a value of a view's type is the proof that its header is there.
//! Never:     allocates, reads a clock, or trusts a claimed length before it was compared with the
//!            bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

pub mod checksum;
pub mod layers;
pub mod options;
pub mod seq;
pub mod tcp;
pub mod tunnel;

pub use layers::{Fragment, IpVersion, Layers, NotParsed, Transport};
pub use seq::Seq;
pub use tcp::{Tcp, TcpFlags, TcpMut};

/// Numbers of IP protocols, Ethernet types and PPP protocols that are read (IANA).
pub mod number {
    /// Internet Control Message Protocol.
    pub const ICMP: u8 = 1;
    /// The same for IPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv4 in IP (RFC 2003).
    pub const IPV4: u8 = 4;
    /// Transmission Control Protocol.
    pub const TCP: u8 = 6;
    /// User Datagram Protocol.
    pub const UDP: u8 = 17;
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// IPv6 in IP (RFC 2473, RFC 4213).
    pub const IPV6: u8 = 41;
    /// Generic routing encapsulation.
    pub const GRE: u8 = 47;
    /// IPv6 destination options.
    pub const DESTINATION: u8 = 60;
    /// Ethernet in IP (RFC 3378).
    pub const ETHER_IP: u8 = 97;
    /// MPLS in IP (RFC 4023).
    pub const MPLS: u8 = 137;

    /// Ethernet type of IPv4.
    pub const ETHER_IPV4: u16 = 0x0800;
    /// Ethernet type of IPv6.
    pub const ETHER_IPV6: u16 = 0x86dd;
    /// IEEE 802.1Q customer tag.
    pub const ETHER_VLAN: u16 = 0x8100;
    /// IEEE 802.1ad service tag.
    pub const ETHER_QINQ: u16 = 0x88a8;
    /// The service tag of switches older than 802.1ad.
    pub const ETHER_QINQ_OLD: u16 = 0x9100;
    /// MPLS.
    pub const ETHER_MPLS: u16 = 0x8847;
    /// MPLS with labels assigned upstream (RFC 5332).
    pub const ETHER_MPLS_MULTICAST: u16 = 0x8848;
    /// A PPPoE session.
    pub const ETHER_PPPOE: u16 = 0x8864;
    /// PPP in GRE (RFC 2637).
    pub const ETHER_PPP: u16 = 0x880b;
    /// Ethernet in GRE or GENEVE (transparent Ethernet bridging).
    pub const ETHER_BRIDGED: u16 = 0x6558;
    /// A packet that WCCP redirects, in GRE.
    pub const ETHER_WCCP: u16 = 0x883e;

    /// PPP's number of IPv4.
    pub const PPP_IPV4: u16 = 0x0021;
    /// PPP's number of IPv6.
    pub const PPP_IPV6: u16 = 0x0057;
    /// PPP's number of MPLS.
    pub const PPP_MPLS: u16 = 0x0281;
    /// The same with labels assigned upstream.
    pub const PPP_MPLS_MULTICAST: u16 = 0x0283;
}
