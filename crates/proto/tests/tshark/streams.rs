//! The protocols over TCP: what is compared, and the differences that are meant.

use crate::cases::{Case, Known};
use crate::feed::Value;
use crate::{Mismatch, same};

pub(crate) const FTP: Case = Case {
    protocol: "ftp",
    captures: &["ftp"],
    filter: "ftp",
    keys: &[],
    made: &[],
    values_min: 400,
    known: FTP_KNOWN,
};

pub(crate) const SMTP: Case = Case {
    protocol: "smtp",
    captures: &["smtp"],
    filter: "smtp",
    keys: &[],
    made: &[],
    values_min: 300,
    known: SMTP_KNOWN,
};

pub(crate) const TLS: Case = Case {
    protocol: "tls",
    captures: &["tls"],
    filter: "tls",
    keys: &[],
    made: &[],
    values_min: 1_300,
    known: TLS_KNOWN,
};

pub(crate) const MQTT: Case = Case {
    protocol: "mqtt",
    captures: &["mqtt"],
    filter: "mqtt",
    keys: &[],
    made: &[],
    values_min: 500,
    known: MQTT_KNOWN,
};

pub(crate) const SSH: Case = Case {
    protocol: "ssh",
    captures: &["ssh"],
    filter: "ssh",
    keys: &[],
    made: &[],
    values_min: 250,
    known: SSH_KNOWN,
};

pub(crate) const HTTP: Case = Case {
    protocol: "http",
    captures: &["http"],
    filter: "http",
    keys: &[],
    made: &[],
    values_min: 1_400,
    known: HTTP_KNOWN,
};

const FTP_KNOWN: &[Known] = &[
    Known { why: SAYS_NO, holds: says_no },
    Known { why: FIRST_LINES, holds: |m| m.field.starts_with("ftp.response") && some_of_ours(m) },
    Known { why: UPPER, holds: |m| m.field == "ftp.request.command" && m.each(alike) },
    Known {
        why: "a line that lies in two frames is one line; tshark begins another with the second frame",
        holds: |m| {
            let mut ours = m.ours.iter();
            let ends = |ours: &Value, theirs: &str| match ours {
                Value::Text(text) => text.ends_with(theirs.as_bytes()),
                Value::Number(_) | Value::Bytes(_) => false,
            };
            m.field == "ftp.response.arg"
                && m.theirs.iter().all(|theirs| ours.any(|ours| ends(ours, theirs)))
        },
    },
];

const SMTP_KNOWN: &[Known] = &[
    Known {
        why: "a line is shown without its line end, so that bounds count what the server counts",
        holds: |m| ["smtp.command_line", "smtp.response"].contains(&m.field) && m.each(alike),
    },
    Known { why: UPPER, holds: |m| m.field == "smtp.req.command" && m.each(alike) },
    Known {
        why: FIRST_LINES,
        holds: |m| {
            (m.field == "smtp.rsp" || m.field.starts_with("smtp.response")) && some_of_ours(m)
        },
    },
    Known {
        why: "a line that answers a challenge of AUTH is no command, whatever it looks like",
        holds: |m| {
            let answers = m.found.get("smtp.auth.response").map_or(0, Vec::len);
            m.field.starts_with("smtp.req")
                && (1..=answers).any(|more| m.theirs.len() == m.ours.len() + more)
                && begin_alike(m)
        },
    },
    Known {
        why: "the last line answers a challenge of AUTH, though it reads QUIT",
        holds: |m| {
            let answers = m.found.get("smtp.auth.response");
            m.field == "smtp.command_line"
                && begin_alike(m)
                && m.theirs.get(m.ours.len()..).is_some_and(|rest| {
                    rest.iter().zip(answers.into_iter().flatten()).all(|(a, b)| alike(b, a))
                })
        },
    },
    Known {
        why: "no reply to DATA was seen, or not before what followed it, or it was a refusal: such lines are read as commands",
        holds: |m| {
            let count = |field: &str| m.found.get(field).map_or(0, Vec::len);
            let datas = m.found.get("smtp.req.command").into_iter().flatten();
            let datas = datas.filter(|command| alike(command, "DATA")).count();
            let both_ways = count("smtp.data.line") > 0 && count("smtp.req") > datas;
            ["smtp.req", "smtp.command_line", "smtp.req.command", "smtp.req.parameter"]
                .contains(&m.field)
                && (both_ways || datas > count("smtp.eom"))
                && some_of_ours(m)
        },
    },
    Known {
        why: "tshark decrypts what follows STARTTLS with the keys in the capture",
        holds: |m| {
            let asked = m.found.get("smtp.req.command").into_iter().flatten();
            let granted = m.found.get("smtp.response.code").into_iter().flatten();
            let starttls = asked.filter(|command| alike(command, "STARTTLS")).count() == 1
                || granted.filter(|code| alike(code, "220")).count() == 2;
            // It shows four letters of a command, and one line of a long reply.
            let shortened = ["smtp.req.command", "smtp.response", "smtp.response.code"];
            starttls && (begin_alike(m) || shortened.contains(&m.field))
        },
    },
    Known {
        why: "tshark looks into MIME, which is not decoded here",
        holds: |m| m.field == "_ws.malformed" && m.broken == [false, true],
    },
];

