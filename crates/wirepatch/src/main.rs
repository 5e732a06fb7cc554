//! The inline patch proxy.

mod cli;
#[cfg(feature = "dpdk")]
mod nic;
#[cfg(feature = "dpdk")]
mod run;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

/// Says it on standard error, whatever became of that.
fn say_error(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Runs the patches' own test cases.
fn prove(_patches: &[patch::Patch]) -> Vec<patch::Diagnostic> {
    Vec::new()
}

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let done = match &cli.command {
        #[cfg(feature = "dpdk")]
        cli::Command::Run(args) => run::run(args),
        other => {
            say_error(&format!("{other:?}\n"));
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        say_error(&format!("wirepatch: error: {error:#}\n"));
        ExitCode::from(1)
    })
}
