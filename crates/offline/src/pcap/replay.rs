//! A capture through one core.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Range;

use datapath::counters::{Cell, UNDECIDED};
use datapath::{
    ActivePlan, Core, Event, Frame, FramePool, LinkLayer, Nic, PlanCounters, PortNo, Reason,
    limits, turn,
};
use plan::{PatchNo, Plan};
use wire::Layers;

use super::records::{Capture, CaptureFormat, CaptureItem, LinkType, PacketRecord};
use super::report::{EditEntry, PacketFate, ReplayReport};

/// Capacity of one frame: the longest packet of a capture, and the longest edited datagram.
const FRAME_BYTES: usize = 65_536 + limits::LINK_BYTES_MAX;

/// A packet of a capture; it remembers which one.
#[derive(Debug)]
pub struct CaptureFrame {
    bytes: Vec<u8>,
    /// Index of the packet it came from; none for a new frame.
    origin: Option<usize>,
}

impl AsRef<[u8]> for CaptureFrame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for CaptureFrame {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Frame for CaptureFrame {
    fn capacity_bytes(&self) -> usize {
        FRAME_BYTES.max(self.bytes.len())
    }

    fn set_len(&mut self, len_bytes: usize) -> bool {
        let fits = len_bytes <= self.capacity_bytes();
        if fits {
            self.bytes.resize(len_bytes, 0);
        }
        fits
    }
}

/// Two ports: one packet in at a time, all that comes of it out.
#[derive(Debug, Default)]
struct CaptureNic {
    input: VecDeque<(PortNo, CaptureFrame)>,
    output: Vec<(PortNo, CaptureFrame)>,
}

impl FramePool for CaptureNic {
    type Frame = CaptureFrame;

    fn alloc(&mut self) -> Option<CaptureFrame> {
        Some(CaptureFrame { bytes: Vec::new(), origin: None })
    }
}

impl Nic for CaptureNic {
    fn receive(&mut self, port: PortNo, burst: &mut Vec<CaptureFrame>) {
        if let Some((_, frame)) = self.input.pop_front_if(|(at, _)| *at == port) {
            burst.push(frame);
        }
    }

    fn transmit(&mut self, port: PortNo, out: &mut Vec<CaptureFrame>) {
        self.output.extend(out.drain(..).map(|frame| (port, frame)));
    }
}

/// The capture after the journey, and the report of its edits.
#[derive(Debug)]
pub struct ReplayOutcome {
    /// The capture that came out.
    pub output: Vec<u8>,
    /// Every edit.
    pub report: ReplayReport,
}

/// The packets that leave in place of one packet.
#[derive(Debug, Default)]
struct PacketOutput {
    /// The packet leaves as it went in.
    itself: bool,
    /// The packet leaves changed.
    changed: Option<Vec<u8>>,
    /// New packets that left before it did, or instead of it.
    before: Vec<Vec<u8>>,
    /// New packets that left behind it.
    behind: Vec<Vec<u8>>,
}

impl PacketOutput {
    fn inserted(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.before.iter().chain(&self.behind)
    }
}

/// Puts every packet of the capture `input` through `core`, whose bridge must be ports 0 and 1.
/// Both directions go through the one core; time is the capture's. It calls `progress` with the
/// number of bytes of `input` are done.
///
/// A packet that comes out as it went in keeps its record and its place, even if others had to come
/// before it was let go. One that comes out changed takes its record's place; what is new stands
/// beside the packet that caused it, in the order in which they left, with its time.
pub fn replay(
    input: &[u8],
    core: &mut Core<CaptureFrame>,
    mut progress: impl FnMut(usize),
) -> ReplayOutcome {
    let capture = Capture::new(input);
    let format = capture.format();
    let items: Vec<CaptureItem> = capture.collect();
    let mut session = ReplaySession::new(input, core);
    let before = session.counted();
    for item in &items {
        if let CaptureItem::Packet(record) = item {
            session.packet(record);
            progress(record.range.end);
        }
    }
    let after = session.counted();
    let ReplaySession { places, mut report, .. } = session;
    report.format = match format {
        CaptureFormat::Pcap => "pcap",
        CaptureFormat::PcapNg => "pcapng",
        CaptureFormat::Unknown => "unknown",
    };
    let reasons = Reason::ALL.iter().map(|reason| reason.label());
    report.reasons = risen(reasons, &before.reasons, &after.reasons);
    let events = Event::ALL.iter().map(|event| event.label());
    report.events = risen(events, &before.events, &after.events);
    report.undecided = risen(UNDECIDED.into_iter(), &before.undecided, &after.undecided);
    complete(&mut report, &items, &places);
    let output = write(input, &items, &places);
    progress(input.len());
    ReplayOutcome { output, report }
}

/// The core's counters at one time, in the order of their tables.
struct Counted {
    reasons: Vec<u64>,
    events: Vec<u64>,
    undecided: Vec<u64>,
}

/// The counters that are higher than before, with the difference.
fn risen(
    labels: impl Iterator<Item = &'static str>,
    before: &[u64],
    after: &[u64],
) -> BTreeMap<&'static str, u64> {
    let counts = before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before));
    labels.zip(counts).filter(|&(_, more)| more > 0).collect()
}

