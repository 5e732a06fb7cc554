//! Ports and their queues, on net_null and net_ring.

use crate::{Test, allocations, pool};
use capsule::{Eal, Error, Mbuf, Mempool, MempoolConfig, Port, PortConfig, Rss, Started};

pub(crate) const TESTS: &[Test] = &[
    ("ports::null_receives_and_sends", null_receives_and_sends),
    ("ports::a_burst_keeps_to_the_room_it_is_given", a_burst_keeps_to_the_room_it_is_given),
    ("ports::what_is_sent_arrives_in_order", what_is_sent_arrives_in_order),
    ("ports::refused_packets_stay_with_the_caller", refused_packets_stay_with_the_caller),
    ("ports::bursts_cost_no_heap", bursts_cost_no_heap),
    ("ports::a_port_has_one_owner", a_port_has_one_owner),
    ("ports::a_port_with_queues_is_left_running", a_port_with_queues_is_left_running),
    ("ports::a_port_can_be_plugged_in_again", a_port_can_be_plugged_in_again),
    ("ports::ports_of_the_command_line_can_be_opened", ports_of_the_command_line_can_be_opened),
    ("ports::unknown_devices_are_named", unknown_devices_are_named),
    ("ports::what_a_port_lacks_is_said", what_a_port_lacks_is_said),
    ("ports::rss_is_symmetric_where_there_is_rss", rss_is_symmetric_where_there_is_rss),
    ("ports::a_port_tells_about_itself", a_port_tells_about_itself),
];

fn start(eal: &Eal, device: &str, config: &PortConfig, pool: &Mempool) -> (Port, Started) {
    let mut port = Port::probe(eal, device).unwrap();
    let started = port.start(config, pool).unwrap();
    (port, started)
}

/// Packets that each hold their own number.
fn numbered(pool: &Mempool, numbers: core::ops::Range<u8>) -> Vec<Mbuf> {
    numbers.map(|number| pool.alloc_with(&[number; 60]).unwrap()).collect()
}

fn null_receives_and_sends(eal: &Eal) {
    let pool = pool(eal, "null");
    let (port, mut started) = start(eal, "net_null0,size=100", &PortConfig::default(), &pool);
    let mut frames = Vec::with_capacity(32);
    assert_eq!(started.rx[0].receive(&mut frames, 32), 32);
    assert_eq!(pool.in_use(), 32);
    assert!(frames.iter().all(|frame| frame.len() == 100 && frame.port() == port.index()));
    assert_eq!(started.tx[0].transmit(&mut frames), 32);
    assert!(frames.is_empty());
    assert_eq!(pool.in_use(), 0);

    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_packets, stats.tx_packets), (32, 32));
    let xstats = port.xstats().unwrap();
    let good = xstats.iter().find(|xstat| xstat.name == "rx_good_packets").unwrap();
    assert_eq!(good.value, 32);
    port.reset_stats().unwrap();
    assert_eq!(port.stats().unwrap().rx_packets, 0);
}

fn a_burst_keeps_to_the_room_it_is_given(eal: &Eal) {
    let pool = pool(eal, "room");
    let (_port, mut started) = start(eal, "net_null0", &PortConfig::default(), &pool);
    let rx = &mut started.rx[0];
    let mut none = Vec::new();
    assert_eq!(rx.receive(&mut none, 32), 0);
    assert_eq!(none.capacity(), 0);
    let mut frames = Vec::with_capacity(40);
    let room = frames.capacity();
    assert_eq!(rx.receive(&mut frames, 16), 16);
    assert_eq!(rx.receive(&mut frames, 0), 0);
    assert_eq!(rx.receive(&mut frames, usize::MAX), room - 16);
    assert_eq!((frames.len(), frames.capacity(), rx.receive(&mut frames, 1)), (room, room, 0));
}

fn what_is_sent_arrives_in_order(eal: &Eal) {
    let pool = pool(eal, "order");
    let (_port, mut started) = start(eal, "net_ring0", &PortConfig::default(), &pool);
    // More than one chunk of a driver, and not a multiple of one.
    let mut frames = numbered(&pool, 0..100);
    assert_eq!(started.tx[0].transmit(&mut frames), 100);
    assert!(frames.is_empty());
    frames.reserve(100);
    while started.rx[0].receive(&mut frames, 32) > 0 {}
    let got: Vec<u8> = frames.iter().map(|frame| frame.bytes()[59]).collect();
    assert_eq!(got, (0..100).collect::<Vec<u8>>());
    drop(frames);
    assert_eq!(pool.in_use(), 0);
}

