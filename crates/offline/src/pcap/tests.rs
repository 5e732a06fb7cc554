//! Captures in, captures out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datapath::{ActivePlan, Core, CoreConfig, CoreCounters, Limits};
use plan::{
    Condition, DirectionRules, FailMode, GroupInfo, GroupNo, Hold, Mode, Module, PatchInfo,
    PatchNo, Plan, Publisher, Rule, Subscriber, Transform,
};
use proto::{
    Dissection, FieldDef, FieldId, Fields, Protocol, ProtocolDecoder, Span, Transport, View, Wanted,
};
use wire::{Layers, checksum};

use super::*;

mod edited;

struct WholePayload;

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

    fn datagram(&self, _: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        out.bytes(0, Span::new(0, view.input.len()));
        Dissection::Message
    }
}

fn core(plan: Plan) -> Core<CaptureFrame> {
    core_on(&Arc::new(Publisher::new(ActivePlan::new(plan, 1))))
}

fn core_on(publisher: &Arc<Publisher<ActivePlan>>) -> Core<CaptureFrame> {
    let counters = Arc::new(CoreCounters::default());
    // Room for the largest capture; a core of the usual size for each of hundreds would take most
    // of the time.
    let limits = Limits { flows_max: 1 << 12, blocks_max: 1 << 11, ..Limits::default() };
    Core::new(
        CoreConfig { limits, ..CoreConfig::default() },
        Subscriber::new(Arc::clone(publisher)),
        counters,
    )
}

/// Every UDP payload on `ports` under one rule.
fn under(transform: Transform, ports: &[u16]) -> Plan {
    let side = || {
        let mut wanted = Wanted::new(&WHOLE);
        let slot = wanted.want(FieldId(0));
        let target = (!matches!(transform, Transform::Drop | Transform::Refuse(_))).then_some(slot);
        let when = Condition::Always;
        let rule = Rule { patch: PatchNo(0), target, when, transform: transform.clone() };
        DirectionRules::new(wanted, vec![rule], Hold::Streaming, vec![PatchNo(0)])
    };
    let module = Module {
        group: GroupNo(0),
        decoder: &WholePayload,
        transport: Transport::Udp,
        ports: ports.into(),
        mode: Mode::Enforce,
        fail: FailMode::Open,
        directions: [side(), side()],
    };
    let patch = PatchInfo { name: "the-patch".into(), ..PatchInfo::default() };
    Plan::new(vec![module], vec![patch], vec![GroupInfo::default()])
}

/// A UDP datagram over IPv4, without a link header.
fn packet(payload: &[u8], port: u16) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((28 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x0f, 0xa0]);
    packet.extend(port.to_be_bytes());
    packet.extend((8 + payload.len() as u16).to_be_bytes());
    packet.extend([0xff, 0xff]);
    packet.extend(payload);
    let layers = Layers::ip(&packet, 0).unwrap();
    checksum::fill_ip(&mut packet, &layers);
    checksum::fill_transport(&mut packet, &layers);
    packet
}

/// What one kind of file looks like around its packets.
#[derive(Clone, Copy, Debug)]
enum FileShape {
    Classic { big_endian: bool, nanoseconds: bool, modified: bool },
    Ng { big_endian: bool, simple: bool },
}

const FILE_SHAPES: [FileShape; 7] = [
    FileShape::Classic { big_endian: false, nanoseconds: false, modified: false },
    FileShape::Classic { big_endian: true, nanoseconds: false, modified: false },
    FileShape::Classic { big_endian: false, nanoseconds: true, modified: false },
    FileShape::Classic { big_endian: true, nanoseconds: false, modified: true },
    FileShape::Ng { big_endian: false, simple: false },
    FileShape::Ng { big_endian: true, simple: false },
    FileShape::Ng { big_endian: false, simple: true },
];

impl FileShape {
    fn words(self, words: &[u32]) -> Vec<u8> {
        let (Self::Classic { big_endian, .. } | Self::Ng { big_endian, .. }) = self;
        words
            .iter()
            .flat_map(|word| if big_endian { word.to_be_bytes() } else { word.to_le_bytes() })
            .collect()
    }

    fn halves(self, halves: &[u16]) -> Vec<u8> {
        let (Self::Classic { big_endian, .. } | Self::Ng { big_endian, .. }) = self;
        halves
            .iter()
            .flat_map(|half| if big_endian { half.to_be_bytes() } else { half.to_le_bytes() })
            .collect()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let total = body.len() as u32 + 12;
        [self.words(&[kind, total]), body, self.words(&[total])].concat()
    }

