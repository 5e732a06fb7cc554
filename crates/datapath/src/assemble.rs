//! Step 5: puts together what the network took apart, so that a module sees whole datagrams and
//! streams in order. The only step that keeps a frame.
//!
//! Holds:     [`segment`]; [`fragments`], which keeps the fragments of a datagram until the last of
//!            them comes.
//! Promises:  a module never sees a byte of a stream twice, or ahead of the bytes before it, unless
//!            it asked to.
//! Never:     decides about positions: `flow` does, and calls steps 6 to 8
//!            ([`crate::tcp::engine_stage`]) for bytes in order.

pub(crate) mod fragments;

use flow::{SegmentIn, SegmentOutcome};
use plan::ScopeMatch;
use stage::Direction;
use stage::position::{minus, plus};
use wire::{IpVersion, Layers, TcpFlags};

use crate::core::Parts;
use crate::headers::LinkHeader;
use crate::packet::Packet;
use crate::reasons::Reason;
use crate::tcp::engine_stage::{ConversationMemory, EngineStage};
use crate::tcp::state::{TcpState, Tracked, flow_tick};

/// The outcome of a segment.
pub(crate) enum Assembled {
    /// It goes on as it came.
    Pass(Reason),
    /// `flow`'s outputs go on in its place.
    Outputs(Reason),
    /// `flow`'s outputs go on in frames of our own, because the receiver may never get this one.
    Apart(Reason),
}

/// Hands a segment to `flow`, which runs the module over the bytes that are in order. `bytes` is
/// the frame.
#[inline(always)]
pub(crate) fn segment(
    parts: &mut Parts<'_>,
    tracked: Tracked,
    segment: &SegmentIn<'_>,
    packet: &Packet,
    found: Option<ScopeMatch>,
    bytes: &[u8],
) -> Assembled {
    let Tracked { id, direction } = tracked;
    let TcpState { table, stores, outputs, slots, conversations, progress, deadlines, .. } =
        &mut *parts.tcp;
    let now = flow_tick(parts.now);
    let (Some(connection), Some(slot)) = (table.get_mut(id), slots.get_mut(id.index())) else {
        return Assembled::Pass(Reason::TcpUntracked);
    };
    if connection.on_plain_ack(direction, segment, stores, now) {
        // Whatever plan the connection is on: it decides about bytes.
        return Assembled::Pass(Reason::Unchanged);
    }
    let chosen = slot.choose(conversations, parts.plans, found, progress);
    let memory = ConversationMemory { kept: &mut slot.kept, conversations };
    let client = match direction {
        Direction::Request => packet.source.address,
        Direction::Response => packet.destination.address,
    };
    let core = parts.config.core;
    let mut stage = EngineStage::new(chosen, memory, client, parts.scratch, parts.counters, core);
    let flags = segment.tcp.flags();
    let outcome = connection.on_segment(direction, segment, stores, &mut stage, now, outputs);
    let (layers, link) = (&packet.layers, parts.config.link);
    let answers = direction == Direction::Response && flags.has(TcpFlags::SYN.with(TcpFlags::ACK));
    if answers && parts.lane.from == slot.server_port {
        slot.link = LinkHeader::of(bytes, layers, link, direction);
    }
    // A reset that is accepted here must be accepted there: where it may never arrive, frames of
    // our own say it.
    let ended = flags.has(TcpFlags::RST)
        && outcome != SegmentOutcome::Dead
        && connection.state() == flow::ConnectionState::Dead;
    if ended {
        let elsewhere = direction == Direction::Request && slot.link.leads_elsewhere(bytes, link);
        if elsewhere || may_be_lost(bytes, layers) {
            return Assembled::Apart(Reason::TcpMoved);
        }
    }
    for direction in [direction, direction.opposite()] {
        if connection.awaits_timeout(direction, stores) {
            deadlines.add(id, direction, now);
        }
    }
    if matches!(outcome, SegmentOutcome::Untouched | SegmentOutcome::Signed) {
        Assembled::Pass(reason(outcome))
    } else {
        Assembled::Outputs(reason(outcome))
    }
}

/// The receiver of this packet may not get it, or may drop it for the headers before TCP: options
/// and extension headers that it does not know, or hops that are used up on the way.
fn may_be_lost(frame: &[u8], layers: &Layers) -> bool {
    /// Where a router may follow. Hosts begin with 64 or more, and few paths are longer than half
    /// of that.
    const HOPS_ENOUGH: u8 = 32;
    let (fixed, hops) = match layers.version {
        IpVersion::V4 => (20, 8),
        IpVersion::V6 => (40, 7),
    };
    minus(layers.l4, layers.ip) != fixed
        || frame.get(plus(layers.ip, hops)).is_none_or(|left| *left < HOPS_ENOUGH)
}

/// The reason that a frame leaves with after this outcome.
const fn reason(outcome: SegmentOutcome) -> Reason {
    match outcome {
        SegmentOutcome::Untouched => Reason::Unchanged,
        SegmentOutcome::Moved => Reason::TcpMoved,
        SegmentOutcome::Edited => Reason::Edited,
        SegmentOutcome::Rebuilt => Reason::TcpRebuilt,
        SegmentOutcome::Held => Reason::TcpHeld,
        SegmentOutcome::Ahead => Reason::TcpAhead,
        SegmentOutcome::Released => Reason::TcpReleased,
        SegmentOutcome::AheadDropped => Reason::TcpAheadDropped,
        SegmentOutcome::NoBlocks => Reason::TcpNoBlocks,
        SegmentOutcome::NoInFlightBuffers => Reason::TcpNoFlights,
        SegmentOutcome::InFlightFull => Reason::TcpInFlightFull,
        SegmentOutcome::BadFlags => Reason::TcpBadFlags,
        SegmentOutcome::TooOld => Reason::TcpTooOld,
        SegmentOutcome::Early => Reason::TcpEarly,
        SegmentOutcome::SynDataStripped => Reason::TcpSynData,
        SegmentOutcome::Closed => Reason::TcpClosed,
        SegmentOutcome::Broken => Reason::TcpBroken,
        SegmentOutcome::Dead => Reason::TcpAfterReset,
        SegmentOutcome::Signed => Reason::TcpSigned,
    }
}
