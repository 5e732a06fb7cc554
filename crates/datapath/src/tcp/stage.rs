//! The engine as the stage of a stream: steps 6 to 8, called from inside assemble.

use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{Conversation, Peer, Scratch, Undecided};
use flow::{Edit, HoldKind, Inspected, Stage, Then, Way};
use plan::{FailMode, Mode, Module, ModuleNo};
use proto::Direction;

use crate::counters::{CoreCounters, Tally};

/// One connection's module for the duration of one segment.
pub(super) struct EngineStage<'a> {
    /// None: the connection is out of scope by now, and only its numbers are kept right.
    pub(super) module: Option<(ModuleNo, &'a Module)>,
    pub(super) conversation: &'a mut Conversation,
    pub(super) client: [u8; 16],
    pub(super) scratch: &'a mut Scratch,
    pub(super) tally: Option<&'a Tally>,
    pub(super) counters: &'a CoreCounters,
    /// The module panicked: what its scratch says is not to be used.
    pub(super) broken: bool,
}

const UNINSPECTED: Inspected =
    Inspected { decided: 0, then: Then::SkipRest { discard: false }, close: false };

impl Stage for EngineStage<'_> {
    fn inspect(
        &mut self,
        way: Way,
        input: &[u8],
        held: usize,
        ended: bool,
        release: bool,
    ) -> Inspected {
        self.broken = true;
        let Some((no, module)) = self.module else { return UNINSPECTED };
        let from = direction(way);
        let peer = Peer { address: self.client };
        let (conversation, scratch) = (&mut *self.conversation, &mut *self.scratch);
        let result = catch_unwind(AssertUnwindSafe(|| {
            engine::stream(module, from, conversation, input, held, ended, release, &peer, scratch)
        }));
        let Ok(result) = result else {
            // A panicking module costs this connection its patching, not the box.
            self.counters.count_undecided(Undecided::Panicked);
            let close = module.mode == Mode::Enforce && module.fail == FailMode::Closed;
            return Inspected { close, ..UNINSPECTED };
        };
        self.broken = false;
        if let Some(why) = result.undecided {
            self.counters.count_undecided(why);
        }
        if let Some(tally) = self.tally {
            if let Some(cells) = tally.module(no, from) {
                cells.messages.add(result.messages.into());
            }
            tally.count_hits(module.mode, self.scratch.hits());
        }
        let then = match result.then {
            engine::Then::Inspect => Then::Inspect,
            engine::Then::Hold(engine::HoldKind::Unit) => Then::Hold(HoldKind::Unit),
            engine::Then::Hold(engine::HoldKind::Window) => Then::Hold(HoldKind::Window),
            engine::Then::Skip { bytes, discard } => Then::Skip { bytes, discard },
            engine::Then::SkipRest { discard } => Then::SkipRest { discard },
        };
        Inspected { decided: result.decided, then, close: result.close }
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
}

const fn direction(way: Way) -> Direction {
    match way {
        Way::ToServer => Direction::Request,
        Way::ToClient => Direction::Response,
    }
}
