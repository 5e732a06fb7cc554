//! One device: found, brought up, taken down. `Port` and the queues share it.

use super::config::{Applied, ChecksumOffloads, PortConfig, PortInfo, rss_types, symmetric_key};
use crate::{
    eal::{Eal, Lease, c_string},
    error::{Errno, Error, Result},
    mempool::{HEADROOM_BYTES, Mempool},
};
use core::ffi::CStr;
use dpdk_sys as sys;
use std::{
    collections::BTreeSet,
    ffi::CString,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of a frame that the MTU does not count: Ethernet and two VLAN tags.
const L2_BYTES_MAX: u32 = 14 + 4 + 4;

/// DPDK's control calls are not made for several threads: each runs under this lock. It holds
/// the ports that there is a `EthDevice` of.
static CONTROL: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

pub(super) fn control() -> MutexGuard<'static, BTreeSet<u16>> {
    CONTROL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Descriptors of each queue.
#[derive(Clone, Copy, Debug)]
struct Descriptors {
    rx: u16,
    tx: u16,
}

/// A device of ours.
///
/// Invariants:
/// 1. `index` is a valid port, and no other `EthDevice` has it (it is in [`CONTROL`]);
/// 2. it is started, configured and stopped only by `&mut`, so while there is no queue: queues
///    share it by `Arc`. So a queue is the proof that the port runs, and that its queue exists;
/// 3. `_lease` keeps DPDK up (`Eal` invariant 3), and every control call holds [`control`].
#[derive(Debug)]
pub(super) struct EthDevice {
    pub(super) index: u16,
    pub(super) name: String,
    /// Whether it was plugged in here, and has to be unplugged in the end.
    probed: bool,
    started: bool,
    _lease: Arc<Lease>,
}

impl EthDevice {
    pub(super) fn probe(eal: &Eal, device: &str) -> Result<Self> {
        let device_c = c_string("device", device)?;
        let name = device.split(',').next().unwrap_or(device);
        let mut taken = control();
        if let Ok(index) = index_of(&c_string("device", name)?) {
            return Self::take(eal, &mut taken, index, name, false);
        }
        // SAFETY: DPDK is up, `CONTROL` is held; the string ends with a NUL and is copied.
        let status = unsafe { sys::rte_dev_probe(device_c.as_ptr()) };
        if status < 0 && status != -libc::EEXIST {
            return Err(no_such_device(device, Errno::from_status(status)));
        }
        let index = index_of(&c_string("device", name)?).or_else(|cause| {
            first_port_of(&device_c).ok_or_else(|| no_such_device(device, cause))
        })?;
        Self::take(eal, &mut taken, index, name, status == 0)
    }

    pub(super) fn open(eal: &Eal, name: &str) -> Result<Self> {
        let mut taken = control();
        let index =
            index_of(&c_string("port name", name)?).map_err(|cause| no_such_device(name, cause))?;
        Self::take(eal, &mut taken, index, name, false)
    }

    pub(super) fn by_index(eal: &Eal, index: u16) -> Result<Self> {
        let mut taken = control();
        // SAFETY: takes any number.
        if unsafe { sys::rte_eth_dev_is_valid_port(index) } == 0 {
            let name = format!("port {index}");
            return Err(no_such_device(&name, Errno::from_status(-libc::ENODEV)));
        }
        let mut room: [core::ffi::c_char; 256] = [0; 256];
        // SAFETY: `CONTROL` is held; names are shorter than RTE_ETH_NAME_MAX_LEN, which is 64.
        let status = unsafe { sys::rte_eth_dev_get_name_by_port(index, room.as_mut_ptr()) };
        if status != 0 {
            return Err(no_such_device(&format!("port {index}"), Errno::from_status(status)));
        }
        // SAFETY: a string that ends with a NUL was written to `room`.
        let name = unsafe { CStr::from_ptr(room.as_ptr()) }.to_string_lossy().into_owned();
        Self::take(eal, &mut taken, index, &name, false)
    }

    fn take(
        eal: &Eal,
        taken: &mut BTreeSet<u16>,
        index: u16,
        name: &str,
        probed: bool,
    ) -> Result<Self> {
        if !taken.insert(index) {
            return Err(Error::PortTaken { port: name.to_owned() });
        }
        let lease = Arc::clone(eal.lease());
        Ok(Self { index, name: name.to_owned(), probed, started: false, _lease: lease })
    }

    pub(super) fn info(&self) -> Result<PortInfo> {
        let _control = control();
        let raw = self.raw_info()?;
        // SAFETY: invariant 1: the port is valid.
        let socket = unsafe { sys::rte_eth_dev_socket_id(self.index) };
        Ok(PortInfo {
            name: self.name.clone(),
            index: self.index,
            driver: driver_name(&raw),
            socket: u32::try_from(socket).ok(),
            rx_queues_max: raw.max_rx_queues,
            tx_queues_max: raw.max_tx_queues,
            mtu_min: raw.min_mtu,
            mtu_max: raw.max_mtu,
            rx_checksum: ChecksumOffloads::of_rx(raw.rx_offload_capa),
            tx_checksum: ChecksumOffloads::of_tx(raw.tx_offload_capa),
            rx_offloads: raw.rx_offload_capa,
            tx_offloads: raw.tx_offload_capa,
            rss_types: raw.flow_type_rss_offloads,
            rss_key_bytes: raw.hash_key_size,
            rss_table_len: raw.reta_size,
        })
    }

    /// Configures all and starts. `&mut`: invariant 2.
    pub(super) fn start(&mut self, config: &PortConfig, pool: &Mempool) -> Result<Applied> {
        self.stop()?;
        let _control = control();
        let info = self.raw_info()?;
        self.check(config, &info, pool)?;

        let rss_types = if config.rx_queues > 1 {
            rss_types(config.rss, info.flow_type_rss_offloads)
        } else {
            0
        };
        let mut key = symmetric_key(if info.hash_key_size == 0 { 40 } else { info.hash_key_size });
        let conf = eth_conf(config, &info, rss_types, &mut key);
        let (rx_queues, tx_queues) = (config.rx_queues, config.tx_queues);
        // SAFETY: the port is valid and stopped, `CONTROL` is held; `conf` is copied, and `key`
        // outlives the start below, where drivers read it at the latest.
        let status = unsafe { sys::rte_eth_dev_configure(self.index, rx_queues, tx_queues, &conf) };
        self.driver("rte_eth_dev_configure", status)?;

        let descriptors = self.adjusted_descriptors(config)?;
        self.set_up_queues(config, &info, &conf, descriptors, pool)?;

        if let Some(mtu) = config.mtu {
            // Some drivers set it here, some when configured; all of them know one of the two.
            // SAFETY: the port is valid and configured, `CONTROL` is held.
            let status = unsafe { sys::rte_eth_dev_set_mtu(self.index, mtu) };
            if status != -libc::ENOTSUP {
                self.driver("rte_eth_dev_set_mtu", status)?;
            }
        }
        // SAFETY: the port is valid and its queues are set up, `CONTROL` is held.
        let status = unsafe { sys::rte_eth_dev_start(self.index) };
        self.driver("rte_eth_dev_start", status)?;
        self.started = true;
        drop(key);

        let mut mtu = 0;
        // SAFETY: the port is valid, `CONTROL` is held; `mtu` takes the answer.
        let status = unsafe { sys::rte_eth_dev_get_mtu(self.index, &mut mtu) };
        self.driver("rte_eth_dev_get_mtu", status)?;
        Ok(Applied {
            rx_checksum: ChecksumOffloads::of_rx(conf.rxmode.offloads),
            tx_checksum: ChecksumOffloads::of_tx(conf.txmode.offloads),
            symmetric_rss: rss_types != 0,
            mtu,
            promiscuous: config.promiscuous && self.promiscuous()?,
            rx_descriptors: descriptors.rx,
            tx_descriptors: descriptors.tx,
        })
    }

    /// As many descriptors as the driver takes, near to those that are wanted.
    fn adjusted_descriptors(&self, config: &PortConfig) -> Result<Descriptors> {
        let (mut rx, mut tx) = (config.rx_descriptors, config.tx_descriptors);
        // SAFETY: the port is valid and configured, `CONTROL` is held.
        let status = unsafe { sys::rte_eth_dev_adjust_nb_rx_tx_desc(self.index, &mut rx, &mut tx) };
        self.driver("rte_eth_dev_adjust_nb_rx_tx_desc", status)?;
        Ok(Descriptors { rx, tx })
    }

    /// What DPDK itself does not check, or says less clearly.
    fn check(
        &self,
        config: &PortConfig,
        info: &sys::rte_eth_dev_info,
        pool: &Mempool,
    ) -> Result<()> {
        let refuse = |what, wanted, limit| {
            let (port, driver) = (self.name.clone(), driver_name(info));
            Err(Error::Unsupported { port, driver, what, wanted, limit })
        };
        let (rx, rx_max) = (config.rx_queues, info.max_rx_queues);
        if rx == 0 || rx > rx_max {
            return refuse("rx_queues", rx.into(), format!("it has 1 to {rx_max}"));
        }
        let (tx, tx_max) = (config.tx_queues, info.max_tx_queues);
        if tx == 0 || tx > tx_max {
            return refuse("tx_queues", tx.into(), format!("it has 1 to {tx_max}"));
        }
        let Some(mtu) = config.mtu else { return Ok(()) };
        if mtu < info.min_mtu || mtu > info.max_mtu {
            let limit = format!("it takes {} to {}", info.min_mtu, info.max_mtu);
            return refuse("mtu", mtu.into(), limit);
        }
        let frame = u32::from(mtu).saturating_add(L2_BYTES_MAX);
        let room = u32::from(pool.data_room_bytes()).saturating_sub(HEADROOM_BYTES);
        if frame > room {
            let needed = frame.saturating_add(HEADROOM_BYTES);
            let limit = format!("its pool's packets must then have data_room_bytes of {needed}");
            return refuse("mtu", mtu.into(), limit);
        }
        Ok(())
    }

    fn set_up_queues(
        &self,
        config: &PortConfig,
        info: &sys::rte_eth_dev_info,
        conf: &sys::rte_eth_conf,
        descriptors: Descriptors,
        pool: &Mempool,
    ) -> Result<()> {
        // SAFETY: invariant 1: the port is valid.
        let socket = unsafe { sys::rte_eth_dev_socket_id(self.index) };
        // SOCKET_ID_ANY is -1, and is passed on as DPDK's own programs do.
        let socket = socket.cast_unsigned();
        let mut rx_conf = info.default_rxconf;
        rx_conf.offloads = conf.rxmode.offloads;
        for queue in 0..config.rx_queues {
            // SAFETY: the port is valid and configured for this queue, `CONTROL` is held; the
            // pool lives until DPDK's end (`Mempool` invariant 2), `rx_conf` is copied.
            let status = unsafe {
                sys::rte_eth_rx_queue_setup(
                    self.index,
                    queue,
                    descriptors.rx,
                    socket,
                    &rx_conf,
                    pool.as_ptr(),
                )
            };
            self.driver("rte_eth_rx_queue_setup", status)?;
        }
        let mut tx_conf = info.default_txconf;
        tx_conf.offloads = conf.txmode.offloads;
        for queue in 0..config.tx_queues {
            // SAFETY: the port is valid and configured for this queue, `CONTROL` is held;
            // `tx_conf` is copied.
            let status = unsafe {
                sys::rte_eth_tx_queue_setup(self.index, queue, descriptors.tx, socket, &tx_conf)
            };
            self.driver("rte_eth_tx_queue_setup", status)?;
        }
        Ok(())
    }

    /// Turns it on, and tells whether it is. Drivers that can't be asked are left as they are.
    fn promiscuous(&self) -> Result<bool> {
        // SAFETY: the port is valid, `CONTROL` is held.
        let status = unsafe { sys::rte_eth_promiscuous_enable(self.index) };
        if status == -libc::ENOTSUP {
            return Ok(false);
        }
        self.driver("rte_eth_promiscuous_enable", status)?;
        // SAFETY: the port is valid, `CONTROL` is held.
        Ok(unsafe { sys::rte_eth_promiscuous_get(self.index) } == 1)
    }

    /// `&mut`: invariant 2.
    pub(super) fn stop(&mut self) -> Result<()> {
        if !core::mem::replace(&mut self.started, false) {
            return Ok(());
        }
        let _control = control();
        // SAFETY: the port is valid, `CONTROL` is held, and no queue is in use (invariant 2).
        let status = unsafe { sys::rte_eth_dev_stop(self.index) };
        self.driver("rte_eth_dev_stop", status)
    }

    pub(super) fn raw_info(&self) -> Result<sys::rte_eth_dev_info> {
        let mut info = sys::rte_eth_dev_info::default();
        // SAFETY: the port is valid, the caller holds `CONTROL`; `info` takes the answer.
        let status = unsafe { sys::rte_eth_dev_info_get(self.index, &mut info) };
        self.driver("rte_eth_dev_info_get", status)?;
        Ok(info)
    }

    pub(super) fn driver(&self, call: &'static str, status: i32) -> Result<()> {
        if status >= 0 {
            return Ok(());
        }
        Err(Error::Driver { port: self.name.clone(), call, cause: Errno::from_status(status) })
    }
}

impl Drop for EthDevice {
    /// The port and all its queues are gone. A driver that does not let go leaves nothing to do.
    fn drop(&mut self) {
        let _refused = self.stop();
        let mut taken = control();
        let plugged = self.raw_info().map_or(core::ptr::null_mut(), |info| info.device);
        // SAFETY: the port is valid and stopped, `CONTROL` is held, and nothing uses it any more.
        let _refused = unsafe { sys::rte_eth_dev_close(self.index) };
        if self.probed && !plugged.is_null() {
            // SAFETY: it was plugged in by us, is still, and its port is closed.
            let _refused = unsafe { sys::rte_dev_remove(plugged) };
        }
        taken.remove(&self.index);
    }
}

const RX_CHECKSUMS: u64 = sys::DPDK_RX_OFFLOAD_IPV4_CKSUM
    | sys::DPDK_RX_OFFLOAD_TCP_CKSUM
    | sys::DPDK_RX_OFFLOAD_UDP_CKSUM;

const TX_CHECKSUMS: u64 = sys::DPDK_TX_OFFLOAD_IPV4_CKSUM
    | sys::DPDK_TX_OFFLOAD_TCP_CKSUM
    | sys::DPDK_TX_OFFLOAD_UDP_CKSUM;

fn index_of(name: &CString) -> core::result::Result<u16, Errno> {
    let mut index = 0;
    // SAFETY: DPDK is up, the caller holds `CONTROL`; `index` takes the answer.
    let status = unsafe { sys::rte_eth_dev_get_port_by_name(name.as_ptr(), &mut index) };
    if status == 0 { Ok(index) } else { Err(Errno::from_status(status)) }
}

/// For devices whose port has another name than they, such as a short PCI address.
fn first_port_of(device: &CString) -> Option<u16> {
    let mut iterator = sys::rte_dev_iterator::default();
    // SAFETY: DPDK is up, the caller holds `CONTROL`; `device` outlives the iterator.
    let status = unsafe { sys::rte_eth_iterator_init(&mut iterator, device.as_ptr()) };
    if status != 0 {
        return None;
    }
    // SAFETY: the iterator was set up above.
    let index = unsafe { sys::rte_eth_iterator_next(&mut iterator) };
    if u32::from(index) >= sys::DPDK_ETHPORTS_MAX {
        // It has cleaned up after itself.
        return None;
    }
    // SAFETY: the iterator has not come to its end.
    unsafe { sys::rte_eth_iterator_cleanup(&mut iterator) };
    Some(index)
}

/// The port's configuration. It points to `key`, which must outlive the start of the port.
fn eth_conf(
    config: &PortConfig,
    info: &sys::rte_eth_dev_info,
    rss_types: u64,
    key: &mut [u8],
) -> sys::rte_eth_conf {
    let rx_wanted = if config.rx_checksum { RX_CHECKSUMS } else { 0 };
    let tx_wanted = if config.tx_checksum { TX_CHECKSUMS } else { 0 };
    let mut conf = sys::rte_eth_conf::default();
    conf.rxmode.mtu = config.mtu.map_or(0, u32::from);
    conf.rxmode.offloads = rx_wanted & info.rx_offload_capa;
    conf.txmode.offloads = tx_wanted & info.tx_offload_capa;
    conf.intr_conf.set_rxq(u32::from(config.rx_interrupts));
    if rss_types != 0 {
        conf.rxmode.mq_mode = sys::rte_eth_rx_mq_mode_RTE_ETH_MQ_RX_RSS;
        conf.rxmode.offloads |= sys::DPDK_RX_OFFLOAD_RSS_HASH & info.rx_offload_capa;
        conf.rx_adv_conf.rss_conf.rss_key = key.as_mut_ptr();
        conf.rx_adv_conf.rss_conf.rss_key_len = u8::try_from(key.len()).unwrap_or(0);
        conf.rx_adv_conf.rss_conf.rss_hf = rss_types;
    }
    conf
}

fn driver_name(info: &sys::rte_eth_dev_info) -> String {
    if info.driver_name.is_null() {
        return "no driver".to_owned();
    }
    // SAFETY: a name that ends with a NUL, in the driver's own memory.
    unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned()
}

fn no_such_device(device: &str, cause: Errno) -> Error {
    Error::NoSuchDevice {
        device: device.to_owned(),
        cause,
        advice: "A virtual device is a driver's name with a number, such as net_tap0,iface=x; \
                 a PCI device must be bound to vfio-pci and be allowed. DPDK's own messages above \
                 may say more",
    }
}
