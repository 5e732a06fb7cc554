//! Deriving a rule's precondition: something every message it fires on has, and that an index can look up.

mod weight;

use std::sync::Arc;

use proto::Slot;
use regex_automata::dfa::regex::Regex;

use crate::condition::{
    ByteSource, ByteTest, Compare, Condition, Measure, MeasureTraits, Operand, StepTraits, Test,
};
use crate::pattern::{Pattern, Search};
use crate::rule::Rule;
use crate::transform::{ByteSet, Concerns, Transform};

/// A necessary condition of a rule.
#[derive(Clone, Debug)]
pub(super) enum Precondition {
    /// None was found: the rule may fire on any unit.
    Unknown,
    /// At least one of these holds.
    Any(Vec<Atom>),
}

/// Some occurrence of `slot` is so.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub(super) slot: Slot,
    pub(super) kind: AtomKind,
}

/// What can be looked up.
#[derive(Clone, Debug)]
pub(super) enum AtomKind {
    Present,
    /// The unit has it, and not this other slot.
    Lacks(Slot),
    /// It occurs more often in the unit.
    MoreThan(usize),
    LongerThan(usize),
    NumberEqual(u64),
    NumberAbove(u64),
    NumberBelow(u64),
    BytesEqual(Box<[u8]>),
    /// The first byte is in the set, or there is none and `empty`.
    First {
        set: ByteSet,
        empty: bool,
    },
    /// The last one.
    Last {
        set: ByteSet,
        empty: bool,
    },
    /// Some byte is in the set.
    AnyByte(ByteSet),
    /// Without ASCII case, in lower case here.
    Contains(LiteralAtom),
    /// An expression matches the value as it came, one of its required literals being there.
    Matches {
        regex: Arc<Regex>,
        required: Box<[Box<[u8]>]>,
    },
}

/// A literal, somewhere in a value or in what it decodes to.
#[derive(Clone, Debug)]
pub(super) struct LiteralAtom {
    pub(super) literal: Box<[u8]>,
    pub(super) place: LiteralPlace,
    /// Times the value is percent-decoded.
    pub(super) decodings: u8,
}

/// Where a literal stands, white space around the value aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LiteralPlace {
    Anywhere,
    Start,
    End,
}

/// What a source's steps leave of a value.
struct SourceEffect {
    /// A literal of the source's value is one of the value decoded so often; `None`: a slice may have cut what is decoded then.
    decodings: Option<u8>,
    keeps_start: bool,
    keeps_end: bool,
    trims: bool,
}

impl SourceEffect {
    fn of(source: &ByteSource) -> Self {
        let mut effect =
            Self { decodings: Some(0), keeps_start: true, keeps_end: true, trims: false };
        let mut sliced = false;
        for step in &source.steps {
            match step.traits() {
                StepTraits::KeepsLiterals => {}
                StepTraits::Decodes => {
                    effect.decodings = effect.decodings.filter(|_| !sliced);
                    effect.decodings = effect.decodings.and_then(|count| count.checked_add(1));
                }
                StepTraits::Slices { keeps_start, keeps_end } => {
                    sliced = true;
                    effect.keeps_start &= keeps_start;
                    effect.keeps_end &= keeps_end;
                }
                StepTraits::Trims => effect.trims = true,
            }
        }
        effect
    }
}

/// Bytes of which any is waited for one by one.
const ANY_BYTE_MAX: usize = 16;

/// Alternatives a precondition may list. More are replaced by "the field is there".
const ATOMS_MAX: usize = 64;

impl Precondition {
    /// The most selective precondition of a rule.
    pub(super) fn of(rule: &Rule) -> Self {
        let when = Self::of_condition(&rule.when);
        match rule.target {
            None => when,
            Some(target) => when.better(Self::of_transform(&rule.transform, target)),
        }
    }

    fn one(slot: Slot, kind: AtomKind) -> Self {
        Self::Any(vec![Atom { slot, kind }])
    }

