//! DPDK, its ports, and the busy lcores: started in order, stopped in the opposite order.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capsule::{
    Eal, EalArgs, LcoreHandle, Memory, Mempool, MempoolConfig, Pci, Port, PortConfig, RingGauge,
    Rss, RxQueue, TxQueue,
};
use control::{BLOCKS_PER_MIB, Config, Layout, LimitSettings, PortDevice};
use datapath::{
    ActivePlan, Bridge, Core, CoreConfig, CoreCounters, LcoreCycles, Limits, LinkLayer, Lost,
    PortNo,
};
use flow::limits::Bounds;
use plan::{Publisher, Subscriber};

use crate::budget::{self, PortSpeed};

use super::cpus::{self, BusyLcore, Role};
use super::log::Log;
use super::worker::{Clock, Loop, Stop};
use crate::nic::{DpdkFrame, Io, QueueNic, lay_rings};

/// Bytes a frame may grow in its own buffer before it has to be split: an edit seldom inserts more.
const GROWTH_BYTES: u32 = 256;

/// Ethernet header with two tags, and the check sequence some drivers keep.
const LINK_BYTES: u32 = 14 + 8 + 4;

/// DPDK 22.11's af_xdp driver frees its umem, and not the mbufs in it.
const KEEPS_BUFFERS: &str = "net_af_xdp";

/// Running lcores and what they run on. [`Dataplane::stop`] takes it down.
#[derive(Debug)]
pub(crate) struct Dataplane {
    stop: Arc<Stop>,
    lcores: Vec<(Role, LcoreHandle<()>)>,
    watched: Watched,
    eal: Eal,
    pool: Mempool,
    /// A driver that does not give back the buffers of its fill rings when its port is closed.
    driver_keeps: bool,
}

/// The parts that telemetry and `ctl status` read while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) ports: Arc<Vec<(String, Port)>>,
    pub(crate) cores: Vec<Arc<CoreCounters>>,
    pub(crate) pool: Mempool,
    pub(crate) rings: Vec<(String, RingGauge)>,
    pub(crate) ring_full: Option<Arc<Lost>>,
    pub(crate) too_long: Vec<Arc<Lost>>,
    /// By what the lcore does.
    pub(crate) cycles: Vec<(String, Arc<LcoreCycles>)>,
}

impl Dataplane {
    /// Starts everything; frames are forwarded when this returns.
    pub(crate) fn start(
        config: &Config,
        publisher: &Arc<Publisher<ActivePlan>>,
        log: Log,
    ) -> Result<Self> {
        let cpus = cpus::lay(&config.settings.workers, &cpus::online());
        for cpu in &cpus.shared {
            log.warn(&format!(
                "CPU {cpu} carries two busy lcores, which will take turns; give each its own under \
                 workers.cpus"
            ));
        }
        let eal = Eal::start(&eal_args(config, &cpus.lcores)).context("starting DPDK")?;
        let pool = Mempool::new(&eal, &pool_config(config)).context("making the packet pool")?;
        let queues = match config.settings.workers.layout.0 {
            Layout::RunToCompletion => config.settings.workers.count,
            Layout::Rings => 1,
        };
        let Ports { named: ports, queues: started, mtu } =
            start_ports(config, &eal, &pool, queues, log)?;
        let workers = usize::from(config.settings.workers.count);
        let mut watched = Watched {
            ports: Arc::new(ports),
            cores: Vec::new(),
            pool: pool.clone(),
            rings: Vec::new(),
            ring_full: None,
            too_long: Vec::new(),
            cycles: Vec::new(),
        };
        let mut cores: Vec<Option<Core<DpdkFrame>>> = (0..workers)
            .map(|worker| {
                let counters = Arc::new(CoreCounters::default());
                watched.cores.push(Arc::clone(&counters));
                Some(Core::new(
                    core_config(config, worker, mtu),
                    Subscriber::new(Arc::clone(publisher)),
                    counters,
                ))
            })
            .collect();
        let stop = Arc::new(Stop::default());
        let turns = Loop {
            stop: Arc::clone(&stop),
            clock: Clock::start(&eal),
            sleep_when_idle: config.settings.workers.sleep_when_idle,
            cycles: Arc::default(),
        };
        let driver_keeps =
            config.settings.ports.iter().any(|port| port.device.name().starts_with(KEEPS_BUFFERS));
        let mut plane = Self { stop, lcores: Vec::new(), watched, eal, pool, driver_keeps };
        match config.settings.workers.layout.0 {
            Layout::RunToCompletion => {
                plane.run_to_completion(&cpus.busy, started, &mut cores, &turns)?
            }
            Layout::Rings => plane.rings(config, &cpus.busy, started, &mut cores, &turns)?,
        }
        Ok(plane)
    }

