use super::*;

fn v4_frame(link: &[u8], options: usize, fragment: u16, protocol: u8, l4: &[u8]) -> Vec<u8> {
    let header = 20 + options;
    let mut frame = link.to_vec();
    let total = (header + l4.len()) as u16;
    frame.extend([0x40 | (header / 4) as u8, 0]);
    frame.extend(total.to_be_bytes());
    frame.extend([0x12, 0x34]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(vec![1; options]);
    frame.extend(l4);
    frame
}

fn v6_frame(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = ether(&[0x86, 0xdd]);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([next, 64]);
    frame.extend([0x20; 16]);
    frame.extend([0x30; 16]);
    frame.extend(payload);
    frame
}

fn ether(kind: &[u8]) -> Vec<u8> {
    [&[2; 12], kind].concat()
}

fn tcp(options: usize, payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0, 80, 1, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    segment.extend([(((20 + options) / 4) << 4) as u8, 0x10, 1, 1, 0, 0, 0, 0]);
    segment.extend(vec![1; options]);
    segment.extend(payload);
    segment
}

fn udp(claimed: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0, 53, 1, 2];
    datagram.extend(claimed.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// Every frame is parsed whole, at every truncation, and with every byte broken: offsets must stay
/// ordered and inside.
#[track_caller]
fn parsed(frame: &[u8]) -> Layers {
    let short_cut_is_right = |frame: &[u8]| {
        assert_eq!(Layers::ethernet(frame), Layers::from_ether_type(frame, 12));
    };
    let sound = |frame: &[u8], layers: &Layers| {
        assert!(layers.ip <= layers.l4 && layers.l4 <= layers.payload);
        assert!(layers.payload <= layers.payload_end && layers.payload_end <= layers.ip_end);
        assert!(layers.ip_end <= frame.len());
    };
    for len in 0..frame.len() {
        short_cut_is_right(&frame[..len]);
        if let Ok(layers) = Layers::ethernet(&frame[..len]) {
            sound(&frame[..len], &layers);
        }
    }
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut broken = frame.to_vec();
            broken[at] ^= 1 << bit;
            short_cut_is_right(&broken);
            if let Ok(layers) = Layers::ethernet(&broken) {
                sound(&broken, &layers);
                layers.addresses(&broken).unwrap();
            }
        }
    }
    short_cut_is_right(frame);
    let layers = Layers::ethernet(frame).unwrap();
    sound(frame, &layers);
    layers
}

#[test]
fn plain_tcp_with_options_and_padding() {
    let mut frame = v4_frame(&ether(&[8, 0]), 8, 0x4000, 6, &tcp(12, b"hello"));
    frame.extend([0; 6]);
    let layers = parsed(&frame);
    assert_eq!((layers.ip, layers.l4, layers.payload), (14, 42, 74));
    assert_eq!(layers.payload_of(&frame), b"hello");
    assert_eq!(layers.ip_end + 6, frame.len());
    assert_eq!(layers.transport, Transport::Tcp);
    assert_eq!(layers.fragment, None);
    assert_eq!(layers.ports(&frame), Some((80, 258)));
    let (source, destination) = layers.addresses(&frame).unwrap();
    assert_eq!(source, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]);
    assert_eq!(destination[15], 2);
}

#[test]
fn tags_up_to_four() {
    for count in 0..=5_u8 {
        let mut link = vec![2; 12];
        for tag in 0..count {
            link.extend(if tag == 0 { [0x88, 0xa8] } else { [0x81, 0] });
            link.extend([0x20, tag]);
        }
        link.extend([8, 0]);
        let frame = v4_frame(&link, 0, 0, 17, &udp(12, b"abcd"));
        if count > 4 {
            assert_eq!(Layers::ethernet(&frame), Err(NotParsed::TooManyHeaders));
            continue;
        }
        let layers = parsed(&frame);
        assert_eq!(layers.tag_count, count);
        assert_eq!(layers.ip, 14 + 4 * usize::from(count));
        assert_eq!(layers.payload_of(&frame), b"abcd");
        for tag in 0..count {
            assert_eq!(layers.tags[usize::from(tag)], 0x2000 | u16::from(tag));
        }
    }
}

