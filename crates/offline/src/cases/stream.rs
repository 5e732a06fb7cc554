//! A case over TCP: a handshake, the steps in segments both ways, and an orderly end.

use std::collections::VecDeque;

use patch::{Expect, TestCase, TestStep};
use stage::Direction;
use wire::number;

use super::ideal_host::{IN_FLIGHT_BYTES_MAX, IdealHost, OutgoingSegment};
use super::mismatch::Mismatch;
use super::segmentation::{Segmentation, pieces};
use super::test_box::TestBox;
use crate::ConnectionSide;

/// First retransmission timeout (RFC 6298 section 2).
const TIMEOUT_MS: u64 = 1_000;

/// Retransmissions without any progress after which a connection stalls.
const TIMEOUTS_MAX: u32 = 4;

/// Frames one run may cause; more go round in circles.
const FRAMES_MAX: usize = 400_000;

/// Runs all steps.
pub(super) fn run(
    test_box: &mut TestBox,
    case: &TestCase,
    cut: &Segmentation,
) -> Result<(), Mismatch> {
    let ports = test_box.ports();
    let hosts = [
        IdealHost::new(ConnectionSide::Client, ports),
        IdealHost::new(ConnectionSide::Server, ports),
    ];
    let mut talk = StreamRun { test_box, hosts, frames: 0, expected: [Vec::new(), Vec::new()] };
    talk.shake_hands()?;
    let mut start = 0_usize;
    for (no, step) in case.steps.iter().enumerate() {
        let next = case.steps.get(no.saturating_add(1));
        let turns = next.is_none_or(|next| next.direction != step.direction);
        let closed = talk.step(step, *cut, start, turns).map_err(|mut wrong| {
            if case.steps.len() > 1 {
                wrong.what = format!("step {}: {}", no.saturating_add(1), wrong.what);
            }
            wrong
        })?;
        if closed {
            return Ok(());
        }
        start = start.saturating_add(step.input.len());
    }
    talk.say_goodbye()?;
    talk.compare()
}

struct StreamRun<'a> {
    test_box: &'a mut TestBox,
    hosts: [IdealHost; 2],
    frames: usize,
    /// The bytes that each side must receive.
    expected: [Vec<u8>; 2],
}

