//! The verbs.

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

/// What a rule does to its target field. Several rules on one field run in rule order, each on what the one before left.
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
    /// The message is swallowed and answered, behind the answers that the server owes to those before it.
    Refuse(Reply),
    /// Both ends of the connection are reset; with a reply, it is given as for [`Transform::Refuse`], and the connection ends in order
    /// behind it. A datagram is dropped, or answered.
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
    /// Dot segments removed (RFC 3986 section 5.2.4), percent-encoded dots and slashes included, never above the root.
    Path,
    /// Runs of SP and HTAB become one SP; none at the ends.
    WhiteSpace,
    /// A CR without LF or an LF without CR becomes CRLF.
    LineEnds,
}

/// How much of a unit has to be there before a transform can act: what the compiler's streaming/hold classes rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each byte on its own, knowing its offset in the field: works on open fields, no hold.
    Bytes,
    /// Up to this many bytes more (a pattern's longest match less one): works on open fields, holds that many.
    Window(u32),
    /// The whole field, element or unit.
    Unit,
}

impl Transform {
    /// See [`Scope`].
    pub fn scope(&self) -> Scope {
        match self {
            Self::Truncate { .. } | Self::Mask { .. } => Scope::Bytes,
            Self::Replace { pattern, .. } | Self::MaskPattern { pattern, .. } => pattern
                .match_bytes_max
                .map_or(Scope::Unit, |max| Scope::Window(max.saturating_sub(1))),
            Self::CutAt { pattern, .. } => pattern
                .match_bytes_max
                .map_or(Scope::Unit, |max| Scope::Window(max.saturating_sub(1))),
            Self::Clamp { .. }
            | Self::SetNumber(_)
            | Self::SetBytes(_)
            | Self::Clear { .. }
            | Self::Remove
            | Self::KeepFirst { .. }
            | Self::Dedupe { .. }
            | Self::Normalize(_)
            | Self::Pad { .. }
            | Self::Discard
            | Self::Drop
            | Self::Refuse(_)
            | Self::Close(_) => Scope::Unit,
        }
    }
}
