//! Hints that a value may have what somebody looks for: bytes and pairs of bytes anywhere in it,
//! and how it begins.
//!
//! Holds:     the bytes, the pairs without case, and up to eight bytes of each beginning without
//!            case.
//! Promises:  says yes of every value that has one of them, but for a byte that is its last:
//!            whoever asks knows that one.
//! Never:     tells a control byte from the punctuation mark that differs from it in the bit of
//!            case, in a pair, or a beginning from one that goes on behind a short value: may say
//!            yes too often.

use wide::u8x16;

/// Bytes that are looked at together.
const LANES: usize = 16;

/// And one more, for the pair that begins with the last of them.
const STEP: usize = LANES + 1;

/// The bit that letters differ by in case.
const CASE: u8 = 0x20;

/// So many are looked for at once; a group that has fewer has its last again.
const GROUP: usize = 4;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct ByteHints {
    bytes: Box<[[u8x16; GROUP]]>,
    pairs: Box<[[[u8x16; 2]; GROUP]]>,
    starts: Box<[Start]>,
}

/// The first eight bytes of a value.
#[derive(Clone, Copy, Debug)]
struct Start {
    mask: u64,
    text: u64,
}

impl Start {
    fn new(text: &[u8]) -> Self {
        let (mut mask, mut upper) = ([0; 8], [0; 8]);
        for ((mask, upper), byte) in mask.iter_mut().zip(&mut upper).zip(text) {
            *mask = if byte.is_ascii_alphabetic() { !CASE } else { u8::MAX };
            *upper = byte & *mask;
        }
        Self { mask: u64::from_le_bytes(mask), text: u64::from_le_bytes(upper) }
    }
}

impl ByteHints {
    pub(super) fn new<'a>(
        bytes: impl Iterator<Item = u8>,
        pairs: impl Iterator<Item = [u8; 2]>,
        starts: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let all = |byte| u8x16::new([byte; LANES]);
        Self {
            bytes: groups(bytes.map(all)),
            pairs: groups(pairs.map(|pair| pair.map(|byte| all(byte | CASE)))),
            starts: starts.map(Start::new).collect(),
        }
    }

    pub(super) fn are_none(&self) -> bool {
        self.bytes.is_empty() && self.pairs.is_empty() && self.starts.is_empty()
    }

    /// The value `input[from..end]` has one, its last byte aside.
    #[inline(never)]
    pub(super) fn are_in(&self, input: &[u8], from: usize, end: usize) -> bool {
        (!self.starts.is_empty() && self.begins(input.get(from..).unwrap_or_default()))
            || (!(self.bytes.is_empty() && self.pairs.is_empty())
                && self.stand_in(input, from, end))
    }

    /// What is behind a shorter value is taken for its own.
    fn begins(&self, from: &[u8]) -> bool {
        let start = from.first_chunk::<8>().copied().unwrap_or_else(|| {
            let mut start = [0; 8];
            start.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            start
        });
        let start = u64::from_le_bytes(start);
        self.starts.iter().any(|Start { mask, text }| start & mask == *text)
    }

    fn stand_in(&self, input: &[u8], from: usize, end: usize) -> bool {
        let value = input.get(from..end).unwrap_or_default();
        let Some(last) = value.last_chunk() else {
            let rest = input.get(from..).unwrap_or_default();
            let marks = match rest.first_chunk() {
                Some(step) => self.marks(step),
                None => self.marks(&padded(rest)),
            };
            let past = STEP.saturating_sub(value.len());
            return marks & 0xffff_u32.wrapping_shr(u32::try_from(past).unwrap_or(16)) != 0;
        };
        let mut rest = value;
        while let Some(step) = rest.first_chunk() {
            if self.marks(step) != 0 {
                return true;
            }
            rest = rest.get(LANES..).unwrap_or_default();
        }
        // It overlaps the one before.
        self.marks(last) != 0
    }

    /// Where a byte stands, or a pair begins: a bit each, none for the last byte.
    #[inline(always)]
    fn marks(&self, step: &[u8; STEP]) -> u32 {
        const CASES: u8x16 = u8x16::new([CASE; LANES]);
        let (Some(bytes), Some(next)) = (step.first_chunk(), step.last_chunk()) else { return 0 };
        let (bytes, next) = (u8x16::new(*bytes), u8x16::new(*next));
        let mut found = u8x16::ZERO;
        for &[a, b, c, d] in &self.bytes {
            let is = |byte| bytes.simd_eq(byte);
            found |= (is(a) | is(b)) | (is(c) | is(d));
        }
        let (bytes, next) = (bytes | CASES, next | CASES);
        for &[a, b, c, d] in &self.pairs {
            let is = |[one, other]: [u8x16; 2]| bytes.simd_eq(one) & next.simd_eq(other);
            found |= (is(a) | is(b)) | (is(c) | is(d));
        }
        found.to_bitmask()
    }
}

