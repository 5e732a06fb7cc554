use super::*;
use crate::corpus::all_survive;
use crate::replay::ReplayTurn::{Answers, Asks, Refused as RefusedTurn};
use crate::replay::{check, check_held, check_ids, check_outstanding, noise, survives};
use stage::Direction::{Request, Response};

const ALL: &[&str] =
    &["ftp.request.command", "ftp.request.arg", "ftp.response.code", "ftp.response.arg"];

#[test]
fn the_table_and_its_numbers_agree() {
    check_ids(
        &Ftp,
        &[
            (REQUEST, "ftp.request"),
            (COMMAND, "ftp.request.command"),
            (ARG, "ftp.request.arg"),
            (RESPONSE, "ftp.response"),
            (CODE, "ftp.response.code"),
            (RESPONSE_ARG, "ftp.response.arg"),
            (LINE, "ftp.line"),
        ],
    );
    assert_eq!(REFUSALS.len(), PROTOCOL.refusals.len());
}

#[test]
fn commands_and_replies() {
    check(
        &Ftp,
        ALL,
        &[
            (Response, b"220 ready\r\n"),
            (Request, b"USER joe\r\npass  a b \nQUIT\r\n"),
            (Response, b"331 Password\r\n230\r\n"),
        ],
        &[
            "<ftp.response.code=220",
            "<ftp.response.arg=ready",
            ">ftp.request.command=USER",
            ">ftp.request.arg=joe",
            ">ftp.request.command=PASS",
            ">ftp.request.arg= a b ",
            ">ftp.request.command=QUIT",
            "<ftp.response.code=331",
            "<ftp.response.arg=Password",
            "<ftp.response.code=230",
        ],
    );
}

#[test]
fn the_whole_line() {
    check(
        &Ftp,
        &["ftp.request", "ftp.line"],
        &[(Request, b"USER a\rb\r\r\n\xff\xff\n"), (Response, b"2\r\n")],
        &[
            ">ftp.request=1",
            r">ftp.line=USER a\rb\r",
            ">ftp.request=1",
            r">ftp.line=\xff\xff",
            "<ftp.line=2",
        ],
    );
}

//= https://www.rfc-editor.org/rfc/rfc959#section-4.2
//= type=test
#[test]
fn a_reply_of_several_lines_ends_with_its_own_code() {
    check(
        &Ftp,
        ALL,
        &[(Response, b"123-First line\r\nSecond line\r\n  234 A line\r\n234 no code\r\n123-more\r\n123 end\r\n200 ok\r\n")],
        &[
            "<ftp.response.code=123",
            "<ftp.response.arg=First line",
            "<ftp.response.arg=Second line",
            "<ftp.response.arg=  234 A line",
            "<ftp.response.arg=234 no code",
            "<ftp.response.code=123",
            "<ftp.response.arg=more",
            "<ftp.response.code=123",
            "<ftp.response.arg=end",
            "<ftp.response.code=200",
            "<ftp.response.arg=ok",
        ],
    );
}

#[test]
fn telnet_and_blanks_do_not_hide_a_command() {
    check(
        &Ftp,
        ALL,
        &[(Request, b"\xff\xf4\xff\xf2ABOR\r\n \tUS\xff\xf1ER x\xff\xf1y\r\nU\xff\xfb SER z\r\n")],
        &[
            ">ftp.request.command=ABOR",
            ">ftp.request.command=USER",
            r">ftp.request.arg=x\xff\xf1y",
            ">ftp.request.command=USER",
            ">ftp.request.arg=z",
        ],
    );
}

#[test]
fn a_command_too_long_for_an_opened_line() {
    let line = [&[b'a'; 70][..], b" x\r\nNOOP\r\n"].concat();
    let upper = format!(">ftp.request.command={}", "A".repeat(70));
    check_held(
        &Ftp,
        ALL,
        &[(Request, &line)],
        &[&upper, ">ftp.request.arg=x", ">ftp.request.command=NOOP"],
    );
    let lower = format!(">ftp.line={} x", "a".repeat(70));
    check(&Ftp, &["ftp.line"], &[(Request, &line)], &[&lower, ">ftp.line=NOOP"]);
}

