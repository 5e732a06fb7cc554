//! What is in force: a plan, and each core's counters of it. Published and retired together.

use plan::Plan;

use crate::counters::Tally;

/// A plan with the counters its modules and patches write. Aligned so that the reference count in front of it, which scrapes
/// and reloads write, is not on a line that every packet reads.
#[derive(Debug)]
#[repr(align(128))]
pub struct InForce {
    /// The plan.
    pub plan: Plan,
    tallies: Box<[Tally]>,
}

impl InForce {
    /// Ready for `cores` cores. Allocates: the control thread's to call.
    pub fn new(plan: Plan, cores: usize) -> Self {
        let tallies = (0..cores).map(|_| Tally::new(&plan)).collect();
        Self { plan, tallies }
    }

    /// One core's counters.
    pub fn tally(&self, core: usize) -> Option<&Tally> {
        self.tallies.get(core)
    }

    /// Every core's, for the one who sums.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }
}
