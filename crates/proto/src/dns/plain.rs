//! The common query: one question, its name without pointers or escapes, at most an OPT record
//! behind.
//!
//! Holds:     two fast paths beside [`super::dissect`], which reads any message.
//! Promises:  [`look`] says `Nothing` only of a query in which no watched value is; [`emit`] writes
//!            the fields that the general way finds, or none.
//! Never:     reads a message in which something is odd: that is for the general way.
//!
//! DNS is read in three ways, each for a reason:
//!
//! - [`look`] decides most queries without making a field of them: one load for the header, one
//!   step over the name. Without it every query costs what [`emit`] and the rules' look-up cost.
//! - [`emit`] writes the fields of header and question in a third of the general way's
//!   instructions. Every query that a rule edits, and every benchmark of the decoder, passes here.
//! - [`super::dissect`] reads the rest: responses, records, compressed names.
//!
//! The tests run both fast paths against the general way, over generated queries and over captures.
//! [`super::repair`] walks records with the same [`super::record::RecordPieces`] as `dissect` does.

use core::slice::IterMut;
use stage::position::index;

use super::cut;
use super::fields::{HEADER, Id, RDATA, RECORDS};
use super::name::{self, PlainName};
use super::record::{OPT, Question};
use crate::edits::ValueCut;
use crate::field_prefilter::FieldPrefilter;
use crate::fields::{Field, Fields, Flags, Span};

/// Fields this way can emit; all have numbers below 64.
const FIELDS: u128 = BEFORE_QUESTION | Id::Question.to(Id::QryClass);

/// Fields before the question.
const BEFORE_QUESTION: u128 = HEADER | Id::MessageLen.bit();

/// The bits of the flags word that are fields.
const BITS: u128 = Id::Response.to(Id::Rcode);

/// What these queries have no occurrence of: pointers to find fault with, records but OPT's.
const ABSENT: u128 = Id::ForwardPointer.to(Id::RootPointer)
    | Id::A.to(Id::TkeyError)
    | Id::RespClass.bit()
    | Id::RespTtl.bit();

/// Without an OPT record and bytes behind the question.
const ABSENT_BARE: u128 = ABSENT | ((RECORDS | RDATA) & !Id::NameLen.bit());

/// Fields that these queries have, those of an OPT record apart.
const PRESENT: u128 = FIELDS | Id::NameLen.bit() | Id::Extraneous.bit();

/// Fields of EDNS options, and what is found when these do not fit.
const OPTIONS: u128 = Id::OptCode.to(Id::OptOverrun) | Id::Malformed.bit();

/// Fields of an OPT record that are not its options'.
const RECORD: u128 = Id::Record.to(Id::EdnsDo);

/// The section counts, as one number.
const ONE_QUESTION: u64 = 0x0001_0000_0000_0000;
const ONE_QUESTION_ONE_ADDITIONAL: u64 = 0x0001_0000_0000_0001;

/// Fields of one such query: those of [`FIELDS`].
const FIELDS_MAX: usize = 24;
const _: () = assert!(FIELDS.count_ones() <= 24 && FIELDS < 1 << 64);

/// Bytes an escape makes of one: a backslash and three digits.
const ESCAPE_BYTES_MAX: usize = 4;

/// How [`look`] decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PrefilterVerdict {
    /// No rule can concern any field of it.
    Nothing,
    /// All that becomes of it is this.
    Cut(ValueCut),
    /// Some rule may concern it.
    Watched,
}

impl PrefilterVerdict {
    fn of(watched: bool) -> Self {
        if watched { Self::Watched } else { Self::Nothing }
    }
}

