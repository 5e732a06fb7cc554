//! Cores: which there are, and running a function on one.

use crate::{
    eal::Eal,
    error::{Errno, Error, Result},
};
use core::{
    ffi::{c_int, c_void},
    sync::atomic::Ordering,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
};

/// One of DPDK's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lcore {
    /// DPDK's number for it, as in `--lcores`.
    pub id: u32,
    /// The NUMA node of its CPU.
    pub socket: u32,
    /// Whether it is the thread that started DPDK, which takes no jobs.
    pub is_main: bool,
}

/// A job on an lcore. Dropping it lets the job run on.
#[derive(Debug)]
#[must_use = "what the job returns, or its panic, is lost"]
pub struct LcoreHandle<T> {
    lcore: u32,
    result: mpsc::Receiver<thread::Result<T>>,
}

impl<T> LcoreHandle<T> {
    /// The lcore's number.
    pub const fn lcore(&self) -> u32 {
        self.lcore
    }

    /// Sleeps until the job is over. `Err` is what it panicked with.
    pub fn join(self) -> thread::Result<T> {
        self.result.recv().unwrap_or_else(|_| Err(Box::new("the job's result was lost")))
    }

    /// The result if the job is over; else the handle again.
    pub fn try_join(self) -> core::result::Result<thread::Result<T>, Self> {
        match self.result.try_recv() {
            Ok(result) => Ok(result),
            Err(_) => Err(self),
        }
    }
}

/// What travels through DPDK's `void *`. It catches its own panic and sends its own result.
type Job = Box<dyn FnOnce() + Send>;

impl Eal {
    /// All lcores, the main one included, by number.
    pub fn lcores(&self) -> Vec<Lcore> {
        let mut lcores = Vec::new();
        // SAFETY: DPDK is up, and from here on the set of lcores does not change.
        let main = unsafe { dpdk_sys::rte_get_main_lcore() };
        let mut id = u32::MAX;
        loop {
            // SAFETY: as above; takes any number, -1 for the start.
            id = unsafe { dpdk_sys::rte_get_next_lcore(id, 0, 0) };
            if id >= dpdk_sys::DPDK_LCORES_MAX {
                return lcores;
            }
            // SAFETY: `id` is an lcore that DPDK has just named.
            let socket = unsafe { dpdk_sys::rte_lcore_to_socket_id(id) };
            lcores.push(Lcore { id, socket, is_main: id == main });
        }
    }

    /// Runs `job` on a worker lcore. A panic in it ends the job only, and comes out of
    /// [`LcoreHandle::join`].
    ///
    /// The lcore's timer slack is set to 1 us, so that its short sleeps are short.
    pub fn launch<T, F>(&self, lcore: u32, job: F) -> Result<LcoreHandle<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let workers = || self.lcores().into_iter().filter(|lcore| !lcore.is_main);
        if !workers().any(|worker| worker.id == lcore) {
            return Err(Error::NoSuchLcore { lcore, workers: workers().map(|l| l.id).collect() });
        }
        let lease = Arc::clone(self.lease());
        let index = usize::try_from(lcore).unwrap_or(usize::MAX);
        let Some(busy) = lease.lcores_busy.get(index) else {
            return Err(Error::NoSuchLcore { lcore, workers: Vec::new() });
        };
        if busy.swap(true, Ordering::AcqRel) {
            return Err(Error::LcoreBusy { lcore });
        }
        let (send, result) = mpsc::sync_channel(1);
        let held = Arc::clone(&lease);
        let run: Job = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(job));
            // Whoever gets the result may launch again, or shut down, at once: both wait until
            // the lcore has returned from here.
            if let Some(busy) = held.lcores_busy.get(index) {
                busy.store(false, Ordering::Release);
            }
            drop(held);
            // Nobody may be waiting.
            let _unheard = send.send(outcome);
        });
        let job = Box::into_raw(Box::new(run));
        // SAFETY: `lcore` is a worker that runs none of our jobs, so this waits at most for it
        // to return from the last one.
        unsafe { dpdk_sys::rte_eal_wait_lcore(lcore) };
        // SAFETY: on the main lcore (`Eal` invariant 2), for an idle worker; `run_job` takes the
        // job over.
        let status = unsafe { dpdk_sys::rte_eal_remote_launch(Some(run_job), job.cast(), lcore) };
        if status == 0 {
            return Ok(LcoreHandle { lcore, result });
        }
        // SAFETY: the lcore did not take the job, so it is still ours.
        drop(unsafe { Box::from_raw(job) });
        busy.store(false, Ordering::Release);
        Err(Error::Launch { lcore, cause: Errno::from_status(status) })
    }
}

/// The border to C: no panic passes it.
unsafe extern "C" fn run_job(job: *mut c_void) -> c_int {
    // SAFETY: it comes from `Box::into_raw` in `Eal::launch`, which gave it away.
    let run = unsafe { Box::from_raw(job.cast::<Job>()) };
    const SLACK_NS: libc::c_ulong = 1_000;
    // SAFETY: concerns the calling thread only, and takes any number.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, SLACK_NS) };
    // The job's own panic is caught inside. What is left is a value that panics when dropped.
    core::mem::forget(catch_unwind(AssertUnwindSafe(run)));
    0
}

/// The lcore this runs on; `None` on a thread that DPDK did not start.
pub fn current_lcore() -> Option<u32> {
    // SAFETY: reads a thread-local number of DPDK; always callable.
    let id = unsafe { dpdk_sys::dpdk_lcore_id() };
    (id != dpdk_sys::DPDK_LCORE_ID_ANY).then_some(id)
}

/// The time-stamp counter. [`Eal::tsc_hz`] says how fast it runs.
pub fn rdtsc() -> u64 {
    // SAFETY: reads a counter of the CPU.
    unsafe { dpdk_sys::dpdk_rdtsc() }
}
