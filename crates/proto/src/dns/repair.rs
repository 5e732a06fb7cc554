//! Puts right what encloses edited bytes: counts, lengths, and the compression pointers that the
//! edits have moved or undone.
//!
//! Walks the message once, in the order of the wire. A pointer is kept (and moved along) only where
//! it points strictly before its own name, at the start of a label of a name that stays as it is;
//! every other name is written out as it read before the edits, and later pointers to the same
//! place are pointed at the copy. So a repaired message says in every name that no rule edited what
//! it said before, and holds no pointer that goes forward.

use super::name::{self, Label, byte};
use super::record::{Question, Record, RecordPiece, RecordPieces, uint16};
use crate::decoder::Repair;
use crate::edits::{Edit, Edits};
use crate::fields::Span;
use stage::position::index;

/// Offsets a pointer can name: 14 bits.
const POINTABLE: u32 = 0x4000;

/// Bytes of the message between two marks of [`Shifts`].
const BLOCK: u32 = 64;

/// Blocks that a pointer can name.
const BLOCKS: usize = 256;

/// Blocks of a message that every server takes over UDP (RFC 1035 section 4.2.1: 512 bytes).
const SHORT_BLOCKS: usize = 8;

/// Places that names were written out at, by the offset they stand in for.
const COPIES: usize = 64;

/// Repairs the message in `input[base..]`.
pub(super) fn repair(input: &[u8], base: u32, edits: &mut Edits) -> Repair {
    let message = input.get(index(base)..).unwrap_or_default();
    // Flags and the like: nothing has moved, and no name can have been touched.
    let header_end = base.saturating_add(12);
    if edits.list().iter().all(|edit| growth_of(edit) == 0 && edit.at.end <= header_end) {
        return Repair::Done;
    }
    let claimed_len = if base == 0 { None } else { uint16(input, 0).map(usize::from) };
    let whole = claimed_len.is_none_or(|len| len == message.len());
    // Tables are cleared for every message, which for most would be more work than the repair: a
    // short one has short tables.
    let done = if message.len() <= SHORT_BLOCKS.saturating_mul(64) {
        Repairer::<SHORT_BLOCKS>::of(message, base, edits).run(whole)
    } else {
        Repairer::<BLOCKS>::of(message, base, edits).run(whole)
    };
    match done {
        Some(()) => Repair::Done,
        None => Repair::Impossible,
    }
}

/// What the edits before some place do to what follows it.
#[derive(Clone, Copy, Default)]
struct Shift {
    /// How many they are.
    edits: usize,
    /// The bytes they add.
    growth: i64,
}

impl Shift {
    const NONE: Self = Self { edits: 0, growth: 0 };
}

/// How far the edits before the start of each block have moved what follows: looked up for every
/// pointer, so kept.
struct Shifts<const BLOCKS: usize> {
    /// For block `n`: edits that end at or before its start, and the bytes they add.
    marks: [Shift; BLOCKS],
    /// Blocks whose mark is final.
    filled: usize,
}

struct Repairer<'a, const BLOCKS: usize> {
    message: &'a [u8],
    base: u32,
    edits: &'a mut Edits,
    /// Offsets at which a label of a name begins that stays in place, one bit each, a word a block.
    labels: [u64; BLOCKS],
    shifts: Shifts<BLOCKS>,
    /// `(target, where its copy is now)`; 0 is no place of a name.
    copies: [(u16, u16); COPIES],
    /// A name being written out.
    work: [u8; 256],
}

/// What an edit does to an element.
#[derive(PartialEq, Eq)]
enum ElementFate {
    /// Nothing, or something inside it.
    Stays,
    /// It is deleted.
    Removed,
    /// It is another now, and its bytes say nothing.
    Replaced,
}

fn growth_of(edit: &Edit) -> i64 {
    i64::from(edit.with.len()).saturating_sub(i64::from(edit.at.len()))
}

