//! The Network Time Protocol (RFC 5905), UDP 123: time, control (mode 6, RFC 9327) and private
//! (mode 7) messages.
//!
//! Promises:  emits what is there of a message that is too short, since servers answer on its first
//!            byte alone.

use crate::decoder::{Dissection, ProtocolDecoder, Repair, SampleMessage, View};
use crate::edits::Edits;
use crate::fields::{Field, Fields, Flags, Span};
use crate::schema::{Editable, FieldDef, FieldKind, Protocol, Repr, Transport};
use crate::wanted::Wanted;
use stage::Direction;
use stage::position::len32;

/// The decoder.
pub struct Ntp;

//= https://www.rfc-editor.org/rfc/rfc7822#section-3
/// A key identifier and the longest digest in use (SHA-1): what is longer than this begins with an
/// extension field.
const MAC_BYTES_MAX: usize = 24;

const fn uint(name: &'static str, bits: u8, help: &'static str) -> FieldDef {
    FieldDef {
        name,
        kind: FieldKind::Uint(bits),
        editable: Editable::SameLength,
        help,
        ..FieldDef::UINT
    }
}

const fn bits(name: &'static str, width: u8, shift: u8, help: &'static str) -> FieldDef {
    let mask = 0xffff_u64 >> (16_u8.saturating_sub(width));
    FieldDef { repr: Repr::BigEndian { shift, mask }, ..uint(name, width, help) }
}

const fn bytes(name: &'static str, help: &'static str) -> FieldDef {
    FieldDef { name, editable: Editable::SameLength, help, ..FieldDef::BYTES }
}

const fn extension(def: FieldDef) -> FieldDef {
    FieldDef { repeated: true, element: true, ..def }
}

macro_rules! fields {
    ($($id:ident $def:expr;)+) => {
        #[derive(Clone, Copy)]
        enum Id { $($id,)+ }
        static FIELDS: &[FieldDef] = &[$($def,)+];
    };
}

fields! {
    Flags1 uint("ntp.flags", 8, "The first byte.");
    Leap bits("ntp.flags.li", 2, 6, "Leap indicator (modes 1 to 6).");
    Version bits("ntp.flags.vn", 3, 3, "Version.");
    Mode bits("ntp.flags.mode", 3, 0, "Mode: 3 client, 4 server, 6 control, 7 private.");
    Stratum uint("ntp.stratum", 8, "Stratum.");
    Poll uint("ntp.ppoll", 8, "Poll interval, log2 seconds.");
    Precision uint("ntp.precision", 8, "Precision, log2 seconds, two's complement.");
    RootDelay uint("ntp.rootdelay", 32, "Root delay, 16.16 fixed point seconds.");
    RootDispersion uint("ntp.rootdispersion", 32, "Root dispersion, 16.16 fixed point seconds.");
    Reference bytes("ntp.refid", "Reference identifier.");
    RefTime uint("ntp.reftime", 64, "Reference time, 32.32 fixed point.");
    Origin uint("ntp.org", 64, "Origin time, 32.32 fixed point.");
    Receive uint("ntp.rec", 64, "Receive time, 32.32 fixed point.");
    Transmit uint("ntp.xmt", 64, "Transmit time, 32.32 fixed point.");
    ExtType extension(uint("ntp.ext.type", 16, "Extension field type; its element is the extension field."));
    ExtLength extension(FieldDef { editable: Editable::No, ..uint("ntp.ext.length", 16, "Extension field length, header included.") });
    ExtValue extension(bytes("ntp.ext.value", "Extension field value."));
    ExtValueLength extension(FieldDef { editable: Editable::No, ..uint("ntp.ext.vallen", 32, "Autokey value length (RFC 5906 section 10), in an extension field long enough to have one.") });
    KeyNumber bytes("ntp.keyid", "Key identifier of the MAC.");
    Mac bytes("ntp.mac", "The MAC's digest; absent from a crypto-NAK.");
    CtrlResponse bits("ntp.ctrl.flags2.r", 1, 7, "Control: response.");
    CtrlError bits("ntp.ctrl.flags2.error", 1, 6, "Control: error.");
    CtrlMore bits("ntp.ctrl.flags2.more", 1, 5, "Control: more fragments follow.");
    CtrlOpcode bits("ntp.ctrl.flags2.opcode", 5, 0, "Control: operation.");
    CtrlSequence uint("ntp.ctrl.sequence", 16, "Control: sequence number.");
    CtrlStatus uint("ntp.ctrl.status", 16, "Control: status.");
    CtrlAssociation uint("ntp.ctrl.associd", 16, "Control: association.");
    CtrlOffset uint("ntp.ctrl.offset", 16, "Control: offset of the data.");
    CtrlCount FieldDef { editable: Editable::No, ..uint("ntp.ctrl.count", 16, "Control: bytes of data announced.") };
    CtrlData FieldDef { name: "ntp.ctrl.data", help: "Control: data, as far as it is there.", ..FieldDef::BYTES };
    PrivResponse bits("ntp.priv.flags.r", 1, 7, "Private: response.");
    PrivMore bits("ntp.priv.flags.more", 1, 6, "Private: more follows.");
    PrivAuth bits("ntp.priv.auth", 1, 7, "Private: authenticated.");
    PrivSequence bits("ntp.priv.seq", 7, 0, "Private: sequence number.");
    PrivImplementation uint("ntp.priv.impl", 8, "Private: implementation.");
    PrivRequest uint("ntp.priv.reqcode", 8, "Private: request code (20, 42: monitor list).");
    PrivError bits("ntp.priv.err", 4, 12, "Private: error.");
    PrivItems bits("ntp.priv.numitems", 12, 0, "Private: number of items.");
    PrivItemSize bits("ntp.priv.itemsize", 12, 0, "Private: bytes of an item.");
    PrivData bytes("ntp.priv.data", "Private: what follows the header.");
    MessageLen FieldDef { editable: Editable::No, ..uint("ntp.message.len", 16, "Bytes of the message.") };
    Malformed FieldDef { name: "_ws.malformed", help: "Too short for its mode, or an extension field or announced data that does not fit.", ..FieldDef::BOOL };
}

