//! capsule on virtual devices: no root, no hugepages, no NIC.
//!
//! The process moves into a user and network namespace of its own where the kernel lets it: then
//! net_tap is tested too, against the kernel's own stack. Where not, that test counts as skipped.
//!
//! DPDK is started once, on the main thread, where all tests run one after another. At the end
//! it must be possible to shut it down: nothing is alive and every packet is back in its pool.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stderr, reason = "how a harness reports")]
#![allow(unsafe_code, reason = "the counting allocator, the namespace")]

mod allocations;
mod lcores;
mod memory;
mod pcaps;
mod ports;
mod rings;
mod tap;

use capsule::{Eal, EalArgs, Memory, Mempool, MempoolConfig, Pci};
use libtest_mimic::{Arguments, Completion, Trial};
use std::{cell::RefCell, fs, io, process::ExitCode};

thread_local! {
    static EAL: RefCell<Option<Eal>> = const { RefCell::new(None) };
}

type Test = (&'static str, fn(&Eal));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let tests = [memory::TESTS, ports::TESTS, pcaps::TESTS, rings::TESTS, lcores::TESTS];
    let mut trials: Vec<Trial> = tests
        .concat()
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                with_eal(test);
                Ok(())
            })
        })
        .collect();
    let own_network = enter_own_network().map_err(|why| why.to_string());
    trials.push(Trial::ignorable_test("tap::a_socket_talks_through_a_tap", move || {
        let skipped = match own_network {
            Ok(()) => with_eal(tap::a_socket_talks_through_a_tap).err(),
            Err(why) => Some(format!("no network namespace: {why}")),
        };
        Ok(skipped.map_or(Completion::Completed, Completion::ignored_with))
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(Err(error)) = EAL.take().map(Eal::shutdown) {
        eprintln!("at the end: {error}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Three lcores share one CPU: the machine may have no more, and they have to sleep when idle.
fn with_eal<T>(test: fn(&Eal) -> T) -> T {
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
        test(eal)
    })
}

/// Before there is a second thread: a namespace of users takes only one.
fn enter_own_network() -> io::Result<()> {
    // SAFETY: takes nothing and cannot fail.
    let (user, group) = (unsafe { libc::getuid() }, unsafe { libc::getgid() });
    // SAFETY: takes a number; concerns this process only.
    if unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// A pool of 255 packets, by a name of its own.
fn pool(eal: &Eal, name: &str) -> Mempool {
    let name = name.to_owned();
    Mempool::new(eal, &MempoolConfig { name, mbufs: 255, cache: 32, ..Default::default() }).unwrap()
}