fn refused_packets_stay_with_the_caller(eal: &Eal) {
    let config = MempoolConfig { name: "refused".into(), mbufs: 2047, ..Default::default() };
    let pool = Mempool::new(eal, &config).unwrap();
    let (_port, mut started) = start(eal, "net_ring0", &PortConfig::default(), &pool);
    let mut frames = Vec::new();
    assert!(pool.alloc_bulk(&mut frames, 2000));
    for (number, frame) in (0_u16..).zip(&mut frames) {
        assert!(frame.extend_from_slice(&number.to_be_bytes()));
    }
    let number = |frame: &Mbuf| u16::from_be_bytes(frame.bytes().try_into().unwrap());

    let sent = started.tx[0].transmit(&mut frames);
    assert!(sent > 0 && sent < 2000, "the driver's ring holds some and not all: {sent}");
    assert_eq!((frames.len(), pool.in_use()), (2000 - sent, 2000));
    assert_eq!(usize::from(number(&frames[0])), sent, "the refused ones are the last ones");
    assert_eq!(started.tx[0].transmit(&mut frames), 0);

    // Offered again once there is room, nothing is lost and nothing is out of order.
    let mut arrived = Vec::with_capacity(2000);
    while started.rx[0].receive(&mut arrived, 32) > 0 {
        started.tx[0].transmit(&mut frames);
    }
    let arrived_numbers: Vec<u16> = arrived.iter().map(number).collect();
    assert_eq!(arrived_numbers, (0..2000).collect::<Vec<u16>>());
    drop((arrived, frames));
    assert_eq!(pool.in_use(), 0);
}

fn bursts_cost_no_heap(eal: &Eal) {
    let pool = pool(eal, "bursts");
    let (_port, mut started) = start(eal, "net_ring0", &PortConfig::default(), &pool);
    let mut frames = numbered(&pool, 0..64);
    let count = allocations::during(|| {
        for _ in 0..10 {
            started.tx[0].transmit(&mut frames);
            while started.rx[0].receive(&mut frames, 32) > 0 {}
        }
    });
    assert_eq!((count, frames.len()), (0, 64));
}

fn a_port_has_one_owner(eal: &Eal) {
    let port = Port::probe(eal, "net_null0").unwrap();
    for second in [Port::probe(eal, "net_null0"), Port::open(eal, "net_null0")] {
        assert!(matches!(second, Err(Error::PortTaken { .. })));
    }
    let by_index = Port::by_index(eal, port.index());
    assert!(matches!(by_index, Err(Error::PortTaken { .. })));
}

fn a_port_with_queues_is_left_running(eal: &Eal) {
    let pool = pool(eal, "left_running");
    let (mut port, started) = start(eal, "net_null0", &PortConfig::default(), &pool);
    let Started { mut rx, tx, .. } = started;
    assert!(matches!(port.stop(), Err(Error::QueuesInUse { .. })));
    drop(tx);
    let again = port.start(&PortConfig::default(), &pool);
    assert!(matches!(again, Err(Error::QueuesInUse { .. })));
    let mut frames = Vec::with_capacity(4);
    assert_eq!(rx[0].receive(&mut frames, 4), 4);

    // With its queues back it stops, and starts with another configuration.
    drop(rx);
    port.stop().unwrap();
    port.stop().unwrap();
    let two = PortConfig { rx_queues: 2, tx_queues: 3, ..PortConfig::default() };
    let mut started = port.start(&two, &pool).unwrap();
    assert_eq!((started.rx.len(), started.tx.len()), (2, 3));
    assert_eq!(started.rx[1].receive(&mut frames, 0), 0);
    assert_eq!((started.rx[1].queue(), started.tx[2].queue()), (1, 2));

    // A queue keeps the device running when the port itself is gone.
    drop(port);
    frames.clear();
    assert_eq!(started.rx[1].receive(&mut frames, 4), 4);
}

