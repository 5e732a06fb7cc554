//! Request lines and status lines.
//!
//! Holds:     where the method, the target and the version of a request line lie, complete or
//!            opened.
//! Promises:  an opened target is made of the same bytes as a complete one: what may turn out to be
//!            the version, or the white space before it, is not given away before it is known.
//! Never:     waits for more than [`NAME_BYTES_MAX`] bytes of an opened line.

use super::scan::ByteRange;
use super::state::{HttpHalf, Marks, RequestKind};
use super::table::{
    CODE, METHOD, PARAMETER, PATH, PHRASE, QUERY, REQUEST_FLAG, REQUEST_LINE_FIELDS,
    REQUEST_VERSION, RESPONSE_FLAG, RESPONSE_VERSION, STATUS_LINE_FIELDS, URI,
};
use super::{list, scan};
use crate::limits::HTTP_NAME_BYTES_MAX as NAME_BYTES_MAX;
use crate::{Field, FieldId, Fields, Flags, Span, Wanted};
use stage::position::{minus, plus};

/// White space before a version, or after it, that is not part of the target. More of it is.
const SPACES_MAX: usize = 32;

/// `HTTP/1.1` takes eight bytes. A longer word that begins like a version is part of the target.
const VERSION_BYTES_MAX: usize = 24;

/// Bytes of a line that have to look like a request before it counts as one where that is in doubt.
pub(super) const LOOKS_BYTES_MAX: usize = 128;

//= https://www.rfc-editor.org/rfc/rfc9112#section-3
//# MAY instead parse on whitespace-delimited word boundaries
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r')
}

/// Where the method ends, and the target may begin. A method that is not over after
/// `NAME_BYTES_MAX` bytes is none: the whole line is the target.
pub(super) fn method(line: &[u8]) -> Option<(usize, usize)> {
    let head = line.get(..NAME_BYTES_MAX).unwrap_or(line);
    let start = head.iter().position(|&byte| !is_space(byte))?;
    let length = head.get(start..)?.iter().position(|&byte| is_space(byte))?;
    Some((start, plus(start, length)))
}

