//! Headers as offsets and views, Internet checksums, and positions in TCP's sequence space.
//!
//! Holds:     [`Layers`] (where each header of a frame stands), views of IPv4, IPv6, TCP and UDP headers, [`checksum`],
//!            and [`Seq`].
//! Promises:  parsing never panics, never copies, and names what it did not understand ([`NotParsed`]); a value of a
//!            view's type is the proof that its header is there.
//! Never:     allocates, reads a clock, or trusts a length a sender claims before it was held against the bytes.
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

pub use layers::{Fragment, IpVersion, Layers, NotParsed, Transport};
pub use seq::Seq;
pub use tcp::{Tcp, TcpFlags, TcpMut};

/// IP protocol numbers and Ethernet types this house reads (IANA).
pub mod number {
    /// Internet Control Message Protocol.
    pub const ICMP: u8 = 1;
    /// The same for IPv6.
    pub const ICMPV6: u8 = 58;
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
    /// IPv6 destination options.
    pub const DESTINATION: u8 = 60;

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
}
