//! The recorded cases of `crates/wirepatch/tests/data/evasion`, and how Linux read each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use wire::{Layers, Tcp, TcpFlags, TcpMut};

use super::super::segment::CLIENT_MAC;
use super::super::*;
use super::{Ending, HeardStreams, WITHS, judge, patch};
use offline::pcap::{Capture, CaptureItem};

/// Cases that end otherwise, as docs/evasion.md says. None of them brings a match to the server.
const OTHERWISE: &[(&str, &str)] = &[
    ("A24", "urgent data is delivered in line (RFC 6093)"),
    ("A25", "urgent data is delivered in line (RFC 6093)"),
    ("H18", "frames longer than the MTU of the ports are dropped"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wirepatch/tests/data/evasion")
}

/// The client's frames of a capture, made for a server that begins at the second answer and says
/// nothing.
fn frames(capture: &[u8]) -> Option<(Vec<TimedFrame>, u32)> {
    let records = Capture::new(capture).filter_map(|item| match item {
        CaptureItem::Packet(record) => capture.get(record.data),
        CaptureItem::Verbatim(_) | CaptureItem::Section { .. } => None,
    });
    let all: Vec<&[u8]> = records.collect();
    let first = all.first()?;
    let plain = matches!(first.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
    if !plain || Layers::ethernet(first).ok()?.transport != wire::Transport::Tcp {
        return None;
    }
    let read = |frame: &[u8]| {
        let layers = Layers::ethernet(frame).ok().filter(|layers| layers.fragment.is_none())?;
        let tcp = Tcp::parse(frame.get(layers.l4..layers.ip_end)?)?;
        Some((tcp.seq().raw(), tcp.ack().raw(), tcp.flags(), layers))
    };
    let is_client = |frame: &[u8]| frame.get(6..12) == Some(&CLIENT_MAC);
    let acks = all.iter().filter(|frame| is_client(frame)).filter_map(|frame| read(frame));
    let isn = acks
        .filter(|(.., flags, _)| flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST))
        .map(|(_, ack, ..)| ack.wrapping_sub(1))
        .next()
        .unwrap_or(7);
    let mut at_ms = 0;
    let mut found = Vec::new();
    for frame in all.into_iter().filter(|frame| is_client(frame)) {
        let mut frame = frame.to_vec();
        let mut syn = false;
        if let Some((_, ack, flags, layers)) = read(&frame) {
            syn = flags.has(TcpFlags::SYN);
            // The server that is played at says nothing: all it ever said is its SYN.
            let said = ack.wrapping_sub(isn);
            if flags.has(TcpFlags::ACK)
                && (2..1 << 20).contains(&said)
                && let Some(mut tcp) = frame.get_mut(layers.l4..).and_then(TcpMut::parse)
            {
                tcp.set_ack(wire::Seq::new(isn.wrapping_add(1)));
            }
        }
        found.push(TimedFrame { at_ms, frame });
        at_ms += if syn { 150 } else { 3 };
    }
    Some((found, isn))
}

/// What a Linux server's application got of each case, all connections together.
fn linux() -> BTreeMap<String, Vec<u8>> {
    let told = std::fs::read_to_string(folder().join("live_linux_baseline.jsonl")).unwrap();
    let one = |line: &str| {
        let one: serde_json::Value = serde_json::from_str(line).unwrap();
        let bytes = base64(one["b64"].as_str().unwrap_or_default());
        (one["id"].as_str().unwrap_or_default().to_owned(), bytes)
    };
    told.lines().map(one).collect()
}

/// RFC 4648 section 4.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0_u32;
    let mut count = 0;
    let mut bytes = Vec::new();
    for digit in text.bytes() {
        let Some(value) = DIGITS.iter().position(|&known| known == digit) else { break };
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

#[test]
fn no_recorded_evasion_brings_a_match_to_smoltcp() {
    let entries = std::fs::read_dir(folder()).unwrap();
    let linux = linux();
    let mut played = 0;
    let mut as_linux = Vec::new();
    let mut otherwise = Vec::new();
    let mut wrong = Vec::new();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "pcap")).collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Some((frames, isn)) = frames(&std::fs::read(&path).unwrap()) else { continue };
        let bare = play(&frames, isn, None).unwrap();
        let at_linux: HeardStreams = linux.get(&name).into_iter().cloned().collect();
        let wants = [bare.streams.clone(), at_linux];
        played += 1;
        for with in WITHS {
            let heard = play(&frames, isn, Some(&patch(TOKEN, with))).unwrap();
            match judge(&frames, &heard, &wants, with) {
                Ok(Ending::Patched) => {
                    let same = judge(&frames, &heard, &wants[..1], with) == Ok(Ending::Patched);
                    if !same && !as_linux.contains(&name) {
                        as_linux.push(name.clone());
                    }
                }
                Ok(Ending::Dead) => otherwise.push(name.clone()),
                Err(_)
                    if OTHERWISE.iter().any(|(known, _)| *known == name)
                        && !heard.streams.iter().any(|bytes| super::has_token(bytes)) =>
                {
                    otherwise.push(name.clone());
                }
                Err(what) => wrong.push(format!("{name}, {with:?}: {what}")),
            }
        }
    }
    otherwise.dedup();
    println!(
        "{played} played; as Linux reads them, not as smoltcp: {as_linux:?}; otherwise: {otherwise:?}"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(played >= 60);
}
