//! The measurements of `wirepatch bench`, read from `benches/record/throughput.json`.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::record;

/// `wirepatch bench --json`, as far as the page shows it.
#[derive(Debug, Deserialize)]
pub(crate) struct Throughput {
    pub(crate) machine: MeasuredMachine,
    pub(crate) rows: Vec<ThroughputRow>,
    pub(crate) steadiness: Steadiness,
    pub(crate) testpmd: Option<Testpmd>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MeasuredMachine {
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) tsc_hz: f64,
    pub(crate) kernel: String,
    pub(crate) dpdk: Option<String>,
    pub(crate) hugepages: Option<bool>,
    /// The kernel reports that no two CPUs are threads of one core.
    pub(crate) cores_apart: Option<bool>,
    pub(crate) load_average: String,
    pub(crate) date: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ThroughputRow {
    pub(crate) row: String,
    pub(crate) title: String,
    pub(crate) ports: String,
    pub(crate) frame_bytes: f64,
    pub(crate) mpps: f64,
    pub(crate) gbit_per_s: f64,
    pub(crate) cycles_per_packet: f64,
    pub(crate) floor_cycles_per_packet: f64,
    pub(crate) work: Option<f64>,
    pub(crate) journey_cycles_per_packet: f64,
    pub(crate) latency_us: Option<Latency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Testpmd {
    pub(crate) modes: Vec<TestpmdMode>,
    pub(crate) absent: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TestpmdMode {
    pub(crate) mode: String,
    pub(crate) mpps: f64,
    pub(crate) cycles_per_packet: f64,
}

/// In microseconds.
#[derive(Debug, Deserialize)]
pub(crate) struct Latency {
    pub(crate) offered_mpps: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The same load without the journey.
    pub(crate) floor_p50: f64,
    pub(crate) floor_p99: f64,
    pub(crate) stretches: u64,
    pub(crate) stretches_all: u64,
    pub(crate) turns: TurnTimes,
    pub(crate) control: Control,
}

/// The same load through as much work in registers.
#[derive(Debug, Deserialize)]
pub(crate) struct Control {
    pub(crate) p99: f64,
    pub(crate) turns: TurnTimes,
}

/// How long turns with frames took, and gaps in turns without.
#[derive(Debug, Deserialize)]
pub(crate) struct TurnTimes {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
    pub(crate) busy_per_cent: f64,
    pub(crate) gaps_per_s: f64,
    pub(crate) gap_max: f64,
}

/// How evenly work in registers ran.
#[derive(Debug, Deserialize)]
pub(crate) struct Steadiness {
    pub(crate) alone_ticks: f64,
    pub(crate) together_ticks: f64,
    pub(crate) slow_per_cent: f64,
    pub(crate) taken_per_cent: f64,
}

impl Throughput {
    /// Reads the record.
    pub(crate) fn read() -> Result<Self> {
        serde_json::from_str(&record::read("throughput.json")?).context("record/throughput.json")
    }
}

/// Whether a figure reaches its aim, in words.
pub(crate) fn verdict(found: f64, aim: f64) -> String {
    if found >= aim {
        "met".to_owned()
    } else {
        format!("missed by {:.0} %", 100.0 * (1.0 - found / aim))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_aim_says_by_how_much() {
        assert_eq!(verdict(10.0, 10.0), "met");
        assert_eq!(verdict(7.5, 10.0), "missed by 25 %");
    }
}
