//! The verbs, as rules carry them, and the table of their traits.
//!
//! Holds:     [`Transform`], and of each verb one row in [`Transform::traits`] and one arm in
//!            [`Transform::acts_on`].
//! Promises:  the index and the compiler ask the table and know no verb by name; where one runs in
//!            a way of its own (the fused program), it is in `index/program.rs`.
//! Never:     changes a byte: `engine` has a function for each.

use core::slice::from_ref;

use crate::pattern::Pattern;

/// A set of byte values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// Empty.
    pub const fn new() -> Self {
        Self([0; 4])
    }

    /// Adds one value.
    pub fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1_u64.wrapping_shl(u32::from(byte & 63));
        }
    }

    /// Nothing is in.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// How many are in.
    pub fn len(&self) -> usize {
        self.0
            .iter()
            .map(|word| usize::try_from(word.count_ones()).unwrap_or(0))
            .fold(0, usize::saturating_add)
    }

    /// All that are in, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|&byte| self.contains(byte))
    }

    /// All that are not in.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// What is in one of the two.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut union = *self;
        for (word, other) in union.0.iter_mut().zip(other.0) {
            *word |= other;
        }
        union
    }

    /// Is it in?
    pub fn contains(&self, byte: u8) -> bool {
        self.0
            .get(usize::from(byte >> 6))
            .is_some_and(|word| word & 1_u64.wrapping_shl(u32::from(byte & 63)) != 0)
    }
}

/// What a rule does to its target field. Several rules on one field run in rule order, each on what
/// the one before left.
#[derive(Clone, Debug)]
pub enum Transform {
    /// Keeps the first `to` bytes.
    Truncate {
        /// Bytes kept.
        to: u32,
    },
    /// Cuts from the first match on.
    CutAt {
        /// Where.
        pattern: Pattern,
        /// Whether the match itself stays.
        keep_match: bool,
    },
    /// Forces a number into `min..=max`.
    Clamp {
        /// Lower bound.
        min: u64,
        /// Upper bound.
        max: u64,
    },
    /// Writes a number.
    SetNumber(u64),
    /// Writes the whole value.
    SetBytes(Box<[u8]>),
    /// Clears flag bits of a number.
    Clear {
        /// Which.
        bits: u64,
    },
    /// Replaces every match, until none is left.
    Replace {
        /// What.
        pattern: Pattern,
        /// By what. Holds no match of the pattern itself: the compiler has checked.
        with: Box<[u8]>,
    },
    /// Overwrites every byte of the set.
    Mask {
        /// Which bytes.
        set: ByteSet,
        /// By what, itself not in the set.
        with: u8,
    },
    /// Overwrites every byte of every match, same length.
    MaskPattern {
        /// What.
        pattern: Pattern,
        /// By what.
        with: u8,
    },
    /// Takes the element away (header line, record, option, list item).
    Remove,
    /// Keeps the first `count` elements of this slot in the unit and removes the rest.
    KeepFirst {
        /// How many stay.
        count: u32,
    },
    /// Keeps the first element of each value (without ASCII case) and removes later ones.
    Dedupe {
        /// Keeps the last instead.
        keep_last: bool,
    },
    /// Rewrites into canonical form.
    Normalize(Normalization),
    /// Appends `with` until the value has `to` bytes.
    Pad {
        /// Length reached.
        to: u32,
        /// Filler.
        with: u8,
    },
    /// Discards the rest of the unit after the field (bytes that a patched server throws away).
    Discard,
    /// The message or datagram goes no further.
    Drop,
    /// The message is swallowed and answered, behind the answers that the server owes to those
    /// before it.
    Refuse(Reply),
    /// Both ends of the connection are reset; with a reply, it is given as for
    /// [`Transform::Refuse`], and the connection ends in order behind it. A datagram is dropped, or
    /// answered.
    Close(Option<Reply>),
}

/// Bytes a patch's own reply may have, and all answers that one turn puts into a stream.
pub const REPLY_BYTES_MAX: usize = 16 * 1024;

/// What `refuse`, or `close`, answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The decoder's own, by index into `Protocol::refusals`.
    Protocol(u8),
    /// The patch's own bytes.
    Custom(Box<[u8]>),
}

/// What `normalize` makes canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalization {
    /// Dot segments removed (RFC 3986 section 5.2.4), percent-encoded dots and slashes included,
    /// never above the root.
    Path,
    /// Runs of SP and HTAB become one SP; none at the ends.
    WhiteSpace,
    /// A CR without LF or an LF without CR becomes CRLF.
    LineEnds,
}

/// What a transform acts on.
#[derive(Clone, Copy, Debug)]
pub enum ActsOn<'t> {
    /// A field's value: `engine::value` has a function for each.
    Value,
    /// Whole elements, or the rest of the unit.
    Element,
    /// The message as a whole.
    Message(Verdict<'t>),
}

