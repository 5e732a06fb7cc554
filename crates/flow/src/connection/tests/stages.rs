//! Stages that decide in a few lines, and the same edits made on a whole stream.

use super::Dice;
use stage::{
    ConnectionEnd, Deadline, Direction, Edit, HoldKind, InspectContext, Inspected, Next, Stage,
};

/// Passes everything; with `rest`, without looking at it.
pub(super) struct Untouched {
    pub(super) rest: bool,
}

impl Stage for Untouched {
    fn inspect(&mut self, _: Direction, input: &[u8], _: InspectContext) -> Inspected {
        let next = if self.rest { Next::SkipRest { discard: false } } else { Next::Inspect };
        let decided = if self.rest { 0 } else { input.len() };
        Inspected { decided, next, answer: false, end: ConnectionEnd::GoesOn }
    }

    fn edit(&self, _: usize) -> Option<Edit<'_>> {
        None
    }
}

/// A stream of frames, each of two bytes (kind and length) and a body.
#[derive(Default)]
pub(super) struct Frames {
    edits: Vec<(usize, usize, Vec<u8>)>,
    seen: [Vec<u8>; 2],
}

/// What becomes of a frame.
enum FrameAction {
    Skip(u64),
    Discard(u64),
    /// The body is held whole; it becomes this.
    Body(fn(&[u8]) -> Vec<u8>),
    SkipRest,
    DiscardRest,
}

fn doubled(body: &[u8]) -> Vec<u8> {
    body.iter().rev().flat_map(|&byte| [byte, byte]).collect()
}

fn gone(_: &[u8]) -> Vec<u8> {
    Vec::new()
}

fn halved(body: &[u8]) -> Vec<u8> {
    body[..body.len() / 2].to_vec()
}

fn masked(body: &[u8]) -> Vec<u8> {
    vec![b'*'; body.len()]
}

fn fate(kind: u8, len: u8) -> FrameAction {
    let len = u64::from(len);
    match kind {
        0 => FrameAction::Skip(len),
        1 => FrameAction::Discard(len * 5),
        2 => FrameAction::Skip(len * 40),
        3 => FrameAction::Body(doubled),
        4 => FrameAction::Body(gone),
        5 => FrameAction::Body(halved),
        6 => FrameAction::Body(masked),
        254 => FrameAction::DiscardRest,
        255 => FrameAction::SkipRest,
        _ => FrameAction::Body(<[u8]>::to_vec),
    }
}

impl Frames {
    /// Any bytes are frames, but an even mix of kinds is a better test.
    pub(super) fn stream(dice: &mut Dice, len: u32) -> Vec<u8> {
        let mut stream = Vec::new();
        while stream.len() < len as usize {
            let kind = if dice.roll(60) == 0 { 254 + dice.roll(2) } else { dice.roll(9) };
            let most = if dice.roll(4) == 0 { 256 } else { 12 };
            let (kind, body) = (kind as u8, dice.roll(most) as u8);
            let bytes = match fate(kind, body) {
                FrameAction::Skip(bytes) | FrameAction::Discard(bytes) => bytes,
                FrameAction::Body(_) => u64::from(body),
                FrameAction::SkipRest | FrameAction::DiscardRest => 200,
            };
            stream.extend([kind, body]);
            stream.extend((0..bytes).map(|_| dice.roll(256) as u8));
        }
        stream.truncate(len as usize);
        stream
    }

    /// The whole stream, edited at once.
    pub(super) fn edited(stream: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = stream;
        while let &[kind, len, ref after @ ..] = rest {
            let cut = |bytes: u64| after.split_at((bytes as usize).min(after.len()));
            let (body, later) = match fate(kind, len) {
                FrameAction::Skip(bytes) => (cut(bytes).0.to_vec(), cut(bytes).1),
                FrameAction::Discard(bytes) => (Vec::new(), cut(bytes).1),
                FrameAction::Body(edit) => match after.split_at_checked(usize::from(len)) {
                    None => break,
                    Some((now, later)) => (edit(now), later),
                },
                FrameAction::SkipRest => break,
                FrameAction::DiscardRest => (Vec::new(), &[][..]),
            };
            out.extend([kind, len]);
            out.extend(body);
            rest = later;
        }
        out.extend(rest);
        out
    }
}

