//! Step 7: the outcome of a message. The rules were run by the engine ([`crate::dissect`]); here
//! their outcome is counted, and named where a frame leaves by it.

use engine::{DatagramResult, DatagramVerdict, Hit, StreamResult, Undecided};
use plan::{FailMode, Mode, Module, ModuleNo, ScopeMatch};
use stage::{ConnectionEnd, Direction};

use crate::core::Parts;
use crate::counters::{CoreCounters, PlanCounters};
use crate::reasons::Reason;

/// The decision about a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatagramDecision {
    /// Sent on as it came.
    Pass(Reason),
    /// Goes no further.
    Drop(Reason),
    /// The scratch's edits are to be made.
    Edit,
    /// The scratch's reply goes back to the sender instead.
    Reply,
}

/// Counts a datagram's outcome and names it.
pub(crate) fn datagram(
    parts: &Parts<'_>,
    module: &Module,
    found: ScopeMatch,
    result: &DatagramResult,
) -> DatagramDecision {
    if let Some(plan_counters) = parts.plan_counters() {
        if let Some(cells) = plan_counters.module(found.module, found.direction) {
            cells.messages.add(result.messages.into());
        }
        // After a panic the scratch says nothing.
        if result.undecided != Some(Undecided::Panicked) {
            plan_counters.count_hits(module.mode, parts.scratch.hits());
        }
    }
    if let Some(why) = result.undecided {
        parts.counters.count_undecided(why);
    }
    match (result.verdict, result.undecided) {
        (DatagramVerdict::Pass, None | Some(Undecided::NotThisProtocol)) => {
            DatagramDecision::Pass(Reason::Unchanged)
        }
        (DatagramVerdict::Pass, Some(_)) => DatagramDecision::Pass(Reason::FailedOpen),
        (DatagramVerdict::Edited, _) => DatagramDecision::Edit,
        (DatagramVerdict::Drop, None) => DatagramDecision::Drop(Reason::DroppedByPatch),
        (DatagramVerdict::Drop, Some(_)) => DatagramDecision::Drop(Reason::FailedClosed),
        (DatagramVerdict::Reply, _) => DatagramDecision::Reply,
    }
}

/// Counts what the engine did for the bytes of a stream.
#[inline]
pub(crate) fn stream(
    counters: &CoreCounters,
    plan_counters: Option<(&PlanCounters, ModuleNo, Direction)>,
    module: &Module,
    result: &StreamResult,
    hits: &[Hit],
) {
    if let Some(why) = result.undecided {
        counters.count_undecided(why);
    }
    if let Some((plan_counters, no, direction)) = plan_counters {
        if let Some(cells) = plan_counters.module(no, direction) {
            cells.messages.add(result.messages.into());
        }
        plan_counters.count_hits(module.mode, hits);
    }
}

/// Counts a panic of the module. The fail mode decides whether the connection goes on.
#[cold]
pub(crate) fn broken_stream(counters: &CoreCounters, module: &Module) -> ConnectionEnd {
    counters.count_undecided(Undecided::Panicked);
    match (module.mode, module.fail) {
        (Mode::Enforce, FailMode::Closed) => ConnectionEnd::Reset,
        (Mode::Enforce, FailMode::Open) | (Mode::Observe, _) => ConnectionEnd::GoesOn,
    }
}
