//! Responses that stand in for the server's.
//!
//! Holds:     the responses, and what of a head says whether the connection outlives its message.
//! Promises:  the client finds the end of a response from here where it is: its length is stated,
//!            or [`Refusal::Last`] says that the connection ends with it.
//! Never:     sends a body of its own, so that an answer to HEAD is one, too; or a date, having no
//!            clock (RFC 9110 section 6.6.1).

use super::framing::{self, Framing};
use super::{scan, start};
use crate::{Refusal, Refused, View};
use stage::Direction;

/// Names of the responses, in the order of `refuse`'s numbers.
pub(super) const REFUSALS: &[&str] = &[
    "bad_request",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "length_required",
    "content_too_large",
    "uri_too_long",
    "range_not_satisfiable",
    "unprocessable_content",
    "headers_too_large",
    "server_error",
    "not_implemented",
    "unavailable",
];

/// Status lines, and the header field that a status cannot go without, in the order of
/// [`REFUSALS`].
const RESPONSES: &[&str] = &[
    "400 Bad Request",
    "403 Forbidden",
    "404 Not Found",
    //= https://www.rfc-editor.org/rfc/rfc9110#section-10.2.1
    //# An empty Allow field value indicates that the resource allows no methods
    "405 Method Not Allowed\r\nAllow:",
    "411 Length Required",
    "413 Content Too Large",
    "414 URI Too Long",
    "416 Range Not Satisfiable",
    "422 Unprocessable Content",
    "431 Request Header Fields Too Large",
    "500 Internal Server Error",
    "501 Not Implemented",
    "503 Service Unavailable",
];

