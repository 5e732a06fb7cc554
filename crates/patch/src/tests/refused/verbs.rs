//! Verbs with the wrong operands, on the wrong fields.

use crate::tests::ground::{patch_text, read, refusal};

/// Compares the messages only: these tables are long.
#[track_caller]
fn messages(rules: &str, expected: &[&str]) {
    match read(&patch_text(rules)) {
        Ok(_) => panic!("accepted:\n{rules}"),
        Err(found) => {
            let found: Vec<_> = found.iter().map(|one| one.message.clone()).collect();
            assert_eq!(found, expected, "{rules}");
        }
    }
}

#[test]
fn every_verb_says_what_it_lacks_and_what_it_does_not_take() {
    messages("  - when: toy.opcode == 1\n", &["this rule does nothing: it has no verb"]);
    messages("  - truncate: toy.name\n", &["`truncate` needs `to`"]);
    messages(
        "  - truncate: toy.name\n    to: 3\n    max: 4\n",
        &["`max` does not go with `truncate`"],
    );
    messages("  - truncate: toy.name\n    to: 'x'\n", &["`to` is a number of bytes here"]);
    messages(
        "  - truncate: toy.name\n    remove: toy.record\n",
        &["one rule has one verb, and this has `truncate` and `remove`"],
    );
    messages("  - clamp: toy.opcode\n", &["`clamp` needs `min`, `max` or both"]);
}

#[test]
fn values_fit_their_fields() {
    messages("  - clamp: toy.opcode\n    max: 256\n", &["256 does not fit `toy.opcode`"]);
    messages(
        "  - clamp: toy.opcode\n    min: 5\n    max: 4\n",
        &["no number lies between 5 and 4"],
    );
    messages("  - clamp: toy.name\n    max: 4\n", &["`clamp` does not work on `toy.name`"]);
    messages(
        "  - truncate: toy.opcode\n    to: 1\n",
        &["`truncate` does not work on `toy.opcode`"],
    );
    messages("  - remove: toy.name\n", &["`remove` does not work on `toy.name`"]);
    messages(
        "  - set: toy.opcode\n    to: x\n",
        &["`toy.opcode` is a number of 8 bits, and this is text"],
    );
    messages("  - set: toy.name\n    to: 5\n", &["`toy.name` is text, and this is a number"]);
    messages("  - clear: toy.opcode\n    bits: 0\n", &["no bit is cleared"]);
    messages("  - replace: toy.name\n    with: x\n", &["`replace` needs `pattern` or `regex`"]);
    messages(
        "  - replace: toy.name\n    pattern: a\n    regex: b\n    with: x\n",
        &["`replace` takes one of `pattern`, `regex`"],
    );
}

#[test]
fn patterns_and_replacements_end() {
    messages(
        "  - replace: toy.name\n    pattern: abc\n    with: xabcx\n",
        &["\"xabcx\" holds what it is to replace"],
    );
    messages(
        "  - replace: toy.name\n    pattern: ab\n    with: bba\n",
        &["\"bba\" may match again together with bytes before it"],
    );
    messages(
        "  - replace: toy.name\n    regex: 'a|b*'\n    with: x\n",
        &["this pattern matches nothing at all, which is everywhere"],
    );
    messages(
        "  - replace: toy.name\n    regex: '^a'\n    with: x\n",
        &["^, $ and \\b have no meaning in a stream"],
    );
    messages(
        "  - replace: toy.name\n    regex: 'a('\n    with: x\n",
        &["this is no regular expression: unclosed group"],
    );
    messages(
        "  - replace: toy.name\n    regex: '[ab]{0,40}a[ab]{60}'\n    with: x\n",
        &["this expression's automaton is too large"],
    );
    messages(
        "  - mask: toy.name\n    bytes: 'a-z'\n    with: b\n",
        &["\"b\" is itself in the class"],
    );
    messages(
        "  - mask: toy.name\n    regex: '[a-z]{2}'\n    with: b\n",
        &["\"b\" makes a match again"],
    );
    messages("  - mask: toy.name\n    bytes: 'z-a'\n    with: b\n", &["the range z-a is empty"]);
    messages(
        "  - mask: toy.name\n    bytes: a\n    with: bb\n",
        &["`with` is one byte here, and these are 2"],
    );
    messages(
        "  - dedupe: toy.record\n    keep: true\n",
        &["`keep` of `dedupe` is `first` or `last`"],
    );
    messages(
        "  - cut_at: toy.name\n    pattern: x\n    keep: last\n",
        &["`keep` of `cut_at` is true or false"],
    );
    messages("  - normalize: toy.name\n    as: pth\n", &["`pth` is not known here"]);
}

#[test]
fn fields_can_be_edited_and_keys_are_written_out() {
    messages("  - truncate: toy.digest\n    to: 3\n", &["`toy.digest` cannot be edited"]);
    messages("  - clear: toy.broken\n    bits: 1\n", &["`toy.broken` cannot be edited"]);
    messages(
        "  - truncate: toy.fixed\n    to: 3\n",
        &["`truncate` may change the length of `toy.fixed`, which has to stay"],
    );
    messages(
        "  - replace: toy.fixed\n    pattern: abc\n    with: ab\n",
        &["`replace` may change the length of `toy.fixed`, which has to stay"],
    );
    messages("  - truncate: toy.option\n    to: 3\n", &["`toy.option` needs a key"]);
    messages("  - truncate: toy.name[\"x\"]\n    to: 3\n", &["`toy.name` takes no key"]);
    messages(
        "  - truncate: toy.header[x]\n    to: 3\n",
        &["a key is written in double quotes and brackets"],
    );
}

#[test]
fn whole_messages_are_refused_only_where_somebody_asks() {
    for rule in ["refuse: message", "close: connection\n    reply: 'bye'"] {
        let verb = rule.split(':').next().unwrap();
        messages(
            &format!("  - when: toy.status == 1\n    {rule}\n"),
            &[&format!("`{verb}` answers a client, and this is a server's message")],
        );
    }
    messages(
        "  - refuse: message\n    reply: { repeat: a, times: 16385 }\n",
        &["an answer of 16385 bytes is too long"],
    );
    messages(
        "  - refuse: toy.name\n",
        &[
            "expected `message`, `datagram`, `connection` or nothing, as this verb takes no field, found the text \"toy.name\"",
        ],
    );
    messages("  - truncate: toy.name\n    to: -1\n", &["`to` is a number of bytes here"]);
    messages(
        "  - truncate: toy.name\n    to: [a, '\\q']\n  - truncat: x\n",
        &["`\\q` is not an escape", "there is no key `truncat` here"],
    );
}

#[test]
fn replies_are_the_protocols_or_the_patchs() {
    let udp = |rule: &str| {
        refusal(&format!(
            "patch: p\ntitle: x\nprotocol: toy\nscope: {{ transport: udp }}\nrules:\n  - {rule}\n"
        ))
    };
    assert!(udp("{ refuse: message, with: bussy }").contains("did you mean `busy`?"));
    assert!(udp("{ refuse: message, with: busy, reply: x }").contains("both give the answer"));
    let over_tcp = "patch: p\ntitle: x\nprotocol: other\nscope: { ports: [9] }\nrules:\n  - { refuse: message, reply: x }\n";
    assert!(refusal(over_tcp).contains("nobody can tell where an answer belongs in other"));
    let other = "patch: p\ntitle: x\nprotocol: other\nscope: { transport: udp, ports: [9] }\nrules:\n  - refuse: message\n";
    assert!(refusal(other).contains("other has no answer of its own for a refusal"));
}
