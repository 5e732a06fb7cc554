//! The fields of HTTP, and which header has a field of its own.
//!
//! Holds:     the table, the fields' numbers, and the look-up of a header name.
//! Promises:  a number always names the row it was written beside: one macro makes both.
//! Never:     looks at a message.

use super::name_filter::NameFilter;
use crate::schema::FieldRange;
use crate::{Editable, FieldDef, FieldId, FieldKind, Repr, Wanted};
use stage::Direction;

macro_rules! table {
    ($($id:ident = $def:expr;)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "they number constants of the same names")]
        enum HttpFieldNumber { $($id,)+ }

        $(
            #[allow(clippy::as_conversions, reason = "the number of a fieldless enum")]
            pub(super) const $id: FieldId = FieldId(HttpFieldNumber::$id as u16);
        )+

        /// The rows.
        pub(super) static FIELDS: &[FieldDef] = &[$($def),+];

        #[cfg(test)]
        pub(super) static IDS: &[FieldId] = &[$($id),+];
    };
}

const REQUEST: Option<Direction> = Some(Direction::Request);
const RESPONSE: Option<Direction> = Some(Direction::Response);

const HEADER_LINE: FieldDef =
    FieldDef { repeated: true, element: true, streams: true, ..FieldDef::TEXT };
const REQUEST_HEADER: FieldDef = FieldDef { direction: REQUEST, ..HEADER_LINE };
const RESPONSE_HEADER: FieldDef = FieldDef { direction: RESPONSE, ..HEADER_LINE };
const LIST_ITEM: FieldDef = FieldDef { streams: false, ..HEADER_LINE };
const TARGET: FieldDef = FieldDef { direction: REQUEST, streams: true, ..FieldDef::TEXT };