    /// The parts to read while it runs.
    pub(crate) const fn watched(&self) -> &Watched {
        &self.watched
    }

    /// How fast the links of real devices are, where that is known; and how fast a core is.
    pub(crate) fn speeds(&self, config: &Config) -> (Vec<PortSpeed>, f64) {
        let mut speeds = budget::kernel_speeds(config);
        let ports = self.watched.ports.iter().zip(config.settings.ports.iter());
        let real = ports.filter(|(_, wanted)| matches!(wanted.device.value, PortDevice::Pci(_)));
        for ((name, port), _) in real {
            if let Some(mbps) = port.link().ok().and_then(|link| link.speed_mbps)
                && !speeds.iter().any(|known| known.name == *name)
            {
                speeds.push(PortSpeed { name: name.clone(), mbps });
            }
        }
        let hz = u32::try_from(self.eal.tsc_hz().checked_div(1_000_000).unwrap_or(0));
        (speeds, f64::from(hz.unwrap_or(0)) / 1e3)
    }

    /// An lcore has ended although nobody stopped it: its panic.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let lcores = core::mem::take(&mut self.lcores);
        let mut ended = None;
        for (role, handle) in lcores {
            match handle.try_join() {
                Ok(Ok(())) => ended = Some(format!("{role:?} returned")),
                Ok(Err(panic)) => {
                    ended = Some(format!("{role:?} panicked: {}", said(panic.as_ref())))
                }
                Err(running) => self.lcores.push((role, running)),
            }
        }
        ended
    }

    /// Stops the lcores and closes the ports. Gives the number of packet buffers that are missing
    /// from the pool.
    pub(crate) fn stop(self) -> Result<usize> {
        let Self { stop, lcores, watched, eal, pool, driver_keeps } = self;
        stop.order();
        for (role, handle) in lcores {
            if let Err(panic) = handle.join() {
                bail!("{role:?} panicked: {}", said(panic.as_ref()));
            }
        }
        // The queues went with the lcores' jobs; what the drivers still hold goes with the ports.
        drop(watched);
        let missing = pool.in_use();
        drop(pool);
        if driver_keeps {
            // They go with the process; DPDK cannot be taken down around them.
            return Ok(0);
        }
        eal.shutdown().context("shutting DPDK down")?;
        Ok(missing)
    }

    /// The same for one lcore, which counts its own cycles.
    fn on_its_own(&mut self, turns: &Loop, role: Role) -> Loop {
        let cycles = Arc::new(LcoreCycles::default());
        self.watched.cycles.push((role.label(), Arc::clone(&cycles)));
        Loop { cycles, ..turns.clone() }
    }

    fn run_to_completion(
        &mut self,
        busy: &[BusyLcore],
        started: Vec<Queues>,
        cores: &mut [Option<Core<DpdkFrame>>],
        turns: &Loop,
    ) -> Result<()> {
        let mut by_worker: Vec<Vec<(RxQueue, TxQueue)>> =
            cores.iter().map(|_| Vec::new()).collect();
        for port in started {
            for (worker, queue) in by_worker.iter_mut().zip(port.queues) {
                worker.push(queue);
            }
        }
        let mut nics: Vec<Option<QueueNic>> = by_worker
            .into_iter()
            .map(|ports| Some(QueueNic::new(ports, self.pool.clone())))
            .collect();
        for &BusyLcore { lcore, role } in busy {
            let Role::Worker(number) = role else { continue };
            let nic = nics.get_mut(number).and_then(Option::take);
            let core = cores.get_mut(number).and_then(Option::take);
            let (Some(mut nic), Some(mut core)) = (nic, core) else { continue };
            self.watched.too_long.push(nic.too_long());
            let turns = self.on_its_own(turns, role);
            let job = move || turns.poll_queues(&mut nic, &mut core);
            self.lcores.push((role, self.eal.launch(lcore, job).context("starting a worker")?));
        }
        Ok(())
    }

    fn rings(
        &mut self,
        config: &Config,
        busy: &[BusyLcore],
        started: Vec<Queues>,
        cores: &mut [Option<Core<DpdkFrame>>],
        turns: &Loop,
    ) -> Result<()> {
        let ports = started
            .into_iter()
            .flat_map(|port| {
                let name = port.name;
                port.queues.into_iter().map(move |(rx, tx)| (name.clone(), rx, tx))
            })
            .collect();
        let laid = lay_rings(
            &self.eal,
            ports,
            cores.len(),
            config.settings.limits.ring_packets,
            &self.pool,
        )?;
        self.watched.rings = laid.gauges;
        self.watched.ring_full = Some(laid.full);
        let mut nics: Vec<_> = laid.workers.into_iter().map(Some).collect();
        let (mut receive, mut transmit) = (Some(laid.receive), Some(laid.transmit));
        for &BusyLcore { lcore, role } in busy {
            let turns = self.on_its_own(turns, role);
            let handle = match role {
                Role::Worker(number) => {
                    let nic = nics.get_mut(number).and_then(Option::take);
                    let core = cores.get_mut(number).and_then(Option::take);
                    let (Some(mut nic), Some(mut core)) = (nic, core) else { continue };
                    self.eal.launch(lcore, move || turns.poll_rings(&mut nic, &mut core))
                }
                Role::Receive | Role::Transmit | Role::ReceiveAndTransmit => {
                    let rx = if role == Role::Transmit { None } else { receive.take() };
                    let tx = if role == Role::Receive { None } else { transmit.take() };
                    let mut io = rx.into_iter().chain(tx).fold(Io::default(), Io::join);
                    self.eal.launch(lcore, move || turns.move_frames(&mut io))
                }
            };
            self.lcores.push((role, handle.context("starting an lcore")?));
        }
        Ok(())
    }
}

