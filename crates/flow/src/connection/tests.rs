//! Whole conversations between two ideal endpoints, compared with "edit the whole stream, then compare".

mod answers;
mod endpoint;
mod forged;
mod stages;

use super::*;
use crate::limits::{Bounds, LOOK_AGAIN_MS, PATTERN_HOLD_MS, RESEND_MS};
use endpoint::{Endpoint, Network, Profile, Wire};
use stage::{ConnectionEnd, Edit, InspectContext, Inspected, Next};
use stages::{Frames, Tokens, Untouched};

/// A number generator small enough to read.
#[derive(Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, bound: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % bound.max(1)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.roll(100) < percent
    }
}

/// What one run needs besides its stage.
struct TestRun {
    seed: u64,
    profile: Profile,
    data: [Vec<u8>; 2],
}

/// Says which run it was that failed, wherever in it that happened.
struct Name(u64);

impl Drop for Name {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("failed in the run with seed {}", self.0);
        }
    }
}

/// Plays the conversation to its end and answers what each side received: [server's, client's].
#[track_caller]
fn play<S: Stage>(run: &TestRun, stage: &mut S) -> [Vec<u8>; 2] {
    let _name = Name(run.seed);
    let mut stores = Stores::new(512, 4, Bounds::default());
    let mut connection = Connection::new(Tick(0));
    let mut out = Outputs::new();
    let mut network = Network::new(run.seed, run.profile);
    let [request, response] = run.data.clone();
    let mut dice = Dice(run.seed ^ 0x5eed);
    let isn = |dice: &mut Dice| u32::MAX.wrapping_sub(dice.roll(60_000));
    let mut ends = [
        Endpoint::new(isn(&mut dice), request, true, run.profile, run.seed + 1),
        Endpoint::new(isn(&mut dice), response, false, run.profile, run.seed + 2),
    ];
    let mut now = 0_u32;
    while now < 4_000_000 {
        for (index, end) in ends.iter_mut().enumerate() {
            let mut sent = Vec::new();
            end.poll(now, &mut sent);
            for wire in sent {
                network.send(now, index, true, wire);
            }
        }
        while let Some((from, to_box, wire)) = network.deliver(now) {
            if !to_box {
                // It left the box towards the peer of `from`.
                ends[1 - from].receive(now, &wire);
                continue;
            }
            let direction = if from == 0 { Direction::Request } else { Direction::Response };
            let tcp = wire::Tcp::parse(&wire.header).unwrap();
            let segment = SegmentIn { tcp, payload: &wire.payload };
            let outcome =
                connection.on_segment(direction, &segment, &mut stores, stage, Tick(now), &mut out);
            assert!(
                !matches!(
                    outcome,
                    SegmentOutcome::Broken | SegmentOutcome::Dead | SegmentOutcome::BadFlags
                ),
                "seed {}: {outcome:?}",
                run.seed
            );
            for output in out.list() {
                let built = Wire::build(output, &out, &wire, |at, len| {
                    let mut bytes = vec![0; len];
                    assert_eq!(
                        connection.copy_out(direction, output.to, &stores, at, &mut bytes),
                        len
                    );
                    bytes
                });
                match output.to {
                    To::Receiver => network.send(now, from, false, built),
                    To::Sender => network.send(now, 1 - from, false, built),
                }
            }
            if outcome == SegmentOutcome::Untouched {
                let [only] = out.list() else { panic!("untouched is one output") };
                assert_eq!(only.seq, segment.tcp.seq());
                assert!(out.onward_options().is_none());
            }
        }
        let mut look = None;
        for (from, direction) in [Direction::Request, Direction::Response].into_iter().enumerate() {
            if !connection.awaits_timeout(direction, &stores) {
                continue;
            }
            look = Some(now + LOOK_AGAIN_MS);
            if connection.on_timeout(direction, &mut stores, stage, Tick(now), &mut out).is_none() {
                continue;
            }
            for output in out.list() {
                let from = if output.to == To::Receiver { from } else { 1 - from };
                network.send(now, from, false, made(output, &out, &connection, direction, &stores));
            }
        }
        if ends.iter().all(Endpoint::is_done) {
            break;
        }
        let wakes = ends.iter().filter_map(|end| end.wakes(now));
        let next = wakes.chain(network.next()).chain(look).min();
        now = next.unwrap_or(now + 1).max(now + 1);
    }
    for (index, end) in ends.iter().enumerate() {
        let other = &ends[1 - index];
        assert!(
            end.is_done(),
            "seed {}: end {index} stalled: {end:?}\nother {other:?}\n{connection:?}",
            run.seed
        );
    }
    connection.release(&mut stores);
    assert_eq!((stores.blocks().0, stores.in_flight().0), (0, 0), "seed {}: leaked", run.seed);
    let [client, server] = ends;
    [server.received, client.received]
}

