//! False ends of a connection, and segments behind an end.

use wire::TcpFlags;

use super::case::{CUT, ClientScript, DECOY, END, EvasionCase, REAL};
use super::segment::{ACK, ChecksumForm, FIN_ACK, MD5, RST, RST_ACK, Segment, TimestampForm};

/// One segment in an open connection, then the request.
fn then_real(s: &mut ClientScript, segment: Segment) {
    s.open();
    s.send(segment);
    s.real_and_close();
}

fn rst() -> Segment {
    Segment { ack: 0, ..Segment::of(1, RST) }
}

fn fin() -> Segment {
    Segment::of(1, FIN_ACK)
}

/// What is held of the first half has been let go when the reset comes; if that is ignored, the
/// server reads on.
fn half_then_syn(s: &mut ClientScript, reset: Segment) {
    s.open();
    s.send(Segment::data(1, &REAL[..19]));
    s.pause(1_500);
    s.send(reset);
    s.syn(Segment { at: CUT - 1, ..Segment::syn() });
    s.send(Segment::data(CUT, &REAL[19..]));
    s.close();
}

/// Geneva's FRAPUEN: every flag but SYN and CWR.
const FRAPUEN: TcpFlags = TcpFlags::new(0x7d);

pub(super) const CASES: &[EvasionCase] = &[
    EvasionCase {
        name: "rst-bad-ack",
        source: "INTANG rst_wrong_ack; SymTCP",
        recipe: "RST+ACK at the next number with a wrong acknowledgement",
        reads: &[],
        script: |s| then_real(s, Segment { ack: 0x0100_0000, flags: RST_ACK, ..rst() }),
    },
    EvasionCase {
        name: "rst-one-past",
        source: "INTANG old_rst_wrong_seq; RFC 5961 section 3",
        recipe: "RST one past the next number",
        reads: &[REAL],
        script: |s| then_real(s, Segment { at: 2, ..rst() }),
    },
    EvasionCase {
        name: "rstack-in-window",
        source: "INTANG old_rst_ack_wrong_seq; SymTCP",
        recipe: "RST+ACK within the window",
        reads: &[REAL],
        script: |s| then_real(s, Segment { flags: RST_ACK, ack: 1, at: 500, ..rst() }),
    },
    EvasionCase {
        name: "rst-outside",
        source: "SymTCP (bad RST); lib-erate",
        recipe: "RST outside of the window",
        reads: &[REAL],
        script: |s| then_real(s, Segment { at: 0x2000_0000, ..rst() }),
    },
    EvasionCase {
        name: "rst-one-before",
        source: "SymTCP (bad RST)",
        recipe: "RST one before the next number",
        reads: &[REAL],
        script: |s| then_real(s, Segment { at: 0, ..rst() }),
    },
    EvasionCase {
        name: "rst-md5",
        source: "Geneva 12; INTANG rst_md5_opt",
        recipe: "RST with an MD5 signature nobody asked for",
        reads: &[REAL],
        script: |s| then_real(s, Segment { options: MD5, ..rst() }),
    },
    EvasionCase {
        name: "rst-ttl",
        source: "Geneva 11; INTANG rst_small_ttl, at a server next to the box",
        recipe: "RST with TTL 1",
        reads: &[],
        script: |s| then_real(s, Segment { ttl: 1, ..rst() }),
    },
    EvasionCase {
        name: "rstack-ttl",
        source: "Geneva 14; INTANG old_rst_ack_ttl, at a server next to the box",
        recipe: "RST+ACK with TTL 1",
        reads: &[],
        script: |s| then_real(s, Segment { ttl: 1, flags: RST_ACK, ack: 1, ..rst() }),
    },
    EvasionCase {
        name: "rstack-bad-sum",
        source: "Geneva 13; INTANG old_rst_ack_wrong_checksum",
        recipe: "RST+ACK with a wrong checksum",
        reads: &[REAL],
        script: |s| {
            then_real(s, Segment { sum: ChecksumForm::Wrong, flags: RST_ACK, ack: 1, ..rst() })
        },
    },
    EvasionCase {
        name: "rst-old-stamp",
        source: "INTANG (old timestamp); RFC 7323 section 5.2",
        recipe: "RST with an old timestamp: PAWS does not hold for it",
        reads: &[],
        script: |s| then_real(s, Segment { stamp: TimestampForm::Old(600_000), ..rst() }),
    },
    EvasionCase {
        name: "rst-with-data",
        source: "SymTCP; RFC 1122 section 4.2.2.12",
        recipe: "RST with a decoy",
        reads: &[],
        script: |s| then_real(s, Segment { data: DECOY.to_vec(), ..rst() }),
    },
    EvasionCase {
        name: "rst-in-window-then-byte",
        source: "INTANG rst_desync",
        recipe: "RST within the window, a byte far outside of it, then the request",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment { at: 400, ..rst() });
            s.send(Segment::data(0x1800_0000, b"x"));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "all-flags-bad-sum",
        source: "Geneva 16",
        recipe: "FIN, RST, ACK, PSH, URG and ECE with a wrong checksum",
        reads: &[REAL],
        script: |s| {
            then_real(s, Segment { flags: FRAPUEN, sum: ChecksumForm::Wrong, ack: 1, ..rst() })
        },
    },
    EvasionCase {
        name: "all-flags-ttl",
        source: "Geneva 17, at a server next to the box",
        recipe: "FIN, RST, ACK, PSH, URG and ECE with TTL 1",
        reads: &[],
        script: |s| then_real(s, Segment { flags: FRAPUEN, ttl: 1, ack: 1, ..rst() }),
    },
    EvasionCase {
        name: "all-flags-md5",
        source: "Geneva 18",
        recipe: "FIN, RST, ACK, PSH, URG and ECE with an MD5 signature nobody asked for",
        reads: &[REAL],
        script: |s| then_real(s, Segment { flags: FRAPUEN, options: MD5, ack: 1, ..rst() }),
    },
    EvasionCase {
        name: "fin-rst-bad-sum",
        source: "fragrouter tcp-1; INTANG old_fin_wrong_checksum",
        recipe: "FIN and RST with wrong checksums, then 1-byte segments",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment { sum: ChecksumForm::Wrong, ..fin() });
            s.send(Segment { sum: ChecksumForm::Wrong, ..rst() });
            s.pieces(REAL, 1, |_, _| {});
            s.close();
        },
    },
    EvasionCase {
        name: "fin-outside",
        source: "INTANG old_fin_wrong_seq",
        recipe: "FIN outside of the window",
        reads: &[REAL],
        script: |s| then_real(s, Segment { at: 0x2000_0000, ..fin() }),
    },
    EvasionCase {
        name: "fin-md5",
        source: "Geneva 18; INTANG (MD5 option)",
        recipe: "FIN with an MD5 signature nobody asked for",
        reads: &[REAL],
        script: |s| then_real(s, Segment { options: MD5, ..fin() }),
    },
    EvasionCase {
        name: "fin-old-stamp",
        source: "SymTCP; RFC 7323 section 5",
        recipe: "FIN with an old timestamp",
        reads: &[REAL],
        script: |s| then_real(s, Segment { stamp: TimestampForm::Old(600_000), ..fin() }),
    },
    EvasionCase {
        name: "fin-no-ack",
        source: "SymTCP",
        recipe: "FIN without ACK",
        reads: &[REAL],
        script: |s| then_real(s, Segment { flags: TcpFlags::FIN, ack: 0, ..fin() }),
    },
    EvasionCase {
        name: "fin-bad-ack",
        source: "SymTCP",
        recipe: "FIN that acknowledges what the server has not said",
        reads: &[REAL],
        script: |s| then_real(s, Segment { ack: 0x0100_0000, ..fin() }),
    },
    EvasionCase {
        name: "fin-ip-shorter",
        source: "Geneva 22",
        recipe: "FIN without ACK that carries a decoy, its IP total length 40 less than there is",
        reads: &[REAL],
        script: |s| {
            then_real(
                s,
                Segment { flags: TcpFlags::FIN, longer: -40, data: DECOY.to_vec(), ..fin() },
            );
        },
    },
    EvasionCase {
        name: "fin-then-request",
        source: "INTANG old_fin_ttl, at a server next to the box",
        recipe: "FIN, then the request behind it",
        reads: &[],
        script: |s| then_real(s, fin()),
    },
    EvasionCase {
        name: "fin-with-half-then-rest",
        source: "Ptacek and Newsham, TCB teardown",
        recipe: "FIN with the request up to the middle of the token, then the rest",
        reads: &[b"GET /a?id=PATCHME-0"],
        script: |s| {
            s.open();
            s.send(Segment { flags: FIN_ACK, ..Segment::data(1, &REAL[..19]) });
            s.send(Segment::data(CUT, &REAL[19..]));
            s.send(Segment::data(CUT + 1, &REAL[19..]));
        },
    },
    EvasionCase {
        name: "fin-ahead-inside",
        source: "SymTCP; Handley and Paxson",
        recipe: "FIN ahead of a gap in the middle of the token, then the request whole",
        reads: &[b"GET /a?id=PATCHME-0"],
        script: |s| {
            s.open();
            s.send(Segment::of(CUT, FIN_ACK));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "rst-behind-fin",
        source: "Ptacek and Newsham, TCB teardown",
        recipe: "the request, FIN, a blind RST, the request again",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.real_and_close();
            s.send(Segment { at: END + 600, flags: RST, ack: 0, ..Segment::ack(1) });
            s.send(Segment { flags: ACK, ..Segment::data(END + 1, REAL) });
        },
    },
    EvasionCase {
        name: "rst-in-window-then-syn",
        source: "INTANG mixed_ms_rd (RST, then another SYN); RFC 5961 section 3",
        recipe: "the request up to the middle of the token, a pause, RST within the window, SYN as if the rest began a connection, the rest",
        reads: &[b"GET /a?id=PATCHME-0 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| half_then_syn(s, Segment { at: CUT + 1, ..rst() }),
    },
    EvasionCase {
        name: "rst-md5-then-syn",
        source: "INTANG rst_md5_opt, mixed_do_rd; Geneva 12",
        recipe: "as before, with RST at the next number and an MD5 signature nobody asked for",
        reads: &[b"GET /a?id=PATCHME-0 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| half_then_syn(s, Segment { at: CUT, options: MD5, ..rst() }),
    },
    EvasionCase {
        name: "rst-behind-then-syn",
        source: "INTANG mixed_ms_rd; RFC 5961 section 3",
        recipe: "as before, with RST at what is no more the next number",
        reads: &[b"GET /a?id=PATCHME-0 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| half_then_syn(s, Segment { at: CUT - 1, ..rst() }),
    },
    EvasionCase {
        name: "rst-source-route-then-syn",
        source: "Ptacek and Newsham (IP options); INTANG mixed_ms_rd",
        recipe: "as before, with RST at the next number behind a loose source route",
        reads: &[b"GET /a?id=PATCHME-0 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| {
            half_then_syn(
                s,
                Segment { at: CUT, ip_options: &[131, 7, 4, 198, 19, 1, 9, 0], ..rst() },
            );
        },
    },
    EvasionCase {
        name: "rst-other-mac-then-syn",
        source: "Ptacek and Newsham (link-layer addresses); INTANG mixed_ms_rd",
        recipe: "as before, with RST at the next number to another Ethernet address on the server's link",
        reads: &[b"GET /a?id=PATCHME-0", b"123456789 HTTP/1.1\r\nHost: t.example\r\n\r\n"],
        script: |s| half_then_syn(s, Segment { at: CUT, to: [2, 0, 0, 0, 0, 9], ..rst() }),
    },
];
