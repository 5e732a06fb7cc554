//! Whether the CPUs run at one speed: the same work in registers over and over, which neither
//! memory nor another program's data can slow down.
//!
//! Two CPUs that are threads of one core slow each other down. So does another guest of the host on
//! the other thread of a core of ours, which nothing here can see otherwise: that time is not
//! reported as stolen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Result;
use capsule::rdtsc;

use super::latency::Steadiness;
use super::lcore::{Bench, FEEDER, WORKER, join, sleep};
use super::row::real;

/// Rounds of work in a piece: some ten microseconds.
const PIECE_ROUNDS: u64 = 5_000;

/// Above so many per cent of the quickest a piece was slowed down; above the other it was
/// interrupted.
const SLOW_PER_CENT: u64 = 110;
const TAKEN_PER_CENT: u64 = 300;

/// Does work in registers.
#[inline(never)]
pub(super) fn work(rounds: u64) {
    let mut numbers = [1_u64, 2, 3, 4];
    for _ in 0..rounds {
        for number in &mut numbers {
            *number ^= *number << 13;
            *number ^= *number >> 7;
            *number ^= *number << 17;
        }
    }
    core::hint::black_box(numbers);
}

/// Rounds of work that take so many ticks on a CPU that nothing slows down.
pub(super) fn rounds(ticks: u64) -> u64 {
    let quickest = (0..200).map(|_| piece()).min().unwrap_or(1);
    ticks * PIECE_ROUNDS / quickest.max(1)
}

fn piece() -> u64 {
    let begun = rdtsc();
    work(PIECE_ROUNDS);
    rdtsc().saturating_sub(begun)
}

/// The same work on one lcore, and on both.
pub(super) fn measure(bench: &Bench) -> Result<Steadiness> {
    let mut alone = pieces(bench, &[WORKER])?;
    let mut together = pieces(bench, &[WORKER, FEEDER])?;
    Ok(found(&mut alone, &mut together))
}

/// Ticks of each piece, of all these lcores.
fn pieces(bench: &Bench, lcores: &[u32]) -> Result<Vec<u64>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = Vec::new();
    for &lcore in lcores {
        let stop = Arc::clone(&stop);
        running.push(bench.eal.launch(lcore, move || {
            let mut pieces = Vec::new();
            while !stop.load(Relaxed) {
                pieces.push(piece());
            }
            pieces
        })?);
    }
    sleep(bench.seconds / 2.0);
    stop.store(true, Relaxed);
    let mut all = Vec::new();
    for handle in running {
        all.extend(join(handle, "lcore")?);
    }
    Ok(all)
}

fn found(alone: &mut [u64], together: &mut [u64]) -> Steadiness {
    for pieces in [&mut *alone, &mut *together] {
        pieces.sort_unstable();
    }
    let median = |pieces: &[u64]| pieces.get(pieces.len() / 2).copied().unwrap_or(0);
    let quickest = together.first().copied().unwrap_or(0);
    let above =
        |per_cent: u64| together.iter().filter(|&&ticks| ticks * 100 > quickest * per_cent).count();
    let share = |count: usize| {
        let count = u64::try_from(count).unwrap_or(0);
        100.0 * real(count) / real(u64::try_from(together.len().max(1)).unwrap_or(1))
    };
    let (slow, taken) = (above(SLOW_PER_CENT), above(TAKEN_PER_CENT));
    Steadiness {
        alone_ticks: median(alone),
        together_ticks: median(together),
        slow_per_cent: share(slow - taken),
        taken_per_cent: share(taken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_and_interrupted_pieces_are_told_apart() {
        let mut alone = vec![100, 100, 101];
        let mut together = vec![100, 109, 120, 299, 301, 5_000, 100, 100, 100, 100];
        let seen = found(&mut alone, &mut together);
        assert_eq!((seen.alone_ticks, seen.together_ticks), (100, 109));
        assert!((seen.slow_per_cent - 20.0).abs() < 1e-9, "{seen:?}");
        assert!((seen.taken_per_cent - 20.0).abs() < 1e-9, "{seen:?}");
        let nothing = found(&mut [], &mut []);
        assert_eq!((nothing.alone_ticks, nothing.slow_per_cent.to_bits()), (0, 0));
    }
}
