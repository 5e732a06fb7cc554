//! Ports in memory: two queues each, for tests, the simulator and the bench.
//!
//! Holds:     [`MemoryFrame`], a frame in a `Vec` of fixed capacity, and [`MemoryNic`], ports with
//!            an input and an output queue and a pool that frames go back to.
//! Promises:  allocates nothing once its pool has been filled, if the caller gives frames back with
//!            [`MemoryNic::recycle`].
//! Never:     loses a frame: what was sent stays in the output queue until it is taken.

use std::collections::VecDeque;

use crate::limits;
use crate::nic::{Frame, FramePool, Nic, PortNo};

/// Room of one frame: what a DPDK buffer of the usual 2,048 bytes has behind its headroom, and one
/// jumbo size.
pub const FRAME_BYTES: usize = 2_048;

/// A frame in a `Vec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFrame {
    bytes: Vec<u8>,
    capacity_bytes: usize,
}

impl MemoryFrame {
    /// Empty, with room for `capacity_bytes`.
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity_bytes), capacity_bytes }
    }

    /// A copy of `bytes`, with room for at least [`FRAME_BYTES`].
    pub fn of(bytes: &[u8]) -> Self {
        let mut frame = Self::with_capacity(bytes.len().max(FRAME_BYTES));
        frame.bytes.extend_from_slice(bytes);
        frame
    }

    /// Its bytes, without the copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl AsRef<[u8]> for MemoryFrame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for MemoryFrame {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Frame for MemoryFrame {
    fn capacity_bytes(&self) -> usize {
        self.capacity_bytes
    }

    fn set_len(&mut self, len_bytes: usize) -> bool {
        let fits = len_bytes <= self.capacity_bytes;
        if fits {
            self.bytes.resize(len_bytes, 0);
        }
        fits
    }
}

#[derive(Debug, Default)]
struct MemoryPort {
    input: VecDeque<MemoryFrame>,
    output: Vec<MemoryFrame>,
}

/// Ports in memory.
#[derive(Debug)]
pub struct MemoryNic {
    ports: Vec<MemoryPort>,
    pool: Vec<MemoryFrame>,
    /// Times [`Nic::cycles`] was asked for.
    looks: u64,
    /// Frames one port takes in one call of [`Nic::transmit`], to play a full queue.
    pub transmit_frames_max: usize,
}

impl MemoryNic {
    /// `ports` ports and a pool of `frames` frames of [`FRAME_BYTES`].
    pub fn new(ports: usize, frames: usize) -> Self {
        Self {
            ports: (0..ports).map(|_| MemoryPort::default()).collect(),
            pool: (0..frames).map(|_| MemoryFrame::with_capacity(FRAME_BYTES)).collect(),
            looks: 0,
            transmit_frames_max: usize::MAX,
        }
    }

    /// A frame arrives at `port`.
    pub fn arrive(&mut self, port: PortNo, frame: MemoryFrame) {
        if let Some(port) = self.ports.get_mut(usize::from(port.0)) {
            port.input.push_back(frame);
        }
    }

    /// What was sent from `port` since it was last taken.
    pub fn sent(&mut self, port: PortNo) -> std::vec::Drain<'_, MemoryFrame> {
        match self.ports.get_mut(usize::from(port.0)) {
            Some(port) => port.output.drain(..),
            None => self.pool.drain(..0),
        }
    }

    /// No frame waits to be received.
    pub fn is_idle(&self) -> bool {
        self.ports.iter().all(|port| port.input.is_empty())
    }

    /// Frames left in the pool.
    pub fn pool_frames(&self) -> usize {
        self.pool.len()
    }

    /// Gives a frame back to the pool.
    pub fn recycle(&mut self, mut frame: MemoryFrame) {
        frame.bytes.clear();
        self.pool.push(frame);
    }
}

impl FramePool for MemoryNic {
    type Frame = MemoryFrame;

    fn alloc(&mut self) -> Option<MemoryFrame> {
        self.pool.pop()
    }
}

impl Nic for MemoryNic {
    fn receive(&mut self, port: PortNo, burst: &mut Vec<MemoryFrame>) {
        let Some(port) = self.ports.get_mut(usize::from(port.0)) else { return };
        let count = port.input.len().min(limits::BURST_FRAMES_MAX);
        burst.extend(port.input.drain(..count));
    }

    /// A cycle a look, so that a test sees how often and where it was looked at.
    fn cycles(&mut self) -> u64 {
        self.looks = self.looks.wrapping_add(1);
        self.looks
    }

    fn transmit(&mut self, port: PortNo, out: &mut Vec<MemoryFrame>) {
        let Some(port) = self.ports.get_mut(usize::from(port.0)) else { return };
        let count = out.len().min(self.transmit_frames_max);
        port.output.extend(out.drain(..count));
    }
}
