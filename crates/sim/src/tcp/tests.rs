//! A few seeds that never change, and a few that nobody has seen before.

use std::hash::{BuildHasher as _, RandomState};

use super::{PlayOptions, run};

/// Whatever protocol the seed says.
const ANY: &str = "any";

/// Seeds that failed once.
const FAILED_ONCE: &[(&str, u64)] = &[
    // Proxy-acknowledged bytes were not taken off the window.
    ("data", 301),
    ("data", 411),
    ("data", 1_231),
    // A match whose beginning had been let go went through whole, where it must keep its length.
    ("data", 443),
    ("data", 540),
    // The end was told behind the last byte of a backlog, before the bytes of a body that need no
    // copy.
    ("http", 2_261),
    // An answer of ours that was lost was sent again only by our own timer.
    ("http", 2_606),
    // What waited for an answer was not looked at again when a keep-alive said that the answer had
    // come.
    ("ftp", 1_735),
    // The handshake's last acknowledgement came with bytes that were held.
    ("ftp", 1_254),
    ("ftp", 20_529),
    // What edits had made longer than a small window was left to its sender's timeouts.
    ("data", 4_197),
    // What had waited behind a gap was more than the pool could hold twice.
    (ANY, 796_317),
    (ANY, 1_002_881),
    // A server in SYN-RECEIVED was sent keep-alives only, which it drops: what would have
    // acknowledged its SYN was held.
    (ANY, 1_049_693),
    (ANY, 1_074_666),
    (ANY, 1_093_154),
    // The end was told behind the last of 256 segments that one had released, and there were more.
    (ANY, 1_238_505),
    // A reset behind bytes that its receiver had not taken ended the bookkeeping, and not the
    // connection.
    (ANY, 727_022),
    // Not the box's: a reminder of the simulator's was stamped long ago, went by an acknowledgement
    // that the stack had dropped, or waited for keep-alives to end.
    (ANY, 712_169),
    (ANY, 716_962),
    (ANY, 833_734),
    (ANY, 925_931),
    // Nor this: the simulator stopped the box's clock before its fourth resend.
    (ANY, 1_002_793),
    // Not the box's: found the simulator's own mistakes.
    ("data", 2_771),
    ("dns", 1_940),
    ("http", 313),
    ("http", 3_971),
];

fn passes(seed: u64, protocol: Option<&str>) {
    let play = PlayOptions { protocol: protocol.map(str::to_owned), ..PlayOptions::default() };
    let run = run(seed, &play);
    assert!(run.wrong.is_none(), "seed {seed} of {}: {:?}", run.protocol, run.wrong);
}

#[test]
fn known_seeds_pass() {
    for seed in 0..60 {
        passes(seed, None);
    }
}

#[test]
fn what_failed_once_passes() {
    for (protocol, seed) in FAILED_ONCE {
        passes(*seed, Some(*protocol).filter(|protocol| *protocol != ANY));
    }
}

#[test]
fn fresh_seeds_pass() {
    let base = RandomState::new().hash_one(0) >> 16;
    println!("fresh seeds from {base}");
    for seed in base..base + 30 {
        passes(seed, None);
    }
}

#[test]
fn the_same_seed_plays_the_same() {
    let play = PlayOptions { trace: true, ..PlayOptions::default() };
    for seed in 0..5 {
        assert_eq!(run(seed, &play).trace, run(seed, &play).trace, "seed {seed}");
    }
}

/// A check that could not fail would say nothing: without the box nothing is patched.
#[test]
fn an_unpatched_stream_is_found() {
    let wrong = (0..20).filter(|seed| {
        let play = PlayOptions { unpatched: true, ..PlayOptions::default() };
        run(*seed, &play).wrong.is_some()
    });
    assert!(wrong.count() > 5);
}
