//! A query with which nothing is the matter but that its name is too long: shortened without being
//! written as text.
//!
//! Holds:     nothing.
//! Promises:  the message that writing the name as text, cutting the text and writing that as
//!            labels would give.
//! Never:     cuts a name of which that is not plain to see.

use super::fields::Id;
use super::name::{ROOT, odd_bytes};
use crate::edits::ValueCut;
use crate::fields::Span;

/// Where the name begins.
const START: usize = 12;

/// Leaves `to` bytes of the text of the name behind the header of `message`, which is plain and has
/// more. `None`: it has to be written as text.
#[inline(never)]
pub(super) fn cut(message: &[u8], name_bytes: usize, to: usize) -> Option<ValueCut> {
    // The text stands behind the first length byte, with length bytes for dots.
    let text = START.wrapping_add(1);
    let end = text.checked_add(to)?;
    let root = name_bytes.wrapping_add(START).wrapping_sub(1);
    // A dot inside a label would become one between two, and one text stands for no label.
    if end >= root || message.get(text..end)? == ROOT || odd_bytes(message, name_bytes) > 0 {
        return None;
    }
    let mut label = START;
    let mut next = label;
    while next < end {
        label = next;
        next = label.wrapping_add(usize::from(*message.get(label)?)).wrapping_add(1);
    }
    let left = end.wrapping_sub(label).wrapping_sub(1);
    let (byte, from) = if left == 0 {
        // Nothing is left of the last label: it goes.
        (None, label)
    } else if next == end {
        (None, end)
    } else {
        (Some((u32::try_from(label).ok()?, u8::try_from(left).ok()?)), end)
    };
    let removed = name_bytes.wrapping_sub(2).wrapping_sub(to);
    Some(ValueCut {
        slot: Id::QryName.slot(),
        removed_bytes: u32::try_from(removed).ok()?,
        byte,
        gone: Span::new(from, root),
    })
}
