//! serde over [`Node`]s.
#![allow(clippy::wildcard_enum_match_arm, reason = "every other shape is refused in one arm")]

use std::cell::RefCell;
use std::fmt;

use serde::de::value::{StrDeserializer, UsizeDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{Node, NodeValue, Style};
use super::place_within;
use crate::bytes;
use crate::diagnostic::{Diagnostic, Place, SourceFile};
use crate::spelling::nearest;

/// The name of the struct that [`super::Spanned`] asks for.
pub(super) const SPANNED: &str = "$Spanned";
/// Its made-up keys.
pub(super) const SPANNED_FIELDS: &[&str] = &["start", "end", "value"];
/// The name of the type that a byte string asks for: a scalar's bytes. `\xNN` is one byte in every
/// quoting style.
pub(crate) const BYTES: &str = "$Bytes";
/// Like [`BYTES`], but a plain number stays a number.
pub(crate) const LITERAL: &str = "$Literal";

/// Reads `file` as a `T`. All unknown and repeated keys and the first mistake of each list item are
/// reported.
pub fn from_source<T: DeserializeOwned>(file: &SourceFile) -> Result<T, Vec<Diagnostic>> {
    let node = Node::parse(file).map_err(|error| vec![*error])?;
    from_node(file, &node)
}

/// Reads a tree of `file` as a `T`, for who has looked at the tree first.
pub fn from_node<T: DeserializeOwned>(
    file: &SourceFile,
    node: &Node,
) -> Result<T, Vec<Diagnostic>> {
    let found = RefCell::new(Vec::new());
    let result = T::deserialize(NodeReader { node, file, found: &found });
    let mut found = found.into_inner();
    match result {
        Ok(value) if found.is_empty() => Ok(value),
        Ok(_) => Err(found),
        Err(error) => {
            found.extend(error.into_diagnostic(file, node.place));
            found.sort_by_key(|diagnostic| (diagnostic.at.line, diagnostic.at.column));
            Err(found)
        }
    }
}

/// A mistake on its way up.
#[derive(Debug)]
struct Mistake {
    /// Empty: reported already.
    message: String,
    place: Option<Place>,
    help: Option<String>,
}

impl Mistake {
    fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    fn into_diagnostic(self, file: &SourceFile, fallback: Place) -> Option<Diagnostic> {
        if self.message.is_empty() {
            return None;
        }
        let mut diagnostic = Diagnostic::new(file, self.place.unwrap_or(fallback), self.message);
        diagnostic.help = self.help;
        Some(diagnostic)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), place: None, help: None }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {}, found {}", in_words(expected), shown(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        let help = nearest(found, expected.iter().copied()).map_or_else(
            || format!("one of: {}", expected.join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        Self { message: format!("`{found}` is not known here"), place: None, help: Some(help) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("the key `{field}` is missing"))
    }
}

/// serde names Rust's types; authors of YAML need not know them.
fn in_words(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "u8" => "a number from 0 to 255".to_owned(),
        "u16" => "a number from 0 to 65535".to_owned(),
        "u32" => "a number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a number, decimal or 0x…".to_owned(),
        "a boolean" => "true or false".to_owned(),
        other => other.to_owned(),
    }
}

fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Unit => "nothing".to_owned(),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Bool(truth) => truth.to_string(),
        Unexpected::Str(text) => format!("the text {text:?}"),
        other => other.to_string(),
    }
}

#[derive(Clone, Copy)]
struct NodeReader<'a> {
    node: &'a Node,
    file: &'a SourceFile,
    found: &'a RefCell<Vec<Diagnostic>>,
}

impl<'a> NodeReader<'a> {
    fn over(self, node: &'a Node) -> Self {
        Self { node, ..self }
    }

    fn report(self, mistake: Mistake) {
        self.found.borrow_mut().extend(mistake.into_diagnostic(self.file, self.node.place));
    }

