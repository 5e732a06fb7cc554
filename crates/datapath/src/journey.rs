//! The ten steps in order.

use plan::{FailMode, Mode, Module, ScopeMatch};
use wire::Layers;

use crate::apply;
use crate::assemble::{Fragments, Joined, SlotNo, finish_whole};
use crate::classify::{Packet, Path, Prefilter, classify, classify_parsed, prefilter};
use crate::core::{Core, Lane, Parts, Tick};
use crate::decide::{self, DatagramDecision};
use crate::dissect;
use crate::nic::{Frame, FramePool, Nic, PortNo};
use crate::reasons::Reason;
use crate::receive::receive;
use crate::repair::{self, FrameShape};
use crate::stages::JourneyStage;
use crate::tcp;
use crate::track;
use crate::transmit::{Outgoing, transmit};

/// Packets of a burst that are classified while a line of buckets comes.
const BUCKETS_AHEAD: usize = 8;

/// One turn of a core: a burst from each of its ports through the journey. How many frames came: on none the caller backs off.
pub fn turn<N: Nic>(nic: &mut N, core: &mut Core<N::Frame>, now: Tick) -> usize {
    core.reader.refresh();
    core.tcp.take_up(core.reader.current());
    if !core.tcp.needs_previous() {
        core.reader.forget_previous();
    }
    // What was due before this burst came is done before it, and leaves with it.
    core.fragments.expire(now, &core.counters);
    track::expire(nic, core, now);
    let mut frames = 0_usize;
    for at in 0..core.config.bridges.len() {
        let lanes = core.config.bridges.get(at).map(|bridge| bridge.lanes());
        for lane in lanes.into_iter().flatten() {
            frames = frames.saturating_add(journey(nic, core, lane, now));
        }
    }
    core.counters.turns.add(1);
    core.counters.busy_turns.add(u64::from(frames > 0));
    frames
}

/// A burst through all ten steps. Each frame leaves with one reason, and no other function decides which way it goes.
fn journey<N: Nic>(nic: &mut N, core: &mut Core<N::Frame>, lane: Lane, now: Tick) -> usize {
    let Core { config, reader, counters, scratch, work, whole, tcp, next_id, .. } = core;
    let Core { burst, prefilters, paths, out, fragments, sampling, .. } = core;
    let (active_plan, previous) = (reader.current(), reader.previous());
    let mut timer = sampling.begin(nic);
    let frames = receive(nic, lane.from, burst, counters); // 1
    sampling.came(frames, &mut timer, counters);
    timer.end(JourneyStage::Receive, nic, counters);
    let plan = &active_plan.plan;
    prefilters.clear();
    prefilters.extend(burst.iter().map(|frame| prefilter(frame, config, &plan.scope, tcp)));
    let all = Prefilter::all(prefilters);
    let segments = all & Prefilter::Segment.bit() != 0;
    if all == Prefilter::OutOfScope.bit() {
        counters.count_many(Reason::NotInPlan, u64::try_from(frames).unwrap_or(0));
        out.send_all(lane.to, burst);
    }
    paths.clear();
    // Where a burst is measured, or has segments, all of it is classified before the first of it is patched.
    let in_stages = segments || timer.is_measured();
    if in_stages {
        for (frame, &prefilter) in burst.iter().zip(prefilters.iter()) {
            paths.push(match prefilter {
                Prefilter::OutOfScope => Path::Out(Reason::NotInPlan),
                Prefilter::Segment | Prefilter::Other => classify(frame, config, plan, tcp), // 2 parse, 3 classify
            });
            prefetch_ahead(nic, tcp, paths);
        }
        // Nothing is classified behind the last ones.
        let asked = paths.len().saturating_sub(BUCKETS_AHEAD);
        let left = paths.get(asked..).unwrap_or_default().iter();
        left.filter_map(Path::lookup).for_each(|lookup| tcp.prefetch_entry(nic, lookup));
    }
    timer.end(JourneyStage::Classify, nic, counters);
    let mut parts =
        Parts { active_plan, previous, config, counters, scratch, work, tcp, next_id, lane, now };
    if in_stages {
        for (frame, path) in burst.drain(..).zip(paths.iter()) {
            counters.count(patched(&mut parts, nic, frame, path, (fragments, whole, out)));
        }
    } else {
        for (frame, &prefilter) in burst.drain(..).zip(prefilters.iter()) {
            let reason = match prefilter {
                Prefilter::OutOfScope => pass(frame, Reason::NotInPlan, lane.to, out),
                Prefilter::Segment | Prefilter::Other => {
                    let path = classify(&frame, config, plan, parts.tcp); // 2 parse, 3 classify
                    patched(&mut parts, nic, frame, &path, (fragments, whole, out))
                }
            };
            counters.count(reason);
        }
    }
    timer.end(JourneyStage::Patch, nic, counters);
    transmit(nic, lane.to, out, counters); // 10
    transmit(nic, lane.from, out, counters);
    timer.end(JourneyStage::Transmit, nic, counters);
    frames
}

