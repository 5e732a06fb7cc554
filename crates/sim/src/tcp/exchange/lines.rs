//! FTP and SMTP: commands and replies in lines, with arguments that are cut, replaced and masked.

use offline::ConnectionSide;

use super::rule::PatternRule;
use super::script::{Exchange, ExchangeMessage, ExchangeScript, HeardProgress};
use crate::dice::Dice;

const FTP: &str = "patch: ftp\ntitle: arguments keep their bounds\nprotocol: ftp\nrules:\n\
    \x20 - when: ftp.request.command == \"MKD\"\n    truncate: ftp.request.arg\n    to: 20\n\
    \x20 - when: ftp.request.command == \"USER\"\n    replace: ftp.request.arg\n    pattern: \"%\"\n    with: \"\"\n\
    \x20 - when: ftp.request.command == \"SITE\"\n    refuse: message\n    reply: \"500 not here\\r\\n\"\n\
    \x20 - when: ftp.response.code == 213\n    replace: ftp.response.arg\n    pattern: \"evil\"\n    with: \"nothing of the kind\"\n";

const SMTP: &str = "patch: smtp\ntitle: addresses and lines keep their bounds\nprotocol: smtp\nrules:\n\
    \x20 - when: smtp.req.command == \"HELO\"\n    truncate: smtp.req.parameter\n    to: 12\n\
    \x20 - mask: smtp.mail_from\n    bytes: \"\\xff\"\n    with: \"?\"\n\
    \x20 - replace: smtp.rcpt_to\n    pattern: \"|\"\n    with: \"-pipe-\"\n\
    \x20 - when: smtp.req.command == \"VRFY\"\n    refuse: message\n    reply: \"502 not here\\r\\n\"\n\
    \x20 - replace: smtp.rsp.parameter\n    pattern: \"Version\"\n    with: \"\"\n";

fn word(dice: &mut Dice, low: usize, high: usize) -> String {
    (0..dice.between(low, high)).map(|_| char::from(dice.pick(b"abcdfghjkmno0123456789"))).collect()
}

pub(super) fn ftp(dice: &mut Dice, short: bool) -> Exchange {
    let mut script = ExchangeScript::new();
    let ahead = dice.pick(&[0, 0, 2, 1_000]);
    same(&mut script, ConnectionSide::Server, "220 ready\r\n", 0);
    for _ in 0..dice.between(1, if short { 6 } else { 60 }) {
        let most = dice.pick(&[10, 30, 300]);
        let arg = word(dice, 1, most);
        match dice.below(5) {
            4 => {
                let command = format!("SITE {arg}\r\n");
                script.refused(command.into_bytes(), b"500 not here\r\n", ahead);
            }
            0 => {
                let kept = &arg[..arg.len().min(20)];
                both(
                    &mut script,
                    ConnectionSide::Client,
                    &format!("MKD {arg}\r\n"),
                    &format!("MKD {kept}\r\n"),
                    ahead,
                );
                same(&mut script, ConnectionSide::Server, "257 made\r\n", 0);
            }
            1 => {
                let arg = format!("%{arg}%%n");
                let kept = arg.replace('%', "");
                both(
                    &mut script,
                    ConnectionSide::Client,
                    &format!("USER {arg}\r\n"),
                    &format!("USER {kept}\r\n"),
                    ahead,
                );
                same(&mut script, ConnectionSide::Server, "331 go on\r\n", 0);
            }
            2 => {
                same(&mut script, ConnectionSide::Client, &format!("STAT {arg}\r\n"), ahead);
                let text = format!("213 {arg} evil {arg}evilevil\r\n");
                same(&mut script, ConnectionSide::Server, &text, 0);
            }
            _ => {
                same(&mut script, ConnectionSide::Client, &format!("CWD {arg}\r\n"), ahead);
                let lines: String = (0..dice.between(0, 5))
                    .map(|_| format!("250-{}\r\n", word(dice, 0, 50)))
                    .collect();
                same(&mut script, ConnectionSide::Server, &format!("{lines}250 done\r\n"), 0);
            }
        }
    }
    // A server that has said all would end the connection, and with it the answers in its stead:
    // the last is its own.
    same(&mut script, ConnectionSide::Client, "QUIT\r\n", ahead);
    same(&mut script, ConnectionSide::Server, "221 bye\r\n", 0);
    let rule = PatternRule { pattern: "evil".into(), with: "nothing of the kind".into() };
    exchange("ftp", 21, FTP, rule, script.finish(dice))
}

