//! net_tap against the kernel's own stack: wake-up, both directions, checksums by the driver.

use crate::pool;
use capsule::{
    Backoff, Eal, Mbuf, Mempool, Port, PortConfig, RxQueue, Started, TxChecksum, TxNetwork,
    TxTransport,
};
use std::{net::UdpSocket, process::Command, time::Duration};

const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ARP: [u8; 2] = [0x08, 0x06];
const UDP: u8 = 17;

/// `Err` is why there is no tap here.
pub(crate) fn a_socket_talks_through_a_tap(eal: &Eal) -> Result<(), String> {
    let pool = pool(eal, "tap");
    let mut port =
        Port::probe(eal, "net_tap0,iface=capsule0").map_err(|error| error.to_string())?;
    let error = port.start(&PortConfig::default(), &pool).unwrap_err().to_string();
    assert!(error.contains("must hold more packets"), "{error}");
    let config = PortConfig { rx_descriptors: 64, rx_interrupts: true, ..PortConfig::default() };
    let Started { mut rx, mut tx, applied } = port.start(&config, &pool).unwrap();
    assert!(applied.tx_checksum.udp && applied.tx_checksum.ipv4, "{applied:?}");
    for arguments in ["addr add 10.77.0.1/24 dev capsule0", "link set capsule0 up"] {
        let done = Command::new("ip").args(arguments.split(' ')).status();
        assert!(done.map_err(|error| format!("ip: {error}"))?.success(), "ip {arguments}");
    }
    let socket = UdpSocket::bind("10.77.0.1:5000").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send_to(b"to the wire", "10.77.0.2:7").unwrap();

    // The kernel asks for our address first, and sends what it has when it has got it.
    let arp = wait_for(&mut rx[0], |frame| frame[12..14] == ARP && frame[41] == 2);
    assert_eq!(tx[0].transmit(&mut vec![arp_reply(&pool, arp.bytes())]), 1);
    let datagram = wait_for(&mut rx[0], |frame| frame[23] == UDP);
    assert_eq!(&datagram.bytes()[42..], b"to the wire");

    // The answer has wrong checksums. The kernel takes it only if the driver puts them right.
    let mut answer = reply(&pool, datagram.bytes(), b"from the wire");
    let request = TxChecksum {
        l2_bytes: 14,
        l3_bytes: 20,
        network: TxNetwork::Ipv4 { header_checksum: true },
        transport: Some(TxTransport::Udp),
    };
    assert!(answer.request_checksum(request));
    assert_eq!(tx[0].transmit(&mut vec![answer]), 1);
    let mut room = [0; 64];
    let (len, from) = socket.recv_from(&mut room).unwrap();
    assert_eq!((&room[..len], from.to_string().as_str()), (&b"from the wire"[..], "10.77.0.2:7"));

    drop((arp, datagram, rx, tx, port));
    assert_eq!(pool.in_use(), 0);
    Ok(())
}

/// The next frame that is `wanted`. Sleeps on the port's descriptor: were it never woken, this
/// would still end, by the bound on polls.
fn wait_for(rx: &mut RxQueue, wanted: impl Fn(&[u8]) -> bool) -> Mbuf {
    let mut backoff = Backoff::new();
    let mut frames = Vec::with_capacity(32);
    for _ in 0..2000 {
        if rx.receive(&mut frames, 32) == 0 {
            let waker = rx.event_fd().unwrap();
            backoff.idle_on(&[waker], Duration::from_millis(100));
            continue;
        }
        if let Some(frame) =
            frames.drain(..).find(|frame| frame.len() >= 42 && wanted(frame.bytes()))
        {
            return frame;
        }
    }
    panic!("the kernel did not send what was expected");
}

fn arp_reply(pool: &Mempool, request: &[u8]) -> Mbuf {
    let mut reply = request[..42].to_vec();
    reply[..6].copy_from_slice(&request[6..12]);
    reply[6..12].copy_from_slice(&OUR_MAC);
    reply[21] = 2;
    reply[22..28].copy_from_slice(&OUR_MAC);
    reply[28..32].copy_from_slice(&request[38..42]);
    reply[32..42].copy_from_slice(&request[22..32]);
    pool.alloc_with(&reply).unwrap()
}

fn reply(pool: &Mempool, datagram: &[u8], payload: &[u8]) -> Mbuf {
    let mut frame = pool.alloc_with(&datagram[..42]).unwrap();
    assert!(frame.extend_from_slice(payload));
    let udp_len = u16::try_from(8 + payload.len()).unwrap();
    let bytes = frame.bytes_mut();
    bytes[..6].copy_from_slice(&datagram[6..12]);
    bytes[6..12].copy_from_slice(&datagram[..6]);
    bytes[16..18].copy_from_slice(&(20 + udp_len).to_be_bytes());
    bytes[24..26].copy_from_slice(&[0xde, 0xad]);
    bytes[26..30].copy_from_slice(&datagram[30..34]);
    bytes[30..34].copy_from_slice(&datagram[26..30]);
    bytes[34..36].copy_from_slice(&datagram[36..38]);
    bytes[36..38].copy_from_slice(&datagram[34..36]);
    bytes[38..40].copy_from_slice(&udp_len.to_be_bytes());
    bytes[40..42].copy_from_slice(&[0xde, 0xad]);
    frame
}
