//! Steps 4 to 9 for a TCP segment: the one place where `flow` (positions and bytes) meets `engine` (fields and rules).

use crate::classify::Packet;
use crate::core::{Parts, Tick};
use crate::limits::Limits;
use crate::nic::FramePool;
use crate::reasons::Reason;
use crate::transmit::Outgoing;
use plan::Found;

/// Every TCP connection of one core.
#[derive(Debug)]
pub struct State {}

impl State {
    /// Allocates all it will ever need.
    pub fn new(limits: &Limits) -> Self {
        let _ = limits;
        Self {}
    }

    /// Some connection may be tracked that the plan in force no longer names (its numbers were shifted before a reload): the
    /// cheap question before [`Self::tracks`]. It costs every TCP packet out of scope a look into the table, so it is to be
    /// true only while there are such connections.
    pub fn has_orphans(&self) -> bool {
        false
    }

    /// This packet belongs to a connection in the table, whatever the plan says of it now.
    pub fn tracks(&self, packet: &Packet) -> bool {
        let _ = packet;
        false
    }

    /// Lets a few idle connections go.
    pub fn expire(&mut self, now: Tick) {
        let _ = now;
    }

    /// Some connection still runs on the plan before the current one.
    pub fn needs_previous(&self) -> bool {
        false
    }

    /// Connections tracked.
    pub fn flows(&self) -> u64 {
        0
    }
}

/// One segment with right checksums, in scope (`found`) or of a tracked connection. Whatever it causes is put into `out`: towards
/// `parts.lane.to`, or back to its sender at `parts.lane.from`.
pub fn segment<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    frame: P::Frame,
    packet: &Packet,
    found: Option<Found>,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let _ = (pool, packet, found);
    out.send(parts.lane.to, frame);
    Reason::TcpNotYet
}
