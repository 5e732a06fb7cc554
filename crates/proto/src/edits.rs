//! Replacements of byte ranges of one unit or datagram.
//!
//! Holds:     edits against the *input* of one call, sorted by position, never overlapping, with
//!            their new bytes.
//! Promises:  [`Edits::replace`] absorbs what lies inside its range, so a later (outer) replacement
//!            wins over earlier (inner) ones whose result it was computed from; [`Edits::current`]
//!            shows a range as edited so far.
//! Never:     grows past its bounds: a refused edit is reported, and the caller decides what that
//!            means.

use crate::fields::Span;
use crate::limits;
use crate::wanted::Slot;

/// `input[at]` becomes `bytes[with]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The replaced bytes; empty for an insertion.
    pub at: Span,
    /// The new bytes, a span of [`Edits::bytes`]; empty for a deletion.
    pub with: Span,
}

/// A value shortened where it stands, which is all that becomes of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueCut {
    /// The field.
    pub slot: Slot,
    /// Bytes that its value, decoded, is shorter then.
    pub removed_bytes: u32,
    /// Where a byte before [`ValueCut::gone`] becomes another one: the length of what is left.
    pub byte: Option<(u32, u8)>,
    /// What goes of the message.
    pub gone: Span,
}

/// The edits of one call, caller-owned.
#[derive(Debug)]
pub struct Edits {
    list: Vec<Edit>,
    bytes: Vec<u8>,
}

impl Edits {
    /// Allocates once, for good.
    pub fn new() -> Self {
        Self {
            list: Vec::with_capacity(limits::EDITS_MAX),
            bytes: Vec::with_capacity(limits::EDIT_BYTES_MAX),
        }
    }

    /// Forgets all edits.
    pub fn clear(&mut self) {
        self.list.clear();
        self.bytes.clear();
    }

    /// No edit was made.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorted by position, not overlapping.
    pub fn list(&self) -> &[Edit] {
        &self.list
    }

    /// The arena the `with` spans point into.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Replaces `input[at]` by `new`, taking the place of every edit inside `at`. `false`: there is
    /// no room, or `at` cuts through an earlier edit's range without containing it; nothing was
    /// changed then.
    #[must_use]
    pub fn replace(&mut self, at: Span, new: &[u8]) -> bool {
        let first = self.list.partition_point(|edit| Self::wholly_before(edit.at, at));
        self.put(first, at, new, |edit| at.contains(edit))
    }

    /// As [`Edits::replace`], but insertions at either border of `at` are its neighbours' and stay:
    /// for what stands beside edited bytes, as the length of a value that was empty.
    #[must_use]
    pub fn replace_between(&mut self, at: Span, new: &[u8]) -> bool {
        let first = self.list.partition_point(|edit| edit.at.end <= at.start);
        let border = |edit: Span| edit.is_empty() && edit.start == at.end;
        self.put(first, at, new, |edit| at.contains(edit) && !border(edit))
    }

    /// Puts an edit at `first` of the list, in the place of those from there on that are `inside`
    /// it.
    fn put(&mut self, first: usize, at: Span, new: &[u8], inside: impl Fn(Span) -> bool) -> bool {
        let Some(bytes_end) = self.bytes.len().checked_add(new.len()) else { return false };
        if bytes_end > limits::EDIT_BYTES_MAX {
            return false;
        }
        let after = self
            .list
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|edit| inside(edit.at))
            .count();
        let Some(end) = first.checked_add(after) else { return false };
        if self.list.get(end).is_some_and(|edit| edit.at.overlaps(at)) {
            return false;
        }
        if after == 0 && self.list.len() >= limits::EDITS_MAX {
            return false;
        }
        let with = Span::new(self.bytes.len(), bytes_end);
        self.bytes.extend_from_slice(new);
        if after == 0 {
            self.list.insert(first, Edit { at, with });
        } else {
            if let Some(slot) = self.list.get_mut(first) {
                *slot = Edit { at, with };
            }
            self.list.drain(first.saturating_add(1)..end);
        }
        true
    }

    /// Makes a cut, in the place of all edits.
    pub fn cut(&mut self, cut: &ValueCut) {
        self.clear();
        if let Some((at, byte)) = cut.byte {
            let at = Span { start: at, end: at.saturating_add(1) };
            self.bytes.push(byte);
            self.list.push(Edit { at, with: Span { start: 0, end: 1 } });
        }
        self.list.push(Edit { at: cut.gone, with: Span::default() });
    }

    /// Deletes `input[at]`. Deletions may overlap (two items of a list both take the separator
    /// between them along): they become one.
    #[must_use]
    pub fn delete(&mut self, at: Span) -> bool {
        let first = self.list.partition_point(|edit| Self::wholly_before(edit.at, at));
        let whole = self
            .list
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(|edit| edit.at.start < at.end)
            .filter(|edit| edit.with.is_empty() && edit.at.overlaps(at))
            .fold(at, |whole, edit| Span {
                start: whole.start.min(edit.at.start),
                end: whole.end.max(edit.at.end),
            });
        self.replace(whole, &[])
    }

    /// An edit that ends before `at` begins. An insertion at `at.start` counts as inside a
    /// non-empty `at`, and as before an empty one (insertions at one place keep their order).
    fn wholly_before(edit: Span, at: Span) -> bool {
        edit.end < at.start || (edit.end == at.start && (!edit.is_empty() || at.is_empty()))
    }

    /// Appends `input[range]` as edited so far to `out`, which must have room. `false`: an edit
    /// straddles the range's border, and nothing sensible can be shown.
    #[must_use]
    pub fn current(&self, input: &[u8], range: Span, out: &mut Vec<u8>) -> bool {
        let mut at = range.start;
        for edit in &self.list {
            if Self::wholly_before(edit.at, range) {
                continue;
            }
            if edit.at.start >= range.end && !(edit.at.is_empty() && edit.at.start == range.end) {
                break;
            }
            if !range.contains(edit.at) {
                return false;
            }
            out.extend_from_slice(Span { start: at, end: edit.at.start }.of(input));
            out.extend_from_slice(edit.with.of(&self.bytes));
            at = edit.at.end;
        }
        out.extend_from_slice(Span { start: at, end: range.end }.of(input));
        true
    }

    /// The edit covers `at` wholly by a deletion or replacement.
    pub fn covers(&self, at: Span) -> bool {
        self.list.iter().any(|edit| !edit.at.is_empty() && edit.at.contains(at))
    }

    /// How many bytes the edits that lie inside `range` add (negative: take away).
    pub fn growth_within(&self, range: Span) -> i64 {
        self.list
            .iter()
            .filter(|edit| range.contains(edit.at))
            .map(|edit| i64::from(edit.with.len()).saturating_sub(i64::from(edit.at.len())))
            .fold(0, i64::saturating_add)
    }
}

