//! The payload sets of the corpora.

use super::*;
use crate::corpus::{all_survive, payloads};

const SETS: &[&str] = &[
    "h2o-http1-corpus.c2s",
    "http-parser.c2s",
    "http-parser.s2c",
    "httparse.c2s",
    "httparse.s2c",
    "llhttp-md.c2s",
    "llhttp-md.s2c",
    "picohttpparser.c2s",
    "picohttpparser.s2c",
    "smuggler-default.c2s",
];

#[test]
fn the_corpora_are_survived() {
    for set in SETS {
        all_survive(&Http, set, |payload, play| match set.ends_with("c2s") {
            true => play(&[(Q, payload)]),
            false => {
                play(&[(Q, b"HEAD / HTTP/1.1\r\n\r\nCONNECT h:1 HTTP/1.1\r\n\r\n"), (S, payload)])
            }
        });
    }
}

/// Each payload at a dozen cuts and byte by byte, with fields that stream.
#[test]
fn the_corpora_read_the_same_however_they_are_cut() {
    let names =
        ["http.request.uri", "http.response.code", "http.header", "http.host", "http.file_data"];
    for set in SETS {
        let from = if set.ends_with("c2s") { Q } else { S };
        for payload in payloads(set) {
            let turns: ReplayTurns<'_> = &[(from, &payload)];
            for open in [false, true] {
                let want = replay(&Http, &names, turns, ReplayCuts::Nowhere, open);
                let step = payload.len() / 12 + 1;
                let cuts = (1..payload.len()).step_by(step).map(ReplayCuts::At);
                for cut in cuts.chain([ReplayCuts::Everywhere]) {
                    let found = replay(&Http, &names, turns, cut, open);
                    assert_eq!(
                        found,
                        want,
                        "{set} {cut:?} open {open}: {}",
                        payload.escape_ascii()
                    );
                }
            }
        }
    }
}
