//! ICMP errors about a tracked connection quote the sequence numbers of the segment as it left this
//! box; its sender believes only its own.
//!
//! Holds:     [`translate`].
//! Promises:  a path-MTU message about an edited connection reaches its sender with the numbers
//!            that it sent (RFC 5927 section 4.1: a host ignores others, and the connection would
//!            stall at the narrow link).
//! Never:     changes anything else of the message, or moves any state: an ICMP message proves
//!            nothing.
//!
//! ```text
//! the client sends 1460 bytes as 5000; 12 bytes before it were cut, so they leave here as 4988
//! a router says "fragmentation needed, MTU 1280" and quotes 4988; the client is told 5000
//! ```

use plan::Endpoint;
use stage::Direction;
use stage::position::plus;
use wire::{IpVersion, Layers, Seq, checksum, number};

use super::state::{TcpState, key, vlan_key};

/// The ICMP header before what is quoted.
const ICMP_BYTES: usize = 8;

/// Where the checksum stands (RFC 792, RFC 4443 section 2.1).
const CHECKSUM_AT: usize = 2;

/// Changes the quoted numbers in `frame` where its connection is tracked and they were moved.
/// `false`: it is as it was.
pub(crate) fn translate(state: &TcpState, frame: &mut [u8], layers: &Layers) -> bool {
    let Some(quoted) = parse_quote(frame, layers) else { return false };
    let vlan_key = vlan_key(layers);
    let (source, destination) = (quoted.source, quoted.destination);
    let found =
        state.table.find(&key(source, destination, vlan_key)).map(|id| (id, Direction::Request));
    let found = found.or_else(|| {
        state.table.find(&key(destination, source, vlan_key)).map(|id| (id, Direction::Response))
    });
    let Some((connection, way)) = found.and_then(|(id, way)| Some((state.table.get(id)?, way)))
    else {
        return false;
    };
    let (seq, ack) = connection.original_of_icmp_quote(way, &state.stores, quoted.seq, quoted.ack);
    let mut moved = put(frame, layers, quoted.at, quoted.seq, seq);
    if quoted.has_ack {
        moved |= put(frame, layers, plus(quoted.at, 4), quoted.ack, ack);
    }
    moved
}

/// What an ICMP error says about a TCP segment.
struct IcmpQuote {
    source: Endpoint,
    destination: Endpoint,
    seq: Seq,
    ack: Seq,
    /// RFC 792 lets a router quote eight bytes only.
    has_ack: bool,
    /// Where the sequence number stands in the frame.
    at: usize,
}

fn parse_quote(frame: &[u8], layers: &Layers) -> Option<IcmpQuote> {
    let message = frame.get(layers.l4..layers.ip_end)?;
    let (&[kind, ..], inner) = message.split_first_chunk::<ICMP_BYTES>()?;
    // Errors only: unreachable, source quench, time exceeded, parameter problem; and ICMPv6's four.
    let (source, destination, header) = match (layers.version, kind) {
        (IpVersion::V4, 3 | 4 | 11 | 12) => {
            let header: &[u8; 20] = inner.first_chunk()?;
            let [first, _, _, _, _, _, high, low, _, protocol, _, _, addresses @ ..] = header;
            // A later fragment has no TCP header to quote.
            if first >> 4 != 4 || *protocol != number::TCP || (high & 0x1f, *low) != (0, 0) {
                return None;
            }
            let [a, b, c, d, e, f, g, h] = *addresses;
            (mapped([a, b, c, d]), mapped([e, f, g, h]), usize::from(first & 0x0f).checked_mul(4)?)
        }
        (IpVersion::V6, 1..=4) => {
            let header: &[u8; 40] = inner.first_chunk()?;
            let (&[first, _, _, _, _, _, next, _], addresses) = header.split_first_chunk::<8>()?;
            if first >> 4 != 6 || next != number::TCP {
                return None;
            }
            let (source, destination) = addresses.split_first_chunk::<16>()?;
            (*source, *destination.first_chunk::<16>()?, header.len())
        }
        (IpVersion::V4 | IpVersion::V6, _) => return None,
    };
    let tcp = inner.get(header..)?;
    let &[a, b, c, d, e, f, g, h] = tcp.first_chunk::<8>()?;
    let ack = tcp.get(8..12).and_then(|ack| ack.first_chunk::<4>().copied());
    Some(IcmpQuote {
        source: Endpoint { address: source, port: u16::from_be_bytes([a, b]) },
        destination: Endpoint { address: destination, port: u16::from_be_bytes([c, d]) },
        seq: Seq::new(u32::from_be_bytes([e, f, g, h])),
        ack: Seq::new(ack.map_or(0, u32::from_be_bytes)),
        has_ack: ack.is_some(),
        at: layers.l4.checked_add(ICMP_BYTES)?.checked_add(header)?.checked_add(4)?,
    })
}

fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// Writes a number and keeps the ICMP checksum right (RFC 1624). What is quoted begins at an even
/// offset of the message.
fn put(frame: &mut [u8], layers: &Layers, at: usize, before: Seq, after: Seq) -> bool {
    if before == after {
        return false;
    }
    let sum_at = plus(layers.l4, CHECKSUM_AT);
    let Some(&sum) = frame.get(sum_at..).and_then(|bytes| bytes.first_chunk::<2>()) else {
        return false;
    };
    let Some(place) = frame.get_mut(at..).and_then(|bytes| bytes.first_chunk_mut::<4>()) else {
        return false;
    };
    *place = after.raw().to_be_bytes();
    let sum = checksum::update_u32(u16::from_be_bytes(sum), before.raw(), after.raw());
    if let Some(place) = frame.get_mut(sum_at..).and_then(|bytes| bytes.first_chunk_mut::<2>()) {
        *place = sum.to_be_bytes();
    }
    true
}
