//! YAML patches to a checked plan.
//!
//! Holds:     the patch file's keys ([`file`]), the condition language, the compiler ([`compile`]),
//!            the diagnostics, and the YAML reader they share with the configuration ([`yaml`]).
//! Promises:  a patch that is accepted is typed against its protocol's fields and can be run;
//!            everything wrong with a file is reported at once, each with file, line, column, the
//!            source line and a help.
//! Never:     sees a packet, or runs a rule.
#![warn(missing_docs)]

pub mod bytes;
pub mod file;
pub mod manual;
pub mod verbs;
pub mod yaml;

mod compile;
mod condition;
mod conflict;
mod diagnostic;
mod explain;
mod hold;
mod library;
mod names;
mod pattern;
mod rule;
mod schema;
mod slots;
mod spelling;
mod test_case;

pub use compile::{Group, Options, compile};
pub use diagnostic::{Diagnostic, Location, Other, Place, SourceFile, render};
pub use explain::{
    Cost, Explanation, ModuleExplanation, RuleExplanation, SideExplanation, explain,
};
pub use file::Equivalence;
pub use library::{Patch, load};
pub use schema::patch_schema;
pub use spelling::nearest;
pub use test_case::{Expect, ExpectedReply, TestCase, TestStep};

/// Bounds of the hold an operator may set.
pub use proto::limits::{HOLD_BYTES_DEFAULT, HOLD_BYTES_MAX};

/// The protocols a patch can name, in the order of the manual.
pub fn protocols() -> impl Iterator<Item = &'static str> {
    proto::DECODERS.iter().map(|decoder| decoder.protocol().name)
}

// Types of the layer below in this interface, for crates above that have no other business with it.
pub use proto::Transport;

#[cfg(test)]
mod tests;
