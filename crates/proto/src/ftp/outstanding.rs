//! Which replies are to come.
//!
//! Holds:     the count of commands without their last reply, as lines of both directions end.
//! Promises:  what is not certain makes it say that it does not know, for good.
//! Never:     believes that a server answers an empty line, or that it does not.

use super::{FtpState, OpenLine};
use stage::Direction;

impl FtpState {
    pub(super) fn command_ended(&mut self, blank: bool) {
        if core::mem::take(&mut self.cancelled) {
            return;
        }
        // Some servers answer an empty line, and others skip it.
        self.lost |= blank;
        self.awaited = self.awaited.saturating_add(1);
    }

    //= https://www.rfc-editor.org/rfc/rfc959#section-4.2
    //# Every command must generate at least one reply, although there may be more than one; in
    //# the latter case, the multiple replies must be easily distinguished.
    pub(super) fn reply_ended(&mut self) {
        let Some(code @ [kind, ..]) = self.said else {
            self.lost = true;
            return;
        };
        // 1yz: "expect another reply before proceeding with a new command".
        if kind == b'1' {
            return;
        }
        let greets = !core::mem::replace(&mut self.greeted, true);
        if greets && matches!(&code, b"220" | b"421") {
            return;
        }
        self.lost |= self.awaited == 0;
        self.awaited = self.awaited.saturating_sub(1);
    }

    pub(super) fn outstanding_responses(&self) -> Option<u32> {
        if self.lost || self.granted || self.encrypted {
            return None;
        }
        let replying =
            self.long_reply.is_some() || self.open_of(Direction::Response) != OpenLine::No;
        let outstanding = self.awaited.saturating_add(u32::from(!self.greeted));
        Some(outstanding.max(u32::from(replying)))
    }

    /// The client's line at hand never reaches the server.
    pub(super) fn cancel_request(&mut self) {
        if self.open_of(Direction::Request) == OpenLine::No {
            self.awaited = self.awaited.saturating_sub(1);
        } else {
            self.cancelled = true;
        }
    }
}
