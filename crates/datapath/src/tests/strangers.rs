//! Connections nobody saw begin, floods of half-open ones, and ICMP messages that quote segments.

use plan::{
    Condition, DirectionRules, FailMode, GroupNo, Hold, Mode, Module, PatchNo, Pattern, Plan, Rule,
    Transform,
};
use proto::{FieldId, Transport, Wanted};
use wire::{Layers, Tcp, checksum};

use super::lab::{LEFT, Lab, MACS, RIGHT, payload, plan};
use crate::config::CoreConfig;
use crate::events::Event;
use crate::journey::turn;
use crate::limits::Midstream;
use crate::reasons::Reason;

const PORT: u16 = 8_080;
const SYN: u8 = 2;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const RST_ACK: u8 = 0x14;

/// Every "TOKEN" is taken out, both ways.
fn without_tokens(fail: FailMode) -> Plan {
    let decoder = proto::by_name("data").unwrap();
    let pattern = Pattern::literals("TOKEN", &[b"TOKEN"], false).unwrap();
    let side = || {
        let mut wanted = Wanted::new(decoder.protocol());
        let at = decoder.protocol().fields.iter().position(|def| def.name == "data.data");
        let target = Some(wanted.want(FieldId(at.unwrap() as u16)));
        let transform = Transform::Replace { pattern: pattern.clone(), with: Box::new([]) };
        let rule = Rule { patch: PatchNo(0), target, when: Condition::Always, transform };
        DirectionRules::new(wanted, vec![rule], Hold::Streaming, vec![PatchNo(0)])
    };
    plan(vec![Module {
        group: GroupNo(0),
        decoder,
        transport: Transport::Tcp,
        ports: Box::new([PORT]),
        mode: Mode::Enforce,
        fail,
        directions: [side(), side()],
    }])
}

/// The user agent is cut, once the whole head is there.
fn whole_heads(mode: Mode, fail: FailMode) -> Plan {
    let decoder = proto::by_name("http").unwrap();
    let side = || {
        let mut wanted = Wanted::new(decoder.protocol());
        let at = decoder.protocol().fields.iter().position(|def| def.name == "http.user_agent");
        let target = Some(wanted.want(FieldId(at.unwrap() as u16)));
        wanted.want_whole();
        let transform = Transform::Truncate { to: 2 };
        let rule = Rule { patch: PatchNo(0), target, when: Condition::Always, transform };
        DirectionRules::new(wanted, vec![rule], Hold::UpTo(16_384), vec![PatchNo(0)])
    };
    plan(vec![Module {
        group: GroupNo(0),
        decoder,
        transport: Transport::Tcp,
        ports: Box::new([PORT]),
        mode,
        fail,
        directions: [side(), side()],
    }])
}

fn lab(fail: FailMode, change: impl Fn(&mut CoreConfig)) -> Lab {
    let mut config = CoreConfig::default();
    change(&mut config);
    Lab::with(without_tokens(fail), config)
}

/// From the client's port (`Ok`) to the server, or from the server to it (`Err`).
type TcpPorts = Result<u16, u16>;

/// The numbers of a segment.
struct SegmentNumbers {
    seq: u32,
    ack: u32,
}

fn at(seq: u32, ack: u32) -> SegmentNumbers {
    SegmentNumbers { seq, ack }
}

fn tcp4(ports: TcpPorts, numbers: SegmentNumbers, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    if ports.is_err() {
        frame.rotate_left(6);
    }
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend((40 + payload.len() as u16).to_be_bytes());
    frame.extend([0x12, 0x34, 0x40, 0, 57, 6, 0, 0]);
    let (source, destination, hosts) = match ports {
        Ok(client) => (client, PORT, [192, 0, 2, 1, 192, 0, 2, 2]),
        Err(client) => (PORT, client, [192, 0, 2, 2, 192, 0, 2, 1]),
    };
    frame.extend(hosts);
    frame.extend(source.to_be_bytes());
    frame.extend(destination.to_be_bytes());
    frame.extend(numbers.seq.to_be_bytes());
    frame.extend(numbers.ack.to_be_bytes());
    frame.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    let layers = Layers::ethernet(&frame).unwrap();
    checksum::fill_ip(&mut frame, &layers);
    checksum::fill_transport(&mut frame, &layers);
    frame
}

