//! The engine as the stage of a stream: steps 6 to 8 for a segment. `flow` calls it in step 5, with
//! the bytes that are in order.

use engine::Scratch;
use plan::Mode;
use stage::{ConnectionEnd, Direction, Edit, InspectContext, Inspected, Next, Stage};

use super::conversations::{Conversations, Kept};
use super::state::ChosenModule;
use crate::counters::{CoreCounters, PlanCounters};
use crate::{apply, decide, dissect};

/// The engine's memory of one connection.
pub(crate) struct ConversationMemory<'a> {
    pub(crate) kept: &'a mut Kept,
    pub(crate) conversations: &'a mut Conversations,
}

/// The module of one connection for the duration of one segment.
pub(crate) struct EngineStage<'a> {
    /// None: the connection is out of scope by now, and only its numbers are kept right.
    chosen: Option<ChosenModule<'a>>,
    memory: ConversationMemory<'a>,
    client: [u8; 16],
    scratch: &'a mut Scratch,
    plan_counters: Option<&'a PlanCounters>,
    counters: &'a CoreCounters,
    /// The module panicked, or did not run: the scratch has nothing to use.
    broken: bool,
}

impl<'a> EngineStage<'a> {
    /// For a connection of this client. `core` is the row of the plan's counters.
    #[inline(always)]
    pub(crate) fn new(
        chosen: Option<ChosenModule<'a>>,
        memory: ConversationMemory<'a>,
        client: [u8; 16],
        scratch: &'a mut Scratch,
        counters: &'a CoreCounters,
        core: usize,
    ) -> Self {
        let plan_counters = chosen.and_then(|chosen| chosen.active_plan.counters(core));
        Self { chosen, memory, client, scratch, plan_counters, counters, broken: false }
    }
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
        let Some(chosen) = self.chosen else { return UNINSPECTED };
        let (client, scratch) = (self.client, &mut *self.scratch);
        let result = self.memory.conversations.with(self.memory.kept, |conversation| {
            let input = dissect::StreamInput { bytes: input, direction, context, client };
            dissect::stream(chosen.module, conversation, input, scratch) // 6, 7
        });
        let Some(result) = result else {
            let end = decide::broken_stream(self.counters, chosen.module);
            return Inspected { end, ..UNINSPECTED };
        };
        self.broken = false;
        let hits = self.scratch.hits();
        let plan_counters = self.plan_counters.map(|counters| (counters, chosen.no, direction));
        decide::stream(self.counters, plan_counters, chosen.module, &result, hits); // 7
        result.inspected
    }

    fn enforces(&self) -> bool {
        self.chosen.is_none_or(|chosen| chosen.module.mode == Mode::Enforce)
    }

    fn edit(&self, nth: usize) -> Option<Edit<'_>> {
        if self.broken { None } else { apply::stream_edit(self.scratch.edits(), nth) } // 8
    }

    fn answer(&self) -> &[u8] {
        if self.broken { &[] } else { self.scratch.reply() }
    }
}
