//! Pools and packets.

use crate::{Test, allocations, pool};
use capsule::{
    ChecksumState, Eal, EalArgs, Error, HEADROOM_BYTES, Mbuf, Mempool, MempoolConfig, TxChecksum,
    TxNetwork, TxTransport,
};

pub(crate) const TESTS: &[Test] = &[
    ("memory::a_second_environment_is_refused", a_second_environment_is_refused),
    ("memory::what_is_taken_comes_back", what_is_taken_comes_back),
    ("memory::bulk_is_all_or_nothing", bulk_is_all_or_nothing),
    ("memory::bad_pools_are_refused_with_advice", bad_pools_are_refused_with_advice),
    ("memory::a_pool_outlives_its_handles", a_pool_outlives_its_handles),
    ("memory::a_packet_grows_and_shrinks_at_both_ends", a_packet_grows_and_shrinks_at_both_ends),
    ("memory::a_packet_keeps_its_bounds", a_packet_keeps_its_bounds),
    ("memory::no_old_packet_shows_through", no_old_packet_shows_through),
    ("memory::checksum_requests_keep_their_bounds", checksum_requests_keep_their_bounds),
    ("memory::packets_are_for_any_thread", packets_are_for_any_thread),
    ("memory::packets_cost_no_heap", packets_cost_no_heap),
];

fn a_second_environment_is_refused(_: &Eal) {
    let error = Eal::start(&EalArgs::default()).unwrap_err();
    assert!(matches!(error, Error::EalAlreadyStarted), "{error}");
    assert!(Eal::dpdk_version().starts_with("DPDK "), "{}", Eal::dpdk_version());
}

fn what_is_taken_comes_back(eal: &Eal) {
    let pool = pool(eal, "comes_back");
    assert_eq!((pool.in_use(), pool.available()), (0, 255));
    let frames: Vec<Mbuf> = core::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!((frames.len(), pool.in_use(), pool.available()), (255, 255, 0));
    assert!(pool.alloc().is_none());
    drop(frames);
    assert_eq!((pool.in_use(), pool.available()), (0, 255));
}

fn bulk_is_all_or_nothing(eal: &Eal) {
    let pool = pool(eal, "bulk");
    let mut frames = vec![pool.alloc_with(b"first").unwrap()];
    assert!(!pool.alloc_bulk(&mut frames, 255));
    assert_eq!((frames.len(), pool.in_use()), (1, 1));
    assert!(pool.alloc_bulk(&mut frames, 200));
    assert_eq!((frames.len(), pool.in_use()), (201, 201));
    assert_eq!(frames[0].bytes(), b"first");
    assert!(frames[1..].iter().all(Mbuf::is_empty));
    Mbuf::free_bulk(&mut frames);
    assert_eq!((frames.len(), pool.in_use()), (0, 0));
    Mbuf::free_bulk(&mut frames);
}

fn bad_pools_are_refused_with_advice(eal: &Eal) {
    let pool = pool(eal, "twice");
    let refused = |config: MempoolConfig| Mempool::new(eal, &config).unwrap_err().to_string();
    let name = || "twice".to_owned();
    let twice = refused(MempoolConfig { name: name(), mbufs: 255, cache: 0, ..Default::default() });
    assert!(twice.contains("names are unique"), "{twice}");
    let name = || "cache".to_owned();
    let cache = refused(MempoolConfig { name: name(), mbufs: 64, cache: 64, ..Default::default() });
    assert!(cache.contains("two thirds"), "{cache}");
    let name = "a_name_of_more_than_twenty_five_bytes".to_owned();
    assert!(refused(MempoolConfig { name, ..Default::default() }).contains("too long"));
    assert_eq!(pool.available(), 255);
}

fn a_pool_outlives_its_handles(eal: &Eal) {
    let pool = pool(eal, "outlives");
    let mut frame = pool.alloc_with(b"still here").unwrap();
    drop(pool);
    frame.bytes_mut()[0] = b'S';
    assert_eq!(frame.bytes(), b"Still here");
}

