//! Rules over the test protocol that need a whole field, element or message.
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

use drive::{every_way, run};
use engine::{Scratch, Undecided};
use lines::{BITS, KEY, LENGTH, NUMBER, PINNED, REVERSED, SEALED, VALUE, WORD};
use modes::{LINES, check, each_mode, held};
use plan::{ByteTest, Compare, Condition, FailMode, Mode, Normalization, Operand, Test, Transform};
use rules::*;
use stage::Direction::Request;

#[test]
fn removes_elements_whole() {
    check(
        &held(|mut b| {
            let value = b.slot(VALUE);
            let gone = b.keyed(VALUE, "gone");
            b.rule(Some(value), contains(value, "x"), Transform::Remove).on(gone, Transform::Remove)
        }),
        &[
            ("a: 1\ngone: 2\nb: x\nGONE: x\nc: 3\n\n", "a: 1\nc: 3\n\n"),
            ("gone: 1\n\ngone: 1\n\n", "\n\n"),
        ],
    );
}

#[test]
fn counts_elements_of_the_whole_message() {
    let whole = |rules: &dyn Fn(RulesBuilder) -> RulesBuilder| {
        vec![("whole", rules(RulesBuilder::new(&LINES).whole(16 * 1024)).build())]
    };
    check(
        &whole(&|mut b| {
            let x = b.keyed(VALUE, "x");
            b.on(x, Transform::KeepFirst { count: 2 })
        }),
        &[("x: 1\nx: 2\ny: 3\nx: 4\nx: 5\n\nx: 6\n\n", "x: 1\nx: 2\ny: 3\n\nx: 6\n\n")],
    );
    check(
        &whole(&|mut b| {
            let x = b.keyed(VALUE, "x");
            b.on(x, Transform::Dedupe { keep_last: false })
        }),
        &[("x: a\nx: b\nx: A\nx: a\nx: c\n\n", "x: a\nx: b\nx: c\n\n")],
    );
    check(
        &whole(&|mut b| {
            let x = b.keyed(VALUE, "x");
            b.on(x, Transform::Dedupe { keep_last: true }).on(x, Transform::Truncate { to: 1 })
        }),
        // Values that a truncation makes the same are the same.
        &[("x: a1\nx: b\nx: a2\n\n", "x: b\nx: a\n\n")],
    );
    check(
        &whole(&|mut b| {
            let word = b.slot(WORD);
            b.on(word, Transform::KeepFirst { count: 2 })
        }),
        &[("words: one two three four\n\n", "words: one two\n\n")],
    );
    check(
        &whole(&|mut b| {
            let x = b.keyed(VALUE, "end");
            b.on(x, Transform::Discard)
        }),
        &[("a: 1\nend: 2\nb: 3\n\n", "a: 1\nend: 2\n")],
    );
}

#[test]
fn verdicts_take_the_message() {
    check(
        &[each_mode(|mut b| {
            let value = b.slot(VALUE);
            b.rule(None, contains(value, "bad"), Transform::Drop)
        })
        .remove(2)],
        &[
            ("a: 1\nb: bad\n\nc: 2\n\n", "c: 2\n\n"),
            ("a: 1\n\nb: bad\nc: 2\n\nd: 3\n\n", "a: 1\n\nd: 3\n\n"),
            ("a: ba\n\n", "a: ba\n\n"),
        ],
    );
    let mut scratch = Scratch::new();
    for (mode, module) in held(|mut b| {
        let value = b.slot(VALUE);
        b.rule(None, contains(value, "bad"), Transform::Close(None))
    }) {
        let got = every_way(&module, Request, b"a: 1\n\nb: bad\n\nc: 2\n\n", &mut scratch);
        assert!(got.closed, "{mode}");
        assert!(b"a: 1\n\n".starts_with(&got.bytes), "{mode}: {:?}", got.text());
    }
}

#[test]
fn a_message_that_has_begun_is_dropped_from_its_first_line_or_the_connection_closed() {
    let module = held(|mut b| {
        let value = b.slot(VALUE);
        b.rule(None, contains(value, "bad"), Transform::Drop)
    })
    .remove(0)
    .1;
    let mut scratch = Scratch::new();
    let got = every_way(&module, Request, b"a: bad\nb: 1\n\nc: 2\n\n", &mut scratch);
    assert_eq!(got.text(), "c: 2\n\n", "the first line decides: the rest is discarded");
    let got = every_way(&module, Request, b"a: 1\nb: bad\n\nc: 2\n\n", &mut scratch);
    assert!(got.closed, "the first line is with the server already");
}

