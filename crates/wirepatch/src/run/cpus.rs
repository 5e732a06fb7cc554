//! Which lcore does what, on which CPU.

use control::{Layout, WorkerSettings};

/// What a busy lcore does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs the journey; its worker number.
    Worker(usize),
    /// Receives and hands to workers.
    Receive,
    /// Takes from workers and transmits.
    Transmit,
    /// Both, where CPUs are scarce.
    ReceiveAndTransmit,
}

impl Role {
    /// As `/metrics` names it.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Worker(number) => format!("worker{number}"),
            Self::Receive => "receive".to_owned(),
            Self::Transmit => "transmit".to_owned(),
            Self::ReceiveAndTransmit => "receive_transmit".to_owned(),
        }
    }
}

/// An lcore that polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BusyLcore {
    /// EAL's number of it.
    pub(crate) lcore: u32,
    pub(crate) role: Role,
}

/// Lcores in EAL's own notation, and the busy ones in order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CpuPlan {
    /// `--lcores`.
    pub(crate) lcores: String,
    /// The busy lcores.
    pub(crate) busy: Vec<BusyLcore>,
    /// CPUs that two busy lcores share.
    pub(crate) shared: Vec<u16>,
}

/// Lays roles on CPUs. `online` are the CPUs this process may run on. The main lcore sleeps, so it
/// may roam over all of them.
pub(crate) fn lay(workers: &WorkerSettings, online: &[u16]) -> CpuPlan {
    let mut roles: Vec<Role> = (0..usize::from(workers.count)).map(Role::Worker).collect();
    // Busy CPUs from the highest down: the kernel's own work gathers on the lowest.
    let free: Vec<u16> = if workers.cpus.is_empty() {
        online.iter().rev().copied().collect()
    } else {
        workers.cpus.iter().map(|cpu| cpu.value).collect()
    };
    if workers.layout.0 == Layout::Rings {
        if roles.len().saturating_add(2) <= free.len() {
            roles.extend([Role::Receive, Role::Transmit]);
        } else {
            roles.push(Role::ReceiveAndTransmit);
        }
    }
    let mut used = Vec::new();
    let mut shared = Vec::new();
    let all: Vec<String> = online.iter().map(u16::to_string).collect();
    let mut lcores = format!("0@({})", all.join(","));
    let mut busy = Vec::new();
    for (at, role) in roles.into_iter().enumerate() {
        let lcore = u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        let cpu = free.get(at.checked_rem(free.len()).unwrap_or(0)).copied().unwrap_or(0);
        if used.contains(&cpu) && !shared.contains(&cpu) {
            shared.push(cpu);
        }
        used.push(cpu);
        lcores.push_str(&format!(",{lcore}@{cpu}"));
        busy.push(BusyLcore { lcore, role });
    }
    CpuPlan { lcores, busy, shared }
}

/// CPUs this process may run on, from the kernel's own list (`0-3,8`).
pub(crate) fn online() -> Vec<u16> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list =
        status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0");
    parse_list(list)
}

fn parse_list(list: &str) -> Vec<u16> {
    let mut cpus = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            cpus.extend(first..=last);
        }
    }
    if cpus.is_empty() {
        cpus.push(0);
    }
    cpus
}

#[cfg(test)]
mod tests {
    use control::Choice;
    use patch::yaml::Spanned;

    use super::*;

    fn workers(layout: Layout, count: u16, cpus: &[u16]) -> WorkerSettings {
        let cpus = cpus.iter().map(|&value| Spanned { value, ..Spanned::default() }).collect();
        WorkerSettings { layout: Choice(layout), count, cpus, ..WorkerSettings::default() }
    }

    fn roles(plan: &CpuPlan) -> Vec<Role> {
        plan.busy.iter().map(|busy| busy.role).collect()
    }

    #[test]
    fn roles_are_laid_on_the_highest_cpus_first() {
        let plan = lay(&workers(Layout::RunToCompletion, 1, &[]), &[0, 1]);
        assert_eq!(plan.lcores, "0@(0,1),1@1");
        assert_eq!(roles(&plan), [Role::Worker(0)]);
        assert!(plan.shared.is_empty());
    }

    #[test]
    fn where_cpus_are_scarce_one_lcore_receives_and_transmits() {
        let plan = lay(&workers(Layout::Rings, 1, &[]), &[0, 1]);
        assert_eq!(plan.lcores, "0@(0,1),1@1,2@0");
        assert_eq!(roles(&plan), [Role::Worker(0), Role::ReceiveAndTransmit]);
        let plan = lay(&workers(Layout::Rings, 2, &[4, 5, 6, 7]), &[0, 4, 5, 6, 7]);
        assert_eq!(plan.lcores, "0@(0,4,5,6,7),1@4,2@5,3@6,4@7");
        assert_eq!(plan.busy.last(), Some(&BusyLcore { lcore: 4, role: Role::Transmit }));
        let plan = lay(&workers(Layout::RunToCompletion, 3, &[]), &[0, 1]);
        assert_eq!(plan.shared, [1]);
    }

    #[test]
    fn the_kernels_lists() {
        assert_eq!(parse_list("\t0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(parse_list("nonsense"), [0]);
    }
}
