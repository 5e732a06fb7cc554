//! The memory of one core: allocated once, reused for every message.

use plan::index::Candidates;
use proto::{Edits, Fields};

use crate::condition::{Buffers, Chains};
use crate::decide::ValueTask;
use crate::fused::ProgramScratch;
use crate::hit_log::HitLog;
use crate::outcome::Hit;

/// Rules to run on occurrences of one unit. A unit with more counts as one with too many edits.
pub(crate) const TASKS_MAX: usize = 16 * 1024;

/// Bytes one value may have while transforms work on it.
pub(crate) const VALUE_BYTES_MAX: usize = 256 * 1024;

/// Bytes a reply may have: a UDP datagram.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// One per core.
pub struct Scratch {
    pub(crate) fields: Fields,
    /// The edits of the whole call.
    pub(crate) edits: Edits,
    pub(crate) reply: Vec<u8>,
    pub(crate) unit_scratch: UnitScratch,
}

/// The scratch of one unit.
pub(crate) struct UnitScratch {
    /// The edits of the unit.
    pub(crate) edits: Edits,
    pub(crate) hit_log: HitLog,
    pub(crate) candidates: Candidates,
    pub(crate) chains: Chains,
    pub(crate) buffers: Buffers,
    pub(crate) tasks: Vec<ValueTask>,
    pub(crate) elements: Vec<(plan::RuleNo, u16)>,
    pub(crate) keys: Vec<(u64, u32, u16)>,
    pub(crate) value: Vec<u8>,
    pub(crate) next: Vec<u8>,
    pub(crate) spare: Vec<u8>,
    pub(crate) program_scratch: ProgramScratch,
}

impl Scratch {
    /// Allocates once, for good: about 12 MiB.
    pub fn new() -> Self {
        Self {
            fields: Fields::new(),
            edits: Edits::new(),
            reply: Vec::with_capacity(REPLY_BYTES_MAX),
            unit_scratch: UnitScratch {
                edits: Edits::new(),
                hit_log: HitLog::new(),
                candidates: Candidates::new(),
                chains: Chains::new(),
                buffers: Buffers::new(),
                tasks: Vec::with_capacity(TASKS_MAX),
                elements: Vec::with_capacity(TASKS_MAX),
                keys: Vec::with_capacity(proto::limits::FIELDS_MAX),
                value: Vec::with_capacity(VALUE_BYTES_MAX),
                next: Vec::with_capacity(VALUE_BYTES_MAX),
                spare: Vec::with_capacity(VALUE_BYTES_MAX),
                program_scratch: ProgramScratch::new(),
            },
        }
    }

    /// The edits of the last call, against its input.
    pub fn edits(&self) -> &Edits {
        &self.edits
    }

    /// The payload that answers the last datagram after [`crate::DatagramVerdict::Reply`], or the
    /// bytes that the last call puts into the other direction of a stream after
    /// [`stage::Inspected::answer`].
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// The patches that had a hit in the last call, once each.
    pub fn hits(&self) -> &[Hit] {
        self.unit_scratch.hit_log.hits()
    }

    pub(crate) fn clear(&mut self) {
        self.edits.clear();
        self.reply.clear();
        self.unit_scratch.hit_log.clear();
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}