/// Looks for watched values. Where rules watch fields that [`CommonQuery`] does not tell, every
/// message is watched: making its fields costs less than a second walk that knows them all did.
#[inline(always)]
pub(super) fn look(prefilter: &FieldPrefilter, message: &[u8]) -> PrefilterVerdict {
    // Most rules are about what these queries do not have, or about a few of the fields that they
    // do.
    if prefilter.fields() & PRESENT & !QUICK != 0 {
        return PrefilterVerdict::Watched;
    }
    // A match, because a closure for `map_or` would be a call of its own.
    match CommonQuery::of(message) {
        Some(query) => query.look(prefilter, message),
        None => PrefilterVerdict::Watched,
    }
}

/// Fields that [`CommonQuery`] tells.
const QUICK: u128 = Id::MessageLen.bit()
    | Id::Response.bit()
    | Id::Opcode.bit()
    | Id::QryName.bit()
    | Id::QryType.bit()
    | Id::Extraneous.bit();

/// The least there is to see of one of these queries.
struct CommonQuery {
    flags: u16,
    /// Bytes behind the last announced one.
    extraneous_bytes: usize,
    name: PlainName,
    /// The type asked for.
    kind: u16,
    has_opt: bool,
}

impl CommonQuery {
    #[inline(always)]
    fn of(message: &[u8]) -> Option<Self> {
        let &[_, _, f0, f1, counts @ ..] = message.first_chunk::<12>()?;
        let counts = u64::from_be_bytes(counts);
        let has_opt = counts == ONE_QUESTION_ONE_ADDITIONAL;
        if counts != ONE_QUESTION && !has_opt {
            return None;
        }
        let rest = message.get(12..)?;
        let name = name::plain(rest)?;
        let (&[k0, k1, _, _], mut behind) = rest.get(name.bytes..)?.split_first_chunk::<4>()?;
        if has_opt {
            let (opt, data) = behind.split_first_chunk::<11>()?;
            let &[0, 0, 41, _, _, _, _, _, _, l0, l1] = opt else { return None };
            behind = data.get(usize::from(u16::from_be_bytes([l0, l1]))..)?;
        }
        Some(Self {
            flags: u16::from_be_bytes([f0, f1]),
            extraneous_bytes: behind.len(),
            name,
            kind: u16::from_be_bytes([k0, k1]),
            has_opt,
        })
    }

    #[inline(always)]
    fn look(&self, prefilter: &FieldPrefilter, message: &[u8]) -> PrefilterVerdict {
        if self.is_more_than_name_watched(prefilter, message) {
            return PrefilterVerdict::Watched;
        }
        if prefilter.fields() & Id::QryName.bit() == 0 {
            return PrefilterVerdict::Nothing;
        }
        let slot = Id::QryName.slot();
        // The name's length as text, if its text is all but the dots what stands in the message.
        let text_len = self.name.bytes.wrapping_sub(2);
        if !prefilter.bytes(slot, text_len) {
            return PrefilterVerdict::of(self.is_text_watched(prefilter, message));
        }
        match prefilter.cut(slot).and_then(|to| cut::cut(message, self.name.bytes, to)) {
            Some(cut) => PrefilterVerdict::Cut(cut),
            None => PrefilterVerdict::Watched,
        }
    }

    /// Some rule may concern a field that is not the name.
    #[inline(always)]
    fn is_more_than_name_watched(&self, prefilter: &FieldPrefilter, message: &[u8]) -> bool {
        let fields = prefilter.fields();
        let number = |id: Id, bytes: usize, number: u64| {
            fields & id.bit() != 0 && prefilter.number(id.slot(), bytes, number)
        };
        let flag_bits = |shift: u32, mask: u16| u64::from(self.flags.wrapping_shr(shift) & mask);
        number(Id::MessageLen, 0, u64::try_from(message.len()).unwrap_or(u64::MAX))
            || number(Id::Response, 2, flag_bits(15, 1))
            || number(Id::Opcode, 2, flag_bits(11, 15))
            || number(Id::QryType, 2, u64::from(self.kind))
            || (self.extraneous_bytes > 0
                && fields & Id::Extraneous.bit() != 0
                && prefilter.bytes(Id::Extraneous.slot(), self.extraneous_bytes))
            || (self.has_opt
                && fields & (RECORD | OPTIONS) != 0
                && Opt::at(message, self.name.bytes.wrapping_add(16))
                    .is_none_or(|(opt, _)| opt.is_watched(prefilter, message)))
    }

