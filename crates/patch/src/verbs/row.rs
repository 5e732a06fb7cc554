//! The columns of the table of the verbs.

use plan::Transform;
use proto::{FieldDef, FieldKind, Repr};

use crate::rule::TransformBuilder;

/// One verb of the patch language.
pub(crate) struct VerbRow {
    /// Its key in a rule.
    pub(crate) name: &'static str,
    /// The value behind the key.
    pub(crate) on: &'static str,
    /// Its effect, for the manual and the JSON Schema, without a full stop.
    pub(crate) does: &'static str,
    /// The fields it works on.
    pub(crate) takes: FieldsTaken,
    /// Groups of operands that have to be there.
    pub(crate) needs: &'static [Operands],
    /// Operands that may be there.
    pub(crate) may: &'static [OperandForm],
    /// A rule, for the manual: a test compiles it.
    pub(crate) example: &'static str,
    /// From the operands to the transform. `None`: a mistake was reported.
    pub(crate) build: fn(&mut TransformBuilder<'_, '_>) -> Option<Transform>,
}

/// An operand as a rule writes it: `to: N`.
pub(crate) type OperandForm = &'static str;

/// The key of an operand.
pub(crate) fn key_of(form: OperandForm) -> &'static str {
    form.split(':').next().unwrap_or(form)
}

/// A group of operands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operands {
    /// Exactly one of these.
    OneOf(&'static [OperandForm]),
    /// One of these, or all.
    Some(&'static [OperandForm]),
}

impl Operands {
    /// The operands themselves.
    pub(crate) const fn forms(self) -> &'static [OperandForm] {
        match self {
            Self::OneOf(forms) | Self::Some(forms) => forms,
        }
    }

    /// Their keys for a message: "`pattern` or `regex`".
    pub(crate) fn keys(self) -> String {
        self.joined(key_of)
    }

    /// The operands as a rule writes them: "`pattern: BYTES` or `regex: EXPRESSION`".
    pub(crate) fn written(self) -> String {
        self.joined(|form| form)
    }

    fn joined(self, word: impl Fn(OperandForm) -> &'static str) -> String {
        let mut quoted: Vec<_> =
            self.forms().iter().map(|form| format!("`{}`", word(form))).collect();
        quoted.dedup();
        match self {
            Self::OneOf(_) => quoted.join(" or "),
            Self::Some(_) => format!("{} or both", quoted.join(", ")),
        }
    }
}

impl VerbRow {
    /// Every operand that goes with it.
    pub(crate) fn operands(&self) -> impl Iterator<Item = OperandForm> + '_ {
        self.needs.iter().flat_map(|group| group.forms()).chain(self.may).copied()
    }
}

/// The fields that a verb works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldsTaken {
    /// Bytes and text.
    Bytes,
    /// Numbers with bytes of their own.
    Numbers,
    /// Both.
    BytesOrNumbers,
    /// Fields of elements.
    Elements,
    /// Whatever is there, or no field at all.
    Any,
}

impl FieldsTaken {
    /// Whether it is one.
    pub(crate) fn has(self, def: &FieldDef) -> bool {
        let is_bytes = matches!(def.kind, FieldKind::Bytes | FieldKind::Text);
        let is_number = !is_bytes && def.repr != Repr::None;
        match self {
            Self::Bytes => is_bytes,
            Self::Numbers => is_number,
            Self::BytesOrNumbers => is_bytes || is_number,
            Self::Elements => def.element,
            Self::Any => true,
        }
    }

    /// For "`pad` …; this field is …".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Bytes => "works on bytes and text",
            Self::Numbers => "works on numbers that have bytes of their own",
            Self::BytesOrNumbers => "needs a field that has bytes of its own",
            Self::Elements => "works on elements: header lines, records, options, list items",
            Self::Any => "works on every field",
        }
    }
}
