//! IP fragments.

use super::case::{DECOY, EvasionCase, REAL};
use super::segment::{FragmentRange, Segment, at};

/// IP options are none; the TCP header with timestamps takes 32 bytes of the packet's body.
const HEADER: usize = 32;
/// A multiple of eight within the token.
const MIDDLE: usize = HEADER + 16;
/// Of the body.
const BODY: usize = HEADER + 58;

pub(super) const CASES: &[EvasionCase] = &[
    EvasionCase {
        name: "fragments-forward-overwriting",
        source: "fragrouter frag-7",
        recipe: "16-byte fragments behind the first, before each 8 null bytes where its second half goes",
        reads: &[],
        script: |s| {
            s.open();
            let whole = s.frame(&Segment::data(1, REAL));
            s.fragment(&whole, FragmentRange { from: 0, to: HEADER, more: true });
            for from in (HEADER..BODY).step_by(16) {
                let to = (from + 16).min(BODY);
                if from + 8 < to {
                    let mut null = whole.clone();
                    null[34 + from..].fill(0);
                    s.fragment(&null, FragmentRange { from: from + 8, to, more: to < BODY });
                }
                s.fragment(&whole, FragmentRange { from, to, more: to < BODY });
            }
        },
    },
    EvasionCase {
        name: "fragments-out-of-order-decoy",
        source: "INTANG old_ooo_ip_fragment",
        recipe: "second fragment as a decoy, the true one, the first",
        reads: &[],
        script: |s| {
            s.open();
            let whole = s.frame(&Segment::data(1, REAL));
            let mut decoy = whole.clone();
            decoy[34 + HEADER..].copy_from_slice(DECOY);
            s.fragment(&decoy, FragmentRange { from: MIDDLE, to: BODY, more: false });
            s.fragment(&whole, FragmentRange { from: MIDDLE, to: BODY, more: false });
            s.fragment(&whole, FragmentRange { from: 0, to: MIDDLE, more: true });
        },
    },
    EvasionCase {
        name: "fragments-overlap-by-8",
        source: "Ptacek and Newsham; Novak 2005 (target-based fragments)",
        recipe: "first fragment true, second a decoy that begins 8 bytes before the first ends",
        reads: &[],
        script: |s| {
            s.open();
            let whole = s.frame(&Segment::data(1, REAL));
            let mut decoy = whole.clone();
            decoy[34 + HEADER..].copy_from_slice(DECOY);
            s.fragment(&whole, FragmentRange { from: 0, to: MIDDLE, more: true });
            s.fragment(&decoy, FragmentRange { from: MIDDLE - 8, to: BODY, more: false });
        },
    },
    EvasionCase {
        name: "fragments-past-64k",
        source: "Ptacek and Newsham (ping of death); Suricata frag-too-large",
        recipe: "a decoy's first fragment and one that ends past 65,535 bytes, then the request",
        reads: &[REAL],
        script: |s| {
            s.open();
            let decoy = s.frame(&Segment::data(1, DECOY));
            s.fragment(&decoy, FragmentRange { from: 0, to: MIDDLE, more: true });
            let mut past = decoy;
            at(&mut past, 65_528, false);
            s.send_frame(past);
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "fragments-two-ends",
        source: "Novak 2005; Suricata (fragments after the last)",
        recipe: "a request in fragments of which two say they are the last, at different places",
        reads: &[],
        script: |s| {
            s.open();
            let whole = s.frame(&Segment::data(1, REAL));
            s.fragment(&whole, FragmentRange { from: MIDDLE, to: MIDDLE + 16, more: false });
            s.fragment(&whole, FragmentRange { from: MIDDLE + 16, to: BODY, more: false });
            s.fragment(&whole, FragmentRange { from: 0, to: MIDDLE, more: true });
        },
    },
    EvasionCase {
        name: "fragment-alone",
        source: "Ptacek and Newsham; lib-erate (fragments)",
        recipe: "a decoy's first fragment whose rest never comes, then the request",
        reads: &[REAL],
        script: |s| {
            s.open();
            let decoy = s.frame(&Segment::data(1, DECOY));
            s.fragment(&decoy, FragmentRange { from: 0, to: MIDDLE, more: true });
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "fragments-of-segments",
        source: "fragroute ip_frag over tcp_seg",
        recipe: "two segments that meet within the token, each in two fragments, all in reverse",
        reads: &[REAL],
        script: |s| {
            s.open();
            let first = s.frame(&Segment::data(1, &REAL[..19]));
            let second = s.frame(&Segment::data(20, &REAL[19..]));
            for (whole, body) in [(second, HEADER + 39), (first, HEADER + 19)] {
                s.fragment(&whole, FragmentRange { from: HEADER + 8, to: body, more: false });
                s.fragment(&whole, FragmentRange { from: 0, to: HEADER + 8, more: true });
            }
            s.close();
        },
    },
];
