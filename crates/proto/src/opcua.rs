//! OPC Unified Architecture over TCP (OPC 10000-6 section 7.1.2): a unit is the header of a message
//! chunk.
//!
//! Holds:     how much of a chunk is still to come.
//! Promises:  a chunk is found by the size its header claims, whatever is in it.
//! Never:     looks behind the header.

use crate::decoder::{Need, ProtocolDecoder, SampleMessage, Step, View};
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Repr, Transport};
use crate::wanted::Wanted;
use stage::Direction;

/// The decoder.
pub struct OpcUa;

const TYPE: FieldId = FieldId(0);
const CHUNK: FieldId = FieldId(1);
const SIZE: FieldId = FieldId(2);
const MALFORMED: FieldId = FieldId(3);

/// Type, chunk type and size.
const HEADER_BYTES: u32 = 8;

/// With the secure channel's number, which the chunks of all messages but the first ones have.
const SECURE_HEADER_BYTES: u32 = 12;

static PROTOCOL: Protocol = Protocol {
    name: "opcua",
    title: "OPC Unified Architecture, binary over TCP (OPC 10000-6)",
    ports: &[(Transport::Tcp, &[4840])],
    fields: &[
        FieldDef {
            name: "opcua.transport.type",
            editable: Editable::No,
            help: "Three letters: HEL, ACK, ERR, RHE, or OPN, MSG, CLO on a secure channel.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "opcua.transport.chunk",
            editable: Editable::No,
            help: "F for a final chunk, C for one that others follow, A to abort the message.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "opcua.transport.size",
            kind: FieldKind::Uint(32),
            repr: Repr::LittleEndian,
            editable: Editable::No,
            help: "Bytes of the chunk, its header included.",
            ..FieldDef::UINT
        },
        FieldDef {
            name: "_ws.malformed",
            help: "The size is less than that of the header: 8, and 12 for OPN, MSG and CLO.",
            ..FieldDef::BOOL
        },
    ],
    unit: "the header of a chunk, 8 bytes",
    readings: include_str!("readings/opcua.md"),
    refusals: &[],
};

/// Bytes of the present chunk that need not be seen, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpcUaState {
    rest: [u32; 2],
}

impl ProtocolDecoder for OpcUa {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "opcua-hello",
        from: Direction::Request,
        bytes: b"HELF\x20\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff",
    }];

    type State = OpcUaState;

    #[inline(always)]
    fn stream(
        &self,
        wanted: &Wanted,
        opcua: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let [request, response] = &mut opcua.rest;
        let rest = match view.from {
            Direction::Request => request,
            Direction::Response => response,
        };
        if wanted.is_empty() {
            return Step::SkipRest;
        }
        if *rest > 0 {
            return Step::Skip { bytes: u64::from(core::mem::take(rest)), last: true };
        }
        let Some(&[a, b, c, _, s0, s1, s2, s3]) = view.input.first_chunk() else {
            return Step::More(Need::Bytes(8));
        };
        let size = u32::from_le_bytes([s0, s1, s2, s3]);
        let least = match &[a, b, c] {
            b"OPN" | b"MSG" | b"CLO" => SECURE_HEADER_BYTES,
            _ => HEADER_BYTES,
        };
        for (id, value) in [(TYPE, Span::new(0, 3)), (CHUNK, Span::new(3, 4))] {
            if wanted.has(id) {
                let flags = Flags::MAC_COVERED;
                out.push(Field { slot: id.0, flags, value, element: value, ..Field::default() });
            }
        }
        if wanted.has(SIZE) {
            let (value, number) = (Span::new(4, 8), u64::from(size));
            let flags = Flags::MAC_COVERED.with(Flags::NUMBER);
            out.push(Field {
                slot: SIZE.0,
                flags,
                value,
                element: value,
                number,
                ..Field::default()
            });
        }
        if size < least && wanted.has(MALFORMED) {
            out.number(MALFORMED.0, Span::new(8, 8), 1);
        }
        *rest = size.saturating_sub(HEADER_BYTES);
        Step::Unit { bytes: 8, first: true, last: *rest == 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{check, check_ids, noise, survives};
    use stage::Direction::{Request, Response};

    #[test]
    fn headers_one_behind_the_other() {
        check_ids(
            &OpcUa,
            &[
                (TYPE, "opcua.transport.type"),
                (CHUNK, "opcua.transport.chunk"),
                (SIZE, "opcua.transport.size"),
                (MALFORMED, "_ws.malformed"),
            ],
        );
        check(
            &OpcUa,
            &[
                "opcua.transport.type",
                "opcua.transport.chunk",
                "opcua.transport.size",
                "_ws.malformed",
            ],
            &[
                (Request, b"HELF\x0a\0\0\0hi"),
                (Response, b"ACKF\x08\0\0\0"),
                (Request, b"MSGC\x0b\0\0\0xyzMSGF\0\0\0\0HELF\0\0\0\0"),
            ],
            &[
                ">opcua.transport.type=HEL",
                ">opcua.transport.chunk=F",
                ">opcua.transport.size=10",
                "<opcua.transport.type=ACK",
                "<opcua.transport.chunk=F",
                "<opcua.transport.size=8",
                ">opcua.transport.type=MSG",
                ">opcua.transport.chunk=C",
                ">opcua.transport.size=11",
                ">_ws.malformed=1",
                ">opcua.transport.type=MSG",
                ">opcua.transport.chunk=F",
                ">opcua.transport.size=0",
                ">_ws.malformed=1",
                ">opcua.transport.type=HEL",
                ">opcua.transport.chunk=F",
                ">opcua.transport.size=0",
                ">_ws.malformed=1",
            ],
        );
    }

    #[test]
    fn noise_is_survived() {
        for seed in 0..200 {
            let mut random = noise(seed, 64);
            random[5..8].fill(0);
            survives(&OpcUa, &[(Request, &random), (Response, &random)]);
        }
    }
}
