//! A line at the front of a stream, read as servers read it.
//!
//! Holds:     nothing; it looks at a [`View`] and says where the first line, or the piece of it
//!            that is there, ends.
//! Promises:  the same lines wherever the bytes are cut: a CR at the end of the input is never
//!            given away before the byte after it is known, since it may be half of a line end.
//! Never:     decides what a line means.
//!
//! A line ends at its LF, whether or not a CR stands before it: servers that insist on CRLF are
//! fewer than servers that do not, and a line cut too early for a strict server only has its bounds
//! kept twice. Exactly one CR belongs to the line end; earlier ones stay in the text, where a bound
//! sees them (a server that drops them all reads a shorter text). Where some servers take a bare CR
//! for a line end too (mail bodies), [`LineEnds::BareCrToo`] cuts there as well.

use crate::decoder::{Need, View};
use stage::position::plus;

/// Which bytes end a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnds {
    /// LF, with or without a CR before it.
    Lf,
    /// LF, CRLF, and a CR that no LF follows.
    BareCrToo,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnding {
    /// CR LF: the one form every RFC asks for.
    CrLf,
    /// LF alone.
    BareLf,
    /// CR alone.
    BareCr,
    /// The sender finished its half inside the line.
    Eof,
    /// It has not: the line was opened, and goes on.
    Open,
}

/// The front of the input as a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextLine<'a> {
    /// The bytes before the line end.
    pub text: &'a [u8],
    /// Bytes of the unit: the text and its line end.
    pub bytes: usize,
    /// Its line end.
    pub ending: LineEnding,
}

impl TextLine<'_> {
    /// The whole line, or its last piece, is here.
    pub(crate) fn is_complete(&self) -> bool {
        self.ending != LineEnding::Open
    }
}

/// The line at the front of `view`, or what it lacks. Never of 0 bytes.
pub(crate) fn first<'a>(view: &View<'a>, ends: LineEnds) -> Result<TextLine<'a>, Need> {
    let input = view.input;
    let end = match ends {
        LineEnds::Lf => memchr::memchr(b'\n', input),
        LineEnds::BareCrToo => memchr::memchr2(b'\n', b'\r', input),
    };
    match end.and_then(|end| Some((end, input.get(..end)?, input.get(end..)?))) {
        Some((end, text, [b'\r', b'\n', ..])) => Ok(line(text, plus(end, 2), LineEnding::CrLf)),
        Some((end, text, [b'\r', _, ..])) => Ok(line(text, plus(end, 1), LineEnding::BareCr)),
        Some((end, text, [b'\r'])) if view.ended => {
            Ok(line(text, plus(end, 1), LineEnding::BareCr))
        }
        Some((end, text, [b'\n', ..])) => {
            let bytes = plus(end, 1);
            match text.split_last() {
                Some((b'\r', text)) => Ok(line(text, bytes, LineEnding::CrLf)),
                _ => Ok(line(text, bytes, LineEnding::BareLf)),
            }
        }
        _ if view.ended && !input.is_empty() => Ok(line(input, input.len(), LineEnding::Eof)),
        _ => unfinished(view, ends),
    }
}

/// No line end yet, or only its first half.
fn unfinished<'a>(view: &View<'a>, ends: LineEnds) -> Result<TextLine<'a>, Need> {
    let (text, half_an_end) = match view.input.split_last() {
        Some((b'\r', text)) => (text, true),
        _ => (view.input, false),
    };
    if view.open && !text.is_empty() {
        return Ok(line(text, text.len(), LineEnding::Open));
    }
    match (ends, half_an_end) {
        (LineEnds::Lf, false) => Err(Need::Byte(b'\n')),
        _ => Err(Need::Bytes(plus(view.input.len(), 1))),
    }
}

fn line(text: &[u8], bytes: usize, ending: LineEnding) -> TextLine<'_> {
    TextLine { text, bytes, ending }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stage::Direction;

    /// Every line of `input`, fed whole, byte by byte and split at every point; opened ones are put
    /// together again.
    #[track_caller]
    fn check(input: &[u8], ends: LineEnds, want: &[(&[u8], LineEnding)]) {
        for open in [false, true] {
            for cut in 0..=input.len() {
                assert_eq!(lines(&[cut], input, ends, open), want, "open {open}, cut at {cut}");
            }
            let everywhere: Vec<_> = (0..input.len()).collect();
            assert_eq!(lines(&everywhere, input, ends, open), want, "open {open}, byte by byte");
        }
    }

    fn lines(
        cuts: &[usize],
        input: &[u8],
        ends: LineEnds,
        open: bool,
    ) -> Vec<(&'static [u8], LineEnding)> {
        let mut at = 0;
        let mut text = Vec::new();
        let mut found = Vec::new();
        for &end in cuts.iter().chain([&input.len(), &input.len()]) {
            let ended = end == input.len();
            let mut view = View { input: &[], from: Direction::Request, open, ended };
            loop {
                view.input = &input[at..end.max(at)];
                let Ok(line) = first(&view, ends) else { break };
                assert!(line.bytes > 0 && line.text.len() <= line.bytes);
                at += line.bytes;
                text.extend_from_slice(line.text);
                if line.is_complete() {
                    let text: &'static [u8] = std::mem::take(&mut text).leak();
                    found.push((text, line.ending));
                }
            }
        }
        assert_eq!(at, input.len(), "every byte belongs to a line");
        found
    }

    #[test]
    fn a_line_ends_at_its_lf() {
        use LineEnding::{BareLf, CrLf, Eof};
        check(
            b"a\r\nbc\n\r\n\n",
            LineEnds::Lf,
            &[(b"a", CrLf), (b"bc", BareLf), (b"", CrLf), (b"", BareLf)],
        );
        check(b"a\rb\r\r\nc", LineEnds::Lf, &[(b"a\rb\r", CrLf), (b"c", Eof)]);
        check(b"a\r", LineEnds::Lf, &[(b"a\r", Eof)]);
    }

    #[test]
    fn a_bare_cr_ends_one_where_some_servers_think_so() {
        use LineEnding::{BareCr, BareLf, CrLf};
        check(
            b"a\rb\r\r\nc\r",
            LineEnds::BareCrToo,
            &[(b"a", BareCr), (b"b", BareCr), (b"", CrLf), (b"c", BareCr)],
        );
        check(b"\n\r.\r\n", LineEnds::BareCrToo, &[(b"", BareLf), (b"", BareCr), (b".", CrLf)]);
    }

    #[test]
    fn what_is_lacking_is_said() {
        let ask = |input: &'static [u8], ends, open| {
            first(&View { input, from: Direction::Request, open, ended: false }, ends)
        };
        assert_eq!(ask(b"ab", LineEnds::Lf, false), Err(Need::Byte(b'\n')));
        assert_eq!(ask(b"ab\r", LineEnds::Lf, false), Err(Need::Bytes(4)));
        assert_eq!(ask(b"ab", LineEnds::BareCrToo, false), Err(Need::Bytes(3)));
        assert_eq!(ask(b"\r", LineEnds::Lf, true), Err(Need::Bytes(2)));
        assert_eq!(ask(b"", LineEnds::Lf, true), Err(Need::Byte(b'\n')));
    }
}
