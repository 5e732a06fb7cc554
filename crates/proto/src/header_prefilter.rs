//! The header prefilter: a decoder passes over a message head without making fields of it.
//!
//! Holds:     for every slot, plain or keyed, the lengths, numbers, first and last bytes, and byte
//!            hints ([`byte_hints`]) that meet the cheapest necessary condition of some rule.
//! Promises:  in a unit without rare bytes, a value that is not caught concerns no rule. Rare are
//!            the bytes from [`HeaderPrefilter::rare_from`] on, and control bytes but HTAB, CR and
//!            LF. It may catch too many.
//! Never:     knows what a rule is.

mod byte_hints;

use byte_hints::ByteHints;

use crate::field_prefilter::WatchedRanges;
use crate::wanted::Slot;

/// What is caught of one slot.
#[derive(Clone, Debug)]
pub struct HeaderFieldPrefilter {
    watched: WatchedRanges,
    /// By length, by first and by last byte of a value: a bit each that says it is caught.
    marks: Box<[u8; 256]>,
    /// An empty value is caught.
    empty: bool,
    byte_hints: ByteHints,
    has_byte_hints: bool,
}

/// Bits of [`HeaderFieldPrefilter::marks`].
const LENGTH: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

impl Default for HeaderFieldPrefilter {
    /// Catches nothing.
    fn default() -> Self {
        Self::new(WatchedRanges::default())
    }
}

impl HeaderFieldPrefilter {
    /// So many bytes and pairs can be looked for at the price of a look at every byte.
    pub const BYTE_HINTS_MAX: usize = 32;

    /// So many beginnings.
    pub const STARTS_MAX: usize = 16;

    /// Catches what is watched.
    pub fn new(watched: WatchedRanges) -> Self {
        let mut marks = Box::new([0; 256]);
        for (length, mark) in marks.iter_mut().enumerate() {
            *mark = if watched.length(length) { LENGTH } else { 0 };
        }
        let empty = watched.length(0);
        Self { watched, marks, empty, byte_hints: ByteHints::default(), has_byte_hints: false }
    }

    /// Catches values that begin with one of these, too, or are `empty`.
    #[must_use]
    pub fn with_first(self, bytes: impl Iterator<Item = u8>, empty: bool) -> Self {
        self.with_end(FIRST, bytes, empty)
    }

    /// Catches values that end with one of these, too, or are `empty`.
    #[must_use]
    pub fn with_last(self, bytes: impl Iterator<Item = u8>, empty: bool) -> Self {
        self.with_end(LAST, bytes, empty)
    }

    fn with_end(mut self, end: u8, bytes: impl Iterator<Item = u8>, empty: bool) -> Self {
        for byte in bytes {
            if let Some(mark) = self.marks.get_mut(usize::from(byte)) {
                *mark |= end;
            }
        }
        self.empty |= empty;
        self
    }

    /// Catches values that have one of these bytes or, ASCII case aside, pairs, or begin with one
    /// of these, too.
    #[must_use]
    pub fn with_byte_hints<'a>(
        self,
        bytes: impl Iterator<Item = u8>,
        pairs: impl Iterator<Item = [u8; 2]>,
        starts: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let bytes: Vec<u8> = bytes.collect();
        let byte_hints = ByteHints::new(bytes.iter().copied(), pairs, starts);
        let field = self.with_last(bytes.into_iter(), false);
        Self { has_byte_hints: !byte_hints.are_none(), byte_hints, ..field }
    }

    fn is_open(&self) -> bool {
        self.empty
            || self.has_byte_hints
            || self.marks.iter().any(|mark| *mark != 0)
            || self.watched.watches_values()
    }

    #[inline(always)]
    fn mark(&self, at: u8) -> u8 {
        self.marks.get(usize::from(at)).copied().unwrap_or(u8::MAX)
    }

    #[inline(always)]
    fn catches(&self, input: &[u8], from: usize, end: usize) -> bool {
        let value = input.get(from..end).unwrap_or_default();
        let (Some(&first), Some(&last)) = (value.first(), value.last()) else { return self.empty };
        // The last mark stands for this length and more.
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        let marks = (self.mark(length) & LENGTH) | (self.mark(first) & FIRST);
        marks | (self.mark(last) & LAST) != 0
            || (self.has_byte_hints && self.byte_hints.are_in(input, from, end))
    }
}

/// What is caught of every slot of a side.
#[derive(Clone, Debug, Default)]
pub struct HeaderPrefilter {
    fields: u128,
    counted: u128,
    /// A decoder that uses the prefilter leaves units with this byte or a higher one alone.
    rare_from: u8,
    /// By slot.
    fields_by_slot: Box<[HeaderFieldPrefilter]>,
    lacking: Box<[(Slot, Slot)]>,
}

