//! What this machine lacks of what a sound configuration needs.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::config::Config;
use crate::forms::PortDevice;

/// Every problem, as a sentence that says what to do.
pub fn problems_here(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    devices(config, &mut found);
    cpus(config, &mut found);
    if config.settings.eal.hugepages
        && free_hugepages_mib() < u64::from(config.settings.eal.memory_mib)
    {
        found.push(format!(
            "eal.hugepages: {} MiB of hugepages are free, {} are wanted; reserve them \
             (deploy/prepare-host.sh --hugepages N) or set `hugepages: false`",
            free_hugepages_mib(),
            config.settings.eal.memory_mib
        ));
    }
    if let Err(error) = TcpListener::bind(config.settings.metrics.listen) {
        found.push(format!(
            "metrics.listen: cannot listen on {}: {error}",
            config.settings.metrics.listen
        ));
    }
    let socket = config.control_socket();
    let folder = socket.parent().unwrap_or(Path::new("/"));
    if !folder.is_dir() && !folder.parent().is_some_and(Path::is_dir) {
        found.push(format!(
            "control.socket: {} does not exist; make it, or name another path",
            folder.display()
        ));
    }
    found
}

fn devices(config: &Config, found: &mut Vec<String>) {
    for port in config.settings.ports.iter() {
        match &port.device.value {
            PortDevice::Pci(address) => {
                let full =
                    if address.len() < 12 { format!("0000:{address}") } else { address.clone() };
                if !Path::new("/sys/bus/pci/devices").join(&full).is_dir() {
                    found.push(format!(
                        "port {}: no PCI device {full} here (`lspci -D` lists them)",
                        port.name.value
                    ));
                }
            }
            PortDevice::Virtual(text) => {
                // Taps are made by the driver; packet and XDP sockets need the link to be there.
                let needs_link =
                    text.starts_with("net_af_packet") || text.starts_with("net_af_xdp");
                let link = text.split(',').find_map(|word| word.strip_prefix("iface="));
                if let (true, Some(link)) = (needs_link, link)
                    && !Path::new("/sys/class/net").join(link).exists()
                {
                    found.push(format!(
                        "port {}: no network link `{link}` here (`ip link` lists them)",
                        port.name.value
                    ));
                }
            }
        }
    }
}

fn cpus(config: &Config, found: &mut Vec<String>) {
    for cpu in &config.settings.workers.cpus {
        if !Path::new(&format!("/sys/devices/system/cpu/cpu{}", cpu.value)).is_dir() {
            found.push(format!(
                "workers.cpus: this machine has no CPU {} (`lscpu -e` lists them)",
                cpu.value
            ));
        }
    }
}

fn free_hugepages_mib() -> u64 {
    fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .unwrap_or(0)
        .saturating_mul(2)
}
