//! Step 4: the core's own flow table.
//!
//! A datagram is decided on its own and needs no entry. A connection's entry is found and kept by `flow`'s table in
//! [`crate::tcp::segment`], which makes steps 4 to 9 for a segment; this file keeps its clock going.

use crate::core::{Core, Lane, Parts, Tick};
use crate::nic::{Nic, PortNo};
use crate::tcp;

/// Does what is due at deadlines and lets idle connections go, a few at each turn, and keeps the gauges.
pub(crate) fn expire<N: Nic>(nic: &mut N, core: &mut Core<N::Frame>, now: Tick) {
    let Core { config, reader, counters, scratch, work, tcp, next_id, out, .. } = core;
    let (active_plan, previous) = (reader.current(), reader.previous());
    // No frame came, so no lane counts: what is due leaves by its connection's own ports.
    let lane = Lane { from: PortNo(0), to: PortNo(0) };
    let mut parts =
        Parts { active_plan, previous, config, counters, scratch, work, tcp, next_id, lane, now };
    tcp::overdue(&mut parts, nic, out);
    let link = core.config.link;
    let (active_plan, idle_ms) = (core.reader.current(), core.config.limits.flow.idle_ms);
    let sent = (&mut core.out, &mut core.work);
    core.tcp.expire((now, idle_ms), (link, active_plan), nic, sent, &core.counters);
    core.tcp.move_on(core.reader.current(), core.reader.previous());
    core.counters.flows.set(core.tcp.flows());
    core.counters.held_segments.set(core.tcp.flights());
    core.counters.held_bytes.set(core.tcp.block_bytes());
    core.counters.generation.set(core.reader.current().plan.generation);
}
