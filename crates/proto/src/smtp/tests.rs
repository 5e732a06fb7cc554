use super::table::{COMMAND, ESMTP, MAIL_FROM, RCPT_TO};
use super::*;
use crate::corpus::{all_survive, payloads};
use crate::replay::ReplayTurn::{self, Answers, Asks, Refused as RefusedTurn};
use crate::replay::{
    ReplayCuts, check, check_held, check_ids, check_outstanding, noise, replay, survives,
};
use stage::Direction::{Request, Response};

mod smuggling;

const COMMANDS: &[&str] = &["smtp.req.command", "smtp.req.parameter", "smtp.response.code"];
const DATA: &[&str] = &[
    "smtp.req.command",
    "smtp.data.line",
    "smtp.data.unstuffed_dot",
    "smtp.data.line_end",
    "smtp.eom",
];

const GREETING: (Direction, &[u8]) = (Response, b"220 mx ESMTP\r\n");

#[test]
fn the_table_and_its_numbers_agree() {
    check_ids(
        &Smtp,
        &[
            (REQ, "smtp.req"),
            (COMMAND_LINE, "smtp.command_line"),
            (COMMAND, "smtp.req.command"),
            (PARAMETER, "smtp.req.parameter"),
            (MAIL_FROM, "smtp.mail_from"),
            (RCPT_TO, "smtp.rcpt_to"),
            (ESMTP, "smtp.esmtp"),
            (AUTH_RESPONSE, "smtp.auth.response"),
            (PIPELINED, "smtp.starttls.pipelined"),
            (DATA_LINE, "smtp.data.line"),
            (UNSTUFFED_DOT, "smtp.data.unstuffed_dot"),
            (LINE_END, "smtp.data.line_end"),
            (EOM, "smtp.eom"),
            (RSP, "smtp.rsp"),
            (RESPONSE, "smtp.response"),
            (CODE, "smtp.response.code"),
            (RSP_PARAMETER, "smtp.rsp.parameter"),
        ],
    );
    assert_eq!(REFUSALS.len(), PROTOCOL.refusals.len());
}

#[test]
fn commands_and_replies() {
    check(
        &Smtp,
        &["smtp.req", "smtp.command_line", "smtp.req.command", "smtp.req.parameter"],
        &[(Request, b"ehlo  host\r\n RSET\n\r\n")],
        &[
            ">smtp.req=1",
            ">smtp.command_line=ehlo  host",
            ">smtp.req.command=EHLO",
            ">smtp.req.parameter= host",
            ">smtp.req=1",
            ">smtp.command_line= RSET",
            ">smtp.req.command=RSET",
            ">smtp.req=1",
            ">smtp.command_line=",
        ],
    );
    check(
        &Smtp,
        &["smtp.rsp", "smtp.response", "smtp.response.code", "smtp.rsp.parameter"],
        &[(Response, b"250-SIZE\r\n250\r\nxx\r\n")],
        &[
            "<smtp.rsp=1",
            "<smtp.response=250-SIZE",
            "<smtp.response.code=250",
            "<smtp.rsp.parameter=SIZE",
            "<smtp.rsp=1",
            "<smtp.response=250",
            "<smtp.response.code=250",
            "<smtp.rsp=1",
            "<smtp.response=xx",
        ],
    );
}

#[test]
fn addresses_and_parameters() {
    check_held(
        &Smtp,
        &["smtp.mail_from", "smtp.rcpt_to", "smtp.esmtp", "smtp.esmtp[\"auth\"]"],
        &[(
            Request,
            b"MAIL FROM:<a\">\"b@c> SIZE=1 Auth=<x> BARE\r\nmail from : q@r  S=\r\nRCPT TO:<@h:u@d\r\nRCPT FROM:<x>\r\n",
        )],
        &[
            ">smtp.mail_from=a\\\">\\\"b@c",
            ">smtp.esmtp=1",
            ">smtp.esmtp=<x>",
            ">smtp.esmtp[auth]=<x>",
            ">smtp.esmtp=",
            ">smtp.mail_from=q@r",
            ">smtp.esmtp=",
            ">smtp.rcpt_to=@h:u@d",
        ],
    );
}

