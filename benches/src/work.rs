//! What is counted: a fixed number of packets through the journey, and of messages through each
//! decoder.
//!
//! Callgrind counts inside [`counted`] only, and writes down a row's cost when [`row_is_done`] is
//! called; making packets and taking them back are not counted.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use datapath::limits::BURST_FRAMES_MAX;
use datapath::memory::{MemoryFrame, MemoryNic};
use datapath::{
    ActivePlan, Core, CoreConfig, CoreCounters, Frame as _, FramePool as _, PortNo, Publisher, turn,
};
use offline::ConnectionSide;
use offline::load::{Load, MANY_PATCHES, PatchFiles, TrafficKind};
use patch::{Group, Options, Patch};
use plan::Subscriber;
use proto::{Decoder, Fields, SampleMessage, Step, View, Wanted};

/// Bursts of a row of the journey.
const BURSTS: usize = 64;

/// Messages of a decoder's row.
const MESSAGES: u32 = 1_000;

/// The subject of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowSubject {
    Journey(TrafficKind, PatchSet),
    /// One of the ordinary messages that the decoder of that protocol names.
    Decoder {
        protocol: &'static str,
        sample: &'static SampleMessage,
    },
}

/// The patches in force.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PatchSet {
    /// Those built for the kind of traffic.
    Own,
    /// All of `patches/`.
    Library,
    /// One patch, of [`TrafficKind::one_and_many`].
    One,
    /// A tenth of the many: they take most of their time to compile under callgrind.
    Many,
}

/// Traffic that is counted a second time under the whole library.
const UNDER_LIBRARY: [TrafficKind; 4] =
    [TrafficKind::UdpOutOfScope, TrafficKind::Dns, TrafficKind::HttpRequests, TrafficKind::TcpAcks];

/// A row, in the order they are done.
#[derive(Clone, Debug)]
pub(crate) struct CountedRow {
    pub(crate) name: String,
    pub(crate) title: String,
    /// The divisor of the cost.
    pub(crate) count: u64,
    pub(crate) subject: RowSubject,
}

/// All rows.
pub(crate) fn rows() -> Vec<CountedRow> {
    let packets = u64::try_from(BURSTS * BURST_FRAMES_MAX).unwrap_or(1);
    let journeys = TrafficKind::ALL.iter().map(|&kind| CountedRow {
        name: format!("journey/{}", kind.name()),
        title: kind.title().to_owned(),
        count: packets,
        subject: RowSubject::Journey(kind, PatchSet::Own),
    });
    let under_library = UNDER_LIBRARY.iter().map(|&kind| CountedRow {
        name: format!("journey/{}-library", kind.name()),
        title: format!("{}, whole library", kind.title()),
        count: packets,
        subject: RowSubject::Journey(kind, PatchSet::Library),
    });
    let by_number =
        [(PatchSet::One, "1-patch", "1 patch"), (PatchSet::Many, "1000-patches", "1,000 patches")];
    let by_number = by_number.into_iter().map(|(loaded, name, title)| CountedRow {
        name: format!("journey/dns-{name}"),
        title: format!("{}, {title}", TrafficKind::Dns.title()),
        count: packets,
        subject: RowSubject::Journey(TrafficKind::Dns, loaded),
    });
    let samples = proto::DECODERS.iter().flat_map(|decoder| {
        decoder.samples().iter().map(|sample| (decoder.protocol().name, sample))
    });
    let decoders = samples.map(|(protocol, sample)| CountedRow {
        name: format!("decoder/{}", sample.name),
        title: format!(
            "{}, {} bytes, all fields",
            sample.name.replace('-', " "),
            sample.bytes.len()
        ),
        count: u64::from(MESSAGES),
        subject: RowSubject::Decoder { protocol, sample },
    });
    journeys.chain(under_library).chain(by_number).chain(decoders).collect()
}

/// Does all rows in order, or those of these names.
pub(crate) fn all(names: &[String]) {
    for row in rows().into_iter().filter(|row| names.is_empty() || names.contains(&row.name)) {
        match row.subject {
            RowSubject::Journey(kind, loaded) => journey(kind, loaded),
            RowSubject::Decoder { protocol, sample } => decode(protocol, sample),
        }
        row_is_done(&row.name);
    }
}

/// Callgrind writes the row's cost down when this is called.
#[inline(never)]
fn row_is_done(name: &str) {
    black_box(name);
}

/// Callgrind counts in here.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

