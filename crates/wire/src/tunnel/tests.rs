use super::*;

const TCP_80: [u8; 4] = [0x0f, 0xa0, 0, 80];

fn v4(protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(body);
    packet
}

fn v6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0x20; 16]);
    packet.extend([0x30; 16]);
    packet.extend(body);
    packet
}

fn ether(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[2; 12][..], &kind.to_be_bytes(), body].concat()
}

fn udp(port: u16, body: &[u8]) -> Vec<u8> {
    let len = (8 + body.len() as u16).to_be_bytes();
    [&[0xc0, 1], &port.to_be_bytes()[..], &len, &[0, 0], body].concat()
}

fn tcp() -> Vec<u8> {
    [&TCP_80[..], &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 1, 0, 0, 0, 0], b"hello"].concat()
}

fn walk(frame: &[u8]) -> Walk<'_> {
    match Layers::ethernet(frame) {
        Ok(layers) => Walk::into_packet(frame, &layers),
        Err(_) => Walk::into_frame(frame, 12),
    }
}

/// What is told, packets by what they carry. Cut short anywhere and with any bit turned the walk
/// ends as well, and tells no more packets than it follows.
#[track_caller]
fn told(frame: &[u8]) -> Vec<Option<Carries>> {
    let ends = |frame: &[u8]| assert!(walk(frame).count() <= LEVELS_MAX + 1);
    for len in 0..frame.len() {
        ends(&frame[..len]);
    }
    for at in 0..frame.len() {
        for bit in 0..8 {
            let mut broken = frame.to_vec();
            broken[at] ^= 1 << bit;
            ends(&broken);
        }
    }
    let carried = walk(frame).map(|inner| match inner {
        Inner::Packet { carries, .. } => Some(carries),
        Inner::Unread => None,
    });
    carried.collect()
}

const SEGMENT: Option<Carries> =
    Some(Carries::Segment { protocol: number::TCP, source_port: 4_000, destination_port: 80 });

#[test]
fn every_kind_of_tunnel_is_walked_into() {
    let inner = v4(number::TCP, 0x4000, &tcp());
    let inner6 = v6(number::TCP, &tcp());
    let bridged = ether(0x0800, &inner);
    let tagged = ether(0x8100, &[&[0, 9, 8, 0][..], &inner].concat());
    let in_v4 = |protocol, body: &[&[u8]]| ether(0x0800, &v4(protocol, 0, &body.concat()));
    let in_v6 = |next, body: &[&[u8]]| ether(0x86dd, &v6(next, &body.concat()));
    let in_udp = |port, body: &[&[u8]]| ether(0x0800, &v4(17, 0, &udp(port, &body.concat())));
    let vxlan: &[u8] = &[8, 0, 0, 0, 0, 0, 5, 0];
    for (name, frame) in [
        ("MPLS", ether(0x8847, &[&[0, 0x10, 1, 64][..], &inner].concat())),
        (
            "MPLS",
            ether(0x8847, &[&[0, 0x10, 0, 64, 0, 1, 0, 64, 0, 2, 1, 64][..], &inner6].concat()),
        ),
        (
            "MPLS behind tags",
            ether(0x88a8, &[&[0, 1, 0x88, 0x48, 0, 0, 1, 64][..], &inner].concat()),
        ),
        ("PPPoE", ether(0x8864, &[&[0x11, 0, 0, 1, 0, 0, 0, 0x21][..], &inner].concat())),
        ("PPPoE", ether(0x8864, &[&[0x11, 0, 0, 1, 0, 0, 0, 0x57][..], &inner6].concat())),
        ("IP in IP", in_v4(4, &[&inner])),
        ("6in4", in_v4(41, &[&inner6])),
        ("4in6", in_v6(4, &[&inner])),
        ("6in6 behind options", in_v6(60, &[&[41, 0, 4, 1, 4, 1, 1, 0], &inner6])),
        ("GRE", in_v4(47, &[&[0, 0, 8, 0], &inner])),
        ("GRE, all fields", in_v4(47, &[&[0xb0, 0, 0x86, 0xdd], &[7; 12], &inner6])),
        ("GRE bridging", in_v6(47, &[&[0x20, 0, 0x65, 0x58], &[7; 4], &bridged])),
        ("GRE with MPLS", in_v4(47, &[&[0, 0, 0x88, 0x47, 0, 0, 1, 1], &inner])),
        (
            "GRE of PPTP",
            in_v4(47, &[&[0x30, 0x81, 0x88, 0x0b], &[7; 12], &[0xff, 3, 0x21], &inner]),
        ),
        ("WCCP", in_v4(47, &[&[0, 0, 0x88, 0x3e], &inner])),
        ("WCCP, redirect header", in_v4(47, &[&[0, 0, 0x88, 0x3e, 1, 2, 3, 4], &inner])),
        ("EtherIP", in_v4(97, &[&[0x30, 0], &bridged])),
        ("MPLS in IP", in_v4(137, &[&[0, 0, 1, 1], &inner])),
        ("VXLAN", in_udp(4_789, &[vxlan, &bridged])),
        ("VXLAN of Linux, tagged inside", in_udp(8_472, &[vxlan, &tagged])),
        ("VXLAN-GPE", in_udp(4_790, &[&[0x0c, 0, 0, 1, 0, 0, 5, 0], &inner])),
        ("VXLAN-GPE with MPLS", in_udp(4_790, &[&[0x0c, 0, 0, 5, 0, 0, 5, 0, 0, 0, 1, 1], &inner])),
        ("VXLAN-GPE as VXLAN", in_udp(4_790, &[vxlan, &bridged])),
        ("GENEVE", in_udp(6_081, &[&[0, 0, 0x65, 0x58, 0, 0, 5, 0], &bridged])),
        ("GENEVE, options", in_udp(6_081, &[&[2, 0, 8, 0, 0, 0, 5, 0], &[7; 8], &inner])),
        ("GRE in UDP", in_udp(4_754, &[&[0, 0, 8, 0], &inner])),
        ("MPLS in UDP", in_udp(6_635, &[&[0, 0, 1, 1], &inner])),
    ] {
        assert_eq!(told(&frame), [SEGMENT], "{name}");
    }
}

