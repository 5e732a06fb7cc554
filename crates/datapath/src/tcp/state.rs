//! The connections of one core.
//!
//! Holds:     [`TcpState`]: the flow table, the stores of held bytes, and a [`ConnectionSlot`]
//!            beside each entry of the table.
//! Promises:  a slot runs on the plan that its connection began on until nothing of it is open,
//!            then on the current one.
//! Never:     reads or writes a frame.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use flow::{FlowId, FlowKey, Outputs, Stores, Table};
use plan::{Endpoint, Module, ModuleNo, ScopeMatch};
use stage::Direction;
use stage::position::index;
use wire::Layers;

use super::conversations::{Conversations, Kept};
use super::deadlines::Deadlines;
use crate::active_plan::{ActivePlan, PlanPair};
use crate::config::Tick;
use crate::counters::wide;
use crate::headers::LinkHeader;
use crate::limits::Limits;
use crate::nic::{Nic, PortNo};
use crate::packet::{FlowLookup, Packet};

/// Connections moved to a new plan each turn, besides those that have traffic.
const MOVE_PER_TURN: usize = 64;

/// Every TCP connection of one core.
#[derive(Debug)]
pub(crate) struct TcpState {
    pub(crate) table: Table,
    pub(crate) stores: Stores,
    pub(crate) outputs: Outputs,
    /// Beside the table: the engine's memory and the link of each connection.
    pub(crate) slots: Vec<ConnectionSlot>,
    pub(crate) conversations: Conversations,
    pub(crate) progress: PlanProgress,
    pub(crate) deadlines: Deadlines,
    /// The next slot that is looked at for having stayed on an earlier plan.
    sweep_cursor: usize,
}

/// How many connections run on which plan.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlanProgress {
    /// Generation of the plan seen last.
    pub(crate) generation: u64,
    /// Connections that began on an earlier plan and have not moved.
    behind: u32,
    /// Connections that the plan no longer names.
    orphans: u32,
}

/// The part of a connection that `flow` does not know.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    pub(crate) kept: Kept,
    /// The generation of the plan whose module runs.
    pub(crate) generation: u64,
    /// The module that runs; none any more where the scope has gone away.
    pub(crate) module: Option<ModuleNo>,
    pub(crate) orphan: bool,
    /// The link header of the client's SYN, later of the server's answer turned round, for segments
    /// made here.
    pub(crate) link: LinkHeader,
    /// The port of the client's frames.
    pub(crate) client_port: PortNo,
    /// The port of the server's frames.
    pub(crate) server_port: PortNo,
}

/// The connection of a segment, and the direction in which the segment travels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracked {
    pub(crate) id: FlowId,
    pub(crate) direction: Direction,
}

/// The module that decides about a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChosenModule<'a> {
    /// Its plan.
    pub(crate) active_plan: &'a ActivePlan,
    pub(crate) no: ModuleNo,
    pub(crate) module: &'a Module,
}

