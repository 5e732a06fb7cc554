//! A module, its two directions, and the server group that it belongs to.

use proto::{Decoder, Transport, Wanted};
use stage::Direction;

use crate::index::Index;
use crate::rule::{PatchNo, Rule, RuleNo};

/// Index into [`crate::Plan::modules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleNo(pub u16);

/// Index into [`crate::Plan::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupNo(pub u16);

/// Edit, or only count what would have been edited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Edit.
    #[default]
    Enforce,
    /// Count and leave as it came.
    Observe,
}

/// What happens to traffic whose rules cannot be decided: a unit over every bound, a full table, a
/// panicking module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailMode {
    /// It passes unpatched, counted.
    #[default]
    Open,
    /// The datagram is dropped, the connection reset, counted.
    Closed,
}

/// Addresses (and ports) behind the box that share patches and a mode.
#[derive(Clone, Debug, Default)]
pub struct GroupInfo {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Its mode.
    pub mode: Mode,
    /// Prefixes: 16-byte address (IPv4 mapped, `::ffff:a.b.c.d`) and its length in bits of 128.
    /// Empty: every address.
    pub prefixes: Box<[([u8; 16], u8)]>,
}

/// The active patches of one protocol on one server group, compiled together: a stage.
pub struct Module {
    /// Its server group.
    pub group: GroupNo,
    /// The decoder.
    pub decoder: &'static dyn Decoder,
    /// The transport it runs on.
    pub transport: Transport,
    /// Server ports in scope, sorted.
    pub ports: Box<[u16]>,
    /// Enforce or observe.
    pub mode: Mode,
    /// What happens to traffic that cannot be decided.
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

/// How much of a unit a direction holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// No rule needs more than the bytes at hand. The decoder emits a field open, as its bytes
    /// come.
    #[default]
    Streaming,
    /// A unit is held until it is complete, at most this many bytes of it.
    UpTo(u32),
}

/// One direction of one module.
#[derive(Debug, Default)]
pub struct DirectionRules {
    /// The fields that its rules read, and the watched ranges of their values.
    pub wanted: Wanted,
    /// In the order they run: patch by patch as loaded, rule by rule as written.
    pub rules: Box<[Rule]>,
    /// What is held back.
    pub hold: Hold,
    /// Patches with a rule in this direction: their "messages seen" count.
    pub patches: Box<[PatchNo]>,
    /// Which rules can concern a field at all; built from `rules`.
    pub index: Index,
}

impl DirectionRules {
    /// The only constructor: it keeps the index and the rules in agreement.
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