#[test]
fn numbers_are_held_in_bounds() {
    check(
        &held(|mut b| {
            let number = b.slot(NUMBER);
            b.on(number, Transform::Clamp { min: 5, max: 100 })
        }),
        &[
            ("a: 5\nb: 100\nc: 007\n\n", "a: 5\nb: 100\nc: 007\n\n"),
            ("a: 4\nb: 101\nc: 99999\nd: x\n\n", "a: 5\nb: 100\nc: 100\nd: x\n\n"),
        ],
    );
    check(
        &held(|mut b| {
            let bits = b.slot(BITS);
            b.on(bits, Transform::Clear { bits: 0b0001 })
        }),
        // 'H' is 0b01_0010_00, 'L' 0b01_0011_00.
        &[("bits: Hello\n\n", "bits: Hello\n\n"), ("bits: Love\n\n", "bits: Hove\n\n")],
    );
    check(
        &held(|mut b| {
            let (number, key) = (b.slot(NUMBER), b.slot(KEY));
            b.rule(Some(number), equal(key, "set"), Transform::SetNumber(7))
        }),
        &[("set: 1234\nkeep: 1234\n\n", "set: 7\nkeep: 1234\n\n")],
    );
}

#[test]
fn values_are_set_padded_and_normalized() {
    check(
        &held(|mut b| {
            let x = b.keyed(VALUE, "x");
            b.on(x, Transform::SetBytes(b"fixed".as_slice().into()))
        }),
        &[("x: a long one\nx: fixed\ny: 1\n\n", "x: fixed\nx: fixed\ny: 1\n\n")],
    );
    check(
        &held(|mut b| {
            let x = b.keyed(VALUE, "x");
            b.on(x, Transform::Pad { to: 4, with: b'.' })
        }),
        &[("x: \nx: ab\nx: abcd\nx: abcde\n\n", "x: ....\nx: ab..\nx: abcd\nx: abcde\n\n")],
    );
    check(
        &held(|mut b| {
            let x = b.keyed(VALUE, "path");
            let y = b.keyed(VALUE, "space");
            b.on(x, Transform::Normalize(Normalization::Path))
                .on(y, Transform::Normalize(Normalization::WhiteSpace))
        }),
        &[
            ("path: /a/./b/../../../c?../\n\n", "path: /c?../\n\n"),
            ("path: /a//b/.../c\n\n", "path: /a//b/.../c\n\n"),
            ("space:   a \t b  \nspace: c\n\n", "space: a b\nspace: c\n\n"),
        ],
    );
}

#[test]
fn unbounded_expressions_need_the_whole_field() {
    check(
        &held(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, replace(regex("<[^>]*>"), ""))
        }),
        &[
            ("a: x<b>y</b>z\n\n", "a: xyz\n\n"),
            ("a: <<b>script>!\n\n", "a: script>!\n\n"),
            ("a: <b\n\n", "a: <b\n\n"),
        ],
    );
    check(
        &held(|mut b| {
            let value = b.slot(VALUE);
            b.on(value, replace(regex("\\((a)*\\)"), ""))
        }),
        // However deep: what is left after some passes is cut.
        &[("a: ((a)a)x\n\n", "a: x\n\n"), ("a: ((((((((((a)))))))))y\n\n", "a: (\n\n")],
    );
}

#[test]
fn decoded_text_is_written_back_encoded() {
    check(
        &held(|mut b| {
            let reversed = b.slot(REVERSED);
            b.on(reversed, Transform::Truncate { to: 3 }).on(reversed, mask("x", b'y'))
        }),
        &[
            ("rev: abc\n\n", "rev: abc\n\n"),
            ("rev: fedcba\n\n", "rev: cba\n\n"),
            ("rev: fedxba\n\n", "rev: yba\n\n"),
        ],
    );
}