impl Stage for Frames {
    fn inspect(
        &mut self,
        direction: Direction,
        input: &[u8],
        context: InspectContext,
    ) -> Inspected {
        let held = context.held;
        self.edits.clear();
        let seen = &mut self.seen[direction.index()];
        assert_eq!(&input[..held], &seen[..held], "held bytes come back as they were");
        let mut at = 0;
        let next = loop {
            let &[kind, len, ref after @ ..] = &input[at..] else {
                break if at == input.len() { Next::Inspect } else { Next::Hold(HoldKind::Unit) };
            };
            match fate(kind, len) {
                FrameAction::Skip(bytes) => {
                    at += 2;
                    if bytes > 0 {
                        break Next::Skip { bytes, discard: false };
                    }
                }
                FrameAction::Discard(bytes) => {
                    at += 2;
                    if bytes > 0 {
                        break Next::Skip { bytes, discard: true };
                    }
                }
                FrameAction::SkipRest => break Next::SkipRest { discard: false },
                FrameAction::DiscardRest => {
                    at += 2;
                    break Next::SkipRest { discard: true };
                }
                FrameAction::Body(edit) => {
                    let Some(body) = after.get(..usize::from(len)) else {
                        break Next::Hold(HoldKind::Unit);
                    };
                    let start = at + 2;
                    let end = start + body.len();
                    let with = edit(body);
                    if with.len() > body.len() {
                        // Half of the growth as an insertion, to try those as well.
                        let (front, back) = with.split_at(body.len());
                        self.edits.push((start, end, front.to_vec()));
                        self.edits.push((end, end, back.to_vec()));
                    } else if with != body {
                        self.edits.push((start, end, with));
                    }
                    at = end;
                }
            }
        };
        *seen = input[at..].to_vec();
        Inspected { decided: at, next, answer: false, end: ConnectionEnd::GoesOn }
    }

    fn edit(&self, nth: usize) -> Option<Edit<'_>> {
        let (start, end, with) = self.edits.get(nth)?;
        Some(Edit { start: *start, end: *end, with })
    }
}

const TOKEN: &[u8] = b"TOKEN";

/// Deletes every token; its beginning is released at its deadline, and then its rest is
/// deleted.
#[derive(Default)]
pub(super) struct Tokens {
    edits: Vec<(usize, usize)>,
    decided: [Vec<u8>; 2],
    /// Bytes of a token's beginning that were released.
    open: [usize; 2],
    released: [u32; 2],
}

impl Tokens {
    /// Everything decided so far, as edited.
    pub(super) fn decided(&self, direction: usize) -> &[u8] {
        &self.decided[direction]
    }

    pub(super) fn released(&self, direction: usize) -> u32 {
        self.released[direction]
    }
}

impl Stage for Tokens {
    fn inspect(
        &mut self,
        direction: Direction,
        input: &[u8],
        context: InspectContext,
    ) -> Inspected {
        let InspectContext { ended, .. } = context;
        let release = context.deadline == Deadline::PartialMatch;
        self.edits.clear();
        let direction = direction.index();
        let mut at = 0;
        let mut next = Next::Inspect;
        while at < input.len() {
            let rest = &TOKEN[self.open[direction]..];
            if input[at..].starts_with(rest) {
                self.edits.push((at, at + rest.len()));
                at += rest.len();
                self.open[direction] = 0;
            } else if rest.starts_with(&input[at..]) && !ended {
                if !release {
                    next = Next::Hold(HoldKind::PartialMatch);
                    break;
                }
                self.open[direction] += input.len() - at;
                self.decided[direction].extend(&input[at..]);
                at = input.len();
                self.released[direction] += 1;
            } else if self.open[direction] > 0 {
                self.open[direction] = 0;
            } else {
                self.decided[direction].push(input[at]);
                at += 1;
            }
        }
        Inspected { decided: at, next, answer: false, end: ConnectionEnd::GoesOn }
    }

    fn edit(&self, nth: usize) -> Option<Edit<'_>> {
        self.edits.get(nth).map(|&(start, end)| Edit { start, end, with: &[] })
    }
}
