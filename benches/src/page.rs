//! `docs/performance.md`, made of the record.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::measured::{MeasuredMachine, Throughput, verdict};
use crate::record::{self, Instructions};
use crate::{comparisons, costs, scaling};

/// 64-byte UDP out of scope, as a share of testpmd's macswap on the same ports.
const MACSWAP_SHARE_AIM: f64 = 0.6;

/// Of the first release: row, ports, Mpps.
const FIRST_AIMS: [(&str, &str, f64); 2] =
    [("dns-library", "net_pcap", 10.0), ("dns-library", "rings", 10.0)];

/// Of line rate: row, ports, Mpps. (40 Gbit/s of responses, at the mean length of that row's
/// frames.)
const LINE_RATE_AIMS: [(&str, &str, f64); 7] = [
    ("udp-out-of-scope-library", "net_pcap", 25.0),
    ("udp-half-library", "net_pcap", 14.88),
    ("dns-library", "net_pcap", 14.88),
    ("dns-edited", "net_pcap", 8.0),
    ("tcp-acks-many-library", "rings", 14.88),
    ("http-requests-library", "rings", 5.0),
    ("http-responses-library", "rings", 5.04),
];

/// Writes the page, and the costs that the program takes along.
pub(crate) fn write() -> Result<()> {
    let path = path();
    std::fs::write(&path, page()?).with_context(|| format!("writing {}", path.display()))?;
    costs::write(&Throughput::read()?, &record::read_instructions()?)
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/performance.md")
}

fn page() -> Result<String> {
    let throughput = Throughput::read()?;
    let instructions = record::read_instructions()?;
    let mut page = INTRODUCTION.to_owned();
    machine(&mut page, &throughput.machine, &instructions);
    rates(&mut page, &throughput);
    aims(&mut page, &throughput);
    comparisons::write(&mut page, &throughput)?;
    scaling::write(&mut page)?;
    steps(&mut page, &instructions);
    decoders(&mut page, &instructions);
    page.push_str(HOW);
    Ok(wrapped(&page))
}

/// Prose at 100 columns; tables, headings, lists and code stay as they are.
fn wrapped(page: &str) -> String {
    const COLUMNS: usize = 100;
    let mut out = String::new();
    let mut is_code = false;
    for line in page.lines() {
        is_code ^= line.starts_with("```");
        if is_code || line.starts_with('|') || line.chars().count() <= COLUMNS {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let hang = if line.starts_with("- ") { "  " } else { "" };
        let mut columns = 0;
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            if columns > 0 && columns + 1 + length > COLUMNS {
                out.push('\n');
                out.push_str(hang);
                columns = hang.len();
            } else if columns > 0 {
                out.push(' ');
                columns += 1;
            }
            out.push_str(word);
            columns += length;
        }
        out.push('\n');
    }
    out
}

const INTRODUCTION: &str = "\
# Performance

<!-- Made by `make bench-page` from benches/record/; do not edit. -->

This page shows how fast the journey is on one core, and where its instructions go. Cycles are those
of the time-stamp counter, from the CPU time of the thread that ran the journey. The floor is the
same loop without the journey. Mpps and Gbit/s are the rate of one core that does nothing else,
floor included.
";

fn machine(page: &mut String, machine: &MeasuredMachine, instructions: &Instructions) {
    let memory = match machine.hugepages {
        Some(true) => "hugepages of 2 MiB",
        Some(false) => "no hugepages",
        None => "no DPDK",
    };
    page.push_str(&format!(
        "\n## The machine\n\n{}, {} CPUs, time-stamp counter {:.2} GHz, Linux {}, {}, {memory}; load average when the run began: {}.\n\
         Instructions were counted by {}.\n",
        machine.cpu,
        machine.cpus,
        machine.tsc_hz / 1e9,
        machine.kernel,
        machine.dpdk.as_deref().unwrap_or("built without DPDK"),
        machine.load_average,
        instructions.valgrind,
    ));
}

fn rates(page: &mut String, throughput: &Throughput) {
    page.push_str(
        "\n## Rates\n\n\
         `rings`: one lcore writes frames from templates, with new addresses so that no client comes \
         twice; the journey runs on another lcore. `net_pcap`: two ports play a capture of 4,096 \
         clients from memory and drop what is sent; testpmd forwards on the same ports. A row that \
         names a number of patches has the whole library; the other rows have the few patches of the \
         bench. Each row is the best of several rounds, because other programs on the machine can \
         only make a row slower.\n\n\
         | traffic | ports | frame bytes | Mpps | Gbit/s | cycles a packet | floor | journey |\n\
         |---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in &throughput.rows {
        page.push_str(&format!(
            "| {} | {} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} |\n",
            row.title,
            row.ports,
            row.frame_bytes,
            row.mpps,
            row.gbit_per_s,
            row.cycles_per_packet,
            row.floor_cycles_per_packet,
            row.journey_cycles_per_packet,
        ));
    }
    let Some(testpmd) = &throughput.testpmd else { return };
    for mode in &testpmd.modes {
        page.push_str(&format!(
            "| testpmd `{}` | net_pcap | 64 | {:.2} | {:.2} | {:.0} | - | - |\n",
            mode.mode,
            mode.mpps,
            mode.mpps * 64.0 * 8.0 / 1e3,
            mode.cycles_per_packet
        ));
    }
    if let Some(why) = &testpmd.absent {
        page.push_str(&format!("\nNothing of testpmd: {why}.\n"));
    }
}

