//! Simple Mail Transfer Protocol (RFC 5321) with its extensions. A unit is a line: of commands, of
//! the mail, of a reply.
//!
//! Holds:     per connection, how the client's next line is to be read ([`dialogue`]) and what an
//!            opened line goes on with.
//! Promises:  bytes that some server may read as a command show up as one, whatever the client
//!            calls them.
//! Never:     says "not SMTP": servers answer garbage with an error and read on. Does not look into
//!            MIME.

mod command;
mod dialogue;
mod emit;
mod table;

use crate::decoder::{Need, ProtocolDecoder, Refusal, Refused, SampleMessage, Step, View};
use crate::fields::{Fields, Span};
use crate::line::{self, LineEnding, LineEnds, TextLine};
use crate::schema::Protocol;
use crate::wanted::Wanted;
use stage::Direction;
use stage::position::{index, plus};

use command::{COMMAND_BYTES_MAX, CommandHead};
use dialogue::{ClientLine, Dialogue, SmtpMode, SmtpVerb};
use emit::Emit;
use table::{
    AUTH_RESPONSE, CODE, COMMAND_LINE, DATA_LINE, EOM, LINE_END, PARAMETER, PIPELINED, PROTOCOL,
    REFUSALS, REQ, RESPONSE, RSP, RSP_PARAMETER, UNSTUFFED_DOT,
};

/// The decoder.
pub struct Smtp;

/// A `250-` line is read whole up to this length even when opened: `250-CHUNKING` has to be
/// recognised.
const CAPABILITY_BYTES: usize = 13;

/// What is remembered between units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmtpState {
    dialogue: Dialogue,
    /// The client's line that goes on.
    open: Option<ClientLineReading>,
    /// The server's.
    open_reply: Option<ReplyLine>,
}

/// What the beginning of a reply's line said; it counts when the line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ReplyLine {
    code: Option<u16>,
    /// A hyphen follows the code: another line does.
    goes_on: bool,
    /// `250-CHUNKING`.
    chunking: bool,
    /// There is text behind the code.
    parameter: bool,
}

/// How a line is read, fixed at its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct ClientLineReading {
    command: bool,
    data: bool,
    pipelined: bool,
    auth: bool,
    /// Its parameter has begun.
    parameter: bool,
    verb: SmtpVerb,
    /// It is kept from the server.
    cancelled: bool,
}

impl ClientLineReading {
    fn is_only_data(self) -> bool {
        self.data && !self.command
    }
}

