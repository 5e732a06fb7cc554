//! The positions of bytes in the original and in the edited stream of one direction.
//!
//! Holds:     the *pieces* the original stream was cut into, oldest first, from the acknowledged
//!            edge to the end of what was decided. A piece is so many original bytes that became so
//!            many edited ones.
//! Promises:  both translations never decrease as their argument advances, so no retransmission can
//!            open a gap; what lies below the acknowledged edge is one difference, however many
//!            edits a connection has seen.
//! Never:     allocates, knows bytes, or refuses an edit: where it is full, neighbouring pieces are
//!            fused.
//!
//! Example. The sender wrote 100..120; four bytes at 103 were cut, and two bytes at 110 became
//! five:
//!
//! ```text
//! original   100..103 | 103..107 | 107..110 | 110..112 | 112..120
//! edited     100..103 | (none)   | 103..106 | 106..111 | 111..119
//! piece      as it is   deleted    as it is   2 -> 5     as it is
//! ```
//!
//! A retransmission of original 112 is edited 111. An acknowledgement of edited 103 acknowledges
//! original 107: the cut bytes are acknowledged with the bytes before them. One of edited 108, in
//! the middle of the replacement, acknowledges original 110.

use crate::limits::PIECES_MAX;
use stage::position::{minus, plus};
use wire::Seq;

/// What became of the original bytes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// Inspected: the edited bytes are in the copy.
    Copied,
    /// Passed on as they came, without a copy.
    Passed,
}

/// A run of the stream, by its length on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) original: u32,
    pub(crate) edited: u32,
    pub(crate) kind: EditKind,
    /// Byte n of the one side is byte n of the other.
    pub(crate) linear: bool,
}

impl Piece {
    const NONE: Self = Self { original: 0, edited: 0, kind: EditKind::Passed, linear: true };

    pub(crate) const fn is_copied(&self) -> bool {
        matches!(self.kind, EditKind::Copied)
    }
}

/// A piece and its positions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) piece: Piece,
    pub(crate) original: Seq,
    pub(crate) edited: Seq,
    /// Copied bytes of the pieces before it: where its own begin in the copy.
    pub(crate) copied_before: u32,
}

impl Placed {
    pub(crate) const fn original_end(&self) -> Seq {
        self.original.advance(self.piece.original)
    }

    pub(crate) const fn edited_end(&self) -> Seq {
        self.edited.advance(self.piece.edited)
    }
}

/// The pieces in flight.
#[derive(Clone, Debug)]
pub struct SeqMap {
    /// Where the first piece begins.
    original: Seq,
    edited: Seq,
    pieces: [Piece; PIECES_MAX],
    count: usize,
}

impl SeqMap {
    /// Without a piece, from these positions on.
    pub const fn new(original: Seq, edited: Seq) -> Self {
        Self { original, edited, pieces: [Piece::NONE; PIECES_MAX], count: 0 }
    }

    /// Without a piece, from these positions on. (A new one would write every piece's place.)
    pub(crate) const fn begin(&mut self, original: Seq, edited: Seq) {
        self.original = original;
        self.edited = edited;
        self.count = 0;
    }

