//! Estimates how many messages of ordinary traffic fulfil a precondition, so that the better of two
//! can be chosen.

use super::{AtomKind, LiteralAtom, LiteralPlace};

impl AtomKind {
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Contains(literal) => literal.weight(),
            Self::Matches { required, .. } if required.is_empty() => 40,
            Self::Matches { required, .. } => {
                // A match tells more than one of its literals.
                let each = required.iter().map(|literal| literal_weight(literal));
                each.fold(0, usize::saturating_add).saturating_sub(1).min(40)
            }
            Self::LongerThan(than) => match than {
                0..8 => 250,
                8..16 => 120,
                16..64 => 48,
                64.. => 16,
            },
            Self::MoreThan(_) => 32,
            Self::BytesEqual(_) => 48,
            // Letters and digits are everywhere.
            Self::AnyByte(set) if set.iter().any(|byte| byte.is_ascii_alphanumeric()) => 255,
            Self::AnyByte(_) => 110,
            Self::First { set, .. } | Self::Last { set, .. } => set.len().saturating_mul(4).min(60),
            // Most flags are clear and most counts are 0. That tells less than the presence of a
            // rule's target.
            Self::NumberEqual(0) => 320,
            Self::NumberEqual(_) => 64,
            Self::NumberAbove(_) | Self::NumberBelow(_) => 96,
            Self::Lacks(_) => 4,
            Self::Present => 256,
        }
    }
}

impl LiteralAtom {
    fn weight(&self) -> usize {
        match self.place {
            LiteralPlace::Anywhere => literal_weight(&self.literal),
            LiteralPlace::Start | LiteralPlace::End => literal_weight(&self.literal).div_ceil(2),
        }
    }
}

fn literal_weight(literal: &[u8]) -> usize {
    match literal {
        [] => 256,
        [byte] if byte.is_ascii_graphic() => 100,
        [_] => 24,
        [_, _] => 32,
        [_, _, _] => 16,
        [..] => 4,
    }
}
