//! One message to fields: the header as one load, then only what some rule reads, in the order of
//! the wire.

use super::fields::{HEADER, Id, NAME_CHECKS, QUESTION_NAME, QUESTIONS, RDATA, RECORDS};
use super::name;
use super::plain::{self, PrefilterVerdict};
use super::record::{OPT, Question, Record, RecordPiece, RecordPieces, SIG, TSIG};
use crate::decoder::Dissection;
use crate::fields::{Field, Fields, Flags, Span};
use crate::wanted::Wanted;
use stage::position::len32;

const BITS_WANTED: u128 = Id::Response.to(Id::Rcode);

const COUNTS_WANTED: u128 =
    Id::Queries.bit() | Id::Answers.bit() | Id::Authorities.bit() | Id::Additionals.bit();

/// The element that fields being emitted belong to.
#[derive(Clone, Copy)]
struct Element {
    group: u16,
    span: Span,
}

struct Dissector<'a> {
    /// The message, without TCP's prefix.
    message: &'a [u8],
    /// Where it begins in the caller's input.
    base: u32,
    want: u128,
    out: &'a mut Fields,
    groups: u16,
    malformed: bool,
    /// The last record of the message signs it: its group.
    signed_by: Option<(u16, u16)>,
}

/// Emits the wanted fields of `message`, or none if no rule can concern it (nor what was found
/// before it: `quiet`). `whole`: no more of it will come, so that what is missing is an error.
#[inline]
pub(super) fn message(
    wanted: &Wanted,
    quiet: bool,
    message: &[u8],
    base: u32,
    whole: bool,
    out: &mut Fields,
) {
    let prefilter = wanted.field_prefilter().filter(|_| quiet);
    let verdict = prefilter.map(|prefilter| plain::look(prefilter, message));
    if verdict != Some(PrefilterVerdict::Nothing) {
        emit(wanted.plain(), message, base, whole, out);
    }
}

/// The same of a datagram, which may be told what becomes of it without a field being made.
#[inline]
pub(super) fn datagram(wanted: &Wanted, message: &[u8], out: &mut Fields) -> Dissection {
    match wanted.field_prefilter().map(|prefilter| plain::look(prefilter, message)) {
        Some(PrefilterVerdict::Nothing) => {}
        Some(PrefilterVerdict::Cut(cut)) => return Dissection::Cut(cut),
        Some(PrefilterVerdict::Watched) | None => emit(wanted.plain(), message, 0, true, out),
    }
    Dissection::Message
}

#[inline(never)]
fn emit(want: u128, message: &[u8], base: u32, whole: bool, out: &mut Fields) {
    if plain::emit(want, message, base, out).is_none() {
        any_message(want, message, base, whole, out);
    }
}

/// The general way.
#[inline(never)]
pub(super) fn any_message(want: u128, message: &[u8], base: u32, whole: bool, out: &mut Fields) {
    let mut dissector =
        Dissector { message, base, want, out, groups: 0, malformed: false, signed_by: None };
    if want & Id::MessageLen.bit() != 0 {
        let len = u64::try_from(message.len()).unwrap_or(u64::MAX);
        dissector.number(Id::MessageLen, Span { start: 0, end: 0 }, len);
    }
    let complete = dissector.run().is_some();
    if whole && want & Id::Malformed.bit() != 0 && (!complete || dissector.malformed) {
        let end = len32(message.len());
        dissector.number(Id::Malformed, Span { start: end, end }, 1);
    }
    if let Some((group, kind)) = dissector.signed_by {
        cover(dissector.out, group, kind);
    }
}

//= https://www.rfc-editor.org/rfc/rfc8945#section-4.3.1
/// Marks everything as under the MAC, but what a rule may edit all the same: the signing record as
/// a whole (without it the message is one that nobody signed), anything of a SIG(0), which does not
/// cover itself, and TSIG's error.
fn cover(out: &mut Fields, group: u16, kind: u16) {
    for field in out.items_mut() {
        let free = field.group == group
            && (kind != TSIG
                || field.slot == Id::Record.slot()
                || field.slot == Id::TsigError.slot());
        if !free {
            field.flags = field.flags.with(Flags::MAC_COVERED);
        }
    }
}