    /// Some rule may concern the name, which would not be watched if none of its bytes needed an
    /// escape.
    #[inline(always)]
    fn is_text_watched(&self, prefilter: &FieldPrefilter, message: &[u8]) -> bool {
        let text_len = self.name.bytes.wrapping_sub(2);
        let least = prefilter.least_length(Id::QryName.slot());
        // No escape makes it shorter, and none makes it more than four times as long.
        if least > text_len.wrapping_mul(ESCAPE_BYTES_MAX) {
            return false;
        }
        let odd = index(name::odd_bytes(message, self.name.bytes));
        let more = odd.saturating_mul(ESCAPE_BYTES_MAX.wrapping_sub(1));
        odd > 0 && least <= text_len.saturating_add(more)
    }
}

/// The twelve bytes every message begins with.
struct DnsHeader {
    transaction: u16,
    flags: u16,
    /// The four section counts.
    counts: u64,
}

impl DnsHeader {
    #[inline(always)]
    fn of(message: &[u8]) -> Option<Self> {
        let &[i0, i1, f0, f1, counts @ ..] = message.first_chunk::<12>()?;
        Some(Self {
            transaction: u16::from_be_bytes([i0, i1]),
            flags: u16::from_be_bytes([f0, f1]),
            counts: u64::from_be_bytes(counts),
        })
    }

    /// Calls `visit` with those of `fields` that come before the question, where they stand, and
    /// their numbers. (Everything inlined, so that which field it is is known when compiled.)
    #[inline(always)]
    fn each(&self, fields: u128, message: &[u8], mut visit: impl FnMut(Id, Span, u64)) {
        let mut number = |id: Id, start: u32, end: u32, number: u64| {
            if fields & id.bit() != 0 {
                visit(id, Span { start, end }, number);
            }
        };
        let flags = self.flags;
        number(Id::MessageLen, 0, 0, u64::try_from(message.len()).unwrap_or(u64::MAX));
        number(Id::Transaction, 0, 2, u64::from(self.transaction));
        number(Id::Flags, 2, 4, u64::from(flags));
        if fields & BITS != 0 {
            let bits = |shift: u32, mask: u16| u64::from(flags.wrapping_shr(shift) & mask);
            number(Id::Response, 2, 4, bits(15, 1));
            number(Id::Opcode, 2, 4, bits(11, 15));
            number(Id::Authoritative, 2, 4, bits(10, 1));
            number(Id::Truncated, 2, 4, bits(9, 1));
            number(Id::RecDesired, 2, 4, bits(8, 1));
            number(Id::RecAvail, 2, 4, bits(7, 1));
            number(Id::Z, 2, 4, bits(6, 1));
            number(Id::Authenticated, 2, 4, bits(5, 1));
            number(Id::CheckDisable, 2, 4, bits(4, 1));
            number(Id::Rcode, 2, 4, bits(0, 15));
        }
        let count = |shift: u32| self.counts.wrapping_shr(shift) & 0xffff;
        number(Id::Queries, 4, 6, count(48));
        number(Id::Answers, 6, 8, count(32));
        number(Id::Authorities, 8, 10, count(16));
        number(Id::Additionals, 10, 12, count(0));
    }
}

/// What follows the header.
struct PlainQuery {
    /// Labels of the name.
    labels: u32,
    /// Bytes of the name in wire form.
    name_bytes: usize,
    question: Question,
    /// An OPT record follows the question.
    has_opt: bool,
    /// Bytes behind the last announced one.
    extraneous_bytes: usize,
}

