//! Packets inside packets: what is in scope is dropped or counted, what is not goes on under its
//! old reason.

use std::path::Path;

use plan::{FailMode, GroupInfo, Mode, Plan, Transform};
use proto::Transport;
use wire::{Layers, checksum};

use super::lab::*;
use crate::limits::Tunnels;
use crate::memory::MemoryFrame;
use crate::{CoreConfig, Reason};

/// Of the packets inside; nothing outside has it.
const SERVER: [u8; 4] = [203, 0, 113, 80];

/// TCP port 80 of one server, or of every one.
fn web(mode: Mode, server: Option<[u8; 4]>) -> Plan {
    let mut web = module(mode, FailMode::Open, vec![Transform::Drop]);
    web.transport = Transport::Tcp;
    web.ports = Box::new([80]);
    let prefixes = server.map(|server| {
        let mut address = [0; 16];
        address[10..].copy_from_slice(&[&[0xff, 0xff], &server[..]].concat());
        (address, 128)
    });
    let group = GroupInfo { prefixes: prefixes.into_iter().collect(), ..GroupInfo::default() };
    Plan::new(vec![web], vec![], vec![group])
}

fn ether(kind: u16, body: &[u8]) -> Vec<u8> {
    [&MACS[..], &kind.to_be_bytes(), body].concat()
}

fn v4(source: [u8; 4], destination: [u8; 4], protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend([0, 7, 0, 0, 64, protocol, 0, 0]);
    packet.extend([source, destination].concat());
    packet.extend(body);
    let layers = Layers::ip(&packet, 0).unwrap();
    checksum::fill_ip(&mut packet, &layers);
    packet
}

/// A TCP segment to this port of the server.
fn segment(port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let tcp = [15, 160, high, low, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0];
    v4([10, 9, 9, 9], SERVER, 6, &[&tcp[..], b"GET / HTTP/1.1\r\n\r\n"].concat())
}

/// Between the ends of the tunnel.
fn outside(protocol: u8, body: &[u8]) -> Vec<u8> {
    ether(0x0800, &v4([10, 0, 0, 1], [10, 0, 0, 2], protocol, body))
}

fn udp(port: u16, body: &[u8]) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let [a, b] = (8 + body.len() as u16).to_be_bytes();
    outside(17, &[&[0xc0, 1, high, low, a, b, 0, 0][..], body].concat())
}

fn vxlan(inner: &[u8]) -> Vec<u8> {
    udp(4_789, &[&[8, 0, 0, 0, 0, 0, 5, 0][..], &ether(0x0800, inner)].concat())
}

/// Every way to carry a packet, and the reason it leaves with when nothing inside is in scope.
fn tunnels(inner: &[u8]) -> Vec<(Reason, Vec<u8>)> {
    let in_udp = |port, shim: &[u8]| udp(port, &[shim, inner].concat());
    vec![
        (Reason::NotIp, ether(0x8847, &[&[0, 0, 1, 64][..], inner].concat())),
        (Reason::NotIp, ether(0x8864, &[&[0x11, 0, 0, 1, 0, 0, 0, 0x21][..], inner].concat())),
        (Reason::NotTransport, outside(4, inner)),
        (Reason::NotTransport, outside(47, &[&[0, 0, 8, 0][..], inner].concat())),
        (Reason::NotTransport, outside(4, &v4([10, 0, 0, 3], [10, 0, 0, 4], 4, inner))),
        (Reason::NotInPlan, vxlan(inner)),
        (Reason::NotInPlan, in_udp(6_081, &[0, 0, 8, 0, 0, 0, 5, 0])),
        (Reason::NotInPlan, in_udp(6_635, &[0, 0, 1, 64])),
    ]
}

/// One frame on a new core: what became of it, and whether it came out as it went in.
fn fate(plan: Plan, tunnels: Tunnels, frame: &[u8]) -> (Reason, bool) {
    let mut config = CoreConfig::default();
    config.limits.tunnels = tunnels;
    let mut lab = Lab::with(plan, config);
    let (out, back) = lab.send(&[frame.to_vec()]);
    assert!(back.is_empty());
    let reason = Reason::ALL.iter().copied().find(|reason| lab.count(*reason) == 1);
    (reason.unwrap(), out == [frame])
}

#[test]
fn what_is_in_scope_inside_does_not_leave() {
    for server in [Some(SERVER), None] {
        for (_, frame) in tunnels(&segment(80)) {
            let dropped = (Reason::Tunnelled, false);
            let passed = (Reason::TunnelledPassed, true);
            assert_eq!(fate(web(Mode::Enforce, server), Tunnels::Drop, &frame), dropped);
            assert_eq!(fate(web(Mode::Enforce, server), Tunnels::Pass, &frame), passed);
            assert_eq!(fate(web(Mode::Observe, server), Tunnels::Drop, &frame), passed);
        }
    }
    // What the server says, to whoever set the tunnel up.
    let answer = v4(
        SERVER,
        [10, 9, 9, 9],
        6,
        &[0, 80, 15, 160, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0],
    );
    let dropped = (Reason::Tunnelled, false);
    assert_eq!(fate(web(Mode::Enforce, Some(SERVER)), Tunnels::Drop, &vxlan(&answer)), dropped);
}

