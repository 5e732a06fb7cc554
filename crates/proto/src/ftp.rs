//! File Transfer Protocol, control connection (RFC 959, RFC 2228, RFC 4217). A unit is a line.
//!
//! Holds:     per connection, whether TLS was asked for and granted, and which reply goes on over
//!            several lines.
//! Promises:  every line of the client is read as a command, whatever came before it; nothing is
//!            ever "not FTP", since servers answer garbage with an error and read on.
//! Never:     follows data connections.

mod outstanding;

use crate::decoder::{Need, ProtocolDecoder, Refusal, Refused, SampleMessage, Step, View};
use crate::fields::{Field, Fields, Flags, Span};
use crate::line::{self, LineEnds, TextLine};
use crate::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Repr, Transport};
use crate::wanted::Wanted;
use stage::Direction;
use stage::position::plus;

/// The decoder.
pub struct Ftp;

const REQUEST: FieldId = FieldId(0);
const COMMAND: FieldId = FieldId(1);
const ARG: FieldId = FieldId(2);
const RESPONSE: FieldId = FieldId(3);
const CODE: FieldId = FieldId(4);
const RESPONSE_ARG: FieldId = FieldId(5);
const LINE: FieldId = FieldId(6);

/// Where a command has to end for an opened line to have one. The longest in use has four letters;
/// Telnet sequences and blanks before it are counted.
const COMMAND_BYTES_MAX: usize = 64;

static PROTOCOL: Protocol = Protocol {
    name: "ftp",
    title: "File Transfer Protocol, control connection (RFC 959)",
    ports: &[(Transport::Tcp, &[21])],
    fields: &[
        FieldDef {
            name: "ftp.request",
            direction: Some(Direction::Request),
            help: "The line is a command.",
            ..FieldDef::BOOL
        },
        FieldDef {
            name: "ftp.request.command",
            direction: Some(Direction::Request),
            help: "The command, in upper case and without Telnet sequences, however it was sent.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "ftp.request.arg",
            direction: Some(Direction::Request),
            streams: true,
            help: "Everything between the first blank after the command and the line end.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "ftp.response",
            direction: Some(Direction::Response),
            help: "The line belongs to a reply.",
            ..FieldDef::BOOL
        },
        FieldDef {
            name: "ftp.response.code",
            kind: FieldKind::Uint(16),
            repr: Repr::Decimal,
            direction: Some(Direction::Response),
            editable: Editable::SameLength,
            help: "Three digits of a reply; the inner lines of a long reply have it only if the server wrote it.",
            ..FieldDef::UINT
        },
        FieldDef {
            name: "ftp.response.arg",
            direction: Some(Direction::Response),
            streams: true,
            help: "The text of a reply's line.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "ftp.line",
            element: true,
            streams: true,
            help: "The whole line without its line end; `remove` takes the line end too.",
            ..FieldDef::BYTES
        },
    ],
    unit: "a line; held up to the bound only where a rule needs an argument whole",
    readings: include_str!("readings/ftp.md"),
    refusals: &[
        "unknown",
        "parameters",
        "not_implemented",
        "denied",
        "login",
        "name",
        "unavailable",
    ],
};

/// In the order of [`Protocol::refusals`] (RFC 959 section 4.2.2).
const REFUSALS: &[&[u8]] = &[
    b"500 Syntax error, command unrecognized.\r\n",
    b"501 Syntax error in parameters or arguments.\r\n",
    b"502 Command not implemented.\r\n",
    b"550 Requested action not taken.\r\n",
    b"530 Not logged in.\r\n",
    b"553 Requested action not taken. File name not allowed.\r\n",
    b"421 Service not available, closing control connection.\r\n",
];