#[expect(clippy::expect_used, reason = "the repository's own patches; a broken one is to be seen")]
fn patches(kind: TrafficKind, loaded: PatchSet) -> Vec<Patch> {
    let sets = || kind.one_and_many().expect("a kind that has such sets");
    let read = |files: &PatchFiles| {
        files.iter().map(|(name, text)| Patch::from_yaml(name, text)).collect()
    };
    let patches = match loaded {
        PatchSet::Own => {
            kind.patches().iter().map(|(name, text)| Patch::from_yaml(name, text)).collect()
        }
        PatchSet::Library => {
            patch::load(&[PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../patches")])
        }
        PatchSet::One => read(&sets().0),
        PatchSet::Many => read(&sets().1.into_iter().take(MANY_PATCHES / 10).collect()),
    };
    patches.map_err(|found| patch::render(&found)).expect("good patches")
}

#[expect(clippy::expect_used, reason = "the repository's own patches; a broken set is to be seen")]
fn journey(kind: TrafficKind, loaded: PatchSet) {
    let patches = patches(kind, loaded);
    let groups = [Group::everywhere(patches.len())];
    let plan = patch::compile(&patches, &groups, &Options::default()).expect("a good set");
    let publisher = Arc::new(Publisher::new(ActivePlan::new(plan, 1)));
    let mut core = Core::new(
        CoreConfig::default(),
        Subscriber::new(publisher),
        Arc::new(CoreCounters::default()),
    );
    let mut nic = MemoryNic::new(2, 4 * BURST_FRAMES_MAX);
    let mut load = Load::new(kind);
    while load.is_opening() {
        let few = load.spacing().unwrap_or(BURST_FRAMES_MAX).min(BURST_FRAMES_MAX);
        feed(&mut load, &mut nic, few);
        while turn(&mut nic, &mut core, 0) > 0 {}
        take_back(&mut nic);
    }
    for _ in 0..BURSTS {
        feed(&mut load, &mut nic, BURST_FRAMES_MAX);
        counted(&mut || {
            turn(&mut nic, &mut core, 0);
        });
        take_back(&mut nic);
    }
}

fn feed(load: &mut Load, nic: &mut MemoryNic, frames: usize) {
    for _ in 0..frames {
        let packet = load.next_packet();
        let mut frame = nic
            .alloc()
            .unwrap_or_else(|| MemoryFrame::with_capacity(datapath::memory::FRAME_BYTES));
        if frame.set_len(packet.frame_bytes()) {
            packet.write(frame.as_mut());
        }
        nic.arrive(
            if packet.side() == ConnectionSide::Client { PortNo(0) } else { PortNo(1) },
            frame,
        );
    }
}

fn take_back(nic: &mut MemoryNic) {
    for port in [PortNo(0), PortNo(1)] {
        let sent: Vec<MemoryFrame> = nic.sent(port).collect();
        sent.into_iter().for_each(|frame| nic.recycle(frame));
    }
}

#[expect(clippy::expect_used, reason = "the bench's own samples; a missing decoder is to be seen")]
fn decode(protocol: &str, sample: &SampleMessage) {
    let decoder = proto::by_name(protocol).expect("a decoder of this name");
    let mut wanted = Wanted::new(decoder.protocol());
    for (id, _) in (0..).zip(decoder.protocol().fields) {
        wanted.want(proto::FieldId(id));
    }
    let over_udp =
        decoder.protocol().transports().any(|transport| transport == proto::Transport::Udp);
    let mut fields = Fields::new();
    let mut decode = || {
        if over_udp {
            datagram(decoder, &wanted, sample, &mut fields)
        } else {
            stream(decoder, &wanted, sample, &mut fields)
        }
    };
    // The first message also pays for work that is done once.
    decode();
    counted(&mut || {
        for _ in 0..MESSAGES {
            decode();
        }
    });
}

fn datagram(decoder: &dyn Decoder, wanted: &Wanted, sample: &SampleMessage, fields: &mut Fields) {
    fields.clear();
    let view = View { input: sample.bytes, from: sample.from, open: false, ended: true };
    black_box(decoder.datagram(wanted, view, fields));
}

/// A whole message from a fresh connection's state.
fn stream(decoder: &dyn Decoder, wanted: &Wanted, sample: &SampleMessage, fields: &mut Fields) {
    let mut state = decoder.start();
    let mut input = sample.bytes;
    while !input.is_empty() {
        fields.clear();
        let view = View { input, from: sample.from, open: false, ended: false };
        match black_box(decoder.stream(wanted, &mut state, view, fields)) {
            Step::Unit { bytes, .. } => input = input.get(bytes..).unwrap_or_default(),
            Step::More(_) | Step::Skip { .. } | Step::SkipRest | Step::NotThisProtocol => return,
        }
    }
}
