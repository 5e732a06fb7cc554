//! The ten steps in order.
//!
//! Holds:     [`turn`], one round of a core; `journey`, a burst through the steps; below it the
//!            ways of a datagram ([`datagram`]) and of a segment ([`segment`]) through steps 4 to
//!            9.
//! Promises:  every frame gets one reason, and no other file decides which way a frame goes.
//!            `docs/journey.md` lists the functions of the steps, and a test compares it with the
//!            sources.
//! Never:     looks into a frame.

use plan::{FailMode, Mode, Module, ScopeMatch};
use wire::Layers;

use crate::active_plan::PlanPair;
use crate::apply;
use crate::assemble::fragments::{Fragments, Joined, SlotNo, finish_whole};
use crate::assemble::{self, Assembled};
use crate::classify::{classify, classify_parsed, prefilter};
use crate::config::{Lane, Tick};
use crate::core::{Core, Parts};
use crate::counters::{CoreCounters, wide};
use crate::decide::{self, DatagramDecision};
use crate::dissect;
use crate::nic::{Frame, FramePool, Nic, PortNo};
use crate::packet::{FlowLookup, Packet, Path, Prefilter};
use crate::parse;
use crate::reasons::Reason;
use crate::receive::receive;
use crate::repair::{self, FrameShape};
use crate::stages::JourneyStage;
use crate::tcp::quote;
use crate::tcp::state::TcpState;
use crate::track::{self, Untracked};
use crate::transmit::{Outgoing, transmit};

/// Packets of a burst that are classified while a line of buckets comes.
const BUCKETS_AHEAD: usize = 8;

