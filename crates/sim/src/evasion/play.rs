//! A client's frames, the box or a bare wire, and the server, on one clock.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use datapath::memory::{FRAME_BYTES, MemoryFrame, MemoryNic};
use datapath::{
    ActivePlan, Core, CoreConfig, CoreCounters, Frame as _, FramePool as _, Limits, PortNo, turn,
};
use patch::{Group, Options, Patch, compile};
use plan::{Publisher, Subscriber};
use wire::{Layers, Tcp, TcpFlags};

use super::case::TimedFrame;
use super::stack_server::StackServer;

/// How often time passes for the box and the server.
const STEP_MS: u64 = 20;

/// Longer than anything is held.
const AFTER_MS: u64 = 12_000;

const CLIENT: PortNo = PortNo(0);
const SERVER: PortNo = PortNo(1);

/// How a play ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeardByServer {
    /// The bytes that each connection brought the server's application.
    pub streams: Vec<Vec<u8>>,
    /// The client was sent a reset.
    pub reset: bool,
    /// The server still has a connection.
    pub open: bool,
    /// Every acknowledgement number that the client was sent.
    pub acknowledged: Vec<u32>,
    /// The server's stack panicked.
    pub panicked: bool,
}

struct EvasionBox {
    nic: MemoryNic,
    core: Core<MemoryFrame>,
}

impl EvasionBox {
    /// A patch that does not compile is no box at all.
    fn new(patch: &str) -> Option<Self> {
        let patch = Patch::from_yaml("evasion.yaml", patch).ok()?;
        let plan = compile(&[patch], &[Group::everywhere(1)], &Options::default()).ok()?;
        let limits = Limits {
            flows_max: 16,
            blocks_max: 256,
            fragmented_datagrams_max: 16,
            fragments_max: 256,
            ..Limits::DEFAULT
        };
        let config = CoreConfig { limits, ..CoreConfig::default() };
        let publisher = Arc::new(Publisher::new(ActivePlan::new(plan, 1)));
        let core = Core::new(config, Subscriber::new(publisher), Arc::new(CoreCounters::default()));
        Some(Self { nic: MemoryNic::new(2, 64), core })
    }

    /// Puts a frame in; returns the frames that leave, each with its port.
    fn turn(&mut self, frame: Option<(PortNo, &[u8])>, now_ms: u64) -> Vec<(PortNo, Vec<u8>)> {
        if let Some((port, bytes)) = frame {
            let spare = || MemoryFrame::with_capacity(FRAME_BYTES);
            let mut frame = self.nic.alloc().unwrap_or_else(spare);
            if !frame.load(bytes) {
                return Vec::new();
            }
            self.nic.arrive(port, frame);
        }
        turn(&mut self.nic, &mut self.core, now_ms);
        let mut left = Vec::new();
        for port in [CLIENT, SERVER] {
            let frames: Vec<MemoryFrame> = self.nic.sent(port).collect();
            for frame in frames {
                left.push((port, frame.as_ref().to_vec()));
                self.nic.recycle(frame);
            }
        }
        while self.nic.pool_frames() < 64 {
            self.nic.recycle(MemoryFrame::with_capacity(FRAME_BYTES));
        }
        left
    }
}

/// Plays a client's frames at a server whose first number is to look like `server_isn`: through a
/// box with `patch`, or without one.
pub fn play(frames: &[TimedFrame], server_isn: u32, patch: Option<&str>) -> Option<HeardByServer> {
    let to = frames.iter().find_map(|timed| Layers::ethernet(&timed.frame).ok().zip(Some(timed)));
    let (layers, timed) = to?;
    let address = match layers.version {
        wire::IpVersion::V4 => {
            IpAddr::from(*timed.frame.get(layers.ip + 16..)?.first_chunk::<4>()?)
        }
        wire::IpVersion::V6 => {
            IpAddr::from(*timed.frame.get(layers.ip + 24..)?.first_chunk::<16>()?)
        }
    };
    let port = u16::from_be_bytes(*timed.frame.get(layers.l4 + 2..)?.first_chunk()?);
    let between = match patch {
        Some(patch) => Some(EvasionBox::new(patch)?),
        None => None,
    };
    let mut stage = Playback {
        between,
        server: StackServer::new(address.into(), port, server_isn),
        now_ms: 0,
        heard: HeardByServer::default(),
    };
    for timed in frames {
        stage.wait(u64::from(timed.at_ms));
        stage.pass(CLIENT, timed.frame.clone());
    }
    let end = stage.now_ms + AFTER_MS;
    stage.wait(end);
    let mut heard = stage.heard;
    heard.streams = stage.server.heard();
    heard.open = stage.server.is_open();
    heard.panicked = stage.server.panicked;
    Some(heard)
}

struct Playback {
    between: Option<EvasionBox>,
    server: StackServer,
    now_ms: u64,
    heard: HeardByServer,
}

impl Playback {
    fn wait(&mut self, until_ms: u64) {
        while self.now_ms < until_ms {
            self.now_ms = (self.now_ms + STEP_MS).min(until_ms);
            let left = self.between.as_mut().map(|between| between.turn(None, self.now_ms));
            let mut under_way: VecDeque<_> =
                left.into_iter().flatten().map(|(to, frame)| (true, to, frame)).collect();
            let said = self.server.poll(self.now_ms * 1_000);
            under_way.extend(said.into_iter().map(|frame| (false, SERVER, frame)));
            self.settle(under_way);
        }
    }

    /// A frame comes to the box by a port.
    fn pass(&mut self, from: PortNo, frame: Vec<u8>) {
        self.settle(VecDeque::from([(false, from, frame)]));
    }

    /// Until nothing is under way: `(has it left the box, by which port, frame)`.
    fn settle(&mut self, mut under_way: VecDeque<(bool, PortNo, Vec<u8>)>) {
        while let Some((has_left, port, frame)) = under_way.pop_front() {
            if !has_left {
                let to = if port == CLIENT { SERVER } else { CLIENT };
                match &mut self.between {
                    None => under_way.push_back((true, to, frame)),
                    Some(between) => {
                        let left = between.turn(Some((port, &frame)), self.now_ms);
                        under_way.extend(left.into_iter().map(|(to, frame)| (true, to, frame)));
                    }
                }
            } else if port == SERVER {
                self.server.take(&frame);
                let said = self.server.poll(self.now_ms * 1_000);
                under_way.extend(said.into_iter().map(|frame| (false, SERVER, frame)));
            } else {
                self.client_hears(&frame);
            }
        }
    }

    fn client_hears(&mut self, frame: &[u8]) {
        let tcp = Layers::ethernet(frame)
            .ok()
            .and_then(|layers| Tcp::parse(frame.get(layers.l4..layers.ip_end)?));
        let Some(tcp) = tcp else { return };
        if tcp.flags().has(TcpFlags::RST) {
            self.heard.reset = true;
        } else if tcp.flags().has(TcpFlags::ACK) {
            self.heard.acknowledged.push(tcp.ack().raw());
        }
    }
}
