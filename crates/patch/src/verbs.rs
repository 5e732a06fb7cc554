//! The verbs of the patch language: one row each, and one arm in [`words`].
//!
//! Holds:     the table. From it come the keys of a rule, the JSON Schema, the checks of operands
//!            and fields with their helps, and the reference in `docs/patch-language.md`.
//! Promises:  a verb that is in the table is known everywhere in this crate.
//! Never:     names a verb outside of this file, but in tests.

mod keys;
pub(crate) mod row;
mod shapes;

use plan::{Normalization, Reply, Transform};

use crate::bytes::{ByteString, Literal, show};
use crate::yaml::Spanned;
pub(crate) use keys::{WrittenOperand, WrittenVerb};
use row::{FieldsTaken, Operands, VerbRow};
pub use shapes::{Form, Keep, Whole};

const PATTERN: Operands = Operands::OneOf(&["pattern: BYTES", "regex: EXPRESSION"]);
const CLASS_OR_PATTERN: Operands =
    Operands::OneOf(&["bytes: CLASS", "pattern: BYTES", "regex: EXPRESSION"]);

keys::rule_keys! {
    of_fields {
        truncate Truncate "keeps the first `to` bytes" {
            takes: FieldsTaken::Bytes,
            needs: &[Operands::OneOf(&["to: N"])],
            may: &[],
            example: "{ truncate: ssrp.instance, to: 32 }",
            build: |build| Some(Transform::Truncate { to: build.length()? }),
        }
        cut_at CutAt "cuts from the first match on; with `keep: true` the match stays" {
            takes: FieldsTaken::Bytes,
            needs: &[PATTERN],
            may: &["keep: true", "ignore_case: true"],
            example: r#"{ cut_at: ftp.request.arg, pattern: "%n" }"#,
            build: |build| {
                let keep_match = build.keeps_match()?;
                Some(Transform::CutAt { pattern: build.pattern()?, keep_match })
            },
        }
        clamp Clamp "forces a number between `min` and `max`, both included" {
            takes: FieldsTaken::Numbers,
            needs: &[Operands::Some(&["min: N", "max: N"])],
            may: &[],
            example: "{ clamp: dns.rr.udp_payload_size, min: 512, max: 1232 }",
            build: |build| build.clamp(),
        }
        set Set "writes a number (plain) or bytes (quoted)" {
            takes: FieldsTaken::BytesOrNumbers,
            needs: &[Operands::OneOf(&["to: VALUE"])],
            may: &[],
            example: r#"{ set: 'http.header["accept-encoding"]', to: "identity" }"#,
            build: |build| build.set(),
        }
        clear Clear "clears the flag `bits` of a number" {
            takes: FieldsTaken::Numbers,
            needs: &[Operands::OneOf(&["bits: 0x…"])],
            may: &[],
            example: "{ clear: dns.flags, bits: 0x70 }",
            build: |build| Some(Transform::Clear { bits: build.bits()? }),
        }
        replace Replace "replaces every match by `with`, until none is left" {
            takes: FieldsTaken::Bytes,
            needs: &[PATTERN, Operands::OneOf(&["with: BYTES"])],
            may: &["ignore_case: true"],
            example: r#"{ replace: http.header, pattern: "${jndi:", with: "", ignore_case: true }"#,
            build: |build| build.replace(),
        }
        mask Mask "overwrites each byte of the class, or of each match, by the byte `with`. The length \
              stays: it is the cheapest edit" {
            takes: FieldsTaken::Bytes,
            needs: &[CLASS_OR_PATTERN, Operands::OneOf(&["with: BYTE"])],
            may: &["ignore_case: true"],
            example: r#"{ mask: http.request.uri, bytes: "\x00-\x1f\x7f", with: "_" }"#,
            build: |build| build.mask(),
        }
        remove Remove "takes the element away: header line, record, option, list item" {
            takes: FieldsTaken::Elements,
            needs: &[],
            may: &[],
            example: r#"{ remove: 'http.header["proxy"]' }"#,
            build: |_| Some(Transform::Remove),
        }
        keep_first KeepFirst "keeps the first `count` elements of the message" {
            takes: FieldsTaken::Elements,
            needs: &[Operands::OneOf(&["count: N"])],
            may: &[],
            example: "{ keep_first: http.header, count: 100 }",
            build: |build| Some(Transform::KeepFirst { count: build.count()? }),
        }
        dedupe Dedupe "of elements with the same value (ASCII case aside), keeps one" {
            takes: FieldsTaken::Elements,
            needs: &[Operands::OneOf(&["keep: first", "keep: last"])],
            may: &[],
            example: r#"{ dedupe: 'http.header["content-length"]', keep: first }"#,
            build: |build| Some(Transform::Dedupe { keep_last: build.keeps_last()? }),
        }
        normalize Normalize "rewrites into canonical form. `path`: no dot segments. `white_space`: runs of \
                   blanks become one, and none is left at the ends. `line_ends`: CR or LF alone \
                   becomes CRLF" {
            takes: FieldsTaken::Bytes,
            needs: &[Operands::OneOf(&["as: path", "as: white_space", "as: line_ends"])],
            may: &[],
            example: "{ normalize: http.request.uri.path, as: path }",
            build: |build| Some(Transform::Normalize(build.form()?)),
        }
        pad Pad "appends the byte `with` until there are `to` bytes" {
            takes: FieldsTaken::Bytes,
            needs: &[Operands::OneOf(&["to: N"]), Operands::OneOf(&["with: BYTE"])],
            may: &[],
            example: r#"{ pad: ftp.request.arg, to: 4, with: " " }"#,
            build: |build| Some(Transform::Pad { to: build.length()?, with: build.one_byte()? }),
        }
        discard Discard "discards the rest of the unit after the field" {
            takes: FieldsTaken::Any,
            needs: &[],
            may: &[],
            example: "{ discard: ssrp.instance }",
            build: |_| Some(Transform::Discard),
        }
    }
    of_messages {
        drop Drop "message" "the message goes no further" {
            takes: FieldsTaken::Any,
            needs: &[],
            may: &[],
            example: "{ when: dns.flags.opcode == 5, drop: message }",
            build: |_| Some(Transform::Drop),
        }
        refuse Refuse "message" "swallows the message and answers: with the protocol's own answer of that \
                          name (its first without `with`), or with the bytes of `reply`. The \
                          connection lives on" {
            takes: FieldsTaken::Any,
            needs: &[],
            may: &["with: NAME", "reply: BYTES"],
            example: "{ when: ftp.request.command == \"SITE\", refuse: message }",
            build: |build| Some(Transform::Refuse(build.reply()?)),
        }
        close Close "connection" "resets both ends. With an answer, the client gets it and the connection \
                            ends in order behind it. A datagram is dropped, or answered" {
            takes: FieldsTaken::Any,
            needs: &[],
            may: &["with: NAME", "reply: BYTES"],
            example: "{ when: len(ftp.request.arg) > 512, close: connection }",
            build: |build| Some(Transform::Close(build.reply_if_given()?)),
        }
    }
    operands {
        to "to": Literal = "a length in bytes, or the value to write";
        pattern "pattern": ByteString = "the bytes to look for";
        regex "regex": String = "a regular expression over bytes to look for. Write it in single quotes";
        ignore_case "ignore_case": bool = "the pattern matches without ASCII case";
        keep "keep": Keep = "of `cut_at`, whether the match stays (`true`); of `dedupe`, which stays (`first`, `last`)";
        min "min": u64 = "lower bound";
        max "max": u64 = "upper bound";
        bits "bits": u64 = "flag bits";
        bytes "bytes": ByteString = "a class of bytes, ranges written `a-z`, as in `\"\\x00-\\x1f\\x7f\"`";
        with "with": ByteString = "the bytes put in, or the name of the protocol's answer";
        reply "reply": ByteString = "the answer's bytes";
        count "count": u32 = "how many";
        form "as": Form = "which canonical form";
    }
}

