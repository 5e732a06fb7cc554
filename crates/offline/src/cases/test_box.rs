//! The box under test between a client and a server: one core, two ports in memory, frames made and
//! read by hand.

use std::net::IpAddr;
use std::sync::Arc;

use datapath::memory::{FRAME_BYTES, MemoryFrame, MemoryNic};
use datapath::{
    ActivePlan, Core, CoreConfig, CoreCounters, Frame as _, FramePool as _, Limits, turn,
};
use patch::TestCase;
use plan::{Plan, Publisher, Subscriber};
use wire::{Layers, checksum};

use super::mismatch::Mismatch;
use crate::ConnectionSide;

/// Frames ready for use; more are made when these are all under way.
const POOL_FRAMES: usize = 1_024;

/// Runs are so far apart that nothing of one is left in the next.
const BETWEEN_RUNS_MS: u64 = 24 * 3_600 * 1_000;

/// Enough for one connection at a time.
const LIMITS: Limits = Limits {
    flows_max: 1_024,
    blocks_max: 1_024,
    fragmented_datagrams_max: 16,
    // A datagram of 64 KiB in fragments of eight bytes.
    fragments_max: 16_384,
    ..Limits::DEFAULT
};

/// The box, and who talks through it.
pub(super) struct TestBox {
    nic: MemoryNic,
    core: Core<MemoryFrame>,
    now_ms: u64,
    runs: u16,
    /// Client and server.
    addresses: [IpAddr; 2],
    ports: [u16; 2],
    id: u16,
}