/// Numbers, flags and payload.
#[track_caller]
fn read(frame: &[u8]) -> (u32, u32, u8, Vec<u8>) {
    let layers = Layers::ethernet(frame).unwrap();
    let tcp = Tcp::parse(&frame[layers.l4..layers.ip_end]).unwrap();
    (tcp.seq().raw(), tcp.ack().raw(), frame[layers.l4 + 13], payload(frame))
}

impl Lab {
    /// What leaves on the other side, and what goes back.
    fn tcp(
        &mut self,
        ports: TcpPorts,
        numbers: SegmentNumbers,
        flags: u8,
        payload: &[u8],
    ) -> [SeenSegments; 2] {
        let from = if ports.is_ok() { LEFT } else { RIGHT };
        let (onward, back) = self.send_at(from, &[tcp4(ports, numbers, flags, payload)]);
        [onward, back].map(|frames| frames.iter().map(|frame| read(frame)).collect())
    }

    fn handshake(&mut self, client: u16) {
        self.tcp(Ok(client), at(99, 0), SYN, b"");
        self.tcp(Err(client), at(499, 100), SYN_ACK, b"");
        self.tcp(Ok(client), at(100, 500), ACK, b"");
    }
}

type SeenSegments = Vec<(u32, u32, u8, Vec<u8>)>;

#[test]
fn a_connection_that_was_there_before_passes_is_picked_up_or_is_reset() {
    let mut passes = lab(FailMode::Open, |_| {});
    let [onward, _] = passes.tcp(Ok(4_000), at(100, 500), ACK, b"aTOKENb");
    assert_eq!(onward, [(100, 500, ACK, b"aTOKENb".to_vec())]);
    assert_eq!(passes.count(Reason::TcpUntracked), 1);

    let mut picks = lab(FailMode::Open, |config| config.limits.midstream = Midstream::PickUp);
    let [onward, _] = picks.tcp(Ok(4_000), at(100, 500), ACK, b"aTOKENb");
    assert_eq!(onward, [(100, 500, ACK, b"ab".to_vec())]);
    assert_eq!(picks.events(Event::TcpPickedUp), 1);
    // The server has 102 of 107, and says something of its own.
    let [onward, _] = picks.tcp(Err(4_000), at(500, 102), ACK, b"TOKENc");
    assert_eq!(onward, [(500, 107, ACK, b"c".to_vec())]);
    let [onward, _] = picks.tcp(Ok(4_000), at(107, 501), ACK, b"d");
    assert_eq!(onward, [(102, 506, ACK, b"d".to_vec())]);
    assert_eq!(picks.events(Event::TcpPickedUp), 1);

    let mut resets = lab(FailMode::Open, |config| config.limits.midstream = Midstream::Reset);
    let [onward, back] = resets.tcp(Err(4_000), at(500, 102), ACK, b"four");
    assert_eq!(onward, [(500, 102, RST_ACK, vec![])]);
    assert_eq!(back, [(102, 504, RST_ACK, vec![])]);
    assert_eq!(resets.count(Reason::TcpMidstreamReset), 1);
    let [onward, back] = resets.tcp(Ok(4_000), at(102, 0), 4, b"");
    assert_eq!((onward.len(), back.len()), (1, 0), "a reset is not answered");
}

#[test]
fn a_flood_of_half_open_connections_takes_nothing_from_the_open_ones() {
    let mut lab = lab(FailMode::Open, |config| config.limits.flows_max = 64);
    for client in 1..=8 {
        lab.handshake(client);
    }
    for port in 1_000..3_000 {
        lab.tcp(Ok(port), at(7, 0), SYN, b"");
    }
    assert_eq!(lab.core.tcp.flows(), 64);
    assert_eq!(lab.count(Reason::FlowTableFull), 2_000 - 56);
    assert_eq!(lab.events(Event::FlowEvicted), 0, "a handshake may take a second");
    lab.now += 2_000;
    for port in 3_000..5_000 {
        lab.tcp(Ok(port), at(7, 0), SYN, b"");
    }
    assert_eq!(lab.events(Event::FlowEvicted), 56, "each half-open one made room once");
    lab.now += 2_000;
    // A new connection finds room, and the old ones are patched as ever.
    lab.handshake(9);
    for client in 1..=9 {
        let [onward, _] = lab.tcp(Ok(client), at(100, 500), ACK, b"aTOKENb");
        assert_eq!(onward, [(100, 500, ACK, b"ab".to_vec())], "client {client}");
    }
    assert_eq!(lab.core.tcp.flows(), 64);
}

