//! Rows that mean something only beside another: both are measured in turns, in one run, on the
//! same lcores.

use anyhow::{Context as _, Result};
use offline::load::{PatchFiles, TrafficKind};
use serde::Serialize;

use super::row::{BenchRow, RowNames};
use crate::output::Usage;

/// A row, and the row that it is compared with.
#[derive(Debug)]
pub(super) struct RowPair {
    pub(super) name: &'static str,
    pub(super) base: BenchRow,
    pub(super) other: BenchRow,
    /// The limit of the other's cycles, as a multiple of the base's.
    pub(super) at_most: f64,
}

/// A pair in the report.
#[derive(Debug, Serialize)]
pub(super) struct PairResult {
    pub(super) pair: &'static str,
    pub(super) base: String,
    pub(super) other: String,
    /// Cycles of the other for one of the base's, floors included.
    pub(super) ratio: f64,
    pub(super) at_most: f64,
}

/// All pairs, or the one of this name.
pub(super) fn all(names: &[String]) -> Result<Vec<RowPair>> {
    let mut pairs = Vec::new();
    for (name, make) in PAIRS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            pairs.push(make(name)?);
        }
    }
    if pairs.is_empty() {
        let all = PAIRS.map(|(name, _)| name).join(", ");
        return Err(
            Usage(format!("no pair is called `{}`; there are {all}", names.join(" "))).into()
        );
    }
    Ok(pairs)
}

type Make = fn(&'static str) -> Result<RowPair>;

const PAIRS: [(&str, Make); 6] = [
    ("patches-dns", patches_dns),
    ("patches-http", patches_http),
    ("connections", connections),
    ("edited-requests", edited_requests),
    ("edited-responses", edited_responses),
    ("edited-dns", edited_dns),
];

fn patches_dns(name: &'static str) -> Result<RowPair> {
    let base = RowNames { name: "dns-1-patch", title: "DNS queries, none edited, 1 patch" };
    let other =
        RowNames { name: "dns-10000-patches", title: "DNS queries, none edited, 10,000 patches" };
    one_and_many(name, TrafficKind::Dns, base, other)
}

fn patches_http(name: &'static str) -> Result<RowPair> {
    let base = RowNames { name: "http-1-patch", title: "HTTP requests, none edited, 1 patch" };
    let other = RowNames {
        name: "http-10000-patches",
        title: "HTTP requests, none edited, 10,000 patches",
    };
    one_and_many(name, TrafficKind::HttpRequests, base, other)
}

fn one_and_many(
    name: &'static str,
    kind: TrafficKind,
    base: RowNames,
    other: RowNames,
) -> Result<RowPair> {
    let (one, many) = kind.one_and_many().context("no such sets for this kind")?;
    Ok(RowPair {
        name,
        base: BenchRow::of_pair(kind, base, &one, None)?,
        other: BenchRow::of_pair(kind, other, &many, None)?,
        at_most: 1.1,
    })
}

fn connections(name: &'static str) -> Result<RowPair> {
    let side = |kind: TrafficKind| {
        BenchRow::of_pair(
            kind,
            RowNames { name: kind.name(), title: kind.title() },
            &own(kind),
            None,
        )
    };
    Ok(RowPair {
        name,
        base: side(TrafficKind::TcpAcksFew)?,
        other: side(TrafficKind::TcpAcksMany)?,
        at_most: 2.0,
    })
}

fn edited_requests(name: &'static str) -> Result<RowPair> {
    let titles = [
        RowNames {
            name: "http-requests-unedited",
            title: "HTTP requests, a rule on User-Agent that never fires",
        },
        RowNames {
            name: "http-requests-edited",
            title: "HTTP requests, each with its User-Agent shortened",
        },
    ];
    edited_http(name, TrafficKind::HttpRequests, titles)
}

fn edited_responses(name: &'static str) -> Result<RowPair> {
    let titles = [
        RowNames {
            name: "http-responses-unedited",
            title: "HTTP with full-size responses, a rule on User-Agent that never fires",
        },
        RowNames {
            name: "http-responses-edited",
            title: "HTTP with full-size responses, each request's User-Agent shortened",
        },
    ];
    edited_http(name, TrafficKind::HttpResponses, titles)
}

/// The bench's User-Agent, and the length that the patch of an edited row keeps.
const AGENT_BYTES: u32 = 70;
const AGENT_KEPT_BYTES: u32 = 48;

fn edited_http(
    name: &'static str,
    kind: TrafficKind,
    [unedited, edited]: [RowNames; 2],
) -> Result<RowPair> {
    let with = |to: u32| {
        let mut files = own(kind);
        files.push((
            "bench-agent".to_owned(),
            format!(
                "patch: bench-agent\ntitle: a bound on one header\nprotocol: http\nscope: {{ direction: request }}\nrules:\n  - truncate: http.user_agent\n    to: {to}\n"
            ),
        ));
        files
    };
    Ok(RowPair {
        name,
        base: BenchRow::of_pair(kind, unedited, &with(256), None)?,
        other: BenchRow::of_pair(
            kind,
            edited,
            &with(AGENT_KEPT_BYTES),
            Some(AGENT_BYTES - AGENT_KEPT_BYTES),
        )?,
        at_most: 1.25,
    })
}

fn edited_dns(name: &'static str) -> Result<RowPair> {
    let with = |to: u32| {
        vec![(
            "bench-dns".to_owned(),
            format!(
                "patch: bench-dns\ntitle: a bound on names\nprotocol: dns\nscope: {{ transport: udp }}\nrules:\n  - truncate: dns.qry.name\n    to: {to}\n"
            ),
        )]
    };
    let kind = TrafficKind::DnsEdited;
    Ok(RowPair {
        name,
        base: BenchRow::of_pair(
            kind,
            RowNames {
                name: "dns-unedited",
                title: "DNS queries of long names, a rule that never fires",
            },
            &with(253),
            None,
        )?,
        other: BenchRow::of_pair(
            kind,
            RowNames { name: "dns-shortened", title: "DNS queries of long names, each shortened" },
            &with(48),
            Some(0),
        )?,
        at_most: 1.25,
    })
}

fn own(kind: TrafficKind) -> PatchFiles {
    kind.patches().iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_compiles_and_is_two_rows() {
        for pair in all(&[]).unwrap() {
            assert_ne!(pair.base.name(), pair.other.name());
            assert!(
                pair.base.publisher().is_ok() && pair.other.publisher().is_ok(),
                "{}",
                pair.name
            );
        }
        assert!(all(&["nothing".to_owned()]).is_err());
    }
}
