//! What can go wrong, and what to do about it.

use core::{ffi::CStr, fmt};

/// Shorthand for what all control calls return.
pub type Result<T> = core::result::Result<T, Error>;

/// An error number of DPDK: the system's, or one of its own few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i32);

impl Errno {
    /// DPDK returns `-errno`, and sometimes `-1` with the number in `rte_errno`, or in nothing.
    pub(crate) fn from_status(status: i32) -> Self {
        match (status, Self::last()) {
            (-1, Self(0)) => Self(libc::EIO),
            (-1, last) => last,
            (status, _) => Self(status.saturating_neg()),
        }
    }

    /// `rte_errno` of this thread.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a thread-local number of DPDK; always callable.
        Self(unsafe { dpdk_sys::dpdk_errno() })
    }

    /// The number, positive.
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: takes any number, and answers with a string that is never null.
        let text = unsafe { dpdk_sys::rte_strerror(self.0) };
        // SAFETY: the string ends with a NUL and stays until this thread's next `rte_strerror`.
        let text = unsafe { CStr::from_ptr(text) };
        write!(f, "{} (error {})", text.to_string_lossy(), self.0)
    }
}

/// Why a control call failed. Nothing on the way of a packet returns this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// [`crate::Eal::start`] was called before, with whatever success.
    #[error("DPDK was already started in this process, and can be started only once")]
    EalAlreadyStarted,

    /// `rte_eal_init` said no.
    #[error("DPDK did not start with `{arguments}`: {cause}. {advice}")]
    EalRefused {
        /// The command line that DPDK was given.
        arguments: String,
        /// Its answer.
        cause: Errno,
        /// What to try.
        advice: &'static str,
    },

    /// The environment was not cleaned up, because something of it is still alive.
    #[error(
        "DPDK was not shut down: {handles} ports, queues, rings, pools or running cores \
         and {mbufs} packets are still alive; drop them first"
    )]
    StillInUse {
        /// Live handles.
        handles: usize,
        /// Packets out of their pools. Counted only when no handle is left.
        mbufs: usize,
    },

    /// A string can't be handed to C.
    #[error("{what} {value:?} is {why}")]
    BadString {
        /// Which one.
        what: &'static str,
        /// As it was given.
        value: String,
        /// The matter with it.
        why: &'static str,
    },

    /// A packet pool could not be made.
    #[error("packet pool {name:?} ({mbufs} packets) was not made: {cause}. {advice}")]
    Mempool {
        /// Its name.
        name: String,
        /// How many packets were asked for.
        mbufs: u32,
        /// DPDK's answer.
        cause: Errno,
        /// What to try.
        advice: &'static str,
    },

    /// A ring could not be made.
    #[error(
        "ring {name:?} of {capacity} packets was not made: {cause}. Its name must be unique in \
         the process, and DPDK's memory hold 8 bytes for each packet"
    )]
    Ring {
        /// Its name.
        name: String,
        /// How many packets it was to hold.
        capacity: u32,
        /// DPDK's answer.
        cause: Errno,
    },

    /// No such device, or no driver takes it.
    #[error("device {device:?} was not found: {cause}. {advice}")]
    NoSuchDevice {
        /// As it was asked for.
        device: String,
        /// DPDK's answer.
        cause: Errno,
        /// What to try.
        advice: &'static str,
    },

    /// A second `Port` for one device.
    #[error("port {port} is in use by this process already")]
    PortTaken {
        /// Its name.
        port: String,
    },

    /// Start and stop need all queues of the port back.
    #[error("port {port} has queues in use; drop them before it is started or stopped")]
    QueuesInUse {
        /// Its name.
        port: String,
    },

    /// The configuration asks for what the device doesn't have.
    #[error("port {port} ({driver}): {what} is {wanted}, but {limit}")]
    Unsupported {
        /// Its name.
        port: String,
        /// Its driver.
        driver: String,
        /// Which setting.
        what: &'static str,
        /// Its value.
        wanted: u32,
        /// What is possible.
        limit: String,
    },

    /// A call into the driver failed.
    #[error("port {port}: {call} failed: {cause}{}", driver_advice(call, *cause))]
    Driver {
        /// Its name.
        port: String,
        /// DPDK's function.
        call: &'static str,
        /// Its answer.
        cause: Errno,
    },

    /// There is no such lcore, or it is the main one, which runs the program itself.
    #[error("there is no worker lcore {lcore}; DPDK was started with {workers:?}")]
    NoSuchLcore {
        /// As it was asked for.
        lcore: u32,
        /// Those there are.
        workers: Vec<u32>,
    },

    /// The lcore is running something.
    #[error("lcore {lcore} is busy; join what runs there first")]
    LcoreBusy {
        /// Its number.
        lcore: u32,
    },

    /// The lcore did not take the job.
    #[error("lcore {lcore} did not start: {cause}")]
    Launch {
        /// Its number.
        lcore: u32,
        /// DPDK's answer.
        cause: Errno,
    },
}

/// For the one mistake that drivers report poorly.
fn driver_advice(call: &str, cause: Errno) -> &'static str {
    let takes_packets = call == "rte_eth_rx_queue_setup" || call == "rte_eth_dev_start";
    if takes_packets && cause.raw() == libc::ENOMEM {
        ". The pool must hold more packets than all receive queues on it have descriptors"
    } else {
        ""
    }
}
