//! Step 4: the core's own flow table. A datagram is decided on its own and needs no entry.
//!
//! Holds:     [`segment`], and [`expire`], which does the work of the table that no frame causes.
//! Promises:  a full table keeps the connections that it has; half-open ones that nobody goes on
//!            with make room first.
//! Never:     gives up a connection whose numbers were moved.

use engine::Conversation;
use flow::{Connection, SegmentIn, may_be_picked_up, opens_connection};
use plan::{FailMode, ScopeMatch};
use stage::Direction;
use wire::TcpFlags;

use crate::active_plan::PlanPair;
use crate::config::{Lane, Tick};
use crate::core::{Core, Parts};
use crate::events::Event;
use crate::headers::LinkHeader;
use crate::limits::Midstream;
use crate::nic::{Nic, PortNo};
use crate::packet::{FlowLookup, Packet};
use crate::reasons::Reason;
use crate::tcp::overdue;
use crate::tcp::state::{ConnectionSlot, Tracked, flow_tick, key, vlan_key};

/// Entries looked at for a half-open connection when the table is full. Under a flood of SYNs
/// nearly every entry is one.
const EVICT_LOOKS: usize = 64;

/// The way of a segment that has no connection.
pub(crate) enum Untracked {
    /// It goes on as it came.
    Pass(Reason),
    /// It goes no further.
    Drop(Reason),
    /// It goes no further, and both ends of its connection are reset.
    Reset,
}

/// The connection that a segment belongs to; a SYN in scope begins one. `bytes` is the frame.
pub(crate) fn segment(
    parts: &mut Parts<'_>,
    packet: &Packet,
    lookup: &FlowLookup,
    segment: &SegmentIn<'_>,
    found: Option<ScopeMatch>,
    bytes: &[u8],
) -> Result<Tracked, Untracked> {
    let known = parts.tcp.find(packet, lookup);
    let begins_again = |id| {
        let connection = parts.tcp.table.get(id);
        connection.is_some_and(|connection| connection.would_begin_again(segment))
    };
    if let Some((id, direction)) = known.filter(|&(id, _)| !begins_again(id)) {
        return Ok(Tracked { id, direction });
    }
    if let Some((id, _)) = known {
        parts.tcp.let_go(id);
    }
    let found = found.ok_or(Untracked::Pass(Reason::TcpUntracked))?;
    let now = flow_tick(parts.now);
    if opens_connection(segment) {
        return begin(parts, packet, found, bytes, Connection::new(now), Conversation::start);
    }
    match parts.config.limits.midstream {
        Midstream::PickUp if may_be_picked_up(segment) => {
            let connection = Connection::picked_up(now);
            let begun = begin(parts, packet, found, bytes, connection, Conversation::picked_up)?;
            parts.counters.count_event(Event::TcpPickedUp);
            Ok(begun)
        }
        Midstream::Reset if !segment.tcp.flags().has(TcpFlags::RST) => Err(Untracked::Reset),
        Midstream::Pass | Midstream::PickUp | Midstream::Reset => {
            Err(Untracked::Pass(Reason::TcpUntracked))
        }
    }
}

/// Puts a connection into the table, and its slot beside it.
fn begin(
    parts: &mut Parts<'_>,
    packet: &Packet,
    found: ScopeMatch,
    bytes: &[u8],
    connection: Connection,
    conversation: fn(&plan::Module) -> Conversation,
) -> Result<Tracked, Untracked> {
    let Some(module) = parts.module(found.module) else {
        return Err(Untracked::Pass(Reason::NotInPlan));
    };
    let direction = found.direction;
    let Lane { from, to } = parts.lane;
    let (client, server, client_port, server_port) = match direction {
        Direction::Request => (packet.source, packet.destination, from, to),
        Direction::Response => (packet.destination, packet.source, to, from),
    };
    let conversation = conversation(module);
    let fail = module.fail;
    let now = flow_tick(parts.now);
    if parts.tcp.table.is_full()
        && let Some(id) = parts.tcp.table.next_half_open(&parts.tcp.stores, now, EVICT_LOOKS)
    {
        parts.tcp.let_go(id);
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
        generation: parts.plans.current.plan.generation,
        module: Some(found.module),
        orphan: false,
        link: LinkHeader::of(bytes, &packet.layers, parts.config.link, direction),
        client_port,
        server_port,
    };
    let slots = &mut parts.tcp.slots;
    match slots.get_mut(id.index()) {
        Some(place) => *place = slot,
        // The table numbers its entries without gaps, and there is room for as many slots.
        None => slots.push(slot),
    }
    Ok(Tracked { id, direction })
}

/// Does the work that is due at deadlines, lets idle connections go, a few at each turn, and keeps
/// the gauges.
pub(crate) fn expire<N: Nic>(nic: &mut N, core: &mut Core<N::Frame>, now: Tick) {
    let Core { config, reader, counters, scratch, work, tcp, next_id, out, .. } = core;
    let plans = PlanPair { current: reader.current(), previous: reader.previous() };
    // No frame came, so no lane counts: what is due leaves by its connection's own ports.
    let lane = Lane { from: PortNo(0), to: PortNo(0) };
    let mut parts = Parts { plans, config, counters, scratch, work, tcp, next_id, lane, now };
    overdue::release(&mut parts, nic, out);
    overdue::reset_idle(&mut parts, nic, out);
    let tcp = parts.tcp;
    tcp.move_on(plans);
    counters.flows.set(tcp.flows());
    counters.held_segments.set(tcp.half_streams_in_flight());
    counters.held_bytes.set(tcp.block_bytes());
    counters.generation.set(plans.current.plan.generation);
}
