//! What is counted: a fixed number of packets through the journey, and of messages through each decoder.
//!
//! Callgrind counts inside [`counted`] only, and writes down a row's cost when [`row_is_done`] is called; making packets and
//! taking them back are not counted.

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
use proto::{Decoder, Fields, Step, View, Wanted};
use stage::Direction;

/// Bursts of a row of the journey.
const BURSTS: usize = 64;

/// Messages of a decoder's row.
const MESSAGES: u32 = 1_000;

/// What one row is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RowSubject {
    Journey(TrafficKind, PatchSet),
    Decoder(&'static DecoderSample),
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

/// A message for a decoder.
#[derive(Debug)]
pub(crate) struct DecoderSample {
    pub(crate) name: &'static str,
    protocol: &'static str,
    from: Direction,
    bytes: &'static [u8],
}

/// A row, in the order they are done.
#[derive(Clone, Debug)]
pub(crate) struct CountedRow {
    pub(crate) name: String,
    pub(crate) title: String,
    /// What the cost is divided by.
    pub(crate) count: u64,
    pub(crate) subject: RowSubject,
}

const DNS_QUERY: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
const DNS_RESPONSE: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x5d\xb8\xd8\x22\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\x5d\xb8\xd8\x23";
const HTTP_REQUEST: &[u8] = b"GET /index.html?page=12 HTTP/1.1\r\nHost: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\nReferer: http://www.example.com/\r\nConnection: keep-alive\r\n\r\n";
const HTTP_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\n\
Connection: keep-alive\r\nContent-Length: 0\r\n\r\n";
const TLS_HELLO: &[u8] = b"\x16\x03\x01\0\x45\x01\0\0\x41\x03\x03\
0123456789abcdef0123456789abcdef\0\0\x04\x13\x01\xc0\x2f\x01\0\0\x14\
\0\0\0\x10\0\x0e\0\0\x0bexample.com";
const SSRP_REQUEST: &[u8] = b"\x04MSSQLSERVER\0";
const TFTP_REQUEST: &[u8] = b"\0\x01firmware/image.bin\0octet\0blksize\x001428\0";
const NTP_REQUEST: &[u8] =
    b"\x23\0\x06\xec\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\xe9\x2a\x1b\x3c\x12\x34\x56\x78";

const MQTT_CONNECT: &[u8] = b"\x10\x15\0\x04MQTT\x04\x02\0\x3c\0\x09bench-cli";
const THRIFT_CALL: &[u8] = b"\x80\x01\0\x01\0\0\0\x04echo\0\0\0\x01\x0b\0\x01\0\0\0\x02hi\0";
const OPCUA_HELLO: &[u8] =
    b"HELF\x20\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff";

static SAMPLES: [DecoderSample; 16] = [
    DecoderSample {
        name: "dns-query",
        protocol: "dns",
        from: Direction::Request,
        bytes: DNS_QUERY,
    },
    DecoderSample {
        name: "dns-response",
        protocol: "dns",
        from: Direction::Response,
        bytes: DNS_RESPONSE,
    },
    DecoderSample {
        name: "http-request",
        protocol: "http",
        from: Direction::Request,
        bytes: HTTP_REQUEST,
    },
    DecoderSample {
        name: "http-response",
        protocol: "http",
        from: Direction::Response,
        bytes: HTTP_RESPONSE,
    },
    DecoderSample {
        name: "ftp-command",
        protocol: "ftp",
        from: Direction::Request,
        bytes: b"RETR pub/file.txt\r\n",
    },
    DecoderSample {
        name: "ftp-reply",
        protocol: "ftp",
        from: Direction::Response,
        bytes: b"226 Transfer complete.\r\n",
    },
    DecoderSample {
        name: "smtp-command",
        protocol: "smtp",
        from: Direction::Request,
        bytes: b"MAIL FROM:<alice@example.org> SIZE=1000\r\n",
    },
    DecoderSample {
        name: "tls-client-hello",
        protocol: "tls",
        from: Direction::Request,
        bytes: TLS_HELLO,
    },
    DecoderSample {
        name: "ssrp-request",
        protocol: "ssrp",
        from: Direction::Request,
        bytes: SSRP_REQUEST,
    },
    DecoderSample {
        name: "tftp-request",
        protocol: "tftp",
        from: Direction::Request,
        bytes: TFTP_REQUEST,
    },
    DecoderSample {
        name: "ntp-request",
        protocol: "ntp",
        from: Direction::Request,
        bytes: NTP_REQUEST,
    },
    DecoderSample {
        name: "mqtt-connect",
        protocol: "mqtt",
        from: Direction::Request,
        bytes: MQTT_CONNECT,
    },
    DecoderSample {
        name: "thrift-call",
        protocol: "thrift",
        from: Direction::Request,
        bytes: THRIFT_CALL,
    },
    DecoderSample {
        name: "opcua-hello",
        protocol: "opcua",
        from: Direction::Request,
        bytes: OPCUA_HELLO,
    },
    DecoderSample {
        name: "ssh-version",
        protocol: "ssh",
        from: Direction::Request,
        bytes: b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    },
    DecoderSample {
        name: "data-stream",
        protocol: "data",
        from: Direction::Request,
        bytes: b"NICK somebody\r\nUSER somebody 0 * :Some Body\r\nJOIN #channel\r\n",
    },
];

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
    let decoders = SAMPLES.iter().map(|sample| CountedRow {
        name: format!("decoder/{}", sample.name),
        title: format!(
            "{}, {} bytes, all fields",
            sample.name.replace('-', " "),
            sample.bytes.len()
        ),
        count: u64::from(MESSAGES),
        subject: RowSubject::Decoder(sample),
    });
    journeys.chain(under_library).chain(by_number).chain(decoders).collect()
}

/// Does all rows in order, or those of these names.
pub(crate) fn all(names: &[String]) {
    for row in rows().into_iter().filter(|row| names.is_empty() || names.contains(&row.name)) {
        match row.subject {
            RowSubject::Journey(kind, loaded) => journey(kind, loaded),
            RowSubject::Decoder(sample) => decode(sample),
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
fn decode(sample: &DecoderSample) {
    let decoder = proto::by_name(sample.protocol).expect("a decoder of this name");
    let mut wanted = Wanted::new(decoder.protocol());
    for (id, _) in (0..).zip(decoder.protocol().fields) {
        wanted.want(proto::FieldId(id));
    }
    let over_udp =
        decoder.protocol().ports.iter().any(|(transport, _)| *transport == proto::Transport::Udp);
    let mut fields = Fields::new();
    let mut decode = || {
        if over_udp {
            datagram(decoder, &wanted, sample, &mut fields)
        } else {
            stream(decoder, &wanted, sample, &mut fields)
        }
    };
    // What is only done once is not a message's cost.
    decode();
    counted(&mut || {
        for _ in 0..MESSAGES {
            decode();
        }
    });
}

fn datagram(decoder: &dyn Decoder, wanted: &Wanted, sample: &DecoderSample, fields: &mut Fields) {
    fields.clear();
    let view = View { input: sample.bytes, from: sample.from, open: false, ended: true };
    black_box(decoder.datagram(wanted, view, fields));
}

/// A whole message from a fresh connection's state.
fn stream(decoder: &dyn Decoder, wanted: &Wanted, sample: &DecoderSample, fields: &mut Fields) {
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
