//! Random token strings and random YAML: each gets an answer, and none a panic.

use super::ground::{patch_text, read};
use crate::condition::functions;

/// xorshift64*: the same strings on every run.
struct TokenSource(u64);

impl TokenSource {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[usize::try_from(self.next() >> 33).unwrap() % from.len()]
    }
}

const TOKENS: &[&str] = &[
    "toy.name",
    "toy.opcode",
    "toy.header",
    "toy.header[\"a\"]",
    "toy.record.kind",
    "toy.broken",
    "nope.field",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "and",
    "or",
    "not",
    "!",
    "&&",
    "||",
    "in",
    "not in",
    "{",
    "}",
    "..",
    ",",
    "(",
    ")",
    "[",
    "]",
    "[0:2]",
    "[-1]",
    "[1-3]",
    "[:2]",
    "[2:]",
    "contains",
    "matches",
    "starts_with",
    "ends_with",
    "~",
    "5",
    "0x10",
    "0a:0b",
    "\"text\"",
    "r\"a.*b\"",
    "\"\\x00\"",
    "\"(\"",
    "peer",
    "true",
    "+",
    "-",
    "*",
    "&",
    "frob(",
    "é",
    "'a'",
    "===",
    "10:20",
];

#[test]
fn random_conditions_are_answered() {
    let mut random = TokenSource(0x5eed_0001);
    let (mut good, mut bad) = (0, 0);
    let calls: Vec<String> =
        functions::names(None).into_iter().map(|name| format!("{name}(")).collect();
    let tokens: Vec<&str> =
        TOKENS.iter().copied().chain(calls.iter().map(|call| &**call)).collect();
    for _ in 0..6_000 {
        let length = 1 + random.next() % 9;
        let text: Vec<&str> = (0..length).map(|_| random.pick(&tokens)).collect();
        let text = text.join(" ");
        // In single quotes, so that YAML sees one scalar.
        let yaml =
            patch_text(&format!("  - when: '{}'\n    drop: message\n", text.replace('\'', "''")));
        match read(&yaml) {
            Ok(_) => good += 1,
            Err(found) => {
                bad += 1;
                assert!(!found.is_empty());
                for one in found {
                    assert_eq!(one.at.line, 5, "{text}\n{one}");
                    assert!(one.at.column >= 11 && one.at.width >= 1, "{text}\n{one}");
                    assert!(
                        one.at.column <= one.at.source_line.chars().count() + 1,
                        "{text}\n{one}"
                    );
                }
            }
        }
    }
    assert!(good > 10 && bad > 1_000, "{good} good, {bad} bad");
}

#[test]
fn deep_conditions_are_refused_and_not_recursed_into() {
    for (open, close) in [("(", ")"), ("not ", ""), ("len(", ")"), ("lower(", ")")] {
        let text = format!("{}toy.name{}", open.repeat(2_000), close.repeat(2_000));
        let found = read(&patch_text(&format!("  - when: {text}\n    drop:\n"))).unwrap_err();
        assert!(found[0].message.contains("nested too deeply"), "{open}: {}", found[0].message);
    }
    let sum = vec!["1"; 2_000].join(" + ");
    assert!(read(&patch_text(&format!("  - when: {sum} == 3\n    drop:\n"))).is_err());
}

#[test]
fn random_edits_of_a_good_file_are_answered() {
    let base = format!(
        "{}tests:\n  - name: n\n    request: [\"\\x04\", {{ repeat: A, times: 4 }}]\n    unchanged: true\n",
        patch_text(
            "  - when: toy.opcode == 4 and toy.name contains \"\\x00\"\n    truncate: toy.name\n    to: 32\n  - mask: toy.name\n    bytes: \"\\x00-\\x1f\"\n    with: ' '\n"
        )
    );
    let bits = [
        "\"", "'", ":", "\n", "  ", "- ", "{", "}", "[", "]", "\\", "|", ">", "&a", "*a", "!t",
        "\t", "é", "#", "? ",
    ];
    let mut random = TokenSource(0x5eed_0002);
    for _ in 0..2_000 {
        let mut text = base.clone();
        for _ in 0..=random.next() % 3 {
            let mut at = usize::try_from(random.next() >> 33).unwrap() % (text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            if random.next().is_multiple_of(2) {
                text.insert_str(at, random.pick(&bits));
            } else {
                let end = (at + 3).min(text.len());
                if text.is_char_boundary(end) {
                    text.replace_range(at..end, "");
                }
            }
        }
        if let Err(found) = read(&text) {
            assert!(!found.is_empty(), "{text}");
        }
    }
}