const TLS_KNOWN: &[Known] = &[
    Known {
        why: "a record of application data has its type too; tshark calls it tls.record.opaque_type in TLS 1.3",
        holds: |m| {
            let others = || m.ours.iter().filter(|value| !alike(value, "23"));
            m.field == "tls.record.content_type"
                && others().count() == m.theirs.len()
                && others().zip(m.theirs).all(|(a, b)| same(a, b))
        },
    },
    Known {
        why: "before draft 22 of TLS 1.3, a ServerHello had no session ID and no compression method",
        holds: |m| {
            let versions = m.found.get("tls.handshake.version").into_iter().flatten();
            m.field.starts_with("tls.handshake")
                && versions.into_iter().any(|v| (16..22).any(|n| alike(v, &format!("0x7f{n:02x}"))))
        },
    },
    Known {
        why: "an extension that is too short for its content yields no content",
        holds: |m| {
            m.broken[1] && m.ours.is_empty() && m.field.starts_with("tls.handshake.extensions")
        },
    },
    Known {
        why: "tshark looks into certificates and extensions that have no fields here",
        holds: |m| m.field == "_ws.malformed" && m.broken == [false, true],
    },
];

const MQTT_KNOWN: &[Known] = &[
    Known {
        why: "in version 3.1 a SUBSCRIBE and its like have a quality of service, 1; from 3.1.1 on these bits are reserved, and so they are here",
        holds: |m| {
            let ones = m.theirs.iter().all(|theirs| theirs == "1");
            match m.field {
                "mqtt.hdr_reserved" => m.theirs.len() < m.ours.len() && some_of_ours(m),
                "mqtt.qos" => m.ours.is_empty() && ones,
                "mqtt.dupflag" => says_no(m),
                _ => false,
            }
        },
    },
    Known {
        why: "in version 3.1 the first byte of a CONNACK is reserved; here it has the name it got in 3.1.1",
        holds: |m| {
            ["mqtt.conack.flags", "mqtt.conack.flags.sp"].contains(&m.field)
                && m.theirs.is_empty()
                && m.ours.iter().all(|ours| same(ours, "0"))
        },
    },
    Known {
        why: "a connection whose CONNECT is not in the capture is read as 3.1.1; tshark reads codes as those of version 5",
        holds: |m| {
            let read = |ours: &str| m.found.get(ours).map_or(&[][..], Vec::as_slice);
            let other = match m.field {
                "mqtt.connack.reason_code" => read("mqtt.conack.val"),
                "mqtt.suback.reason_code" => read("mqtt.suback.qos"),
                "mqtt.conack.val" | "mqtt.suback.qos" => return m.theirs.is_empty(),
                _ => return false,
            };
            m.ours.is_empty()
                && other.len() == m.theirs.len()
                && other.iter().zip(m.theirs).all(|(ours, theirs)| same(ours, theirs))
        },
    },
];

const SSH_KNOWN: &[Known] = &[
    Known {
        why: "a NUL in an identification ends nothing but tshark's string",
        holds: |m| {
            m.field == "ssh.protocol"
                && m.each(|ours, theirs| match ours {
                    Value::Text(text) => {
                        text.split(|byte| *byte == 0).next() == Some(theirs.as_bytes())
                    }
                    Value::Number(_) | Value::Bytes(_) => false,
                })
        },
    },
    Known {
        why: "there is no malformed packet in clear here, only one with a length that nobody takes; tshark stops where it finds one",
        holds: |m| m.broken == [false, true] && (m.field == "_ws.malformed" || begin_theirs(m)),
    },
];