impl<'a, const BLOCKS: usize> Repairer<'a, BLOCKS> {
    fn of(message: &'a [u8], base: u32, edits: &'a mut Edits) -> Self {
        Self {
            message,
            base,
            edits,
            labels: [0; BLOCKS],
            shifts: Shifts { marks: [Shift::NONE; BLOCKS], filled: 0 },
            copies: [(0, 0); COPIES],
            work: [0; 256],
        }
    }

    fn run(&mut self, whole: bool) -> Option<()> {
        let header = *self.message.first_chunk::<12>()?;
        let [_, _, _, _, q0, q1, n0, n1, a0, a1, d0, d1] = header;
        let counts = [[q0, q1], [n0, n1], [a0, a1], [d0, d1]].map(u16::from_be_bytes);
        let mut removed = [0_u16; 4];
        // A message that does not parse to its end is repaired as far as it does: no server reads
        // names behind that, and a sender must not be able to buy off a rule with a broken tail.
        let _ = self.elements(counts, &mut removed)?;
        for ((count, removed), at) in counts.iter().zip(removed).zip([4_u32, 6, 8, 10]) {
            if removed > 0 {
                let span = Span { start: at, end: at.saturating_add(2) };
                self.write(span, &count.saturating_sub(removed).to_be_bytes())?;
            }
        }
        self.length(whole)
    }

    /// Every question and record. The outer `None`: cannot be repaired; `Some(false)`: the message
    /// ends early.
    fn elements(&mut self, counts: [u16; 4], removed: &mut [u16; 4]) -> Option<bool> {
        let mut at = 12;
        for (section, (count, removed)) in counts.iter().zip(removed).enumerate() {
            for _ in 0..*count {
                let record = if section == 0 { None } else { Record::at(self.message, at) };
                let (span, name_end) = match record {
                    Some(record) => (record.span, record.name_end),
                    None if section == 0 => match Question::at(self.message, at) {
                        Some(question) => (question.span, question.name_end),
                        None => return Some(false),
                    },
                    None => return Some(false),
                };
                match self.fate(span)? {
                    ElementFate::Removed => *removed = removed.saturating_add(1),
                    ElementFate::Replaced => {}
                    ElementFate::Stays => {
                        self.name(Span { start: at, end: name_end })?;
                        if let Some(record) = record {
                            self.data(&record)?;
                        }
                    }
                }
                at = span.end;
                self.mark_up_to(at);
            }
        }
        Some(true)
    }

    /// A record's data: names, lengths inside it, its own length.
    fn data(&mut self, record: &Record) -> Option<()> {
        if self.fate(record.data)? == ElementFate::Stays {
            for piece in RecordPieces::of(self.message, record) {
                match piece {
                    RecordPiece::Name(_, at) => self.name(at)?,
                    RecordPiece::Counted { len_at, value, .. } => self.counted(len_at, value)?,
                    RecordPiece::Option { span, value } => {
                        if self.fate(span)? == ElementFate::Stays {
                            let len_at = Span {
                                start: span.start.saturating_add(2),
                                end: span.start.saturating_add(4),
                            };
                            self.counted(len_at, value)?;
                        }
                    }
                    RecordPiece::Uint(..)
                    | RecordPiece::Bytes(..)
                    | RecordPiece::Overrun { .. } => {}
                }
            }
        }
        self.counted(record.data_len_at(), record.data)
    }

    /// Writes the length of `value` anew if edits have changed it.
    fn counted(&mut self, len_at: Span, value: Span) -> Option<()> {
        let growth = self.growth(value);
        if growth == 0 {
            return Some(());
        }
        let len = u16::try_from(i64::from(value.len()).saturating_add(growth)).ok()?;
        if len_at.len() == 1 {
            self.write(len_at, &[u8::try_from(len).ok()?])
        } else {
            self.write(len_at, &len.to_be_bytes())
        }
    }

