//! One TCP connection through the journey, in any segments: out of order, again, with other bytes,
//! with broken headers.
//!
//! An input is eight bytes of choices, as many steps of three bytes as they say, and what both ends
//! have to tell each other. Whatever the steps do, no frame may be lost unseen and nothing may
//! leave with a wrong checksum, no receiver may get two readings of one byte, and no unpatched
//! match may be in what it has received. If all that was sent was the truth, what each end has in
//! the end is what it gets when nothing goes wrong on the way.

mod peer_host;

use stage::Direction;
use wire::{Seq, TcpFlags};

use crate::library::{Shelf, library, own};
use crate::recipe::Recipe;
use crate::rig::Rig;
use peer_host::{Heard, PeerHost};

/// What the checked patches take out of both directions.
const MATCH: &[u8] = b"evil";

/// Bytes of one direction: what is sent stays inside one window.
const STREAM_BYTES_MAX: usize = 4_000;

/// Rounds in which everything lost is sent again. Each round moves at least one side, or the
/// connection stalls.
const ROUNDS_MAX: usize = 64;

/// The targets' own patches, one a choice: a match becomes shorter, becomes longer, keeps its
/// length.
const PATCHES: &[&str] = &[
    r#"
patch: shorter
title: a match becomes shorter
protocol: data
scope: { ports: [7000], transport: tcp }
rules:
  - replace: data.data
    pattern: evil
    with: "x"
"#,
    r#"
patch: longer
title: a match becomes longer
protocol: data
scope: { ports: [7000], transport: tcp }
rules:
  - replace: data.data
    pattern: evil
    with: "as good as can be"
"#,
    r#"
patch: masked
title: a match keeps its length
protocol: data
scope: { ports: [7000], transport: tcp }
rules:
  - replace: data.data
    pattern: evil
    with: "good"
"#,
];

/// Ports of the library's protocols.
const PORTS: [u16; 8] = [21, 25, 53, 80, 443, 6_667, 587, 8_080];

pub(crate) fn conversation(input: &[u8]) {
    let Some(recipe) = Recipe::read(input) else { return };
    let steps = recipe.rest.len().min(3 * usize::from(recipe.edits.to_le_bytes()[0]));
    let (steps, rest) = recipe.rest.split_at(steps - steps % 3);
    let mut streams = [Vec::new(), Vec::new()];
    for (from, bytes) in crate::recipe::turns(rest) {
        if let Some(stream) = streams.get_mut(from.index()) {
            stream.extend_from_slice(bytes);
            stream.truncate(STREAM_BYTES_MAX);
        }
    }
    let own = PATCHES.get(usize::from(recipe.fields) % (PATCHES.len() + 1));
    let (shelf, port) = match own {
        Some(text) => (self::own(text), 7_000),
        None => {
            let port = usize::from(recipe.fields >> 8) % PORTS.len();
            (library(), PORTS.get(port).copied().unwrap_or(80))
        }
    };
    let mut talk = FuzzedConversation::new(&shelf, port, &streams, own.is_some());
    talk.shake_hands();
    for step in steps.chunks_exact(3) {
        if let [kind, a, b] = *step {
            talk.step(kind, a, b);
        }
    }
    talk.settle();
    if talk.lied || talk.over {
        return;
    }
    // The same without any mishap. A reset that a patch asks for comes either way.
    let mut plain = FuzzedConversation::new(
        &shelf,
        port,
        &talk.ends.each_ref().map(PeerHost::all_bytes),
        own.is_some(),
    );
    plain.shake_hands();
    plain.settle();
    if plain.over || own.is_none() {
        return;
    }
    for (way, (one, other)) in ["server", "client"].iter().zip(talk.got().iter().zip(plain.got())) {
        assert_eq!(
            one.escape_ascii().to_string(),
            other.escape_ascii().to_string(),
            "what the {way} gets depends on the way"
        );
    }
}

struct FuzzedConversation {
    rig: Rig,
    /// Client and server: index 0 sends requests.
    ends: [PeerHost; 2],
    /// The plan is one of [`PATCHES`].
    checked: bool,
    /// Something was sent that contradicts what was sent before, or that no host would send: ends
    /// need not agree any more.
    lied: bool,
    /// An end was told that the connection has ended.
    over: bool,
    last: [Vec<u8>; 2],
}

impl FuzzedConversation {
    fn new(shelf: &Shelf, port: u16, streams: &[Vec<u8>; 2], checked: bool) -> Self {
        let [client, server] = streams;
        Self {
            rig: Rig::new(shelf, false),
            ends: [
                PeerHost::new(Direction::Request, port, 0xffff_fc00, client),
                PeerHost::new(Direction::Response, port, 0x7fff_fff0, server),
            ],
            checked,
            lied: false,
            over: false,
            last: [Vec::new(), Vec::new()],
        }
    }