impl HeaderPrefilter {
    /// One `HeaderFieldPrefilter` for every slot. `lacking`: a unit with the first slot and without
    /// the second concerns somebody.
    pub fn new(
        fields_by_slot: Vec<HeaderFieldPrefilter>,
        lacking: Vec<(Slot, Slot)>,
        rare_from: u8,
    ) -> Self {
        let bits = |of: fn(&HeaderFieldPrefilter) -> bool| {
            let each = fields_by_slot.iter().zip(0_u32..128).filter(|(field, _)| of(field));
            each.fold(0, |bits, (_, slot)| bits | 1_u128.wrapping_shl(slot))
        };
        Self {
            fields: bits(HeaderFieldPrefilter::is_open),
            counted: bits(|field| field.watched.is_counted()),
            lacking: lacking.into(),
            rare_from,
            fields_by_slot: fields_by_slot.into(),
        }
    }

    /// This byte and those above are rare; so are control bytes but HTAB, CR and LF.
    #[inline]
    pub const fn rare_from(&self) -> u8 {
        self.rare_from
    }

    /// Bit `n`: some occurrence of slot `n`, of the first 128, is caught.
    #[inline]
    pub const fn fields(&self) -> u128 {
        self.fields
    }

    /// Bit `n`: somebody counts the occurrences of slot `n`, of the first 128.
    #[inline]
    pub const fn counted(&self) -> u128 {
        self.counted
    }

    /// Somebody looks at units with the first slot of a pair and without the second.
    #[inline]
    pub fn lacking(&self) -> &[(Slot, Slot)] {
        &self.lacking
    }

    /// The value `input[from..end]`, which is no number, is caught.
    #[inline]
    pub fn catches(&self, slot: Slot, input: &[u8], from: usize, end: usize) -> bool {
        let field = self.fields_by_slot.get(usize::from(slot));
        field.is_none_or(|field| field.catches(input, from, end))
    }

    /// A number that stands in these bytes is caught.
    #[inline]
    pub fn catches_number(
        &self,
        slot: Slot,
        input: &[u8],
        from: usize,
        end: usize,
        number: u64,
    ) -> bool {
        self.fields_by_slot.get(usize::from(slot)).is_none_or(|field| {
            field.watched.number(end.saturating_sub(from), number)
                || field.catches(input, from, end)
        })
    }

    /// So many occurrences in one unit concern somebody.
    #[inline]
    pub fn catches_count(&self, slot: Slot, count: usize) -> bool {
        self.fields_by_slot.get(usize::from(slot)).is_none_or(|field| field.watched.occurs(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_begins_so_or_is_counted_is_caught() {
        let prefilter = HeaderPrefilter::new(
            vec![
                HeaderFieldPrefilter::default(),
                HeaderFieldPrefilter::new(WatchedRanges::new(&[(5, 9)], &[(7, 7)]))
                    .with_first([b'a', b'~'].into_iter(), false)
                    .with_byte_hints(
                        b",;#=".iter().copied(),
                        [*b"&Q"].into_iter(),
                        [&b"Key"[..]].into_iter(),
                    ),
                HeaderFieldPrefilter::default().with_last([b'z'].into_iter(), true),
                HeaderFieldPrefilter::new(WatchedRanges::default().from_occurrences(3)),
            ],
            vec![(1, 2)],
            0x7b,
        );
        assert_eq!((prefilter.fields(), prefilter.counted()), (0b110, 0b1000));
        assert_eq!(prefilter.lacking(), [(1, 2)]);
        let number = |slot, value: &[u8], number| {
            prefilter.catches_number(slot, value, 0, value.len(), number)
        };
        let caught = |slot, value: &[u8]| prefilter.catches(slot, value, 0, value.len());
        assert!(!caught(0, b"") && !caught(0, b"abcdefgh"));
        assert!(caught(1, b"a") && caught(1, b"~x") && caught(1, b"xxxxx"));
        assert!(!caught(1, b"xa") && !caught(1, b"") && !caught(1, b"!"));
        assert!(number(1, b"7", 7) && !number(1, b"8", 8));
        assert!(caught(1, b"x,") && caught(1, b"x;x&") && !caught(1, b"x:"));
        assert!(caught(1, b"x#") && caught(1, b"x=") && caught(1, b"x&q"));
        assert!(caught(1, b"KEYx") && !caught(1, b"xKEY") && !caught(1, b"x&"));
        assert!(caught(2, b"") && !caught(2, b"za") && caught(2, b"az"));
        assert!(prefilter.catches_count(3, 3) && !prefilter.catches_count(3, 2));
        assert!(caught(9, b""), "what is not known is caught");
    }
}