/// One turn of a core: a burst from each of its ports through the journey. Answers how many frames
/// came: on none the caller backs off.
pub fn turn<N: Nic>(nic: &mut N, core: &mut Core<N::Frame>, now: Tick) -> usize {
    core.reader.refresh();
    core.tcp.take_up(core.reader.current());
    if !core.tcp.needs_previous() {
        core.reader.forget_previous();
    }
    // Work that was due before this burst came is done before it, and leaves with it.
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

/// A burst through all ten steps. Each frame leaves with one reason, and no other function decides
/// which way it goes.
fn journey<N: Nic>(nic: &mut N, core: &mut Core<N::Frame>, lane: Lane, now: Tick) -> usize {
    let Core { config, reader, counters, scratch, work, whole, tcp, next_id, .. } = core;
    let Core { burst, prefilters, paths, out, fragments, sampling, .. } = core;
    let plans = PlanPair { current: reader.current(), previous: reader.previous() };
    let mut timer = sampling.begin(nic);
    let frames = receive(nic, lane.from, burst, counters); // 1
    sampling.came(frames, &mut timer, counters);
    timer.end(JourneyStage::Receive, nic, counters);
    let plan = &plans.current.plan;
    prefilters.clear();
    prefilters.extend(burst.iter().map(|frame| prefilter(frame, config, &plan.scope, tcp)));
    let all = Prefilter::all(prefilters);
    let segments = all & Prefilter::Segment.bit() != 0;
    if all == Prefilter::OutOfScope.bit() {
        counters.count_many(Reason::NotInPlan, wide(frames));
        out.send_all(lane.to, burst);
    }
    paths.clear();
    // Where a burst is measured, or has segments, all of it is classified before the first of it is
    // patched.
    let in_stages = segments || timer.is_measured();
    if in_stages {
        for (frame, &prefilter) in burst.iter().zip(prefilters.iter()) {
            paths.push(match prefilter {
                Prefilter::OutOfScope => Path::Out(Reason::NotInPlan),
                // 2 parse, 3 classify
                Prefilter::Segment | Prefilter::Other => classify(frame, config, plan, tcp),
            });
            prefetch_ahead(nic, tcp, paths);
        }
        // Nothing is classified behind the last ones.
        let asked = paths.len().saturating_sub(BUCKETS_AHEAD);
        let left = paths.get(asked..).unwrap_or_default().iter();
        left.filter_map(Path::lookup).for_each(|lookup| tcp.prefetch_entry(nic, lookup));
    }
    timer.end(JourneyStage::Classify, nic, counters);
    let mut parts = Parts { plans, config, counters, scratch, work, tcp, next_id, lane, now };
    if in_stages {
        for (frame, path) in burst.drain(..).zip(paths.iter()) {
            let room = Room { fragments, whole, out };
            counters.count(patched(&mut parts, nic, frame, path, room));
        }
    } else {
        for (frame, &prefilter) in burst.drain(..).zip(prefilters.iter()) {
            let reason = match prefilter {
                Prefilter::OutOfScope => pass(frame, Reason::NotInPlan, lane.to, out),
                Prefilter::Segment | Prefilter::Other => {
                    let path = classify(&frame, config, plan, parts.tcp); // 2 parse, 3 classify
                    patched(&mut parts, nic, frame, &path, Room { fragments, whole, out })
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

/// Room that a frame may need, besides the [`Parts`] that all of its burst share.
struct Room<'a, F> {
    fragments: &'a mut Fragments<F>,
    whole: &'a mut Vec<u8>,
    out: &'a mut Outgoing<F>,
}

/// Steps 4 to 9 for one frame. (Inlined: a packet's offsets would be copied once more.)
#[inline(always)]
fn patched<N: Nic>(
    parts: &mut Parts<'_>,
    nic: &mut N,
    frame: N::Frame,
    path: &Path,
    room: Room<'_, N::Frame>,
) -> Reason {
    let Room { fragments, whole, out } = room;
    let (lane, now, counters) = (parts.lane, parts.now, parts.counters);
    match path {
        Path::Out(reason) => pass(frame, *reason, lane.to, out),
        Path::Drop(reason) => discard(frame, *reason),
        Path::Datagram(packet, found) => datagram(parts, nic, frame, packet, *found, out),
        Path::Segment(packet, lookup, found) => {
            segment(parts, nic, frame, packet, lookup, *found, out)
        }
        Path::Quote(layers) => {
            let mut frame = frame;
            let moved = quote::translate(parts.tcp, frame.as_mut(), layers);
            let reason = if moved { Reason::IcmpMoved } else { Reason::NotTransport };
            pass(frame, reason, lane.to, out)
        }
        Path::Fragment(layers) => match fragments.join(frame, layers, lane, now, whole, counters) {
            Joined::Waits(reason) => reason,
            Joined::Whole(slot) => {
                let layers = finish_whole(whole, parts.config.link);
                let arrival = Reassembled { fragments, slot, whole, counters };
                match layers {
                    Some(layers) => reassembled(parts, nic, arrival, layers, out),
                    None => discard(arrival, Reason::FragmentImpossible),
                }
            }
        },
    }
}

/// Prefetches the buckets for the connection of the last path, and the entry for an earlier path,
/// whose buckets have come by now: the lines that are not in the caches come while the rest of the
/// burst is classified, and not one after the other.
#[inline(always)]
fn prefetch_ahead(nic: &impl Nic, tcp: &TcpState, paths: &[Path]) {
    let Some(last) = paths.len().checked_sub(1) else { return };
    if let Some(lookup) = paths.get(last).and_then(Path::lookup) {
        tcp.prefetch_bucket(nic, lookup);
    }
    let earlier = last.checked_sub(BUCKETS_AHEAD).and_then(|at| paths.get(at));
    if let Some(lookup) = earlier.and_then(Path::lookup) {
        tcp.prefetch_entry(nic, lookup);
    }
}

/// A whole packet, in one frame or in the fragments that it came in.
trait Arrival<F> {
    /// The whole packet.
    fn bytes(&self) -> &[u8];

    /// Sends it on as it came.
    fn pass(self, port: PortNo, out: &mut Outgoing<F>);

    /// Drops it.
    fn discard(self);

    /// Steps 8 and 9 in its own frame. `false`: it is as it was, and is to be edited beside its
    /// frame.
    fn edit_in_frame(&mut self, parts: &Parts<'_>, packet: &Packet) -> bool;

    /// The frame that a rewritten packet goes out in, and its shape before.
    fn into_frame(self, layers: &Layers) -> Option<(F, FrameShape)>;
}

impl<F: Frame> Arrival<F> for F {
    fn bytes(&self) -> &[u8] {
        self.as_ref()
    }

    fn pass(self, port: PortNo, out: &mut Outgoing<F>) {
        out.send(port, self);
    }

    fn discard(self) {}

    fn edit_in_frame(&mut self, parts: &Parts<'_>, packet: &Packet) -> bool {
        repair::in_frame(self, &packet.layers, parts.scratch.edits(), parts.config)
    }

    fn into_frame(self, layers: &Layers) -> Option<(F, FrameShape)> {
        let shape = FrameShape::of(self.as_ref(), layers);
        Some((self, shape))
    }
}

/// A packet put together from fragments, which are kept: one that is not changed leaves as the
/// fragments that it came in.
struct Reassembled<'a, F> {
    fragments: &'a mut Fragments<F>,
    slot: SlotNo,
    whole: &'a [u8],
    counters: &'a CoreCounters,
}

impl<F: Frame> Arrival<F> for Reassembled<'_, F> {
    fn bytes(&self) -> &[u8] {
        self.whole
    }

    fn pass(self, port: PortNo, out: &mut Outgoing<F>) {
        self.fragments.take(self.slot, |frame| out.send(port, frame), self.counters);
    }

    fn discard(self) {
        self.fragments.take(self.slot, drop, self.counters);
    }

    fn edit_in_frame(&mut self, _: &Parts<'_>, _: &Packet) -> bool {
        false
    }

    fn into_frame(self, layers: &Layers) -> Option<(F, FrameShape)> {
        let shape = FrameShape {
            frame_bytes: self.whole.len(),
            ip_end: self.whole.len(),
            ip_bytes: self.fragments.largest_ip_bytes(&self.slot, layers.ip),
        };
        let mut first = None;
        self.fragments.take(self.slot, |frame| first = first.take().or(Some(frame)), self.counters);
        Some((first?, shape))
    }
}

/// Sends a packet on as it came.
#[inline(always)]
fn pass<F, A: Arrival<F>>(
    arrival: A,
    reason: Reason,
    port: PortNo,
    out: &mut Outgoing<F>,
) -> Reason {
    arrival.pass(port, out);
    reason
}

/// Drops a packet.
#[inline(always)]
fn discard<F, A: Arrival<F>>(arrival: A, reason: Reason) -> Reason {
    arrival.discard();
    reason
}

/// Steps 6 to 9 for a whole datagram, which needs no tracking (4), and no assembly any more (5).
fn datagram<P: FramePool, A: Arrival<P::Frame>>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    arrival: A,
    packet: &Packet,
    found: ScopeMatch,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let Some(module) = parts.module(found.module) else {
        return pass(arrival, Reason::NotInPlan, parts.lane.to, out);
    };
    let result = dissect::datagram(parts, module, packet, found, arrival.bytes()); // 6, 7
    let decision = decide::datagram(parts, module, found, &result); // 7
    match decision {
        DatagramDecision::Pass(reason) => pass(arrival, reason, parts.lane.to, out),
        DatagramDecision::Drop(reason) => discard(arrival, reason),
        DatagramDecision::Edit => edited(parts, pool, arrival, packet, module, out), // 8, 9
        DatagramDecision::Reply => answered(parts, pool, arrival, packet, out),      // 8, 9
    }
}

/// Steps 8 and 9 for the scratch's edits: in the packet's own frame, or beside it.
#[inline(never)]
fn edited<P: FramePool, A: Arrival<P::Frame>>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    mut arrival: A,
    packet: &Packet,
    module: &Module,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let to = parts.lane.to;
    if arrival.edit_in_frame(parts, packet) {
        return pass(arrival, Reason::Edited, to, out);
    }
    let edits = parts.scratch.edits();
    let Some(layers) = apply::edits(arrival.bytes(), &packet.layers, edits, parts.work) else {
        return too_long(parts, arrival, module, out);
    };
    repair::datagram(parts.work, &layers);
    let rewritten = Rewritten { layers: &layers, port: to, reason: Reason::Edited };
    leave(parts, pool, arrival, packet, rewritten, out)
}

/// Steps 8 and 9 for the scratch's reply, which goes back to the sender.
#[inline(never)]
fn answered<P: FramePool, A: Arrival<P::Frame>>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    arrival: A,
    packet: &Packet,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let id = parts.take_id();
    let (link, reply) = (parts.config.link, parts.scratch.reply());
    let layers = apply::reply(arrival.bytes(), link, packet, reply, id, parts.work);
    let Some(layers) = layers else { return discard(arrival, Reason::DroppedByPatch) };
    repair::datagram(parts.work, &layers);
    let port = parts.lane.from;
    let rewritten = Rewritten { layers: &layers, port, reason: Reason::RefusedByPatch };
    leave(parts, pool, arrival, packet, rewritten, out)
}

/// A packet in `Parts::work` that leaves in the place of the one that came.
struct Rewritten<'a> {
    layers: &'a Layers,
    port: PortNo,
    reason: Reason,
}

