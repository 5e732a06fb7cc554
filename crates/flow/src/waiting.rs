//! Bytes that came before they could go on: held for the rest of their unit, or ahead of a gap.
//!
//! Holds:     blocks found by position, and the runs of positions that are filled, in order.
//! Promises:  the first byte that came for a position stays; one that comes later for the same
//!            position is not looked at.
//! Never:     reaches further than [`WAITING_BYTES_MAX`] past the edge.

use crate::blocks::{BlockId, BlockPool, NO_BLOCK};
use crate::limits::{BLOCK_BYTES, WAITING_BLOCKS, WAITING_BYTES_MAX, WAITING_RUNS_MAX};
use stage::position::{index, len32, minus, plus};
use wire::Seq;

/// How putting bytes in went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutResult {
    Stored,
    /// Too far ahead, or one run too many.
    NoRoom,
    /// The pool is dry.
    NoBlocks,
}

/// Positions that are filled without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitingRange {
    pub(crate) start: Seq,
    pub(crate) end: Seq,
}

const NO_RUN: WaitingRange = WaitingRange { start: Seq::new(0), end: Seq::new(0) };

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    blocks: [BlockId; WAITING_BLOCKS],
    runs: [WaitingRange; WAITING_RUNS_MAX],
    count: usize,
}

impl Waiting {
    pub(crate) const EMPTY: Self =
        Self { blocks: [NO_BLOCK; WAITING_BLOCKS], runs: [NO_RUN; WAITING_RUNS_MAX], count: 0 };

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes there are without a gap from `edge` on.
    pub(crate) fn front(&self, edge: Seq) -> u32 {
        self.runs()
            .first()
            .filter(|run| run.start == edge)
            .map_or(0, |run| run.end.bytes_after(edge))
    }

    /// Something waits behind something that is missing.
    pub(crate) const fn has_gap(&self) -> bool {
        self.count > 1
    }

    /// The run that `at` is in, for a selective acknowledgement.
    pub(crate) fn run_at(&self, at: Seq) -> Option<WaitingRange> {
        self.runs().iter().find(|run| !at.is_before(run.start) && at.is_before(run.end)).copied()
    }

    /// Puts `bytes` in at `at`, which is not before `edge`.
    #[must_use]
    pub(crate) fn put(
        &mut self,
        pool: &mut BlockPool,
        edge: Seq,
        at: Seq,
        bytes: &[u8],
    ) -> PutResult {
        let end = at.advance(len32(bytes.len()));
        if bytes.is_empty() {
            return PutResult::Stored;
        }
        if at.is_before(edge) || end.bytes_after(edge) > WAITING_BYTES_MAX {
            return PutResult::NoRoom;
        }
        let touches = |run: &WaitingRange| !run.end.is_before(at) && !run.start.is_after(end);
        let joined = self.runs().iter().filter(|run| touches(run)).count();
        // One place is kept for the run at the edge: bytes in order must never be refused for those
        // ahead.
        let places = minus(WAITING_RUNS_MAX, usize::from(at != edge));
        if joined == 0 && self.count >= places {
            return PutResult::NoRoom;
        }
        if !self.claim_blocks(pool, at, end) {
            return PutResult::NoBlocks;
        }
        let mut cursor = at;
        for place in 0..self.count {
            let Some(&run) = self.runs.get(place) else { break };
            if cursor.is_before(run.start) && !run.start.is_after(end) {
                self.write(pool, at, cursor, run.start, bytes);
            }
            if run.start.is_before(end) {
                cursor = cursor.max(run.end);
            }
        }
        if cursor.is_before(end) {
            self.write(pool, at, cursor, end, bytes);
        }
        self.join(at, end, joined);
        PutResult::Stored
    }