impl TestBox {
    pub(super) fn new(plan: Plan) -> Self {
        let publisher = Arc::new(Publisher::new(ActivePlan::new(plan, 1)));
        let config = CoreConfig { limits: LIMITS, ..CoreConfig::default() };
        let counters = Arc::new(CoreCounters::default());
        Self {
            nic: MemoryNic::new(2, POOL_FRAMES),
            core: Core::new(config, Subscriber::new(publisher), counters),
            now_ms: 0,
            runs: 0,
            addresses: [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])],
            ports: [0, 0],
            id: 0,
        }
    }

    /// A client that has not been seen before talks to the case's server, much later.
    pub(super) fn next_run(&mut self, case: &TestCase) {
        self.runs = self.runs.wrapping_add(1);
        self.now_ms = self.now_ms.saturating_add(BETWEEN_RUNS_MS);
        self.addresses = match case.peer {
            None => [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])],
            Some(peer @ IpAddr::V4(_)) => [peer, IpAddr::from([192, 0, 2, 2])],
            Some(peer @ IpAddr::V6(_)) => {
                [peer, IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 2_u16])]
            }
        };
        self.ports = [10_000 + self.runs % 50_000, case.port];
        // Lets the core find out that time has passed.
        turn(&mut self.nic, &mut self.core, self.now_ms);
    }

    /// Advances the clock.
    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.now_ms = self.now_ms.saturating_add(ms);
    }

    /// Client's port and server's port.
    pub(super) const fn ports(&self) -> [u16; 2] {
        self.ports
    }

    /// An Ethernet frame from `from`, right in every length and checksum. `l4` has its own header,
    /// with ports filled in.
    pub(super) fn frame(&mut self, from: ConnectionSide, protocol: u8, l4: &[u8]) -> Vec<u8> {
        let mut frame = self.headers(from, protocol, l4.len(), 0);
        frame.extend_from_slice(l4);
        if let Ok(layers) = Layers::ethernet(&frame) {
            checksum::fill_ip(&mut frame, &layers);
            checksum::fill_transport(&mut frame, &layers);
        }
        frame
    }

    /// `l4` (whole, with its checksum) in fragments cut at `ends`, multiples of eight; over IPv4
    /// only.
    pub(super) fn fragments(
        &mut self,
        from: ConnectionSide,
        protocol: u8,
        l4: &[u8],
        ends: &[usize],
    ) -> Vec<Vec<u8>> {
        self.id = self.id.wrapping_add(1);
        let mut start = 0;
        let mut frames = Vec::new();
        for &end in ends.iter().chain([&l4.len()]) {
            let Some(body) = l4.get(start..end) else { continue };
            let more = if end < l4.len() { 0x2000 } else { 0 };
            let field = u16::try_from(start / 8).unwrap_or_default() | more;
            let mut frame = self.headers(from, protocol, body.len(), field);
            frame.extend_from_slice(body);
            if let Ok(layers) = Layers::ethernet(&frame) {
                checksum::fill_ip(&mut frame, &layers);
            }
            frames.push(frame);
            start = end;
        }
        frames
    }

    /// Ethernet and IP headers in front of `len` bytes.
    fn headers(
        &mut self,
        from: ConnectionSide,
        protocol: u8,
        len: usize,
        fragment: u16,
    ) -> Vec<u8> {
        let [source, destination] = match from {
            ConnectionSide::Client => [self.addresses[0], self.addresses[1]],
            ConnectionSide::Server => [self.addresses[1], self.addresses[0]],
        };
        let (client, server) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let mut frame = Vec::with_capacity(len.saturating_add(64));
        match from {
            ConnectionSide::Client => frame.extend([server, client].concat()),
            ConnectionSide::Server => frame.extend([client, server].concat()),
        }
        let short = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                if fragment == 0 {
                    self.id = self.id.wrapping_add(1);
                }
                frame.extend([0x08, 0x00, 0x45, 0]);
                frame.extend(short(len.saturating_add(20)));
                frame.extend(self.id.to_be_bytes());
                frame.extend(fragment.to_be_bytes());
                frame.extend([64, protocol, 0, 0]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            (source, destination) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(short(len));
                frame.extend([protocol, 64]);
                frame.extend(sixteen(source));
                frame.extend(sixteen(destination));
            }
        }
        frame
    }

    /// Puts a frame in from `side`; returns the frames that leave, each with its side.
    pub(super) fn send(
        &mut self,
        side: ConnectionSide,
        bytes: &[u8],
    ) -> Result<Vec<(ConnectionSide, Vec<u8>)>, Mismatch> {
        let frame = match self.nic.alloc() {
            Some(mut frame) if bytes.len() <= FRAME_BYTES => {
                if !frame.load(bytes) {
                    return Err(Mismatch::new("a frame is longer than any link takes"));
                }
                frame
            }
            _ => MemoryFrame::of(bytes),
        };
        self.nic.arrive(side.port(), frame);
        while !self.nic.is_idle() {
            turn(&mut self.nic, &mut self.core, self.now_ms);
        }
        let mut left = Vec::new();
        for to in [ConnectionSide::Client, ConnectionSide::Server] {
            let frames: Vec<MemoryFrame> = self.nic.sent(to.port()).collect();
            for frame in frames {
                check_frame(frame.as_ref())?;
                left.push((to, frame.as_ref().to_vec()));
                if self.nic.pool_frames() < POOL_FRAMES && frame.capacity_bytes() == FRAME_BYTES {
                    self.nic.recycle(frame);
                }
            }
        }
        Ok(left)
    }
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// A frame that leaves must be acceptable to its receiver.
fn check_frame(frame: &[u8]) -> Result<(), Mismatch> {
    let Ok(layers) = Layers::ethernet(frame) else {
        return Err(Mismatch::new("a frame left that cannot be read"));
    };
    if layers.fragment.is_none()
        && !(checksum::ip_is_right(frame, &layers) && checksum::transport_is_right(frame, &layers))
    {
        return Err(Mismatch::new("a frame left with a wrong checksum"));
    }
    if !checksum::ip_is_right(frame, &layers) {
        return Err(Mismatch::new("a fragment left with a wrong IP checksum"));
    }
    Ok(())
}
