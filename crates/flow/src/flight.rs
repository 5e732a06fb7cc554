//! What a half-stream needs only while it has bytes in flight, apart from the connection's entry, so that an idle
//! connection is small.
//!
//! Holds:     [`Flight`]: the sequence map, the copy of what was sent, the bytes that wait; [`Stores`]: all flights and
//!            blocks of one core, and the buffer in which held and new bytes are brought together.
//! Promises:  a flight given back leaves no block behind.
//! Never:     grows.

use crate::Tick;
use crate::blocks::{BlockPool, Chain, index, len32};
use crate::limits::{Bounds, WAITING_BYTES_MAX};
use crate::seq_map::SeqMap;
use crate::waiting::Waiting;
use wire::Seq;

/// Number of a flight.
pub(crate) type FlightId = u32;

/// No flight: nothing is unacknowledged or waiting, both sides differ by one number.
pub(crate) const NO_FLIGHT: FlightId = u32::MAX;

#[derive(Debug)]
pub(crate) struct Flight {
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

/// How long the receiver has not acknowledged what only we can send again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resend {
    /// What was acknowledged when the wait began; nothing else since.
    pub(crate) una_e: Seq,
    pub(crate) since: Tick,
    /// Times it was sent again.
    pub(crate) times: u8,
    pub(crate) runs: bool,
}

impl Resend {
    const IDLE: Self = Self { una_e: Seq::new(0), since: Tick(0), times: 0, runs: false };
}

impl Flight {
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
    flights: Vec<Flight>,
    /// Flights there may be.
    most: u32,
    free: Vec<FlightId>,
    /// What was set.
    pub(crate) bounds: Bounds,
    /// Held and new bytes, contiguous, for the stage.
    pub(crate) work: Vec<u8>,
}

impl Stores {
    /// Allocates for good: `blocks` of 2 KiB, and room for `flights` half-streams with bytes in flight (1.4 KiB each).
    pub fn new(blocks: u32, flights: u32, bounds: Bounds) -> Self {
        Self {
            pool: BlockPool::new(blocks),
            flights: Vec::with_capacity(index(flights)),
            most: flights,
            free: Vec::with_capacity(index(flights)),
            bounds,
            work: Vec::with_capacity(index(WAITING_BYTES_MAX)),
        }
    }

    /// Blocks in use and in all.
    pub fn blocks(&self) -> (u32, u32) {
        let all = self.pool.capacity();
        (all.saturating_sub(self.pool.free_count()), all)
    }

    /// Flights in use and in all.
    pub fn flights(&self) -> (u32, u32) {
        (len32(self.flights.len().saturating_sub(self.free.len())), self.most)
    }

    /// A flight whose map begins at these positions.
    pub(crate) fn take_flight(&mut self, original: Seq, edited: Seq) -> Option<FlightId> {
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.flights.len() < index(self.most) => {
                let id = len32(self.flights.len());
                self.flights.push(Flight::EMPTY);
                id
            }
            None => return None,
        };
        if let Some(flight) = self.flights.get_mut(index(id)) {
            flight.map.begin(original, edited);
            flight.shown = 0;
            flight.resend = Resend::IDLE;
        }
        Some(id)
    }

    pub(crate) fn has_flight_left(&self) -> bool {
        !self.free.is_empty() || self.flights.len() < index(self.most)
    }

    pub(crate) fn give_flight(&mut self, id: FlightId) {
        if let Some(flight) = self.flights.get_mut(index(id)) {
            flight.copy.clear(&mut self.pool);
            flight.waiting.clear(&mut self.pool);
            if self.free.len() < self.flights.len() {
                self.free.push(id);
            }
        }
    }

    pub(crate) fn flight(&self, id: FlightId) -> Option<&Flight> {
        self.flights.get(index(id))
    }

    /// The flight and the pool, to be changed together.
    pub(crate) fn flight_mut(&mut self, id: FlightId) -> Option<(&mut Flight, &mut BlockPool)> {
        self.flights.get_mut(index(id)).map(|flight| (flight, &mut self.pool))
    }
}
