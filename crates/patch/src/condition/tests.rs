//! Messages about wrong conditions.

use proto::{FieldDef, FieldKind, Protocol, Transport, Wanted};

use super::*;

static PROTOCOL: Protocol = Protocol {
    name: "t",
    title: "",
    ports: &[(Transport::Tcp, &[1])],
    fields: &[
        FieldDef { name: "t.text", ..FieldDef::TEXT },
        FieldDef { name: "t.flag", kind: FieldKind::Uint(1), ..FieldDef::UINT },
        FieldDef { name: "t.number", kind: FieldKind::Uint(8), ..FieldDef::UINT },
    ],
    unit: "",
    readings: "",
    refusals: &[],
};

/// The complaints about `text`, each with the bytes it is about.
fn complaints(text: &str) -> Vec<(String, String)> {
    let mut wanted = Wanted::new(&PROTOCOL);
    let mut known = RuleContext {
        protocol: &PROTOCOL,
        others: &[&PROTOCOL],
        wanted: &mut wanted,
        direction: None,
    };
    match Checker::compile(&mut known, text) {
        Ok(condition) => panic!("accepted {text}: {condition:?}"),
        Err(found) => found
            .into_iter()
            .map(|one| {
                let at = text.get(one.at.0..one.at.1).unwrap_or_default();
                (at.to_owned(), one.message)
            })
            .collect(),
    }
}

#[test]
fn each_mistake_is_named_and_pointed_at() {
    for (text, at, message) in [
        ("", "", "expected a field or value, found the end of the condition"),
        ("t.text ==", "", "expected a field or value, found the end of the condition"),
        ("t.text = \"a\"", "=", "`=` has no meaning in a condition"),
        ("t.text == \"a", "\"a", "this string has no closing quote"),
        ("t.text == \"\\q\"", "\\q", "`\\q` is not an escape"),
        ("t.text == 'a'", "'a'", "character constants are not part of the language"),
        ("t.number == 010", "010", "`010` begins with 0"),
        (
            "t.number == 99999999999999999999",
            "99999999999999999999",
            "`99999999999999999999` is not a number",
        ),
        ("t.number == 256", "256", "`t.number` is never 256: its largest value is 255"),
        ("t.number in {1, 256}", "256", "`t.number` is never 256: its largest value is 255"),
        ("t.number in {1 2}", "2", "expected `,` or `}` in the set, found the number 2"),
        ("t.number in {7..3}", "7", "the range 7..3 is empty"),
        ("t.text in {\"a\"..\"b\"}", "\"b\"", "ranges are for numbers, this field is text"),
        ("t.text < \"a\"", "t.text < \"a\"", "text has no order: `<` compares numbers"),
        ("t.number contains \"a\"", "t.number", "`t.number` is a number, not text"),
        ("t.text contains 5", "5", "`contains` takes a string in quotes on its right"),
        ("t.text matches \"(\"", "\"(\"", "this is no regular expression: unclosed group"),
        (
            "t.text contains \"\"",
            "\"\"",
            "this pattern matches nothing at all, which is everywhere",
        ),
        ("1 < t.number < 5", "<", "comparisons do not chain"),
        ("t.number === 5", "===", "`===` is not part of the language"),
        ("t.number == 5 xor t.text", "xor", "expected `and`, `or` or the end, found `xor`"),
        ("(t.text", "", "expected `)` to match `(`, found the end of the condition"),
        ("leng(t.text) > 5", "leng", "no function is called `leng`"),
        ("len(t.text, 5) > 5", "len", "len() takes 1 argument, found 2"),
        ("count(lower(t.text)) > 5", "lower(t.text)", "count() takes a field"),
        ("duplicate(t.text)", "t.text", "`t.text` occurs at most once"),
        ("lower(t.text)", "lower(t.text)", "expected a condition, found text"),
        ("t.text[0:2]", "t.text[0:2]", "expected a condition, found a value"),
        ("t.text[3-1] == \"a\"", "1", "this slice ends before it begins"),
        ("t.text[0:0] == \"a\"", "0", "a slice has at least one byte"),
        ("t.text[a] == \"a\"", "a", "expected an offset or a key in quotes, found `a`"),
        ("t.number[0:1] == \"a\"", "t.number", "`t.number` is a number, not text"),
        (
            "t.flag and t.text",
            "t.flag",
            "`t.flag` alone asks whether the flag is there, not whether it is set",
        ),
        ("true", "true", "this asks nothing of the message"),
        ("\"a\" == \"b\"", "\"a\" == \"b\"", "two constants are compared"),
        (
            "(t.text) == (t.number == 1)",
            "(t.text) == (t.number == 1)",
            "a condition cannot be compared",
        ),
        ("t.number == peer", "t.number == peer", "`peer` is the client's address as text"),
        ("any_byte_in(t.text, \"z-a\")", "\"z-a\"", "the range z-a is empty"),
    ] {
        let found = complaints(text);
        let first = found.first().map(|(at, message)| (at.as_str(), message.as_str()));
        assert_eq!(first, Some((at, message)), "{text}");
    }
}

#[test]
fn several_mistakes_are_found_at_once() {
    let found = complaints("t.txt == \"a\" and (t.number == \"x\" or frob(t.text) == 1)");
    let places: Vec<_> = found.iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(places, ["t.txt", "\"x\"", "frob"]);
}