/// A segment for which no frame came.
fn made(
    output: &Output,
    out: &Outputs,
    connection: &Connection,
    direction: Direction,
    stores: &Stores,
) -> Wire {
    let nothing = Wire::new((0, 0), TcpFlags::ACK, 0, &[], b"");
    Wire::build(output, out, &nothing, |at, len| {
        let mut bytes = vec![0; len];
        assert_eq!(connection.copy_out(direction, output.to, stores, at, &mut bytes), len);
        bytes
    })
}

fn random_bytes(dice: &mut Dice, len: u32) -> Vec<u8> {
    (0..len).map(|_| dice.roll(256) as u8).collect()
}

fn text_with_tokens(dice: &mut Dice, len: u32) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < len as usize {
        match dice.roll(6) {
            0 | 1 => text.extend(b"TOKEN"),
            2 => text.extend(&b"TOKEN"[..dice.roll(5) as usize]),
            _ => text.push(b'a' + dice.roll(26) as u8),
        }
    }
    text
}

fn profile(dice: &mut Dice) -> Profile {
    let rough = dice.chance(70);
    Profile {
        loss: if rough { dice.roll(20) } else { 0 },
        duplicates: if rough { dice.roll(10) } else { 0 },
        jitter: if rough { dice.roll(30) } else { 0 },
        segment: [1, 7, 100, 536, 1460][dice.roll(5) as usize],
        window: [2_000, 9_000, 40_000, 65_535][dice.roll(4) as usize],
        nagle: dice.chance(30),
        mss: [200, 536, 1460][dice.roll(3) as usize],
        selective: dice.chance(50),
    }
}

fn length(dice: &mut Dice, profile: &Profile) -> u32 {
    // Few bytes in the smallest segments, so that thousands of runs stay quick.
    let most = match profile.segment {
        0..=7 => 300,
        8..=100 => 4_000,
        _ => 40_000,
    };
    dice.roll(most)
}

#[test]
fn frames_held_skipped_discarded_grown_and_shrunk() {
    for seed in 0..600_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let profile = profile(&mut dice);
        let data = [0; 2].map(|_| {
            let len = length(&mut dice, &profile);
            Frames::stream(&mut dice, len)
        });
        let want = [0, 1].map(|direction| Frames::edited(&data[direction]));
        let got = play(&TestRun { seed, profile, data }, &mut Frames::default());
        assert!(got == want, "seed {seed}");
    }
}

#[test]
fn tokens_deleted_wherever_they_fall() {
    for seed in 0..600_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 77);
        let profile = profile(&mut dice);
        let data = [0; 2].map(|_| {
            let len = length(&mut dice, &profile) / 4;
            text_with_tokens(&mut dice, len)
        });
        let mut stage = Tokens::default();
        let run = TestRun { seed, profile, data };
        let got = play(&run, &mut stage);
        for (direction, got) in got.iter().enumerate() {
            assert!(stage.decided(direction) == got, "seed {seed}, direction {direction}");
            assert!(
                !got.windows(5).any(|five| five == b"TOKEN"),
                "seed {seed}, direction {direction}"
            );
            if stage.released(direction) == 0 {
                let want =
                    String::from_utf8(run.data[direction].clone()).unwrap().replace("TOKEN", "");
                assert!(got == want.as_bytes(), "seed {seed}, direction {direction}");
            }
        }
    }
}

#[test]
fn identity_when_nothing_is_edited() {
    for seed in 0..200_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 99);
        let profile = profile(&mut dice);
        let data = [0; 2].map(|_| {
            let len = length(&mut dice, &profile);
            random_bytes(&mut dice, len)
        });
        let rest = seed % 2 == 0;
        let run = TestRun { seed, profile, data };
        let [server, client] = play(&run, &mut Untouched { rest });
        assert!(server == run.data[0] && client == run.data[1], "seed {seed}");
    }
}

#[test]
fn an_idle_connection_is_small() {
    let bytes = size_of::<Connection>();
    assert!(bytes <= 128, "{bytes}");
}

/// Deletes every byte.
struct Swallows;

impl Stage for Swallows {
    fn inspect(&mut self, _: Direction, _: &[u8], _: InspectContext) -> Inspected {
        Inspected {
            decided: 0,
            next: Next::SkipRest { discard: true },
            answer: false,
            end: ConnectionEnd::GoesOn,
        }
    }

