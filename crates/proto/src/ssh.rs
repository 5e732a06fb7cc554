//! The Secure Shell, the part in clear (RFC 4253): a unit is the identification, and then a packet,
//! up to NEWKEYS.
//!
//! Holds:     per direction, whether its identification is over, and how much of a packet is still
//!            to come.
//! Promises:  nothing is offered for editing: all of it is under the hash of the key exchange.
//! Never:     decrypts, or reads SSH 1.

use crate::decoder::{Need, ProtocolDecoder, SampleMessage, Step, View};
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::{
    Editable, FieldDef, FieldId, FieldKind, FieldRange, Protocol, Repr, Transport,
};
use crate::wanted::Wanted;
use stage::Direction;
use stage::position::{index, len32};

/// The decoder.
pub struct Ssh;

const IDENTIFICATION: FieldId = FieldId(0);
const PROTOCOL_LINE: FieldId = FieldId(1);
const PACKET_LENGTH: FieldId = FieldId(2);
const PADDING_LENGTH: FieldId = FieldId(3);
const MESSAGE_CODE: FieldId = FieldId(4);
const KEX_LENGTH: FieldId = FieldId(5);
const KEX_ALGORITHMS: FieldId = FieldId(6);
/// Fields of packets.
const PACKETS: FieldRange = FieldRange::new(PACKET_LENGTH, KEX_ALGORITHMS);
const KEX: FieldRange = FieldRange::new(KEX_LENGTH, KEX_ALGORITHMS);

/// Length, length of the padding, message code.
const HEADER_BYTES: usize = 6;

/// RFC 4253 section 6.1 asks for 35,000; OpenSSH takes this many.
const PACKET_BYTES_MAX: u32 = 256 * 1024;

const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// A line that begins so is the identification.
const PREFIX: &[u8] = b"SSH-";

const NUMBER: FieldDef = FieldDef { editable: Editable::No, ..FieldDef::UINT };

static PROTOCOL: Protocol = Protocol {
    name: "ssh",
    title: "Secure Shell, the part in clear (RFC 4253)",
    ports: &[(Transport::Tcp, &[22])],
    fields: &[
        FieldDef {
            name: "ssh.identification",
            streams: true,
            editable: Editable::No,
            help: "Everything up to the end of the identification line, lines before it included: what an end has to keep until it knows its peer.",
            ..FieldDef::BYTES
        },
        FieldDef {
            name: "ssh.protocol",
            editable: Editable::No,
            help: "The identification line without its line end.",
            ..FieldDef::TEXT
        },
        FieldDef {
            name: "ssh.packet_length",
            kind: FieldKind::Uint(32),
            help: "Bytes of a packet in clear behind this number.",
            ..NUMBER
        },
        FieldDef {
            name: "ssh.padding_length",
            kind: FieldKind::Uint(8),
            help: "Bytes of padding at its end.",
            ..NUMBER
        },
        FieldDef {
            name: "ssh.message_code",
            kind: FieldKind::Uint(8),
            help: "1 to 19 transport, 20 to 29 negotiation of algorithms, 30 to 49 key exchange, 50 to 79 authentication, 80 on connection.",
            ..NUMBER
        },
        FieldDef {
            name: "ssh.kex_algorithms_length",
            kind: FieldKind::Uint(32),
            repr: Repr::BE,
            help: "Bytes of a KEXINIT's list of key exchange methods.",
            ..NUMBER
        },
        FieldDef {
            name: "ssh.kex_algorithms",
            editable: Editable::No,
            help: "That list, its names parted by commas.",
            ..FieldDef::TEXT
        },
    ],
    unit: "the identification; a packet's first six bytes, or all of a KEXINIT, at most 256 KiB",
    readings: include_str!("readings/ssh.md"),
    refusals: &[],
};

/// What is remembered of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SshState {
    sides: [SshHalf; 2],
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SshHalf {
    /// The identification is over.
    identified: bool,
    /// Some of it was yielded.
    opened: bool,
    /// Where the present line stands.
    line: IdentificationLine,
    /// No packet in clear follows.
    over: bool,
    /// Bytes of the present packet that no rule reads.
    rest: u32,
}

/// What a line of the identification is so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IdentificationLine {
    /// The first so many bytes of [`PREFIX`].
    Begins(u8),
    /// The identification.
    Identifies,
    /// Another.
    Other,
}

impl Default for IdentificationLine {
    fn default() -> Self {
        Self::Begins(0)
    }
}

impl IdentificationLine {
    fn after(self, byte: u8) -> Self {
        match self {
            Self::Begins(count) if PREFIX.get(usize::from(count)) == Some(&byte) => {
                let count = count.saturating_add(1);
                if usize::from(count) == PREFIX.len() {
                    Self::Identifies
                } else {
                    Self::Begins(count)
                }
            }
            _ if byte == b'\n' => Self::Begins(0),
            Self::Identifies => Self::Identifies,
            Self::Begins(_) | Self::Other => Self::Other,
        }
    }
}