impl Dissector<'_> {
    #[inline]
    const fn wants(&self, id: Id) -> bool {
        self.want & id.bit() != 0
    }

    #[inline]
    fn span(&self, span: Span) -> Span {
        // A message and its prefix are at most 65,537 bytes long.
        Span { start: span.start.wrapping_add(self.base), end: span.end.wrapping_add(self.base) }
    }

    #[inline]
    fn number(&mut self, id: Id, at: Span, number: u64) {
        let value = self.span(at);
        self.out.number(id.slot(), value, number);
    }

    /// A number inside an element.
    #[inline]
    fn part(&mut self, id: Id, at: Span, number: u64, element: Element) {
        if self.wants(id) {
            let (value, whole) = (self.span(at), self.span(element.span));
            self.out.push(Field {
                slot: id.slot(),
                group: element.group,
                flags: Flags::NUMBER,
                value,
                element: whole,
                number,
                ..Field::default()
            });
        }
    }

    /// Bytes inside an element.
    #[inline]
    fn bytes(&mut self, id: Id, at: Span, element: Element) {
        if self.wants(id) {
            let (value, whole) = (self.span(at), self.span(element.span));
            self.out.push(Field {
                slot: id.slot(),
                group: element.group,
                value,
                element: whole,
                ..Field::default()
            });
        }
    }

    /// A name, whose text is there already.
    #[inline]
    fn text(&mut self, id: Id, at: Span, text: Span, element: Element) {
        let (value, whole) = (self.span(at), self.span(element.span));
        self.out.push(Field {
            slot: id.slot(),
            group: element.group,
            flags: Flags::DECODED,
            value,
            element: whole,
            text,
            ..Field::default()
        });
    }

    fn next_element(&mut self, span: Span) -> Element {
        self.groups = self.groups.saturating_add(1);
        Element { group: self.groups, span }
    }

    /// `None`: the message ends early.
    #[inline]
    fn run(&mut self) -> Option<()> {
        let header = *self.message.first_chunk::<12>()?;
        let [i0, i1, f0, f1, counts @ ..] = header;
        let flags = u16::from_be_bytes([f0, f1]);
        if self.want & HEADER != 0 {
            self.header(u16::from_be_bytes([i0, i1]), flags, counts);
        }
        let [q0, q1, n0, n1, a0, a1, d0, d1] = counts;
        let sections = [[n0, n1], [a0, a1], [d0, d1]].map(u16::from_be_bytes);
        // Only the last additional record can sign the message.
        let signature_possible = d0 | d1 != 0;
        let mut at = 12;
        if self.want & (QUESTIONS | RECORDS) != 0 || signature_possible {
            for _ in 0..u16::from_be_bytes([q0, q1]) {
                at = self.question(at)?;
            }
        }
        if self.want & RECORDS != 0 || signature_possible {
            self.records(sections, at)?;
        }
        Some(())
    }

    fn header(&mut self, id: u16, flags: u16, counts: [u8; 8]) {
        if self.wants(Id::Transaction) {
            self.number(Id::Transaction, Span { start: 0, end: 2 }, u64::from(id));
        }
        if self.wants(Id::Flags) {
            self.number(Id::Flags, Span { start: 2, end: 4 }, u64::from(flags));
        }
        if self.want & BITS_WANTED != 0 {
            self.bits(Id::Response, flags, 15, 1);
            self.bits(Id::Opcode, flags, 11, 15);
            self.bits(Id::Authoritative, flags, 10, 1);
            self.bits(Id::Truncated, flags, 9, 1);
            self.bits(Id::RecDesired, flags, 8, 1);
            self.bits(Id::RecAvail, flags, 7, 1);
            self.bits(Id::Z, flags, 6, 1);
            self.bits(Id::Authenticated, flags, 5, 1);
            self.bits(Id::CheckDisable, flags, 4, 1);
            self.bits(Id::Rcode, flags, 0, 15);
        }
        if self.want & COUNTS_WANTED != 0 {
            let [q0, q1, n0, n1, a0, a1, d0, d1] = counts;
            self.count(Id::Queries, 4, [q0, q1]);
            self.count(Id::Answers, 6, [n0, n1]);
            self.count(Id::Authorities, 8, [a0, a1]);
            self.count(Id::Additionals, 10, [d0, d1]);
        }
    }

    /// Bits of the flags word. (Inlined, so that which field it is is known when compiled.)
    #[inline(always)]
    fn bits(&mut self, id: Id, flags: u16, shift: u32, mask: u16) {
        if self.wants(id) {
            let number = flags.wrapping_shr(shift) & mask;
            self.number(id, Span { start: 2, end: 4 }, u64::from(number));
        }
    }

    #[inline(always)]
    fn count(&mut self, id: Id, at: u32, bytes: [u8; 2]) {
        if self.wants(id) {
            let span = Span { start: at, end: at.wrapping_add(2) };
            self.number(id, span, u64::from(u16::from_be_bytes(bytes)));
        }
    }

    /// Emits a question; where it ends.
    fn question(&mut self, start: u32) -> Option<u32> {
        self.groups = self.groups.wrapping_add(1);
        if self.want & (QUESTION_NAME | NAME_CHECKS) == 0 {
            let question = Question::at(self.message, start)?;
            let element = Element { group: self.groups, span: question.span };
            self.bytes(Id::Question, question.span, element);
            self.question_tail(&question, element);
            return Some(question.span.end);
        }
        // The name is emitted before its element's end is known (until then all that is there), and
        // put right once it is.
        let first = self.out.items().len();
        let message_end = len32(self.message.len());
        let element = Element { group: self.groups, span: Span { start, end: message_end } };
        self.bytes(Id::Question, element.span, element);
        let reading = self.name(Some(Id::QryName), start, element)?;
        let name_end = reading.end?;
        let name_span = Span { start, end: name_end };
        // As text: a dot for each length byte but the first, and no root label.
        let text_len = reading.wire_len.saturating_sub(2);
        self.part(Id::QryNameLen, name_span, u64::from(text_len), element);
        self.part(Id::QryLabels, name_span, u64::from(reading.labels), element);
        let question = Question::behind(self.message, start, name_end)?;
        let whole = self.span(question.span);
        for field in self.out.items_mut().get_mut(first..).unwrap_or_default() {
            field.element = whole;
            if field.slot == Id::Question.slot() {
                field.value = whole;
            }
        }
        self.question_tail(&question, Element { span: question.span, ..element });
        Some(question.span.end)
    }

    #[inline]
    fn question_tail(&mut self, question: &Question, element: Element) {
        let at = question.name_end;
        let (class_at, end) = (at.saturating_add(2), at.saturating_add(4));
        self.part(
            Id::QryType,
            Span { start: at, end: class_at },
            u64::from(question.kind),
            element,
        );
        self.part(Id::QryClass, Span { start: class_at, end }, u64::from(question.class), element);
    }

    /// Emits a name (if `id` is wanted) and what is found about it. `None`: no room for its text.
    #[inline]
    fn name(&mut self, id: Option<Id>, start: u32, element: Element) -> Option<name::NameReading> {
        let id = id.filter(|id| self.wants(*id));
        let (reading, text) = match id {
            Some(_) => name::read_text(self.message, start, self.out)?,
            None => (name::read(self.message, start, |_| {}), Span::default()),
        };
        // A name that does not end in place is shown up to the end of what is there.
        let message_end = len32(self.message.len());
        let at = Span { start, end: reading.end.unwrap_or(message_end) };
        if let Some(id) = id {
            self.text(id, at, text, element);
        }
        self.malformed |= !reading.valid;
        if self.want & NAME_CHECKS != 0 {
            for (id, found) in [
                (Id::ForwardPointer, reading.forward),
                (Id::Loop, reading.looped),
                (Id::RootPointer, reading.to_root),
            ] {
                if found {
                    self.part(id, at, 1, element);
                }
            }
            self.part(Id::NameLen, at, u64::from(reading.wire_len), element);
        }
        Some(reading)
    }

    fn records(&mut self, sections: [u16; 3], mut at: u32) -> Option<()> {
        let mut last = None;
        for (section, count) in (1_u8..).zip(sections) {
            last = None;
            for _ in 0..count {
                let record = Record::at(self.message, at)?;
                self.groups = self.groups.wrapping_add(1);
                last = Some((self.groups, at, record.kind));
                if self.want & RECORDS != 0 {
                    let element = Element { group: self.groups, span: record.span };
                    self.record(&record, section, element);
                }
                at = record.span.end;
            }
        }
        if let Some((group, start, kind @ (SIG | TSIG))) = last
            && Record::at(self.message, start)?.signs_message(self.message)
        {
            self.signed_by = Some((group, kind));
        }
        let rest = Span { start: at, end: len32(self.message.len()) };
        if self.wants(Id::Extraneous) && !rest.is_empty() {
            let value = self.span(rest);
            self.out.bytes(Id::Extraneous.slot(), value);
        }
        Some(())
    }

    #[inline(never)]
    fn record(&mut self, record: &Record, section: u8, element: Element) {
        let start = record.span.start;
        self.bytes(Id::Record, record.span, element);
        let nowhere = Span { start, end: start };
        self.part(Id::Section, nowhere, u64::from(section), element);
        if self.want & (Id::RespName.bit() | NAME_CHECKS) != 0 {
            // Without room for its text `Fields` has overflowed, which is all that counts then.
            let _ = self.name(Some(Id::RespName), start, element);
        }
        let at = |from: u32, to: u32| Span {
            start: record.name_end.saturating_add(from),
            end: record.name_end.saturating_add(to),
        };
        self.part(Id::RespType, at(0, 2), u64::from(record.kind), element);
        if record.kind == OPT {
            //= https://www.rfc-editor.org/rfc/rfc6891#section-6.1.2
            let [ext_rcode, version, z0, z1] = record.ttl.to_be_bytes();
            let z = u64::from(u16::from_be_bytes([z0, z1]));
            self.part(Id::UdpPayloadSize, at(2, 4), u64::from(record.class), element);
            self.part(Id::ExtRcode, at(4, 5), u64::from(ext_rcode), element);
            self.part(Id::EdnsVersion, at(5, 6), u64::from(version), element);
            self.part(Id::EdnsZ, at(6, 8), z, element);
            self.part(Id::EdnsDo, at(6, 8), z.wrapping_shr(15), element);
        } else {
            self.part(Id::RespClass, at(2, 4), u64::from(record.class), element);
            self.part(Id::RespTtl, at(4, 8), u64::from(record.ttl), element);
        }
        self.part(Id::RespLen, at(8, 10), u64::from(record.data.len()), element);
        self.bytes(Id::RespData, record.data, element);
        if self.want & RDATA != 0 {
            self.data(record, element);
        }
    }

    fn data(&mut self, record: &Record, element: Element) {
        let mut uncompressed_len = record.data.len();
        for piece in RecordPieces::of(self.message, record) {
            match piece {
                RecordPiece::Name(id, at) => {
                    if id.is_some_and(|id| self.wants(id))
                        || self.want & (NAME_CHECKS | Id::UncompressedLen.bit()) != 0
                    {
                        let Some(reading) = self.name(id, at.start, element) else { return };
                        uncompressed_len = uncompressed_len
                            .saturating_add(reading.wire_len)
                            .saturating_sub(at.len());
                    }
                }
                RecordPiece::Uint(id, at) => {
                    if let Some(id) = id {
                        self.part(id, at, uint(at.of(self.message)), element);
                    }
                }
                RecordPiece::Bytes(id, at) => {
                    if let Some(id) = id {
                        self.bytes(id, at, element);
                    }
                }
                RecordPiece::Counted { len_id, len_at, id, value } => {
                    if let Some(id) = len_id {
                        self.part(id, len_at, u64::from(value.len()), element);
                    }
                    if let Some(id) = id {
                        self.bytes(id, value, element);
                    }
                }
                RecordPiece::Option { span, value } => self.option(span, value),
                RecordPiece::Overrun { option } => {
                    self.malformed = true;
                    if let Some(option) = option {
                        self.part(Id::OptOverrun, option, 1, element);
                    }
                }
            }
        }
        let end = record.data.end;
        self.part(
            Id::UncompressedLen,
            Span { start: end, end },
            u64::from(uncompressed_len),
            element,
        );
    }

    fn option(&mut self, span: Span, value: Span) {
        let element = self.next_element(span);
        let code_end = span.start.saturating_add(2);
        let code = Span { start: span.start, end: code_end };
        self.part(Id::OptCode, code, uint(code.of(self.message)), element);
        let len = Span { start: code_end, end: value.start };
        self.part(Id::OptLen, len, u64::from(value.len()), element);
        self.bytes(Id::OptData, value, element);
    }
}

/// A big-endian number of at most eight bytes.
fn uint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number.wrapping_shl(8) | u64::from(*byte))
}
