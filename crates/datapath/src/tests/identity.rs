//! Real captures: what no patch concerns leaves byte for byte, and no bytes whatever make a turn
//! panic.

use std::fs;
use std::path::{Path, PathBuf};

use plan::{Plan, Transform};

use super::lab::*;
use crate::classify::{classify_parsed, prefilter};
use crate::memory::MemoryFrame;
use crate::packet::Prefilter;

/// Frames of every classic capture, little or big endian: those of the repository, and those beside
/// it where there are any.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../wirepatch/tests/data", "../../../shared/corpora/pcap"];
    let mut folders: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut frames = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                frames_of(&bytes, &mut frames);
            }
        }
    }
    frames
}

pub(super) fn frames_of(bytes: &[u8], frames: &mut Vec<Vec<u8>>) {
    let word = |at: usize| -> Option<usize> {
        let word = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if bytes[0] == 0xd4 { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) }
            as usize)
    };
    if !bytes.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1])
        && !bytes.starts_with(&[0xa1, 0xb2, 0xc3, 0xd4])
    {
        return;
    }
    let mut at = 24;
    while let Some(frame) = word(at + 8).and_then(|len| bytes.get(at + 16..at + 16 + len)) {
        frames.push(frame.to_vec());
        at += 16 + frame.len();
    }
}

fn passes_unchanged(plan: Plan) {
    let frames = corpus();
    assert!(frames.len() > 10_000, "{} frames", frames.len());
    let mut lab = Lab::new(plan);
    for chunk in frames.chunks(256) {
        let (out, back) = lab.send(chunk);
        assert!(out == chunk && back.is_empty());
    }
    let received = lab.core.counters().port(LEFT).unwrap().rx_packets.load();
    assert_eq!(received, frames.len() as u64);
}

#[test]
fn without_patches_every_capture_passes_unchanged() {
    passes_unchanged(plan(vec![]));
}

#[test]
fn out_of_scope_every_capture_passes_unchanged() {
    let mut module = module(plan::Mode::Enforce, plan::FailMode::Open, vec![Transform::Drop]);
    module.ports = (0..=u16::MAX).collect();
    // A server nobody in the captures talks to (RFC 5737), on every port.
    let mut address = [0; 16];
    address[10..].copy_from_slice(&[0xff, 0xff, 203, 0, 113, 77]);
    let group = plan::GroupInfo { prefixes: Box::new([(address, 128)]), ..Default::default() };
    passes_unchanged(Plan::new(vec![module], vec![], vec![group]));
}

/// Every port in scope, of a rule that nothing breaks: everything is inspected and nothing is
/// changed. Fragments of datagrams that are not complete in the corpus are held back, so only those
/// may be missing.
#[test]
fn in_scope_of_a_rule_that_all_keep_every_datagram_passes_unchanged() {
    let frames = corpus();
    let mut lab = Lab::new(everything(vec![Transform::Truncate { to: 65_535 }]));
    for frame in &frames {
        let held = lab.core.counters().held_fragments.load();
        let (out, _) = lab.send(std::slice::from_ref(frame));
        if lab.core.counters().held_fragments.load() == held && !out.is_empty() {
            assert_eq!(out, std::slice::from_ref(frame));
        }
    }
    assert!(lab.count(crate::Reason::Unchanged) > 1_000);
}

fn everything(transforms: Vec<Transform>) -> Plan {
    let mut module = module(plan::Mode::Enforce, plan::FailMode::Open, transforms);
    module.ports = (0..=u16::MAX).collect();
    plan(vec![module])
}

/// Truncated at random and with bits flipped, every port in scope, edits that shrink, grow and
/// answer; checksums on trust, so that broken packets are edited too.
#[test]
fn no_bytes_make_a_turn_panic() {
    let frames = corpus();
    let mut seed = 7_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    };
    let answer = plan::Reply::Custom(b"no".as_slice().into());
    for transforms in [
        vec![Transform::Truncate { to: 3 }],
        vec![Transform::Pad { to: 1_700, with: b' ' }],
        vec![Transform::Refuse(answer)],
    ] {
        for trust_checksums in [true, false] {
            let config = crate::CoreConfig { trust_checksums, ..crate::CoreConfig::default() };
            let mut lab = Lab::with(everything(transforms.clone()), config);
            for frame in frames.iter().step_by(3) {
                let mut frame = frame.clone();
                for _ in 0..random(4) {
                    let at = random(frame.len().min(80));
                    if let Some(byte) = frame.get_mut(at) {
                        *byte ^= 1 << random(8);
                    }
                }
                if random(3) == 0 {
                    frame.truncate(random(frame.len() + 1));
                }
                lab.now += 1;
                lab.send(&[frame]);
                while lab.nic.pool_frames() < 64 {
                    lab.nic.recycle(MemoryFrame::with_capacity(crate::memory::FRAME_BYTES));
                }
            }
            assert_eq!(lab.core.counters().undecided()[5], 0, "nothing panicked in the engine");
        }
    }
}

/// The short cut may only take what the long way would let go as well.
#[test]
fn the_short_cut_takes_only_what_is_out_of_scope() {
    let frames = corpus();
    let mut module = module(plan::Mode::Enforce, plan::FailMode::Open, vec![Transform::Drop]);
    module.ports = Box::new([53, 80, 443]);
    let plan = plan(vec![module]);
    let tcp = crate::tcp::state::TcpState::new(&crate::Limits::default());
    let config = crate::CoreConfig::default();
    let mut taken = 0;
    for frame in frames
        .iter()
        .filter(|frame| prefilter(frame, &config, &plan.scope, &tcp) == Prefilter::OutOfScope)
    {
        taken += 1;
        if let Ok(layers) = wire::Layers::ethernet(frame) {
            let tunnels = crate::Tunnels::Drop;
            let path = classify_parsed(frame, layers, true, tunnels, &plan, &tcp);
            assert!(matches!(path, crate::packet::Path::Out(_)), "{path:?}");
        }
    }
    assert!(taken > 1_000);
}