impl ProtocolDecoder for Ssh {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[SampleMessage {
        name: "ssh-version",
        from: Direction::Request,
        bytes: b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    }];

    type State = SshState;

    fn stream(
        &self,
        wanted: &Wanted,
        ssh: &mut Self::State,
        view: View<'_>,
        out: &mut Fields,
    ) -> Step {
        let [request, response] = &mut ssh.sides;
        let side = match view.from {
            Direction::Request => request,
            Direction::Response => response,
        };
        if view.input.is_empty() {
            return Step::More(Need::Bytes(1));
        }
        let rest = core::mem::take(&mut side.rest);
        if rest > 0 {
            return Step::Skip { bytes: u64::from(rest), last: true };
        }
        if !side.identified {
            return identification(wanted, side, view, out);
        }
        if side.over || !wanted.has_any(PACKETS) {
            side.over = true;
            return Step::SkipRest;
        }
        packet(wanted, side, view, out)
    }
}

/// RFC 4253 section 4.2.
fn identification(wanted: &Wanted, side: &mut SshHalf, view: View<'_>, out: &mut Fields) -> Step {
    let mut line = side.line;
    let mut line_start = 0_usize;
    let mut found = None;
    for (byte, at) in view.input.iter().zip(1_usize..) {
        if *byte == b'\n' {
            if line == IdentificationLine::Identifies {
                found = Some(at);
                break;
            }
            line_start = at;
        }
        line = line.after(*byte);
    }
    if found.is_none() && !view.open && !view.ended {
        return Step::More(Need::Byte(b'\n'));
    }
    let end = found.unwrap_or(view.input.len());
    if wanted.has(IDENTIFICATION) {
        let goes_on = found.is_none() && !view.ended;
        let flags = if side.opened { Flags::CONTINUES } else { Flags::NONE };
        let flags = if goes_on { flags.with(Flags::OPEN) } else { flags };
        let value = Span::new(0, end);
        let flags = flags.with(Flags::MAC_COVERED);
        out.push(Field {
            slot: IDENTIFICATION.0,
            flags,
            value,
            element: value,
            ..Field::default()
        });
    }
    let text = view.input.get(line_start..end).unwrap_or_default();
    let first = !side.opened;
    if found.is_none() {
        *side = SshHalf { opened: true, line, ..*side };
        return Step::Unit { bytes: end, first, last: false };
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if !side.opened && wanted.has(PROTOCOL_LINE) {
        let value = Span::new(line_start, line_start.saturating_add(text.len()));
        let flags = Flags::MAC_COVERED;
        out.push(Field { slot: PROTOCOL_LINE.0, flags, value, element: value, ..Field::default() });
    }
    //= https://www.rfc-editor.org/rfc/rfc4253#section-5.1
    //# the server SHOULD send a protocol version of "1.99"
    let old = text.starts_with(b"SSH-1.") && !text.starts_with(b"SSH-1.99");
    *side = SshHalf { identified: true, over: old, ..SshHalf::default() };
    Step::Unit { bytes: end, first, last: true }
}

/// RFC 4253 section 6.
fn packet(wanted: &Wanted, side: &mut SshHalf, view: View<'_>, out: &mut Fields) -> Step {
    let Some([a, b, c, d, padding, code]) = view.input.first_chunk::<HEADER_BYTES>() else {
        return Step::More(Need::Bytes(HEADER_BYTES));
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]);
    if !(2..=PACKET_BYTES_MAX).contains(&length) {
        return Step::NotThisProtocol;
    }
    let packet_bytes = length.saturating_add(4);
    let mut bytes = HEADER_BYTES;
    if *code == KEXINIT && wanted.has_any(KEX) {
        bytes = index(packet_bytes);
        if view.input.len() < bytes && !view.ended {
            return Step::More(Need::Bytes(bytes));
        }
        bytes = bytes.min(view.input.len());
    }
    let numbers = [
        (PACKET_LENGTH, Span::new(0, 4), u64::from(length)),
        (PADDING_LENGTH, Span::new(4, 5), u64::from(*padding)),
        (MESSAGE_CODE, Span::new(5, 6), u64::from(*code)),
    ];
    for (id, value, number) in numbers {
        push(wanted, id, value, Some(number), out);
    }
    if *code == KEXINIT {
        kexinit(wanted, view.input.get(..bytes).unwrap_or_default(), out);
    }
    let there = len32(bytes);
    side.rest = packet_bytes.saturating_sub(there);
    side.over = *code == NEWKEYS;
    Step::Unit { bytes, first: true, last: side.rest == 0 }
}

/// The first name-list of a KEXINIT (RFC 4253 section 7.1), behind a cookie of 16 bytes.
fn kexinit(wanted: &Wanted, packet: &[u8], out: &mut Fields) {
    let start = HEADER_BYTES.saturating_add(16);
    let Some([a, b, c, d]) = packet.get(start..).and_then(<[u8]>::first_chunk) else { return };
    let length = u32::from_be_bytes([*a, *b, *c, *d]);
    let start = start.saturating_add(4);
    push(
        wanted,
        KEX_LENGTH,
        Span::new(start.saturating_sub(4), start),
        Some(u64::from(length)),
        out,
    );
    let end = start.saturating_add(index(length));
    if end <= packet.len() {
        push(wanted, KEX_ALGORITHMS, Span::new(start, end), None, out);
    }
}

