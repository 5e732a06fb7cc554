//! A slot's part of the header prefilter, for units without rare bytes: coarser than the
//! preconditions, and cheaper.
//!
//! Holds:     nothing.
//! Promises:  in a unit without the rare bytes named beside it, a value that the header prefilter
//!            lets by fulfils no precondition of its slot.
//! Never:     searches for a literal: it knows a byte or a pair of bytes that each literal has, or
//!            how a literal begins.

use proto::HeaderFieldPrefilter;

use super::end_bytes::EndByteRules;
use super::literal_set::Waiter;
use super::precondition::LiteralPlace;
use crate::transform::ByteSet;

/// Bytes that can stand for a literal alone without being rare, the least frequent in text first.
const SELDOM_FIRST: &[u8] = b"[]\\<>^`$;@!*'\"()#";

/// Letters, the least frequent in text first.
const LETTERS: &[u8] = b"qzjxkvwybgfupmdhlcsrnioate";

/// How frequent a pair is in addresses and header values. The order is rough; only the cost depends
/// on it.
fn frequency([one, other]: [u8; 2]) -> usize {
    let letter = |byte: u8| LETTERS.iter().position(|letter| *letter == byte.to_ascii_lowercase());
    match (letter(one), letter(other)) {
        (Some(one), Some(other)) => one.saturating_add(other).saturating_add(40),
        (Some(letter), None) | (None, Some(letter)) => letter.saturating_add(30),
        (None, None) if one.is_ascii_digit() && other.is_ascii_digit() => 90,
        (None, None) if matches!(one, b',' | b';' | b':') && other == b' ' => 95,
        (None, None) => 25,
    }
}

/// The header prefilter meets these in any case: control bytes except HTAB, CR and LF, and the
/// bytes above the letters.
fn is_rare(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')) || byte > b'z'
}

/// The bytes by which the literals, the masks and the awaited bytes of a slot can be seen.
#[derive(Debug, Default)]
pub(super) struct SlotByteHints {
    /// The unit has one of these bytes,
    pub(super) rare: ByteSet,
    /// or the value begins with one of these bytes
    first: ByteSet,
    /// or texts,
    starts: Vec<Box<[u8]>>,
    /// or ends with one of these,
    last: ByteSet,
    /// or contains one of these.
    bytes: ByteSet,
    pairs: Vec<[u8; 2]>,
}

impl SlotByteHints {
    pub(super) fn of(literals: &[(Box<[u8]>, Waiter)], waited_for: &ByteSet) -> Self {
        let mut hints = Self::default();
        for byte in waited_for.iter() {
            let set = if is_rare(byte) { &mut hints.rare } else { &mut hints.bytes };
            set.insert(byte);
        }
        let mut anywhere: Vec<&[u8]> = Vec::new();
        for (literal, waits) in literals {
            let (place, decodings) = match waits {
                Waiter::Rule { place, decodings, .. } => (*place, *decodings),
                Waiter::Program | Waiter::Expression { .. } => (LiteralPlace::Anywhere, 0),
            };
            if decodings > 0 {
                hints.bytes.insert(b'%');
            }
            // Control bytes cost nothing. Of the bytes above the letters, the last ones are in the
            // fewest units.
            if let Some(&rare) = literal.iter().filter(|byte| is_rare(**byte)).min_by_key(|byte| {
                if **byte < b' ' { 0 } else { u8::MAX.saturating_sub(**byte).saturating_add(1) }
            }) {
                hints.rare.insert(rare);
                continue;
            }
            match (place, &**literal) {
                (LiteralPlace::Start, [only]) => insert(&mut hints.first, *only),
                (LiteralPlace::Start, [first, ..])
                    if hints.starts.len() >= HeaderFieldPrefilter::STARTS_MAX =>
                {
                    insert(&mut hints.first, *first);
                }
                (LiteralPlace::Start, _) => hints.starts.push(literal.clone()),
                (LiteralPlace::End, [only]) => insert(&mut hints.last, *only),
                (LiteralPlace::Anywhere, [only]) => insert(&mut hints.bytes, *only),
                (LiteralPlace::End | LiteralPlace::Anywhere, _) => anywhere.push(literal),
            }
            // A rule may trim white space around a value.
            let blanks = match place {
                LiteralPlace::Start => &mut hints.first,
                LiteralPlace::End => &mut hints.last,
                LiteralPlace::Anywhere => continue,
            };
            b" \t".iter().for_each(|&blank| blanks.insert(blank));
        }
        for literal in &anywhere {
            let seldom = SELDOM_FIRST.iter().find(|byte| literal.contains(byte));
            seldom.into_iter().for_each(|&byte| hints.bytes.insert(byte));
        }
        for literal in anywhere {
            let pairs = || literal.array_windows::<2>().copied();
            let seen = literal.iter().any(|byte| hints.bytes.contains(*byte))
                || pairs().any(|pair| hints.pairs.contains(&pair));
            hints.pairs.extend(pairs().min_by_key(|pair| frequency(*pair)).filter(|_| !seen));
        }
        hints
    }

    /// Whether they are so few that a header prefilter can look for each.
    pub(super) fn are_few(&self) -> bool {
        self.bytes.len().saturating_add(self.pairs.len()) <= HeaderFieldPrefilter::BYTE_HINTS_MAX
    }

    /// Adds them, and the first and last bytes that rules wait for, to a slot's part of the header
    /// prefilter.
    pub(super) fn add_to(
        &self,
        part: HeaderFieldPrefilter,
        first: &EndByteRules,
        last: &EndByteRules,
    ) -> HeaderFieldPrefilter {
        let few = self.are_few();
        let bytes = self.bytes.iter().filter(|_| few);
        let pairs = self.pairs.iter().copied().filter(|_| few);
        part.with_first(first.any.union(&self.first).iter(), first.any_empty)
            .with_last(last.any.union(&self.last).iter(), last.any_empty)
            .with_byte_hints(bytes, pairs, self.starts.iter().map(|start| &**start))
    }
}

/// Inserts both cases of a letter.
fn insert(set: &mut ByteSet, byte: u8) {
    set.insert(byte.to_ascii_lowercase());
    set.insert(byte.to_ascii_uppercase());
}
