//! The plan that the cores run, with each core's counters of it. Both are published and retired
//! together.

use plan::Plan;

use crate::counters::PlanCounters;

/// A plan with the counters its modules and patches write. Aligned so that the reference count in
/// front of it, which scrapes and reloads write, is not on a line that every packet reads.
#[derive(Debug)]
#[repr(align(128))]
pub struct ActivePlan {
    /// The plan.
    pub plan: Plan,
    counters: Box<[PlanCounters]>,
}

impl ActivePlan {
    /// Ready for `cores` cores. Allocates: the control thread's to call.
    pub fn new(plan: Plan, cores: usize) -> Self {
        let counters = (0..cores).map(|_| PlanCounters::new(&plan)).collect();
        Self { plan, counters }
    }

    /// One core's counters.
    pub fn counters(&self, core: usize) -> Option<&PlanCounters> {
        self.counters.get(core)
    }

    /// The counters of every core, for the one who sums.
    pub fn all_counters(&self) -> &[PlanCounters] {
        &self.counters
    }
}

/// The plan of a burst, and the plan before it, on which some connections have a field open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanPair<'a> {
    pub(crate) current: &'a ActivePlan,
    pub(crate) previous: Option<&'a ActivePlan>,
}
