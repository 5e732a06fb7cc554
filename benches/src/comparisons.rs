//! The part of the page that sets one thing beside another: pairs of rows, the journey and no
//! journey, a connection more, and reverse proxies.

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::measured::{MeasuredMachine, Throughput, ThroughputRow, verdict};
use crate::{latency, record};

/// `wirepatch bench --pairs --json`.
#[derive(Debug, Deserialize)]
struct PairsRecord {
    machine: MeasuredMachine,
    rows: Vec<PairRow>,
    pairs: Vec<PairRatio>,
}

#[derive(Debug, Deserialize)]
struct PairRow {
    #[serde(flatten)]
    row: ThroughputRow,
    opening_bytes: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct PairRatio {
    base: String,
    other: String,
    ratio: f64,
    at_most: f64,
}

/// The output of `benches/proxies.py`.
#[derive(Debug, Deserialize)]
struct ProxiesRecord {
    machine: ProxyMachine,
    /// `veth`.
    wires: String,
    proxy_cpus: Vec<u32>,
    other_cpus: Vec<u32>,
    request_bytes: u32,
    rows: Vec<ProxyRow>,
    absent: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ProxyMachine {
    cpu: String,
    load_average: String,
    date: String,
}

#[derive(Debug, Deserialize)]
struct ProxyRow {
    proxy: String,
    version: String,
    requests_per_s: f64,
    cpu_us: f64,
    system_us: f64,
}

/// Connections of the row with many of them, and of the one with few.
const MANY_CONNECTIONS: f64 = 1_048_576.0;
const FEW_CONNECTIONS: f64 = 1_024.0;

/// Bytes of memory a connection may take.
const CONNECTION_BYTES_AIM: f64 = 256.0;

/// A request and its answer.
const PACKETS_A_REQUEST: f64 = 2.0;

pub(crate) fn write(page: &mut String, throughput: &Throughput) -> Result<()> {
    let pairs: PairsRecord =
        serde_json::from_str(&record::read("pairs.json")?).context("record/pairs.json")?;
    let found: ProxiesRecord =
        serde_json::from_str(&record::read("proxies.json")?).context("record/proxies.json")?;
    ratios(page, &pairs);
    memory(page, &pairs);
    latency::write(page, throughput);
    proxies(page, &found, &pairs);
    Ok(())
}

impl PairsRecord {
    fn row(&self, name: &str) -> Option<&PairRow> {
        self.rows.iter().find(|found| found.row.row == name)
    }
}

fn ratios(page: &mut String, pairs: &PairsRecord) {
    let MeasuredMachine { cpu, date, load_average, .. } = &pairs.machine;
    page.push_str(&format!(
        "\n## Ratios\n\n\
         Both rows of a pair are measured in turns on the same lcores in one run ({cpu}, {}, load \
         average {load_average}); each has its best round. Connections come in random order, each \
         once before any comes again.\n\n\
         | traffic | cycles a packet | beside it | cycles a packet | times | at most | |\n|---|--:|---|--:|--:|--:|---|\n",
        date.as_deref().unwrap_or("date not recorded")
    ));
    for pair in &pairs.pairs {
        let (Some(base), Some(other)) = (pairs.row(&pair.base), pairs.row(&pair.other)) else {
            continue;
        };
        page.push_str(&format!(
            "| {} | {:.0} | {} | {:.0} | {:.2} | {} | {} |\n",
            base.row.title,
            base.row.cycles_per_packet,
            other.row.title,
            other.row.cycles_per_packet,
            pair.ratio,
            pair.at_most,
            // A smaller ratio is better: the verdict's "missed by" is of the rate.
            verdict(pair.at_most / pair.ratio, 1.0),
        ));
    }
    page.push_str(
        "\nAn edited packet at 1.25 times the cycles of an unedited one keeps 80 % of the rate. A \
         million connections run the same instructions as a thousand: the difference is loads that \
         miss the caches. A datagram that becomes shorter is edited in place. Every other edited \
         packet is written anew and summed whole. An edited request takes the full decoder, which an \
         unedited one never takes, and every later packet of its connection has its sequence or \
         acknowledgement number moved.\n",
    );
}

fn memory(page: &mut String, pairs: &PairsRecord) {
    let bytes = |name: &str| pairs.row(name).and_then(|row| row.opening_bytes);
    let (Some(few), Some(many)) = (bytes("tcp-acks-few"), bytes("tcp-acks-many")) else { return };
    let each = (many - few) / (MANY_CONNECTIONS - FEW_CONNECTIONS);
    page.push_str(&format!(
        "\n## Memory of a connection\n\n\
         {each:.0} bytes an idle connection, with its share of the table's index and of the memory \
         beside it: the memory that the process took while 1,048,576 connections opened, less the \
         memory for 1,024, divided by the difference. The aim is {CONNECTION_BYTES_AIM} bytes, {}. \
         Held bytes and copies come on top, within `limits.copies_mib`.\n",
        if each <= CONNECTION_BYTES_AIM {
            "met".to_owned()
        } else {
            format!("missed by {:.0} bytes", each - CONNECTION_BYTES_AIM)
        }
    ));
}

fn proxies(page: &mut String, found: &ProxiesRecord, pairs: &PairsRecord) {
    let ProxyMachine { cpu, load_average, date } = &found.machine;
    let shown = |cpus: &[u32]| match cpus {
        [cpu] => format!("CPU {cpu}"),
        _ => "CPUs of their own".to_owned(),
    };
    page.push_str(&format!(
        "\n## Beside reverse proxies\n\n\
         CPU time of a request of {} bytes whose User-Agent is shortened to 48, and of its answer of \
         200 bytes ({cpu}, {date}, load average {load_average}). The proxies are Debian's, with one \
         worker and keep-alive on both sides, over {} between three network namespaces: wrk, the \
         proxy with {} to itself, nginx. wrk and nginx share {}, the same for every proxy. System \
         calls count, because a proxy reads a request from a socket. So does the work of the kernel \
         for both wires on that CPU. ModSecurity can refuse but not edit: it has four rules like the \
         bench's, and nginx shortens. wirepatch's figure is the journey over rings of the row above, \
         request and answer. It lacks the driver of a NIC, which costs some tens of nanoseconds a \
         packet. `benches/proxies.py` measures the proxies again.\n\n\
         | | us a request | of it in the kernel | requests a second, this run | times wirepatch |\n|---|--:|--:|--:|--:|\n",
        found.request_bytes,
        found.wires,
        shown(&found.proxy_cpus),
        shown(&found.other_cpus),
    ));
    let ours = pairs
        .row("http-requests-edited")
        .map(|found| found.row.cycles_per_packet * PACKETS_A_REQUEST / pairs.machine.tsc_hz * 1e6);
    if let Some(us) = ours {
        page.push_str(&format!("| wirepatch | {us:.2} | 0 | {:.0} (one core) | 1 |\n", 1e6 / us));
    }
    for row in &found.rows {
        let times = ours.map_or_else(|| "-".to_owned(), |us| format!("{:.1}", row.cpu_us / us));
        // "nginx version: nginx/1.22.1", "HAProxy version 2.6.12-1 2026/10/17 -
        // https://haproxy.org/"
        let mut words = row.version.split([' ', '/']);
        let version = words
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
            .unwrap_or("version unknown");
        page.push_str(&format!(
            "| {} ({version}) | {:.1} | {:.1} | {:.0} | {times} |\n",
            row.proxy, row.cpu_us, row.system_us, row.requests_per_s
        ));
    }
    if !found.absent.is_empty() {
        page.push_str(&format!("\nNot installed, so not measured: {}.\n", found.absent.join(", ")));
    }
}
