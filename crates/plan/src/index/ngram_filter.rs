//! Whether a value may contain one of thousands of literals, or be one of thousands of values. It
//! rules out ordinary values without the automaton or the list, which fit no cache.
//!
//! Holds:     a bit for each four bytes by which a literal can be seen, and for each whole value; a
//!            few KiB.
//! Promises:  never rules out a value that contains a literal, in any case of letters, or that is
//!            one of the values.
//! Never:     tells where a literal is.

/// Bytes in a row that are looked up together.
const NGRAM_BYTES: usize = 4;

/// Most values are looked at in every fourth position only. For each literal, four n-grams in a row
/// are then known.
const STRIDE_MAX: usize = 4;

/// Bits for each entry: so few of them are set that one other value in sixteen passes.
const BITS_EACH: usize = 16;

/// A few entries get more bits each.
const BITS_MIN: usize = 1 << 10;

/// 64 KiB; with more entries they get fewer bits each.
const BITS_MAX: usize = 1 << 19;

/// A set of hashes. It may answer yes for a hash that was not put in.
#[derive(Debug, Default)]
struct HashBits {
    words: Box<[u64]>,
    /// How far to shift a hash right for the number of a bit.
    shift: u32,
}

impl HashBits {
    fn new(hashes: &[u64]) -> Self {
        if hashes.is_empty() {
            return Self::default();
        }
        let bits = hashes.len().saturating_mul(BITS_EACH);
        let bits = bits.next_power_of_two().clamp(BITS_MIN, BITS_MAX);
        let shift = u64::BITS.saturating_sub(bits.trailing_zeros());
        let mut set = Self { words: vec![0; bits / 64].into(), shift };
        for hash in hashes {
            let (word, bit) = set.place(*hash);
            if let Some(word) = set.words.get_mut(word) {
                *word |= bit;
            }
        }
        set
    }

    #[inline]
    fn place(&self, hash: u64) -> (usize, u64) {
        let at = usize::try_from(hash.wrapping_shr(self.shift)).unwrap_or(0);
        (at / 64, 1_u64.wrapping_shl(u32::try_from(at % 64).unwrap_or(0)))
    }