#[test]
fn a_message_whose_rest_does_not_come_ends_the_connection_undecided_or_is_only_observed() {
    for (mode, fail) in [
        (Mode::Enforce, FailMode::Open),
        (Mode::Enforce, FailMode::Closed),
        (Mode::Observe, FailMode::Open),
    ] {
        let mut lab = Lab::new(whole_heads(mode, fail));
        lab.handshake(1);
        let half = b"GET / HTTP/1.1\r\nUser-Agent: AAAA";
        let [onward, back] = lab.tcp(Ok(1), at(100, 500), ACK, half);
        assert!(onward.iter().chain(&back).all(|(.., bytes)| bytes.is_empty()), "held");
        lab.now += u64::from(flow::limits::UNIT_HOLD_MS) + 1;
        let (onward, back) = lab.send(&[]);
        turn(&mut lab.nic, &mut lab.core, lab.now);
        let (later, later_back) = lab.send(&[]);
        let seen = |frames: [Vec<Vec<u8>>; 2]| -> Vec<_> {
            frames.concat().iter().map(|frame| read(frame)).collect::<Vec<_>>()
        };
        let (onward, back) = (seen([onward, later]), seen([back, later_back]));
        if mode == Mode::Enforce {
            assert_eq!(onward, [(100, 500, RST_ACK, vec![])]);
            assert_eq!(back, [(500, 100, RST_ACK, vec![])]);
            assert_eq!(lab.events(Event::TcpHoldReset), 1);
            let [.., slow] = lab.core.counters().undecided();
            assert_eq!(slow, 1);
        } else {
            assert_eq!(onward, [(100, 500, ACK | 8, half.to_vec())]);
            assert_eq!((back.len(), lab.events(Event::TcpHoldEnded)), (0, 1));
        }
    }
}

/// What leaves on the left and on the right within the next turns.
fn idle_turns(lab: &mut Lab) -> [SeenSegments; 2] {
    let mut seen = <[SeenSegments; 2]>::default();
    for _ in 0..16 {
        turn(&mut lab.nic, &mut lab.core, lab.now);
        let (right, left) = lab.send(&[]);
        for (seen, frames) in seen.iter_mut().zip([left, right]) {
            seen.extend(frames.iter().map(|frame| read(frame)));
        }
    }
    seen
}

#[test]
fn a_connection_that_is_silent_for_too_long_cannot_go_on_unpatched() {
    let mut lab = lab(FailMode::Open, |_| {});
    lab.handshake(1);
    let idle = u64::from(flow::limits::OPEN_IDLE_MS);
    lab.now += idle;
    assert_eq!(idle_turns(&mut lab), <[SeenSegments; 2]>::default());
    lab.now += 1;
    let [left, right] = idle_turns(&mut lab);
    assert_eq!(right, [(100, 500, RST_ACK, vec![])]);
    assert_eq!(left, [(500, 100, RST_ACK, vec![])]);
    // One of the ends missed it.
    let [onward, back] = lab.tcp(Err(1), at(500, 100), ACK, b"more");
    assert_eq!((onward, back), (vec![], vec![(100, 0, 4, vec![])]));
    assert_eq!((lab.events(Event::TcpIdleReset), lab.core.tcp.flows()), (1, 1));
    lab.now += u64::from(flow::limits::DEAD_IDLE_MS) + 1;
    assert_eq!(idle_turns(&mut lab), <[SeenSegments; 2]>::default());
    assert_eq!((lab.events(Event::TcpIdleReset), lab.core.tcp.flows()), (1, 0));

    let mut observing = Lab::new(whole_heads(Mode::Observe, FailMode::Open));
    observing.handshake(1);
    observing.now += idle + 1;
    assert_eq!(idle_turns(&mut observing), <[SeenSegments; 2]>::default());
    assert_eq!((observing.events(Event::TcpIdleReset), observing.core.tcp.flows()), (0, 0));
}

