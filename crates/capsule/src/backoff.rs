//! What a polling core does when there is nothing to poll.

use core::{hint::spin_loop, ptr::null, time::Duration};
use std::{
    os::fd::{AsRawFd as _, BorrowedFd},
    thread::sleep,
};

/// Empty polls answered with one pause instruction: about a microsecond in all, so that a core
/// under load never leaves its loop.
const PAUSES: u32 = 64;

/// Empty polls answered with [`LONG_PAUSES`] of them: some ten microseconds more.
const LONG_PAUSE_POLLS: u32 = 16;
const LONG_PAUSES: u32 = 32;

/// The longest sleep. A port's descriptors must last it out: at 14.88 Mpps 50 us are 744 frames,
/// which fit a ring of 1024.
const SLEEP_MAX: Duration = Duration::from_micros(50);

/// Descriptors that [`Backoff::idle_on`] can wait for.
const WAKERS_MAX: usize = 16;

/// Spins, then pauses, then sleeps, each empty poll a little longer, up to 50 us.
///
/// It reads no clock. A core that busy-polls takes its CPU whole, and two of them starve a
/// machine of two; this costs a sleeping port at most the sleep and the kernel's wake-up. On an
/// lcore that [`crate::Eal::launch`] started, the kernel's timer slack is 1 us; on other threads
/// it is 50 us, which comes on top.
#[derive(Debug, Default)]
pub struct Backoff {
    empty_polls: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum IdleStep {
    Pause(u32),
    Sleep(Duration),
}

impl Backoff {
    /// At the start: as after a poll that found something.
    pub const fn new() -> Self {
        Self { empty_polls: 0 }
    }

    /// The last poll found something.
    pub const fn busy(&mut self) {
        self.empty_polls = 0;
    }

    /// The last poll found nothing: waits a little, longer every time.
    pub fn idle(&mut self) {
        match Self::step(self.empty_polls) {
            IdleStep::Pause(times) => (0..times).for_each(|_| spin_loop()),
            IdleStep::Sleep(time) => sleep(time),
        }
        self.empty_polls = self.empty_polls.saturating_add(1);
    }

    /// As [`Backoff::idle`], but where that sleeps, this sleeps until one of `wakers` becomes
    /// readable, `longest` at most: for cores that have a [`crate::RxQueue::event_fd`] of all they
    /// poll. With more than 16 of them, or none, it sleeps as `idle` does.
    pub fn idle_on(&mut self, wakers: &[BorrowedFd<'_>], longest: Duration) {
        if !self.is_asleep() || wakers.is_empty() || wakers.len() > WAKERS_MAX {
            return self.idle();
        }
        let mut polled = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; WAKERS_MAX];
        for (entry, waker) in polled.iter_mut().zip(wakers) {
            entry.fd = waker.as_raw_fd();
        }
        let timeout = libc::timespec {
            tv_sec: libc::time_t::try_from(longest.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(longest.subsec_nanos().cast_signed()),
        };
        let count = libc::nfds_t::try_from(wakers.len()).unwrap_or(0);
        // A signal, or an error, is as good a reason as any to poll again.
        // SAFETY: `polled` has at least `count` entries; it and `timeout` outlive the call.
        let _woken = unsafe { libc::ppoll(polled.as_mut_ptr(), count, &timeout, null()) };
    }

    /// Whether the next [`Backoff::idle`] will sleep. A core that has something of its own to do
    /// when idle (flush, age flows) does it then.
    pub fn is_asleep(&self) -> bool {
        matches!(Self::step(self.empty_polls), IdleStep::Sleep(_))
    }

    fn step(empty_polls: u32) -> IdleStep {
        if empty_polls < PAUSES {
            return IdleStep::Pause(1);
        }
        let polls = empty_polls.saturating_sub(PAUSES);
        if polls < LONG_PAUSE_POLLS {
            return IdleStep::Pause(LONG_PAUSES);
        }
        let doublings = polls.saturating_sub(LONG_PAUSE_POLLS).min(6);
        IdleStep::Sleep(Duration::from_micros(1 << doublings).min(SLEEP_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, os::fd::AsFd as _};

    #[test]
    fn it_waits_longer_every_time_and_never_over_the_bound() {
        let mut slept = Duration::ZERO;
        let mut pauses = 0;
        for empty in 0..1000 {
            match Backoff::step(empty) {
                IdleStep::Pause(times) => {
                    assert!(times >= pauses && slept.is_zero(), "pauses come before sleeps");
                    pauses = times;
                }
                IdleStep::Sleep(time) => {
                    assert!(time >= slept && time <= SLEEP_MAX);
                    slept = time;
                }
            }
        }
        assert_eq!(slept, SLEEP_MAX);
        assert_eq!(Backoff::step(u32::MAX), IdleStep::Sleep(SLEEP_MAX));
    }

    #[test]
    fn a_readable_descriptor_ends_the_sleep() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"!").unwrap();
        let mut backoff = Backoff { empty_polls: u32::MAX };
        // Were it not woken, this test would never end.
        backoff.idle_on(&[reader.as_fd()], Duration::MAX);
        // And this one would, by the bound, though nothing can be read.
        let (quiet, _writer) = std::io::pipe().unwrap();
        backoff.idle_on(&[quiet.as_fd()], Duration::from_millis(1));
        backoff.idle_on(&[quiet.as_fd(); WAKERS_MAX + 1], Duration::MAX);
        backoff.idle_on(&[], Duration::MAX);
        assert!(backoff.is_asleep());
    }

    #[test]
    fn traffic_brings_it_back_to_the_start() {
        let mut backoff = Backoff { empty_polls: u32::MAX };
        assert!(backoff.is_asleep());
        backoff.busy();
        assert!(!backoff.is_asleep());
        backoff.idle();
        assert_eq!(backoff.empty_polls, 1);
    }
}
