//! Patterns and byte classes, and the messages about wrong ones.

use plan::pattern::PatternError;
use plan::{ByteSet, Pattern};
use regex_automata::dfa::Automaton;

use crate::bytes::show;

/// A message, and a help.
pub(crate) type Refused = (String, Option<String>);

/// One literal.
pub(crate) fn literal(bytes: &[u8], ignore_case: bool) -> Result<Pattern, Refused> {
    let text = show(bytes);
    Pattern::literals(&text, &[bytes], ignore_case).map_err(refused)
}

/// A regular expression over bytes.
pub(crate) fn regex(text: &str, ignore_case: bool) -> Result<Pattern, Refused> {
    Pattern::regex(text, ignore_case).map_err(refused)
}

/// A condition's string as the text of a regular expression: bytes that are no ASCII become `\xNN`,
/// since expressions are over bytes. A raw string is taken as it is.
pub(crate) fn regex_text(bytes: &[u8], raw: bool) -> String {
    if raw && let Ok(text) = core::str::from_utf8(bytes) {
        return text.to_owned();
    }
    bytes
        .iter()
        .map(
            |&byte| {
                if byte.is_ascii() {
                    char::from(byte).to_string()
                } else {
                    format!(r"\x{byte:02x}")
                }
            },
        )
        .collect()
}

fn refused(error: PatternError) -> Refused {
    match error {
        PatternError::MatchesEmpty => {
            ("this pattern matches nothing at all, which is everywhere".to_owned(), None)
        }
        PatternError::LookAround => (
            "^, $ and \\b have no meaning in a stream".to_owned(),
            Some("use starts_with and ends_with, or name the bytes around the match".to_owned()),
        ),
        PatternError::TooLarge => (
            "this expression's automaton is too large".to_owned(),
            Some("shorten its counted repetitions, or split it into several rules".to_owned()),
        ),
        PatternError::Syntax(words) => {
            // The parser draws the expression and an arrow under it; its last line names the
            // mistake.
            let last = words.lines().last().unwrap_or_default();
            let what = last.strip_prefix("error: ").unwrap_or(last);
            (format!("this is no regular expression: {what}"), None)
        }
    }
}

/// A class of bytes. Each byte means itself, `a-z` a range, and `-` at either end itself.
pub(crate) fn byte_set(class: &[u8]) -> Result<ByteSet, String> {
    let mut set = ByteSet::new();
    let mut rest = class;
    if rest.is_empty() {
        return Err("an empty class of bytes".to_owned());
    }
    loop {
        match *rest {
            [low, b'-', high, ref after @ ..] => {
                if high < low {
                    return Err(format!("the range {} is empty", show(&[low, b'-', high])));
                }
                (low..=high).for_each(|byte| set.insert(byte));
                rest = after;
            }
            [byte, ref after @ ..] => {
                set.insert(byte);
                rest = after;
            }
            [] => return Ok(set),
        }
    }
}

/// Whether bytes *before* `with` can make a match together with its beginning. Asked of
/// replacements that are as long as a match: each new match would be replaced in turn, and the
/// field might grow without bound. (A match of its end with bytes *after* it is harmless: each
/// takes up a byte of input.)
pub(crate) fn may_match_back(pattern: &Pattern, with: &[u8]) -> bool {
    if with.is_empty() {
        return false;
    }
    if let Some(automaton) = &pattern.anchored {
        return automaton_reads(automaton, with);
    }
    let fold = |bytes: &[u8]| -> Vec<u8> {
        if pattern.ignore_case { bytes.to_ascii_lowercase() } else { bytes.to_vec() }
    };
    let with = fold(with);
    pattern.literals.iter().any(|literal| {
        let literal = fold(literal);
        // A tail that the literal also begins with is no danger: the bytes before would have
        // matched with the literal.
        (1..literal.len()).any(|from| {
            let tail = literal.get(from..).unwrap_or_default();
            with.starts_with(tail) && !literal.starts_with(tail)
        })
    })
}

/// From every state the automaton can be in after some bytes: does reading `with` end a match, or
/// may one go on after it?
fn automaton_reads(automaton: &regex_automata::dfa::dense::DFA<Vec<u32>>, with: &[u8]) -> bool {
    use regex_automata::Anchored;
    use regex_automata::util::start::Config;

    let Ok(start) = automaton.start_state(&Config::new().anchored(Anchored::Yes)) else {
        return true;
    };
    // The automaton reports a match one byte late: a state may be alive only for a match that has
    // ended.
    let goes_on = |state| {
        automaton.is_match_state(automaton.next_eoi_state(state))
            || (0..=u8::MAX).any(|byte| !automaton.is_dead_state(automaton.next_state(state, byte)))
    };
    let survives = |mut state| {
        for &byte in with {
            state = automaton.next_state(state, byte);
            if automaton.is_dead_state(state) {
                return false;
            }
            if automaton.is_match_state(automaton.next_eoi_state(state)) {
                return true;
            }
        }
        goes_on(state)
    };
    let mut seen = std::collections::HashSet::from([start]);
    let mut open = vec![start];
    while let Some(state) = open.pop() {
        for byte in 0..=u8::MAX {
            let next = automaton.next_state(state, byte);
            if !automaton.is_dead_state(next) && seen.insert(next) {
                if survives(next) {
                    return true;
                }
                open.push(next);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_have_ranges_and_plain_dashes() {
        let set = byte_set(b"\x00-\x1f,a-").unwrap();
        for byte in [0, 0x1f, b',', b'a', b'-'] {
            assert!(set.contains(byte), "{byte:#x}");
        }
        assert!(!set.contains(b'b') && !set.contains(0x20));
        assert!(byte_set(b"z-a").is_err() && byte_set(b"").is_err());
    }

    #[test]
    fn replacements_that_may_feed_their_own_pattern_are_known() {
        for (text, with, of_literal, of_regex) in [
            ("ab", "bba", true, true),
            ("${", "$_{", false, false),
            ("aa", "ba", false, false),
            ("aa", "ab", false, true),
            ("/../", "/./x", false, true),
            ("/a/", "-b/", false, false),
            ("jndi", "xxxx", false, false),
        ] {
            let literal = Pattern::literals(text, &[text.as_bytes()], false).unwrap();
            assert_eq!(may_match_back(&literal, with.as_bytes()), of_literal, "{text} {with}");
            let escaped: String =
                text.chars().map(|c| format!(r"\x{:02x}", u32::from(c))).collect();
            let regex = Pattern::regex(&escaped, false).unwrap();
            assert_eq!(may_match_back(&regex, with.as_bytes()), of_regex, "regex {text} {with}");
        }
        let repeated = Pattern::regex("a+", false).unwrap();
        assert!(!may_match_back(&repeated, b"x"));
        assert!(may_match_back(&Pattern::regex("a+x?b", false).unwrap(), b"x"));
    }
}
