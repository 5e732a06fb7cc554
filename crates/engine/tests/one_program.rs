//! A streamable rule gives the same bytes and the same hits whether its slot's program has room for
//! it or not.
//!
//! Random rules of the streamable verbs run over random values, alone on their slot, cut in every
//! way, and beside so many others that they run apart.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod drive;
mod lines;
mod rules;

use drive::{CaseRandom, DriverOutput, run};
use engine::Scratch;
use lines::{LineDecoder, VALUE};
use plan::index::CONDITIONAL_RULES_MAX;
use plan::{Module, Pattern, Transform};
use rules::*;
use stage::Direction::Request;

static LINES: LineDecoder = LineDecoder;

/// Rules and messages that are tried.
const SEEDS: u64 = 1_000;

/// It is in no value and in no match, as in every mask that keeps its bound.
const MASK: u8 = b'*';

/// Of which values are made; patterns and masks are made of the same.
const LETTERS: &[u8] = b"abc.%";

fn letters(random: &mut CaseRandom, longest: usize) -> Vec<u8> {
    (0..1 + random.below(longest)).map(|_| LETTERS[random.below(LETTERS.len())]).collect()
}

fn pattern(random: &mut CaseRandom) -> Pattern {
    const EXPRESSIONS: &[&str] = &[
        "a{1,3}",
        "ab?c?",
        "[ab]{2,4}[.]",
        "[a.]b",
        "a[abc]{0,2}c",
        "(ab|abc|b)",
        "%[abc]{2}",
        "[.]{2,3}",
        "(a|ab)(c|bcd)?",
    ];
    if random.below(2) == 0 {
        return Pattern::regex(EXPRESSIONS[random.below(EXPRESSIONS.len())], false).unwrap();
    }
    let all: Vec<Vec<u8>> = (0..1 + random.below(3)).map(|_| letters(random, 3)).collect();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    Pattern::literals("", &all, random.below(2) == 0).unwrap()
}

/// A replacement without a match of the pattern, as the compiler demands.
fn replacement(pattern: &Pattern, random: &mut CaseRandom) -> Box<[u8]> {
    let with = if random.below(2) == 0 { Vec::new() } else { letters(random, 4) };
    if pattern.find(&with, 0).is_some() { Box::default() } else { with.into() }
}

fn transform(random: &mut CaseRandom) -> Transform {
    match random.below(5) {
        0 => Transform::Truncate { to: random.below(9) as u32 },
        1 => {
            let set = letters(random, 3);
            let set = core::str::from_utf8(&set).unwrap();
            mask(set, b'_')
        }
        2 => {
            let pattern = pattern(random);
            let with = replacement(&pattern, random);
            Transform::Replace { pattern, with }
        }
        3 => Transform::CutAt { pattern: pattern(random), keep_match: random.below(2) == 0 },
        _ => Transform::MaskPattern { pattern: pattern(random), with: MASK },
    }
}

/// The rule alone on its slot: the slot's program runs it, on pieces too.
fn alone(transform: &Transform) -> Module {
    let mut builder = RulesBuilder::new(&LINES);
    let value = builder.slot(VALUE);
    builder.on(value, transform.clone()).build()
}

/// The rule behind others, which never fire and leave it no room.
fn crowded(transform: &Transform) -> Module {
    let mut builder = RulesBuilder::new(&LINES).hold(16 * 1024);
    let value = builder.slot(VALUE);
    let never = || equal(value, "no value is this one");
    for _ in 0..CONDITIONAL_RULES_MAX {
        builder = builder.rule(Some(value), never(), mask("~", b'-'));
    }
    let always = not(never());
    let module = builder.rule(Some(value), always, transform.clone()).build();
    let slot = module.directions[0].index.slot(value).unwrap();
    let no = CONDITIONAL_RULES_MAX as u16;
    assert_eq!(slot.whole(), [no], "there is no room left");
    assert!(slot.program_of(no).is_some());
    module
}

/// What must not depend on how a rule is run.
fn facts(output: &DriverOutput) -> (String, u32, u32, u32) {
    (output.text(), output.edits, output.removed_bytes, output.inserted_bytes)
}

#[test]
fn a_rule_does_the_same_in_the_slots_program_and_apart_from_it() {
    let mut scratch = Scratch::new();
    let (mut changed, mut left_alone) = (0, 0);
    for seed in 0..SEEDS {
        let mut random = CaseRandom(seed * 7919 + 1);
        let transform = transform(&mut random);
        let (alone, crowded) = (alone(&transform), crowded(&transform));
        for _ in 0..4 {
            let mut input = b"k: ".to_vec();
            input.extend(letters(&mut random, 24));
            input.extend(b"\nk: ");
            input.extend(letters(&mut random, 6));
            input.extend(b"\n\n");
            let show = String::from_utf8_lossy(&input).into_owned();
            let want = run(&alone, Request, &[&input], &mut scratch);
            let got = run(&crowded, Request, &[&input], &mut scratch);
            assert_eq!(facts(&got), facts(&want), "seed {seed}: {transform:?} on {show:?}");
            for longest in [1, 2, 3, 7, 20] {
                let pieces = random.cut(&input, longest);
                let cut = run(&alone, Request, &pieces, &mut scratch);
                assert_eq!(cut.text(), want.text(), "seed {seed}: {transform:?} on {show:?}");
                let got = run(&crowded, Request, &pieces, &mut scratch);
                assert_eq!(facts(&got), facts(&want), "seed {seed}: {transform:?} on {show:?}");
            }
            let again = run(&alone, Request, &[&want.bytes], &mut scratch);
            assert_eq!(again.text(), want.text(), "again: seed {seed}: {transform:?} on {show:?}");
            if want.edits > 0 { changed += 1 } else { left_alone += 1 }
        }
    }
    assert!(changed > 500 && left_alone > 500, "{changed} changed, {left_alone} not");
}

#[test]
fn a_masked_match_goes_on_as_a_whole() {
    // The byte that masks may begin the next match, so that it is held back; what is before it must
    // not go on unmasked.
    let pattern = Pattern::literals("", &[b"%a", b"ab"], false).unwrap();
    let module = alone(&Transform::MaskPattern { pattern, with: b'a' });
    let mut scratch = Scratch::new();
    for (input, want) in [("k: %a\n\n", "k: aa\n\n"), ("k: c%ab\n\n", "k: caaa\n\n")] {
        for at in 0..input.len() {
            let (one, other) = input.as_bytes().split_at(at);
            let got = run(&module, Request, &[one, other], &mut scratch);
            assert_eq!(got.text(), want, "cut at {at}");
        }
    }
}
