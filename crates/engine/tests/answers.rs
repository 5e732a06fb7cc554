//! Messages that get their answer from here: where it stands among the server's own, and what
//! becomes of what follows.
#![allow(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod rules;
mod talk;

use engine::Scratch;
use plan::{Mode, Module, Reply, Transform};
use rules::*;
use stage::Direction::{Request as Q, Response as S};
use talk::{TalkEnd, TalkOutcome, TalkTurns, every_way};

/// `field` contains "bad": `bad`. It contains "worse": `worse`.
fn module(protocol: &str, field: &str, bad: Transform, worse: Transform, mode: Mode) -> Module {
    let mut b = RulesBuilder::new(proto::by_name(protocol).unwrap()).whole(4096);
    let slot = b.named(field);
    b.mode = mode;
    b.rule(None, contains(slot, "bad"), bad).rule(None, contains(slot, "worse"), worse).build()
}

fn refusing(protocol: &str, field: &str) -> Module {
    let refuse = Transform::Refuse(Reply::Protocol(0));
    let close = Transform::Close(Some(Reply::Protocol(1)));
    module(protocol, field, refuse, close, Mode::Enforce)
}

#[track_caller]
fn check(module: &Module, turns: TalkTurns<'_>, end: TalkEnd, server: &[&str], client: &[&str]) {
    let got = every_way(module, turns, &mut Scratch::new());
    assert_eq!((got.server, got.client), (server.concat(), client.concat()));
    assert_eq!((got.end, got.waiting), (end, 0));
}

#[track_caller]
fn outcome(module: &Module, turns: TalkTurns<'_>) -> TalkOutcome {
    every_way(module, turns, &mut Scratch::new())
}

const GOOD: &str = "GET /good HTTP/1.1\r\nHost: x\r\n\r\n";
const BAD: &str = "GET /bad HTTP/1.1\r\nHost: x\r\n\r\n";
const WORSE: &str = "GET /worse HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
const R400: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
const LAST_400: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const LAST_403: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn a_refused_request_is_answered_and_the_connection_lives_on() {
    let http = refusing("http", "http.request.uri");
    check(&http, &[(Q, BAD), (Q, GOOD), (S, OK)], TalkEnd::GoesOn, &[GOOD], &[R400, OK]);
    check(&http, &[(Q, GOOD), (S, OK), (Q, BAD)], TalkEnd::GoesOn, &[GOOD], &[OK, R400]);
    let twice = [BAD, BAD, GOOD, BAD].concat();
    check(
        &http,
        &[(Q, &twice), (S, OK), (Q, BAD)],
        TalkEnd::GoesOn,
        &[GOOD],
        &[R400, R400, OK, R400, R400],
    );
}

