//! A core on two memory ports, a protocol whose one field is its whole payload, and packets made by
//! hand.

use std::sync::Arc;

use plan::{
    Condition, DirectionRules, FailMode, GroupInfo, GroupNo, Mode, Module, PatchInfo, PatchNo,
    Plan, Publisher, Rule, Subscriber, Transform,
};
use proto::{
    Dissection, FieldDef, FieldId, Fields, Protocol, ProtocolDecoder, Span, Transport, View, Wanted,
};
use wire::{Layers, checksum};

use crate::active_plan::ActivePlan;
use crate::config::CoreConfig;
use crate::core::Core;
use crate::counters::CoreCounters;
use crate::events::Event;
use crate::journey::turn;
use crate::memory::{MemoryFrame, MemoryNic};
use crate::nic::PortNo;
use crate::reasons::Reason;

pub(super) const LEFT: PortNo = PortNo(0);
pub(super) const RIGHT: PortNo = PortNo(1);
pub(super) const SERVER_PORT: u16 = 9_999;

/// One field: the payload. A payload that begins with `!boom!` makes the decoder panic.
pub(super) struct WholePayload;

static WHOLE: Protocol = Protocol {
    name: "whole",
    title: "Whole payloads",
    ports: &[],
    fields: &[FieldDef { name: "whole.data", ..FieldDef::BYTES }],
    unit: "the payload",
    readings: "",
    refusals: &[],
};

impl ProtocolDecoder for WholePayload {
    const PROTOCOL: &'static Protocol = &WHOLE;

    type State = ();

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        assert!(!view.input.starts_with(b"!boom!"), "a decoder with a bug");
        if wanted.has(FieldId(0)) {
            out.bytes(0, Span::new(0, view.input.len()));
        }
        Dissection::Message
    }
}

pub(super) fn module(mode: Mode, fail: FailMode, transforms: Vec<Transform>) -> Module {
    let side = || {
        let mut wanted = Wanted::new(&WHOLE);
        let slot = wanted.want(FieldId(0));
        let rules = transforms.iter().enumerate().map(|(at, transform)| Rule {
            patch: PatchNo(at as u16),
            target: (!matches!(transform, Transform::Drop | Transform::Refuse(_))).then_some(slot),
            when: Condition::Always,
            transform: transform.clone(),
        });
        let rules = rules.collect();
        DirectionRules::new(wanted, rules, plan::Hold::Streaming, vec![PatchNo(0)])
    };
    Module {
        group: GroupNo(0),
        decoder: &WholePayload,
        transport: Transport::Udp,
        ports: Box::new([SERVER_PORT]),
        mode,
        fail,
        directions: [side(), side()],
    }
}

pub(super) fn plan(modules: Vec<Module>) -> Plan {
    let patches =
        (0..4).map(|n| PatchInfo { name: format!("p{n}").into(), ..PatchInfo::default() });
    Plan::new(modules, patches.collect(), vec![GroupInfo::default()])
}

pub(super) fn enforcing(transforms: Vec<Transform>) -> Plan {
    plan(vec![module(Mode::Enforce, FailMode::Open, transforms)])
}

pub(super) struct Lab {
    pub(super) nic: MemoryNic,
    pub(super) core: Core<MemoryFrame>,
    pub(super) publisher: Arc<Publisher<ActivePlan>>,
    pub(super) now: u64,
}

impl Lab {
    pub(super) fn new(plan: Plan) -> Self {
        Self::with(plan, CoreConfig::default())
    }

    pub(super) fn with(plan: Plan, config: CoreConfig) -> Self {
        let publisher = Arc::new(Publisher::new(ActivePlan::new(plan, 1)));
        let reader = Subscriber::new(Arc::clone(&publisher));
        let core = Core::new(config, reader, Arc::new(CoreCounters::default()));
        Self { nic: MemoryNic::new(2, 256), core, publisher, now: 0 }
    }

    /// Frames arrive at the left port; what leaves on the right, and what comes back.
    pub(super) fn send(&mut self, frames: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        self.send_at(LEFT, frames)
    }

