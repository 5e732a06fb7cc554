//! A protocol made for the tests: messages of `key: value` lines that end with an empty line. It
//! has every kind of field the engine treats differently.
#![allow(dead_code, reason = "not every test uses all of it")]

use proto::dns::DnsState;
use proto::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Repr};
use proto::{
    Dissection, Edits, Field, Fields, Flags, Need, ProtocolDecoder, Refusal, Refused, Repair, Slot,
    Span, Step, Transport, View, Wanted,
};
use stage::Direction;

pub(crate) const KEY: FieldId = FieldId(0);
pub(crate) const VALUE: FieldId = FieldId(1);
pub(crate) const NUMBER: FieldId = FieldId(2);
pub(crate) const REVERSED: FieldId = FieldId(3);
pub(crate) const BITS: FieldId = FieldId(4);
pub(crate) const LENGTH: FieldId = FieldId(5);
pub(crate) const SEALED: FieldId = FieldId(6);
pub(crate) const WORD: FieldId = FieldId(7);
pub(crate) const PINNED: FieldId = FieldId(8);

static PROTOCOL: Protocol = Protocol {
    name: "lines",
    title: "LineDecoder",
    ports: &[],
    fields: &[
        FieldDef { name: "l.key", element: true, repeated: true, ..FieldDef::TEXT },
        FieldDef {
            name: "l.value",
            keyed: true,
            element: true,
            repeated: true,
            streams: true,
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "l.number",
            kind: FieldKind::Uint(32),
            repr: Repr::Decimal,
            repeated: true,
            ..FieldDef::UINT
        },
        FieldDef { name: "l.reversed", repeated: true, ..FieldDef::TEXT },
        FieldDef {
            name: "l.bits",
            kind: FieldKind::Uint(4),
            repr: Repr::BigEndian { shift: 2, mask: 0xf },
            repeated: true,
            ..FieldDef::UINT
        },
        FieldDef { name: "l.length", kind: FieldKind::Uint(32), ..FieldDef::UINT },
        FieldDef { name: "l.sealed", repeated: true, ..FieldDef::TEXT },
        FieldDef { name: "l.word", repeated: true, element: true, ..FieldDef::TEXT },
        FieldDef {
            name: "l.pinned",
            repeated: true,
            editable: Editable::SameLength,
            ..FieldDef::TEXT
        },
    ],
    unit: "a line, or the message",
    readings: "",
    refusals: &["sorry"],
};

/// How often a stream was dissected.
pub(crate) static CALLS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Lines. `l.number` is a value of digits, `l.reversed` the value of `rev` backwards
/// (decoded), `l.bits` bits 2 to 5 of the first byte of `bits`, `l.length` the value of `len`
/// (bytes of the message after its line; repaired), `l.sealed` the value of `mac` (under a MAC),
/// `l.word` the words of `words` (elements with the space after them), `l.pinned` that of `pin`.
pub(crate) struct LineDecoder;

const MESSAGE: u32 = 1 << 31;
const OPEN: u32 = 1 << 30;
const KEYED: u32 = 1 << 29;

impl LineDecoder {
    fn line(wanted: &Wanted, input: &[u8], at: usize, end: usize, group: u16, out: &mut Fields) {
        let line = &input[at..end];
        let Some(colon) = line.windows(2).position(|pair| pair == b": ") else { return };
        let key = &line[..colon];
        let element = Span::new(at, end + 1);
        let value_at = Span::new(at + colon + 2, end);
        let value = value_at.of(input);
        let field = |slot: Slot, value| Field { slot, group, value, element, ..Field::default() };
        if wanted.has(KEY) {
            out.push(field(KEY.0, Span::new(at, at + colon)));
        }
        if wanted.has(VALUE) {
            out.push(field(VALUE.0, value_at));
        }
        if let Some(slot) = wanted.key(VALUE, key) {
            out.push(field(slot, value_at));
        }
        let number = || std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        if wanted.has(NUMBER)
            && let Some(number) = number()
        {
            out.push(Field { number, flags: Flags::NUMBER, ..field(NUMBER.0, value_at) });
        }
        if wanted.has(LENGTH)
            && key == b"len"
            && let Some(number) = number()
        {
            out.push(Field { number, flags: Flags::NUMBER, ..field(LENGTH.0, value_at) });
        }
        if wanted.has(REVERSED) && key == b"rev" {
            let text: Vec<u8> = value.iter().rev().copied().collect();
            if let Some(text) = out.add_text(&text) {
                out.push(Field { text, flags: Flags::DECODED, ..field(REVERSED.0, value_at) });
            }
        }
        if wanted.has(BITS) && key == b"bits" && !value.is_empty() {
            let at = Span { start: value_at.start, end: value_at.start + 1 };
            let number = u64::from(value[0] >> 2 & 0xf);
            out.push(Field { number, flags: Flags::NUMBER, ..field(BITS.0, at) });
        }
        if wanted.has(SEALED) && key == b"mac" {
            out.push(Field { flags: Flags::MAC_COVERED, ..field(SEALED.0, value_at) });
        }
        if wanted.has(PINNED) && key == b"pin" {
            out.push(field(PINNED.0, value_at));
        }
        if wanted.has(WORD) && key == b"words" {
            let mut from = at + colon + 2;
            for word in value.split(|&byte| byte == b' ') {
                let to = from + word.len();
                let element = Span::new(from.max(at + colon + 3) - 1, to);
                out.push(Field { element, ..field(WORD.0, Span::new(from, to)) });
                from = to + 1;
            }
        }
    }

