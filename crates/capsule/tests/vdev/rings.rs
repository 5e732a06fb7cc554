//! Rings of packets.

use crate::{Test, allocations, pool};
use capsule::{Backoff, Eal, Mbuf, Mempool, MempoolConfig, mpsc, spsc};

pub(crate) const TESTS: &[Test] = &[
    ("rings::first_in_is_first_out", first_in_is_first_out),
    ("rings::what_does_not_fit_stays", what_does_not_fit_stays),
    ("rings::what_is_left_is_freed", what_is_left_is_freed),
    ("rings::rings_cost_no_heap", rings_cost_no_heap),
    ("rings::bad_rings_are_refused", bad_rings_are_refused),
    ("rings::cores_pass_packets_on", cores_pass_packets_on),
    ("rings::several_cores_feed_one", several_cores_feed_one),
];

fn numbered(pool: &Mempool, count: u8) -> Vec<Mbuf> {
    (0..count).map(|number| pool.alloc_with(&[number]).unwrap()).collect()
}

fn numbers(frames: &[Mbuf]) -> Vec<u8> {
    frames.iter().map(|frame| frame.bytes()[0]).collect()
}

fn first_in_is_first_out(eal: &Eal) {
    let pool = pool(eal, "fifo");
    let (mut producer, mut consumer) = spsc(eal, "fifo", 64).unwrap();
    let (producers, mut other_consumer) = mpsc(eal, "fifo_many", 64).unwrap();
    // Around the ring's end many times over.
    for _ in 0..50 {
        let mut frames = numbered(&pool, 30);
        assert_eq!(producer.enqueue(&mut frames), 30);
        frames.reserve(30);
        assert_eq!(consumer.dequeue(&mut frames, 11), 11);
        assert_eq!(consumer.dequeue(&mut frames, 100), 19);
        assert_eq!(consumer.dequeue(&mut frames, 100), 0);
        assert_eq!(producers.enqueue(&mut frames), 30);
        assert_eq!(other_consumer.dequeue(&mut frames, 30), 30);
        assert_eq!(numbers(&frames), (0..30).collect::<Vec<u8>>());
    }
    assert_eq!(pool.in_use(), 0);
}

fn what_does_not_fit_stays(eal: &Eal) {
    let pool = pool(eal, "fit");
    let (mut producer, mut consumer) = spsc(eal, "fit", 10).unwrap();
    let gauge = consumer.gauge();
    assert_eq!((gauge.len(), gauge.capacity()), (0, 10));
    let mut frames = numbered(&pool, 15);
    assert_eq!(producer.enqueue(&mut frames), 10);
    assert_eq!(numbers(&frames), [10, 11, 12, 13, 14]);
    assert_eq!(producer.enqueue(&mut frames), 0);
    assert_eq!((gauge.len(), consumer.is_empty()), (10, false));
    let mut out = Vec::with_capacity(3);
    assert_eq!(consumer.dequeue(&mut out, 100), 3);
    assert_eq!(consumer.dequeue(&mut out, 100), 0, "there is no room left to put them");
    assert_eq!((numbers(&out), out.capacity()), (vec![0, 1, 2], 3));
    assert_eq!(producer.enqueue(&mut frames), 3);
    assert_eq!((numbers(&frames), gauge.len()), (vec![13, 14], 10));
    drop((producer, consumer));
    assert!(gauge.is_empty(), "a gauge does not keep the ring");
}

fn what_is_left_is_freed(eal: &Eal) {
    let pool = pool(eal, "left");
    let (producers, consumer) = mpsc(eal, "left", 128).unwrap();
    let second = producers.clone();
    producers.enqueue(&mut numbered(&pool, 50));
    drop((producers, consumer));
    assert_eq!(pool.in_use(), 50);
    second.enqueue(&mut numbered(&pool, 50));
    drop(second);
    assert_eq!(pool.in_use(), 0);
}

