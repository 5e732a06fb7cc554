//! Whether ports, bridges and CPUs fit together.

use std::collections::BTreeMap;

use patch::yaml::Spanned;
use patch::{Place, nearest};

use crate::forms::PortDevice;
use crate::problems::Problems;
use crate::settings::{Settings, WorkerSettings};
use crate::words::Layout;

/// Complains of ports that cannot be.
pub(crate) fn check_ports(settings: &Settings, problems: &mut Problems<'_>) {
    problems.unique("port", settings.ports.iter().map(|port| &port.name));
    if settings.ports.len() < 2 {
        problems.add(
            settings.ports.place,
            "a bump in the wire needs two ports",
            "name at least two under `ports`",
        );
    }
    for port in settings.ports.iter() {
        if matches!(port.device.value, PortDevice::Pci(_)) && !settings.eal.pci {
            problems.add(
                port.device.place,
                "a PCI device, but `eal.pci` is off",
                "set `eal: { pci: true }` so that DPDK looks for PCI devices",
            );
        }
    }
}

/// The bridges as pairs of indices into `ports`. A port that is not in exactly one is a problem.
pub(crate) fn bridges(settings: &Settings, problems: &mut Problems<'_>) -> Vec<[usize; 2]> {
    let mut taken = BTreeMap::new();
    let mut bridges = Vec::new();
    for [left, right] in settings.bridges.iter() {
        let left = bridge_end(left, settings, &mut taken, problems);
        let right = bridge_end(right, settings, &mut taken, problems);
        if let (Some(left), Some(right)) = (left, right) {
            bridges.push([left, right]);
        }
    }
    if settings.bridges.is_empty() {
        problems.add(
            settings.bridges.place,
            "no bridge: nothing would be forwarded",
            "write `bridges: [[lan, srv]]`",
        );
    }
    for (number, port) in settings.ports.iter().enumerate() {
        if !taken.contains_key(&number) {
            problems.add(
                port.name.place,
                format!("port `{}` is in no bridge", port.name.value),
                "join it to another under `bridges`, or take it out",
            );
        }
    }
    bridges
}

/// The port that is called so. `taken` has the place where each port was bridged first.
fn bridge_end(
    end: &Spanned<String>,
    settings: &Settings,
    taken: &mut BTreeMap<usize, Place>,
    problems: &mut Problems<'_>,
) -> Option<usize> {
    let names = || settings.ports.iter().map(|port| port.name.as_str());
    let Some(port) = names().position(|name| name == end.value) else {
        let help = nearest(&end.value, names()).map_or_else(
            || "name a port of `ports`".to_owned(),
            |name| format!("did you mean `{name}`?"),
        );
        problems.add(end.place, format!("no port is called `{}`", end.value), help);
        return None;
    };
    if let Some(first) = taken.insert(port, end.place) {
        problems.add_pair(
            Spanned { place: end.place, value: format!("port `{}` is bridged twice", end.value) },
            "put each port in one bridge: its frames leave on exactly one other port",
            Spanned { place: first, value: "bridged here first" },
        );
    }
    Some(port)
}

/// Complains of CPUs that cannot carry the busy lcores.
pub(crate) fn check_cpus(workers: &WorkerSettings, problems: &mut Problems<'_>) {
    let beside = match workers.layout.0 {
        Layout::RunToCompletion => 0,
        Layout::Rings => 2,
    };
    let needed = usize::from(workers.count).saturating_add(beside);
    if let Some(last) = workers.cpus.last()
        && workers.cpus.len() < needed
    {
        problems.add(
            last.place,
            format!("{} CPUs for {needed} busy lcores", workers.cpus.len()),
            format!(
                "name {needed} CPUs (workers first, then those that receive and transmit), or \
                 lower `count`"
            ),
        );
    }
    for (at, cpu) in workers.cpus.iter().enumerate() {
        if workers.cpus.iter().take(at).any(|earlier| earlier.value == cpu.value) {
            problems.add(
                cpu.place,
                format!("CPU {} is named twice", cpu.value),
                "name each CPU once: two busy-polling lcores on one CPU starve each other",
            );
        }
    }
}
