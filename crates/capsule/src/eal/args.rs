//! DPDK's start options, as types.

use crate::error::{Error, Result};
use std::ffi::CString;

/// Where packet memory comes from. One of three, because DPDK refuses their mixtures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Ordinary pages (`--no-huge`): runs anywhere, unprivileged, at about half the speed, and
    /// not with a NIC that does DMA.
    NoHugepages {
        /// How much, in MiB; taken at once.
        mib: u32,
    },
    /// Hugepages straight from the kernel (`--in-memory`): no mount, no files, no root.
    InMemory {
        /// Taken at start, in MiB; more is taken when needed.
        mib: Option<u32>,
    },
    /// Hugepages as files in a hugetlbfs mount: for drivers that share memory by file
    /// descriptor (vhost-user) and for secondary processes.
    Hugetlbfs {
        /// Taken at start, in MiB; more is taken when needed.
        mib: Option<u32>,
        /// The mount; DPDK looks for one where none is given.
        dir: Option<String>,
    },
}

/// Which PCI devices DPDK takes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pci {
    /// None (`--no-pci`).
    Off,
    /// Those bound to a driver that DPDK can use.
    All,
    /// These addresses, each with driver options after a comma (`--allow`).
    Only(Vec<String>),
}

/// How much DPDK writes to stderr by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl LogLevel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// How to start DPDK. Start from `EalArgs::default()` and change what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EalArgs {
    /// The name in DPDK's own messages.
    pub program: String,
    /// Where packet memory comes from.
    pub memory: Memory,
    /// Lcores and the CPUs they run on, as `--lcores` has it: `0@0,1@1`, or `0@0,1@0` for two on
    /// one CPU. All CPUs, one lcore each, where none is given. The lowest is the main lcore: it is
    /// the calling thread, which is *pinned* to its CPUs, and so is every thread it starts later;
    /// `0@(0-3),1@1` lets it and them roam.
    pub lcores: Option<String>,
    /// PCI devices.
    pub pci: Pci,
    /// Virtual devices made at start, such as `net_null0` or `net_tap0,iface=x`. Ports can also
    /// be made later, by [`crate::Port::probe`]. net_tap learns of packets by SIGIO: some thread
    /// must leave it unblocked.
    pub vdevs: Vec<String>,
    /// Keeps two DPDK processes with files apart. Without one (and with no hugetlbfs) DPDK
    /// leaves no files at all.
    pub file_prefix: Option<String>,
    /// DPDK's own messages.
    pub log_level: LogLevel,
    /// DPDK's telemetry socket, which is not wirepatch's.
    pub telemetry: bool,
    /// Passed on as they are, last.
    pub extra: Vec<String>,
}

impl Default for EalArgs {
    fn default() -> Self {
        Self {
            program: "wirepatch".to_owned(),
            memory: Memory::InMemory { mib: None },
            lcores: None,
            pci: Pci::All,
            vdevs: Vec::new(),
            file_prefix: None,
            log_level: LogLevel::Warning,
            telemetry: false,
            extra: Vec::new(),
        }
    }
}

impl EalArgs {
    /// The command line, program name first.
    pub fn command_line(&self) -> Vec<String> {
        let mut line = vec![self.program.clone()];
        let mut option = |words: &[&str]| line.extend(words.iter().map(|word| (*word).to_owned()));
        let in_memory_files = match &self.memory {
            Memory::NoHugepages { mib } => {
                option(&["--no-huge", "-m", &mib.to_string()]);
                self.file_prefix.is_some()
            }
            Memory::InMemory { mib } => {
                option(&["--in-memory"]);
                if let Some(mib) = mib {
                    option(&["-m", &mib.to_string()]);
                }
                // Implies --no-shconf by itself.
                true
            }
            Memory::Hugetlbfs { mib, dir } => {
                if let Some(mib) = mib {
                    option(&["-m", &mib.to_string()]);
                }
                if let Some(dir) = dir {
                    option(&["--huge-dir", dir]);
                }
                true
            }
        };
        if !in_memory_files {
            option(&["--no-shconf"]);
        }
        if let Some(prefix) = &self.file_prefix {
            option(&["--file-prefix", prefix]);
        }
        if let Some(lcores) = &self.lcores {
            option(&["--lcores", lcores]);
        }
        match &self.pci {
            Pci::Off => option(&["--no-pci"]),
            Pci::All => {}
            Pci::Only(addresses) => {
                addresses.iter().for_each(|address| option(&["--allow", address]));
            }
        }
        // One word each: a device string may begin with anything.
        self.vdevs.iter().for_each(|device| option(&[&format!("--vdev={device}")]));
        if !self.telemetry {
            option(&["--no-telemetry"]);
        }
        option(&[&format!("--log-level={}", self.log_level.as_str())]);
        self.extra.iter().for_each(|word| option(&[word]));
        line
    }

