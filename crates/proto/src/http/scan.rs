//! Finding line ends and colons, many bytes at a time.
//!
//! Holds:     nothing.
//! Promises:  a byte past a line's end plays no part in what is said of the line.
//! Never:     decides whether a line goes on in the next one (obs-fold), which needs a byte more.

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// One past the last byte before the line end.
    pub end: usize,
    /// Where the next line begins.
    pub next: usize,
    /// The line ends with LF alone, or (at the end of a stream) with nothing.
    pub bare_lf: bool,
    /// A CR stands in the line that no LF follows.
    pub bare_cr: bool,
}

/// The line that begins at `from`. `None`: its end is not in `input`. `ended`: no byte follows, the input's end is one.
#[inline]
pub(super) fn line(input: &[u8], from: usize, ended: bool) -> Option<Line> {
    let rest = input.get(from..)?;
    let stop = memchr::memchr2(b'\r', b'\n', rest).map(|at| from.wrapping_add(at));
    // Nearly every line.
    if let Some(end) = stop
        && let Some([b'\r', b'\n', ..]) = input.get(end..)
    {
        return Some(Line { end, next: end.wrapping_add(2), bare_lf: false, bare_cr: false });
    }
    odd_line(input, from, ended)
}

/// A line that ends otherwise, or does not end.
#[cold]
fn odd_line(input: &[u8], from: usize, ended: bool) -> Option<Line> {
    let rest = input.get(from..)?;
    let lf = memchr::memchr(b'\n', rest);
    let (text, next) = match lf {
        Some(lf) => (rest.get(..lf)?, from.saturating_add(lf).saturating_add(1)),
        None if ended && !rest.is_empty() => (rest, input.len()),
        None => return None,
    };
    let (text, crlf) = match text.strip_suffix(b"\r") {
        Some(text) if lf.is_some() => (text, true),
        _ => (text, false),
    };
    let bare_cr = memchr::memchr(b'\r', text).is_some();
    Some(Line { end: from.saturating_add(text.len()), next, bare_lf: !crlf, bare_cr })
}

/// A CR in `input[from..end]` that no LF follows.
pub(super) fn has_bare_cr(input: &[u8], from: usize, end: usize) -> bool {
    memchr::memchr_iter(b'\r', input.get(from..end).unwrap_or_default())
        .any(|at| input.get(from.saturating_add(at).saturating_add(1)) != Some(&b'\n'))
}

/// The first colon of the line `input[from..end]`, if it stands within the first `max + 1` bytes. Names are short: eight bytes
/// at a time find it sooner than a call of a wider search.
#[inline]
pub(super) fn colon(input: &[u8], from: usize, end: usize, max: usize) -> Option<usize> {
    let line = input.get(from..end)?;
    let line = line.get(..max.saturating_add(1)).unwrap_or(line);
    let (words, rest) = line.as_chunks::<8>();
    let mut at = from;
    for word in words {
        let marks = colons(u64::from_le_bytes(*word));
        if marks != 0 {
            return Some(at.wrapping_add(usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0)));
        }
        at = at.wrapping_add(8);
    }
    rest.iter().position(|&byte| byte == b':').map(|offset| at.wrapping_add(offset))
}

/// The first CR or LF, or another byte below 0x0e: whoever meets that looks closely. Lines are short, and searching them
/// is most of what a message costs that nobody reads.
#[inline]
pub(super) fn low(input: &[u8]) -> Option<usize> {
    below::<0x0e>(input)
}

/// Where the line at the front ends, if with CR LF, and without another control byte in it.
#[inline]
pub(super) fn crlf(input: &[u8]) -> Option<usize> {
    let end = below::<0x20>(input)?;
    matches!(input.get(end..), Some([b'\r', b'\n', ..])).then_some(end)
}

/// The first byte below `BOUND`.
#[inline(always)]
fn below<const BOUND: u8>(input: &[u8]) -> Option<usize> {
    let (blocks, _) = input.as_chunks::<32>();
    // Written so that the compiler makes vector code of it.
    let clean = |block: &&[u8; 32]| !block.iter().fold(false, |low, &byte| low | (byte < BOUND));
    let mut at = blocks.iter().take_while(clean).count().wrapping_mul(32);
    let mut rest = input.get(at..)?;
    while let Some((block, behind)) = rest.split_first_chunk::<16>() {
        if let Some(offset) = below_of::<BOUND>(block) {
            return Some(at.wrapping_add(offset));
        }
        at = at.wrapping_add(16);
        rest = behind;
    }
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let marks = word.wrapping_sub(ONES.wrapping_mul(u64::from(BOUND))) & !word & HIGHS;
        if marks != 0 {
            return Some(at.wrapping_add(usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0)));
        }
        at = at.wrapping_add(8);
    }
    rest.iter().position(|&byte| byte < BOUND).map(|offset| at.wrapping_add(offset))
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of every colon; marks above the lowest may be wrong, since a borrow reaches upwards.
#[inline]
fn colons(word: u64) -> u64 {
    let differ = word ^ ONES.wrapping_mul(0x3a);
    differ.wrapping_sub(ONES) & !differ & HIGHS
}

/// The first byte of a block below `BOUND`. Written so that the compiler makes one vector comparison of it.
#[inline(always)]
fn below_of<const BOUND: u8>(block: &[u8; 16]) -> Option<usize> {
    let marks = u128::from_le_bytes(block.map(|byte| if byte < BOUND { u8::MAX } else { 0 }));
    if marks == 0 { None } else { usize::try_from(marks.trailing_zeros() / 8).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, a byte at a time, as the definition says it.
    fn plainly(input: &[u8], from: usize, ended: bool) -> Option<Line> {
        let mut at = from;
        let mut bare_cr = false;
        while at < input.len() {
            match input[at..] {
                [b'\r', b'\n', ..] => {
                    return Some(Line { end: at, next: at + 2, bare_lf: false, bare_cr });
                }
                [b'\n', ..] => return Some(Line { end: at, next: at + 1, bare_lf: true, bare_cr }),
                [b'\r', ..] => bare_cr = true,
                _ => {}
            }
            at += 1;
        }
        (ended && from < at).then_some(Line { end: at, next: at, bare_lf: true, bare_cr })
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
                let want = input[from..].iter().position(|&byte| byte < 0x20);
                let want = want.filter(|&at| input[from + at..].starts_with(b"\r\n"));
                assert_eq!(crlf(&input[from..]), want, "{}", input.escape_ascii());
                for max in [3, 100] {
                    let want = input[from..].iter().take(max + 1).position(|&byte| byte == b':');
                    let found = colon(&input, from, input.len(), max);
                    assert_eq!(found, want.map(|at| from + at), "{}", input.escape_ascii());
                }
            }
        }
    }
}