    /// Nothing is in flight.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The pieces in flight, with their places.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed> + '_ {
        let (mut original, mut edited, mut copied_before) = (self.original, self.edited, 0_u32);
        self.pieces.iter().take(self.count).map(move |&piece| {
            let placed = Placed { piece, original, edited, copied_before };
            original = placed.original_end();
            edited = placed.edited_end();
            if piece.is_copied() {
                copied_before = plus(copied_before, piece.edited);
            }
            placed
        })
    }

    /// The two sides of the acknowledged edge.
    pub const fn base(&self) -> (Seq, Seq) {
        (self.original, self.edited)
    }

    /// At least two more pieces can be put in, fusing where that is possible.
    pub fn make_room(&mut self) -> bool {
        while plus(self.count, 2) > PIECES_MAX {
            if !self.fuse_any() {
                return false;
            }
        }
        true
    }

    /// Bytes that stay as they are.
    #[must_use]
    pub fn push_linear(&mut self, kind: EditKind, bytes: u32) -> bool {
        if bytes == 0 {
            return true;
        }
        if let Some(last) = self.last_mut()
            && last.kind == kind
            && last.linear
        {
            last.original = plus(last.original, bytes);
            last.edited = plus(last.edited, bytes);
            return true;
        }
        self.push(Piece { original: bytes, edited: bytes, kind, linear: true })
    }

    /// `original` bytes (at least one) became `edited` others, all of them in the copy.
    #[must_use]
    pub fn push_edit(&mut self, original: u32, edited: u32) -> bool {
        if original == edited {
            return self.push_linear(EditKind::Copied, original);
        }
        self.push(Piece { original, edited, kind: EditKind::Copied, linear: false })
    }

    /// `bytes` were inserted behind the last original byte that was put in. They belong to that
    /// byte, so that the byte is not acknowledged to the sender before they are: whoever waits for
    /// an acknowledgement resends, and so drives the resending of the insertion. `false`: there is
    /// no such byte.
    #[must_use]
    pub fn insert_behind(&mut self, bytes: u32) -> bool {
        let full = self.count >= PIECES_MAX;
        let Some(last) = self.last_mut().filter(|last| last.is_copied()) else { return false };
        // The byte becomes a piece of its own, for which there must be room before it is taken off
        // its piece.
        if last.linear && last.original > 1 && full && !self.fuse_any() {
            return false;
        }
        let Some(last) = self.last_mut() else { return false };
        if last.linear && last.original > 1 {
            last.original = minus(last.original, 1);
            last.edited = minus(last.edited, 1);
            return self.push_edit(1, plus(bytes, 1));
        }
        last.edited = plus(last.edited, bytes);
        last.linear = false;
        true
    }

    /// Puts in `bytes` bytes that the sender never sent. They belong to no original byte: the proxy
    /// resends them.
    #[must_use]
    pub fn push_answer(&mut self, bytes: u32) -> bool {
        self.push(Piece { original: 0, edited: bytes, kind: EditKind::Copied, linear: false })
    }

    /// The edited position behind everything that came of the original bytes before `at`, and
    /// behind whatever was put in up to there; not past the decided bytes.
    pub fn through(&self, at: Seq) -> Seq {
        let mut end = self.edited;
        for placed in self.placed() {
            if placed.original_end().is_after(at) {
                let into = at.bytes_after(placed.original);
                return if placed.piece.linear { placed.edited.advance(into) } else { end };
            }
            end = placed.edited_end();
        }
        end
    }

    /// The edited position of original `at`. Inside an edit: where the edit begins.
    pub fn to_edited(&self, at: Seq) -> Seq {
        let mut end = (self.original, self.edited);
        for placed in self.placed() {
            let into = at.distance_from(placed.original);
            if into <= 0 {
                break;
            }
            if at.is_before(placed.original_end()) {
                return if placed.piece.linear {
                    placed.edited.advance(into.unsigned_abs())
                } else {
                    placed.edited
                };
            }
            end = (placed.original_end(), placed.edited_end());
        }
        shifted(at, end.0, end.1)
    }

    /// The greatest original position of which an acknowledgement of edited `at` speaks: all edited
    /// bytes that come from the original ones before it lie before `at`.
    pub fn to_original(&self, at: Seq) -> Seq {
        if at.is_before(self.edited) {
            return shifted(at, self.edited, self.original);
        }
        let mut end = (self.edited, self.original);
        for placed in self.placed() {
            if at.is_before(placed.edited_end()) {
                return if placed.piece.linear {
                    placed.original.advance(at.bytes_after(placed.edited))
                } else {
                    placed.original
                };
            }
            end = (placed.edited_end(), placed.original_end());
        }
        shifted(at, end.0, end.1)
    }

    /// The least original position at or behind edited `at`: the left edge of a selective
    /// acknowledgement.
    pub fn to_original_up(&self, at: Seq) -> Seq {
        for placed in self.placed() {
            if at.is_after(placed.edited)
                && at.is_before(placed.edited_end())
                && !placed.piece.linear
            {
                return placed.original_end();
            }
        }
        self.to_original(at)
    }

    /// Forgets everything before edited `at`, which the receiver has acknowledged. Answers how many
    /// bytes of the copy go.
    pub fn acknowledge(&mut self, at: Seq) -> u32 {
        let mut freed = 0_u32;
        let mut gone = 0_usize;
        for piece in self.pieces.iter_mut().take(self.count) {
            let acknowledged = at.distance_from(self.edited);
            if acknowledged < 0 {
                break;
            }
            let bytes = acknowledged.unsigned_abs();
            if bytes < piece.edited {
                if piece.linear && bytes > 0 {
                    piece.original = minus(piece.original, bytes);
                    piece.edited = minus(piece.edited, bytes);
                    self.original = self.original.advance(bytes);
                    self.edited = self.edited.advance(bytes);
                    if piece.is_copied() {
                        freed = plus(freed, bytes);
                    }
                }
                break;
            }
            self.original = self.original.advance(piece.original);
            self.edited = self.edited.advance(piece.edited);
            if piece.is_copied() {
                freed = plus(freed, piece.edited);
            }
            gone = plus(gone, 1);
        }
        self.pieces.copy_within(gone.min(self.count)..self.count, 0);
        self.count = minus(self.count, gone);
        freed
    }

    fn last_mut(&mut self) -> Option<&mut Piece> {
        self.pieces.get_mut(self.count.checked_sub(1)?)
    }

    fn push(&mut self, piece: Piece) -> bool {
        if self.count >= PIECES_MAX && !self.fuse_any() {
            return false;
        }
        let Some(place) = self.pieces.get_mut(self.count) else { return false };
        *place = piece;
        self.count = plus(self.count, 1);
        true
    }

    /// Makes one piece of two neighbours whose bytes are in the copy, the newest first: they were
    /// decided together.
    fn fuse_any(&mut self) -> bool {
        let live = self.pieces.get(..self.count).unwrap_or_default();
        let both = |pair: &[Piece]| pair.iter().all(Piece::is_copied);
        let Some(at) = live.windows(2).rposition(both) else { return false };
        let after = plus(at, 1);
        let Some(&second) = self.pieces.get(after) else { return false };
        if let Some(first) = self.pieces.get_mut(at) {
            first.original = plus(first.original, second.original);
            first.edited = plus(first.edited, second.edited);
            first.linear = false;
        }
        self.pieces.copy_within(plus(after, 1)..self.count, after);
        self.count = minus(self.count, 1);
        true
    }
}

/// `at` moved by as much as `from` is from `to`.
pub(crate) const fn shifted(at: Seq, from: Seq, to: Seq) -> Seq {
    Seq::new(at.raw().wrapping_sub(from.raw()).wrapping_add(to.raw()))
}

#[cfg(test)]
mod tests;
