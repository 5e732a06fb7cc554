//! Published ways around inline boxes, as recipes of our own, and a smoltcp server to play them at.
//!
//! Holds:     [`cases`], the frames a client sends in each; [`play`], which plays frames at a server, with the box between or without it.
//! Promises:  a case is the same frames whoever plays it; nothing here shares code with what edits streams.
//! Never:     knows how a case ends: whoever plays it compares what the server hears with what it hears on a bare wire.
//!
//! The sources are lists of strategies, not code: Ptacek and Newsham 1998, fragrouter and fragroute, Handley and Paxson 2001, INTANG (Wang
//! et al., IMC 2017), Geneva (Bock et al., CCS 2019; numbers are rows of its `strategies.md`), SymTCP (Wang et al., NDSS 2020), lib-erate
//! (Li et al., IMC 2017), the stream preprocessors' own alert lists (Snort, Suricata).
#![allow(
    clippy::indexing_slicing,
    reason = "frames are made here, byte by byte, and a recipe that panics is wrong"
)]

mod handshake;
mod insertion;
mod odd;
mod overlap;
mod packet;
mod play;
mod segment;
mod server;
mod teardown;

use std::io;
use std::path::Path;

pub use play::{Heard, play};
use segment::{FIN_ACK, Piece, Segment};

#[cfg(test)]
mod tests;

/// What the server should not get, and what stands in its place in a decoy.
pub const TOKEN: &str = "PATCHME-0123456789";
/// As long as [`TOKEN`].
pub const DECOY_TOKEN: &str = "DECOYXX-9876543210";

/// The request that a box would have to change.
const REAL: &[u8] = b"GET /a?id=PATCHME-0123456789 HTTP/1.1\r\nHost: t.example\r\n\r\n";
/// One that it would leave alone.
const DECOY: &[u8] = b"GET /a?id=DECOYXX-9876543210 HTTP/1.1\r\nHost: t.example\r\n\r\n";
/// Where the stream ends.
const END: u32 = 1 + 58;
/// Within the token.
const CUT: u32 = 1 + 19;

const _: () = assert!(REAL.len() == 58 && DECOY.len() == 58, "the decoy covers the request");

/// One strategy.
pub struct Case {
    /// Unique, and the name of its capture.
    pub name: &'static str,
    /// Where it was published.
    pub source: &'static str,
    /// What is sent.
    pub recipe: &'static str,
    /// What each connection brings the server's application, before anything is replaced, where first data wins and what no
    /// host takes is not taken.
    pub reads: &'static [&'static [u8]],
    script: fn(&mut Script),
}

impl Case {
    /// The client's frames, in order, for a connection whose first number is `isn`.
    pub fn frames(&self, isn: u32) -> Vec<Timed> {
        let at = cases().position(|case| case.name == self.name).unwrap_or_default();
        let port = 40_000 + u16::try_from(at).unwrap_or_default();
        let mut script = Script { port, isn, clock_ms: 0, ip_id: 0, frames: Vec::new() };
        (self.script)(&mut script);
        script.frames
    }
}

/// A frame and when it is sent.
#[derive(Clone, Debug)]
pub struct Timed {
    /// Since the beginning of its case.
    pub at_ms: u32,
    /// From the Ethernet header on.
    pub frame: Vec<u8>,
}

/// All of them.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    [handshake::CASES, insertion::CASES, odd::CASES, overlap::CASES, teardown::CASES, packet::CASES]
        .into_iter()
        .flatten()
}

/// Writes each case's capture (pcap, Ethernet) and `cases.tsv` into a folder.
pub fn write(folder: &Path) -> io::Result<usize> {
    let mut table = String::from("name\tsource\trecipe\treads\n");
    let mut count = 0;
    for case in cases() {
        // Magic number for microseconds, version 2.4, snap length, Ethernet (draft-ietf-opsawg-pcap).
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0x0004_0000, 1_u32] {
            file.extend(word.to_be_bytes());
        }
        for timed in case.frames(segment::CLIENT_ISN) {
            let len = u32::try_from(timed.frame.len()).unwrap_or(0);
            for word in [timed.at_ms / 1_000, timed.at_ms % 1_000 * 1_000, len, len] {
                file.extend(word.to_be_bytes());
            }
            file.extend(timed.frame);
        }
        std::fs::write(folder.join(format!("{}.pcap", case.name)), file)?;
        let hex = |bytes: &&[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let reads: Vec<String> = case.reads.iter().map(hex).collect();
        let row = [case.name, case.source, case.recipe, &reads.join(" ")].join("\t");
        table.push_str(&row);
        table.push('\n');
        count += 1;
    }
    std::fs::write(folder.join("cases.tsv"), table)?;
    Ok(count)
}

/// What a client sends, as it is made up.
struct Script {
    port: u16,
    isn: u32,
    clock_ms: u32,
    ip_id: u16,
    frames: Vec<Timed>,
}

impl Script {
    fn frame(&mut self, segment: &Segment) -> Vec<u8> {
        self.ip_id += 1;
        // Fragments of different cases that are under way at once are not those of one datagram.
        segment.frame((self.port, self.isn), self.port << 6 | self.ip_id & 0x3f, self.clock_ms)
    }

    fn send(&mut self, segment: Segment) {
        let frame = self.frame(&segment);
        self.send_frame(frame);
    }

    fn send_frame(&mut self, frame: Vec<u8>) {
        self.frames.push(Timed { at_ms: self.clock_ms, frame });
        self.clock_ms += 3;
    }

    fn pause(&mut self, ms: u32) {
        self.clock_ms += ms;
    }

    /// Sends a SYN and gives the server time to answer.
    fn syn(&mut self, segment: Segment) {
        self.send(segment);
        self.pause(150);
    }

    /// SYN, the server's answer, ACK.
    fn open(&mut self) {
        self.syn(Segment::syn());
        self.send(Segment::ack(1));
    }

    fn real(&mut self) {
        self.send(Segment::data(1, REAL));
    }

    /// The same from the connection's beginning on, in pieces.
    fn pieces(&mut self, bytes: &[u8], size: usize, mut between: impl FnMut(&mut Self, u32)) {
        let mut at = 1;
        for piece in bytes.chunks(size) {
            between(self, at);
            self.send(Segment::data(at, piece));
            at += u32::try_from(piece.len()).unwrap_or(0);
        }
    }

    fn close(&mut self) {
        self.send(Segment::of(END, FIN_ACK));
    }

    /// The request, and the end.
    fn real_and_close(&mut self) {
        self.real();
        self.close();
    }

    fn fragment(&mut self, frame: &[u8], piece: Piece) {
        self.send_frame(segment::fragment(frame, piece));
    }
}