    fn edit(&self, _: usize) -> Option<Edit<'_>> {
        None
    }
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//# then treat the arriving segment as not acceptable
#[test]
fn an_acknowledgement_made_before_the_server_has_sent_data_carries_the_stamp_of_its_syn() {
    let stamps = |value: u32, echo: u32| {
        let mut options = vec![1, 1, 8, 10];
        options.extend(value.to_be_bytes());
        options.extend(echo.to_be_bytes());
        options
    };
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let handshake = [
        (Direction::Request, Wire::new((99, 0), syn, 1000, &stamps(7, 0), b"")),
        (
            Direction::Response,
            Wire::new((499, 100), syn.with(ack), 1000, &stamps(692_308_891, 7), b""),
        ),
        (Direction::Request, Wire::new((100, 500), ack, 1000, &stamps(8, 692_308_891), b"")),
        (Direction::Request, Wire::new((100, 500), ack, 1000, &stamps(9, 692_308_891), b"data")),
    ];
    let mut stores = Stores::new(512, 4, Bounds::default());
    let mut connection = Connection::new(Tick(0));
    let mut out = Outputs::new();
    for (direction, wire) in &handshake {
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload: &wire.payload };
        connection.on_segment(*direction, &segment, &mut stores, &mut Swallows, Tick(0), &mut out);
    }
    assert!(out.list().iter().any(|output| output.to == To::Sender));
    assert_eq!(out.back_options(), stamps(692_308_891, 9));
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//# then treat the arriving segment as not acceptable
#[test]
fn an_acknowledgement_made_here_carries_the_latest_stamp_though_an_older_one_came_late() {
    let stamps = |value: u32, echo: u32| {
        let mut options = vec![1, 1, 8, 10];
        options.extend(value.to_be_bytes());
        options.extend(echo.to_be_bytes());
        options
    };
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    // The server's clock wraps between two acknowledgements, and the later one comes first.
    let (one, three) = (u32::MAX, 1);
    let segments = [
        (Direction::Request, Wire::new((99, 0), syn, 1000, &stamps(7, 0), b"")),
        (Direction::Response, Wire::new((499, 100), syn.with(ack), 1000, &stamps(one - 1, 7), b"")),
        (Direction::Request, Wire::new((100, 500), ack, 1000, &stamps(8, one), b"")),
        (Direction::Response, Wire::new((500, 100), ack, 1000, &stamps(three, 8), b"")),
        (Direction::Response, Wire::new((500, 100), ack, 1000, &stamps(one, 8), b"")),
        (Direction::Request, Wire::new((100, 500), ack, 1000, &stamps(9, one), b"data")),
    ];
    let mut stores = Stores::new(512, 4, Bounds::default());
    let mut connection = Connection::new(Tick(0));
    let mut out = Outputs::new();
    for (direction, wire) in &segments {
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload: &wire.payload };
        connection.on_segment(*direction, &segment, &mut stores, &mut Swallows, Tick(0), &mut out);
    }
    assert!(out.list().iter().any(|output| output.to == To::Sender));
    assert_eq!(out.back_options(), stamps(three, 9));
}

/// What is sent for one segment of these numbers and bytes, to the receiver and to the sender: (seq, ack, payload).
type Sent = [Vec<(u32, u32, Vec<u8>)>; 2];

struct Alone<S = Tokens> {
    stores: Stores,
    connection: Connection,
    out: Outputs,
    stage: S,
}

impl<S: Stage> Alone<S> {
    /// Behind the handshake: the client's next byte is 100, the server's 500.
    fn new(stage: S) -> Self {
        let (stores, connection) =
            (Stores::new(512, 4, Bounds::default()), Connection::new(Tick(0)));
        let mut alone = Self { stores, connection, out: Outputs::new(), stage };
        let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
        alone.send(0, Direction::Request, (99, 0), syn, b"");
        alone.send(0, Direction::Response, (499, 100), syn.with(ack), b"");
        alone.send(0, Direction::Request, (100, 500), ack, b"");
        alone
    }