/// Where a target ends in a complete line's text `input[from..end]`, and its version.
pub(super) fn target_end(input: &[u8], from: usize, end: usize) -> (usize, Option<(usize, usize)>) {
    // Nearly every line.
    if let Some([.., before, b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1']) =
        input.get(from..end)
        && !is_space(*before)
    {
        return (minus(end, 9), Some((minus(end, 8), end)));
    }
    let last = strip_spaces(input, from, end, SPACES_MAX);
    let word = word_start(input, from, last);
    let version = input.get(word..last).unwrap_or_default();
    if word > from
        && version.len() <= VERSION_BYTES_MAX
        && version.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/"))
    {
        (strip_spaces(input, from, word, SPACES_MAX), Some((word, last)))
    } else {
        (last, None)
    }
}

/// Up to where `input[from..]`, of an incomplete line, is target for certain.
fn target_certain(input: &[u8], from: usize) -> usize {
    // One more than in a complete line: the last may be the CR of its line end.
    let last = strip_spaces(input, from, input.len(), SPACES_MAX.saturating_add(1));
    let word = word_start(input, from, last);
    let begun = input.get(word..last).unwrap_or_default();
    let expected = b"HTTP/".get(..begun.len().min(5)).unwrap_or_default();
    if word > from
        && begun.len() <= VERSION_BYTES_MAX
        && begun.get(..expected.len()).is_some_and(|begun| begun.eq_ignore_ascii_case(expected))
    {
        strip_spaces(input, from, word, SPACES_MAX)
    } else {
        last
    }
}

fn strip_spaces(input: &[u8], from: usize, end: usize, max: usize) -> usize {
    let text = input.get(from..end).unwrap_or_default();
    let spaces = text.iter().rev().take(max).take_while(|&&byte| is_space(byte)).count();
    minus(end, spaces)
}

/// Where the last word of `input[from..end]` begins; one longer than any version is not looked at
/// to its start.
fn word_start(input: &[u8], from: usize, end: usize) -> usize {
    let text = input.get(from..end).unwrap_or_default();
    let bytes = text.iter().rev().take(VERSION_BYTES_MAX.saturating_add(1));
    minus(end, bytes.take_while(|&&byte| !is_space(byte)).count())
}

fn skip_spaces(input: &[u8], from: usize, end: usize) -> usize {
    let text = input.get(from..end).unwrap_or_default();
    plus(from, text.iter().take_while(|&&byte| is_space(byte)).count())
}

/// A line that some server may take for a request line, by its first bytes: it has a version, or a
/// target's first byte after white space.
pub(super) fn looks_like_request(line: &[u8]) -> bool {
    let head = line.get(..LOOKS_BYTES_MAX).unwrap_or(line);
    head.windows(5).any(|five| five.eq_ignore_ascii_case(b"HTTP/"))
        || head.windows(2).any(|pair| matches!(pair, [space, b'/' | b'*'] if is_space(*space)))
        || head.windows(5).any(|five| {
            five.first().is_some_and(|&byte| is_space(byte))
                && five.get(1..).is_some_and(|word| word.eq_ignore_ascii_case(b"http"))
        })
}

/// Bytes that no text protocol sends: of TLS, or of another binary protocol.
pub(super) fn looks_binary(line: &[u8]) -> bool {
    let head = line.get(..LOOKS_BYTES_MAX).unwrap_or(line);
    head.iter().any(|&byte| byte >= 0x7f || (byte < b' ' && !matches!(byte, b'\t'..=b'\r')))
}

/// A complete request line `input[start..end]`.
pub(super) fn request_line(
    wanted: &Wanted,
    half: &mut HttpHalf,
    input: &[u8],
    ByteRange { start, end }: ByteRange,
    out: &mut Fields,
) {
    let line = input.get(start..end).unwrap_or_default();
    let (method_start, method_end) = method(line).unwrap_or_else(|| {
        // A word alone is a method; a line of white space is nothing.
        if line.len() <= NAME_BYTES_MAX {
            (skip_spaces(line, 0, line.len()), line.len())
        } else {
            (0, 0)
        }
    });
    let method_end = plus(method_end, start);
    begin_request(wanted, half, input, ByteRange::new(plus(method_start, start), method_end), out);
    end_request_line(wanted, half, input, ByteRange::new(method_end, end), out);
}

/// The fields up to the method.
pub(super) fn begin_request(
    wanted: &Wanted,
    half: &mut HttpHalf,
    input: &[u8],
    ByteRange { start, end }: ByteRange,
    out: &mut Fields,
) {
    half.kind = match input.get(start..end) {
        Some(b"HEAD") => RequestKind::Head,
        Some(b"CONNECT") => RequestKind::Connect,
        _ => RequestKind::Plain,
    };
    if wanted.has(REQUEST_FLAG) {
        out.number(REQUEST_FLAG.0, Span::new(start, start), 1);
    }
    if wanted.has(METHOD) {
        out.bytes(METHOD.0, Span::new(start, end));
    }
}

/// The rest of a request line, complete at `end`: from behind the method, or from where an opened
/// target goes on.
pub(super) fn end_request_line(
    wanted: &Wanted,
    half: &mut HttpHalf,
    input: &[u8],
    ByteRange { start: from, end }: ByteRange,
    out: &mut Fields,
) {
    let (target_end, version) = target_end(input, from, end);
    match version.and_then(|(from, to)| input.get(from..to)) {
        None => half.marks.set(Marks::VERSIONLESS),
        Some([.., b'1', b'.', b'1'..=b'9']) => {}
        Some(_) => half.marks.set(Marks::OLD),
    }
    if wanted.has_any(REQUEST_LINE_FIELDS) {
        target(wanted, half, input, ByteRange::new(from, target_end), true, out);
    }
    half.marks.unset(Marks::OPENED.with(Marks::IN_QUERY));
    if let Some((from, to)) = version
        && wanted.has(REQUEST_VERSION)
    {
        out.bytes(REQUEST_VERSION.0, Span::new(from, to));
    }
}

/// What of an incomplete request line, or of an opened target that goes on, can be given away:
/// `None` if nothing yet. `from` is behind the method, or 0.
pub(super) fn open_target(
    wanted: &Wanted,
    half: &mut HttpHalf,
    input: &[u8],
    from: usize,
    out: &mut Fields,
) -> Option<usize> {
    let certain = target_certain(input, from);
    if wanted.has(PATH) && !half.marks.has(Marks::OPENED) {
        let start = skip_spaces(input, from, certain);
        let begun = input.get(start..certain).unwrap_or_default();
        if !begun.starts_with(b"/") && begun.len() < NAME_BYTES_MAX {
            return None;
        }
    }
    target(wanted, half, input, ByteRange::new(from, certain), false, out);
    half.marks.set_if(scan::has_bare_cr(input, 0, certain), Marks::BARE_CR);
    (certain > 0).then_some(certain)
}

/// The target, or a piece of it. The white space before it goes away with the first piece.
fn target(
    wanted: &Wanted,
    half: &mut HttpHalf,
    input: &[u8],
    ByteRange { start: from, end }: ByteRange,
    closed: bool,
    out: &mut Fields,
) {
    let continues = half.marks.has(Marks::OPENED);
    let start = if continues { from } else { skip_spaces(input, from, end) };
    if start >= end && !closed {
        return;
    }
    let mut piece = |field: FieldId, from: usize, to: usize, continues: bool, closed: bool| {
        if wanted.has(field) {
            let flags = if continues { Flags::CONTINUES } else { Flags::NONE };
            let flags = if closed { flags } else { flags.with(Flags::OPEN) };
            let value = Span::new(from, to);
            out.push(Field { slot: field.0, flags, value, element: value, ..Field::default() });
        }
    };
    piece(URI, start, end, continues, closed);
    let in_query = half.marks.has(Marks::IN_QUERY);
    let bytes = input.get(start..end).unwrap_or_default();
    let question = if in_query { None } else { memchr::memchr(b'?', bytes) };
    let question = question.map(|at| plus(start, at));
    if !in_query {
        let path = if continues { start } else { plus(start, path_start(bytes)) };
        let path_end = question.unwrap_or(end);
        piece(PATH, path.min(path_end), path_end, continues, closed || question.is_some());
    }
    if in_query {
        piece(QUERY, start, end, true, closed);
    } else if let Some(question) = question {
        let query = plus(question, 1);
        piece(QUERY, query, end, false, closed);
        if closed && !continues && wanted.has(PARAMETER) {
            list::items(input, ByteRange::new(query, end), b'&', PARAMETER.0, 0, out);
        }
        half.marks.set(Marks::IN_QUERY);
    }
    half.marks.set(Marks::OPENED);
}

//= https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
//# a server MUST accept the absolute-form in requests
/// Where the path begins: behind scheme and authority, if these are at the front and end within
/// `NAME_BYTES_MAX` bytes.
pub(super) fn path_start(target: &[u8]) -> usize {
    if target.starts_with(b"/") {
        return 0;
    }
    let head = target.get(..NAME_BYTES_MAX).unwrap_or(target);
    let scheme = head
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        .count();
    let authority = plus(scheme, 3);
    if scheme == 0 || head.get(scheme..authority) != Some(b"://") {
        return 0;
    }
    let rest = head.get(authority..).unwrap_or_default();
    match rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')) {
        Some(at) => plus(authority, at),
        None if head.len() < NAME_BYTES_MAX => head.len(),
        None => 0,
    }
}

/// A status line: its version and code are there; the phrase only if the line is complete. `false`:
/// it is none.
pub(super) fn status_line(
    wanted: &Wanted,
    half: &mut HttpHalf,
    input: &[u8],
    ByteRange { start, end }: ByteRange,
    complete: bool,
    out: &mut Fields,
) -> bool {
    let line = input.get(start..end).unwrap_or_default();
    let version_end = line.iter().position(|&byte| is_space(byte)).unwrap_or(line.len());
    let version = line.get(..version_end).unwrap_or_default();
    if !version.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"HTTP/")) {
        return false;
    }
    half.marks.set_if(!matches!(version, [.., b'1', b'.', b'1'..=b'9']), Marks::OLD);
    let code_start = skip_spaces(line, version_end, line.len());
    let rest = line.get(code_start..).unwrap_or_default();
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let code = rest.get(..digits).unwrap_or_default().iter().fold(0_u16, |code, digit| {
        code.saturating_mul(10).saturating_add(u16::from(digit.wrapping_sub(b'0')))
    });
    half.status = code;
    half.marks.set_if(digits != 3, Marks::MALFORMED);
    if !wanted.has_any(STATUS_LINE_FIELDS) {
        return true;
    }
    let at = |offset: usize| plus(start, offset);
    if wanted.has(RESPONSE_FLAG) {
        out.number(RESPONSE_FLAG.0, Span::new(start, start), 1);
    }
    if wanted.has(RESPONSE_VERSION) {
        out.bytes(RESPONSE_VERSION.0, Span::new(start, at(version_end)));
    }
    let code_end = plus(code_start, digits);
    if wanted.has(CODE) && digits > 0 {
        out.number(CODE.0, Span::new(at(code_start), at(code_end)), u64::from(code));
    }
    if wanted.has(PHRASE) && complete {
        let phrase = skip_spaces(line, code_end, line.len());
        out.bytes(PHRASE.0, Span::new(at(phrase), end));
    }
    true
}