struct ReplaySession<'a> {
    input: &'a [u8],
    core: &'a mut Core<CaptureFrame>,
    nic: CaptureNic,
    places: Vec<PacketOutput>,
    /// The range of each packet's bytes in `input`.
    data: Vec<Range<usize>>,
    /// Each patch's counters before the packet at hand, and whether any has moved since.
    seen: Vec<[u64; 5]>,
    hits: u64,
    first_us: Option<u64>,
    now_ms: u64,
    report: ReplayReport,
}

impl<'a> ReplaySession<'a> {
    fn new(input: &'a [u8], core: &'a mut Core<CaptureFrame>) -> Self {
        let seen = patch_cells(core.active_plan(), core.config().core);
        Self {
            input,
            core,
            nic: CaptureNic::default(),
            places: Vec::new(),
            data: Vec::new(),
            seen,
            hits: 0,
            first_us: None,
            now_ms: 0,
            report: ReplayReport::default(),
        }
    }

    fn counted(&self) -> Counted {
        let counters = self.core.counters();
        Counted {
            reasons: Reason::ALL.iter().map(|&reason| counters.reason(reason)).collect(),
            events: Event::ALL.iter().map(|&event| counters.event(event)).collect(),
            undecided: counters.undecided().to_vec(),
        }
    }

    fn packet(&mut self, record: &PacketRecord) {
        let at = self.places.len();
        let link = link_of(record.link);
        let untouched = record.is_cut() || link == LinkLayer::Unknown;
        self.report.packets += 1;
        self.report.cut_short += u64::from(record.is_cut());
        self.report.other_links += u64::from(untouched && !record.is_cut());
        self.places.push(PacketOutput { itself: untouched, ..PacketOutput::default() });
        self.data.push(record.data.clone());
        if untouched {
            return;
        }
        // Times may step back, in a capture of several interfaces; the core's clock may not.
        let first_us = *self.first_us.get_or_insert(record.time_us);
        self.now_ms = self.now_ms.max(record.time_us.saturating_sub(first_us) / 1_000);
        self.core.set_link(link);
        let bytes = self.input.get(record.data.clone()).unwrap_or_default();
        let side = side_of(link, bytes);
        let frame = CaptureFrame { bytes: bytes.to_vec(), origin: Some(at) };
        self.nic.input.push_back((side, frame));
        while !self.nic.input.is_empty() {
            turn(&mut self.nic, self.core, self.now_ms);
        }
        for (port, frame) in std::mem::take(&mut self.nic.output) {
            self.came_out(at, frame, port == side);
        }
        self.note_hits(at);
    }

