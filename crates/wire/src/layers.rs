//! The headers of a frame, as offsets.
//!
//! Holds:     [`Layers`]: link, VLAN tags, IP with options or extension headers, fragment, TCP or
//!            UDP, payload.
//! Promises:  every offset lies inside the frame it was parsed from, in order: link <= IP <= L4 <=
//!            payload <= end.
//! Never:     reads past the end that IP claims: the padding of a short Ethernet frame is no
//!            payload.

use crate::number;
use stage::position::{plus, times};

/// VLAN tags one frame may carry: QinQ has two, and some carriers stack more.
pub const TAGS_MAX: usize = 4;

/// IPv6 extension headers followed before giving up. RFC 8200 section 4.1 recommends at most one of
/// each kind.
const EXTENSIONS_MAX: usize = 8;

/// Addresses and type, without a tag.
const ETHERNET_BYTES: usize = 14;

/// Why a frame has no [`Layers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotParsed {
    /// Neither IPv4 nor IPv6 (ARP, LLC, MPLS, ...).
    NotIp,
    /// Shorter than its headers, or than the length IP claims (a capture cut short, for instance).
    Truncated,
    /// A header contradicts itself: wrong version, header length, total length, or order of
    /// extension headers.
    BadHeader,
    /// More VLAN tags or extension headers than are followed.
    TooManyHeaders,
    /// A routing header with stops still ahead: the address in the header is not the receiver's.
    SourceRouted,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// A fragment of a larger datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    /// Where its payload belongs in the datagram's payload.
    pub offset_bytes: u32,
    /// Others follow.
    pub more: bool,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// IPv4: the IP header. IPv6: the fragment header (its 8 bytes go when the datagram is whole).
    pub header_at: usize,
    /// IPv6: the byte that names the fragment header as the next one; IPv4: the protocol byte.
    pub named_at: usize,
}

/// The header at [`Layers::l4`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A whole TCP header.
    Tcp,
    /// A whole UDP header whose length is possible.
    Udp,
    /// Another protocol.
    Other,
    /// A later fragment: no transport header here.
    LaterFragment,
    /// TCP or UDP whose header is cut short or contradicts itself. A receiver discards it.
    Malformed,
}

/// Offsets of everything, from the frame's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Where the IP header begins, behind the link header and VLAN tags.
    pub ip: usize,
    /// The tags' control words (priority and VLAN number), outermost first.
    pub tags: [u16; TAGS_MAX],
    /// How many of `tags` are there.
    pub tag_count: u8,
    /// Which IP.
    pub version: IpVersion,
    /// The frame is a fragment of a larger datagram (an IPv6 atomic fragment has one as well).
    pub fragment: Option<Fragment>,
    /// The protocol of the header at `l4` (of the fragmented part, in a later fragment).
    pub protocol: u8,
    /// The header at `l4`.
    pub transport: Transport,
    /// Where the IP payload begins, behind options and extension headers.
    pub l4: usize,
    /// Where the payload of TCP or UDP begins (otherwise `l4`).
    pub payload: usize,
    /// One past the last byte of payload. UDP may claim less than IP brings.
    pub payload_end: usize,
    /// One past the last byte of the IP packet; padding of the link follows.
    pub ip_end: usize,
}

impl Layers {
    /// An Ethernet frame, with up to [`TAGS_MAX`] VLAN tags.
    #[inline]
    pub fn ethernet(frame: &[u8]) -> Result<Self, NotParsed> {
        match plain(frame) {
            Some(network) => Ok(Self::over(&network, frame, ETHERNET_BYTES, [0; TAGS_MAX], 0)),
            None => Self::from_ether_type(frame, 12),
        }
    }

    /// A packet in a Linux cooked capture (LINKTYPE_LINUX_SLL).
    pub fn cooked(frame: &[u8]) -> Result<Self, NotParsed> {
        Self::from_ether_type(frame, 14)
    }

