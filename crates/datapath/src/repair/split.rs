//! A packet over the MTU in fragments: RFC 791 section 3.2 and RFC 8200 section 4.5.

use stage::position::{minus, plus};
use wire::{IpVersion, Layers, checksum};

use crate::core::Parts;
use crate::headers::{IPV6_BYTES, u16_at, write_ip_len, write_u16};
use crate::nic::{Frame, PortNo};
use crate::reasons::Reason;
use crate::transmit::Outgoing;

const FRAGMENT_HEADER_BYTES: usize = 8;

/// Later fragments carry "don't fragment" no more; the first ones carry "more fragments" (RFC 791).
const MORE_FRAGMENTS: u16 = 0x2000;

/// Sends the packet in `parts.work` in fragments, each in a frame from `next`. On an empty pool the
/// rest is lost, and with it, at the receiver, the datagram.
///
/// A packet that said "don't fragment" is fragmented too: it is our edit that made it too long, and
/// its sender would be told of a size it never sent.
pub(crate) fn split<F: Frame>(
    parts: &mut Parts<'_>,
    layers: &Layers,
    mut next: impl FnMut() -> Option<F>,
    port: PortNo,
    out: &mut Outgoing<F>,
) -> Result<(), Reason> {
    let packet = &**parts.work;
    let mtu_bytes = parts.config.limits.mtu_bytes;
    let id = *parts.next_id;
    *parts.next_id = id.wrapping_add(1);
    let (first_header, later_header, body_at) = match layers.version {
        IpVersion::V4 => (
            FragmentHeader::v4(packet, layers, id, true),
            FragmentHeader::v4(packet, layers, id, false),
            layers.l4,
        ),
        IpVersion::V6 => {
            let header = FragmentHeader::v6(packet, layers, id);
            let body_at = header.as_ref().map_or(layers.l4, |header| header.body_at);
            (header, header, body_at)
        }
    };
    let (Some(first_header), Some(later_header)) = (first_header, later_header) else {
        return Err(Reason::CannotFragment);
    };
    let link = packet.get(..layers.ip).unwrap_or_default();
    let mut body = packet.get(body_at..layers.ip_end).unwrap_or_default();
    let mut offset_bytes = 0_usize;
    while !body.is_empty() {
        let header = if offset_bytes == 0 { &first_header } else { &later_header };
        let Some(mut frame) = next() else { return Err(Reason::NoFrames) };
        let frame_room = frame.capacity_bytes().saturating_sub(link.len());
        let room = mtu_bytes.min(frame_room).saturating_sub(header.len);
        // All but the last are whole units of eight bytes (RFC 791 section 3.2).
        let here = if body.len() <= room { body.len() } else { room & !7 };
        let Some((chunk, rest)) = body.split_at_checked(here).filter(|_| here > 0) else {
            return Err(Reason::CannotFragment);
        };
        body = rest;
        let header_bytes = header.bytes.get(..header.len).unwrap_or_default();
        if !write_pieces(&mut frame, [link, header_bytes, chunk]) {
            return Err(Reason::CannotFragment);
        }
        header.finish(frame.as_mut(), layers, offset_bytes, !body.is_empty());
        offset_bytes = plus(offset_bytes, here);
        parts.counters.fragments_made.add(1);
        out.send(port, frame);
    }
    Ok(())
}

/// The IP header of a fragment, with extension headers where it is IPv6.
#[derive(Clone, Copy)]
struct FragmentHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: usize,
    /// Where in the whole packet the fragmentable part begins.
    body_at: usize,
}

/// Eight extension headers of ordinary size, or an IPv4 header of 60 bytes.
const HEADER_BYTES_MAX: usize = 512;

