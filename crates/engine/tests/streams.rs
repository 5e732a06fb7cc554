//! Streamable rules over the test protocol, in every mode.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod drive;
mod lines;
mod modes;
mod rules;

use drive::{CaseRandom, StreamDriver, every_way, run};
use engine::{Scratch, Undecided};
use lines::{KEY, VALUE};
use modes::{LINES, check, each_mode};
use plan::{FailMode, Mode, Transform};
use rules::*;
use stage::Direction::Request;

#[test]
fn nothing_to_do_is_nothing_done() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, Transform::Truncate { to: 100 })
        }),
        &[
            ("", ""),
            ("\n", "\n"),
            ("a: b\n\n", "a: b\n\n"),
            ("junk\na\n\nb: c\n", "junk\na\n\nb: c\n"),
        ],
    );
}

#[test]
fn truncate_cuts_each_value_on_its_own() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, Transform::Truncate { to: 3 })
        }),
        &[
            ("a: abc\n\n", "a: abc\n\n"),
            ("a: abcd\nb: ab\nc: \nd: 12345\n\n", "a: abc\nb: ab\nc: \nd: 123\n\n"),
            ("a: abcdef", "a: abc"),
        ],
    );
}

#[test]
fn the_least_of_several_truncations_holds() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            let x = b.keyed(VALUE, "x");
            b.on(value, Transform::Truncate { to: 5 })
                .on(value, Transform::Truncate { to: 4 })
                .on(x, Transform::Truncate { to: 2 })
        }),
        &[("a: 123456\nx: 123456\nX: 1\n\n", "a: 1234\nx: 12\nX: 1\n\n")],
    );
}

#[test]
fn masks_keep_the_length() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, mask("<>", b'_')).on(value, mask("_x", b'.'))
        }),
        &[
            ("a: b<c>d\n\n", "a: b.c.d\n\n"),
            ("a<: ok\n\n", "a<: ok\n\n"),
            ("a: xxxx\nb: y\n\n", "a: ....\nb: y\n\n"),
        ],
    );
}

#[test]
fn replace_leaves_no_match_behind() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, replace(literals(&["evil", "bad"]), ""))
        }),
        &[
            ("a: evi\n\n", "a: evi\n\n"),
            ("a: xevily\n\n", "a: xy\n\n"),
            ("a: bbadad\n\n", "a: b\n\n"),
            ("a: evilevilbad\nb: e\n\n", "a: \nb: e\n\n"),
            // Bytes on either side of a match never make a new one.
            ("a: evevilil\n\n", "a: ev\n\n"),
            ("a: evevevilililX\n\n", "a: evevX\n\n"),
            ("evil: evi", "evil: evi"),
        ],
    );
}

#[test]
fn replacements_may_grow_and_are_not_replaced_again() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, replace(literal("$"), "dollar")).on(value, Transform::Truncate { to: 10 })
        }),
        &[
            ("a: 1$\n\n", "a: 1dollar\n\n"),
            ("a: $$$\n\n", "a: dollardoll\n\n"),
            ("a: 123456789$\n\n", "a: 123456789d\n\n"),
        ],
    );
}

#[test]
fn a_match_inside_the_beginning_of_another_is_found() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, replace(literals(&["abcd", "bc"]), "-"))
        }),
        &[
            ("a: abcd\n\n", "a: a-d\n\n"),
            ("a: abbcd\n\n", "a: ab-d\n\n"),
            ("a: bbc\n\n", "a: b-\n\n"),
        ],
    );
}

#[test]
fn patterns_of_different_kinds_run_one_after_the_other() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            let sql = plan::Pattern::literals("", &[b"select"], true).unwrap();
            b.on(value, replace(regex("[0-9]{2,3};"), ""))
                .on(value, replace(literal("<!"), "<"))
                .on(value, replace(sql, "s"))
                .on(value, Transform::MaskPattern { pattern: literal("pw"), with: b'*' })
        }),
        &[
            ("a: 1;22;333;4444;\n\n", "a: 1;4\n\n"),
            ("a: SeLeCT <!-- 1\n\n", "a: s <-- 1\n\n"),
            // The second `!` follows the `<` that was put in.
            ("a: <!!x\n\n", "a: <x\n\n"),
            ("a: pwpwp pw\n\n", "a: ****p **\n\n"),
            ("a: 7<!7;\n\n", "a: 7<7;\n\n"),
        ],
    );
}

