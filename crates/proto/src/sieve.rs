//! Which occurrences of a side's fields somebody has to look at, in a unit that has none of the bytes the rules call rare:
//! what lets a decoder pass over a message head without making fields of it.
//!
//! Holds:     for every slot, plain or keyed, the lengths, numbers and first bytes that get past some rule's cheapest necessary
//!            condition.
//! Promises:  an occurrence that is not caught concerns no rule, if the unit has no rare byte; may catch too many.
//! Never:     knows what a rule is, or which bytes are rare: whoever fuses the rules does.

use crate::wanted::Slot;
use crate::watch::Watch;

/// What is caught of one slot.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    watch: Watch,
    /// First bytes.
    first: [u64; 4],
    /// An empty value is caught, too.
    empty: bool,
}

impl Mesh {
    /// Catches what is watched, and values that begin with one of these bytes or are `empty`.
    pub fn new(watch: Watch, first: impl Iterator<Item = u8>, empty: bool) -> Self {
        let mut mesh = Self { watch, first: [0; 4], empty };
        for byte in first {
            if let Some(word) = mesh.first.get_mut(usize::from(byte / 64)) {
                *word |= 1_u64.wrapping_shl(u32::from(byte));
            }
        }
        mesh
    }

    fn is_open(&self) -> bool {
        self.empty || self.first != [0; 4] || self.watch.watches_values()
    }

    #[inline]
    fn begins(&self, value: &[u8]) -> bool {
        value.first().map_or(self.empty, |&byte| {
            let word = self.first.get(usize::from(byte / 64)).copied().unwrap_or(0);
            word.wrapping_shr(u32::from(byte)) & 1 != 0
        })
    }
}

/// What is caught of every slot of a side.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    fields: u128,
    counted: u128,
    /// By slot.
    meshes: Box<[Mesh]>,
    lacking: Box<[(Slot, Slot)]>,
}

impl Sieve {
    /// One mesh for every slot. `lacking`: a unit with the first slot and without the second concerns somebody.
    pub fn new(meshes: Vec<Mesh>, lacking: Vec<(Slot, Slot)>) -> Self {
        let bits = |of: fn(&Mesh) -> bool| {
            let each = meshes.iter().zip(0_u32..128).filter(|(mesh, _)| of(mesh));
            each.fold(0, |bits, (_, slot)| bits | 1_u128.wrapping_shl(slot))
        };
        Self {
            fields: bits(Mesh::is_open),
            counted: bits(|mesh| mesh.watch.is_counted()),
            lacking: lacking.into(),
            meshes: meshes.into(),
        }
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

    /// A value that is no number is caught.
    #[inline]
    pub fn catches(&self, slot: Slot, value: &[u8]) -> bool {
        let mesh = self.meshes.get(usize::from(slot));
        mesh.is_none_or(|mesh| mesh.watch.length(value.len()) || mesh.begins(value))
    }

    /// A number that stands in these bytes is caught.
    #[inline]
    pub fn catches_number(&self, slot: Slot, value: &[u8], number: u64) -> bool {
        let mesh = self.meshes.get(usize::from(slot));
        mesh.is_none_or(|mesh| mesh.watch.number(value.len(), number) || mesh.begins(value))
    }

    /// So many occurrences in one unit concern somebody.
    #[inline]
    pub fn catches_count(&self, slot: Slot, count: usize) -> bool {
        self.meshes.get(usize::from(slot)).is_none_or(|mesh| mesh.watch.occurs(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_begins_so_or_is_counted_is_caught() {
        let sieve = Sieve::new(
            vec![
                Mesh::default(),
                Mesh::new(Watch::new(&[(5, 9)], &[(7, 7)]), [b'a', b'~'].into_iter(), false),
                Mesh::new(Watch::default(), core::iter::empty(), true),
                Mesh::new(Watch::default().from_occurrences(3), core::iter::empty(), false),
            ],
            vec![(1, 2)],
        );
        assert_eq!((sieve.fields(), sieve.counted()), (0b110, 0b1000));
        assert_eq!(sieve.lacking(), [(1, 2)]);
        assert!(!sieve.catches(0, b"") && !sieve.catches(0, b"abcdefgh"));
        assert!(sieve.catches(1, b"a") && sieve.catches(1, b"~x") && sieve.catches(1, b"xxxxx"));
        assert!(!sieve.catches(1, b"xa") && !sieve.catches(1, b"") && !sieve.catches(1, b"!"));
        assert!(sieve.catches_number(1, b"7", 7) && !sieve.catches_number(1, b"8", 8));
        assert!(sieve.catches(2, b"") && !sieve.catches(2, b"a"));
        assert!(sieve.catches_count(3, 3) && !sieve.catches_count(3, 2));
        assert!(sieve.catches(9, b""), "what is not known is caught");
    }
}
