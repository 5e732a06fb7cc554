//! The SQL Server Resolution Protocol (MC-SQLR), UDP 1434: which instances a host has, and where
//! they listen.
//!
//! Promises:  an instance name is what a server takes for one: up to its NUL, or to the end of the
//!            datagram.

use crate::decoder::{Dissection, ProtocolDecoder, Repair, SampleMessage, View};
use crate::edits::Edits;
use crate::fields::{Fields, Span};
use crate::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Repr, Transport};
use crate::wanted::Wanted;
use stage::Direction;
use stage::position::plus;

/// The decoder.
pub struct Ssrp;

const OPCODE: FieldId = FieldId(0);
const VERSION: FieldId = FieldId(1);
const INSTANCE: FieldId = FieldId(2);
const RESPONSE_LENGTH: FieldId = FieldId(3);
const RESPONSE_DATA: FieldId = FieldId(4);
const DAC_PORT: FieldId = FieldId(5);
const MALFORMED: FieldId = FieldId(6);

static PROTOCOL: Protocol = Protocol {
    name: "ssrp",
    title: "SQL Server Resolution Protocol",
    ports: &[(Transport::Udp, &[1434])],
    fields: &[
        FieldDef {
            name: "ssrp.opcode",
            kind: FieldKind::Uint(8),
            editable: Editable::SameLength,
            help: "First byte: 2, 3 enumerate instances, 4 asks for one, 15 for its DAC port, 5 is the answer.",
            ..FieldDef::UINT
        },
        FieldDef {
            name: "ssrp.version",
            kind: FieldKind::Uint(8),
            editable: Editable::SameLength,
            help: "Protocol version of a question for a DAC port, and of its answer.",
            ..FieldDef::UINT
        },
        FieldDef {
            name: "ssrp.instance",
            help: "Name of the instance asked for, without its NUL.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "ssrp.response.length",
            kind: FieldKind::Uint(16),
            repr: Repr::LittleEndian,
            editable: Editable::No,
            help: "Announced length of an answer's data.",
            ..FieldDef::UINT
        },
        FieldDef {
            name: "ssrp.response.data",
            help: "Data of an answer: names and values, separated by semicolons.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "ssrp.dac_port",
            kind: FieldKind::Uint(16),
            repr: Repr::LittleEndian,
            editable: Editable::SameLength,
            help: "TCP port of the dedicated administrator connection.",
            ..FieldDef::UINT
        },
        FieldDef {
            name: "_ws.malformed",
            help: "An empty datagram, an instance name without NUL, or an answer shorter than announced.",
            ..FieldDef::BOOL
        },
    ],
    unit: "a datagram",
    readings: include_str!("readings/ssrp.md"),
    refusals: &[],
};

impl ProtocolDecoder for Ssrp {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "ssrp-request",
        from: Direction::Request,
        bytes: b"\x04MSSQLSERVER\0",
    }];

    type State = ();

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        let input = view.input;
        let well_formed = dissect(wanted, input, out).is_some();
        if !well_formed && wanted.has(MALFORMED) {
            out.number(MALFORMED.0, Span::new(input.len(), input.len()), 1);
        }
        Dissection::Message
    }

    fn repair(
        &self,
        _transport: Transport,
        view: View<'_>,
        _fields: &Fields,
        edits: &mut Edits,
    ) -> Repair {
        let Some(data) = response_data(view.input) else { return Repair::Done };
        let growth = edits.growth_within(data);
        if growth == 0 {
            return Repair::Done;
        }
        let len = i64::from(data.len()).saturating_add(growth);
        let Ok(len) = u16::try_from(len) else { return Repair::Impossible };
        if edits.replace_between(Span::new(1, 3), &len.to_le_bytes()) {
            Repair::Done
        } else {
            Repair::Impossible
        }
    }
}

/// `None`: malformed.
fn dissect(wanted: &Wanted, input: &[u8], out: &mut Fields) -> Option<()> {
    let opcode = *input.first()?;
    if wanted.has(OPCODE) {
        out.number(OPCODE.0, Span::new(0, 1), u64::from(opcode));
    }
    match opcode {
        // CLNT_UCAST_INST, MC-SQLR section 2.2.3.
        4 => instance(wanted, input, 1, out),
        // CLNT_UCAST_DAC, section 2.2.4.
        15 => {
            let version = *input.get(1)?;
            if wanted.has(VERSION) {
                out.number(VERSION.0, Span::new(1, 2), u64::from(version));
            }
            instance(wanted, input, 2, out)
        }
        5 => response(wanted, input, out),
        _ => Some(()),
    }
}

fn instance(wanted: &Wanted, input: &[u8], start: usize, out: &mut Fields) -> Option<()> {
    let rest = input.get(start..)?;
    let nul = memchr::memchr(0, rest);
    let end = plus(start, nul.unwrap_or(rest.len()));
    if wanted.has(INSTANCE) {
        out.bytes(INSTANCE.0, Span::new(start, end));
    }
    nul.map(|_| ())
}

