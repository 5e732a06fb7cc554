//! Step 7: what becomes of the message. The rules were run by the engine ([`crate::dissect`]); here their outcome is counted and
//! given its name.

use engine::{DatagramResult, DatagramVerdict, Undecided};
use plan::{Module, ScopeMatch};

use crate::core::Parts;
use crate::reasons::Reason;

/// What is to be done with a datagram.
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
