//! A key of the configuration is one row of `settings.rs`.
//!
//! Holds:     [`ConfigKey`] (a row), [`KeyKind`] (how its value is written), and the macro `keys!`.
//!            It makes of rows the struct that serde fills, its defaults, and the table.
//! Promises:  the reader, the JSON Schema, the manual, the sample and the diagnostics see the same
//!            rows.
//! Never:     knows a key by name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use patch::yaml::Spanned;
use serde_json::Value;

/// One row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigKey {
    /// As the operator writes it, without the sections around it.
    pub(crate) name: &'static str,
    /// Its name one release ago. It is still read, with a warning.
    pub(crate) formerly: Option<&'static str>,
    /// How its value is written.
    pub(crate) kind: KeyKind,
    /// Bounds of its numbers.
    pub(crate) range: Option<KeyRange>,
    /// Its value where the file leaves it out. Required keys have none.
    pub(crate) default: Option<fn() -> Value>,
    /// When a running appliance takes a change up.
    pub(crate) applies: Applies,
    /// One or two sentences for the manual, the schema and the sample.
    pub(crate) text: &'static str,
}

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyKind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// Any text.
    Text,
    /// Text of a form.
    Form(TextForm),
    /// One word of these.
    Word(&'static [KeyWord]),
    /// The key may be left out, and has no default then.
    Optional(&'static KeyKind),
    /// A list.
    List(&'static KeyKind),
    /// A list of exactly two.
    Pair(&'static KeyKind),
    /// A mapping from protocol names.
    ByProtocol(&'static KeyKind),
    /// A mapping with keys of its own.
    Section(&'static [ConfigKey]),
}

/// Text that is parsed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextForm {
    /// Completes "write ...".
    pub(crate) name: &'static str,
    /// Whether a text has the form.
    pub(crate) check: fn(&str) -> Result<(), Malformed>,
}

/// Why a text does not have its form, and what to write instead.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub help: String,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// One word, and its meaning.
#[derive(Clone, Copy, Debug)]
pub struct KeyWord {
    /// As the operator writes it.
    pub word: &'static str,
    /// A sentence.
    pub text: &'static str,
}

/// Bounds of a number, both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRange {
    pub(crate) least: u32,
    pub(crate) most: u32,
    /// What is counted, in the plural; empty where the key's text says it.
    pub(crate) unit: &'static str,
}

/// When a running appliance takes a change up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applies {
    /// When it is started again.
    Restart,
    /// With the next reload.
    Reload,
    /// The keys inside say.
    Inside,
}

/// A type that a key's value may have.
pub(crate) trait KeyType {
    /// How it is written.
    const KIND: KeyKind;
}

/// A struct that `keys!` has made.
pub(crate) trait KeySection {
    /// Its rows.
    const KEYS: &'static [ConfigKey];

    /// Takes from `new` the values that a reload takes up.
    fn take_up(&mut self, new: &Self);
}

/// A struct with a field for each row:
/// `name: type [range, unit] = default, applies, text, formerly old;`. Numbers have the brackets. A
/// row without a default is a required key.
macro_rules! keys {
    (
        $(#[$attribute:meta])*
        pub struct $section:ident {$(
            $name:ident : $type:ty $([$range:expr, $unit:literal])? $(= $default:expr)?,
            $applies:ident, $text:literal $(, formerly $old:literal)?;
        )+}
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
        #[serde(default)]
        pub struct $section {
            $(#[doc = $text] pub $name: $type,)+
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($name: keys!(@value $($default)?),)+ }
            }
        }

        impl $crate::keys::KeySection for $section {
            const KEYS: &'static [$crate::keys::ConfigKey] = &[$(
                $crate::keys::ConfigKey {
                    name: stringify!($name),
                    formerly: keys!(@option $($old)?),
                    kind: <$type as $crate::keys::KeyType>::KIND,
                    range: keys!(@range $($range, $unit)?),
                    default: keys!(@json $type $(, $default)?),
                    applies: $crate::keys::Applies::$applies,
                    text: $text,
                },
            )+];

            fn take_up(&mut self, new: &Self) {
                $(keys!(@take_up $applies self.$name, new.$name);)+
            }
        }

        impl $crate::keys::KeyType for $section {
            const KIND: $crate::keys::KeyKind =
                $crate::keys::KeyKind::Section(<Self as $crate::keys::KeySection>::KEYS);
        }
    };
    (@value) => { Default::default() };
    (@value $default:expr) => { $default };
    (@option) => { None };
    (@option $old:literal) => { Some($old) };
    (@range) => { None };
    (@range $range:expr, $unit:literal) => {
        Some($crate::keys::KeyRange {
            least: *($range).start(),
            most: *($range).end(),
            unit: $unit,
        })
    };
    (@json $type:ty) => { None };
    (@json $type:ty, $default:expr) => {
        Some(|| $crate::keys::json::<$type>(&$default))
    };
    (@take_up Restart $old:expr, $new:expr) => { let _ = &$new; };
    (@take_up Reload $old:expr, $new:expr) => { $old.clone_from(&$new) };
    (@take_up Inside $old:expr, $new:expr) => {
        $crate::keys::KeySection::take_up(&mut $old, &$new)
    };
}