/// SVR_RESP, MC-SQLR sections 2.2.5 and 2.2.6.
fn response(wanted: &Wanted, input: &[u8], out: &mut Fields) -> Option<()> {
    let &[_, l0, l1] = input.first_chunk()?;
    let length = u16::from_le_bytes([l0, l1]);
    if wanted.has(RESPONSE_LENGTH) {
        out.number(RESPONSE_LENGTH.0, Span::new(1, 3), u64::from(length));
    }
    if let &[_, 6, 0, version, p0, p1] = input {
        if wanted.has(VERSION) {
            out.number(VERSION.0, Span::new(3, 4), u64::from(version));
        }
        if wanted.has(DAC_PORT) {
            out.number(DAC_PORT.0, Span::new(4, 6), u64::from(u16::from_le_bytes([p0, p1])));
        }
        return Some(());
    }
    let data = response_data(input)?;
    if wanted.has(RESPONSE_DATA) {
        out.bytes(RESPONSE_DATA.0, data);
    }
    (data.len() == u32::from(length)).then_some(())
}

/// The data of an answer that is not about a DAC port: as announced, or as far as it is there.
fn response_data(input: &[u8]) -> Option<Span> {
    let &[5, l0, l1] = input.first_chunk()? else { return None };
    if let [_, 6, 0, _, _, _] = input {
        return None;
    }
    let end = plus(usize::from(u16::from_le_bytes([l0, l1])), 3);
    Some(Span::new(3, end.min(input.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stage::Direction;

    fn view(input: &[u8]) -> View<'_> {
        View { input, from: Direction::Request, open: false, ended: false }
    }

    fn dissected(input: &[u8]) -> (Fields, Vec<String>) {
        let mut wanted = Wanted::new(&PROTOCOL);
        for id in 0..PROTOCOL.fields.len() {
            wanted.want(FieldId(u16::try_from(id).unwrap()));
        }
        let mut fields = Fields::new();
        assert_eq!(Ssrp.datagram(&wanted, view(input), &mut fields), Dissection::Message);
        let shown = fields.items().iter().map(|field| {
            let def = PROTOCOL.def(FieldId(field.slot)).unwrap();
            match def.kind {
                FieldKind::Uint(_) | FieldKind::Bool => format!("{}={}", def.name, field.number),
                FieldKind::Bytes | FieldKind::Text => {
                    format!("{}={}", def.name, field.value.of(input).escape_ascii())
                }
            }
        });
        let shown = shown.collect();
        (fields, shown)
    }

    #[track_caller]
    fn check(input: &[u8], want: &[&str]) {
        assert_eq!(dissected(input).1, want);
    }

    #[test]
    fn questions() {
        check(b"\x02", &["ssrp.opcode=2"]);
        check(b"\x03", &["ssrp.opcode=3"]);
        check(b"\x04MSSQLSERVER\0", &["ssrp.opcode=4", "ssrp.instance=MSSQLSERVER"]);
        check(b"\x04A\0B\0", &["ssrp.opcode=4", "ssrp.instance=A"]);
        check(b"\x04AB", &["ssrp.opcode=4", "ssrp.instance=AB", "_ws.malformed=1"]);
        check(b"\x0f\x01A\0", &["ssrp.opcode=15", "ssrp.version=1", "ssrp.instance=A"]);
        check(b"\x0f", &["ssrp.opcode=15", "_ws.malformed=1"]);
        check(b"\x04", &["ssrp.opcode=4", "ssrp.instance=", "_ws.malformed=1"]);
        check(b"", &["_ws.malformed=1"]);
    }

    #[test]
    fn answers_and_their_length() {
        let answer = b"\x05\x05\0A;B;;";
        check(answer, &["ssrp.opcode=5", "ssrp.response.length=5", "ssrp.response.data=A;B;;"]);
        check(
            b"\x05\x06\0\x01\x9a\x05",
            &["ssrp.opcode=5", "ssrp.response.length=6", "ssrp.version=1", "ssrp.dac_port=1434"],
        );
        check(
            b"\x05\x09\0A",
            &["ssrp.opcode=5", "ssrp.response.length=9", "ssrp.response.data=A", "_ws.malformed=1"],
        );
        check(b"\x05\x09", &["ssrp.opcode=5", "_ws.malformed=1"]);
        let (fields, _) = dissected(answer);
        let mut edits = Edits::new();
        assert!(edits.delete(Span::new(4, 7)));
        assert_eq!(Ssrp.repair(Transport::Udp, view(answer), &fields, &mut edits), Repair::Done);
        let mut out = Vec::new();
        assert!(edits.current(answer, Span::new(0, answer.len()), &mut out));
        assert_eq!(out, b"\x05\x02\0A;");
        // An empty answer that is filled: the length stands right in front of the new bytes.
        let empty = b"\x05\0\0";
        let (fields, _) = dissected(empty);
        let mut edits = Edits::new();
        assert!(edits.replace(Span::new(3, 3), b"A;"));
        assert_eq!(Ssrp.repair(Transport::Udp, view(empty), &fields, &mut edits), Repair::Done);
        out.clear();
        assert!(edits.current(empty, Span::new(0, 3), &mut out));
        assert_eq!(out, b"\x05\x02\0A;");
    }
}
