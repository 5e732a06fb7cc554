//! Values that are lists: query parameters, ranges, cookies, connection options.
//!
//! Holds:     nothing.
//! Promises:  taking away an item's element leaves a list without an empty item, whichever other
//!            items stay.
//! Never:     yields an empty item.

use super::scan::ByteRange;
use crate::{Field, Fields, Slot, Span};
use stage::position::{minus, plus};

/// Emits the items of `input[from..end]`.
pub(super) fn items(
    input: &[u8],
    place: ByteRange,
    separator: u8,
    slot: Slot,
    group: u16,
    out: &mut Fields,
) {
    each(input, place, separator, |value, element| {
        out.push(Field { slot, group, value, element, ..Field::default() });
    });
}

/// Hands over the items of `input[from..end]`: value and element. An item's element is the item
/// with the separator before it; the first one's takes the separator behind it, and the white space
/// after that.
pub(super) fn each(
    input: &[u8],
    ByteRange { start: from, end }: ByteRange,
    separator: u8,
    mut item: impl FnMut(Span, Span),
) {
    let mut start = from;
    loop {
        let rest = input.get(start..end).unwrap_or_default();
        let found = memchr::memchr(separator, rest);
        let stop = found.map_or(end, |at| plus(start, at));
        let raw = input.get(start..stop).unwrap_or_default();
        let (leading, length) = trimmed(raw);
        if length > 0 {
            let begin = plus(start, leading);
            let value = Span::new(begin, plus(begin, length));
            let element = if start > from {
                Span::new(minus(start, 1), stop)
            } else if found.is_some() {
                let next = plus(stop, 1);
                let behind = input.get(next..end).unwrap_or_default();
                Span::new(from, plus(next, trimmed(behind).0))
            } else {
                Span::new(from, end)
            };
            item(value, element);
        }
        if found.is_none() {
            return;
        }
        start = plus(stop, 1);
    }
}

/// White space at the front (of a folded line too), and how long the rest is without that at its
/// end.
pub(super) fn trimmed(raw: &[u8]) -> (usize, usize) {
    let space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let leading = raw.iter().take_while(space).count();
    let rest = raw.get(leading..).unwrap_or_default();
    let trailing = rest.iter().rev().take_while(space).count();
    (leading, minus(rest.len(), trailing))
}
