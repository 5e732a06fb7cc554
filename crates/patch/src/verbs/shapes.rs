//! The shapes of operands that have no type of their own elsewhere.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};

/// The value of a verb that takes no field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole;

/// `keep:` of `cut_at` and `dedupe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// `true` or `false`.
    Match(bool),
    /// `first`.
    First,
    /// `last`.
    Last,
}

/// Canonical forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Dot segments removed (RFC 3986 section 5.2.4), percent-encoded ones included, never above
    /// the root.
    Path,
    /// Runs of blanks become one; none at the ends.
    WhiteSpace,
    /// A CR without LF or an LF without CR becomes CRLF.
    LineEnds,
}

/// `drop:` with nothing behind it still is a verb.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`message`, `datagram`, `connection` or nothing, as this verb takes no field")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Whole, E> {
        Ok(Whole)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Whole, E> {
        match text {
            "message" | "datagram" | "connection" => Ok(Whole),
            _ => Err(E::invalid_type(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

impl JsonSchema for Whole {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["message", "datagram", "connection", null] })
    }
}

struct KeepVisitor;

impl Visitor<'_> for KeepVisitor {
    type Value = Keep;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, `first` or `last`")
    }

    fn visit_bool<E: serde::de::Error>(self, keep: bool) -> Result<Keep, E> {
        Ok(Keep::Match(keep))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Keep, E> {
        match text {
            "first" => Ok(Keep::First),
            "last" => Ok(Keep::Last),
            _ => Err(E::invalid_type(serde::de::Unexpected::Str(text), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeepVisitor)
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [true, false, "first", "last"] })
    }
}
