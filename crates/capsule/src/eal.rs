//! The environment that all else lives in.

mod args;

use crate::{
    error::{Errno, Error, Result},
    mempool::RawPool,
};
use core::{
    ffi::c_char,
    marker::PhantomData,
    sync::atomic::{AtomicBool, Ordering},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use args::{EalArgs, LogLevel, Memory, Pci};
pub(crate) use args::{c_name, c_string};

/// DPDK can be started once, and not again after a failure.
static STARTED: AtomicBool = AtomicBool::new(false);

/// DPDK, started.
///
/// Invariants:
/// 1. there is at most one in a process, ever (`STARTED`);
/// 2. it stays on the thread that made it, DPDK's main lcore: it is neither `Send` nor `Sync`;
/// 3. whatever was made from it holds a `Lease`, and DPDK is cleaned up only when this holds
///    the last lease and every packet is back in its pool. So a lease, or a packet, is the proof
///    that DPDK is up.
///
/// Dropping it cleans DPDK up, or (invariant 3) leaves it as it is: nothing waits, nothing
/// breaks, and what is left goes with the process. [`Eal::shutdown`] tells which.
///
/// ```compile_fail,E0277
/// fn sent<T: Send>() {}
/// sent::<capsule::Eal>();
/// ```
#[derive(Debug)]
pub struct Eal {
    lease: Arc<Lease>,
    _on_main_thread: PhantomData<*mut ()>,
}

/// What all that lives in DPDK shares.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Pools are never freed before the end: a packet must find its pool, and carries no lease.
    pools: Mutex<Vec<RawPool>>,
    /// By lcore number: whether something runs there.
    pub(crate) lcores_busy: Box<[AtomicBool]>,
}

impl Lease {
    pub(crate) fn pools(&self) -> MutexGuard<'_, Vec<RawPool>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Eal {
    /// Starts DPDK. The calling thread becomes its main lcore.
    pub fn start(args: &EalArgs) -> Result<Self> {
        let words = args.to_c()?;
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(Error::EalAlreadyStarted);
        }
        // DPDK keeps pointers into its arguments and permutes them, so they stay for good.
        let argv: Vec<*mut c_char> = words.into_iter().map(|word| word.into_raw()).collect();
        let count = i32::try_from(argv.len()).unwrap_or(i32::MAX);
        let argv = Box::leak(argv.into_boxed_slice());
        // SAFETY: called once (invariant 1), with `count` strings that are never freed.
        let status = unsafe { dpdk_sys::rte_eal_init(count, argv.as_mut_ptr()) };
        if status < 0 {
            let cause = Errno::last();
            return Err(Error::EalRefused {
                arguments: args.command_line().join(" "),
                cause,
                advice: start_advice(cause),
            });
        }
        let lcores = (0..dpdk_sys::DPDK_LCORES_MAX).map(|_| AtomicBool::new(false)).collect();
        let lease = Lease { pools: Mutex::default(), lcores_busy: lcores };
        Ok(Self { lease: Arc::new(lease), _on_main_thread: PhantomData })
    }

    /// Cleans DPDK up, if nothing of it is left.
    pub fn shutdown(mut self) -> Result<()> {
        let result = self.clean_up();
        core::mem::forget(self);
        result
    }

    /// DPDK's version, as it names itself.
    pub fn dpdk_version() -> String {
        // SAFETY: answers with a constant string, before and after the start.
        let text = unsafe { dpdk_sys::rte_version() };
        // SAFETY: it ends with a NUL and is never freed.
        unsafe { core::ffi::CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    /// Ticks of [`crate::rdtsc`] in a second.
    pub fn tsc_hz(&self) -> u64 {
        // SAFETY: DPDK is up, and has measured it.
        unsafe { dpdk_sys::rte_get_tsc_hz() }
    }

    pub(crate) fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    fn clean_up(&mut self) -> Result<()> {
        let handles = Arc::strong_count(&self.lease).saturating_sub(1);
        // Exclusive, and after whatever the last holder of another lease did.
        let Some(lease) = Arc::get_mut(&mut self.lease) else {
            return Err(Error::StillInUse { handles, mbufs: 0 });
        };
        let pools = lease.pools.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mbufs = pools.iter().map(RawPool::in_use).sum();
        if mbufs > 0 {
            return Err(Error::StillInUse { handles: 0, mbufs });
        }
        // SAFETY: on the main lcore (invariant 2). No lcore runs a job, each of which holds a
        // lease, so this waits only for those that are just returning from one.
        unsafe { dpdk_sys::rte_eal_mp_wait_lcore() };
        // SAFETY: called once, on the main lcore; nothing in DPDK is alive (invariant 3).
        let status = unsafe { dpdk_sys::rte_eal_cleanup() };
        debug_assert_eq!(status, 0, "it has no way to fail in a primary process");
        Ok(())
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        // What is still in use keeps DPDK as it is (invariant 3).
        let _still_in_use = self.clean_up();
    }
}

/// DPDK's own messages, above the error, name the option at fault. This adds what they omit.
fn start_advice(cause: Errno) -> &'static str {
    match cause.raw() {
        libc::EACCES | libc::EPERM => {
            "It lacks privileges: run it as root, or without hugepages and PCI devices"
        }
        libc::ENOMEM => {
            "It found too little memory: reserve hugepages (sysctl vm.nr_hugepages=512), or start \
             without them"
        }
        libc::ENODEV | libc::EFAULT => {
            "A device or driver is missing: check the device strings and its messages above"
        }
        _ => "Its own messages above say which option it did not like",
    }
}
