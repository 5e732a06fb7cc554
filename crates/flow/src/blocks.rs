//! Fixed blocks for bytes that have to be kept: held, ahead of order, or sent and not yet
//! acknowledged.
//!
//! Holds:     [`BlockPool`], allocated once; [`Chain`], a queue of bytes over blocks of it.
//! Promises:  running out is an answer (`None`, `false`), never an allocation.
//! Never:     looks at the bytes.

use crate::limits::BLOCK_BYTES;
use stage::position::{index, len32, minus, plus};

/// Number of a block, or [`NO_BLOCK`].
pub(crate) type BlockId = u32;

/// No block.
pub(crate) const NO_BLOCK: BlockId = u32::MAX;

/// Blocks of [`BLOCK_BYTES`], one pool a core.
#[derive(Debug)]
pub struct BlockPool {
    blocks: Vec<[u8; BLOCK_BYTES]>,
    /// The next block of the same chain, or of the free list.
    next: Vec<BlockId>,
    free: BlockId,
    free_count: u32,
}

impl BlockPool {
    /// Allocates `count` blocks, for good.
    pub fn new(count: u32) -> Self {
        let len = index(count);
        let next = (1..=count).map(|id| if id == count { NO_BLOCK } else { id }).collect();
        let free = if count == 0 { NO_BLOCK } else { 0 };
        Self { blocks: vec![[0; BLOCK_BYTES]; len], next, free, free_count: count }
    }

    /// Blocks in all.
    pub fn capacity(&self) -> u32 {
        len32(self.blocks.len())
    }

    /// Blocks not in use.
    pub const fn free_count(&self) -> u32 {
        self.free_count
    }

    /// Bytes those hold.
    pub(crate) fn free_bytes(&self) -> u32 {
        self.free_count.saturating_mul(len32(BLOCK_BYTES))
    }

    /// At least `bytes` can be stored from a block's start.
    pub(crate) fn has_room_for(&self, bytes: u32) -> bool {
        self.free_count >= bytes.div_ceil(len32(BLOCK_BYTES))
    }

    pub(crate) fn take(&mut self) -> Option<BlockId> {
        let id = self.free;
        self.free = *self.next.get(index(id))?;
        self.free_count = minus(self.free_count, 1);
        if let Some(next) = self.next.get_mut(index(id)) {
            *next = NO_BLOCK;
        }
        Some(id)
    }

    pub(crate) fn give(&mut self, id: BlockId) {
        if let Some(next) = self.next.get_mut(index(id)) {
            *next = self.free;
            self.free = id;
            self.free_count = plus(self.free_count, 1);
        }
    }

    pub(crate) fn block(&self, id: BlockId) -> &[u8] {
        self.blocks.get(index(id)).map_or(&[], |block| block.as_slice())
    }

    pub(crate) fn block_mut(&mut self, id: BlockId) -> &mut [u8] {
        self.blocks.get_mut(index(id)).map_or(&mut [], |block| block.as_mut_slice())
    }

    fn after(&self, id: BlockId) -> BlockId {
        self.next.get(index(id)).copied().unwrap_or(NO_BLOCK)
    }

    fn link(&mut self, id: BlockId, next: BlockId) {
        if let Some(place) = self.next.get_mut(index(id)) {
            *place = next;
        }
    }
}

/// A queue of bytes: put in at the back, read anywhere, taken off the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    head: BlockId,
    tail: BlockId,
    /// Bytes of the head block already taken off.
    start: u32,
    len: u32,
}

