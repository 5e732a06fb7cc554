//! Patches, good and bad, against a protocol made for the purpose.
#![allow(clippy::wildcard_enum_match_arm, reason = "what is not expected fails the test")]

mod compiled;
mod ground;
mod library;
mod refused;
mod seeded;
mod tables;
