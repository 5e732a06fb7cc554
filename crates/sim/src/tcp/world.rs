//! Two hosts, four links and the box, on one clock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datapath::memory::{FRAME_BYTES, MemoryFrame, MemoryNic};
use datapath::{
    ActivePlan, Core, CoreConfig, CoreCounters, FrameFate, FramePool as _, Limits, Reason, turn,
};
use flow::limits::Bounds;
use offline::ConnectionSide;
use patch::{Group, Options, Patch, compile};
use plan::{Publisher, Subscriber};
use wire::TcpFlags;

use super::checks::{self, HeardCheck, OneTruth};
use super::exchange::Exchange;
use super::impaired_link::{self, ImpairedLink};
use super::outcome::{FailureKind, PlayOptions, SimFailure};
use super::setup::Setup;
use super::stack_host::StackHost;
use super::trace::Trace;
use crate::dice::Dice;

/// Frames of the box's pool.
const POOL_FRAMES: usize = 256;

/// The box looks at its clock so often while there is something to do.
const TURN_US: u64 = 20_000;

/// The box must release everything that it holds within this time after the last frame.
const TURNS_US: u64 = 10_000_000;

/// While the box keeps something it may have to send it again, which it does every 64 seconds in
/// the end.
const RESENDS_US: u64 = 10 * 64_000_000;
const LATE_TURN_US: u64 = 500_000;

/// An end that hears something at least so often is not stalled: longer than a stack's longest
/// patience.
const SLOW_US: u64 = 200_000_000;

/// Steps of a run, against runs without end.
const STEPS_MAX: u64 = 3_000_000;

/// How a run ended, where nothing went wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct RunTotals {
    pub(super) frames: u64,
    pub(super) clock_us: u64,
    /// The beginnings of matches were let go.
    pub(super) inexact: bool,
    pub(super) past_window: u64,
}

pub(super) struct SimWorld<'a> {
    setup: &'a Setup,
    exchange: &'a Exchange,
    now: u64,
    hosts: [StackHost; 2],
    /// From the client, to the client, from the server, to the server.
    links: [ImpairedLink; 4],
    nic: MemoryNic,
    core: Core<MemoryFrame>,
    counted: Vec<u64>,
    frames: u64,
    next_turn: u64,
    busy_until: u64,
    truths: [OneTruth; 2],
    hears: [HeardCheck; 2],
    past_window: u64,
    /// An end may reset: it gave up.
    aborted: bool,
    /// When an end last heard something, and how much both have heard.
    heard: (u64, usize),
    /// There is no box.
    bare: bool,
    pub(super) trace: Trace,
}

/// The plan of a talk's patches.
fn plan(exchange: &Exchange) -> Result<plan::Plan, SimFailure> {
    let wrong = |what: String| SimFailure::new(FailureKind::Panicked, what);
    let mut patches = Vec::new();
    for text in &exchange.patches {
        let read = Patch::from_yaml("sim.yaml", text);
        patches.push(read.map_err(|found| wrong(format!("a patch is wrong: {found:?}")))?);
    }
    compile(&patches, &[Group::everywhere(patches.len())], &Options::default())
        .map_err(|found| wrong(format!("the patches do not compile: {found:?}")))
}

impl<'a> SimWorld<'a> {
    pub(super) fn new(
        seed: u64,
        setup: &'a Setup,
        exchange: &'a Exchange,
        play: &PlayOptions,
    ) -> Result<Self, SimFailure> {
        let publisher = Arc::new(Publisher::new(ActivePlan::new(plan(exchange)?, 1)));
        let limits = Limits {
            flows_max: 16,
            blocks_max: setup.blocks,
            // Applications here pause for hours in the middle of a message.
            flow: Bounds { unit_hold_ms: 4 * 60 * 60 * 1_000, ..Bounds::DEFAULT },
            fragmented_datagrams_max: 4,
            fragments_max: 64,
            ..Limits::DEFAULT
        };
        let config = CoreConfig { limits, ..CoreConfig::default() };
        let core = Core::new(config, Subscriber::new(publisher), Arc::new(CoreCounters::default()));
        let [from_client, to_client, from_server, to_server] = setup.links;
        let link = |of, part, mtu| ImpairedLink::new(of, Dice::of(seed, part), setup.calm_ms, mtu);
        let [client, server] = [setup.hosts[0].mtu, setup.hosts[1].mtu];
        Ok(Self {
            setup,
            exchange,
            now: 0,
            hosts: [
                StackHost::new(ConnectionSide::Client, seed, setup, exchange),
                StackHost::new(ConnectionSide::Server, seed, setup, exchange),
            ],
            links: [
                link(from_client, 10, server),
                link(to_client, 11, client),
                link(from_server, 12, client),
                link(to_server, 13, server),
            ],
            nic: MemoryNic::new(2, POOL_FRAMES),
            core,
            counted: vec![0; Reason::ALL.len()],
            frames: 0,
            next_turn: 0,
            busy_until: 0,
            truths: [OneTruth::default(), OneTruth::default()],
            hears: [
                HeardCheck::new(ConnectionSide::Client, exchange, play.exact),
                HeardCheck::new(ConnectionSide::Server, exchange, play.exact),
            ],
            past_window: 0,
            aborted: false,
            heard: (0, 0),
            bare: play.bare || play.unpatched,
            trace: Trace::new(play.trace),
        })
    }

