//! Every case at smoltcp, on a bare wire and through the box; the cases beside the repository as
//! well, where they are.
//!
//! What must be heard comes from the bare wire (and from the case, where stacks differ), with every
//! token replaced by a plain replacement: nothing of it is the box's.

mod given;

use wire::{Layers, Tcp, TcpFlags};

use super::segment::SERVER_ISN;
use super::*;

const WITHS: &[&str] =
    &["gone", "", "THE-SAME-LENGTH-18", "A REPLACEMENT THAT IS MUCH LONGER THAN WHAT IT REPLACES"];

/// Of the token, in front of `CUT`.
const HALF: usize = 9;

type HeardStreams = Vec<Vec<u8>>;

fn patch(token: &str, with: &str) -> String {
    format!(
        "patch: evasion\ntitle: find and replace\nprotocol: data\nscope: {{ ports: [80], transport: tcp }}\n\
         rules:\n  - replace: data.data\n    pattern: \"{token}\"\n    with: \"{with}\"\n"
    )
}

/// Of a token whose first half a deadline has let go, the rest is taken away, or keeps its length
/// where the replacement does.
fn replaced(streams: &[Vec<u8>], with: &str) -> HeardStreams {
    let half = format!("{} ", &TOKEN[..HALF]);
    let rest = if with.len() == TOKEN.len() { &with[HALF..] } else { "" };
    let whole = format!("{}{rest} ", &TOKEN[..HALF]);
    let one = |bytes: &Vec<u8>| {
        String::from_utf8_lossy(bytes).replace(TOKEN, with).replace(&half, &whole).into_bytes()
    };
    streams.iter().map(one).filter(|bytes| !bytes.is_empty()).collect()
}

fn has_token(bytes: &[u8]) -> bool {
    bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes())
}

/// How a play behind the box ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Patched,
    /// The server heard less than it should have, and will hear no more.
    Dead,
}

/// `wants`: what the server may hear, before anything is replaced.
fn judge(
    frames: &[TimedFrame],
    heard: &HeardByServer,
    wants: &[HeardStreams],
    with: &str,
) -> Result<Ending, String> {
    let shown: Vec<_> = heard.streams.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
    if heard.streams.iter().any(|bytes| has_token(bytes)) {
        return Err(format!("a token reached the server: {shown:?}"));
    }
    if heard.panicked {
        return Err("the server's stack panicked".into());
    }
    if let Some(ack) = heard.acknowledged.iter().find(|ack| !was_sent(frames, **ack)) {
        return Err(format!("{ack} is acknowledged, which was not sent"));
    }
    let wants: Vec<_> = wants.iter().map(|streams| replaced(streams, with)).collect();
    if wants.contains(&heard.streams) {
        return Ok(Ending::Patched);
    }
    let begins = |want: &HeardStreams| {
        let pairs = heard.streams.iter().zip(want);
        heard.streams.len() <= want.len() && pairs.into_iter().all(|(a, b)| b.starts_with(a))
    };
    if wants.iter().any(begins) && (heard.reset || !heard.open) {
        return Ok(Ending::Dead);
    }
    Err(format!("heard {shown:?}, reset {}, open {}", heard.reset, heard.open))
}

/// The client has sent a segment that ends there, or has bytes on both sides of it.
fn was_sent(frames: &[TimedFrame], ack: u32) -> bool {
    frames.iter().any(|timed| {
        let frame = &timed.frame;
        let Ok(layers) = Layers::ethernet(frame) else { return false };
        let Some(tcp) = frame.get(layers.l4..).and_then(Tcp::parse) else { return false };
        // A fragment says where its segment begins; none here is of more than that.
        let more = if layers.fragment.is_some() { 1_460 } else { layers.payload_len() };
        let ends = tcp.flags().has_any(TcpFlags::SYN.with(TcpFlags::FIN));
        let end = u32::try_from(more).unwrap_or(0) + u32::from(ends);
        ack.wrapping_sub(tcp.seq().raw()) <= end
    })
}

fn reads(case: &EvasionCase) -> HeardStreams {
    case.reads.iter().map(|bytes| bytes.to_vec()).collect()
}

/// smoltcp believes a reset anywhere in its window (RFC 793), which is no more believed here (RFC
/// 5961): what it takes for another connection goes on where the first was.
const BELIEVES_RESETS: &str = "rst-in-window-then-syn";

/// As published, and with numbers that wrap within the request.
const ISNS: [u32; 2] = [segment::CLIENT_ISN, 0xffff_fff4];

#[test]
fn no_published_evasion_brings_a_match_to_smoltcp() {
    let mut ends = [0, 0];
    for case in cases() {
        for isn in ISNS {
            let frames = case.frames(isn);
            let bare = play(&frames, SERVER_ISN, None).unwrap();
            let wants = [bare.streams, reads(case)];
            for with in WITHS {
                let mut heard = play(&frames, SERVER_ISN, Some(&patch(TOKEN, with))).unwrap();
                if case.name == BELIEVES_RESETS {
                    heard.streams = vec![heard.streams.concat()];
                }
                match judge(&frames, &heard, &wants, with) {
                    Ok(end) => ends[usize::from(end == Ending::Dead)] += 1,
                    Err(what) => panic!("{} from {isn:#x}, {with:?}: {what}", case.name),
                }
            }
        }
    }
    println!("{} patched, {} dead", ends[0], ends[1]);
    assert!(cases().count() >= 100);
}

/// What could not fail would say nothing: a box that looks for something else changes nothing, and
/// most cases bring the token.
#[test]
fn a_box_that_edits_nothing_is_found() {
    let wrong = cases().filter(|case| {
        let frames = case.frames(ISNS[0]);
        let bare = play(&frames, SERVER_ISN, None).unwrap();
        let heard = play(&frames, SERVER_ISN, Some(&patch("SOMETHING-ELSE", "gone"))).unwrap();
        judge(&frames, &heard, &[bare.streams, reads(case)], "gone").is_err()
    });
    let wrong = wrong.count();
    println!("{wrong} of {} cases bring the token past a box that edits nothing", cases().count());
    assert!(wrong * 2 > cases().count());
}

#[test]
fn every_case_has_a_name_and_stands_in_the_page() {
    let page = include_str!("../../../../docs/evasion.md");
    let mut names = std::collections::BTreeSet::new();
    for case in cases() {
        assert!(names.insert(case.name), "{} is there twice", case.name);
        let row = format!("| {} | {} | {} |", case.name, case.recipe, case.source);
        assert!(page.contains(&row), "docs/evasion.md has no row that begins\n{row}");
    }
}