table! {
    REQUEST_FLAG = FieldDef { name: "http.request", direction: REQUEST, help: "A request begins.", ..FieldDef::BOOL };
    METHOD = FieldDef { name: "http.request.method", direction: REQUEST, help: "The method.", ..FieldDef::TEXT };
    URI = FieldDef { name: "http.request.uri", help: "The request target, as sent, up to the version at the line's end: white space inside it included.", ..TARGET };
    PATH = FieldDef { name: "http.request.uri.path", help: "The target before its first question mark; of an absolute target what follows the authority.", ..TARGET };
    QUERY = FieldDef { name: "http.request.uri.query", help: "The target after its first question mark.", ..TARGET };
    PARAMETER = FieldDef { name: "http.request.uri.query.parameter", direction: REQUEST, help: "One parameter of the query, between ampersands.", ..LIST_ITEM };
    REQUEST_VERSION = FieldDef { name: "http.request.version", direction: REQUEST, help: "HTTP/1.1; absent from an HTTP/0.9 request.", ..FieldDef::TEXT };
    RESPONSE_FLAG = FieldDef { name: "http.response", direction: RESPONSE, help: "A response begins.", ..FieldDef::BOOL };
    RESPONSE_VERSION = FieldDef { name: "http.response.version", direction: RESPONSE, help: "HTTP/1.1.", ..FieldDef::TEXT };
    CODE = FieldDef { name: "http.response.code", kind: FieldKind::Uint(16), repr: Repr::Decimal, direction: RESPONSE, help: "The status code.", ..FieldDef::BYTES };
    PHRASE = FieldDef { name: "http.response.phrase", direction: RESPONSE, help: "The reason phrase.", ..FieldDef::TEXT };
    REQUEST_LINE = FieldDef { name: "http.request.line", direction: REQUEST, help: "A header line of a request with its line end.", ..LIST_ITEM };
    RESPONSE_LINE = FieldDef { name: "http.response.line", direction: RESPONSE, help: "A header line of a response with its line end.", ..LIST_ITEM };
    HEADER = FieldDef { name: "http.header", keyed: true, help: "The value of each header, or of those of one name.", ..HEADER_LINE };
    HEADER_NAME = FieldDef { name: "http.header.name", help: "The name of each header, without white space around it.", ..LIST_ITEM };
    TRAILER = FieldDef { name: "http.trailer", keyed: true, help: "The value of each trailer after a chunked body, or of those of one name.", ..HEADER_LINE };
    BODY_LENGTH = FieldDef { name: "http.content_length", kind: FieldKind::Uint(64), repr: Repr::Decimal, editable: Editable::No, repeated: true, element: true, help: "Content-Length as a number.", ..FieldDef::BYTES };
    ACCEPT = FieldDef { name: "http.accept", help: "Accept: media types the client takes.", ..REQUEST_HEADER };
    ACCEPT_ENCODING = FieldDef { name: "http.accept_encoding", help: "Accept-Encoding: content codings the client takes.", ..REQUEST_HEADER };
    ACCEPT_LANGUAGE = FieldDef { name: "http.accept_language", help: "Accept-Language: languages the client prefers.", ..REQUEST_HEADER };
    AUTHORIZATION = FieldDef { name: "http.authorization", help: "Authorization: credentials for the server.", ..REQUEST_HEADER };
    CACHE_CONTROL = FieldDef { name: "http.cache_control", help: "Cache-Control.", ..HEADER_LINE };
    CONNECTION = FieldDef { name: "http.connection", help: "Connection: options for this hop.", ..HEADER_LINE };
    CONTENT_ENCODING = FieldDef { name: "http.content_encoding", help: "Content-Encoding.", ..HEADER_LINE };
    CONTENT_LENGTH_HEADER = FieldDef { name: "http.content_length_header", help: "Content-Length as text. A rule that changes it changes where the server sees the message end.", ..HEADER_LINE };
    CONTENT_TYPE = FieldDef { name: "http.content_type", help: "Content-Type.", ..HEADER_LINE };
    COOKIE = FieldDef { name: "http.cookie", help: "Cookie.", ..REQUEST_HEADER };
    DATE = FieldDef { name: "http.date", help: "Date.", ..HEADER_LINE };
    HOST = FieldDef { name: "http.host", help: "Host.", ..REQUEST_HEADER };
    HTTP2_SETTINGS = FieldDef { name: "http.http2_settings", help: "HTTP2-Settings, of an upgrade to HTTP/2.", ..REQUEST_HEADER };
    LAST_MODIFIED = FieldDef { name: "http.last_modified", help: "Last-Modified.", ..RESPONSE_HEADER };
    LOCATION = FieldDef { name: "http.location", help: "Location.", ..RESPONSE_HEADER };
    PROXY_AUTHENTICATE = FieldDef { name: "http.proxy_authenticate", help: "Proxy-Authenticate: a proxy's challenge.", ..RESPONSE_HEADER };
    PROXY_AUTHORIZATION = FieldDef { name: "http.proxy_authorization", help: "Proxy-Authorization: credentials for a proxy.", ..REQUEST_HEADER };
    RANGE = FieldDef { name: "http.range", help: "Range: the parts of the representation that are asked for.", ..REQUEST_HEADER };
    REFERER = FieldDef { name: "http.referer", help: "Referer.", ..REQUEST_HEADER };
    SEC_WEBSOCKET_ACCEPT = FieldDef { name: "http.sec_websocket_accept", help: "Sec-WebSocket-Accept.", ..RESPONSE_HEADER };
    SEC_WEBSOCKET_EXTENSIONS = FieldDef { name: "http.sec_websocket_extensions", help: "Sec-WebSocket-Extensions.", ..HEADER_LINE };
    SEC_WEBSOCKET_KEY = FieldDef { name: "http.sec_websocket_key", help: "Sec-WebSocket-Key.", ..REQUEST_HEADER };
    SEC_WEBSOCKET_PROTOCOL = FieldDef { name: "http.sec_websocket_protocol", help: "Sec-WebSocket-Protocol.", ..HEADER_LINE };
    SEC_WEBSOCKET_VERSION = FieldDef { name: "http.sec_websocket_version", help: "Sec-WebSocket-Version.", ..HEADER_LINE };
    SERVER = FieldDef { name: "http.server", help: "Server.", ..RESPONSE_HEADER };
    SET_COOKIE = FieldDef { name: "http.set_cookie", help: "Set-Cookie.", ..RESPONSE_HEADER };
    TRANSFER_ENCODING = FieldDef { name: "http.transfer_encoding", help: "Transfer-Encoding. A rule that changes it changes where the server sees the message end.", ..HEADER_LINE };
    UPGRADE = FieldDef { name: "http.upgrade", help: "Upgrade: protocols the sender would rather speak.", ..HEADER_LINE };
    USER_AGENT = FieldDef { name: "http.user_agent", help: "User-Agent.", ..REQUEST_HEADER };
    WWW_AUTHENTICATE = FieldDef { name: "http.www_authenticate", help: "WWW-Authenticate: the server's challenge.", ..RESPONSE_HEADER };
    X_FORWARDED_FOR = FieldDef { name: "http.x_forwarded_for", help: "X-Forwarded-For.", ..REQUEST_HEADER };
    CONNECTION_OPTION = FieldDef { name: "http.connection.option", help: "One option of a Connection header.", ..LIST_ITEM };
    COOKIE_PAIR = FieldDef { name: "http.cookie_pair", direction: REQUEST, help: "One name and value of a Cookie header.", ..LIST_ITEM };
    RANGE_SPEC = FieldDef { name: "http.range.spec", direction: REQUEST, help: "One range of a Range header, after the unit.", ..LIST_ITEM };
    CHUNK_SIZE = FieldDef { name: "http.chunk_size", kind: FieldKind::Uint(64), repr: Repr::Hex, editable: Editable::No, help: "The size a chunk's first line claims.", ..FieldDef::BYTES };
    CHUNK_EXTENSION = FieldDef { name: "http.chunk_extension", element: true, help: "What follows the size in a chunk's first line; its element includes the semicolon.", ..FieldDef::TEXT };
    CHUNK_BOUNDARY = FieldDef { name: "http.chunk_boundary", editable: Editable::SameLength, help: "The two bytes after a chunk's data: CR and LF, or else.", ..FieldDef::BYTES };
    FILE_DATA = FieldDef { name: "http.file_data", streams: true, endless: true, editable: Editable::SameLength, repeated: true, help: "The body, still in its content coding; of a chunked body each chunk's data.", ..FieldDef::BYTES };
    TE_AND_LENGTH = FieldDef { name: "http.te_and_length", help: "The head has both Transfer-Encoding and Content-Length.", ..FieldDef::BOOL };
    TE_UNKNOWN = FieldDef { name: "http.te_unknown", help: "Transfer-Encoding is anything but `chunked`, once.", ..FieldDef::BOOL };
    LEADING_CRLF = FieldDef { name: "http.leading_crlf", help: "Empty lines came before the start line.", ..FieldDef::BOOL };
    BAD_HEADER_NAME = FieldDef { name: "http.bad_header_name", help: "A header line without colon, with white space before the colon or before the name, or with bytes in the name that no token has.", ..FieldDef::BOOL };
    BARE_LF = FieldDef { name: "http.bare_lf", help: "A line of the head ends with LF alone.", ..FieldDef::BOOL };
    BARE_CR = FieldDef { name: "http.bare_cr", help: "The head has a CR that no LF follows.", ..FieldDef::BOOL };
    OBS_FOLD = FieldDef { name: "http.obs_fold", help: "A header goes on in a line that begins with white space.", ..FieldDef::BOOL };
    AMBIGUOUS = FieldDef { name: "http.framing_ambiguous", help: "Servers differ in where this message ends (see Readings).", ..FieldDef::BOOL };
    MALFORMED = FieldDef { name: "_ws.malformed", help: "The head has a start line that is none, a NUL, a bad header name, a bare CR, or an ambiguous framing.", ..FieldDef::BOOL };
}

