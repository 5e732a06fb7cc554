//! Keys whose value is one word of a few.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

use crate::keys::{KeyKind, KeyType, KeyWord};

/// A type whose values have a word each.
pub trait Words: Copy + 'static {
    /// The words, in the order of the manual.
    const WORDS: &'static [KeyWord];

    /// The value of a word.
    fn of(word: &str) -> Option<Self>;

    /// The word of a value.
    fn word(self) -> &'static str;
}

/// A value that is written as its word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice<T>(pub T);

impl<T: Words> fmt::Display for Choice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.word())
    }
}

impl<T: Words> Serialize for Choice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de, T: Words> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let value = T::of(&word).map(Self);
        value.ok_or_else(|| D::Error::custom(format!("`{word}` is not known here")))
    }
}

impl<T: Words> KeyType for Choice<T> {
    const KIND: KeyKind = KeyKind::Word(T::WORDS);
}

macro_rules! words {
    ($type:ty: $($value:ident = $word:literal, $text:literal;)+) => {
        impl Words for $type {
            const WORDS: &'static [KeyWord] = &[$(KeyWord { word: $word, text: $text }),+];

            fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$value),)+
                    _ => None,
                }
            }

            fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
        }
    };
}

/// How the journey is laid on cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Workers poll ports.
    RunToCompletion,
    /// Ports, rings, workers, rings, ports.
    Rings,
}

/// How severe an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs attention.
    Warn,
    /// Starts, stops, reloads.
    Info,
    /// More than an operator needs.
    Debug,
}

/// How an event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

words! { Layout:
    RunToCompletion = "run_to_completion", "Each worker polls its own queues.";
    Rings = "rings", "Receiving and transmitting lcores feed the workers through rings. For NICs \
                      that cannot keep both directions of a connection on one queue.";
}

words! { LogLevel:
    Error = "error", "Something failed.";
    Warn = "warn", "Something needs attention.";
    Info = "info", "Starts, stops, reloads.";
    Debug = "debug", "More than an operator needs.";
}

words! { LogFormat:
    Text = "text", "One line of text an event.";
    Json = "json", "One JSON object an event.";
}

words! { plan::Mode:
    Enforce = "enforce", "Edit.";
    Observe = "observe", "Only count and report the edits.";
}

words! { plan::FailMode:
    Open = "open", "Pass the traffic on unpatched.";
    Closed = "closed", "Drop the datagram, reset the connection.";
}

words! { datapath::Midstream:
    Pass = "pass", "They go on, and are not patched.";
    PickUp = "pick_up", "They are patched from their next segment on. The first bytes each way are \
                         taken for the beginning of a message.";
    Reset = "reset", "Both ends are reset, and begin again.";
}

words! { datapath::Tunnels:
    Drop = "drop", "They are dropped, so that nobody reaches a server past its patches. A group \
                    that observes passes them.";
    Pass = "pass", "They go on, and are not patched.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_as_the_value_that_writes_it() {
        fn both_ways<T: Words>() {
            for word in T::WORDS {
                assert_eq!(T::of(word.word).map(Words::word), Some(word.word));
                assert!(word.text.ends_with('.'), "{}", word.word);
            }
            assert!(T::of("").is_none());
        }
        both_ways::<Layout>();
        both_ways::<LogLevel>();
        both_ways::<LogFormat>();
        both_ways::<plan::Mode>();
        both_ways::<plan::FailMode>();
        both_ways::<datapath::Midstream>();
        both_ways::<datapath::Tunnels>();
    }
}
