//! What both ends have to say, what the other end is to hear of it, and the patches in between.
//!
//! What is to be heard comes from whoever makes up the messages, who knows what was put into them: nothing here is shared with
//! the decoders or the engine.

mod data;
mod dns;
mod http;
mod lines;

use super::Side;
use super::dice::Dice;

/// Protocols there are conversations of.
pub(super) const PROTOCOLS: &[&str] = &["data", "dns", "ftp", "http", "smtp"];

/// One message.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) from: Side,
    pub(super) bytes: Vec<u8>,
    /// What becomes of it, but for its stream's [`Rule`].
    pub(super) becomes: Vec<u8>,
    /// Its sender waits until it has heard so many messages.
    pub(super) after: usize,
    /// And then for so long.
    pub(super) pause_ms: u64,
}

/// How far an end has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// In bytes of what is to be heard.
    Bytes,
    /// In line feeds, of which no edit takes or makes any: where bytes are not exactly known.
    Lines,
}

/// A pattern and what takes its place, where a stream as a whole can be checked by no more than that.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) pattern: Vec<u8>,
    pub(super) with: Vec<u8>,
}

/// A conversation.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    pub(super) protocol: &'static str,
    pub(super) port: u16,
    /// Patch files.
    pub(super) patches: Vec<String>,
    pub(super) parts: Vec<Part>,
    pub(super) progress: Progress,
    /// Of the client's stream, and of the server's.
    pub(super) rules: [Option<Rule>; 2],
}

impl Talk {
    /// The conversation of a seed, in `protocol` or in one that the seed chooses.
    pub(super) fn of(seed: u64, protocol: Option<&str>, short: bool) -> Self {
        let dice = &mut Dice::of(seed, 2);
        let chosen = dice.pick(PROTOCOLS);
        match protocol.unwrap_or(chosen) {
            "dns" => dns::talk(dice, short),
            "ftp" => lines::ftp(dice, short),
            "smtp" => lines::smtp(dice, short),
            "http" => http::talk(dice, short),
            _ => data::talk(dice, short),
        }
    }

    /// All that `side` says, with every edit but those of its [`Rule`].
    pub(super) fn before_rule(&self, side: Side) -> Vec<u8> {
        self.of_side(side).flat_map(|part| part.becomes.iter().copied()).collect()
    }

    /// All that the other end is to hear of it.
    pub(super) fn heard(&self, side: Side) -> Vec<u8> {
        let before = self.before_rule(side);
        self.rule(side).map(|rule| rule.replaced(&before)).unwrap_or(before)
    }

    pub(super) const fn rule(&self, side: Side) -> Option<&Rule> {
        self.rules[side.index()].as_ref()
    }

    /// How far the other end has heard when it has heard each of `side`'s messages.
    pub(super) fn ends(&self, side: Side) -> Vec<usize> {
        let mut end = 0;
        let lengths = self.of_side(side).map(|part| match self.progress {
            Progress::Bytes => part.becomes.len(),
            Progress::Lines => part.becomes.iter().filter(|byte| **byte == b'\n').count(),
        });
        let ends = lengths.map(|length| {
            end += length;
            end
        });
        ends.collect()
    }

    pub(super) fn of_side(&self, side: Side) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.from == side)
    }

    /// Everything is heard as it was said.
    pub(super) fn unedited(&mut self) {
        self.rules = [None, None];
        for part in &mut self.parts {
            part.becomes.clone_from(&part.bytes);
        }
    }
}

impl Rule {
    /// Every match replaced. What may begin a match waits until it is known; what has been let go is gone, so if a replacement
    /// makes up a match with it, only the rest of that is taken away.
    pub(super) fn replaced(&self, bytes: &[u8]) -> Vec<u8> {
        let len = self.pattern.len();
        let mut out = Vec::with_capacity(bytes.len());
        let mut kept = 0;
        for &byte in bytes {
            out.push(byte);
            kept += 1;
            if out.ends_with(&self.pattern) {
                let whole = kept >= len;
                out.truncate(out.len() - kept.min(len));
                if whole {
                    out.extend_from_slice(&self.with);
                }
                kept = if whole { self.with.len() } else { 0 };
            }
            kept = kept.min(self.begun(&out));
        }
        out
    }

    /// The longest beginning of the pattern, and less than all of it, that the bytes end with.
    fn begun(&self, bytes: &[u8]) -> usize {
        let most = bytes.len().min(self.pattern.len() - 1);
        (0..=most).rev().find(|len| bytes.ends_with(&self.pattern[..*len])).unwrap_or(0)
    }

