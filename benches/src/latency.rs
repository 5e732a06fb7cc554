//! The part of the page about how much later a packet leaves, and whose doing that is.

use crate::measured::{Latency, Steadiness, Throughput, ThroughputRow, TurnTimes};

/// Microseconds that 99 of 100 packets may come later than without the journey.
const ADDED_US_AIM: f64 = 10.0;

/// Two CPUs that take so many times as long for the same work at the same time share a core.
const SHARED_CORE_TIMES: f64 = 1.2;

pub(crate) fn write(page: &mut String, throughput: &Throughput) {
    let timed =
        |row| -> Option<(&ThroughputRow, &Latency)> { Some((row, row.latency_us.as_ref()?)) };
    let rows: Vec<_> = throughput.rows.iter().filter_map(timed).collect();
    page.push_str(&format!(
        "\n## Added latency\n\n\
         The load is 80 % of the rate that the worker can do, or all that the generator can offer \
         where that is less (it is for datagrams). Frames enter the rings four at a time; the time \
         runs until they leave them. The floor is the same load through the same rings without the \
         journey. This machine has two CPUs and both are busy lcores, so every other thread takes one \
         of them away for milliseconds. Time is therefore taken in stretches of 2 ms. A stretch \
         counts if the kernel reports that neither lcore lost its CPU. The aim is {ADDED_US_AIM:.0} \
         microseconds more at the 99th percentile.\n\n\
         | traffic | offered Mpps | p50 us | p99 us | p50 without | p99 without | p99 added | | stretches that count |\n\
         |---|--:|--:|--:|--:|--:|--:|---|--:|\n",
    ));
    for (row, latency) in &rows {
        let Latency { floor_p50, floor_p99, stretches, stretches_all, .. } = latency;
        let added = (latency.p99 - floor_p99).max(0.0);
        let found = if added <= ADDED_US_AIM { "met" } else { "missed" };
        page.push_str(&format!(
            "| {} | {:.2} | {:.1} | {:.1} | {floor_p50:.1} | {floor_p99:.1} | {added:.1} | {found} | {stretches} of {stretches_all} |\n",
            row.title,
            latency.offered_mpps,
            latency.p50,
            latency.p99,
        ));
    }
    whose(page, &rows);
    page.push_str(&format!("\n{}", throughput.steadiness.sentence(throughput.machine.tsc_hz)));
}

/// Sets the journey's tail beside the machine's.
fn whose(page: &mut String, rows: &[(&ThroughputRow, &Latency)]) {
    page.push_str(
        "\nThe next table separates the tail of the journey from that of the machine. The second half \
         has the same load through a loop that does as much work a packet as the journey does on the \
         mean, all of it in registers. It has no table, misses no cache and does nothing else, so the \
         machine delayed whatever comes late of it. A turn takes all frames that wait at both ports; \
         after a delay more of them wait, and the next turns are longer. Busy is the share of time \
         that turns with frames took. Well above 80 %, packets cost more in bursts of four than in \
         the full bursts of the rate, or the processor was slower then: the queue grows until bursts \
         are large enough to be cheap again, and a packet waits for those before it. A gap is a turn \
         without frames that took 2 us or more: nothing ran that could have taken them.\n\n\
         | traffic | p99 us | a turn: p50 | p99 | p99.9 | max | busy % | in registers: p99 us | a turn: p50 | p99 | p99.9 | max | busy % | gaps a second | longest, us |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for (row, latency) in rows {
        let Latency { turns, control, .. } = latency;
        let of = |turns: &TurnTimes| {
            let TurnTimes { p50, p99, p999, max, busy_per_cent, .. } = turns;
            format!("{p50:.1} | {p99:.1} | {p999:.1} | {max:.0} | {busy_per_cent:.0}")
        };
        page.push_str(&format!(
            "| {} | {:.1} | {} | {:.1} | {} | {:.0} | {:.0} |\n",
            row.title,
            latency.p99,
            of(turns),
            control.p99,
            of(&control.turns),
            turns.gaps_per_s,
            turns.gap_max.max(control.turns.gap_max),
        ));
    }
}

impl Steadiness {
    /// Whether the two CPUs are threads of one core, and whether somebody else's are.
    pub(crate) fn sentence(&self, hz: f64) -> String {
        let times = self.together_ticks / self.alone_ticks;
        let siblings = if times < SHARED_CORE_TIMES {
            "so the two CPUs are not threads of one core"
        } else {
            "as two threads of one core would"
        };
        format!(
            "A piece of work in registers took {:.1} us at the median on one CPU alone, and {times:.2} \
             times as long with the same work on the other, {siblings}. Of the pieces on both CPUs, \
             {:.1} % took 1.1 to 3 times as long as the quickest: the processor itself was slower \
             then, as when another guest of the host runs on the other thread of the core. {:.1} % \
             took longer still: another thread had the CPU.\n",
            self.alone_ticks * 1e6 / hz,
            self.slow_per_cent,
            self.taken_per_cent,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{
        "machine": {"cpu": "C", "cpus": 2, "tsc_hz": 2e9, "kernel": "k", "load_average": "0", "date": "d"},
        "steadiness": {"alone_ticks": 20000, "together_ticks": 20100, "slow_per_cent": 12.5, "taken_per_cent": 0.25},
        "rows": [{"row": "dns", "title": "DNS", "ports": "rings", "frame_bytes": 64, "mpps": 1, "gbit_per_s": 1,
            "cycles_per_packet": 1, "floor_cycles_per_packet": 1, "journey_cycles_per_packet": 1,
            "latency_us": {"offered_mpps": 1.5, "p50": 3, "p99": 14, "floor_p50": 1, "floor_p99": 2, "stretches": 5, "stretches_all": 9,
                "turns": {"p50": 2.5, "p99": 5, "p999": 9, "max": 70, "busy_per_cent": 91.2, "gaps_per_s": 30, "gap_max": 12},
                "control": {"p50": 2, "p99": 13, "turns": {"p50": 2.25, "p99": 4, "p999": 8, "max": 60, "busy_per_cent": 80.4, "gaps_per_s": 1, "gap_max": 15}}}}]
    }"#;

    #[test]
    fn the_machine_s_part_stands_beside_the_journey_s() {
        let mut page = String::new();
        write(&mut page, &serde_json::from_str(RECORD).unwrap());
        let row = "| DNS | 14.0 | 2.5 | 5.0 | 9.0 | 70 | 91 | 13.0 | 2.2 | 4.0 | 8.0 | 60 | 80 | 30 | 15 |";
        assert!(page.contains(row), "{page}");
        assert!(page.contains("| 12.0 | missed | 5 of 9 |"), "{page}");
        assert!(
            page.contains("1.00 times as long") && page.contains("not threads of one core"),
            "{page}"
        );
        assert!(page.contains("12.5 % took 1.1 to 3 times"), "{page}");
    }
}
