//! Step 10: to the peer port of the bridge, in a burst.

use crate::config::Bridge;
use crate::counters::{CoreCounters, wide};
use crate::events::Event;
use crate::limits;
use crate::nic::{Frame, Nic, PortNo};

/// Frames that may wait in one queue: the backlog, and all that one burst can cause.
const QUEUE_FRAMES_MAX: usize = limits::BACKLOG_FRAMES_MAX
    .saturating_add(limits::BURST_FRAMES_MAX.saturating_mul(limits::FRAMES_CAUSED_MAX));

/// What waits to be sent, a queue a port.
#[derive(Debug)]
pub struct Outgoing<F> {
    queues: Box<[Queue<F>]>,
}

#[derive(Debug)]
struct Queue<F> {
    frames: Vec<F>,
    refused: u64,
}

impl<F: Frame> Outgoing<F> {
    pub(crate) fn new(bridges: &[Bridge]) -> Self {
        let ports = bridges.iter().flat_map(|bridge| [bridge.left, bridge.right]);
        let count = ports.clone().map(|port| usize::from(port.0).saturating_add(1)).max();
        let served = |at| ports.clone().any(|port| usize::from(port.0) == at);
        let queue = |at| Queue {
            frames: Vec::with_capacity(if served(at) { QUEUE_FRAMES_MAX } else { 0 }),
            refused: 0,
        };
        Self { queues: (0..count.unwrap_or(0)).map(queue).collect() }
    }

    /// Queues a frame to leave at `port`, in order. A full queue loses it, counted.
    pub fn send(&mut self, port: PortNo, frame: F) {
        let Some(queue) = self.queues.get_mut(usize::from(port.0)) else { return };
        if queue.frames.len() < QUEUE_FRAMES_MAX {
            queue.frames.push(frame);
        } else {
            queue.refused = queue.refused.wrapping_add(1);
        }
    }

    /// The same for all of `frames`, which is left empty.
    pub(crate) fn send_all(&mut self, port: PortNo, frames: &mut Vec<F>) {
        let Some(queue) = self.queues.get_mut(usize::from(port.0)) else { return frames.clear() };
        let room = QUEUE_FRAMES_MAX.saturating_sub(queue.frames.len());
        let over = frames.len().saturating_sub(room);
        frames.truncate(room);
        queue.frames.append(frames);
        queue.refused = queue.refused.wrapping_add(wide(over));
    }

    /// Frames waiting for `port`.
    pub fn waiting(&self, port: PortNo) -> &[F] {
        self.queues.get(usize::from(port.0)).map_or(&[], |queue| &queue.frames)
    }

    /// Takes back the last frame queued for `port`.
    pub(crate) fn take_last(&mut self, port: PortNo) -> Option<F> {
        self.queues.get_mut(usize::from(port.0))?.frames.pop()
    }
}

/// Sends what waits for `port`. What the port refuses waits for the next turn, up to the backlog's
/// bound.
pub(crate) fn transmit<N: Nic>(
    nic: &mut N,
    port: PortNo,
    out: &mut Outgoing<N::Frame>,
    counters: &CoreCounters,
) {
    let Some(queue) = out.queues.get_mut(usize::from(port.0)) else { return };
    if queue.frames.is_empty() {
        return;
    }
    let bytes =
        |frames: &[N::Frame]| -> usize { frames.iter().map(|frame| frame.as_ref().len()).sum() };
    let (frames_before, bytes_before) = (queue.frames.len(), bytes(&queue.frames));
    nic.transmit(port, &mut queue.frames);
    let frames_sent = frames_before.saturating_sub(queue.frames.len());
    let bytes_sent = bytes_before.saturating_sub(bytes(&queue.frames));
    if let Some(cells) = counters.port(port) {
        cells.tx_packets.add(wide(frames_sent));
        cells.tx_bytes.add(wide(bytes_sent));
    }
    let over = queue.frames.len().saturating_sub(limits::BACKLOG_FRAMES_MAX);
    queue.frames.truncate(limits::BACKLOG_FRAMES_MAX);
    let lost = core::mem::take(&mut queue.refused).wrapping_add(wide(over));
    counters.count_events(Event::TxQueueFull, lost);
}
