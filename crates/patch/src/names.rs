//! Names of fields and functions, and what is said when one is wrong.

use proto::{FieldKind, Protocol};
use stage::Direction;

use crate::spelling::nearest;

/// Every function of the condition language.
pub(crate) const FUNCTIONS: &[&str] = &[
    "len",
    "count",
    "lower",
    "url_decode",
    "trim",
    "any_byte_in",
    "all_bytes_in",
    "duplicate",
    "climbs",
    "nesting",
    "decimal",
];

/// `requests` or `responses`.
pub(crate) const fn messages(direction: Direction) -> &'static str {
    match direction {
        Direction::Request => "requests",
        Direction::Response => "responses",
    }
}

/// Message and help for a field that `protocol` does not have.
pub(crate) fn unknown(
    name: &str,
    protocol: &Protocol,
    others: &[&'static Protocol],
) -> (String, Option<String>) {
    if let Some(other) = others.iter().find(|other| other.field(name).is_some()) {
        return (
            format!(
                "`{name}` is a field of {}, and this patch is for {}",
                other.name, protocol.name
            ),
            Some("a patch speaks of one protocol; another one takes a patch of its own".to_owned()),
        );
    }
    let known = protocol.fields.iter().map(|field| field.name);
    let help = nearest(name, known).map_or_else(
        || format!("`wirepatch fields {}` lists the fields there are", protocol.name),
        |near| format!("did you mean `{near}`?"),
    );
    (format!("no field is called `{name}`"), Some(help))
}

/// Message and help for a function that there is not.
pub(crate) fn unknown_function(name: &str) -> (String, Option<String>) {
    let help = nearest(name, FUNCTIONS.iter().copied()).map_or_else(
        || format!("there are: {}", FUNCTIONS.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    (format!("no function is called `{name}`"), Some(help))
}

/// Largest value of a field of this kind.
pub(crate) const fn largest(kind: FieldKind) -> u64 {
    match kind {
        FieldKind::Bool => 1,
        FieldKind::Uint(bits @ 0..=63) => (1 << bits) - 1,
        FieldKind::Uint(_) | FieldKind::Bytes | FieldKind::Text => u64::MAX,
    }
}
