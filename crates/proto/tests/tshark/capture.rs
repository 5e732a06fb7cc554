//! A capture to UDP payloads and TCP segments: enough of pcap, pcapng and the layers below to feed
//! decoders.
//!
//! Frames that are cut short, fragmented, tunnelled or not IP are left out; tshark's rows for them
//! are then ignored.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proto::Transport;
use stage::Direction;

use crate::cases::Case;

/// One end of a conversation.
pub(crate) type End = (IpAddr, u16);

/// What a frame carries.
pub(crate) enum Carried {
    /// A datagram's payload.
    Udp(Vec<u8>),
    /// A segment.
    Tcp { seq: u32, syn: bool, fin: bool, data: Vec<u8> },
}

/// A frame whose payload was found.
pub(crate) struct Frame {
    /// As tshark counts, from 1.
    pub(crate) number: u64,
    pub(crate) from: End,
    pub(crate) to: End,
    pub(crate) carried: Carried,
}

/// All frames of a capture, or `None` if its format is not known here.
pub(crate) fn read(file: &[u8]) -> Option<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut number = 0;
    let mut add = |link: u32, bytes: &[u8]| {
        number += 1;
        if let Some((from, to, carried)) = link_layer(link, bytes) {
            frames.push(Frame { number, from, to, carried });
        }
    };
    match file.first_chunk::<4>()? {
        [0x0a, 0x0d, 0x0d, 0x0a] => pcapng(file, &mut add)?,
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => {
            pcap(file, u32::from_le_bytes, &mut add)?;
        }
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => {
            pcap(file, u32::from_be_bytes, &mut add)?;
        }
        _ => return None,
    }
    Some(frames)
}

/// A raw-IP capture of the datagrams that a case makes itself.
pub(crate) fn write(case: &Case) -> Vec<u8> {
    let decoder = proto::by_name(case.protocol).expect("a decoder of that name");
    let udp = decoder.protocol().ports.iter().find(|(over, _)| *over == Transport::Udp);
    let server = udp.and_then(|(_, ports)| ports.first()).copied().unwrap_or_default();
    let mut file = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101].map(u32::to_be_bytes).concat();
    for (number, (from, payload)) in (1_u32..).zip(case.made) {
        // A port of its own for each, so that tshark takes no two for one conversation.
        let client = 40_000 + u16::try_from(number).unwrap_or_default();
        let (from, to) = match from {
            Direction::Request => ((client, 1), (server, 2)),
            Direction::Response => ((server, 2), (client, 1)),
        };
        let udp_len = u16::try_from(8 + payload.len()).expect("a short payload");
        let mut packet = vec![0x45, 0];
        packet.extend((20 + udp_len).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, from.1, 192, 0, 2, to.1]);
        packet.extend([from.0, to.0, udp_len, 0].map(u16::to_be_bytes).concat());
        packet.extend(*payload);
        let len = u32::from(udp_len) + 20;
        file.extend([number, 0, len, len].map(u32::to_be_bytes).concat());
        file.extend(packet);
    }
    file
}

type Add<'a> = &'a mut dyn FnMut(u32, &[u8]);

fn pcap(file: &[u8], uint: fn([u8; 4]) -> u32, add: Add<'_>) -> Option<()> {
    let at = |bytes: &[u8], at: usize| Some(uint(*bytes.get(at..)?.first_chunk()?));
    let link = at(file, 20)? & 0xffff;
    let mut rest = file.get(24..)?;
    while let Some(len) = at(rest, 8) {
        let Some(bytes) = rest.get(16..16 + len as usize) else { break };
        add(link, bytes);
        rest = &rest[16 + len as usize..];
    }
    Some(())
}

