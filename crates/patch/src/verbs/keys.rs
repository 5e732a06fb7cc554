//! From the table of the verbs to the type of a rule as a file writes it.

use crate::diagnostic::Place;
use crate::verbs::row::VerbRow;
use crate::yaml::Spanned;

/// A verb that a rule has.
#[derive(Clone, Copy)]
pub(crate) struct WrittenVerb<'r> {
    pub(crate) row: &'static VerbRow,
    /// Where its field is.
    pub(crate) place: Place,
    /// `None` for a verb on the whole message.
    pub(crate) field: Option<&'r Spanned<String>>,
}

/// An operand that a rule has.
#[derive(Clone, Copy)]
pub(crate) struct WrittenOperand {
    pub(crate) key: &'static str,
    pub(crate) place: Place,
}

/// Makes [`super::RuleFile`], its keys and [`super::VERBS`].
macro_rules! rule_keys {
    (
        of_fields { $( $verb:ident $Verb:ident $does:literal { $($row:tt)* } )* }
        of_messages {
            $( $whole:ident $Whole:ident $on:literal $whole_does:literal { $($whole_row:tt)* } )*
        }
        operands { $( $operand:ident $key:literal: $shape:ty = $text:literal; )* }
    ) => {
        /// One rule: a condition, exactly one verb naming its field, and the verb's operands.
        #[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct RuleFile {
            /// When the rule applies, in a subset of Wireshark's display filter language. Always,
            /// without it.
            #[serde(default)]
            pub when: Option<Spanned<String>>,
            $(
                #[doc = concat!("Verb: ", $does, ".")]
                #[serde(default)]
                pub $verb: Option<Spanned<String>>,
            )*
            $(
                #[doc = concat!("Verb: ", $whole_does, ".")]
                #[serde(default, deserialize_with = "shapes::given")]
                pub $whole: Option<Spanned<Whole>>,
            )*
            $(
                #[doc = concat!("Operand: ", $text, ".")]
                #[serde(default, rename = $key)]
                pub $operand: Option<Spanned<$shape>>,
            )*
        }

        impl RuleFile {
            /// The verbs it has: a good rule has one.
            pub(crate) fn verbs(&self) -> Vec<WrittenVerb<'_>> {
                let written = [
                    $( self.$verb.as_ref().map(|field| (field.place, Some(field))), )*
                    $( self.$whole.as_ref().map(|whole| (whole.place, None)), )*
                ];
                let verb = |(row, written): (_, Option<_>)| {
                    let (place, field) = written?;
                    Some(WrittenVerb { row, place, field })
                };
                VERBS.iter().zip(written).filter_map(verb).collect()
            }

            /// The operands it has.
            pub(crate) fn operands(&self) -> Vec<WrittenOperand> {
                let written = [
                    $( ($key, self.$operand.as_ref().map(|operand| operand.place)), )*
                ];
                let operand =
                    |(key, place): (_, Option<_>)| Some(WrittenOperand { key, place: place? });
                written.into_iter().filter_map(operand).collect()
            }
        }

        /// The verbs by name, for [`words`]: a transform cannot be explained without a row.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Verb {
            $( $Verb, )*
            $( $Whole, )*
        }

        impl Verb {
            /// Its key in a rule.
            pub(crate) const fn key(self) -> &'static str {
                match self {
                    $( Self::$Verb => stringify!($verb), )*
                    $( Self::$Whole => stringify!($whole), )*
                }
            }
        }

        /// Every verb, in the order of the manual.
        pub(crate) static VERBS: &[VerbRow] = &[
            $( VerbRow { name: stringify!($verb), on: "FIELD", does: $does, $($row)* }, )*
            $( VerbRow { name: stringify!($whole), on: $on, does: $whole_does, $($whole_row)* }, )*
        ];
    };
}

pub(super) use rule_keys;