    /// Until both ends are through, or something is wrong.
    pub(super) fn run(&mut self) -> Result<RunTotals, SimFailure> {
        let limit = self.setup.limit_us(self.exchange);
        for side in ConnectionSide::BOTH {
            self.poll(side)?;
        }
        let mut steps = 0_u64;
        while !self.hosts.iter().all(StackHost::is_over) {
            steps += 1;
            let next = self.next_us().filter(|next| *next <= limit && steps < STEPS_MAX);
            let Some(next) = next else {
                return if self.aborted { self.finish() } else { Err(self.stalled()) };
            };
            self.now = next;
            self.step()?;
        }
        self.finish()
    }

    fn stalled(&self) -> SimFailure {
        let [client, server] = self.hosts.each_ref().map(StackHost::describe);
        let seconds = self.now / 1_000_000;
        let slow = self.now.saturating_sub(self.heard.0) < SLOW_US;
        let kind = if slow { FailureKind::Slow } else { FailureKind::Stalled };
        let counters = self.core.counters();
        let what = format!(
            "nothing ends within {seconds} s: {client}; {server}; {} half-streams in flight",
            counters.held_segments.load()
        );
        SimFailure::new(kind, what)
    }

    fn next_us(&mut self) -> Option<u64> {
        let now = self.now;
        let hosts = self.hosts.iter_mut().filter_map(|host| host.next_us(now)).min();
        let links = self.links.iter().filter_map(ImpairedLink::next_us).min();
        let holds = self.core.counters().held_segments.load() > 0;
        let busy = self.busy_until + if holds { RESENDS_US } else { 0 };
        let turn = (self.now < busy).then_some(self.next_turn);
        let abort = self.setup.abort.filter(|_| !self.aborted).map(|(_, at)| at * 1_000);
        [hosts, links, turn, abort].into_iter().flatten().map(|at| at.max(now)).min()
    }

    /// Everything that is due.
    fn step(&mut self) -> Result<(), SimFailure> {
        if let Some((side, at)) = self.setup.abort.filter(|_| !self.aborted)
            && at * 1_000 <= self.now
        {
            self.aborted = true;
            self.trace.note(self.now, &format!("{} gives up", side.name()));
            self.hosts[side.index()].abort();
        }
        for side in ConnectionSide::BOTH {
            let link = 2 * side.index();
            let mut events = Vec::new();
            while let Some(frame) = self.links[link].take(self.now, &mut events) {
                self.arrive(side, &frame)?;
            }
            while let Some(frame) = self.links[link + 1].take(self.now, &mut events) {
                self.trace.frame(self.now, &format!("{} <", side.letter()), &frame, "");
                self.hosts[side.index()].take(&frame);
            }
            self.trace.events(self.now, &events);
        }
        if self.next_turn <= self.now {
            turn(&mut self.nic, &mut self.core, self.now / 1_000);
            self.left(None)?;
        }
        let heard = self.hosts.iter().map(|host| host.received.len()).sum();
        if heard != self.heard.1 {
            self.heard = (self.now, heard);
        }
        for side in ConnectionSide::BOTH {
            self.poll(side)?;
            let host = &self.hosts[side.index()];
            if !self.aborted {
                self.hears[side.index()].check(self.exchange, &host.received)?;
            }
        }
        Ok(())
    }

    /// A host does what is due, and what it sends goes on its link.
    fn poll(&mut self, side: ConnectionSide) -> Result<(), SimFailure> {
        let mut frames = Vec::new();
        let (host, now) = (&mut self.hosts[side.index()], self.now);
        if catch_unwind(AssertUnwindSafe(|| host.poll(now, &mut frames))).is_err() {
            let what = format!("the stack of {} panicked", side.name());
            return Err(SimFailure::new(FailureKind::StackPanicked, what));
        }
        for frame in frames {
            let mut events = Vec::new();
            self.trace.frame(self.now, &format!("{} >", side.letter()), &frame, "");
            self.links[2 * side.index()].put(self.now, frame, &mut events);
            self.trace.events(self.now, &events);
        }
        Ok(())
    }

    /// A frame comes to the box from `side`.
    fn arrive(&mut self, side: ConnectionSide, bytes: &[u8]) -> Result<(), SimFailure> {
        self.frames += 1;
        if self.bare {
            self.trace.frame(self.now, &format!("{} >>", side.letter()), bytes, "no box");
            self.links[2 * side.other().index() + 1].put(self.now, bytes.to_vec(), &mut Vec::new());
            return Ok(());
        }
        let mut frame = self.nic.alloc().unwrap_or_else(|| MemoryFrame::with_capacity(FRAME_BYTES));
        if !datapath::Frame::load(&mut frame, bytes) {
            return Err(SimFailure::new(
                FailureKind::BadFrame,
                "a host sent a frame no link takes",
            ));
        }
        self.nic.arrive(side.port(), frame);
        self.busy_until = self.now + TURNS_US;
        turn(&mut self.nic, &mut self.core, self.now / 1_000);
        self.left(Some((side, bytes)))
    }