#[test]
fn the_mail_begins_with_354_and_ends_at_crlf_dot_crlf() {
    check(
        &Smtp,
        DATA,
        &[
            GREETING,
            (Request, b"DATA\r\n"),
            (Response, b"354 go\r\n"),
            (Request, b"RSET\r\n..x\r\n\r\n.\r\nQUIT\r\n"),
        ],
        &[
            ">smtp.req.command=DATA",
            ">smtp.data.line=RSET",
            r">smtp.data.line_end=\r\n",
            ">smtp.data.line=..x",
            r">smtp.data.line_end=\r\n",
            ">smtp.data.line=",
            r">smtp.data.line_end=\r\n",
            ">smtp.eom=1",
            ">smtp.req.command=QUIT",
        ],
    );
    check(
        &Smtp,
        DATA,
        &[GREETING, (Request, b"DATA\r\n"), (Response, b"354 go\r\n"), (Request, b".\r\nNOOP\r\n")],
        &[">smtp.req.command=DATA", ">smtp.eom=1", ">smtp.req.command=NOOP"],
    );
}

#[test]
fn a_refused_data_begins_nothing() {
    check(
        &Smtp,
        DATA,
        &[
            GREETING,
            (Request, b"MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n"),
            (Response, b"250 ok\r\n550 no\r\n503 no\r\n"),
            (Request, b"RSET\r\n"),
        ],
        &[
            ">smtp.req.command=MAIL",
            ">smtp.req.command=RCPT",
            ">smtp.req.command=DATA",
            ">smtp.req.command=RSET",
        ],
    );
}

#[test]
fn between_data_and_its_reply_lines_are_read_both_ways() {
    check(
        &Smtp,
        &["smtp.req.command", "smtp.data.line"],
        &[
            GREETING,
            (Request, b"MAIL FROM:<>\r\nDATA\r\nRSET\r\n"),
            (Response, b"250 ok\r\n"),
            (Request, b"NOOP\r\n"),
            (Response, b"354 go\r\n"),
            (Request, b"HELP\r\n.\r\nQUIT\r\n"),
        ],
        &[
            ">smtp.req.command=MAIL",
            ">smtp.req.command=DATA",
            ">smtp.data.line=RSET",
            ">smtp.req.command=RSET",
            ">smtp.data.line=NOOP",
            ">smtp.req.command=NOOP",
            ">smtp.data.line=HELP",
            ">smtp.req.command=QUIT",
        ],
    );
}

/// Two DATA before any reply: whichever the 354 belongs to, no command may hide in a mail.
#[test]
fn a_second_data_before_the_reply_hides_nothing() {
    let turns: &[(Direction, &[u8])] = &[
        GREETING,
        (Request, b"DATA\r\n.\r\nDATA\r\n"),
        (Response, b"354 go\r\n250 ok\r\n503 no\r\n"),
        (Request, b"VRFY x\r\n"),
    ];
    let found = replay(&Smtp, COMMANDS, turns, ReplayCuts::Nowhere, false);
    assert!(found.contains(&">smtp.req.command=VRFY".into()), "{found:?}");
}

#[test]
fn chunks_are_stepped_over_where_the_server_takes_them() {
    let session = |ehlo: &'static [u8]| {
        [
            GREETING,
            (Request, b"EHLO h\r\n".as_slice()),
            (Response, ehlo),
            (Request, b"BDAT 8\r\nRSET\r\nxxBDAT 3 last\r\nNO\nQUIT\r\n"),
        ]
    };
    check(
        &Smtp,
        &["smtp.req.command"],
        &session(b"250-mx\r\n250-chunking\r\n250 SIZE\r\n"),
        &[
            ">smtp.req.command=EHLO",
            ">smtp.req.command=BDAT",
            ">smtp.req.command=BDAT",
            ">smtp.req.command=QUIT",
        ],
    );
    check(
        &Smtp,
        &["smtp.req.command"],
        &session(b"250-mx\r\n250-CHUNKINGS\r\n250 SIZE\r\n"),
        &[
            ">smtp.req.command=EHLO",
            ">smtp.req.command=BDAT",
            ">smtp.req.command=RSET",
            ">smtp.req.command=XXBDAT",
            ">smtp.req.command=NO",
            ">smtp.req.command=QUIT",
        ],
    );
}

/// DATA, a chunk of three bytes and a command at once: if DATA is refused, the command follows the
/// chunk on no new line.
#[test]
fn a_chunk_behind_data_hides_no_command() {
    check(
        &Smtp,
        &["smtp.req.command"],
        &[
            GREETING,
            (Request, b"EHLO h\r\n"),
            (Response, b"250 CHUNKING\r\n"),
            (Request, b"DATA\r\nBDAT 3\r\nfooVRFY x\r\n"),
            (Response, b"503 no\r\n"),
        ],
        &[
            ">smtp.req.command=EHLO",
            ">smtp.req.command=DATA",
            ">smtp.req.command=BDAT",
            ">smtp.req.command=FOO",
            ">smtp.req.command=VRFY",
        ],
    );
}

