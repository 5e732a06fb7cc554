//! Preconditions of conditions, and of tests on numbers.

use proto::Slot;

use super::bytes::SourceEffect;
use super::{ATOMS_MAX, Atom, AtomKind, Precondition};
use crate::condition::{
    ByteSource, ByteTest, Compare, Condition, Measure, MeasureTraits, Operand, Test,
};
use crate::transform::ByteSet;

impl Precondition {
    pub(super) fn of_condition(condition: &Condition) -> Self {
        match condition {
            Condition::Always => Self::Unknown,
            Condition::Not(not) => Self::of_negation(not),
            Condition::All(all) => {
                let precondition =
                    all.iter().map(Self::of_condition).fold(Self::Unknown, Self::better);
                let unless = all.iter().map(|condition| precondition.unless(condition));
                unless.fold(Self::Unknown, Self::better).better(precondition.clone())
            }
            Condition::Any(any) => {
                any.iter().map(Self::of_condition).reduce(Self::or).unwrap_or(Self::Unknown)
            }
            Condition::Test(test) => Self::of_test(test),
        }
    }

    /// The negation of a test tells little about what is there.
    fn of_negation(condition: &Condition) -> Self {
        match condition {
            Condition::Not(not) => Self::of_condition(not),
            Condition::All(all) => {
                all.iter().map(Self::of_negation).reduce(Self::or).unwrap_or(Self::Unknown)
            }
            Condition::Any(any) => {
                any.iter().map(Self::of_negation).fold(Self::Unknown, Self::better)
            }
            Condition::Always | Condition::Test(_) => Self::Unknown,
        }
    }

    /// Where this precondition says that a field is there, and `condition` says that another field
    /// does not begin with a byte: the other field begins with another byte, or is not there.
    fn unless(&self, condition: &Condition) -> Self {
        let Self::Any(atoms) = self else { return Self::Unknown };
        let [Atom { slot, kind: AtomKind::Present }] = &atoms[..] else { return Self::Unknown };
        match condition {
            Condition::Not(not) => match &**not {
                Condition::Any(any) => any
                    .iter()
                    .map(|condition| Self::unlike(condition, *slot))
                    .fold(Self::Unknown, Self::better),
                Condition::Always | Condition::All(_) | Condition::Not(_) | Condition::Test(_) => {
                    Self::unlike(not, *slot)
                }
            },
            Condition::Always | Condition::All(_) | Condition::Any(_) | Condition::Test(_) => {
                Self::Unknown
            }
        }
    }

    fn unlike(condition: &Condition, given: Slot) -> Self {
        let Condition::Test(Test::Bytes { source, test: ByteTest::StartsWith(value) }) = condition
        else {
            return Self::Unknown;
        };
        let ([first], true) = (&**value, source.steps.is_empty()) else { return Self::Unknown };
        let mut set = ByteSet::new();
        set.insert(*first);
        let kind = AtomKind::First { set: set.complement(), empty: true };
        Self::one(source.slot, kind).or(Self::one(given, AtomKind::Lacks(source.slot)))
    }

    fn of_test(test: &Test) -> Self {
        match test {
            Test::Present(slot) => Self::one(*slot, AtomKind::Present),
            Test::Duplicate(slot) => Self::more_than(*slot, 1),
            Test::Number { left, compare, right } => match (left, right) {
                (_, Operand::Constant(right)) => Self::of_comparison(left, *compare, *right),
                (Operand::Constant(left), _) => {
                    Self::of_comparison(right, compare.mirrored(), *left)
                }
                _ => {
                    let both = Self::of_operand(left).better(Self::of_operand(right));
                    // A number that is greater than another is not 0.
                    both.better(match compare {
                        Compare::Greater => Self::of_comparison(left, Compare::Greater, 0),
                        Compare::Less => Self::of_comparison(right, Compare::Greater, 0),
                        Compare::Equal
                        | Compare::NotEqual
                        | Compare::LessOrEqual
                        | Compare::GreaterOrEqual => Self::Unknown,
                    })
                }
            },
            Test::NumberIn { operand, ranges } => {
                let single =
                    ranges.len() <= ATOMS_MAX && ranges.iter().all(|(low, high)| low == high);
                if let (Operand::Field(slot), true) = (operand, single) {
                    let atom = |&(low, _): &(u64, u64)| Atom {
                        slot: *slot,
                        kind: AtomKind::NumberEqual(low),
                    };
                    Self::Any(ranges.iter().map(atom).collect())
                } else {
                    Self::of_operand(operand)
                }
            }
            Test::Bytes { source, test } => Self::of_bytes(source, test),
        }
    }

