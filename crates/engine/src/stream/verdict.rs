//! A message that goes no further: dropped, refused, or the end of its connection.
//!
//! The engine's answer must take the place of the server's: behind the answers to all earlier
//! messages and in front of those to all later ones. So a message that gets an answer waits until
//! the server has no outstanding responses, and everything behind it waits too. Where the decoder
//! cannot tell how many are outstanding, or the server has the beginning of the message, the engine
//! resets the connection. For `close` it may instead answer in place of a response that the server
//! has not begun.

use plan::{Reply, Verdict};
use proto::{DecoderState, Refusal, Refused, Span, View};
use stage::{Direction, ReverseState};

use super::{StreamRun, UnitEnd};
use crate::conversation::OPEN_FIELDS_MAX;

/// Bytes that the answers of one call may have. A patch's own reply is never longer.
const ANSWER_BYTES_MAX: usize = plan::REPLY_BYTES_MAX;

/// The unit that a verdict concerns, and its place in the message.
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

/// The result of asking the decoder for an answer.
enum Answered {
    /// The answer is in the scratch.
    Reply,
    /// The answer is in the scratch, and the connection ends with it.
    Last,
    /// The protocol has none for this message.
    Silence,
    /// There is no room for it behind the earlier answers.
    Full,
}

impl StreamRun<'_> {
    /// Applies a verdict. `before` is the decoder's state in front of the unit.
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
        // A response gets no answer.
        let reply = reply.filter(|_| self.from == Direction::Request);
        let outstanding = self.outstanding_responses(before).filter(|_| !message.went_on);
        match (reply, outstanding, self.reverse) {
            // The server has the first part of the message and waits for the rest. The engine may
            // answer in its place.
            (Some(reply), None, ReverseState::Open) if closes && self.may_answer_for(before) => {
                self.refuse(reply, true, message, view, rest)
            }
            // The server must not keep the first part of a message without its end.
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

    /// The responses that the server has still to send, if the decoder has read everything.
    fn outstanding_responses(&self, state: &DecoderState) -> Option<u32> {
        self.module.decoder.outstanding_responses(state).filter(|_| !self.decoder_missed_bytes)
    }

    /// Deletes the message without an answer.
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

    /// Deletes the message and answers it.
    fn refuse(
        &mut self,
        reply: &Reply,
        closes: bool,
        message: VerdictUnit,
        view: View<'_>,
        rest: &[u8],
    ) -> UnitEnd {
        // Nobody can tell where this message ends, or what follows it: nothing may follow.
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