#[test]
fn addresses_and_ports_are_those_inside() {
    let inner = v6(number::UDP, &udp(53, b"?"));
    let frame = ether(0x0800, &v4(41, 0, &inner));
    let carries =
        Carries::Segment { protocol: number::UDP, source_port: 0xc001, destination_port: 53 };
    let wanted = Inner::Packet { source: [0x20; 16], destination: [0x30; 16], carries };
    assert_eq!(walk(&frame).collect::<Vec<_>>(), [wanted]);
    let frame = ether(0x86dd, &v6(4, &v4(number::ICMP, 0, &[8, 0, 0, 0])));
    let inner = walk(&frame).next();
    let Some(Inner::Packet { source, carries: Carries::Other, .. }) = inner else {
        panic!("{inner:?}")
    };
    assert_eq!(source, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]);
}

#[test]
fn tunnels_in_tunnels_are_followed_so_far() {
    for levels in 1..=8 {
        let mut packet = v4(number::TCP, 0, &tcp());
        for _ in 1..levels {
            packet = v4(number::IPV4, 0, &packet);
        }
        let mut wanted = vec![Some(Carries::Other); levels.min(LEVELS_MAX + 1)];
        *wanted.last_mut().unwrap() = if levels <= LEVELS_MAX { SEGMENT } else { None };
        assert_eq!(told(&ether(0x0800, &v4(number::IPV4, 0, &packet))), wanted, "{levels}");
    }
    // Labels without end, and more extension headers than are followed.
    let labels = [0, 0, 0, 1].repeat(300);
    assert_eq!(told(&ether(0x8847, &labels)), [None]);
    let options = [60, 0, 1, 4, 0, 0, 0, 0].repeat(9);
    assert_eq!(told(&ether(0x0800, &v4(41, 0, &v6(60, &options)))), [None]);
}

#[test]
fn fragments_inside_have_no_ports() {
    let first = v4(number::TCP, 0x2000, &tcp()[..8]);
    let later = v4(number::TCP, 0x0003, b"whatever");
    let portless = Some(Carries::Portless { protocol: number::TCP });
    for inner in [first, later] {
        assert_eq!(told(&ether(0x0800, &v4(4, 0, &inner))), [portless]);
    }
    let fragment6 = |flags: u8, body: &[u8]| {
        v6(number::FRAGMENT, &[&[number::TCP, 0, 0, flags, 0, 0, 0, 1], body].concat())
    };
    for flags in [1, 8] {
        assert_eq!(told(&ether(0x0800, &v4(41, 0, &fragment6(flags, b"12345678")))), [portless]);
    }
    // RFC 6946: an atomic fragment is whole.
    assert_eq!(told(&ether(0x0800, &v4(41, 0, &fragment6(0, &tcp())))), [SEGMENT]);
    // A fragment of a tunnel in a tunnel: what its first one shows is told, and that there is more.
    let deep = v4(number::TCP, 0, &tcp());
    let unknown = Some(Carries::Unknown);
    assert_eq!(told(&ether(0x0800, &v4(4, 0, &v4(4, 0x2000, &deep)))), [unknown, SEGMENT]);
    assert_eq!(told(&ether(0x0800, &v4(4, 0, &v4(4, 0x2000, &deep[..16])))), [unknown, None]);
    assert_eq!(told(&ether(0x0800, &v4(4, 0, &v4(4, 0x0003, &deep)))), [unknown]);
}

