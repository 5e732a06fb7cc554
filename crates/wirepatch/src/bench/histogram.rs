//! Durations, counted by size: 32 classes to each doubling, so a percentile is right within about 3
//! %.

const CLASSES_PER_DOUBLING: usize = 32;
const CLASSES: usize = 64 * CLASSES_PER_DOUBLING;

/// How often each size was seen.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    all: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; CLASSES], all: 0, sum: 0, max: 0 }
    }

    pub(super) fn add(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(class(value)) {
            *count += 1;
            self.all += 1;
            self.sum = self.sum.saturating_add(value);
            self.max = self.max.max(value);
        }
    }

    /// Adds the values of another, and empties that one.
    pub(super) fn take(&mut self, other: &mut Self) {
        for (own, theirs) in self.counts.iter_mut().zip(&mut other.counts) {
            *own += core::mem::take(theirs);
        }
        self.all += core::mem::take(&mut other.all);
        self.sum = self.sum.saturating_add(core::mem::take(&mut other.sum));
        self.max = self.max.max(core::mem::take(&mut other.max));
    }

    /// The value that `per_mille` of a thousand stay below; `None` when nothing was added.
    pub(super) fn per_mille(&self, per_mille: u64) -> Option<u64> {
        let mut left = self.all.checked_mul(per_mille)?.div_ceil(1_000).max(1);
        let at = self.counts.iter().position(|&count| {
            let reached = left <= count;
            left = left.saturating_sub(count);
            reached
        })?;
        Some(upper(at).min(self.max))
    }

    pub(super) const fn max(&self) -> u64 {
        self.max
    }

    /// Of all values added.
    pub(super) const fn sum(&self) -> u64 {
        self.sum
    }

    /// Values added.
    #[cfg(test)]
    pub(super) const fn count(&self) -> u64 {
        self.all
    }

    /// Values added that are at least so large, as far as classes tell.
    pub(super) fn at_least(&self, value: u64) -> u64 {
        self.counts.iter().skip(class(value)).sum()
    }
}

fn class(value: u64) -> usize {
    let wide = CLASSES_PER_DOUBLING.trailing_zeros();
    let doubling = value.max(1).ilog2().saturating_sub(wide);
    let within = usize::try_from(value >> doubling).unwrap_or(0);
    usize::try_from(doubling).unwrap_or(0) * CLASSES_PER_DOUBLING + within
}

/// The largest value of a class.
fn upper(class: usize) -> u64 {
    let doubling = (class / CLASSES_PER_DOUBLING).saturating_sub(1);
    let within = class - doubling * CLASSES_PER_DOUBLING;
    let next = u64::try_from(within).unwrap_or(0) + 1;
    (next << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_thousand_numbers() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.per_mille(500), None);
        for value in 1..=1_000 {
            histogram.add(value * 100);
        }
        for (per_mille, exact) in [(1, 100_u64), (500, 50_000), (990, 99_000), (1_000, 100_000)] {
            let found = histogram.per_mille(per_mille).unwrap();
            assert!(found >= exact && found <= exact + exact / 16, "{per_mille}: {found}");
        }
        assert_eq!((histogram.max(), histogram.count()), (100_000, 1_000));
        assert_eq!(histogram.sum(), 50_050_000);
        let above = histogram.at_least(90_000);
        assert!((101..140).contains(&above), "{above}");
        let mut all = Histogram::new();
        all.add(7);
        all.take(&mut histogram);
        assert_eq!((all.max(), all.per_mille(0)), (100_000, Some(7)));
        assert_eq!((all.sum(), histogram.sum()), (50_050_007, 0));
        assert_eq!((histogram.max(), histogram.per_mille(500)), (0, None));
    }

    #[test]
    fn every_value_is_at_most_the_upper_end_of_its_class() {
        for value in (0..2_000).chain([1 << 20, (1 << 40) + 12_345]) {
            assert!(upper(class(value)) >= value, "{value}");
            assert!(class(value) == 0 || upper(class(value) - 1) < value, "{value}");
        }
    }
}
