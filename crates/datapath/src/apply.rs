//! Step 8: the engine's edits become bytes: in the frame itself where they only move bytes to its
//! front, else in a packet put together beside it, which may be longer than the frame can become.
//! The lengths and checksums in it are step 9's.
//!
//! `flow` makes the edits of a stream ([`stream_edit`]).

use core::ops::Range;

use proto::{Edits, Span};
use wire::{IpVersion, Layers, Transport, number};

use crate::config::LinkLayer;
use crate::headers::{IPV6_BYTES, IpHeader, swap_ends};
use crate::packet::Packet;

/// UDP's length field counts its header and has 16 bits (RFC 768).
const UDP_BYTES_MAX: usize = 65_535;
const UDP_BYTES: usize = 8;

/// Writes into `work` the packet with its payload edited; what UDP leaves of the IP packet (RFC
/// 9868) follows as it is. `None`: it would be more than an IP packet may have, or an edit does not
/// fit the payload.
pub(crate) fn edits(
    bytes: &[u8],
    layers: &Layers,
    edits: &Edits,
    work: &mut Vec<u8>,
) -> Option<Layers> {
    let payload = layers.payload_of(bytes);
    let growth = edits.growth_within(Span::new(0, payload.len()));
    let payload_len = i64::try_from(payload.len()).ok()?.checked_add(growth)?;
    let payload_len = usize::try_from(payload_len).ok()?;
    let surplus = bytes.get(layers.payload_end..layers.ip_end)?;
    let udp_len = layers.payload.checked_sub(layers.l4)?.checked_add(payload_len)?;
    let payload_end = layers.payload.checked_add(payload_len)?;
    let ip_end = payload_end.checked_add(surplus.len())?;
    if udp_len > UDP_BYTES_MAX || ip_end.checked_sub(layers.ip)? > ip_bytes_max(layers.version) {
        return None;
    }
    work.clear();
    work.extend_from_slice(bytes.get(..layers.payload)?);
    if !edits.current(payload, Span::new(0, payload.len()), work) || work.len() != payload_end {
        return None;
    }
    work.extend_from_slice(surplus);
    Some(Layers { payload_end, ip_end, ..*layers })
}

/// How long `payload` is once it is edited, if that can be done from its front to its end without a
/// byte being written that is still to be read.
pub(crate) fn len_in_place(payload: &[u8], edits: &Edits) -> Option<usize> {
    let (mut read, mut write) = (0_usize, 0_usize);
    for edit in edits.list() {
        let (at, with) = (edit.at.range(), edit.with.range());
        write = write.checked_add(at.start.checked_sub(read)?)?.checked_add(with.len())?;
        read = at.end;
        if write > read {
            return None;
        }
    }
    write.checked_add(payload.len().checked_sub(read)?)
}

/// Edits `payload`, of which [`len_in_place`] has said that it can be.
pub(crate) fn in_place(payload: &mut [u8], edits: &Edits) {
    let (mut read, mut write) = (0_usize, 0_usize);
    for edit in edits.list() {
        let (at, with) = (edit.at.range(), edit.with.of(edits.bytes()));
        write = moved(payload, read..at.start, write);
        let end = write.wrapping_add(with.len());
        if let Some(place) = payload.get_mut(write..end) {
            place.iter_mut().zip(with).for_each(|(to, from)| *to = *from);
        }
        (read, write) = (at.end, end);
    }
    let end = payload.len();
    moved(payload, read..end, write);
}

/// Moves bytes to the front; where they end there.
fn moved(payload: &mut [u8], from: Range<usize>, to: usize) -> usize {
    let Range { start, end } = from;
    if start != to && start < end && end <= payload.len() && to < start {
        payload.copy_within(start..end, to);
    }
    to.wrapping_add(end.wrapping_sub(start))
}

/// Writes into `work` the answer to `packet`: `reply` in a datagram back to its sender, addresses
/// and ports swapped, options and extension headers left away. `None`: nobody may answer such a
/// packet, or the reply is too long.
pub(crate) fn reply(
    bytes: &[u8],
    link: LinkLayer,
    packet: &Packet,
    reply: &[u8],
    id: u16,
    work: &mut Vec<u8>,
) -> Option<Layers> {
    //= https://www.rfc-editor.org/rfc/rfc1122#section-3.2.1.3
    //# a host MUST NOT send a datagram whose source address is a broadcast or multicast address
    if is_multicast(&packet.destination.address) || is_multicast(&packet.source.address) {
        return None;
    }
    let layers = &packet.layers;
    let udp_len = UDP_BYTES.checked_add(reply.len()).filter(|&len| len <= UDP_BYTES_MAX)?;
    work.clear();
    work.extend_from_slice(bytes.get(..layers.ip)?);
    swap_ends(work, link);
    let [id_high, id_low] = id.to_be_bytes();
    let header = IpHeader {
        version: layers.version,
        protocol: number::UDP,
        source: &packet.destination.address,
        destination: &packet.source.address,
        id_and_flags: [id_high, id_low, 0, 0],
    };
    let header = header.push(work);
    let l4 = layers.ip.checked_add(header)?;
    let payload = l4.checked_add(UDP_BYTES)?;
    let end = payload.checked_add(reply.len())?;
    if end.checked_sub(layers.ip)? > ip_bytes_max(layers.version) {
        return None;
    }
    work.extend_from_slice(&packet.destination.port.to_be_bytes());
    work.extend_from_slice(&packet.source.port.to_be_bytes());
    work.extend_from_slice(&u16::try_from(udp_len).ok()?.to_be_bytes());
    // Not zero, which over IPv4 would mean "no checksum": repair fills it.
    work.extend_from_slice(&[0xff, 0xff]);
    work.extend_from_slice(reply);
    Some(Layers {
        fragment: None,
        protocol: number::UDP,
        transport: Transport::Udp,
        l4,
        payload,
        payload_end: end,
        ip_end: end,
        ..*layers
    })
}

/// An edit of a stream by number, for `flow`, which makes it: it keeps a copy of the bytes that it
/// let through.
#[inline]
pub(crate) fn stream_edit(edits: &Edits, nth: usize) -> Option<stage::Edit<'_>> {
    let edit = edits.list().get(nth)?;
    let range = edit.at.range();
    Some(stage::Edit { start: range.start, end: range.end, with: edit.with.of(edits.bytes()) })
}

/// RFC 791: the total length has 16 bits. RFC 8200: the payload length has.
const fn ip_bytes_max(version: IpVersion) -> usize {
    match version {
        IpVersion::V4 => 65_535,
        IpVersion::V6 => 65_535_usize.saturating_add(IPV6_BYTES),
    }
}

/// IPv4 224.0.0.0/4 and the limited broadcast; IPv6 ff00::/8.
fn is_multicast(address: &[u8; 16]) -> bool {
    match *address {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, first, ..] => first >= 224,
        [first, ..] => first == 0xff,
    }
}