impl Id {
    #[expect(clippy::as_conversions, reason = "the number of a fieldless enum")]
    const fn slot(self) -> u16 {
        self as u16
    }

    #[expect(clippy::as_conversions, reason = "the number of a fieldless enum, in a constant")]
    const fn bit(self) -> u128 {
        1_u128.wrapping_shl(self as u32)
    }
}

static PROTOCOL: Protocol = Protocol {
    name: "ntp",
    title: "Network Time Protocol",
    ports: &[(Transport::Udp, &[123])],
    fields: FIELDS,
    unit: "a datagram",
    readings: include_str!("readings/ntp.md"),
    refusals: &[],
};

impl ProtocolDecoder for Ntp {
    const PROTOCOL: &'static Protocol = &PROTOCOL;

    const SAMPLES: &'static [SampleMessage] = &[
        SampleMessage { name: "ntp-request", from: Direction::Request, bytes: b"\x23\0\x06\xec\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
\xe9\x2a\x1b\x3c\x12\x34\x56\x78" },
    ];

    type State = ();

    fn datagram(&self, wanted: &Wanted, view: View<'_>, out: &mut Fields) -> Dissection {
        let input = view.input;
        let mut message = NtpMessage { input, want: wanted.plain(), out, signed: false };
        message.number(Id::MessageLen, 0, 0, u64::try_from(input.len()).unwrap_or(u64::MAX));
        let well_formed = message.dissect().is_some();
        let signed = message.signed;
        if !well_formed {
            message.number(Id::Malformed, input.len(), 0, 1);
        }
        if signed {
            for field in out.items_mut() {
                field.flags = field.flags.with(Flags::MAC_COVERED);
            }
        }
        Dissection::Message
    }

    fn repair(
        &self,
        _transport: Transport,
        view: View<'_>,
        _fields: &Fields,
        edits: &mut Edits,
    ) -> Repair {
        let Some(data) = control_data(view.input) else { return Repair::Done };
        let growth = edits.growth_within(data);
        if growth == 0 {
            return Repair::Done;
        }
        //= https://www.rfc-editor.org/rfc/rfc9327#section-2
        // The data is filled up with zeros to a multiple of 32 bits, which the count does not
        // count.
        let padded = |len: i64| len.saturating_add(3) & !3;
        let len = i64::from(data.len()).saturating_add(growth);
        let Ok(count) = u16::try_from(len) else { return Repair::Impossible };
        let there = len32(view.input.len());
        let old_padding = padded(i64::from(data.len())).saturating_sub(i64::from(data.len()));
        let padding_end = data.end.saturating_add(u32::try_from(old_padding).unwrap_or(0));
        let padding = Span { start: data.end, end: padding_end.min(there) };
        let zeros = usize::try_from(padded(len).saturating_sub(len)).unwrap_or(0);
        let zeros = [0_u8; 3].get(..zeros).unwrap_or_default();
        let done = (padding.is_empty() && zeros.is_empty() || edits.replace(padding, zeros))
            && edits.replace_between(Span::new(10, 12), &count.to_be_bytes());
        if done { Repair::Done } else { Repair::Impossible }
    }
}

