//! A conversation, message by message, and the bytes that must arrive.

use offline::ConnectionSide;

use super::rule::PatternRule;
use crate::dice::Dice;

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeMessage {
    pub(crate) from: ConnectionSide,
    pub(crate) bytes: Vec<u8>,
    /// The message after every edit but those of its stream's [`PatternRule`].
    pub(crate) becomes: Vec<u8>,
    /// Its sender waits until it has heard so many messages.
    pub(crate) after: usize,
    /// And then for so long.
    pub(crate) pause_ms: u64,
}

/// How far an end has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeardProgress {
    /// In bytes that must arrive.
    Bytes,
    /// In line feeds, of which no edit takes or makes any: where bytes are not exactly known.
    Lines,
}

/// A conversation.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) protocol: &'static str,
    pub(crate) port: u16,
    /// Patch files.
    pub(crate) patches: Vec<String>,
    pub(crate) parts: Vec<ExchangeMessage>,
    pub(crate) progress: HeardProgress,
    /// Of the client's stream, and of the server's.
    pub(crate) rules: [Option<PatternRule>; 2],
}

impl Exchange {
    /// All that `side` sends, with every edit but those of its [`PatternRule`].
    pub(crate) fn before_rule(&self, side: ConnectionSide) -> Vec<u8> {
        self.of_side(side).flat_map(|part| part.becomes.iter().copied()).collect()
    }

    /// All bytes of it that must arrive at the other end.
    pub(crate) fn heard(&self, side: ConnectionSide) -> Vec<u8> {
        let before = self.before_rule(side);
        self.rule(side).map(|rule| rule.replaced(&before)).unwrap_or(before)
    }

    pub(crate) const fn rule(&self, side: ConnectionSide) -> Option<&PatternRule> {
        self.rules[side.index()].as_ref()
    }

    /// How far the other end has heard when it has heard each of `side`'s messages.
    pub(crate) fn ends(&self, side: ConnectionSide) -> Vec<usize> {
        let mut end = 0;
        let lengths = self.of_side(side).map(|part| match self.progress {
            HeardProgress::Bytes => part.becomes.len(),
            HeardProgress::Lines => part.becomes.iter().filter(|byte| **byte == b'\n').count(),
        });
        let ends = lengths.map(|length| {
            end += length;
            end
        });
        ends.collect()
    }

    pub(crate) fn of_side(&self, side: ConnectionSide) -> impl Iterator<Item = &ExchangeMessage> {
        self.parts.iter().filter(move |part| part.from == side)
    }

    /// Every message arrives as it was sent.
    pub(crate) fn unedited(&mut self) {
        self.rules = [None, None];
        for part in &mut self.parts {
            part.becomes.clone_from(&part.bytes);
        }
    }
}

/// Lets a conversation be made up message by message.
pub(crate) struct ExchangeScript {
    parts: Vec<ExchangeMessage>,
    /// Messages of the client, and of the server.
    said: [usize; 2],
}

impl ExchangeScript {
    pub(crate) const fn new() -> Self {
        Self { parts: Vec::new(), said: [0, 0] }
    }

    /// `from` says `bytes`, which become `becomes`; it waits until it has heard everything before,
    /// or all but the last `ahead`.
    pub(crate) fn say(
        &mut self,
        from: ConnectionSide,
        bytes: Vec<u8>,
        becomes: Vec<u8>,
        ahead: usize,
    ) {
        let [client, server] = self.said;
        let (mine, others) = match from {
            ConnectionSide::Client => (0, server),
            ConnectionSide::Server => (1, client),
        };
        let after = others.saturating_sub(ahead);
        self.said[mine] += 1;
        self.parts.push(ExchangeMessage { from, bytes, becomes, after, pause_ms: 0 });
    }

    /// The client says `bytes`, which the server is not to hear: the box gives `answer` in its
    /// stead.
    pub(crate) fn refused(&mut self, bytes: Vec<u8>, answer: &[u8], ahead: usize) {
        self.say(ConnectionSide::Client, bytes, Vec::new(), ahead);
        self.say(ConnectionSide::Server, Vec::new(), answer.to_vec(), 0);
    }

    pub(crate) fn finish(mut self, dice: &mut Dice) -> Vec<ExchangeMessage> {
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
