//! A rule of `data` as the simulator reckons it: a plain replacement over the whole stream.

/// A pattern and what takes its place, where a stream as a whole can be checked by no more than
/// that.
#[derive(Clone, Debug)]
pub(crate) struct PatternRule {
    pub(crate) pattern: Vec<u8>,
    pub(crate) with: Vec<u8>,
}

impl PatternRule {
    /// Every match replaced. What may begin a match waits until it is known; what has been let go
    /// is gone, so if a replacement makes up a match with it, only the rest of that is taken away.
    pub(crate) fn replaced(&self, bytes: &[u8]) -> Vec<u8> {
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

    /// `heard` may be what became of `said` where the beginnings of some matches were let go: what
    /// would complete a match of which something was let go is missing. Otherwise the place in
    /// `heard` up to which that is so.
    pub(crate) fn allows(&self, said: &[u8], heard: &[u8]) -> Result<(), usize> {
        let mut held = vec![HeldMatch { place: 0, matched: 0, kept: 0 }];
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

    fn let_go(&self, held: &HeldMatch, heard: &[u8]) -> Option<HeldMatch> {
        let kept = &self.pattern[held.matched - held.kept..held.matched];
        heard[held.place..].starts_with(kept).then_some(HeldMatch {
            place: held.place + held.kept,
            kept: 0,
            ..*held
        })
    }

    fn step(&self, held: HeldMatch, byte: u8, heard: &[u8]) -> Option<HeldMatch> {
        let kept = &self.pattern[held.matched - held.kept..held.matched];
        let matched = self.follow(held.matched, byte);
        if matched == self.pattern.len() {
            let kept = held.kept + 1;
            // Where the length stays, what is left of the match becomes what is left of its
            // replacement.
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
            return heard[held.place..].starts_with(sent).then_some(HeldMatch {
                place: held.place + sent.len(),
                matched,
                kept,
            });
        }
        let still = (held.kept + 1).min(matched);
        let mut bytes = kept.to_vec();
        bytes.push(byte);
        bytes.truncate(bytes.len() - still);
        heard[held.place..].starts_with(&bytes).then_some(HeldMatch {
            place: held.place + bytes.len(),
            matched,
            kept: still,
        })
    }

    /// The longest beginning of the pattern that the bytes end with, after `byte`, when it was
    /// `matched` before.
    fn follow(&self, matched: usize, byte: u8) -> usize {
        let mut bytes = self.pattern[..matched.min(self.pattern.len() - 1)].to_vec();
        bytes.push(byte);
        (0..=bytes.len()).rev().find(|len| bytes.ends_with(&self.pattern[..*len])).unwrap_or(0)
    }
}

/// How far a receiver has heard, and what may be held back from it: the last `kept` of `matched`
/// bytes of the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HeldMatch {
    place: usize,
    matched: usize,
    kept: usize,
}
