//! Segments that contradict each other.

use super::case::{CUT, ClientScript, DECOY, END, EvasionCase, REAL};
use super::segment::{ChecksumForm, Segment};

/// The bytes from `from` to before `to` of the request or of the decoy.
struct AheadPiece {
    bytes: &'static [u8],
    from: usize,
    to: usize,
}

const fn piece(bytes: &'static [u8], from: usize, to: usize) -> AheadPiece {
    AheadPiece { bytes, from, to }
}

/// Sends two pieces ahead of a gap, then the bytes behind both, then those that fill the gap.
fn ahead(s: &mut ClientScript, first: &AheadPiece, second: &AheadPiece) {
    s.open();
    for piece in [first, second] {
        let at = 1 + u32::try_from(piece.from).unwrap_or(0);
        s.send(Segment::data(at, &piece.bytes[piece.from..piece.to]));
    }
    let begin = first.from.min(second.from);
    let end = first.to.max(second.to);
    s.send(Segment::data(1 + u32::try_from(end).unwrap_or(0), &REAL[end..]));
    s.send(Segment::data(1, &REAL[..begin]));
    s.close();
}

pub(super) const CASES: &[EvasionCase] = &[
    EvasionCase {
        name: "one-overwriting",
        source: "fragrouter tcp-4",
        recipe: "1-byte segments, the last but one again as a null byte",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.pieces(REAL, 1, |s, at| {
                if at == END - 1 {
                    s.send(Segment::data(END - 2, &[0]));
                }
            });
            s.close();
        },
    },
    EvasionCase {
        name: "forward-overwriting",
        source: "fragrouter tcp-5",
        recipe: "2-byte segments, before each a null byte where its second goes",
        reads: &[b"G\x00T\x00/\x00?\x00d\x00P\x00T\x00H\x00E\x000\x002\x004\x006\x008\x00 \x00T\x00P\x001\x001\x00\n\x00o\x00t\x00 \x00.\x00x\x00m\x00l\x00\r\x00\r\x00"],
        script: |s| {
            s.open();
            s.pieces(REAL, 2, |s, at| {
                if at + 1 < END {
                    s.send(Segment::data(at + 1, &[0]));
                }
            });
            s.close();
        },
    },
    EvasionCase {
        name: "null-segments-elsewhere",
        source: "fragrouter tcp-7",
        recipe: "1-byte segments, between them null bytes with drastically different numbers",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.pieces(REAL, 1, |s, at| s.send(Segment::data(at ^ 0x3579_0000, &[0])));
            s.close();
        },
    },
    EvasionCase {
        name: "ahead-during",
        source: "Novak and Sturges 2007; PYROLYSE (Allen's relations)",
        recipe: "ahead of a gap: a decoy within what the true bytes then cover",
        reads: &[b"GET /a?id=PATCHXX-9873456789 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| ahead(s, &piece(DECOY, 15, 21), &piece(REAL, 10, 28)),
    },
    EvasionCase {
        name: "ahead-contains",
        source: "Novak and Sturges 2007; PYROLYSE (Allen's relations)",
        recipe: "ahead of a gap: a decoy, then true bytes within it",
        reads: &[DECOY],
        script: |s| ahead(s, &piece(DECOY, 10, 28), &piece(REAL, 15, 21)),
    },
    EvasionCase {
        name: "ahead-starts",
        source: "Novak and Sturges 2007; PYROLYSE (Allen's relations)",
        recipe: "ahead of a gap: a decoy, then true bytes that begin with it and are longer",
        reads: &[b"GET /a?id=DECOYXX-9123456789 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| ahead(s, &piece(DECOY, 10, 19), &piece(REAL, 10, 28)),
    },
    EvasionCase {
        name: "ahead-finishes",
        source: "Novak and Sturges 2007; PYROLYSE (Allen's relations)",
        recipe: "ahead of a gap: a decoy, then true bytes that end with it and are longer",
        reads: &[b"GET /a?id=PATCHME-0876543210 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| ahead(s, &piece(DECOY, 19, 28), &piece(REAL, 10, 28)),
    },
    EvasionCase {
        name: "ahead-overlaps",
        source: "Novak and Sturges 2007; PYROLYSE (Allen's relations)",
        recipe: "ahead of a gap: a decoy, then true bytes from its middle to past its end",
        reads: &[b"GET /a?id=DECOYXX-9123456789 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| ahead(s, &piece(DECOY, 10, 19), &piece(REAL, 14, 28)),
    },
    EvasionCase {
        name: "ahead-overlapped-by",
        source: "Novak and Sturges 2007; PYROLYSE (Allen's relations)",
        recipe: "ahead of a gap: a decoy, then true bytes from before it to its middle",
        reads: &[b"GET /a?id=PATCHME-0876543210 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| ahead(s, &piece(DECOY, 19, 28), &piece(REAL, 10, 24)),
    },
    EvasionCase {
        name: "again-with-other-bytes",
        source: "Ptacek and Newsham; Snort stream5 (retransmission with other data)",
        recipe: "the request up to the middle of the token, the same again as a decoy and longer, the rest",
        reads: &[b"GET /a?id=PATCHME-0876543210 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| {
            s.open();
            s.send(Segment::data(1, &REAL[..19]));
            s.pause(60);
            s.send(Segment::data(1, &DECOY[..28]));
            s.send(Segment::data(CUT, &REAL[19..]));
            s.close();
        },
    },
    EvasionCase {
        name: "overlap-old-true-new",
        source: "Ptacek and Newsham; Handley and Paxson",
        recipe: "the token's first half, then a segment whose old part is a decoy and whose new part is true",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment::data(1, &REAL[..19]));
            let mixed = [&DECOY[5..19], &REAL[19..]].concat();
            s.send(Segment::data(6, &mixed));
            s.close();
        },
    },
    EvasionCase {
        name: "one-byte-behind",
        source: "SymTCP; RFC 9293 section 3.8.4",
        recipe: "the second half in a segment that begins one byte too early, with another byte there",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment::data(1, &REAL[..19]));
            let early = [b"x", &REAL[19..]].concat();
            s.send(Segment::data(CUT - 1, &early));
            s.close();
        },
    },
    EvasionCase {
        name: "second-half-first-odd-acks",
        source: "Geneva 19",
        recipe: "second half, first half, and acknowledgements with wrong numbers between",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment::ack(0x4321_0000));
            s.send(Segment::data(9, &REAL[8..]));
            s.send(Segment::ack(0x1234_0000));
            s.send(Segment::data(1, &REAL[..8]));
            s.send(Segment::ack(0x5555_0000));
            s.close();
        },
    },
    EvasionCase {
        name: "decoy-first-half-bad-sum-ahead",
        source: "INTANG old_ooo_tcp_fragment, do_wrong_checksum",
        recipe: "second half as a decoy with a wrong checksum, the true second half, first half likewise",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment { sum: ChecksumForm::Wrong, ..Segment::data(CUT, &DECOY[19..]) });
            s.send(Segment::data(CUT, &REAL[19..]));
            s.send(Segment { sum: ChecksumForm::Wrong, ..Segment::data(1, &DECOY[..19]) });
            s.send(Segment::data(1, &REAL[..19]));
            s.close();
        },
    },
    EvasionCase {
        name: "past-the-window",
        source: "SymTCP; Handley and Paxson (window)",
        recipe: "a decoy that begins within the window and ends a megabyte past it, then the request",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment::data(0x0010_0000, DECOY));
            s.real_and_close();
        },
    },
];
