//! For tests: the payload sets of `crates/wirepatch/tests/data/payloads`, read in place.

use std::path::PathBuf;
use std::process::Command;

use crate::Decoder;
use crate::replay::{ReplayTurns, noise, survives};

/// The payloads of a set.
pub(crate) fn payloads(set: &str) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../wirepatch/tests/data/payloads");
    let archive = PathBuf::from(format!("{folder}/{set}.raw.tar.gz"));
    let tar = |arguments: &[&str]| {
        let run = Command::new("tar").args(arguments).arg(&archive).output().unwrap();
        assert!(run.status.success(), "tar {arguments:?} {}", archive.display());
        run.stdout
    };
    let sizes = String::from_utf8(tar(&["-tvzf"])).unwrap();
    let mut all = &tar(&["-xOzf"])[..];
    let mut payloads = Vec::new();
    for line in sizes.lines().filter(|line| line.starts_with('-')) {
        let bytes = line.split_whitespace().nth(2).unwrap().parse().unwrap();
        let (payload, rest) = all.split_at(bytes);
        payloads.push(payload.to_vec());
        all = rest;
    }
    assert!(all.is_empty() && !payloads.is_empty(), "{set} is listed as it is stored");
    payloads
}

/// Every payload as it is, cut short, and with bits turned, in each of the conversations that
/// `around` makes of it.
pub(crate) fn all_survive(
    decoder: &dyn Decoder,
    set: &str,
    around: impl Fn(&[u8], &mut dyn FnMut(ReplayTurns<'_>)),
) {
    let mut seed = 0;
    for payload in payloads(set) {
        seed += 1;
        let random = noise(seed, 16);
        let place = |n: usize| {
            usize::from(u16::from_be_bytes([random[n], random[n + 1]])) % payload.len().max(1)
        };
        let mut turned = payload.clone();
        for n in [0, 4, 8] {
            if let Some(byte) = turned.get_mut(place(n)) {
                *byte ^= random[n + 2];
            }
        }
        for bytes in [&payload[..], &payload[..place(12)], &turned] {
            around(bytes, &mut |turns| survives(decoder, turns));
        }
    }
}
