//! Packets inside a packet: IP in IP, GRE, MPLS, PPP, VXLAN and GENEVE, in any order.
//!
//! Holds:     [`Walk`], an iterator that goes inwards from header to header and yields every IP
//!            packet.
//! Promises:  reads no more strictly than any end of a tunnel. Whatever such an end may accept as a
//!            packet is yielded; where a receiver might read more than is here, [`Inner::Unread`]
//!            is. It ends on any bytes, after at most [`HEADERS_MAX`] headers.
//! Never:     copies, or looks into an encrypted tunnel.
//!
//! A frame of two MPLS labels over an IPv4 packet that carries IPv6 gives two packets, outermost
//! first:
//!
//! ```text
//! Ethernet 8847 | label | label, bottom | IPv4, protocol 41 | IPv6 | TCP 4000 -> 80
//!                                         Carries::Other      Carries::Segment { TCP, 4000, 80 }
//! ```

mod ip;

use crate::{Layers, number};
use stage::position::times;

/// IP packets inside one another that are followed. Real networks nest two (an overlay in a
/// provider's tunnel), seldom three.
pub const LEVELS_MAX: usize = 4;

/// Headers of all kinds that are followed: four levels with a few labels or tags each.
pub const HEADERS_MAX: usize = 32;

/// IPv6 extension headers of one packet that are followed.
const EXTENSIONS_MAX: usize = 8;

/// UDP ports whose datagrams are packets behind a shim header, in ascending order: GRE in UDP (RFC
/// 8086), VXLAN (RFC 7348), VXLAN-GPE, GENEVE (RFC 8926), MPLS in UDP (RFC 7510), and the port that
/// Linux uses for VXLAN by default.
pub const PORTS: [u16; 6] = [4_754, 4_789, 4_790, 6_081, 6_635, 8_472];

/// Datagrams to this port are read as packets behind a shim header.
#[inline]
pub const fn is_port(port: u16) -> bool {
    !matches!(Header::of_port(port), Header::Nothing)
}

/// IP packets of this protocol are read as packets behind another header, or none.
#[inline]
pub const fn is_protocol(protocol: u8) -> bool {
    !matches!(Header::of_protocol(protocol), Header::Nothing)
}

/// One item of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// An IP packet.
    Packet {
        /// Address of its sender, IPv4 mapped into IPv6.
        source: [u8; 16],
        /// Address of its receiver.
        destination: [u8; 16],
        /// Its payload.
        carries: Carries,
    },
    /// Bytes that cannot be read here, but perhaps at their receiver: deeper than is followed, or
    /// cut off by the end of a fragment.
    Unread,
}

/// The payload of an inner packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// A TCP segment or UDP datagram.
    Segment {
        /// [`number::TCP`] or [`number::UDP`].
        protocol: u8,
        /// Its sender's port.
        source_port: u16,
        /// Its receiver's.
        destination_port: u16,
    },
    /// TCP or UDP without its ports: a fragment, or cut short.
    Portless {
        /// [`number::TCP`] or [`number::UDP`].
        protocol: u8,
    },
    /// Not known: a fragment of a tunnel, or headers that are cut short or contradict themselves.
    Unknown,
    /// Neither TCP nor UDP. Where it is a tunnel, the packet inside is the next item.
    Other,
}

/// The way inwards, from the outermost header that is not of the packet itself.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    header: Header,
    /// From the first byte of `header` on.
    rest: &'a [u8],
    levels: usize,
    headers: usize,
    /// A first fragment was walked into: bytes that are cut off here are not cut off at the
    /// receiver.
    partial: bool,
}

/// The next header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// The walk is over.
    Nothing,
    /// Addresses and an Ethernet type.
    Ethernet,
    /// An Ethernet type.
    Type,
    /// A VLAN tag's control word and the next type.
    Tag,
    /// MPLS labels (RFC 3032).
    Label,
    /// A PPPoE session's header (RFC 2516).
    Pppoe,
    /// A PPP frame, with or without address and control bytes, its protocol in one byte or two (RFC
    /// 1661).
    Ppp,
    /// GRE (RFC 2784, 2890), or PPTP's version of it (RFC 2637).
    Gre,
    /// A redirected packet of WCCP, in GRE: four bytes in front of IP, or none.
    Wccp,
    /// EtherIP (RFC 3378).
    EtherIp,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// VXLAN's generic protocol extension.
    VxlanGpe,
    /// GENEVE (RFC 8926).
    Geneve,
    /// A UDP header, whose port names the next one.
    Udp,
    /// An IP packet, if its first four bits are 4 or 6.
    Ip,
}

