//! A message that goes no further: dropped, refused, or the end of its connection.
//!
//! An answer of ours has to stand where the server's would have stood: behind the answers to all
//! messages before, and in front of those to all after. So a message that gets one waits until the
//! server owes nothing, and what follows it waits with it. Where the decoder cannot tell what is
//! owed, or the server has seen the beginning of the message, only a reset is left; or, for
//! `close`, an answer in the place of the one that the server has yet to begin.

use plan::{Reply, Verdict};
use proto::{DecoderState, Refusal, Refused, Span, View};
use stage::{Direction, ReverseState};

use super::{StreamRun, UnitEnd};
use crate::conversation::OPEN_FIELDS_MAX;

/// Bytes that the answers of one call may have. A patch's own reply is never longer.
const ANSWER_BYTES_MAX: usize = plan::REPLY_BYTES_MAX;

/// The unit that a verdict fell on, and where it stands in its message.
#[derive(Clone, Copy)]
pub(super) struct VerdictUnit {
    /// Where the unit begins in the input.
    pub at: usize,
    /// Its bytes.
    pub len: usize,
    /// The message begins with it.
    pub first: bool,
    /// The message ends with it.
    pub last: bool,
    /// Earlier units of the message went to the server.
    pub went_on: bool,
}

/// What an answer became.
enum Answered {
    /// It stands in the scratch.
    Reply,
    /// So it does, and the connection ends with it.
    Last,
    /// The protocol has none for this message.
    Silence,
    /// There is no room for it behind those before it.
    Full,
}

impl StreamRun<'_> {
    /// Applies a verdict. `before`: the state in front of the unit.
    pub(super) fn verdict(
        &mut self,
        verdict: Verdict<'_>,
        message: VerdictUnit,
        view: View<'_>,
        rest: &[u8],
        before: &DecoderState,
    ) -> UnitEnd {
        let end = if self.enforces() {
            self.enforce(verdict, message, view, rest, before)
        } else {
            UnitEnd::Decided(message.len)
        };
        let hit_log = &mut self.scratch.unit_scratch.hit_log;
        if matches!(end, UnitEnd::Full | UnitEnd::AwaitsResponses) {
            hit_log.abandon();
            return end;
        }
        hit_log.commit();
        self.messages = self.messages.saturating_add(u32::from(message.first));
        self.direction.open = [None; OPEN_FIELDS_MAX];
        end
    }

    fn enforce(
        &mut self,
        verdict: Verdict<'_>,
        message: VerdictUnit,
        view: View<'_>,
        rest: &[u8],
        before: &DecoderState,
    ) -> UnitEnd {
        let (reply, closes) = match verdict {
            Verdict::Drop => (None, false),
            Verdict::Refuse(reply) => (Some(reply), false),
            Verdict::Close(Some(reply)) => (Some(reply), true),
            Verdict::Close(None) => return UnitEnd::Close,
        };
        // Nobody answers a response.
        let reply = reply.filter(|_| self.from == Direction::Request);
        let outstanding = self.outstanding_responses(before).filter(|_| !message.went_on);
        match (reply, outstanding, self.reverse) {
            // The first part of the message is with the server, which waits for the rest: its
            // answer may be foreseen.
            (Some(reply), None, ReverseState::Open) if closes && self.may_answer_for(before) => {
                self.refuse(reply, true, message, view, rest)
            }
            // Without its end the first part must not stay there.
            (_, _, _) if message.went_on => UnitEnd::Close,
            (None, _, _) if closes => UnitEnd::Close,
            (None, _, _) => self.swallow(message, before),
            (Some(_), None, _) => UnitEnd::Close,
            // Nobody would read an answer.
            (Some(_), Some(_), ReverseState::Over) if closes => UnitEnd::Close,
            (Some(_), Some(_), ReverseState::Over) => self.swallow(message, before),
            (Some(reply), Some(0), ReverseState::Open) => {
                self.module.decoder.cancel_request(self.state);
                self.refuse(reply, closes, message, view, rest)
            }
            (Some(_), Some(_), ReverseState::Open | ReverseState::Busy) => UnitEnd::AwaitsResponses,
        }
    }

    fn may_answer_for(&self, before: &DecoderState) -> bool {
        !self.decoder_missed_bytes && self.module.decoder.may_answer_for(before)
    }

    /// What the server owes, as far as all it was let see has been read.
    fn outstanding_responses(&self, state: &DecoderState) -> Option<u32> {
        self.module.decoder.outstanding_responses(state).filter(|_| !self.decoder_missed_bytes)
    }

    /// Takes the message away without an answer.
    fn swallow(&mut self, message: VerdictUnit, before: &DecoderState) -> UnitEnd {
        let end = message.at.saturating_add(message.len);
        if !self.scratch.edits.delete(Span::new(message.at, end)) {
            return UnitEnd::Full;
        }
        if self.from == Direction::Request && self.outstanding_responses(before).is_some() {
            self.module.decoder.cancel_request(self.state);
        }
        self.direction.discarding = !message.last;
        UnitEnd::Decided(message.len)
    }

    /// Takes the message away and answers it.
    fn refuse(
        &mut self,
        reply: &Reply,
        closes: bool,
        message: VerdictUnit,
        view: View<'_>,
        rest: &[u8],
    ) -> UnitEnd {
        // Where this message ends, or what comes behind it, cannot be told any more: nothing may
        // follow it.
        let closes = closes || self.outstanding_responses(self.state).is_none();
        let start = self.scratch.reply.len();
        let ends = match self.answer(reply, closes, view) {
            Answered::Full => return UnitEnd::Full,
            Answered::Silence if closes => return UnitEnd::Close,
            Answered::Silence => false,
            Answered::Last => true,
            Answered::Reply => closes,
        };
        let bytes = if ends { rest.len() } else { message.len };
        let end = message.at.saturating_add(bytes);
        if !self.scratch.edits.delete(Span::new(message.at, end)) {
            self.scratch.reply.truncate(start);
            self.answer = start > 0;
            return UnitEnd::Full;
        }
        self.direction.discarding = ends || !message.last;
        if ends { UnitEnd::Finished } else { UnitEnd::Decided(message.len) }
    }

    fn answer(&mut self, reply: &Reply, closes: bool, view: View<'_>) -> Answered {
        let answers = &mut self.scratch.reply;
        let start = answers.len();
        let what = if closes { Refused::Connection } else { Refused::Message };
        let refusal = match reply {
            Reply::Protocol(which) => self.module.decoder.refuse(what, *which, view, answers),
            Reply::Custom(bytes) if start.saturating_add(bytes.len()) > ANSWER_BYTES_MAX => {
                return if start > 0 { Answered::Full } else { Answered::Silence };
            }
            Reply::Custom(bytes) => {
                self.module.decoder.shape_custom_reply(what, bytes, view, answers)
            }
        };
        if start > 0 && answers.len() > ANSWER_BYTES_MAX {
            answers.truncate(start);
            return Answered::Full;
        }
        self.answer = !answers.is_empty();
        match refusal {
            Refusal::Reply => Answered::Reply,
            Refusal::Last => Answered::Last,
            Refusal::Silence => Answered::Silence,
        }
    }
}