    pub(super) fn send_at(
        &mut self,
        port: PortNo,
        frames: &[Vec<u8>],
    ) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        for frame in frames {
            self.nic.arrive(port, MemoryFrame::of(frame));
        }
        while !self.nic.is_idle() {
            turn(&mut self.nic, &mut self.core, self.now);
        }
        self.every_frame_has_its_reason();
        let mut sent = |port| self.nic.sent(port).map(MemoryFrame::into_bytes).collect::<Vec<_>>();
        if port == LEFT { (sent(RIGHT), sent(LEFT)) } else { (sent(LEFT), sent(RIGHT)) }
    }

    pub(super) fn count(&self, reason: Reason) -> u64 {
        self.core.counters().reason(reason)
    }

    pub(super) fn events(&self, event: Event) -> u64 {
        self.core.counters().event(event)
    }

    /// Every frame that came has one reason.
    #[track_caller]
    pub(super) fn every_frame_has_its_reason(&self) {
        let counters = self.core.counters();
        let came = |port| counters.port(port).unwrap().rx_packets.load();
        let reasons: u64 = Reason::ALL.iter().map(|&reason| counters.reason(reason)).sum();
        assert_eq!(reasons, came(LEFT) + came(RIGHT), "the sum of the reasons, and the frames");
    }
}

pub(super) const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

/// A UDP datagram over IPv4 in Ethernet from port 4,000, not padded.
pub(super) fn udp4(payload: &[u8]) -> Vec<u8> {
    udp4_tagged(&[], payload)
}

pub(super) fn udp4_tagged(tags: &[u16], payload: &[u8]) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    for tag in tags {
        frame.extend([0x81, 0x00]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend([0x08, 0x00, 0x45, 0x28]);
    frame.extend((28 + payload.len() as u16).to_be_bytes());
    frame.extend([0x12, 0x34, 0x40, 0, 57, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    finish_udp(frame, payload)
}

/// The same over IPv6, behind a destination options header.
pub(super) fn udp6(payload: &[u8]) -> Vec<u8> {
    let mut frame = MACS.to_vec();
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 7]);
    frame.extend((16 + payload.len() as u16).to_be_bytes());
    frame.extend([60, 57]);
    frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    frame.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    finish_udp(frame, payload)
}

fn finish_udp(mut frame: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    frame.extend(4_000_u16.to_be_bytes());
    frame.extend(SERVER_PORT.to_be_bytes());
    frame.extend((8 + payload.len() as u16).to_be_bytes());
    frame.extend([0xff, 0xff]);
    frame.extend(payload);
    let layers = Layers::ethernet(&frame).unwrap();
    checksum::fill_ip(&mut frame, &layers);
    checksum::fill_transport(&mut frame, &layers);
    frame
}

/// The payload of a frame that must be right in every length and checksum.
#[track_caller]
pub(super) fn payload(frame: &[u8]) -> Vec<u8> {
    let layers = Layers::ethernet(frame).expect("understood");
    assert!(checksum::ip_is_right(frame, &layers), "IP checksum");
    assert!(checksum::transport_is_right(frame, &layers), "UDP checksum");
    layers.payload_of(frame).to_vec()
}

/// Cuts an unfragmented Ethernet packet into fragments of at most `body_bytes` (a multiple of
/// eight) of IP payload.
pub(super) fn fragment(frame: &[u8], body_bytes: usize) -> Vec<Vec<u8>> {
    let layers = Layers::ethernet(frame).unwrap();
    let body = &frame[layers.l4..layers.ip_end];
    let mut pieces = Vec::new();
    for (at, chunk) in body.chunks(body_bytes).enumerate() {
        let offset = at * body_bytes;
        let more = offset + chunk.len() < body.len();
        let mut piece = frame[..layers.l4].to_vec();
        match layers.version {
            wire::IpVersion::V4 => {
                let field = (offset as u16 / 8) | if more { 0x2000 } else { 0 };
                piece[layers.ip + 6..layers.ip + 8].copy_from_slice(&field.to_be_bytes());
                piece.extend(chunk);
                let len = (piece.len() - layers.ip) as u16;
                piece[layers.ip + 2..layers.ip + 4].copy_from_slice(&len.to_be_bytes());
                checksum::fill_ip(&mut piece, &layers);
            }
            wire::IpVersion::V6 => {
                // The destination options header names the fragment header, which names UDP.
                piece[layers.ip + 40] = 44;
                piece.extend([17, 0]);
                piece.extend((offset as u16 | u16::from(more)).to_be_bytes());
                piece.extend([0, 0, 0x43, 0x21]);
                piece.extend(chunk);
                let len = (piece.len() - layers.ip - 40) as u16;
                piece[layers.ip + 4..layers.ip + 6].copy_from_slice(&len.to_be_bytes());
            }
        }
        pieces.push(piece);
    }
    pieces
}