/// What is remembered between lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FtpState {
    /// What the next bytes go on with, by direction.
    open: [OpenLine; 2],
    /// The code of a reply that goes on over several lines.
    long_reply: Option<[u8; 3]>,
    /// The client has sent AUTH.
    auth_sent: bool,
    /// The reply that grants it has begun: with its end, TLS begins.
    granted: bool,
    /// The server's first reply has come.
    greeted: bool,
    /// Commands without their last reply.
    awaited: u32,
    /// The code of the reply's line that goes on.
    said: Option<[u8; 3]>,
    /// The command that goes on is kept from the server.
    cancelled: bool,
    /// Commands and replies can no longer be told to belong together: a command that only some
    /// servers answer, a reply nobody asked for, a line that is none.
    lost: bool,
    /// Nothing more can be read.
    encrypted: bool,
}

/// A line whose end has not been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OpenLine {
    /// None: the next byte begins a line.
    #[default]
    No,
    /// In the text before any argument.
    Text,
    /// In its argument, this field.
    Arg(FieldId),
}

impl ProtocolDecoder for Ftp {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[
        SampleMessage {
            name: "ftp-command",
            from: Direction::Request,
            bytes: b"RETR pub/file.txt\r\n",
        },
        SampleMessage {
            name: "ftp-reply",
            from: Direction::Response,
            bytes: b"226 Transfer complete.\r\n",
        },
    ];

    type State = FtpState;

    fn stream(
        &self,
        wanted: &Wanted,
        ftp: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        if ftp.encrypted {
            return Step::SkipRest;
        }
        let line = match line::first(&view, LineEnds::Lf) {
            Ok(line) => line,
            Err(need) => return Step::More(need),
        };
        let open = ftp.open_of(view.from);
        let found = match (open, view.from) {
            (OpenLine::No, Direction::Request) => request(&line, view.open),
            (OpenLine::No, Direction::Response) => response(ftp, &line),
            (open, _) => Some(FtpLineParts { open, ..FtpLineParts::default() }),
        };
        let Some(found) = found else {
            return Step::More(Need::Bytes(plus(view.input.len(), 1)));
        };
        let began = open == OpenLine::No;
        emit(wanted, view.from, &line, &found, began, out);
        ftp.end_of_unit(view.from, &found, &line);
        let in_reply = view.from == Direction::Response && ftp.long_reply.is_some();
        Step::Unit {
            bytes: line.bytes,
            first: began && !found.goes_on,
            last: line.is_complete() && !in_reply,
        }
    }

    fn outstanding_responses(&self, ftp: &Self::State) -> Option<u32> {
        ftp.outstanding_responses()
    }

    fn cancel_request(&self, ftp: &mut Self::State) {
        ftp.cancel_request();
    }

    fn refuse(&self, _what: Refused, which: u8, view: View<'_>, out: &mut Vec<u8>) -> Refusal {
        let Some(reply) = REFUSALS.get(usize::from(which)) else { return Refusal::Silence };
        if view.from == Direction::Response {
            return Refusal::Silence;
        }
        out.extend_from_slice(reply);
        if reply.starts_with(b"421") { Refusal::Last } else { Refusal::Reply }
    }
}

