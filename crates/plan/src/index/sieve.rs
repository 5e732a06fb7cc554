//! What of a slot somebody has to look at, where the unit has no rare byte: coarser than the guards, and cheaper.
//!
//! Holds:     nothing.
//! Promises:  a value that no mesh catches gets past no guard of its slot, in a unit without the rare bytes named beside it.
//! Never:     searches for a literal: it knows a byte that every one of them has.

use proto::Mesh;

use super::guard::Place;
use super::needles::Waits;
use super::slot::SlotIndex;
use crate::transform::ByteSet;

/// Bytes that are not rare, the least frequent in text first.
const SELDOM_FIRST: &[u8] =
    b"[]\\<>^`$;@!*'\"()#%:,\t\r\n+=&?qzjxkvwybgfupmdhlcsrnioate0123456789_-./";

/// Whoever sifts meets them in any case: control bytes but HTAB, CR and LF, and what is behind the letters.
fn is_rare(byte: u8) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n')) || byte > b'z'
}

/// Where the literals of a slot, its masks and the bytes it waits for can be seen from.
#[derive(Debug, Default)]
pub(super) struct Signs {
    /// None of these is in the unit.
    pub(super) rare: ByteSet,
    /// Or the value begins with one of these,
    first: ByteSet,
    /// or has one of these.
    bytes: ByteSet,
}

impl Signs {
    pub(super) fn of(literals: &[(Box<[u8]>, Waits)], waited_for: &ByteSet) -> Self {
        let mut signs = Self::default();
        for byte in waited_for.iter() {
            let set = if is_rare(byte) { &mut signs.rare } else { &mut signs.bytes };
            set.insert(byte);
        }
        for (literal, waits) in literals {
            let (place, decodings) = match waits {
                Waits::Rule { place, decodings, .. } => (*place, *decodings),
                Waits::Program | Waits::Expression { .. } => (Place::Anywhere, 0),
            };
            if decodings > 0 {
                signs.bytes.insert(b'%');
            }
            // Control bytes cost nothing, and of those behind the letters the last leave most units alone.
            if let Some(&rare) = literal.iter().filter(|byte| is_rare(**byte)).min_by_key(|byte| {
                if **byte < b' ' { 0 } else { u8::MAX.saturating_sub(**byte).saturating_add(1) }
            }) {
                signs.rare.insert(rare);
                continue;
            }
            let seldom = SELDOM_FIRST.iter().find(|byte| literal.contains(byte));
            let (set, byte) = match (place, literal.first(), seldom) {
                (Place::Start, Some(first), _) => (&mut signs.first, first),
                (_, Some(first), None) => (&mut signs.bytes, first),
                (_, Some(_), Some(seldom)) => (&mut signs.bytes, seldom),
                (_, None, _) => continue,
            };
            set.insert(byte.to_ascii_lowercase());
            set.insert(byte.to_ascii_uppercase());
            if place == Place::Start {
                // White space in front of a value may be trimmed.
                set.insert(b' ');
                set.insert(b'\t');
            }
        }
        signs
    }

    /// The slot's mesh.
    pub(super) fn mesh(&self, slot: &SlotIndex) -> Mesh {
        let few = self.bytes.len() <= Mesh::BYTES_MAX;
        let (first, first_empty) = slot.first_bytes();
        let (last, last_empty) = slot.last_bytes();
        Mesh::new(slot.watched_besides_text(!few))
            .with_first(first.union(&self.first).iter(), first_empty)
            .with_last(last.iter(), last_empty)
            .with_bytes(self.bytes.iter().filter(|_| few))
    }
}
