//! Everything a core runs: modules, patches, groups, and the scope look-up over them.

use crate::module::{GroupInfo, Module, ModuleNo};
use crate::scope::ScopeTable;

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
    /// Counts the plans that were made active.
    pub generation: u64,
}

impl Plan {
    /// The only constructor: it keeps the scope look-up and the modules in agreement. The publisher
    /// sets `generation`.
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

/// The facts about a patch that metrics and the control socket show.
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