pub(super) fn smtp(dice: &mut Dice, short: bool) -> Exchange {
    let mut script = ExchangeScript::new();
    let ahead = dice.pick(&[0, 0, 2]);
    same(&mut script, ConnectionSide::Server, "220 mx Version 1\r\n", 0);
    let name = word(dice, 1, 60);
    let kept = &name[..name.len().min(12)];
    both(
        &mut script,
        ConnectionSide::Client,
        &format!("HELO {name}\r\n"),
        &format!("HELO {kept}\r\n"),
        0,
    );
    same(&mut script, ConnectionSide::Server, "250-mx\r\n250 Version 2\r\n", 0);
    for _ in 0..dice.between(1, if short { 2 } else { 8 }) {
        let from = word(dice, 1, 40);
        let mut bytes = format!("MAIL FROM:<{from}").into_bytes();
        let mut becomes = bytes.clone();
        if dice.percent(50) {
            bytes.extend([0xff, 0xff]);
            becomes.extend(b"??");
        }
        bytes.extend(b"@b>\r\n");
        becomes.extend(b"@b>\r\n");
        script.say(ConnectionSide::Client, bytes, becomes, ahead);
        same(&mut script, ConnectionSide::Server, "250 ok\r\n", 0);
        for _ in 0..dice.pick(&[0, 0, 1, 3]) {
            let command = format!("VRFY {}\r\n", word(dice, 1, 20));
            script.refused(command.into_bytes(), b"502 not here\r\n", ahead);
        }
        for _ in 0..dice.between(1, 4) {
            let to = format!("RCPT TO:<{}|{}@c>\r\n", word(dice, 0, 20), word(dice, 1, 20));
            both(&mut script, ConnectionSide::Client, &to, &to.replace('|', "-pipe-"), ahead);
            same(&mut script, ConnectionSide::Server, "250 ok\r\n", 0);
        }
        same(&mut script, ConnectionSide::Client, "DATA\r\n", 0);
        same(&mut script, ConnectionSide::Server, "354 go on\r\n", 0);
        let mut mail = String::new();
        for _ in 0..dice.between(0, if short { 5 } else { 200 }) {
            mail.push_str(&word(dice, 0, 76));
            mail.push_str("\r\n");
        }
        same(&mut script, ConnectionSide::Client, &format!("{mail}.\r\n"), 0);
        same(&mut script, ConnectionSide::Server, "250 taken\r\n", 0);
    }
    same(&mut script, ConnectionSide::Client, "QUIT\r\n", 0);
    same(&mut script, ConnectionSide::Server, "221 bye\r\n", 0);
    let rule = PatternRule { pattern: "Version".into(), with: Vec::new() };
    exchange("smtp", 25, SMTP, rule, script.finish(dice))
}

fn same(script: &mut ExchangeScript, from: ConnectionSide, text: &str, ahead: usize) {
    both(script, from, text, text, ahead);
}

fn both(
    script: &mut ExchangeScript,
    from: ConnectionSide,
    text: &str,
    becomes: &str,
    ahead: usize,
) {
    script.say(from, text.into(), becomes.into(), ahead);
}

fn exchange(
    protocol: &'static str,
    port: u16,
    patch: &str,
    rule: PatternRule,
    parts: Vec<ExchangeMessage>,
) -> Exchange {
    Exchange {
        protocol,
        port,
        patches: vec![patch.to_owned()],
        parts,
        progress: HeardProgress::Lines,
        rules: [None, Some(rule)],
    }
}
