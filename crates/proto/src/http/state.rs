//! What is remembered of an HTTP connection between units.
//!
//! Holds:     per direction where in a message it stands, and a short queue of what the requests
//!            under way were.
//! Promises:  64 bytes, plain. A queue that overflows or falls out of step says so
//!            ([`HttpState::unpaired`]) and is never believed again.
//! Never:     holds bytes of the stream.

use crate::{FieldId, Slot};
use stage::Direction;

/// Where a direction stands; the next byte begins this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HttpPhase {
    /// A start line, or the empty lines before it.
    #[default]
    Start,
    /// A header line, or the blank line.
    Headers,
    /// A trailer line, or the blank line.
    Trailers,
    /// Inside the request target, opened.
    OpenUri,
    /// Inside a header line, opened.
    OpenHeader,
    /// Inside a line none of whose fields can be opened.
    Ignored,
    /// `left` bytes of a body.
    Body,
    /// A body that ends with the connection.
    UntilClose,
    /// A chunk-size line.
    ChunkSize,
    /// `left` bytes of a chunk.
    ChunkData,
    /// The CRLF after a chunk.
    ChunkEnd,
    /// Nothing more is read.
    Done,
}

/// What a request was, as far as its response's framing depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// Any other.
    #[default]
    Plain,
    /// Its response has no body.
    Head,
    /// A 2xx response begins a tunnel.
    Connect,
    /// A 101 response begins another protocol.
    Upgrade,
}

/// Flags of a message head and of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u32);

impl Marks {
    pub(super) const CONTENT_LENGTH: Self = Self(1);
    pub(super) const TRANSFER_ENCODING: Self = Self(1 << 1);
    pub(super) const CHUNKED: Self = Self(1 << 2);
    pub(super) const TE_UNKNOWN: Self = Self(1 << 3);
    pub(super) const UPGRADE: Self = Self(1 << 4);
    /// HTTP/1.0, or less.
    pub(super) const OLD: Self = Self(1 << 5);
    /// No version at all: HTTP/0.9.
    pub(super) const VERSIONLESS: Self = Self(1 << 6);
    pub(super) const BARE_LF: Self = Self(1 << 7);
    pub(super) const BARE_CR: Self = Self(1 << 8);
    pub(super) const OBS_FOLD: Self = Self(1 << 9);
    pub(super) const BAD_NAME: Self = Self(1 << 10);
    pub(super) const LEADING_CRLF: Self = Self(1 << 11);
    /// Servers differ in where this message ends.
    pub(super) const AMBIGUOUS: Self = Self(1 << 12);
    /// Pieces of the open field were yielded.
    pub(super) const OPENED: Self = Self(1 << 13);
    /// The open request target has reached its query.
    pub(super) const IN_QUERY: Self = Self(1 << 14);
    /// The open line is a trailer.
    pub(super) const TRAILER: Self = Self(1 << 15);
    /// An earlier message's end is uncertain: every line from here on may begin a message. For
    /// good.
    pub(super) const DISTRUSTED: Self = Self(1 << 16);
    /// A start line was seen. For good.
    pub(super) const GREETED: Self = Self(1 << 17);

    /// A start line that is none, or a NUL.
    pub(super) const MALFORMED: Self = Self(1 << 18);

    /// Lines that may be body were yielded as such. For good.
    pub(super) const SUSPECT_DATA: Self = Self(1 << 19);

    const FOR_GOOD: Self = Self::DISTRUSTED.with(Self::GREETED).with(Self::SUSPECT_DATA);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// There are no others.
    pub(super) const fn only(self, those: Self) -> bool {
        self.0 & !those.0 == 0
    }

    pub(super) fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn set_if(&mut self, condition: bool, other: Self) {
        if condition {
            self.set(other);
        }
    }

    pub(super) fn unset(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// Only what outlives a message.
    pub(super) fn next_message(&mut self) {
        self.0 &= Self::FOR_GOOD.0;
    }
}

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HttpHalf {
    /// Content-Length while the head is read; bytes still to come inside a body or chunk.
    pub left: u64,
    pub marks: Marks,
    /// Number of the current header line, from 1: the group of its fields.
    pub line: u16,
    /// Status code (responses).
    pub status: u16,
    /// The open header line's keyed slot, or [`NO_SLOT`].
    pub key: Slot,
    /// The open header line's own field, or [`NO_FIELD`].
    pub known: FieldId,
    pub phase: HttpPhase,
    /// Method (requests).
    pub kind: RequestKind,
}

/// No slot.
pub(super) const NO_SLOT: Slot = Slot::MAX;
/// No field.
pub(super) const NO_FIELD: FieldId = FieldId(u16::MAX);

impl HttpHalf {
    const fn new() -> Self {
        Self {
            left: 0,
            marks: Marks(0),
            line: 0,
            status: 0,
            key: NO_SLOT,
            known: NO_FIELD,
            phase: HttpPhase::Start,
            kind: RequestKind::Plain,
        }
    }

    /// The message is over.
    pub(super) fn next_message(&mut self) {
        *self = Self { marks: self.marks, ..Self::new() };
        self.marks.next_message();
    }

