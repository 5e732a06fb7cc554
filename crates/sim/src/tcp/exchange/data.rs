//! Any data, and one rule that replaces a pattern in both directions.

use offline::ConnectionSide;

use super::rule::PatternRule;
use super::script::{Exchange, ExchangeScript, HeardProgress};
use crate::dice::Dice;

const PORT: u16 = 7_000;

/// Patterns and replacements: shorter, equal, longer, empty; with repetitions inside the
/// pattern.
const RULES: &[(&str, &str)] = &[
    ("evil", "x"),
    ("evil", "good"),
    ("evil", "as good as can be"),
    ("evil", ""),
    ("aab", "c"),
    ("abab", "-"),
    ("%n", ""),
    ("/etc/passwd", "/dev/null"),
];

pub(super) fn exchange(dice: &mut Dice, short: bool) -> Exchange {
    let (pattern, with) = dice.pick(RULES);
    let rule = PatternRule { pattern: pattern.into(), with: with.into() };
    let patch = format!(
        "patch: replaced\ntitle: a pattern is replaced\nprotocol: data\nscope: {{ ports: [{PORT}], transport: tcp }}\n\
         rules:\n  - replace: data.data\n    pattern: \"{pattern}\"\n    with: \"{with}\"\n"
    );
    let mut script = ExchangeScript::new();
    let most = if short { 4 } else { 30 };
    let ahead = dice.pick(&[0, 0, 1, 1_000]);
    for _ in 0..dice.between(1, most) {
        let from = dice.pick(&[ConnectionSide::Client, ConnectionSide::Server]);
        let bytes = message(dice, pattern.as_bytes(), short);
        script.say(from, bytes.clone(), bytes, ahead);
    }
    let parts = script.finish(dice);
    Exchange {
        protocol: "data",
        port: PORT,
        patches: vec![patch],
        parts,
        progress: HeardProgress::Lines,
        rules: [Some(rule.clone()), Some(rule)],
    }
}

/// A line with patterns, pieces of patterns, and other bytes.
fn message(dice: &mut Dice, pattern: &[u8], short: bool) -> Vec<u8> {
    let long = if short { 300 } else { dice.pick(&[100, 1_000, 5_000, 5_000, 60_000]) };
    let len = dice.between(0, long);
    let density = dice.pick(&[1, 10, 40]);
    let mut bytes = Vec::new();
    while bytes.len() < len {
        if dice.percent(density) {
            match dice.below(4) {
                0 | 1 => bytes.extend_from_slice(pattern),
                2 => bytes.extend_from_slice(&pattern[..dice.between(1, pattern.len() - 1)]),
                _ => bytes.extend_from_slice(&pattern[dice.between(1, pattern.len() - 1)..]),
            }
        } else {
            for _ in 0..dice.between(1, 20) {
                bytes.push(b"0123456789 .,-"[dice.between(0, 13)]);
            }
        }
    }
    bytes.push(b'\n');
    bytes
}