    /// The whole message must keep to 16 bits, and over TCP its length stands before it.
    fn length(&mut self, whole: bool) -> Option<()> {
        let growth = self.edits.list().iter().map(growth_of).fold(0, i64::saturating_add);
        let len = i64::try_from(self.message.len()).ok()?.saturating_add(growth);
        let len = u16::try_from(len).ok()?;
        if self.base == 0 || growth == 0 {
            return Some(());
        }
        if !whole {
            // The rest of the message goes by unseen, so its length could be anything.
            return None;
        }
        let input_prefix = Span { start: 0, end: self.base };
        self.edits.replace_between(input_prefix, &len.to_be_bytes()).then_some(())
    }

    /// A name in place: remembers its labels if it stays, and puts its pointer right.
    fn name(&mut self, at: Span) -> Option<()> {
        if self.first_edit_in(at).is_some() {
            // A rule has rewritten it, without pointers.
            return Some(());
        }
        let mut pos = at.start;
        while pos < at.end {
            if pos < POINTABLE
                && let Some(word) = self.labels.get_mut(index(pos >> 6))
            {
                *word |= 1_u64.wrapping_shl(pos);
            }
            match Label::of(byte(self.message, pos)?) {
                Label::Bytes(len) => pos = pos.saturating_add(len).saturating_add(1),
                Label::Pointer(_) => return self.pointer(at.start, pos),
                Label::Root | Label::Unknown => break,
            }
        }
        Some(())
    }

    /// The pointer at `pos`, of the name that begins at `name_start`.
    fn pointer(&mut self, name_start: u32, pos: u32) -> Option<()> {
        let target = uint16(self.message, pos)? & 0x3fff;
        let span = Span { start: pos, end: pos.checked_add(2)? };
        if u32::from(target) < name_start && self.stays(target) {
            let now = self.now_at(u32::from(target));
            if now == u32::from(target) {
                return Some(());
            }
            if now < POINTABLE {
                return self.write_pointer(span, now);
            }
        }
        let slot = usize::from(target) & COPIES.wrapping_sub(1);
        if let Some((_, copy)) =
            self.copies.get(slot).filter(|(of, _)| *of == target && target != 0)
        {
            return self.write_pointer(span, u32::from(*copy));
        }
        let mut len = 0_usize;
        let work = &mut self.work;
        let mut add = |bytes: &[u8]| {
            let end = len.saturating_add(bytes.len());
            if let Some(room) = work.get_mut(len..end) {
                room.copy_from_slice(bytes);
                len = end;
            }
        };
        // A name that does not end is written out as far as it could be read.
        let in_place = pos.saturating_sub(name_start);
        let mut cut = false;
        let mut left = name::NAME_BYTES_MAX.saturating_sub(in_place).saturating_sub(1);
        name::read(self.message, u32::from(target), |label| {
            let Ok(label_len) = u8::try_from(label.len()) else { return };
            let taken = u32::from(label_len).saturating_add(1);
            if let Some(rest) = left.checked_sub(taken) {
                left = rest;
                add(&[label_len]);
                add(label);
            } else {
                left = 0;
                cut = true;
            }
        });
        add(&[0]);
        let now = self.now_at(pos);
        let new = self.work.get(..len)?;
        let at = Span {
            start: span.start.checked_add(self.base)?,
            end: span.end.checked_add(self.base)?,
        };
        if !self.edits.replace(at, new) {
            return None;
        }
        if let (Some(copy), Ok(now)) = (self.copies.get_mut(slot), u16::try_from(now))
            && u32::from(now) < POINTABLE
            && !cut
        {
            *copy = (target, now);
        }
        Some(())
    }

    fn write_pointer(&mut self, span: Span, to: u32) -> Option<()> {
        let to = u16::try_from(to).ok()? | 0xc000;
        self.write(span, &to.to_be_bytes())
    }

    /// A label of a name that stays begins there.
    fn stays(&self, target: u16) -> bool {
        self.labels
            .get(usize::from(target >> 6))
            .is_some_and(|word| word & 1_u64.wrapping_shl(u32::from(target)) != 0)
    }

