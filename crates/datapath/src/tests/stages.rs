//! One burst in 61 is measured by stage, and leaves as all others do.

use plan::Transform;

use super::lab::*;
use crate::stages::JourneyStage;

#[test]
fn every_61st_burst_is_measured_and_is_not_changed_by_it() {
    let mut lab = Lab::new(enforcing(vec![Transform::Truncate { to: 5 }]));
    let frames = [udp4(b"too long"), udp4(b"short"), vec![0; 60]];
    let measured = |lab: &Lab| {
        let counters = lab.core.counters();
        let cycles = JourneyStage::ALL.map(|stage| counters.stage(stage).load());
        (cycles, counters.stage_packets.load())
    };
    let first = lab.send(&frames);
    assert_eq!(first.0.len(), 3);
    // A look of the memory ports' clock a stage.
    assert_eq!(measured(&lab), ([1; 4], 3));
    for _ in 0..60 {
        assert_eq!(lab.send(&frames), first);
        assert_eq!(measured(&lab), ([1; 4], 3));
    }
    // Polls that find nothing are no bursts.
    for _ in 0..100 {
        crate::journey::turn(&mut lab.nic, &mut lab.core, 0);
    }
    assert_eq!(measured(&lab), ([1; 4], 3));
    assert_eq!(lab.send(&frames[..2]).0, first.0[..2]);
    assert_eq!(measured(&lab), ([2; 4], 5));
}
