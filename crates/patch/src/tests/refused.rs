//! Golden diagnostics: the message for each kind of mistake, to the column.

mod contradictions;
mod verbs;

use std::collections::BTreeMap;

use super::ground::{good, patch_text, read, refusal};
use crate::{Group, Options, compile, render};

#[track_caller]
fn says(text: &str, expected: &str) {
    let found = refusal(text);
    let trim = |text: &str| text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trim(&found), trim(expected), "\n{found}");
}

#[test]
fn an_unknown_key() {
    says(
        "patch: p\ntitel: A patch\ntitle: x\nprotocol: toy\nrules:\n  - truncat: toy.name\n    to: 3\n",
        "
error: there is no key `titel` here
  --> p.yaml:2:1
   |
 2 | titel: A patch
   | ^^^^^
   = help: did you mean `title`?

error: there is no key `truncat` here
  --> p.yaml:6:5
   |
 6 |   - truncat: toy.name
   |     ^^^^^^^
   = help: did you mean `truncate`?

2 errors",
    );
}

#[test]
fn an_unknown_field_names_the_nearest() {
    says(
        &patch_text(
            "  - when: toy.opcod == 4 and len(toy.nam) > 3\n    truncate: toy.nane\n    to: 3\n",
        ),
        "
error: no field is called `toy.opcod`
  --> p.yaml:5:11
   |
 5 |   - when: toy.opcod == 4 and len(toy.nam) > 3
   |           ^^^^^^^^^
   = help: did you mean `toy.opcode`?

error: no field is called `toy.nam`
  --> p.yaml:5:34
   |
 5 |   - when: toy.opcod == 4 and len(toy.nam) > 3
   |                                  ^^^^^^^
   = help: did you mean `toy.name`?

error: no field is called `toy.nane`
  --> p.yaml:6:15
   |
 6 |     truncate: toy.nane
   |               ^^^^^^^^
   = help: did you mean `toy.name`?

3 errors",
    );
}

#[test]
fn a_type_error_inside_a_double_quoted_condition_has_the_files_column() {
    says(
        &patch_text(
            "  - when: \"toy.command == \\\"A\\\" && toy.opcode == \\\"B\\\"\"\n    drop: message\n",
        ),
        r#"
error: expected a number
  --> p.yaml:5:50
   |
 5 |   - when: "toy.command == \"A\" && toy.opcode == \"B\""
   |                                                  ^^^^^
1 error"#
            .replace("\n1 error", "\n\n1 error")
            .as_str(),
    );
}

#[test]
fn a_text_field_is_no_number() {
    says(
        &patch_text("  - when: toy.name == 5\n    drop: message\n"),
        "
error: `toy.name` is text, not a number
  --> p.yaml:5:11
   |
 5 |   - when: toy.name == 5
   |           ^^^^^^^^
   = help: put the other side in quotes, or take len(toy.name) or decimal(toy.name)

1 error",
    );
}

#[test]
fn fields_of_the_other_direction_and_protocol() {
    says(
        &patch_text(
            "  - when: toy.status == 5\n    truncate: toy.name\n    to: 3\n  - remove: other.word\n",
        ),
        "
error: `toy.status` is a field of responses
  --> p.yaml:5:11
   |
 5 |   - when: toy.status == 5
   |           ^^^^^^^^^^
   = note: `toy.name` makes this a rule for requests
   = help: a rule sees the fields of one message only

error: `other.word` is a field of other, and this patch is for toy
  --> p.yaml:8:13
   |
 8 |   - remove: other.word
   |             ^^^^^^^^^^
   = help: a patch has one protocol: write a second patch for the other

2 errors",
    );
}

#[test]
fn a_bound_that_cannot_be_held() {
    says(
        &patch_text("  - when: len(toy.name) > 20000\n    drop: message\n"),
        "
error: this rule needs 20001 bytes held back, and the limit is 16384
  --> p.yaml:6:11
   |
 6 |     drop: message
   |           ^^^^^^^
   = note: it cannot be streamed: the message is let through or not as a whole
   = help: raise the hold limit, lower the rule's bound, or leave `when` out so that it streams

1 error",
    );
}

#[test]
fn an_endless_field_can_only_be_streamed() {
    says(
        &patch_text("  - replace: toy.body\n    regex: 'a+b'\n    with: ''\n"),
        "
error: `replace` cannot be run on `toy.body` as it streams by
  --> p.yaml:5:14
   |
 5 |   - replace: toy.body
   |              ^^^^^^^^
   = note: a match of its pattern may be of any length, and `toy.body` has no end that could be waited for
   = help: use truncate, mask, or a pattern whose longest match is bounded, without reading the field in `when`

1 error",
    );
}

#[test]
fn two_patches_that_contradict_each_other() {
    let first = good(&patch_text("  - set: toy.opcode\n    to: 4\n"));
    let second =
        good(&patch_text("  - clamp: toy.opcode\n    min: 5\n").replace("patch: p", "patch: q"));
    let found =
        compile(&[first, second], &[Group::everywhere(2)], &Options::default()).unwrap_err();
    assert_eq!(
        render(&found).trim(),
        "
error: `p` and `q` contradict each other
  --> p.yaml:5:12
   |
 5 |   - clamp: toy.opcode
   |            ^^^^^^^^^^ this `clamp`
  ::: p.yaml:5:10
   |
 5 |   - set: toy.opcode
   |          ^^^^^^^^^^ and this `set`
   = note: 4 does not lie between 5 and 18446744073709551615
   = help: leave one of them out of the group, or tell them apart by their conditions

1 error"
            .trim()
    );
}