    /// Replaces bytes of the message, unless they are so already.
    fn write(&mut self, at: Span, new: &[u8]) -> Option<()> {
        if at.of(self.message) == new && self.first_edit_in(at).is_none() {
            return Some(());
        }
        let at =
            Span { start: at.start.checked_add(self.base)?, end: at.end.checked_add(self.base)? };
        self.edits.replace_between(at, new).then_some(())
    }

    /// Index of the first edit that ends after the message's offset `at`.
    fn edits_after(&self, at: u32) -> usize {
        let at = at.saturating_add(self.base);
        self.edits.list().partition_point(|edit| edit.at.end <= at)
    }

    /// The first edit that takes bytes from, or stands strictly inside, a range of the message.
    fn first_edit_in(&self, range: Span) -> Option<Edit> {
        let edit = *self.edits.list().get(self.edits_after(range.start))?;
        (edit.at.start < range.end.saturating_add(self.base)).then_some(edit)
    }

    /// What becomes of a range of the message; `None` where an edit straddles its border.
    fn fate(&self, range: Span) -> Option<ElementFate> {
        if range.is_empty() {
            return Some(ElementFate::Stays);
        }
        let Some(first) = self.first_edit_in(range) else { return Some(ElementFate::Stays) };
        let range = Span {
            start: range.start.saturating_add(self.base),
            end: range.end.saturating_add(self.base),
        };
        if first.at.contains(range) {
            return match (first.with.is_empty(), first.at == range) {
                (true, _) => Some(ElementFate::Removed),
                (false, true) => Some(ElementFate::Replaced),
                (false, false) => None,
            };
        }
        let list = self.edits.list();
        let last = list.partition_point(|edit| edit.at.start < range.end).checked_sub(1)?;
        let inside = range.start <= first.at.start
            && list.get(last).is_some_and(|last| last.at.end <= range.end);
        inside.then_some(ElementFate::Stays)
    }

    /// Bytes that the edits inside a range of the message add, insertions at its end (or its start,
    /// if it is empty) included.
    fn growth(&self, range: Span) -> i64 {
        let first = self.edits_after(range.start.saturating_sub(1));
        let range = Span {
            start: range.start.saturating_add(self.base),
            end: range.end.saturating_add(self.base),
        };
        self.edits
            .list()
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|edit| edit.at.end <= range.end)
            .filter(|edit| range.contains(edit.at))
            .map(growth_of)
            .fold(0, i64::saturating_add)
    }

    /// Everything before `end` is final: its blocks get their marks.
    fn mark_up_to(&mut self, end: u32) {
        while let Ok(start) = u32::try_from(self.shifts.filled).map(|n| n.saturating_mul(BLOCK))
            && start <= end.min(POINTABLE.saturating_sub(1))
        {
            let filled = self.shifts.filled;
            let previous = filled.checked_sub(1).and_then(|n| self.shifts.marks.get(n)).copied();
            let mark = self.shift_from(previous.unwrap_or_default(), start);
            if let Some(place) = self.shifts.marks.get_mut(filled) {
                *place = mark;
            }
            self.shifts.filled = filled.saturating_add(1);
        }
    }

    /// Goes on from a mark to an offset of the message: edits that end at or before it, and the
    /// bytes they add.
    fn shift_from(&self, mark: Shift, to: u32) -> Shift {
        let Shift { edits: first, growth } = mark;
        let to = to.saturating_add(self.base);
        let later = self.edits.list().get(first..).unwrap_or_default();
        let ended = || later.iter().take_while(|edit| edit.at.end <= to);
        let growth = ended().map(growth_of).fold(growth, i64::saturating_add);
        Shift { edits: first.saturating_add(ended().count()), growth }
    }

    /// Where the byte at an offset before the end of what is final stands now.
    fn now_at(&self, at: u32) -> u32 {
        let block = index(at.wrapping_div(BLOCK));
        let block = block.min(self.shifts.filled.saturating_sub(1));
        let mark = self.shifts.marks.get(block).copied().unwrap_or_default();
        let growth = self.shift_from(mark, at).growth;
        u32::try_from(i64::from(at).saturating_add(growth)).unwrap_or(u32::MAX)
    }
}
