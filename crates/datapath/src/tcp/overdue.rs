//! Work that no frame causes: holds that end, segments that are sent again, connections that are
//! silent.
//!
//! Holds:     [`release`] and [`reset_idle`], which are called once a turn and look at a few
//!            connections each.
//! Promises:  a connection that may go on is reset at both ends before it is forgotten.
//! Never:     decides what is due: `flow` does.

use flow::SegmentOutcome;
use plan::Mode;
use stage::Direction;

use super::engine_stage::{ConversationMemory, EngineStage};
use super::state::{TcpState, flow_tick, scope_match};
use crate::core::Parts;
use crate::events::Event;
use crate::nic::FramePool;
use crate::repair::segment::{OwnSegments, SegmentBuilder, SegmentSink};
use crate::transmit::Outgoing;

/// Half-streams looked at each turn.
const OVERDUE_PER_TURN: usize = 16;

/// Entries looked at for idle connections each turn: a full table of 2^18 is gone through in 16,384
/// turns, well under a second on a busy core.
const EXPIRE_PER_TURN: usize = 16;

/// Half-streams whose deadline has come: releases bytes that were held too long, and sends again
/// what nobody else resends.
pub(crate) fn release<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    out: &mut Outgoing<P::Frame>,
) {
    let now = flow_tick(parts.now);
    for _ in 0..OVERDUE_PER_TURN {
        let TcpState { table, stores, outputs, slots, conversations, progress, deadlines, .. } =
            &mut *parts.tcp;
        let Some((id, direction)) = deadlines.next(now) else { return };
        let key = table.key(id).copied().unwrap_or_default();
        let (Some(connection), Some(slot)) = (table.get_mut(id), slots.get_mut(id.index())) else {
            continue;
        };
        if !connection.awaits_timeout(direction, stores) {
            continue;
        }
        deadlines.add(id, direction, now);
        let found = scope_match(&key, parts.plans.current);
        let chosen = slot.choose(conversations, parts.plans, found, progress);
        let memory = ConversationMemory { kept: &mut slot.kept, conversations };
        let (counters, core) = (parts.counters, parts.config.core);
        let mut stage = EngineStage::new(chosen, memory, key.client, parts.scratch, counters, core);
        let Some(outcome) = connection.on_timeout(direction, stores, &mut stage, now, outputs)
        else {
            continue;
        };
        counters.count_event(event(outcome));
        let builder = SegmentBuilder {
            outputs,
            copy: |to, at, room: &mut [u8]| connection.copy_out(direction, to, stores, at, room),
            config: parts.config,
        };
        let sink = SegmentSink { pool: &mut *pool, work: parts.work, out: &mut *out };
        builder.send_own(OwnSegments { slot, key: &key, direction }, sink, counters);
    }
}

/// The event of a deadline.
fn event(outcome: SegmentOutcome) -> Event {
    if outcome == SegmentOutcome::Rebuilt {
        Event::TcpResent
    } else if matches!(outcome, SegmentOutcome::Closed | SegmentOutcome::Broken) {
        Event::TcpHoldReset
    } else {
        Event::TcpHoldEnded
    }
}

/// Lets a few idle connections go. A connection that may go on is reset at both ends: if it was
/// edited, its ends cannot go on alone; if it is to be edited, whoever waits so long would go on
/// unpatched.
pub(crate) fn reset_idle<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    out: &mut Outgoing<P::Frame>,
) {
    let (now, idle_ms) = (flow_tick(parts.now), parts.config.limits.flow.idle_ms);
    let TcpState { table, stores, outputs, slots, .. } = &mut *parts.tcp;
    let Some(id) = table.next_expired(now, idle_ms, EXPIRE_PER_TURN) else { return };
    let key = table.key(id).copied().unwrap_or_default();
    let Some(connection) = table.get_mut(id) else { return };
    let plan = &parts.plans.current.plan;
    let found = scope_match(&key, parts.plans.current);
    let module = found.and_then(|found| plan.module(found.module));
    let enforced = module.is_some_and(|module| module.mode == Mode::Enforce);
    let goes_on = enforced && connection.state() == flow::ConnectionState::Open;
    if !goes_on && !connection.is_needed(stores) {
        parts.tcp.let_go(id);
        return;
    }
    let direction = Direction::Request;
    connection.reset(direction, now, stores, outputs);
    if let Some(slot) = slots.get(id.index()) {
        let builder = SegmentBuilder::without_copies(outputs, parts.config);
        let sink = SegmentSink { pool, work: parts.work, out };
        builder.send_own(OwnSegments { slot, key: &key, direction }, sink, parts.counters);
    }
    // It is forgotten later, as every connection that was reset.
    parts.counters.count_event(Event::TcpIdleReset);
}