    fn end(&mut self, from: Direction) -> &mut PeerHost {
        let [client, server] = &mut self.ends;
        match from {
            Direction::Request => client,
            Direction::Response => server,
        }
    }

    fn shake_hands(&mut self) {
        for from in Direction::BOTH {
            let syn = self.end(from).syn();
            self.send(from, syn);
        }
        let ack = self.end(Direction::Request).acknowledge();
        self.send(Direction::Request, ack);
        assert!(self.ends.iter().all(PeerHost::is_open), "no connection comes about");
    }

    /// One step of the input.
    fn step(&mut self, kind: u8, a: u8, b: u8) {
        let from = if kind & 0x80 == 0 { Direction::Request } else { Direction::Response };
        let (near, len) = (usize::from(a), 1 + usize::from(b));
        let end = self.end(from);
        let next = end.next();
        let frame = match kind & 0x0f {
            0..=4 => end.data(next, len.min(1 + near)),
            5 => end.data(end.acknowledged(), len),
            6 => end.data(next + near, len),
            7 => end.data((end.acknowledged() + near).min(next), len),
            8 => end.acknowledge(),
            9 => self.last.get(from.index()).cloned().unwrap_or_default(),
            10 => {
                // Other bytes where some were or will be.
                let at = Seq::new(0).advance(u32::try_from(next + near).unwrap_or(0)).retreat(128);
                let other = MATCH.repeat(len.div_ceil(MATCH.len()));
                let frame = end.segment(at, TcpFlags::ACK, other.get(..len).unwrap_or_default());
                self.lied = true;
                frame
            }
            11 => {
                end.finish();
                end.data(next, len)
            }
            12 | 13 => {
                // Waiting lets the beginnings of matches go, which the plain way does not.
                let frame = end.acknowledge();
                self.rig.now_ms += u64::from(a) * u64::from(b);
                self.lied = true;
                frame
            }
            14 => {
                end.lie_about_acknowledged(a, b);
                let frame = end.acknowledge();
                end.tell_the_truth();
                self.lied = true;
                frame
            }
            _ => {
                let at = Seq::new(0).advance(u32::try_from(next).unwrap_or(0));
                let at = at.advance(u32::from(b)).retreat(128);
                let frame = end.segment(at, TcpFlags::new(a), b"");
                self.lied = true;
                // Which end believes a reset or a new SYN is not followed any further.
                let ends = TcpFlags::RST.with(TcpFlags::SYN).with(TcpFlags::FIN);
                self.over |= TcpFlags::new(a).has_any(ends);
                frame
            }
        };
        self.send(from, frame);
    }

    /// Both ends send what is left, and again what was not acknowledged, and close.
    fn settle(&mut self) {
        for from in Direction::BOTH {
            while !self.over && self.end(from).has_more() {
                let end = self.end(from);
                let frame = end.data(end.next(), 1_000);
                self.send(from, frame);
            }
            self.end(from).finish();
        }
        for _ in 0..ROUNDS_MAX {
            for from in Direction::BOTH {
                if self.over || self.end(from).is_done() {
                    continue;
                }
                self.rig.now_ms += 1_000;
                let end = self.end(from);
                let frame = end.data(end.acknowledged(), 1_000);
                self.send(from, frame);
                let ack = self.end(from.opposite()).acknowledge();
                self.send(from.opposite(), ack);
            }
        }
        let done = self.ends.iter().all(PeerHost::is_done);
        assert!(done || self.over || self.lied, "the connection stalls: {:?}", self.ends);
    }

    /// What each end has received, the server first.
    fn got(&self) -> [&[u8]; 2] {
        let [client, server] = &self.ends;
        [server.received(), client.received()]
    }

    /// A frame, and all acknowledgements that come of it.
    fn send(&mut self, from: Direction, frame: Vec<u8>) {
        if let Some(last) = self.last.get_mut(from.index()) {
            last.clone_from(&frame);
        }
        let (_, out) = self.rig.send(from, &frame);
        for (way, frame) in out {
            let (checked, over, lied) = (self.checked, self.over, self.lied);
            let to = self.end(way.opposite());
            self.over |= to.on_frame(&frame, Heard { over, lied, inspected: checked });
            if checked && !self.over {
                let to = self.end(way.opposite());
                assert!(!to.has_received(MATCH), "a match went through: {to:?}");
            }
        }
    }
}