/// How a whole message is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'t> {
    /// In silence.
    Drop,
    /// With an answer; the connection lives on.
    Refuse(&'t Reply),
    /// With the connection; after an answer, if there is one.
    Close(Option<&'t Reply>),
}

/// How much of a message a transform has to see before it can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamingClass {
    /// Each byte on its own, at a known offset in the field: works on open fields, holds nothing.
    EachByte,
    /// Up to this many bytes that may be the beginning of a match: works on open fields, holds
    /// those.
    PartialMatch(u32),
    /// The whole field, element or unit.
    Unit,
    /// Every element of the message: it counts or compares them.
    Elements,
    /// The message head: it lets the message through as a whole, or not at all.
    Message,
}

impl StreamingClass {
    /// It works on open fields.
    pub const fn streams(self) -> bool {
        match self {
            Self::EachByte | Self::PartialMatch(_) => true,
            Self::Unit | Self::Elements | Self::Message => false,
        }
    }
}

/// Whether a field keeps its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthEffect {
    /// Always.
    Keeps,
    /// Where the field is a number in binary; digits may become more or fewer.
    KeepsInBinary,
    /// It may change.
    Changes,
}

/// The fields that a transform changes: a necessary condition on one occurrence of its target. The
/// index looks it up, so a message without such a field costs nothing.
#[derive(Clone, Copy, Debug)]
pub enum Concerns<'t> {
    /// Every occurrence.
    Any,
    /// Values of more bytes.
    LongerThan(u32),
    /// Numbers below `min` or above `max`.
    NumbersOutside {
        /// Lower bound.
        min: u64,
        /// Upper bound.
        max: u64,
    },
    /// Values with a match.
    MatchesOf(&'t Pattern),
    /// Paths with a segment `.` or `..`, encoded or not.
    DotSegments,
    /// Fields that occur more often in the unit.
    MoreThan(u32),
}