/// The fields of the request line.
pub(super) const REQUEST_LINE_FIELDS: FieldRange = FieldRange::new(REQUEST_FLAG, REQUEST_VERSION);
/// The fields of the status line.
pub(super) const STATUS_LINE_FIELDS: FieldRange = FieldRange::new(RESPONSE_FLAG, PHRASE);
/// The fields that belong to headers of one name.
pub(super) const KNOWN_FIELDS: FieldRange = FieldRange::new(BODY_LENGTH, RANGE_SPEC);
/// The fields that sum up a head, told at its blank line.
pub(super) const VERDICT_FIELDS: FieldRange = FieldRange::new(TE_AND_LENGTH, MALFORMED);

/// How the field of a header's items is made of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemForm {
    /// The value is a number.
    Number,
    /// The value is a list, behind the first of the bytes `behind` where there is one.
    List { separator: u8, behind: Option<u8> },
}

impl ItemForm {
    /// Where the list begins in the value at `start..end` of the input.
    #[inline(always)]
    pub(super) fn list_start(
        behind: Option<u8>,
        input: &[u8],
        start: usize,
        end: usize,
    ) -> Option<usize> {
        let Some(byte) = behind else { return Some(start) };
        let value = input.get(start..end).unwrap_or_default();
        memchr::memchr(byte, value).map(|at| start.wrapping_add(at).wrapping_add(1))
    }
}