#[test]
fn a_first_fragment_outside_says_what_it_hides() {
    let inner = v4(number::TCP, 0, &tcp());
    let bridged = ether(0x0800, &inner);
    let vxlan = udp(4_789, &[&[8, 0, 0, 0, 0, 0, 5, 0][..], &bridged].concat());
    let portless = Some(Carries::Portless { protocol: number::TCP });
    for (shown, wanted) in [
        (8, None),
        (16, None),
        (40, None),
        (48, None),
        (8 + 8 + 14 + 20 + 2, portless),
        (8 + 8 + 14 + 20 + 4, SEGMENT),
        (vxlan.len(), SEGMENT),
    ] {
        let frame = ether(0x0800, &v4(17, 0x2000, &vxlan[..shown]));
        let layers = Layers::ethernet(&frame).unwrap();
        let told: Vec<Inner> = Walk::into_packet(&frame, &layers).collect();
        let carried = match told[..] {
            [Inner::Packet { carries, .. }] => Some(carries),
            [Inner::Unread] => None,
            _ => panic!("{told:?} of {shown} bytes"),
        };
        assert_eq!(carried, wanted, "{shown} bytes");
        let later = ether(0x0800, &v4(17, 0x0001, &vxlan[..shown]));
        assert_eq!(walk(&later).next(), None);
        // Not a fragment: a receiver sees no more than this.
        let whole = ether(0x0800, &v4(47, 0, &inner[..3]));
        assert_eq!(walk(&whole).next(), None);
    }
}

#[test]
fn headers_that_contradict_themselves_leave_the_addresses() {
    let unknown = [Some(Carries::Unknown)];
    let mut short = v4(number::TCP, 0, &tcp());
    short[0] = 0x44;
    assert_eq!(told(&ether(0x0800, &v4(4, 0, &short))), unknown);
    let mut claims_nothing = v4(number::TCP, 0, &tcp());
    claims_nothing[3] = 19;
    assert_eq!(told(&ether(0x0800, &v4(4, 0, &claims_nothing))), unknown);
    let options_missing = [&[0x4f][..], &v4(number::TCP, 0, &[])[1..]].concat();
    assert_eq!(told(&ether(0x0800, &v4(4, 0, &options_missing))), unknown);
    let routed = v6(number::ROUTING, &[&[number::TCP, 0, 4, 1, 0, 0, 0, 0][..], &tcp()].concat());
    assert_eq!(told(&ether(0x0800, &v4(41, 0, &routed))), unknown);
    let options_cut = v6(number::DESTINATION, &[number::TCP, 3, 0, 0, 0, 0, 0, 0]);
    assert_eq!(told(&ether(0x0800, &v4(41, 0, &options_cut))), unknown);
    // Claiming more than there is, it may still be whole at its receiver.
    let mut long = v4(number::TCP, 0, &tcp());
    long[2] = 9;
    assert_eq!(told(&ether(0x0800, &v4(4, 0, &long))), [SEGMENT]);
}

#[test]
fn what_is_no_tunnel_has_no_inside() {
    let inner = v4(number::TCP, 0, &tcp());
    for frame in [
        ether(0x0806, &inner),
        ether(0x8863, &inner),
        ether(0x0800, &inner),
        ether(0x0800, &v4(50, 0, &inner)),
        ether(0x0800, &v4(17, 0, &udp(53, &inner))),
        ether(0x0800, &v4(47, 0, &[&[0, 0, 8, 6][..], &inner].concat())),
        ether(0x0800, &v4(47, 0, &[&[0, 2, 8, 0][..], &inner].concat())),
        ether(0x0800, &v4(17, 0, &udp(4_789, &[&[0; 8], &ether(0x0800, &inner)[..]].concat()))),
        ether(
            0x0800,
            &v4(17, 0, &udp(6_081, &[&[0x40, 0, 8, 0, 0, 0, 0, 0], &inner[..]].concat())),
        ),
        ether(0x8847, &[&[0, 0, 1, 1, 0, 0, 0, 0][..], &inner].concat()),
    ] {
        assert_eq!(told(&frame), [], "{frame:02x?}");
    }
    let routed = [&[0x40, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &inner].concat();
    assert_eq!(
        told(&ether(0x0800, &v4(47, 0, &routed))),
        [None],
        "a routing field is not followed"
    );
}

#[test]
fn the_list_of_ports_is_the_one_that_is_read() {
    let read: Vec<u16> = (0..=u16::MAX).filter(|port| is_port(*port)).collect();
    assert_eq!(read, PORTS);
}
