//! Which occurrences of a side's fields somebody has to look at, in a unit that has none of the bytes the rules call rare:
//! what lets a decoder pass over a message head without making fields of it.
//!
//! Holds:     for every slot, plain or keyed, the lengths, numbers, first and last bytes, and bytes anywhere, that get past some
//!            rule's cheapest necessary condition.
//! Promises:  an occurrence that is not caught concerns no rule, if the unit has no rare byte: none from [`Sieve::rare_from`] on, and no
//!            control byte but HTAB, CR and LF. May catch too many.
//! Never:     knows what a rule is.

use crate::wanted::Slot;
use crate::watch::Watch;

/// What is caught of one slot.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    watch: Watch,
    first: Ends,
    last: Ends,
    /// A value that has one of these; the last repeated where there are fewer.
    bytes: [Option<[u8; 3]>; 2],
}

/// First or last bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    bytes: [u64; 4],
    /// That of an empty value, too.
    empty: bool,
}

impl Ends {
    fn new(bytes: impl Iterator<Item = u8>, empty: bool) -> Self {
        let mut ends = Self { bytes: [0; 4], empty };
        for byte in bytes {
            if let Some(word) = ends.bytes.get_mut(usize::from(byte / 64)) {
                *word |= 1_u64.wrapping_shl(u32::from(byte));
            }
        }
        ends
    }

    #[inline]
    fn catches(&self, end: Option<&u8>) -> bool {
        end.map_or(self.empty, |&byte| {
            let word = self.bytes.get(usize::from(byte / 64)).copied().unwrap_or(0);
            word.wrapping_shr(u32::from(byte)) & 1 != 0
        })
    }
}

impl Mesh {
    /// So many bytes can be looked for.
    pub const BYTES_MAX: usize = 6;

    /// Catches what is watched.
    pub fn new(watch: Watch) -> Self {
        Self { watch, ..Self::default() }
    }

    /// Catches values that begin with one of these, too, or are `empty`.
    #[must_use]
    pub fn with_first(self, bytes: impl Iterator<Item = u8>, empty: bool) -> Self {
        Self { first: Ends::new(bytes, empty), ..self }
    }

    /// Catches values that end with one of these, too, or are `empty`.
    #[must_use]
    pub fn with_last(self, bytes: impl Iterator<Item = u8>, empty: bool) -> Self {
        Self { last: Ends::new(bytes, empty), ..self }
    }

    /// Catches values that have one of these, too. More than [`Mesh::BYTES_MAX`] are not looked for.
    #[must_use]
    pub fn with_bytes(self, bytes: impl Iterator<Item = u8>) -> Self {
        let mut bytes = bytes.take(Self::BYTES_MAX);
        let mut three = || {
            let first = bytes.next()?;
            let second = bytes.next().unwrap_or(first);
            Some([first, second, bytes.next().unwrap_or(second)])
        };
        let bytes = [three(), three()];
        Self { bytes, ..self }
    }

    fn is_open(&self) -> bool {
        let none = Ends::default();
        self.first != none
            || self.last != none
            || self.bytes != [None; 2]
            || self.watch.watches_values()
    }

    #[inline]
    fn catches(&self, value: &[u8]) -> bool {
        self.watch.length(value.len())
            || self.first.catches(value.first())
            || self.last.catches(value.last())
            || self
                .bytes
                .iter()
                .flatten()
                .any(|&[one, two, three]| memchr::memchr3(one, two, three, value).is_some())
    }
}

/// What is caught of every slot of a side.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    fields: u128,
    counted: u128,
    /// Whoever sifts leaves units with this byte or a higher one alone.
    rare_from: u8,
    /// By slot.
    meshes: Box<[Mesh]>,
    lacking: Box<[(Slot, Slot)]>,
}

impl Sieve {
    /// One mesh for every slot. `lacking`: a unit with the first slot and without the second concerns somebody.
    pub fn new(meshes: Vec<Mesh>, lacking: Vec<(Slot, Slot)>, rare_from: u8) -> Self {
        let bits = |of: fn(&Mesh) -> bool| {
            let each = meshes.iter().zip(0_u32..128).filter(|(mesh, _)| of(mesh));
            each.fold(0, |bits, (_, slot)| bits | 1_u128.wrapping_shl(slot))
        };
        Self {
            fields: bits(Mesh::is_open),
            counted: bits(|mesh| mesh.watch.is_counted()),
            lacking: lacking.into(),
            rare_from,
            meshes: meshes.into(),
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

    /// A value that is no number is caught.
    #[inline]
    pub fn catches(&self, slot: Slot, value: &[u8]) -> bool {
        let mesh = self.meshes.get(usize::from(slot));
        mesh.is_none_or(|mesh| mesh.catches(value))
    }

    /// A number that stands in these bytes is caught.
    #[inline]
    pub fn catches_number(&self, slot: Slot, value: &[u8], number: u64) -> bool {
        let mesh = self.meshes.get(usize::from(slot));
        mesh.is_none_or(|mesh| mesh.watch.number(value.len(), number) || mesh.catches(value))
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
                Mesh::new(Watch::new(&[(5, 9)], &[(7, 7)]))
                    .with_first([b'a', b'~'].into_iter(), false)
                    .with_bytes(b",;#=&".iter().copied()),
                Mesh::default().with_last([b'z'].into_iter(), true),
                Mesh::new(Watch::default().from_occurrences(3)),
            ],
            vec![(1, 2)],
            0x7b,
        );
        assert_eq!((sieve.fields(), sieve.counted()), (0b110, 0b1000));
        assert_eq!(sieve.lacking(), [(1, 2)]);
        assert!(!sieve.catches(0, b"") && !sieve.catches(0, b"abcdefgh"));
        assert!(sieve.catches(1, b"a") && sieve.catches(1, b"~x") && sieve.catches(1, b"xxxxx"));
        assert!(!sieve.catches(1, b"xa") && !sieve.catches(1, b"") && !sieve.catches(1, b"!"));
        assert!(sieve.catches_number(1, b"7", 7) && !sieve.catches_number(1, b"8", 8));
        assert!(sieve.catches(1, b"x,") && sieve.catches(1, b"x;x&") && !sieve.catches(1, b"x:"));
        assert!(sieve.catches(1, b"x#") && sieve.catches(1, b"x=") && sieve.catches(1, b"x&"));
        assert!(sieve.catches(2, b"") && !sieve.catches(2, b"za") && sieve.catches(2, b"az"));
        assert!(sieve.catches_count(3, 3) && !sieve.catches_count(3, 2));
        assert!(sieve.catches(9, b""), "what is not known is caught");
    }
}