fn groups<T: Copy>(mut each: impl Iterator<Item = T>) -> Box<[[T; GROUP]]> {
    let group = || {
        let a = each.next()?;
        let b = each.next().unwrap_or(a);
        let c = each.next().unwrap_or(b);
        Some([a, b, c, each.next().unwrap_or(c)])
    };
    core::iter::from_fn(group).collect()
}

/// The input's last bytes.
#[cold]
fn padded(rest: &[u8]) -> [u8; STEP] {
    let mut bytes = [0; STEP];
    bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, a byte at a time.
    fn plainly(
        value: &[u8],
        behind: &[u8],
        bytes: &[u8],
        pairs: &[[u8; 2]],
        starts: &[&[u8]],
    ) -> bool {
        let low = |byte: &u8| byte | CASE;
        let same = |start: &[u8], value: &[u8]| start.eq_ignore_ascii_case(value);
        value[..value.len().saturating_sub(1)].iter().any(|byte| bytes.contains(byte))
            || value
                .windows(2)
                .any(|two| pairs.iter().any(|pair| pair.iter().map(low).eq(two.iter().map(low))))
            || starts.iter().any(|start| {
                let start = &start[..start.len().min(8)];
                behind.get(..start.len()).is_some_and(|text| same(start, text))
            })
    }

    #[test]
    fn what_stands_anywhere_or_in_front_is_found_as_byte_by_byte() {
        type Looked<'a> = (&'a [u8], &'a [[u8; 2]], &'a [&'a [u8]]);
        let kinds: [Looked<'_>; 5] = [
            (b"%;", &[*b".p", *b"..", *b" ,"], &[b"/cgi-bin/", b"sessid="]),
            (b"", &[*b"\t,"], &[]),
            (b"aA", &[], &[]),
            (b"", &[], &[b"x", b"ab-"]),
            (b"", &[], &[]),
        ];
        let mut yes = 0;
        for (bytes, pairs, starts) in kinds {
            let byte_hints = ByteHints::new(
                bytes.iter().copied(),
                pairs.iter().copied(),
                starts.iter().copied(),
            );
            assert_eq!(byte_hints.are_none(), bytes.len() + pairs.len() + starts.len() == 0);
            for seed in 0..600 {
                let noise = crate::replay::noise(seed, 70);
                let letters = b"bcdnoqrstuvwyz0123456789ABCDEFpP./-%,; \txXaS";
                let mut input: Vec<u8> =
                    noise.iter().map(|&byte| letters[usize::from(byte) % letters.len()]).collect();
                // Few of the hints, so that long values have none.
                for (at, byte) in input.iter_mut().enumerate() {
                    if !(at + seed as usize).is_multiple_of(11) {
                        *byte = b'n';
                    }
                }
                let place = seed as usize % 20;
                let text: &[u8] =
                    [&b"/CGI-bin/"[..], b"sessID", b"sessid=", b".P", b"ab-"][seed as usize % 5];
                input[place..place + text.len()].copy_from_slice(text);
                for from in 0..24 {
                    for end in (from..input.len()).chain([input.len()]) {
                        let want = plainly(&input[from..end], &input[from..], bytes, pairs, starts);
                        yes += usize::from(want);
                        assert_eq!(
                            byte_hints.are_in(&input, from, end),
                            want,
                            "{} {from}..{end}",
                            input.escape_ascii()
                        );
                    }
                }
            }
        }
        assert!(yes > 1_000, "{yes}");
    }
}
