//! Byte strings: text with `\xNN` escapes, lists of them, and `{ repeat: X, times: N }`.
//!
//! Promises:  `\xNN` is one byte in every YAML quoting style; a character written as itself is its
//!            UTF-8 bytes.
//! Never:     makes more than [`BYTES_MAX`] bytes out of a small file.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::yaml::{BYTES, LITERAL};

/// Longest byte string: more than any message a test case has to send.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The help behind a bad escape.
pub(crate) const ESCAPES: &str =
    r#"escapes are \xNN \0 \a \b \t \n \v \f \r \e \" \' \\; a backslash itself is \\"#;

/// Bytes as a patch file writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteString(pub Vec<u8>);

/// A number, or bytes: the value of `set`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// A plain number.
    Number(u64),
    /// Anything else.
    Bytes(Vec<u8>),
}

struct BytesVisitor {
    numbers: bool,
}

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Literal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.numbers {
            f.write_str("a number or ")?;
        }
        f.write_str("a byte string: text, a list of byte strings, or { repeat: X, times: N }")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Literal, E> {
        Ok(Literal::Number(number))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Literal, E> {
        Ok(Literal::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Literal, A::Error> {
        let mut all = Vec::new();
        while let Some(ByteString(part)) = seq.next_element()? {
            if all.len().saturating_add(part.len()) > BYTES_MAX {
                return Err(A::Error::custom(too_long()));
            }
            all.extend(part);
        }
        Ok(Literal::Bytes(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Literal, A::Error> {
        let (mut unit, mut times) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "repeat" if unit.is_none() => unit = Some(map.next_value::<ByteString>()?.0),
                "times" if times.is_none() => times = Some(map.next_value::<usize>()?),
                _ => {
                    return Err(A::Error::custom(format!(
                        "expected {{ repeat: X, times: N }}, found the key `{key}`"
                    )));
                }
            }
        }
        let unit = unit.ok_or_else(|| A::Error::missing_field("repeat"))?;
        let times = times.ok_or_else(|| A::Error::missing_field("times"))?;
        if unit.len().saturating_mul(times) > BYTES_MAX {
            return Err(A::Error::custom(too_long()));
        }
        Ok(Literal::Bytes(unit.repeat(times)))
    }
}

fn too_long() -> String {
    format!("a byte string of more than {BYTES_MAX} bytes")
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_newtype_struct(BYTES, BytesVisitor { numbers: false })? {
            Literal::Bytes(bytes) => Ok(Self(bytes)),
            Literal::Number(number) => Ok(Self(number.to_string().into_bytes())),
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(LITERAL, BytesVisitor { numbers: true })
    }
}

impl JsonSchema for ByteString {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteString".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let this = generator.subschema_for::<Self>();
        json_schema!({
            "description": "Bytes: text with \\xNN escapes, a list of byte strings joined, or a repetition.",
            "anyOf": [
                { "type": ["string", "number", "boolean"] },
                { "type": "array", "items": this },
                {
                    "type": "object",
                    "properties": { "repeat": this, "times": { "type": "integer", "minimum": 0 } },
                    "required": ["repeat", "times"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Literal".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let bytes = generator.subschema_for::<ByteString>();
        json_schema!({
            "description": "A number (0x… for hexadecimal), or a byte string.",
            "anyOf": [{ "type": "integer", "minimum": 0 }, bytes]
        })
    }
}

/// A bad escape.
#[derive(Debug)]
pub(crate) struct BadEscape {
    /// Bytes of the text it covers.
    pub(crate) range: (usize, usize),
    pub(crate) message: String,
}

/// One simple escape letter's byte.
fn simple(letter: char) -> Option<u8> {
    Some(match letter {
        '0' => 0,
        'a' => 7,
        'b' => 8,
        't' => b'\t',
        'n' => b'\n',
        'v' => 11,
        'f' => 12,
        'r' => b'\r',
        'e' => 27,
        '"' => b'"',
        '\'' => b'\'',
        '\\' => b'\\',
        _ => return None,
    })
}

/// Undoes the escapes of plain, single-quoted and block scalars, and of strings in conditions.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, BadEscape> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let start = text.len().saturating_sub(escape.len());
        let letter = escape.chars().nth(1);
        let (byte, len) = match letter {
            Some('x') => {
                let digits =
                    escape.get(2..4).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
                (digits.and_then(|two| u8::from_str_radix(two, 16).ok()), 4)
            }
            Some(letter) => (simple(letter), letter.len_utf8().saturating_add(1)),
            None => (None, 1),
        };
        let Some(byte) = byte else {
            let end = start.saturating_add(len).min(text.len());
            let shown: String = escape.chars().take(len.min(4)).collect();
            return Err(BadEscape {
                range: (start, end),
                message: format!("`{shown}` is not an escape"),
            });
        };
        out.push(byte);
        rest = escape.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// The bytes of a double-quoted YAML scalar, quotes included: YAML has decoded `\xff` to the
/// character U+00FF by the time we see its value, so the escapes are undone again, from the file.
/// The YAML parser has already checked them.
pub(crate) fn of_double_quoted(source: &str) -> Vec<u8> {
    let inner = source.strip_prefix('"').unwrap_or(source);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut out: Vec<u8> = Vec::with_capacity(inner.len());
    let mut rest = inner;
    // White space that was escaped is not folded away: only blanks after this are.
    let mut kept = 0_usize;
    while let Some(c) = rest.chars().next() {
        let mut used = c.len_utf8();
        if c == '\\' {
            let letter = rest.chars().nth(1).unwrap_or('\\');
            let digits = match letter {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            used = used.saturating_add(letter.len_utf8()).saturating_add(digits);
            let code = rest.get(2..used).and_then(|hex| u32::from_str_radix(hex, 16).ok());
            match (letter, code) {
                ('x', Some(code)) => out.extend(u8::try_from(code)),
                ('u' | 'U', Some(code)) => push_char(&mut out, char::from_u32(code)),
                ('\n' | '\r', _) => {
                    let after = rest.get(1..).unwrap_or_default().trim_start();
                    used = rest.len().saturating_sub(after.len());
                }
                ('N', _) => push_char(&mut out, Some('\u{85}')),
                ('_', _) => push_char(&mut out, Some('\u{a0}')),
                ('L', _) => push_char(&mut out, Some('\u{2028}')),
                ('P', _) => push_char(&mut out, Some('\u{2029}')),
                (letter, _) => match simple(letter) {
                    Some(byte) => out.push(byte),
                    None => push_char(&mut out, Some(letter)),
                },
            }
            kept = out.len();
        } else if c == '\n' || c == '\r' {
            // A folded line end: blanks around it go, one line end is a space, each empty line
            // after it a line feed.
            while out.len() > kept && matches!(out.last(), Some(b' ' | b'\t')) {
                out.pop();
            }
            let after = rest.trim_start();
            used = rest.len().saturating_sub(after.len());
            let ends = rest.get(..used).unwrap_or_default().matches('\n').count();
            match ends {
                0 | 1 => out.push(b' '),
                more => out.extend(std::iter::repeat_n(b'\n', more.saturating_sub(1))),
            }
            kept = out.len();
        } else {
            push_char(&mut out, Some(c));
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    out
}

fn push_char(out: &mut Vec<u8>, c: Option<char>) {
    let mut buffer = [0; 4];
    out.extend_from_slice(c.unwrap_or('\u{fffd}').encode_utf8(&mut buffer).as_bytes());
}

/// Bytes as a diagnostic or `explain` shows them.
pub(crate) fn show(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 48;
    let mut out = String::new();
    for &byte in bytes.iter().take(SHOWN_BYTES_MAX) {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    if bytes.len() > SHOWN_BYTES_MAX {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;
    use crate::yaml::from_source;

    #[test]
    fn escapes_become_single_bytes() {
        assert_eq!(unescape(r"a\x00\xff\r\n\\").unwrap(), b"a\0\xff\r\n\\");
        assert_eq!(unescape("é").unwrap(), "é".as_bytes());
        for (bad, range) in [(r"a\q", (1, 3)), (r"\x4", (0, 3)), (r"\", (0, 1)), (r"\é", (0, 3))] {
            assert_eq!(unescape(bad).unwrap_err().range, range, "{bad}");
        }
    }

    #[test]
    fn blanks_behind_a_closing_quote_are_no_bytes() {
        let file = SourceFile::new("f", r#"[ "\xff" , 'a' , { repeat: "_" , times: 2 } ]"#);
        let ByteString(bytes) = from_source(&file).unwrap();
        assert_eq!(bytes, b"\xffa__");
    }

    #[test]
    fn double_quoted_text_is_read_from_the_file() {
        assert_eq!(of_double_quoted(r#""\x04A\xff\0\"\u00e9é""#), b"\x04A\xff\0\"\xc3\xa9\xc3\xa9");
        assert_eq!(of_double_quoted("\"a \n  b\\\n  c\n\n  d\""), b"a bc\nd");
        assert_eq!(of_double_quoted("\"a\\t\n b\""), b"a\t b");
    }
}
