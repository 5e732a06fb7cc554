//! The engine as the stage of a stream: steps 6 to 8, called from inside assemble.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{Peer, Scratch, Undecided};
use plan::{FailMode, Mode, Module, ModuleNo};
use stage::{ConnectionEnd, Direction, Edit, InspectContext, Inspected, Next, Stage};

use super::conversations::{Conversations, Kept};
use crate::counters::{CoreCounters, PlanCounters};

/// One connection's module for the duration of one segment.
pub(super) struct EngineStage<'a> {
    /// None: the connection is out of scope by now, and only its numbers are kept right.
    pub(super) module: Option<(ModuleNo, &'a Module)>,
    pub(super) kept: &'a mut Kept,
    pub(super) conversations: &'a mut Conversations,
    pub(super) client: [u8; 16],
    pub(super) scratch: &'a mut Scratch,
    pub(super) plan_counters: Option<&'a PlanCounters>,
    pub(super) counters: &'a CoreCounters,
    /// The module panicked: what its scratch says is not to be used.
    pub(super) broken: bool,
}

const UNINSPECTED: Inspected = Inspected {
    decided: 0,
    next: Next::SkipRest { discard: false },
    answer: false,
    end: ConnectionEnd::GoesOn,
};

impl Stage for EngineStage<'_> {
    fn inspect(
        &mut self,
        direction: Direction,
        input: &[u8],
        context: InspectContext,
    ) -> Inspected {
        self.broken = true;
        let Some((no, module)) = self.module else { return UNINSPECTED };
        let peer = Peer { address: self.client };
        let scratch = &mut *self.scratch;
        let result = self.conversations.with(self.kept, |conversation| {
            catch_unwind(AssertUnwindSafe(|| {
                engine::stream(module, direction, conversation, input, context, &peer, scratch)
            }))
        });
        let Ok(result) = result else {
            // A panicking module costs this connection its patching, not the box.
            self.counters.count_undecided(Undecided::Panicked);
            let closes = module.mode == Mode::Enforce && module.fail == FailMode::Closed;
            let end = if closes { ConnectionEnd::Reset } else { ConnectionEnd::GoesOn };
            return Inspected { end, ..UNINSPECTED };
        };
        self.broken = false;
        if let Some(why) = result.undecided {
            self.counters.count_undecided(why);
        }
        if let Some(plan_counters) = self.plan_counters {
            if let Some(cells) = plan_counters.module(no, direction) {
                cells.messages.add(result.messages.into());
            }
            plan_counters.count_hits(module.mode, self.scratch.hits());
        }
        result.inspected
    }

    fn enforces(&self) -> bool {
        self.module.is_none_or(|(_, module)| module.mode == Mode::Enforce)
    }

    fn edit(&self, nth: usize) -> Option<Edit<'_>> {
        if self.broken {
            return None;
        }
        let edits = self.scratch.edits();
        let edit = edits.list().get(nth)?;
        let range = edit.at.range();
        Some(Edit { start: range.start, end: range.end, with: edit.with.of(edits.bytes()) })
    }

    fn answer(&self) -> &[u8] {
        if self.broken { &[] } else { self.scratch.reply() }
    }
}
