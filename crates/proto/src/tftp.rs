//! The Trivial File Transfer Protocol (RFC 1350, 2347), UDP 69: requests, and whatever else comes
//! to or from that port.
//!
//! Promises:  a string is what a server takes for one: up to its NUL, or to the end of the
//!            datagram.

use crate::decoder::{Dissection, ProtocolDecoder, Refusal, Refused, SampleMessage, View};
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Transport};
use crate::wanted::Wanted;
use stage::Direction;
use stage::position::plus;

/// The decoder.
pub struct Tftp;

const OPCODE: FieldId = FieldId(0);
const SOURCE_FILE: FieldId = FieldId(1);
const DESTINATION_FILE: FieldId = FieldId(2);
const TYPE: FieldId = FieldId(3);
const OPTION_NAME: FieldId = FieldId(4);
const OPTION_VALUE: FieldId = FieldId(5);
const BLOCK: FieldId = FieldId(6);
const DATA: FieldId = FieldId(7);
const ERROR_CODE: FieldId = FieldId(8);
const ERROR_MESSAGE: FieldId = FieldId(9);
const MALFORMED: FieldId = FieldId(10);

const fn uint16(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef {
        name,
        kind: FieldKind::Uint(16),
        editable: Editable::SameLength,
        help,
        ..FieldDef::UINT
    }
}

const fn text(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { name, help, ..FieldDef::TEXT }
}

const fn option(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { repeated: true, element: true, ..text(name, help) }
}

static PROTOCOL: Protocol = Protocol {
    name: "tftp",
    title: "Trivial File Transfer Protocol",
    ports: &[(Transport::Udp, &[69])],
    fields: &[
        uint16("tftp.opcode", "1 read, 2 write, 3 data, 4 acknowledgement, 5 error, 6 options."),
        text("tftp.source_file", "File of a read request, without its NUL."),
        text("tftp.destination_file", "File of a write request, without its NUL."),
        text("tftp.type", "Transfer mode of a request: netascii, octet, mail."),
        option("tftp.option.name", "Option name; its element is the option."),
        option("tftp.option.value", "Option value; its element is the option."),
        uint16("tftp.block", "Block number of data or acknowledgement."),
        FieldDef { name: "tftp.data", help: "Data of a block.", ..FieldDef::BYTES },
        uint16("tftp.error.code", "Error code."),
        text("tftp.error.message", "Error message, without its NUL."),
        FieldDef {
            name: "_ws.malformed",
            help: "Under four bytes, or a string without its NUL.",
            ..FieldDef::BOOL
        },
    ],
    unit: "a datagram",
    readings: include_str!("readings/tftp.md"),
    refusals: &[
        "illegal_operation",
        "file_not_found",
        "access_violation",
        "disk_full",
        "undefined",
    ],
};

/// Code and text of each refusal (RFC 1350, appendix).
const ERRORS: [(u8, &[u8]); 5] = [
    (4, b"Illegal TFTP operation"),
    (1, b"File not found"),
    (2, b"Access violation"),
    (3, b"Disk full or allocation exceeded"),
    (0, b"Not accepted"),
];

impl ProtocolDecoder for Tftp {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "tftp-request",
        from: Direction::Request,
        bytes: b"\0\x01firmware/image.bin\0octet\0blksize\x001428\0",
    }];

    type State = ();

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        let input = view.input;
        let well_formed = dissect(wanted, input, out).is_some() && input.len() >= 4;
        if !well_formed && wanted.has(MALFORMED) {
            out.number(MALFORMED.0, Span::new(input.len(), input.len()), 1);
        }
        Dissection::Message
    }

    fn refuse(&self, _what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        // An error is never answered (RFC 1350 section 7), nor is what says nothing.
        if let [0, 5, ..] | [] | [_] = view.input {
            return Refusal::Silence;
        }
        let Some((code, text)) = ERRORS.get(usize::from(which)) else { return Refusal::Silence };
        out.extend_from_slice(&[0, 5, 0, *code]);
        out.extend_from_slice(text);
        out.push(0);
        Refusal::Reply
    }
}

/// `None`: malformed.
fn dissect(wanted: &Wanted, input: &[u8], out: &mut Fields) -> Option<()> {
    let opcode = number(wanted, OPCODE, input, 0, out)?;
    match opcode {
        1 | 2 => {
            let file = if opcode == 1 { SOURCE_FILE } else { DESTINATION_FILE };
            let at = string(wanted, file, input, 2, out)?;
            let at = string(wanted, TYPE, input, at, out)?;
            options(wanted, input, at, out)
        }
        3 | 4 => {
            number(wanted, BLOCK, input, 2, out)?;
            if opcode == 3 && wanted.has(DATA) {
                out.bytes(DATA.0, Span::new(4, input.len()));
            }
            Some(())
        }
        5 => {
            number(wanted, ERROR_CODE, input, 2, out)?;
            string(wanted, ERROR_MESSAGE, input, 4, out).map(|_| ())
        }
        6 => options(wanted, input, 2, out),
        _ => Some(()),
    }
}

fn number(wanted: &Wanted, id: FieldId, input: &[u8], at: usize, out: &mut Fields) -> Option<u16> {
    let number = u16::from_be_bytes(*input.get(at..)?.first_chunk()?);
    if wanted.has(id) {
        out.number(id.0, Span::new(at, plus(at, 2)), u64::from(number));
    }
    Some(number)
}