    /// Where this message ends is uncertain: what follows is read line by line, for good.
    pub(super) fn distrust(&mut self) {
        self.next_message();
        self.marks.set(Marks::DISTRUSTED);
    }
}

/// Requests whose response has not begun. Pipelining clients keep far fewer under way.
const REQUESTS_MAX: u8 = 32;

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpState {
    pub(super) request: HttpHalf,
    pub(super) response: HttpHalf,
    /// Two bits a request, the oldest lowest.
    kinds: u64,
    waiting: u8,
    /// Requests and responses can no longer be told to belong together: too many under way, a
    /// response without a request, or a framing that servers read differently.
    pub(super) unpaired: bool,
    /// A tunnel, or another protocol, has begun: both directions are over.
    pub(super) tunnel: bool,
}

impl Default for HttpState {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpState {
    /// A new connection.
    pub(super) const fn new() -> Self {
        Self {
            request: HttpHalf::new(),
            response: HttpHalf::new(),
            kinds: 0,
            waiting: 0,
            unpaired: false,
            tunnel: false,
        }
    }

    pub(super) const fn half(&self, from: Direction) -> &HttpHalf {
        match from {
            Direction::Request => &self.request,
            Direction::Response => &self.response,
        }
    }

    pub(super) fn half_mut(&mut self, from: Direction) -> &mut HttpHalf {
        match from {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    /// A request's head has ended.
    pub(super) fn asked(&mut self, kind: RequestKind) {
        if self.waiting >= REQUESTS_MAX {
            self.unpaired = true;
            return;
        }
        let bits = match kind {
            RequestKind::Plain => 0_u64,
            RequestKind::Head => 1,
            RequestKind::Connect => 2,
            RequestKind::Upgrade => 3,
        };
        self.kinds |= bits.wrapping_shl(u32::from(self.waiting).saturating_mul(2));
        self.waiting = self.waiting.saturating_add(1);
    }

    /// The request that the next response answers.
    pub(super) const fn oldest(&self) -> Option<RequestKind> {
        if self.waiting == 0 {
            return None;
        }
        Some(match self.kinds & 3 {
            0 => RequestKind::Plain,
            1 => RequestKind::Head,
            2 => RequestKind::Connect,
            _ => RequestKind::Upgrade,
        })
    }

    /// Its final response's head has ended.
    pub(super) fn answered(&mut self) {
        self.kinds >>= 2;
        self.waiting = self.waiting.saturating_sub(1);
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3.2
    //# A server MAY process a sequence of pipelined requests in parallel if they all have safe
    //# methods, but it MUST send the corresponding responses in the same order that the requests
    //# were received.
    /// Final responses that have not come to their end.
    pub(super) fn outstanding_responses(&self) -> Option<u32> {
        if self.unpaired || self.tunnel {
            return None;
        }
        let waiting = u32::from(self.waiting);
        Some(match self.response.phase {
            HttpPhase::Start => waiting,
            HttpPhase::Headers
            | HttpPhase::OpenHeader
            | HttpPhase::Ignored
            | HttpPhase::OpenUri
                if !self.response.marks.has(Marks::TRAILER) =>
            {
                // One that nobody asked for is under way, too.
                waiting.max(1)
            }
            // Its request counts as answered since its head ended.
            HttpPhase::Headers
            | HttpPhase::OpenHeader
            | HttpPhase::Ignored
            | HttpPhase::OpenUri
            | HttpPhase::Trailers
            | HttpPhase::Body
            | HttpPhase::UntilClose
            | HttpPhase::ChunkSize
            | HttpPhase::ChunkData
            | HttpPhase::ChunkEnd
            | HttpPhase::Done => waiting.saturating_add(1),
        })
    }

    /// The one response owed is to the request whose body comes, and has not begun.
    pub(super) fn awaits_body_of_only_request(&self) -> bool {
        // Before the end of its head a request does not count: what is owed then is owed to
        // another.
        let in_body = matches!(
            self.request.phase,
            HttpPhase::Body
                | HttpPhase::ChunkSize
                | HttpPhase::ChunkData
                | HttpPhase::ChunkEnd
                | HttpPhase::Trailers
        );
        in_body
            && self.response.phase == HttpPhase::Start
            && self.outstanding_responses() == Some(1)
    }

    /// The newest request never reaches the server.
    pub(super) fn cancel_request(&mut self) {
        let phase = self.request.phase;
        if matches!(
            phase,
            HttpPhase::Headers | HttpPhase::OpenHeader | HttpPhase::Ignored | HttpPhase::OpenUri
        ) {
            // What is left of its head could still turn out to announce anything.
            self.unpaired = true;
        } else if !self.unpaired {
            self.waiting = self.waiting.saturating_sub(1);
            self.kinds &= !3_u64.wrapping_shl(u32::from(self.waiting).saturating_mul(2));
        }
    }
}

const _: () = assert!(size_of::<HttpState>() <= 64, "it is kept for every connection");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_keeps_order_and_says_when_it_overflows() {
        let mut state = HttpState::new();
        let kinds =
            [RequestKind::Plain, RequestKind::Head, RequestKind::Connect, RequestKind::Upgrade];
        for n in 0..32 {
            state.asked(kinds[n % 4]);
        }
        assert!(!state.unpaired);
        for n in 0..32 {
            assert_eq!(state.oldest(), Some(kinds[n % 4]));
            state.answered();
        }
        assert_eq!(state.oldest(), None);
        state.asked(RequestKind::Head);
        state.asked(RequestKind::Connect);
        assert_eq!(state.outstanding_responses(), Some(2));
        state.cancel_request();
        assert_eq!(
            (state.outstanding_responses(), state.oldest()),
            (Some(1), Some(RequestKind::Head))
        );
        state.asked(RequestKind::Plain);
        state.answered();
        assert_eq!(
            state.oldest(),
            Some(RequestKind::Plain),
            "nothing is left of what was cancelled"
        );
        for _ in 0..33 {
            state.asked(RequestKind::Head);
        }
        assert!(state.unpaired);
        assert_eq!(state.outstanding_responses(), None);
    }
}