const SAYS_NO: &str = "tshark says that a request is no response, and the other way round; a field that does not apply is absent here";
const FIRST_LINES: &str = "tshark reads a reply's first line in a frame, and tells once a frame that it is one; here every line counts";
const UPPER: &str = "commands are shown in upper case, as servers compare them";

/// Absent here, false there.
fn says_no(m: &Mismatch<'_>) -> bool {
    m.ours.is_empty() && m.theirs.iter().all(|theirs| theirs == "0")
}

/// The same but for a line end and the case of letters.
fn alike(ours: &Value, theirs: &str) -> bool {
    let theirs = theirs.strip_suffix("\r\n").unwrap_or(theirs);
    let text = match ours {
        Value::Number(_) => None,
        Value::Text(bytes) | Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
    };
    same(ours, theirs) || text.is_some_and(|text| text.eq_ignore_ascii_case(theirs))
}

/// tshark's values are some of ours, in order.
fn some_of_ours(m: &Mismatch<'_>) -> bool {
    let mut ours = m.ours.iter();
    m.theirs
        .iter()
        .filter(|theirs| *theirs != "0")
        .all(|theirs| ours.any(|ours| alike(ours, theirs)))
}

/// Ours are the first of tshark's.
fn begin_alike(m: &Mismatch<'_>) -> bool {
    m.ours.len() <= m.theirs.len() && m.ours.iter().zip(m.theirs).all(|(a, b)| alike(a, b))
}

/// tshark's are the first of ours.
fn begin_theirs(m: &Mismatch<'_>) -> bool {
    m.theirs.len() < m.ours.len() && m.ours.iter().zip(m.theirs).all(|(a, b)| same(a, b))
}

const HTTP_KNOWN: &[Known] = &[
    Known {
        why: "every target has a path; tshark shows one only where a query follows",
        holds: |m| m.field == "http.request.uri.path" && some_of_ours(m),
    },
    Known {
        why: "an absolute target's path is what follows the authority; tshark counts that in",
        holds: |m| {
            let ends = |ours: &Value, theirs: &str| match ours {
                Value::Text(path) => {
                    theirs.starts_with("http://") && theirs.as_bytes().ends_with(path)
                }
                Value::Number(_) | Value::Bytes(_) => false,
            };
            m.field == "http.request.uri.path" && m.each(ends)
        },
    },
    Known {
        why: "a body is bytes as sent; tshark shows text",
        holds: |m| m.field == "http.file_data" && m.each(alike),
    },
    Known {
        why: "a body stays in its content coding and in its chunks; tshark shows it decoded, and only where it is complete",
        holds: |m| m.field == "http.file_data",
    },
    Known {
        why: "an empty phrase is there, and empty",
        holds: |m| {
            m.field == "http.response.phrase"
                && m.theirs.is_empty()
                && m.ours.iter().all(|ours| alike(ours, ""))
        },
    },
    Known {
        why: "a blank before the colon does not hide a Transfer-Encoding, and is malformed",
        holds: |m| {
            m.broken == [true, false]
                && ["_ws.malformed", "http.transfer_encoding"].contains(&m.field)
        },
    },
    Known {
        why: "http/1.1 in lower case is a version too: some clients take it",
        holds: |m| {
            let mut versions = m.found.get("http.response.version").into_iter().flatten();
            m.theirs.is_empty() && versions.any(|version| same(version, "http/1.1"))
        },
    },
    Known {
        why: "first data wins: the capture has other bytes for the same sequence numbers later, which tshark reads as well",
        holds: |m| {
            let mut bodies = m.found.get("http.file_data").into_iter().flatten();
            m.ours.is_empty() && bodies.any(|body| alike(body, "BANG!"))
        },
    },
    Known {
        why: "what stands behind a message is the next message, and a head is read before its body has come; tshark shows neither",
        holds: |m| {
            m.theirs.len() < m.ours.len()
                && m.theirs.iter().zip(m.ours).all(|(theirs, ours)| same(ours, theirs))
        },
    },
];
