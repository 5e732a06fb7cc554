//! HTTP/1.1 with requests in a row or one at a time, bodies by length and in chunks, and rules in
//! both directions.

use offline::ConnectionSide;

use super::rule::PatternRule;
use super::script::{Exchange, ExchangeScript, HeardProgress};
use crate::dice::Dice;

const PORT: u16 = 80;

/// Length of the request target that is kept.
const TARGET_BYTES: usize = 40;

const PATCHES: &[&str] = &[
    // Streaming: nothing is held.
    "patch: target\ntitle: the target is cut\nprotocol: http\nrules:\n  - truncate: http.request.uri\n    to: 40\n",
    // An element goes.
    "patch: header\ntitle: a header is removed\nprotocol: http\nrules:\n  - remove: http.header[\"x-evil\"]\n",
    // A value grows.
    "patch: agent\ntitle: a value is replaced\nprotocol: http\nrules:\n  - when: len(http.user_agent) > 9\n    set: http.user_agent\n    to: \"an agent whose name was longer than nine bytes\"\n",
    // An answer grows, another shrinks.
    "patch: server\ntitle: the server says less\nprotocol: http\nrules:\n  - replace: http.server\n    pattern: \"secret\"\n    with: \"s\"\n  - when: len(http.location) > 0\n    replace: http.location\n    pattern: \"here\"\n    with: \"far away from it\"\n",
    // A body keeps its length.
    "patch: body\ntitle: bodies keep their length\nprotocol: http\nrules:\n  - mask: http.file_data\n    bytes: \"~^\"\n    with: \"-\"\n",
];

/// The box answers a request, and the server does not receive it.
const REFUSAL: &str = "patch: refusal\ntitle: a request is refused\nprotocol: http\nrules:\n  - when: http.header[\"x-forbidden\"] == \"yes\"\n    refuse: message\n    reply: \"HTTP/1.1 418 no\\r\\nContent-Length: 3\\r\\n\\r\\nno\\n\"\n";
const REFUSED: &[u8] = b"HTTP/1.1 418 no\r\nContent-Length: 3\r\n\r\nno\n";

/// Bytes as sent, and as they become.
#[derive(Default)]
struct HttpMessage {
    bytes: Vec<u8>,
    becomes: Vec<u8>,
}

impl HttpMessage {
    fn same(&mut self, text: &str) {
        self.edited(text, text);
    }

    fn edited(&mut self, text: &str, becomes: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.becomes.extend_from_slice(becomes.as_bytes());
    }
}

pub(super) fn exchange(dice: &mut Dice, short: bool) -> Exchange {
    let mut on = [false; PATCHES.len()];
    for one in &mut on {
        *one = dice.percent(60);
    }
    on[0] |= on.iter().all(|on| !on);
    let mut script = ExchangeScript::new();
    let most = if short { 3 } else { 20 };
    let ahead = dice.pick(&[0, 0, 3, 1_000]);
    let refusals = dice.pick(&[0, 0, 20, 70]);
    // A server that has said all would end the connection, and with it the answers in its stead:
    // the last is its own.
    for left in (0..dice.between(1, most)).rev() {
        let refused = left > 0 && dice.percent(refusals);
        let request = request(dice, &on, short, refused);
        if refused {
            script.refused(request.bytes, REFUSED, ahead);
            continue;
        }
        script.say(ConnectionSide::Client, request.bytes, request.becomes, ahead);
        let response = response(dice, &on, short);
        script.say(ConnectionSide::Server, response.bytes, response.becomes, 0);
    }
    Exchange {
        protocol: "http",
        port: PORT,
        patches: PATCHES
            .iter()
            .zip(on)
            .filter(|(_, on)| *on)
            .map(|(patch, _)| *patch)
            .chain((refusals > 0).then_some(REFUSAL))
            .map(str::to_owned)
            .collect(),
        parts: script.finish(dice),
        progress: HeardProgress::Lines,
        rules: [None, on[3].then(|| PatternRule { pattern: "secret".into(), with: "s".into() })],
    }
}

