//! Steps 4 to 9 for a TCP segment: the one place where `flow` (positions and bytes) meets `engine` (fields and rules).
//!
//! Holds:     [`TcpState`]: the core's connections, and beside each what the engine remembers of it.
//! Promises:  a connection that was edited is never let go silently: where it has to go, both ends are reset.
//! Never:     decides about positions (that is `flow`'s) or about fields (the engine's).

mod build;
mod conversations;
mod deadlines;
mod engine_stage;
mod interned;
mod quote;
mod track;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use flow::{FlowId, FlowKey, KeyHash, Outputs, SegmentIn, SegmentOutcome, Stores, Table, To};
use plan::{Endpoint, Mode, Module, ModuleNo, ScopeMatch};
use stage::Direction;
use wire::{IpVersion, Layers, Tcp, TcpFlags};

use crate::active_plan::ActivePlan;
use crate::classify::Packet;
use crate::core::{Parts, Tick};
use crate::counters::CoreCounters;
use crate::events::Event;
use crate::limits::Limits;
use crate::nic::{FramePool, Nic, PortNo};
use crate::parse::LinkLayer;
use crate::reasons::Reason;
use crate::transmit::Outgoing;

use build::{Absent, LinkHeader, Template};
use conversations::{Conversations, Kept};
use deadlines::Deadlines;
pub(crate) use deadlines::overdue;
use engine_stage::EngineStage;
pub(crate) use quote::translate;
use track::{Untracked, reset_both, track};

/// Entries looked at for idle connections, each turn: a full table of 2^18 is gone through in 16,384 turns, well under a
/// second on a busy core.
const EXPIRE_PER_TURN: usize = 16;

/// Connections moved to a new plan each turn, besides those that have traffic.
const MOVE_PER_TURN: usize = 64;

/// Every TCP connection of one core.
#[derive(Debug)]
pub struct TcpState {
    table: Table,
    stores: Stores,
    outputs: Outputs,
    /// Beside the table: what the engine and the wire need of each connection.
    slots: Vec<ConnectionSlot>,
    conversations: Conversations,
    plans: Plans,
    deadlines: Deadlines,
    /// Where the search for connections that have not moved goes on.
    sweep_cursor: usize,
}

/// How the connections stand to the plans.
#[derive(Clone, Copy, Debug, Default)]
struct Plans {
    /// Generation of the plan seen last.
    generation: u64,
    /// Connections that began on an earlier one and have not moved.
    behind: u32,
    /// Connections the plan no longer names.
    orphans: u32,
}

/// What a packet's connection is looked up by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowLookup {
    hash: KeyHash,
    /// Which way its packet goes, if the key is in the table.
    way: Direction,
}

/// What stands beside a connection's entry.
#[derive(Debug)]
struct ConnectionSlot {
    kept: Kept,
    /// The plan whose module runs, and which one; none any more where the scope has gone away.
    generation: u64,
    module: Option<ModuleNo>,
    orphan: bool,
    /// What stood before IP in the client's SYN, then in the server's answer, turned round; and where it came in: for resets.
    link: LinkHeader,
    client_port: PortNo,
    server_port: PortNo,
}

impl ConnectionSlot {
    /// Sends what there is no frame for, of a connection whose segments travel `way`: in frames of our own.
    fn send<P: FramePool>(
        &self,
        outputs: &Outputs,
        (key, way, link): (&FlowKey, Direction, LinkLayer),
        copy: impl Fn(To, u32, &mut [u8]) -> usize,
        (pool, work): (&mut P, &mut Vec<u8>),
        (out, counters): (&mut Outgoing<P::Frame>, &CoreCounters),
    ) {
        for output in outputs.list() {
            let (way, options) = match output.to {
                To::Receiver => (way, outputs.onward_options().unwrap_or_default()),
                To::Sender => (way.opposite(), outputs.back_options()),
            };
            let port = match way {
                Direction::Request => self.server_port,
                Direction::Response => self.client_port,
            };
            let absent = Absent { header: &self.link, link, key, way };
            absent.send(
                (output, options),
                &copy,
                (&mut *pool, &mut *work),
                (&mut *out, port),
                counters,
            );
        }
    }
}

