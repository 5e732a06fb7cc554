//! A failing run made small: leaves out, one by one, the parts without which it still fails.

use super::attempt::attempt;
use super::exchange::Exchange;
use super::outcome::{FailureKind, PlayOptions, SeedOutcome};
use super::setup::{LinkSetup, Setup};

/// Attempts, because each plays the whole conversation.
const ATTEMPTS_MAX: usize = 120;

/// The smallest run found that fails in the same way, and the parts left out of it.
pub(super) fn minimise(
    seed: u64,
    play: &PlayOptions,
    setup: Setup,
    exchange: Exchange,
    kind: FailureKind,
) -> SeedOutcome {
    let quiet = PlayOptions { trace: false, ..play.clone() };
    let mut attempts = 0;
    let mut fails = |setup: &Setup, exchange: &Exchange| {
        attempts += 1;
        attempts <= ATTEMPTS_MAX
            && attempt(seed, setup, exchange, &quiet).wrong.is_some_and(|wrong| wrong.kind == kind)
    };
    let (mut setup, mut exchange) = (setup, exchange);
    let mut left_out = Vec::new();
    // Messages from the end on, by halves.
    let mut piece = exchange.parts.len() / 2;
    while piece > 0 {
        let mut less = exchange.clone();
        less.parts.truncate(exchange.parts.len() - piece);
        if fails(&setup, &less) {
            exchange = less;
        } else {
            piece /= 2;
        }
        piece = piece.min(exchange.parts.len().saturating_sub(1));
    }
    left_out.push(format!("{} messages are left", exchange.parts.len()));
    for (at, way) in ["client >", "> client", "server >", "> server"].iter().enumerate() {
        for (name, calm) in HARMS {
            let mut less = setup.clone();
            let before = less.links[at];
            calm(&mut less.links[at]);
            if less.links[at] != before && fails(&less, &exchange) {
                setup = less;
                left_out.push(format!("{way}: nothing is {name}"));
            }
        }
    }
    let mut run = attempt(seed, &setup, &exchange, &PlayOptions { trace: true, ..play.clone() });
    run.trace.splice(0..0, left_out);
    run
}

type Calm = fn(&mut LinkSetup);

const HARMS: [(&str, Calm); 6] = [
    ("lost", |link| link.lose = 0),
    ("duplicated", |link| link.duplicate = 0),
    ("late", |link| link.reorder = 0),
    ("corrupted", |link| link.corrupt = 0),
    ("split", |link| link.split = 0),
    ("joined", |link| link.coalesce = 0),
];
