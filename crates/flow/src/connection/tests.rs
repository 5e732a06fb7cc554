//! Whole conversations between two ideal endpoints, compared with "edit the whole stream, then
//! compare".

mod alone;
mod answers;
mod endpoint;
mod forged;
mod play;
mod stages;
mod stamps;

use super::*;
use crate::limits::{Bounds, LOOK_AGAIN_MS, PATTERN_HOLD_MS, RESEND_MS};
use alone::Alone;
use endpoint::{Profile, Wire};
use play::{TestRun, play};
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
#[test]
fn a_keep_alive_acknowledges_while_the_bytes_before_it_are_held() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    alone.send(1, Direction::Request, 100, 500, ack, b"TOK");
    // The server's window is known, and that it has got nothing.
    alone.send(2, Direction::Response, 500, 100, ack, b"");
    let [onward, back] = alone.send(3, Direction::Request, 102, 500, ack, b"\0");
    assert_eq!(onward, [(99, 500, vec![]), (100, 500, vec![])]);
    assert_eq!(back, []);
    // The server challenged something, and is still in SYN-RECEIVED.
    let [_, back] = alone.send(4, Direction::Response, 499, 100, ack.with(TcpFlags::SYN), b"");
    assert_eq!(back, [(100, 500, vec![])]);
}

#[test]
fn bytes_behind_a_gap_are_decided_in_a_pool_that_could_not_hold_them_twice() {
    const SEGMENT: u32 = 1_000;
    const COUNT: u32 = 90;
    let mut alone = Alone::new(Tokens::default());
    alone.stores = Stores::new(64, 4, Bounds::default());
    let bytes = |n: u32| vec![b'a' + u8::try_from(n % 26).unwrap(); 1_000];
    let mut sent = Vec::new();
    for n in 1..COUNT {
        let at = 100 + n * SEGMENT;
        let [onward, _] = alone.send(n, Direction::Request, at, 500, TcpFlags::ACK, &bytes(n));
        assert!(onward.iter().all(|(.., bytes)| bytes.is_empty()), "{onward:?}");
    }
    // A quarter of the pool, 16 blocks of 2 KiB, is left to what is in order: of 90 kB ahead of the
    // gap, some was dropped.
    let mut n = 0;
    let mut acknowledged = 100;
    while n < COUNT && sent.len() < 1_000 {
        let at = 100 + n * SEGMENT;
        let [onward, _] = alone.send(n, Direction::Request, at, 500, TcpFlags::ACK, &bytes(n));
        assert!(onward.iter().any(|(.., bytes)| !bytes.is_empty()), "segment {n} goes nowhere");
        for (seq, _, bytes) in onward {
            acknowledged = acknowledged.max(seq + u32::try_from(bytes.len()).unwrap());
            sent.push(bytes);
        }
        alone.send(n, Direction::Response, 500, acknowledged, TcpFlags::ACK, b"");
        n = (acknowledged - 100) / SEGMENT;
    }
    let whole: Vec<u8> = (0..COUNT).flat_map(bytes).collect();
    assert_eq!(sent.concat(), whole);
}

#[test]
fn the_beginning_of_a_pattern_is_released_at_its_deadline_and_sent_until_it_arrives() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    let [onward, back] = alone.send(10, Direction::Request, 100, 500, ack, b"TOK");
    assert_eq!(onward, [(100, 500, vec![])], "its acknowledgement goes on, and no byte");
    assert_eq!(back, [(500, 103, vec![])], "its sender may go on");
    // The server has not got the acknowledgement, and is still in SYN-RECEIVED; the client sends
    // nothing again.
    let [_, back] = alone.send(11, Direction::Response, 499, 100, ack.with(TcpFlags::SYN), b"");
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
    let [to_client, _] = alone.send(due + 4_000, Direction::Response, 500, 103, ack, b"");
    assert_eq!(to_client, [(500, 103, vec![])]);
    assert!(!alone.connection.awaits_timeout(Direction::Request, &alone.stores));
    // What would complete the pattern now is taken away.
    let [onward, _] = alone.send(due + 5_000, Direction::Request, 103, 500, ack, b"ENx");
    assert_eq!(onward, [(103, 500, b"x".to_vec())]);
}

#[test]
fn a_pattern_whose_middle_is_late_is_not_released() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    alone.send(0, Direction::Request, 100, 500, ack, b"aTO");
    alone.send(1, Direction::Response, 500, 101, ack, b"");
    // "KE" is lost; its sender will send it again, whenever that is.
    alone.send(2, Direction::Request, 105, 500, ack, b"Nb");
    assert_eq!(alone.on_timeout(60_000), None);
    let [onward, _] = alone.send(60_001, Direction::Request, 103, 500, ack, b"KE");
    assert_eq!(onward, [(101, 500, b"b".to_vec())]);
}
#[test]
fn an_acknowledgement_outside_the_window_moves_nothing() {
    let mut alone = Alone::new(Tokens::default());
    let ack = TcpFlags::ACK;
    alone.send(0, Direction::Response, 500, 100, ack, b"hello");
    let [onward, _] = alone.send(1, Direction::Request, 100, 505, ack, b"aTOKENb");
    assert_eq!(onward, [(100, 505, b"ab".to_vec())]);
    // Nobody who does not see the connection knows the server's numbers.
    for blind in [900_000, 0x8000_0000, 400] {
        alone.send(2, Direction::Response, blind, 102, ack, b"");
    }
    alone.send(2, Direction::Response, 505, 1_000_000, ack, b"");
    let [onward, _] = alone.send(3, Direction::Request, 100, 505, ack, b"aTOKENb");
    assert_eq!(onward, [(100, 505, b"ab".to_vec())], "still unacknowledged");
    let [onward, _] = alone.send(4, Direction::Response, 505, 102, ack, b"");
    assert_eq!(onward, [(505, 107, vec![])]);
    let [onward, _] = alone.send(5, Direction::Request, 100, 505, ack, b"aTOKENb");
    assert!(onward.iter().all(|(_, _, bytes)| bytes.is_empty()), "{onward:?}");
}