impl TcpState {
    /// Allocates all it will ever need.
    pub fn new(limits: &Limits) -> Self {
        let flights = (limits.flows_max / 16).clamp(64, 1 << 14);
        let random = || RandomState::new().build_hasher().finish();
        Self {
            table: Table::new(limits.flows_max, [random(), random()]),
            stores: Stores::new(limits.blocks_max, flights, limits.flow),
            outputs: Outputs::new(),
            slots: Vec::with_capacity(usize::try_from(limits.flows_max).unwrap_or(0)),
            conversations: Conversations::new(usize::try_from(limits.flows_max).unwrap_or(0)),
            plans: Plans::default(),
            deadlines: Deadlines::new(usize::try_from(limits.flows_max).unwrap_or(0)),
            sweep_cursor: 0,
        }
    }

    /// Some connection may be tracked that the plan in force no longer names (its numbers were shifted before a reload): the
    /// cheap question before [`Self::tracks`]. It costs every TCP packet out of scope a look into the table, so it is
    /// true only while there are such connections, or some were not looked at yet.
    pub fn has_orphans(&self) -> bool {
        self.plans.behind > 0 || self.plans.orphans > 0
    }

    /// There is such a connection in the table, whatever the plan says of it now.
    pub(crate) fn tracks(&self, packet: &Packet, lookup: &FlowLookup) -> bool {
        self.find(packet, lookup).is_some()
    }

    /// Some connection still runs on the plan before the current one.
    pub fn needs_previous(&self) -> bool {
        self.plans.behind > 0
    }

    /// Connections tracked.
    pub fn flows(&self) -> u64 {
        self.table.len().into()
    }

    /// Half-streams with bytes in flight or held.
    pub fn flights(&self) -> u64 {
        self.stores.in_flight().0.into()
    }

    /// Bytes of blocks in use, for held bytes and copies.
    pub fn block_bytes(&self) -> u64 {
        let bytes = u64::try_from(flow::limits::BLOCK_BYTES).unwrap_or(0);
        u64::from(self.stores.blocks().0).saturating_mul(bytes)
    }

    /// Lets a few idle connections go. One that may go on is reset at both ends: of what was edited they could not go on alone, and what
    /// was not, but is to be, would go on unpatched for whoever waits so long.
    pub(crate) fn expire<P: FramePool>(
        &mut self,
        (now, idle_ms): (Tick, u32),
        (link, active_plan): (LinkLayer, &ActivePlan),
        pool: &mut P,
        (out, work): (&mut Outgoing<P::Frame>, &mut Vec<u8>),
        counters: &CoreCounters,
    ) {
        let expired = self.table.next_expired(flow_tick(now), idle_ms, EXPIRE_PER_TURN);
        let Some(id) = expired else { return };
        let key = self.table.key(id).copied().unwrap_or_default();
        let Some(connection) = self.table.get_mut(id) else { return };
        let module =
            found_of(&key, active_plan).and_then(|found| active_plan.plan.module(found.module));
        let enforced = module.is_some_and(|module| module.mode == Mode::Enforce);
        let goes_on = enforced && connection.state() == flow::ConnectionState::Open;
        if goes_on || connection.is_needed(&self.stores) {
            let way = Direction::Request;
            connection.reset(way, flow_tick(now), &mut self.stores, &mut self.outputs);
            if let Some(slot) = self.slots.get(id.index()) {
                let nothing = |_, _, _: &mut [u8]| 0;
                slot.send(&self.outputs, (&key, way, link), nothing, (pool, work), (out, counters));
            }
            counters.count_event(Event::TcpIdleReset);
            // It is forgotten later, as any that was reset.
            return;
        }
        connection.release(&mut self.stores);
        self.forget(id);
    }

    /// Moves a few connections to the current plan that have no segment to do it.
    pub(crate) fn move_on(&mut self, active_plan: &ActivePlan, previous: Option<&ActivePlan>) {
        if self.plans.behind == 0 {
            return;
        }
        for _ in 0..MOVE_PER_TURN {
            self.sweep_cursor =
                if self.sweep_cursor < self.slots.len() { self.sweep_cursor } else { 0 };
            let at = self.sweep_cursor;
            self.sweep_cursor = at.saturating_add(1);
            let Some(key) = FlowId::at(at).and_then(|id| self.table.key(id)) else { continue };
            let found = found_of(key, active_plan);
            if let Some(slot) = self.slots.get_mut(at) {
                choose(
                    slot,
                    &mut self.conversations,
                    (active_plan, previous),
                    found,
                    &mut self.plans,
                );
            }
        }
    }

