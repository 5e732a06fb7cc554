//! The request in a segment that hosts take and a box may not.

use wire::TcpFlags;

use super::case::{ClientScript, EvasionCase, REAL};
use super::segment::{PSH_ACK, Segment, TimestampForm};

fn real() -> Segment {
    Segment::data(1, REAL)
}

fn alone(s: &mut ClientScript, real: Segment) {
    s.open();
    s.send(real);
    s.close();
}

pub(super) const CASES: &[EvasionCase] = &[
    EvasionCase {
        name: "request-reserved-bits",
        source: "SymTCP; Ptacek and Newsham",
        recipe: "request with all reserved bits",
        reads: &[REAL],
        script: |s| alone(s, Segment { reserved: 0x0f, ..real() }),
    },
    EvasionCase {
        name: "request-ecn-flags",
        source: "SymTCP; RFC 3168",
        recipe: "request with ECE and CWR though nobody speaks ECN",
        reads: &[REAL],
        script: |s| {
            alone(s, Segment { flags: PSH_ACK.with(TcpFlags::ECE).with(TcpFlags::CWR), ..real() });
        },
    },
    EvasionCase {
        name: "request-no-stamp",
        source: "SymTCP; RFC 7323 section 3.2",
        recipe: "request without the timestamps that both ends agreed on",
        reads: &[REAL],
        script: |s| alone(s, Segment { stamp: TimestampForm::None, ..real() }),
    },
    EvasionCase {
        name: "request-odd-echo",
        source: "SymTCP; RFC 7323",
        recipe: "request whose timestamp echoes what the server never said",
        reads: &[REAL],
        script: |s| alone(s, Segment { stamp: TimestampForm::Echo(0x1000_0000), ..real() }),
    },
    EvasionCase {
        name: "request-option-length-0",
        source: "SymTCP; Suricata (malformed options)",
        recipe: "request behind an option of length 0",
        reads: &[REAL],
        script: |s| {
            alone(s, Segment { stamp: TimestampForm::None, options: &[77, 0, 0, 0], ..real() });
        },
    },
    EvasionCase {
        name: "request-option-past-end",
        source: "SymTCP; Suricata (malformed options)",
        recipe: "request behind an option longer than the header",
        reads: &[REAL],
        script: |s| {
            alone(s, Segment { stamp: TimestampForm::None, options: &[77, 40, 1, 1], ..real() });
        },
    },
    EvasionCase {
        name: "request-user-timeout",
        source: "Geneva 24",
        recipe: "request with a User Timeout option that nobody asked for (RFC 5482)",
        reads: &[REAL],
        script: |s| alone(s, Segment { options: &[28, 4, 0xff, 0xff], ..real() }),
    },
    EvasionCase {
        name: "request-scale-option",
        source: "Geneva 4",
        recipe: "request with a window scale option, and a window to go with it",
        reads: &[REAL],
        script: |s| alone(s, Segment { options: &[3, 3, 14, 1], window: 1, ..real() }),
    },
    EvasionCase {
        name: "request-ip-options",
        source: "Ptacek and Newsham (IP options); lib-erate",
        recipe: "request behind IP options that say nothing",
        reads: &[REAL],
        script: |s| alone(s, Segment { ip_options: &[1, 1, 1, 0], ..real() }),
    },
    EvasionCase {
        name: "request-router-alert",
        source: "lib-erate (IP options)",
        recipe: "request with a router alert (RFC 2113)",
        reads: &[REAL],
        script: |s| alone(s, Segment { ip_options: &[148, 4, 0, 0], ..real() }),
    },
    EvasionCase {
        name: "request-reserved-ip-bit",
        source: "RFC 3514; Ptacek and Newsham",
        recipe: "request with the reserved bit of IP's flags",
        reads: &[REAL],
        script: |s| alone(s, Segment { fragment: 0x8000, ..real() }),
    },
    EvasionCase {
        name: "request-ttl-0",
        source: "Ptacek and Newsham, at a server next to the box",
        recipe: "request with TTL 0",
        reads: &[REAL],
        script: |s| alone(s, Segment { ttl: 0, ..real() }),
    },
    EvasionCase {
        name: "request-old-ack",
        source: "SymTCP; RFC 5961 section 5.2",
        recipe: "request that acknowledges not even the server's SYN",
        reads: &[],
        script: |s| alone(s, Segment { ack: 0, ..real() }),
    },
    EvasionCase {
        name: "request-window-0",
        source: "SymTCP; lib-erate",
        recipe: "request that says its sender has no room",
        reads: &[REAL],
        script: |s| alone(s, Segment { window: 0, ..real() }),
    },
    EvasionCase {
        name: "request-idle-urgent-pointer",
        source: "SymTCP",
        recipe: "request with ECE and an urgent pointer, but no URG",
        reads: &[REAL],
        script: |s| {
            alone(s, Segment { flags: PSH_ACK.with(TcpFlags::ECE), urgent: 9, ..real() });
        },
    },
];
