//! From text to tokens.

use super::tree::TextRange;
use crate::bytes::{ESCAPES, unescape};

/// A mistake in a condition's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) at: TextRange,
    pub(crate) message: String,
    pub(crate) note: Option<String>,
    pub(crate) help: Option<String>,
}

impl Complaint {
    pub(super) fn new(at: TextRange, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), note: None, help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A field, function, or word operator.
    Word(String),
    Number(u64),
    /// The bytes, and whether the string was raw.
    Text(Vec<u8>, bool),
    Octets(Vec<u8>),
    /// An operator or bracket.
    Sign(&'static str),
    End,
}

impl Token {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Number(number) => format!("the number {number}"),
            Self::Text(..) => "a string".to_owned(),
            Self::Octets(_) => "a byte string".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end of the condition".to_owned(),
        }
    }
}

/// Longest first, so that `<=` is not read as `<`. Those at the end are Wireshark's, known only to
/// be refused by name.
const SIGNS: &[&str] = &[
    "===", "!==", "==", "!=", "~=", "<=", ">=", "&&", "||", "^^", "..", "<", ">", "!", "~", "(",
    ")", "[", "]", "{", "}", ",", ":", "+", "-", "*", "&", "/", "%", "@", "#", "$",
];

/// A condition longer than this is a mistake.
const TEXT_BYTES_MAX: usize = 16 * 1024;

pub(super) fn tokens(text: &str) -> Result<Vec<(Token, TextRange)>, Complaint> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Complaint::new(
            (0, 1),
            format!("a condition of more than {TEXT_BYTES_MAX} bytes"),
        ));
    }
    let mut out = Vec::new();
    // Inside `[…]`, `10:20` is a slice; outside, it is two bytes.
    let mut brackets = 0_usize;
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        at = text.len().saturating_sub(trimmed.len());
        if trimmed.is_empty() {
            out.push((Token::End, (text.len(), text.len())));
            return Ok(out);
        }
        let (token, len) = one(trimmed, at, brackets > 0)?;
        match token {
            Token::Sign("[") => brackets = brackets.saturating_add(1),
            Token::Sign("]") => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        out.push((token, (at, at.saturating_add(len))));
        at = at.saturating_add(len);
    }
}

/// The token at the front of `rest`, which begins at `at`, and its length.
fn one(rest: &str, at: usize, in_brackets: bool) -> Result<(Token, usize), Complaint> {
    if let Some(quoted) = rest.strip_prefix("r\"") {
        return string(quoted, at, 2, true);
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        return string(quoted, at, 1, false);
    }
    if !in_brackets && let Some((octets, len)) = octets(rest) {
        return Ok((Token::Octets(octets), len));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
    if first.is_ascii_digit() {
        // Two dots are a range's, one is the number's (and wrong).
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        return number(word, at).map(|number| (Token::Number(number), len));
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let mut word: &str =
            rest.get(..rest.find(|c| !is_word(c)).unwrap_or(rest.len())).unwrap_or_default();
        if let Some(range) = word.find("..") {
            word = word.get(..range).unwrap_or_default();
        }
        let word = word.trim_end_matches(['.', '-']);
        return Ok((Token::Word(word.to_owned()), word.len()));
    }
    if first == '\'' {
        let len = rest
            .get(1..)
            .and_then(|after| after.find('\''))
            .map_or(rest.len(), |end| end.saturating_add(2));
        return Err(Complaint::new(
            (at, at.saturating_add(len)),
            "character constants are not part of the language",
        )
        .help("write a string, \"…\", or the number"));
    }
    for sign in SIGNS {
        if rest.starts_with(sign) {
            let range = (at, at.saturating_add(sign.len()));
            let instead = match *sign {
                "===" | "~=" | "!==" => "the comparisons are ==, !=, <, <=, >, >=",
                "^^" => "there is no xor: write it with and, or, not",
                "/" | "%" => "arithmetic is +, -, * and &",
                "@" | "#" => "raw fields and layer numbers are not part of the language",
                "$" => "references to the selected packet have no meaning here",
                _ => return Ok((Token::Sign(sign), sign.len())),
            };
            return Err(Complaint::new(range, format!("`{sign}` is not part of the language"))
                .help(instead));
        }
    }
    let range = (at, at.saturating_add(first.len_utf8()));
    let complaint = Complaint::new(range, format!("`{first}` has no meaning in a condition"));
    Err(match first {
        '=' => complaint.help("equality is `==`"),
        '|' => complaint.help("`or` is `||`"),
        '“' | '”' | '„' => complaint.help("strings stand in straight double quotes"),
        _ => complaint,
    })
}

fn string(quoted: &str, at: usize, opening: usize, raw: bool) -> Result<(Token, usize), Complaint> {
    let mut escaped = false;
    for (end, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => {
                let body = quoted.get(..end).unwrap_or_default();
                let len = opening.saturating_add(end).saturating_add(1);
                if raw {
                    return Ok((Token::Text(body.as_bytes().to_vec(), true), len));
                }
                let base = at.saturating_add(opening);
                return unescape(body).map(|bytes| (Token::Text(bytes, false), len)).map_err(
                    |bad| {
                        let (start, end) = bad.range;
                        Complaint::new(
                            (base.saturating_add(start), base.saturating_add(end)),
                            bad.message,
                        )
                        .help(format!("{ESCAPES}; for a regular expression write r\"…\""))
                    },
                );
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let end = at.saturating_add(opening).saturating_add(quoted.len());
    Err(Complaint::new((at, end), "this string has no closing quote"))
}

/// `0a:0b:0c`, or `0a:` for one byte.
fn octets(rest: &str) -> Option<(Vec<u8>, usize)> {
    let bytes = rest.as_bytes();
    let mut out = Vec::new();
    let mut at = 0_usize;
    let end = loop {
        let pair = rest.get(at..at.saturating_add(2))?;
        if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
            // A colon that nothing follows ends a string of one byte.
            if out.len() == 1 {
                break at;
            }
            return None;
        }
        out.push(u8::from_str_radix(pair, 16).ok()?);
        at = at.saturating_add(2);
        match bytes.get(at) {
            Some(b':') => at = at.saturating_add(1),
            _ if out.len() > 1 => break at,
            _ => return None,
        }
        let more = rest
            .get(at..at.saturating_add(2))
            .is_some_and(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()));
        if !more {
            break at;
        }
    };
    let next = bytes.get(end).copied().unwrap_or(b' ');
    (!next.is_ascii_alphanumeric() && next != b'_').then_some((out, end))
}

fn number(word: &str, at: usize) -> Result<u64, Complaint> {
    let range = (at, at.saturating_add(word.len()));
    let lower = word.to_ascii_lowercase();
    let parsed = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        u64::from_str_radix(binary, 2)
    } else if lower.len() > 1 && lower.starts_with('0') && lower.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Complaint::new(range, format!("`{word}` begins with 0"))
            .note("Wireshark reads such a number as octal, people as decimal")
            .help("write it without the 0, or in hexadecimal with 0x"));
    } else {
        lower.parse()
    };
    parsed.map_err(|_| {
        Complaint::new(range, format!("`{word}` is not a number")).help(
            "numbers are decimal or 0x… of at most 64 bits; byte strings are written 0a:0b:0c",
        )
    })
}
