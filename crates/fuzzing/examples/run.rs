//! Runs inputs through a target and says what came of it:
//! `cargo run -p fuzzing --example run -- TARGET FILE…`. Without a target it lists them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool for the one who reads a finding: its panic is its message"
)]

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else {
        fuzzing::targets().for_each(|target| println!("{}", target.name));
        return;
    };
    let target = fuzzing::target(&name);
    assert!(target.is_some(), "no target is called {name}");
    for path in arguments {
        target.unwrap().run(&std::fs::read(&path).unwrap());
    }
}