/// Sends a rewritten packet.
fn leave<P: FramePool, A: Arrival<P::Frame>>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    arrival: A,
    packet: &Packet,
    rewritten: Rewritten<'_>,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let Rewritten { layers, port, reason } = rewritten;
    let Some((frame, shape)) = arrival.into_frame(&packet.layers) else {
        return Reason::NoFrames;
    };
    match repair::leave(parts, pool, frame, shape, layers, port, out) {
        Ok(()) => reason,
        Err(reason) => reason,
    }
}

/// The edited datagram would be longer than a datagram may be: the fail mode decides.
fn too_long<F, A: Arrival<F>>(
    parts: &Parts<'_>,
    arrival: A,
    module: &Module,
    out: &mut Outgoing<F>,
) -> Reason {
    parts.counters.count_undecided(engine::Undecided::RepairImpossible);
    match (module.mode, module.fail) {
        (Mode::Enforce, FailMode::Closed) => discard(arrival, Reason::FailedClosed),
        (Mode::Enforce, FailMode::Open) | (Mode::Observe, _) => {
            pass(arrival, Reason::FailedOpen, parts.lane.to, out)
        }
    }
}

/// Steps 4 to 9 for one segment with right checksums, in scope (`found`) or of a tracked
/// connection.
fn segment<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    frame: P::Frame,
    packet: &Packet,
    lookup: &FlowLookup,
    found: Option<ScopeMatch>,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let (bytes, to) = (frame.as_ref(), parts.lane.to);
    let Some(segment) = parse::segment(bytes, &packet.layers) else {
        return pass(frame, Reason::BadTransportHeader, to, out);
    };
    if parse::is_source_routed(bytes, &packet.layers) {
        return discard(frame, Reason::TcpSourceRoute);
    }
    let tracked = track::segment(parts, packet, lookup, &segment, found, bytes); // 4
    let tracked = match tracked {
        Ok(tracked) => tracked,
        Err(Untracked::Pass(reason)) => return pass(frame, reason, to, out),
        Err(Untracked::Drop(reason)) => return discard(frame, reason),
        Err(Untracked::Reset) => {
            return repair::segment::reset_both(parts, pool, frame, packet, out); // 9
        }
    };
    // 5 assemble calls 6 dissect, 7 decide and 8 apply for the bytes that are in order.
    let assembled = assemble::segment(parts, tracked, &segment, packet, found, bytes);
    match assembled {
        Assembled::Pass(reason) => pass(frame, reason, to, out),
        Assembled::Outputs(reason) => {
            let sent = repair::segment::segment(parts, pool, frame, packet, tracked, out); // 9
            sent.err().unwrap_or(reason)
        }
        Assembled::Apart(reason) => {
            repair::segment::segment_apart(parts, pool, tracked, out); // 9
            discard(frame, reason)
        }
    }
}

