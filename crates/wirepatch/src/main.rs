//! The inline patch proxy.
fn main() {}
