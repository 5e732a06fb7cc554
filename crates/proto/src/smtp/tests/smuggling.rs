//! Line ends that servers read differently, and the mails that were smuggled behind them.

use super::*;

#[test]
fn bare_line_ends_in_a_mail_are_shown() {
    check(
        &Smtp,
        &["smtp.data.line", "smtp.data.unstuffed_dot", "smtp.data.line_end", "smtp.eom"],
        &[
            GREETING,
            (Request, b"DATA\r\n"),
            (Response, b"354 go\r\n"),
            (Request, b"a\n.\r\nb\r.c\r\nd\n..\r\n.\r\n"),
        ],
        &[
            ">smtp.data.line=a",
            r">smtp.data.line_end=\n",
            ">smtp.data.line=.",
            ">smtp.data.unstuffed_dot=.",
            r">smtp.data.line_end=\r\n",
            ">smtp.data.line=b",
            r">smtp.data.line_end=\r",
            ">smtp.data.line=.c",
            ">smtp.data.unstuffed_dot=.",
            r">smtp.data.line_end=\r\n",
            ">smtp.data.line=d",
            r">smtp.data.line_end=\n",
            ">smtp.data.line=..",
            r">smtp.data.line_end=\r\n",
            ">smtp.eom=1",
        ],
    );
}

/// What the patch for CVE-2024-27305 does: every line end becomes CRLF, every unstuffed dot two.
fn canonical(mail: &[u8]) -> Vec<u8> {
    let mut wanted = Wanted::new(&PROTOCOL);
    wanted.want(UNSTUFFED_DOT);
    wanted.want(LINE_END);
    let mut state = SmtpState::default();
    let mut fields = Fields::new();
    let mut step = |state: &mut SmtpState, from, input: &[u8]| {
        fields.clear();
        let view = View { input, from, open: false, ended: false };
        let Step::Unit { bytes, .. } = Smtp.stream(&wanted, state, view, &mut fields) else {
            panic!("{} is a unit", input.escape_ascii())
        };
        let mut edits = crate::Edits::new();
        for field in fields.items() {
            let with: &[u8] = if field.slot == LINE_END.0 { b"\r\n" } else { b".." };
            assert!(edits.replace(field.value, with));
        }
        let mut out = Vec::new();
        assert!(edits.current(input, Span::new(0, bytes), &mut out));
        (bytes, out)
    };
    step(&mut state, Response, GREETING.1);
    step(&mut state, Request, b"DATA\r\n");
    step(&mut state, Response, b"354 go\r\n");
    let mut out = Vec::new();
    let mut rest = mail;
    while !rest.is_empty() {
        let (bytes, edited) = step(&mut state, Request, rest);
        out.extend(edited);
        rest = &rest[bytes..];
    }
    out
}

/// Where a server that takes any line end for one sees the mail end.
fn lenient_end(mail: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = mail[at..].iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let text = &mail[at..at + found];
        let crlf = mail[at + found..].starts_with(b"\r\n");
        at += found + if crlf { 2 } else { 1 };
        if text == b"." {
            return Some(at);
        }
    }
    None
}

#[test]
fn a_smuggled_mail_stays_inside_once_line_ends_are_canonical() {
    let second = "MAIL FROM:<e@x>\r\nRCPT TO:<v@x>\r\nDATA\r\nevil\r\n.\r\n";
    for before in ["\n", "\r", "\r\n", "\n\n", "\r\r", "\n\r", "\r\r\n"] {
        for after in ["\n", "\r", "\r\n", "\n\n", "\r\r\n"] {
            if before.ends_with("\r\n") && before != "\r\r\n" && after == "\r\n" {
                continue;
            }
            let mail = format!("Subject: x\r\n\r\nhi{before}.{after}{second}QUIT\r\n");
            let out = canonical(mail.as_bytes());
            let shown = out.escape_ascii().to_string();
            // The strict reading is left as it was: the mail ends where CRLF.CRLF stands.
            let strict = memchr::memmem::find(&out, b"\r\n.\r\n").map(|at| at + 5);
            let first_dot = mail.find("\r\n.\r\n").map(|at| &mail[at + 5..]);
            assert!(
                strict.is_some_and(|at| out[at..] == *first_dot.unwrap().as_bytes()),
                "{shown}"
            );
            assert_eq!(lenient_end(&out), strict, "one end for all servers: {shown}");
            assert_eq!(canonical(&out), out, "idempotent");
        }
    }
    let ordinary = b"Subject: x\r\n\r\n..dot\r\nhi\r\n.\r\n";
    assert_eq!(canonical(ordinary), ordinary, "an ordinary mail is left alone");
}

/// Every known spelling of a smuggled end of mail, in place.
#[test]
fn the_corpus_of_smuggled_mails_stays_inside() {
    for payload in payloads("smtp-smuggling.c2s") {
        let data = memchr::memmem::find(&payload, b"DATA\r\n").unwrap();
        let out = canonical(&payload[data + 6..]);
        let strict = memchr::memmem::find(&out, b"\r\n.\r\n").map(|at| at + 5);
        assert_eq!(lenient_end(&out), strict, "{}", out.escape_ascii());
    }
}
