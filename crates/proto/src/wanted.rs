//! Which fields some rule reads: a decoder asks before it does any work for a field.
//!
//! Slots number what a rule can name: slot `n` for `n < fields` is the protocol's field `n`; the
//! slots after them are keyed fields (`http.header["range"]`), in the order they were wanted.

use crate::field_prefilter::{FieldPrefilter, WatchedRanges};
use crate::header_prefilter::HeaderPrefilter;
use crate::schema::{FieldId, FieldRange, Protocol};

/// What a rule names: a field, or a keyed field.
pub type Slot = u16;

/// See [`Wanted::key_lengths`].
#[derive(Clone, Copy, Debug, Default)]
struct Lengths([u64; 32]);

/// The fields one side of one module reads. Built once, immutable in use.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    mask: [u64; 4],
    field_count: u16,
    keys: Vec<Key>,
    /// Bit `n`: some key has `n` bytes (63: that many or more). Most names are told apart from all
    /// keys by it.
    key_lengths: u64,
    key_starts: u32,
    /// The same lengths, by the first letter of the keys that have them (its low five bits).
    lengths_by_letter: Lengths,
    /// Open addressing, power of two, at most half full: index into `keys` plus one.
    table: Vec<u16>,
    /// Some rule needs fields of a message head together, or needs a field whole: see
    /// [`Wanted::whole`].
    whole: bool,
    /// See [`Wanted::field_prefilter`].
    field_prefilter: Option<FieldPrefilter>,
    /// See [`Wanted::header_prefilter`].
    header_prefilter: Option<Box<HeaderPrefilter>>,
}

#[derive(Clone, Debug)]
struct Key {
    field: FieldId,
    lower: Box<[u8]>,
}

impl Wanted {
    /// Nothing wanted of `protocol` yet.
    pub fn new(protocol: &Protocol) -> Self {
        Self {
            field_count: u16::try_from(protocol.fields.len()).unwrap_or(u16::MAX),
            ..Self::default()
        }
    }

    /// Wants a plain field; its slot.
    pub fn want(&mut self, field: FieldId) -> Slot {
        let (word, bit) = Self::place(field);
        if let Some(word) = self.mask.get_mut(word) {
            *word |= bit;
        }
        field.0
    }

    /// Wants a keyed field; its slot. Keys compare without ASCII case.
    pub fn want_key(&mut self, field: FieldId, key: &[u8]) -> Slot {
        if let Some(slot) = self.key(field, key) {
            return slot;
        }
        let (word, bit) = Self::place(field);
        // The bit says "look the key up"; whether the plain field is wanted too is `plain`.
        if let Some(word) = self.mask.get_mut(word.saturating_add(2)) {
            *word |= bit;
        }
        self.key_lengths |= Self::length_bit(key);
        let letter = usize::from(key.first().copied().unwrap_or(0) & 31);
        if let Some(lengths) = self.lengths_by_letter.0.get_mut(letter) {
            *lengths |= Self::length_bit(key);
        }
        self.key_starts |= 1_u32.wrapping_shl(u32::from(key.first().copied().unwrap_or(0) & 31));
        self.keys.push(Key { field, lower: key.to_ascii_lowercase().into() });
        if self.keys.len().saturating_mul(2) > self.table.len() {
            self.rebuild();
        } else {
            self.enter(self.keys.len().saturating_sub(1));
        }
        self.slot_of_key(self.keys.len().saturating_sub(1))
    }

    /// Asks decoders for whole heads and whole fields: no field is emitted open before the hold
    /// bound is reached.
    pub fn want_whole(&mut self) {
        self.whole = true;
    }

    /// Whether a unit is the whole message head (HTTP), so that all its fields are decided
    /// together.
    pub fn whole(&self) -> bool {
        self.whole
    }