/// A transform in the words of the patch file, for `explain`: the verb, and the rest.
pub(crate) fn words(transform: &Transform, replies: &[&str]) -> String {
    let (verb, rest) = match transform {
        Transform::Truncate { to } => (Verb::Truncate, format!(" to {to}")),
        Transform::CutAt { pattern, keep_match: false } => {
            (Verb::CutAt, format!(" {}", pattern.text))
        }
        Transform::CutAt { pattern, keep_match: true } => {
            (Verb::CutAt, format!(" after {}", pattern.text))
        }
        Transform::Clamp { min, max: u64::MAX } => (Verb::Clamp, format!(" to at least {min}")),
        Transform::Clamp { min, max } => (Verb::Clamp, format!(" to {min}..{max}")),
        Transform::SetNumber(number) => (Verb::Set, format!(" to {number}")),
        Transform::SetBytes(bytes) => (Verb::Set, format!(" to \"{}\"", show(bytes))),
        Transform::Clear { bits } => (Verb::Clear, format!(" {bits:#x}")),
        Transform::Replace { pattern, with } => {
            (Verb::Replace, format!(" {} with \"{}\"", pattern.text, show(with)))
        }
        Transform::Mask { with, .. } => {
            (Verb::Mask, format!(" a class with \"{}\"", show(&[*with])))
        }
        Transform::MaskPattern { pattern, with } => {
            (Verb::Mask, format!(" {} with \"{}\"", pattern.text, show(&[*with])))
        }
        Transform::Remove => (Verb::Remove, String::new()),
        Transform::KeepFirst { count } => (Verb::KeepFirst, format!(" {count}")),
        Transform::Dedupe { keep_last: false } => (Verb::Dedupe, ", keep first".to_owned()),
        Transform::Dedupe { keep_last: true } => (Verb::Dedupe, ", keep last".to_owned()),
        Transform::Normalize(form) => {
            let form = match form {
                Normalization::Path => "path",
                Normalization::WhiteSpace => "white_space",
                Normalization::LineEnds => "line_ends",
            };
            (Verb::Normalize, format!(" as {form}"))
        }
        Transform::Pad { to, with } => (Verb::Pad, format!(" to {to} with \"{}\"", show(&[*with]))),
        Transform::Discard => (Verb::Discard, String::new()),
        Transform::Drop => (Verb::Drop, String::new()),
        Transform::Refuse(reply) => {
            (Verb::Refuse, format!(" with {}", reply_words(reply, replies)))
        }
        Transform::Close(Some(reply)) => {
            (Verb::Close, format!(" with {}", reply_words(reply, replies)))
        }
        Transform::Close(None) => (Verb::Close, String::new()),
    };
    format!("{}{rest}", verb.key())
}

fn reply_words(reply: &Reply, replies: &[&str]) -> String {
    match reply {
        Reply::Protocol(which) => (*replies.get(usize::from(*which)).unwrap_or(&"?")).to_owned(),
        Reply::Custom(bytes) => format!("\"{}\"", show(bytes)),
    }
}