    /// Finds the place of a frame that left while packet `at` was in; `back`: on the side that
    /// packet came from.
    fn came_out(&mut self, at: usize, frame: CaptureFrame, back: bool) {
        // A packet that was rebuilt from a copy may equal the packet byte for byte.
        let origin = if back { None } else { frame.origin.or(Some(at)) };
        if let Some(origin) = origin
            && let Some(place) = self.places.get_mut(origin)
            && !place.itself
            && place.changed.is_none()
        {
            let original = self.data.get(origin).and_then(|data| self.input.get(data.clone()));
            if original == Some(&*frame.bytes) {
                place.itself = true;
                return;
            }
            if frame.origin == Some(at) {
                place.changed = Some(frame.bytes);
                return;
            }
        }
        if let Some(place) = self.places.get_mut(at) {
            let left = place.itself || place.changed.is_some();
            if left { &mut place.behind } else { &mut place.before }.push(frame.bytes);
        }
    }

    /// Which patches had something to do since the last packet. What became of the packet is known
    /// at the end only.
    fn note_hits(&mut self, at: usize) {
        let hits =
            self.core.active_plan().counters(self.core.config().core).map_or(0, PlanCounters::hits);
        if hits == std::mem::replace(&mut self.hits, hits) {
            return;
        }
        let plan = &self.core.active_plan().plan;
        let cells = patch_cells(self.core.active_plan(), self.core.config().core);
        for (no, (now, before)) in cells.iter().zip(&self.seen).enumerate() {
            if now == before {
                continue;
            }
            let [edits, removed_bytes, inserted_bytes, verdicts, would_have] =
                std::array::from_fn(|cell| {
                    now.get(cell).zip(before.get(cell)).map_or(0, |(now, before)| now - before)
                });
            self.report.edits.push(EditEntry {
                packet: number(at),
                patch: plan.patches.get(no).map(|patch| patch.name.to_string()),
                fields: fields_of(plan, no),
                fate: PacketFate::Unchanged,
                edits,
                removed_bytes,
                inserted_bytes,
                verdicts,
                would_have,
                before_bytes: 0,
                after_bytes: 0,
            });
        }
        self.seen = cells;
    }
}

/// Fills in the fate of each packet, which is known at the end only.
fn complete(report: &mut ReplayReport, items: &[CaptureItem], places: &[PacketOutput]) {
    let told: HashSet<u64> = report.edits.iter().map(|entry| entry.packet).collect();
    for (at, place) in places.iter().enumerate() {
        report.unchanged += u64::from(place.itself);
        report.changed += u64::from(place.changed.is_some());
        report.left_out += u64::from(fate_of(place) == PacketFate::LeftOut);
        report.inserted += place.inserted().count() as u64;
        let quiet = place.itself && place.inserted().next().is_none();
        if !quiet && !told.contains(&number(at)) {
            report.edits.push(EditEntry { packet: number(at), ..EditEntry::default() });
        }
    }
    report.edits.sort_by_key(|entry| entry.packet);
    let lens: Vec<u64> = items
        .iter()
        .filter_map(|item| match item {
            CaptureItem::Packet(record) => Some(record.data.len() as u64),
            CaptureItem::Verbatim(_) | CaptureItem::Section { .. } => None,
        })
        .collect();
    for entry in &mut report.edits {
        let at = usize::try_from(entry.packet - 1).unwrap_or(usize::MAX);
        let (Some(place), Some(&len)) = (places.get(at), lens.get(at)) else { continue };
        let itself = if place.itself { len } else { 0 };
        let new = place.changed.iter().chain(place.inserted()).map(|bytes| bytes.len() as u64);
        entry.fate = fate_of(place);
        entry.before_bytes = len;
        entry.after_bytes = itself + new.sum::<u64>();
    }
}

fn fate_of(place: &PacketOutput) -> PacketFate {
    match (place.itself, &place.changed) {
        (true, _) => PacketFate::Unchanged,
        (false, Some(_)) => PacketFate::Changed,
        (false, None) => PacketFate::LeftOut,
    }
}