    fn attach<T>(self, result: Result<T, Mistake>) -> Result<T, Mistake> {
        result.map_err(|mistake| mistake.at(self.node.place))
    }

    fn composite<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let result = match &self.node.value {
            NodeValue::Sequence(items) => {
                visitor.visit_seq(Items { reader: self, items: items.iter() })
            }
            NodeValue::Mapping(entries) => {
                visitor.visit_map(Entries { reader: self, entries: entries.iter(), value: None })
            }
            NodeValue::Scalar(text, _) => visitor.visit_str(text),
        };
        self.attach(result)
    }

    /// A scalar's bytes with its escapes undone.
    fn bytes(self, text: &str, style: Style) -> Result<Vec<u8>, Mistake> {
        if style == Style::Double {
            return Ok(bytes::of_double_quoted(self.file.slice(self.node.place)));
        }
        bytes::unescape(text).map_err(|error| Mistake {
            place: Some(place_within(
                self.file,
                self.node.place,
                text,
                error.range.0..error.range.1,
            )),
            message: error.message,
            help: Some(bytes::ESCAPES.to_owned()),
        })
    }
}

/// A plain scalar that looks like an unsigned number: decimal, or hexadecimal with `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u64::from_str_radix(hex, 16).ok()
        }
        Some(_) => None,
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let NodeValue::Scalar(text, style) = &self.node.value else {
            return self.composite(visitor);
        };
        let result = if *style != Style::Plain {
            visitor.visit_str(text)
        } else if self.node.is_null() {
            visitor.visit_unit()
        } else if let Some(number) = number(text) {
            visitor.visit_u64(number)
        } else if let Ok(number) = text.parse::<i64>() {
            visitor.visit_i64(number)
        } else {
            match text.as_str() {
                "true" | "True" | "TRUE" => visitor.visit_bool(true),
                "false" | "False" | "FALSE" => visitor.visit_bool(false),
                _ => visitor.visit_str(text),
            }
        };
        self.attach(result)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            NodeValue::Scalar(text, Style::Plain) if let Ok(number) = text.parse() => {
                self.attach(visitor.visit_f64(number))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.node.value {
            // A string is wanted, so `patch: 2002` is the text as written; nothing at all is still
            // a mistake.
            NodeValue::Scalar(text, _) if !self.node.is_null() => {
                self.attach(visitor.visit_str(text))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match (&self.node.value, name) {
            (NodeValue::Scalar(text, Style::Plain), LITERAL) if let Some(number) = number(text) => {
                self.attach(visitor.visit_u64(number))
            }
            (NodeValue::Scalar(text, style), BYTES | LITERAL) => {
                let bytes = self.bytes(text, *style)?;
                self.attach(visitor.visit_byte_buf(bytes))
            }
            (NodeValue::Sequence(_) | NodeValue::Mapping(_), BYTES | LITERAL) => {
                self.composite(visitor)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        if name == SPANNED {
            return visitor.visit_map(WithPlace { reader: self, turn: 0 });
        }
        let entries = match &self.node.value {
            NodeValue::Mapping(entries) => entries,
            NodeValue::Sequence(_) => {
                return self.attach(Err(de::Error::invalid_type(Unexpected::Seq, &"a mapping")));
            }
            NodeValue::Scalar(text, _) => {
                let found = Unexpected::Str(text);
                return self.attach(Err(de::Error::invalid_type(found, &"a mapping")));
            }
        };
        let mut seen: Vec<(&str, Place)> = Vec::new();
        let mut known = Vec::new();
        for entry in entries {
            let (key, _) = entry;
            let NodeValue::Scalar(text, _) = &key.value else {
                self.over(key).report(de::Error::custom("a key is a single word"));
                continue;
            };
            if !fields.contains(&text.as_str()) {
                let help = nearest(text, fields.iter().copied()).map_or_else(
                    || format!("the keys here are: {}", fields.join(", ")),
                    |name| format!("did you mean `{name}`?"),
                );
                self.over(key).report(Mistake {
                    message: format!("there is no key `{text}` here"),
                    place: None,
                    help: Some(help),
                });
            } else if seen.iter().any(|(before, _)| before == text) {
                self.over(key).report(de::Error::custom(format!("the key `{text}` is here twice")));
            } else {
                seen.push((text, key.place));
                known.push(entry);
            }
        }
        let entries = Entries { reader: self, entries: known.into_iter(), value: None };
        self.attach(visitor.visit_map(entries))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let result = match &self.node.value {
            NodeValue::Scalar(text, _) => {
                let name: StrDeserializer<'_, Mistake> = text.as_str().into_deserializer();
                visitor.visit_enum(name)
            }
            NodeValue::Mapping(entries) if let [(key, value)] = entries.as_slice() => {
                visitor.visit_enum(Variant { reader: self, key, value })
            }
            NodeValue::Mapping(_) | NodeValue::Sequence(_) => {
                Err(de::Error::custom("expected one word, found a list or mapping"))
            }
        };
        self.attach(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier
    }
}

/// The items of a list.
struct Items<'a, I> {
    reader: NodeReader<'a>,
    items: I,
}

impl<'a, 'de, I: Iterator<Item = &'a Node>> SeqAccess<'de> for Items<'a, I> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mistake> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let reader = self.reader.over(item);
        match seed.deserialize(reader) {
            Ok(value) => Ok(Some(value)),
            Err(mistake) => {
                reader.report(mistake.at(item.place));
                // Reported. `List` asks for the next item all the same; a `Vec` gives up here.
                Err(Mistake { message: String::new(), place: None, help: None })
            }
        }
    }
}

struct Entries<'a, I> {
    reader: NodeReader<'a>,
    entries: I,
    value: Option<&'a Node>,
}

