//! A warning before the first packet: the workers cannot sustain the speed of the links.

use std::path::Path;

use control::{Config, PortDevice};

use super::table::shown;
use super::{Basis, Budget, BudgetLine};

/// The speed of a port's link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortSpeed {
    pub(crate) name: String,
    pub(crate) mbps: u32,
}

/// One sentence for each kind of frame that `workers` cannot hold if all links are full of it: the
/// smallest ones out of scope, and a mixture of the dearest protocol. Nothing where no link says
/// how fast it is.
pub(crate) fn warnings(
    workers: u16,
    speeds: &[PortSpeed],
    budget: impl FnOnce(f64) -> Option<Budget>,
) -> Vec<String> {
    let mbps: f64 = speeds.iter().map(|speed| f64::from(speed.mbps)).sum();
    if mbps <= 0.0 {
        return Vec::new();
    }
    let Some(budget) = budget(mbps / 1e3) else { return Vec::new() };
    let cores = |line: &BudgetLine, frames: &str| {
        line.shares.iter().find(|share| share.frames == frames).map_or(0, |share| share.cores)
    };
    let (elsewhere, modules) = match budget.lines.split_first() {
        Some((first, rest)) => (Some(first), rest),
        None => (None, [].as_slice()),
    };
    let dearest = modules.iter().max_by_key(|line| cores(line, "imix"));
    [(elsewhere, "64"), (dearest, "imix")]
        .into_iter()
        .filter_map(|(line, frames)| {
            let line = line?;
            let share = line.shares.iter().find(|share| share.frames == frames)?;
            (share.cores > u32::from(workers)).then(|| {
                format!(
                    "{} cannot hold {} Gbit/s ({}) of {} at {}: by {} that takes {} workers of {:.2} GHz; \
                     `wirepatch explain --budget` says more",
                    if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") },
                    budget.gbit_per_s,
                    links(speeds),
                    line.traffic,
                    shown(share),
                    match line.basis {
                        Basis::Measured => "measured costs",
                        Basis::Instructions | Basis::OtherProtocol => "instruction counts",
                    },
                    share.cores,
                    budget.cpu_ghz,
                )
            })
        })
        .collect()
}

/// `lan at 10 Gbit/s, wan at 10 Gbit/s`
fn links(speeds: &[PortSpeed]) -> String {
    let each =
        |speed: &PortSpeed| format!("{} at {} Gbit/s", speed.name, f64::from(speed.mbps) / 1e3);
    speeds.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// What the kernel knows of the ports' links, with no driver of ours started: of PCI devices that
/// its own driver still has, and of network links used by name that have a device behind them. What
/// a tap or a veth says of its speed is made up, and what DPDK says of a packet socket.
pub(crate) fn kernel_speeds(config: &Config) -> Vec<PortSpeed> {
    let ports = config.settings.ports.iter();
    ports
        .filter_map(|port| {
            let mbps = match &port.device.value {
                PortDevice::Pci(address) => {
                    let full = if address.len() < 12 {
                        format!("0000:{address}")
                    } else {
                        address.clone()
                    };
                    let links = Path::new("/sys/bus/pci/devices").join(full).join("net");
                    let mut links = std::fs::read_dir(links).ok()?.flatten();
                    links.find_map(|link| link_mbps(&link.path()))?
                }
                PortDevice::Virtual(text) => {
                    let name = text.split(',').find_map(|word| word.strip_prefix("iface="))?;
                    // A name in the configuration, not a path.
                    let link = Path::new("/sys/class/net").join(Path::new(name).file_name()?);
                    link_mbps(&link)?
                }
            };
            Some(PortSpeed { name: port.name.value.clone(), mbps })
        })
        .collect()
}

/// `None`: no device, or one that is down or does not know (-1).
fn link_mbps(link: &Path) -> Option<u32> {
    if !link.join("device").exists() {
        return None;
    }
    let text = std::fs::read_to_string(link.join("speed")).ok()?;
    let mbps: i64 = text.trim().parse().ok()?;
    u32::try_from(mbps).ok().filter(|&mbps| mbps > 0)
}
