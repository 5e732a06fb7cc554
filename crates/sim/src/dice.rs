//! Chance that can be had again: SplitMix64, seeded.

/// Every choice of a run comes from one of these.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice for one part of a run, so that a change of one part leaves the others as they were.
    pub(crate) const fn of(seed: u64, part: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        let span = u64::try_from(high.saturating_sub(low)).unwrap_or(0).saturating_add(1);
        low.saturating_add(usize::try_from(self.below(span)).unwrap_or(0))
    }

    /// True so often of a thousand times.
    pub(crate) fn thousandth(&mut self, times: u32) -> bool {
        self.below(1_000) < u64::from(times)
    }

    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.thousandth(percent.saturating_mul(10))
    }

    /// One of `choices`, which are not none.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = self.between(0, choices.len().saturating_sub(1));
        choices[at]
    }
}