impl ConnectionSlot {
    /// The module of the plan that the connection runs on. It stays on an earlier plan until
    /// nothing of it is open, and moves to the current one then.
    #[inline]
    pub(crate) fn choose<'a>(
        &mut self,
        conversations: &mut Conversations,
        plans: PlanPair<'a>,
        found: Option<ScopeMatch>,
        progress: &mut PlanProgress,
    ) -> Option<ChosenModule<'a>> {
        let on = if self.generation == progress.generation {
            plans.current
        } else {
            self.catch_up(conversations, plans, found, progress)
        };
        let no = self.module?;
        on.plan.module(no).map(|module| ChosenModule { active_plan: on, no, module })
    }

    /// Moves to the current plan if nothing of the connection is open; the plan that it runs on
    /// now.
    #[cold]
    #[inline(never)]
    fn catch_up<'a>(
        &mut self,
        conversations: &mut Conversations,
        plans: PlanPair<'a>,
        found: Option<ScopeMatch>,
        progress: &mut PlanProgress,
    ) -> &'a ActivePlan {
        let old = plans.previous.filter(|previous| previous.plan.generation == self.generation);
        if let Some(old) = old.filter(|_| self.module.is_some() && self.is_open(conversations)) {
            return old;
        }
        let current = &plans.current.plan;
        let before = old.zip(self.module).and_then(|(old, no)| old.plan.module(no));
        let after = found
            .and_then(|found| current.module(found.module).map(|module| (found.module, module)));
        // Without the old plan, two reloads have passed. The state then belongs to the protocol of
        // the port, which only an edited configuration could have changed.
        let same = |after: &Module| {
            before.is_none_or(|before| {
                before.decoder.protocol().name == after.decoder.protocol().name
            })
        };
        self.module = match after.filter(|(_, module)| self.module.is_some() && same(module)) {
            Some((no, module)) => {
                conversations.with(&mut self.kept, |conversation| conversation.move_to(module));
                Some(no)
            }
            None => None,
        };
        let was = core::mem::replace(&mut self.orphan, found.is_none());
        progress.orphans = match (was, self.orphan) {
            (false, true) => progress.orphans.saturating_add(1),
            (true, false) => progress.orphans.saturating_sub(1),
            (true, true) | (false, false) => progress.orphans,
        };
        self.generation = progress.generation;
        progress.behind = progress.behind.saturating_sub(1);
        plans.current
    }

    /// A unit has begun in one of its directions.
    fn is_open(&self, conversations: &Conversations) -> bool {
        let boundary = |direction: &Direction| {
            conversations.look(&self.kept, |conversation| conversation.at_boundary(*direction))
        };
        !Direction::BOTH.iter().all(boundary)
    }

    /// The port that leads to the receiver of a segment in this direction.
    pub(crate) const fn port(&self, direction: Direction) -> PortNo {
        match direction {
            Direction::Request => self.server_port,
            Direction::Response => self.client_port,
        }
    }
}

impl TcpState {
    /// Allocates all it will ever need.
    pub(crate) fn new(limits: &Limits) -> Self {
        let flows = index(limits.flows_max);
        let half_streams = (limits.flows_max / 16).clamp(64, 1 << 14);
        let random = || RandomState::new().build_hasher().finish();
        Self {
            table: Table::new(limits.flows_max, [random(), random()]),
            stores: Stores::new(limits.blocks_max, half_streams, limits.flow),
            outputs: Outputs::new(),
            slots: Vec::with_capacity(flows),
            conversations: Conversations::new(flows),
            progress: PlanProgress::default(),
            deadlines: Deadlines::new(flows),
            sweep_cursor: 0,
        }
    }

    /// Some tracked connection may be an orphan: the current plan does not name it, but its numbers
    /// were shifted before a reload. While this is true, every TCP packet out of scope costs a look
    /// into the table ([`Self::tracks`]); so it is true only while there are orphans, or
    /// connections that were not looked at since the reload.
    pub(crate) fn has_orphans(&self) -> bool {
        self.progress.behind > 0 || self.progress.orphans > 0
    }

    /// The table has the connection of this packet.
    pub(crate) fn tracks(&self, packet: &Packet, lookup: &FlowLookup) -> bool {
        self.find(packet, lookup).is_some()
    }

    /// Some connection still runs on the plan before the current one.
    pub(crate) fn needs_previous(&self) -> bool {
        self.progress.behind > 0
    }

    /// Connections tracked.
    pub(crate) fn flows(&self) -> u64 {
        self.table.len().into()
    }

    /// Half-streams with bytes in flight or held.
    pub(crate) fn half_streams_in_flight(&self) -> u64 {
        self.stores.in_flight().0.into()
    }

    /// Bytes of blocks in use, for held bytes and copies.
    pub(crate) fn block_bytes(&self) -> u64 {
        u64::from(self.stores.blocks().0).saturating_mul(wide(flow::limits::BLOCK_BYTES))
    }

    /// Moves a few connections to the current plan that have no segment to do it.
    pub(crate) fn move_on(&mut self, plans: PlanPair<'_>) {
        if self.progress.behind == 0 {
            return;
        }
        for _ in 0..MOVE_PER_TURN {
            let at = if self.sweep_cursor < self.slots.len() { self.sweep_cursor } else { 0 };
            self.sweep_cursor = at.saturating_add(1);
            let Some(key) = FlowId::at(at).and_then(|id| self.table.key(id)) else { continue };
            let found = scope_match(key, plans.current);
            if let Some(slot) = self.slots.get_mut(at) {
                slot.choose(&mut self.conversations, plans, found, &mut self.progress);
            }
        }
    }

