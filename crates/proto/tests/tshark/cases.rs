//! Which protocols are compared, on which captures, and every difference that is meant, with its
//! reason.

use stage::Direction::{self, Request, Response};

use crate::feed::Value;
use crate::{Mismatch, same, streams};

/// A difference that is meant.
pub(crate) struct Known {
    /// The reason, a sentence.
    pub(crate) why: &'static str,
    /// It is this one.
    pub(crate) holds: fn(&Mismatch<'_>) -> bool,
}

/// One protocol.
pub(crate) struct Case {
    /// The decoder's name.
    pub(crate) protocol: &'static str,
    /// Names in the index's column of protocols.
    pub(crate) captures: &'static [&'static str],
    /// tshark's display filter.
    pub(crate) filter: &'static str,
    /// Keyed fields: ours, its key, tshark's name for it.
    pub(crate) keys: &'static [(&'static str, &'static str, &'static str)],
    /// Payloads of datagrams between the first default port and another, made here where the corpus
    /// has too little: to the server or from it.
    pub(crate) made: &'static [(Direction, &'static [u8])],
    /// Values that must have been compared at least, so that a corpus which has lost them does not
    /// pass for one that agrees.
    pub(crate) values_min: usize,
    /// Differences that are meant.
    pub(crate) known: &'static [Known],
}

/// Every protocol whose row in the registry says `Compared`; the rows of the others say why not.
pub(crate) const CASES: &[Case] = &[
    Case {
        protocol: "dns",
        captures: &["dns"],
        filter: "dns",
        keys: &[],
        made: DNS_MADE,
        values_min: 9_000,
        known: DNS,
    },
    Case {
        protocol: "ntp",
        captures: &["ntp"],
        filter: "ntp",
        keys: &[],
        made: &[],
        values_min: 1_500,
        known: NTP,
    },
    Case {
        protocol: "tftp",
        captures: &["tftp"],
        filter: "tftp",
        keys: &[],
        made: TFTP_MADE,
        values_min: 20,
        known: TFTP,
    },
    streams::FTP,
    streams::SMTP,
    streams::TLS,
    streams::MQTT,
    streams::SSH,
    streams::HTTP,
];

impl Mismatch<'_> {
    /// As many values of ours as of tshark's, and each pair is the same or `passes`.
    pub(crate) fn each(&self, passes: impl Fn(&Value, &str) -> bool) -> bool {
        self.ours.len() == self.theirs.len()
            && self.ours.iter().zip(self.theirs).all(|(a, b)| same(a, b) || passes(a, b))
    }

    /// Our first value of another field of the same message.
    fn number(&self, field: &str) -> Option<u64> {
        match self.found.get(field)?.first()? {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::Bytes(_) => None,
        }
    }
}

