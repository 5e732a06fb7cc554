//! Half-streams that wait for a deadline, in the order they are to be looked at.
//!
//! Holds:     [`Deadlines`], a queue of (connection, way); [`overdue`], which asks `flow` what is due and sends it.
//! Promises:  none is in the queue twice, so it never outgrows what was allocated for it.
//! Never:     knows what is waited for: `flow` says so when asked.
//!
//! Every wait between two looks is as long as every other, so the first of the queue is always the next.

use std::collections::VecDeque;

use flow::limits::LOOK_AGAIN_MS;
use flow::{FlowId, SegmentOutcome, Tick};
use stage::Direction;

use super::engine_stage::EngineStage;
use super::{TcpState, choose, flow_tick, found_of};
use crate::core::Parts;
use crate::events::Event;
use crate::nic::FramePool;
use crate::transmit::Outgoing;

/// Half-streams looked at each turn.
const OVERDUE_PER_TURN: usize = 16;

#[derive(Debug)]
pub(super) struct Deadlines {
    queue: VecDeque<(Tick, FlowId, Direction)>,
    /// By number of the connection: bit 0 to the server, bit 1 to the client.
    queued: Box<[u8]>,
}

impl Deadlines {
    /// For so many connections.
    pub(super) fn new(flows: usize) -> Self {
        let queue = VecDeque::with_capacity(flows.saturating_mul(2));
        Self { queue, queued: vec![0; flows].into_boxed_slice() }
    }

    /// The half-stream is looked at again in a while.
    pub(super) fn add(&mut self, id: FlowId, way: Direction, now: Tick) {
        let Some(queued) = self.queued.get_mut(id.index()) else { return };
        if *queued & bit(way) == 0 && self.queue.len() < self.queue.capacity() {
            *queued |= bit(way);
            self.queue.push_back((now, id, way));
        }
    }

    /// A half-stream that was added a while ago. It is not in the queue any more, and its connection may be another by now.
    pub(super) fn next(&mut self, now: Tick) -> Option<(FlowId, Direction)> {
        let &(since, id, way) = self.queue.front()?;
        if now.since(since) < LOOK_AGAIN_MS {
            return None;
        }
        self.queue.pop_front();
        if let Some(queued) = self.queued.get_mut(id.index()) {
            *queued &= !bit(way);
        }
        Some((id, way))
    }
}

const fn bit(way: Direction) -> u8 {
    match way {
        Direction::Request => 1,
        Direction::Response => 2,
    }
}

/// Half-streams whose deadline has come: what was held too long is let go, and what nobody else resends is sent again.
pub(crate) fn overdue<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    out: &mut Outgoing<P::Frame>,
) {
    let now = flow_tick(parts.now);
    for _ in 0..OVERDUE_PER_TURN {
        let TcpState { table, stores, outputs, slots, conversations, plans, deadlines, .. } =
            &mut *parts.tcp;
        let Some((id, way)) = deadlines.next(now) else { return };
        let key = table.key(id).copied().unwrap_or_default();
        let (Some(connection), Some(slot)) = (table.get_mut(id), slots.get_mut(id.index())) else {
            continue;
        };
        if !connection.awaits_timeout(way, stores) {
            continue;
        }
        deadlines.add(id, way, now);
        let found = found_of(&key, parts.active_plan);
        let on = choose(slot, conversations, (parts.active_plan, parts.previous), found, plans);
        let plan_counters =
            on.and_then(|(active_plan, ..)| active_plan.counters(parts.config.core));
        let mut stage = EngineStage {
            module: on.map(|(_, no, module)| (no, module)),
            kept: &mut slot.kept,
            conversations,
            client: key.client,
            scratch: parts.scratch,
            plan_counters,
            counters: parts.counters,
            broken: false,
        };
        let Some(outcome) = connection.on_timeout(way, stores, &mut stage, now, outputs) else {
            continue;
        };
        parts.counters.count_event(if outcome == SegmentOutcome::Rebuilt {
            Event::TcpResent
        } else if matches!(outcome, SegmentOutcome::Closed | SegmentOutcome::Broken) {
            Event::TcpHoldReset
        } else {
            Event::TcpHoldEnded
        });
        let copy = |to, at, room: &mut [u8]| connection.copy_out(way, to, stores, at, room);
        let (room, sent) = ((&mut *pool, &mut *parts.work), (&mut *out, parts.counters));
        slot.send(outputs, (&key, way, parts.config.link), copy, room, sent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_once_and_in_order() {
        let id = |at| FlowId::at(at).unwrap();
        let mut deadlines = Deadlines::new(4);
        deadlines.add(id(1), Direction::Request, Tick(0));
        deadlines.add(id(1), Direction::Request, Tick(5));
        deadlines.add(id(1), Direction::Response, Tick(10));
        assert_eq!(deadlines.next(Tick(LOOK_AGAIN_MS - 1)), None);
        assert_eq!(deadlines.next(Tick(LOOK_AGAIN_MS)), Some((id(1), Direction::Request)));
        assert_eq!(deadlines.next(Tick(LOOK_AGAIN_MS)), None);
        deadlines.add(id(1), Direction::Request, Tick(LOOK_AGAIN_MS));
        assert_eq!(deadlines.next(Tick(LOOK_AGAIN_MS + 10)), Some((id(1), Direction::Response)));
        assert_eq!(deadlines.next(Tick(2 * LOOK_AGAIN_MS)), Some((id(1), Direction::Request)));
        assert_eq!(deadlines.next(Tick(u32::MAX / 4)), None);
    }
}