    /// A whole file of raw-IP packets, each with the time of its index; an option of each kind
    /// where there are options.
    fn file(self, packets: &[Vec<u8>]) -> Vec<u8> {
        match self {
            Self::Classic { nanoseconds, modified, .. } => {
                let magic = match (nanoseconds, modified) {
                    (false, false) => 0xa1b2_c3d4,
                    (true, _) => 0xa1b2_3c4d,
                    (_, true) => 0xa1b2_cd34,
                };
                let mut file = self.words(&[magic]);
                file.extend(self.halves(&[2, 4]));
                file.extend(self.words(&[0, 0, 65_535, 101]));
                for (at, packet) in packets.iter().enumerate() {
                    let len = packet.len() as u32;
                    file.extend(self.words(&[at as u32, 7, len, len]));
                    if modified {
                        file.extend([1, 2, 3, 4, 5, 6, 7, 8]);
                    }
                    file.extend(packet);
                }
                file
            }
            Self::Ng { simple, .. } => {
                let mut section = self.words(&[0x1a2b_3c4d]);
                section.extend(self.halves(&[1, 0]));
                let mut rest = self.block(1, &[self.halves(&[101, 0]), self.words(&[0])].concat());
                rest.extend(self.block(0xbad, b"unknown to everybody"));
                for (at, packet) in packets.iter().enumerate() {
                    let len = packet.len() as u32;
                    if simple {
                        rest.extend(self.block(3, &[self.words(&[len]), packet.clone()].concat()));
                        continue;
                    }
                    let mut body = self.words(&[0, 0, at as u32 * 1_000_000, len, len]);
                    body.extend(packet);
                    body.resize(body.len().next_multiple_of(4), 0);
                    // A hash, which an edit makes wrong, and a comment.
                    body.extend([self.halves(&[3, 5]), vec![2, 1, 2, 3, 4, 0, 0, 0]].concat());
                    body.extend([self.halves(&[1, 2]), b"hi\0\0".to_vec(), vec![0; 4]].concat());
                    rest.extend(self.block(6, &body));
                }
                let length = rest.len() as u32;
                let words = match self {
                    Self::Ng { big_endian: true, .. } => [0, length],
                    Self::Ng { .. } | Self::Classic { .. } => [length, 0],
                };
                section.extend(self.words(&words));
                [self.block(0x0a0d_0d0a, &section), rest].concat()
            }
        }
    }
}

#[test]
fn packets_cut_short_and_other_links_pass_untouched() {
    let mut input = FILE_SHAPES[0].file(&[packet(&[b'x'; 300], 9)]);
    input[24 + 12..24 + 16].copy_from_slice(&2_000_u32.to_le_bytes());
    let outcome = replay(&input, &mut core(under(Transform::Drop, &[9])), |_| {});
    assert_eq!(outcome.output, input);
    assert_eq!(outcome.report.cut_short, 1);
    let mut input = FILE_SHAPES[0].file(&[packet(&[b'x'; 300], 9)]);
    input[20] = 105;
    let outcome = replay(&input, &mut core(under(Transform::Drop, &[9])), |_| {});
    assert_eq!(outcome.output, input);
    assert_eq!(outcome.report.other_links, 1);
}

fn captures() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("../wirepatch/tests/data")];
    // More of them, where they are beside the repository.
    folders.extend(root.join("../../../shared/corpora").canonicalize());
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = fs::read(&path).unwrap();
                files.push((path, bytes));
            }
        }
    }
    assert!(files.len() > 500, "{} files", files.len());
    files
}

#[test]
fn every_capture_of_the_corpora_comes_out_byte_for_byte() {
    let (mut captures_seen, mut packets) = (0, 0);
    for (path, input) in captures() {
        let outcome = replay(&input, &mut core(Plan::default()), |_| {});
        assert!(outcome.output == input, "{}", path.display());
        assert_eq!(outcome.report.packets, outcome.report.unchanged, "{}", path.display());
        captures_seen += u64::from(outcome.report.packets > 0);
        packets += outcome.report.packets;
    }
    println!("{captures_seen} captures with {packets} packets");
}

/// In scope of a rule that nothing breaks: fragments are held and let go, and still everything has
/// its place.
#[test]
fn inspected_and_unchanged_a_capture_comes_out_byte_for_byte() {
    let every: Vec<u16> = (0..=u16::MAX).collect();
    let plan = under(Transform::Truncate { to: 65_535 }, &every);
    let publisher = Arc::new(Publisher::new(ActivePlan::new(plan, 1)));
    for (path, input) in captures() {
        let outcome = replay(&input, &mut core_on(&publisher), |_| {});
        // Fragments whose datagram is not complete in the capture, or that overlap, and what is in
        // scope inside tunnels do not come out.
        let lost = outcome.report.left_out;
        assert_eq!(outcome.report.unchanged + lost, outcome.report.packets, "{}", path.display());
        if lost == 0 {
            assert!(outcome.output == input, "{}", path.display());
        } else {
            let reasons = &outcome.report.reasons;
            let known = |reason: &&str| reason.starts_with("fragment") || *reason == "tunnelled";
            assert!(reasons.keys().any(known), "{reasons:?}");
        }
    }
}

#[test]
fn no_file_makes_the_framing_panic_or_lose_a_byte() {
    let mut seed = 3_u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below.max(1)
    };
    let mut files: Vec<Vec<u8>> = captures().into_iter().map(|(_, bytes)| bytes).collect();
    files.extend(FILE_SHAPES.map(|shape| shape.file(&[packet(b"a", 9), packet(b"bcd", 9)])));
    for file in &mut files {
        for _ in 0..8 {
            let at = random(file.len().min(400));
            if let Some(byte) = file.get_mut(at) {
                *byte = random(256) as u8;
            }
            let cut = if random(2) == 0 { random(file.len() + 1) } else { file.len() };
            let file = &file[..cut];
            let mut at = 0;
            for item in Capture::new(file) {
                let range = match &item {
                    CaptureItem::Verbatim(range) | CaptureItem::Section { range, .. } => range,
                    CaptureItem::Packet(record) => &record.range,
                };
                assert_eq!(range.start, at);
                at = range.end;
                if let CaptureItem::Packet(record) = item {
                    let mut out = Vec::new();
                    record.write(file, b"other", false, &mut out);
                }
            }
            assert_eq!(at, file.len(), "every byte is in one piece");
        }
    }
}
