//! Bytes that a stage puts into a half-stream: answers in the server's stead.
//!
//! Holds:     how an answer is put in, and how the rest of it is sent when the receiver's window
//!            opens.
//! Promises:  an answer is between two messages of the sender. It is kept and sent again until the
//!            receiver acknowledges it ([`Half::has_proxy_acknowledged`]).
//! Never:     sends past the receiver's window, except for the timer: a resent byte asks whether
//!            the window has opened.
//!
//! ```text
//! client   sends GET /bad, 5000..5100: deleted and acknowledged
//! server   its next byte is 900, everything is acknowledged
//!          40 bytes of answer are put in: the client gets them as 900..940
//! later    the server sends 900..1000: the client gets them as 940..1040
//! ```

use crate::commit::CopyFailed;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use stage::ReverseState;
use stage::position::{len32, plus};
use wire::Seq;

/// Bytes of the copy to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopiedRange {
    pub(crate) seq: Seq,
    pub(crate) at: u32,
    pub(crate) len: u32,
}

impl Half {
    /// Whether an answer may be put in at the edge.
    pub(crate) fn reverse_state(&self, stores: &Stores) -> ReverseState {
        if self.is(Facts::FIN_SEEN) || self.is(Facts::FINISHED) {
            return ReverseState::Over;
        }
        let whole = self.is(Facts::KNOWN) && self.skip_left() == 0 && self.held(stores) == 0;
        let room = match stores.buffers(self.buffers_id()) {
            Some(buffers) => buffers.copy.len() < stores.bounds.in_flight_bytes,
            None => stores.has_buffers_left(),
        };
        if whole && room { ReverseState::Open } else { ReverseState::Busy }
    }

    /// Puts an answer in at the edge; it is sent with the backlog.
    pub(crate) fn put_answer(
        &mut self,
        stores: &mut Stores,
        answer: &[u8],
    ) -> Result<(), CopyFailed> {
        if answer.is_empty() {
            return Ok(());
        }
        if !self.acquire(stores) {
            return Err(CopyFailed);
        }
        let Some((buffers, pool)) = stores.buffers_mut(self.buffers_id()) else {
            return Err(CopyFailed);
        };
        let bytes = len32(answer.len());
        if !buffers.copy.push(pool, answer) || !buffers.map.push_answer(bytes) {
            return Err(CopyFailed);
        }
        if !self.is(Facts::BACKLOG) {
            self.sent_e = self.next_e;
        }
        self.next_e = self.next_e.advance(bytes);
        self.note(Facts::EDITED);
        self.note(Facts::BACKLOG);
        Ok(())
    }

    /// Ends the half-stream for its receiver. Bytes that its sender still sends are deleted.
    pub(crate) fn finish(&mut self) {
        self.set_skip_left(u64::MAX);
        self.note(Facts::DISCARD);
        self.note(Facts::EDITED);
        self.note(Facts::FINISHED);
    }

    /// The next bytes of the backlog that the receiver's window has room for; `None` where there
    /// are none, or a gap in the copy.
    pub(crate) fn backlog(&self, stores: &Stores) -> Option<CopiedRange> {
        if !self.is(Facts::BACKLOG) {
            return None;
        }
        self.copied(stores, self.sent_e)
    }

    /// The proxy-acknowledged bytes that were sent and that the receiver has not acknowledged:
    /// nobody else will resend them.
    pub(crate) fn proxy_acknowledged(&self, stores: &Stores) -> Option<CopiedRange> {
        let end = stores.buffers(self.buffers_id())?.map.through(self.acked_o).min(self.sent_e);
        let run = self.copied(stores, self.una_e)?;
        let len = run.len.min(end.bytes_after(run.seq));
        (len > 0).then_some(CopiedRange { len, ..run })
    }

    /// The bytes in the copy from edited `start` on, up to a gap or the end of the receiver's
    /// window.
    fn copied(&self, stores: &Stores, start: Seq) -> Option<CopiedRange> {
        let buffers = stores.buffers(self.buffers_id())?;
        let mut run: Option<CopiedRange> = None;
        for placed in buffers.map.placed() {
            if !placed.edited_end().is_after(start) {
                continue;
            }
            if !placed.piece.is_copied() {
                break;
            }
            let from = placed.edited.max(start);
            let bytes = placed.edited_end().bytes_after(from);
            let whole = run.get_or_insert_with(|| {
                let at = plus(placed.copied_before, from.bytes_after(placed.edited));
                CopiedRange { seq: from, at, len: 0 }
            });
            whole.len = plus(whole.len, bytes);
        }
        let mut run = run?;
        run.len = self.window_room(run.seq, run.len);
        (run.len > 0).then_some(run)
    }

    /// The backlog was sent up to `end`.
    pub(crate) fn note_backlog_sent(&mut self, end: Seq) {
        self.sent_e = self.sent_e.max(end);
        if !self.sent_e.is_before(self.next_e) {
            self.drop_fact(Facts::BACKLOG);
        }
    }
}
