//! Apache Thrift's binary protocol, framed or not: a unit is a message.
//!
//! Holds:     nothing: a message says how it goes on, byte by byte, and is walked again when more
//!            of it has come.
//! Promises:  a message is walked as far as every type in it is one; what is walked costs a byte at
//!            least, whatever sizes are claimed, and no more than 64 levels.
//! Never:     knows an interface: fields have numbers, not names.

use crate::decoder::{Need, ProtocolDecoder, SampleMessage, Step, View};
use crate::fields::{Fields, Span};
use crate::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Repr, Transport};
use crate::wanted::Wanted;
use stage::Direction;

/// The decoder.
pub struct Thrift;

const MTYPE: FieldId = FieldId(0);
const METHOD: FieldId = FieldId(1);
const SEQ_ID: FieldId = FieldId(2);
const FIELD: FieldId = FieldId(3);
const LIST_ITEMS: FieldId = FieldId(4);
const SET_ITEMS: FieldId = FieldId(5);
const MAP_ITEMS: FieldId = FieldId(6);
const MALFORMED: FieldId = FieldId(7);

/// Containers in containers. Servers' own limits are 64 or more.
const DEPTH_MAX: usize = 64;

/// A longer method name means that this is something else.
const NAME_BYTES_MAX: usize = 1024;

/// Version 1, in the first two bytes of a message.
const VERSION_1: [u8; 2] = [0x80, 0x01];

const NUMBER: FieldDef =
    FieldDef { kind: FieldKind::Uint(32), editable: Editable::No, ..FieldDef::UINT };
const ITEMS: FieldDef = FieldDef { repeated: true, ..NUMBER };

static PROTOCOL: Protocol = Protocol {
    name: "thrift",
    title: "Apache Thrift, binary protocol",
    ports: &[(Transport::Tcp, &[9090])],
    fields: &[
        FieldDef {
            name: "thrift.mtype",
            kind: FieldKind::Uint(8),
            help: "1 call, 2 reply, 3 exception, 4 one-way call.",
            ..NUMBER
        },
        FieldDef {
            name: "thrift.method",
            editable: Editable::No,
            help: "The method's name.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "thrift.seq_id",
            repr: Repr::BE,
            help: "Joins a reply with its call.",
            ..NUMBER
        },
        FieldDef {
            name: "thrift.fid",
            kind: FieldKind::Uint(16),
            repeated: true,
            help: "The number of a field, of the arguments or of a struct inside them.",
            ..NUMBER
        },
        FieldDef {
            name: "thrift.num_list_item",
            help: "Elements that a list claims to have.",
            ..ITEMS
        },
        FieldDef {
            name: "thrift.num_set_item",
            help: "Elements that a set claims to have.",
            ..ITEMS
        },
        FieldDef { name: "thrift.num_map_item", help: "Pairs that a map claims to have.", ..ITEMS },
        FieldDef {
            name: "_ws.malformed",
            help: "A type that is none, a negative length, more than 64 levels, or a frame that its message does not end in.",
            ..FieldDef::BOOL
        },
    ],
    unit: "a message, with its frame length if there is one, held whole",
    readings: include_str!("readings/thrift.md"),
    refusals: &[],
};

/// Behind a malformed message that has no frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThriftState {
    lost: [bool; 2],
}

