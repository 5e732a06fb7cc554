//! `wirepatch bench`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::BenchArgs;
use crate::output;

/// Says what is missing.
pub(crate) fn bench(_: &BenchArgs) -> Result<ExitCode> {
    Err(output::no_dpdk("bench"))
}
