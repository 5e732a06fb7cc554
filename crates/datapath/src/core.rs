//! What one core owns, and what it lends the steps for one frame.

use std::sync::Arc;

use engine::Scratch;
use plan::{Module, ModuleNo, Subscriber};

use crate::active_plan::ActivePlan;
use crate::assemble::Fragments;
use crate::classify::{Path, Prefilter};
use crate::counters::{CoreCounters, PlanCounters};
use crate::limits::{self, Limits};
use crate::nic::{Frame, PortNo};
use crate::parse::LinkLayer;
use crate::stages::Sampling;
use crate::tcp;
use crate::transmit::Outgoing;

/// Milliseconds on the caller's clock. Only differences count.
pub type Tick = u64;

/// Two ports joined: what comes in at one leaves at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// One.
    pub left: PortNo,
    /// The other.
    pub right: PortNo,
}

impl Bridge {
    /// Both ways across.
    pub const fn lanes(self) -> [Lane; 2] {
        [Lane { from: self.left, to: self.right }, Lane { from: self.right, to: self.left }]
    }
}

/// One way across a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Where the frame came in; answers to its sender leave here.
    pub from: PortNo,
    /// Where it leaves.
    pub to: PortNo,
}

/// What the operator set for one core.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Which core this is: its row of every [`ActivePlan`].
    pub core: usize,
    /// What it serves.
    pub bridges: Box<[Bridge]>,
    /// What stands in front of IP.
    pub link: LinkLayer,
    /// Takes IP and transport checksums of received packets for right: veth and tap pass packets whose checksum the NIC was to
    /// fill in. What is edited then leaves with a right one.
    pub trust_checksums: bool,
    /// Bounds.
    pub limits: Limits,
}

impl Default for CoreConfig {
    /// One bridge of ports 0 and 1.
    fn default() -> Self {
        Self {
            core: 0,
            bridges: Box::new([Bridge { left: PortNo(0), right: PortNo(1) }]),
            link: LinkLayer::Ethernet,
            trust_checksums: false,
            limits: Limits::default(),
        }
    }
}

/// Everything one core owns. Allocated before it runs.
pub struct Core<F> {
    pub(crate) config: CoreConfig,
    pub(crate) reader: Subscriber<ActivePlan>,
    pub(crate) counters: Arc<CoreCounters>,
    pub(crate) scratch: Scratch,
    pub(crate) work: Vec<u8>,
    pub(crate) whole: Vec<u8>,
    pub(crate) burst: Vec<F>,
    /// What a look at each frame of the burst said.
    pub(crate) prefilters: Vec<Prefilter>,
    /// Which way each of them goes; none where that is decided one by one.
    pub(crate) paths: Vec<Path>,
    pub(crate) out: Outgoing<F>,
    pub(crate) fragments: Fragments<F>,
    pub(crate) tcp: tcp::TcpState,
    pub(crate) next_id: u32,
    pub(crate) sampling: Sampling,
}

impl<F: Frame> Core<F> {
    /// Allocates all it will ever need.
    pub fn new(
        config: CoreConfig,
        reader: Subscriber<ActivePlan>,
        counters: Arc<CoreCounters>,
    ) -> Self {
        let packet_bytes = limits::IP_BYTES_MAX.saturating_add(limits::LINK_BYTES_MAX);
        Self {
            reader,
            counters,
            scratch: Scratch::new(),
            work: Vec::with_capacity(packet_bytes),
            whole: Vec::with_capacity(packet_bytes),
            burst: Vec::with_capacity(limits::BURST_FRAMES_MAX),
            prefilters: Vec::with_capacity(limits::BURST_FRAMES_MAX),
            paths: Vec::with_capacity(limits::BURST_FRAMES_MAX),
            out: Outgoing::new(&config.bridges),
            fragments: Fragments::new(&config.limits),
            tcp: tcp::TcpState::new(&config.limits),
            next_id: 1,
            sampling: Sampling::default(),
            config,
        }
    }

    /// Its counters.
    pub fn counters(&self) -> &Arc<CoreCounters> {
        &self.counters
    }

    /// What the operator set.
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// What it runs now.
    pub fn active_plan(&self) -> &ActivePlan {
        self.reader.current()
    }

    /// What stands in front of IP from the next frame on: a capture file may hold several link types.
    pub fn set_link(&mut self, link: LinkLayer) {
        self.config.link = link;
    }

    /// The engine's scratch, for a caller that wants to see the edits of the last frame (`replay`'s report).
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

/// What the steps borrow of their core for one frame.
pub struct Parts<'a> {
    /// The plan of this burst, and its counters.
    pub active_plan: &'a ActivePlan,
    /// The plan before it, for flows that began a field on it.
    pub previous: Option<&'a ActivePlan>,
    /// What the operator set.
    pub config: &'a CoreConfig,
    /// This core's counters.
    pub counters: &'a CoreCounters,
    /// The engine's.
    pub scratch: &'a mut Scratch,
    /// Where an edited packet is put together.
    pub work: &'a mut Vec<u8>,
    /// Every TCP connection of this core.
    pub tcp: &'a mut tcp::TcpState,
    /// Identification of the next datagram that has to be fragmented and has none.
    pub next_id: &'a mut u32,
    /// The way this burst goes.
    pub lane: Lane,
    /// When this burst came.
    pub now: Tick,
}

impl<'a> Parts<'a> {
    /// A module of the plan of this burst.
    pub fn module(&self, no: ModuleNo) -> Option<&'a Module> {
        self.active_plan.plan.module(no)
    }

    /// An identification no packet of ours has had lately.
    pub fn take_id(&mut self) -> u16 {
        let [.., high, low] = self.next_id.to_be_bytes();
        *self.next_id = self.next_id.wrapping_add(1);
        u16::from_be_bytes([high, low])
    }

    /// This core's counters of the plan of this burst.
    pub fn plan_counters(&self) -> Option<&'a PlanCounters> {
        self.active_plan.counters(self.config.core)
    }
}
