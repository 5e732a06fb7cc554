//! The functions of the condition language: one row each.
//!
//! Holds:     the table. The checker, the messages about unknown names and the reference in
//!            `docs/patch-language.md` ask it.
//! Never:     computes one: `engine::condition` does.

use plan::{ByteSet, ByteStep, ByteTest, Measure};

use crate::spelling::nearest;

/// One function, with so many arguments.
pub(crate) struct FunctionRow {
    pub(crate) name: &'static str,
    /// As the manual writes its arguments.
    pub(crate) arguments: &'static [&'static str],
    /// Its value, for the manual, without a full stop.
    pub(crate) does: &'static str,
    pub(crate) origin: Origin,
    pub(crate) function: Function,
}

/// Where a function comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Wireshark has it, and means the same.
    Wireshark,
    /// It is wirepatch's own.
    Own,
}

/// The compiled form of a call.
#[derive(Clone, Copy)]
pub(crate) enum Function {
    /// A number of one text.
    Measure(Measure),
    /// Another text.
    Text(ByteStep),
    /// A test of a text's bytes against a class.
    Class(fn(ByteSet) -> ByteTest),
    /// How many occurrences of a field there are.
    Count,
    /// How many occurrences of a string there are in a text.
    CountOf,
    /// Whether two elements have the same key.
    Duplicate,
}

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExprType {
    Number,
    /// A field's bytes.
    Bytes,
    /// A string or byte string.
    Constant,
    Peer,
    /// A condition.
    Truth,
}

/// Every function, in the order of the manual.
pub(crate) static FUNCTIONS: &[FunctionRow] = &[
    FunctionRow {
        name: "len",
        arguments: &["x"],
        does: "the number of bytes",
        origin: Origin::Wireshark,
        function: Function::Measure(Measure::Len),
    },
    FunctionRow {
        name: "count",
        arguments: &["field"],
        does: "the number of occurrences in the message",
        origin: Origin::Wireshark,
        function: Function::Count,
    },
    FunctionRow {
        name: "lower",
        arguments: &["x"],
        does: "the text in ASCII lower case",
        origin: Origin::Wireshark,
        function: Function::Text(ByteStep::Lower),
    },
    FunctionRow {
        name: "url_decode",
        arguments: &["x"],
        does: "the text, percent-decoded once; nest it to decode twice. The edit still lands on \
               the raw bytes",
        origin: Origin::Own,
        function: Function::Text(ByteStep::UrlDecode),
    },
    FunctionRow {
        name: "trim",
        arguments: &["x"],
        does: "the text without blanks at its ends",
        origin: Origin::Own,
        function: Function::Text(ByteStep::Trim),
    },
    FunctionRow {
        name: "count",
        arguments: &["x", "\"…\""],
        does: "how often the string occurs in the text",
        origin: Origin::Own,
        function: Function::CountOf,
    },
    FunctionRow {
        name: "any_byte_in",
        arguments: &["x", "\"CLASS\""],
        does: "some byte is in the class",
        origin: Origin::Own,
        function: Function::Class(ByteTest::AnyByteIn),
    },
    FunctionRow {
        name: "all_bytes_in",
        arguments: &["x", "\"CLASS\""],
        does: "every byte is in the class",
        origin: Origin::Own,
        function: Function::Class(ByteTest::AllBytesIn),
    },
    FunctionRow {
        name: "duplicate",
        arguments: &["field"],
        does: "two elements have the same key",
        origin: Origin::Own,
        function: Function::Duplicate,
    },
    FunctionRow {
        name: "climbs",
        arguments: &["path"],
        does: "how many levels the path climbs out of its root",
        origin: Origin::Own,
        function: Function::Measure(Measure::Climbs),
    },
    FunctionRow {
        name: "nesting",
        arguments: &["x"],
        does: "the greatest depth of brackets",
        origin: Origin::Own,
        function: Function::Measure(Measure::Nesting),
    },
    FunctionRow {
        name: "decimal",
        arguments: &["x"],
        does: "the value of ASCII digits; absent if there is anything else",
        origin: Origin::Own,
        function: Function::Measure(Measure::Decimal),
    },
];

impl FunctionRow {
    /// The type of a call.
    pub(crate) const fn yields(&self) -> ExprType {
        match self.function {
            Function::Measure(_) | Function::Count | Function::CountOf => ExprType::Number,
            Function::Text(_) => ExprType::Bytes,
            Function::Class(_) | Function::Duplicate => ExprType::Truth,
        }
    }

    /// A call, as the manual writes it.
    pub(crate) fn call(&self) -> String {
        format!("{}({})", self.name, self.arguments.join(", "))
    }
}

/// The function of this name that takes so many arguments, or another of this name.
pub(crate) fn find(name: &str, arguments: usize) -> Option<&'static FunctionRow> {
    let named = || FUNCTIONS.iter().filter(|row| row.name == name);
    named().find(|row| row.arguments.len() == arguments).or_else(|| named().next())
}

/// The names of the functions that yield this, each once.
pub(crate) fn names(yields: Option<ExprType>) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for row in FUNCTIONS {
        if yields.is_none_or(|yields| row.yields() == yields) && !names.contains(&row.name) {
            names.push(row.name);
        }
    }
    names
}

/// Message and help for a name that no function has.
pub(crate) fn unknown(name: &str) -> (String, Option<String>) {
    let names = names(None);
    let help = nearest(name, names.iter().copied()).map_or_else(
        || format!("there are: {}", names.join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    (format!("no function is called `{name}`"), Some(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler asks here for the name of a new measure: it needs a row above as well.
    const fn name(measure: Measure) -> &'static str {
        match measure {
            Measure::Len => "len",
            Measure::Climbs => "climbs",
            Measure::Nesting => "nesting",
            Measure::Decimal => "decimal",
        }
    }

    /// The same for a step; a slice is written with brackets.
    const fn call_of(step: ByteStep) -> Option<&'static str> {
        match step {
            ByteStep::Lower => Some("lower"),
            ByteStep::UrlDecode => Some("url_decode"),
            ByteStep::Trim => Some("trim"),
            ByteStep::Slice { .. } => None,
        }
    }

    #[test]
    fn rows_compile_to_functions_of_their_name() {
        for row in FUNCTIONS {
            match row.function {
                Function::Measure(measure) => assert_eq!(name(measure), row.name),
                Function::Text(step) => assert_eq!(call_of(step), Some(row.name)),
                Function::Class(_) | Function::Count | Function::CountOf | Function::Duplicate => {}
            }
        }
    }
}