#[test]
fn what_encloses_an_edit_is_repaired() {
    check(
        &[each_mode(|mut b| {
            b.slot(LENGTH);
            let x = b.keyed(VALUE, "x");
            b.on(x, Transform::Truncate { to: 2 })
        })
        .remove(2)],
        &[("len: 10\nx: abcde\n\n", "len: 7\nx: ab\n\n")],
    );
}

#[test]
fn inner_fields_are_edited_before_the_fields_around_them() {
    check(
        &held(|mut b| {
            let (word, value) = (b.slot(WORD), b.slot(VALUE));
            b.on(value, Transform::Truncate { to: 7 })
                .on(word, Transform::Truncate { to: 3 })
                .on(word, Transform::Pad { to: 3, with: b'.' })
        }),
        &[
            ("words: one two\n\n", "words: one two\n\n"),
            ("words: three four\n\n", "words: thr fou\n\n"),
            // The padding of inner fields makes the outer one too long: its bound is looked at
            // again.
            ("words: a b c d\n\n", "words: a.. b..\n\n"),
        ],
    );
}

#[test]
fn what_may_not_be_edited_is_undecided_and_the_fail_mode_applies() {
    let build = |fail, mode| {
        let mut b = RulesBuilder::new(&LINES).whole(16 * 1024);
        b.fail = fail;
        b.mode = mode;
        let (sealed, pinned) = (b.slot(SEALED), b.slot(PINNED));
        let value = b.keyed(VALUE, "x");
        b.on(sealed, Transform::Truncate { to: 3 })
            .on(pinned, Transform::Truncate { to: 3 })
            .on(value, Transform::Truncate { to: 3 })
            .build()
    };
    let mut scratch = Scratch::new();
    for input in ["mac: abcd\nx: abcd\n\n", "pin: abcd\nx: abcd\n\n"] {
        let open = every_way(
            &build(FailMode::Open, Mode::Enforce),
            Request,
            input.as_bytes(),
            &mut scratch,
        );
        assert_eq!(open.text(), input, "a unit goes on as it came, or as decided");
        assert_eq!(open.undecided, [Undecided::RepairImpossible]);
        assert_eq!(open.edits, 0, "what was given up is not counted");
        let closed = run(
            &build(FailMode::Closed, Mode::Enforce),
            Request,
            &[input.as_bytes()],
            &mut scratch,
        );
        assert!(closed.closed);
        let watched = run(
            &build(FailMode::Closed, Mode::Observe),
            Request,
            &[input.as_bytes()],
            &mut scratch,
        );
        assert_eq!((watched.text().as_str(), watched.closed), (input, false));
    }
}

#[test]
fn a_verdict_that_needs_no_more_bytes_falls_on_an_open_unit() {
    let mut b = RulesBuilder::new(&LINES).hold(12);
    let value = b.slot(VALUE);
    let module = b.rule(None, number(len(value), Compare::Greater, 5), Transform::Drop).build();
    let mut scratch = Scratch::new();
    let got =
        every_way(&module, Request, b"a: 1234567890123456\nb: 1\n\nc: 12345\n\n", &mut scratch);
    assert_eq!(got.text(), "c: 12345\n\n");
}

#[test]
fn absent_fields_fail_every_test() {
    check(
        &[held(|mut b| {
            let (x, y) = (b.keyed(VALUE, "x"), b.keyed(VALUE, "y"));
            let differs = bytes(y, ByteTest::NotEqual(b"ok".as_slice().into()));
            let twice = Condition::Test(Test::Duplicate(x));
            let many = number(Operand::Count(x), Compare::GreaterOrEqual, 3);
            let none = number(Operand::Count(x), Compare::Equal, 0);
            b.rule(None, differs, Transform::Drop)
                .rule(None, all(vec![many, not(twice)]), Transform::Drop)
                .rule(None, none, Transform::Drop)
        })
        .remove(1)],
        &[
            ("x: 1\n\n", "x: 1\n\n"),
            ("x: 1\ny: ok\n\n", "x: 1\ny: ok\n\n"),
            ("x: 1\ny: no\n\n", ""),
            ("x: 1\ny: ok\ny: no\n\n", "x: 1\ny: ok\ny: no\n\n"),
            ("x: 1\nx: 2\nx: 3\n\n", ""),
            ("x: 1\nx: 2\nx: 1\n\n", "x: 1\nx: 2\nx: 1\n\n"),
            ("z: 1\n\n", ""),
        ],
    );
}
