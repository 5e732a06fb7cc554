//! Counters: one writer per cell, any number of readers, no shared cache lines; summed when asked.
//!
//! [`CoreCounters`] live as long as their core. [`PlanCounters`] lives as long as its plan, because
//! its rows are the plan's modules and patches: telemetry folds it into its totals when the plan is
//! retired.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use plan::{ModuleNo, PatchNo, Plan};
use stage::Direction;

use crate::events::Event;
use crate::limits;
use crate::nic::PortNo;
use crate::reasons::Reason;
use crate::stages::JourneyStage;

/// One number.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// By the owning core only: a plain load and store, no locked add.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// By the owning core only: what is so now, for gauges.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// By anyone.
    pub fn load(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number of frames or bytes, as counters hold it: no `usize` has more than 64 bits.
#[inline(always)]
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// One port, as one core sees it.
#[derive(Debug, Default)]
pub struct PortCells {
    /// Frames received.
    pub rx_packets: Cell,
    /// Their bytes, without the check sequence.
    pub rx_bytes: Cell,
    /// Frames sent.
    pub tx_packets: Cell,
    /// Their bytes.
    pub tx_bytes: Cell,
}

/// Why a message could not be decided, as a label; in the order of [`engine::Undecided`].
pub const UNDECIDED: [&str; 7] = [
    "fields_overflowed",
    "unit_too_long",
    "repair_impossible",
    "not_this_protocol",
    "edits_full",
    "panicked",
    "unit_too_slow",
];

/// One core's counters. Aligned so that two cores never share a cache line (nor the pair of lines
/// that is fetched together).
#[derive(Debug)]
#[repr(align(128))]
pub struct CoreCounters {
    reasons: [Cell; Reason::ALL.len()],
    events: [Cell; Event::ALL.len()],
    ports: [PortCells; limits::PORTS_MAX],
    undecided: [Cell; UNDECIDED.len()],
    /// Turns taken.
    pub turns: Cell,
    /// Turns in which some frame had come.
    pub busy_turns: Cell,
    /// Gauge: TCP connections tracked.
    pub flows: Cell,
    /// Gauge: TCP segments held.
    pub held_segments: Cell,
    /// Gauge: TCP bytes held or kept as copies.
    pub held_bytes: Cell,
    /// Gauge: fragments held.
    pub held_fragments: Cell,
    /// Datagrams put together from fragments.
    pub reassembled: Cell,
    /// Fragments made, of packets over the MTU.
    pub fragments_made: Cell,
    /// Generation of the plan this core runs.
    pub generation: Cell,
    /// Cycles of the bursts that were measured, by stage.
    stages: [Cell; JourneyStage::ALL.len()],
    /// Frames of those bursts.
    pub stage_packets: Cell,
}

impl Default for CoreCounters {
    fn default() -> Self {
        Self {
            reasons: core::array::from_fn(|_| Cell::default()),
            events: Default::default(),
            ports: Default::default(),
            undecided: Default::default(),
            turns: Cell::default(),
            busy_turns: Cell::default(),
            flows: Cell::default(),
            held_segments: Cell::default(),
            held_bytes: Cell::default(),
            held_fragments: Cell::default(),
            reassembled: Cell::default(),
            fragments_made: Cell::default(),
            generation: Cell::default(),
            stages: Default::default(),
            stage_packets: Cell::default(),
        }
    }
}

impl CoreCounters {
    /// A frame left the journey.
    pub fn count(&self, reason: Reason) {
        self.count_many(reason, 1);
    }

    /// So many did.
    pub fn count_many(&self, reason: Reason, frames: u64) {
        if let Some(cell) = self.reasons.get(reason.index()) {
            cell.add(frames);
        }
    }

    /// Something happened that is not the end of a received frame.
    pub fn count_event(&self, event: Event) {
        self.count_events(event, 1);
    }

    /// It happened so often.
    pub fn count_events(&self, event: Event, times: u64) {
        if let Some(cell) = self.events.get(event.index()) {
            cell.add(times);
        }
    }

    /// A message could not be decided.
    pub fn count_undecided(&self, why: engine::Undecided) {
        use engine::Undecided::{
            EditsFull, FieldsOverflowed, NotThisProtocol, Panicked, RepairImpossible, UnitTooLong,
            UnitTooSlow,
        };
        let at = match why {
            FieldsOverflowed => 0,
            UnitTooLong => 1,
            RepairImpossible => 2,
            NotThisProtocol => 3,
            EditsFull => 4,
            Panicked => 5,
            UnitTooSlow => 6,
        };
        if let Some(cell) = self.undecided.get::<usize>(at) {
            cell.add(1);
        }
    }

    /// Frames that left for this reason.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons.get(reason.index()).map_or(0, Cell::load)
    }

    /// How often the event happened.
    pub fn event(&self, event: Event) -> u64 {
        self.events.get(event.index()).map_or(0, Cell::load)
    }

    /// Messages that could not be decided, in the order of [`UNDECIDED`].
    pub fn undecided(&self) -> [u64; UNDECIDED.len()] {
        self.undecided.each_ref().map(Cell::load)
    }

    /// One stage's cycles.
    pub fn stage(&self, stage: JourneyStage) -> &Cell {
        let [receive, classify, patch, transmit] = &self.stages;
        match stage {
            JourneyStage::Receive => receive,
            JourneyStage::Classify => classify,
            JourneyStage::Patch => patch,
            JourneyStage::Transmit => transmit,
        }
    }

    /// One port's.
    pub fn port(&self, port: PortNo) -> Option<&PortCells> {
        self.ports.get(usize::from(port.0))
    }
}

