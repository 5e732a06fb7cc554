//! Which pairs of rules contradict each other.

use crate::tests::ground::{good, patch_text};
use crate::{Group, Options, compile};

/// Two rules, and whether they contradict each other in either order.
type Pair = (&'static str, &'static str, bool);

#[track_caller]
fn check(pairs: &[Pair]) {
    for &(first, second, contradict) in pairs {
        let one = good(&patch_text(&format!("  - {first}\n")));
        let two = good(&patch_text(&format!("  - {second}\n")).replace("patch: p", "patch: q"));
        for pair in [[one.clone(), two.clone()], [two, one]] {
            let result = compile(&pair, &[Group::everywhere(2)], &Options::default());
            assert_eq!(result.is_err(), contradict, "{first}\n{second}");
        }
    }
}

#[test]
fn bounds_of_one_field_exclude_each_other() {
    check(&[
        ("truncate: toy.name\n    to: 0", "pad: toy.name\n    to: 4\n    with: ' '", true),
        ("truncate: toy.name\n    to: 8", "pad: toy.name\n    to: 4\n    with: ' '", false),
        ("set: toy.name\n    to: a", "set: toy.name\n    to: b", true),
        ("set: toy.name\n    to: a", "set: toy.name\n    to: a", false),
        ("set: toy.name\n    to: abc", "truncate: toy.name\n    to: 2", true),
        ("clamp: toy.opcode\n    max: 3", "clamp: toy.opcode\n    min: 4", true),
        ("clamp: toy.opcode\n    max: 3", "clamp: toy.opcode\n    min: 3", false),
        ("clear: toy.opcode\n    bits: 4", "set: toy.opcode\n    to: 6", true),
        ("dedupe: toy.record\n    keep: first", "dedupe: toy.record\n    keep: last", true),
        ("keep_first: toy.record\n    count: 3", "keep_first: toy.record\n    count: 5", false),
        (
            "replace: toy.name\n    pattern: a\n    with: b",
            "replace: toy.name\n    pattern: b\n    with: a",
            true,
        ),
        (
            "mask: toy.name\n    bytes: '\\x00-\\x1f'\n    with: ' '",
            "replace: toy.name\n    pattern: x\n    with: '\\t'",
            true,
        ),
    ]);
}

#[test]
fn conditions_part_two_rules() {
    check(&[
        (
            "when: toy.opcode == 1\n    set: toy.name\n    to: a",
            "when: toy.opcode == 2\n    set: toy.name\n    to: b",
            false,
        ),
        (
            "when: toy.opcode in {1, 5..9} and toy.command\n    set: toy.name\n    to: a",
            "when: toy.opcode > 9\n    set: toy.name\n    to: b",
            false,
        ),
        (
            "when: toy.command == \"A\"\n    set: toy.name\n    to: a",
            "when: toy.command in {\"B\", \"C\"}\n    set: toy.name\n    to: b",
            false,
        ),
        (
            "when: toy.opcode == 1 or toy.command\n    set: toy.name\n    to: a",
            "when: toy.opcode == 2\n    set: toy.name\n    to: b",
            true,
        ),
        ("when: toy.opcode == 1\n    drop:", "when: toy.opcode  ==  1\n    close:", true),
        ("when: toy.opcode == 1\n    drop:", "when: toy.opcode == 2\n    close:", false),
        (
            "truncate: toy.header[\"a\"]\n    to: 0",
            "pad: toy.header[\"b\"]\n    to: 4\n    with: x",
            false,
        ),
        (
            "truncate: toy.header[\"a\"]\n    to: 0",
            "pad: toy.header[\"A\"]\n    to: 4\n    with: x",
            true,
        ),
    ]);
}