impl ProtocolDecoder for Thrift {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "thrift-call",
        from: Direction::Request,
        bytes: b"\x80\x01\0\x01\0\0\0\x04echo\0\0\0\x01\x0b\0\x01\0\0\0\x02hi\0",
    }];

    type State = ThriftState;

    fn stream(
        &self,
        wanted: &Wanted,
        thrift: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let [request, response] = &mut thrift.lost;
        let lost = if view.from.index() == 0 { request } else { response };
        if *lost {
            return Step::NotThisProtocol;
        }
        if wanted.is_empty() {
            return Step::SkipRest;
        }
        let input = view.input;
        let framed = match frame(input) {
            Ok(framed) => framed,
            Err(need) => return Step::More(Need::Bytes(need)),
        };
        let unit = framed.unwrap_or(usize::MAX);
        if framed.is_some() && input.len() < unit && !view.ended {
            return Step::More(Need::Bytes(unit));
        }
        let message = input.get(..unit).unwrap_or(input);
        let at = if framed.is_some() { 4 } else { 0 };
        let mut walk = ThriftWalk { wanted, input: message, at, out };
        let end = walk.message();
        let malformed = match (end, framed) {
            (Err(ThriftStop::Other), _) => {
                out.clear();
                return Step::NotThisProtocol;
            }
            (Err(ThriftStop::Need(need)), None) if !view.ended => {
                out.clear();
                return Step::More(Need::Bytes(need));
            }
            (Err(ThriftStop::Need(_)), None) => false,
            (Err(_), _) => true,
            (Ok(()), Some(unit)) => walk.at != unit,
            (Ok(()), None) => false,
        };
        let bytes = match (framed, end) {
            // Where it ends, or where there is no way on.
            (None, Ok(()) | Err(ThriftStop::Malformed)) => walk.at,
            _ => message.len(),
        };
        if malformed && wanted.has(MALFORMED) {
            out.number(MALFORMED.0, Span::new(bytes, bytes), 1);
        }
        *lost = malformed && framed.is_none();
        Step::Unit { bytes, first: true, last: true }
    }
}

/// How long a framed message is, with its length; `None`: it has no frame. `Err`: so many bytes are
/// needed to tell.
fn frame(input: &[u8]) -> Result<Option<usize>, usize> {
    match input {
        [0x80..=0xff, ..] => Ok(None),
        [a, b, c, d, version @ ..] if version.len() >= 2 => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            let framed = version.starts_with(&VERSION_1);
            let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(4);
            Ok(framed.then_some(length.max(6)))
        }
        _ => Err(6),
    }
}

/// Why a walk did not come to the message's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThriftStop {
    /// It needs so many bytes in all.
    Need(usize),
    /// There is no way on.
    Malformed,
    /// It is no message.
    Other,
}

/// What is being walked.
#[derive(Clone, Copy, Debug, Default)]
enum ThriftLevel {
    /// Fields up to a STOP.
    #[default]
    Struct,
    /// So many values, of the first type where an even number of them is left, else of the second.
    Items(u8, u8, u64),
}

/// The types, as they are numbered.
const BOOL: u8 = 2;
const I8: u8 = 3;
const DOUBLE: u8 = 4;
const I16: u8 = 6;
const I32: u8 = 8;
const I64: u8 = 10;
const STRING: u8 = 11;
const STRUCT: u8 = 12;
const MAP: u8 = 13;
const SET: u8 = 14;
const LIST: u8 = 15;

const fn is_type(value: u8) -> bool {
    matches!(value, BOOL | I8 | DOUBLE | I16 | I32 | I64 | STRING | STRUCT | MAP | SET | LIST)
}

struct ThriftWalk<'a> {
    wanted: &'a Wanted,
    input: &'a [u8],
    at: usize,
    out: &'a mut Fields,
}