fn word(dice: &mut Dice, low: usize, high: usize) -> String {
    (0..dice.between(low, high)).map(|_| char::from(dice.pick(b"abcdfghjkmno0123456789"))).collect()
}

fn request(dice: &mut Dice, on: &[bool; PATCHES.len()], short: bool, refused: bool) -> HttpMessage {
    let mut message = HttpMessage::default();
    let has_body = dice.percent(40);
    message.same(if has_body { "POST " } else { "GET " });
    let target = format!("/{}", word(dice, 0, if short { 60 } else { 400 }));
    let kept = &target[..target.len().min(TARGET_BYTES)];
    message.edited(&target, if on[0] { kept } else { &target });
    message.same(" HTTP/1.1\r\n");
    for _ in 0..dice.between(0, 6) {
        header(dice, on, &mut message);
    }
    if dice.percent(50) {
        let name = word(dice, 1, 14);
        let long = name.len() > 9 && on[2];
        message.same("User-Agent: ");
        let other = "an agent whose name was longer than nine bytes";
        message.edited(&name, if long { other } else { &name });
        message.same("\r\n");
    }
    if refused {
        message.same("X-Forbidden: yes\r\n");
    }
    message.same("Host: example\r\n");
    body(dice, on, short, has_body, &mut message);
    message
}

fn response(dice: &mut Dice, on: &[bool; PATCHES.len()], short: bool) -> HttpMessage {
    let mut message = HttpMessage::default();
    message.same(dice.pick(&["HTTP/1.1 200 OK\r\n", "HTTP/1.1 404 Not Found\r\n"]));
    for _ in 0..dice.between(0, 3) {
        header(dice, on, &mut message);
    }
    if dice.percent(50) {
        message.same("Server: ");
        for _ in 0..dice.between(1, 4) {
            message.same(&word(dice, 0, 9));
            message.same("secret");
        }
        message.same("x\r\n");
    }
    if dice.percent(30) {
        message.same("Location: /");
        message.edited("here", if on[3] { "far away from it" } else { "here" });
        message.same("\r\n");
    }
    body(dice, on, short, true, &mut message);
    message
}

fn header(dice: &mut Dice, on: &[bool; PATCHES.len()], message: &mut HttpMessage) {
    let value = word(dice, 0, 60);
    if dice.percent(25) {
        let name = dice.pick(&["X-Evil", "x-evil", "X-EVIL"]);
        let line = format!("{name}: {value}\r\n");
        message.edited(&line, if on[1] { "" } else { &line });
    } else {
        message.same(&format!("X-{}: {value}\r\n", word(dice, 1, 8)));
    }
}

/// The rest of the head, and the body.
fn body(
    dice: &mut Dice,
    on: &[bool; PATCHES.len()],
    short: bool,
    has_body: bool,
    message: &mut HttpMessage,
) {
    if !has_body {
        message.same("\r\n");
        return;
    }
    let most = if short { 200 } else { dice.pick(&[100, 3_000, 30_000]) };
    if dice.percent(50) {
        let text = text(dice, most);
        message.same(&format!("Content-Length: {}\r\n\r\n", text.len()));
        message.edited(&text, &if on[4] { text.replace(['~', '^'], "-") } else { text.clone() });
        return;
    }
    message.same("Transfer-Encoding: chunked\r\n\r\n");
    // A pattern does not end with its chunk: it goes on behind the next one's size.
    for _ in 0..dice.between(0, 5) {
        let text = text(dice, most / 4) + ".";
        message.same(&format!("{:x}\r\n", text.len()));
        message.edited(&text, &if on[4] { text.replace(['~', '^'], "-") } else { text.clone() });
        message.same("\r\n");
    }
    message.same("0\r\n\r\n");
}

fn text(dice: &mut Dice, most: usize) -> String {
    let len = dice.between(0, most);
    let mut text = String::new();
    while text.len() < len {
        text.push_str(&match dice.below(6) {
            0 => "~~^".to_owned(),
            1 => "~".to_owned(),
            _ => word(dice, 1, 30),
        });
    }
    text
}
