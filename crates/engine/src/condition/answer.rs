//! Answers of three values, and numbers that may still grow.

use plan::Compare;

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    /// It depends on bytes that have not come, or would take too long.
    Unknown,
}

impl Truth {
    pub(super) const fn of(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// An integer that may still grow.
#[derive(Clone, Copy)]
pub(super) struct GrowingNumber {
    pub(super) value: u64,
    pub(super) at_least: bool,
}

impl GrowingNumber {
    pub(super) const fn known(value: u64) -> Self {
        Self { value, at_least: false }
    }

    pub(super) fn combine(self, other: Self, value: u64) -> Self {
        Self { value, at_least: self.at_least || other.at_least }
    }

    /// `self compare other`.
    pub(super) fn compare(self, compare: Compare, other: Self) -> Truth {
        match (self.at_least, other.at_least) {
            (false, false) => Truth::of(compare.holds(self.value, other.value)),
            (true, true) => Truth::Unknown,
            (false, true) => other.compare(compare.mirrored(), self),
            (true, false) => {
                let now = compare.holds(self.value, other.value);
                match compare {
                    Compare::Greater | Compare::GreaterOrEqual if now => Truth::True,
                    Compare::Less | Compare::LessOrEqual if !now => Truth::False,
                    Compare::Equal if self.value > other.value => Truth::False,
                    Compare::NotEqual if self.value > other.value => Truth::True,
                    Compare::Greater
                    | Compare::GreaterOrEqual
                    | Compare::Less
                    | Compare::LessOrEqual
                    | Compare::Equal
                    | Compare::NotEqual => Truth::Unknown,
                }
            }
        }
    }
}

/// Gathers the answers of single occurrences.
#[derive(Clone, Copy, Default)]
pub(super) struct OccurrenceAnswers {
    yes: bool,
    no: bool,
    unknown: bool,
}

impl OccurrenceAnswers {
    pub(super) fn add(&mut self, truth: Truth) {
        match truth {
            Truth::True => self.yes = true,
            Truth::False => self.no = true,
            Truth::Unknown => self.unknown = true,
        }
    }

    /// True for any occurrence.
    pub(super) fn any(self, more_may_come: bool) -> Truth {
        match self {
            Self { yes: true, .. } => Truth::True,
            Self { unknown: true, .. } => Truth::Unknown,
            Self { .. } if more_may_come => Truth::Unknown,
            Self { .. } => Truth::False,
        }
    }

    /// True for every occurrence, and there is one.
    pub(super) fn all(self, more_may_come: bool) -> Truth {
        match self {
            Self { no: true, .. } => Truth::False,
            Self { unknown: true, .. } => Truth::Unknown,
            Self { .. } if more_may_come => Truth::Unknown,
            Self { yes, .. } => Truth::of(yes),
        }
    }
}
