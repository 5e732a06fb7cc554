//! The simulator: one connection between two real TCP stacks, with the box between them, on a virtual clock.
//!
//! Holds:     [`run`], which plays what a seed chooses, and what it found ([`Run`]).
//! Promises:  the same seed plays the same; after every step each end has heard exactly what it must have of what the other said,
//!            the box says one thing about every position and acknowledges only what was sent; in the end both ends are
//!            through, every frame has a reason and nothing of the connection is left.
//! Never:     reads a clock or a file.
#![allow(
    clippy::indexing_slicing,
    reason = "arrays of two sides and four links, and a simulator that panics has found something"
)]

mod check;
mod dice;
mod host;
mod link;
mod minimise;
mod setup;
mod talk;
mod trace;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use datapath::PortNo;
use serde::Serialize;

pub use check::{Kind, Wrong};
use setup::Setup;
use talk::Talk;
use world::World;

#[cfg(test)]
mod tests;

/// A side of the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Side {
    const BOTH: [Self; 2] = [Self::Client, Self::Server];

    const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }

    const fn port(self) -> PortNo {
        match self {
            Self::Client => PortNo(0),
            Self::Server => PortNo(1),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Client => "the client",
            Self::Server => "the server",
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Client => 'C',
            Self::Server => 'S',
        }
    }
}

/// How a seed is to be played.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// Only conversations in this protocol.
    pub protocol: Option<String>,
    /// What ends hear is exactly the edited stream, even where the beginning of a match had to be let go.
    pub exact: bool,
    /// Without the box: a seed that fails here as well says nothing about it.
    pub bare: bool,
    /// Without the box, and with everything expected as if it were there: shows that the checks find something.
    pub unpatched: bool,
    /// Leave out of a failing run what it fails without.
    pub minimise: bool,
    /// Keep a line of every frame.
    pub trace: bool,
}

/// How a seed went.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// Spoken.
    pub protocol: &'static str,
    /// Frames that came to the box.
    pub frames: u64,
    /// Milliseconds that passed.
    pub clock_ms: u64,
    /// The beginnings of matches were let go, and what was heard is not exactly the edited stream.
    pub inexact: bool,
    /// Frames from the box that reached past the window of the host they went to.
    pub past_window: u64,
    /// The stack of a host panicked, and the run was given up.
    pub given_up: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Wrong>,
    /// A line of every frame, if asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
}

/// Protocols there are conversations of.
pub const fn protocols() -> &'static [&'static str] {
    talk::PROTOCOLS
}

/// Plays a seed.
pub fn run(seed: u64, play: &Play) -> Run {
    let setup = Setup::of(seed);
    let mut talk = Talk::of(seed, play.protocol.as_deref(), setup.short);
    if play.bare {
        talk.unedited();
    }
    let run = attempt(seed, &setup, &talk, play);
    match &run.wrong {
        Some(wrong) if play.minimise => minimise::minimise(seed, play, setup, talk, wrong.kind),
        _ => run,
    }
}

fn attempt(seed: u64, setup: &Setup, talk: &Talk, play: &Play) -> Run {
    let mut run = Run {
        seed,
        protocol: talk.protocol,
        frames: 0,
        clock_ms: 0,
        inexact: false,
        past_window: 0,
        given_up: false,
        wrong: None,
        trace: Vec::new(),
    };
    let mut world = match World::new(seed, setup, talk, play) {
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
        Ok(Err(wrong)) if wrong.kind == Kind::StackPanicked => run.given_up = true,
        Ok(Err(wrong)) => run.wrong = Some(wrong),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            run.wrong = Some(Wrong::new(Kind::Panicked, text.unwrap_or_default()));
        }
    }
    run.trace = world.trace.into_lines();
    run
}
