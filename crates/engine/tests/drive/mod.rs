//! Plays the caller: hands bytes in as segments, applies the edits, holds, skips and releases as it
//! is told.
#![allow(dead_code, reason = "not every test uses all of it")]

use engine::{Conversation, Peer, Scratch, StreamResult, Undecided};
use plan::Module;
use proto::Span;
use stage::{
    ConnectionEnd, Deadline, Direction, HoldKind, InspectContext, Inspected, Next, ReverseState,
};

/// What came out of a half-stream.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(crate) struct DriverOutput {
    pub(crate) bytes: Vec<u8>,
    pub(crate) closed: bool,
    pub(crate) undecided: Vec<Undecided>,
    pub(crate) edits: u32,
    pub(crate) removed_bytes: u32,
    pub(crate) inserted_bytes: u32,
    pub(crate) verdicts: u32,
    pub(crate) messages: u32,
    pub(crate) held_max: usize,
}

impl DriverOutput {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

pub(crate) struct StreamDriver<'a> {
    module: &'a Module,
    from: Direction,
    scratch: &'a mut Scratch,
    conversation: Conversation,
    held: Vec<u8>,
    skip: u64,
    skip_rest: bool,
    discard: bool,
    pub(crate) output: DriverOutput,
}

impl<'a> StreamDriver<'a> {
    pub(crate) fn new(module: &'a Module, from: Direction, scratch: &'a mut Scratch) -> Self {
        Self {
            module,
            from,
            scratch,
            conversation: Conversation::start(module),
            held: Vec::new(),
            skip: 0,
            skip_rest: false,
            discard: false,
            output: DriverOutput::default(),
        }
    }

    /// The next segment; `ended` if it is the last.
    pub(crate) fn segment(&mut self, segment: &[u8], ended: bool, release: bool) {
        if self.output.closed {
            return;
        }
        let segment = self.skipped(segment);
        if self.skip_rest {
            return;
        }
        let mut input = std::mem::take(&mut self.held);
        let mut held = input.len();
        input.extend_from_slice(segment);
        let mut calls = 0;
        loop {
            calls += 1;
            assert!(calls < 10_000, "the engine makes progress");
            let result = engine::stream(
                self.module,
                self.from,
                &mut self.conversation,
                &input,
                InspectContext {
                    held,
                    ended,
                    deadline: if release { Deadline::PartialMatch } else { Deadline::Nothing },
                    reverse: ReverseState::Open,
                },
                &Peer::default(),
                self.scratch,
            );
            let Inspected { decided, next, end, .. } = result.inspected;
            self.note(&result);
            if end == ConnectionEnd::Reset {
                self.output.closed = true;
                return;
            }
            assert!(decided <= input.len());
            let edits = self.scratch.edits();
            assert!(edits.list().iter().all(|edit| edit.at.range().end <= decided));
            let all = Span::new(0, decided);
            assert!(edits.current(&input, all, &mut self.output.bytes));
            let rest = input.split_off(decided);
            input = rest;
            held = 0;
            if next == Next::Inspect && !input.is_empty() {
                assert!(decided > 0, "an output table was full");
                continue;
            }
            assert!(!(release && next == Next::Hold(HoldKind::PartialMatch)), "it is released");
            self.follow(next, input, ended);
            return;
        }
    }

    /// What is left of a segment behind the bytes that need not be seen, which go on.
    fn skipped<'s>(&mut self, segment: &'s [u8]) -> &'s [u8] {
        let here = match self.skip_rest {
            true => segment.len(),
            false => segment.len().min(self.skip as usize),
        };
        self.skip -= (here as u64).min(self.skip);
        if !self.discard {
            self.output.bytes.extend_from_slice(&segment[..here]);
        }
        &segment[here..]
    }

    /// Adds up what calls report.
    fn note(&mut self, result: &StreamResult) {
        self.output.undecided.extend(result.undecided);
        self.output.messages += result.messages;
        for hit in self.scratch.hits() {
            self.output.edits += hit.edits;
            self.output.removed_bytes += hit.removed_bytes;
            self.output.inserted_bytes += hit.inserted_bytes;
            self.output.verdicts += hit.verdicts;
        }
    }

    /// Keeps what the engine wants to see again, or notes what it need not see.
    fn follow(&mut self, next: Next, rest: Vec<u8>, ended: bool) {
        match next {
            Next::Inspect => {}
            Next::Hold(kind) => {
                // A server that never speaks owes its greeting for ever.
                let answers = kind == HoldKind::Answers;
                assert!(!ended || answers, "nothing else is held at the end");
                self.output.held_max = self.output.held_max.max(rest.len());
                self.held = rest;
            }
            Next::Skip { bytes, discard } => {
                assert!(rest.is_empty() && bytes > 0);
                (self.skip, self.discard) = (bytes, discard);
            }
            Next::SkipRest { discard } => {
                assert!(rest.is_empty());
                (self.skip_rest, self.discard) = (true, discard);
            }
        }
    }
}

/// Hands the pieces in, the last one with the end of the stream.
pub(crate) fn run(
    module: &Module,
    from: Direction,
    pieces: &[&[u8]],
    scratch: &mut Scratch,
) -> DriverOutput {
    let mut caller = StreamDriver::new(module, from, scratch);
    for piece in pieces {
        caller.segment(piece, false, false);
    }
    caller.segment(b"", true, false);
    caller.output
}

/// A small generator of numbers; the same for the same seed.
pub(crate) struct CaseRandom(pub(crate) u64);

impl CaseRandom {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() as usize) % bound.max(1)
    }

    pub(crate) fn cut<'a>(&mut self, mut input: &'a [u8], longest: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !input.is_empty() {
            let (piece, rest) = input.split_at((1 + self.below(longest)).min(input.len()));
            pieces.push(piece);
            input = rest;
        }
        pieces
    }
}

/// The output for the whole input at once, after checking that every other segmentation gives the
/// same, and that running the output again changes nothing.
#[track_caller]
pub(crate) fn every_way(
    module: &Module,
    from: Direction,
    input: &[u8],
    scratch: &mut Scratch,
) -> DriverOutput {
    let whole = run(module, from, &[input], scratch);
    let same = |mut got: DriverOutput, how: &str| {
        if whole.closed {
            // How much went on before the end depends on when it came.
            got.bytes.truncate(whole.bytes.len());
        }
        assert_eq!(got.text(), whole.text(), "{how}: {:?}", String::from_utf8_lossy(input));
        assert_eq!(got.bytes, whole.bytes, "{how}");
        let facts = |output: &DriverOutput| (output.closed, output.verdicts, output.messages);
        assert_eq!(facts(&got), facts(&whole), "{how}: {:?}", String::from_utf8_lossy(input));
    };
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    same(run(module, from, &bytes, scratch), "byte by byte");
    let step = (input.len() / 200).max(1);
    for at in (0..=input.len()).step_by(step) {
        let (one, other) = input.split_at(at);
        same(run(module, from, &[one, other], scratch), &format!("split at {at}"));
    }
    let mut random = CaseRandom(input.len() as u64);
    for longest in [2, 3, 7, 20] {
        let pieces = random.cut(input, longest);
        same(run(module, from, &pieces, scratch), "random cuts");
    }
    if !whole.closed {
        let again = run(module, from, &[&whole.bytes], scratch);
        assert_eq!(again.text(), whole.text(), "running the output again changes nothing");
        assert_eq!(
            (again.edits, again.verdicts),
            (0, 0),
            "and finds nothing to do: {:?}",
            whole.text()
        );
    }
    whole
}
