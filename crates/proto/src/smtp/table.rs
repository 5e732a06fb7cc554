//! SMTP's table: fields, readings, refusals.

use crate::schema::{Editable, FieldDef, FieldId, FieldKind, Protocol, Repr, Transport};
use stage::Direction;

pub(super) const REQ: FieldId = FieldId(0);
pub(super) const COMMAND_LINE: FieldId = FieldId(1);
pub(super) const COMMAND: FieldId = FieldId(2);
pub(super) const PARAMETER: FieldId = FieldId(3);
pub(super) const MAIL_FROM: FieldId = FieldId(4);
pub(super) const RCPT_TO: FieldId = FieldId(5);
pub(super) const ESMTP: FieldId = FieldId(6);
pub(super) const AUTH_RESPONSE: FieldId = FieldId(7);
pub(super) const PIPELINED: FieldId = FieldId(8);
pub(super) const DATA_LINE: FieldId = FieldId(9);
pub(super) const UNSTUFFED_DOT: FieldId = FieldId(10);
pub(super) const LINE_END: FieldId = FieldId(11);
pub(super) const EOM: FieldId = FieldId(12);
pub(super) const RSP: FieldId = FieldId(13);
pub(super) const RESPONSE: FieldId = FieldId(14);
pub(super) const CODE: FieldId = FieldId(15);
pub(super) const RSP_PARAMETER: FieldId = FieldId(16);

const CLIENT: FieldDef = FieldDef { direction: Some(Direction::Request), ..FieldDef::BYTES };
const SERVER: FieldDef = FieldDef { direction: Some(Direction::Response), ..FieldDef::BYTES };

pub(super) static PROTOCOL: Protocol = Protocol {
    name: "smtp",
    title: "Simple Mail Transfer Protocol (RFC 5321)",
    ports: &[(Transport::Tcp, &[25, 587])],
    fields: &[
        FieldDef {
            name: "smtp.req",
            kind: FieldKind::Bool,
            editable: Editable::No,
            help: "The line is a command (or may be read as one).",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.command_line",
            element: true,
            streams: true,
            help: "A command line without its line end; `remove` takes the line end too.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.req.command",
            kind: FieldKind::Text,
            help: "The command in upper case, however it was sent.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.req.parameter",
            kind: FieldKind::Text,
            streams: true,
            help: "Everything between the first blank after the command and the line end.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.mail_from",
            kind: FieldKind::Text,
            help: "The address of MAIL FROM, without its angle brackets.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.rcpt_to",
            kind: FieldKind::Text,
            help: "The address of RCPT TO, without its angle brackets.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.esmtp",
            kind: FieldKind::Text,
            keyed: true,
            repeated: true,
            element: true,
            help: "The value of a parameter of MAIL or RCPT, by keyword: `smtp.esmtp[\"SIZE\"]`.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.auth.response",
            help: "What answers a challenge of AUTH, or the initial response: base64 as sent.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.starttls.pipelined",
            element: true,
            streams: true,
            help: "A line, line end included, that the client sent behind STARTTLS without waiting for the reply: a fixed \
                   server throws it away.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.data.line",
            element: true,
            streams: true,
            help: "A line of the mail as sent (dots stuffed), without its line end; `remove` takes the line end too.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.data.unstuffed_dot",
            help: "A dot behind or before a line end that is not CRLF, which only some servers take for the beginning of a \
                   line or the end of the mail. Whoever rewrites such line ends has to `set` it to \"..\".",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.data.line_end",
            help: "The line end of a line of the mail: CRLF, a bare LF or a bare CR.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.eom",
            kind: FieldKind::Bool,
            editable: Editable::No,
            help: "CRLF.CRLF: the end of the mail for every server.",
            ..CLIENT
        },
        FieldDef {
            name: "smtp.rsp",
            kind: FieldKind::Bool,
            editable: Editable::No,
            help: "The line belongs to a reply.",
            ..SERVER
        },
        FieldDef {
            name: "smtp.response",
            kind: FieldKind::Text,
            streams: true,
            help: "A line of a reply without its line end.",
            ..SERVER
        },
        FieldDef {
            name: "smtp.response.code",
            kind: FieldKind::Uint(16),
            repr: Repr::Decimal,
            editable: Editable::SameLength,
            help: "Three digits of a reply.",
            ..SERVER
        },
        FieldDef {
            name: "smtp.rsp.parameter",
            kind: FieldKind::Text,
            streams: true,
            help: "The text of a reply's line.",
            ..SERVER
        },
    ],
    unit: "a line; held up to the bound only where a rule needs a field whole",
    readings: "\
- A command ends at LF; one CR before it belongs to the line end, further ones to the text. Blanks before the command are \
skipped, the parameter begins behind the first blank after it, NUL ends nothing.
- Commands are shown in upper case, since servers compare them without case.
- The mail begins when the server has answered DATA with 354. What a client sends before that reply is read both as \
commands and as lines of the mail; so are lines after a dot that ends the mail for some servers only.
- The mail ends at CRLF.CRLF and nothing else. A bare LF or bare CR ends a line, never the mail: `smtp.data.line_end` and \
`smtp.data.unstuffed_dot` show them. Setting every line end to CRLF and every unstuffed dot to two keeps a smuggled mail \
inside the message, for all servers. Two dots are stuffed already: they are none.
- A NUL before a dot makes it no end of mail here; some servers drop NUL.
- BDAT chunks (RFC 3030) are stepped over if the server has announced CHUNKING, else the bytes are read as commands. A chunk \
size with a sign or past 31 bits, which servers read differently, is not stepped over: its bytes are read as commands, and a \
command may begin behind it too.
- The line after a 334 answers AUTH and is no command, unless the client has pipelined others behind AUTH; then both.
- Lines behind STARTTLS are `smtp.starttls.pipelined` as well as commands until the reply. After 220 both directions are \
encrypted and no longer read; after a refusal the dialogue goes on.
- The command of an opened line is read only if it ends within the first 64 bytes; `smtp.command_line` always is.
- Every command is owed one reply, and so are the greeting and the end of a mail. A line of a mail, one that may be one, and \
the answer to a challenge of AUTH cannot be refused, since the server reads on where it stands: `refuse` resets there, and a server \
throws an unfinished mail away. So it does where the order of replies is lost: behind a reply nobody waits for, a line that is no \
reply, a dot or a chunk that servers read differently. A refused BDAT takes its chunk along.
- Both directions have to be decoded even where rules read one: replies say how requests are read.",
    refusals: &[
        "parameters",
        "unknown",
        "not_implemented",
        "sequence",
        "rejected",
        "too_large",
        "failed",
        "temporary",
        "too_many",
        "unavailable",
    ],
};

/// In the order of [`Protocol::refusals`] (RFC 5321 section 4.2, RFC 3463).
pub(super) const REFUSALS: &[&[u8]] = &[
    b"501 5.5.4 Syntax error in parameters or arguments\r\n",
    b"500 5.5.2 Syntax error, command unrecognized\r\n",
    b"502 5.5.1 Command not implemented\r\n",
    b"503 5.5.1 Bad sequence of commands\r\n",
    b"550 5.7.0 Rejected\r\n",
    b"552 5.3.4 Message size exceeds fixed limit\r\n",
    b"554 5.5.0 Transaction failed\r\n",
    b"451 4.7.1 Requested action aborted\r\n",
    b"452 4.5.3 Too many recipients\r\n",
    b"421 4.3.0 Service not available, closing transmission channel\r\n",
];