/// The message of a panic.
fn said(panic: &(dyn core::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

/// Every port, running.
struct Ports {
    named: Vec<(String, Port)>,
    queues: Vec<Queues>,
    /// The least of all.
    mtu: u16,
}

struct Queues {
    name: String,
    queues: Vec<(RxQueue, TxQueue)>,
}

fn eal_args(config: &Config, lcores: &str) -> EalArgs {
    let mib = config.settings.eal.memory_mib;
    let pci: Vec<String> = config
        .settings
        .ports
        .iter()
        .filter_map(|port| match &port.device.value {
            PortDevice::Pci(address) => Some(address.clone()),
            PortDevice::Virtual(_) => None,
        })
        .collect();
    EalArgs {
        memory: if config.settings.eal.hugepages {
            Memory::InMemory { mib: Some(mib) }
        } else {
            Memory::NoHugepages { mib }
        },
        lcores: Some(lcores.to_owned()),
        pci: if pci.is_empty() { Pci::Off } else { Pci::Only(pci) },
        file_prefix: config.settings.eal.file_prefix.clone(),
        extra: config.settings.eal.extra.clone(),
        ..EalArgs::default()
    }
}

fn pool_config(config: &Config) -> MempoolConfig {
    let mtu = config.settings.ports.iter().filter_map(|port| port.mtu.map(u32::from)).max();
    let mtu = mtu.or_else(|| u32::try_from(Limits::DEFAULT.mtu_bytes).ok()).unwrap_or(u32::MAX);
    let frame = mtu.saturating_add(LINK_BYTES).saturating_add(GROWTH_BYTES).max(2_048);
    MempoolConfig {
        name: "frames".to_owned(),
        mbufs: config.settings.limits.mbufs,
        data_room_bytes: u16::try_from(frame.saturating_add(capsule::HEADROOM_BYTES))
            .unwrap_or(u16::MAX),
        ..MempoolConfig::default()
    }
}

/// Starts every port with `queues` queues each way. Gives the least MTU too.
fn start_ports(config: &Config, eal: &Eal, pool: &Mempool, queues: u16, log: Log) -> Result<Ports> {
    let mut ports = Vec::new();
    let mut all = Vec::new();
    let mut mtu = u16::MAX;
    for wanted in config.settings.ports.iter() {
        let shown = || format!("port {} ({})", wanted.name.value, wanted.device.name());
        let mut port = Port::probe(eal, wanted.device.name()).with_context(shown)?;
        let info = port.info().with_context(shown)?;
        let sleeps = config.settings.workers.sleep_when_idle && info.driver == "net_tap";
        let started = port
            .start(
                &PortConfig {
                    rx_queues: queues,
                    tx_queues: queues,
                    rx_descriptors: wanted.descriptors,
                    tx_descriptors: wanted.descriptors,
                    mtu: wanted.mtu,
                    promiscuous: true,
                    // By addresses only, so that fragments stay with their connection
                    // (docs/decisions/0004).
                    rss: if queues > 1 { Rss::SymmetricAddresses } else { Rss::Off },
                    rx_checksum: wanted.checksum_offload,
                    tx_checksum: false,
                    rx_interrupts: sleeps,
                },
                pool,
            )
            .with_context(shown)?;
        if queues > 1 && !started.applied.symmetric_rss {
            bail!(
                "{}: its driver ({}) cannot keep both directions of a connection on one queue; set \
                 `workers.layout: rings`, or one worker",
                shown(),
                info.driver
            );
        }
        let link = port.link().with_context(shown)?;
        log.info(&format!(
            "{}: {}, MTU {}, {} queue(s), link {}",
            shown(),
            info.driver,
            started.applied.mtu,
            queues,
            if link.up { "up" } else { "down" }
        ));
        mtu = mtu.min(started.applied.mtu);
        all.push(Queues {
            name: wanted.name.value.clone(),
            queues: started.rx.into_iter().zip(started.tx).collect(),
        });
        ports.push((wanted.name.value.clone(), port));
    }
    Ok(Ports { named: ports, queues: all, mtu })
}

fn core_config(config: &Config, core: usize, mtu: u16) -> CoreConfig {
    let number = |port: usize| PortNo(u8::try_from(port).unwrap_or(u8::MAX));
    // All keys by name: one that nobody obeys does not compile.
    let &LimitSettings {
        flows,
        pattern_hold_ms,
        unit_hold_ms,
        idle_ms,
        ahead_bytes,
        in_flight_bytes,
        copies_mib,
        fragments,
        fragment_ms,
        // `control::load_plan` obeys the first, this file the others.
        hold_bytes: _,
        mbufs: _,
        ring_packets: _,
    } = &config.settings.limits;
    CoreConfig {
        core,
        bridges: config
            .bridges
            .iter()
            .map(|[left, right]| Bridge { left: number(*left), right: number(*right) })
            .collect(),
        link: LinkLayer::Ethernet,
        trust_checksums: config.settings.ports.iter().any(|port| port.trust_checksums),
        limits: Limits {
            mtu_bytes: usize::from(mtu),
            flows_max: flows,
            blocks_max: copies_mib.saturating_mul(BLOCKS_PER_MIB),
            fragmented_datagrams_max: usize::try_from(fragments).unwrap_or(usize::MAX),
            fragments_max: usize::try_from(fragments.saturating_mul(8)).unwrap_or(usize::MAX),
            fragment_timeout_ms: fragment_ms.into(),
            flow: Bounds {
                ahead_bytes,
                in_flight_bytes,
                pattern_hold_ms,
                unit_hold_ms,
                idle_ms,
                offline_capture: false,
            },
            midstream: config.settings.midstream.0,
            tunnels: config.settings.tunnels.0,
        },
    }
}