macro_rules! header_items {
    ($($header:ident => $item:ident, $form:expr;)+) => {
        /// Headers with a second field, and that field.
        pub(super) const HEADERS_WITH_ITEMS: &[(FieldId, FieldId)] = &[$(($header, $item)),+];

        /// The second field of a header, beside that of its value: the number or the items in it.
        #[inline(always)]
        pub(super) fn item_of(header: FieldId) -> Option<(FieldId, ItemForm)> {
            match header {
                $($header => Some(($item, $form)),)+
                _ => None,
            }
        }
    };
}

header_items! {
    CONTENT_LENGTH_HEADER => BODY_LENGTH, ItemForm::Number;
    CONNECTION => CONNECTION_OPTION, ItemForm::List { separator: b',', behind: None };
    COOKIE => COOKIE_PAIR, ItemForm::List { separator: b';', behind: None };
    RANGE => RANGE_SPEC, ItemForm::List { separator: b',', behind: Some(b'=') };
}

/// The header of each of [`KNOWN_FIELDS`] but those of [`HEADERS_WITH_ITEMS`]' items.
static KNOWN: &[(&[u8], FieldId)] = &[
    (b"accept", ACCEPT),
    (b"accept-encoding", ACCEPT_ENCODING),
    (b"accept-language", ACCEPT_LANGUAGE),
    (b"authorization", AUTHORIZATION),
    (b"cache-control", CACHE_CONTROL),
    (b"connection", CONNECTION),
    (b"content-encoding", CONTENT_ENCODING),
    (b"content-length", CONTENT_LENGTH_HEADER),
    (b"content-type", CONTENT_TYPE),
    (b"cookie", COOKIE),
    (b"date", DATE),
    (b"host", HOST),
    (b"http2-settings", HTTP2_SETTINGS),
    (b"last-modified", LAST_MODIFIED),
    (b"location", LOCATION),
    (b"proxy-authenticate", PROXY_AUTHENTICATE),
    (b"proxy-authorization", PROXY_AUTHORIZATION),
    (b"range", RANGE),
    (b"referer", REFERER),
    (b"sec-websocket-accept", SEC_WEBSOCKET_ACCEPT),
    (b"sec-websocket-extensions", SEC_WEBSOCKET_EXTENSIONS),
    (b"sec-websocket-key", SEC_WEBSOCKET_KEY),
    (b"sec-websocket-protocol", SEC_WEBSOCKET_PROTOCOL),
    (b"sec-websocket-version", SEC_WEBSOCKET_VERSION),
    (b"server", SERVER),
    (b"set-cookie", SET_COOKIE),
    (b"transfer-encoding", TRANSFER_ENCODING),
    (b"upgrade", UPGRADE),
    (b"user-agent", USER_AGENT),
    (b"www-authenticate", WWW_AUTHENTICATE),
    (b"x-forwarded-for", X_FORWARDED_FOR),
];

/// Adds the names of the headers whose own fields are read.
pub(super) fn add_known(wanted: &Wanted, filter: &mut NameFilter) {
    for (name, field) in KNOWN {
        let is_read = |id| wanted.has(id);
        if is_read(*field) || item_of(*field).is_some_and(|(item, _)| is_read(item)) {
            filter.add(name);
        }
    }
}

/// By length and last byte of a name the place in [`KNOWN`] and the field of the only header that
/// has a field of its own: no two have both alike. [`NOBODY`] is no place and no field.
static PLACES: [(u8, u8); 1024] = places();
const NOBODY: (u8, u8) = (u8::MAX, 127);

