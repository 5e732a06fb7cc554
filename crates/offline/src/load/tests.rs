use std::collections::HashSet;

use wire::{Layers, Tcp, TcpFlags, Transport, checksum};

use super::*;

/// The first `count` frames.
fn frames(load: &mut Load, count: usize) -> Vec<(ConnectionSide, Vec<u8>)> {
    (0..count)
        .map(|_| {
            let packet = load.next_packet();
            let mut bytes = vec![0xee; packet.frame_bytes()];
            packet.write(&mut bytes);
            (packet.side(), bytes)
        })
        .collect()
}

#[test]
fn every_frame_is_right_to_its_last_bit() {
    for &kind in TrafficKind::ALL {
        let mut load = Load::new(kind);
        for (at, (_, frame)) in frames(&mut load, 3_000).iter().enumerate() {
            let layers = Layers::ethernet(frame).unwrap();
            assert_ne!(layers.transport, Transport::Malformed, "{kind:?} {at}");
            assert_eq!(layers.ip_end, frame.len(), "{kind:?} {at}");
            assert!(checksum::ip_is_right(frame, &layers), "{kind:?} {at}");
            assert!(checksum::transport_is_right(frame, &layers), "{kind:?} {at}");
        }
    }
}

#[test]
fn sixty_four_bytes_are_sixty_four_bytes() {
    for kind in [TrafficKind::UdpOutOfScope, TrafficKind::UdpHalf] {
        let mut load = Load::new(kind);
        assert!(frames(&mut load, 10).iter().all(|(_, frame)| frame.len() == 64), "{kind:?}");
    }
}

#[test]
fn no_client_comes_twice() {
    let mut load = Load::new(TrafficKind::Dns);
    let mut seen = HashSet::new();
    for (_, frame) in frames(&mut load, 8_000).iter().step_by(8) {
        assert!(seen.insert(frame[26..36].to_vec()));
    }
}

#[test]
fn a_connection_is_one_unbroken_conversation() {
    for kind in [TrafficKind::HttpRequests, TrafficKind::HttpResponses] {
        let mut load = Load::new(kind);
        load.conversations.truncate(1);
        let lines = 3
            + load.script.body.len() * usize::try_from(script::HTTP_REQUESTS).unwrap()
            + load.script.ending.len();
        let played = frames(&mut load, 2 * lines);
        let (first, second) = played.split_at(lines);
        for (which, conversation) in [first, second].into_iter().enumerate() {
            let mut next = [None, None];
            for (side, frame) in conversation {
                let layers = Layers::ethernet(frame).unwrap();
                let tcp = Tcp::parse(&frame[layers.l4..]).unwrap();
                let side = usize::from(*side == ConnectionSide::Server);
                let flags = tcp.flags();
                if let Some(expected) = next[side] {
                    assert_eq!(tcp.seq().raw(), expected, "{kind:?} {which}");
                }
                if flags.has(TcpFlags::ACK) {
                    assert_eq!(Some(tcp.ack().raw()), next[1 - side], "{kind:?} {which}");
                }
                let moved = u32::try_from(layers.payload_len()).unwrap()
                    + u32::from(flags.has_any(TcpFlags::SYN.with(TcpFlags::FIN)));
                next[side] = Some(tcp.seq().raw().wrapping_add(moved));
            }
        }
        assert_ne!(first[0].1[26..36], second[0].1[26..36], "another client");
    }
}

