//! The answers a patched server gives instead of acting on a packet.

use crate::decoder::Refusal;

use super::header::{
    CONNACK, CONNECT, MqttHeader, PUBLISH, SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, encoded,
};

/// Names of the replies, in the order of `refuse`'s numbers.
pub(super) const NAMES: &[&str] = &[
    "not_authorized",
    "bad_topic",
    "quota_exceeded",
    "identifier_rejected",
    "bad_credentials",
    "unacceptable_version",
    "server_unavailable",
    "accepted",
];

/// The last of [`NAMES`].
const ACCEPTED: u8 = 7;

/// What is said of each of [`NAMES`]: in a CONNACK of version 3 (MQTT 3.1.1 section 3.2.2.3) and of
/// version 5 (MQTT 5.0 section 2.4), and of a filter or a message in version 5.
const fn codes(which: u8) -> Option<(u8, u8, u8)> {
    Some(match which {
        0 => (5, 0x87, 0x87),
        1 => (5, 0x90, 0x8f),
        2 => (3, 0x97, 0x97),
        3 => (2, 0x85, 0x87),
        4 => (4, 0x86, 0x87),
        5 => (1, 0x84, 0x83),
        6 => (3, 0x88, 0x80),
        ACCEPTED => (0, 0, 0),
        _ => return None,
    })
}

/// How many bytes behind the fixed header an answer is made from: up to the version of a CONNECT,
/// all of what has filters. (Of a PUBLISH it is what stands before its message.)
pub(super) fn made_from(header: &MqttHeader, input: &[u8]) -> usize {
    match header.kind() {
        CONNECT => match input.get(header.bytes..).and_then(<[u8]>::first_chunk) {
            Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])).saturating_add(3),
            None => 3,
        },
        SUBSCRIBE | UNSUBSCRIBE => usize::MAX,
        _ => 0,
    }
}

/// Answers the packet in `input`, whose fixed header is `header`.
pub(super) fn refuse(which: u8, header: &MqttHeader, input: &[u8], out: &mut Vec<u8>) -> Refusal {
    let body = input.get(header.bytes..header.end().min(input.len())).unwrap_or_default();
    let accepted = which == ACCEPTED;
    let start = out.len();
    let answer = codes(which).and_then(|(old, connack_code, code)| match header.kind() {
        CONNECT if !accepted => connack(old, connack_code, body, out),
        PUBLISH => publish(header.first >> 1 & 3, body, out),
        SUBSCRIBE => acknowledge(SUBACK, (!accepted).then_some(code), body, out),
        UNSUBSCRIBE => acknowledge(UNSUBACK, Some(code), body, out),
        _ => None,
    });
    match answer {
        // MQTT 3.1.1 section 3.2.2.3: a server that sends another return code than 0 must then
        // close the connection.
        Some(()) if header.kind() == CONNECT => Refusal::Last,
        Some(()) => Refusal::Reply,
        None => {
            out.truncate(start);
            Refusal::Silence
        }
    }
}

/// The bytes of a string, and what follows it.
fn string(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([high, low], after) = input.split_first_chunk()?;
    after.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
}

/// To a CONNECT, in the words of the version it names.
fn connack(old: u8, new: u8, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let version = string(body)?.1.first()? & 0x7f;
    if version >= 5 {
        out.extend_from_slice(&[CONNACK << 4, 3, 0, new, 0]);
    } else {
        out.extend_from_slice(&[CONNACK << 4, 2, 0, old]);
    }
    Some(())
}

/// To a PUBLISH. MQTT 3.1.1 section 3.3.5: a server that does not allow it has to acknowledge it
/// all the same, or to close the connection. A packet of two bytes says success in version 5, too.
fn publish(qos: u8, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let first = match qos {
        1 => 0x40,
        2 => 0x50,
        _ => return None,
    };
    let [high, low] = string(body)?.1.first_chunk()?;
    out.extend_from_slice(&[first, 2, *high, *low]);
    Some(())
}

/// To a SUBSCRIBE or UNSUBSCRIBE: `code` for every filter, or what was asked for.
fn acknowledge(kind: u8, code: Option<u8>, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let ([high, low], after) = body.split_first_chunk()?;
    let options = kind == SUBACK;
    // The packet does not say its version. Read as the other one it has an empty filter, or does
    // not end where it should.
    let (filters, count, is_5) = match count(after, options.then_some(0xfc)) {
        Some(count) => (after, count, false),
        None => {
            let (length, bytes) = super::packet::variable(after)?;
            let start = bytes.checked_add(usize::try_from(length).ok()?)?;
            let filters = after.get(start..)?;
            (filters, count(filters, options.then_some(0xc0))?, true)
        }
    };
    let codes = if is_5 || options { count } else { 0 };
    let remaining = codes.saturating_add(if is_5 { 3 } else { 2 });
    out.push(kind << 4);
    let (length, bytes) = encoded(u64::try_from(remaining).ok()?);
    out.extend_from_slice(length.get(..bytes)?);
    out.extend_from_slice(&[*high, *low]);
    if is_5 {
        out.push(0);
    }
    let mut rest = filters;
    for _ in 0..codes {
        let (_, after) = string(rest)?;
        rest = after.get(usize::from(options)..)?;
        out.push(match code {
            Some(code) if is_5 => code,
            Some(_) => 0x80,
            None => after.first()? & 3,
        });
    }
    Some(())
}

/// How many filters there are, each with its options if there are bits that must be clear in them;
/// `None` if they are not that.
fn count(filters: &[u8], reserved: Option<u8>) -> Option<usize> {
    let mut rest = filters;
    let mut count = 0_usize;
    while !rest.is_empty() {
        let (filter, after) = string(rest)?;
        rest = match reserved {
            Some(reserved) => {
                let (options, rest) = after.split_first()?;
                (options & reserved == 0).then_some(rest)?
            }
            None => after,
        };
        // MQTT 3.1.1 section 4.7.3: a filter has at least one character.
        if filter.is_empty() {
            return None;
        }
        count = count.saturating_add(1);
    }
    (count > 0).then_some(count)
}