/// `+3` and 2^32 + 3 are 3 to some servers and an error to others.
#[test]
fn a_chunk_of_doubtful_size_hides_no_command() {
    for size in ["+3", "4294967299", "-4294967293"] {
        let bdat = format!("BDAT {size}\r\nfooVRFY x\r\n");
        check(
            &Smtp,
            &["smtp.req.command"],
            &[
                GREETING,
                (Request, b"EHLO h\r\n"),
                (Response, b"250 CHUNKING\r\n"),
                (Request, bdat.as_bytes()),
            ],
            &[
                ">smtp.req.command=EHLO",
                ">smtp.req.command=BDAT",
                ">smtp.req.command=FOO",
                ">smtp.req.command=VRFY",
            ],
        );
    }
}

#[test]
fn a_conversation_may_be_seen_without_its_greeting() {
    check(
        &Smtp,
        &["smtp.req.command", "smtp.data.line"],
        &[(Request, b"DATA\r\n"), (Response, b"354 go\r\n"), (Request, b"RSET\r\n.\r\nQUIT\r\n")],
        &[">smtp.req.command=DATA", ">smtp.data.line=RSET", ">smtp.req.command=QUIT"],
    );
}

#[test]
fn answers_to_a_challenge_are_no_commands() {
    check_held(
        &Smtp,
        &["smtp.req.command", "smtp.auth.response"],
        &[
            GREETING,
            (Request, b"AUTH LOGIN\r\n"),
            (Response, b"334 VXNlcm5hbWU6\r\n"),
            (Request, b"ZGF0YQ==\r\n"),
            (Response, b"334 UGFzc3dvcmQ6\r\n"),
            (Request, b"DATA\r\n"),
            (Response, b"235 ok\r\n"),
            (Request, b"NOOP\r\nAUTH PLAIN  AHg=\r\n"),
        ],
        &[
            ">smtp.req.command=AUTH",
            ">smtp.auth.response=ZGF0YQ==",
            ">smtp.auth.response=DATA",
            ">smtp.req.command=NOOP",
            ">smtp.req.command=AUTH",
            ">smtp.auth.response=AHg=",
        ],
    );
}

#[test]
fn what_is_pipelined_behind_auth_is_read_both_ways() {
    check_held(
        &Smtp,
        &["smtp.req.command", "smtp.auth.response"],
        &[
            GREETING,
            (Request, b"AUTH LOGIN\r\nZm9v\r\nYmFy\r\n"),
            (Response, b"334 VXNl\r\n334 UGFz\r\n"),
            (Request, b"VRFY x\r\n"),
            (Response, b"535 no\r\n"),
            (Request, b"NOOP\r\n"),
        ],
        &[
            ">smtp.req.command=AUTH",
            ">smtp.req.command=ZM9V",
            ">smtp.auth.response=Zm9v",
            ">smtp.req.command=YMFY",
            ">smtp.auth.response=YmFy",
            ">smtp.req.command=VRFY",
            ">smtp.auth.response=VRFY x",
            ">smtp.req.command=NOOP",
        ],
    );
}

#[test]
fn lines_behind_starttls_are_told_apart() {
    check(
        &Smtp,
        &["smtp.starttls.pipelined", "smtp.req.command"],
        &[
            GREETING,
            (Request, b"STARTTLS\r\nRSET\r\n"),
            (Response, b"220 ready\r\n"),
            (Request, b"\x16\x03\x01"),
            (Response, b"\x16\x03\x01"),
        ],
        &[
            ">smtp.req.command=STARTTLS",
            r">smtp.starttls.pipelined=RSET\r\n",
            ">smtp.req.command=RSET",
            "!Request SkipRest=",
            "!Response SkipRest=",
        ],
    );
    check(
        &Smtp,
        &["smtp.starttls.pipelined"],
        &[
            GREETING,
            (Request, b"NOOP\r\nSTARTTLS\r\n"),
            (Response, b"250 ok\r\n454 no\r\n"),
            (Request, b"RSET\r\n"),
        ],
        &[],
    );
}

