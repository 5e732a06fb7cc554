//! Fast paths against the plain paths that they must equal, over every datagram and conversation of
//! the captures. (`proto`'s own tests run them over generated messages.)
//!
//! What a decoder finds of a field must not depend on which other fields are wanted: so a path that
//! serves a few fields is compared with the one that serves all.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use offline::pcap::{Capture, CaptureItem};
use proto::{Decoder, Field, FieldId, Fields, Flags, Transport, View, Wanted, WatchedRanges};
use stage::Direction;
use wire::Layers;

/// Sets of fields tried for each datagram.
const SETS: usize = 12;

#[test]
fn datagrams_are_read_the_same_whatever_is_wanted() {
    let mut random = 5;
    let (mut compared, mut passed_over) = (0, 0);
    each_payload(|transport, key, from, payload| {
        let Some(decoder) = decoder_at(key.server_port, Transport::Udp) else { return };
        if transport != wire::Transport::Udp {
            return;
        }
        let view = View { input: payload, from, open: false, ended: true };
        let all = found(decoder, &wanting(decoder, |_| true), view);
        for set in 0..SETS {
            // Few fields, some, and most.
            let share = [8, 3, 2][set % 3];
            let bits: Vec<bool> =
                decoder.protocol().fields.iter().map(|_| next(&mut random, share) == 0).collect();
            let wanted = wanting(decoder, |id| bits[usize::from(id)]);
            let some = found(decoder, &wanted, view);
            let of_these = all.iter().filter(|found| bits[usize::from(found.slot)]);
            let of_these: Vec<&FoundField> = of_these.collect();
            assert_eq!(some.iter().collect::<Vec<_>>(), of_these, "{}", payload.escape_ascii());
            compared += some.len();
            passed_over += usize::from(is_passed_over(decoder, &wanted, view, &some, &mut random));
        }
    });
    println!("{compared} fields compared, {passed_over} datagrams passed over");
    assert!(compared > 1_000 && passed_over > 100, "{compared} {passed_over}");
}

/// The header prefilter and `stream` meet in the fuzz targets' bodies.
#[test]
fn conversations_are_read_the_same_with_a_header_prefilter() {
    let mut streams: BTreeMap<Conversation, Vec<u8>> = BTreeMap::new();
    each_payload(|transport, key, from, payload| {
        if transport == wire::Transport::Tcp {
            let marker: &[u8] =
                if from == Direction::Request { b"\xf5\xf6>" } else { b"\xf5\xf6<" };
            let stream = streams.entry(key).or_default();
            if stream.len() < 64 * 1024 {
                stream.extend_from_slice(marker);
                stream.extend_from_slice(payload);
            }
        }
    });
    let mut tried = 0;
    for (key, stream) in &streams {
        let Some(decoder) = decoder_at(key.server_port, Transport::Tcp) else { continue };
        let target = fuzzing::target(decoder.protocol().name).unwrap();
        for choices in [[1, 0, 0, 0, 0, 0, 0, 64], [5, 3, 1, 0, 0, 2, 0, 64]] {
            target.run(&[&choices, &stream[..]].concat());
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried} conversations");
}

/// An occurrence, with its value.
#[derive(Debug, PartialEq, Eq)]
struct FoundField {
    slot: u16,
    number: u64,
    is_number: bool,
    value: Vec<u8>,
}

fn wanting(decoder: &dyn Decoder, is_wanted: impl Fn(u16) -> bool) -> Wanted {
    let mut wanted = Wanted::new(decoder.protocol());
    for (id, _) in (0..).zip(decoder.protocol().fields) {
        if is_wanted(id) {
            wanted.want(FieldId(id));
        }
    }
    wanted
}

fn found(decoder: &dyn Decoder, wanted: &Wanted, view: View<'_>) -> Vec<FoundField> {
    let mut out = Fields::new();
    decoder.datagram(wanted, view, &mut out);
    let show = |field: &Field| FoundField {
        slot: field.slot,
        number: field.number,
        is_number: field.flags.has(Flags::NUMBER),
        value: out.value_of(field, view.input).to_vec(),
    };
    out.items().iter().map(show).collect()
}

/// A prefilter of some values found elsewhere: if the decoder passes over the message, none of its
/// values is watched; else it finds all of them, or tells the cut that a rule asks for.
fn is_passed_over(
    decoder: &dyn Decoder,
    wanted: &Wanted,
    view: View<'_>,
    fields: &[FoundField],
    random: &mut u64,
) -> bool {
    // Few are watched: of many, some would always be one that no fast path knows.
    let mut ranges = vec![WatchedRanges::default(); decoder.protocol().fields.len()];
    for _ in 0..2 {
        let slot = next(random, ranges.len());
        ranges[slot] = match next(random, 2) {
            0 => WatchedRanges::new(&[(next(random, 60), 300)], &[]),
            _ => WatchedRanges::new(&[], &[(200, 60_000)]),
        };
    }
    let mut prefiltered = wanted.clone();
    prefiltered.set_field_prefilter(ranges.clone());
    let left = found(decoder, &prefiltered, view);
    if !left.is_empty() || fields.is_empty() {
        assert_eq!(left, fields, "{}", view.input.escape_ascii());
        return false;
    }
    for field in fields {
        let ranges = &ranges[usize::from(field.slot)];
        let is_watched = if field.is_number {
            ranges.number(field.value.len(), field.number)
        } else {
            ranges.length(field.value.len())
        };
        assert!(!is_watched, "{field:?} in {}", view.input.escape_ascii());
    }
    true
}

fn decoder_at(port: u16, transport: Transport) -> Option<&'static dyn Decoder> {
    let serves = |decoder: &&dyn Decoder| {
        let ports = decoder.protocol().ports.iter();
        ports.clone().any(|(carried, ports)| *carried == transport && ports.contains(&port))
    };
    proto::DECODERS.iter().copied().find(serves)
}

/// Both ends of a conversation, addresses before ports; the server has the smaller port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Conversation {
    client: ([u8; 16], u16),
    server: [u8; 16],
    server_port: u16,
}

/// Visits every payload over UDP or TCP, in the order of the captures.
fn each_payload(mut visit: impl FnMut(wire::Transport, Conversation, Direction, &[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in captures(&root.join("../wirepatch/tests/data/captures")) {
        let bytes = fs::read(file).unwrap();
        for item in Capture::new(&bytes) {
            let CaptureItem::Packet(record) = item else { continue };
            let Some(frame) = bytes.get(record.data.clone()) else { continue };
            if record.link.number != 1 || record.is_cut() {
                continue;
            }
            let Ok(layers) = Layers::ethernet(frame) else { continue };
            let (Some((source, destination)), Some((from, to))) =
                (layers.addresses(frame), layers.ports(frame))
            else {
                continue;
            };
            let payload = layers.payload_of(frame);
            if payload.is_empty() {
                continue;
            }
            let (direction, client, server, server_port) = if from < to {
                (Direction::Response, (destination, to), source, from)
            } else {
                (Direction::Request, (source, from), destination, to)
            };
            let key = Conversation { client, server, server_port };
            visit(layers.transport, key, direction, payload);
        }
    }
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let each = |path: PathBuf| if path.is_dir() { captures(&path) } else { vec![path] };
    let mut files: Vec<PathBuf> = entries.flat_map(each).collect();
    files.sort();
    files
}

/// Less than `below`; the same from the same seed.
fn next(random: &mut u64, below: usize) -> usize {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*random >> 33).unwrap_or(0) % below.max(1)
}