impl FtpState {
    fn open_of(&self, from: Direction) -> OpenLine {
        let [request, response] = self.open;
        match from {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    /// Takes over what a line, or a piece of one, has taught.
    fn end_of_unit(&mut self, from: Direction, found: &FtpLineParts, line: &TextLine<'_>) {
        let open = if line.is_complete() { OpenLine::No } else { found.open };
        let [request, response] = &mut self.open;
        match from {
            Direction::Request => {
                let began = *request == OpenLine::No;
                *request = open;
                self.auth_sent |= found.is_auth;
                if line.is_complete() {
                    let blank = began && found.is_blank;
                    self.command_ended(blank);
                }
            }
            Direction::Response => {
                if *response == OpenLine::No {
                    self.said = found.code.map(|(_, digits)| digits);
                }
                *response = open;
                self.long_reply = found.long_reply.unwrap_or(self.long_reply);
                self.granted |= found.grants;
                self.encrypted |= self.granted && line.is_complete();
                if line.is_complete() && self.long_reply.is_none() {
                    self.reply_ended();
                }
            }
        }
    }
}

/// The parts of a line, as offsets into its text.
#[derive(Clone, Copy, Debug, Default)]
struct FtpLineParts<'a> {
    /// The command as sent, and where it stands.
    command: Option<(Span, &'a [u8])>,
    /// The reply code.
    code: Option<(Span, [u8; 3])>,
    /// Where the argument begins.
    arg: Option<usize>,
    /// What follows if the line's end is not here.
    open: OpenLine,
    /// The command is AUTH.
    is_auth: bool,
    /// There is no command in this line.
    is_blank: bool,
    /// This line belongs to a reply begun earlier.
    goes_on: bool,
    /// What [`FtpState::long_reply`] becomes; `None` leaves it.
    long_reply: Option<Option<[u8; 3]>>,
    /// The reply, when it ends, begins TLS.
    grants: bool,
}

/// A command line: blanks, command, blank, argument. `None`: not enough of it is here to tell.
fn request<'a>(line: &TextLine<'a>, opened: bool) -> Option<FtpLineParts<'a>> {
    let start = line.text.iter().take_while(|&&byte| is_blank(byte)).count();
    let rest = line.text.get(start..).unwrap_or_default();
    let length = command_len(rest);
    let end = plus(start, length);
    // A line that may be seen in pieces is read the same when it comes whole.
    if opened && end > COMMAND_BYTES_MAX {
        return Some(FtpLineParts { open: OpenLine::Text, ..FtpLineParts::default() });
    }
    if end >= line.text.len() && !line.is_complete() {
        return None;
    }
    let command = rest.get(..length).unwrap_or_default();
    let arg = (end < line.text.len()).then(|| plus(end, 1));
    Some(FtpLineParts {
        command: (length > 0).then_some((Span::new(start, end), command)),
        arg,
        open: arg.map_or(OpenLine::Text, |_| OpenLine::Arg(ARG)),
        is_auth: canonical(command).eq(*b"AUTH"),
        is_blank: canonical(command).next().is_none(),
        ..FtpLineParts::default()
    })
}

/// Bytes up to the blank that ends the command, Telnet sequences stepped over.
fn command_len(text: &[u8]) -> usize {
    let mut at = 0_usize;
    while let Some(rest) = text.get(at..) {
        match rest {
            [] => break,
            [byte, ..] if is_blank(*byte) => break,
            rest => at = plus(at, telnet_sequence(rest).unwrap_or(1)),
        }
    }
    at.min(text.len())
}

//= https://www.rfc-editor.org/rfc/rfc854#page-14
/// Length of the Telnet sequence at the front of `text`, if one stands there: IAC and a command, or
/// IAC, WILL, WONT, DO or DONT and an option.
fn telnet_sequence(text: &[u8]) -> Option<usize> {
    match text {
        [0xff, 251..=254, _, ..] => Some(3),
        [0xff, _, ..] => Some(2),
        [0xff] => Some(1),
        _ => None,
    }
}

