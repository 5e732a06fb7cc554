//! The owner: everything that one core has, and the parts of it that it lends the steps.
//!
//! Holds:     [`Core`] and [`Parts`].
//! Promises:  allocates before the core runs, and never after.
//! Never:     knows a step. The steps import this file, and this file imports the owners: the TCP
//!            state, the held fragments, the queues.

use std::sync::Arc;

use engine::Scratch;
use plan::{Module, ModuleNo, Subscriber};

use crate::active_plan::{ActivePlan, PlanPair};
use crate::assemble::fragments::Fragments;
use crate::config::{CoreConfig, Lane, LinkLayer, Tick};
use crate::counters::{CoreCounters, PlanCounters};
use crate::limits;
use crate::nic::Frame;
use crate::packet::{Path, Prefilter};
use crate::stages::Sampling;
use crate::tcp::state::TcpState;
use crate::transmit::Outgoing;

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
    pub(crate) tcp: TcpState,
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
            tcp: TcpState::new(&config.limits),
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

    /// What stands in front of IP from the next frame on: a capture file may hold several link
    /// types.
    pub fn set_link(&mut self, link: LinkLayer) {
        self.config.link = link;
    }

    /// The engine's scratch, for a caller that wants to see the edits of the last frame (`replay`'s
    /// report).
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

/// The parts of a core that the steps share while a burst is under way.
pub(crate) struct Parts<'a> {
    /// The plan of this burst, and the one before it.
    pub(crate) plans: PlanPair<'a>,
    pub(crate) config: &'a CoreConfig,
    pub(crate) counters: &'a CoreCounters,
    /// The engine's.
    pub(crate) scratch: &'a mut Scratch,
    /// Where an edited packet is put together.
    pub(crate) work: &'a mut Vec<u8>,
    /// Every TCP connection of this core.
    pub(crate) tcp: &'a mut TcpState,
    /// Identification of the next datagram that has to be fragmented and has none.
    pub(crate) next_id: &'a mut u32,
    /// The lane of this burst.
    pub(crate) lane: Lane,
    /// When this burst came.
    pub(crate) now: Tick,
}

impl<'a> Parts<'a> {
    /// A module of the plan of this burst.
    pub(crate) fn module(&self, no: ModuleNo) -> Option<&'a Module> {
        self.plans.current.plan.module(no)
    }

    /// An identification that no packet made here has had lately.
    pub(crate) fn take_id(&mut self) -> u16 {
        let [.., high, low] = self.next_id.to_be_bytes();
        *self.next_id = self.next_id.wrapping_add(1);
        u16::from_be_bytes([high, low])
    }

    /// This core's counters of the plan of this burst.
    pub(crate) fn plan_counters(&self) -> Option<&'a PlanCounters> {
        self.plans.current.counters(self.config.core)
    }
}