    pub(super) fn to_c(&self) -> Result<Vec<CString>> {
        self.command_line().into_iter().map(|word| c_string("EAL option", &word)).collect()
    }
}

/// For C: ends with a NUL, and has none inside.
pub(crate) fn c_string(what: &'static str, value: &str) -> Result<CString> {
    CString::new(value).map_err(|_| Error::BadString {
        what,
        value: value.to_owned(),
        why: "not usable: it holds a NUL byte",
    })
}

/// A name that DPDK keeps in `room_bytes` bytes, the NUL included.
pub(crate) fn c_name(what: &'static str, value: &str, room_bytes: u32) -> Result<CString> {
    if value.is_empty() || value.len() >= usize::try_from(room_bytes).unwrap_or(usize::MAX) {
        return Err(Error::BadString {
            what,
            value: value.to_owned(),
            why: "empty or too long for DPDK, which keeps some 25 bytes of a name",
        });
    }
    c_string(what, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(args: &EalArgs, want: &str) {
        assert_eq!(args.command_line().join(" "), want);
    }

    #[test]
    fn memory_is_one_of_three() {
        let with = |memory| EalArgs { memory, ..EalArgs::default() };
        let rest = "--no-telemetry --log-level=warning";
        check(
            &with(Memory::NoHugepages { mib: 256 }),
            &format!("wirepatch --no-huge -m 256 --no-shconf {rest}"),
        );
        check(&with(Memory::InMemory { mib: None }), &format!("wirepatch --in-memory {rest}"));
        check(
            &with(Memory::Hugetlbfs { mib: Some(512), dir: Some("/huge".into()) }),
            &format!("wirepatch -m 512 --huge-dir /huge {rest}"),
        );
    }

    #[test]
    fn a_prefix_asks_for_files() {
        let args = EalArgs {
            memory: Memory::NoHugepages { mib: 64 },
            file_prefix: Some("a".into()),
            telemetry: true,
            ..EalArgs::default()
        };
        check(&args, "wirepatch --no-huge -m 64 --file-prefix a --log-level=warning");
    }

    #[test]
    fn devices_cores_and_the_rest_come_in_order() {
        let args = EalArgs {
            lcores: Some("0@0,1@0".into()),
            pci: Pci::Only(vec!["0000:01:00.0".into(), "02:00.0,rx_vec_en=1".into()]),
            vdevs: vec!["net_null0".into(), "net_tap0,iface=x".into()],
            log_level: LogLevel::Debug,
            extra: vec!["--iova-mode=va".into()],
            ..EalArgs::default()
        };
        check(
            &args,
            "wirepatch --in-memory --lcores 0@0,1@0 --allow 0000:01:00.0 \
             --allow 02:00.0,rx_vec_en=1 --vdev=net_null0 --vdev=net_tap0,iface=x \
             --no-telemetry --log-level=debug --iova-mode=va",
        );
        check(
            &EalArgs { pci: Pci::Off, ..EalArgs::default() },
            "wirepatch --in-memory --no-pci --no-telemetry --log-level=warning",
        );
    }

    #[test]
    fn a_nul_byte_is_refused_and_named() {
        let args = EalArgs { vdevs: vec!["net_null0\0".into()], ..EalArgs::default() };
        let error = args.to_c().unwrap_err().to_string();
        assert_eq!(error, r#"EAL option "--vdev=net_null0\0" is not usable: it holds a NUL byte"#);
    }

    #[test]
    fn names_must_fit() {
        assert!(c_name("ring", "rx", 29).is_ok());
        assert!(c_name("ring", "", 29).is_err());
        assert!(c_name("ring", &"x".repeat(28), 29).is_ok());
        assert!(c_name("ring", &"x".repeat(29), 29).is_err());
    }
}