/// The greeting is a 220 too, and grants nothing.
#[test]
fn starttls_before_the_greeting_is_not_granted_by_it() {
    check(
        &Smtp,
        COMMANDS,
        &[(Request, b"STARTTLS\r\n"), GREETING, (Request, b"NOOP\r\n")],
        &[">smtp.req.command=STARTTLS", "<smtp.response.code=220", ">smtp.req.command=NOOP"],
    );
}

#[test]
fn a_refusal_answers_commands_only() {
    let ask = |which, from| {
        let mut out = Vec::new();
        let view = View { input: b"DEBUG\r\n", from, open: false, ended: false };
        (Smtp.refuse(Refused::Message, which, view, &mut out), out)
    };
    assert_eq!(
        ask(0, Request),
        (Refusal::Reply, b"501 5.5.4 Syntax error in parameters or arguments\r\n".to_vec())
    );
    assert_eq!(ask(0, Response), (Refusal::Silence, Vec::new()));
    assert_eq!(ask(99, Request), (Refusal::Silence, Vec::new()));
}

#[test]
fn noise_is_survived() {
    for seed in 0..150 {
        let client = [b"EHLO x\r\nDATA\r\n".as_slice(), &noise(seed, 300)].concat();
        let server = noise(seed + 1_000, 60);
        survives(
            &Smtp,
            &[
                (Response, b"220 x\r\n250 CHUNKING\r\n"),
                (Request, &client),
                (Response, &server),
                (Response, b"354 x\r\n334 \r\n"),
                (Request, &client),
            ],
        );
    }
}

#[test]
fn the_corpus_is_survived() {
    for set in ["profuzz-smtp.c2s", "smtp-smuggling.c2s"] {
        all_survive(&Smtp, set, |payload, play| {
            play(&[GREETING, (Request, payload), (Response, payload)]);
            play(&[GREETING, (Request, b"DATA\r\n"), (Response, b"354 x\r\n"), (Request, payload)]);
        });
    }
}

#[test]
fn every_command_is_owed_one_reply() {
    let hello: &[_] = &[
        Asks(b"", Some(1)),
        Answers(b"220-mx\r\n", Some(1)),
        Answers(b"220 mx\r\n", Some(0)),
        Asks(b"EHLO x\r\n", Some(1)),
        Answers(b"250-CHUNKING\r\n250-SI", Some(1)),
        Answers(b"ZE\r\n250 PIPELINING\r\n", Some(0)),
    ];
    let after = |more: Vec<ReplayTurn<'_>>| {
        let turns: Vec<_> = hello.iter().copied().chain(more).collect();
        check_outstanding(&Smtp, &turns);
    };
    after(vec![
        RefusedTurn(
            b"MAIL FROM:<xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx>\r\n",
            Some(0),
        ),
        Asks(b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\n", Some(3)),
        Answers(b"250 ok\r\n250 ok\r\n550 no\r\n", Some(0)),
        RefusedTurn(b"DATA\r\n", Some(0)),
        // A mail cannot be refused from its beginning on to its end.
        Asks(b"DATA\r\n", None),
        Answers(b"354 go\r\n", None),
        Asks(b"x\r\n", None),
        Asks(b".\r\n", Some(1)),
        Answers(b"250 queued\r\n", Some(0)),
        Asks(b"DATA\r\n", None),
        Answers(b"503 no\r\n", Some(0)),
    ]);
    after(vec![
        RefusedTurn(b"BDAT 8 LAST\r\nRSET\r\nxx", Some(0)),
        Asks(b"BDAT 8 LAST\r\nRSET\r\nxx", Some(1)),
        Answers(b"250 ok\r\n", Some(0)),
        Asks(b"BDAT -8 LAST\r\n", None),
    ]);
    after(vec![
        RefusedTurn(b"AUTH LOGIN\r\n", Some(0)),
        Asks(b"AUTH LOGIN\r\n", Some(1)),
        Answers(b"334 \r\n", None),
        Asks(b"eA==\r\n", Some(1)),
        Answers(b"235 ok\r\n", Some(0)),
        RefusedTurn(b"STARTTLS\r\n", Some(0)),
        Asks(b"STARTTLS\r\n", Some(1)),
        Answers(b"220 go\r\n", None),
    ]);
    after(vec![Answers(b"421 bye\r\n", None)]);
    after(vec![Asks(b"NOOP\r\n", Some(1)), Answers(b"what\r\n", None)]);
}