impl StreamRun<'_> {
    fn host(&self, side: ConnectionSide) -> &IdealHost {
        let [client, server] = &self.hosts;
        match side {
            ConnectionSide::Client => client,
            ConnectionSide::Server => server,
        }
    }

    fn host_mut(&mut self, side: ConnectionSide) -> &mut IdealHost {
        let [client, server] = &mut self.hosts;
        match side {
            ConnectionSide::Client => client,
            ConnectionSide::Server => server,
        }
    }

    fn expected_mut(&mut self, side: ConnectionSide) -> &mut Vec<u8> {
        let [client, server] = &mut self.expected;
        match side {
            ConnectionSide::Client => client,
            ConnectionSide::Server => server,
        }
    }

    fn shake_hands(&mut self) -> Result<(), Mismatch> {
        let syn = self.host(ConnectionSide::Client).syn();
        self.send(ConnectionSide::Client, &syn)?;
        let answer = self.host(ConnectionSide::Server).syn();
        self.send(ConnectionSide::Server, &answer)?;
        if self.hosts.iter().any(|host| host.acknowledged() == 0) {
            return Err(Mismatch::new("no connection comes about"));
        }
        Ok(())
    }

    /// Sends one step. `true`: the connection was closed, as expected.
    fn step(
        &mut self,
        step: &TestStep,
        cut: Segmentation,
        start: usize,
        turns: bool,
    ) -> Result<bool, Mismatch> {
        let from = match step.direction {
            Direction::Request => ConnectionSide::Client,
            Direction::Response => ConnectionSide::Server,
        };
        let base = self.host(from).end();
        self.host_mut(from).give(&step.input);
        for piece in pieces(cut, start, step.input.len()) {
            let host = self.host(from);
            // The window reaches from the last acknowledged byte to the last byte of this piece.
            let reach = base.saturating_add(piece.end);
            if reach.saturating_sub(host.acknowledged()) > IN_FLIGHT_BYTES_MAX {
                self.resend(from, base.saturating_add(piece.start))?;
            }
            let host = self.host(from);
            let segment =
                host.data(base.saturating_add(piece.start), base.saturating_add(piece.end));
            self.send(from, &segment)?;
        }
        match &step.expect {
            Expect::Unchanged => self.expected_mut(from.other()).extend_from_slice(&step.input),
            Expect::Becomes(bytes) => self.expected_mut(from.other()).extend_from_slice(bytes),
            Expect::Reply(answer) => {
                self.expected_mut(from.other()).extend_from_slice(&answer.becomes);
                self.expected_mut(from).extend_from_slice(&answer.reply);
            }
            Expect::Dropped | Expect::Closed => {}
        }
        if turns && !self.hosts.iter().any(|host| host.reset) {
            self.resend(from, self.host(from).end())?;
        }
        match (&step.expect, self.hosts.each_ref().map(|host| host.reset)) {
            (Expect::Closed, [true, true]) => Ok(true),
            (Expect::Closed, [false, false]) if !turns => Ok(false),
            (Expect::Closed, [false, false]) => {
                Err(Mismatch::new("the connection was to be reset and lives on"))
            }
            (Expect::Closed, [client, _]) => {
                let alive = if client { ConnectionSide::Server } else { ConnectionSide::Client };
                Err(Mismatch::new(format!("{} is not told of the reset", alive.name())))
            }
            (Expect::Reply(answer), [false, false]) if answer.ends && turns => {
                if !self.host(from).has_all() {
                    return Err(Mismatch::new("the connection was to end and lives on"));
                }
                self.say_goodbye()?;
                self.compare()?;
                Ok(true)
            }
            (_, [false, false]) => Ok(false),
            (_, _) => Err(Mismatch::new("the connection is reset")),
        }
    }

    /// Lets the retransmission timer of `side` run until everything before `end` is acknowledged,
    /// or nothing moves any more.
    fn resend(&mut self, side: ConnectionSide, end: usize) -> Result<(), Mismatch> {
        let mut quiet = 0;
        while quiet < TIMEOUTS_MAX && self.host(side).acknowledged() < end {
            let before = self.progress();
            self.test_box.wait_ms(TIMEOUT_MS << quiet);
            let segment = self.host(side).again();
            self.send(side, &segment)?;
            if self.hosts.iter().any(|host| host.reset) {
                return Ok(());
            }
            quiet = if self.progress() == before { quiet + 1 } else { 0 };
        }
        if quiet == TIMEOUTS_MAX {
            return Err(Mismatch::new(format!(
                "the connection stalls: bytes of {} are never acknowledged",
                side.name()
            )));
        }
        Ok(())
    }

    fn progress(&self) -> [(usize, usize); 2] {
        self.hosts.each_ref().map(|host| (host.acknowledged(), host.received.len()))
    }

    /// Client first, as most protocols do.
    fn say_goodbye(&mut self) -> Result<(), Mismatch> {
        for side in [ConnectionSide::Client, ConnectionSide::Server] {
            let end = self.host(side).end();
            self.host_mut(side).finish();
            let segment = self.host(side).data(end, end.saturating_add(1));
            self.send(side, &segment)?;
        }
        for side in [ConnectionSide::Client, ConnectionSide::Server] {
            if self.host(side).unacknowledged() > 0 {
                self.resend(side, self.host(side).next())?;
            }
        }
        if self.hosts.iter().any(|host| host.reset) {
            return Err(Mismatch::new("the connection is reset at its end"));
        }
        Ok(())
    }

    fn compare(&self) -> Result<(), Mismatch> {
        let [client, server] = &self.expected;
        for (side, want) in [(ConnectionSide::Server, server), (ConnectionSide::Client, client)] {
            let got = &self.host(side).received;
            if got != want {
                let what = format!("{} gets other bytes", side.name());
                return Err(Mismatch::differs(&what, want, got));
            }
        }
        Ok(())
    }

    /// A segment, all that comes of it, and all acknowledgements, until nothing is under way.
    fn send(&mut self, from: ConnectionSide, segment: &OutgoingSegment) -> Result<(), Mismatch> {
        let frame = self.test_box.frame(from, number::TCP, &segment.l4);
        let mut under_way = VecDeque::from([(from, frame)]);
        while let Some((side, frame)) = under_way.pop_front() {
            self.frames = self.frames.saturating_add(1);
            if self.frames > FRAMES_MAX {
                return Err(Mismatch::new("frames go round in circles"));
            }
            for (to, left) in self.test_box.send(side, &frame)? {
                let host = self.host_mut(to);
                if host.take(&left)? {
                    let segment = host.acknowledge();
                    let frame = self.test_box.frame(to, number::TCP, &segment.l4);
                    under_way.push_back((to, frame));
                }
            }
        }
        Ok(())
    }
}
