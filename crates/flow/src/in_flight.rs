//! What a half-stream needs only while it has bytes in flight. It is apart from the connection's
//! entry, so that an idle connection is small.
//!
//! Holds:     [`InFlightBuffers`]: the sequence map, the copy of what was sent, the bytes that
//!            wait; [`Stores`]: all of these buffers and all blocks of one core, and the buffer in
//!            which held and new bytes are brought together.
//! Promises:  a flight given back leaves no block behind.
//! Never:     grows.

use crate::Tick;
use crate::blocks::{BlockPool, Chain};
use crate::limits::{Bounds, WAITING_BYTES_MAX};
use crate::seq_map::SeqMap;
use crate::waiting::Waiting;
use stage::position::{index, len32, minus};
use wire::Seq;

/// Number of a flight.
pub(crate) type InFlightId = u32;

/// No flight: nothing is unacknowledged or waiting, both sides differ by one number.
pub(crate) const NO_BUFFERS: InFlightId = u32::MAX;

#[derive(Debug)]
pub(crate) struct InFlightBuffers {
    pub(crate) map: SeqMap,
    /// The edited bytes of the map's copied pieces.
    pub(crate) copy: Chain,
    /// Original bytes past the inspection edge.
    pub(crate) waiting: Waiting,
    /// Bytes at the edge that the stage was shown and asked to hold.
    pub(crate) shown: u32,
    /// When they were last shown.
    pub(crate) shown_at: Tick,
    pub(crate) resend: Resend,
}

/// How long the receiver has not acknowledged bytes that only the proxy can resend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resend {
    /// The acknowledged position when the wait began. It has not moved since.
    pub(crate) una_e: Seq,
    pub(crate) since: Tick,
    /// Times it was sent again.
    pub(crate) times: u8,
    pub(crate) runs: bool,
}

impl Resend {
    const IDLE: Self = Self { una_e: Seq::new(0), since: Tick(0), times: 0, runs: false };
}

impl InFlightBuffers {
    const EMPTY: Self = Self {
        map: SeqMap::new(Seq::new(0), Seq::new(0)),
        copy: Chain::EMPTY,
        waiting: Waiting::EMPTY,
        shown: 0,
        shown_at: Tick(0),
        resend: Resend::IDLE,
    };
}

/// Where one core's connections keep bytes.
#[derive(Debug)]
pub struct Stores {
    pub(crate) pool: BlockPool,
    buffers: Vec<InFlightBuffers>,
    /// How many there may be.
    most: u32,
    free: Vec<InFlightId>,
    /// The bounds that the operator has set.
    pub(crate) bounds: Bounds,
    /// Held and new bytes, contiguous, for the stage.
    pub(crate) work: Vec<u8>,
}

impl Stores {
    /// Allocates for good: `blocks` of 2 KiB, and room for `half_streams` half-streams with bytes
    /// in flight (1.4 KiB each).
    pub fn new(blocks: u32, half_streams: u32, bounds: Bounds) -> Self {
        Self {
            pool: BlockPool::new(blocks),
            buffers: Vec::with_capacity(index(half_streams)),
            most: half_streams,
            free: Vec::with_capacity(index(half_streams)),
            bounds,
            work: Vec::with_capacity(index(WAITING_BYTES_MAX)),
        }
    }

    /// Blocks in use and in all.
    pub fn blocks(&self) -> (u32, u32) {
        let all = self.pool.capacity();
        (minus(all, self.pool.free_count()), all)
    }

    /// Half-streams with bytes in flight, and how many there may be.
    pub fn in_flight(&self) -> (u32, u32) {
        (len32(minus(self.buffers.len(), self.free.len())), self.most)
    }

    /// A flight whose map begins at these positions.
    pub(crate) fn acquire(&mut self, original: Seq, edited: Seq) -> Option<InFlightId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.buffers.len() < index(self.most) => {
                let id = len32(self.buffers.len());
                self.buffers.push(InFlightBuffers::EMPTY);
                id
            }
            None => return None,
        };
        if let Some(buffers) = self.buffers.get_mut(index(id)) {
            buffers.map.begin(original, edited);
            buffers.shown = 0;
            buffers.resend = Resend::IDLE;
        }
        Some(id)
    }

    pub(crate) fn has_buffers_left(&self) -> bool {
        !self.free.is_empty() || self.buffers.len() < index(self.most)
    }

    pub(crate) fn release(&mut self, id: InFlightId) {
        if let Some(buffers) = self.buffers.get_mut(index(id)) {
            buffers.copy.clear(&mut self.pool);
            buffers.waiting.clear(&mut self.pool);
            if self.free.len() < self.buffers.len() {
                self.free.push(id);
            }
        }
    }

    pub(crate) fn buffers(&self, id: InFlightId) -> Option<&InFlightBuffers> {
        self.buffers.get(index(id))
    }

    /// The flight and the pool, to be changed together.
    pub(crate) fn buffers_mut(
        &mut self,
        id: InFlightId,
    ) -> Option<(&mut InFlightBuffers, &mut BlockPool)> {
        self.buffers.get_mut(index(id)).map(|buffers| (buffers, &mut self.pool))
    }
}