/// Answers the request whose head is in `view`.
pub(super) fn refuse(what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
    let Some(response) = RESPONSES.get(usize::from(which)) else { return Refusal::Silence };
    if view.from == Direction::Response {
        return Refusal::Silence;
    }
    let request = RefusedRequest::read(view.input);
    let ends = what == Refused::Connection || !request.lives_on;
    let connection = if ends { "Connection: close\r\n" } else { "" };
    for part in ["HTTP/1.1 ", response, "\r\nContent-Length: 0\r\n", connection, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if request.lives_on { Refusal::Reply } else { Refusal::Last }
}

/// The same with the patch's own response.
pub(super) fn shape_custom_reply(
    _what: Refused,
    reply: &[u8],
    view: View<'_>,
    out: &mut Vec<u8>,
) -> Refusal {
    if view.from == Direction::Response {
        return Refusal::Silence;
    }
    let request = RefusedRequest::read(view.input);
    let response = ReplyHead::read(reply);
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Any response to a HEAD request [...] is always terminated by the first empty line after the
    //# header fields
    let bytes = if request.is_head { response.bytes } else { reply.len() };
    out.extend_from_slice(reply.get(..bytes).unwrap_or(reply));
    let has_end = request.is_head || response.is_framed;
    if request.lives_on && has_end && response.is_whole && !response.closes {
        Refusal::Reply
    } else {
        Refusal::Last
    }
}

/// A request, as far as the answer to it depends on it.
struct RefusedRequest {
    /// Its method is HEAD.
    is_head: bool,
    /// Its sender expects to ask more on this connection.
    lives_on: bool,
}

impl RefusedRequest {
    fn read(input: &[u8]) -> Self {
        let empty = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let input = input.get(empty..).unwrap_or_default();
        let end = scan::line(input, 0, true).map_or(input.len(), |line| line.end);
        let line = input.get(..end).unwrap_or_default();
        let (from, to) = start::method(line).unwrap_or_default();
        let (_, version) = start::target_end(line, to, line.len());
        let version = version.and_then(|(from, to)| line.get(from..to));
        let head = ReplyHead::read(input);
        //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3
        //# If the received protocol is HTTP/1.1 (or later), the connection will persist after the
        //# current response
        let modern = matches!(version, Some([.., b'1', b'.', b'1'..=b'9']));
        Self {
            is_head: line.get(from..to) == Some(b"HEAD"),
            lives_on: modern && head.is_whole && !head.closes,
        }
    }
}

/// A head, as far as the end of its message, and of the connection, depends on it.
struct ReplyHead {
    /// Where the message's content begins.
    bytes: usize,
    /// It ends with an empty line.
    is_whole: bool,
    /// It announces the end of the connection.
    closes: bool,
    /// It says where its content ends.
    is_framed: bool,
}

impl ReplyHead {
    fn read(input: &[u8]) -> Self {
        let mut head =
            Self { bytes: input.len(), is_whole: false, closes: false, is_framed: false };
        let mut at = 0_usize;
        while let Some(line) = scan::line(input, at, false) {
            let text = input.get(at..line.end).unwrap_or_default();
            at = line.next;
            if text.is_empty() {
                head.bytes = at;
                head.is_whole = true;
                break;
            }
            let Some(colon) = memchr::memchr(b':', text) else { continue };
            let (name, value) = text.split_at_checked(colon).unwrap_or_default();
            let framing = framing::by_name(name).map(|(framing, _)| framing);
            head.is_framed |=
                matches!(framing, Some(Framing::ContentLength | Framing::TransferEncoding));
            head.closes |= name.trim_ascii().eq_ignore_ascii_case(b"connection")
                && value
                    .split(|byte| matches!(byte, b',' | b':'))
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, reply: Option<&str>, refused: Refusal, text: &str) {
        let input = request.as_bytes();
        let view = View { input, from: Direction::Request, open: false, ended: false };
        let mut out = Vec::new();
        let refusal = match reply {
            Some(reply) => shape_custom_reply(Refused::Message, reply.as_bytes(), view, &mut out),
            None => refuse(Refused::Message, 0, view, &mut out),
        };
        assert_eq!(
            (refusal, String::from_utf8_lossy(&out).as_ref()),
            (refused, text),
            "{request:?}"
        );
    }

    #[test]
    fn the_connection_lives_as_long_as_the_request_wants() {
        let plain = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        let last = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        for request in [
            "GET / HTTP/1.1\r\n\r\n",
            "\r\nHEAD /a b HTTP/1.2\nHost: x\n\n",
            "GET / HTTP/1.1\r\nConnection: keep-alive\r\nX: close\r\n\r\n",
        ] {
            check(request, None, Refusal::Reply, plain);
        }
        for request in [
            "GET / HTTP/1.0\r\n\r\n",
            "GET /\r\n",
            "",
            "GET / HTTP/1.1\r\nHost: not whole\r\n",
            "GET / HTTP/1.1\r\nconnection : TE, Close\r\n\r\n",
        ] {
            check(request, None, Refusal::Last, last);
        }
    }

    #[test]
    fn a_literal_ends_where_its_client_thinks_it_ends() {
        let reply = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno";
        let head = "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\n";
        check("GET / HTTP/1.1\r\n\r\n", Some(reply), Refusal::Reply, reply);
        check("HEAD / HTTP/1.1\r\n\r\n", Some(reply), Refusal::Reply, head);
        let endless = "HTTP/1.1 403 No\r\n\r\nno";
        check("GET / HTTP/1.1\r\n\r\n", Some(endless), Refusal::Last, endless);
        let closing = "HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        check("GET / HTTP/1.1\r\n\r\n", Some(closing), Refusal::Last, closing);
        check("GET / HTTP/1.1\r\n\r\n", Some("no"), Refusal::Last, "no");
    }

    #[test]
    fn every_name_has_its_response() {
        assert_eq!(REFUSALS.len(), RESPONSES.len());
        let view = View { input: b"", from: Direction::Response, open: false, ended: false };
        assert_eq!(refuse(Refused::Message, 0, view, &mut Vec::new()), Refusal::Silence);
    }
}