    fn more_than(slot: Slot, count: usize) -> Self {
        Self::one(slot, if count == 0 { AtomKind::Present } else { AtomKind::MoreThan(count) })
    }

    /// Rules with a target need an occurrence of it; some need more. What the fused program changes is looked for again
    /// after edits, so an earlier rule's edit cannot hide a later rule's work.
    fn of_transform(transform: &Transform, target: Slot) -> Self {
        match transform.traits().concerns {
            Concerns::Any => Self::one(target, AtomKind::Present),
            Concerns::LongerThan(bytes) => Self::one(
                target,
                AtomKind::LongerThan(usize::try_from(bytes).unwrap_or(usize::MAX)),
            ),
            Concerns::NumbersOutside { min, max } => Self::Any(vec![
                Atom { slot: target, kind: AtomKind::NumberAbove(max) },
                Atom { slot: target, kind: AtomKind::NumberBelow(min) },
            ]),
            Concerns::MatchesOf(pattern) => Self::of_pattern(pattern, target),
            Concerns::DotSegments => Self::of_dot_segments(target),
            Concerns::MoreThan(count) => {
                Self::more_than(target, usize::try_from(count).unwrap_or(usize::MAX))
            }
        }
    }

    /// Some match of `pattern` in the value as it came.
    fn of_pattern(pattern: &Pattern, slot: Slot) -> Self {
        let by_literal = Self::of_required_literals(pattern, slot, Some(0));
        let literals = pattern.required_literals();
        match &pattern.search {
            Search::Regex(regex) if literals.len() <= ATOMS_MAX => by_literal.better(Self::one(
                slot,
                AtomKind::Matches { regex: Arc::clone(regex), required: literals.into() },
            )),
            Search::Regex(_) | Search::Literals(_) => by_literal,
        }
    }

    /// Some match of `pattern` in a value decoded so many times, or (`None`) in whatever a value may become.
    fn of_required_literals(pattern: &Pattern, slot: Slot, decodings: Option<u8>) -> Self {
        // No step of a source makes a value longer.
        let least = pattern.match_bytes_min.saturating_sub(1);
        let by_length =
            Self::one(slot, AtomKind::LongerThan(usize::try_from(least).unwrap_or(usize::MAX)));
        let literals = pattern.required_literals();
        match decodings {
            Some(decodings) if !literals.is_empty() && literals.len() <= ATOMS_MAX => by_length
                .better(Self::literals(literals.iter().map(|literal| &**literal), slot, decodings)),
            _ => by_length,
        }
    }