fn push(wanted: &Wanted, id: FieldId, value: Span, number: Option<u64>, out: &mut Fields) {
    if wanted.has(id) {
        let flags = Flags::MAC_COVERED;
        let flags = if number.is_some() { flags.with(Flags::NUMBER) } else { flags };
        let number = number.unwrap_or(0);
        out.push(Field { slot: id.0, flags, value, element: value, number, ..Field::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{ReplayTurns, check, check_held, check_ids, noise, survives};
    use stage::Direction::{Request, Response};

    const ALL: &[&str] = &[
        "ssh.identification",
        "ssh.protocol",
        "ssh.packet_length",
        "ssh.message_code",
        "ssh.kex_algorithms_length",
        "ssh.kex_algorithms",
    ];

    /// A packet in clear.
    fn packet(code: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + 6).unwrap().to_be_bytes();
        [&length[..], &[4, code], content, b"\0\0\0\0"].concat()
    }

    #[test]
    fn the_table_numbers_its_rows() {
        let ids = [
            (IDENTIFICATION, "ssh.identification"),
            (PROTOCOL_LINE, "ssh.protocol"),
            (PACKET_LENGTH, "ssh.packet_length"),
            (PADDING_LENGTH, "ssh.padding_length"),
            (MESSAGE_CODE, "ssh.message_code"),
            (KEX_LENGTH, "ssh.kex_algorithms_length"),
            (KEX_ALGORITHMS, "ssh.kex_algorithms"),
        ];
        check_ids(&Ssh, &ids);
    }

    #[test]
    fn a_handshake_up_to_its_keys() {
        let kexinit = packet(20, &[&[7; 16][..], b"\0\0\0\x03a,b\0\0\0\x01c"].concat());
        let encrypted = [&packet(21, b"")[..], b"\x91\x22\x10"].concat();
        let turns: ReplayTurns<'_> = &[
            (Response, b"hello there\nSSH-2.0-Twisted\r\n"),
            (Request, b"SSH-2.0-test_1.0 comment\n"),
            (Request, &kexinit),
            (Request, &packet(30, b"secret")),
            (Request, &encrypted),
            (Response, &packet(1, b"bye")),
        ];
        let want = [
            "<ssh.identification=hello there\\nSSH-2.0-Twisted\\r\\n",
            "<ssh.protocol=SSH-2.0-Twisted",
            ">ssh.identification=SSH-2.0-test_1.0 comment\\n",
            ">ssh.protocol=SSH-2.0-test_1.0 comment",
            ">ssh.packet_length=34",
            ">ssh.message_code=20",
            ">ssh.kex_algorithms_length=3",
            ">ssh.kex_algorithms=a,b",
            ">ssh.packet_length=12",
            ">ssh.message_code=30",
            ">ssh.packet_length=6",
            ">ssh.message_code=21",
            "!Request SkipRest=",
            "<ssh.packet_length=9",
            "<ssh.message_code=1",
        ];
        check_held(&Ssh, ALL, turns, &want);
    }

    #[test]
    fn an_identification_without_end_is_opened() {
        check(
            &Ssh,
            &["ssh.identification"],
            &[(Request, b"SS\nSSH"), (Request, b"x\nxSSH-\nSSH-2.0-a\nrest")],
            &[">ssh.identification=SS\\nSSHx\\nxSSH-\\nSSH-2.0-a\\n", "!Request SkipRest="],
        );
        check(&Ssh, &["ssh.identification"], &[(Request, b"AAAA")], &[">ssh.identification=AAAA"]);
    }

    #[test]
    fn what_is_not_read_is_passed_on() {
        let old: ReplayTurns<'_> =
            &[(Request, b"SSH-1.5-old\nxxxxxx"), (Response, b"SSH-1.99-new\r\n")];
        let both =
            [">ssh.protocol=SSH-1.5-old", "!Request SkipRest=", "<ssh.protocol=SSH-1.99-new"];
        check_held(&Ssh, &["ssh.protocol", "ssh.message_code"], old, &both);
        let empty: ReplayTurns<'_> = &[(Request, b"SSH-2.0-a\n\0\0\0\x01\x04\x15")];
        check_held(&Ssh, &["ssh.message_code"], empty, &["!Request NotThisProtocol="]);
    }

    #[test]
    fn noise_is_survived() {
        for seed in 0..200 {
            let random = noise(seed, 80);
            let code = if seed & 1 == 0 { 20 } else { 5 };
            let framed = [&b"SSH-2.0-x\n"[..], &packet(code, &random[..40])].concat();
            survives(&Ssh, &[(Request, &random), (Response, &framed), (Response, &random)]);
        }
    }
}
