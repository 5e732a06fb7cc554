//! Plans, modules, their directions and rules.

use proto::{Decoder, Slot, Transport, Wanted};
use stage::Direction;

use crate::condition::Condition;
use crate::index::Index;
use crate::scope::ScopeTable;
use crate::transform::Transform;

/// Index into [`Plan::patches`], the label of a patch's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatchNo(pub u16);

/// Index into [`Plan::modules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleNo(pub u16);

/// Index into [`Plan::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupNo(pub u16);

/// Index into [`DirectionRules::rules`].
pub type RuleNo = u16;

/// Edit, or only count what would have been edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Edit.
    #[default]
    Enforce,
    /// Count and leave as it came.
    Observe,
}

/// What becomes of traffic whose rules cannot be decided (a unit over every bound, a full table, a panicking module).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailMode {
    /// It passes unpatched, counted.
    #[default]
    Open,
    /// The datagram is dropped, the connection reset, counted.
    Closed,
}

/// Everything a core runs.
#[derive(Debug, Default)]
pub struct Plan {
    /// One for each protocol of each server group that has patches.
    pub modules: Box<[Module]>,
    /// Every loaded patch.
    pub patches: Box<[PatchInfo]>,
    /// Every server group.
    pub groups: Box<[GroupInfo]>,
    /// Which module a packet concerns; built from the three above.
    pub scope: ScopeTable,
    /// Counts up by one with every plan that is put in force.
    pub generation: u64,
}

impl Plan {
    /// The only way to get one whose scope look-up agrees with its modules. `generation` is the publisher's to set.
    pub fn new(modules: Vec<Module>, patches: Vec<PatchInfo>, groups: Vec<GroupInfo>) -> Self {
        let scope = ScopeTable::new(&modules, &groups);
        Self {
            modules: modules.into(),
            patches: patches.into(),
            groups: groups.into(),
            scope,
            generation: 0,
        }
    }

    /// The module of that number.
    pub fn module(&self, no: ModuleNo) -> Option<&Module> {
        self.modules.get(usize::from(no.0))
    }
}

/// What the outside wants to know of a patch.
#[derive(Clone, Debug, Default)]
pub struct PatchInfo {
    /// Its `patch:` name.
    pub name: Box<str>,
    /// Its `cve:` list.
    pub cve: Box<[Box<str>]>,
    /// Unix seconds of `vendor_fix.released`.
    pub released: Option<i64>,
    /// Unix seconds of `postpone_until`.
    pub postpone_until: Option<i64>,
}

/// Addresses (and ports) behind the box that share patches and a mode.
#[derive(Clone, Debug, Default)]
pub struct GroupInfo {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Its mode.
    pub mode: Mode,
    /// Prefixes: 16-byte address (IPv4 mapped, `::ffff:a.b.c.d`) and its length in bits of 128. Empty: every address.
    pub prefixes: Box<[([u8; 16], u8)]>,
}

/// All patches in force for one protocol on one server group, compiled together: a stage.
pub struct Module {
    /// Whose servers.
    pub group: GroupNo,
    /// The decoder.
    pub decoder: &'static dyn Decoder,
    /// What this module runs on.
    pub transport: Transport,
    /// Server ports in scope, sorted.
    pub ports: Box<[u16]>,
    /// Enforce or observe.
    pub mode: Mode,
    /// What to do with what cannot be decided.
    pub fail: FailMode,
    /// Indexed by [`Direction::index`].
    pub directions: [DirectionRules; 2],
}

impl Module {
    /// The rules of one direction.
    pub const fn direction(&self, direction: Direction) -> &DirectionRules {
        let [request, response] = &self.directions;
        match direction {
            Direction::Request => request,
            Direction::Response => response,
        }
    }
}

impl core::fmt::Debug for Module {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Module")
            .field("protocol", &self.decoder.protocol().name)
            .field("group", &self.group)
            .field("transport", &self.transport)
            .field("ports", &self.ports)
            .field("directions", &self.directions)
            .finish_non_exhaustive()
    }
}

/// What a side holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// No rule needs more than the bytes at hand: fields are emitted open as they come.
    #[default]
    Streaming,
    /// A unit is held until it is complete, at most this many bytes of it.
    UpTo(u32),
}

/// One direction of one module.
#[derive(Debug, Default)]
pub struct DirectionRules {
    /// The fields its rules read, and which of their values are watched.
    pub wanted: Wanted,
    /// In the order they run: patch by patch as loaded, rule by rule as written.
    pub rules: Box<[Rule]>,
    /// What is held back.
    pub hold: Hold,
    /// Patches with a rule on this side: their "messages seen" count.
    pub patches: Box<[PatchNo]>,
    /// Which rules can concern a field at all; built from `rules`.
    pub index: Index,
}

impl DirectionRules {
    /// The only way to get one whose index agrees with its rules.
    pub fn new(mut wanted: Wanted, rules: Vec<Rule>, hold: Hold, patches: Vec<PatchNo>) -> Self {
        let index = Index::new(&wanted, &rules);
        if let Some(ranges) = index.watched_ranges() {
            wanted.set_field_prefilter(ranges);
        }
        wanted.set_header_prefilter(index.header_prefilter());
        Self { wanted, rules: rules.into(), hold, patches: patches.into(), index }
    }

    /// The rule of that number.
    pub fn rule(&self, no: RuleNo) -> Option<&Rule> {
        self.rules.get(usize::from(no))
    }
}

/// One `when` and one transform on one field.
#[derive(Debug)]
pub struct Rule {
    /// Whose.
    pub patch: PatchNo,
    /// The field the transform works on. For `drop`, `refuse` and `close` without a target: `None`.
    pub target: Option<Slot>,
    /// When it applies. Tests on the target, and on fields of the target's own element, speak of the occurrence at hand.
    pub when: Condition,
    /// What it does.
    pub transform: Transform,
}