    fn message(wanted: &Wanted, input: &[u8], out: &mut Fields) {
        let mut at = 0;
        let mut group = 0;
        while let Some(len) = input[at..].iter().position(|&byte| byte == b'\n') {
            group += 1;
            Self::line(wanted, input, at, at + len, group, out);
            at += len + 1;
        }
    }
}

impl ProtocolDecoder for LineDecoder {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    /// Two numbers: a word of marks for each direction.
    type State = DnsState;

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        if view.input.starts_with(b"?") {
            return Dissection::NotThisProtocol;
        }
        Self::message(wanted, view.input, out);
        Dissection::Message
    }

    fn stream(
        &self,
        wanted: &Wanted,
        state: &mut DnsState,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mine = &mut state.skip[view.from.index()];
        let input = view.input;
        if input.starts_with(b"?") {
            return Step::NotThisProtocol;
        }
        let line_end = input.iter().position(|&byte| byte == b'\n');
        if *mine & OPEN != 0 {
            let (value, bytes, flags) = match line_end {
                Some(end) => (end, end + 1, Flags::CONTINUES),
                None if view.ended => (input.len(), input.len(), Flags::CONTINUES),
                None => (input.len(), input.len(), Flags::CONTINUES.with(Flags::OPEN)),
            };
            let value = Span::new(0, value);
            let element = Span::new(0, bytes);
            let piece = |slot| Field { slot, value, element, flags, ..Field::default() };
            if wanted.has(VALUE) {
                out.push(piece(VALUE.0));
            }
            if *mine & KEYED != 0 {
                out.push(piece((*mine & 0xffff) as u16));
            }
            if !flags.has(Flags::OPEN) {
                *mine = MESSAGE;
            }
            return Step::Unit { bytes, first: false, last: false };
        }
        let first = *mine & MESSAGE == 0;
        if wanted.whole() && first && !view.open {
            let end = if input.starts_with(b"\n") {
                Some(1)
            } else {
                input.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2)
            };
            let Some(bytes) = end else { return Step::More(Need::Byte(b'\n')) };
            Self::message(wanted, &input[..bytes], out);
            return Step::Unit { bytes, first, last: true };
        }
        if let Some(end) = line_end {
            Self::line(wanted, input, 0, end, 1, out);
            let last = end == 0;
            *mine = if last { 0 } else { MESSAGE };
            return Step::Unit { bytes: end + 1, first, last };
        }
        let colon = input.windows(2).position(|pair| pair == b": ");
        let (true, Some(colon)) = (view.open, colon) else { return Step::More(Need::Byte(b'\n')) };
        let value = Span::new(colon + 2, input.len());
        let element = Span::new(0, input.len());
        let field = Field { group: 1, value, element, flags: Flags::OPEN, ..Field::default() };
        if wanted.has(KEY) {
            let value = Span::new(0, colon);
            out.push(Field { slot: KEY.0, value, flags: Flags::NONE, ..field });
        }
        *mine = MESSAGE | OPEN;
        if wanted.has(VALUE) {
            out.push(Field { slot: VALUE.0, ..field });
        }
        if let Some(slot) = wanted.key(VALUE, &input[..colon]) {
            out.push(Field { slot, ..field });
            *mine |= KEYED | u32::from(slot);
        }
        Step::Unit { bytes: input.len(), first, last: false }
    }

    fn repair(&self, _: Transport, view: View<'_>, fields: &Fields, edits: &mut Edits) -> Repair {
        let Some(length) = fields.items().iter().find(|field| field.slot == LENGTH.0) else {
            return Repair::Done;
        };
        let rest = Span::new(length.element.range().end, view.input.len());
        let now = i64::from(rest.len()) + edits.growth_within(rest);
        if now as u64 == length.number || edits.covers(length.element) {
            return Repair::Done;
        }
        let done = now < 1000 && edits.replace(length.value, now.to_string().as_bytes());
        if done { Repair::Done } else { Repair::Impossible }
    }

    fn encode(&self, _: Slot, _: &Field, text: &[u8], out: &mut Vec<u8>) -> bool {
        out.extend(text.iter().rev());
        !text.contains(&b'!')
    }

    fn refuse(&self, _: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        if view.from == Direction::Response || which != 0 {
            return Refusal::Silence;
        }
        out.extend_from_slice(b"sorry\n");
        Refusal::Reply
    }
}
