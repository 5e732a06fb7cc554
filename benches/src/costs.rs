//! The costs that `wirepatch explain --budget` computes with: a few rows of the record, put beside
//! the program that uses them.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::measured::{MeasuredMachine, Throughput};
use crate::record::{Instructions, RowCount};

/// `crates/wirepatch/src/budget/costs.json`.
#[derive(Debug, Serialize)]
struct Costs {
    machine: CostMachine,
    rows: Vec<CostRow>,
    decoders: Vec<DecoderCost>,
}

#[derive(Debug, Serialize)]
struct CostMachine {
    cpu: String,
    ghz: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    load_average: String,
}

/// One row: cycles a packet, floor included, and the instructions of a packet by purpose.
#[derive(Debug, Serialize)]
struct CostRow {
    traffic: &'static str,
    set: &'static str,
    ports: String,
    frame_bytes: f64,
    cycles: f64,
    floor: f64,
    /// The work of the set's rules for one message; see `budget`.
    #[serde(skip_serializing_if = "Option::is_none")]
    work: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<Spent>,
}

/// Instructions a packet.
#[derive(Debug, Serialize)]
struct Spent {
    all: f64,
    /// Of them, those that grow with the message and the rules: steps 6 and 7, and the functions
    /// that they call.
    message: f64,
    /// Of them, step 7.
    decide: f64,
}

/// The dearest message of a protocol, a byte.
#[derive(Debug, Serialize)]
struct DecoderCost {
    protocol: String,
    bytes: f64,
    instructions: f64,
}

/// Traffic the contract speaks of, and the ports its rows are taken from: those of a driver where
/// there are such.
const TRAFFIC: [(&str, &str); 5] = [
    ("udp-out-of-scope", "net_pcap"),
    ("dns", "net_pcap"),
    ("http-requests", "rings"),
    ("http-responses", "rings"),
    ("tcp-acks", "rings"),
];

/// A row of the bench's own patches, and of the library's.
const SETS: [(&str, &str); 2] = [("own", ""), ("library", "-library")];

pub(crate) fn write(throughput: &Throughput, instructions: &Instructions) -> Result<()> {
    let path = path();
    std::fs::write(&path, text(throughput, instructions)?)
        .with_context(|| format!("writing {}", path.display()))
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/wirepatch/src/budget/costs.json")
}

fn text(throughput: &Throughput, instructions: &Instructions) -> Result<String> {
    let mut text =
        serde_json::to_string_pretty(&costs(throughput, instructions)?).context("writing JSON")?;
    text.push('\n');
    Ok(text)
}

fn costs(throughput: &Throughput, instructions: &Instructions) -> Result<Costs> {
    let MeasuredMachine { cpu, tsc_hz, date, load_average, .. } = &throughput.machine;
    let mut rows = Vec::new();
    for (traffic, ports) in TRAFFIC {
        for (set, suffix) in SETS {
            let name = format!("{traffic}{suffix}");
            let found = throughput.rows.iter().find(|row| row.row == name && row.ports == ports);
            let row = found.with_context(|| {
                format!("record/throughput.json has no row {name} over {ports}: the contract counts with it")
            })?;
            let count = instructions.rows.iter().find(|row| row.name == format!("journey/{name}"));
            rows.push(CostRow {
                traffic,
                set,
                ports: ports.to_owned(),
                frame_bytes: row.frame_bytes,
                cycles: tenths(row.cycles_per_packet),
                floor: tenths(row.floor_cycles_per_packet),
                work: row.work,
                instructions: count.map(spent),
            });
        }
    }
    let machine = CostMachine {
        cpu: cpu.clone(),
        ghz: tsc_hz / 1e9,
        date: date.clone(),
        load_average: load_average.clone(),
    };
    Ok(Costs { machine, rows, decoders: decoders(instructions)? })
}

fn spent(row: &RowCount) -> Spent {
    let of = |wanted: &[&str]| {
        let steps = row.steps.iter().filter(|(step, _)| wanted.contains(&step.as_str()));
        tenths(steps.map(|(_, count)| count).sum())
    };
    Spent {
        all: row.instructions,
        message: of(&["6 dissect", "7 decide", "standard library"]),
        decide: of(&["7 decide"]),
    }
}

/// `decoder/dns-query` and `decoder/dns-response` become one: the one that is dearer a byte.
fn decoders(instructions: &Instructions) -> Result<Vec<DecoderCost>> {
    let mut found: Vec<DecoderCost> = Vec::new();
    for row in &instructions.rows {
        let Some(name) = row.name.strip_prefix("decoder/") else { continue };
        let protocol = name.split('-').next().unwrap_or(name);
        let mut words = row.title.split(' ').skip_while(|word| word.parse::<f64>().is_err());
        let bytes: f64 = words
            .next()
            .and_then(|word| word.parse().ok())
            .with_context(|| format!("{}: how long is that message?", row.title))?;
        let new =
            DecoderCost { protocol: protocol.to_owned(), bytes, instructions: row.instructions };
        match found.iter_mut().find(|known| known.protocol == protocol) {
            Some(known) if known.instructions / known.bytes >= new.instructions / new.bytes => {}
            Some(known) => *known = new,
            None => found.push(new),
        }
    }
    Ok(found)
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    #[test]
    fn the_costs_are_what_the_record_says() {
        let throughput: Throughput =
            serde_json::from_str(&record::read("throughput.json").unwrap()).unwrap();
        let instructions = record::read_instructions().unwrap();
        let kept = std::fs::read_to_string(path()).unwrap();
        assert!(
            kept == text(&throughput, &instructions).unwrap(),
            "crates/wirepatch/src/budget/costs.json is out of date: run `make bench-page`"
        );
    }
}