#[test]
fn udp_may_claim_less_than_ip_brings_but_not_more() {
    let layers = |claimed| {
        let frame = v4_frame(&ether(&[8, 0]), 0, 0, 17, &udp(claimed, b"abcd"));
        let layers = parsed(&frame);
        (layers.transport, layers.payload_len())
    };
    assert_eq!(layers(12), (Transport::Udp, 4));
    assert_eq!(layers(10), (Transport::Udp, 2));
    assert_eq!(layers(7).0, Transport::Malformed);
    assert_eq!(layers(13).0, Transport::Malformed);
}

#[test]
fn fragments_of_ipv4() {
    let first = v4_frame(&ether(&[8, 0]), 0, 0x2000, 17, &udp(2000, &[7; 16]));
    let layers = parsed(&first);
    assert_eq!(layers.transport, Transport::Udp);
    assert_eq!(layers.payload_len(), 16);
    let fragment = layers.fragment.unwrap();
    assert!(fragment.more && fragment.offset_bytes == 0 && fragment.id == 0x1234);

    let last = v4_frame(&ether(&[8, 0]), 0, 3, 17, &[7; 9]);
    let layers = parsed(&last);
    assert_eq!(layers.transport, Transport::LaterFragment);
    let fragment = layers.fragment.unwrap();
    assert!(!fragment.more && fragment.offset_bytes == 24);
}

#[test]
fn extension_headers_of_ipv6() {
    let hop = [60, 0, 1, 4, 0, 0, 0, 0];
    let destination = [44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let fragment = [17, 0, 0, 1, 0, 0, 0, 9];
    let datagram = udp(900, &[7; 8]);
    let frame = v6_frame(0, &[&hop[..], &destination, &fragment, &datagram].concat());
    let layers = parsed(&frame);
    assert_eq!(layers.l4, 14 + 40 + 8 + 16 + 8);
    assert_eq!(layers.transport, Transport::Udp);
    let found = layers.fragment.unwrap();
    assert_eq!((found.offset_bytes, found.more, found.id), (0, true, 9));
    assert_eq!(frame[found.named_at], 44);
    assert_eq!(found.header_at, 14 + 40 + 24);

    let routing_done = [6, 0, 2, 0, 0, 0, 0, 0];
    let frame = v6_frame(43, &[&routing_done[..], &tcp(0, b"x")].concat());
    assert_eq!(parsed(&frame).transport, Transport::Tcp);
    let routing = [6, 0, 2, 1, 0, 0, 0, 0];
    let frame = v6_frame(43, &[&routing[..], &tcp(0, b"x")].concat());
    assert_eq!(Layers::ethernet(&frame), Err(NotParsed::SourceRouted));
    let hop_late = [0, 0, 1, 4, 0, 0, 0, 0];
    let frame = v6_frame(60, &[&hop_late[..], &hop, &tcp(0, b"x")].concat());
    assert_eq!(Layers::ethernet(&frame), Err(NotParsed::BadHeader));
    let again = [60, 0, 1, 4, 0, 0, 0, 0];
    let frame = v6_frame(60, &again.repeat(12));
    assert_eq!(Layers::ethernet(&frame), Err(NotParsed::TooManyHeaders));
}

#[test]
fn what_is_not_understood_is_named() {
    assert_eq!(Layers::ethernet(&ether(&[8, 6])), Err(NotParsed::NotIp));
    assert_eq!(Layers::ethernet(&[0; 5]), Err(NotParsed::Truncated));
    let mut frame = v4_frame(&ether(&[8, 0]), 0, 0, 6, &tcp(0, b"x"));
    frame[14] = 0x44;
    assert_eq!(Layers::ethernet(&frame), Err(NotParsed::BadHeader));
    frame[14] = 0x65;
    assert!(Layers::ethernet(&frame).is_err());
    let mut short = v4_frame(&ether(&[8, 0]), 0, 0, 6, &tcp(0, b"x"));
    short.pop();
    assert_eq!(Layers::ethernet(&short), Err(NotParsed::Truncated));
}

#[test]
fn other_links() {
    let raw = v4_frame(&[], 0, 0, 6, &tcp(0, b"x"));
    assert_eq!(Layers::ip(&raw, 0).unwrap().payload, 40);
    let cooked = v4_frame(&[&[0; 14][..], &[8, 0]].concat(), 0, 0, 6, &tcp(0, b"x"));
    assert_eq!(Layers::cooked(&cooked).unwrap().payload, 56);
    let cooked2 = v4_frame(&[&[8, 0][..], &[0; 18]].concat(), 0, 0, 6, &tcp(0, b"x"));
    assert_eq!(Layers::cooked2(&cooked2).unwrap().payload, 60);
}