    /// A packet in a Linux cooked capture of the second version (LINKTYPE_LINUX_SLL2).
    pub fn cooked2(frame: &[u8]) -> Result<Self, NotParsed> {
        match u16_at(frame, 0).ok_or(NotParsed::Truncated)? {
            number::ETHER_IPV4 | number::ETHER_IPV6 => Self::ip(frame, 20),
            _ => Err(NotParsed::NotIp),
        }
    }

    /// An IP packet that begins at `ip`; the bytes before it are not read.
    pub fn ip(frame: &[u8], ip: usize) -> Result<Self, NotParsed> {
        Self::parse_ip(frame, ip, [0; TAGS_MAX], 0)
    }

    /// Payload bytes.
    pub const fn payload_len(&self) -> usize {
        self.payload_end.saturating_sub(self.payload)
    }

    /// The payload in the frame these layers were parsed from.
    pub fn payload_of<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        frame.get(self.payload..self.payload_end).unwrap_or_default()
    }

    /// Source and destination, IPv4 ones mapped into IPv6 (RFC 4291 section 2.5.5.2).
    pub fn addresses(&self, frame: &[u8]) -> Option<([u8; 16], [u8; 16])> {
        let header = frame.get(self.ip..)?;
        match self.version {
            IpVersion::V4 => {
                let bytes = header.get(12..20)?.first_chunk::<8>()?;
                let [a, b, c, d, e, f, g, h] = *bytes;
                Some((mapped([a, b, c, d]), mapped([e, f, g, h])))
            }
            IpVersion::V6 => {
                let source = header.get(8..24)?.first_chunk::<16>()?;
                let destination = header.get(24..40)?.first_chunk::<16>()?;
                Some((*source, *destination))
            }
        }
    }

    /// Source and destination port, where there is a TCP or UDP header.
    pub fn ports(&self, frame: &[u8]) -> Option<(u16, u16)> {
        match self.transport {
            Transport::Tcp | Transport::Udp => {
                let source = u16_at(frame, self.l4)?;
                let destination = u16_at(frame, self.l4.checked_add(2)?)?;
                Some((source, destination))
            }
            Transport::Other | Transport::LaterFragment | Transport::Malformed => None,
        }
    }

    /// Follows VLAN tags from the Ethernet type at `at` to the IP header.
    fn from_ether_type(frame: &[u8], mut at: usize) -> Result<Self, NotParsed> {
        let mut tags = [0; TAGS_MAX];
        let mut tag_count = 0_u8;
        loop {
            let kind = u16_at(frame, at).ok_or(NotParsed::Truncated)?;
            at = plus(at, 2);
            match kind {
                number::ETHER_IPV4 | number::ETHER_IPV6 => {
                    let layers = Self::parse_ip(frame, at, tags, tag_count)?;
                    let says_v4 = kind == number::ETHER_IPV4;
                    return if says_v4 == (layers.version == IpVersion::V4) {
                        Ok(layers)
                    } else {
                        Err(NotParsed::BadHeader)
                    };
                }
                number::ETHER_VLAN | number::ETHER_QINQ | number::ETHER_QINQ_OLD => {
                    let slot =
                        tags.get_mut(usize::from(tag_count)).ok_or(NotParsed::TooManyHeaders)?;
                    *slot = u16_at(frame, at).ok_or(NotParsed::Truncated)?;
                    tag_count = plus(tag_count, 1);
                    at = plus(at, 2);
                }
                _ => return Err(NotParsed::NotIp),
            }
        }
    }

    fn parse_ip(
        frame: &[u8],
        ip: usize,
        tags: [u16; TAGS_MAX],
        tag_count: u8,
    ) -> Result<Self, NotParsed> {
        let header = frame.get(ip..).ok_or(NotParsed::Truncated)?;
        let first = *header.first().ok_or(NotParsed::Truncated)?;
        let network = match first >> 4 {
            4 => v4(frame, header, ip)?,
            6 => v6(frame, header, ip)?,
            _ => return Err(NotParsed::BadHeader),
        };
        Ok(Self::over(&network, frame, ip, tags, tag_count))
    }

    #[inline]
    fn over(
        network: &Network,
        frame: &[u8],
        ip: usize,
        tags: [u16; TAGS_MAX],
        tag_count: u8,
    ) -> Self {
        let (transport, payload, payload_end) = network.transport(frame);
        Self {
            ip,
            tags,
            tag_count,
            version: network.version,
            fragment: network.fragment,
            protocol: network.protocol,
            transport,
            l4: network.l4,
            payload,
            payload_end,
            ip_end: network.ip_end,
        }
    }
}