#[test]
fn cut_at_takes_the_rest() {
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, Transform::CutAt { pattern: literal("--"), keep_match: false })
        }),
        &[
            ("a: 1-2--3\nb: 4\n\n", "a: 1-2\nb: 4\n\n"),
            ("a: -\n\n", "a: -\n\n"),
            ("a: ---\n\n", "a: \n\n"),
        ],
    );
    check(
        &each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, Transform::CutAt { pattern: regex("[.][a-z]{2,4}"), keep_match: true })
        }),
        &[("a: x.txt.exe\n\n", "a: x.tx\n\n"), ("a: x.t\n\n", "a: x.t\n\n")],
    );
}

#[test]
fn a_condition_on_the_same_line_binds_to_it() {
    check(
        &each_mode(|mut b| {
            let (key, value) = (b.slot(KEY), b.slot(VALUE));
            b.rule(Some(value), equal(key, "cut"), Transform::Truncate { to: 2 })
                .rule(Some(value), equal(key, "hide"), mask("abc", b'#'))
                .rule(Some(value), equal(key, "clean"), replace(literal("no"), ""))
        }),
        &[(
            "cut: abcd\nhide: abcd\nclean: annob nno\nkeep: abcd no\n\n",
            "cut: ab\nhide: ###d\nclean: anb n\nkeep: abcd no\n\n",
        )],
    );
}

#[test]
fn observing_counts_and_changes_nothing() {
    for (mode, module) in each_mode(|mut b| {
        b.mode = Mode::Observe;
        let value = b.slot(VALUE);
        b.on(value, Transform::Truncate { to: 3 }).on(value, replace(literal("bad"), ""))
    }) {
        let mut scratch = Scratch::new();
        let input = "a: 123456\nb: bad\nc: 1\n\n";
        for pieces in [vec![input.as_bytes()], input.as_bytes().chunks(1).collect()] {
            let got = run(&module, Request, &pieces, &mut scratch);
            assert_eq!(got.text(), input, "{mode}");
            assert!(got.edits >= 2, "{mode}: {}", got.edits);
        }
    }
    let module = {
        let mut b = RulesBuilder::new(&LINES).whole(1000);
        b.mode = Mode::Observe;
        let value = b.slot(VALUE);
        b.rule(None, contains(value, "x"), Transform::Drop)
            .rule(None, contains(value, "y"), Transform::Close(None))
            .build()
    };
    let mut scratch = Scratch::new();
    let input = b"a: x\n\nb: y\n\nc: z\n\n";
    let got = run(&module, Request, &[input], &mut scratch);
    assert_eq!((got.bytes.as_slice(), got.closed, got.verdicts), (&input[..], false, 2));
}

#[test]
fn a_unit_over_the_bound_is_opened_after_exactly_the_bounds_bytes() {
    let build = |fail| {
        let mut b = RulesBuilder::new(&LINES).hold(12);
        b.fail = fail;
        let (value, x) = (b.slot(VALUE), b.keyed(VALUE, "x"));
        b.on(value, replace(literal("evil"), ""))
            .on(x, Transform::Pad { to: 4, with: b'.' })
            .build()
    };
    let mut scratch = Scratch::new();
    let open = build(FailMode::Open);
    let got = every_way(&open, Request, b"a: 12evil4567evil90\nx: 1\n\n", &mut scratch);
    assert_eq!(got.text(), "a: 12456790\nx: 1...\n\n");
    assert_eq!(got.undecided, [], "the streamable rule works on pieces");
    assert!(got.held_max <= 12);
    let got = every_way(&open, Request, b"x: evil56789012345evil\nx: 1\n\n", &mut scratch);
    assert_eq!(got.text(), "x: 56789012345\nx: 1...\n\n");
    assert_eq!(got.undecided, [Undecided::UnitTooLong], "the other rule cannot be decided");
    let got =
        every_way(&build(FailMode::Closed), Request, b"a: 1\nx: 123456789012345\n", &mut scratch);
    assert!(got.closed);
    // A unit that cannot be opened and does not end.
    let got =
        every_way(&open, Request, b"a: 1\n\nthis is no line at all\na: evil\n\n", &mut scratch);
    assert_eq!(got.text(), "a: 1\n\nthis is no line at all\na: evil\n\n");
    assert_eq!(got.undecided, [Undecided::UnitTooLong]);
}

#[test]
fn another_protocol_is_left_alone_or_closed() {
    let build = |fail| {
        let mut b = RulesBuilder::new(&LINES);
        b.fail = fail;
        let value = b.slot(VALUE);
        b.on(value, Transform::Truncate { to: 1 }).build()
    };
    let mut scratch = Scratch::new();
    let got = every_way(&build(FailMode::Open), Request, b"a: 1\n?: 22\nb: 33\n", &mut scratch);
    assert_eq!(got.text(), "a: 1\n?: 22\nb: 33\n");
    assert_eq!(got.undecided, [Undecided::NotThisProtocol]);
    let got = run(&build(FailMode::Closed), Request, &[b"?"], &mut scratch);
    assert!(got.closed);
}

