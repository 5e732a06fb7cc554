//! The engine as the stage of a stream: steps 6 to 8, called from inside assemble.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{Peer, Scratch, Undecided};
use flow::{Back, Edit, End, HoldKind, Inspected, Look, Release, Stage, Then, Way};
use plan::{FailMode, Mode, Module, ModuleNo};
use proto::Direction;

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
    then: Then::SkipRest { discard: false },
    answer: false,
    end: End::GoesOn,
};

impl Stage for EngineStage<'_> {
    fn inspect(&mut self, way: Way, input: &[u8], look: Look) -> Inspected {
        self.broken = true;
        let Some((no, module)) = self.module else { return UNINSPECTED };
        let from = direction(way);
        let peer = Peer { address: self.client };
        let Look { held, ended, release, back } = look;
        let back = match back {
            Back::Open => engine::Back::Open,
            Back::Busy => engine::Back::Busy,
            Back::Over => engine::Back::Over,
        };
        let release = match release {
            Release::Nothing => engine::Release::Nothing,
            Release::Window => engine::Release::Window,
            Release::Unit => engine::Release::Unit,
        };
        let input = engine::Input { bytes: input, held, ended, release, back };
        let scratch = &mut *self.scratch;
        let result = self.conversations.with(self.kept, |conversation| {
            catch_unwind(AssertUnwindSafe(|| {
                engine::stream(module, from, conversation, input, &peer, scratch)
            }))
        });
        let Ok(result) = result else {
            // A panicking module costs this connection its patching, not the box.
            self.counters.count_undecided(Undecided::Panicked);
            let closes = module.mode == Mode::Enforce && module.fail == FailMode::Closed;
            let end = if closes { End::Reset } else { End::GoesOn };
            return Inspected { end, ..UNINSPECTED };
        };
        self.broken = false;
        if let Some(why) = result.undecided {
            self.counters.count_undecided(why);
        }
        if let Some(plan_counters) = self.plan_counters {
            if let Some(cells) = plan_counters.module(no, from) {
                cells.messages.add(result.messages.into());
            }
            plan_counters.count_hits(module.mode, self.scratch.hits());
        }
        let then = match result.then {
            engine::Then::Inspect => Then::Inspect,
            engine::Then::Hold(engine::HoldKind::Unit) => Then::Hold(HoldKind::Unit),
            engine::Then::Hold(engine::HoldKind::Window) => Then::Hold(HoldKind::Window),
            engine::Then::Hold(engine::HoldKind::Answers) => Then::Hold(HoldKind::Answers),
            engine::Then::Skip { bytes, discard } => Then::Skip { bytes, discard },
            engine::Then::SkipRest { discard } => Then::SkipRest { discard },
        };
        let end = match result.end {
            engine::End::GoesOn => End::GoesOn,
            engine::End::Reset => End::Reset,
            engine::End::Finished => End::Finished,
        };
        Inspected { decided: result.decided, then, answer: result.answer, end }
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

const fn direction(way: Way) -> Direction {
    match way {
        Way::ToServer => Direction::Request,
        Way::ToClient => Direction::Response,
    }
}
