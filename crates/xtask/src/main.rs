//! Tidy, generated docs, bench records.
fn main() {}
