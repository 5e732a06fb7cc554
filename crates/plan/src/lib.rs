//! Compiled, immutable patch tables
