//! The part of the page about two cores.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::measured::{MeasuredMachine, Steadiness};
use crate::record;

/// `wirepatch bench --scaling --json`.
#[derive(Debug, Deserialize)]
struct Scaling {
    machine: MeasuredMachine,
    steadiness: Steadiness,
    scaling: Vec<ScalingRow>,
}

#[derive(Debug, Deserialize)]
struct ScalingRow {
    title: String,
    ports: String,
    alone_mpps: [Option<f64>; 2],
    together_mpps: [Option<f64>; 2],
    rings_mpps: Option<f64>,
    stretches: u64,
}

/// Writes the section.
pub(crate) fn write(page: &mut String) -> Result<()> {
    let scaling: Scaling =
        serde_json::from_str(&record::read("scaling.json")?).context("record/scaling.json")?;
    section(page, &scaling);
    Ok(())
}

fn section(page: &mut String, scaling: &Scaling) {
    let MeasuredMachine { cpu, date, load_average, tsc_hz, cores_apart, .. } = &scaling.machine;
    page.push_str(&format!(
        "\n## Scaling\n\n\
         Two lcores run to completion. Each has its own ports, journey and counters; both share one \
         plan and one packet pool, as in `wirepatch run`. They are measured alone and at the same \
         time. The last columns are one worker behind an lcore that receives and transmits for it \
         ({cpu}, {}, load average {load_average}). Figures are millions of packets a second at the \
         median of the stretches of 2 ms in which no lcore concerned lost its CPU. Over net_pcap all \
         time of an lcore counts. A connection cannot be played twice, so the lcore that takes the \
         frames of TCP's rows also makes them, and only the time of the journey counts. Behind rings \
         the frames of a capture come faster than the worker takes them: the lcore that receives \
         spends time on frames that its rings refuse.\n\n\
         | traffic | ports | alone | the other | both | sum | times one | rx/tx lcore + worker | times one | stretches |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        date.as_deref().unwrap_or("date not recorded")
    ));
    for row in &scaling.scaling {
        let shown = |mpps: Option<f64>| {
            mpps.map_or_else(|| "not measured".to_owned(), |mpps| format!("{mpps:.2}"))
        };
        let sum = |mpps: [Option<f64>; 2]| Some(mpps[0]? + mpps[1]?);
        let one = sum(row.alone_mpps).map(|sum| sum / 2.0);
        let times = |mpps: Option<f64>| Some(mpps? / one?);
        let both = row.together_mpps.map(shown).join(" + ");
        page.push_str(&format!(
            "| {} | {} | {} | {} | {both} | {} | {} | {} | {} | {} |\n",
            row.title,
            row.ports,
            shown(row.alone_mpps[0]),
            shown(row.alone_mpps[1]),
            shown(sum(row.together_mpps)),
            shown(times(sum(row.together_mpps))),
            shown(row.rings_mpps),
            shown(times(row.rings_mpps)),
            row.stretches,
        ));
    }
    page.push_str(&format!(
        "\nThe two lcores share the last-level cache, memory and the plan, which nobody writes; what is written is named in\n\
         `crates/xtask/src/shared.rs`. {}{}",
        match cores_apart {
            Some(true) => "The kernel was told that each CPU is a core of its own. ",
            Some(false) => "The kernel was told that CPUs are threads that share a core. ",
            None => "",
        },
        scaling.steadiness.sentence(*tsc_hz)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_ratios_are_of_the_mean_core() {
        let scaling: Scaling = serde_json::from_str(
            r#"{"machine": {"cpu": "C", "cpus": 2, "tsc_hz": 2e9, "cores_apart": true, "kernel": "k", "load_average": "0", "date": "d"},
                "steadiness": {"alone_ticks": 20000, "together_ticks": 36000, "slow_per_cent": 1, "taken_per_cent": 0},
                "scaling": [
                    {"title": "A", "ports": "net_pcap", "alone_mpps": [10, 12], "together_mpps": [9, 11], "rings_mpps": 13.2, "stretches": 7},
                    {"title": "B", "ports": "memory", "alone_mpps": [10, 12], "together_mpps": [null, 11], "rings_mpps": null, "stretches": 0}]}"#,
        )
        .unwrap();
        let mut page = String::new();
        section(&mut page, &scaling);
        let row =
            "| A | net_pcap | 10.00 | 12.00 | 9.00 + 11.00 | 20.00 | 1.82 | 13.20 | 1.20 | 7 |";
        assert!(page.contains(row), "{page}");
        let row = "| 10.00 | 12.00 | not measured + 11.00 | not measured | not measured | not measured | not measured | 0 |";
        assert!(page.contains(row), "{page}");
        assert!(
            page.contains("1.80 times as long") && page.contains("two threads of one core"),
            "{page}"
        );
        assert!(page.contains("told that each CPU is a core of its own"), "{page}");
    }
}
