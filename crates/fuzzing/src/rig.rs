//! One core between two ports in memory that loses no frame without saying so.
//!
//! Holds:     a core, its two ports, and how many frames there are.
//! Promises:  panics if a frame that went in is not counted under one reason, if it leaves where
//!            its reason says that it does not, or stays where nothing holds it; if a frame made or
//!            changed on the way has a wrong length or checksum.
//! Never:     reads a clock: time is its caller's.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use datapath::{
    Core, CoreConfig, CoreCounters, Frame, FrameFate, FramePool, Limits, LinkLayer, Nic, PortNo,
    Reason, turn,
};
use plan::Subscriber;
use stage::Direction;
use wire::{Layers, Transport, checksum};

use crate::library::Shelf;

/// Enough for what one input can cause, and quickly allocated.
const LIMITS: Limits = Limits {
    flows_max: 64,
    blocks_max: 256,
    fragmented_datagrams_max: 8,
    fragments_max: 64,
    ..Limits::DEFAULT
};

/// Room of one frame: what a capture may hold, and what an edit makes of it.
const FRAME_BYTES: usize = 65_536 + 64;

/// A frame that is counted while it is there.
struct CountedFrame {
    bytes: Vec<u8>,
    there: Rc<Cell<usize>>,
}

impl CountedFrame {
    fn new(bytes: Vec<u8>, there: &Rc<Cell<usize>>) -> Self {
        there.set(there.get() + 1);
        Self { bytes, there: Rc::clone(there) }
    }
}

impl Drop for CountedFrame {
    fn drop(&mut self) {
        self.there.set(self.there.get() - 1);
    }
}

impl AsRef<[u8]> for CountedFrame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for CountedFrame {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Frame for CountedFrame {
    fn capacity_bytes(&self) -> usize {
        FRAME_BYTES.max(self.bytes.len())
    }

    fn set_len(&mut self, len_bytes: usize) -> bool {
        let fits = len_bytes <= self.capacity_bytes();
        if fits {
            self.bytes.resize(len_bytes, 0);
        }
        fits
    }
}

/// Frames on their way in and out, by the direction they travel.
#[derive(Default)]
struct RigPorts {
    input: VecDeque<(PortNo, CountedFrame)>,
    output: Vec<(PortNo, CountedFrame)>,
    there: Rc<Cell<usize>>,
}

impl FramePool for RigPorts {
    type Frame = CountedFrame;

    fn alloc(&mut self) -> Option<CountedFrame> {
        Some(CountedFrame::new(Vec::new(), &self.there))
    }
}

impl Nic for RigPorts {
    fn receive(&mut self, port: PortNo, burst: &mut Vec<CountedFrame>) {
        if let Some((_, frame)) = self.input.pop_front_if(|(at, _)| *at == port) {
            burst.push(frame);
        }
    }

    fn transmit(&mut self, port: PortNo, out: &mut Vec<CountedFrame>) {
        self.output.extend(out.drain(..).map(|frame| (port, frame)));
    }
}

/// The box: clients at its port 0, servers at its port 1.
pub struct Rig {
    ports: RigPorts,
    core: Core<CountedFrame>,
    counted: Vec<u64>,
    trusts: bool,
    /// The caller's clock.
    pub now_ms: u64,
}

impl Rig {
    /// A core that has seen nothing yet. `trusts`: it takes every received checksum for right.
    pub fn new(shelf: &Shelf, trusts: bool) -> Self {
        let config =
            CoreConfig { limits: LIMITS, trust_checksums: trusts, ..CoreConfig::default() };
        let reader = Subscriber::new(Arc::clone(shelf));
        let core = Core::new(config, reader, Arc::new(CoreCounters::default()));
        let counted = Reason::ALL.iter().map(|_| 0).collect();
        Self { ports: RigPorts::default(), core, counted, trusts, now_ms: 0 }
    }

    /// What stands in front of IP from now on.
    pub fn set_link(&mut self, link: LinkLayer) {
        self.core.set_link(link);
    }

    /// Frames that are kept.
    pub fn held(&self) -> usize {
        self.ports.there.get()
    }

    /// How often a reason was given.
    pub fn count(&self, reason: Reason) -> u64 {
        self.core.counters().reason(reason)
    }

    /// A frame that travels `from`wards comes in. What became of it, and all that left for it, by
    /// the way it travels.
    pub fn send(&mut self, from: Direction, bytes: &[u8]) -> (Reason, Vec<(Direction, Vec<u8>)>) {
        let (port, over) = match from {
            Direction::Request => (PortNo(0), PortNo(1)),
            Direction::Response => (PortNo(1), PortNo(0)),
        };
        let frame = CountedFrame::new(bytes.to_vec(), &self.ports.there);
        self.ports.input.push_back((port, frame));
        while !self.ports.input.is_empty() {
            turn(&mut self.ports, &mut self.core, self.now_ms);
        }
        let out: Vec<(Direction, Vec<u8>)> = std::mem::take(&mut self.ports.output)
            .into_iter()
            .map(|(to, mut frame)| {
                let way = if to == over { from } else { from.opposite() };
                (way, std::mem::take(&mut frame.bytes))
            })
            .collect();
        let reason = self.reason();
        let held = self.core.counters().held_fragments.load();
        let there = self.ports.there.get();
        assert_eq!(u64::try_from(there), Ok(held), "{reason:?}: frames there and frames held");
        let itself = out.iter().any(|(way, left)| *way == from && left == bytes);
        match reason.fate() {
            FrameFate::Untouched => assert!(itself, "{reason:?} leaves as it came"),
            FrameFate::Dropped => assert!(!itself, "{reason:?} does not leave"),
            FrameFate::Changed | FrameFate::Held => {}
        }
        if !self.trusts && reason.fate() != FrameFate::Untouched {
            for (_, left) in &out {
                self.sound(reason, left);
            }
        }
        (reason, out)
    }

    /// The one reason that was given since the last frame.
    fn reason(&mut self) -> Reason {
        let mut given = Vec::new();
        for (reason, before) in Reason::ALL.iter().zip(&mut self.counted) {
            let now = self.core.counters().reason(*reason);
            let more = now - std::mem::replace(before, now);
            given.extend((0..more).map(|_| *reason));
        }
        assert!(given.len() == 1, "one frame went in: {given:?}");
        given.first().copied().unwrap_or(Reason::NotIp)
    }

    /// What was made or changed here must be right in every length and checksum.
    fn sound(&self, reason: Reason, frame: &[u8]) {
        let layers = match self.core.config().link {
            LinkLayer::Ethernet => Layers::ethernet(frame),
            LinkLayer::Ip => Layers::ip(frame, 0),
            LinkLayer::Cooked => Layers::cooked(frame),
            LinkLayer::Cooked2 => Layers::cooked2(frame),
            LinkLayer::Null => Layers::ip(frame, 4),
            LinkLayer::Unknown => return,
        };
        assert!(layers.is_ok(), "{reason:?} left what is not understood: {frame:02x?}");
        let Ok(layers) = layers else { return };
        assert!(checksum::ip_is_right(frame, &layers), "{reason:?}: IP: {frame:02x?}");
        let whole = layers.fragment.is_none()
            && matches!(layers.transport, Transport::Tcp | Transport::Udp);
        let right = !whole || checksum::transport_is_right(frame, &layers);
        assert!(right, "{reason:?}: transport: {frame:02x?}");
    }
}