#[test]
fn what_is_not_in_scope_inside_leaves_as_it_came() {
    let icmp = v4([10, 9, 9, 9], SERVER, 1, &[8, 0, 0, 0, 0, 1, 0, 1]);
    for inner in [segment(81), icmp] {
        for (old, frame) in tunnels(&inner) {
            assert_eq!(fate(web(Mode::Enforce, None), Tunnels::Drop, &frame), (old, true));
        }
    }
    let elsewhere = || web(Mode::Enforce, Some([203, 0, 113, 81]));
    for (old, frame) in tunnels(&segment(80)) {
        assert_eq!(fate(elsewhere(), Tunnels::Drop, &frame), (old, true));
        assert_eq!(fate(Plan::default(), Tunnels::Drop, &frame), (old, true));
    }
}

/// A module of the tunnel's own port does not make what is inside its protocol.
#[test]
fn a_module_of_the_port_itself_does_not_hide_what_is_inside() {
    let both = || {
        let keep = || vec![Transform::Truncate { to: 9_000 }];
        let [mut own, mut web] = [0, 1].map(|_| module(Mode::Enforce, FailMode::Open, keep()));
        own.ports = Box::new([4_789]);
        (web.transport, web.ports) = (Transport::Tcp, Box::new([80]));
        plan(vec![web, own])
    };
    assert_eq!(fate(both(), Tunnels::Drop, &vxlan(&segment(80))), (Reason::Tunnelled, false));
    assert_eq!(fate(both(), Tunnels::Drop, &vxlan(&segment(81))), (Reason::Unchanged, true));
}

#[test]
fn what_cannot_be_read_inside_is_judged_by_its_addresses() {
    let enforced = || web(Mode::Enforce, Some(SERVER));
    let dropped = (Reason::Tunnelled, false);
    let passed = (Reason::NotTransport, true);
    let elsewhere = |packet: &[u8]| {
        let mut packet = packet.to_vec();
        packet[19] ^= 1;
        packet
    };
    let mut fragment = segment(80);
    fragment[6] = 0x20;
    let mut headless = segment(80);
    headless[0] = 0x44;
    let portless = v4([10, 9, 9, 9], SERVER, 6, &[15, 160]);
    for inner in [fragment, headless, portless] {
        assert_eq!(fate(enforced(), Tunnels::Drop, &outside(4, &inner)), dropped);
        assert_eq!(fate(enforced(), Tunnels::Drop, &outside(4, &elsewhere(&inner))), passed);
    }
    // Deeper than is followed: nobody nests so deep but to hide.
    let mut deep = segment(81);
    for _ in 0..wire::tunnel::LEVELS_MAX {
        deep = v4([10, 0, 0, 3], [10, 0, 0, 4], 4, &deep);
    }
    assert_eq!(fate(enforced(), Tunnels::Drop, &outside(4, &deep)), dropped);
    assert_eq!(fate(Plan::default(), Tunnels::Drop, &outside(4, &deep)), passed);
}

#[test]
fn a_tunnel_in_fragments_is_told_by_its_first() {
    let lab = |server| Lab::new(web(Mode::Enforce, server));
    // The tunnel's ends are nobody's: the first fragment shows the addresses, or hides them; the
    // others are nothing without it.
    for frame in [
        vxlan(&segment(80)),
        outside(4, &segment(80)),
        outside(47, &[&[0, 0, 8, 0][..], &segment(80)].concat()),
    ] {
        for body_bytes in [8, 16, 32, 56] {
            let mut lab = lab(Some(SERVER));
            let pieces = fragment(&frame, body_bytes);
            let (out, _) = lab.send(&pieces);
            assert!(pieces.len() > 1 && out == pieces[1..], "{body_bytes}");
            assert_eq!(lab.count(Reason::Tunnelled), 1);
        }
    }
    let passes = fragment(&vxlan(&segment(81)), 56);
    assert_eq!(lab(Some(SERVER)).send(&passes).0, passes);
    // The ends are in scope themselves: put together and seen whole.
    for (port, left, reason) in [(80, 0, Reason::Tunnelled), (81, 3, Reason::NotTransport)] {
        let mut lab = lab(None);
        let pieces = fragment(&outside(4, &segment(port)), 24);
        assert_eq!(lab.send(&pieces).0, pieces[..left]);
        assert_eq!((pieces.len(), lab.count(reason)), (3, 1));
        assert_eq!(lab.core.counters().held_fragments.load(), 0);
    }
}

/// Every published case of a tunnel: nothing of it leaves, whatever its addresses and lengths.
#[test]
fn no_published_tunnel_gets_past() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wirepatch/tests/data/evasion");
    for case in ["H06", "H07", "H08", "H09", "H10", "H11", "H15", "H17"] {
        let mut frames = Vec::new();
        super::identity::frames_of(
            &std::fs::read(folder.join(case).with_extension("pcap")).unwrap(),
            &mut frames,
        );
        let mut lab = Lab::new(web(Mode::Enforce, None));
        assert_eq!(lab.send(&frames), (vec![], vec![]), "{case}");
        assert_eq!(lab.count(Reason::Tunnelled), 11, "{case}");
    }
}

#[test]
fn the_walk_allocates_nothing() {
    let mut lab = Lab::new(web(Mode::Enforce, Some(SERVER)));
    for (_, frame) in tunnels(&segment(80)).into_iter().chain(tunnels(&segment(81))) {
        lab.send(std::slice::from_ref(&frame));
        lab.nic.arrive(LEFT, MemoryFrame::of(&frame));
        let counted = allocation_counter::measure(|| {
            crate::turn(&mut lab.nic, &mut lab.core, 1);
        });
        assert_eq!(counted.count_total, 0);
    }
}
