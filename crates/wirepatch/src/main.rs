//! The inline patch proxy: arguments in, exit code out.

mod bench;
mod budget;
mod cli;
mod commands;
#[cfg(feature = "dpdk")]
mod nic;
mod output;
mod proof;
#[cfg(feature = "dpdk")]
mod run;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use cli::{Cli, Command};

/// A million connections are looked up in tables of hundreds of MiB.
#[cfg(feature = "dpdk")]
#[global_allocator]
static MEMORY: capsule::LargePages = capsule::LargePages;

fn main() -> ExitCode {
    let cli = Cli::parse();
    dispatch(&cli.command).unwrap_or_else(|error| {
        if output::reader_is_gone(&error) {
            // `wirepatch fields | head`: whoever reads has seen enough.
            return ExitCode::SUCCESS;
        }
        output::say_error(&format!("wirepatch: error: {error:#}\n"));
        if error.is::<output::Usage>() { ExitCode::from(2) } else { ExitCode::from(1) }
    })
}

fn dispatch(command: &Command) -> Result<ExitCode> {
    match command {
        #[cfg(feature = "dpdk")]
        Command::Run(args) => run::run(args),
        #[cfg(not(feature = "dpdk"))]
        Command::Run(_) => Err(output::no_dpdk("run")),
        Command::Bench(args) => bench::bench(args),
        Command::Check(args) => commands::check::check(args),
        Command::Test(args) => commands::test::test(args),
        Command::Explain(args) => commands::explain::explain(args),
        Command::Replay(args) => commands::replay::replay(args),
        Command::Decode(args) => commands::decode::decode(args),
        Command::Fields(args) => commands::fields::fields(args),
        Command::Ctl(args) => commands::ctl::ctl(args),
        Command::Schema(args) => commands::schema::schema(args),
        Command::Completions(args) => commands::schema::completions(args),
    }
}