/// An OPT record (RFC 6891 section 6.1.2).
struct Opt {
    udp_payload_size: u16,
    /// Extended reply code, version, flags.
    ttl: [u8; 4],
    data: Span,
}

impl PlainQuery {
    #[inline(always)]
    fn of(header: &DnsHeader, message: &[u8]) -> Option<Self> {
        let has_opt = header.counts == ONE_QUESTION_ONE_ADDITIONAL;
        if header.counts != ONE_QUESTION && !has_opt {
            return None;
        }
        let rest = message.get(12..)?;
        let PlainName { labels, bytes: name_bytes, .. } = name::plain(rest)?;
        let name_end = u32::try_from(name_bytes).ok()?.wrapping_add(12);
        let question = Question::behind(message, 12, name_end)?;
        let behind = rest.get(name_bytes.wrapping_add(4)..)?;
        let extraneous_bytes =
            if has_opt { Opt::at(message, name_bytes.wrapping_add(16))?.1 } else { behind.len() };
        Some(Self { labels, name_bytes, question, has_opt, extraneous_bytes })
    }

    /// Calls `visit` with those of `fields` that are numbers of the question. (Inlined: see
    /// [`DnsHeader::each`].)
    #[inline(always)]
    fn each_number(&self, fields: u128, mut visit: impl FnMut(Id, Span, u64)) {
        let mut number = |id: Id, start: u32, end: u32, number: u64| {
            if fields & id.bit() != 0 {
                visit(id, Span { start, end }, number);
            }
        };
        let (name_end, end) = (self.question.name_end, self.question.span.end);
        let class_at = name_end.wrapping_add(2);
        // As text: a dot for each length byte but the first, and no root label.
        number(Id::QryNameLen, 12, name_end, u64::from(name_end.wrapping_sub(14)));
        number(Id::QryLabels, 12, name_end, u64::from(self.labels));
        number(Id::QryType, name_end, class_at, u64::from(self.question.kind));
        number(Id::QryClass, class_at, end, u64::from(self.question.class));
    }
}

impl Opt {
    /// The record at `start`, and how many bytes are behind it. (A TSIG or SIG(0) there would cover
    /// all fields.)
    #[inline(always)]
    fn at(message: &[u8], start: usize) -> Option<(Self, usize)> {
        let (head, behind) = message.get(start..)?.split_first_chunk::<11>()?;
        let &[0, 0, 41, c0, c1, t0, t1, t2, t3, l0, l1] = head else { return None };
        let len = u16::from_be_bytes([l0, l1]);
        let extraneous_bytes = behind.len().checked_sub(usize::from(len))?;
        let start = u32::try_from(start).ok()?.wrapping_add(11);
        let data = Span { start, end: start.wrapping_add(u32::from(len)) };
        let udp_payload_size = u16::from_be_bytes([c0, c1]);
        Some((Self { udp_payload_size, ttl: [t0, t1, t2, t3], data }, extraneous_bytes))
    }

