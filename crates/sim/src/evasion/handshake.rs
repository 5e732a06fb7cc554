//! Connections that begin otherwise than they seem to.

use wire::TcpFlags;

use super::case::{DECOY, END, EvasionCase, REAL};
use super::segment::{ACK, ChecksumForm, MD5_SYN, RST, RST_ACK, SYN, SYN_ACK, Segment};

/// Added to the client's numbers for a connection that is not this one.
const ELSEWHERE: u32 = 0x3000_0000;

fn other_syn() -> Segment {
    Segment { at: ELSEWHERE, ..Segment::syn() }
}

pub(super) const CASES: &[EvasionCase] = &[
    EvasionCase {
        name: "syn-elsewhere-bad-sum",
        source: "INTANG old_fake_syn_wrong_checksum",
        recipe: "SYN with another number and a wrong checksum, then the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { sum: ChecksumForm::Wrong, ..other_syn() });
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-elsewhere",
        source: "INTANG old_fake_syn_ttl, at a server next to the box",
        recipe: "SYN with another number, then the handshake",
        reads: &[],
        script: |s| {
            s.syn(other_syn());
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-elsewhere-when-open",
        source: "INTANG multiple_syn; Khattak et al. 2013; RFC 5961 section 4",
        recipe: "SYN with another number in an open connection",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.syn(other_syn());
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syns-between",
        source: "fragrouter tcbc-2",
        recipe: "8-byte segments, before each a SYN with another number",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.pieces(REAL, 8, |s, at| {
                s.send(Segment { at: at.wrapping_mul(0x0101_0101), ..Segment::syn() });
            });
            s.close();
        },
    },
    EvasionCase {
        name: "syn-in-window",
        source: "SymTCP; Snort stream5 SYN_ON_EST; RFC 5961 section 4",
        recipe: "SYN with a decoy within the window of an open connection",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.syn(Segment { at: 1, data: DECOY.to_vec(), ..Segment::syn() });
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "resync-desync",
        source: "INTANG resync and desync (mixed_ms_rd)",
        recipe: "SYN far outside of the window, a byte far outside of it, then the request",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.syn(other_syn());
            s.send(Segment::data(ELSEWHERE.wrapping_add(0x1000_0000), b"x"));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "synack-first",
        source: "Geneva 23; INTANG reverse_tcb",
        recipe: "SYN+ACK from the client, then the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { flags: SYN_ACK, ack: 0x0100_0000, ..Segment::syn() });
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "synack-first-bad-sum",
        source: "INTANG reverse_tcb_wrong_checksum",
        recipe: "SYN+ACK with a wrong checksum from the client, then the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { flags: SYN_ACK, ack: 7, sum: ChecksumForm::Wrong, ..Segment::syn() });
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "synack-when-open",
        source: "SymTCP; Handley and Paxson",
        recipe: "SYN+ACK with a decoy at the next number of an open connection",
        reads: &[REAL],
        script: |s| {
            s.open();
            s.send(Segment { flags: SYN_ACK, data: DECOY.to_vec(), ..Segment::ack(1) });
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-again-decoy",
        source: "Geneva 8",
        recipe: "SYN, the same SYN with a decoy, then the handshake goes on",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.syn(Segment { data: DECOY.to_vec(), ..Segment::syn() });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-carries-request",
        source: "SymTCP; Snort stream5 DATA_ON_SYN",
        recipe: "the request in the SYN and behind the handshake again",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { data: REAL.to_vec(), ..Segment::syn() });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-fin",
        source: "Handley and Paxson; Suricata stream-event 3whs with FIN",
        recipe: "SYN+FIN, then the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { flags: SYN.with(TcpFlags::FIN), ..Segment::syn() });
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-rst",
        source: "Handley and Paxson",
        recipe: "SYN+RST, then the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { flags: SYN.with(RST), ..Segment::syn() });
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-twice-other-options",
        source: "Geneva 4 (window scale); SymTCP",
        recipe: "SYN, the same SYN without options, then the handshake goes on",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.syn(Segment { options: &[2, 4, 0, 88], ..Segment::syn() });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "ack-bad-then-good",
        source: "SymTCP, SYN_RECV",
        recipe: "the handshake's last ACK with a wrong number, then the right one",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.send(Segment { ack: 0x0100_0000, ..Segment::ack(1) });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "decoy-bad-ack-before-open",
        source: "SymTCP, SYN_RECV; INTANG old_io_wrong_ack",
        recipe: "a decoy that acknowledges what was not said in place of the handshake's last ACK, then that and the request",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.send(Segment { ack: 0x0100_0000, ..Segment::data(1, DECOY) });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "decoy-no-ack-before-open",
        source: "SymTCP, SYN_RECV; fragrouter ins-3",
        recipe: "a decoy without ACK in place of the handshake's last, then that and the request",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.send(Segment { flags: TcpFlags::PSH, ack: 0, ..Segment::data(1, DECOY) });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "rstack-bad-ack-before-open",
        source: "SymTCP, SYN_RECV",
        recipe: "RST+ACK at the next number with a wrong acknowledgement in the handshake",
        reads: &[],
        script: |s| {
            s.syn(Segment::syn());
            s.send(Segment { ack: 0x0100_0000, ..Segment::of(1, RST_ACK) });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "rst-elsewhere-before-open",
        source: "SymTCP, SYN_RECV",
        recipe: "RST outside of the window in the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.send(Segment::of(ELSEWHERE, RST));
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "fin-no-ack-before-open",
        source: "SymTCP, SYN_RECV",
        recipe: "FIN without ACK in the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.send(Segment { ack: 0, ..Segment::of(1, TcpFlags::FIN) });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "rst-before-open-then-again",
        source: "fragrouter tcbt-1, before the handshake is through",
        recipe: "SYN, RST at the next number, a new handshake with other numbers on the same ports",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { at: ELSEWHERE, ..Segment::syn() });
            s.send(Segment { ack: 0, ..Segment::of(ELSEWHERE + 1, RST) });
            s.pause(50);
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "rst-then-again",
        source: "fragrouter tcbt-1; Ptacek and Newsham",
        recipe: "handshake, RST, a new handshake with other numbers on the same ports, 8-byte segments",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { at: ELSEWHERE, ..Segment::syn() });
            s.send(Segment::ack(ELSEWHERE + 1));
            s.send(Segment { ack: 0, ..Segment::of(ELSEWHERE + 1, RST) });
            s.pause(50);
            s.open();
            s.pieces(REAL, 8, |_, _| {});
            s.close();
        },
    },
    EvasionCase {
        name: "null-bytes-before-open",
        source: "fragrouter tcbc-3",
        recipe: "null bytes in 8-byte segments as if there had been a handshake, then one, and the request in 8-byte segments",
        reads: &[REAL],
        script: |s| {
            s.pieces(&[0; 58], 8, |_, _| {});
            s.pause(50);
            s.open();
            s.pieces(REAL, 8, |_, _| {});
            s.close();
        },
    },
    EvasionCase {
        name: "request-before-open",
        source: "Ptacek and Newsham, TCB creation; SymTCP",
        recipe: "the request right behind the SYN, the handshake's last ACK, the end",
        reads: &[],
        script: |s| {
            s.send(Segment::syn());
            s.send(Segment { ack: 0x0200_0000, flags: ACK, ..Segment::data(1, REAL) });
            s.pause(150);
            s.send(Segment::ack(1));
            s.send(Segment::data(END, b""));
        },
    },
    EvasionCase {
        name: "syn-md5",
        source: "SymTCP; RFC 2385, at a server that does not know the option",
        recipe: "the handshake with an MD5 signature in its SYN, then the request without",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { options: MD5_SYN, ..Segment::syn() });
            s.send(Segment::ack(1));
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-md5-then-syn",
        source: "SymTCP; INTANG (MD5 option)",
        recipe: "SYN with an MD5 signature nobody asked for, then the handshake",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment { options: MD5_SYN, ..Segment::syn() });
            s.open();
            s.real_and_close();
        },
    },
    EvasionCase {
        name: "syn-just-before",
        source: "INTANG multiple_syn, between the handshake's segments",
        recipe: "SYN with a number 20 less in the handshake, 20 bytes from there on, then the request",
        reads: &[REAL],
        script: |s| {
            s.syn(Segment::syn());
            s.syn(Segment { at: 0_u32.wrapping_sub(20), ..Segment::syn() });
            s.send(Segment::ack(1));
            s.send(Segment::data(1_u32.wrapping_sub(20), b"POST / HTTP/1.1\r\nX: "));
            s.real_and_close();
        },
    },
];