    /// `heard` may be what became of `said` where the beginnings of some matches were let go: what would complete a match of
    /// which something was let go is missing. Otherwise the place in `heard` up to which that is so.
    pub(super) fn allows(&self, said: &[u8], heard: &[u8]) -> Result<(), usize> {
        let mut held = vec![Held { place: 0, matched: 0, kept: 0 }];
        for &byte in said {
            let mut next = Vec::new();
            for held in &held {
                // Perhaps everything is let go before the byte comes.
                let free = self.let_go(held, heard);
                for held in [Some(*held), free].into_iter().flatten() {
                    next.extend(self.step(held, byte, heard));
                }
            }
            next.sort_unstable();
            next.dedup();
            if next.is_empty() {
                return Err(held.last().map_or(0, |held| held.place));
            }
            held = next;
        }
        let ends = held.iter().filter_map(|held| self.let_go(held, heard));
        if ends.into_iter().any(|held| held.place == heard.len()) {
            Ok(())
        } else {
            Err(heard.len())
        }
    }

    fn let_go(&self, held: &Held, heard: &[u8]) -> Option<Held> {
        let kept = &self.pattern[held.matched - held.kept..held.matched];
        heard[held.place..].starts_with(kept).then_some(Held {
            place: held.place + held.kept,
            kept: 0,
            ..*held
        })
    }

    fn step(&self, held: Held, byte: u8, heard: &[u8]) -> Option<Held> {
        let kept = &self.pattern[held.matched - held.kept..held.matched];
        let matched = self.follow(held.matched, byte);
        if matched == self.pattern.len() {
            let kept = held.kept + 1;
            // Where the length stays, what is left of the match becomes what is left of its replacement.
            let became: &[u8] = if kept == self.pattern.len() {
                &self.with
            } else if self.with.len() == self.pattern.len() {
                &self.with[self.with.len() - kept..]
            } else {
                b""
            };
            let mut before =
                heard[held.place.saturating_sub(self.pattern.len())..held.place].to_vec();
            before.extend_from_slice(became);
            let matched = self.begun(&before);
            let kept = matched.min(became.len());
            let sent = &became[..became.len() - kept];
            return heard[held.place..].starts_with(sent).then_some(Held {
                place: held.place + sent.len(),
                matched,
                kept,
            });
        }
        let still = (held.kept + 1).min(matched);
        let mut bytes = kept.to_vec();
        bytes.push(byte);
        bytes.truncate(bytes.len() - still);
        heard[held.place..].starts_with(&bytes).then_some(Held {
            place: held.place + bytes.len(),
            matched,
            kept: still,
        })
    }

    /// The longest beginning of the pattern that the bytes end with, after `byte`, when it was `matched` before.
    fn follow(&self, matched: usize, byte: u8) -> usize {
        let mut bytes = self.pattern[..matched.min(self.pattern.len() - 1)].to_vec();
        bytes.push(byte);
        (0..=bytes.len()).rev().find(|len| bytes.ends_with(&self.pattern[..*len])).unwrap_or(0)
    }
}

/// How far a receiver has heard, and what may be held back from it: the last `kept` of `matched` bytes of the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    place: usize,
    matched: usize,
    kept: usize,
}

/// Lets a talk be made up message by message.
pub(super) struct Script {
    parts: Vec<Part>,
    /// Messages of the client, and of the server.
    said: [usize; 2],
}

impl Script {
    pub(super) const fn new() -> Self {
        Self { parts: Vec::new(), said: [0, 0] }
    }

    /// `from` says `bytes`, which become `becomes`; it waits until it has heard everything before, or all but the last `ahead`.
    pub(super) fn say(&mut self, from: Side, bytes: Vec<u8>, becomes: Vec<u8>, ahead: usize) {
        let [client, server] = self.said;
        let (mine, others) = match from {
            Side::Client => (0, server),
            Side::Server => (1, client),
        };
        let after = others.saturating_sub(ahead);
        self.said[mine] += 1;
        self.parts.push(Part { from, bytes, becomes, after, pause_ms: 0 });
    }

    /// The client says `bytes`, which the server is not to hear: the box gives `answer` in its stead.
    pub(super) fn refused(&mut self, bytes: Vec<u8>, answer: &[u8], ahead: usize) {
        self.say(Side::Client, bytes, Vec::new(), ahead);
        self.say(Side::Server, Vec::new(), answer.to_vec(), 0);
    }

    pub(super) fn finish(mut self, dice: &mut Dice) -> Vec<Part> {
        if dice.percent(20) {
            for part in &mut self.parts {
                if dice.percent(20) {
                    part.pause_ms = dice.pick(&[50, 210, 1_000, 9_000, 70_000]);
                }
            }
        }
        if dice.percent(3)
            && let Some(last) = self.parts.last_mut()
        {
            // Less than the two hours and four minutes for which a silent connection is kept.
            last.pause_ms = 110 * 60 * 1_000;
        }
        self.parts
    }
}
