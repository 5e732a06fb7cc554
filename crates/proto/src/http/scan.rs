//! Finding line ends and colons, many bytes at a time.
//!
//! Holds:     nothing.
//! Promises:  one pass over a line finds its colon and its end; a byte past the line's end plays no part.
//! Never:     decides whether a line goes on in the next one (obs-fold), which needs a byte more.

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// One past the last byte before the line end.
    pub end: usize,
    /// Where the next line begins.
    pub next: usize,
    /// The first colon of the line, or `usize::MAX`.
    pub colon: usize,
    /// The line ends with LF alone, or (at the end of a stream) with nothing.
    pub bare_lf: bool,
    /// A CR stands in the line that no LF follows.
    pub bare_cr: bool,
}

/// The line that begins at `from`. `None`: its end is not in `input`. `ended`: no byte follows, the input's end is one.
pub(super) fn line(input: &[u8], from: usize, ended: bool) -> Option<Line> {
    let mut colon = usize::MAX;
    let mut bare_cr = false;
    let mut at = from;
    loop {
        let Some(stop) = end_or_colon(input, at, &mut colon) else {
            let end = input.len();
            let line = Line { end, next: end, colon, bare_lf: true, bare_cr };
            return (ended && from < end).then_some(line);
        };
        let next = stop.saturating_add(1);
        if input.get(stop) == Some(&b'\n') {
            return Some(Line { end: stop, next, colon, bare_lf: true, bare_cr });
        }
        match input.get(next) {
            Some(b'\n') => {
                let next = next.saturating_add(1);
                return Some(Line { end: stop, next, colon, bare_lf: false, bare_cr });
            }
            None if !ended => return None,
            _ => bare_cr = true,
        }
        at = next;
    }
}

/// A CR in `input[from..end]` that no LF follows.
pub(super) fn has_bare_cr(input: &[u8], from: usize, end: usize) -> bool {
    memchr::memchr_iter(b'\r', input.get(from..end).unwrap_or_default())
        .any(|at| input.get(from.saturating_add(at).saturating_add(1)) != Some(&b'\n'))
}

/// The first CR or LF at or after `at`; on the way, the first colon, unless one was found before.
#[inline]
fn end_or_colon(input: &[u8], mut at: usize, colon: &mut usize) -> Option<usize> {
    if *colon == usize::MAX {
        loop {
            let found = first(input, at, |word| below_0x0e(word) | colons(word))?;
            match input.get(found) {
                Some(b':') => {
                    *colon = found;
                    at = found.saturating_add(1);
                    break;
                }
                Some(b'\r' | b'\n') => return Some(found),
                _ => at = found.saturating_add(1),
            }
        }
    }
    loop {
        while input.get(at..).and_then(<[u8]>::first_chunk).is_some_and(no_line_end) {
            at = at.saturating_add(WIDE);
        }
        let found = first(input, at, below_0x0e)?;
        if matches!(input.get(found), Some(b'\r' | b'\n')) {
            return Some(found);
        }
        at = found.saturating_add(1);
    }
}

/// Bytes looked at together where nothing is expected.
const WIDE: usize = 32;

/// No byte is a CR, an LF or another low control. Written so that the compiler makes vector code of it.
#[inline]
fn no_line_end(block: &[u8; WIDE]) -> bool {
    !block.iter().fold(false, |low, &byte| low | (byte < 0x0e))
}

/// The first byte at or after `at` that `hits` marks with its high bit, eight at a time. Marks above the lowest may be wrong.
#[inline]
fn first(input: &[u8], mut at: usize, hits: impl Fn(u64) -> u64) -> Option<usize> {
    loop {
        let rest = input.get(at..)?;
        let (word, whole) = match rest.first_chunk::<8>() {
            Some(bytes) => (u64::from_le_bytes(*bytes), true),
            None => {
                let mut bytes = [b'-'; 8];
                bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                (u64::from_le_bytes(bytes), false)
            }
        };
        let marks = hits(word);
        if marks != 0 {
            return Some(
                at.saturating_add(usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0)),
            );
        }
        if !whole {
            return None;
        }
        at = at.saturating_add(8);
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// CR, LF and every other byte below 0x0e. A borrow only reaches bytes above a hit.
#[inline]
fn below_0x0e(word: u64) -> u64 {
    word.wrapping_sub(ONES.wrapping_mul(0x0e)) & !word & HIGHS
}

#[inline]
fn colons(word: u64) -> u64 {
    let differ = word ^ ONES.wrapping_mul(0x3a);
    differ.wrapping_sub(ONES) & !differ & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, a byte at a time, as the definition says it.
    fn plainly(input: &[u8], from: usize, ended: bool) -> Option<Line> {
        let rest = &input[from..];
        let lf = rest.iter().position(|&b| b == b'\n');
        let (text, next) = match lf {
            Some(lf) => (&rest[..lf], from + lf + 1),
            None if ended && !rest.is_empty() => (rest, input.len()),
            None => return None,
        };
        let crlf = lf.is_some() && text.ends_with(b"\r");
        let text = if crlf { &text[..text.len() - 1] } else { text };
        let colon = text.iter().position(|&b| b == b':').map_or(usize::MAX, |at| from + at);
        Some(Line {
            end: from + text.len(),
            next,
            colon,
            bare_lf: !crlf,
            bare_cr: text.contains(&b'\r'),
        })
    }

    #[test]
    fn blocks_and_bytes_agree() {
        for seed in 0..4_000 {
            let mut input = crate::replay::noise(seed, 5 + (seed as usize % 70));
            // Mostly letters, so that lines get long enough for whole blocks.
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
            }
        }
    }
}
