//! Messages that are answered from here, among a server's own.

use super::alone::Alone;
use super::play::{TestRun, play};
use super::{Dice, length, profile};
use stage::{
    ConnectionEnd, Direction, Edit, HoldKind, InspectContext, Inspected, Next, ReverseState, Stage,
};
use wire::TcpFlags;

/// Frames of two bytes (kind and length) and a body, both ways. The client's [`REFUSED`] ones are
/// answered from here by an [`ANSWER`] frame with their body, its [`LAST`] one ends the connection
/// as well.
#[derive(Default)]
pub(super) struct AnsweringStage {
    edits: Vec<(usize, usize)>,
    answer: Vec<u8>,
    /// Answers that nobody would read.
    unread: usize,
}

const PASSED: u8 = 1;
/// Sixteen times as long as its length byte, and skipped.
const SKIPPED: u8 = 2;
const REFUSED: u8 = 3;
const LAST: u8 = 4;
const ANSWER: u8 = 5;

fn body_bytes(kind: u8, len: u8) -> usize {
    if kind == SKIPPED { usize::from(len) * 16 } else { usize::from(len) }
}

fn stream(dice: &mut Dice, len: u32, kinds: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < len as usize {
        let kind = kinds[dice.roll(kinds.len() as u32) as usize];
        let len = dice.roll(40) as u8;
        out.extend([kind, len]);
        out.extend((0..body_bytes(kind, len)).map(|_| dice.roll(256) as u8));
    }
    out
}

fn frames(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    while let &[kind, len, ..] = stream {
        let bytes = (2 + body_bytes(kind, len)).min(stream.len());
        let (frame, rest) = stream.split_at(bytes);
        out.push(frame);
        stream = rest;
    }
    assert!(stream.is_empty());
    out
}

impl Stage for AnsweringStage {
    fn inspect(
        &mut self,
        direction: Direction,
        input: &[u8],
        context: InspectContext,
    ) -> Inspected {
        self.edits.clear();
        self.answer.clear();
        let mut at = 0;
        let mut end = ConnectionEnd::GoesOn;
        let next = loop {
            let &[kind, len, ref after @ ..] = &input[at..] else {
                break if at == input.len() { Next::Inspect } else { Next::Hold(HoldKind::Unit) };
            };
            let body = body_bytes(kind, len);
            if kind == SKIPPED && body > 0 {
                at += 2;
                break Next::Skip { bytes: body as u64, discard: false };
            }
            let Some(body) = after.get(..body) else { break Next::Hold(HoldKind::Unit) };
            let next = at + 2 + body.len();
            if direction == Direction::Request && matches!(kind, REFUSED | LAST) {
                match context.reverse {
                    ReverseState::Busy => break Next::Hold(HoldKind::Answers),
                    ReverseState::Over => self.unread += 1,
                    ReverseState::Open => {
                        self.answer.extend([ANSWER, len]);
                        self.answer.extend(body);
                    }
                }
                self.edits.push((at, next));
                if kind == LAST && context.reverse == ReverseState::Open {
                    end = ConnectionEnd::Finished;
                    at = next;
                    break Next::Inspect;
                }
            }
            at = next;
        };
        Inspected { decided: at, next, answer: !self.answer.is_empty(), end }
    }

    fn edit(&self, nth: usize) -> Option<Edit<'_>> {
        let &(start, end) = self.edits.get(nth)?;
        Some(Edit { start, end, with: &[] })
    }

    fn answer(&self) -> &[u8] {
        &self.answer
    }
}

/// What the two received: the server's frames; the server's own ones at the client; those from
/// here.
fn split([server, client]: &[Vec<u8>; 2]) -> [Vec<&[u8]>; 3] {
    let (answers, own) = frames(client).into_iter().partition(|frame| frame[0] == ANSWER);
    [frames(server), own, answers]
}

#[test]
fn answers_stand_between_the_servers_messages() {
    let mut answered = 0;
    for seed in 0..600_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xa5);
        let profile = profile(&mut dice);
        let len = length(&mut dice, &profile);
        let data = [
            stream(&mut dice, len / 2, &[PASSED, SKIPPED, REFUSED]),
            stream(&mut dice, len, &[PASSED, SKIPPED]),
        ];
        let mut stage = AnsweringStage::default();
        let run = TestRun { seed, profile, data };
        let got = play(&run, &mut stage);
        let [server, own, answers] = split(&got);
        let (refused, passed): (Vec<_>, Vec<_>) =
            frames(&run.data[0]).into_iter().partition(|frame| frame[0] == REFUSED);
        assert!(server == passed, "seed {seed}");
        assert!(own == frames(&run.data[1]), "seed {seed}");
        assert_eq!(answers.len() + stage.unread, refused.len(), "seed {seed}");
        for (answer, refused) in answers.iter().zip(&refused) {
            assert_eq!(answer[1..], refused[1..], "seed {seed}");
        }
        answered += answers.len();
    }
    assert!(answered > 1_000, "{answered}");
}

#[test]
fn behind_a_last_answer_both_ends_are_over() {
    let mut finished = 0;
    for seed in 0..400_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xb6);
        let profile = profile(&mut dice);
        let len = length(&mut dice, &profile);
        let mut requests = stream(&mut dice, len / 4, &[PASSED, REFUSED]);
        requests.extend([LAST, 1, 7]);
        let kept = requests.len();
        requests.extend(stream(&mut dice, len / 4, &[PASSED]));
        let data = [requests, stream(&mut dice, len, &[PASSED])];
        let mut stage = AnsweringStage::default();
        let run = TestRun { seed, profile, data };
        let got = play(&run, &mut stage);
        let [server, own, answers] = split(&got);
        let all = frames(&run.data[1]);
        assert!(own == all[..own.len()], "seed {seed}");
        if answers.last() == Some(&&[ANSWER, 1, 7][..]) && stage.unread == 0 {
            finished += 1;
            let passed: Vec<_> = frames(&run.data[0][..kept])
                .into_iter()
                .filter(|frame| frame[0] == PASSED)
                .collect();
            assert!(server == passed, "seed {seed}");
        } else {
            assert_eq!(own.len(), all.len(), "seed {seed}: the server had ended");
        }
    }
    assert!(finished > 50, "{finished}");
}

#[test]
fn bytes_of_the_server_come_behind_an_end_that_was_put_in() {
    let mut alone = Alone::new(AnsweringStage::default());
    let (ack, reset) = (TcpFlags::ACK, TcpFlags::RST.with(TcpFlags::ACK));
    let [onward, back] = alone.send(0, Direction::Request, 100, 500, ack, &[LAST, 1, 7]);
    // The answer is 500..503, the end 503: the client goes on with 504, the server with 500.
    assert_eq!(onward, [(100, 500, vec![])]);
    assert_eq!(back, [(500, 103, vec![ANSWER, 1, 7])]);
    alone.send(1, Direction::Request, 103, 504, ack, b"");
    let [onward, _] = alone.send(2, Direction::Response, 500, 100, ack, b"");
    assert_eq!(onward, [(504, 103, vec![])]);
    // A keep-alive must be before it, or nobody would answer.
    let [onward, _] = alone.send(3, Direction::Response, 499, 100, ack, b"");
    assert_eq!(onward, [(503, 103, vec![])]);
    let [onward, _] = alone.send(4, Direction::Response, 500, 100, reset, b"");
    assert_eq!(onward, [(504, 103, vec![])]);
}