    /// Some rule may concern a field of the record or of its options.
    #[inline(never)]
    fn is_watched(&self, prefilter: &FieldPrefilter, message: &[u8]) -> bool {
        let fields = prefilter.fields();
        let number = |id: Id, bytes: usize, number: u64| {
            fields & id.bit() != 0 && prefilter.number(id.slot(), bytes, number)
        };
        let bytes = |id: Id, len: usize| fields & id.bit() != 0 && prefilter.bytes(id.slot(), len);
        let data = self.data.of(message);
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let [ext_rcode, version, z0, z1] = self.ttl;
        let z = u64::from(u16::from_be_bytes([z0, z1]));
        let record = bytes(Id::Record, data.len().wrapping_add(11))
            || number(Id::Section, 0, 3)
            || bytes(Id::RespName, name::ROOT.len())
            || number(Id::RespType, 2, u64::from(OPT))
            || number(Id::RespLen, 2, len)
            || bytes(Id::RespData, data.len())
            || number(Id::UncompressedLen, 0, len)
            || number(Id::UdpPayloadSize, 2, u64::from(self.udp_payload_size))
            || number(Id::ExtRcode, 1, u64::from(ext_rcode))
            || number(Id::EdnsVersion, 1, u64::from(version))
            || number(Id::EdnsZ, 2, z)
            || number(Id::EdnsDo, 2, z.wrapping_shr(15));
        if record || fields & OPTIONS == 0 {
            return record;
        }
        let mut rest = data;
        let mut options = 0_usize;
        while !rest.is_empty() {
            // One that does not fit is for the general way.
            let Some((&[c0, c1, l0, l1], behind)) = rest.split_first_chunk::<4>() else {
                return true;
            };
            let len = u16::from_be_bytes([l0, l1]);
            let Some((value, behind)) = behind.split_at_checked(usize::from(len)) else {
                return true;
            };
            if number(Id::OptCode, 2, u64::from(u16::from_be_bytes([c0, c1])))
                || number(Id::OptLen, 2, u64::from(len))
                || bytes(Id::OptData, value.len())
            {
                return true;
            }
            rest = behind;
            options = options.wrapping_add(1);
        }
        [Id::OptCode, Id::OptLen, Id::OptData]
            .iter()
            .any(|id| prefilter.occurrences(id.slot(), options))
    }
}

/// Emits the wanted fields, or does nothing.
pub(super) fn emit(want: u128, message: &[u8], base: u32, out: &mut Fields) -> Option<()> {
    if want & !(FIELDS | ABSENT_BARE) != 0 {
        return None;
    }
    let header = DnsHeader::of(message)?;
    let query = PlainQuery::of(&header, message)?;
    let bare = !query.has_opt && query.extraneous_bytes == 0;
    if !bare && want & !(FIELDS | ABSENT) != 0 {
        return None;
    }
    let mut text = Span::default();
    if want & Id::QryName.bit() != 0 {
        let len = name::plain_text(message.get(12..)?, query.name_bytes, out)?;
        text = out.keep_text(len)?;
    }

    let room = out.room().first_chunk_mut::<FIELDS_MAX>()?;
    let mut places = FieldPlaces { base, left: room.iter_mut(), taken: 0 };
    if want & BEFORE_QUESTION != 0 {
        header.each(want, message, |id, at, number| {
            places.put(id, at, |field| Field { flags: Flags::NUMBER, number, ..field });
        });
    }
    let Question { span, name_end, .. } = query.question;
    let element = Span { start: base.wrapping_add(span.start), end: base.wrapping_add(span.end) };
    if want & Id::Question.bit() != 0 {
        places.put(Id::Question, span, |field| Field { group: 1, ..field });
    }
    if want & Id::QryName.bit() != 0 {
        let name = Span { start: 12, end: name_end };
        places.put(Id::QryName, name, |field| Field {
            group: 1,
            flags: Flags::DECODED,
            element,
            text,
            ..field
        });
    }
    query.each_number(want, |id, at, number| {
        places.put(id, at, |field| Field {
            group: 1,
            flags: Flags::NUMBER,
            element,
            number,
            ..field
        });
    });
    let taken = places.taken;
    out.keep(taken);
    Some(())
}

/// Places to write fields to.
struct FieldPlaces<'a> {
    base: u32,
    left: IterMut<'a, Field>,
    taken: usize,
}

impl FieldPlaces<'_> {
    /// Writes a field, its own element unless `finish` says otherwise.
    #[inline(always)]
    fn put(&mut self, id: Id, at: Span, finish: impl FnOnce(Field) -> Field) {
        if let Some(place) = self.left.next() {
            let value = Span {
                start: at.start.wrapping_add(self.base),
                end: at.end.wrapping_add(self.base),
            };
            *place = finish(Field { slot: id.slot(), value, element: value, ..Field::default() });
            self.taken = self.taken.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
