//! Plays the caller for both directions of one connection: holds, skips and deletes as it is told,
//! and puts answers in.

use engine::{Conversation, Peer, Scratch};
use plan::Module;
use proto::Span;
use stage::Direction::{self, Request, Response};
use stage::{ConnectionEnd, Deadline, HoldKind, InspectContext, Inspected, Next, ReverseState};

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TalkEnd {
    GoesOn,
    Reset,
    Finished,
}

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TalkOutcome {
    pub(crate) server: String,
    pub(crate) client: String,
    pub(crate) end: TalkEnd,
    pub(crate) verdicts: u32,
    pub(crate) messages: u32,
    /// Bytes that are still held for an answer.
    pub(crate) waiting: usize,
}

#[derive(Default)]
struct TalkDirection {
    output: Vec<u8>,
    held: Vec<u8>,
    waits: Option<HoldKind>,
    skip: u64,
    skip_rest: bool,
    /// The last segment began with bytes that need not be seen.
    skips: bool,
    discard: bool,
    ended: bool,
}

impl TalkDirection {
    fn reverse_state(&self) -> ReverseState {
        if self.ended {
            ReverseState::Over
        } else if self.held.is_empty() && self.skip == 0 && !self.skip_rest {
            ReverseState::Open
        } else {
            ReverseState::Busy
        }
    }
}

impl TalkDirection {
    /// What is left of a segment behind the bytes that need not be seen, which go on.
    fn skipped<'s>(&mut self, segment: &'s [u8]) -> &'s [u8] {
        let here = match self.skip_rest {
            true => segment.len(),
            false => segment.len().min(self.skip as usize),
        };
        self.skips = self.skip_rest || self.skip > 0;
        self.skip -= (here as u64).min(self.skip);
        if !self.discard {
            self.output.extend_from_slice(&segment[..here]);
        }
        &segment[here..]
    }

    /// Keeps what the engine wants to see again, or notes what it need not see.
    fn follow(&mut self, next: Next, rest: Vec<u8>) {
        match next {
            Next::Inspect => {}
            Next::Hold(kind) => {
                let answers = kind == HoldKind::Answers;
                assert!(answers || !self.ended, "nothing else is held at the end");
                self.held = rest;
                self.waits = Some(kind);
            }
            Next::Skip { bytes, discard } => (self.skip, self.discard) = (bytes, discard),
            Next::SkipRest { discard } => (self.skip_rest, self.discard) = (true, discard),
        }
    }
}

/// Who says what, in this order; an empty turn ends the direction.
pub(crate) type TalkTurns<'a> = &'a [(Direction, &'a str)];

struct TalkRun<'a> {
    module: &'a Module,
    scratch: &'a mut Scratch,
    conversation: Conversation,
    directions: [TalkDirection; 2],
    end: TalkEnd,
    verdicts: u32,
    messages: u32,
}

impl TalkRun<'_> {
    fn segment(&mut self, from: Direction, segment: &[u8], ended: bool) {
        self.hand_in(from, segment, ended);
        let other = if from == Request { Response } else { Request };
        let waiting = &self.directions[other.index()];
        if waiting.waits == Some(HoldKind::Answers)
            && self.directions[from.index()].reverse_state() != ReverseState::Busy
        {
            let ended = waiting.ended;
            self.hand_in(other, b"", ended);
        }
    }

    fn hand_in(&mut self, from: Direction, segment: &[u8], ended: bool) {
        if self.end != TalkEnd::GoesOn {
            return;
        }
        let reverse = self.directions[1 - from.index()].reverse_state();
        let own = &mut self.directions[from.index()];
        own.ended |= ended;
        let segment = own.skipped(segment);
        if own.skip_rest || (own.skips && segment.is_empty() && !ended) {
            return;
        }
        let mut input = std::mem::take(&mut own.held);
        own.waits = None;
        let mut held = input.len();
        input.extend_from_slice(segment);
        for _ in 0..1_000 {
            let ended = self.directions[from.index()].ended;
            // An answer that was put in does not close the way for the next.
            let context = InspectContext { held, ended, deadline: Deadline::Nothing, reverse };
            let result = engine::stream(
                self.module,
                from,
                &mut self.conversation,
                &input,
                context,
                &Peer::default(),
                self.scratch,
            );
            let Inspected { decided, next, answer, end } = result.inspected;
            self.messages += result.messages;
            self.verdicts += self.scratch.hits().iter().map(|hit| hit.verdicts).sum::<u32>();
            if end == ConnectionEnd::Reset {
                self.end = TalkEnd::Reset;
                return;
            }
            let all = Span::new(0, decided);
            let own = &mut self.directions[from.index()];
            assert!(self.scratch.edits().current(&input, all, &mut own.output));
            if answer {
                assert_eq!(reverse, ReverseState::Open, "answers are given where they may be");
                assert!(!self.scratch.reply().is_empty());
                self.directions[1 - from.index()].output.extend_from_slice(self.scratch.reply());
            }
            if end == ConnectionEnd::Finished {
                self.end = TalkEnd::Finished;
                return;
            }
            input.drain(..decided);
            held = 0;
            let own = &mut self.directions[from.index()];
            if next == Next::Inspect && !input.is_empty() {
                assert!(decided > 0, "it makes progress");
                continue;
            }
            own.follow(next, input);
            return;
        }
        panic!("it never ends");
    }
}

fn run(
    module: &Module,
    turns: TalkTurns<'_>,
    cut: impl Fn(usize, usize) -> bool,
    scratch: &mut Scratch,
) -> TalkOutcome {
    let mut talk = TalkRun {
        module,
        scratch,
        conversation: Conversation::start(module),
        directions: Default::default(),
        end: TalkEnd::GoesOn,
        verdicts: 0,
        messages: 0,
    };
    let mut place = 0;
    for (from, text) in turns {
        let mut rest = text.as_bytes();
        if rest.is_empty() {
            talk.segment(*from, b"", true);
        }
        while !rest.is_empty() {
            let mut len = 1;
            while len < rest.len() && !cut(place, len) {
                len += 1;
            }
            let (piece, behind) = rest.split_at(len);
            place += len;
            rest = behind;
            talk.segment(*from, piece, false);
        }
    }
    let text = |own: &TalkDirection| String::from_utf8_lossy(&own.output).into_owned();
    let [request, response] = &talk.directions;
    let held = if request.waits == Some(HoldKind::Answers) { request.held.len() } else { 0 };
    TalkOutcome {
        server: text(request),
        client: text(response),
        end: talk.end,
        verdicts: talk.verdicts,
        messages: talk.messages,
        waiting: held,
    }
}

/// The outcome, the same however the turns are cut into segments.
#[track_caller]
pub(crate) fn every_way(
    module: &Module,
    turns: TalkTurns<'_>,
    scratch: &mut Scratch,
) -> TalkOutcome {
    let whole = run(module, turns, |_, _| false, scratch);
    let mut same = |cut: &dyn Fn(usize, usize) -> bool, how: &str| {
        let got = run(module, turns, cut, scratch);
        if whole.end == TalkEnd::Reset {
            // What went on before it depends on when it came.
            assert_eq!((got.end, got.verdicts), (whole.end, whole.verdicts), "{how}");
            return;
        }
        assert_eq!(got, whole, "{how}");
    };
    same(&|_, _| true, "byte by byte");
    let bytes: usize = turns.iter().map(|(_, text)| text.len()).sum();
    for at in (0..bytes).step_by((bytes / 300).max(1)) {
        same(&|from, len| from + len == at, &format!("cut at {at}"));
    }
    whole
}