    /// Lets the connection go, with all that is kept of it.
    pub(crate) fn let_go(&mut self, id: FlowId) {
        if let Some(connection) = self.table.get_mut(id) {
            connection.release(&mut self.stores);
        }
        self.forget(id);
    }

    /// Takes the connection out of the table.
    fn forget(&mut self, id: FlowId) {
        if let Some(slot) = self.slots.get_mut(id.index()) {
            self.conversations.forget(&mut slot.kept);
            if slot.generation != self.progress.generation {
                self.progress.behind = self.progress.behind.saturating_sub(1);
            }
            if slot.orphan {
                self.progress.orphans = self.progress.orphans.saturating_sub(1);
            }
        }
        self.table.remove(id);
    }

    /// The look-up of a packet's connection. `found` tells which end is most likely the server, and
    /// so spares most second look-ups.
    pub(crate) fn lookup(&self, packet: &Packet, found: Option<&ScopeMatch>) -> FlowLookup {
        let direction = found.map_or(Direction::Request, |found| found.direction);
        FlowLookup { hash: self.table.hash(&key_of(packet, direction)), direction }
    }

    pub(crate) fn find(&self, packet: &Packet, lookup: &FlowLookup) -> Option<(FlowId, Direction)> {
        let FlowLookup { hash, direction } = *lookup;
        let first =
            self.table.find_hashed(&key_of(packet, direction), hash).map(|id| (id, direction));
        // Between two servers the scope may take either for the other's client.
        let turned = direction.opposite();
        first.or_else(|| self.table.find(&key_of(packet, turned)).map(|id| (id, turned)))
    }

    /// Prefetches the bucket, which a look-up reads first.
    pub(crate) fn prefetch_bucket(&self, nic: &impl Nic, lookup: &FlowLookup) {
        if let Some(bucket) = self.table.first_bucket(lookup.hash) {
            nic.prefetch(bucket);
        }
    }

    /// Prefetches the entry that the look-up most likely reads next. The bucket should have come by
    /// now.
    pub(crate) fn prefetch_entry(&self, nic: &impl Nic, lookup: &FlowLookup) {
        if let Some(entry) = self.table.likely_entry(lookup.hash) {
            nic.prefetch(entry);
        }
    }

    /// Takes up a new current plan; every connection is behind it then. Called once per burst.
    pub(crate) fn take_up(&mut self, active_plan: &ActivePlan) {
        if active_plan.plan.generation != self.progress.generation {
            self.progress.generation = active_plan.plan.generation;
            self.progress.behind = self.table.len();
        }
    }
}

/// The answer of the current plan's scope for a connection.
pub(crate) fn scope_match(key: &FlowKey, active_plan: &ActivePlan) -> Option<ScopeMatch> {
    let server = Endpoint { address: key.server, port: key.server_port };
    let client = Endpoint { address: key.client, port: key.client_port };
    active_plan.plan.scope.find(proto::Transport::Tcp, &client, &server)
}

/// The key of a packet's connection, if the packet travels in this direction.
fn key_of(packet: &Packet, direction: Direction) -> FlowKey {
    let vlan_key = vlan_key(&packet.layers);
    match direction {
        Direction::Request => key(packet.source, packet.destination, vlan_key),
        Direction::Response => key(packet.destination, packet.source, vlan_key),
    }
}

pub(crate) fn key(client: Endpoint, server: Endpoint, vlan_key: u32) -> FlowKey {
    FlowKey {
        client: client.address,
        server: server.address,
        client_port: client.port,
        server_port: server.port,
        vlan_key,
    }
}

/// Networks behind different VLAN tags may use the same addresses.
pub(crate) fn vlan_key(layers: &Layers) -> u32 {
    let [outer, inner, ..] = layers.tags;
    (u32::from(outer & 0x0fff) << 12) | u32::from(inner & 0x0fff)
}

/// `flow` counts milliseconds on a circle of 49 days.
pub(crate) fn flow_tick(now: Tick) -> flow::Tick {
    flow::Tick(u32::try_from(now & 0xffff_ffff).unwrap_or(0))
}