    /// What left the box, caused by a frame or by time.
    fn left(&mut self, cause: Option<(ConnectionSide, &[u8])>) -> Result<(), SimFailure> {
        self.next_turn = self.now + if self.now < self.busy_until { TURN_US } else { LATE_TURN_US };
        let reason = self.reason(cause.is_some())?;
        if let Some((side, bytes)) = cause {
            let label = reason.map_or("", Reason::label);
            self.trace.frame(self.now, &format!("{} >>", side.letter()), bytes, label);
        }
        for to in ConnectionSide::BOTH {
            let frames: Vec<MemoryFrame> = self.nic.sent(to.port()).collect();
            for frame in frames {
                self.check(reason, to, frame.as_ref())?;
                self.trace.frame(self.now, &format!("  >> {}", to.letter()), frame.as_ref(), "");
                let mut events = Vec::new();
                self.links[2 * to.index() + 1].put(self.now, frame.as_ref().to_vec(), &mut events);
                self.trace.events(self.now, &events);
                self.nic.recycle(frame);
            }
        }
        // What the box dropped is a new frame's room in its driver's pool.
        while self.nic.pool_frames() < POOL_FRAMES {
            self.nic.recycle(MemoryFrame::with_capacity(FRAME_BYTES));
        }
        Ok(())
    }

    /// The reason of the frame that came last.
    fn reason(&mut self, came: bool) -> Result<Option<Reason>, SimFailure> {
        let mut given = Vec::new();
        for (reason, before) in Reason::ALL.iter().zip(&mut self.counted) {
            let now = self.core.counters().reason(*reason);
            let more = now - std::mem::replace(before, now);
            given.extend((0..more).map(|_| *reason));
        }
        if given.len() != usize::from(came) {
            let what = format!("{} frames came, counted under {given:?}", u8::from(came));
            return Err(SimFailure::new(FailureKind::Unaccounted, what));
        }
        Ok(given.first().copied())
    }

    fn check(
        &mut self,
        reason: Option<Reason>,
        to: ConnectionSide,
        frame: &[u8],
    ) -> Result<(), SimFailure> {
        let Some((layers, tcp)) = impaired_link::read(frame) else {
            if reason.is_some_and(|reason| reason.fate() == FrameFate::Untouched) {
                return Ok(());
            }
            let what = format!("{reason:?} left what its receiver discards");
            return Err(SimFailure::new(FailureKind::BadFrame, what));
        };
        let from = to.other();
        let probes = self.setup.host(from).keep_alive_ms > 0;
        checks::fits(frame, &layers, to, self.setup.host(to).mtu)?;
        checks::acknowledges(&tcp, to, self.hosts[to.index()].highest)?;
        self.truths[to.index()].take(&tcp, layers.payload_of(frame), probes)?;
        let end = tcp.seq().advance(u32::try_from(layers.payload_len()).unwrap_or(0));
        let past = self.hosts[to.index()].granted.is_some_and(|granted| end.is_after(granted));
        self.past_window += u64::from(past);
        let reset = tcp.flags().has(TcpFlags::RST);
        let over = self.hosts.iter().any(StackHost::is_over);
        if reset && !self.aborted && !over {
            let what = format!("{} is sent a reset, for {reason:?}", to.name());
            return Err(SimFailure::new(FailureKind::Reset, what));
        }
        Ok(())
    }

    /// Both ends are through: they have heard everything, and nothing is left of the connection.
    fn finish(&mut self) -> Result<RunTotals, SimFailure> {
        if !self.aborted {
            for side in ConnectionSide::BOTH {
                let host = &self.hosts[side.index()];
                self.hears[side.index()].finish(self.exchange, &host.received)?;
                if !host.is_done() {
                    let what = format!("it ends before all is said: {}", host.describe());
                    return Err(SimFailure::new(FailureKind::Reset, what));
                }
            }
        }
        let done = RunTotals {
            frames: self.frames,
            clock_us: self.now,
            past_window: self.past_window,
            inexact: self.hears.iter().any(|hears| hears.inexact_at.is_some()),
        };
        // Longer than an open connection may be silent; and again, as one that was reset for it may
        // have to answer for so long.
        let hours = 3 * 3_600 * 1_000;
        for later in [hours, 2 * hours] {
            for _ in 0..8 {
                turn(&mut self.nic, &mut self.core, self.now / 1_000 + later);
            }
        }
        let counters = self.core.counters();
        let left = [
            ("connections", counters.flows.load()),
            ("half-streams in flight", counters.held_segments.load()),
            ("bytes held", counters.held_bytes.load()),
        ];
        for (what, left) in left {
            if left > 0 {
                let what = format!("{left} {what} are left six hours later");
                return Err(SimFailure::new(FailureKind::LeftBehind, what));
            }
        }
        Ok(done)
    }
}