impl Default for Edits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(edits: &Edits, input: &[u8]) -> String {
        let mut out = Vec::new();
        assert!(edits.current(input, Span::new(0, input.len()), &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_outer_replacement_takes_the_place_of_inner_ones() {
        let input = b"abcdefgh";
        let mut edits = Edits::new();
        assert!(edits.replace(Span::new(2, 4), b"XYZ"));
        assert!(edits.delete(Span::new(6, 7)));
        assert_eq!(show(&edits, input), "abXYZefh");
        assert!(edits.replace(Span::new(1, 5), b"-"));
        assert_eq!(show(&edits, input), "a-fh");
        assert_eq!(edits.list().len(), 2);
    }

    #[test]
    fn a_range_that_cuts_through_an_edit_is_refused() {
        let mut edits = Edits::new();
        assert!(edits.replace(Span::new(2, 6), b""));
        assert!(!edits.replace(Span::new(4, 8), b"x"));
        assert!(!edits.replace(Span::new(0, 3), b"x"));
        assert!(edits.replace(Span::new(2, 6), b"q"));
        assert_eq!(show(&edits, b"abcdefgh"), "abqgh");
    }

    #[test]
    fn what_stands_between_insertions_keeps_them() {
        let mut edits = Edits::new();
        assert!(edits.replace(Span::new(1, 1), b"<"));
        assert!(edits.replace(Span::new(3, 3), b">"));
        assert!(edits.replace_between(Span::new(1, 3), b"XY"));
        assert_eq!(show(&edits, b"abcd"), "a<XY>d");
        assert!(edits.replace_between(Span::new(1, 3), b"xy"));
        assert!(edits.replace_between(Span::new(3, 4), b"D"));
        assert_eq!(show(&edits, b"abcd"), "a<xy>D");
        assert!(!edits.replace_between(Span::new(2, 4), b""));
        assert!(edits.replace(Span::new(1, 3), b""));
        assert_eq!(show(&edits, b"abcd"), "aD", "a whole element takes its borders along");
    }

    #[test]
    fn overlapping_deletions_become_one() {
        let mut edits = Edits::new();
        assert!(edits.delete(Span::new(0, 3)));
        assert!(edits.delete(Span::new(5, 7)));
        assert!(edits.delete(Span::new(2, 6)));
        assert_eq!(show(&edits, b"abcdefgh"), "h");
        assert_eq!(edits.list().len(), 1);
        assert!(edits.replace(Span::new(0, 8), b"xy"));
        assert!(!edits.delete(Span::new(4, 9)), "a replacement is not undone by half");
    }

    #[test]
    fn insertions_keep_their_order_and_growth_is_counted() {
        let mut edits = Edits::new();
        assert!(edits.replace(Span::new(3, 3), b"1"));
        assert!(edits.replace(Span::new(3, 3), b"2"));
        assert!(edits.delete(Span::new(4, 6)));
        assert_eq!(show(&edits, b"abcdefgh"), "abc12dgh");
        assert_eq!(edits.growth_within(Span::new(0, 8)), 0);
        assert_eq!(edits.growth_within(Span::new(4, 8)), -2);
    }
}
