//! Makes seeds: `cargo run -p fuzzing --example seeds -- CORPORA OUT` reads every capture below
//! CORPORA and writes inputs of every target below OUT.
//!
//! A conversation becomes the input of the decoder its port names, behind a few different choices,
//! and one of `conversation` behind a few steps; a frame that no frame before it looked like
//! becomes one of `frame`; short captures are inputs as they are, and so are the patches of the
//! library.
#![allow(
    clippy::unwrap_used,
    reason = "a tool for the one who starts the fuzzers: its panic is its message"
)]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::{Path, PathBuf};

use offline::pcap::{Capture, CaptureItem};
use proto::Protocol;
use wire::{Layers, Transport};

/// What the fuzzer is told with `-max_len`, less the choices.
const INPUT_BYTES_MAX: usize = 4_000;

const STREAM: u8 = 1;
const RESPONSE: u8 = 2;
const WHOLE: u8 = 4;
const OPENED: u8 = 8;

/// Ports of the library that `conversation` tries.
const LIBRARY_PORTS: &[u16] = &[21, 25, 53, 80, 443, 6_667, 587, 8_080];

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (corpora, out) = (arguments.next().unwrap(), arguments.next().unwrap());
    let mut seeds = Seeds { out, shapes: HashSet::new() };
    seeds.texts();
    seeds.evil();
    let mut folders = vec![corpora];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pcap") {
                seeds.capture(&path);
            }
        }
    }
}

type Ends = ([u8; 16], u16, [u8; 16], u16);

struct Seeds {
    out: PathBuf,
    shapes: HashSet<u64>,
}

