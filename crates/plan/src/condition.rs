//! Compiled conditions: typed, names resolved to slots, evaluated by `engine` against one unit's
//! fields.

use proto::Slot;

use crate::pattern::Pattern;
use crate::transform::ByteSet;

/// A boolean over tests. Trees are shallow (the compiler bounds their depth) and immutable.
#[derive(Clone, Debug)]
pub enum Condition {
    /// No `when`.
    Always,
    /// All hold; empty is true.
    All(Box<[Condition]>),
    /// Any holds; empty is false.
    Any(Box<[Condition]>),
    /// Does not hold.
    Not(Box<Condition>),
    /// A leaf.
    Test(Test),
}

/// A leaf. A test on a field that is absent is false (Wireshark's rule); for a repeated field it is
/// true when any occurrence in reach passes it, and `!=` when every one does (Wireshark 4's `!=` is
/// "all not equal").
#[derive(Clone, Debug)]
pub enum Test {
    /// The field occurs.
    Present(Slot),
    /// Integers.
    Number {
        /// Left side.
        left: Operand,
        /// Operator.
        compare: Compare,
        /// Right side.
        right: Operand,
    },
    /// Integers in ranges, both ends included.
    NumberIn {
        /// What is looked up.
        operand: Operand,
        /// Sorted.
        ranges: Box<[(u64, u64)]>,
    },
    /// Bytes against a constant, or against another field's bytes.
    Bytes {
        /// Left side.
        source: ByteSource,
        /// The comparison.
        test: ByteTest,
    },
    /// More than one element has the same key (`duplicate(field)`).
    Duplicate(Slot),
}

/// Integer comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the operators themselves")]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
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

/// An integer. Arithmetic saturates at 0 and `u64::MAX`: a claim from the network never wraps into
/// a small number.
#[derive(Clone, Debug)]
pub enum Operand {
    /// Constant.
    Constant(u64),
    /// A uint or bool field (a bool is 0 or 1).
    Field(Slot),
    /// A number that the bytes of `x` yield, after its steps: `len(x)`, `nesting(x)`.
    Measure(Measure, ByteSource),
    /// `count(field)`: occurrences in reach.
    Count(Slot),
    /// `count(x, "../")`: how often the pattern occurs in `x`.
    CountOf(ByteSource, Pattern),
    /// Sum.
    Add(Box<Operand>, Box<Operand>),
    /// Difference, not below 0.
    Sub(Box<Operand>, Box<Operand>),
    /// Product.
    Mul(Box<Operand>, Box<Operand>),
    /// Bitwise and.
    And(Box<Operand>, Box<Operand>),
}

/// A function from a value to a number. `engine::condition::functions` computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Bytes.
    Len,
    /// How many levels a path climbs out of its root; 0 for one that stays inside.
    Climbs,
    /// The greatest depth of brackets.
    Nesting,
    /// The value of ASCII decimal digits; absent if the text is no number; saturates.
    Decimal,
}

/// What a measure tells of the value: a rule's precondition is derived from it.
#[derive(Clone, Copy, Debug)]
pub enum MeasureTraits {
    /// It is the value's length.
    CountsBytes,
    /// It is 0 for a value without this literal.
    ZeroWithout(&'static [u8]),
    /// Nothing that can be looked up.
    Unknown,
}

impl Measure {
    /// See [`MeasureTraits`].
    pub const fn traits(self) -> MeasureTraits {
        match self {
            Self::Len => MeasureTraits::CountsBytes,
            Self::Climbs => MeasureTraits::ZeroWithout(b".."),
            Self::Nesting | Self::Decimal => MeasureTraits::Unknown,
        }
    }
}

/// Bytes of a field after some steps (`lower(url_decode(http.request.uri))[0:8]`).
#[derive(Clone, Debug)]
pub struct ByteSource {
    /// Which field.
    pub slot: Slot,
    /// Applied in order, into the engine's scratch; none means the field's own bytes.
    pub steps: Box<[ByteStep]>,
}

/// A step of a [`ByteSource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteStep {
    /// Bytes `start..end`; a negative offset counts from the end, as in Wireshark's slices.
    Slice {
        /// From.
        start: i32,
        /// To; `None` is the end.
        end: Option<i32>,
    },
    /// ASCII lower case.
    Lower,
    /// Percent-decoding once (`%zz` is left as it is). Twice: two steps.
    UrlDecode,
    /// Strips leading and trailing SP and HTAB.
    Trim,
}

/// What a step leaves of a value. None makes it longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepTraits {
    /// Every byte but for its ASCII case: each literal in the result is one in the value.
    KeepsLiterals,
    /// The value, percent-decoded.
    Decodes,
    /// A part.
    Slices {
        /// The part begins where the value begins.
        keeps_start: bool,
        /// The part ends where the value ends.
        keeps_end: bool,
    },
    /// The value without white space at its ends.
    Trims,
}

impl ByteStep {
    /// See [`StepTraits`].
    #[inline]
    pub const fn traits(self) -> StepTraits {
        match self {
            Self::Slice { start, end } => {
                StepTraits::Slices { keeps_start: start == 0, keeps_end: end.is_none() }
            }
            Self::Lower => StepTraits::KeepsLiterals,
            Self::UrlDecode => StepTraits::Decodes,
            Self::Trim => StepTraits::Trims,
        }
    }
}

/// A test on bytes.
#[derive(Clone, Debug)]
pub enum ByteTest {
    /// Byte for byte.
    Equal(Box<[u8]>),
    /// Every occurrence differs.
    NotEqual(Box<[u8]>),
    /// One of these.
    In(Box<[Box<[u8]>]>),
    /// Equals another field's bytes.
    SameAs(ByteSource),
    /// A substring.
    Contains(Pattern),
    /// A regular expression matches somewhere.
    Matches(Pattern),
    /// Begins with.
    StartsWith(Box<[u8]>),
    /// Ends with.
    EndsWith(Box<[u8]>),
    /// At least one byte of the set.
    AnyByteIn(ByteSet),
    /// All bytes in the set (true when empty).
    AllBytesIn(ByteSet),
    /// Is the peer's address in text form (`== peer`).
    IsPeer,
}