/// Frames that one lcore lost outside the journey. Allocated one by one: on cache lines of its own,
/// as [`CoreCounters`].
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Lost {
    /// So many.
    pub frames: Cell,
}

/// One lcore's time, in cycles of the time-stamp counter. What it sleeps is idle. As [`Lost`].
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct LcoreCycles {
    /// Of turns that found a frame.
    pub busy: Cell,
    /// Of turns that found none, and of waiting after them.
    pub idle: Cell,
}

/// One side of one module on one core.
#[derive(Debug, Default)]
pub struct ModuleCells {
    /// Messages dissected: datagrams, or messages begun on a stream.
    pub messages: Cell,
}

/// One patch on one core.
#[derive(Debug, Default)]
pub struct PatchCells {
    /// Edits made.
    pub edits: Cell,
    /// Bytes its edits took away.
    pub removed_bytes: Cell,
    /// Bytes its edits put in.
    pub inserted_bytes: Cell,
    /// Messages dropped, refused or closed on.
    pub verdicts: Cell,
    /// Edits and verdicts that observe mode only counted.
    pub would_have: Cell,
}

/// Both sides of a module. Its alignment keeps one core's row apart from what the allocator puts
/// beside it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ModuleLines {
    sides: [ModuleCells; 2],
}

/// Patches that a pair of cache lines has room for.
const PATCHES_A_PAIR: usize = 3;

/// So many patches. As [`ModuleLines`]; one pair a patch would be thrice the memory.
#[derive(Debug, Default)]
#[repr(align(128))]
struct PatchLines {
    patches: [PatchCells; PATCHES_A_PAIR],
}

/// One core's counters of one plan, in rows of its own: two cores never write one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct PlanCounters {
    modules: Box<[ModuleLines]>,
    patches: Box<[PatchLines]>,
    hits: Cell,
}

impl PlanCounters {
    /// Rows for everything in `plan`. Allocates: the control thread's to call.
    pub fn new(plan: &Plan) -> Self {
        Self {
            modules: plan.modules.iter().map(|_| ModuleLines::default()).collect(),
            patches: plan.patches.chunks(PATCHES_A_PAIR).map(|_| PatchLines::default()).collect(),
            hits: Cell::default(),
        }
    }

    /// One side of one module.
    pub fn module(&self, module: ModuleNo, direction: Direction) -> Option<&ModuleCells> {
        let [request, response] = &self.modules.get(usize::from(module.0))?.sides;
        Some(match direction {
            Direction::Request => request,
            Direction::Response => response,
        })
    }

    /// One patch.
    pub fn patch(&self, patch: PatchNo) -> Option<&PatchCells> {
        let at = usize::from(patch.0);
        let lines = self.patches.get(at.checked_div(PATCHES_A_PAIR)?)?;
        lines.patches.get(at.checked_rem(PATCHES_A_PAIR)?)
    }

    /// Counts up whenever some patch's cells do, so that a watcher need not look at all of them.
    pub fn hits(&self) -> u64 {
        self.hits.load()
    }

    /// Counts what the engine did for one message or segment.
    pub fn count_hits(&self, mode: plan::Mode, hits: &[engine::Hit]) {
        for hit in hits {
            let Some(cells) = self.patch(hit.patch) else { continue };
            self.hits.add(1);
            match mode {
                plan::Mode::Enforce => {
                    cells.edits.add(hit.edits.into());
                    cells.removed_bytes.add(hit.removed_bytes.into());
                    cells.inserted_bytes.add(hit.inserted_bytes.into());
                    cells.verdicts.add(hit.verdicts.into());
                }
                plan::Mode::Observe => {
                    cells.would_have.add(u64::from(hit.edits).saturating_add(hit.verdicts.into()));
                }
            }
        }
    }
}
