//! Instruction counts and throughput: the rows, the record, and the page made of it.
//!
//! Holds:     the rows counted under callgrind ([`work`]), the counting ([`callgrind`]), the record
//!            in `record/`, and the generator of `docs/performance.md`.
//! Promises:  instruction counts repeat: the same program on the same input gives the same numbers
//!            on a busy machine too, so a change of a few per cent is a change of the code.
//! Never:     measures time; `wirepatch bench` does.

mod callgrind;
mod cli;
mod comparisons;
mod costs;
mod latency;
mod measured;
mod page;
mod record;
mod scaling;
mod work;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args().skip(1)).unwrap_or_else(|error| {
        cli::say_error(&format!("benches: error: {error:#}\n"));
        ExitCode::from(2)
    })
}
