//! How an input is read: eight bytes of choices, then a conversation.
//!
//! Fixed places for the choices, so that a fuzzer that changes one of them changes one thing; and
//! markers between the turns of a conversation rather than lengths, so that bytes put in or taken
//! out anywhere leave the rest as it was.

use stage::Direction;

/// Two bytes no text has, then `>` (towards the server) or `<`: whose bytes follow.
pub(crate) const MARKER: [u8; 2] = [0xf5, 0xf6];

/// Bytes in front of the conversation.
const CHOICES_BYTES: usize = 8;

/// What the first bytes of an input choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe<'a> {
    flags: u8,
    /// Which fields are wanted; 0 is all of them.
    pub(crate) fields: u16,
    /// Where the bytes are cut.
    pub(crate) cuts: u16,
    /// Which field is edited, and how.
    pub(crate) edits: u16,
    /// Bytes one unit may have before it is opened.
    pub(crate) bound: usize,
    /// The conversation.
    pub(crate) rest: &'a [u8],
}

impl<'a> Recipe<'a> {
    /// `None`: too short to choose anything.
    pub(crate) fn read(input: &'a [u8]) -> Option<Self> {
        let (head, rest) = input.split_first_chunk::<CHOICES_BYTES>()?;
        let [flags, f0, f1, c0, c1, e0, e1, bound] = *head;
        Some(Self {
            flags,
            fields: u16::from_le_bytes([f0, f1]),
            cuts: u16::from_le_bytes([c0, c1]),
            edits: u16::from_le_bytes([e0, e1]),
            bound: 1 + usize::from(bound) * usize::from(bound) / 4,
            rest,
        })
    }

    /// Choice number `n` of eight.
    pub(crate) fn flag(&self, n: u8) -> bool {
        self.flags & (1 << n) != 0
    }

    /// Who says what, in order; the client begins.
    pub(crate) fn turns(&self) -> Vec<(Direction, &'a [u8])> {
        turns(self.rest)
    }
}

/// Who says what, in order; the client begins.
pub(crate) fn turns(mut rest: &[u8]) -> Vec<(Direction, &[u8])> {
    let mut turns = Vec::new();
    let mut from = Direction::Request;
    while let Some((at, next)) = marker(rest) {
        turns.push((from, rest.get(..at).unwrap_or_default()));
        from = next;
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    turns.push((from, rest));
    turns.retain(|(_, bytes)| !bytes.is_empty());
    turns
}

/// The first marker, and the direction it names.
fn marker(bytes: &[u8]) -> Option<(usize, Direction)> {
    bytes.windows(3).enumerate().find_map(|(at, window)| match window {
        [a, b, b'>'] if [*a, *b] == MARKER => Some((at, Direction::Request)),
        [a, b, b'<'] if [*a, *b] == MARKER => Some((at, Direction::Response)),
        _ => None,
    })
}

/// Numbers from a seed; the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct RecipeRandom(u64);

impl RecipeRandom {
    pub(crate) fn new(seed: u16) -> Self {
        Self(u64::from(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`; 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }
}

/// `bytes` in at most 64 pieces; a seed of 0 cuts nowhere, one of 1 everywhere (of short bytes).
pub(crate) fn pieces(bytes: &[u8], seed: u16) -> Vec<&[u8]> {
    const PIECES_MAX: usize = 64;
    match seed {
        0 => return vec![bytes],
        1 if bytes.len() <= 4 * PIECES_MAX => return bytes.chunks(1).collect(),
        _ => {}
    }
    let mut random = RecipeRandom::new(seed);
    // Short pieces and long ones: cuts that fall together in a few places, and cuts far apart.
    let longest = if random.next() & 1 == 0 { 8 } else { bytes.len() };
    let longest = 1 + random.below(longest);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() && pieces.len() + 1 < PIECES_MAX {
        let (piece, after) = rest.split_at((1 + random.below(longest)).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_say_whose_bytes_follow() {
        let input = b"01234567GET /\r\n\xf5\xf6<HTTP/1.1\xf5\xf6>\xf5\xf6<\xf5\xf6x";
        let recipe = Recipe::read(input).unwrap();
        let turns: Vec<_> = recipe.turns();
        assert_eq!(turns[0], (Direction::Request, &b"GET /\r\n"[..]));
        assert_eq!(turns[1], (Direction::Response, &b"HTTP/1.1"[..]));
        assert_eq!(turns[2], (Direction::Response, &b"\xf5\xf6x"[..]));
        assert_eq!(turns.len(), 3);
        assert!(Recipe::read(b"short").is_none());
    }

    #[test]
    fn pieces_are_the_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();
        for seed in 0..2_000 {
            let cut = pieces(&bytes, seed);
            assert_eq!(cut.concat(), bytes);
            assert!(cut.iter().all(|piece| !piece.is_empty()));
        }
        assert_eq!(pieces(&bytes, 0).len(), 1);
        assert_eq!(pieces(&bytes, 1).len(), 256);
    }
}