/// The text at `start`, and where the next begins if this one has its NUL.
fn until_nul(input: &[u8], start: usize) -> (Span, Option<usize>) {
    let rest = input.get(start..).unwrap_or_default();
    let nul = memchr::memchr(0, rest);
    let end = plus(start, nul.unwrap_or(rest.len()));
    (Span::new(start, end), nul.map(|_| plus(end, 1)))
}

fn string(
    wanted: &Wanted,
    id: FieldId,
    input: &[u8],
    start: usize,
    out: &mut Fields,
) -> Option<usize> {
    let (span, next) = until_nul(input, start);
    if wanted.has(id) {
        out.bytes(id.0, span);
    }
    next
}

//= https://www.rfc-editor.org/rfc/rfc2347
/// Pairs of strings to the end.
fn options(wanted: &Wanted, input: &[u8], mut at: usize, out: &mut Fields) -> Option<()> {
    let mut group = 0_u16;
    while at < input.len() {
        group = group.saturating_add(1);
        let (name, value_at) = until_nul(input, at);
        let (value, next) = until_nul(input, value_at.unwrap_or(input.len()));
        let element = Span::new(at, next.unwrap_or(input.len()));
        for (id, span, there) in
            [(OPTION_NAME, name, true), (OPTION_VALUE, value, value_at.is_some())]
        {
            if there && wanted.has(id) {
                let flags = Flags::NONE;
                out.push(Field {
                    slot: id.0,
                    group,
                    flags,
                    value: span,
                    element,
                    ..Field::default()
                });
            }
        }
        at = next?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stage::Direction;

    fn view(input: &[u8]) -> View<'_> {
        View { input, from: Direction::Request, open: false, ended: false }
    }

    #[track_caller]
    fn check(input: &[u8], want: &[&str]) {
        let mut wanted = Wanted::new(&PROTOCOL);
        for id in 0..PROTOCOL.fields.len() {
            wanted.want(FieldId(u16::try_from(id).unwrap()));
        }
        let mut fields = Fields::new();
        assert_eq!(Tftp.datagram(&wanted, view(input), &mut fields), Dissection::Message);
        let shown = fields.items().iter().map(|field| {
            let def = PROTOCOL.def(FieldId(field.slot)).unwrap();
            match def.kind {
                FieldKind::Uint(_) | FieldKind::Bool => format!("{}={}", def.name, field.number),
                FieldKind::Bytes | FieldKind::Text => {
                    format!("{}={}", def.name, field.value.of(input).escape_ascii())
                }
            }
        });
        assert_eq!(shown.collect::<Vec<_>>(), want);
        for field in fields.items().iter().filter(|field| field.group > 0) {
            assert_eq!(field.element.of(input).iter().filter(|byte| **byte == 0).count(), 2);
        }
    }

    #[test]
    fn requests() {
        check(
            b"\0\x01a.txt\0octet\0",
            &["tftp.opcode=1", "tftp.source_file=a.txt", "tftp.type=octet"],
        );
        check(
            b"\0\x02b\0netascii\0blksize\x001428\0tsize\x000\0",
            &[
                "tftp.opcode=2",
                "tftp.destination_file=b",
                "tftp.type=netascii",
                "tftp.option.name=blksize",
                "tftp.option.value=1428",
                "tftp.option.name=tsize",
                "tftp.option.value=0",
            ],
        );
    }

    #[test]
    fn the_rest() {
        check(b"\0\x03\0\x01abc", &["tftp.opcode=3", "tftp.block=1", "tftp.data=abc"]);
        check(b"\0\x04\x01\x02", &["tftp.opcode=4", "tftp.block=258"]);
        check(
            b"\0\x05\0\x01no\0",
            &["tftp.opcode=5", "tftp.error.code=1", "tftp.error.message=no"],
        );
        check(b"\0\x06a\0b\0", &["tftp.opcode=6", "tftp.option.name=a", "tftp.option.value=b"]);
        check(b"\x01\0xy", &["tftp.opcode=256"]);
    }

    #[test]
    fn what_a_server_cannot_read_is_malformed() {
        check(b"", &["_ws.malformed=1"]);
        check(b"\0", &["_ws.malformed=1"]);
        check(b"\0\x01", &["tftp.opcode=1", "tftp.source_file=", "_ws.malformed=1"]);
        check(b"\0\x01ab", &["tftp.opcode=1", "tftp.source_file=ab", "_ws.malformed=1"]);
        check(
            b"\0\x01a\0o",
            &["tftp.opcode=1", "tftp.source_file=a", "tftp.type=o", "_ws.malformed=1"],
        );
        check(b"\0\x04\x01", &["tftp.opcode=4", "_ws.malformed=1"]);
        check(b"\0\x09\x01", &["tftp.opcode=9", "_ws.malformed=1"]);
    }

    #[test]
    fn refusals() {
        for (which, (code, text)) in (0..).zip(ERRORS) {
            let mut out = Vec::new();
            let request = view(b"\0\x01a\0octet\0");
            assert_eq!(Tftp.refuse(Refused::Datagram, which, request, &mut out), Refusal::Reply);
            assert_eq!(out, [&[0, 5, 0, code], text, &[0]].concat());
        }
        assert_eq!(PROTOCOL.refusals.len(), ERRORS.len());
        let error = view(b"\0\x05\0\x01no\0");
        assert_eq!(Tftp.refuse(Refused::Datagram, 0, error, &mut Vec::new()), Refusal::Silence);
    }
}
