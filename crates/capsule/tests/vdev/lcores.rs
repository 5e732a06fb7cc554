//! Jobs on cores.

use crate::{Test, pool};
use capsule::{Backoff, Eal, Error, Port, PortConfig, Started, current_lcore, rdtsc};
use std::sync::{
    Arc, Barrier,
    atomic::{AtomicBool, Ordering},
};

pub(crate) const TESTS: &[Test] = &[
    ("lcores::lcores_are_listed", lcores_are_listed),
    ("lcores::a_job_returns_its_result", a_job_returns_its_result),
    ("lcores::a_panic_comes_out_of_join", a_panic_comes_out_of_join),
    ("lcores::a_busy_lcore_takes_no_job", a_busy_lcore_takes_no_job),
    ("lcores::a_running_job_keeps_dpdk_up", a_running_job_keeps_dpdk_up),
    ("lcores::two_cores_poll_a_queue_each", two_cores_poll_a_queue_each),
    ("lcores::the_counter_counts", the_counter_counts),
];

fn lcores_are_listed(eal: &Eal) {
    let lcores = eal.lcores();
    assert_eq!(lcores.iter().map(|lcore| lcore.id).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(lcores.iter().map(|lcore| lcore.is_main).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(current_lcore(), Some(0));
    assert_eq!(std::thread::spawn(current_lcore).join().unwrap(), None);
}

fn a_job_returns_its_result(eal: &Eal) {
    for round in 0..100 {
        let jobs = [1, 2].map(|id| eal.launch(id, move || (current_lcore(), round)).unwrap());
        assert_eq!(jobs.each_ref().map(|job| job.lcore()), [1, 2]);
        assert_eq!(jobs.map(|job| job.join().unwrap()), [(Some(1), round), (Some(2), round)]);
    }
}

fn a_panic_comes_out_of_join(eal: &Eal) {
    let pool = pool(eal, "panic");
    let frame = pool.alloc().unwrap();
    let job = eal.launch(1, move || {
        assert_eq!(frame.len(), 1, "this panic is the test's own");
    });
    let panic = job.unwrap().join().unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("this panic is the test's own"), "{message}");
    assert_eq!(pool.in_use(), 0, "unwinding freed what the job owned");
    assert_eq!(eal.launch(1, || 7).unwrap().join().unwrap(), 7, "the lcore lives on");
}

fn a_busy_lcore_takes_no_job(eal: &Eal) {
    let gate = Arc::new(Barrier::new(2));
    let there = Arc::clone(&gate);
    let job = eal.launch(1, move || there.wait().is_leader()).unwrap();
    assert!(matches!(eal.launch(1, || ()), Err(Error::LcoreBusy { lcore: 1 })));
    let job = job.try_join().unwrap_err();
    gate.wait();
    job.join().unwrap();

    for lcore in [0, 3, 127, 128, u32::MAX] {
        let error = eal.launch(lcore, || ()).unwrap_err();
        assert!(error.to_string().contains(&format!("no worker lcore {lcore}")), "{error}");
        assert!(error.to_string().contains("[1, 2]"), "{error}");
    }
}

fn a_running_job_keeps_dpdk_up(eal: &Eal) {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let job = eal.launch(2, move || {
        let mut backoff = Backoff::new();
        while !seen.load(Ordering::Relaxed) {
            backoff.idle();
        }
    });
    drop(job.unwrap());
    assert!(matches!(eal.launch(2, || ()), Err(Error::LcoreBusy { .. })), "it was detached");
    stop.store(true, Ordering::Relaxed);
    while matches!(eal.launch(2, || ()).map(|job| job.join()), Err(Error::LcoreBusy { .. })) {
        std::thread::yield_now();
    }
}

fn two_cores_poll_a_queue_each(eal: &Eal) {
    let pool = pool(eal, "two_cores");
    let mut port = Port::probe(eal, "net_null0").unwrap();
    let config = PortConfig { rx_queues: 2, tx_queues: 2, ..PortConfig::default() };
    let Started { rx, tx, .. } = port.start(&config, &pool).unwrap();
    let jobs: Vec<_> = rx
        .into_iter()
        .zip(tx)
        .zip(1..)
        .map(|((mut rx, mut tx), lcore)| {
            let job = move || {
                let mut frames = Vec::with_capacity(32);
                let mut sent = 0;
                while sent < 3200 {
                    rx.receive(&mut frames, 32);
                    sent += tx.transmit(&mut frames);
                }
                sent
            };
            eal.launch(lcore, job).unwrap()
        })
        .collect();
    let sent: Vec<usize> = jobs.into_iter().map(|job| job.join().unwrap()).collect();
    assert_eq!(sent, [3200, 3200]);
    assert_eq!(port.stats().unwrap().tx_packets, 6400);
    port.stop().unwrap();
    assert_eq!(pool.in_use(), 0);
}

fn the_counter_counts(eal: &Eal) {
    assert!(eal.tsc_hz() > 1_000_000, "{}", eal.tsc_hz());
    let before = rdtsc();
    assert!((0..1000).map(|_| rdtsc()).is_sorted_by(|a, b| a <= b));
    assert!(rdtsc() > before);
}
