//! Published ways around inline boxes, as recipes of our own, and a smoltcp server to play them at.
//!
//! Holds:     [`cases`], the frames a client sends in each; [`play`], which plays frames at a
//!            server, with the box between or without it.
//! Promises:  a case has the same frames for every player; nothing here shares code with the editor
//!            of streams.
//! Never:     knows how a case ends: the player compares the bytes of the server behind the box
//!            with those on a bare wire.
//!
//! The sources are lists of strategies, not code: Ptacek and Newsham 1998, fragrouter and
//! fragroute, Handley and Paxson 2001, INTANG (Wang et al., IMC 2017), Geneva (Bock et al., CCS
//! 2019; numbers are rows of its `strategies.md`), SymTCP (Wang et al., NDSS 2020), lib-erate (Li
//! et al., IMC 2017), the stream preprocessors' own alert lists (Snort, Suricata).
#![allow(
    clippy::indexing_slicing,
    reason = "frames are made here, byte by byte, and a recipe that panics is wrong"
)]

mod case;
mod decoy;
mod handshake;
mod ip_fragments;
mod odd_request;
mod overlap;
mod play;
mod segment;
mod stack_server;
mod teardown;

use std::io;
use std::path::Path;

use case::ClientScript;
pub use case::{DECOY_TOKEN, EvasionCase, TOKEN, TimedFrame};
pub use play::{HeardByServer, play};

#[cfg(test)]
mod tests;

impl EvasionCase {
    /// The client's frames, in order, for a connection whose first number is `isn`.
    pub fn frames(&self, isn: u32) -> Vec<TimedFrame> {
        let at = cases().position(|case| case.name == self.name).unwrap_or_default();
        let port = 40_000 + u16::try_from(at).unwrap_or_default();
        let mut script = ClientScript::new(port, isn);
        (self.script)(&mut script);
        script.into_frames()
    }
}

/// All of them.
pub fn cases() -> impl Iterator<Item = &'static EvasionCase> {
    [
        handshake::CASES,
        decoy::CASES,
        odd_request::CASES,
        overlap::CASES,
        teardown::CASES,
        ip_fragments::CASES,
    ]
    .into_iter()
    .flatten()
}

/// Writes each case's capture (pcap, Ethernet) and `cases.tsv` into a folder.
pub fn write(folder: &Path) -> io::Result<usize> {
    let mut table = String::from("name\tsource\trecipe\treads\n");
    let mut count = 0;
    for case in cases() {
        // Magic number for microseconds, version 2.4, snap length, Ethernet
        // (draft-ietf-opsawg-pcap).
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