impl ThriftWalk<'_> {
    /// The next `N` bytes.
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ThriftStop> {
        let bytes = self.input.get(self.at..).and_then(<[u8]>::first_chunk);
        let end = self.at.saturating_add(N);
        let bytes = *bytes.ok_or(ThriftStop::Need(end))?;
        self.at = end;
        Ok(bytes)
    }

    /// Passes over so many bytes.
    fn pass(&mut self, bytes: usize) -> Result<(), ThriftStop> {
        let end = self.at.saturating_add(bytes);
        if end > self.input.len() {
            return Err(ThriftStop::Need(end));
        }
        self.at = end;
        Ok(())
    }

    /// A length or size, which is signed on the wire.
    fn size(&mut self) -> Result<usize, ThriftStop> {
        let size = i32::from_be_bytes(self.take()?);
        usize::try_from(size).map_err(|_| ThriftStop::Malformed)
    }

    fn number(&mut self, id: FieldId, bytes: usize, number: u64) {
        if self.wanted.has(id) {
            self.out.number(id.0, Span::new(self.at.saturating_sub(bytes), self.at), number);
        }
    }

    fn message(&mut self) -> Result<(), ThriftStop> {
        let strict = self.input.get(self.at).is_some_and(|byte| *byte >= 0x80);
        if strict {
            let [a, b, _, mtype] = self.take()?;
            if [a, b] != VERSION_1 {
                return Err(ThriftStop::Other);
            }
            self.number(MTYPE, 1, u64::from(mtype));
        }
        let bytes = self.size()?;
        if bytes > NAME_BYTES_MAX {
            return Err(if strict { ThriftStop::Malformed } else { ThriftStop::Other });
        }
        self.pass(bytes)?;
        if self.wanted.has(METHOD) {
            self.out.bytes(METHOD.0, Span::new(self.at.saturating_sub(bytes), self.at));
        }
        if !strict {
            let [mtype] = self.take()?;
            self.number(MTYPE, 1, u64::from(mtype));
        }
        let id = u32::from_be_bytes(self.take()?);
        self.number(SEQ_ID, 4, u64::from(id));
        self.arguments()
    }

    /// The struct that a message consists of.
    fn arguments(&mut self) -> Result<(), ThriftStop> {
        let mut levels = [ThriftLevel::Struct; DEPTH_MAX];
        let mut depth = 1_usize;
        while let Some(level) = depth.checked_sub(1).and_then(|top| levels.get_mut(top)) {
            let kind = match level {
                ThriftLevel::Struct => match self.take()? {
                    [0] => None,
                    [kind] => {
                        let id = u16::from_be_bytes(self.take()?);
                        self.number(FIELD, 2, u64::from(id));
                        Some(kind)
                    }
                },
                ThriftLevel::Items(_, _, 0) => None,
                ThriftLevel::Items(first, second, left) => {
                    let kind = if *left & 1 == 0 { *first } else { *second };
                    *left = left.saturating_sub(1);
                    Some(kind)
                }
            };
            let Some(kind) = kind else {
                depth = depth.saturating_sub(1);
                continue;
            };
            if let Some(inner) = self.value(kind)? {
                *levels.get_mut(depth).ok_or(ThriftStop::Malformed)? = inner;
                depth = depth.saturating_add(1);
            }
        }
        Ok(())
    }

    /// A value, or the beginning of one that holds others.
    fn value(&mut self, kind: u8) -> Result<Option<ThriftLevel>, ThriftStop> {
        match kind {
            BOOL | I8 => self.pass(1)?,
            I16 => self.pass(2)?,
            I32 => self.pass(4)?,
            I64 | DOUBLE => self.pass(8)?,
            STRING => {
                let bytes = self.size()?;
                self.pass(bytes)?;
            }
            STRUCT => return Ok(Some(ThriftLevel::Struct)),
            MAP => {
                let [key, value] = self.take()?;
                let size = self.items(MAP_ITEMS, &[key, value])?;
                return Ok(Some(ThriftLevel::Items(key, value, size.saturating_mul(2))));
            }
            SET | LIST => {
                let [element] = self.take()?;
                let id = if kind == SET { SET_ITEMS } else { LIST_ITEMS };
                let size = self.items(id, &[element])?;
                return Ok(Some(ThriftLevel::Items(element, element, size)));
            }
            _ => return Err(ThriftStop::Malformed),
        }
        Ok(None)
    }

    /// How many elements of these types a container has.
    fn items(&mut self, id: FieldId, types: &[u8]) -> Result<u64, ThriftStop> {
        let size = u64::try_from(self.size()?).unwrap_or(u64::MAX);
        self.number(id, 4, size);
        if size > 0 && !types.iter().all(|kind| is_type(*kind)) {
            return Err(ThriftStop::Malformed);
        }
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{check_held, check_ids, noise, survives};
    use stage::Direction::{Request, Response};

    const ALL: &[&str] = &[
        "thrift.mtype",
        "thrift.method",
        "thrift.seq_id",
        "thrift.fid",
        "thrift.num_list_item",
        "thrift.num_map_item",
        "_ws.malformed",
    ];

    fn call(arguments: &[u8]) -> Vec<u8> {
        [b"\x80\x01\0\x01\0\0\0\x04echo\0\0\0\x01", arguments].concat()
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
    }

    const BEGIN: &[&str] = &[">thrift.mtype=1", ">thrift.method=echo", ">thrift.seq_id=1"];

    #[track_caller]
    fn finds(input: &[u8], want: &[&str]) {
        let want: Vec<&str> = want
            .iter()
            .flat_map(|line| match *line {
                "echo" => BEGIN.to_vec(),
                line => vec![line],
            })
            .collect();
        check_held(&Thrift, ALL, &[(Request, input)], &want);
    }

    #[test]
    fn the_table_numbers_its_rows() {
        let ids = [
            (MTYPE, "thrift.mtype"),
            (METHOD, "thrift.method"),
            (SEQ_ID, "thrift.seq_id"),
            (FIELD, "thrift.fid"),
            (LIST_ITEMS, "thrift.num_list_item"),
            (SET_ITEMS, "thrift.num_set_item"),
            (MAP_ITEMS, "thrift.num_map_item"),
            (MALFORMED, "_ws.malformed"),
        ];
        check_ids(&Thrift, &ids);
    }

    #[test]
    fn messages_end_where_their_types_say() {
        let string = b"\x0b\0\x01\0\0\0\x02hi";
        let map = b"\x0d\0\x09\x0b\x08\0\0\0\x02\0\0\0\x01a\0\0\0\x05\0\0\0\x01b\0\0\0\x06";
        let nested = b"\x0f\0\x02\x0c\0\0\0\x02\x02\0\x07\x01\0\x06\0\x08\0\x09\0";
        let message = call(&[&string[..], map, nested, b"\0"].concat());
        let want = [
            "echo",
            ">thrift.fid=1",
            ">thrift.fid=9",
            ">thrift.num_map_item=2",
            ">thrift.fid=2",
            ">thrift.num_list_item=2",
            ">thrift.fid=7",
            ">thrift.fid=8",
        ];
        let twice = [want, want].concat();
        finds(&message.repeat(2), &twice);
        finds(&framed(&message).repeat(2), &twice);
        let old = [">thrift.method=echo", ">thrift.mtype=1", ">thrift.seq_id=1"];
        finds(b"\0\0\0\x04echo\x01\0\0\0\x01\0", &old);
    }

    #[test]
    fn a_type_that_is_none_is_malformed() {
        let endless = b"\x0d\0\x09\x7e\x7e\x7f\xff\xff\xff\0";
        let want = ["echo", ">thrift.fid=9", ">thrift.num_map_item=2147483647", ">_ws.malformed=1"];
        finds(&framed(&call(endless)), &want);
        finds(
            &framed(&call(b"\x0f\0\x09\0\0\0\0\0\0")),
            &["echo", ">thrift.fid=9", ">thrift.num_list_item=0"],
        );
        for arguments in
            [&b"\x0f\0\x09\x01\0\0\0\x01\0"[..], b"\x05\0\x09\0", b"\x0b\0\x09\xff\xff\xff\xff\0"]
        {
            let message = [framed(&call(arguments)), framed(&call(b"\0"))].concat();
            let found = crate::replay::replay(
                &Thrift,
                &["_ws.malformed", "thrift.method"],
                &[(Request, &message)],
                crate::replay::ReplayCuts::Everywhere,
                false,
            );
            assert_eq!(found, [">thrift.method=echo", ">_ws.malformed=1", ">thrift.method=echo"]);
            let message = call(arguments);
            let want = [">_ws.malformed=1", "!Request NotThisProtocol="];
            check_held(&Thrift, &["_ws.malformed"], &[(Request, &message)], &want);
        }
        let deep =
            [&call(&[b"\x0f\0\x01".to_vec(), b"\x0f\0\0\0\x01".repeat(70)].concat())[..], b"\0"]
                .concat();
        check_held(
            &Thrift,
            &["_ws.malformed"],
            &[(Request, &framed(&deep))],
            &[">_ws.malformed=1"],
        );
        let short = framed(&call(b"\0\0"));
        check_held(&Thrift, &["_ws.malformed"], &[(Request, &short)], &[">_ws.malformed=1"]);
    }

    #[test]
    fn what_is_not_thrift_is_left_alone() {
        for other in [&b"\x82\x21\x01\x04echo"[..], b"GET / HTTP/1.1\r\n\r\n"] {
            check_held(
                &Thrift,
                &["thrift.method"],
                &[(Request, other)],
                &["!Request NotThisProtocol="],
            );
        }
    }

    #[test]
    fn noise_is_survived() {
        for seed in 0..300 {
            let random = noise(seed, 60);
            survives(
                &Thrift,
                &[(Request, &random), (Response, &call(&random)), (Request, &random)],
            );
            survives(&Thrift, &[(Request, &framed(&call(&random)))]);
        }
    }
}
