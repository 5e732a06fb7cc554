//! The messages of both ends, the bytes that must arrive of each, and the patches in between.
//!
//! The generator of a message also writes the bytes that must arrive, because it knows its parts:
//! nothing here is shared with the decoders or the engine.

mod data;
mod dns;
mod http;
mod lines;
mod rule;
mod script;

use crate::dice::Dice;
pub(super) use script::{Exchange, ExchangeMessage, HeardProgress};

/// Protocols there are conversations of.
pub(super) const PROTOCOLS: &[&str] = &["data", "dns", "ftp", "http", "smtp"];

/// The conversation of a seed, in `protocol` or in one that the seed chooses.
pub(super) fn of_seed(seed: u64, protocol: Option<&str>, short: bool) -> Exchange {
    let dice = &mut Dice::of(seed, 2);
    let chosen = dice.pick(PROTOCOLS);
    match protocol.unwrap_or(chosen) {
        "dns" => dns::exchange(dice, short),
        "ftp" => lines::ftp(dice, short),
        "smtp" => lines::smtp(dice, short),
        "http" => http::exchange(dice, short),
        _ => data::exchange(dice, short),
    }
}
