//! The field prefilter: a decoder passes over a message before it has made a field of anything.
//!
//! Holds:     for every plain field of one direction, as bits, the lengths and numbers that meet
//!            the cheapest necessary condition of some rule.
//! Promises:  every value that concerns a rule is watched; others may be too. A look-up is one
//!            load.
//! Never:     knows what a rule is: the compiler of patches tells it the watched ranges
//!            ([`Wanted::set_field_prefilter`]).
//!
//! [`Wanted::set_field_prefilter`]: crate::Wanted::set_field_prefilter

use crate::wanted::Slot;

/// The last bit of the lengths stands for this many bytes or more.
const LENGTH_LAST: usize = 255;

/// The last bit of the numbers stands for this one or more, at most.
const NUMBER_LAST_MAX: u64 = 0xffff;

/// The watched values of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedRanges {
    lengths: [u64; 4],
    /// The least of the lengths; 256 if there is none.
    least_length: u16,
    /// So many occurrences in one unit; `usize::MAX` if they are not counted.
    occurrences: usize,
    /// Its last bit stands for that number or more; empty: no number is watched.
    numbers: Box<[u64]>,
    /// See [`WatchedRanges::with_cut`].
    cut: Option<usize>,
}

impl WatchedRanges {
    /// Watches values whose length or number is in one of these ranges, both ends included.
    pub fn new(lengths: &[(usize, usize)], numbers: &[(u64, u64)]) -> Self {
        let mut watched = Self {
            lengths: [0; 4],
            least_length: 256,
            occurrences: usize::MAX,
            numbers: Box::default(),
            cut: None,
        };
        for &(from, to) in lengths {
            fill(&mut watched.lengths, from.min(LENGTH_LAST), to.min(LENGTH_LAST));
            watched.least_length =
                watched.least_length.min(u16::try_from(from).unwrap_or(255).min(255));
        }
        let ends = numbers.iter().flat_map(|&(from, to)| [from, to]);
        let greatest = ends.filter(|&end| end != u64::MAX).max().unwrap_or(0);
        if !numbers.is_empty() {
            let last = greatest.saturating_add(1).min(NUMBER_LAST_MAX);
            let words = usize::try_from(last / 64).unwrap_or(0).saturating_add(1);
            watched.numbers = vec![0; words].into();
            let last = words.saturating_mul(64).saturating_sub(1);
            let bit = |number| usize::try_from(number).unwrap_or(usize::MAX).min(last);
            for &(from, to) in numbers {
                fill(&mut watched.numbers, bit(from), bit(to));
            }
        }
        watched
    }

    /// Watches so many occurrences in one unit, whatever their values.
    #[must_use]
    pub fn from_occurrences(mut self, occurrences: usize) -> Self {
        self.occurrences = occurrences;
        self
    }

    /// Of values without a number only those of more bytes than this are watched, and all that
    /// becomes of them is that these many are left.
    #[must_use]
    pub fn with_cut(mut self, to: usize) -> Self {
        self.cut = Some(to);
        self
    }

    /// Nothing of the field is watched.
    pub fn is_empty(&self) -> bool {
        !self.watches_values() && !self.is_counted()
    }

    /// Some value or number is watched.
    pub(crate) fn watches_values(&self) -> bool {
        self.lengths != [0; 4] || !self.numbers.is_empty()
    }

    /// Occurrences are counted.
    pub(crate) const fn is_counted(&self) -> bool {
        self.occurrences != usize::MAX
    }

    /// So many occurrences in one unit are watched.
    #[inline]
    pub(crate) const fn occurs(&self, count: usize) -> bool {
        count >= self.occurrences
    }

    /// Values of this many bytes are watched, whatever they hold.
    #[inline]
    pub fn length(&self, bytes: usize) -> bool {
        has(&self.lengths, bytes.min(LENGTH_LAST))
    }

    /// This number, or a value of this many bytes, is watched.
    #[inline]
    pub fn number(&self, bytes: usize, number: u64) -> bool {
        let last = self.numbers.len().wrapping_mul(64).wrapping_sub(1);
        let at = usize::try_from(number).unwrap_or(usize::MAX).min(last);
        has(&self.numbers, at) || self.length(bytes)
    }
}

impl Default for WatchedRanges {
    /// Nothing.
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

/// Sets the bits `from..=to`.
fn fill(bits: &mut [u64], from: usize, to: usize) {
    for (word, first) in bits.iter_mut().zip((0_usize..).step_by(64)) {
        let low = from.saturating_sub(first);
        if low >= 64 || to < first {
            continue;
        }
        let high = to.saturating_sub(first).min(63);
        let shift = |bits: usize| u32::try_from(bits).unwrap_or(0);
        let up_to_high = u64::MAX.wrapping_shr(63_u32.saturating_sub(shift(high)));
        *word |= up_to_high & u64::MAX.wrapping_shl(shift(low));
    }
}

#[inline]
fn has(bits: &[u64], at: usize) -> bool {
    let bit = u32::try_from(at % 64).unwrap_or(0);
    bits.get(at / 64).is_some_and(|word| word.wrapping_shr(bit) & 1 != 0)
}

/// What is watched of every plain field of a side.
#[derive(Clone, Debug, Default)]
pub struct FieldPrefilter {
    fields: u128,
    /// By slot.
    by_slot: Box<[WatchedRanges]>,
}

impl FieldPrefilter {
    /// Watched ranges for every plain field.
    pub(crate) fn new(by_slot: Vec<WatchedRanges>) -> Self {
        let fields = by_slot
            .iter()
            .zip(0_u32..128)
            .filter(|(watched, _)| !watched.is_empty())
            .fold(0, |fields, (_, slot)| fields | 1_u128.wrapping_shl(slot));
        Self { fields, by_slot: by_slot.into() }
    }

