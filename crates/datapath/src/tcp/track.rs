//! Step 4 for a TCP segment: its connection, a new one, or what becomes of a segment that has none.
//!
//! Holds:     [`track`].
//! Promises:  a full table keeps the connections it has; half-open ones that nobody goes on with make room first.
//! Never:     gives up a connection whose numbers were moved.

use engine::Conversation;
use flow::{Connection, FlowId, SegmentIn, SegmentOutcome};
use plan::{FailMode, ScopeMatch};
use stage::Direction;
use wire::{Tcp, TcpFlags};

use super::build::{LinkHeader, Template};
use super::{ConnectionSlot, FlowLookup, flow_tick, key, vlan_key};
use crate::classify::Packet;
use crate::core::Parts;
use crate::events::Event;
use crate::limits::Midstream;
use crate::nic::FramePool;
use crate::reasons::Reason;
use crate::transmit::Outgoing;

/// Entries looked at for a half-open connection when the table is full. Under a flood of SYNs nearly every entry is one.
const EVICT_LOOKS: usize = 64;

/// The way of a segment that has no connection.
pub(super) enum Untracked {
    /// It goes on as it came.
    Pass(Reason),
    /// It goes no further.
    Drop(Reason),
    /// It goes no further, and both ends of its connection are reset.
    Reset,
}

/// The connection that a segment belongs to; a SYN in scope begins one.
pub(super) fn track(
    parts: &mut Parts<'_>,
    (packet, lookup): (&Packet, &FlowLookup),
    segment: &SegmentIn<'_>,
    found: Option<ScopeMatch>,
    bytes: &[u8],
) -> Result<(FlowId, Direction), Untracked> {
    let known = parts.tcp.find(packet, lookup);
    let begins_again = |id| {
        let connection = parts.tcp.table.get(id);
        connection.is_some_and(|connection| connection.would_begin_again(segment))
    };
    if let Some((id, way)) = known.filter(|&(id, _)| !begins_again(id)) {
        return Ok((id, way));
    }
    if let Some((id, _)) = known {
        let_go(parts, id);
    }
    let found = found.ok_or(Untracked::Pass(Reason::TcpUntracked))?;
    let flags = segment.tcp.flags();
    let ends = TcpFlags::RST.with(TcpFlags::FIN);
    let opens = flags.has(TcpFlags::SYN) && !flags.has_any(ends.with(TcpFlags::ACK));
    let now = flow_tick(parts.now);
    let connection = if opens {
        Connection::new(now)
    } else {
        let goes_on = flags.has(TcpFlags::ACK) && !flags.has_any(ends.with(TcpFlags::SYN));
        match parts.config.limits.midstream {
            Midstream::PickUp if goes_on => Connection::picked_up(now),
            Midstream::Reset if !flags.has(TcpFlags::RST) => return Err(Untracked::Reset),
            Midstream::Pass | Midstream::PickUp | Midstream::Reset => {
                return Err(Untracked::Pass(Reason::TcpUntracked));
            }
        }
    };
    begin(parts, packet, found, bytes, connection, opens).inspect(|_| {
        if !opens {
            parts.counters.count_event(Event::TcpPickedUp);
        }
    })
}

/// Puts a connection into the table, and what the engine needs of it beside it.
fn begin(
    parts: &mut Parts<'_>,
    packet: &Packet,
    found: ScopeMatch,
    bytes: &[u8],
    connection: Connection,
    opens: bool,
) -> Result<(FlowId, Direction), Untracked> {
    let Some(module) = parts.module(found.module) else {
        return Err(Untracked::Pass(Reason::NotInPlan));
    };
    let (way, client, server) = match found.direction {
        Direction::Request => (Direction::Request, packet.source, packet.destination),
        Direction::Response => (Direction::Response, packet.destination, packet.source),
    };
    let (client_port, server_port) = match way {
        Direction::Request => (parts.lane.from, parts.lane.to),
        Direction::Response => (parts.lane.to, parts.lane.from),
    };
    let conversation =
        if opens { Conversation::start(module) } else { Conversation::picked_up(module) };
    let fail = module.fail;
    let now = flow_tick(parts.now);
    if parts.tcp.table.is_full()
        && let Some(id) = parts.tcp.table.next_half_open(&parts.tcp.stores, now, EVICT_LOOKS)
    {
        let_go(parts, id);
        parts.counters.count_event(Event::FlowEvicted);
    }
    let key = key(client, server, vlan_key(&packet.layers));
    let Some(id) = parts.tcp.table.insert(&key, connection) else {
        return Err(match fail {
            FailMode::Open => Untracked::Pass(Reason::FlowTableFull),
            FailMode::Closed => Untracked::Drop(Reason::FlowTableFullClosed),
        });
    };
    let slot = ConnectionSlot {
        kept: parts.tcp.conversations.begin(conversation),
        generation: parts.active_plan.plan.generation,
        module: Some(found.module),
        orphan: false,
        link: LinkHeader::of(bytes, &packet.layers, parts.config.link, way),
        client_port,
        server_port,
    };
    let slots = &mut parts.tcp.slots;
    match slots.get_mut(id.index()) {
        Some(place) => *place = slot,
        // The table numbers its entries without gaps, and there is room for as many slots.
        None => slots.push(slot),
    }
    Ok((id, way))
}

fn let_go(parts: &mut Parts<'_>, id: FlowId) {
    if let Some(connection) = parts.tcp.table.get_mut(id) {
        connection.release(&mut parts.tcp.stores);
    }
    parts.tcp.forget(id);
}

/// Resets both ends of a connection that is not tracked; the frame goes no further.
pub(super) fn reset_both<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    frame: P::Frame,
    packet: &Packet,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let (bytes, layers) = (frame.as_ref(), &packet.layers);
    let Some(tcp) = bytes.get(layers.l4..layers.ip_end).and_then(Tcp::parse) else {
        return Reason::BadTransportHeader;
    };
    let segment = SegmentIn { tcp, payload: layers.payload_of(bytes) };
    let outputs = &mut parts.tcp.outputs;
    flow::reset_untracked(&segment, outputs);
    let template = Template {
        packet,
        link: parts.config.link,
        trust_checksums: parts.config.trust_checksums,
        lane: parts.lane,
    };
    let nothing = |_, _, _: &mut [u8]| 0;
    let complete = template.send(
        pool,
        frame,
        (&*outputs, SegmentOutcome::Closed),
        nothing,
        (parts.work, parts.next_id),
        out,
    );
    // What is lost the next segment brings again.
    if complete { Reason::TcpMidstreamReset } else { Reason::NoFrames }
}
