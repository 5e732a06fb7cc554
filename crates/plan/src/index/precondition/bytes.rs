//! Preconditions of tests on bytes.

use proto::Slot;

use super::{ATOMS_MAX, AtomKind, LiteralAtom, LiteralPlace, Precondition};
use crate::condition::{ByteSource, ByteTest, StepTraits};
use crate::transform::ByteSet;

/// Bytes of which any is waited for one by one.
const ANY_BYTE_MAX: usize = 16;

/// What a source's steps leave of a value.
pub(super) struct SourceEffect {
    /// A literal of the source's value is one of the value decoded so often; `None`: a slice may
    /// have cut what is decoded then.
    pub(super) decodings: Option<u8>,
    keeps_start: bool,
    keeps_end: bool,
    trims: bool,
}

impl SourceEffect {
    pub(super) fn of(source: &ByteSource) -> Self {
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

impl Precondition {
    pub(super) fn of_bytes(source: &ByteSource, test: &ByteTest) -> Self {
        let slot = source.slot;
        let effect = SourceEffect::of(source);
        let literal = |literal: &[u8], place| Self::of_literal(literal, place, slot, &effect);
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

    /// A literal in this place of the value that a source makes of the field's.
    fn of_literal(literal: &[u8], place: LiteralPlace, slot: Slot, effect: &SourceEffect) -> Self {
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
    }
}