impl Chain {
    pub(crate) const EMPTY: Self = Self { head: NO_BLOCK, tail: NO_BLOCK, start: 0, len: 0 };

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// `false`: the pool ran dry; some of the bytes may have been put in.
    #[must_use]
    pub(crate) fn push(&mut self, pool: &mut BlockPool, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let used = index(plus(self.start, self.len)) % BLOCK_BYTES;
            if self.head == NO_BLOCK || used == 0 {
                let Some(fresh) = pool.take() else { return false };
                if self.head == NO_BLOCK {
                    self.head = fresh;
                } else {
                    pool.link(self.tail, fresh);
                }
                self.tail = fresh;
            }
            let room = pool.block_mut(self.tail).get_mut(used..).unwrap_or_default();
            let count = room.len().min(bytes.len());
            let (now, later) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
            if let Some(place) = room.get_mut(..now.len()) {
                place.copy_from_slice(now);
            }
            self.len = plus(self.len, len32(now.len()));
            bytes = later;
        }
        true
    }

    /// Takes `count` bytes off the front; all of them where there are fewer.
    pub(crate) fn pop(&mut self, pool: &mut BlockPool, count: u32) {
        let count = count.min(self.len);
        self.len = minus(self.len, count);
        self.start = plus(self.start, count);
        while self.start >= len32(BLOCK_BYTES) || (self.len == 0 && self.head != NO_BLOCK) {
            let next = pool.after(self.head);
            pool.give(self.head);
            self.head = next;
            self.start = self.start.saturating_sub(len32(BLOCK_BYTES));
        }
        if self.head == NO_BLOCK {
            *self = Self::EMPTY;
        }
    }

    pub(crate) fn clear(&mut self, pool: &mut BlockPool) {
        self.pop(pool, self.len);
    }

    /// Copies bytes from `at` on (counted from the front) into `out`; answers how many there were.
    pub(crate) fn read(&self, pool: &BlockPool, at: u32, out: &mut [u8]) -> usize {
        let mut left = self.len.saturating_sub(at);
        let mut from = index(plus(self.start, at));
        let mut id = self.head;
        while from >= BLOCK_BYTES {
            id = pool.after(id);
            from = minus(from, BLOCK_BYTES);
        }
        let mut done = 0_usize;
        while left > 0 && id != NO_BLOCK {
            let Some(room) = out.get_mut(done..) else { break };
            let there = pool.block(id).get(from..).unwrap_or_default();
            let count = there.len().min(room.len()).min(index(left));
            if count == 0 {
                break;
            }
            if let (Some(to), Some(bytes)) = (room.get_mut(..count), there.get(..count)) {
                to.copy_from_slice(bytes);
            }
            done = plus(done, count);
            left = minus(left, len32(count));
            id = pool.after(id);
            from = 0;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn a_chain_is_a_queue_of_bytes() {
        let mut pool = BlockPool::new(8);
        let mut chain = Chain::EMPTY;
        let mut model = VecDeque::new();
        let mut state = 7_u32;
        for turn in 0..20_000_u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let count = (state >> 8) % 3000;
            if state >> 31 == 0 {
                let bytes: Vec<u8> = (0..count).map(|n| (n ^ turn) as u8).collect();
                if model.len() + bytes.len() <= 6 * BLOCK_BYTES {
                    assert!(chain.push(&mut pool, &bytes));
                    model.extend(bytes);
                }
            } else {
                chain.pop(&mut pool, count);
                model.drain(..(count as usize).min(model.len()));
            }
            assert_eq!(chain.len() as usize, model.len());
            let at = if model.is_empty() { 0 } else { state as usize % model.len() };
            let mut out = vec![0; 2500];
            let got = chain.read(&pool, at as u32, &mut out);
            let want: Vec<u8> = model.iter().skip(at).take(2500).copied().collect();
            assert_eq!(&out[..got], want);
        }
        chain.clear(&mut pool);
        assert_eq!(pool.free_count(), 8);
    }

    #[test]
    fn a_dry_pool_says_so() {
        let mut pool = BlockPool::new(1);
        let mut chain = Chain::EMPTY;
        assert!(!chain.push(&mut pool, &[1; BLOCK_BYTES + 1]));
        chain.clear(&mut pool);
        assert_eq!(pool.free_count(), 1);
        assert_eq!(BlockPool::new(0).take(), None);
    }
}
