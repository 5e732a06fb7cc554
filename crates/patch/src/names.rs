//! Names of fields and directions, and the messages about wrong ones.

use proto::{FieldDef, FieldKind, Protocol};
use stage::Direction;

use crate::spelling::nearest;

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
            Some("a patch has one protocol: write a second patch for the other".to_owned()),
        );
    }
    let known = protocol.fields.iter().map(|field| field.name);
    let help = nearest(name, known).map_or_else(
        || format!("`wirepatch fields {}` lists the fields there are", protocol.name),
        |near| format!("did you mean `{near}`?"),
    );
    (format!("no field is called `{name}`"), Some(help))
}

/// Largest value of a field of this kind.
pub(crate) const fn largest(kind: FieldKind) -> u64 {
    match kind {
        FieldKind::Bool => 1,
        FieldKind::Uint(bits @ 0..=63) => (1 << bits) - 1,
        FieldKind::Uint(_) | FieldKind::Bytes | FieldKind::Text => u64::MAX,
    }
}

/// A field's kind, for a message.
pub(crate) fn kind_words(def: &FieldDef) -> String {
    match def.kind {
        FieldKind::Bytes => "bytes".to_owned(),
        FieldKind::Text => "text".to_owned(),
        FieldKind::Bool => "a flag".to_owned(),
        FieldKind::Uint(bits) => format!("a number of {bits} bits"),
    }
}
