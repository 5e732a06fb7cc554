//! The simulator: one connection between two real TCP stacks, with the box between them, on a
//! virtual clock.
//!
//! Holds:     [`run`], which plays the choices of a seed, and its result ([`SeedOutcome`]).
//! Promises:  the same seed plays the same; after every step each end has heard exactly what it
//!            must have of what the other said, the box says one thing about every position and
//!            acknowledges only what was sent; in the end both ends are through, every frame has a
//!            reason and nothing of the connection is left.
//! Never:     reads a clock or a file.
#![allow(
    clippy::indexing_slicing,
    reason = "arrays of two sides and four links, and a simulator that panics has found something"
)]

mod attempt;
mod checks;
mod exchange;
mod impaired_link;
mod minimise;
mod option_bytes;
mod outcome;
mod setup;
mod stack_host;
mod trace;
mod world;

use attempt::attempt;
pub use outcome::{FailureKind, PlayOptions, SeedOutcome, SimFailure};
use setup::Setup;

#[cfg(test)]
mod tests;

/// Protocols there are conversations of.
pub const fn protocols() -> &'static [&'static str] {
    exchange::PROTOCOLS
}

/// Plays a seed.
pub fn run(seed: u64, play: &PlayOptions) -> SeedOutcome {
    let setup = Setup::of(seed);
    let mut exchange = exchange::of_seed(seed, play.protocol.as_deref(), setup.short);
    if play.bare {
        exchange.unedited();
    }
    let run = attempt(seed, &setup, &exchange, play);
    match &run.wrong {
        Some(wrong) if play.minimise => minimise::minimise(seed, play, setup, exchange, wrong.kind),
        _ => run,
    }
}
