//! A bump in the wire, in one loop: what comes in at one port goes out at the other.
//!
//! ```text
//! bump DEVICE DEVICE [HUGEPAGES]      bump net_tap0,iface=left net_tap1,iface=right
//! ```
//!
//! It takes ordinary memory unless there is a third argument. SIGINT and SIGTERM end it.

#![allow(clippy::print_stdout, reason = "the example is a program")]

use capsule::{
    Backoff, Eal, EalArgs, LinkState, Mbuf, Memory, Mempool, MempoolConfig, Pci, Port, PortConfig,
    RxQueue, Started, TxQueue,
};
use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const BURST: usize = 32;

/// One way through the bump.
struct ForwardPath {
    from: RxQueue,
    to: TxQueue,
    frames: Vec<Mbuf>,
    passed: usize,
    dropped: usize,
}

impl ForwardPath {
    /// Returns whether there was anything to do.
    fn turn(&mut self) -> bool {
        if self.from.receive(&mut self.frames, BURST) == 0 {
            return false;
        }
        self.passed += self.to.transmit(&mut self.frames);
        self.dropped += self.frames.len();
        self.frames.clear();
        true
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (left, right, memory) = match arguments.as_slice() {
        [left, right] => (left, right, Memory::NoHugepages { mib: 256 }),
        [left, right, _] => (left, right, Memory::InMemory { mib: None }),
        _ => return Err("usage: bump DEVICE DEVICE [HUGEPAGES]".into()),
    };
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop))?;
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))?;

    let lcores = Some("0@0,1@1".to_owned());
    let eal = Eal::start(&EalArgs { memory, lcores, pci: Pci::Off, ..EalArgs::default() })?;
    let pool = Mempool::new(&eal, &MempoolConfig { mbufs: 16_383, ..MempoolConfig::default() })?;
    let (left, mut left_queues) = start(&eal, &pool, left)?;
    let (right, mut right_queues) = start(&eal, &pool, right)?;
    let way = |from: &mut Started, to: &mut Started| {
        let (from, to) = (from.rx.pop()?, to.tx.pop()?);
        Some(ForwardPath { from, to, frames: Vec::with_capacity(BURST), passed: 0, dropped: 0 })
    };
    let there = way(&mut left_queues, &mut right_queues);
    let back = way(&mut right_queues, &mut left_queues);
    let (Some(mut there), Some(mut back)) = (there, back) else {
        return Err("a port has no queue".into());
    };

    let job = eal.launch(1, move || {
        let mut backoff = Backoff::new();
        while !stop.load(Ordering::Relaxed) {
            // Both ways in each turn, whatever the first one finds.
            if there.turn() | back.turn() { backoff.busy() } else { backoff.idle() }
        }
        [(there.passed, there.dropped), (back.passed, back.dropped)]
    })?;
    println!("forwarding");
    let [there, back] = job.join().map_err(|_| "the forwarding core panicked")?;
    println!(
        "there: {} passed, {} dropped; back: {} passed, {} dropped",
        there.0, there.1, back.0, back.1
    );
    println!("{:?}\n{:?}", left.stats()?, right.stats()?);
    drop((left, right, left_queues, right_queues));
    println!("packets not back in the pool: {}", pool.in_use());
    drop(pool);
    eal.shutdown()?;
    Ok(())
}

fn start(eal: &Eal, pool: &Mempool, device: &str) -> Result<(Port, Started), capsule::Error> {
    let mut port = Port::probe(eal, device)?;
    let started = port.start(&PortConfig::default(), pool)?;
    let LinkState { up, .. } = port.link()?;
    println!("{} ({}), up: {up}, {:?}", port.name(), port.mac()?, started.applied);
    Ok((port, started))
}