fn aims(page: &mut String, throughput: &Throughput) {
    let row = |name: &str, ports: &str| {
        throughput.rows.iter().find(|row| row.row == name && row.ports == ports)
    };
    let modes = throughput.testpmd.iter().flat_map(|testpmd| &testpmd.modes);
    let macswap = modes.into_iter().find(|mode| mode.mode == "macswap");
    page.push_str("\n## Aims\n\n");
    if let (Some(ours), Some(macswap)) = (row("udp-out-of-scope", "net_pcap"), macswap) {
        let share = ours.mpps / macswap.mpps;
        page.push_str(&format!(
            "- 64-byte UDP out of scope at 60 % of testpmd's macswap on the same ports: {:.0} %, {}.\n",
            share * 100.0,
            verdict(share, MACSWAP_SHARE_AIM)
        ));
    }
    let mut list = |aims: &[(&str, &str, f64)]| {
        for &(name, ports, aim) in aims {
            if let Some(found) = row(name, ports) {
                page.push_str(&format!(
                    "- {} at {aim} Mpps ({ports}): {:.2} Mpps, {}.\n",
                    found.title,
                    found.mpps,
                    verdict(found.mpps, aim)
                ));
            }
        }
    };
    list(&FIRST_AIMS);
    list(&LINE_RATE_AIMS);
    page.push_str(BOTTLENECKS);
}

/// Where the instructions of rows that miss their aim go, and what was tried.
const BOTTLENECKS: &str = include_str!("bottlenecks.md");

fn steps(page: &mut String, instructions: &Instructions) {
    let rows: Vec<_> = instructions.rows.iter().filter(|row| !row.steps.is_empty()).collect();
    let mut names: Vec<&str> = rows
        .iter()
        .flat_map(|row| row.steps.keys())
        .map(String::as_str)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    // Steps by their number, then what has none.
    names.sort_by_key(|name| {
        let number = name.split(' ').next().and_then(|number| number.parse::<u32>().ok());
        (number.unwrap_or(u32::MAX), *name)
    });
    page.push_str(
        "\n## Where the instructions go\n\nInstructions a packet, by the step whose file they were \
         written in. They repeat exactly for the same program, and `make bench-check` fails when a \
         row grows by more than 3 %.\n\n| step |",
    );
    for row in &rows {
        page.push_str(&format!(" {} |", row.name.trim_start_matches("journey/")));
    }
    page.push_str("\n|---|");
    page.push_str(&"--:|".repeat(rows.len()));
    page.push('\n');
    for name in names {
        page.push_str(&format!("| {name} |"));
        for row in &rows {
            page.push_str(
                &row.steps
                    .get(name)
                    .map_or_else(|| " |".to_owned(), |count| format!(" {count:.1} |")),
            );
        }
        page.push('\n');
    }
    page.push_str("| **all** |");
    for row in &rows {
        page.push_str(&format!(" **{:.1}** |", row.instructions));
    }
    page.push('\n');
}

fn decoders(page: &mut String, instructions: &Instructions) {
    page.push_str("\n## Decoders\n\nInstructions for one message, with every field of the protocol wanted.\n\n| message | instructions |\n|---|--:|\n");
    for row in instructions.rows.iter().filter(|row| row.steps.is_empty()) {
        page.push_str(&format!("| {} | {:.0} |\n", row.title, row.instructions));
    }
}

const HOW: &str = "
## To measure again

```
# Rates; needs about 512 hugepages of 2 MiB.
wirepatch bench --hugepages --library patches --repeat 5 --seconds 1 --json > benches/record/throughput.json
wirepatch bench --hugepages --pairs --repeat 5 --seconds 1 --json > benches/record/pairs.json
# Two lcores at a time.
wirepatch bench --hugepages --scaling --library patches --repeat 5 --seconds 1 --json > benches/record/scaling.json
# Reverse proxies; needs nginx, haproxy, wrk and libnginx-mod-http-modsecurity.
python3 benches/proxies.py > benches/record/proxies.json
# Instructions, under callgrind, and this page.
make bench-record bench-page
# All of it:
make bench-rates
```

Latencies and wall-clock rates need an idle machine with a CPU for each busy lcore. Instruction counts
do not, and cycles from CPU time hardly depend on it.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_keeps_to_a_hundred_columns() {
        let long = "word ".repeat(30);
        let page = wrapped(&format!("{long}\n| {long} |\n- {long}\n"));
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines.len(), 5, "{page}");
        assert!(lines[0].len() <= 100 && lines[2].len() > 100);
        assert!(lines[3].starts_with("- word") && lines[4].starts_with("  word"));
    }

    #[test]
    fn the_page_is_what_the_record_says() {
        let written = std::fs::read_to_string(path()).unwrap();
        assert!(
            written == page().unwrap(),
            "docs/performance.md is out of date: run `make bench-page`"
        );
    }
}
