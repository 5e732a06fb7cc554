//! Step 4: the core's own flow table.
//!
//! A datagram is decided on its own and needs no entry. A connection's entry is found and kept by `flow`'s table in
//! [`crate::tcp::segment`], which makes steps 4 to 9 for a segment; this file keeps its clock going.

use crate::core::{Core, Tick};

/// Lets idle connections go, a few at each turn, and keeps the gauges.
pub(crate) fn expire<F>(core: &mut Core<F>, now: Tick) {
    core.tcp.expire(now);
    core.counters.flows.set(core.tcp.flows());
    core.counters.generation.set(core.reader.current().plan.generation);
}