    /// Says which values of every field, by slot, some rule could concern. To be called only if a
    /// unit without any of them concerns no rule at all. Where fields are wanted by key there is no
    /// field prefilter.
    pub fn set_field_prefilter(&mut self, ranges: Vec<WatchedRanges>) {
        self.field_prefilter = self.keys.is_empty().then(|| FieldPrefilter::new(ranges));
    }

    /// Where there is one: a decoder that sees that a unit has no watched value may emit none of
    /// its fields. Fields of a unit that has one are emitted all, watched or not.
    #[inline]
    pub const fn field_prefilter(&self) -> Option<&FieldPrefilter> {
        self.field_prefilter.as_ref()
    }

    /// Says which occurrences of every slot somebody has to look at in a unit without rare bytes;
    /// `None` where that cannot be said.
    pub fn set_header_prefilter(&mut self, header_prefilter: Option<HeaderPrefilter>) {
        self.header_prefilter = header_prefilter.map(Box::new);
    }

    /// Where there is one, [`crate::Decoder::stream_prefiltered`] may be asked.
    #[inline]
    pub fn header_prefilter(&self) -> Option<&HeaderPrefilter> {
        self.header_prefilter.as_deref()
    }

    /// Some rule reads this field (plainly, not by key).
    pub fn has(&self, field: FieldId) -> bool {
        let (word, bit) = Self::place(field);
        word < 2 && self.mask.get(word).is_some_and(|mask| mask & bit != 0)
    }

    /// The plain fields some rule reads, bit `n` for field `n`: a decoder asks for whole groups of
    /// fields at once.
    #[inline]
    pub fn plain(&self) -> u128 {
        let [low, high, ..] = self.mask;
        u128::from(low) | (u128::from(high) << 64)
    }

    /// Some rule reads this field by some key.
    pub fn has_keys(&self, field: FieldId) -> bool {
        let (word, bit) = Self::place(field);
        word < 2 && self.mask.get(word.saturating_add(2)).is_some_and(|mask| mask & bit != 0)
    }

    /// Some rule reads one of these fields (plainly, not by key).
    pub fn has_any(&self, fields: FieldRange) -> bool {
        let upto = |count: u32| {
            if count >= 128 { u128::MAX } else { 1_u128.wrapping_shl(count).wrapping_sub(1) }
        };
        let [low, high, ..] = self.mask;
        let mask = u128::from(low) | (u128::from(high) << 64);
        mask & upto(u32::from(fields.last.0).saturating_add(1)) & !upto(u32::from(fields.first.0))
            != 0
    }

    /// Nothing is read at all.
    pub fn is_empty(&self) -> bool {
        self.mask == [0; 4]
    }