/// The file again, with the records of changed packets written anew.
fn write(input: &[u8], items: &[CaptureItem], places: &[PacketOutput]) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len());
    let mut places = places.iter();
    let mut section_length_at = None;
    for item in items {
        let record = match item {
            CaptureItem::Verbatim(range) => {
                out.extend_from_slice(input.get(range.clone()).unwrap_or_default());
                continue;
            }
            CaptureItem::Section { range, length_at } => {
                section_length_at = Some(out.len() + (length_at - range.start));
                out.extend_from_slice(input.get(range.clone()).unwrap_or_default());
                continue;
            }
            CaptureItem::Packet(record) => record,
        };
        let Some(place) = places.next() else { continue };
        for packet in &place.before {
            record.write(input, packet, true, &mut out);
        }
        if place.itself {
            out.extend_from_slice(input.get(record.range.clone()).unwrap_or_default());
        } else if let Some(packet) = &place.changed {
            record.write(input, packet, false, &mut out);
        }
        for packet in &place.behind {
            record.write(input, packet, true, &mut out);
        }
        // A section that says how long it is would now be wrong: all ones says that it does not
        // say.
        if !(place.itself && place.inserted().next().is_none())
            && let Some(at) = section_length_at.take()
            && let Some(length) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<8>)
        {
            *length = [0xff; 8];
        }
    }
    out
}

/// What a link type is to the data path; packets of others pass. So do packets with a check
/// sequence behind them, which an edit would make wrong.
pub fn link_of(link: LinkType) -> LinkLayer {
    match (link.number, link.fcs_bytes) {
        (_, 1..) => LinkLayer::Unknown,
        (1, 0) => LinkLayer::Ethernet,
        (12 | 101 | 228 | 229, 0) => LinkLayer::Ip,
        (113, 0) => LinkLayer::Cooked,
        (276, 0) => LinkLayer::Cooked2,
        (0 | 108, 0) => LinkLayer::Null,
        _ => LinkLayer::Unknown,
    }
}

/// The side a packet comes from: any rule will do that puts the two ends of a conversation on
/// different sides for good.
fn side_of(link: LinkLayer, bytes: &[u8]) -> PortNo {
    let layers = match link {
        LinkLayer::Ethernet => Layers::ethernet(bytes),
        LinkLayer::Ip => Layers::ip(bytes, 0),
        LinkLayer::Cooked => Layers::cooked(bytes),
        LinkLayer::Cooked2 => Layers::cooked2(bytes),
        LinkLayer::Null => Layers::ip(bytes, 4),
        LinkLayer::Unknown => return PortNo(0),
    };
    let ends = layers.ok().and_then(|layers| {
        let (source, destination) = layers.addresses(bytes)?;
        // Fragments have no ports, and must come from the side their first one comes from.
        let ports = layers.ports(bytes).filter(|_| source == destination).unwrap_or_default();
        Some(((source, ports.0), (destination, ports.1)))
    });
    PortNo(u8::from(ends.is_some_and(|(source, destination)| source > destination)))
}

fn patch_cells(active: &ActivePlan, core: usize) -> Vec<[u64; 5]> {
    let Some(counters) = active.counters(core) else { return Vec::new() };
    let patches = 0..active.plan.patches.len();
    let cells = patches.filter_map(|no| counters.patch(PatchNo(u16::try_from(no).ok()?)));
    cells
        .map(|cells| {
            [
                &cells.edits,
                &cells.removed_bytes,
                &cells.inserted_bytes,
                &cells.verdicts,
                &cells.would_have,
            ]
            .map(Cell::load)
        })
        .collect()
}

/// The fields a patch's rules work on, in the order of the rules.
fn fields_of(plan: &Plan, patch: usize) -> Vec<&'static str> {
    let mut names = Vec::new();
    for module in &plan.modules {
        let protocol = module.decoder.protocol();
        for side in &module.directions {
            for rule in side.rules.iter().filter(|rule| usize::from(rule.patch.0) == patch) {
                let Some(slot) = rule.target else { continue };
                let (field, _) = side.wanted.field_of(slot);
                if let Some(def) = protocol.def(field)
                    && !names.contains(&def.name)
                {
                    names.push(def.name);
                }
            }
        }
    }
    names
}

/// As Wireshark numbers packets.
fn number(at: usize) -> u64 {
    at as u64 + 1
}
