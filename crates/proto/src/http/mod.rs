//! HTTP/1.0 and HTTP/1.1 (RFC 9112), requests and responses.
//!
//! Holds:     the decoder: which part of a message is next, and who reads it. A unit is a line
//!            (start line, header line, blank line, chunk-size line) or a piece of a body; in whole
//!            mode the head is one.
//! Promises:  a message whose end servers may see in different places is never skipped over: from
//!            there on, every line that may begin a message is read as one.
//! Never:     joins, unfolds, decodes or decompresses: fields are the bytes of the wire.

mod body;
mod framing;
mod head;
mod line;
mod list;
mod name_filter;
mod prefilter;
mod reply;
mod scan;
mod start;
mod state;
mod table;
#[cfg(test)]
mod tests;

use crate::schema::{Protocol, Transport};
use crate::{
    Fields, Need, ProtocolDecoder, Refusal, Refused, SampleMessage, Span, Step, View, Wanted,
};
use head::HeadWalk;
use stage::Direction;
use stage::position::plus;
pub use state::HttpState;
use state::{HttpPhase, Marks};

/// The decoder.
pub struct Http;

static PROTOCOL: Protocol = Protocol {
    name: "http",
    title: "Hypertext Transfer Protocol",
    ports: &[(Transport::Tcp, &[80, 8000, 8008, 8080])],
    fields: table::FIELDS,
    unit: "a line of the head, a chunk-size line, or a piece of the body; the whole head where a rule reads several of its \
           lines together",
    readings: include_str!("../readings/http.md"),
    refusals: reply::REFUSALS,
};

impl ProtocolDecoder for Http {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[
        SampleMessage { name: "http-request", from: Direction::Request, bytes: b"GET /index.html?page=12 HTTP/1.1\r\nHost: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\nReferer: http://www.example.com/\r\nConnection: keep-alive\r\n\r\n" },
        SampleMessage { name: "http-response", from: Direction::Response, bytes: b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\n\
Connection: keep-alive\r\nContent-Length: 0\r\n\r\n" },
    ];

    type State = HttpState;

    fn stream(
        &self,
        wanted: &Wanted,
        state: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        if view.input.is_empty() {
            return Step::More(Need::Bytes(1));
        }
        let distrusted = state.half(view.from).marks.has(Marks::DISTRUSTED);
        let step = unit(wanted, state, view, out);
        if let Step::Unit { bytes, .. } = step
            && distrusted
        {
            body::suspect_data(
                wanted,
                &mut state.half_mut(view.from).marks,
                Span::new(0, bytes),
                out,
            );
        }
        step
    }

    fn stream_prefiltered(
        &self,
        wanted: &Wanted,
        state: &mut Self::State,
        view: View<'_>,
        upto: usize,
        out: &mut Fields,
    ) -> Option<Step> {
        prefilter::head(wanted, state, view, upto, out)
    }

    fn outstanding_responses(&self, state: &Self::State) -> Option<u32> {
        state.outstanding_responses()
    }

    fn may_answer_for(&self, state: &Self::State) -> bool {
        state.awaits_body_of_only_request()
    }

    fn cancel_request(&self, state: &mut Self::State) {
        state.cancel_request();
    }

    fn refuse(&self, what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        reply::refuse(what, which, view, out)
    }

    fn shape_custom_reply(
        &self,
        what: Refused,
        reply: &[u8],
        view: View<'_>,
        out: &mut Vec<u8>,
    ) -> Refusal {
        reply::shape_custom_reply(what, reply, view, out)
    }
}

fn unit(wanted: &Wanted, state: &mut HttpState, view: View<'_>, out: &mut Fields) -> Step {
    let half = *state.half(view.from);
    let boundary = matches!(half.phase, HttpPhase::Start | HttpPhase::Ignored | HttpPhase::Done);
    // Once requests and responses are out of step, a response nobody reads tells the request side
    // nothing more.
    let unread = view.from == Direction::Response && state.unpaired && wanted.is_empty();
    if boundary && (state.tunnel || unread || half.phase == HttpPhase::Done) {
        state.half_mut(view.from).phase = HttpPhase::Done;
        return Step::SkipRest;
    }
    let walk = |out| HeadWalk { wanted, view, half, out, at: 0, first: false };
    match half.phase {
        HttpPhase::Start if half.marks.has(Marks::DISTRUSTED) => suspect(wanted, state, view, out),
        HttpPhase::Start => walk(out).start(state),
        HttpPhase::OpenUri => walk(out).continue_target(state),
        HttpPhase::Headers | HttpPhase::Trailers => walk(out).lines(state),
        HttpPhase::OpenHeader => line::proceed(wanted, state, view, out),
        HttpPhase::Ignored => ignored(state, view),
        HttpPhase::Body | HttpPhase::ChunkData => body::counted(wanted, state, view, out),
        HttpPhase::UntilClose => body::until_close(wanted, state, view, out),
        HttpPhase::ChunkSize => body::chunk_line(wanted, state, view, out),
        HttpPhase::ChunkEnd => body::chunk_end(wanted, state, view, out),
        HttpPhase::Done => Step::SkipRest,
    }
}

/// A line that may begin a message, or may be part of the body of an earlier one.
fn suspect(wanted: &Wanted, state: &mut HttpState, view: View<'_>, out: &mut Fields) -> Step {
    let window = view.input.get(..start::LOOKS_BYTES_MAX).unwrap_or(view.input);
    let line_end = memchr::memchr(b'\n', window);
    if line_end.is_none() && window.len() < start::LOOKS_BYTES_MAX && !view.ended {
        return Step::More(Need::Byte(b'\n'));
    }
    let line = window.get(..line_end.unwrap_or(window.len())).unwrap_or_default();
    let begins = match view.from {
        Direction::Request => start::looks_like_request(line),
        Direction::Response => {
            line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"))
        }
    };
    if begins {
        let half = *state.half(view.from);
        return HeadWalk { wanted, view, half, out, at: 0, first: false }.start(state);
    }
    ignored(state, view)
}

/// The rest of a line without fields.
fn ignored(state: &mut HttpState, view: View<'_>) -> Step {
    let half = state.half_mut(view.from);
    let line_end = memchr::memchr(b'\n', view.input);
    let in_head = !half.marks.has(Marks::DISTRUSTED);
    half.phase = match line_end {
        None => HttpPhase::Ignored,
        // The long phrase of a status line has ended.
        Some(_) if in_head => HttpPhase::Headers,
        Some(_) => HttpPhase::Start,
    };
    let bytes = line_end.map_or(view.input.len(), |end| plus(end, 1));
    Step::Unit { bytes, first: false, last: false }
}