/// A control message's data, as far as it is there.
fn control_data(input: &[u8]) -> Option<Span> {
    let &[flags, _, _, _, _, _, _, _, _, _, c0, c1] = input.first_chunk()?;
    let end = usize::from(u16::from_be_bytes([c0, c1])).saturating_add(12).min(input.len());
    (flags & 7 == 6).then(|| Span::new(12, end))
}

struct NtpMessage<'a> {
    input: &'a [u8],
    want: u128,
    out: &'a mut Fields,
    signed: bool,
}

impl NtpMessage<'_> {
    fn number(&mut self, id: Id, at: usize, len: usize, number: u64) {
        if self.want & id.bit() != 0 {
            self.out.number(id.slot(), Span::new(at, at.saturating_add(len)), number);
        }
    }

    fn bytes(&mut self, id: Id, start: usize, end: usize) {
        if self.want & id.bit() != 0 {
            self.out.bytes(id.slot(), Span::new(start, end));
        }
    }

    /// A big-endian number of `len` bytes, if they are there.
    fn read(&self, at: usize, len: usize) -> Option<u64> {
        let bytes = self.input.get(at..at.checked_add(len)?)?;
        Some(bytes.iter().fold(0, |number, byte| number.wrapping_shl(8) | u64::from(*byte)))
    }

    /// Emits a number of whole bytes.
    fn whole(&mut self, id: Id, at: usize, len: usize) -> Option<u64> {
        let number = self.read(at, len)?;
        self.number(id, at, len, number);
        Some(number)
    }

    /// Emits some bits of the number at `at`.
    fn part(&mut self, id: Id, at: usize, len: usize, shift: u32, mask: u64) -> Option<u64> {
        let number = self.read(at, len)?.wrapping_shr(shift) & mask;
        self.number(id, at, len, number);
        Some(number)
    }

    /// `None`: malformed.
    fn dissect(&mut self) -> Option<()> {
        self.whole(Id::Flags1, 0, 1)?;
        let mode = self.read(0, 1)? & 7;
        if mode != 7 {
            self.part(Id::Leap, 0, 1, 6, 3)?;
        } else {
            self.part(Id::PrivResponse, 0, 1, 7, 1)?;
            self.part(Id::PrivMore, 0, 1, 6, 1)?;
        }
        self.part(Id::Version, 0, 1, 3, 7)?;
        self.number(Id::Mode, 0, 1, mode);
        match mode {
            6 => self.control(),
            7 => self.private(),
            _ => self.time(),
        }
    }

    fn time(&mut self) -> Option<()> {
        for (id, at, len) in [
            (Id::Stratum, 1, 1),
            (Id::Poll, 2, 1),
            (Id::Precision, 3, 1),
            (Id::RootDelay, 4, 4),
            (Id::RootDispersion, 8, 4),
        ] {
            self.whole(id, at, len)?;
        }
        self.input.get(12..16)?;
        self.bytes(Id::Reference, 12, 16);
        for (id, at) in [(Id::RefTime, 16), (Id::Origin, 24), (Id::Receive, 32), (Id::Transmit, 40)]
        {
            self.whole(id, at, 8)?;
        }
        let mut at = 48_usize;
        let mut group = 0_u16;
        while self.input.len().saturating_sub(at) > MAC_BYTES_MAX {
            group = group.saturating_add(1);
            at = self.extension(at, group)?;
        }
        self.mac(at)
    }

    fn extension(&mut self, start: usize, group: u16) -> Option<usize> {
        let kind = self.read(start, 2)?;
        let length = self.read(start.checked_add(2)?, 2)?;
        let value = start.checked_add(4)?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        let fits = length >= 4 && end <= self.input.len();
        let end = if fits { end } else { self.input.len() };
        let value_length_at = start.checked_add(16)?;
        let value_length_end = value_length_at.checked_add(4)?;
        let value_length = self.read(value_length_at, 4).filter(|_| value_length_end <= end);
        for (id, from, to, number) in [
            (Id::ExtType, start, start.checked_add(2)?, Some(kind)),
            (Id::ExtLength, start.checked_add(2)?, value, Some(length)),
            (Id::ExtValue, value, end, None),
            (Id::ExtValueLength, value_length_at, value_length_end, value_length),
        ] {
            let absent = number.is_none() && matches!(id, Id::ExtValueLength);
            if self.want & id.bit() != 0 && !absent {
                self.out.push(Field {
                    slot: id.slot(),
                    group,
                    flags: if number.is_some() { Flags::NUMBER } else { Flags::NONE },
                    value: Span::new(from, to),
                    element: Span::new(start, end),
                    number: number.unwrap_or_default(),
                    ..Field::default()
                });
            }
        }
        fits.then_some(end)
    }

    fn mac(&mut self, at: usize) -> Option<()> {
        let end = self.input.len();
        if at == end {
            return Some(());
        }
        let key_end = at.checked_add(4)?;
        self.input.get(at..key_end)?;
        self.bytes(Id::KeyNumber, at, key_end);
        if key_end < end {
            self.bytes(Id::Mac, key_end, end);
            self.signed = true;
        }
        Some(())
    }

    fn control(&mut self) -> Option<()> {
        self.part(Id::CtrlResponse, 1, 1, 7, 1)?;
        self.part(Id::CtrlError, 1, 1, 6, 1)?;
        self.part(Id::CtrlMore, 1, 1, 5, 1)?;
        self.part(Id::CtrlOpcode, 1, 1, 0, 31)?;
        for (id, at) in [
            (Id::CtrlSequence, 2),
            (Id::CtrlStatus, 4),
            (Id::CtrlAssociation, 6),
            (Id::CtrlOffset, 8),
        ] {
            self.whole(id, at, 2)?;
        }
        let count = self.whole(Id::CtrlCount, 10, 2)?;
        let data = control_data(self.input)?;
        if !data.is_empty() && self.want & Id::CtrlData.bit() != 0 {
            self.out.bytes(Id::CtrlData.slot(), data);
        }
        if u64::from(data.len()) != count {
            return None;
        }
        // Behind the padding, a MAC.
        let padded = usize::try_from(count).ok()?.checked_add(3)? & !3;
        let at = padded.checked_add(12)?;
        if self.input.len() > at { self.mac(at) } else { Some(()) }
    }

    fn private(&mut self) -> Option<()> {
        self.part(Id::PrivAuth, 1, 1, 7, 1)?;
        self.part(Id::PrivSequence, 1, 1, 0, 0x7f)?;
        self.whole(Id::PrivImplementation, 2, 1)?;
        self.whole(Id::PrivRequest, 3, 1)?;
        self.part(Id::PrivError, 4, 2, 12, 15)?;
        self.part(Id::PrivItems, 4, 2, 0, 0xfff)?;
        self.part(Id::PrivItemSize, 6, 2, 0, 0xfff)?;
        self.bytes(Id::PrivData, 8, self.input.len());
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldId;
    use stage::Direction;

    fn view(input: &[u8]) -> View<'_> {
        View { input, from: Direction::Request, open: false, ended: false }
    }

    fn dissected(input: &[u8], names: &[&str]) -> (Fields, Vec<String>) {
        let mut wanted = Wanted::new(&PROTOCOL);
        for name in names {
            wanted.want(PROTOCOL.field(name).unwrap().0);
        }
        let mut fields = Fields::new();
        assert_eq!(Ntp.datagram(&wanted, view(input), &mut fields), Dissection::Message);
        let shown = fields.items().iter().map(|field| {
            let def = PROTOCOL.def(FieldId(field.slot)).unwrap();
            match def.kind {
                FieldKind::Uint(_) | FieldKind::Bool => format!("{}={}", def.name, field.number),
                FieldKind::Bytes | FieldKind::Text => {
                    format!("{}={}", def.name, field.value.of(input).escape_ascii())
                }
            }
        });
        let shown = shown.collect();
        (fields, shown)
    }

    #[track_caller]
    fn check(input: &[u8], names: &[&str], want: &[&str]) {
        assert_eq!(dissected(input, names).1, want);
    }

    #[test]
    fn time_messages() {
        let mut message = vec![0x23];
        message.extend(1..48);
        let names = &["ntp.flags.vn", "ntp.flags.mode", "ntp.stratum", "ntp.org", "_ws.malformed"];
        check(
            &message,
            names,
            &["ntp.flags.vn=4", "ntp.flags.mode=3", "ntp.stratum=1", "ntp.org=1736447835066146335"],
        );
        check(&message[..47], &["_ws.malformed"], &["_ws.malformed=1"]);
        check(b"", &["ntp.flags", "_ws.malformed"], &["_ws.malformed=1"]);
        let mac = &[
            "ntp.keyid",
            "ntp.mac",
            "ntp.ext.type",
            "ntp.ext.length",
            "ntp.ext.vallen",
            "_ws.malformed",
        ];
        check(&[&message[..], b"\0\0\0\x07"].concat(), mac, &[r"ntp.keyid=\x00\x00\x00\x07"]);
        let signed = [&message[..], b"\0\0\0\x070123456789abcdef"].concat();
        check(&signed, mac, &[r"ntp.keyid=\x00\x00\x00\x07", "ntp.mac=0123456789abcdef"]);
        let (fields, _) = dissected(&signed, &["ntp.stratum"]);
        assert!(fields.items()[0].flags.has(Flags::MAC_COVERED));
        let extension =
            [b"\x02\x01\0\x1c".to_vec(), vec![0; 12], vec![0, 0, 1, 0], vec![0; 8]].concat();
        check(
            &[&message[..], &extension, &signed[48..]].concat(),
            mac,
            &[
                "ntp.ext.type=513",
                "ntp.ext.length=28",
                "ntp.ext.vallen=256",
                r"ntp.keyid=\x00\x00\x00\x07",
                "ntp.mac=0123456789abcdef",
            ],
        );
        // A value length that reaches over the extension's end is none.
        let mut short = extension.clone();
        short[3] = 17;
        let (fields, _) = dissected(&[&message[..], &short].concat(), mac);
        assert!(fields.items().iter().all(|field| field.element.contains(field.value)));
        for length in [0, 3, 29, 255] {
            let mut broken = extension.clone();
            broken[3] = length;
            let (_, shown) = dissected(&[&message[..], &broken].concat(), &["_ws.malformed"]);
            assert_eq!(shown, ["_ws.malformed=1"], "{length}");
        }
    }

    #[test]
    fn private_messages() {
        check(
            &[0x17, 0, 3, 42, 0, 0, 0, 0],
            &["ntp.flags.mode", "ntp.priv.reqcode", "_ws.malformed"],
            &["ntp.flags.mode=7", "ntp.priv.reqcode=42"],
        );
        check(
            &[0x97],
            &["ntp.flags.mode", "ntp.priv.flags.r", "_ws.malformed"],
            &["ntp.priv.flags.r=1", "ntp.flags.mode=7", "_ws.malformed=1"],
        );
    }

    #[test]
    fn control_messages_and_their_count() {
        let message = b"\x16\x02\0\x01\0\0\0\0\0\0\0\x06abcdef\0\0";
        check(
            message,
            &["ntp.ctrl.flags2.opcode", "ntp.ctrl.count", "ntp.ctrl.data", "_ws.malformed"],
            &["ntp.ctrl.flags2.opcode=2", "ntp.ctrl.count=6", "ntp.ctrl.data=abcdef"],
        );
        check(
            &message[..14],
            &["ntp.ctrl.data", "_ws.malformed"],
            &["ntp.ctrl.data=ab", "_ws.malformed=1"],
        );
        for (keep, want) in [(1, &b"a\0\0\0"[..]), (4, b"abcd"), (5, b"abcde\0\0\0"), (0, b"")] {
            let (fields, _) = dissected(message, &["ntp.ctrl.data"]);
            let mut edits = Edits::new();
            assert!(edits.delete(Span::new(12 + keep, 18)));
            assert_eq!(
                Ntp.repair(Transport::Udp, view(message), &fields, &mut edits),
                Repair::Done
            );
            let mut out = Vec::new();
            assert!(edits.current(message, Span::new(0, message.len()), &mut out));
            assert_eq!(out[12..], *want);
            assert_eq!(usize::from(out[11]), keep);
        }
    }
}