    /// Copies the bytes that wait from `at` on into `out`, as many as `out` holds. The caller knows
    /// that they are there.
    pub(crate) fn read(&self, pool: &BlockPool, at: Seq, out: &mut [u8]) {
        let mut at = at;
        let mut rest = out;
        while !rest.is_empty() {
            let (slot, from) = place(at);
            let id = self.blocks.get(slot).copied().unwrap_or(NO_BLOCK);
            let there = pool.block(id).get(from..).unwrap_or_default();
            let count = there.len().min(rest.len());
            if count == 0 {
                return;
            }
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(there.get(..count).unwrap_or_default());
            rest = later;
            at = at.advance(len32(count));
        }
    }

    /// The edge moved from `old` to `edge`: the bytes before it go.
    pub(crate) fn advance(&mut self, pool: &mut BlockPool, old: Seq, edge: Seq) {
        if self.count == 0 {
            return;
        }
        let mut kept = 0_usize;
        for place in 0..self.count {
            let Some(&run) = self.runs.get(place) else { break };
            if run.end.is_after(edge) {
                if let Some(to) = self.runs.get_mut(kept) {
                    *to = WaitingRange { start: run.start.max(edge), end: run.end };
                }
                kept = plus(kept, 1);
            }
        }
        self.count = kept;
        if kept == 0 {
            self.give_blocks(pool);
            return;
        }
        let mut at = Seq::new(old.raw() & !BLOCK_MASK);
        let stop = Seq::new(edge.raw() & !BLOCK_MASK);
        for _ in 0..WAITING_BLOCKS {
            if !at.is_before(stop) {
                break;
            }
            if let Some(id) = self.blocks.get_mut(place(at).0)
                && *id != NO_BLOCK
            {
                pool.give(*id);
                *id = NO_BLOCK;
            }
            at = at.advance(len32(BLOCK_BYTES));
        }
    }

    /// Nothing waits any more. Where nothing did, no block is there.
    pub(crate) fn clear(&mut self, pool: &mut BlockPool) {
        if self.count > 0 {
            self.give_blocks(pool);
        }
    }

    fn give_blocks(&mut self, pool: &mut BlockPool) {
        self.count = 0;
        for id in &mut self.blocks {
            if *id != NO_BLOCK {
                pool.give(*id);
                *id = NO_BLOCK;
            }
        }
    }

    fn runs(&self) -> &[WaitingRange] {
        self.runs.get(..self.count).unwrap_or_default()
    }

    /// Sees to it that every position of `at..end` has a block.
    fn claim_blocks(&mut self, pool: &mut BlockPool, at: Seq, end: Seq) -> bool {
        let mut cursor = Seq::new(at.raw() & !BLOCK_MASK);
        while cursor.is_before(end) {
            if let Some(id) = self.blocks.get_mut(place(cursor).0)
                && *id == NO_BLOCK
            {
                let Some(fresh) = pool.take() else {
                    if self.count == 0 {
                        self.give_blocks(pool);
                    }
                    return false;
                };
                *id = fresh;
            }
            cursor = cursor.advance(len32(BLOCK_BYTES));
        }
        true
    }

    /// Writes positions `from..to` out of `bytes`, which begin at position `at`.
    fn write(&self, pool: &mut BlockPool, at: Seq, from: Seq, to: Seq, bytes: &[u8]) {
        let range = index(from.bytes_after(at))..index(to.bytes_after(at));
        let mut rest = bytes.get(range).unwrap_or_default();
        let mut cursor = from;
        while !rest.is_empty() {
            let (slot, offset) = place(cursor);
            let id = self.blocks.get(slot).copied().unwrap_or(NO_BLOCK);
            let room = pool.block_mut(id).get_mut(offset..).unwrap_or_default();
            let count = room.len().min(rest.len());
            let Some((now, later)) = rest.split_at_checked(count).filter(|_| count > 0) else {
                return;
            };
            if let Some(to) = room.get_mut(..count) {
                to.copy_from_slice(now);
            }
            rest = later;
            cursor = cursor.advance(len32(count));
        }
    }