impl<'a, 'de, I: Iterator<Item = &'a (Node, Node)>> MapAccess<'de> for Entries<'a, I> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        let NodeValue::Scalar(text, _) = &key.value else {
            return Err(de::Error::custom("a key is a single word"));
        };
        let name: StrDeserializer<'_, Mistake> = text.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|mistake: Mistake| mistake.at(key.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let value = self.value.take().ok_or_else(|| Mistake {
            message: "a value is missing".to_owned(),
            place: None,
            help: None,
        })?;
        let reader = self.reader.over(value);
        let place = if value.is_null() { self.reader.node.place } else { value.place };
        seed.deserialize(reader).map_err(|mistake| mistake.at(place))
    }
}

/// The made-up mapping behind [`super::Spanned`].
struct WithPlace<'a> {
    reader: NodeReader<'a>,
    turn: usize,
}

impl<'de> MapAccess<'de> for WithPlace<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some(name) = SPANNED_FIELDS.get(self.turn) else { return Ok(None) };
        self.turn = self.turn.saturating_add(1);
        let name: StrDeserializer<'_, Mistake> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let place = self.reader.node.place;
        let number = |at: usize| -> UsizeDeserializer<Mistake> { at.into_deserializer() };
        match self.turn {
            1 => seed.deserialize(number(place.start)),
            2 => seed.deserialize(number(place.end)),
            _ => seed.deserialize(self.reader),
        }
    }
}

/// `name: value` where one of several shapes is expected.
struct Variant<'a> {
    reader: NodeReader<'a>,
    key: &'a Node,
    value: &'a Node,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Mistake;
    type Variant = NodeReader<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, NodeReader<'a>), Mistake> {
        let name = seed.deserialize(self.reader.over(self.key))?;
        Ok((name, self.reader.over(self.value)))
    }
}

impl<'de> VariantAccess<'de> for NodeReader<'_> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        Err(de::Error::custom("expected one word, found a mapping"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.deserialize_struct("", fields, visitor)
    }
}
