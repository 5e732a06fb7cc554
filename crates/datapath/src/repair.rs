//! Step 9: lengths, checksums and numbers of a packet that was edited or made here, and its split
//! into fragments where it is over the MTU. [`datagram`] and [`in_frame`] are a datagram's; a
//! segment's is in [`segment`].

pub(crate) mod segment;
mod split;

use proto::Edits;
use stage::position::{minus, plus};
use wire::checksum::{self, Sum};
use wire::{IpVersion, Layers};

use crate::apply;
use crate::config::{CoreConfig, LinkLayer};
use crate::core::Parts;
use crate::headers::{u16_at, write_ip_len, write_u16};
use crate::limits;
use crate::nic::{Frame, FramePool, PortNo};
use crate::reasons::Reason;
use crate::transmit::Outgoing;

use split::split;

/// Puts lengths and checksums right. The packet that came in had right ones (or they were taken on
/// trust), so whole computations give what an incremental update would.
pub(crate) fn datagram(packet: &mut [u8], layers: &Layers) {
    write_ip_len(packet, layers.version, layers.ip, minus(layers.ip_end, layers.ip));
    let udp_len = minus(layers.payload_end, layers.l4);
    write_u16(packet, plus(layers.l4, 4), u16::try_from(udp_len).unwrap_or(u16::MAX));
    checksum::fill_ip(packet, layers);
    //= https://www.rfc-editor.org/rfc/rfc768
    //# An all zero transmitted checksum value means that the transmitter generated no checksum
    let absent = layers.version == IpVersion::V4 && u16_at(packet, plus(layers.l4, 6)) == Some(0);
    if !absent {
        checksum::fill_transport(packet, layers);
    }
}

/// Steps 8 and 9 in the packet's own frame, where it only becomes shorter. `false`: it is as it
/// was, and has to be put together beside the frame.
pub(crate) fn in_frame<F: Frame>(
    frame: &mut F,
    layers: &Layers,
    edits: &Edits,
    config: &CoreConfig,
) -> bool {
    let bytes = frame.as_ref();
    let payload = layers.payload_of(bytes);
    let Some(first) = edits.list().first() else { return false };
    // Checksums go by words, and the payload begins with one.
    let from = first.at.range().start & !1;
    let Some(payload_len) = apply::len_in_place(payload, edits) else { return false };
    let udp_len = minus(layers.payload_end, layers.l4);
    let end = plus(layers.payload, payload_len);
    let minimum = if config.link == LinkLayer::Ethernet && bytes.len() >= limits::ETHERNET_BYTES_MIN
    {
        limits::ETHERNET_BYTES_MIN
    } else {
        0
    };
    // Nothing follows the payload, and nothing has to. Checksums taken on trust may be wrong, and
    // leave right ones.
    let plain = layers.payload_end == layers.ip_end && layers.ip_end == bytes.len();
    let claimed = u16_at(bytes, plus(layers.l4, 4)).map(usize::from) == Some(udp_len);
    if !plain || !claimed || end < minimum || config.trust_checksums {
        return false;
    }
    let before = Sum::default().bytes(payload.get(from..).unwrap_or_default());
    let packet = frame.as_mut();
    apply::in_place(packet.get_mut(layers.payload..).unwrap_or_default(), edits);
    let changed = plus(layers.payload, from);
    let after = Sum::default().bytes(packet.get(changed..end).unwrap_or_default());
    let new_udp_len = minus(end, layers.l4);
    let word = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
    // A length stands in the header and in the pseudo header.
    let before = before.word(word(udp_len)).word(word(udp_len));
    let after = after.word(word(new_udp_len)).word(word(new_udp_len));
    write_u16(packet, plus(layers.l4, 4), word(new_udp_len));
    let at = plus(layers.l4, 6);
    let sum = u16_at(packet, at).unwrap_or(0);
    // "No checksum" stays none.
    if sum != 0 {
        //= https://www.rfc-editor.org/rfc/rfc768
        //# If the computed checksum is zero, it is transmitted as all ones
        let sum = match Sum::default().word(!sum).word(before.finish()).word(after.fold()).finish()
        {
            0 => 0xffff,
            sum => sum,
        };
        write_u16(packet, at, sum);
    }
    let len_at = plus(layers.ip, 2);
    let ip_len = u16_at(packet, len_at).unwrap_or(0);
    write_ip_len(packet, layers.version, layers.ip, minus(end, layers.ip));
    if layers.version == IpVersion::V4 {
        let at = plus(layers.ip, 10);
        let sum = u16_at(packet, at).unwrap_or(0);
        let new_ip_len = u16_at(packet, len_at).unwrap_or(0);
        write_u16(packet, at, checksum::update(sum, ip_len, new_ip_len));
    }
    frame.shrink(minus(layers.ip_end, end));
    true
}

/// What the frame was like that a rewritten packet goes out in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameShape {
    /// Length of the frame.
    pub(crate) frame_bytes: usize,
    /// Where its IP packet ended.
    pub(crate) ip_end: usize,
    /// Length of its IP packet: what its links carry for certain.
    pub(crate) ip_bytes: usize,
}

impl FrameShape {
    pub(crate) fn of(frame: &[u8], layers: &Layers) -> Self {
        Self {
            frame_bytes: frame.len(),
            ip_end: layers.ip_end,
            ip_bytes: minus(layers.ip_end, layers.ip),
        }
    }
}

/// Sends the packet in `parts.work` from `port`: in `frame`, or in as many fragments as it takes.
/// What stood behind the IP packet in the frame is kept behind it.
pub(crate) fn leave<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    mut frame: P::Frame,
    shape: FrameShape,
    layers: &Layers,
    port: PortNo,
    out: &mut Outgoing<P::Frame>,
) -> Result<(), Reason> {
    let ip_bytes = minus(layers.ip_end, layers.ip);
    if ip_bytes <= parts.config.limits.mtu_bytes.max(shape.ip_bytes) {
        let trailer = frame.as_ref().get(shape.ip_end..).unwrap_or_default();
        let fits = plus(layers.ip_end, trailer.len()) <= frame.capacity_bytes();
        if fits {
            pad(parts.work, parts.config.link, shape, trailer);
        }
        if fits && frame.load(parts.work) {
            out.send(port, frame);
            return Ok(());
        }
    }
    let mut first = Some(frame);
    let next = || first.take().or_else(|| pool.alloc());
    split(parts, layers, next, port, out)
}

/// Keeps what followed the IP packet, unless it was only Ethernet's padding to its least length,
/// which is made anew.
fn pad(work: &mut Vec<u8>, link: LinkLayer, shape: FrameShape, trailer: &[u8]) {
    let minimum = limits::ETHERNET_BYTES_MIN;
    let ethernet = link == LinkLayer::Ethernet;
    if !(ethernet && shape.frame_bytes == minimum) {
        work.extend_from_slice(trailer);
    }
    // Shorter ones came from a virtual port, which knows no minimum.
    if ethernet && shape.frame_bytes >= minimum && work.len() < minimum {
        work.resize(minimum, 0);
    }
}
