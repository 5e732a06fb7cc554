//! A decoy where the request goes, then the request: hosts do not take the decoy, a box may.

use wire::TcpFlags;

use super::case::{CUT, ClientScript, DECOY, EvasionCase, REAL};
use super::segment::{ACK, ChecksumForm, MD5, Segment, TimestampForm};

fn decoy() -> Segment {
    Segment::data(1, DECOY)
}

fn with(s: &mut ClientScript, decoy: Segment) {
    s.open();
    s.send(decoy);
    s.real_and_close();
}

pub(super) const CASES: &[EvasionCase] = &[
    EvasionCase {
        name: "decoy-no-ack",
        source: "fragrouter ins-3; INTANG old_io_no_ack_flag; SymTCP",
        recipe: "decoy without the ACK flag",
        reads: &[REAL],
        script: |s| with(s, Segment { flags: TcpFlags::PSH, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-no-flags",
        source: "Ptacek and Newsham; lib-erate (invalid flags)",
        recipe: "decoy without any flag",
        reads: &[REAL],
        script: |s| with(s, Segment { flags: TcpFlags::new(0), ack: 0, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-christmas",
        source: "lib-erate (invalid flags)",
        recipe: "decoy with FIN, PSH and URG and no ACK",
        reads: &[REAL],
        script: |s| {
            with(s, Segment { flags: TcpFlags::new(0x29), urgent: 4, ..decoy() });
        },
    },
    EvasionCase {
        name: "decoy-bad-ack",
        source: "Geneva 7; INTANG old_io_wrong_ack; SymTCP",
        recipe: "decoy that acknowledges what the server has not said",
        reads: &[REAL],
        script: |s| with(s, Segment { ack: 0x0100_0000, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-old-ack",
        source: "SymTCP; RFC 5961 section 5.2",
        recipe: "decoy whose acknowledgement is older than any window",
        reads: &[REAL],
        script: |s| with(s, Segment { ack: 0x8100_0000, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-md5",
        source: "INTANG do_md5_opt",
        recipe: "decoy with an MD5 signature nobody asked for",
        reads: &[REAL],
        script: |s| with(s, Segment { options: MD5, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-offset-bad-sum",
        source: "Geneva 1",
        recipe: "decoy with a data offset of 10 and a wrong checksum",
        reads: &[REAL],
        script: |s| with(s, Segment { words: Some(10), sum: ChecksumForm::Wrong, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-offset-bad-ack",
        source: "Geneva 3",
        recipe: "decoy with a data offset of 10 and a wrong acknowledgement",
        reads: &[REAL],
        script: |s| with(s, Segment { words: Some(10), ack: 0x0100_0000, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-offset-ttl",
        source: "Geneva 2, at a server next to the box",
        recipe: "decoy with a data offset of 10: its first 8 bytes are read as options",
        reads: &[b"d=DECOYXX-9876543210 HTTP/1.1\r\nHost: t.example\r\n\r\nmple\r\n\r\n"],
        script: |s| with(s, Segment { words: Some(10), ttl: 1, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-offset-short",
        source: "SymTCP; Ptacek and Newsham (header length)",
        recipe: "decoy with a data offset of 4 words",
        reads: &[REAL],
        script: |s| with(s, Segment { words: Some(4), ..decoy() }),
    },
    EvasionCase {
        name: "decoy-offset-past-end",
        source: "SymTCP; Ptacek and Newsham (header length)",
        recipe: "decoy of ten bytes with a data offset past its end",
        reads: &[REAL],
        script: |s| {
            with(s, Segment { words: Some(15), ..Segment::data(1, &DECOY[..10]) });
        },
    },
    EvasionCase {
        name: "decoy-scale-option",
        source: "Geneva 4",
        recipe: "decoy with a window scale option and a data offset of 8 where 9 is right, its checksum wrong",
        reads: &[REAL],
        script: |s| {
            with(
                s,
                Segment {
                    options: &[3, 3, 14, 1],
                    words: Some(8),
                    sum: ChecksumForm::Wrong,
                    ..decoy()
                },
            );
        },
    },
    EvasionCase {
        name: "decoy-far-ahead",
        source: "lib-erate (wrong sequence number); Snort stream5, outside of the window",
        recipe: "decoy far outside of the window",
        reads: &[REAL],
        script: |s| with(s, Segment { at: 0x2000_0001, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-behind",
        source: "SymTCP; Handley and Paxson",
        recipe: "decoy that ends where the connection begins",
        reads: &[REAL],
        script: |s| with(s, Segment { at: 1_u32.wrapping_sub(58), ..decoy() }),
    },
    EvasionCase {
        name: "decoy-zero-sum",
        source: "lib-erate (wrong checksum)",
        recipe: "decoy whose checksum is 0",
        reads: &[REAL],
        script: |s| with(s, Segment { sum: ChecksumForm::Zero, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-bad-ip-sum",
        source: "lib-erate (wrong IP checksum); Ptacek and Newsham",
        recipe: "decoy with a wrong IP checksum",
        reads: &[REAL],
        script: |s| with(s, Segment { ip_sum: ChecksumForm::Wrong, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-ip-longer",
        source: "lib-erate (IP length longer than the packet)",
        recipe: "decoy whose IP total length is 8 more than there is",
        reads: &[REAL],
        script: |s| with(s, Segment { longer: 8, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-ip-shorter",
        source: "Geneva 9; lib-erate (IP length shorter than the packet)",
        recipe: "decoy whose IP total length is 40 less than there is, its checksum that of the whole",
        reads: &[REAL],
        script: |s| with(s, Segment { longer: -40, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-ip-header-short",
        source: "lib-erate (IP header length); Ptacek and Newsham",
        recipe: "decoy with an IP header length of 4 words",
        reads: &[REAL],
        script: |s| with(s, Segment { ip_words: Some(4), ..decoy() }),
    },
    EvasionCase {
        name: "decoy-ip-header-long",
        source: "lib-erate (IP header length)",
        recipe: "decoy with an IP header length of 8 words where there are 5",
        reads: &[REAL],
        script: |s| with(s, Segment { ip_words: Some(8), ..decoy() }),
    },
    EvasionCase {
        name: "decoy-ttl-0",
        source: "Ptacek and Newsham; fragroute tcp_chaff ttl; INTANG old_io_ttl, at a server next to the box",
        recipe: "decoy with TTL 0",
        reads: &[DECOY],
        script: |s| with(s, Segment { ttl: 0, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-old-stamp-ahead",
        source: "fragroute tcp_chaff paws; INTANG (old timestamp)",
        recipe: "decoy of the token's second half with an old timestamp, the true second half, the first",
        reads: &[REAL],
        script: |s| {
            let cut = 19;
            s.open();
            s.send(Segment {
                stamp: TimestampForm::Old(600_000),
                ..Segment::data(CUT, &DECOY[cut..])
            });
            s.send(Segment::data(CUT, &REAL[cut..]));
            s.send(Segment::data(1, &REAL[..cut]));
            s.close();
        },
    },
    EvasionCase {
        name: "decoy-no-stamp",
        source: "SymTCP; RFC 7323 section 3.2",
        recipe: "decoy without the timestamps that both ends agreed on",
        reads: &[DECOY],
        script: |s| with(s, Segment { stamp: TimestampForm::None, ..decoy() }),
    },
    EvasionCase {
        name: "decoy-source-route",
        source: "Ptacek and Newsham (IP options); lib-erate (IP options)",
        recipe: "decoy with a loose source route",
        reads: &[REAL],
        script: |s| {
            with(s, Segment { ip_options: &[131, 7, 4, 198, 19, 1, 9, 0], ..decoy() });
        },
    },
    EvasionCase {
        name: "decoy-other-mac",
        source: "Ptacek and Newsham (link-layer addresses)",
        recipe: "decoy to another Ethernet address on the server's link",
        reads: &[DECOY],
        script: |s| with(s, Segment { to: [2, 0, 0, 0, 0, 9], ..decoy() }),
    },
    EvasionCase {
        name: "decoy-other-vlan",
        source: "Ptacek and Newsham (link-layer addresses)",
        recipe: "decoy in a VLAN that the server is not in",
        reads: &[REAL],
        script: |s| with(s, Segment { vlan: Some(77), ..decoy() }),
    },
    EvasionCase {
        name: "decoy-urgent-bad-sum",
        source: "Geneva 16 (URG among its flags)",
        recipe: "decoy with every flag but SYN and RST, and a wrong checksum",
        reads: &[REAL],
        script: |s| {
            with(
                s,
                Segment {
                    flags: ACK.with(TcpFlags::new(0xe9)),
                    sum: ChecksumForm::Wrong,
                    ..decoy()
                },
            );
        },
    },
];
