//! What is shortened without being decoded is what decoding, shortening, encoding and repairing
//! make of it.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod drive;

use drive::CaseRandom;
use engine::{DatagramResult, Hit, Peer, Scratch};
use patch::{Group, Options, Patch};
use plan::Plan;
use proto::{Span, WatchedRanges};
use stage::Direction;

/// What came of a datagram.
#[derive(Debug, PartialEq)]
struct CutOutcome {
    result: DatagramResult,
    bytes: Vec<u8>,
    hits: Vec<Hit>,
}

fn plan(rules: &str) -> Plan {
    let text =
        format!("patch: p\ntitle: t\nprotocol: dns\nscope: {{ transport: udp }}\nrules:\n{rules}");
    let patches =
        [Patch::from_yaml("p", &text).unwrap_or_else(|found| panic!("{}", patch::render(&found)))];
    patch::compile(&patches, &[Group::everywhere(1)], &Options::default()).unwrap()
}

/// The same plan, whose decoder is not told what may be cut.
fn the_long_way(rules: &str) -> Plan {
    let mut plan = plan(rules);
    for side in plan.modules.iter_mut().flat_map(|module| &mut module.directions) {
        let all = WatchedRanges::new(&[(0, usize::MAX)], &[(0, u64::MAX)]);
        side.wanted.set_field_prefilter(vec![all; side.wanted.slot_count()]);
    }
    plan
}

fn outcome(plan: &Plan, input: &[u8], scratch: &mut Scratch) -> CutOutcome {
    let module = &plan.modules[0];
    let result = engine::datagram(module, Direction::Request, input, &Peer::default(), scratch);
    let mut bytes = Vec::new();
    assert!(scratch.edits().current(input, Span::new(0, input.len()), &mut bytes));
    CutOutcome { result, bytes, hits: scratch.hits().to_vec() }
}

/// A name of ordinary labels, most of the time.
fn name(random: &mut CaseRandom) -> Vec<u8> {
    const ORDINARY: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-_ABC";
    const ODD: &[u8] = b".\\\x00\x1f\x7f\x80\xff<Root>\n\x01.";
    let mut name = Vec::new();
    let odd = random.below(4) == 0;
    let longest = [3, 10, 20, 63][random.below(4)];
    for _ in 0..random.below(12) {
        let len = 1 + random.below(longest);
        name.push(u8::try_from(len).unwrap());
        for _ in 0..len {
            let from = if odd && random.below(8) == 0 { ODD } else { ORDINARY };
            name.push(from[random.below(from.len())]);
        }
    }
    if random.below(40) == 0 {
        name = [&b"\x3c<Root>"[..], &[b'x'; 54]].concat();
    }
    match random.below(30) {
        0 => name.extend([0xc0, u8::try_from(random.below(40)).unwrap()]),
        1 => name.extend([0x41, 0]),
        _ => name.push(0),
    }
    name
}

/// A query, most of the time; or what is nearly one.
fn message(random: &mut CaseRandom) -> Vec<u8> {
    let mut flags = [1, 0x20];
    if random.below(10) == 0 {
        flags = [u8::try_from(random.below(256)).unwrap(), 0];
    }
    let mut counts = [0, 1, 0, 0, 0, 0, 0, 0];
    let mut behind = Vec::new();
    match random.below(8) {
        0 | 1 => {
            counts[7] = 1;
            behind.extend(b"\0\0\x29\x04\xd0\0\0\x80\0\0\x0c\0\x0a\0\x08abcdefgh");
            match random.below(6) {
                0 => behind[14] = 9,
                1 => behind[10] = 3,
                _ => {}
            }
        }
        2 => {
            counts[7] = 1;
            behind.extend(b"\0\0\xfa\0\xff\0\0\0\0\0\0");
        }
        3 => {
            counts[3] = 1;
            behind.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04abcd");
        }
        4 => behind.extend(b"more"),
        _ => {}
    }
    let kind = [1, 28, 255, 16][random.below(4)];
    let mut message =
        [&[7, 7], &flags[..], &counts, &name(random), &[0, kind, 0, 1], &behind].concat();
    match random.below(20) {
        0 => message.truncate(random.below(message.len() + 1)),
        1 => {
            let at = random.below(message.len());
            message[at] ^= 1 << random.below(8);
        }
        _ => {}
    }
    message
}

/// `settles`: running the output again changes nothing.
#[track_caller]
fn check(rules: &str, turns: u32, settles: bool, edited_min: u32) {
    let (short, long) = (plan(rules), the_long_way(rules));
    let (mut scratch, mut random) = (Scratch::new(), CaseRandom(11));
    let mut edited = 0;
    for _ in 0..turns {
        let input = message(&mut random);
        let want = outcome(&long, &input, &mut scratch);
        let got = outcome(&short, &input, &mut scratch);
        assert_eq!(got, want, "{rules} {}", input.escape_ascii());
        edited += u32::from(got.bytes != input);
        if settles && got.bytes != input {
            let again = outcome(&short, &got.bytes, &mut scratch);
            assert_eq!(again.bytes, got.bytes, "{rules} {}", input.escape_ascii());
        }
    }
    assert!(edited >= edited_min, "{rules} only {edited} edited");
}

#[test]
fn names_are_cut_as_their_texts_are() {
    for to in [0, 1, 2, 3, 5, 6, 7, 10, 15, 16, 17, 31, 48, 62, 63, 64, 65, 100, 200] {
        let rules = format!("  - truncate: dns.qry.name\n    to: {to}\n");
        // The text of the root has six bytes, and can be too long as well.
        check(&rules, 2_000, to > 5, if to < 100 { 200 } else { 0 });
    }
}

#[test]
fn other_rules_see_the_message_they_would_have_seen() {
    let cut = "  - truncate: dns.qry.name\n    to: 20\n";
    for others in [
        "  - when: dns.qry.type == 255\n    drop: message\n",
        "  - when: dns.qry.name contains \"ab\"\n    drop: message\n",
        "  - when: dns.qry.type == 28\n    truncate: dns.qry.name\n    to: 8\n",
        "  - when: len(dns.qry.name) > 90\n    drop: message\n",
        "  - truncate: dns.qry.name\n    to: 12\n",
        "  - when: dns.count.labels > 6\n    drop: message\n",
        "  - when: dns.extraneous.data\n    drop: message\n",
        "  - when: dns.opt.len > 8\n    drop: message\n",
        "  - when: dns.flags.opcode == 3\n    drop: message\n",
        "  - truncate: dns.opt.data\n    to: 3\n",
    ] {
        check(&format!("{cut}{others}"), 3_000, true, 200);
        check(&format!("{others}{cut}"), 3_000, true, 200);
    }
}