    /// Takes the connection out of the table.
    fn forget(&mut self, id: FlowId) {
        if let Some(slot) = self.slots.get_mut(id.index()) {
            self.conversations.forget(&mut slot.kept);
            if slot.generation != self.plans.generation {
                self.plans.behind = self.plans.behind.saturating_sub(1);
            }
            if slot.orphan {
                self.plans.orphans = self.plans.orphans.saturating_sub(1);
            }
        }
        self.table.remove(id);
    }

    /// The lookup for a packet's connection. `found` says which of its ends is most likely the server's, and so spares most second
    /// look-ups.
    pub(crate) fn lookup(&self, packet: &Packet, found: Option<&ScopeMatch>) -> FlowLookup {
        let way = match found.map(|found| found.direction) {
            Some(Direction::Request) | None => Direction::Request,
            Some(Direction::Response) => Direction::Response,
        };
        FlowLookup { hash: self.table.hash(&key_of(packet, way)), way }
    }

    fn find(&self, packet: &Packet, lookup: &FlowLookup) -> Option<(FlowId, Direction)> {
        let FlowLookup { hash, way } = *lookup;
        let first = self.table.find_hashed(&key_of(packet, way), hash).map(|id| (id, way));
        // Between two servers the scope may take either for the other's client.
        let turned = way.opposite();
        first.or_else(|| self.table.find(&key_of(packet, turned)).map(|id| (id, turned)))
    }

    /// Has what a look-up reads first on its way into the caches.
    pub(crate) fn prefetch_bucket(&self, nic: &impl Nic, lookup: &FlowLookup) {
        if let Some(bucket) = self.table.first_bucket(lookup.hash) {
            nic.prefetch(bucket);
        }
    }

    /// What it most likely reads next. The bucket should have come by now.
    pub(crate) fn prefetch_entry(&self, nic: &impl Nic, lookup: &FlowLookup) {
        if let Some(entry) = self.table.likely_entry(lookup.hash) {
            nic.prefetch(entry);
        }
    }