impl FragmentHeader {
    /// The first fragment carries all options, later ones those whose "copied" flag is set (RFC 791
    /// section 3.1).
    fn v4(packet: &[u8], layers: &Layers, id: u32, first: bool) -> Option<Self> {
        let all = packet.get(layers.ip..layers.l4)?;
        let (fixed, mut options) = all.split_at_checked(20)?;
        let mut header = Self { bytes: [0; HEADER_BYTES_MAX], len: 0, body_at: layers.l4 };
        header.push(fixed)?;
        if first {
            header.push(options)?;
        } else {
            while let Some((&kind, rest)) = options.split_first() {
                let bytes = match kind {
                    0 => break,
                    1 => 1,
                    _ => usize::from(*rest.first()?).max(2),
                };
                let Some((option, rest)) = options.split_at_checked(bytes) else { break };
                if kind & 0x80 != 0 {
                    header.push(option)?;
                }
                options = rest;
            }
            header.len = header.len.next_multiple_of(4);
        }
        let words = u8::try_from(header.len / 4).ok()?;
        *header.bytes.first_mut()? = 0x40 | words;
        if u16_at(&header.bytes, 4) == Some(0) {
            //= https://www.rfc-editor.org/rfc/rfc6864#section-4.3
            //# non-atomic datagrams MUST NOT repeat IPv4 ID values within one MDL; an atomic one's
            //# zero says nothing
            let [.., high, low] = id.to_be_bytes();
            write_u16(&mut header.bytes, 4, u16::from_be_bytes([high, low]).max(1));
        }
        Some(header)
    }

    /// All headers up to the transport's, then a fragment header (RFC 8200 section 4.5); the one
    /// the packet came with, if any, is used again.
    fn v6(packet: &[u8], layers: &Layers, id: u32) -> Option<Self> {
        let mut header = Self { bytes: [0; HEADER_BYTES_MAX], len: 0, body_at: layers.l4 };
        if let Some(fragment) = layers.fragment {
            header.push(packet.get(layers.ip..fragment.header_at)?)?;
            header.push(packet.get(fragment.header_at..)?.get(..FRAGMENT_HEADER_BYTES)?)?;
            header.body_at = fragment.header_at.checked_add(FRAGMENT_HEADER_BYTES)?;
        } else {
            let named_at = next_header_at(packet, layers)?.checked_sub(layers.ip)?;
            header.push(packet.get(layers.ip..layers.l4)?)?;
            *header.bytes.get_mut(named_at)? = wire::number::FRAGMENT;
            header.push(&[layers.protocol, 0, 0, 0])?;
            header.push(&id.to_be_bytes())?;
        }
        Some(header)
    }

    fn push(&mut self, piece: &[u8]) -> Option<()> {
        let end = self.len.checked_add(piece.len())?;
        self.bytes.get_mut(self.len..end)?.copy_from_slice(piece);
        self.len = end;
        Some(())
    }

    /// Writes into `frame` what differs from fragment to fragment.
    fn finish(&self, frame: &mut [u8], layers: &Layers, offset_bytes: usize, more: bool) {
        let ip_bytes = minus(frame.len(), layers.ip);
        write_ip_len(frame, layers.version, layers.ip, ip_bytes);
        // Offsets are multiples of eight below 65,536.
        let offset = u16::try_from(offset_bytes).unwrap_or(u16::MAX);
        match layers.version {
            IpVersion::V4 => {
                let flag = if more { MORE_FRAGMENTS } else { 0 };
                write_u16(frame, plus(layers.ip, 6), (offset >> 3) | flag);
                let l4 = plus(layers.ip, self.len);
                checksum::fill_ip(frame, &Layers { l4, ..*layers });
            }
            IpVersion::V6 => {
                let at = plus(layers.ip, self.len).saturating_sub(6);
                write_u16(frame, at, (offset & !7) | u16::from(more));
            }
        }
    }
}

/// Where the byte stands that names the header at `layers.l4` (IPv6).
fn next_header_at(packet: &[u8], layers: &Layers) -> Option<usize> {
    let mut named_at = layers.ip.checked_add(6)?;
    let mut at = layers.ip.checked_add(IPV6_BYTES)?;
    while at < layers.l4 {
        let fragment = *packet.get(named_at)? == wire::number::FRAGMENT;
        let units = if fragment {
            1
        } else {
            usize::from(*packet.get(at.checked_add(1)?)?).checked_add(1)?
        };
        named_at = at;
        at = at.checked_add(units.checked_mul(8)?)?;
    }
    Some(named_at)
}

fn write_pieces<F: Frame>(frame: &mut F, pieces: [&[u8]; 3]) -> bool {
    let len = pieces.iter().map(|piece| piece.len()).sum();
    if !frame.set_len(len) {
        return false;
    }
    let from = pieces.into_iter().flatten();
    frame.as_mut().iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    true
}
