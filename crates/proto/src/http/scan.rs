//! Finding line ends and colons, many bytes at a time.
//!
//! Holds:     nothing.
//! Promises:  a byte past a line's end plays no part in what is said of the line.
//! Never:     decides whether a line goes on in the next one (obs-fold), which needs a byte more.

use stage::position::{index, plus};
use wide::u8x16;

/// The bytes `start..end` of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteRange {
    pub start: usize,
    pub end: usize,
}

impl ByteRange {
    #[inline(always)]
    pub(super) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineEnd {
    /// One past the last byte before the line end.
    pub end: usize,
    /// Where the next line begins.
    pub next: usize,
    /// The line ends with LF alone, or (at the end of a stream) with nothing.
    pub bare_lf: bool,
    /// A CR stands in the line that no LF follows.
    pub bare_cr: bool,
}

/// The line that begins at `from`. `None`: its end is not in `input`. `ended`: no byte follows, the
/// input's end is one.
#[inline]
pub(super) fn line(input: &[u8], from: usize, ended: bool) -> Option<LineEnd> {
    let rest = input.get(from..)?;
    let stop = memchr::memchr2(b'\r', b'\n', rest).map(|at| from.wrapping_add(at));
    // Nearly every line.
    if let Some(end) = stop
        && let Some([b'\r', b'\n', ..]) = input.get(end..)
    {
        return Some(LineEnd { end, next: end.wrapping_add(2), bare_lf: false, bare_cr: false });
    }
    odd_line(input, from, ended)
}

/// A line that ends otherwise, or does not end.
#[cold]
fn odd_line(input: &[u8], from: usize, ended: bool) -> Option<LineEnd> {
    let rest = input.get(from..)?;
    let lf = memchr::memchr(b'\n', rest);
    let (text, next) = match lf {
        Some(lf) => (rest.get(..lf)?, plus(plus(from, lf), 1)),
        None if ended && !rest.is_empty() => (rest, input.len()),
        None => return None,
    };
    let (text, crlf) = match text.strip_suffix(b"\r") {
        Some(text) if lf.is_some() => (text, true),
        _ => (text, false),
    };
    let bare_cr = memchr::memchr(b'\r', text).is_some();
    Some(LineEnd { end: plus(from, text.len()), next, bare_lf: !crlf, bare_cr })
}

/// A CR in `input[from..end]` that no LF follows.
pub(super) fn has_bare_cr(input: &[u8], from: usize, end: usize) -> bool {
    memchr::memchr_iter(b'\r', input.get(from..end).unwrap_or_default())
        .any(|at| input.get(plus(plus(from, at), 1)) != Some(&b'\n'))
}

/// The first colon of the line `input[from..end]`, if it stands within the first `max + 1` bytes.
/// Names are short: eight bytes at a time find it sooner than a call of a wider search.
#[inline]
pub(super) fn colon(input: &[u8], from: usize, end: usize, max: usize) -> Option<usize> {
    let line = input.get(from..end)?;
    let line = line.get(..max.saturating_add(1)).unwrap_or(line);
    let (words, rest) = line.as_chunks::<8>();
    let mut at = from;
    for word in words {
        let marks = colons(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(at.wrapping_add(index(marks.trailing_zeros() / 8)));
        }
        at = at.wrapping_add(8);
    }
    rest.iter().position(|&byte| byte == b':').map(|offset| at.wrapping_add(offset))
}

/// The first CR or LF, or another byte below 0x0e: whoever meets that looks closely. Lines are
/// short, and searching them is most of what a message costs that nobody reads.
#[inline]
pub(super) fn low(input: &[u8]) -> Option<usize> {
    const LAST: u8x16 = u8x16::new([0x0d; LANES]);
    let mut at = 0_usize;
    let mut rest = input;
    while let Some((block, behind)) = rest.split_first_chunk::<LANES>() {
        let bytes = u8x16::new(*block);
        let marks = bytes.min(LAST).simd_eq(bytes).to_bitmask();
        if marks != 0 {
            return Some(at.wrapping_add(index(marks.trailing_zeros())));
        }
        at = at.wrapping_add(LANES);
        rest = behind;
    }
    rest.iter().position(|&byte| byte < 0x0e).map(|offset| at.wrapping_add(offset))
}

/// A line in its plainest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlainLine {
    /// Where its CR LF stands.
    pub end: usize,
    /// Its first colon; `end` where there is none.
    pub colon: usize,
}

/// Bytes that are looked at together.
const LANES: usize = 16;

/// Which bytes are control bytes, or not below a bound.
#[derive(Clone, Copy)]
pub(super) struct Odd {
    past_controls: u8x16,
}

impl Odd {
    const CONTROLS: u8 = 0x20;

    pub(super) fn from(bound: u8) -> Self {
        Self { past_controls: u8x16::new([bound.saturating_sub(Self::CONTROLS); LANES]) }
    }

    /// A bit each.
    #[inline(always)]
    fn among(self, bytes: u8x16) -> u32 {
        // Control bytes wrap around to the highest.
        #[allow(clippy::arithmetic_side_effects, reason = "lanes wrap around")]
        let past = bytes - const { u8x16::new([Self::CONTROLS; LANES]) };
        past.max(self.past_controls).simd_eq(past).to_bitmask()
    }
}

