//! The condition language: text, tree, typed and compiled.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a grammar names what it takes; whatever else stands there is refused in one arm"
)]

mod check;
mod context;
pub(crate) mod functions;
mod lexer;
mod parser;
mod tree;

pub(crate) use check::Checker;
pub(crate) use context::RuleContext;

#[cfg(test)]
mod tests;