    fn literals<'a>(literals: impl Iterator<Item = &'a [u8]>, slot: Slot, decodings: u8) -> Self {
        let atom = |literal: &[u8]| {
            let literal = LiteralAtom {
                literal: literal.to_ascii_lowercase().into(),
                place: LiteralPlace::Anywhere,
                decodings,
            };
            Atom { slot, kind: AtomKind::Contains(literal) }
        };
        Self::Any(literals.map(atom).collect())
    }

    /// A path with a dot segment to take away: one that begins with a dot, or has one behind a separator, any of them encoded.
    fn of_dot_segments(slot: Slot) -> Self {
        let mut dot = ByteSet::new();
        dot.insert(b'.');
        let begins = Self::one(slot, AtomKind::First { set: dot, empty: false });
        let literals: [&[u8]; 5] = [b"/.", b"\\.", b"%2f.", b"%5c.", b"%2e"];
        begins.or(Self::literals(literals.into_iter(), slot, 0))
    }

    fn of_condition(condition: &Condition) -> Self {
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

    /// What must not hold says little about what is there.
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

    /// Where this precondition is that a field is there, and `condition` is that another one does not begin with a byte: that
    /// it begins with another, or is not there.
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
                    // What is greater than a number is not 0.
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
            // Those in reach of a rule's element are no more than those of the unit.
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

    fn of_bytes(source: &ByteSource, test: &ByteTest) -> Self {
        let slot = source.slot;
        let effect = SourceEffect::of(source);
        let literal = |literal: &[u8], place: LiteralPlace| {
            if literal.is_empty() {
                return Self::one(slot, AtomKind::Present);
            }
            let place = match place {
                LiteralPlace::Start if effect.keeps_start => LiteralPlace::Start,
                LiteralPlace::End if effect.keeps_end => LiteralPlace::End,
                LiteralPlace::Start | LiteralPlace::End | LiteralPlace::Anywhere => {
                    LiteralPlace::Anywhere
                }
            };
            match (literal, effect.decodings) {
                ([byte], Some(0)) if place == LiteralPlace::Start && !effect.trims => {
                    let mut set = ByteSet::new();
                    set.insert(byte.to_ascii_lowercase());
                    set.insert(byte.to_ascii_uppercase());
                    Self::one(slot, AtomKind::First { set, empty: false })
                }
                (_, Some(decodings)) => {
                    let literal = literal.to_ascii_lowercase().into();
                    Self::one(slot, AtomKind::Contains(LiteralAtom { literal, place, decodings }))
                }
                // No step makes a value longer.
                (_, None) => Self::one(slot, AtomKind::LongerThan(literal.len().saturating_sub(1))),
            }
        };
        match test {
            ByteTest::Equal(value) if source.steps.is_empty() => {
                Self::one(slot, AtomKind::BytesEqual(value.clone()))
            }
            ByteTest::In(values) if values.len() <= ATOMS_MAX => {
                let one = |value: &[u8]| {
                    if source.steps.is_empty() {
                        Self::one(slot, AtomKind::BytesEqual(value.into()))
                    } else {
                        literal(value, LiteralPlace::Start)
                    }
                };
                let each = values.iter().map(|value| one(value));
                each.reduce(Self::or).unwrap_or_else(|| Self::one(slot, AtomKind::Present))
            }
            ByteTest::Equal(value) | ByteTest::StartsWith(value) => {
                literal(value, LiteralPlace::Start)
            }
            ByteTest::EndsWith(value) => literal(value, LiteralPlace::End),
            ByteTest::Contains(pattern) | ByteTest::Matches(pattern) if source.steps.is_empty() => {
                Self::of_pattern(pattern, slot)
            }
            // In lower case, or decoded, another text may match.
            ByteTest::Contains(pattern) | ByteTest::Matches(pattern) => {
                Self::of_required_literals(pattern, slot, effect.decodings)
            }
            ByteTest::AnyByteIn(set) if set.len() <= ANY_BYTE_MAX => {
                let each = set.iter().map(|byte| literal(&[byte], LiteralPlace::Anywhere));
                each.reduce(Self::or).unwrap_or_else(|| Self::one(slot, AtomKind::Present))
            }
            ByteTest::AnyByteIn(set) => match effect.decodings {
                Some(0) => Self::one(slot, AtomKind::AnyByte(*set)),
                Some(_) => {
                    let mut set = *set;
                    set.insert(b'%');
                    Self::one(slot, AtomKind::AnyByte(set))
                }
                None => Self::one(slot, AtomKind::Present),
            },
            ByteTest::AllBytesIn(set) if source.steps.is_empty() => {
                Self::one(slot, AtomKind::Last { set: *set, empty: true })
            }
            ByteTest::SameAs(_)
            | ByteTest::In(_)
            | ByteTest::NotEqual(_)
            | ByteTest::AllBytesIn(_)
            | ByteTest::IsPeer => Self::one(slot, AtomKind::Present),
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
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }

    /// The more messages get past the precondition, the heavier; a guess at ordinary traffic.
    fn weight(&self) -> usize {
        match self {
            Self::Unknown => usize::MAX,
            Self::Any(atoms) => {
                atoms.iter().map(|atom| atom.kind.weight()).fold(0, usize::saturating_add)
            }
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