    /// Bit `n`: some value of field `n` is watched.
    #[inline]
    pub const fn fields(&self) -> u128 {
        self.fields
    }

    /// A value of this many bytes that is no number is watched.
    #[inline]
    pub fn bytes(&self, slot: Slot, bytes: usize) -> bool {
        self.by_slot.get(usize::from(slot)).is_none_or(|watched| watched.length(bytes))
    }

    /// So many occurrences of the field in one unit are watched.
    #[inline]
    pub fn occurrences(&self, slot: Slot, count: usize) -> bool {
        self.by_slot.get(usize::from(slot)).is_none_or(|watched| watched.occurs(count))
    }

    /// Values of fewer bytes are not watched; 256 at most.
    #[inline]
    pub fn least_length(&self, slot: Slot) -> usize {
        self.by_slot.get(usize::from(slot)).map_or(0, |watched| usize::from(watched.least_length))
    }

    /// How many bytes are left of a value of more, if that is all that becomes of it: see
    /// [`WatchedRanges::with_cut`].
    #[inline]
    pub fn cut(&self, slot: Slot) -> Option<usize> {
        self.by_slot.get(usize::from(slot)).and_then(|watched| watched.cut)
    }

    /// This number, which stands in this many bytes, is watched.
    #[inline]
    pub fn number(&self, slot: Slot, bytes: usize, number: u64) -> bool {
        self.by_slot.get(usize::from(slot)).is_none_or(|watched| watched.number(bytes, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_a_range_is_watched_and_few_others() {
        let watched =
            WatchedRanges::new(&[(3, 3), (130, usize::MAX)], &[(5, 5), (60, 70), (65_534, 65_534)]);
        let lengths: Vec<usize> = (0..=131).filter(|&bytes| watched.length(bytes)).collect();
        assert_eq!(lengths, [3, 130, 131]);
        assert!(watched.length(255) && watched.length(1 << 20));
        let numbers: Vec<u64> = (0..=65_535).filter(|&n| watched.number(0, n)).collect();
        let wanted: Vec<u64> = [5].into_iter().chain(60..=70).chain([65_534]).collect();
        assert_eq!(numbers, wanted);
        assert!(watched.number(3, 0), "a length is watched whatever the number");
    }

    #[test]
    fn what_is_past_the_last_bit_is_never_left_out() {
        for &(from, to) in
            &[(0, 0), (62, 64), (63, 63), (64, 127), (70_000, 70_000), (1 << 40, u64::MAX)]
        {
            let watched = WatchedRanges::new(&[], &[(from, to)]);
            assert!(watched.number(0, from) && watched.number(0, to), "{from}..={to}");
            if from > 0 && from < 60_000 {
                assert!(!watched.number(0, from - 1));
            }
            if to < 60_000 {
                assert!(!watched.number(0, to + 1), "{from}..={to}");
            }
        }
        let watched = WatchedRanges::new(&[(300, 300)], &[]);
        assert!(watched.length(300) && !watched.length(254) && !watched.number(254, 7));
        assert!(WatchedRanges::new(&[], &[]).is_empty() && !watched.is_empty());
    }

    #[test]
    fn a_screen_knows_which_fields_are_watched_at_all() {
        let prefilter = FieldPrefilter::new(vec![
            WatchedRanges::new(&[], &[]),
            WatchedRanges::new(&[(0, usize::MAX)], &[]),
            WatchedRanges::new(&[], &[(7, 7)]),
        ]);
        assert_eq!(prefilter.fields(), 0b110);
        assert!(!prefilter.bytes(0, 5) && prefilter.bytes(1, 0) && !prefilter.bytes(2, 2));
        assert!(prefilter.number(2, 2, 7) && !prefilter.number(2, 2, 8));
        assert_eq!((prefilter.least_length(0), prefilter.least_length(1)), (256, 0));
        let cut = WatchedRanges::new(&[(9, usize::MAX)], &[]).with_cut(8);
        let cuts = FieldPrefilter::new(vec![WatchedRanges::default(), cut]);
        assert_eq!((cuts.cut(0), cuts.cut(1), cuts.cut(2)), (None, Some(8), None));
        let prefilter = FieldPrefilter::new(vec![WatchedRanges::default().from_occurrences(2)]);
        assert_eq!(prefilter.fields(), 1);
        assert!(
            prefilter.occurrences(0, 2) && !prefilter.occurrences(0, 1) && !prefilter.bytes(0, 0)
        );
        assert!(prefilter.bytes(9, 0), "what is not known is watched");
    }
}
