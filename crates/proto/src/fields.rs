//! What a decoder found in one unit: spans into the caller's bytes, in the order of the wire.
//!
//! Holds:     at most [`limits::FIELDS_MAX`] fields and [`limits::TEXT_BYTES_MAX`] bytes of decoded
//!            text, allocated once.
//! Promises:  a full table never grows and never loses a field silently: [`Fields::overflowed`]
//!            says so.
//! Never:     copies the bytes a span points at, unless the wire form is not the field's form (DNS
//!            names).

use crate::limits;
use crate::wanted::Slot;
use stage::position::index;

/// A range of bytes, `start..end`, into the input of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From offsets. An offset past 4 GiB cannot come from one unit and saturates; an end before
    /// its start is empty.
    pub fn new(start: usize, end: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        Self { start, end: end.max(start) }
    }

    /// Bytes covered.
    pub const fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Covers no byte.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The bytes it names in `input`; empty where it reaches past the end.
    pub fn of(self, input: &[u8]) -> &[u8] {
        input.get(self.range()).unwrap_or_default()
    }

    /// As a range of indices.
    pub fn range(self) -> core::ops::Range<usize> {
        index(self.start)..index(self.end)
    }

    /// `other` lies wholly inside (or equals) `self`.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The two share at least one byte.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// How a field's value is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The field's value is complete in this unit.
    pub const NONE: Self = Self(0);
    /// `text` holds the field's value in its decoded form; `value` only says which raw bytes it
    /// came from.
    pub const DECODED: Self = Self(1);
    /// The field began in an earlier unit; `value` is a later piece of it.
    pub const CONTINUES: Self = Self(2);
    /// The field goes on after this unit; its length is not known yet.
    pub const OPEN: Self = Self(4);
    /// Under a MAC or handshake hash: may be dropped or refused, never edited.
    pub const MAC_COVERED: Self = Self(8);
    /// A bit of `number` is a boolean or an integer, so `number` is meaningful.
    pub const NUMBER: Self = Self(16);

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One occurrence of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// Which field (or keyed field) this is, as the module numbered it.
    pub slot: Slot,
    /// Which element of the unit it belongs to (header line 3, resource record 0); 0 is the message
    /// itself. A field of an element is compared with its own element's siblings only.
    pub group: u16,
    /// How to read it.
    pub flags: Flags,
    /// The raw bytes of the value: what `truncate` shortens.
    pub value: Span,
    /// The raw bytes of the whole element: what `remove` takes away (a header line with its line
    /// end).
    pub element: Span,
    /// Decoded form, a span of [`Fields::text`], when [`Flags::DECODED`].
    pub text: Span,
    /// The value of a uint or bool field.
    pub number: u64,
}

impl Field {
    /// Bytes of the value a condition sees: see [`Fields::value_of`].
    #[inline]
    pub fn value_len(&self) -> usize {
        let span = if self.flags.has(Flags::DECODED) { self.text } else { self.value };
        index(span.len())
    }
}

/// Caller-owned output of a decoder.
#[derive(Debug)]
pub struct Fields {
    /// All places there are; the first `items_len` hold a field. (Kept initialised, so that adding
    /// one is one bounds check.)
    items: Box<[Field]>,
    items_len: usize,
    /// Likewise.
    text: Box<[u8]>,
    text_len: usize,
    overflowed: bool,
}

impl Fields {
    /// Allocates once, for good.
    pub fn new() -> Self {
        Self {
            items: vec![Field::default(); limits::FIELDS_MAX].into(),
            items_len: 0,
            text: vec![0; limits::TEXT_BYTES_MAX].into(),
            text_len: 0,
            overflowed: false,
        }
    }

    /// Forgets the last unit.
    pub fn clear(&mut self) {
        self.items_len = 0;
        self.text_len = 0;
        self.overflowed = false;
    }

    /// Adds an occurrence. A full table drops it and remembers that it did.
    #[inline]
    pub fn push(&mut self, field: Field) {
        if let Some(place) = self.items.get_mut(self.items_len) {
            *place = field;
            self.items_len = self.items_len.wrapping_add(1);
        } else {
            self.overflowed = true;
        }
    }

    /// A bytes or text field whose wire form is its value, and which is its own element.
    pub fn bytes(&mut self, slot: Slot, value: Span) {
        self.push(Field { slot, value, element: value, ..Field::default() });
    }

    /// A number that stands in the bytes of `value`.
    pub fn number(&mut self, slot: Slot, value: Span, number: u64) {
        self.push(Field {
            slot,
            value,
            element: value,
            number,
            flags: Flags::NUMBER,
            ..Field::default()
        });
    }

    /// Appends decoded text and returns its span; `None` (and overflowed) when the arena is full.
    pub fn add_text(&mut self, bytes: &[u8]) -> Option<Span> {
        let start = self.text_len;
        let end = start.checked_add(bytes.len())?;
        let Some(room) = self.text.get_mut(start..end) else {
            self.overflowed = true;
            return None;
        };
        room.copy_from_slice(bytes);
        self.text_len = end;
        Some(Span::new(start, end))
    }

    /// Nothing was found, and nothing lost.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.items_len == 0 && !self.overflowed
    }

    /// Everything found, in the order of the wire.
    pub fn items(&self) -> &[Field] {
        self.items.get(..self.items_len).unwrap_or_default()
    }

    /// To put right a field that was pushed before its end was known.
    pub fn items_mut(&mut self) -> &mut [Field] {
        self.items.get_mut(..self.items_len).unwrap_or_default()
    }

    /// The arena of decoded text.
    pub fn text(&self) -> &[u8] {
        self.text.get(..self.text_len).unwrap_or_default()
    }

    /// The room left for fields, to be filled from its front; [`Fields::keep`] keeps what was
    /// filled.
    #[inline]
    pub fn room(&mut self) -> &mut [Field] {
        self.items.get_mut(self.items_len..).unwrap_or_default()
    }

    /// Keeps the first `count` fields of [`Fields::room`], or as many as it has.
    #[inline]
    pub fn keep(&mut self, count: usize) {
        self.items_len = self.items_len.saturating_add(count).min(self.items.len());
    }

    /// The room left for text, to be written in place; [`Fields::keep_text`] keeps what was
    /// written.
    #[inline]
    pub fn text_room(&mut self) -> &mut [u8] {
        self.text.get_mut(self.text_len..).unwrap_or_default()
    }

    /// Keeps the first `len` bytes of [`Fields::text_room`]; their span, or `None` if there is less
    /// room.
    #[inline]
    pub fn keep_text(&mut self, len: usize) -> Option<Span> {
        let start = self.text_len;
        let end = start.checked_add(len).filter(|end| *end <= self.text.len())?;
        self.text_len = end;
        Some(Span::new(start, end))
    }

    /// The value a condition sees: decoded where the field has a decoded form, else the raw bytes.
    pub fn value_of<'a>(&'a self, field: &Field, input: &'a [u8]) -> &'a [u8] {
        if field.flags.has(Flags::DECODED) {
            field.text.of(&self.text)
        } else {
            field.value.of(input)
        }
    }

    /// Some field or text did not fit: the unit's rules cannot be decided.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}
