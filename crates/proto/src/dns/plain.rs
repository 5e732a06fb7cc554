//! The query that nearly every query is: one question, its name without pointers or escapes, at most an OPT record behind it,
//! and rules that read header and question only. The same fields as the general way finds, in a third of the instructions.

use core::slice::IterMut;

use super::fields::{HEADER, Id};
use super::name;
use super::record::Question;
use crate::fields::{Field, Fields, Flags, Span};

/// Fields this way can emit; all have numbers below 64.
const FIELDS: u128 = HEADER | Id::MessageLen.bit() | Id::Question.to(Id::QryClass);

/// Fields before the question.
const HEADER_FIELDS: u64 = low(Id::Question) - 1;

/// The bits of the flags word that are fields.
const BITS: u64 = {
    let (mut all, mut bit) = (0, low(Id::Response));
    while bit <= low(Id::Rcode) {
        all |= bit;
        bit <<= 1;
    }
    all
};

/// The section counts, as one number.
const ONE_QUESTION: u64 = 0x0001_0000_0000_0000;
const ONE_QUESTION_ONE_ADDITIONAL: u64 = 0x0001_0000_0000_0001;

/// Fields of one such query: those of [`FIELDS`].
const FIELDS_MAX: usize = 24;
const _: () = assert!(FIELDS.count_ones() <= 24 && FIELDS < 1 << 64);

/// Emits the wanted fields and says so, or does nothing.
#[inline]
pub(super) fn query(want: u128, message: &[u8], base: u32, out: &mut Fields) -> bool {
    let Ok(want) = u64::try_from(want) else { return false };
    u128::from(want) & !FIELDS == 0 && emit(want, message, base, out).is_some()
}

fn emit(want: u64, message: &[u8], base: u32, out: &mut Fields) -> Option<()> {
    let &[i0, i1, f0, f1, counts @ ..] = message.first_chunk::<12>()?;
    let counts = u64::from_be_bytes(counts);
    if counts != ONE_QUESTION && counts != ONE_QUESTION_ONE_ADDITIONAL {
        return None;
    }
    let rest = message.get(12..)?;
    let (labels, wire_len) = name::plain(rest)?;
    let name_end = u32::try_from(wire_len).ok()?.wrapping_add(12);
    let question = Question::behind(message, 12, name_end)?;
    if counts == ONE_QUESTION_ONE_ADDITIONAL {
        // A TSIG or SIG(0) there would cover all fields.
        let behind = rest.get(wire_len.wrapping_add(4)..)?;
        let &[0, 0, 41, _, _, _, _, _, _, l0, l1] = behind.first_chunk::<11>()? else {
            return None;
        };
        behind.get(11..)?.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
    }
    let mut text = Span::default();
    if want & low(Id::QryName) != 0 {
        text = name::plain_text(rest, wire_len, out)?;
    }

    let room = out.room().first_chunk_mut::<FIELDS_MAX>()?;
    let mut places = Places { want, base, left: room.iter_mut(), taken: 0 };
    if want & HEADER_FIELDS != 0 {
        places.number(Id::MessageLen, 0, 0, u64::try_from(message.len()).ok()?);
        places.number(Id::Transaction, 0, 2, u64::from(u16::from_be_bytes([i0, i1])));
        places.header(u16::from_be_bytes([f0, f1]));
        places.number(Id::Queries, 4, 6, 1);
        places.number(Id::Answers, 6, 8, 0);
        places.number(Id::Authorities, 8, 10, 0);
        places.number(Id::Additionals, 10, 12, counts & 1);
    }
    let end = question.span.end;
    let element = Span { start: base.wrapping_add(12), end: base.wrapping_add(end) };
    places.put(Id::Question, 12, end, |field| Field { group: 1, ..field });
    places.put(Id::QryName, 12, name_end, |field| Field {
        group: 1,
        flags: Flags::DECODED,
        element,
        text,
        ..field
    });
    let text_len = u64::from(name_end.wrapping_sub(14));
    let class_at = name_end.wrapping_add(2);
    places.part(Id::QryNameLen, 12, name_end, element, text_len);
    places.part(Id::QryLabels, 12, name_end, element, u64::from(labels));
    places.part(Id::QryType, name_end, class_at, element, u64::from(question.kind));
    places.part(Id::QryClass, class_at, end, element, u64::from(question.class));
    let taken = places.taken;
    out.keep(taken);
    Some(())
}

/// The bit of a field that has a number below 64.
#[expect(clippy::as_conversions, reason = "the number of a fieldless enum, in a constant")]
const fn low(id: Id) -> u64 {
    1_u64.wrapping_shl(id as u32)
}

/// Places to write fields to. (Everything inlined, so that which field it is is known when compiled.)
struct Places<'a> {
    want: u64,
    base: u32,
    left: IterMut<'a, Field>,
    taken: usize,
}

impl Places<'_> {
    /// Writes a field, its own element unless `finish` says otherwise, if it is wanted.
    #[inline(always)]
    fn put(&mut self, id: Id, start: u32, end: u32, finish: impl FnOnce(Field) -> Field) {
        if self.want & low(id) != 0
            && let Some(place) = self.left.next()
        {
            let value =
                Span { start: start.wrapping_add(self.base), end: end.wrapping_add(self.base) };
            *place = finish(Field { slot: id.slot(), value, element: value, ..Field::default() });
            self.taken = self.taken.wrapping_add(1);
        }
    }

    /// A number of the header.
    #[inline(always)]
    fn number(&mut self, id: Id, start: u32, end: u32, number: u64) {
        self.put(id, start, end, |field| Field { flags: Flags::NUMBER, number, ..field });
    }

    /// A number of the question.
    #[inline(always)]
    fn part(&mut self, id: Id, start: u32, end: u32, element: Span, number: u64) {
        self.put(id, start, end, |field| Field {
            group: 1,
            flags: Flags::NUMBER,
            element,
            number,
            ..field
        });
    }

    #[inline(always)]
    fn header(&mut self, flags: u16) {
        self.number(Id::Flags, 2, 4, u64::from(flags));
        if self.want & BITS == 0 {
            return;
        }
        let bits = |shift: u32, mask: u16| u64::from(flags.wrapping_shr(shift) & mask);
        self.number(Id::Response, 2, 4, bits(15, 1));
        self.number(Id::Opcode, 2, 4, bits(11, 15));
        self.number(Id::Authoritative, 2, 4, bits(10, 1));
        self.number(Id::Truncated, 2, 4, bits(9, 1));
        self.number(Id::RecDesired, 2, 4, bits(8, 1));
        self.number(Id::RecAvail, 2, 4, bits(7, 1));
        self.number(Id::Z, 2, 4, bits(6, 1));
        self.number(Id::Authenticated, 2, 4, bits(5, 1));
        self.number(Id::CheckDisable, 2, 4, bits(4, 1));
        self.number(Id::Rcode, 2, 4, bits(0, 15));
    }
}