/// The command as servers compare it.
fn canonical(command: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = command;
    core::iter::from_fn(move || {
        loop {
            // IAC IAC stands for one byte 0xFF.
            if let [0xff, 0xff, after @ ..] = rest {
                rest = after;
                return Some(0xff);
            }
            if let Some(length) = telnet_sequence(rest) {
                rest = rest.get(length..).unwrap_or_default();
                continue;
            }
            let (&byte, after) = rest.split_first()?;
            rest = after;
            return Some(byte.to_ascii_uppercase());
        }
    })
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

//= https://www.rfc-editor.org/rfc/rfc959#section-4.2
//# Thus the format for multi-line replies is that the first line
//# will begin with the exact required reply code, followed
//# immediately by a Hyphen, "-" (also known as Minus), followed by
//# text.  The last line will begin with the same code, followed
//# immediately by Space <SP>, optionally some text, and the Telnet
//# end-of-line code.
/// A reply's line. `None`: not enough of it is here to tell.
fn response<'a>(ftp: &FtpState, line: &TextLine<'a>) -> Option<FtpLineParts<'a>> {
    if line.text.len() < 4 && !line.is_complete() {
        return None;
    }
    let (code, after) = match line.text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', after @ ..] => {
            (Some([*a, *b, *c]), after.first().copied())
        }
        _ => (None, None),
    };
    let ends = matches!(after, None | Some(b' '));
    // Inside a long reply only its own code is one; other digits are text.
    let code = code.filter(|code| match ftp.long_reply {
        Some(long) => long == *code && matches!(after, None | Some(b' ' | b'-')),
        None => true,
    });
    let long_reply = match (ftp.long_reply, code) {
        (None, Some(code)) if after == Some(b'-') => Some(Some(code)),
        (Some(_), Some(_)) if ends => Some(None),
        _ => None,
    };
    let still = long_reply.unwrap_or(ftp.long_reply).is_some();
    let arg = if code.is_some() { 4.min(line.text.len()) } else { 0 };
    Some(FtpLineParts {
        code: code.map(|digits| (Span::new(0, 3), digits)),
        arg: (code.is_none() || line.text.len() > 3).then_some(arg),
        open: OpenLine::Arg(RESPONSE_ARG),
        goes_on: ftp.long_reply.is_some(),
        long_reply,
        grants: ftp.auth_sent && !still && code == Some(*b"234"),
        ..FtpLineParts::default()
    })
}

fn decimal(digits: [u8; 3]) -> u64 {
    digits.iter().fold(0, |number: u64, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0')))
    })
}

/// Pushes what is wanted of a line, or of a piece of it, in the order of the wire.
fn emit(
    wanted: &Wanted,
    from: Direction,
    line: &TextLine<'_>,
    found: &FtpLineParts<'_>,
    began: bool,
    out: &mut Fields,
) {
    let text = Span::new(0, line.text.len());
    let mut flags = if began { Flags::NONE } else { Flags::CONTINUES };
    if !line.is_complete() {
        flags = flags.with(Flags::OPEN);
    }
    let is = match from {
        Direction::Request => REQUEST,
        Direction::Response => RESPONSE,
    };
    if began && wanted.has(is) {
        out.number(is.0, Span::default(), 1);
    }
    if wanted.has(LINE) {
        let element = Span::new(0, line.bytes);
        out.push(Field { slot: LINE.0, value: text, element, flags, ..Field::default() });
    }
    if let Some((at, command)) = found.command
        && wanted.has(COMMAND)
    {
        let mut field = Field { slot: COMMAND.0, value: at, element: at, ..Field::default() };
        if !canonical(command).eq(command.iter().copied()) {
            let mut text = None;
            for byte in canonical(command) {
                let Some(added) = out.add_text(&[byte]) else { break };
                text = Some(Span { end: added.end, ..text.unwrap_or(added) });
            }
            field.text = text.unwrap_or_default();
            field.flags = Flags::DECODED;
        }
        out.push(field);
    }
    if let Some((at, digits)) = found.code
        && wanted.has(CODE)
    {
        out.number(CODE.0, at, decimal(digits));
    }
    let arg = match (began, found.open) {
        (true, OpenLine::Arg(slot)) => found.arg.map(|start| (slot, start)),
        (false, OpenLine::Arg(slot)) => Some((slot, 0)),
        (_, OpenLine::No | OpenLine::Text) => None,
    };
    if let Some((slot, start)) = arg
        && wanted.has(slot)
    {
        let value = Span::new(start, line.text.len());
        out.push(Field { slot: slot.0, value, element: value, flags, ..Field::default() });
    }
}

#[cfg(test)]
mod tests;