    fn send(
        &mut self,
        now: u32,
        direction: Direction,
        numbers: (u32, u32),
        flags: TcpFlags,
        payload: &[u8],
    ) -> Sent {
        let wire = Wire::new(numbers, flags, 1_000, &[], payload);
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload };
        let Self { stores, connection, out, stage } = self;
        connection.on_segment(direction, &segment, stores, stage, Tick(now), out);
        self.sent(direction, &wire)
    }

    fn on_timeout(&mut self, now: u32) -> Option<Sent> {
        let Self { stores, connection, out, stage } = self;
        connection.on_timeout(Direction::Request, stores, stage, Tick(now), out)?;
        Some(self.sent(Direction::Request, &Wire::new((0, 0), TcpFlags::ACK, 0, &[], b"")))
    }

    fn sent(&self, direction: Direction, wire: &Wire) -> Sent {
        let mut sent = Sent::default();
        for output in self.out.list() {
            let built = Wire::build(output, &self.out, wire, |at, len| {
                let mut bytes = vec![0; len];
                assert_eq!(
                    self.connection.copy_out(direction, output.to, &self.stores, at, &mut bytes),
                    len
                );
                bytes
            });
            let numbers = (output.seq.raw(), output.ack.raw(), built.payload);
            sent[usize::from(output.to == To::Sender)].push(numbers);
        }
        sent
    }
}

#[test]
fn a_keep_alive_of_who_said_what_is_held_acknowledges_as_well() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    alone.send(1, Direction::Request, (100, 500), ack, b"TOK");
    // The server's window is known, and that it has got nothing.
    alone.send(2, Direction::Response, (500, 100), ack, b"");
    let [onward, back] = alone.send(3, Direction::Request, (102, 500), ack, b"\0");
    assert_eq!(onward, [(99, 500, vec![]), (100, 500, vec![])]);
    assert_eq!(back, []);
    // It challenged something, and still is in SYN-RECEIVED.
    let [_, back] = alone.send(4, Direction::Response, (499, 100), ack.with(TcpFlags::SYN), b"");
    assert_eq!(back, [(100, 500, vec![])]);
}

#[test]
fn what_waits_behind_a_gap_is_decided_in_a_pool_that_could_not_hold_it_twice() {
    const SEGMENT: u32 = 1_000;
    const COUNT: u32 = 90;
    let mut alone = Alone::new(Tokens::default());
    alone.stores = Stores::new(64, 4, Bounds::default());
    let bytes = |n: u32| vec![b'a' + u8::try_from(n % 26).unwrap(); 1_000];
    let mut sent = Vec::new();
    for n in 1..COUNT {
        let at = 100 + n * SEGMENT;
        let [onward, _] = alone.send(n, Direction::Request, (at, 500), TcpFlags::ACK, &bytes(n));
        assert!(onward.iter().all(|(.., bytes)| bytes.is_empty()), "{onward:?}");
    }
    // A quarter of the pool, 16 blocks of 2 KiB, is left to what is in order: of 90 kB ahead of the gap, some was dropped.
    let mut n = 0;
    let mut acknowledged = 100;
    while n < COUNT && sent.len() < 1_000 {
        let at = 100 + n * SEGMENT;
        let [onward, _] = alone.send(n, Direction::Request, (at, 500), TcpFlags::ACK, &bytes(n));
        assert!(onward.iter().any(|(.., bytes)| !bytes.is_empty()), "segment {n} goes nowhere");
        for (seq, _, bytes) in onward {
            acknowledged = acknowledged.max(seq + u32::try_from(bytes.len()).unwrap());
            sent.push(bytes);
        }
        alone.send(n, Direction::Response, (500, acknowledged), TcpFlags::ACK, b"");
        n = (acknowledged - 100) / SEGMENT;
    }
    let whole: Vec<u8> = (0..COUNT).flat_map(bytes).collect();
    assert_eq!(sent.concat(), whole);
}