/// The bytes ended inside a header.
struct Cut;

impl Header {
    const fn of_port(port: u16) -> Self {
        match port {
            4_754 => Self::Gre,
            4_789 | 8_472 => Self::Vxlan,
            4_790 => Self::VxlanGpe,
            6_081 => Self::Geneve,
            6_635 => Self::Label,
            _ => Self::Nothing,
        }
    }

    const fn of_protocol(protocol: u8) -> Self {
        match protocol {
            number::IPV4 | number::IPV6 => Self::Ip,
            number::GRE => Self::Gre,
            number::ETHER_IP => Self::EtherIp,
            number::MPLS => Self::Label,
            _ => Self::Nothing,
        }
    }

    const fn of_type(kind: u16) -> Self {
        match kind {
            number::ETHER_IPV4 | number::ETHER_IPV6 => Self::Ip,
            number::ETHER_VLAN | number::ETHER_QINQ | number::ETHER_QINQ_OLD => Self::Tag,
            number::ETHER_MPLS | number::ETHER_MPLS_MULTICAST => Self::Label,
            number::ETHER_PPPOE => Self::Pppoe,
            number::ETHER_PPP => Self::Ppp,
            number::ETHER_BRIDGED => Self::Ethernet,
            number::ETHER_WCCP => Self::Wccp,
            _ => Self::Nothing,
        }
    }
}

impl<'a> Walk<'a> {
    /// Into an IP packet whose headers are known.
    pub fn into_packet(frame: &'a [u8], layers: &Layers) -> Self {
        let fragment = layers.fragment;
        let header = match layers.protocol {
            _ if fragment.is_some_and(|fragment| fragment.offset_bytes > 0) => Header::Nothing,
            number::UDP => Header::Udp,
            protocol => Header::of_protocol(protocol),
        };
        let rest = frame.get(layers.l4..layers.ip_end).unwrap_or_default();
        Self::new(header, rest, fragment.is_some_and(|fragment| fragment.more))
    }

    /// From the Ethernet type at `at`, past VLAN tags.
    pub fn into_frame(frame: &'a [u8], at: usize) -> Self {
        Self::new(Header::Type, frame.get(at..).unwrap_or_default(), false)
    }

    const fn new(header: Header, rest: &'a [u8], partial: bool) -> Self {
        Self { header, rest, levels: LEVELS_MAX, headers: HEADERS_MAX, partial }
    }

    /// Takes one header. A packet is yielded, and the walk goes on inside it.
    fn step(&mut self) -> Result<Option<Inner>, Cut> {
        match self.header {
            Header::Ip => return self.ip(),
            Header::Gre => match self.gre()? {
                Some(header) => self.header = header,
                None => return Ok(Some(self.unread())),
            },
            Header::Nothing
            | Header::Ethernet
            | Header::Type
            | Header::Tag
            | Header::Label
            | Header::Pppoe
            | Header::Ppp
            | Header::Wccp
            | Header::EtherIp => self.header = self.link(self.header)?,
            Header::Vxlan | Header::VxlanGpe | Header::Geneve | Header::Udp => {
                self.header = self.overlay(self.header)?;
            }
        }
        Ok(None)
    }

    /// Takes a header of a link, and answers the next one.
    #[inline(always)]
    fn link(&mut self, header: Header) -> Result<Header, Cut> {
        Ok(match header {
            Header::Ethernet => {
                let [.., high, low] = self.take::<14>()?;
                Header::of_type(u16::from_be_bytes([high, low]))
            }
            Header::Type => Header::of_type(u16::from_be_bytes(self.take()?)),
            Header::Tag => {
                let [_, _, high, low] = self.take()?;
                Header::of_type(u16::from_be_bytes([high, low]))
            }
            //= https://www.rfc-editor.org/rfc/rfc3032#section-2.1
            //# This bit is set to one for the last entry in the label stack (i.e., for the bottom
            //# of the stack)
            // No field names the header behind the bottom. Its version tells IP, as in routers that
            // balance load.
            Header::Label => {
                let [_, _, bottom, _] = self.take()?;
                if bottom & 1 == 0 { Header::Label } else { Header::Ip }
            }
            Header::Pppoe => {
                let [_, code, ..] = self.take::<6>()?;
                if code == 0 { Header::Ppp } else { Header::Nothing }
            }
            Header::Ppp => self.ppp()?,
            Header::Wccp => {
                if self.version() != Some(4) {
                    let [_, _, _, _] = self.take()?;
                }
                Header::Ip
            }
            Header::EtherIp => {
                let [_, _] = self.take()?;
                Header::Ethernet
            }
            Header::Nothing
            | Header::Gre
            | Header::Vxlan
            | Header::VxlanGpe
            | Header::Geneve
            | Header::Udp
            | Header::Ip => Header::Nothing,
        })
    }