/// The result of the IP headers.
struct Network {
    version: IpVersion,
    fragment: Option<Fragment>,
    protocol: u8,
    l4: usize,
    ip_end: usize,
}

impl Network {
    /// The header at `l4`, and the range of the payload.
    #[inline]
    fn transport(&self, frame: &[u8]) -> (Transport, usize, usize) {
        let nothing = |transport| (transport, self.l4, self.ip_end);
        if self.fragment.is_some_and(|fragment| fragment.offset_bytes > 0) {
            return nothing(Transport::LaterFragment);
        }
        let Some(segment) = frame.get(self.l4..self.ip_end) else {
            return nothing(Transport::Malformed);
        };
        match self.protocol {
            number::TCP => match tcp_header_bytes(segment) {
                Some(bytes) => (Transport::Tcp, plus(self.l4, bytes), self.ip_end),
                None => nothing(Transport::Malformed),
            },
            number::UDP => {
                let unfinished = self.fragment.is_some_and(|fragment| fragment.more);
                match udp_bytes(segment, unfinished) {
                    Some(bytes) => (Transport::Udp, plus(self.l4, 8), plus(self.l4, bytes)),
                    None => nothing(Transport::Malformed),
                }
            }
            _ => nothing(Transport::Other),
        }
    }
}

/// What most frames bring: no VLAN tag, IPv4 without options, no fragment. It finds what the
/// general way would, or nothing.
#[inline]
fn plain(frame: &[u8]) -> Option<Network> {
    let (&[.., high, low], ip) = frame.split_first_chunk::<ETHERNET_BYTES>()?;
    if u16::from_be_bytes([high, low]) != number::ETHER_IPV4 {
        return None;
    }
    let &[0x45, _, len_high, len_low, _, _, 0 | 0x40, 0, _, protocol, ..] =
        ip.first_chunk::<20>()?
    else {
        return None;
    };
    let claimed_bytes = usize::from(u16::from_be_bytes([len_high, len_low]));
    (claimed_bytes >= 20 && claimed_bytes <= ip.len()).then(|| Network {
        version: IpVersion::V4,
        fragment: None,
        protocol,
        l4: plus(ETHERNET_BYTES, 20),
        ip_end: plus(ETHERNET_BYTES, claimed_bytes),
    })
}

fn v4(frame: &[u8], header: &[u8], ip: usize) -> Result<Network, NotParsed> {
    let fixed = header.first_chunk::<20>().ok_or(NotParsed::Truncated)?;
    let [version_ihl, _, len_high, len_low, id_high, id_low, frag_high, frag_low, _, protocol, ..] =
        *fixed;
    let header_bytes = times(usize::from(version_ihl & 0x0f), 4);
    let claimed_bytes = usize::from(u16::from_be_bytes([len_high, len_low]));
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1
    //# A host MUST silently discard a datagram whose header length or total length is impossible.
    if header_bytes < 20 || claimed_bytes < header_bytes {
        return Err(NotParsed::BadHeader);
    }
    let ip_end = plus(ip, claimed_bytes);
    if ip_end > frame.len() {
        return Err(NotParsed::Truncated);
    }
    let flags_offset = u16::from_be_bytes([frag_high, frag_low]);
    let more = flags_offset & 0x2000 != 0;
    let offset_bytes = times(u32::from(flags_offset & 0x1fff), 8);
    let fragment = (more || offset_bytes > 0).then(|| Fragment {
        offset_bytes,
        more,
        id: u32::from(u16::from_be_bytes([id_high, id_low])),
        header_at: ip,
        named_at: plus(ip, 9),
    });
    let l4 = plus(ip, header_bytes);
    Ok(Network { version: IpVersion::V4, fragment, protocol, l4, ip_end })
}