fn a_packet_grows_and_shrinks_at_both_ends(eal: &Eal) {
    let pool = pool(eal, "both_ends");
    let mut frame = pool.alloc().unwrap();
    assert_eq!(frame.headroom(), usize::try_from(HEADROOM_BYTES).unwrap());
    assert_eq!((frame.len(), frame.tailroom()), (0, 2048));
    assert!(frame.extend_from_slice(b"payload"));
    frame.append(1).unwrap()[0] = b'!';
    frame.prepend(4).unwrap().copy_from_slice(b"head");
    assert_eq!(frame.bytes(), b"headpayload!");
    assert_eq!((frame.headroom(), frame.tailroom()), (124, 2040));
    assert!(frame.adj(3));
    assert!(frame.trim(2));
    assert_eq!(frame.bytes(), b"dpayloa");
    assert_eq!((frame.headroom(), frame.tailroom()), (127, 2042));
    frame.truncate(100);
    assert_eq!(frame.len(), 7);
    frame.truncate(2);
    assert_eq!(frame.as_ref(), b"dp");
    frame.as_mut().copy_from_slice(b"ok");
    assert_eq!(frame.bytes(), b"ok");
}

fn a_packet_keeps_its_bounds(eal: &Eal) {
    let pool = pool(eal, "bounds");
    let mut frame = pool.alloc_with(b"abc").unwrap();
    for too_many in [2046, 65_533, 65_536, usize::MAX] {
        assert!(frame.append(too_many).is_none(), "append {too_many}");
        assert!(frame.prepend(too_many).is_none(), "prepend {too_many}");
        assert!(!frame.adj(too_many), "adj {too_many}");
        assert!(!frame.trim(too_many), "trim {too_many}");
        assert_eq!(frame.bytes(), b"abc");
    }
    assert!(!frame.extend_from_slice(&[0; 2046]));
    assert!(pool.alloc_with(&[0; 2049]).is_none());
    assert!(frame.append(2045).is_some() && frame.prepend(128).is_some());
    assert_eq!((frame.len(), frame.headroom(), frame.tailroom()), (2176, 0, 0));
    assert!(frame.prepend(1).is_none() && frame.append(1).is_none());
    assert!(frame.append(0).is_some() && frame.prepend(0).is_some());
    assert!(frame.adj(2176) && frame.is_empty());
    assert_eq!((frame.headroom(), frame.tailroom()), (2176, 0));
}

fn no_old_packet_shows_through(eal: &Eal) {
    let pool = pool(eal, "shows_through");
    for mut frame in core::iter::from_fn(|| pool.alloc()).collect::<Vec<_>>() {
        assert!(frame.prepend(128).is_some());
        assert!(frame.append(2048).is_some());
        frame.bytes_mut().fill(0xa5);
    }
    let mut frame = pool.alloc().unwrap();
    assert!(frame.append(100).unwrap().iter().all(|byte| *byte == 0));
    assert!(frame.prepend(100).unwrap().iter().all(|byte| *byte == 0));
}

fn checksum_requests_keep_their_bounds(eal: &Eal) {
    let pool = pool(eal, "requests");
    let mut frame = pool.alloc_with(&[0; 64]).unwrap();
    let request = TxChecksum {
        l2_bytes: 127,
        l3_bytes: 511,
        network: TxNetwork::Ipv4 { header_checksum: true },
        transport: Some(TxTransport::Tcp),
    };
    assert!(frame.request_checksum(request));
    assert!(frame.request_checksum(TxChecksum { network: TxNetwork::Ipv6, ..request }));
    assert!(!frame.request_checksum(TxChecksum { l2_bytes: 128, ..request }));
    assert!(!frame.request_checksum(TxChecksum { l3_bytes: 512, ..request }));
    frame.clear_requests();
    assert_eq!(frame.rx_ip_checksum(), ChecksumState::Unknown);
    assert_eq!(frame.rx_l4_checksum(), ChecksumState::Unknown);
    assert_eq!((frame.rss_hash(), frame.packet_type()), (None, 0));
}

fn packets_are_for_any_thread(eal: &Eal) {
    let pool = pool(eal, "any_thread");
    let frame = pool.alloc_with(b"from main").unwrap();
    let there = pool.clone();
    let back = std::thread::spawn(move || {
        assert_eq!(frame.bytes(), b"from main");
        drop(frame);
        there.alloc_with(b"from there").unwrap()
    });
    let back = back.join().unwrap();
    assert_eq!((back.bytes(), pool.in_use()), (&b"from there"[..], 1));
    drop(back);
    assert_eq!(pool.in_use(), 0);
}

fn packets_cost_no_heap(eal: &Eal) {
    let pool = pool(eal, "no_heap");
    let mut frames = Vec::with_capacity(64);
    let count = allocations::during(|| {
        assert!(pool.alloc_bulk(&mut frames, 63));
        frames.push(pool.alloc_with(b"one more").unwrap());
        for frame in &mut frames {
            assert!(frame.append(40).is_some());
        }
        frames.truncate(10);
        Mbuf::free_bulk(&mut frames);
    });
    assert_eq!(count, 0);
}