    #[inline]
    fn has(&self, hash: u64) -> bool {
        let (word, bit) = self.place(hash);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// Multiplies, so that the high bits depend on all bits of `value`.
#[inline]
const fn spread(value: u64) -> u64 {
    value.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Rules out values without any of many literals.
#[derive(Debug)]
pub(super) struct NgramFilter {
    bits: HashBits,
    /// The distance between the positions that are looked at.
    stride: usize,
}

impl NgramFilter {
    /// Without ASCII case. `None` if some literal is too short.
    pub(super) fn new(literals: &[Box<[u8]>]) -> Option<Self> {
        let shortest = literals.iter().map(|literal| literal.len()).min()?;
        let stride = shortest.checked_sub(NGRAM_BYTES)?.saturating_add(1).min(STRIDE_MAX);
        let mut entered: std::collections::HashSet<u64> = std::collections::HashSet::new();
        for literal in literals {
            // Wherever a literal is, one of so many positions in a row is looked at. Positions that
            // another literal has entered already cost no bit: many literals begin or end alike.
            let hashes: Vec<u64> = literal.windows(NGRAM_BYTES).filter_map(hash_of).collect();
            let new = |run: &&[u64]| run.iter().filter(|hash| !entered.contains(*hash)).count();
            let run = hashes.windows(stride).min_by_key(new)?;
            entered.extend(run.to_vec());
        }
        let hashes: Vec<u64> = entered.into_iter().collect();
        Some(Self { bits: HashBits::new(&hashes), stride })
    }

    /// Some literal may be in `value`.
    #[inline]
    pub(super) fn may_be_in(&self, value: &[u8]) -> bool {
        let mut rest = value;
        while let Some(ngram) = rest.first_chunk::<NGRAM_BYTES>() {
            if self.bits.has(hash(*ngram)) {
                return true;
            }
            rest = rest.get(self.stride..).unwrap_or_default();
        }
        false
    }
}

fn hash_of(ngram: &[u8]) -> Option<u64> {
    ngram.first_chunk::<NGRAM_BYTES>().map(|ngram| hash(*ngram))
}

/// Letters hash alike in either case, and so do some other bytes.
#[inline]
fn hash(ngram: [u8; NGRAM_BYTES]) -> u64 {
    spread(u64::from(u32::from_le_bytes(ngram) | 0x2020_2020))
}

/// Whole values.
#[derive(Debug, Default)]
pub(super) struct ValueFilter(HashBits);

impl ValueFilter {
    pub(super) fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let hashes: Vec<u64> = values.map(hash_whole).collect();
        Self(HashBits::new(&hashes))
    }

    /// `value` may be one of them.
    #[inline]
    pub(super) fn may_be(&self, value: &[u8]) -> bool {
        self.0.has(hash_whole(value))
    }
}

/// By a value's length and its ends, eight bytes of each.
#[inline]
fn hash_whole(value: &[u8]) -> u64 {
    let len = u64::try_from(value.len()).unwrap_or(0);
    let ends = match (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            spread(u64::from_le_bytes(*first)) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => value.iter().fold(0_u64, |all, byte| all.wrapping_shl(8) | u64::from(*byte)),
    };
    spread(ends ^ len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a few letters, so that much of it is alike.
    fn noise(state: &mut u64, bytes: usize) -> Vec<u8> {
        let mut next = || {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            b"abcABC.-@`"[usize::try_from(*state >> 40).unwrap() % 10]
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn no_value_with_a_literal_is_passed_over() {
        let mut state = 1;
        for shortest in 1..9 {
            let literals: Vec<Box<[u8]>> = (0..40_usize)
                .map(|more| noise(&mut state, shortest + more % 7).to_ascii_lowercase().into())
                .collect();
            let filter = NgramFilter::new(&literals);
            assert_eq!(filter.is_some(), shortest >= NGRAM_BYTES);
            let Some(filter) = filter else { continue };
            let mut seen = [0, 0];
            for len in (0..40).chain(250..260) {
                for _ in 0..40 {
                    let value = noise(&mut state, len);
                    let lower = value.to_ascii_lowercase();
                    let is_there = literals
                        .iter()
                        .any(|one| lower.windows(one.len()).any(|part| *part == **one));
                    assert!(!is_there || filter.may_be_in(&value), "{}", value.escape_ascii());
                    seen[usize::from(filter.may_be_in(&value))] += 1;
                }
            }
            for literal in &literals {
                for before in 0..9 {
                    let value = [&b"~~~~~~~~~"[..before], literal, b"~"].concat();
                    assert!(filter.may_be_in(&value.to_ascii_uppercase()));
                }
            }
            assert!(shortest > 6 || seen[1] > 0 && seen[0] > 0, "{seen:?}");
        }
    }

    #[test]
    fn few_other_values_are_taken_for_a_literal_or_for_one_of_the_values() {
        let name = |at: usize| format!(".bench-{at}.example").into_bytes();
        let literals: Vec<Box<[u8]>> = (0..5_000).map(|at| name(at).into()).collect();
        let filter = NgramFilter::new(&literals).unwrap();
        assert!(filter.bits.words.len() == BITS_MIN / 64, "they begin alike");
        let value_filter = ValueFilter::new(literals.iter().map(|literal| &**literal));
        assert!((0..5_000).all(|at| value_filter.may_be(&name(at))));
        let (mut found, mut taken) = (0, 0);
        for at in 0..5_000 {
            let other = format!("www.host-{at}.example.net").into_bytes();
            found += usize::from(filter.may_be_in(&other));
            taken += usize::from(value_filter.may_be(&name(at + 10_000)));
        }
        assert!(found < 500 && taken < 500, "{found} {taken}");
    }

    #[test]
    fn values_of_every_length_are_known() {
        let mut state = 7;
        let values: Vec<Vec<u8>> = (0..64).map(|len| noise(&mut state, len)).collect();
        let value_filter = ValueFilter::new(values.iter().map(|value| &value[..]));
        assert!(values.iter().all(|value| value_filter.may_be(value)));
        assert!(!ValueFilter::new([].into_iter()).may_be(b"a"));
    }
}