/// What holds for the field, or for the message, once the transform has run. The compiler refuses
/// two rules whose bounds exclude each other.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'t> {
    /// Nothing that a constant could contradict.
    None,
    /// The number is this one.
    Number(u64),
    /// The number lies between these, both included.
    NumberBetween {
        /// Lower bound.
        min: u64,
        /// Upper bound.
        max: u64,
    },
    /// These bits of the number are 0.
    BitsClear(u64),
    /// The value is this one.
    Bytes(&'t [u8]),
    /// The value has at most so many bytes.
    LengthAtMost(u32),
    /// The value has at least so many bytes.
    LengthAtLeast(u32),
    /// Of equal elements one is left: the first, or the last.
    OneOfEqual {
        /// The last.
        last: bool,
    },
    /// The message goes no further.
    Stopped(Verdict<'t>),
}

/// What a transform takes out of a value, wherever it is.
#[derive(Clone, Copy, Debug)]
pub enum TakesOut<'t> {
    /// Nothing that can be named.
    Nothing,
    /// Every byte of the set.
    Bytes(&'t ByteSet),
    /// Every match.
    Matches(&'t Pattern),
}

/// What the compiler has to know of a transform: the row of its verb.
#[derive(Clone, Copy, Debug)]
pub struct TransformTraits<'t> {
    /// How much it has to see.
    pub class: StreamingClass,
    /// Whether the field keeps its length.
    pub length: LengthEffect,
    /// Which fields it changes.
    pub concerns: Concerns<'t>,
    /// What holds afterwards.
    pub bound: Bound<'t>,
    /// What it takes out.
    pub takes_out: TakesOut<'t>,
    /// The bytes that it writes: another rule may take them out.
    pub writes: &'t [u8],
}

impl<'t> TransformTraits<'t> {
    /// Needs the whole field, and may change all of it: rows name what is different.
    const WHOLE_FIELD: Self = Self {
        class: StreamingClass::Unit,
        length: LengthEffect::Changes,
        concerns: Concerns::Any,
        bound: Bound::None,
        takes_out: TakesOut::Nothing,
        writes: &[],
    };

    /// Looks for `pattern`.
    fn of_pattern(pattern: &'t Pattern) -> Self {
        Self {
            class: pattern.match_bytes_max.map_or(StreamingClass::Unit, |longest| {
                StreamingClass::PartialMatch(longest.saturating_sub(1))
            }),
            concerns: Concerns::MatchesOf(pattern),
            takes_out: TakesOut::Matches(pattern),
            ..Self::WHOLE_FIELD
        }
    }

    /// Writes a number: a binary field keeps its length.
    const fn of_number(bound: Bound<'t>) -> Self {
        Self { length: LengthEffect::KeepsInBinary, bound, ..Self::WHOLE_FIELD }
    }

    /// Takes elements of a list that has more than `count`.
    const fn of_elements(count: u32) -> Self {
        Self {
            class: StreamingClass::Elements,
            concerns: Concerns::MoreThan(count),
            ..Self::WHOLE_FIELD
        }
    }

    /// Takes the message as a whole.
    const fn of_verdict(verdict: Verdict<'t>, class: StreamingClass) -> Self {
        Self {
            class,
            length: LengthEffect::Keeps,
            bound: Bound::Stopped(verdict),
            ..Self::WHOLE_FIELD
        }
    }
}

impl Transform {
    /// The table of the verbs: one row each.
    pub fn traits(&self) -> TransformTraits<'_> {
        use TransformTraits as Row;
        match self {
            Self::Truncate { to } => Row {
                class: StreamingClass::EachByte,
                concerns: Concerns::LongerThan(*to),
                bound: Bound::LengthAtMost(*to),
                ..Row::WHOLE_FIELD
            },
            Self::CutAt { pattern, keep_match: false } => Row::of_pattern(pattern),
            Self::CutAt { pattern, keep_match: true } => {
                Row { takes_out: TakesOut::Nothing, ..Row::of_pattern(pattern) }
            }
            Self::Clamp { min, max } => Row {
                concerns: Concerns::NumbersOutside { min: *min, max: *max },
                ..Row::of_number(Bound::NumberBetween { min: *min, max: *max })
            },
            Self::SetNumber(number) => Row::of_number(Bound::Number(*number)),
            Self::SetBytes(value) => {
                Row { bound: Bound::Bytes(value), writes: value, ..Row::WHOLE_FIELD }
            }
            Self::Clear { bits } => Row::of_number(Bound::BitsClear(*bits)),
            Self::Replace { pattern, with } => Row {
                length: if pattern.is_always_of(with.len()) {
                    LengthEffect::Keeps
                } else {
                    LengthEffect::Changes
                },
                writes: with,
                ..Row::of_pattern(pattern)
            },
            Self::Mask { set, with } => Row {
                class: StreamingClass::EachByte,
                length: LengthEffect::Keeps,
                takes_out: TakesOut::Bytes(set),
                writes: from_ref(with),
                ..Row::WHOLE_FIELD
            },
            Self::MaskPattern { pattern, with } => Row {
                length: LengthEffect::Keeps,
                writes: from_ref(with),
                ..Row::of_pattern(pattern)
            },
            Self::Remove | Self::Discard => Row::WHOLE_FIELD,
            Self::KeepFirst { count } => Row::of_elements(*count),
            Self::Dedupe { keep_last } => {
                Row { bound: Bound::OneOfEqual { last: *keep_last }, ..Row::of_elements(1) }
            }
            Self::Normalize(Normalization::Path) => {
                Row { concerns: Concerns::DotSegments, ..Row::WHOLE_FIELD }
            }
            Self::Normalize(Normalization::WhiteSpace | Normalization::LineEnds) => {
                Row::WHOLE_FIELD
            }
            Self::Pad { to, with } => {
                Row { bound: Bound::LengthAtLeast(*to), writes: from_ref(with), ..Row::WHOLE_FIELD }
            }
            Self::Drop => Row::of_verdict(Verdict::Drop, StreamingClass::Message),
            Self::Refuse(reply) => Row::of_verdict(Verdict::Refuse(reply), StreamingClass::Message),
            Self::Close(Some(reply)) => {
                Row::of_verdict(Verdict::Close(Some(reply)), StreamingClass::Message)
            }
            Self::Close(None) => Row::of_verdict(Verdict::Close(None), StreamingClass::Unit),
        }
    }

    /// What it acts on. Not in the row: the engine asks for every message that a rule concerns.
    #[inline]
    pub const fn acts_on(&self) -> ActsOn<'_> {
        match self {
            Self::Truncate { .. }
            | Self::CutAt { .. }
            | Self::Clamp { .. }
            | Self::SetNumber(_)
            | Self::SetBytes(_)
            | Self::Clear { .. }
            | Self::Replace { .. }
            | Self::Mask { .. }
            | Self::MaskPattern { .. }
            | Self::Normalize(_)
            | Self::Pad { .. } => ActsOn::Value,
            Self::Remove | Self::KeepFirst { .. } | Self::Dedupe { .. } | Self::Discard => {
                ActsOn::Element
            }
            Self::Drop => ActsOn::Message(Verdict::Drop),
            Self::Refuse(reply) => ActsOn::Message(Verdict::Refuse(reply)),
            Self::Close(reply) => ActsOn::Message(Verdict::Close(reply.as_ref())),
        }
    }

    /// How it stops the message, if it does.
    #[inline]
    pub const fn verdict(&self) -> Option<Verdict<'_>> {
        match self.acts_on() {
            ActsOn::Message(verdict) => Some(verdict),
            ActsOn::Value | ActsOn::Element => None,
        }
    }

    /// The pattern that it looks for.
    pub fn pattern(&self) -> Option<&Pattern> {
        match self.traits().concerns {
            Concerns::MatchesOf(pattern) => Some(pattern),
            Concerns::Any
            | Concerns::LongerThan(_)
            | Concerns::NumbersOutside { .. }
            | Concerns::DotSegments
            | Concerns::MoreThan(_) => None,
        }
    }

    /// It works on open fields.
    pub fn streams(&self) -> bool {
        self.traits().class.streams()
    }
}
