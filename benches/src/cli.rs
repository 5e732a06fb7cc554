//! The command line.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::record::Change;
use crate::{callgrind, page, record, work};

const USAGE: &str = "\
usage: cargo run --release -p benches -- WHAT

  --record   counts instructions and writes benches/record/instructions.json
  --check    counts instructions and compares them with the record; more than 3 % more is an error
  --page     writes docs/performance.md from benches/record/, and the costs that `wirepatch explain --budget` counts with
  --work [ROW...]
             does the work that is counted (run under callgrind by the others)

Throughput comes from `wirepatch bench --json > benches/record/throughput.json`.
";

pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> Result<ExitCode> {
    let what = arguments.next().unwrap_or_default();
    let rows: Vec<String> = arguments.collect();
    if !rows.is_empty() && what != "--work" {
        bail!("one argument only\n{USAGE}");
    }
    match what.as_str() {
        "--record" => {
            let Some(counted) = callgrind::count()? else { bail!("valgrind is not installed") };
            record::write_instructions(&counted)?;
            say(&record::table(&counted));
            Ok(ExitCode::SUCCESS)
        }
        "--check" => check(),
        "--page" => {
            page::write()?;
            Ok(ExitCode::SUCCESS)
        }
        "--work" => {
            work::all(&rows);
            Ok(ExitCode::SUCCESS)
        }
        "--help" | "-h" => {
            say(USAGE);
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("what is to be done?\n{USAGE}"),
    }
}

fn check() -> Result<ExitCode> {
    let Some(counted) = callgrind::count()? else {
        say("instruction counts: 1 skipped: valgrind is not installed\n");
        return Ok(ExitCode::SUCCESS);
    };
    let changes = record::compare(&record::read_instructions()?, &counted);
    for change in &changes {
        say(&format!("{change}\n"));
    }
    let worse = changes.iter().filter(|change| change.is_worse()).count();
    let better = changes.iter().filter(|change| matches!(change, Change::Less { .. })).count();
    say(&format!(
        "instruction counts: {} rows, {worse} worse, {better} better\n",
        counted.rows.len()
    ));
    if worse > 0 {
        say("if the growth is wanted: `make bench-record`, and say why in the commit\n");
    }
    Ok(if worse > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

pub(crate) fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

pub(crate) fn say_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