    /// Adds `at..end` to the runs; `joined` of them touch it.
    fn join(&mut self, at: Seq, end: Seq, joined: usize) {
        let first = self.runs().partition_point(|run| run.end.is_before(at));
        let after = plus(first, joined);
        let mut whole = WaitingRange { start: at, end };
        for run in self.runs.get(first..after).unwrap_or_default() {
            whole = WaitingRange { start: whole.start.min(run.start), end: whole.end.max(run.end) };
        }
        let target = plus(first, 1);
        self.runs.copy_within(after..self.count.max(after), target.min(WAITING_RUNS_MAX));
        if let Some(place) = self.runs.get_mut(first) {
            *place = whole;
        }
        self.count = plus(minus(self.count, joined), 1);
    }
}

const BLOCK_MASK: u32 = 2_047;
const _: () = assert!(BLOCK_BYTES == 2_048, "BLOCK_MASK is one less");

/// The slot a position's block is found in, and the offset inside the block.
fn place(at: Seq) -> (usize, usize) {
    let block = index(at.raw() / 2_048);
    (block % WAITING_BLOCKS, index(at.raw() & BLOCK_MASK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_for_a_position_stays() {
        for seed in 0..60_u32 {
            let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(3);
            let mut next = |bound: u32| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) % bound
            };
            let mut pool = BlockPool::new(96);
            let mut waiting = Waiting::EMPTY;
            let start = Seq::new(u32::MAX - 70_000);
            let mut edge = 0_u32;
            let mut model: Vec<Option<u8>> = vec![None; 1 << 20];
            for turn in 0..200_u32 {
                if next(6) == 0 {
                    let front = waiting.front(start.advance(edge));
                    let by = next(front + 2).min(front);
                    waiting.advance(&mut pool, start.advance(edge), start.advance(edge + by));
                    edge += by;
                } else {
                    let at = edge + next(if turn % 2 == 0 { 3 } else { 100_000 });
                    let len = 1 + next(4000);
                    let bytes: Vec<u8> = (0..len).map(|n| (n * 7 + turn) as u8).collect();
                    let put =
                        waiting.put(&mut pool, start.advance(edge), start.advance(at), &bytes);
                    if put == PutResult::Stored {
                        for (n, byte) in bytes.iter().enumerate() {
                            model[at as usize + n].get_or_insert(*byte);
                        }
                    } else {
                        assert_eq!(put, PutResult::NoRoom);
                    }
                }
                let front = waiting.front(start.advance(edge)) as usize;
                let want: Vec<u8> = model[edge as usize..].iter().map_while(|b| *b).collect();
                assert_eq!(front, want.len(), "seed {seed} turn {turn}");
                let mut got = vec![0; front];
                waiting.read(&pool, start.advance(edge), &mut got);
                assert!(got == want, "seed {seed} turn {turn}");
            }
            waiting.clear(&mut pool);
            assert_eq!(pool.free_count(), 96);
        }
    }

    #[test]
    fn runs_and_reach_are_bounded() {
        let mut pool = BlockPool::new(96);
        let mut waiting = Waiting::EMPTY;
        let edge = Seq::new(0);
        for n in 0..WAITING_RUNS_MAX as u32 - 1 {
            assert_eq!(
                waiting.put(&mut pool, edge, Seq::new(10 + 10 * n), b"x"),
                PutResult::Stored
            );
        }
        assert_eq!(waiting.put(&mut pool, edge, Seq::new(5), b"x"), PutResult::NoRoom);
        assert_eq!(waiting.put(&mut pool, edge, Seq::new(11), b"x"), PutResult::Stored);
        assert_eq!(
            waiting.put(&mut pool, edge, Seq::new(WAITING_BYTES_MAX), b"x"),
            PutResult::NoRoom
        );
        assert_eq!(waiting.put(&mut pool, edge, Seq::new(u32::MAX), b"x"), PutResult::NoRoom);
        assert_eq!(waiting.put(&mut pool, edge, edge, b"x"), PutResult::Stored, "in order: always");
        assert_eq!(
            waiting.run_at(Seq::new(11)),
            Some(WaitingRange { start: Seq::new(10), end: Seq::new(12) })
        );
    }
}
