//! TCP options: the bytes between the 20-byte header and the payload.
//!
//! Holds:     [`Options`], an iterator over [`TcpOption`]s.
//! Promises:  stops at the first option that contradicts itself, as receivers do.
//! Never:     reads past the header.

use stage::position::plus;

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Maximum segment size (RFC 9293 section 3.7.1).
    MaxSegment(u16),
    /// Window scale (RFC 7323 section 2).
    WindowScale(u8),
    /// Selective acknowledgements may be sent (RFC 2018 section 2).
    SackPermitted,
    /// Selective acknowledgement: `at` is the offset of its first block inside the options,
    /// `blocks` how many there are.
    Sack {
        /// Offset of the first block's first byte.
        at: usize,
        /// Blocks of 8 bytes.
        blocks: usize,
    },
    /// Timestamp value and echo reply (RFC 7323 section 3).
    Timestamps(u32, u32),
    /// Everything else, by kind.
    Other(u8, &'a [u8]),
}

/// Walks the options.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Options<'a> {
    /// Over the bytes behind the fixed header.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the option after the last one given begins.
    pub const fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = TcpOption<'a>;

    fn next(&mut self) -> Option<TcpOption<'a>> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            match *rest {
                [] | [0, ..] => return None,
                [1, ..] => self.at = plus(self.at, 1),
                [kind, len, ..] => {
                    let body = rest.get(2..usize::from(len))?;
                    let at = plus(self.at, 2);
                    self.at = plus(self.at, usize::from(len));
                    return Some(option(kind, body, at));
                }
                [_] => return None,
            }
        }
    }
}

fn option(kind: u8, body: &[u8], at: usize) -> TcpOption<'_> {
    match (kind, body) {
        (2, &[a, b]) => TcpOption::MaxSegment(u16::from_be_bytes([a, b])),
        //= https://www.rfc-editor.org/rfc/rfc7323#section-2.3
        //# If a Window Scale option is received with a shift.cnt value larger than 14, the TCP
        //# SHOULD ... use 14
        (3, &[shift]) => TcpOption::WindowScale(shift.min(14)),
        (4, []) => TcpOption::SackPermitted,
        (5, blocks) if blocks.len() % 8 == 0 => TcpOption::Sack { at, blocks: blocks.len() / 8 },
        (8, &[a, b, c, d, e, f, g, h]) => TcpOption::Timestamps(
            u32::from_be_bytes([a, b, c, d]),
            u32::from_be_bytes([e, f, g, h]),
        ),
        _ => TcpOption::Other(kind, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], want: &[TcpOption<'_>]) {
        assert_eq!(Options::new(bytes).collect::<Vec<_>>(), want);
        for len in 0..bytes.len() {
            Options::new(&bytes[..len]).for_each(drop);
        }
    }

    #[test]
    fn the_usual_ones() {
        let syn = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 15];
        check(
            &syn,
            &[
                TcpOption::MaxSegment(1460),
                TcpOption::SackPermitted,
                TcpOption::Timestamps(1, 2),
                TcpOption::WindowScale(14),
            ],
        );
        let sack = [1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9, 0, 2, 4, 0, 0];
        check(&sack, &[TcpOption::Sack { at: 4, blocks: 2 }]);
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_walk() {
        check(&[8, 0, 2, 4, 5, 0xb4], &[]);
        check(&[8, 1, 2, 4, 5, 0xb4], &[]);
        check(&[8, 40, 2, 4], &[]);
        check(&[3, 4, 1, 2], &[TcpOption::Other(3, &[1, 2])]);
    }
}
