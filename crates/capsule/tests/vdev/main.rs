//! capsule on virtual devices: no root, no hugepages, no NIC.
//!
//! DPDK is started once, on the main thread, where all tests run one after another. At the end
//! it must be possible to shut it down: nothing is alive and every packet is back in its pool.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stderr, reason = "how a harness reports")]
#![allow(unsafe_code, reason = "the counting allocator")]

mod allocations;
mod lcores;
mod memory;
mod pcaps;
mod ports;
mod rings;

use capsule::{Eal, EalArgs, Memory, Mempool, MempoolConfig, Pci};
use libtest_mimic::{Arguments, Trial};
use std::{cell::RefCell, process::ExitCode};

thread_local! {
    static EAL: RefCell<Option<Eal>> = const { RefCell::new(None) };
}

type Test = (&'static str, fn(&Eal));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = [memory::TESTS, ports::TESTS, pcaps::TESTS, rings::TESTS, lcores::TESTS];
    let trials = tests.concat().into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            with_eal(test);
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Some(Err(error)) = EAL.take().map(Eal::shutdown) {
        eprintln!("at the end: {error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Three lcores share one CPU: the machine may have no more, and they have to sleep when idle.
fn with_eal(test: fn(&Eal)) {
    EAL.with_borrow_mut(|eal| {
        let eal = eal.get_or_insert_with(|| {
            let args = EalArgs {
                memory: Memory::NoHugepages { mib: 128 },
                lcores: Some("0@0,1@0,2@0".into()),
                pci: Pci::Off,
                vdevs: vec!["net_null7".into()],
                ..EalArgs::default()
            };
            Eal::start(&args).unwrap()
        });
        test(eal);
    });
}

/// A pool of 255 packets, by a name of its own.
fn pool(eal: &Eal, name: &str) -> Mempool {
    let name = name.to_owned();
    Mempool::new(eal, &MempoolConfig { name, mbufs: 255, cache: 32, ..Default::default() }).unwrap()
}