fn pcapng(file: &[u8], add: Add<'_>) -> Option<()> {
    let mut rest = file;
    let mut little = true;
    let mut links = Vec::new();
    while rest.len() >= 12 {
        if rest.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            little = rest[8..12] == [0x4d, 0x3c, 0x2b, 0x1a];
            links.clear();
        }
        let uint = if little { u32::from_le_bytes } else { u32::from_be_bytes };
        let at = |at: usize| Some(uint(*rest.get(at..)?.first_chunk()?));
        let len = at(4)? as usize;
        let Some(block) = rest.get(..len.max(12)) else { break };
        match at(0)? {
            1 => {
                // The link type is the first half of these four bytes.
                links.push(if little { at(8)? & 0xffff } else { at(8)? >> 16 });
            }
            6 => {
                let captured = at(20)? as usize;
                let link = *links.get(at(8)? as usize)?;
                add(link, block.get(28..28 + captured)?);
            }
            3 => {
                let original = at(8)? as usize;
                let there = block.len() - 16;
                add(*links.first()?, block.get(12..12 + original.min(there))?);
            }
            _ => {}
        }
        rest = &rest[block.len()..];
    }
    Some(())
}

fn uint16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

type IpPayload = (End, End, Carried);

fn link_layer(link: u32, bytes: &[u8]) -> Option<IpPayload> {
    match link {
        1 => {
            let mut at = 12;
            while matches!(uint16(bytes, at)?, 0x8100 | 0x88a8 | 0x9100) {
                at += 4;
            }
            ethertype(uint16(bytes, at)?, bytes.get(at + 2..)?)
        }
        113 => ethertype(uint16(bytes, 14)?, bytes.get(16..)?),
        276 => ethertype(uint16(bytes, 0)?, bytes.get(20..)?),
        0 | 108 => network_layer(bytes.get(4..)?),
        12 | 101 | 228 | 229 => network_layer(bytes),
        _ => None,
    }
}

fn ethertype(kind: u16, bytes: &[u8]) -> Option<IpPayload> {
    matches!(kind, 0x0800 | 0x86dd).then(|| network_layer(bytes)).flatten()
}

fn network_layer(bytes: &[u8]) -> Option<IpPayload> {
    match bytes.first()? >> 4 {
        4 => {
            let header_len = usize::from(bytes[0] & 15) * 4;
            let total_len = usize::from(uint16(bytes, 2)?);
            if uint16(bytes, 6)? & 0x3fff != 0 {
                return None;
            }
            let address = |at: usize| -> Option<IpAddr> {
                Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?).into())
            };
            let payload = bytes.get(header_len.max(20)..total_len)?;
            transport_layer(*bytes.get(9)?, address(12)?, address(16)?, payload)
        }
        6 => {
            let end = 40 + usize::from(uint16(bytes, 4)?);
            let address = |at: usize| -> Option<IpAddr> {
                Some(Ipv6Addr::from(*bytes.get(at..)?.first_chunk::<16>()?).into())
            };
            let (mut next, mut at) = (*bytes.get(6)?, 40);
            while matches!(next, 0 | 43 | 60) {
                next = *bytes.get(at)?;
                at += 8 + 8 * usize::from(*bytes.get(at + 1)?);
            }
            transport_layer(next, address(8)?, address(24)?, bytes.get(at..end)?)
        }
        _ => None,
    }
}

fn transport_layer(protocol: u8, from: IpAddr, to: IpAddr, bytes: &[u8]) -> Option<IpPayload> {
    let (from, to) = ((from, uint16(bytes, 0)?), (to, uint16(bytes, 2)?));
    match protocol {
        17 => {
            let len = usize::from(uint16(bytes, 4)?);
            Some((from, to, Carried::Udp(bytes.get(8..len)?.to_vec())))
        }
        6 => {
            let seq = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
            let header_len = usize::from(bytes.get(12)? >> 4) * 4;
            let flags = *bytes.get(13)?;
            let data = bytes.get(header_len.max(20)..)?.to_vec();
            let (fin, syn) = (flags & 1 != 0, flags & 2 != 0);
            Some((from, to, Carried::Tcp { seq, syn, fin, data }))
        }
        _ => None,
    }
}