    /// `operand compare constant`.
    fn of_comparison(operand: &Operand, compare: Compare, constant: u64) -> Self {
        match operand {
            Operand::Field(slot) => {
                let kind = match compare {
                    Compare::Equal => AtomKind::NumberEqual(constant),
                    Compare::Greater => AtomKind::NumberAbove(constant),
                    Compare::GreaterOrEqual => {
                        constant.checked_sub(1).map_or(AtomKind::Present, AtomKind::NumberAbove)
                    }
                    Compare::Less => AtomKind::NumberBelow(constant),
                    Compare::LessOrEqual => {
                        constant.checked_add(1).map_or(AtomKind::Present, AtomKind::NumberBelow)
                    }
                    Compare::NotEqual => AtomKind::Present,
                };
                Self::one(*slot, kind)
            }
            Operand::Measure(measure, source) => {
                Self::of_measure(*measure, source, compare, constant)
            }
            // An absent field counts 0.
            Operand::Count(slot) if compare.holds(0, constant) => {
                let _ = slot;
                Self::Unknown
            }
            // Those in reach of a rule's element are at most those of the unit.
            Operand::Count(slot) => {
                let than = match compare {
                    Compare::Greater => constant,
                    Compare::GreaterOrEqual | Compare::Equal => constant.saturating_sub(1),
                    Compare::NotEqual | Compare::Less | Compare::LessOrEqual => 0,
                };
                Self::more_than(*slot, usize::try_from(than).unwrap_or(usize::MAX))
            }
            Operand::CountOf(source, pattern) if !compare.holds(0, constant) => {
                let times = match compare {
                    Compare::Greater => constant.saturating_add(1),
                    Compare::GreaterOrEqual | Compare::Equal => constant,
                    Compare::NotEqual | Compare::Less | Compare::LessOrEqual => 1,
                };
                let bytes = u64::from(pattern.match_bytes_min).saturating_mul(times);
                let than = usize::try_from(bytes.saturating_sub(1)).unwrap_or(usize::MAX);
                Self::one(source.slot, AtomKind::LongerThan(than)).better(
                    Self::of_required_literals(
                        pattern,
                        source.slot,
                        SourceEffect::of(source).decodings,
                    ),
                )
            }
            Operand::Constant(_)
            | Operand::CountOf(..)
            | Operand::Add(..)
            | Operand::Sub(..)
            | Operand::Mul(..)
            | Operand::And(..) => Self::of_operand(operand),
        }
    }

    /// `measure(source) compare constant`.
    fn of_measure(measure: Measure, source: &ByteSource, compare: Compare, constant: u64) -> Self {
        let present = || Self::one(source.slot, AtomKind::Present);
        match measure.traits() {
            // No step of a source makes it longer.
            MeasureTraits::CountsBytes => {
                let than = match compare {
                    Compare::Greater => Some(constant),
                    Compare::GreaterOrEqual | Compare::Equal => constant.checked_sub(1),
                    Compare::Less | Compare::LessOrEqual | Compare::NotEqual => None,
                };
                let kind = than.map_or(AtomKind::Present, |than| {
                    AtomKind::LongerThan(usize::try_from(than).unwrap_or(usize::MAX))
                });
                Self::one(source.slot, kind)
            }
            MeasureTraits::ZeroWithout(literal) if !compare.holds(0, constant) => {
                match SourceEffect::of(source).decodings {
                    Some(count) => Self::literals([literal].into_iter(), source.slot, count),
                    None => present(),
                }
            }
            MeasureTraits::ZeroWithout(_) | MeasureTraits::Unknown => present(),
        }
    }

    /// A test on an absent field is false, so each field an operand reads must be there.
    fn of_operand(operand: &Operand) -> Self {
        match operand {
            Operand::Constant(_) | Operand::Count(_) => Self::Unknown,
            Operand::Field(slot) => Self::one(*slot, AtomKind::Present),
            Operand::Measure(_, source) | Operand::CountOf(source, _) => {
                Self::one(source.slot, AtomKind::Present)
            }
            Operand::Add(left, right)
            | Operand::Sub(left, right)
            | Operand::Mul(left, right)
            | Operand::And(left, right) => Self::of_operand(left).better(Self::of_operand(right)),
        }
    }
}
