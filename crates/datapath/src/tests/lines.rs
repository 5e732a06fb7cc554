//! No two cores write one pair of cache lines: addresses of what stands side by side in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{FailMode, Mode, ModuleNo, PatchNo, Transform};
use stage::Direction;

use super::lab::{module, plan};
use crate::active_plan::ActivePlan;
use crate::counters::{Cell, CoreCounters, LcoreCycles, Lost};
use crate::limits;
use crate::nic::PortNo;
use crate::reasons::Reason;

/// Two lines: processors fetch the neighbour of a line that misses.
const PAIR_BYTES: usize = 128;

/// Which core writes which pair.
#[derive(Default)]
struct Writers(BTreeMap<usize, usize>);

impl Writers {
    #[track_caller]
    fn note(&mut self, core: usize, cell: &Cell) {
        let pair = std::ptr::from_ref(cell).addr() / PAIR_BYTES;
        assert_eq!(*self.0.entry(pair).or_insert(core), core, "two cores write one pair of lines");
    }
}

#[test]
fn two_cores_counters_share_no_line() {
    let mut writers = Writers::default();
    let cores: Vec<_> = (0..4).map(|_| Arc::new(CoreCounters::default())).collect();
    for (core, counters) in cores.iter().enumerate() {
        writers.note(core, &counters.turns);
        writers.note(core, &counters.generation);
        for port in 0..limits::PORTS_MAX {
            let cells = counters.port(PortNo(u8::try_from(port).unwrap())).unwrap();
            writers.note(core, &cells.rx_packets);
            writers.note(core, &cells.tx_bytes);
        }
        // The first and the last reason's cells are not to be had from outside; the block's ends
        // are.
        let start = std::ptr::from_ref::<CoreCounters>(counters).addr();
        assert_eq!((start % PAIR_BYTES, size_of::<CoreCounters>() % PAIR_BYTES), (0, 0));
        counters.count(Reason::NotInPlan);
    }
    let cycles: Vec<_> = (0..4).map(|_| Arc::new(LcoreCycles::default())).collect();
    cycles.iter().enumerate().for_each(|(core, cycles)| {
        writers.note(core, &cycles.busy);
        writers.note(core, &cycles.idle);
    });
    let lost: Vec<_> = (0..4).map(|_| Arc::new(Lost::default())).collect();
    lost.iter().enumerate().for_each(|(core, lost)| writers.note(core, &lost.frames));
}

#[test]
fn two_cores_plan_counters_share_no_line() {
    let some = || module(Mode::Enforce, FailMode::Open, vec![Transform::Drop]);
    let active_plan = ActivePlan::new(plan(vec![some(), some(), some()]), 4);
    let mut writers = Writers::default();
    for (core, plan_counters) in active_plan.all_counters().iter().enumerate() {
        for direction in Direction::BOTH {
            (0..3).for_each(|no| {
                writers
                    .note(core, &plan_counters.module(ModuleNo(no), direction).unwrap().messages);
            });
        }
        for no in 0..4 {
            let cells = plan_counters.patch(PatchNo(no)).unwrap();
            writers.note(core, &cells.edits);
            writers.note(core, &cells.would_have);
            cells.edits.add(u64::from(no));
        }
        let edits = (0..4).map(|no| plan_counters.patch(PatchNo(no)).unwrap().edits.load());
        assert!(edits.eq(0..4), "every patch has cells of its own");
        assert!(plan_counters.module(ModuleNo(3), Direction::Request).is_none());
    }
    // What every packet reads is not beside the reference count that scrapes write.
    assert_eq!(align_of::<ActivePlan>(), PAIR_BYTES);
}