impl ProtocolDecoder for Smtp {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "smtp-command",
        from: Direction::Request,
        bytes: b"MAIL FROM:<alice@example.org> SIZE=1000\r\n",
    }];

    type State = SmtpState;

    fn stream(
        &self,
        wanted: &Wanted,
        smtp: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        if smtp.dialogue.encrypted() {
            return Step::SkipRest;
        }
        let step = match view.from {
            Direction::Request => smtp.request(wanted, view, out),
            Direction::Response => smtp.response(wanted, view, out),
        };
        step.unwrap_or_else(Step::More)
    }

    fn outstanding_responses(&self, smtp: &Self::State) -> Option<u32> {
        let replying = u32::from(smtp.open_reply.is_some());
        smtp.dialogue.outstanding_responses().map(|count| count.max(replying))
    }

    fn may_answer_for(&self, smtp: &Self::State) -> bool {
        smtp.dialogue.in_mail_alone() && smtp.open_reply.is_none()
    }

    fn cancel_request(&self, smtp: &mut Self::State) {
        match &mut smtp.open {
            Some(reading) => reading.cancelled = true,
            None => smtp.dialogue.cancel_request(),
        }
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

/// Reads the beginning of a line, before any of it is given away. `None`: more of it is needed.
#[inline(always)]
fn begin(
    reading: &mut ClientLineReading,
    line: &TextLine<'_>,
    opened: bool,
) -> Option<CommandHead> {
    let complete = line.is_complete();
    if !complete && reading.data && line.text == b"." {
        return None;
    }
    if !reading.command {
        return Some(CommandHead::default());
    }
    let mut found = command::head(line.text);
    if opened && index(found.command.end) > COMMAND_BYTES_MAX {
        found = CommandHead::default();
    } else if found.parameter.is_none() && !complete {
        return None;
    }
    reading.verb = SmtpVerb::of(found.command.of(line.text));
    reading.parameter = found.parameter.is_some();
    // A chunk's size is small, and has to be known whole.
    let short = line.text.len() <= COMMAND_BYTES_MAX;
    if reading.verb == SmtpVerb::Bdat && !complete && short {
        return None;
    }
    Some(found)
}

impl SmtpState {
    fn request(
        &mut self,
        wanted: &Wanted,
        mut view: View<'_>,
        out: &mut Fields,
    ) -> Result<Step, Need> {
        let dialogue = &mut self.dialogue;
        let chunk = dialogue.chunk_left();
        if dialogue.in_clear_chunk() {
            dialogue.chunk_passed(chunk);
            return Ok(Step::Skip { bytes: chunk, last: true });
        }
        // Where it is not known whether a chunk is one, a line ends with it too: a command follows
        // at once.
        if let Some(input) = usize::try_from(chunk).ok().and_then(|chunk| view.input.get(..chunk))
            && chunk > 0
        {
            view = View { input, ended: true, ..view };
        }
        let open = self.open;
        let reading = open.unwrap_or_else(|| self.reading());
        // A bare CR ends no command: read both ways, a line may hold several of the mail.
        let ends = if reading.is_only_data() { LineEnds::BareCrToo } else { LineEnds::Lf };
        if reading.is_only_data() {
            // Nobody waits for a line that no rule reads.
            view.open |= ![DATA_LINE, UNSTUFFED_DOT, LINE_END].iter().any(|&id| wanted.has(id));
        }
        let line = line::first(&view, ends)?;
        let more = plus(view.input.len(), 1);

        let begins = open.is_none();
        let mut reading = reading;
        let mut found = CommandHead::default();
        if begins {
            found = begin(&mut reading, &line, view.open).ok_or(Need::Bytes(more))?;
        }

        let dot = begins && reading.data && line.text == b".";
        let crlf = line.ending == LineEnding::CrLf;
        let end_of_mail = dot && crlf && self.dialogue.after_crlf();
        let emit = Emit { wanted, line: &line, begins, out };
        self.emit_request(emit, reading, found, end_of_mail);

        self.open = (!line.is_complete()).then_some(reading);
        self.dialogue.chunk_passed(u64::try_from(line.bytes).unwrap_or(u64::MAX));
        if line.is_complete() {
            let chunk = found
                .parameter
                .filter(|_| reading.verb == SmtpVerb::Bdat)
                .and_then(|parameter| command::chunk(line.text, parameter));
            self.dialogue.client_line(ClientLine { verb: reading.verb, dot, crlf, chunk });
            if reading.cancelled {
                self.dialogue.cancel_request();
            }
        }
        // A chunk belongs to its command.
        let last = line.is_complete() && !self.dialogue.in_clear_chunk();
        Ok(Step::Unit { bytes: line.bytes, first: begins, last })
    }

    /// How a line that begins now is read.
    fn reading(&self) -> ClientLineReading {
        let mode = self.dialogue.mode();
        let challenged = self.dialogue.challenged();
        ClientLineReading {
            command: mode != SmtpMode::Data && !challenged,
            data: mode != SmtpMode::Command,
            pipelined: self.dialogue.behind_starttls(),
            auth: challenged || self.dialogue.perhaps_challenged(),
            ..ClientLineReading::default()
        }
    }

    fn emit_request(
        &self,
        mut emit: Emit<'_, '_>,
        reading: ClientLineReading,
        found: CommandHead,
        end_of_mail: bool,
    ) {
        let line = emit.line;
        if reading.command {
            emit.yes(REQ);
            emit.piece(COMMAND_LINE, 0, line.bytes);
        }
        if reading.pipelined {
            emit.piece_with_end(PIPELINED);
        }
        if end_of_mail {
            emit.yes(EOM);
        } else if reading.data {
            emit.lines_of_mail(self.dialogue.after_crlf());
        }
        if reading.command && emit.begins {
            emit.command(found.command);
        }
        if reading.parameter {
            emit.piece(PARAMETER, found.parameter.unwrap_or(0), line.text.len());
        }
        if emit.begins && line.is_complete() {
            if let Some(parameter) = found.parameter {
                emit.parts(reading.verb, parameter);
            }
            if reading.auth {
                emit.whole(AUTH_RESPONSE, Span::new(0, line.text.len()));
            }
        }
    }

    fn response(
        &mut self,
        wanted: &Wanted,
        view: View<'_>,
        out: &mut Fields,
    ) -> Result<Step, Need> {
        let line = line::first(&view, LineEnds::Lf)?;
        let begins = self.open_reply.is_none();
        let capability = begins && line.text.starts_with(b"250");
        let enough = if capability { CAPABILITY_BYTES } else { 4 };
        if begins && line.text.len() < enough && !line.is_complete() {
            return Err(Need::Bytes(plus(view.input.len(), 1)));
        }
        let reply = self.open_reply.unwrap_or_else(|| ReplyLine::of(line.text));
        let mut emit = Emit { wanted, line: &line, begins, out };
        emit.yes(RSP);
        emit.piece(RESPONSE, 0, line.text.len());
        if let Some(code) = reply.code
            && begins
            && wanted.has(CODE)
        {
            emit.out.number(CODE.0, Span::new(0, 3), u64::from(code));
        }
        if reply.parameter {
            emit.piece(RSP_PARAMETER, 4, line.text.len());
        }
        let first = begins && !self.dialogue.in_reply();
        self.open_reply = (!line.is_complete()).then_some(reply);
        if line.is_complete() {
            self.dialogue.reply_line(reply.code, reply.chunking, reply.goes_on);
        }
        Ok(Step::Unit { bytes: line.bytes, first, last: line.is_complete() && !reply.goes_on })
    }
}

impl ReplyLine {
    //= https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1
    //# The format for multiline replies requires that every line, except the
    //# last, begin with the reply code, followed immediately by a hyphen
    fn of(text: &[u8]) -> Self {
        let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', after @ ..] = text else {
            return Self::default();
        };
        let code = decimal([*a, *b, *c]);
        let keyword = after.get(1..).unwrap_or_default();
        Self {
            code: Some(code),
            goes_on: after.first() == Some(&b'-'),
            chunking: code == 250 && keyword.eq_ignore_ascii_case(b"CHUNKING"),
            parameter: !after.is_empty(),
        }
    }
}

fn decimal(digits: [u8; 3]) -> u16 {
    digits.iter().fold(0, |number: u16, digit| {
        number.saturating_mul(10).saturating_add(u16::from(digit.saturating_sub(b'0')))
    })
}

#[cfg(test)]
mod tests;
