//! Runs inputs through a target and says what came of it: `cargo run -p fuzzing --example run -- TARGET FILE…`.
#![allow(
    clippy::unwrap_used,
    reason = "a tool for the one who reads a finding: its panic is its message"
)]

fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().unwrap();
    for path in arguments {
        assert!(
            fuzzing::run(&target, &std::fs::read(&path).unwrap()),
            "no target is called {target}"
        );
    }
}
