//! A protocol with a field of every kind, over both transports, and one of another name.

use proto::{Decoder, Editable, FieldDef, FieldKind, Protocol, ProtocolDecoder, Repr, Transport};
use stage::Direction;

use crate::{Diagnostic, Group, Options, Patch, compile, render};

pub(super) struct Toy;
pub(super) struct Other;

const REQUEST: Option<Direction> = Some(Direction::Request);

static TOY: Protocol = Protocol {
    name: "toy",
    title: "A protocol for tests",
    ports: &[(Transport::Tcp, &[7000, 7001]), (Transport::Udp, &[7000])],
    fields: &[
        FieldDef { name: "toy.command", direction: REQUEST, ..FieldDef::TEXT },
        FieldDef {
            name: "toy.opcode",
            kind: FieldKind::Uint(8),
            direction: REQUEST,
            ..FieldDef::UINT
        },
        FieldDef { name: "toy.name", direction: REQUEST, streams: true, ..FieldDef::TEXT },
        FieldDef { name: "toy.short", direction: REQUEST, ..FieldDef::BYTES },
        FieldDef {
            name: "toy.header",
            keyed: true,
            repeated: true,
            element: true,
            streams: true,
            ..FieldDef::TEXT
        },
        FieldDef { name: "toy.option", keyed: true, element: true, ..FieldDef::TEXT },
        FieldDef {
            name: "toy.record",
            direction: REQUEST,
            repeated: true,
            element: true,
            ..FieldDef::BYTES
        },
        FieldDef {
            name: "toy.record.kind",
            kind: FieldKind::Uint(16),
            direction: REQUEST,
            repeated: true,
            element: true,
            ..FieldDef::UINT
        },
        FieldDef { name: "toy.digest", editable: Editable::No, ..FieldDef::BYTES },
        FieldDef {
            name: "toy.fixed",
            direction: REQUEST,
            editable: Editable::SameLength,
            ..FieldDef::BYTES
        },
        FieldDef {
            name: "toy.count",
            kind: FieldKind::Uint(32),
            repr: Repr::Decimal,
            direction: REQUEST,
            ..FieldDef::UINT
        },
        FieldDef {
            name: "toy.status",
            kind: FieldKind::Uint(16),
            direction: Some(Direction::Response),
            ..FieldDef::UINT
        },
        FieldDef { name: "toy.broken", direction: REQUEST, ..FieldDef::BOOL },
        FieldDef {
            name: "toy.body",
            direction: REQUEST,
            streams: true,
            endless: true,
            ..FieldDef::BYTES
        },
    ],
    unit: "a line",
    readings: "",
    refusals: &["busy", "refused"],
};

static OTHER: Protocol = Protocol {
    name: "other",
    title: "Another",
    ports: &[(Transport::Udp, &[]), (Transport::Tcp, &[])],
    fields: &[FieldDef { name: "other.word", ..FieldDef::TEXT }],
    unit: "a line",
    readings: "",
    refusals: &[],
};

impl ProtocolDecoder for Toy {
    const PROTOCOL: &'static Protocol = &TOY;

    type State = ();

    fn outstanding_responses(&self, _state: &Self::State) -> Option<u32> {
        Some(0)
    }
}

impl ProtocolDecoder for Other {
    const PROTOCOL: &'static Protocol = &OTHER;

    type State = ();
}

pub(super) static DECODERS: &[&dyn Decoder] = &[&Toy, &Other];

/// A patch of `toy` with these rules, `rules` being the text under `rules:`.
pub(super) fn patch_text(rules: &str) -> String {
    format!("patch: p\ntitle: A patch\nprotocol: toy\nrules:\n{rules}")
}

pub(super) fn read(text: &str) -> Result<Patch, Vec<Diagnostic>> {
    Patch::from_yaml_with("p.yaml", text, DECODERS)
}

#[track_caller]
pub(super) fn good(text: &str) -> Patch {
    read(text).unwrap_or_else(|found| panic!("{}", render(&found)))
}

#[track_caller]
pub(super) fn plan(patches: &[Patch]) -> plan::Plan {
    compile(patches, &[Group::everywhere(patches.len())], &Options::default())
        .unwrap_or_else(|found| panic!("{}", render(&found)))
}

/// The messages about a file.
#[track_caller]
pub(super) fn refusal(text: &str) -> String {
    match read(text) {
        Err(found) => render(&found),
        Ok(patch) => {
            let group = Group::everywhere(1);
            match compile(&[patch], &[group], &Options::default()) {
                Err(found) => render(&found),
                Ok(_) => panic!("accepted:\n{text}"),
            }
        }
    }
}