pub(crate) use keys;

/// A value as data, without the places that it was read from.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A value as the operator writes it in one line.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    }
}

impl ConfigKey {
    /// "64 to 16777216 connections", where the key has a range.
    pub(crate) fn bounds(&self) -> Option<String> {
        let KeyRange { least, most, unit } = self.range?;
        Some(format!("{least} to {most} {unit}").trim_end().to_owned())
    }
}

impl KeyKind {
    /// The rows of a section, or of each section in a list.
    pub(crate) const fn rows(self) -> Option<&'static [ConfigKey]> {
        if let Self::Section(keys) | Self::List(&Self::Section(keys)) = self {
            Some(keys)
        } else {
            None
        }
    }

    /// Completes "write ...": `a whole number`.
    pub(crate) fn in_words(self) -> String {
        match self {
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Number => "a whole number".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Form(form) => form.name.to_owned(),
            Self::Word(words) => {
                let words: Vec<String> =
                    words.iter().map(|word| format!("`{}`", word.word)).collect();
                match words.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
                    None => String::new(),
                }
            }
            Self::Optional(kind) => kind.in_words(),
            Self::List(&Self::Section(_)) => "a list of mappings".to_owned(),
            Self::List(kind) => format!("a list; each item is {}", kind.in_words()),
            Self::Pair(kind) => format!("a pair `[one, other]`; each is {}", kind.in_words()),
            Self::ByProtocol(kind) => {
                format!("a mapping; each key is a protocol, each value {}", kind.in_words())
            }
            Self::Section(_) => "a mapping".to_owned(),
        }
    }
}

impl KeyType for bool {
    const KIND: KeyKind = KeyKind::Switch;
}

impl KeyType for u16 {
    const KIND: KeyKind = KeyKind::Number;
}

impl KeyType for u32 {
    const KIND: KeyKind = KeyKind::Number;
}

impl KeyType for String {
    const KIND: KeyKind = KeyKind::Text;
}

impl KeyType for PathBuf {
    const KIND: KeyKind = KeyKind::Form(TextForm {
        name: "a path, absolute or relative to this file",
        check: |_| Ok(()),
    });
}

impl KeyType for SocketAddr {
    const KIND: KeyKind = KeyKind::Form(TextForm {
        name: "an address and a port, as in `127.0.0.1:9433` or `\"[::1]:9433\"`",
        check: |text| match text.parse::<Self>() {
            Ok(_) => Ok(()),
            Err(_) => Err(Malformed {
                message: format!("`{text}` is not an address and a port"),
                help: "write `127.0.0.1:9433` or `\"[::1]:9433\"`".to_owned(),
            }),
        },
    });
}

impl<T: KeyType> KeyType for Spanned<T> {
    const KIND: KeyKind = T::KIND;
}

impl<T: KeyType> KeyType for Option<T> {
    const KIND: KeyKind = KeyKind::Optional(&T::KIND);
}

impl<T: KeyType> KeyType for Vec<T> {
    const KIND: KeyKind = KeyKind::List(&T::KIND);
}

impl<T: KeyType> KeyType for [T; 2] {
    const KIND: KeyKind = KeyKind::Pair(&T::KIND);
}

impl<T: KeyType> KeyType for BTreeMap<String, T> {
    const KIND: KeyKind = KeyKind::ByProtocol(&T::KIND);
}