#[inline]
fn place_of(name: &[u8]) -> (u8, u8) {
    let last = usize::from(name.last().map_or(0, |byte| byte & 31));
    // Names of 32 bytes and more have no place.
    let at = name.len().wrapping_mul(32).wrapping_add(last);
    PLACES.get(at).copied().unwrap_or(NOBODY)
}

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "worked out by the compiler"
)]
const fn places() -> [(u8, u8); 1024] {
    let mut places = [NOBODY; 1024];
    let mut at = 0;
    while at < KNOWN.len() {
        let (name, field) = KNOWN[at];
        let place = name.len() * 32 + (name[name.len() - 1] & 31) as usize;
        assert!(places[place].0 == NOBODY.0, "two are of one length and end alike");
        assert!(field.0 < NOBODY.1 as u16);
        places[place] = (at as u8, field.0 as u8);
        at += 1;
    }
    places
}

/// The only field of a header's own that a header of this name can have, by its length and last
/// byte: its number, or one past all.
#[inline]
pub(super) fn may_be_known(name: &[u8]) -> u8 {
    place_of(name).1
}

/// The field of a header's own, by its name.
pub(super) fn known(name: &[u8]) -> Option<FieldId> {
    let (known, field) = KNOWN.get(usize::from(place_of(name).0))?;
    alike(name, known).then_some(*field)
}

/// `name` is `known`, in any case; `known` holds at least four bytes: lower case, digits and
/// hyphens. Compared a word at a time, the last word overlapping the one before it.
fn alike(name: &[u8], known: &[u8]) -> bool {
    if name.len() != known.len() {
        return false;
    }
    let (names, knowns) = (name.as_chunks::<8>().0, known.as_chunks::<8>().0);
    if let (Some(name), Some(known)) = (name.last_chunk::<8>(), known.last_chunk::<8>()) {
        let words = names.iter().zip(knowns);
        return words.chain([(name, known)]).all(|(name, known)| same_word(name, known));
    }
    let four = |bytes: Option<&[u8; 4]>| bytes.map(|&[a, b, c, d]| [a, b, c, d, 0, 0, 0, 0]);
    let ends = |bytes: &[u8]| Some((four(bytes.first_chunk())?, four(bytes.last_chunk())?));
    match (ends(name), ends(known)) {
        (Some((name, name_end)), Some((known, known_end))) => {
            same_word(&name, &known) && same_word(&name_end, &known_end)
        }
        _ => false,
    }
}

/// The bit that letters differ by in case is left out where `known` has a letter: where bit 6 is
/// set.
#[inline]
fn same_word(name: &[u8; 8], known: &[u8; 8]) -> bool {
    const BIT_6: u64 = 0x4040_4040_4040_4040;
    let known = u64::from_le_bytes(*known);
    let cases = (known & BIT_6) >> 1;
    (u64::from_le_bytes(*name) ^ known) & !cases == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_header_is_found_by_its_name() {
        for id in IDS.iter().filter(|id| id.0 > BODY_LENGTH.0 && id.0 < CONNECTION_OPTION.0) {
            let name = FIELDS[usize::from(id.0)].name.strip_prefix("http.").unwrap();
            let header = name.trim_end_matches("_header").replace('_', "-").to_ascii_uppercase();
            assert_eq!(known(header.as_bytes()), Some(*id), "{header}");
        }
        let items = HEADERS_WITH_ITEMS.iter().map(|(_, item)| item.0);
        let mut listed: Vec<_> = KNOWN.iter().map(|(_, field)| field.0).chain(items).collect();
        listed.sort_unstable();
        assert_eq!(listed, (KNOWN_FIELDS.first.0..=KNOWN_FIELDS.last.0).collect::<Vec<_>>());
        assert!(KNOWN.iter().all(|(name, field)| known(name) == Some(*field)));
        assert_eq!(known(b"hosts"), None);
        assert_eq!(known(b"hose"), None);
        for byte in (0..=u8::MAX).filter(|byte| *byte != b'-') {
            let name = [b"user".as_slice(), &[byte], b"agent"].concat();
            assert_eq!(known(&name), None, "only a hyphen is one: {byte:#x}");
        }
    }
}
