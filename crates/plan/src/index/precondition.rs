//! Derives a rule's precondition: a property of every message on which it fires, and one that an
//! index can look up.

mod bytes;
mod condition;
mod weight;

use stage::position::index;
use std::sync::Arc;

use proto::Slot;
use regex_automata::dfa::regex::Regex;

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

/// Some occurrence of `slot` has this property.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub(super) slot: Slot,
    pub(super) kind: AtomKind,
}

/// A property that the index can look up.
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
    /// The same of the last byte.
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

/// The place of a literal in a value, apart from white space around the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LiteralPlace {
    Anywhere,
    Start,
    End,
}

/// Alternatives that a precondition may list. A longer list is replaced by "the field is there".
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

    /// A rule with a target needs an occurrence of it; some rules need more. After edits, the
    /// engine looks the program's fields up again, so an earlier rule's edit cannot hide a later
    /// rule's work.
    fn of_transform(transform: &Transform, target: Slot) -> Self {
        match transform.traits().concerns {
            Concerns::Any => Self::one(target, AtomKind::Present),
            Concerns::LongerThan(bytes) => Self::one(target, AtomKind::LongerThan(index(bytes))),
            Concerns::NumbersOutside { min, max } => Self::Any(vec![
                Atom { slot: target, kind: AtomKind::NumberAbove(max) },
                Atom { slot: target, kind: AtomKind::NumberBelow(min) },
            ]),
            Concerns::MatchesOf(pattern) => Self::of_pattern(pattern, target),
            Concerns::DotSegments => Self::of_dot_segments(target),
            Concerns::MoreThan(count) => Self::more_than(target, index(count)),
        }
    }

    /// The value as it came contains a match of `pattern`.
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

    /// A match of `pattern` in the value after so many decodings, or (`None`) in anything that a
    /// value may become.
    fn of_required_literals(pattern: &Pattern, slot: Slot, decodings: Option<u8>) -> Self {
        // No step of a source makes a value longer.
        let least = pattern.match_bytes_min.saturating_sub(1);
        let by_length = Self::one(slot, AtomKind::LongerThan(index(least)));
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

    /// A path with a dot segment: one that begins with a dot, or has a dot behind a separator,
    /// either of them perhaps encoded.
    fn of_dot_segments(slot: Slot) -> Self {
        let mut dot = ByteSet::new();
        dot.insert(b'.');
        let begins = Self::one(slot, AtomKind::First { set: dot, empty: false });
        let literals: [&[u8]; 5] = [b"/.", b"\\.", b"%2f.", b"%5c.", b"%2e"];
        begins.or(Self::literals(literals.into_iter(), slot, 0))
    }

    /// Both are necessary: takes the one that fewer messages fulfil.
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

    /// A guess at ordinary traffic: the more messages fulfil it, the heavier.
    fn weight(&self) -> usize {
        match self {
            Self::Unknown => usize::MAX,
            Self::Any(atoms) => {
                atoms.iter().map(|atom| atom.kind.weight()).fold(0, usize::saturating_add)
            }
        }
    }
}