fn v6(frame: &[u8], header: &[u8], ip: usize) -> Result<Network, NotParsed> {
    let fixed = header.first_chunk::<40>().ok_or(NotParsed::Truncated)?;
    let [_, _, _, _, len_high, len_low, mut next, ..] = *fixed;
    let claimed_bytes = usize::from(u16::from_be_bytes([len_high, len_low]));
    let mut at = plus(ip, 40);
    let ip_end = plus(at, claimed_bytes);
    if ip_end > frame.len() {
        return Err(NotParsed::Truncated);
    }
    let mut named_at = plus(ip, 6);
    let mut fragment = None;
    for turn in 0..=EXTENSIONS_MAX {
        let extension = match next {
            number::HOP_BY_HOP | number::DESTINATION | number::ROUTING | number::FRAGMENT => {
                if turn == EXTENSIONS_MAX {
                    return Err(NotParsed::TooManyHeaders);
                }
                frame.get(at..ip_end).and_then(|rest| rest.first_chunk::<8>())
            }
            _ => break,
        };
        let &[following, len, high, low, a, b, c, d] = extension.ok_or(NotParsed::Truncated)?;
        match next {
            //= https://www.rfc-editor.org/rfc/rfc8200#section-4.1
            //# the Hop-by-Hop Options header ... is restricted to appear immediately after an IPv6
            //# header only.
            number::HOP_BY_HOP if turn > 0 => return Err(NotParsed::BadHeader),
            number::ROUTING if low != 0 => return Err(NotParsed::SourceRouted),
            number::FRAGMENT => {
                if fragment.is_some() {
                    return Err(NotParsed::BadHeader);
                }
                let flags_offset = u16::from_be_bytes([high, low]);
                let offset_bytes = u32::from(flags_offset & 0xfff8);
                let id = u32::from_be_bytes([a, b, c, d]);
                let more = flags_offset & 1 != 0;
                fragment = Some(Fragment { offset_bytes, more, id, header_at: at, named_at });
            }
            _ => {}
        }
        let bytes = if next == number::FRAGMENT { 8 } else { times(plus(usize::from(len), 1), 8) };
        named_at = at;
        at = plus(at, bytes);
        next = following;
        if at > ip_end {
            return Err(NotParsed::Truncated);
        }
        if fragment.is_some_and(|fragment| fragment.offset_bytes > 0) {
            break;
        }
    }
    Ok(Network { version: IpVersion::V6, fragment, protocol: next, l4: at, ip_end })
}

/// Header length of the TCP segment, if all of it is there.
fn tcp_header_bytes(segment: &[u8]) -> Option<usize> {
    let fixed = segment.first_chunk::<20>()?;
    let [.., data_offset, _, _, _, _, _, _, _] = *fixed;
    let bytes = usize::from(data_offset >> 4).checked_mul(4)?;
    (bytes >= 20 && bytes <= segment.len()).then_some(bytes)
}

/// Length of the UDP datagram, header included. In a first fragment (`unfinished`) the claim is
/// about the whole datagram.
fn udp_bytes(segment: &[u8], unfinished: bool) -> Option<usize> {
    let fixed = segment.first_chunk::<8>()?;
    let [_, _, _, _, high, low, _, _] = *fixed;
    let claimed = usize::from(u16::from_be_bytes([high, low]));
    if unfinished {
        return (claimed > segment.len()).then_some(segment.len());
    }
    (claimed >= 8 && claimed <= segment.len()).then_some(claimed)
}

fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

pub(crate) const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[cfg(test)]
mod tests;