/// Steps 3 to 9 for a packet put together from fragments.
fn reassembled<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    arrival: Reassembled<'_, P::Frame>,
    layers: Layers,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let (checked, tunnels) = (parts.config.trust_checksums, parts.config.limits.tunnels);
    let plan = &parts.plans.current.plan;
    let path = classify_parsed(arrival.whole, layers, checked, tunnels, plan, parts.tcp); // 3
    match path {
        Path::Out(reason) => pass(arrival, reason, parts.lane.to, out),
        Path::Drop(reason) => discard(arrival, reason),
        // ICMP errors in fragments are not put together.
        Path::Fragment(_) | Path::Quote(_) => discard(arrival, Reason::FragmentImpossible),
        Path::Datagram(packet, found) => datagram(parts, pool, arrival, &packet, found, out),
        Path::Segment(packet, lookup, found) => {
            let Some(mut frame) = pool.alloc() else {
                return discard(arrival, Reason::NoFrames);
            };
            if !frame.load(arrival.whole) {
                return discard(arrival, Reason::FragmentsTooLong);
            }
            let to = parts.lane.to;
            let waiting = out.waiting(to).len();
            let reason = segment(parts, pool, frame, &packet, &lookup, found, out);
            let sent = out.waiting(to).get(waiting..).unwrap_or_default();
            if matches!(sent, [only] if only.as_ref() == arrival.whole) {
                // It leaves as it came.
                out.take_last(to);
                pass(arrival, reason, to, out)
            } else {
                discard(arrival, reason)
            }
        }
    }
}