#[test]
fn requests_and_endings_are_spread_over_the_rounds() {
    for (kind, lines) in [(TrafficKind::HttpRequests, 2), (TrafficKind::HttpResponses, 18)] {
        let mut load = Load::new(kind);
        while load.is_opening() {
            // What may be on its way at a time never holds two frames of one conversation.
            let spacing = load.spacing().unwrap();
            let before: Vec<u32> = load.conversations.iter().map(|now| now.at).collect();
            frames(&mut load, (spacing / 2).max(1));
            let steps = load.conversations.iter().zip(before).map(|(now, was)| now.at - was);
            let skipped = u32::try_from(load.script.body.len()).unwrap();
            assert!(steps.into_iter().all(|step| step % skipped <= 1), "{kind:?}");
        }
        assert_eq!(load.script.body.len(), lines);
        let opened = u32::try_from(load.script.opening.len()).unwrap();
        assert!(load.conversations.iter().all(|now| now.at >= opened));
        let (mut requests, mut endings) = (Vec::new(), Vec::new());
        for _ in 0..600 {
            let round = frames(&mut load, HTTP_CONNECTIONS);
            let is = |frame: &[u8], wanted: TcpFlags| {
                let layers = Layers::ethernet(frame).unwrap();
                let tcp = Tcp::parse(&frame[layers.l4..]).unwrap();
                tcp.flags().has(wanted) && layers.payload_len() < 500
            };
            let long = |frame: &[u8]| frame.windows(4).any(|word| word == b"GET ");
            requests.push(round.iter().filter(|(_, frame)| long(frame)).count());
            endings.push(round.iter().filter(|(_, frame)| is(frame, TcpFlags::FIN)).count());
        }
        let share = HTTP_CONNECTIONS / lines;
        let (least, most) = (requests.iter().min().unwrap(), requests.iter().max().unwrap());
        assert!(*least > share / 2 && *most < 2 * share, "{kind:?}: {least}..{most} of {share}");
        assert!(endings.iter().all(|&count| count < HTTP_CONNECTIONS / 40), "{kind:?}");
        assert!(endings.iter().any(|&count| count > 0), "{kind:?}");
    }
}

#[test]
fn in_random_order_each_connection_opens_in_step_and_comes_once_a_round() {
    let mut load = Load::new(TrafficKind::TcpAcksFew);
    let mut opening = 0;
    while load.is_opening() {
        frames(&mut load, 1);
        opening += 1;
    }
    assert_eq!(opening, 3 * FEW_CONNECTIONS);
    assert!(load.conversations.iter().all(|conversation| conversation.at == 3));
    for round in 1..4 {
        let played = frames(&mut load, FEW_CONNECTIONS);
        assert!(load.conversations.iter().all(|conversation| conversation.at == 3 + round));
        let in_turn = played.windows(2).filter(|pair| {
            let client = |at: usize| u32::from_be_bytes(pair[at].1[26..30].try_into().unwrap());
            client(1) == client(0) + 1
        });
        assert!(in_turn.count() < FEW_CONNECTIONS / 100, "as good as random");
    }
}

#[test]
fn a_request_has_the_size_it_says() {
    let request = template::request(500);
    assert_eq!(request.len(), 500);
    assert_eq!(request.windows(2).filter(|pair| pair == b"\r\n").count(), 12);
    assert_eq!(template::response(16 * 1024).len(), 16 * 1024);
}

#[test]
fn each_request_asks_for_another_page_and_each_client_has_a_cookie() {
    let mut load = Load::new(TrafficKind::HttpRequests);
    let words = |frame: &[u8], behind: &str| {
        let text = String::from_utf8_lossy(frame);
        Some(text.split_once(behind)?.1[..8].to_owned())
    };
    let (mut pages, mut cookies, mut agents) = (HashSet::new(), HashSet::new(), HashSet::new());
    let (mut requests, mut clients) = (0, HashSet::new());
    for (_, frame) in frames(&mut load, 20 * HTTP_CONNECTIONS) {
        let Some(page) = words(&frame, "&pages=") else { continue };
        requests += 1;
        clients.insert(frame[26..30].to_vec());
        pages.insert(page);
        cookies.insert(words(&frame, "session="));
        agents.insert(words(&frame, "Gecko/"));
    }
    assert!(requests > 5 * HTTP_CONNECTIONS, "{requests}");
    assert!(pages.len() + 2 > requests, "{} of {requests}", pages.len());
    assert_eq!((cookies.len(), agents.len()), (clients.len(), 32));
}
