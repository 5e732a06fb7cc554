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
    readings: include_str!("../readings/smtp.md"),
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
