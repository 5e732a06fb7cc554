//! Places of scalars, in every style.

use serde::Deserialize;

use super::align::offsets;
use super::*;
use crate::diagnostic::SourceFile;

/// The scalar of `text`, which is `key: scalar`, and the file's character behind each character of
/// it.
#[track_caller]
fn aligned(text: &str) -> (String, String) {
    let file = SourceFile::new("f", text);
    let node = Node::parse(&file).unwrap();
    let NodeValue::Mapping(entries) = &node.value else { panic!("{node:?}") };
    let NodeValue::Scalar(decoded, _) = &entries[0].1.value else { panic!("{node:?}") };
    let map = offsets(&file, entries[0].1.place, decoded);
    let shown = decoded
        .char_indices()
        .map(|(at, _)| file.text()[map[at]..].chars().next().unwrap_or('?'))
        .collect();
    (decoded.clone(), shown)
}

#[test]
fn every_character_is_found_in_the_file() {
    for (text, decoded, shown) in [
        ("k: plain text", "plain text", "plain text"),
        ("k: 'it''s so'", "it's so", "it's so"),
        (r#"k: "a\x04\"b\u00e9c""#, "a\u{4}\"b\u{e9}c", r"a\\b\c"),
        ("k: é and b", "é and b", "é and b"),
        ("k: |\n  one\n    two\n  three\n", "one\n  two\nthree\n", "one\n  two\nthree\n"),
        ("k: >-\n  one\n  two\n", "one two", "one\ntwo"),
        ("k: one\n  two", "one two", "one\ntwo"),
        ("k: \"one\n  two\"", "one two", "one\ntwo"),
    ] {
        let found = aligned(text);
        assert_eq!(found.0, decoded, "{text}");
        assert_eq!(found.1, shown, "{text}");
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    #[serde(default)]
    number: Option<Spanned<u16>>,
    #[serde(default)]
    items: List<Item>,
    #[serde(default)]
    plain: Vec<i8>,
    #[serde(default)]
    flag: bool,
    #[serde(default)]
    ratio: f64,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Item {
    One,
    Two(u8),
    Three { a: u8 },
}

#[track_caller]
fn sample(text: &str) -> Result<Sample, Vec<String>> {
    from_source(&SourceFile::new("f", text)).map_err(|found| {
        found
            .into_iter()
            .map(|one: crate::Diagnostic| {
                format!("{}:{} {}", one.at.line, one.at.column, one.message)
            })
            .collect()
    })
}

#[test]
fn values_of_every_shape_are_read() {
    let read = sample("number: 0x10\nitems: [one, two: 5, { three: { a: 1 } }]\nplain: [-3]\nflag: true\nratio: 1.5").unwrap();
    let number = read.number.unwrap();
    assert_eq!((*number, number.place.start, number.place.end), (16, 8, 12));
    assert_eq!(read.items.0, [Item::One, Item::Two(5), Item::Three { a: 1 }]);
    assert_eq!((read.plain, read.flag), (vec![-3], true));
    assert!(read.ratio > 1.4);
}

#[test]
fn mistakes_are_found_together_and_where_they_are() {
    assert_eq!(
        sample("number: 1\nnumer: 2\nitems:\n  - onne\n  - two: 300\n  - three: { b: 1 }\n")
            .unwrap_err(),
        [
            "2:1 there is no key `numer` here",
            "4:5 `onne` is not known here",
            "5:10 expected a number from 0 to 255, found the number 300",
            "6:14 there is no key `b` here",
            "6:14 the key `a` is missing",
        ]
    );
    assert_eq!(
        sample("number: [1]").unwrap_err(),
        ["1:9 expected a number from 0 to 65535, found a list"]
    );
    assert_eq!(sample("flag: 3").unwrap_err(), ["1:7 expected true or false, found the number 3"]);
    assert_eq!(sample("plain: [1, x]").unwrap_err(), ["1:12 expected i8, found the text \"x\""]);
}