#[test]
fn held_pattern_starts_are_released_on_demand_and_never_completed() {
    let mut b = RulesBuilder::new(&LINES);
    let value = b.slot(VALUE);
    let module = b.on(value, replace(literal("evil"), "")).build();
    let mut scratch = Scratch::new();
    let mut caller = StreamDriver::new(&module, Request, &mut scratch);
    caller.segment(b"a: xev", false, false);
    assert_eq!(caller.output.text(), "a: x");
    caller.segment(b"", false, true);
    assert_eq!(caller.output.text(), "a: xev", "released");
    caller.segment(b"ilz evi", false, false);
    assert_eq!(caller.output.text(), "a: xevz ", "what is left of the match is taken away");
    caller.segment(b"l\n", false, false);
    assert_eq!(caller.output.text(), "a: xevz \n");
}

#[test]
fn what_was_released_is_finished_at_the_same_length_where_the_replacement_has_it() {
    // (patterns, replacement, what comes after "x" + the first two bytes of the match was let go,
    // the whole output)
    let cases: &[(&[&str], &str, &[u8], &str)] = &[
        (&["evil"], "good", b"ilz\n", "a: xevodz\n"),
        // The replacement's own rest would complete a match.
        (&["evil"], "goil", b"ilz\n", "a: xev--z\n"),
        (&["evil", "evod"], "good", b"ilz\n", "a: xev--z\n"),
        (&["evil", "ev-"], "good", b"ilz\n", "a: xevodz\n"),
    ];
    for (patterns, with, then, want) in cases {
        let mut b = RulesBuilder::new(&LINES);
        let value = b.slot(VALUE);
        let module = b.on(value, replace(literals(patterns), with)).build();
        let mut scratch = Scratch::new();
        let mut caller = StreamDriver::new(&module, Request, &mut scratch);
        caller.segment(b"a: xev", false, false);
        caller.segment(b"", false, true);
        assert_eq!(caller.output.text(), "a: xev");
        caller.segment(then, false, false);
        assert_eq!(caller.output.text(), *want, "{patterns:?} {with}");
    }
}

#[test]
fn random_rules_over_random_messages_keep_the_promises() {
    let alphabet = b"ab<evil>: \n1";
    let mut scratch = Scratch::new();
    for seed in 0..400_u64 {
        let mut random = CaseRandom(seed * 7919 + 1);
        let mut choices: Vec<usize> = (0..1 + random.below(3)).map(|_| random.below(8)).collect();
        choices.dedup();
        let rules = |mut b: RulesBuilder| {
            let value = b.slot(VALUE);
            let a = b.keyed(VALUE, "a");
            for &choice in &choices {
                b = match choice {
                    0 => b.on(value, Transform::Truncate { to: 4 }),
                    1 => b.on(a, Transform::Truncate { to: 2 }),
                    2 => b.on(value, mask("<>", b'_')),
                    3 => b.on(value, replace(literal("evil"), "")),
                    4 => b.on(value, replace(literals(&["ab", "ba"]), "1")),
                    5 => b.on(value, replace(regex("e[vi]{1,3}l"), "")),
                    6 => {
                        b.on(value, Transform::CutAt { pattern: literal("<<"), keep_match: false })
                    }
                    _ => b.on(value, Transform::MaskPattern { pattern: literal("vi"), with: b'*' }),
                };
            }
            b
        };
        let len = random.below(60);
        let mut input: Vec<u8> = b"a: ".to_vec();
        for _ in 0..len {
            if random.below(6) == 0 {
                input.extend_from_slice(
                    [&b"evil"[..], b"\na: ", b"\nb: ", b"ab", b"<<"][random.below(5)],
                );
            } else {
                input.push(alphabet[random.below(alphabet.len())]);
            }
        }
        let mut outputs = Vec::new();
        for (mode, module) in each_mode(rules) {
            let whole = run(&module, Request, &[&input], &mut scratch);
            let show = String::from_utf8_lossy(&input).into_owned();
            for longest in [1, 2, 5, 30] {
                let pieces = random.cut(&input, longest);
                let got = run(&module, Request, &pieces, &mut scratch);
                assert_eq!(got.text(), whole.text(), "seed {seed} {choices:?} {mode} {show:?}");
            }
            outputs.push(whole.text());
            let again = run(&module, Request, &[&whole.bytes], &mut scratch);
            assert_eq!(
                again.text(),
                whole.text(),
                "again: seed {seed} {choices:?} {mode} {show:?}"
            );
        }
        outputs.dedup();
        assert_eq!(outputs.len(), 1, "seed {seed}: every mode the same: {outputs:?}");
    }
}
