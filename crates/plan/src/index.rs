//! Which rules can concern a field at all: the fusion of a side's rules.

use proto::Wanted;

use crate::module::Rule;

/// Built once from a side's rules, immutable in use.
#[derive(Debug, Default)]
pub struct Index {
    rule_count: usize,
}

impl Index {
    /// Fuses `rules`.
    pub fn new(wanted: &Wanted, rules: &[Rule]) -> Self {
        let _ = wanted;
        Self { rule_count: rules.len() }
    }

    /// Rules fused.
    pub fn rule_count(&self) -> usize {
        self.rule_count
    }
}