    /// The slot of `field` with this key, if some rule reads it. One hash, no allocation.
    pub fn key(&self, field: FieldId, key: &[u8]) -> Option<Slot> {
        if self.key_lengths & Self::length_bit(key) == 0 {
            return None;
        }
        let buckets = self.table.len();
        let mask = buckets.saturating_sub(1);
        let mut at = Self::hash(field, key) & mask;
        loop {
            let index = usize::from(*self.table.get(at)?).checked_sub(1)?;
            let entry = self.keys.get(index)?;
            if entry.field == field && entry.lower.eq_ignore_ascii_case(key) {
                return Some(self.slot_of_key(index));
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    /// Lets a decoder pass over most names without a look-up: bit `letter & 31` of the first is set
    /// if some key begins with this letter, bit `n` of the second if some key has `n` bytes (63:
    /// that many or more).
    pub fn key_filter(&self) -> (u32, u64) {
        (self.key_starts, self.key_lengths)
    }

    /// The same of both together, for a key that begins with `letter`.
    #[inline]
    pub fn key_lengths(&self, letter: u8) -> u64 {
        self.lengths_by_letter.0.get(usize::from(letter & 31)).copied().unwrap_or(0)
    }

    /// Slots in use: plain fields and keyed ones.
    pub fn slot_count(&self) -> usize {
        usize::from(self.field_count).saturating_add(self.keys.len())
    }

    /// The field a slot stands for, and its key.
    pub fn field_of(&self, slot: Slot) -> (FieldId, Option<&[u8]>) {
        match slot.checked_sub(self.field_count) {
            None => (FieldId(slot), None),
            Some(index) => self
                .keys
                .get(usize::from(index))
                .map_or((FieldId(u16::MAX), None), |key| (key.field, Some(&*key.lower))),
        }
    }

    fn slot_of_key(&self, index: usize) -> Slot {
        self.field_count.saturating_add(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Two words of plain bits, then two of keyed bits: at most 128 fields a protocol.
    fn place(field: FieldId) -> (usize, u64) {
        (usize::from(field.0 / 64), 1_u64.wrapping_shl(u32::from(field.0)))
    }

    fn length_bit(key: &[u8]) -> u64 {
        1_u64.wrapping_shl(u32::try_from(key.len().min(63)).unwrap_or(63))
    }

    /// FNV-1a over the lower-cased key: short keys, and the table is ours, not the network's.
    fn hash(field: FieldId, key: &[u8]) -> usize {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ u64::from(field.0);
        for byte in key {
            hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
        }
        usize::try_from((hash ^ (hash >> 32)) & 0xffff_ffff).unwrap_or(0)
    }

    /// Enters all keys anew, with room for as many again.
    fn rebuild(&mut self) {
        let buckets = self.keys.len().saturating_mul(2).next_power_of_two().max(4);
        self.table = vec![0; buckets];
        for index in 0..self.keys.len() {
            self.enter(index);
        }
    }

    fn enter(&mut self, index: usize) {
        let Some(key) = self.keys.get(index) else { return };
        let mask = self.table.len().saturating_sub(1);
        let mut at = Self::hash(key.field, &key.lower) & mask;
        while self.table.get(at).is_some_and(|&taken| taken != 0) {
            at = at.wrapping_add(1) & mask;
        }
        if let Some(cell) = self.table.get_mut(at) {
            *cell = u16::try_from(index.saturating_add(1)).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::FieldDef;

    static PROTOCOL: Protocol = Protocol {
        name: "t",
        title: "",
        ports: &[],
        fields: &[
            FieldDef { name: "t.a", ..FieldDef::TEXT },
            FieldDef { name: "t.b", keyed: true, ..FieldDef::TEXT },
        ],
        unit: "",
        readings: "",
        refusals: &[],
    };

    #[test]
    fn keys_are_found_without_case_and_plain_fields_apart_from_them() {
        let mut wanted = Wanted::new(&PROTOCOL);
        assert!(wanted.is_empty());
        let range = wanted.want_key(FieldId(1), b"Range");
        let mut slots = vec![range];
        for n in 0..300 {
            slots.push(wanted.want_key(FieldId(1), format!("x-{n}").as_bytes()));
        }
        assert_eq!(wanted.want_key(FieldId(1), b"RANGE"), range);
        assert_eq!(wanted.key(FieldId(1), b"rAnGe"), Some(range));
        assert_eq!(wanted.key(FieldId(1), b"x-299"), slots.last().copied());
        assert_eq!(wanted.key(FieldId(1), b"x-300"), None);
        assert_eq!(wanted.key(FieldId(0), b"range"), None);
        assert!(wanted.has_keys(FieldId(1)) && !wanted.has(FieldId(1)) && !wanted.has(FieldId(0)));
        assert_eq!(wanted.field_of(range), (FieldId(1), Some(&b"range"[..])));
        assert_eq!(wanted.want(FieldId(0)), 0);
        assert!(wanted.has(FieldId(0)));
        assert!(
            wanted.has_any(FieldRange::new(FieldId(0), FieldId(1)))
                && !wanted.has_any(FieldRange::new(FieldId(1), FieldId(127)))
        );
        assert!(wanted.has_any(FieldRange::new(FieldId(0), FieldId(127))));
    }
}
