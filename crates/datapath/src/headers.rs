//! Headers that are written here: lengths, fresh IP headers, and the link header of a connection.

use stage::Direction;
use stage::position::{minus, plus};
use wire::{IpVersion, Layers};

use crate::config::LinkLayer;
use crate::limits;

/// An IPv4 header without options.
pub(crate) const IPV4_BYTES: usize = 20;

/// An IPv6 header without extension headers.
pub(crate) const IPV6_BYTES: usize = 40;

/// Hops that a packet made here may take: the default of IANA's IP parameters (RFC 1700).
const HOPS: u8 = 64;

/// A fresh IP header, without length and checksum.
#[derive(Clone, Copy)]
pub(crate) struct IpHeader<'a> {
    pub(crate) version: IpVersion,
    pub(crate) protocol: u8,
    pub(crate) source: &'a [u8; 16],
    pub(crate) destination: &'a [u8; 16],
    /// IPv4 only: identification, flags and fragment offset.
    pub(crate) id_and_flags: [u8; 4],
}

impl IpHeader<'_> {
    /// Appends it to `work`; its length.
    pub(crate) fn push(&self, work: &mut Vec<u8>) -> usize {
        match self.version {
            IpVersion::V4 => {
                let [a, b, c, d] = self.id_and_flags;
                work.extend_from_slice(&[0x45, 0, 0, 0, a, b, c, d, HOPS, self.protocol, 0, 0]);
                work.extend_from_slice(v4_of(self.source));
                work.extend_from_slice(v4_of(self.destination));
                IPV4_BYTES
            }
            IpVersion::V6 => {
                work.extend_from_slice(&[0x60, 0, 0, 0, 0, 0, self.protocol, HOPS]);
                work.extend_from_slice(self.source);
                work.extend_from_slice(self.destination);
                IPV6_BYTES
            }
        }
    }
}

/// The IPv4 address in an IPv4-mapped one.
fn v4_of(address: &[u8; 16]) -> &[u8] {
    address.last_chunk::<4>().map_or(&[], |four| four)
}

/// An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2): addresses of both versions have 16 bytes
/// here.
pub(crate) const fn is_mapped(address: &[u8; 16]) -> bool {
    matches!(address, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..])
}

/// The link header of a connection, as a frame to the server has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkHeader {
    bytes: [u8; limits::LINK_BYTES_MAX],
    len: u8,
}

impl LinkHeader {
    /// That of a frame which travels in this direction.
    pub(crate) fn of(frame: &[u8], layers: &Layers, link: LinkLayer, direction: Direction) -> Self {
        let mut header = Self { bytes: [0; limits::LINK_BYTES_MAX], len: 0 };
        let source = frame.get(..layers.ip).unwrap_or_default();
        if let Some(place) = header.bytes.get_mut(..source.len()) {
            place.copy_from_slice(source);
            header.len = u8::try_from(source.len()).unwrap_or(0);
        }
        if direction == Direction::Response {
            swap_ends(&mut header.bytes, link);
        }
        header
    }

    /// The frame goes to another Ethernet address than this header is for.
    pub(crate) fn leads_elsewhere(&self, frame: &[u8], link: LinkLayer) -> bool {
        link == LinkLayer::Ethernet && frame.first_chunk::<6>() != self.as_slice().first_chunk()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Turns an Ethernet header round.
pub(crate) fn swap_ends(bytes: &mut [u8], link: LinkLayer) {
    if link == LinkLayer::Ethernet
        && let Some((addresses, _)) = bytes.split_first_chunk_mut::<12>()
    {
        addresses.rotate_left(6);
    }
}

/// Writes the length of an IP packet of `ip_bytes` that begins at `ip`.
pub(crate) fn write_ip_len(packet: &mut [u8], version: IpVersion, ip: usize, ip_bytes: usize) {
    let (at, len) = match version {
        IpVersion::V4 => (2, ip_bytes),
        IpVersion::V6 => (4, minus(ip_bytes, IPV6_BYTES)),
    };
    write_u16(packet, plus(ip, at), u16::try_from(len).unwrap_or(u16::MAX));
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

pub(crate) fn write_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
        *field = value.to_be_bytes();
    }
}