#[test]
fn a_reset_that_may_not_arrive_is_said_by_a_frame_of_our_own() {
    let reset = || tcp4(Ok(1), at(100, 500), 4, b"");
    let mut elsewhere = reset();
    elsewhere[5] ^= 0x10;
    let mut dying = reset();
    dying[22] = 1;
    let layers = Layers::ethernet(&dying).unwrap();
    checksum::fill_ip(&mut dying, &layers);
    // A record of the route: some hosts drop what carries one.
    let mut recorded = reset();
    recorded.splice(34..34, [7, 3, 4, 0]);
    (recorded[14], recorded[17]) = (0x46, 44);
    let layers = Layers::ethernet(&recorded).unwrap();
    checksum::fill_ip(&mut recorded, &layers);
    for (frame, reason) in [
        (reset(), Reason::Unchanged),
        (elsewhere, Reason::TcpMoved),
        (dying, Reason::TcpMoved),
        (recorded, Reason::TcpMoved),
    ] {
        let mut lab = lab(FailMode::Open, |_| {});
        lab.handshake(1);
        let before = lab.count(reason);
        let (onward, back) = lab.send_at(LEFT, std::slice::from_ref(&frame));
        assert_eq!((onward.len(), back.len(), lab.count(reason) - before), (1, 0, 1), "{frame:x?}");
        let out = &onward[0];
        assert_eq!(read(out), (100, if reason == Reason::Unchanged { 500 } else { 0 }, 4, vec![]));
        assert_eq!(out[..6], MACS[..6]);
        assert_eq!(out[14], 0x45);
        assert!(out[22] > 32, "its life is long enough");
        // Whatever its server says now is answered.
        let [onward, back] = lab.tcp(Err(1), at(500, 100), ACK, b"more");
        assert_eq!((onward, back), (vec![], vec![(100, 0, 4, vec![])]));
    }
}

#[test]
fn a_full_table_fails_closed_where_it_is_to() {
    let mut lab = lab(FailMode::Closed, |config| config.limits.flows_max = 1);
    lab.handshake(1);
    let [onward, back] = lab.tcp(Ok(2), at(99, 0), SYN, b"");
    assert_eq!((onward.len(), back.len()), (0, 0));
    assert_eq!(lab.count(Reason::FlowTableFullClosed), 1);
}

/// A router's message to the sender of `about`.
fn icmp4(kind: u8, about: &[u8], quoted: usize) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    frame.extend([0x08, 0x00, 0x45, 0xc0]);
    frame.extend((28 + quoted as u16).to_be_bytes());
    frame.extend([0, 1, 0, 0, 60, 1, 0, 0, 198, 51, 100, 7]);
    frame.extend(&about[26..30]);
    frame.extend([kind, 4, 0, 0, 0, 0, 0x05, 0]);
    frame.extend(&about[14..14 + quoted]);
    let layers = Layers::ethernet(&frame).unwrap();
    checksum::fill_ip(&mut frame, &layers);
    let sum = icmp_sum(&frame);
    frame[36..38].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn icmp_sum(frame: &[u8]) -> u16 {
    checksum::Sum::default().bytes(&frame[34..]).finish()
}

#[test]
fn an_icmp_error_quotes_what_its_receiver_sent() {
    let mut lab = lab(FailMode::Open, |_| {});
    lab.handshake(1);
    lab.tcp(Ok(1), at(100, 500), ACK, b"TOKENTOKEN");
    let sent = tcp4(Ok(1), at(110, 500), ACK, b"long");
    let (left, _) = lab.send_at(LEFT, &[sent]);
    assert_eq!(read(&left[0]).0, 100, "ten bytes before it were taken out");
    for quoted in [28, 44] {
        let told = icmp4(3, &left[0], quoted);
        let (onward, _) = lab.send_at(RIGHT, std::slice::from_ref(&told));
        let [message] = &onward[..] else { panic!("{onward:?}") };
        assert_eq!(message[66..70], 110_u32.to_be_bytes());
        assert_eq!(icmp_sum(message), 0, "checksum");
        assert_eq!(message[..36], told[..36]);
        assert_eq!(message[38..66], told[38..66]);
        assert_eq!(message[70..], told[70..]);
    }
    assert_eq!(lab.count(Reason::IcmpMoved), 2);
    // An echo, another connection, too little of a header: as they came.
    let stranger = tcp4(Ok(2), at(100, 500), ACK, b"");
    for other in [icmp4(8, &left[0], 28), icmp4(3, &stranger, 28), icmp4(3, &left[0], 24)] {
        let (onward, _) = lab.send_at(RIGHT, std::slice::from_ref(&other));
        assert_eq!(onward, [other]);
    }
    assert_eq!(lab.count(Reason::NotTransport), 3);
}