    /// Takes a header of an overlay, or the UDP header in front of one, and answers the next one.
    #[inline(always)]
    fn overlay(&mut self, header: Header) -> Result<Header, Cut> {
        let [first, _, high, low, ..] = self.take::<8>()?;
        let kind = u16::from_be_bytes([high, low]);
        Ok(match header {
            //= https://www.rfc-editor.org/rfc/rfc7348#section-5
            //# the I flag MUST be set to 1 for a valid VXLAN Network ID (VNI).
            Header::Vxlan if first & 0x08 != 0 => Header::Ethernet,
            Header::VxlanGpe => match low {
                _ if first & 0x04 == 0 => Header::Ethernet,
                1 | 2 => Header::Ip,
                3 => Header::Ethernet,
                5 => Header::Label,
                _ => Header::Nothing,
            },
            Header::Geneve => {
                self.skip(times(usize::from(first & 0x3f), 4))?;
                if first >> 6 == 0 { Header::of_type(kind) } else { Header::Nothing }
            }
            Header::Udp => Header::of_port(kind),
            Header::Vxlan
            | Header::Nothing
            | Header::Ethernet
            | Header::Type
            | Header::Tag
            | Header::Label
            | Header::Pppoe
            | Header::Ppp
            | Header::Gre
            | Header::Wccp
            | Header::EtherIp
            | Header::Ip => Header::Nothing,
        })
    }

    fn ppp(&mut self) -> Result<Header, Cut> {
        if self.rest.starts_with(&[0xff, 0x03]) {
            self.skip(2)?;
        }
        //= https://www.rfc-editor.org/rfc/rfc1661#section-2
        //# all Protocols MUST be odd; the least significant bit of the least significant octet MUST
        //# equal "1". ... all Protocols MUST be assigned such that the least significant bit of the
        //# most significant octet equals "0".
        let [first] = self.take()?;
        let protocol = if first & 1 == 1 {
            u16::from(first)
        } else {
            let [second] = self.take()?;
            u16::from_be_bytes([first, second])
        };
        Ok(match protocol {
            number::PPP_IPV4 | number::PPP_IPV6 => Header::Ip,
            number::PPP_MPLS | number::PPP_MPLS_MULTICAST => Header::Label,
            _ => Header::Nothing,
        })
    }

    /// `None`: it has a routing field, which nobody has sent since RFC 2784 and which is not
    /// followed.
    fn gre(&mut self) -> Result<Option<Header>, Cut> {
        let [flags, version, high, low] = self.take()?;
        let [checksum, routing, key, sequence] = [0x80, 0x40, 0x20, 0x10].map(|bit| flags & bit);
        let acknowledgement = match version & 7 {
            0 => 0,
            1 => version & 0x80,
            _ => return Ok(Some(Header::Nothing)),
        };
        if routing != 0 {
            return Ok(None);
        }
        for field in [checksum, key, sequence, acknowledgement] {
            if field != 0 {
                self.skip(4)?;
            }
        }
        Ok(Some(Header::of_type(u16::from_be_bytes([high, low]))))
    }

    /// The packet's headers end here, though perhaps not at its receiver.
    const fn cut_short(&mut self) -> Carries {
        self.rest = &[];
        // The next step finds no bytes: it yields `Unread` for a fragment, and ends otherwise.
        self.header = Header::Ethernet;
        Carries::Unknown
    }

    const fn unread(&mut self) -> Inner {
        self.header = Header::Nothing;
        Inner::Unread
    }

    /// The bytes behind it are no part of the packet.
    fn end_at(&mut self, bytes: usize) {
        if let Some(packet) = self.rest.get(..bytes) {
            self.rest = packet;
        }
    }

    fn version(&self) -> Option<u8> {
        self.rest.first().map(|first| first >> 4)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Cut> {
        let (&bytes, rest) = self.rest.split_first_chunk().ok_or(Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn skip(&mut self, bytes: usize) -> Result<(), Cut> {
        self.rest = self.rest.get(bytes..).ok_or(Cut)?;
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Inner;

    fn next(&mut self) -> Option<Inner> {
        while self.header != Header::Nothing {
            let Some(headers) = self.headers.checked_sub(1) else { return Some(self.unread()) };
            self.headers = headers;
            match self.step() {
                Ok(None) => {}
                Ok(Some(inner)) => return Some(inner),
                Err(Cut) if self.partial => return Some(self.unread()),
                Err(Cut) => self.header = Header::Nothing,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