fn rings_cost_no_heap(eal: &Eal) {
    let pool = pool(eal, "ring_heap");
    let (mut producer, mut consumer) = spsc(eal, "ring_heap", 64).unwrap();
    let mut frames = numbered(&pool, 32);
    let count = allocations::during(|| {
        for _ in 0..10 {
            producer.enqueue(&mut frames);
            consumer.dequeue(&mut frames, 32);
        }
    });
    assert_eq!((count, frames.len()), (0, 32));
}

fn bad_rings_are_refused(eal: &Eal) {
    let _ring = spsc(eal, "same", 8).unwrap();
    assert!(spsc(eal, "same", 8).unwrap_err().to_string().contains("ring \"same\" of 8"));
    for capacity in [0, 1 << 30, u32::MAX - 1, u32::MAX] {
        assert!(mpsc(eal, "odd", capacity).is_err(), "{capacity}");
    }
    assert!(mpsc(eal, "a_name_of_more_than_twenty_five_bytes", 8).is_err());
}

/// The pools are small: they run dry until the other core has freed some.
fn alloc_soon(pool: &Mempool, bytes: &[u8]) -> Mbuf {
    let mut backoff = Backoff::new();
    loop {
        if let Some(frame) = pool.alloc_with(bytes) {
            return frame;
        }
        backoff.idle();
    }
}

const FRAMES: u32 = 20_000;

fn cores_pass_packets_on(eal: &Eal) {
    let config = MempoolConfig { name: "pass_on".into(), mbufs: 511, ..Default::default() };
    let pool = Mempool::new(eal, &config).unwrap();
    let (mut producer, mut consumer) = spsc(eal, "pass_on", 64).unwrap();
    let from = pool.clone();
    let sender = eal.launch(1, move || {
        let mut backoff = Backoff::new();
        let mut frames = Vec::with_capacity(1);
        for number in 0..FRAMES {
            frames.push(alloc_soon(&from, &number.to_be_bytes()));
            while producer.enqueue(&mut frames) == 0 {
                backoff.idle();
            }
            backoff.busy();
        }
    });
    let receiver = eal.launch(2, move || {
        let mut backoff = Backoff::new();
        let mut frames = Vec::with_capacity(32);
        let mut next: u32 = 0;
        while next < FRAMES {
            if consumer.dequeue(&mut frames, 32) == 0 {
                backoff.idle();
                continue;
            }
            backoff.busy();
            for frame in frames.drain(..) {
                assert_eq!(frame.bytes(), next.to_be_bytes());
                next += 1;
            }
        }
        next
    });
    sender.unwrap().join().unwrap();
    assert_eq!(receiver.unwrap().join().unwrap(), FRAMES);
    assert_eq!(pool.in_use(), 0);
}

fn several_cores_feed_one(eal: &Eal) {
    let pool = pool(eal, "feed");
    let (producers, mut consumer) = mpsc(eal, "feed", 64).unwrap();
    let feed = |lcore: u32| {
        let (producers, pool) = (producers.clone(), pool.clone());
        let job = move || {
            let mut backoff = Backoff::new();
            let mut frames = Vec::new();
            for number in 0..1000_u32 {
                let mark = [lcore.to_be_bytes(), number.to_be_bytes()].concat();
                frames.push(alloc_soon(&pool, &mark));
                while producers.enqueue(&mut frames) == 0 {
                    backoff.idle();
                }
            }
        };
        eal.launch(lcore, job).unwrap()
    };
    let feeders = [feed(1), feed(2)];
    let mut backoff = Backoff::new();
    let mut frames = Vec::with_capacity(32);
    let mut next = [0_u32; 3];
    while next != [0, 1000, 1000] {
        if consumer.dequeue(&mut frames, 32) == 0 {
            backoff.idle();
        }
        for frame in frames.drain(..) {
            let (lcore, number) = frame.bytes().split_first_chunk::<4>().unwrap();
            let of_core = &mut next[usize::try_from(u32::from_be_bytes(*lcore)).unwrap()];
            assert_eq!(number, of_core.to_be_bytes(), "each core's packets stay in order");
            *of_core += 1;
        }
    }
    for feeder in feeders {
        feeder.join().unwrap();
    }
    assert_eq!(pool.in_use(), 0);
}
