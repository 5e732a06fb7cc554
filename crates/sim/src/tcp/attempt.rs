//! One play of a seed, panics caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::exchange::Exchange;
use super::outcome::{FailureKind, PlayOptions, SeedOutcome, SimFailure};
use super::setup::Setup;
use super::world::SimWorld;

/// Plays the conversation once.
pub(super) fn attempt(
    seed: u64,
    setup: &Setup,
    exchange: &Exchange,
    play: &PlayOptions,
) -> SeedOutcome {
    let mut run = SeedOutcome {
        seed,
        protocol: exchange.protocol,
        frames: 0,
        clock_ms: 0,
        inexact: false,
        past_window: 0,
        given_up: false,
        wrong: None,
        trace: Vec::new(),
    };
    let mut world = match SimWorld::new(seed, setup, exchange, play) {
        Ok(world) => world,
        Err(wrong) => {
            run.wrong = Some(wrong);
            return run;
        }
    };
    let ended = catch_unwind(AssertUnwindSafe(|| world.run()));
    match ended {
        Ok(Ok(done)) => {
            run.frames = done.frames;
            run.clock_ms = done.clock_us / 1_000;
            run.inexact = done.inexact;
            run.past_window = done.past_window;
        }
        Ok(Err(wrong)) if wrong.kind == FailureKind::StackPanicked => run.given_up = true,
        Ok(Err(wrong)) => run.wrong = Some(wrong),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            run.wrong = Some(SimFailure::new(FailureKind::Panicked, text.unwrap_or_default()));
        }
    }
    run.trace = world.trace.into_lines();
    run
}