#[test]
fn the_beginning_of_a_pattern_is_let_go_after_its_deadline_and_sent_until_it_arrives() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    let [onward, back] = alone.send(10, Direction::Request, (100, 500), ack, b"TOK");
    assert_eq!(onward, [(100, 500, vec![])], "its acknowledgement goes on, and no byte");
    assert_eq!(back, [(500, 103, vec![])], "its sender may go on");
    // The server has not heard it, and is still in SYN-RECEIVED; the client sends nothing again.
    let [_, back] = alone.send(11, Direction::Response, (499, 100), ack.with(TcpFlags::SYN), b"");
    assert_eq!(back, [(100, 500, vec![])]);
    assert!(alone.connection.awaits_timeout(Direction::Request, &alone.stores));
    assert_eq!(alone.on_timeout(9 + PATTERN_HOLD_MS), None);
    let due = 10 + PATTERN_HOLD_MS;
    let lost = vec![(100, 500, b"TOK".to_vec())];
    assert_eq!(alone.on_timeout(due), Some([lost.clone(), vec![]]));
    assert_eq!(alone.on_timeout(due), None, "the wait for its acknowledgement begins");
    assert_eq!(alone.on_timeout(due + RESEND_MS - 1), None);
    assert_eq!(alone.on_timeout(due + RESEND_MS), Some([lost.clone(), vec![]]));
    assert_eq!(alone.on_timeout(due + 3 * RESEND_MS - 1), None);
    assert_eq!(alone.on_timeout(due + 3 * RESEND_MS), Some([lost, vec![]]), "twice as long");
    let [to_client, _] = alone.send(due + 4_000, Direction::Response, (500, 103), ack, b"");
    assert_eq!(to_client, [(500, 103, vec![])]);
    assert!(!alone.connection.awaits_timeout(Direction::Request, &alone.stores));
    // What would complete the pattern now is taken away.
    let [onward, _] = alone.send(due + 5_000, Direction::Request, (103, 500), ack, b"ENx");
    assert_eq!(onward, [(103, 500, b"x".to_vec())]);
}

#[test]
fn a_pattern_whose_middle_is_late_is_not_let_go() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    alone.send(0, Direction::Request, (100, 500), ack, b"aTO");
    alone.send(1, Direction::Response, (500, 101), ack, b"");
    // "KE" is lost; its sender will send it again, whenever that is.
    alone.send(2, Direction::Request, (105, 500), ack, b"Nb");
    assert_eq!(alone.on_timeout(60_000), None);
    let [onward, _] = alone.send(60_001, Direction::Request, (103, 500), ack, b"KE");
    assert_eq!(onward, [(101, 500, b"b".to_vec())]);
}

//= https://www.rfc-editor.org/rfc/rfc7323#section-5.3
//= type=test
//# SEG.TSval < TS.Recent
#[test]
fn bytes_under_an_old_timestamp_are_not_what_was_said_first() {
    let mut alone = Alone::new(Tokens::default());
    let send = |alone: &mut Alone, seq: u32, value: u32, payload: &[u8]| {
        let mut options = vec![1, 1, 8, 10];
        options.extend(value.to_be_bytes());
        options.extend([0; 4]);
        let wire = Wire::new((seq, 500), TcpFlags::ACK, 1_000, &options, payload);
        let tcp = wire::Tcp::parse(&wire.header).unwrap();
        let segment = SegmentIn { tcp, payload };
        let Alone { stores, connection, out, stage } = alone;
        let outcome =
            connection.on_segment(Direction::Request, &segment, stores, stage, Tick(0), out);
        (outcome, alone.sent(Direction::Request, &wire)[0].clone())
    };
    assert_eq!(send(&mut alone, 100, 700, b"abc").1, [(100, 500, b"abc".to_vec())]);
    assert_eq!(send(&mut alone, 103, 698, b"decoy"), (SegmentOutcome::TooOld, vec![]));
    assert_eq!(send(&mut alone, 103, 699, b"de").1, [(103, 500, b"de".to_vec())]);
    // Ahead of order, a newer stamp does not count yet: what fills the gap may be older.
    assert_eq!(send(&mut alone, 107, 900, b"hi").0, SegmentOutcome::Ahead);
    assert_eq!(send(&mut alone, 105, 705, b"fg").1, [(105, 500, b"fghi".to_vec())]);
}

#[test]
fn an_acknowledgement_outside_the_window_moves_nothing() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    alone.send(0, Direction::Response, (500, 100), ack, b"hello");
    let [onward, _] = alone.send(1, Direction::Request, (100, 505), ack, b"aTOKENb");
    assert_eq!(onward, [(100, 505, b"ab".to_vec())]);
    // Nobody who does not see the connection knows the server's numbers.
    for blind in [900_000, 0x8000_0000, 400] {
        alone.send(2, Direction::Response, (blind, 102), ack, b"");
    }
    alone.send(2, Direction::Response, (505, 1_000_000), ack, b"");
    let [onward, _] = alone.send(3, Direction::Request, (100, 505), ack, b"aTOKENb");
    assert_eq!(onward, [(100, 505, b"ab".to_vec())], "still unacknowledged");
    let [onward, _] = alone.send(4, Direction::Response, (505, 102), ack, b"");
    assert_eq!(onward, [(505, 107, vec![])]);
    let [onward, _] = alone.send(5, Direction::Request, (100, 505), ack, b"aTOKENb");
    assert!(onward.iter().all(|(_, _, bytes)| bytes.is_empty()), "{onward:?}");
}