const DNS: &[Known] = &[
    Known {
        why: "header bits that only responses use are shown in queries too: a rule may read or clear them there",
        holds: |m| {
            let bits = ["authoritative", "recavail", "authenticated", "rcode"];
            m.theirs.is_empty()
                && m.number("dns.flags.response") == Some(0)
                && bits.iter().any(|bit| m.field.strip_prefix("dns.flags.") == Some(bit))
        },
    },
    Known {
        why: "the root has no labels and no length, a name of one letter has one: tshark counts the text <Root>, and nothing under two letters",
        holds: |m| {
            ["dns.qry.name.len", "dns.count.labels"].contains(&m.field)
                && m.each(|ours, theirs| {
                    matches!(
                        (ours, theirs),
                        (Value::Number(0), "6" | "1") | (Value::Number(1), "0")
                    )
                })
        },
    },
    Known {
        why: "of a message that both call malformed each shows as much as it could read",
        holds: |m| m.broken == [true, true],
    },
    Known {
        why: "a name that goes in circles is shown as far as the bounds let it; tshark prints a sentence, and does not call the message malformed",
        holds: |m| m.found.contains_key("dns.name.loop"),
    },
    Known {
        why: "a backslash in a name is doubled, so that it cannot be taken for an escape",
        holds: |m| {
            m.each(|ours, theirs| match ours {
                Value::Text(text) => String::from_utf8_lossy(text).replace(r"\\", r"\") == theirs,
                Value::Number(_) | Value::Bytes(_) => false,
            })
        },
    },
    Known {
        why: "a dot inside a label parts no labels; tshark counts dots",
        holds: |m| {
            m.field == "dns.count.labels"
                && m.each(|ours, theirs| match ours {
                    Value::Number(labels) => theirs.parse().is_ok_and(|dots: u64| dots > *labels),
                    Value::Text(_) | Value::Bytes(_) => false,
                })
        },
    },
    Known {
        why: "the counts of an update keep the names they have in other messages; tshark calls them zones, prerequisites and updates",
        holds: |m| {
            m.field.starts_with("dns.count.")
                && m.theirs.is_empty()
                && m.number("dns.flags.opcode") == Some(5)
        },
    },
    Known {
        why: "the types in the bitmap of an NSEC record have no fields",
        holds: |m| {
            m.field == "dns.resp.type"
                && m.found.contains_key("dns.nsec.next_domain_name")
                && m.theirs.len() > m.ours.len()
        },
    },
    Known {
        why: "times are numbers, so that rules can compare them; tshark prints dates",
        holds: |m| {
            m.each(|ours, theirs| match ours {
                Value::Number(number) => {
                    i64::try_from(*number).is_ok_and(|seconds| date(seconds, 0) == theirs)
                }
                Value::Text(_) | Value::Bytes(_) => false,
            })
        },
    },
];

/// Names that captures of well-behaved software do not hold.
const DNS_MADE: &[(Direction, &[u8])] = &[
    (Request, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03a.b\x01c\0\0\x01\0\x01"),
    (Request, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x05\x01\n\x7f \x1f\x02\xc3\xa9\0\0\x01\0\x01"),
    (Request, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03a\\b\0\0\x01\0\x01"),
    (Request, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02aa\xc0\x0c\0\x01\0\x01"),
    (Request, b"\x12\x34\x28\0\0\x01\0\0\0\0\0\0\x02aa\0\0\x06\0\x01"),
    (Request, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02aa\0\0\x01\0\x01trailing"),
    (Response, b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x02aa\0\0\x10\0\x01\xc0\x0c\0\x10\0\x01\0\0\0\x05\0\x07\x02hi\x03you"),
    (Response, b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x02aa\0\0\x23\0\x01\xc0\x0c\0\x23\0\x01\0\0\0\x05\0\x10\0\x01\0\x02\x01u\x03sip\x01x\xc0\x0c"),
];

/// The corpus has one TFTP frame, and that one is cut short.
const TFTP_MADE: &[(Direction, &[u8])] = &[
    (Request, b"\0\x01file.txt\0octet\0"),
    (Request, b"\0\x02dir/file\0netascii\0blksize\x001428\0tsize\x000\0"),
    (Request, b"\0\x04\0\x07"),
    (Response, b"\0\x03\0\x01some data"),
    (Response, b"\0\x05\0\x01File not found\0"),
    (Response, b"\0\x06blksize\x001428\0"),
    (Request, b"\0\x01cut"),
    (Request, b"\0"),
];

const TFTP: &[Known] = &[
    Known {
        why: "the data of a block is a field; tshark hands it on",
        holds: |m| m.field == "tftp.data" && m.theirs.is_empty(),
    },
    Known {
        why: "of a message that both call malformed each shows as much as it could read",
        holds: |m| m.broken == [true, true],
    },
];

const NTP: &[Known] = &[
    Known {
        why: "times are 64-bit numbers as they stand; tshark prints dates, and NULL for zero",
        holds: |m| {
            m.each(|ours, theirs| match ours {
                Value::Number(0) => theirs == "NULL",
                Value::Number(number) => {
                    // Seconds since 1900, or since 2036 if the first bit is clear (RFC 4330 section
                    // 3).
                    let era = if number >> 63 == 1 { 0 } else { 1_i64 << 32 };
                    let since_1900 = i64::try_from(number >> 32).unwrap_or_default();
                    let seconds = since_1900 + era - 2_208_988_800;
                    let nanoseconds = ((number & 0xffff_ffff) * 1_000_000_000) >> 32;
                    [0, 1].iter().any(|rounding| {
                        let nanoseconds = u32::try_from(nanoseconds + rounding).unwrap_or_default();
                        date(seconds, nanoseconds) == theirs
                    })
                }
                Value::Text(_) | Value::Bytes(_) => false,
            })
        },
    },
    Known {
        why: "items inside the data of control and private messages have no fields of their own",
        holds: |m| {
            let mode = m.number("ntp.flags.mode");
            let header = if mode == Some(6) { 1 } else { 0 };
            matches!(mode, Some(6 | 7)) && m.ours.len() == header && m.theirs.len() > header
        },
    },
    Known {
        why: "the data of a control message is a field with a value; in tshark it is the head of a tree",
        holds: |m| m.field == "ntp.ctrl.data",
    },
];

/// Unix seconds as tshark prints them.
fn date(seconds: i64, nanoseconds: u32) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    while day < 0 {
        year -= 1;
        day += 365 + i64::from(leap(year));
    }
    while day >= 365 + i64::from(leap(year)) {
        day -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 0;
    for days in [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let month = MONTHS[month];
    let day = day + 1;
    format!("{month} {day:2}, {year} {hour:02}:{minute:02}:{second:02}.{nanoseconds:09} UTC")
}
