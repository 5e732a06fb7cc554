//! Plays whole conversations between two ideal endpoints through a connection.

use super::endpoint::{IdealEndpoint, Network, Profile, Wire};
use super::*;

/// What one run needs besides its stage.
pub(super) struct TestRun {
    pub(super) seed: u64,
    pub(super) profile: Profile,
    pub(super) data: [Vec<u8>; 2],
}

/// Prints the seed of a run that fails, wherever in it that happens.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed in the run with seed {}", self.0);
        }
    }
}

/// The two ends, the network, and the box between them.
struct World<'a, S> {
    seed: u64,
    stage: &'a mut S,
    stores: Stores,
    connection: Connection,
    out: Outputs,
    network: Network,
    ends: [IdealEndpoint; 2],
}

/// Plays the conversation to its end and answers what each side received: [server's, client's].
#[track_caller]
pub(super) fn play<S: Stage>(run: &TestRun, stage: &mut S) -> [Vec<u8>; 2] {
    let _print = PrintSeed(run.seed);
    let mut dice = Dice(run.seed ^ 0x5eed);
    let isn = |dice: &mut Dice| u32::MAX.wrapping_sub(dice.roll(60_000));
    let [request, response] = run.data.clone();
    let mut world = World {
        seed: run.seed,
        stage,
        stores: Stores::new(512, 4, Bounds::default()),
        connection: Connection::new(Tick(0)),
        out: Outputs::new(),
        network: Network::new(run.seed, run.profile),
        ends: [
            IdealEndpoint::new(isn(&mut dice), request, true, run.profile, run.seed + 1),
            IdealEndpoint::new(isn(&mut dice), response, false, run.profile, run.seed + 2),
        ],
    };
    let mut now = 0_u32;
    while now < 4_000_000 {
        world.poll_ends(now);
        while let Some((from, to_box, wire)) = world.network.deliver(now) {
            if to_box {
                world.on_segment(now, from, &wire);
            } else {
                // It left the box towards the peer of `from`.
                world.ends[1 - from].receive(now, &wire);
            }
        }
        let look = world.on_timeouts(now);
        if world.ends.iter().all(IdealEndpoint::is_done) {
            break;
        }
        let wakes = world.ends.iter().filter_map(|end| end.wakes(now));
        let next = wakes.chain(world.network.next()).chain(look).min();
        now = next.unwrap_or(now + 1).max(now + 1);
    }
    world.finish()
}

impl<S: Stage> World<'_, S> {
    fn poll_ends(&mut self, now: u32) {
        for (index, end) in self.ends.iter_mut().enumerate() {
            let mut sent = Vec::new();
            end.poll(now, &mut sent);
            for wire in sent {
                self.network.send(now, index, true, wire);
            }
        }
    }

    /// A segment of end `from` arrives at the box.
    fn on_segment(&mut self, now: u32, from: usize, wire: &Wire) {
        let Self { connection, stores, stage, out, network, seed, .. } = self;
        let direction = Direction::BOTH[from];
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload: &wire.payload };
        let outcome = connection.on_segment(direction, &segment, stores, *stage, Tick(now), out);
        let failed = matches!(
            outcome,
            SegmentOutcome::Broken | SegmentOutcome::Dead | SegmentOutcome::BadFlags
        );
        assert!(!failed, "seed {seed}: {outcome:?}");
        for output in out.list() {
            let from = if output.to == To::Receiver { from } else { 1 - from };
            let built = built(output, out, connection, direction, stores, wire);
            network.send(now, from, false, built);
        }
        if outcome == SegmentOutcome::Untouched {
            let [only] = out.list() else { panic!("untouched is one output") };
            assert_eq!(only.seq, segment.tcp.seq());
            assert!(out.onward_options().is_none());
        }
    }

    /// Does what is due, and answers when to look again.
    fn on_timeouts(&mut self, now: u32) -> Option<u32> {
        let Self { connection, stores, stage, out, network, .. } = self;
        let nothing = Wire::new(0, 0, TcpFlags::ACK, 0, &[], b"");
        let mut look = None;
        for direction in Direction::BOTH {
            if !connection.awaits_timeout(direction, stores) {
                continue;
            }
            look = Some(now + LOOK_AGAIN_MS);
            if connection.on_timeout(direction, stores, *stage, Tick(now), out).is_none() {
                continue;
            }
            for output in out.list() {
                let from = direction.index();
                let from = if output.to == To::Receiver { from } else { 1 - from };
                let built = built(output, out, connection, direction, stores, &nothing);
                network.send(now, from, false, built);
            }
        }
        look
    }

    /// Both ends are done, and no buffer is left.
    #[track_caller]
    fn finish(mut self) -> [Vec<u8>; 2] {
        let (seed, connection) = (self.seed, &self.connection);
        for (index, end) in self.ends.iter().enumerate() {
            let other = &self.ends[1 - index];
            assert!(
                end.is_done(),
                "seed {seed}: end {index} stalled: {end:?}\nother {other:?}\n{connection:?}",
            );
        }
        self.connection.release(&mut self.stores);
        let left = (self.stores.blocks().0, self.stores.in_flight().0);
        assert_eq!(left, (0, 0), "seed {seed}: leaked");
        let [client, server] = self.ends;
        [server.received, client.received]
    }
}

/// An output as a segment, made of `template` as the data path makes it of a frame.
pub(super) fn built(
    output: &Output,
    out: &Outputs,
    connection: &Connection,
    direction: Direction,
    stores: &Stores,
    template: &Wire,
) -> Wire {
    Wire::build(output, out, template, |at, len| {
        let mut bytes = vec![0; len];
        assert_eq!(connection.copy_out(direction, output.to, stores, at, &mut bytes), len);
        bytes
    })
}
