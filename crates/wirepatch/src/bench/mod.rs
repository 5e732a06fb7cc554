//! `wirepatch bench`: the whole journey on in-memory ports, and beside it testpmd's forwarding on
//! the same ports.
//!
//! Holds:     the rows, the measurements of each, and the table.
//! Promises:  cycles come from the CPU time of the thread that ran the journey, so a busy machine
//!            does not spoil them; every row names the reasons of its frames, and one that did
//!            not do what it is named for is an error.
//! Never:     plays a client's conversation twice.

mod clock;
#[cfg(feature = "dpdk")]
mod feeder;
#[cfg(feature = "dpdk")]
mod histogram;
mod latency;
#[cfg(feature = "dpdk")]
mod lcore;
mod memory;
mod pairs;
#[cfg(feature = "dpdk")]
mod ports;
mod report;
#[cfg(feature = "dpdk")]
mod rings;
mod row;
#[cfg(feature = "dpdk")]
mod scaling;
#[cfg(not(feature = "dpdk"))]
mod single;
#[cfg(feature = "dpdk")]
mod steady;
#[cfg(feature = "dpdk")]
mod testpmd;
#[cfg(feature = "dpdk")]
mod turns;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::BenchArgs;
use pairs::PairResult;
use report::BenchReport;
use row::BenchRow;

/// Runs the rows that were asked for.
pub(crate) fn bench(args: &BenchArgs) -> Result<ExitCode> {
    let report = if args.scaling {
        scaling(args)?
    } else if args.pairs {
        let pairs = pairs::all(&args.rows)?;
        let sides = pairs.into_iter().map(|pair| {
            let result = PairResult {
                pair: pair.name,
                base: pair.base.name(),
                other: pair.other.name(),
                ratio: 0.0,
                at_most: pair.at_most,
            };
            ([pair.base, pair.other], result)
        });
        let (rows, results): (Vec<_>, Vec<_>) = sides.unzip();
        let rows: Vec<BenchRow> = rows.into_iter().flatten().collect();
        run(&rows, args)?.with_pairs(results)
    } else {
        let rows = row::chosen(&args.rows, &args.patches, &args.library)?;
        run(&rows, args)?
    };
    if args.json {
        report.print_json()?
    } else {
        report.print_table()?
    }
    Ok(if report.is_as_expected() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

#[cfg(feature = "dpdk")]
fn scaling(args: &BenchArgs) -> Result<BenchReport> {
    let bench = lcore::Bench::start(args)?;
    let mut report = BenchReport::new(bench.machine(), Some(steady::measure(&bench)?));
    report.scaling = scaling::measure(&bench, args)?;
    Ok(report)
}

#[cfg(not(feature = "dpdk"))]
fn scaling(_args: &BenchArgs) -> Result<BenchReport> {
    anyhow::bail!("--scaling runs DPDK's lcores, and this was built without DPDK")
}

#[cfg(feature = "dpdk")]
fn run(rows: &[BenchRow], args: &BenchArgs) -> Result<BenchReport> {
    let bench = lcore::Bench::start(args)?;
    let mut report = BenchReport::new(bench.machine(), Some(steady::measure(&bench)?));
    // Rows and testpmd take turns, so that figures to be compared were measured close together.
    for _ in 0..args.repeat {
        for row in rows {
            crate::output::say_error(&format!("wirepatch bench: {}\n", row.title()));
            report.keep_better(rings::measure(&bench, row)?);
        }
        // A pair is about the journey, whatever brings its frames.
        let over_ports = rows.iter().filter(|row| !args.pairs && ports::concerns(row.kind));
        for row in over_ports {
            crate::output::say_error(&format!(
                "wirepatch bench: {}, net_pcap ports\n",
                row.title()
            ));
            report.keep_better(ports::measure(&bench, row)?);
        }
        if !args.no_testpmd && !args.pairs {
            crate::output::say_error("wirepatch bench: testpmd, net_pcap ports\n");
            report.keep_better_testpmd(testpmd::measure(&bench));
        }
    }
    Ok(report)
}

#[cfg(not(feature = "dpdk"))]
fn run(rows: &[BenchRow], args: &BenchArgs) -> Result<BenchReport> {
    let hz = clock::nominal_hz();
    let mut report = BenchReport::new(clock::machine(hz, None, None), None);
    for _ in 0..args.repeat {
        for row in rows {
            crate::output::say_error(&format!("wirepatch bench: {}\n", row.title()));
            report.keep_better(single::measure(row, args.seconds, hz)?);
        }
    }
    Ok(report)
}
