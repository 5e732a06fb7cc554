//! Whether any byte of a set is there: many bytes at a time.
//!
//! Holds:     a set as a few ranges of byte values.
//! Promises:  the answer of [`ByteSet::contains`] for every byte, which is what it falls back to.
//! Never:     says where.

use crate::transform::ByteSet;

/// Bytes of one step.
const BLOCK_BYTES: usize = 32;

/// More ranges than these cost more than a look at every byte.
const RANGES_MAX: usize = 8;

/// A set, in the form it is looked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    set: ByteSet,
    /// The first of each range, and how many more there are. Empty for a set of too many ranges, and for an empty one.
    ranges: Box<[(u8, u8)]>,
}

impl Ranges {
    pub(super) fn new(set: ByteSet) -> Self {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in (0..=u8::MAX).filter(|&byte| set.contains(byte)) {
            match ranges.last_mut() {
                Some((low, span)) if low.saturating_add(*span).checked_add(1) == Some(byte) => {
                    *span = span.saturating_add(1);
                }
                _ => ranges.push((byte, 0)),
            }
        }
        if ranges.len() > RANGES_MAX {
            ranges.clear();
        }
        Self { set, ranges: ranges.into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Some byte of `bytes` is in the set.
    pub(super) fn any_in(&self, bytes: &[u8]) -> bool {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        if blocks.is_empty() || self.ranges.is_empty() {
            return !self.is_empty() && bytes.iter().any(|&byte| self.set.contains(byte));
        }
        // The last step overlaps the one before it.
        let last = if rest.is_empty() { None } else { bytes.last_chunk::<BLOCK_BYTES>() };
        blocks.iter().chain(last).any(|block| self.any_in_block(block))
    }

    fn any_in_block(&self, block: &[u8; BLOCK_BYTES]) -> bool {
        self.ranges.iter().any(|&(low, span)| in_range(block, low, span))
    }
}

/// Written so that the compiler makes vector code of it.
#[inline]
fn in_range(block: &[u8; BLOCK_BYTES], low: u8, span: u8) -> bool {
    block.iter().fold(false, |found, byte| found | (byte.wrapping_sub(low) <= span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        let sets: [&[u8]; 4] =
            [b"\0\x01\x02\x08{", b"\xff", b"", b"acegikmoqsuwy\x01\x03\x05\x07\x09"];
        for members in sets {
            let mut set = ByteSet::new();
            members.iter().for_each(|&byte| set.insert(byte));
            let ranges = Ranges::new(set);
            assert_eq!(ranges.is_empty(), members.is_empty());
            for len in 0..100 {
                assert!(!ranges.any_in(&vec![b'z'; len]));
                for at in 0..len {
                    for byte in [0, 1, 2, 8, 9, b'a', b'{', b'|', 0xfe, 0xff] {
                        let mut bytes = vec![b'z'; len];
                        bytes[at] = byte;
                        assert_eq!(
                            ranges.any_in(&bytes),
                            members.contains(&byte),
                            "{byte} at {at}"
                        );
                    }
                }
            }
        }
    }
}
