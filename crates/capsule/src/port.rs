//! Ethernet devices.

mod config;
mod device;
mod queue;

use crate::{eal::Eal, error::Error, error::Result, mempool::Mempool};
use core::ffi::CStr;
use device::{EthDevice, control};
use dpdk_sys as sys;
use std::sync::Arc;

pub use config::{
    Applied, ChecksumOffloads, LinkState, MacAddress, PortConfig, PortInfo, PortStats, Rss, Xstat,
};
pub use queue::{RxQueue, TxQueue};

/// An Ethernet device.
///
/// It is started with queues, which go to the cores; the port itself stays with the control side,
/// which may share it among threads to watch it. When it and all its queues are dropped, the
/// device is stopped and closed.
#[derive(Debug)]
pub struct Port {
    device: Arc<EthDevice>,
}

/// A running port's queues, and what came of its configuration.
#[derive(Debug)]
pub struct Started {
    /// Its receive queues, by number.
    pub rx: Vec<RxQueue>,
    /// Its transmit queues, by number.
    pub tx: Vec<TxQueue>,
    /// What came of the configuration.
    pub applied: Applied,
}

impl Port {
    /// Takes up a device: a PCI address (`0000:01:00.0`) or a virtual device with its options
    /// (`net_tap0,iface=x`), which is plugged in unless it is already.
    pub fn probe(eal: &Eal, device: &str) -> Result<Self> {
        Ok(Self { device: Arc::new(EthDevice::probe(eal, device)?) })
    }

    /// Takes up a device that DPDK has found at start, by name.
    pub fn open(eal: &Eal, name: &str) -> Result<Self> {
        Ok(Self { device: Arc::new(EthDevice::open(eal, name)?) })
    }

    /// Takes up a device that DPDK has found at start, by its number.
    pub fn by_index(eal: &Eal, index: u16) -> Result<Self> {
        Ok(Self { device: Arc::new(EthDevice::by_index(eal, index)?) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.device.name
    }

    /// DPDK's number for it, which [`crate::Mbuf::port`] tells.
    pub fn index(&self) -> u16 {
        self.device.index
    }

    /// What it is and has.
    pub fn info(&self) -> Result<PortInfo> {
        self.device.info()
    }

    /// Configures and starts it; received packets come from `pool`. Started again, it takes on
    /// the new configuration, once all its queues are back (dropped).
    pub fn start(&mut self, config: &PortConfig, pool: &Mempool) -> Result<Started> {
        let applied = self.alone()?.start(config, pool)?;
        let offloads = applied.tx_checksum != ChecksumOffloads::default();
        let device = || Arc::clone(&self.device);
        let interrupts = config.rx_interrupts;
        let rx =
            (0..config.rx_queues).map(|queue| RxQueue::new(device(), queue, interrupts)).collect();
        let tx =
            (0..config.tx_queues).map(|queue| TxQueue::new(device(), queue, offloads)).collect();
        Ok(Started { rx, tx, applied })
    }

    /// Stops it, once all its queues are back (dropped).
    pub fn stop(&mut self) -> Result<()> {
        self.alone()?.stop()
    }

    /// Its Ethernet address.
    pub fn mac(&self) -> Result<MacAddress> {
        let _control = control();
        let mut mac = sys::rte_ether_addr::default();
        // SAFETY: the port is valid (`EthDevice` invariant 1); `mac` takes the answer.
        let status = unsafe { sys::rte_eth_macaddr_get(self.device.index, &mut mac) };
        self.device.driver("rte_eth_macaddr_get", status)?;
        Ok(MacAddress(mac.addr_bytes))
    }

    /// Whether there is a wire, as far as the driver knows by now.
    pub fn link(&self) -> Result<LinkState> {
        let _control = control();
        let (mut speed, mut full_duplex, mut up) = (0, 0, 0);
        // SAFETY: the port is valid (`EthDevice` invariant 1); the three take the answer.
        let status =
            unsafe { sys::dpdk_link(self.device.index, &mut speed, &mut full_duplex, &mut up) };
        self.device.driver("rte_eth_link_get_nowait", status)?;
        Ok(LinkState {
            up: up != 0,
            // 0 is DPDK's "none", the largest number its "unknown".
            speed_mbps: Some(speed).filter(|speed| *speed != 0 && *speed != u32::MAX),
            full_duplex: full_duplex != 0,
        })
    }

    /// Its counters.
    pub fn stats(&self) -> Result<PortStats> {
        let _control = control();
        let mut raw = sys::rte_eth_stats::default();
        // SAFETY: the port is valid (`EthDevice` invariant 1); `raw` takes the answer.
        let status = unsafe { sys::rte_eth_stats_get(self.device.index, &mut raw) };
        self.device.driver("rte_eth_stats_get", status)?;
        Ok(PortStats {
            rx_packets: raw.ipackets,
            rx_bytes: raw.ibytes,
            rx_missed: raw.imissed,
            rx_errors: raw.ierrors,
            rx_no_mbuf: raw.rx_nombuf,
            tx_packets: raw.opackets,
            tx_bytes: raw.obytes,
            tx_errors: raw.oerrors,
        })
    }

    /// Sets its counters to zero.
    pub fn reset_stats(&self) -> Result<()> {
        let _control = control();
        // SAFETY: the port is valid (`EthDevice` invariant 1).
        let status = unsafe { sys::rte_eth_stats_reset(self.device.index) };
        self.device.driver("rte_eth_stats_reset", status)
    }

    /// The driver's own counters.
    pub fn xstats(&self) -> Result<Vec<Xstat>> {
        let _control = control();
        let index = self.device.index;
        // SAFETY: the port is valid (`EthDevice` invariant 1); asks for the count only.
        let count = unsafe { sys::rte_eth_xstats_get_names(index, core::ptr::null_mut(), 0) };
        self.device.driver("rte_eth_xstats_get_names", count)?;
        let room = count.cast_unsigned();
        let len = usize::try_from(room).unwrap_or(0);
        let mut names = vec![sys::rte_eth_xstat_name::default(); len];
        // SAFETY: as above; `names` has room for `room` answers.
        let got = unsafe { sys::rte_eth_xstats_get_names(index, names.as_mut_ptr(), room) };
        self.device.driver("rte_eth_xstats_get_names", got)?;
        let mut values = vec![sys::rte_eth_xstat::default(); len];
        // SAFETY: as above; `values` has room for `room` answers.
        let got = unsafe { sys::rte_eth_xstats_get(index, values.as_mut_ptr(), room) };
        self.device.driver("rte_eth_xstats_get", got)?;
        // Where there are more by now than were counted, none are given.
        let got = usize::try_from(got).unwrap_or(0);
        values.truncate(if got > len { 0 } else { got });
        Ok(values.iter().filter_map(|xstat| named(xstat, &names)).collect())
    }

    /// For what must not happen under a queue (`EthDevice` invariant 2).
    fn alone(&mut self) -> Result<&mut EthDevice> {
        let port = self.device.name.clone();
        Arc::get_mut(&mut self.device).ok_or(Error::QueuesInUse { port })
    }
}

fn named(xstat: &sys::rte_eth_xstat, names: &[sys::rte_eth_xstat_name]) -> Option<Xstat> {
    let name = names.get(usize::try_from(xstat.id).ok()?)?;
    // A `c_char` is a signed byte on some machines and not on others.
    let bytes: Vec<u8> = name.name.iter().map(|char| char.to_ne_bytes()[0]).collect();
    let name = CStr::from_bytes_until_nul(&bytes).ok()?.to_string_lossy().into_owned();
    Some(Xstat { name, value: xstat.value })
}
