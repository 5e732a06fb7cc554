//! Whether a value has any byte of a set: many bytes at a time.
//!
//! Holds:     a set as a few ranges of byte values.
//! Promises:  answers as [`ByteSet::contains`] would for every byte, and falls back to it.
//! Never:     tells where the byte is.

use crate::transform::ByteSet;

/// Bytes of one step.
const BLOCK_BYTES: usize = 32;

/// More ranges than these cost more than a look at every byte.
const RANGES_MAX: usize = 8;

/// A set, in the form that is searched for.
#[derive(Clone, Debug, Default)]
pub(super) struct ByteRanges {
    set: ByteSet,
    /// Empty for a set of too many ranges, and for an empty one.
    ranges: Box<[ByteRange]>,
}

/// The first byte of a range, and how many more it has; once for every byte of a step, so that
/// vector code needs no copies.
#[derive(Clone, Debug)]
struct ByteRange {
    low: [u8; BLOCK_BYTES],
    span: [u8; BLOCK_BYTES],
}

impl ByteRanges {
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
        let each = ranges.into_iter();
        let each = each
            .map(|(low, span)| ByteRange { low: [low; BLOCK_BYTES], span: [span; BLOCK_BYTES] });
        Self { set, ranges: each.collect() }
    }

    pub(super) fn set(&self) -> &ByteSet {
        &self.set
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Some byte of `bytes` is in the set.
    pub(super) fn any_in(&self, bytes: &[u8]) -> bool {
        if self.is_empty() {
            return false;
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        if blocks.is_empty() || self.ranges.is_empty() {
            return bytes.iter().any(|&byte| self.set.contains(byte));
        }
        for block in blocks {
            if self.any_in_block(block) {
                return true;
            }
        }
        // The last step overlaps the one before it.
        match bytes.last_chunk::<BLOCK_BYTES>() {
            Some(last) if !rest.is_empty() => self.any_in_block(last),
            _ => false,
        }
    }

    /// Written so that the compiler makes vector code of it.
    #[inline]
    fn any_in_block(&self, block: &[u8; BLOCK_BYTES]) -> bool {
        // The distance of each byte from the nearest range.
        let mut past = [u8::MAX; BLOCK_BYTES];
        for ByteRange { low, span } in &self.ranges {
            for (((past, byte), low), span) in past.iter_mut().zip(block).zip(low).zip(span) {
                *past = (*past).min(byte.wrapping_sub(*low).saturating_sub(*span));
            }
        }
        past.iter().fold(false, |found, &past| found | (past == 0))
    }
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
            let ranges = ByteRanges::new(set);
            assert_eq!(ranges.is_empty(), members.is_empty());
            for len in (0..40).chain(60..70).chain(125..140) {
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
