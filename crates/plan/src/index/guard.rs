//! Deriving a rule's guard: something every message it fires on has, and that an index can look up.

use proto::Slot;

use crate::condition::{ByteTest, Compare, Condition, Operand, Source, Step, Test};
use crate::module::Rule;
use crate::pattern::Pattern;
use crate::transform::Transform;

/// A necessary condition of a rule.
#[derive(Clone, Debug)]
pub(super) enum Guard {
    /// None was found: the rule may fire on any unit.
    Nothing,
    /// At least one of these holds.
    Any(Vec<Atom>),
}

/// Some occurrence of `slot` is so.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub(super) slot: Slot,
    pub(super) kind: Kind,
}

/// What can be looked up.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Present,
    /// It occurs more often in the unit.
    MoreThan(usize),
    LongerThan(usize),
    NumberEqual(u64),
    NumberAbove(u64),
    NumberBelow(u64),
    BytesEqual(Box<[u8]>),
    /// Without ASCII case.
    Contains(Box<[u8]>),
}

/// Alternatives a guard may list. More are replaced by "the field is there".
const ATOMS_MAX: usize = 64;

impl Guard {
    /// The most selective guard of a rule.
    pub(super) fn of(rule: &Rule) -> Self {
        let when = Self::of_condition(&rule.when);
        match rule.target {
            None => when,
            Some(target) => when.better(Self::of_transform(&rule.transform, target)),
        }
    }

    fn one(slot: Slot, kind: Kind) -> Self {
        Self::Any(vec![Atom { slot, kind }])
    }

    fn more_than(slot: Slot, count: usize) -> Self {
        Self::one(slot, if count == 0 { Kind::Present } else { Kind::MoreThan(count) })
    }

    /// Rules with a target need an occurrence of it; some need more. What the fused program changes is looked for again
    /// after edits, so an earlier rule's edit cannot hide a later rule's work.
    fn of_transform(transform: &Transform, target: Slot) -> Self {
        match transform {
            Transform::Truncate { to } => {
                Self::one(target, Kind::LongerThan(usize::try_from(*to).unwrap_or(usize::MAX)))
            }
            Transform::Clamp { min, max } => Self::Any(vec![
                Atom { slot: target, kind: Kind::NumberAbove(*max) },
                Atom { slot: target, kind: Kind::NumberBelow(*min) },
            ]),
            Transform::CutAt { pattern, .. }
            | Transform::Replace { pattern, .. }
            | Transform::MaskPattern { pattern, .. } => Self::of_pattern(pattern, target),
            Transform::SetNumber(_)
            | Transform::SetBytes(_)
            | Transform::Clear { .. }
            | Transform::Mask { .. }
            | Transform::Remove
            | Transform::Normalize(_)
            | Transform::Pad { .. }
            | Transform::Discard
            | Transform::Drop
            | Transform::Refuse(_)
            | Transform::Close(_) => Self::one(target, Kind::Present),
            Transform::KeepFirst { count } => {
                Self::more_than(target, usize::try_from(*count).unwrap_or(usize::MAX))
            }
            Transform::Dedupe { .. } => Self::more_than(target, 1),
        }
    }

    fn of_pattern(pattern: &Pattern, slot: Slot) -> Self {
        if pattern.literals.is_empty() || pattern.literals.len() > ATOMS_MAX {
            return Self::one(slot, Kind::Present);
        }
        let atom = |literal: &[u8]| Atom { slot, kind: Kind::Contains(literal.into()) };
        Self::Any(pattern.literals.iter().map(|literal| atom(literal)).collect())
    }

    fn of_condition(condition: &Condition) -> Self {
        match condition {
            // What must not hold says nothing about what is there.
            Condition::Always | Condition::Not(_) => Self::Nothing,
            Condition::All(all) => {
                all.iter().map(Self::of_condition).fold(Self::Nothing, Self::better)
            }
            Condition::Any(any) => {
                any.iter().map(Self::of_condition).reduce(Self::or).unwrap_or(Self::Nothing)
            }
            Condition::Test(test) => Self::of_test(test),
        }
    }

