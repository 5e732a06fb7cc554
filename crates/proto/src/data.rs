//! Any TCP stream, any UDP payload, as one field: for protocols that have no decoder, and patterns
//! wherever they fall.
//!
//! Holds:     whether each direction has begun.
//! Promises:  every byte of a stream is in the one field, in order; the field never ends before the
//!            stream does.
//! Never:     holds a byte, or knows what one means.

use crate::schema::{FieldDef, FieldId, FieldKind, Protocol, Transport};
use crate::{
    Dissection, Editable, Field, Fields, Flags, Need, ProtocolDecoder, Repr, SampleMessage, Span,
    Step, View, Wanted,
};
use stage::Direction;

/// The decoder.
pub struct Data;

/// Which directions have begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataState {
    request: bool,
    response: bool,
}

const DATA: FieldId = FieldId(0);
const LEN: FieldId = FieldId(1);

static PROTOCOL: Protocol = Protocol {
    name: "data",
    title: "Any data",
    // A scope names them.
    ports: &[(Transport::Tcp, &[]), (Transport::Udp, &[])],
    fields: &[
        FieldDef {
            name: "data.data",
            streams: true,
            endless: true,
            help: "The payload of a datagram, or all bytes of one direction of a connection.",
            ..FieldDef::BYTES
        },
        FieldDef {
            name: "data.len",
            kind: FieldKind::Uint(16),
            repr: Repr::None,
            editable: Editable::No,
            help: "Bytes in the payload of a datagram; a stream has none.",
            ..FieldDef::BYTES
        },
    ],
    unit: "the datagram; of a stream, the bytes at hand",
    readings: include_str!("readings/data.md"),
    refusals: &[],
};

impl ProtocolDecoder for Data {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "data-stream",
        from: Direction::Request,
        bytes: b"NICK somebody\r\nUSER somebody 0 * :Some Body\r\nJOIN #channel\r\n",
    }];

    type State = DataState;

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        let payload = Span::new(0, view.input.len());
        if wanted.has(DATA) {
            out.bytes(DATA.0, payload);
        }
        if wanted.has(LEN) {
            out.number(LEN.0, payload, u64::from(payload.len()));
        }
        Dissection::Message
    }

    fn stream(
        &self,
        wanted: &Wanted,
        state: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        if !wanted.has(DATA) {
            return Step::SkipRest;
        }
        let bytes = view.input.len();
        if bytes == 0 {
            return Step::More(Need::Bytes(1));
        }
        let begun = match view.from {
            Direction::Request => &mut state.request,
            Direction::Response => &mut state.response,
        };
        let first = !*begun;
        *begun = true;
        let flags = if first { Flags::NONE } else { Flags::CONTINUES };
        let flags = if view.ended { flags } else { flags.with(Flags::OPEN) };
        let value = Span::new(0, bytes);
        out.push(Field { slot: DATA.0, flags, value, element: value, ..Field::default() });
        Step::Unit { bytes, first, last: view.ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::check;
    use stage::Direction::{Request, Response};

    #[test]
    fn a_stream_is_one_field_a_direction() {
        check(
            &Data,
            &["data.data"],
            &[(Request, b"ab\0"), (Response, b"\xff"), (Request, b"c\r\n")],
            &[">data.data=ab\\x00c\\r\\n", "<data.data=\\xff"],
        );
        check(&Data, &["data.len"], &[(Request, b"ab")], &["!Request SkipRest="]);
    }

    #[test]
    fn its_end_closes_the_field() {
        let mut wanted = Wanted::new(&PROTOCOL);
        wanted.want(DATA);
        let mut state = DataState::default();
        let mut out = Fields::new();
        let mut flags = |input, ended| {
            out.clear();
            let view = View { input, from: Request, open: false, ended };
            Data.stream(&wanted, &mut state, view, &mut out);
            out.items().first().map(|field| field.flags)
        };
        assert_eq!(flags(b"a", false), Some(Flags::OPEN));
        assert_eq!(flags(b"b", false), Some(Flags::OPEN.with(Flags::CONTINUES)));
        assert_eq!(flags(b"c", true), Some(Flags::CONTINUES));
        assert_eq!(flags(b"", true), None);
    }

    #[test]
    fn a_datagram_is_one_field_and_its_length() {
        let mut wanted = Wanted::new(&PROTOCOL);
        wanted.want(DATA);
        wanted.want(LEN);
        let mut out = Fields::new();
        for input in [&b"payload"[..], b""] {
            out.clear();
            let view = View { input, from: Response, open: false, ended: true };
            assert_eq!(Data.datagram(&wanted, view, &mut out), Dissection::Message);
            assert_eq!(out.items()[0].value.of(input), input);
            assert_eq!(out.items()[1].number, input.len() as u64);
        }
    }
}
