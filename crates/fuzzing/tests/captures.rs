//! Every capture of the corpora, cut short at random and with bits flipped, through the whole
//! journey under the whole library.
//!
//! Other mishaps with `WIREPATCH_SEED=n`.

use std::fs;
use std::path::{Path, PathBuf};

use datapath::{LinkLayer, Reason};
use fuzzing::{library::library, rig::Rig};
use offline::pcap::{Capture, CaptureItem, link_of};
use stage::Direction;
use wire::Layers;

#[test]
fn broken_captures_lose_no_frame_unseen() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = captures(&root.join("../wirepatch/tests/data/captures"));
    // More of them, where they are beside the repository.
    files.extend(captures(&root.join("../../../shared/corpora/pcap")));
    let seed = std::env::var("WIREPATCH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("WIREPATCH_SEED={seed}");
    files.sort();
    let (mut frames, mut reasons) = (0_u64, vec![0_u64; Reason::ALL.len()]);
    for file in &files {
        let bytes = fs::read(file).unwrap();
        // With right checksums looked for, and with all taken for right, so that broken frames get
        // further.
        for trusts in [false, true] {
            let mut random = seed;
            let mut rig = Rig::new(&library(), trusts);
            let packets = Capture::new(&bytes).filter_map(|item| match item {
                CaptureItem::Packet(record) => Some(record),
                CaptureItem::Verbatim(_) | CaptureItem::Section { .. } => None,
            });
            for record in packets {
                let link = link_of(record.link);
                let Some(frame) = bytes.get(record.data.clone()) else { continue };
                if link == LinkLayer::Unknown {
                    continue;
                }
                rig.set_link(link);
                rig.now_ms += 1;
                let from = side_of(frame);
                let frame = broken(frame, &mut random);
                // The rig checks that it is counted once and that nothing stays that is not held.
                rig.send(from, &frame);
                frames += 1;
            }
            for (sum, reason) in reasons.iter_mut().zip(Reason::ALL) {
                *sum += rig.count(*reason);
            }
        }
    }
    let met = reasons.iter().filter(|count| **count > 0).count();
    println!("{frames} frames; {met} of {} reasons", reasons.len());
    for (reason, count) in Reason::ALL.iter().zip(&reasons).filter(|(_, count)| **count > 0) {
        println!("{:<22} {count}", reason.label());
    }
    assert!(frames > 1_000 && met > 10, "{frames} frames, {met} reasons");
}

/// The end with the smaller port is the server.
fn side_of(frame: &[u8]) -> Direction {
    match Layers::ethernet(frame).ok().and_then(|layers| layers.ports(frame)) {
        Some((from, to)) if from < to => Direction::Response,
        Some(_) | None => Direction::Request,
    }
}

fn captures(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { captures(&path) } else { vec![path] }).collect()
}

/// Three of four frames with a mishap: a bit or a few turned, or the end missing.
fn broken(frame: &[u8], random: &mut u64) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let mishap = next(random, 4);
    if mishap & 1 != 0 {
        for _ in 0..=next(random, 4) {
            let at = next(random, frame.len());
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= 1 << next(random, 8);
            }
        }
    }
    if mishap & 2 != 0 {
        frame.truncate(next(random, frame.len() + 1));
    }
    frame
}

/// Less than `below`; the same from the same seed.
fn next(random: &mut u64, below: usize) -> usize {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*random >> 33).unwrap_or(0) % below.max(1)
}