    fn of_test(test: &Test) -> Self {
        match test {
            Test::Present(slot) => Self::one(*slot, Kind::Present),
            Test::Duplicate(slot) => Self::more_than(*slot, 1),
            Test::Number { left, compare, right } => match (left, right) {
                (_, Operand::Constant(right)) => Self::of_comparison(left, *compare, *right),
                (Operand::Constant(left), _) => {
                    Self::of_comparison(right, compare.mirrored(), *left)
                }
                _ => Self::of_operand(left).better(Self::of_operand(right)),
            },
            Test::NumberIn { operand, ranges } => {
                let single =
                    ranges.len() <= ATOMS_MAX && ranges.iter().all(|(low, high)| low == high);
                if let (Operand::Field(slot), true) = (operand, single) {
                    let atom =
                        |&(low, _): &(u64, u64)| Atom { slot: *slot, kind: Kind::NumberEqual(low) };
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
                    Compare::Equal => Kind::NumberEqual(constant),
                    Compare::Greater => Kind::NumberAbove(constant),
                    Compare::GreaterOrEqual => {
                        constant.checked_sub(1).map_or(Kind::Present, Kind::NumberAbove)
                    }
                    Compare::Less => Kind::NumberBelow(constant),
                    Compare::LessOrEqual => {
                        constant.checked_add(1).map_or(Kind::Present, Kind::NumberBelow)
                    }
                    Compare::NotEqual => Kind::Present,
                };
                Self::one(*slot, kind)
            }
            // No step of a source makes it longer.
            Operand::Len(source) => {
                let than = match compare {
                    Compare::Greater => Some(constant),
                    Compare::GreaterOrEqual | Compare::Equal => constant.checked_sub(1),
                    Compare::Less | Compare::LessOrEqual | Compare::NotEqual => None,
                };
                let kind = than.map_or(Kind::Present, |than| {
                    Kind::LongerThan(usize::try_from(than).unwrap_or(usize::MAX))
                });
                Self::one(source.slot, kind)
            }
            // An absent field counts 0.
            Operand::Count(slot) if compare.holds(0, constant) => {
                let _ = slot;
                Self::Nothing
            }
            // Those in reach of a rule's element are no more than those of the unit.
            Operand::Count(slot) => {
                let than = match compare {
                    Compare::Greater => constant,
                    Compare::GreaterOrEqual | Compare::Equal => constant.saturating_sub(1),
                    Compare::NotEqual | Compare::Less | Compare::LessOrEqual => 0,
                };
                Self::more_than(*slot, usize::try_from(than).unwrap_or(usize::MAX))
            }
            Operand::Constant(_)
            | Operand::CountOf(..)
            | Operand::Climbs(_)
            | Operand::Nesting(_)
            | Operand::Add(..)
            | Operand::Sub(..)
            | Operand::Mul(..)
            | Operand::And(..)
            | Operand::Decimal(_) => Self::of_operand(operand),
        }
    }

    /// A test on an absent field is false, so each field an operand reads must be there.
    fn of_operand(operand: &Operand) -> Self {
        match operand {
            Operand::Constant(_) | Operand::Count(_) => Self::Nothing,
            Operand::Field(slot) => Self::one(*slot, Kind::Present),
            Operand::Len(source)
            | Operand::Climbs(source)
            | Operand::Nesting(source)
            | Operand::CountOf(source, _)
            | Operand::Decimal(source) => Self::one(source.slot, Kind::Present),
            Operand::Add(left, right)
            | Operand::Sub(left, right)
            | Operand::Mul(left, right)
            | Operand::And(left, right) => Self::of_operand(left).better(Self::of_operand(right)),
        }
    }

    fn of_bytes(source: &Source, test: &ByteTest) -> Self {
        let slot = source.slot;
        // A slice or a trimmed value is a substring of the field, and lower case is no matter to the look-up.
        let substring = source.steps.iter().all(|step| !matches!(step, Step::UrlDecode));
        let present = || Self::one(slot, Kind::Present);
        let contains = |literal: &[u8]| {
            if substring && !literal.is_empty() {
                Self::one(slot, Kind::Contains(literal.into()))
            } else {
                present()
            }
        };
        match test {
            ByteTest::Equal(value) if source.steps.is_empty() => {
                Self::one(slot, Kind::BytesEqual(value.clone()))
            }
            ByteTest::In(values) if source.steps.is_empty() && values.len() <= ATOMS_MAX => {
                let atom = |value: &[u8]| Atom { slot, kind: Kind::BytesEqual(value.into()) };
                Self::Any(values.iter().map(|value| atom(value)).collect())
            }
            ByteTest::Equal(value) | ByteTest::StartsWith(value) | ByteTest::EndsWith(value) => {
                contains(value)
            }
            ByteTest::Contains(pattern) | ByteTest::Matches(pattern) if substring => {
                Self::of_pattern(pattern, slot)
            }
            ByteTest::SameAs(_)
            | ByteTest::In(_)
            | ByteTest::Contains(_)
            | ByteTest::Matches(_)
            | ByteTest::NotEqual(_)
            | ByteTest::AnyByteIn(_)
            | ByteTest::AllBytesIn(_)
            | ByteTest::IsPeer => present(),
        }
    }

    /// Both are necessary: the one that lets fewer messages through.
    fn better(self, other: Self) -> Self {
        if other.weight() < self.weight() { other } else { self }
    }

    /// One of the two is necessary.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any(mut one), Self::Any(other)) => {
                one.extend(other);
                Self::Any(one)
            }
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
        }
    }

    /// The more messages get past the guard, the heavier; a guess at ordinary traffic.
    fn weight(&self) -> usize {
        match self {
            Self::Nothing => usize::MAX,
            Self::Any(atoms) => {
                atoms.iter().map(|atom| atom.kind.weight()).fold(0, usize::saturating_add)
            }
        }
    }
}

impl Kind {
    fn weight(&self) -> usize {
        match self {
            Self::Contains(literal) if literal.len() > 3 => 1,
            Self::LongerThan(than) if *than >= 64 => 1,
            Self::MoreThan(_) => 2,
            Self::BytesEqual(_) | Self::LongerThan(_) => 3,
            // Most flags are clear and most counts are 0, so that it tells less than the presence of a rule's target.
            Self::NumberEqual(0) => 20,
            Self::NumberEqual(_) | Self::Contains(_) => 4,
            Self::NumberAbove(_) | Self::NumberBelow(_) => 6,
            Self::Present => 16,
        }
    }
}

impl Compare {
    /// The operator with its sides exchanged.
    pub const fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }

    /// `left compare right`.
    pub const fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}
