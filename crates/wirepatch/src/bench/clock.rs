//! CPU time of a thread, and which machine this is.

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use serde::Serialize;

/// A thread of this process, or of another.
#[derive(Clone, Debug)]
pub(super) struct Task(PathBuf);

impl Task {
    /// The thread that asks.
    pub(super) fn current() -> Self {
        // A link such as `1234/task/1240`.
        let own = std::fs::read_link("/proc/thread-self").unwrap_or_else(|_| PathBuf::from("self"));
        Self(PathBuf::from("/proc").join(own))
    }

    /// Every thread of a process.
    #[cfg(feature = "dpdk")]
    pub(super) fn all_of(process: u32) -> Vec<Self> {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
        tasks.into_iter().flatten().flatten().map(|entry| Self(entry.path())).collect()
    }

    /// Changes whenever the kernel gives this thread's CPU to another and back: nanoseconds it
    /// waited for a CPU, and times it got one.
    #[cfg(feature = "dpdk")]
    pub(super) fn turns(&self) -> (u64, u64) {
        let text = std::fs::read_to_string(self.0.join("schedstat")).unwrap_or_default();
        let mut words = text.split_whitespace().skip(1).map(|word| word.parse().unwrap_or(0));
        (words.next().unwrap_or(0), words.next().unwrap_or(0))
    }

    /// Nanoseconds on a CPU so far. The kernel brings it up to date at its ticks, so it is for
    /// stretches of many of them.
    pub(super) fn cpu_ns(&self) -> u64 {
        let text = std::fs::read_to_string(self.0.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
    }
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this command is for")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The machine of a measurement: figures mean nothing without it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BenchMachine {
    cpu: String,
    cpus: usize,
    pub(super) tsc_hz: f64,
    kernel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dpdk: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hugepages: Option<bool>,
    /// The kernel reports that no two CPUs are threads of one core.
    #[serde(skip_serializing_if = "Option::is_none")]
    cores_apart: Option<bool>,
    load_average: String,
    /// The day, in UTC.
    date: String,
    version: &'static str,
}

pub(super) fn machine(tsc_hz: f64, dpdk: Option<String>, hugepages: Option<bool>) -> BenchMachine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    BenchMachine {
        cpu: cpuinfo("model name").unwrap_or_else(|| "unknown".to_owned()),
        cpus: std::thread::available_parallelism().map_or(1, core::num::NonZero::get),
        tsc_hz,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        dpdk,
        hugepages,
        cores_apart: cores_apart(),
        load_average: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        date: today(),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// `None`: the kernel does not report it.
fn cores_apart() -> Option<bool> {
    let active = std::fs::read_to_string("/sys/devices/system/cpu/smt/active").ok()?;
    match active.trim() {
        "0" => Some(true),
        "1" => Some(false),
        _ => None,
    }
}

/// Bytes of memory that this process has in use, hugepages apart.
#[cfg(feature = "dpdk")]
pub(super) fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

#[expect(clippy::disallowed_methods, reason = "a record says of which day it is")]
fn today() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    date(since.map_or(0, |since| since.as_secs() / 86_400))
}

/// `2026-11-23` of a day since the beginning of 1970.
fn date(days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
}

/// Without DPDK nobody has measured the time-stamp counter; the kernel's figure is close to it.
#[cfg(not(feature = "dpdk"))]
pub(super) fn nominal_hz() -> f64 {
    cpuinfo("cpu MHz").and_then(|mhz| mhz.parse::<f64>().ok()).map_or(1e9, |mhz| mhz * 1e6)
}

fn cpuinfo(key: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (days, shown) in [
            (0, "1970-01-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_780, "2026-11-23"),
            (20_818, "2026-12-31"),
        ] {
            assert_eq!(date(days), shown);
        }
    }
}
