//! Half-streams that wait for a deadline, in the order in which they are looked at.
//!
//! Holds:     [`Deadlines`], a queue of (connection, direction).
//! Promises:  none is in the queue twice, so it never outgrows its allocation.
//! Never:     knows the reason for the wait: `flow` tells it when [`crate::tcp::overdue`] asks.
//!
//! Every wait between two looks is as long as every other, so the first of the queue is always the
//! next.

use std::collections::VecDeque;

use flow::limits::LOOK_AGAIN_MS;
use flow::{FlowId, Tick};
use stage::Direction;

#[derive(Debug)]
pub(crate) struct Deadlines {
    queue: VecDeque<(Tick, FlowId, Direction)>,
    /// By number of the connection: bit 0 to the server, bit 1 to the client.
    queued: Box<[u8]>,
}

impl Deadlines {
    /// For so many connections.
    pub(crate) fn new(flows: usize) -> Self {
        let queue = VecDeque::with_capacity(flows.saturating_mul(2));
        Self { queue, queued: vec![0; flows].into_boxed_slice() }
    }

    /// The half-stream is looked at again in a while.
    pub(crate) fn add(&mut self, id: FlowId, direction: Direction, now: Tick) {
        let Some(queued) = self.queued.get_mut(id.index()) else { return };
        if *queued & bit(direction) == 0 && self.queue.len() < self.queue.capacity() {
            *queued |= bit(direction);
            self.queue.push_back((now, id, direction));
        }
    }

    /// A half-stream that was added a while ago. It is not in the queue any more, and its
    /// connection may be another by now.
    pub(crate) fn next(&mut self, now: Tick) -> Option<(FlowId, Direction)> {
        let &(since, id, direction) = self.queue.front()?;
        if now.since(since) < LOOK_AGAIN_MS {
            return None;
        }
        self.queue.pop_front();
        if let Some(queued) = self.queued.get_mut(id.index()) {
            *queued &= !bit(direction);
        }
        Some((id, direction))
    }
}

const fn bit(direction: Direction) -> u8 {
    match direction {
        Direction::Request => 1,
        Direction::Response => 2,
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