/// What a frame may need besides what all of its burst share.
type Rest<'a, F> = (&'a mut Fragments<F>, &'a mut Vec<u8>, &'a mut Outgoing<F>);

/// Steps 4 to 9 for one frame. (Inlined: a packet's offsets would be copied once more.)
#[inline(always)]
fn patched<N: Nic>(
    parts: &mut Parts<'_>,
    nic: &mut N,
    frame: N::Frame,
    path: &Path,
    (fragments, whole, out): Rest<'_, N::Frame>,
) -> Reason {
    let (lane, now, counters) = (parts.lane, parts.now, parts.counters);
    match path {
        Path::Out(reason) => pass(frame, *reason, lane.to, out),
        Path::Drop(reason) => *reason,
        Path::Datagram(packet, found) => datagram(parts, nic, frame, packet, *found, out),
        Path::Segment(packet, lookup, found) => {
            tcp::segment(parts, nic, frame, (packet, lookup), *found, out) // 4 to 9
        }
        Path::Quote(layers) => {
            let mut frame = frame;
            let moved = tcp::translate(parts.tcp, frame.as_mut(), layers);
            let reason = if moved { Reason::IcmpMoved } else { Reason::NotTransport };
            pass(frame, reason, lane.to, out)
        }
        Path::Fragment(layers) => match fragments.join(frame, layers, lane, now, whole, counters) {
            Joined::Waits(reason) => reason,
            Joined::Whole(slot) => reassembled(parts, nic, (fragments, slot), whole, out),
        },
    }
}

/// Asks for the buckets that the look-up of the last path's connection reads, and for the entry of an earlier path's, whose buckets
/// have come by now: what misses the caches comes while the rest of the burst is classified, and not one after the other.
#[inline(always)]
fn prefetch_ahead(nic: &impl Nic, tcp: &tcp::TcpState, paths: &[Path]) {
    let Some(last) = paths.len().checked_sub(1) else { return };
    if let Some(lookup) = paths.get(last).and_then(Path::lookup) {
        tcp.prefetch_bucket(nic, lookup);
    }
    let earlier = last.checked_sub(BUCKETS_AHEAD).and_then(|at| paths.get(at));
    if let Some(lookup) = earlier.and_then(Path::lookup) {
        tcp.prefetch_entry(nic, lookup);
    }
}

/// Sends a frame on as it came.
fn pass<F: Frame>(frame: F, reason: Reason, port: PortNo, out: &mut Outgoing<F>) -> Reason {
    out.send(port, frame);
    reason
}

/// Steps 6 to 9 for a datagram in one frame; a datagram needs no tracking (4) and no assembly (5).
fn datagram<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    frame: P::Frame,
    packet: &Packet,
    found: ScopeMatch,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    match patch(parts, frame.as_ref(), packet, found) {
        Some(Patched::Pass(reason)) => pass(frame, reason, parts.lane.to, out),
        patched => rewritten(parts, pool, (frame, patched), packet, found, out),
    }
}

/// Steps 8 and 9 for a datagram that does not go on as it came.
#[inline(never)]
fn rewritten<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    (mut frame, patched): (P::Frame, Option<Patched>),
    packet: &Packet,
    found: ScopeMatch,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let edits = parts.scratch.edits();
    if patched.is_none() && repair::in_frame(&mut frame, &packet.layers, edits, parts.config) {
        return pass(frame, Reason::Edited, parts.lane.to, out);
    }
    match patched.unwrap_or_else(|| beside(parts, frame.as_ref(), packet, found)) {
        Patched::Pass(reason) => pass(frame, reason, parts.lane.to, out),
        Patched::Drop(reason) => reason,
        Patched::Rewritten(reason, layers, port) => {
            let shape = FrameShape::of(frame.as_ref(), &packet.layers);
            match repair::leave(parts, pool, frame, shape, &layers, port, out) {
                Ok(()) => reason,
                Err(reason) => reason,
            }
        }
    }
}

/// What the modules made of a packet.
enum Patched {
    Pass(Reason),
    Drop(Reason),
    /// `Parts::work` holds a packet to be sent from this port instead.
    Rewritten(Reason, Layers, PortNo),
}

/// Steps 6 and 7 for a whole datagram wherever its bytes are. `None`: the scratch's edits are to be made.
fn patch(
    parts: &mut Parts<'_>,
    bytes: &[u8],
    packet: &Packet,
    found: ScopeMatch,
) -> Option<Patched> {
    let Some(module) = parts.module(found.module) else {
        return Some(Patched::Pass(Reason::NotInPlan));
    };
    let result = dissect::datagram(parts, module, packet, found, bytes); // 6, 7
    match decide::datagram(parts, module, found, &result) {
        DatagramDecision::Pass(reason) => Some(Patched::Pass(reason)),
        DatagramDecision::Drop(reason) => Some(Patched::Drop(reason)),
        DatagramDecision::Edit => None,
        DatagramDecision::Reply => Some(answer(parts, bytes, packet)),
    }
}