impl Seeds {
    fn texts(&self) {
        for line in [
            r#"{"command":"status"}"#,
            r#"{"command":"patches"}"#,
            r#"{"command":"flows"}"#,
            r#"{"command":"reload"}"#,
            r#"{"command":"mode","group":"dns","observe":true}"#,
            r#"{"ok":{"generation":1,"groups":[null,1.5e3,"\u00e9"]}}"#,
            r#"{"error":"no group is called `x`"}"#,
        ] {
            self.write("control", &[line.as_bytes()]);
        }
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../patches")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "yaml") {
                    self.write("patch", &[&fs::read(&path).unwrap()]);
                }
            }
        }
    }

    /// Conversations full of what `conversation`'s own patches look for, behind steps of every
    /// kind.
    fn evil(&self) {
        let said = b"an evil thing, evevilil\xf5\xf6<evil, evil and more evi\xf5\xf6>l ev";
        for patch in 0..3 {
            for kind in 0..16 {
                let steps: Vec<u8> =
                    (0..12).flat_map(|n| [kind | ((n & 1) << 7), 7 * n, 3 + n]).collect();
                let order: Vec<u8> = (0..12)
                    .flat_map(|n| [(n % 10) | ((n & 2) << 6), 5 + n, 2 * n + kind])
                    .collect();
                let count = u8::try_from((steps.len() + order.len()) / 3).unwrap();
                let choices = [0, patch, 0, 0, 0, count, 0, 0];
                self.write("conversation", &[&choices, &steps, &order, said]);
            }
        }
    }

    fn capture(&mut self, path: &Path) {
        let bytes = fs::read(path).unwrap();
        if bytes.len() <= INPUT_BYTES_MAX {
            self.write("pcap", &[&bytes]);
        }
        let mut streams: BTreeMap<Ends, (u16, Vec<u8>)> = BTreeMap::new();
        for item in Capture::new(&bytes) {
            let CaptureItem::Packet(record) = item else { continue };
            let frame = bytes.get(record.data.clone()).unwrap();
            if record.link.number != 1 || record.is_cut() {
                continue;
            }
            let layers = Layers::ethernet(frame);
            self.frame(frame, layers.as_ref().ok());
            let Ok(layers) = layers else { continue };
            let (Some((source, destination)), Some((from, to))) =
                (layers.addresses(frame), layers.ports(frame))
            else {
                continue;
            };
            let payload = layers.payload_of(frame);
            let request = known(to).is_some() || known(from).is_none() && to <= from;
            let port = if request { to } else { from };
            if payload.is_empty() {
                continue;
            }
            if layers.transport == Transport::Udp {
                self.datagram(port, request, payload);
                continue;
            }
            let key = if request {
                (source, from, destination, to)
            } else {
                (destination, to, source, from)
            };
            let (_, stream) = streams.entry(key).or_insert((port, Vec::new()));
            let marker: &[u8] = if request { b"\xf5\xf6>" } else { b"\xf5\xf6<" };
            stream.extend_from_slice(marker);
            stream.extend_from_slice(payload);
        }
        for (port, stream) in streams.values() {
            let stream = stream.get(..INPUT_BYTES_MAX).unwrap_or(stream);
            let Some(name) = target(*port, proto::Transport::Tcp) else { continue };
            if let Some(at) = LIBRARY_PORTS.iter().position(|known| known == port) {
                let at = u8::try_from(at).unwrap();
                // In order, ahead, again.
                let steps = [1, 200, 90, 129, 200, 90, 6, 9, 30, 5, 0, 200, 137, 0, 0, 1, 250, 255];
                let count = u8::try_from(steps.len() / 3).unwrap();
                self.write("conversation", &[&[0, 3, at, 0, 0, count, 0, 0], &steps, stream]);
            }
            let hash = hash(stream).to_le_bytes();
            self.write(name, &[&[STREAM, 0, 0, hash[0], 0, hash[1], 0, 64], stream]);
            let how = STREAM | if hash[2] & 1 == 0 { WHOLE } else { OPENED };
            self.write(name, &[&[how, hash[3], 0, hash[4], hash[5], hash[6], 0, hash[7]], stream]);
        }
    }

    fn datagram(&mut self, port: u16, request: bool, payload: &[u8]) {
        let Some(payload) = payload.get(..payload.len().min(INPUT_BYTES_MAX)) else { return };
        let Some(name) = target(port, proto::Transport::Udp) else { return };
        let how = if request { 0 } else { RESPONSE };
        let edits = hash(payload).to_le_bytes();
        self.write(name, &[&[how, 0, 0, 0, 0, edits[0], edits[1], 0], payload]);
    }

    /// One frame of every shape: same headers, same kind of flags, about the same length.
    fn frame(&mut self, frame: &[u8], layers: Option<&Layers>) {
        let shape = hash(&(
            layers.map(|layers| (layers.ip, layers.l4, layers.payload, layers.tag_count)),
            layers.map(|layers| (layers.protocol, layers.fragment.map(|f| f.more))),
            layers
                .and_then(|layers| layers.ports(frame))
                .and_then(|(_, to)| known(to))
                .map(|protocol| protocol.name),
            frame.len().checked_ilog2(),
        ));
        if frame.len() <= INPUT_BYTES_MAX && self.shapes.insert(shape) {
            self.write("frame", &[frame]);
        }
    }

    fn write(&self, target: &str, parts: &[&[u8]]) {
        let input = parts.concat();
        let folder = self.out.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{:016x}", hash(&input))), input).unwrap();
    }
}

/// The decoder whose default server port it is.
fn known(port: u16) -> Option<&'static Protocol> {
    let mut protocols = proto::DECODERS.iter().map(|decoder| decoder.protocol());
    protocols.find(|protocol| protocol.ports.iter().any(|(_, ports)| ports.contains(&port)))
}

/// The target that reads what such a port gets; `None` if its protocol is not carried so.
fn target(port: u16, transport: proto::Transport) -> Option<&'static str> {
    let Some(protocol) = known(port) else { return Some("data") };
    protocol.transports().any(|known| known == transport).then_some(protocol.name)
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