#[test]
fn an_answer_waits_for_those_before_it_and_holds_up_those_behind_it() {
    let http = refusing("http", "http.request.uri");
    let pipelined = [GOOD, GOOD, BAD, GOOD].concat();
    check(
        &http,
        &[(Q, &pipelined), (S, OK), (S, OK), (S, OK)],
        TalkEnd::GoesOn,
        &[GOOD, GOOD, GOOD],
        &[OK, OK, R400, OK],
    );
    let got = outcome(
        &http,
        &[(Q, &pipelined), (S, OK), (S, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfin")],
    );
    assert_eq!(got.server, [GOOD, GOOD].concat(), "inside a body no answer is put");
    assert_eq!(got.waiting, BAD.len() + GOOD.len());
    let interim = ["HTTP/1.1 100 Continue\r\n\r\n", OK].concat();
    check(
        &http,
        &[(Q, &pipelined[GOOD.len()..]), (S, &interim), (S, OK)],
        TalkEnd::GoesOn,
        &[GOOD, GOOD],
        &[&interim, R400, OK],
    );
    // The client has nothing more to say, and still gets its answer.
    check(
        &http,
        &[(Q, &pipelined[..2 * GOOD.len() + BAD.len()]), (Q, ""), (S, OK), (S, OK)],
        TalkEnd::GoesOn,
        &[GOOD, GOOD],
        &[OK, OK, R400],
    );
}

#[test]
fn a_refused_request_takes_its_body_along() {
    let http = refusing("http", "http.request.uri");
    for body in [
        "Content-Length: 30\r\n\r\nGET /good HTTP/1.1\r\nHost: x\r\n\r",
        "Transfer-Encoding: chunked\r\n\r\n1e;x=y\r\nGET /good HTTP/1.1\r\nHost: x\r\n\r\r\n0\r\nTrailer: x\r\n\r\n",
    ] {
        let post = format!("POST /bad HTTP/1.1\r\n{body}");
        let both = [&post, GOOD].concat();
        check(&http, &[(Q, &both), (S, OK)], TalkEnd::GoesOn, &[GOOD], &[R400, OK]);
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let reply = "HTTP/1.1 418 No\r\nContent-Length: 2\r\n\r\nno";
    let refuse = || Transform::Refuse(Reply::Custom(reply.as_bytes().into()));
    let http = module("http", "http.request.uri", refuse(), refuse(), Mode::Enforce);
    let head = BAD.replace("GET", "HEAD");
    let both = [&head, BAD].concat();
    check(&http, &[(Q, &both)], TalkEnd::GoesOn, &[], &[&reply[..reply.len() - 2], reply]);
}

#[test]
fn what_the_client_expects_to_end_ends() {
    let http = refusing("http", "http.request.uri");
    let old = [&BAD.replace("1.1", "1.0"), GOOD].concat();
    check(&http, &[(Q, &old)], TalkEnd::Finished, &[], &[LAST_400]);
    // Where it ends is not the same for every server: nothing that follows may be read as a
    // request.
    let twice =
        "POST /bad HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check(&http, &[(Q, twice), (Q, GOOD)], TalkEnd::Finished, &[], &[LAST_400]);
}

#[test]
fn close_answers_in_its_turn_and_ends_the_connection() {
    let http = refusing("http", "http.request.uri");
    check(&http, &[(Q, WORSE), (Q, GOOD)], TalkEnd::Finished, &[], &[LAST_403]);
    let pipelined = [GOOD, BAD, WORSE, GOOD].concat();
    check(&http, &[(Q, &pipelined), (S, OK)], TalkEnd::Finished, &[GOOD], &[OK, R400, LAST_403]);
}

#[test]
fn close_answers_for_a_server_that_waits_for_the_rest() {
    let close = || Transform::Close(Some(Reply::Protocol(0)));
    let http = module("http", "http.chunk_extension", close(), close(), Mode::Enforce);
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let post = [head, "4\r\nabcd\r\n5;bad\r\nhello\r\n0\r\n\r\n"].concat();
    let went_on = [head, "4\r\nabcd\r\n"].concat();
    check(&http, &[(Q, &post), (Q, GOOD)], TalkEnd::Finished, &[&went_on], &[LAST_400]);
    // Not for one that has begun to answer, or has more to answer.
    let got = outcome(&http, &[(Q, &went_on), (S, "HTTP/1.1 200"), (Q, "5;bad\r\n")]);
    assert_eq!(got.end, TalkEnd::Reset);
    let both = [GOOD, &post].concat();
    assert_eq!(outcome(&http, &[(Q, &both)]).end, TalkEnd::Reset);
    // What is owed may be owed to another request: this one's head has not ended.
    let mut b = RulesBuilder::new(proto::by_name("http").unwrap()).hold(64);
    let header = b.named("http.header");
    let by_lines = b.rule(None, contains(header, "bad"), close()).build();
    let late = [GOOD, "GET / HTTP/1.1\r\nA: b\r\nC: bad\r\n\r\n"].concat();
    assert_eq!(outcome(&by_lines, &[(Q, &late)]).end, TalkEnd::Reset);
    let smtp = module("smtp", "smtp.data.line", close(), close(), Mode::Enforce);
    check(
        &smtp,
        &[(S, "220 mx\r\n"), (Q, "DATA\r\n"), (S, "354 go\r\n"), (Q, "fine\r\nbad\r\n.\r\n")],
        TalkEnd::Finished,
        &["DATA\r\nfine\r\n"],
        &["220 mx\r\n354 go\r\n501 5.5.4 Syntax error in parameters or arguments\r\n"],
    );
}

#[test]
fn where_the_server_has_ended_a_message_is_swallowed() {
    let http = refusing("http", "http.request.uri");
    let pipelined = [GOOD, BAD].concat();
    let endless = "HTTP/1.1 200 OK\r\n\r\nup to the end";
    check(&http, &[(Q, &pipelined), (S, endless), (S, "")], TalkEnd::GoesOn, &[GOOD], &[endless]);
    let got = outcome(&http, &[(Q, GOOD), (S, OK), (S, ""), (Q, WORSE)]);
    assert_eq!((got.end, got.server.as_str()), (TalkEnd::Reset, GOOD));
}

#[test]
fn where_the_order_of_answers_is_lost_a_reset_is_left() {
    let http = refusing("http", "http.request.uri");
    let unasked = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
    let got = outcome(&http, &[(S, unasked), (Q, BAD)]);
    assert_eq!((got.end, got.server.as_str(), got.verdicts), (TalkEnd::Reset, "", 1));
    let got = outcome(&http, &[(S, "SSH-2.0-OpenSSH\r\n"), (Q, BAD)]);
    assert_eq!((got.end, got.server.as_str()), (TalkEnd::Reset, ""));
}

#[test]
fn observing_only_counts() {
    let refuse = Transform::Refuse(Reply::Protocol(0));
    let close = Transform::Close(Some(Reply::Protocol(1)));
    let http = module("http", "http.request.uri", refuse, close, Mode::Observe);
    let pipelined = [GOOD, BAD, WORSE].concat();
    let got = outcome(&http, &[(Q, &pipelined), (S, OK), (S, OK), (S, OK)]);
    assert_eq!((got.server, got.client), (pipelined, [OK, OK, OK].concat()));
    assert_eq!((got.end, got.verdicts, got.waiting), (TalkEnd::GoesOn, 2, 0));
}

#[test]
fn a_dropped_request_is_owed_nothing() {
    let refuse = Transform::Refuse(Reply::Protocol(0));
    let http = module("http", "http.request.uri", Transform::Drop, refuse, Mode::Enforce);
    let drop_head = BAD.replace("GET", "HEAD");
    let pipelined = [drop_head.as_str(), GOOD, WORSE].concat();
    check(&http, &[(Q, &pipelined), (S, OK)], TalkEnd::GoesOn, &[GOOD], &[OK, R400]);
}

#[test]
fn more_answers_than_fit_are_given_in_several_calls() {
    let reply = format!("HTTP/1.1 418 No\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000));
    let refuse = || Transform::Refuse(Reply::Custom(reply.as_bytes().into()));
    let http = module("http", "http.request.uri", refuse(), refuse(), Mode::Enforce);
    let many = BAD.repeat(50);
    let got = every_way(&http, &[(Q, &many), (Q, GOOD), (S, OK)], &mut Scratch::new());
    assert_eq!((got.server.as_str(), got.end), (GOOD, TalkEnd::GoesOn));
    assert_eq!(got.client, [&reply.repeat(50), OK].concat());
}

#[test]
fn ftp_replies_keep_their_order() {
    let ftp = refusing("ftp", "ftp.request.arg");
    let error = "500 Syntax error, command unrecognized.\r\n";
    check(
        &ftp,
        &[
            (Q, "RETR bad\r\nRETR x\r\nCWD bad\r\nNOOP\r\n"),
            (S, "220-hello\r\n220 you\r\n"),
            (S, "150 wait\r\n"),
            (S, "226 done\r\n"),
            (S, "200 ok\r\n"),
        ],
        TalkEnd::GoesOn,
        &["RETR x\r\nNOOP\r\n"],
        &["220-hello\r\n220 you\r\n", error, "150 wait\r\n226 done\r\n", error, "200 ok\r\n"],
    );
    check(
        &ftp,
        &[(S, "220 hi\r\n"), (Q, "CWD worse\r\nNOOP\r\n")],
        TalkEnd::Finished,
        &[],
        &["220 hi\r\n501 Syntax error in parameters or arguments.\r\n"],
    );
    // Telnet's end of an empty line: some servers answer that.
    let got = outcome(&ftp, &[(S, "220 hi\r\n"), (Q, "\r\nCWD bad\r\n")]);
    assert_eq!(got.end, TalkEnd::Reset);
}

#[test]
fn smtp_refuses_commands_and_resets_mails() {
    let smtp = refusing("smtp", "smtp.command_line");
    let error = "501 5.5.4 Syntax error in parameters or arguments\r\n";
    check(
        &smtp,
        &[
            (S, "220 mx\r\n"),
            (Q, "EHLO x\r\n"),
            (S, "250-PIPELINING\r\n250 CHUNKING\r\n"),
            (Q, "MAIL FROM:<a>\r\nRCPT TO:<bad>\r\nRCPT TO:<b>\r\nDATA\r\n"),
            (S, "250 ok\r\n"),
            (S, "250 ok\r\n354 go\r\n"),
            (Q, "bad is what a mail may say\r\n.\r\nVRFY bad\r\n"),
            (S, "250 queued\r\n"),
            (Q, "BDAT 4 bad\r\nmailNOOP\r\n"),
            (S, "250 ok\r\n"),
        ],
        TalkEnd::GoesOn,
        &[
            "EHLO x\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nbad is what a mail may say\r\n.\r\n",
            "NOOP\r\n",
        ],
        &[
            "220 mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 ok\r\n",
            error,
            "250 ok\r\n354 go\r\n250 queued\r\n",
            error,
            error,
            "250 ok\r\n",
        ],
    );
    let mail = refusing("smtp", "smtp.data.line");
    let got = outcome(
        &mail,
        &[(S, "220 mx\r\n"), (Q, "DATA\r\n"), (S, "354 go\r\n"), (Q, "fine\r\nbad\r\n.\r\n")],
    );
    assert_eq!((got.end, got.verdicts), (TalkEnd::Reset, 1));
}

#[test]
fn dns_answers_need_no_order_but_stand_between_messages() {
    let dns = refusing("dns", "dns.qry.name");
    let query = |id: char, name: &str| {
        format!("\0\x16\0{id}\x01\0\0\x01\0\0\0\0\0\0\x04{name}\0\0\x01\0\x01")
    };
    let formerr = "\0\x16\0b\u{fffd}\x01\0\x01\0\0\0\0\0\0\x04xbad\0\0\x01\0\x01";
    // A response, as far as this side reads one.
    let answer = query('a', "good");
    let both = [query('a', "good"), query('b', "xbad")].concat();
    let (begun, rest) = answer.split_at(9);
    check(&dns, &[(Q, &both), (S, &answer)], TalkEnd::GoesOn, &[&answer], &[formerr, &answer]);
    let turns = [(Q, both.as_str()), (S, begun), (Q, both.as_str()), (S, rest)];
    check(&dns, &turns, TalkEnd::GoesOn, &[&answer, &answer], &[formerr, &answer, formerr]);
}