#[test]
fn two_protocols_on_one_port() {
    let toy = good(&patch_text("  - drop: message\n"));
    let other = good(
        "patch: q\ntitle: x\nprotocol: other\nscope: { ports: [7001], transport: tcp }\nrules:\n  - truncate: other.word\n    to: 3\n",
    );
    let groups = [Group { name: "web".to_owned(), ..Group::everywhere(2) }];
    let pair = [toy, other];
    let found = compile(&pair, &groups, &Options::default()).unwrap_err();
    assert_eq!(
        render(&found).trim(),
        "
error: TCP port 7001 of group `web` would be read as toy and as other
  --> p.yaml:3:11
   |
 3 | protocol: other
   |           ^^^^^ the other protocol
"
        .trim()
        .replace(" the other protocol", "")
            + "
  ::: p.yaml:3:11
   |
 3 | protocol: toy
   |           ^^^ the other protocol
   = help: one server port speaks one protocol: narrow one patch with `scope.ports`

1 error"
    );
    // Another port for one of them, and all is well.
    let moved =
        Group { ports: BTreeMap::from([("other".to_owned(), vec![7002])]), ..Group::everywhere(2) };
    assert!(compile(&pair, &[moved], &Options::default()).is_ok());
    // The same in two groups of the same servers.
    let apart = [0, 1].map(|index| Group { patches: vec![index], ..Group::everywhere(0) });
    let found = compile(&pair, &apart, &Options::default()).unwrap_err();
    assert!(found[0].message.contains("both have patches for port 7001"), "{found:?}");
}

#[test]
fn the_file_as_a_whole() {
    let table = [
        ("", "the file is empty"),
        ("patch: [", "this is not YAML"),
        ("- a\n", "expected a mapping, found a list"),
        ("patch: p\n", "the key `title` is missing"),
        (
            "patch: p\npatch: q\ntitle: x\nprotocol: toy\nrules: []\n",
            "the key `patch` is here twice",
        ),
        ("patch: &a p\n", "anchors are not read here"),
        ("patch: p\n---\npatch: q\n", "a second document in one file"),
        ("patch: !!str p\n", "YAML tags are not read here"),
        (
            "patch: P x\ntitle: x\nprotocol: toy\nrules:\n  - drop:\n",
            "`P x` cannot be a patch's name",
        ),
        ("patch: p\ntitle: x\nprotocol: toi\nrules:\n  - drop:\n", "did you mean `toy`?"),
        ("patch: p\ntitle: x\nprotocol: toy\nrules: []\n", "a patch has 1 to 256 rules"),
        (
            "patch: p\ntitle: x\nprotocol: other\nrules:\n  - drop:\n",
            "other has no port of its own",
        ),
        (
            "patch: p\ntitle: x\ncve: [CVE-1]\nprotocol: toy\nrules:\n  - drop:\n",
            "`CVE-1` is no CVE number",
        ),
        (
            "patch: p\ntitle: x\npostpone_until: 2027-02-30\nprotocol: toy\nrules:\n  - drop:\n",
            "`2027-02-30` is not a day",
        ),
        (
            "patch: p\ntitle: x\nprotocol: toy\nscope: { ports: [0] }\nrules:\n  - drop:\n",
            "0 is no port",
        ),
        (
            "patch: p\ntitle: x\nprotocol: toy\nscope: { ports: [70000] }\nrules:\n  - drop:\n",
            "found the number 70000",
        ),
        (
            "patch: p\ntitle: x\nprotocol: toy\nscope: { transport: sctp }\nrules:\n  - drop:\n",
            "`sctp` is not known here",
        ),
    ];
    for (text, expected) in table {
        let found = refusal(text);
        assert!(found.contains(expected), "{text}\n{found}");
    }
}

#[test]
fn test_cases_have_to_make_sense() {
    let case =
        |body: &str| refusal(&format!("{}tests:\n  - name: n\n{body}", patch_text("  - drop:\n")));
    let table = [
        ("", "this case sends nothing"),
        ("    request: a\n", "this case expects nothing"),
        ("    request: a\n    response: b\n    unchanged: true\n", "a step goes one way"),
        ("    request: a\n    unchanged: true\n    dropped: true\n", "expected to do one thing"),
        ("    unchanged: true\n", "a step sends nothing"),
        (
            "    request: a\n    unchanged: true\n    conversation: [{ request: b }]\n",
            "both a message of its own",
        ),
        ("    request: a\n    unchanged: true\n    peer: nowhere\n", "this is no IP address"),
        (
            "    request: { repeat: a, times: 99999999 }\n    unchanged: true\n",
            "more than 16777216 bytes",
        ),
    ];
    for (body, expected) in table {
        let found = case(body);
        assert!(found.contains(expected), "{body}\n{found}");
    }
}

#[test]
fn diagnostics_are_for_programs_as_well() {
    let found = read(&patch_text("  - truncate: toy.nane\n    to: 3\n")).unwrap_err();
    let value = serde_json::to_value(&found).unwrap();
    assert_eq!(value[0]["file"], "p.yaml");
    assert_eq!(
        (&value[0]["line"], &value[0]["column"], &value[0]["width"]),
        (&5.into(), &15.into(), &8.into())
    );
    assert_eq!(value[0]["help"], "did you mean `toy.name`?");
}