fn a_port_can_be_plugged_in_again(eal: &Eal) {
    let pool = pool(eal, "again");
    for size in [64, 128, 256] {
        let device = format!("net_null1,size={size}");
        let (_port, mut started) = start(eal, &device, &PortConfig::default(), &pool);
        let mut frames = Vec::with_capacity(1);
        assert_eq!(started.rx[0].receive(&mut frames, 1), 1);
        assert_eq!(frames[0].len(), size);
    }
    assert_eq!(pool.in_use(), 0);
    assert!(matches!(Port::open(eal, "net_null1"), Err(Error::NoSuchDevice { .. })));
}

fn ports_of_the_command_line_can_be_opened(eal: &Eal) {
    let port = Port::open(eal, "net_null7").unwrap();
    let index = port.index();
    assert!(matches!(Port::by_index(eal, index), Err(Error::PortTaken { .. })));
    assert!(matches!(Port::by_index(eal, 31), Err(Error::NoSuchDevice { .. })));
    assert_eq!(port.name(), "net_null7");
}

fn unknown_devices_are_named(eal: &Eal) {
    for device in ["net_nonsense0", "0000:ff:1f.7", ""] {
        let error = Port::probe(eal, device).unwrap_err().to_string();
        assert!(error.contains(&format!("device {device:?} was not found")), "{error}");
        assert!(error.contains("net_tap0,iface=x"), "{error}");
    }
    assert!(matches!(Port::probe(eal, "net_\0"), Err(Error::BadString { .. })));
}

fn what_a_port_lacks_is_said(eal: &Eal) {
    let pool = pool(eal, "lacks");
    let mut port = Port::probe(eal, "net_null0").unwrap();
    let mut refused = |config: PortConfig| port.start(&config, &pool).unwrap_err().to_string();
    let queues = refused(PortConfig { rx_queues: 60_000, ..PortConfig::default() });
    assert!(queues.contains("rx_queues is 60000, but it has 1 to 1024"), "{queues}");
    let none = refused(PortConfig { tx_queues: 0, ..PortConfig::default() });
    assert!(none.contains("tx_queues is 0"), "{none}");
    let mtu = refused(PortConfig { mtu: Some(9000), ..PortConfig::default() });
    assert!(mtu.contains("data_room_bytes of 9150"), "{mtu}");
    assert!(port.start(&PortConfig::default(), &pool).is_ok(), "it can still be started");
}

fn rss_is_symmetric_where_there_is_rss(eal: &Eal) {
    let pool = pool(eal, "rss");
    let two = PortConfig { rx_queues: 2, ..PortConfig::default() };
    for (device, rss, symmetric) in [
        ("net_null0", Rss::SymmetricPorts, true),
        ("net_null0", Rss::SymmetricAddresses, true),
        ("net_null0", Rss::Off, false),
    ] {
        let (port, started) = start(eal, device, &PortConfig { rss, ..two.clone() }, &pool);
        assert_ne!(port.info().unwrap().rss_types, 0);
        assert_eq!(started.applied.symmetric_rss, symmetric, "{device} {rss:?}");
    }
    let (_port, started) = start(eal, "net_null0", &PortConfig::default(), &pool);
    assert!(!started.applied.symmetric_rss, "one queue needs none");
}

fn a_port_tells_about_itself(eal: &Eal) {
    let pool = pool(eal, "itself");
    let (port, started) = start(eal, "net_ring0", &PortConfig::default(), &pool);
    let info = port.info().unwrap();
    assert_eq!((info.name.as_str(), info.driver.as_str()), ("net_ring0", "net_ring"));
    assert_eq!((info.rx_queues_max, info.tx_queues_max, info.rss_types), (16, 16, 0));
    assert!(info.mtu_min < 1500 && info.mtu_max >= 1500);
    assert!(port.link().unwrap().up);
    assert_eq!(port.mac().unwrap().to_string().len(), 17);
    assert!(started.applied.promiscuous);
    assert_eq!(started.applied.mtu, 1500);
    assert_eq!(started.applied.tx_checksum, info.tx_checksum);
    assert!(started.rx[0].event_fd().is_none());
}