    /// Called once per burst: from now on this is the current plan, and every connection is behind it.
    pub(crate) fn take_up(&mut self, active_plan: &ActivePlan) {
        if active_plan.plan.generation != self.plans.generation {
            self.plans.generation = active_plan.plan.generation;
            self.plans.behind = self.table.len();
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc7126#section-4.3.5
//# Routers, security gateways, and firewalls SHOULD implement an option-specific configuration knob to select whether packets with
//# this option are dropped ... The default setting for this knob SHOULD be "drop"
/// An IPv4 packet with a loose or strict source route. Whether its receiver takes it is a matter of its configuration, so nothing that
/// is said in it can be believed here.
fn is_source_routed(frame: &[u8], layers: &Layers) -> bool {
    const HEADER_BYTES: usize = 20;
    let options = match layers.version {
        IpVersion::V4 => frame.get(layers.ip.saturating_add(HEADER_BYTES)..layers.l4),
        IpVersion::V6 => None,
    };
    let mut rest = options.unwrap_or_default();
    while let Some((&kind, behind)) = rest.split_first() {
        rest = match (kind, behind.first()) {
            (0, _) => return false,
            (1, _) => behind,
            (131 | 137, _) => return true,
            (_, Some(&len)) => rest.get(usize::from(len.max(2))..).unwrap_or_default(),
            (_, None) => return false,
        };
    }
    false
}

/// Its receiver may not get it, or drop it for what stands before TCP: options and extension headers it does not know, or a life that
/// ends on the way.
fn may_be_lost(frame: &[u8], layers: &Layers) -> bool {
    /// Where a router may follow. Hosts begin with 64 or more, and few paths are longer than half of that.
    const HOPS_ENOUGH: u8 = 32;
    let (fixed, hops) = match layers.version {
        IpVersion::V4 => (20, 8),
        IpVersion::V6 => (40, 7),
    };
    layers.l4.saturating_sub(layers.ip) != fixed
        || frame.get(layers.ip.saturating_add(hops)).is_none_or(|left| *left < HOPS_ENOUGH)
}

/// One segment with right checksums, in scope (`found`) or of a tracked connection. Whatever it causes is put into `out`: towards
/// `parts.lane.to`, or back to its sender at `parts.lane.from`.
pub(crate) fn segment<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    frame: P::Frame,
    (packet, lookup): (&Packet, &FlowLookup),
    found: Option<ScopeMatch>,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let (bytes, layers) = (frame.as_ref(), &packet.layers);
    let Some(tcp) = bytes.get(layers.l4..layers.ip_end).and_then(Tcp::parse) else {
        out.send(parts.lane.to, frame);
        return Reason::BadTransportHeader;
    };
    if is_source_routed(bytes, layers) {
        return Reason::TcpSourceRoute;
    }
    let segment = SegmentIn { tcp, payload: layers.payload_of(bytes) };
    let (id, way) = match track(parts, (packet, lookup), &segment, found, bytes) {
        Ok(tracked) => tracked,
        Err(Untracked::Pass(reason)) => {
            out.send(parts.lane.to, frame);
            return reason;
        }
        Err(Untracked::Drop(reason)) => return reason,
        Err(Untracked::Reset) => return reset_both(parts, pool, frame, packet, out),
    };

    let (client, server) = match way {
        Direction::Request => (packet.source, packet.destination),
        Direction::Response => (packet.destination, packet.source),
    };
    let TcpState { table, stores, outputs, slots, conversations, plans, deadlines, .. } =
        &mut *parts.tcp;
    let now = flow_tick(parts.now);
    let (Some(connection), Some(slot)) = (table.get_mut(id), slots.get_mut(id.index())) else {
        out.send(parts.lane.to, frame);
        return Reason::TcpUntracked;
    };
    if connection.on_plain_ack(way, &segment, stores, now) {
        // Whatever plan the connection is on: it decides about bytes.
        out.send(parts.lane.to, frame);
        return Reason::Unchanged;
    }
    let on = choose(slot, conversations, (parts.active_plan, parts.previous), found, plans);
    let plan_counters = on.and_then(|(active_plan, ..)| active_plan.counters(parts.config.core));
    let mut stage = EngineStage {
        module: on.map(|(_, no, module)| (no, module)),
        kept: &mut slot.kept,
        conversations,
        client: client.address,
        scratch: parts.scratch,
        plan_counters,
        counters: parts.counters,
        broken: false,
    };
    let flags = segment.tcp.flags();
    let outcome = connection.on_segment(way, &segment, stores, &mut stage, now, outputs);
    let answers = way == Direction::Response && flags.has(TcpFlags::SYN.with(TcpFlags::ACK));
    if answers && parts.lane.from == slot.server_port {
        slot.link = LinkHeader::of(bytes, layers, parts.config.link, way);
    }
    // What is believed here is to be believed there: what may never arrive is said by a frame of our own.
    let ended = flags.has(TcpFlags::RST)
        && outcome != SegmentOutcome::Dead
        && connection.state() == flow::ConnectionState::Dead;
    if ended {
        let link = parts.config.link;
        let elsewhere = way == Direction::Request && slot.link.leads_elsewhere(bytes, link);
        if elsewhere || may_be_lost(bytes, layers) {
            let key = key(client, server, vlan_key(layers));
            let nothing = |_, _, _: &mut [u8]| 0;
            let room = (&mut *pool, &mut *parts.work);
            slot.send(outputs, (&key, way, link), nothing, room, (out, parts.counters));
            return Reason::TcpMoved;
        }
    }
    for way in [way, way.opposite()] {
        if connection.awaits_timeout(way, stores) {
            deadlines.add(id, way, now);
        }
    }
    let template = Template {
        packet,
        link: parts.config.link,
        trust_checksums: parts.config.trust_checksums,
        lane: parts.lane,
    };
    let copy = |to, at, room: &mut [u8]| connection.copy_out(way, to, stores, at, room);
    let complete =
        template.send(pool, frame, (&*outputs, outcome), copy, (parts.work, parts.next_id), out);
    if complete { reason(outcome) } else { Reason::NoFrames }
}

/// The module that decides: that of the plan a connection is on, until nothing of it is open and the current one can take
/// over.
fn choose<'a>(
    slot: &mut ConnectionSlot,
    conversations: &mut Conversations,
    (active_plan, previous): (&'a ActivePlan, Option<&'a ActivePlan>),
    found: Option<ScopeMatch>,
    plans: &mut Plans,
) -> Option<(&'a ActivePlan, ModuleNo, &'a Module)> {
    if slot.generation != plans.generation {
        let old = previous.filter(|previous| previous.plan.generation == slot.generation);
        let open = |slot: &ConnectionSlot| {
            let boundary = |direction: &Direction| {
                conversations.look(&slot.kept, |conversation| conversation.at_boundary(*direction))
            };
            !Direction::BOTH.iter().all(boundary)
        };
        if let Some(old) = old.filter(|_| slot.module.is_some() && open(slot)) {
            let no = slot.module?;
            return old.plan.module(no).map(|module| (old, no, module));
        }
        let before = old.zip(slot.module).and_then(|(old, no)| old.plan.module(no));
        let after = found.and_then(|found| {
            active_plan.plan.module(found.module).map(|module| (found.module, module))
        });
        let same = |after: &Module| {
            // Where the plan it ran on is gone, two reloads went by: the state is of the protocol of its port, which
            // only an edited configuration could have changed.
            before.is_none_or(|before| {
                before.decoder.protocol().name == after.decoder.protocol().name
            })
        };
        slot.module = match after.filter(|(_, module)| slot.module.is_some() && same(module)) {
            Some((no, module)) => {
                conversations.with(&mut slot.kept, |conversation| conversation.move_to(module));
                Some(no)
            }
            None => None,
        };
        let was = core::mem::replace(&mut slot.orphan, found.is_none());
        plans.orphans = match (was, slot.orphan) {
            (false, true) => plans.orphans.saturating_add(1),
            (true, false) => plans.orphans.saturating_sub(1),
            (true, true) | (false, false) => plans.orphans,
        };
        slot.generation = plans.generation;
        plans.behind = plans.behind.saturating_sub(1);
    }
    let no = slot.module?;
    active_plan.plan.module(no).map(|module| (active_plan, no, module))
}

/// What the plan in force says of a connection.
fn found_of(key: &FlowKey, active_plan: &ActivePlan) -> Option<ScopeMatch> {
    let server = Endpoint { address: key.server, port: key.server_port };
    let client = Endpoint { address: key.client, port: key.client_port };
    active_plan.plan.scope.find(proto::Transport::Tcp, &client, &server)
}

/// The key of a packet's connection, if the packet goes `way`.
fn key_of(packet: &Packet, way: Direction) -> FlowKey {
    let vlan_key = vlan_key(&packet.layers);
    match way {
        Direction::Request => key(packet.source, packet.destination, vlan_key),
        Direction::Response => key(packet.destination, packet.source, vlan_key),
    }
}

fn key(client: Endpoint, server: Endpoint, vlan_key: u32) -> FlowKey {
    FlowKey {
        client: client.address,
        server: server.address,
        client_port: client.port,
        server_port: server.port,
        vlan_key,
    }
}

/// Networks behind different VLAN tags may use the same addresses.
fn vlan_key(layers: &Layers) -> u32 {
    let [outer, inner, ..] = layers.tags;
    (u32::from(outer & 0x0fff) << 12) | u32::from(inner & 0x0fff)
}

/// `flow` counts milliseconds on a circle of 49 days.
fn flow_tick(now: Tick) -> flow::Tick {
    flow::Tick(u32::try_from(now & 0xffff_ffff).unwrap_or(0))
}

const fn reason(outcome: SegmentOutcome) -> Reason {
    match outcome {
        SegmentOutcome::Untouched => Reason::Unchanged,
        SegmentOutcome::Moved => Reason::TcpMoved,
        SegmentOutcome::Edited => Reason::Edited,
        SegmentOutcome::Rebuilt => Reason::TcpRebuilt,
        SegmentOutcome::Held => Reason::TcpHeld,
        SegmentOutcome::Ahead => Reason::TcpAhead,
        SegmentOutcome::Released => Reason::TcpReleased,
        SegmentOutcome::AheadDropped => Reason::TcpAheadDropped,
        SegmentOutcome::NoBlocks => Reason::TcpNoBlocks,
        SegmentOutcome::NoInFlightBuffers => Reason::TcpNoFlights,
        SegmentOutcome::InFlightFull => Reason::TcpInFlightFull,
        SegmentOutcome::BadFlags => Reason::TcpBadFlags,
        SegmentOutcome::TooOld => Reason::TcpTooOld,
        SegmentOutcome::Early => Reason::TcpEarly,
        SegmentOutcome::SynDataStripped => Reason::TcpSynData,
        SegmentOutcome::Closed => Reason::TcpClosed,
        SegmentOutcome::Broken => Reason::TcpBroken,
        SegmentOutcome::Dead => Reason::TcpAfterReset,
        SegmentOutcome::Signed => Reason::TcpSigned,
    }
}