/// The line that begins at `from`, if it ends with CR LF and has no other odd byte.
#[inline(always)]
pub(super) fn plain_line(input: &[u8], from: usize, odd: Odd) -> Option<PlainLine> {
    const COLON: u8x16 = u8x16::new([b':'; LANES]);
    let Some((block, mut rest)) = input.get(from..)?.split_first_chunk::<LANES>() else {
        return last_line(input, from, from, odd);
    };
    let bytes = u8x16::new(*block);
    let colons = bytes.simd_eq(COLON).to_bitmask();
    let mut marks = odd.among(bytes);
    let mut at = from;
    while marks == 0 {
        at = at.wrapping_add(LANES);
        let Some((block, behind)) = rest.split_first_chunk::<LANES>() else {
            return last_line(input, from, at, odd);
        };
        marks = odd.among(u8x16::new(*block));
        rest = behind;
    }
    let end = at.wrapping_add(first_of(marks));
    if !matches!(input.get(end..), Some([b'\r', b'\n', ..])) {
        return None;
    }
    let colon = match colons {
        0 => late_colon(input, from, end),
        _ => from.wrapping_add(first_of(colons)).min(end),
    };
    Some(PlainLine { end, colon })
}

#[inline(always)]
fn first_of(marks: u32) -> usize {
    index(marks.trailing_zeros())
}

/// The same of a line whose last byte may be among the input's last few: there is no odd one before
/// `at`.
#[inline(never)]
fn last_line(input: &[u8], from: usize, at: usize, odd: Odd) -> Option<PlainLine> {
    let rest = input.get(at..)?;
    // The bytes before it are looked at again, and left out of account.
    let known = LANES.wrapping_sub(rest.len());
    let bytes = u8x16::new(*input.last_chunk::<LANES>()?);
    let marks = odd.among(bytes).wrapping_shr(u32::try_from(known).unwrap_or(0));
    let end = at.wrapping_add(first_of(marks));
    if marks == 0 || !matches!(input.get(end..), Some([b'\r', b'\n', ..])) {
        return None;
    }
    let colon = colon(input, from, end, usize::MAX).unwrap_or(end);
    Some(PlainLine { end, colon })
}

/// The colon behind a name that is longer than most.
#[inline(never)]
fn late_colon(input: &[u8], from: usize, end: usize) -> usize {
    colon(input, from.wrapping_add(LANES).min(end), end, usize::MAX).unwrap_or(end)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of every colon; marks above the lowest may be wrong, since a borrow reaches
/// upwards.
#[inline]
fn colons(word: u64) -> u64 {
    let differ = word ^ ONES.wrapping_mul(0x3a);
    differ.wrapping_sub(ONES) & !differ & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, a byte at a time, as the definition says it.
    fn plainly(input: &[u8], from: usize, ended: bool) -> Option<LineEnd> {
        let mut at = from;
        let mut bare_cr = false;
        while at < input.len() {
            match input[at..] {
                [b'\r', b'\n', ..] => {
                    return Some(LineEnd { end: at, next: at + 2, bare_lf: false, bare_cr });
                }
                [b'\n', ..] => {
                    return Some(LineEnd { end: at, next: at + 1, bare_lf: true, bare_cr });
                }
                [b'\r', ..] => bare_cr = true,
                _ => {}
            }
            at += 1;
        }
        (ended && from < at).then_some(LineEnd { end: at, next: at, bare_lf: true, bare_cr })
    }

    #[test]
    fn lines_and_colons_are_found_as_byte_by_byte() {
        for seed in 0..4_000 {
            let mut input = crate::replay::noise(seed, 5 + (seed as usize % 70));
            // Mostly letters, so that lines get long enough for whole words.
            for (n, byte) in input.iter_mut().enumerate() {
                if !(n + seed as usize).is_multiple_of(7) {
                    *byte = b'a';
                }
            }
            for from in 0..input.len() {
                for ended in [false, true] {
                    assert_eq!(
                        line(&input, from, ended),
                        plainly(&input, from, ended),
                        "{} from {from} ended {ended}",
                        input.escape_ascii()
                    );
                }
                let want = input[from..].iter().position(|&byte| byte < 0x0e);
                assert_eq!(low(&input[from..]), want, "{}", input.escape_ascii());
                let control = input[from..].iter().position(|&byte| byte < 0x20);
                let end =
                    control.map(|at| from + at).filter(|&at| input[at..].starts_with(b"\r\n"));
                let end = end.filter(|&end| input[from..end].iter().all(|&byte| byte < 0xf0));
                let found = plain_line(&input, from, Odd::from(0xf0));
                assert_eq!(
                    found.map(|line| line.end),
                    end.filter(|_| input.len() >= LANES),
                    "{}",
                    input.escape_ascii()
                );
                if let Some(line) = found {
                    let colon = input[from..line.end].iter().position(|&byte| byte == b':');
                    assert_eq!(line.colon, colon.map_or(line.end, |colon| from + colon));
                }
                for max in [3, 100] {
                    let want = input[from..].iter().take(max + 1).position(|&byte| byte == b':');
                    let found = colon(&input, from, input.len(), max);
                    assert_eq!(found, want.map(|at| from + at), "{}", input.escape_ascii());
                }
            }
        }
    }
}
