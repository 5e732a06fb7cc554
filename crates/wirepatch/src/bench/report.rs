//! The table, or the same as JSON.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::clock::BenchMachine;
use super::latency::Steadiness;
use super::pairs::PairResult;
use super::row::RowResult;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct BenchReport {
    machine: BenchMachine,
    #[serde(skip_serializing_if = "Option::is_none")]
    steadiness: Option<Steadiness>,
    rows: Vec<RowResult>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pairs: Vec<PairResult>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) scaling: Vec<ScalingResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    testpmd: Option<Testpmd>,
}

/// Rates of one lcore and of two; absent where no stretch was undisturbed.
#[derive(Debug, Serialize)]
pub(super) struct ScalingResult {
    pub(super) row: String,
    pub(super) title: String,
    pub(super) ports: &'static str,
    /// Of each lcore, run to completion: with nothing on the other CPU, and with the other lcore at
    /// the same work.
    pub(super) alone_mpps: [Option<f64>; 2],
    pub(super) together_mpps: [Option<f64>; 2],
    /// Of a worker behind an lcore that receives and sends.
    pub(super) rings_mpps: Option<f64>,
    /// Of those with both lcores at work.
    pub(super) stretches: usize,
}

/// testpmd's forwarding on the ports that the `net_pcap` rows use.
#[derive(Debug, Serialize)]
pub(super) struct Testpmd {
    pub(super) modes: Vec<TestpmdMode>,
    /// Why there is nothing, where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) absent: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct TestpmdMode {
    pub(super) mode: &'static str,
    pub(super) mpps: f64,
    pub(super) cycles_per_packet: f64,
    pub(super) packets: u64,
}

const HEADER: [&str; 11] = [
    "traffic", "ports", "Mpps", "Gbit/s", "cycles", "floor", "journey", "p50 us", "p99 us",
    "p99.9 us", "left as",
];

impl BenchReport {
    pub(super) const fn new(machine: BenchMachine, steadiness: Option<Steadiness>) -> Self {
        Self {
            machine,
            steadiness,
            rows: Vec::new(),
            pairs: Vec::new(),
            scaling: Vec::new(),
            testpmd: None,
        }
    }

    /// Adds the ratio of the rows of each pair.
    pub(super) fn with_pairs(mut self, mut pairs: Vec<PairResult>) -> Self {
        for pair in &mut pairs {
            let cycles = |name: &str| self.rows.iter().find_map(|row| row.cycles_of(name));
            if let (Some(base), Some(other)) = (cycles(&pair.base), cycles(&pair.other)) {
                pair.ratio = other / base;
            }
        }
        self.pairs = pairs;
        self
    }

    /// Adds a row, or the better figures of a row that is there.
    pub(super) fn keep_better(&mut self, new: RowResult) {
        match self.rows.iter_mut().find(|row| row.is_same_row(&new)) {
            Some(row) => row.keep_better(new),
            None => self.rows.push(new),
        }
    }

    /// The same for testpmd.
    #[cfg(feature = "dpdk")]
    pub(super) fn keep_better_testpmd(&mut self, new: Testpmd) {
        let Some(known) = &mut self.testpmd else {
            self.testpmd = Some(new);
            return;
        };
        for mode in new.modes {
            match known.modes.iter_mut().find(|known| known.mode == mode.mode) {
                Some(known) if known.mpps >= mode.mpps => {}
                Some(known) => *known = mode,
                None => known.modes.push(mode),
            }
        }
        known.absent = known.absent.take().and(new.absent);
    }

    /// The frames of every row left for the row's reason.
    pub(super) fn is_as_expected(&self) -> bool {
        self.rows.iter().all(RowResult::is_as_expected)
    }

    pub(super) fn print_json(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing JSON")?;
        print(&format!("{text}\n"))
    }

    pub(super) fn print_table(&self) -> Result<()> {
        let mut lines = vec![HEADER.map(str::to_owned).to_vec()];
        lines.extend(self.rows.iter().map(RowResult::cells));
        if let Some(testpmd) = &self.testpmd {
            for mode in &testpmd.modes {
                let mut line = vec![format!("testpmd {}", mode.mode), "net_pcap".to_owned()];
                line.extend([
                    format!("{:.2}", mode.mpps),
                    "-".to_owned(),
                    format!("{:.0}", mode.cycles_per_packet),
                ]);
                line.resize(HEADER.len(), "-".to_owned());
                lines.push(line);
            }
        }
        let mut text = String::new();
        let width = |at: usize| {
            lines
                .iter()
                .filter_map(|line| line.get(at))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEADER.len()).map(width).collect();
        for line in &lines {
            for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
                // Words to the left, numbers to the right.
                let words = at < 2 || at + 1 == HEADER.len();
                let padded =
                    if words { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
                text.push_str(&padded);
                text.push_str("  ");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for pair in &self.pairs {
            text.push_str(&format!(
                "{}: {:.2} times the cycles, at most {} wanted\n",
                pair.pair, pair.ratio, pair.at_most
            ));
        }
        for ScalingResult { title, ports, alone_mpps, together_mpps, rings_mpps, .. } in
            &self.scaling
        {
            let shown =
                |mpps: &Option<f64>| mpps.map_or("-".to_owned(), |mpps| format!("{mpps:.2}"));
            let both = |mpps: &[Option<f64>; 2]| mpps.each_ref().map(shown).join(" and ");
            text.push_str(&format!(
                "{title} ({ports}), Mpps: {} alone, {} together, {} behind rings\n",
                both(alone_mpps),
                both(together_mpps),
                shown(rings_mpps)
            ));
        }
        if let Some(why) = self.testpmd.as_ref().and_then(|testpmd| testpmd.absent.as_ref()) {
            text.push_str(&format!("testpmd: nothing to compare with: {why}\n"));
        }
        text.push_str(
            "\nMpps and Gbit/s are one core's with all its time; cycles are of the time-stamp counter, from the CPU time of the\n\
             thread; the floor is the same loop without the journey. Latency is at 80 % of that rate.\n",
        );
        print(&text)
    }
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes()).context("writing to standard output")
}
