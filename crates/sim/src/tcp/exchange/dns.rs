//! DNS over TCP (RFC 1035 section 4.2.2): queries that lose their OPT record, answers whose texts
//! are cut.

use offline::ConnectionSide;

use super::script::{Exchange, ExchangeScript, HeardProgress};
use crate::dice::Dice;

const PATCH: &str = "patch: dns\ntitle: records keep their bounds\nprotocol: dns\nrules:\n\
    \x20 - when: dns.resp.type == 41\n    remove: dns.rr\n\
    \x20 - truncate: dns.txt\n    to: 8\n";

pub(super) fn exchange(dice: &mut Dice, short: bool) -> Exchange {
    let mut script = ExchangeScript::new();
    let ahead = dice.pick(&[0, 0, 3, 1_000]);
    for id in 0..dice.between(1, if short { 6 } else { 80 }) {
        let id = u16::try_from(id).unwrap_or(0).to_be_bytes();
        let question = question(dice);
        // An OPT record (RFC 6891): root, type 41, size, flags, an option of some bytes.
        let options = dice.pick(&[0, 4, 12, 60]);
        let opt = if dice.percent(60) {
            let len = u16::try_from(options).unwrap_or(0).to_be_bytes();
            [&[0, 0, 41, 4, 208, 0, 0, 0, 0][..], &len, &option(options)].concat()
        } else {
            Vec::new()
        };
        let additional = u8::from(!opt.is_empty());
        let header = |extra| [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, extra]].concat();
        let bytes = framed(&[header(additional), question.clone(), opt].concat());
        let becomes = framed(&[header(0), question.clone()].concat());
        script.say(ConnectionSide::Client, bytes, becomes, ahead);

        let texts: Vec<usize> = (0..dice.between(0, 4)).map(|_| dice.between(0, 200)).collect();
        let count = u8::try_from(texts.len()).unwrap_or(0);
        let header = [&id[..], &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]].concat();
        let answers = |most: usize| -> Vec<u8> {
            texts.iter().flat_map(|len| text_record((*len).min(most))).collect()
        };
        let bytes = framed(&[header.clone(), question.clone(), answers(255)].concat());
        let becomes = framed(&[header, question, answers(8)].concat());
        script.say(ConnectionSide::Server, bytes, becomes, 0);
    }
    Exchange {
        protocol: "dns",
        port: 53,
        patches: vec![PATCH.to_owned()],
        parts: script.finish(dice),
        progress: HeardProgress::Bytes,
        rules: [None, None],
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap_or(0).to_be_bytes()[..], message].concat()
}

/// A name of a few labels, type TXT, class IN.
fn question(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..dice.between(1, 3) {
        let len = dice.between(1, 20);
        bytes.push(u8::try_from(len).unwrap_or(1));
        bytes.extend((0..len).map(|_| dice.pick(b"abcdefgh")));
    }
    bytes.extend([0, 0, 16, 0, 1]);
    bytes
}

/// A TXT record of the question's name (a pointer to it), with one string.
fn text_record(len: usize) -> Vec<u8> {
    let data = u16::try_from(len + 1).unwrap_or(1).to_be_bytes();
    let mut bytes = vec![0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60];
    bytes.extend(data);
    bytes.push(u8::try_from(len).unwrap_or(0));
    bytes.extend((0..len).map(|at| b'a' + u8::try_from(at % 26).unwrap_or(0)));
    bytes
}

/// One option that fills so many bytes, at least four, or none.
fn option(bytes: usize) -> Vec<u8> {
    let Some(rest) = bytes.checked_sub(4) else { return Vec::new() };
    let len = u16::try_from(rest).unwrap_or(0).to_be_bytes();
    [&[0, 10][..], &len, &vec![7; rest]].concat()
}