/// Steps 8 and 9 for the scratch's reply.
fn answer(parts: &mut Parts<'_>, bytes: &[u8], packet: &Packet) -> Patched {
    let id = parts.take_id();
    let reply = parts.scratch.reply();
    let layers = apply::reply(bytes, parts.config.link, packet, reply, id, parts.work);
    let Some(layers) = layers else { return Patched::Drop(Reason::DroppedByPatch) };
    repair::datagram(parts.work, &layers);
    Patched::Rewritten(Reason::RefusedByPatch, layers, parts.lane.from)
}

/// Steps 8 and 9 for the scratch's edits, beside the packet.
fn beside(parts: &mut Parts<'_>, bytes: &[u8], packet: &Packet, found: ScopeMatch) -> Patched {
    match apply::edits(bytes, &packet.layers, parts.scratch.edits(), parts.work) {
        Some(layers) => {
            repair::datagram(parts.work, &layers);
            Patched::Rewritten(Reason::Edited, layers, parts.lane.to)
        }
        None => match parts.module(found.module) {
            Some(module) => undecided(parts, module),
            None => Patched::Pass(Reason::NotInPlan),
        },
    }
}

/// The edited datagram would be longer than a datagram may be: the fail mode decides.
fn undecided(parts: &Parts<'_>, module: &Module) -> Patched {
    parts.counters.count_undecided(engine::Undecided::RepairImpossible);
    match (module.mode, module.fail) {
        (Mode::Enforce, FailMode::Closed) => Patched::Drop(Reason::FailedClosed),
        (Mode::Enforce, FailMode::Open) | (Mode::Observe, _) => Patched::Pass(Reason::FailedOpen),
    }
}

/// Steps 3 to 9 for a packet put together from fragments. One that is not changed leaves as the fragments it came in.
fn reassembled<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    (fragments, slot): (&mut Fragments<P::Frame>, SlotNo),
    whole: &mut Vec<u8>,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let (counters, to) = (parts.counters, parts.lane.to);
    let Some(layers) = finish_whole(whole, parts.config.link) else {
        fragments.take(slot, drop, counters);
        return Reason::FragmentImpossible;
    };
    let (checked, tunnels) = (parts.config.trust_checksums, parts.config.limits.tunnels);
    let path = classify_parsed(whole, layers, checked, tunnels, &parts.active_plan.plan, parts.tcp);
    let shape = FrameShape {
        frame_bytes: whole.len(),
        ip_end: whole.len(),
        ip_bytes: fragments.largest_ip_bytes(&slot, layers.ip),
    };
    match path {
        Path::Out(reason) => {
            fragments.take(slot, |frame| out.send(to, frame), counters);
            reason
        }
        Path::Drop(reason) => {
            fragments.take(slot, drop, counters);
            reason
        }
        // ICMP errors in fragments are not put together.
        Path::Fragment(_) | Path::Quote(_) => {
            fragments.take(slot, drop, counters);
            Reason::FragmentImpossible
        }
        Path::Datagram(packet, found) => match patch(parts, whole, &packet, found)
            .unwrap_or_else(|| beside(parts, whole, &packet, found))
        {
            Patched::Pass(reason) => {
                fragments.take(slot, |frame| out.send(to, frame), counters);
                reason
            }
            Patched::Drop(reason) => {
                fragments.take(slot, drop, counters);
                reason
            }
            Patched::Rewritten(reason, layers, port) => {
                let mut first = None;
                fragments.take(slot, |frame| first = first.take().or(Some(frame)), counters);
                let Some(frame) = first else { return Reason::NoFrames };
                match repair::leave(parts, pool, frame, shape, &layers, port, out) {
                    Ok(()) => reason,
                    Err(reason) => reason,
                }
            }
        },
        Path::Segment(packet, lookup, found) => {
            let Some(mut frame) = pool.alloc() else {
                fragments.take(slot, drop, counters);
                return Reason::NoFrames;
            };
            if !frame.load(whole) {
                fragments.take(slot, drop, counters);
                return Reason::FragmentsTooLong;
            }
            let waiting = out.waiting(to).len();
            let reason = tcp::segment(parts, pool, frame, (&packet, &lookup), found, out);
            let sent = out.waiting(to).get(waiting..).unwrap_or_default();
            let unchanged = matches!(sent, [only] if only.as_ref() == whole.as_slice());
            if unchanged {
                out.take_last(to);
                fragments.take(slot, |frame| out.send(to, frame), counters);
            } else {
                fragments.take(slot, drop, counters);
            }
            reason
        }
    }
}