#[test]
fn after_auth_and_234_nothing_is_read() {
    check(
        &Ftp,
        ALL,
        &[
            (Response, b"234 unasked\r\n"),
            (Request, b"auth TLS\r\n"),
            (Response, b"234-Now\r\n234 TLS\r\n"),
            (Request, b"\x16\x03\x01USER a\r\n"),
            (Response, b"\x16\x03\x01"),
        ],
        &[
            "<ftp.response.code=234",
            "<ftp.response.arg=unasked",
            ">ftp.request.command=AUTH",
            ">ftp.request.arg=TLS",
            "<ftp.response.code=234",
            "<ftp.response.arg=Now",
            "<ftp.response.code=234",
            "<ftp.response.arg=TLS",
            "!Request SkipRest=",
            "!Response SkipRest=",
        ],
    );
}

#[test]
fn a_refused_auth_changes_nothing() {
    check(
        &Ftp,
        ALL,
        &[(Request, b"AUTH TLS\r\n"), (Response, b"502 no\r\n"), (Request, b"USER a")],
        &[
            ">ftp.request.command=AUTH",
            ">ftp.request.arg=TLS",
            "<ftp.response.code=502",
            "<ftp.response.arg=no",
            ">ftp.request.command=USER",
            ">ftp.request.arg=a",
        ],
    );
}

#[test]
fn a_refusal_answers_commands_only() {
    let ask = |which, from| {
        let mut out = Vec::new();
        let view = View { input: b"USER x\r\n", from, open: false, ended: false };
        (Ftp.refuse(Refused::Message, which, view, &mut out), out)
    };
    let syntax = b"501 Syntax error in parameters or arguments.\r\n".to_vec();
    assert_eq!(ask(1, Request), (Refusal::Reply, syntax));
    assert_eq!(ask(6, Request).0, Refusal::Last, "421 ends the connection");
    assert_eq!(ask(0, Response), (Refusal::Silence, Vec::new()));
    assert_eq!(ask(99, Request), (Refusal::Silence, Vec::new()));
}

#[test]
fn every_command_is_owed_one_last_reply() {
    check_outstanding(
        &Ftp,
        &[
            Asks(b"", Some(1)),
            Answers(b"120 wait\r\n", Some(1)),
            Answers(b"220-hello\r\n there", Some(1)),
            Answers(b"\r\n220 you\r\n", Some(0)),
            Asks(b"USER x\r\nPASS y\r\n", Some(2)),
            Answers(b"331 go on\r\n", Some(1)),
            Answers(b"230-a\r\n530 b\r\n230-c\r\n230 d\r\n", Some(0)),
            RefusedTurn(b"RETR zzzzzzzzzzzzzzzzzzzzzzzz\r\n", Some(0)),
            Asks(b"RETR x\r\n", Some(1)),
            Answers(b"150 here it comes\r\n", Some(1)),
            Asks(b"\xff\xf4\xff\xf2ABOR\r\n", Some(2)),
            Answers(b"426 cut off\r\n226 done\r\n", Some(0)),
            Asks(b"AUTH TLS\r\n", Some(1)),
            Answers(b"234 go\r\n", None),
        ],
    );
    check_outstanding(&Ftp, &[Answers(b"220 x\r\n", Some(0)), Asks(b" \r\n", None)]);
    check_outstanding(&Ftp, &[Answers(b"220 x\r\n", Some(0)), Answers(b"421 bye\r\n", None)]);
    check_outstanding(&Ftp, &[Answers(b"hello\r\n", None)]);
    // A client that was there before us: its first reply is no greeting.
    check_outstanding(&Ftp, &[Asks(b"NOOP\r\n", Some(2)), Answers(b"200 ok\r\n", Some(0))]);
}

#[test]
fn noise_is_survived() {
    for seed in 0..200 {
        let (client, server) = (noise(seed, 300), noise(seed + 1_000, 200));
        survives(&Ftp, &[(Request, &client), (Response, &server), (Request, &client)]);
    }
}

#[test]
fn the_corpus_is_survived() {
    all_survive(&Ftp, "profuzz-ftp.c2s", |payload, play| {
        play(&[(Request, payload), (Response, payload)]);
    });
}
