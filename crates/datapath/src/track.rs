//! Step 4: the core's own flow table.
//!
//! A datagram is decided on its own and needs no entry. A connection's entry is found and kept by `flow`'s table in
//! [`crate::tcp::segment`], which makes steps 4 to 9 for a segment; this file keeps its clock going.

use crate::core::{Core, Tick};
use crate::nic::Nic;

/// Lets idle connections go, a few at each turn, and keeps the gauges.
pub(crate) fn expire<N: Nic>(nic: &mut N, core: &mut Core<N::Frame>, now: Tick) {
    core.tcp.expire(now, core.config.link, nic, &mut core.out, &core.counters);
    core.tcp.move_on(core.reader.current(), core.reader.previous());
    core.counters.flows.set(core.tcp.flows());
    core.counters.held_segments.set(core.tcp.flights());
    core.counters.held_bytes.set(core.tcp.block_bytes());
    core.counters.generation.set(core.reader.current().plan.generation);
}
