//! Questions and resource records (RFC 1035 sections 4.1.2 and 4.1.3), and the shapes of their
//! data.

use super::fields::Id;
use super::name::{byte, skip};
use crate::fields::Span;
use stage::position::index;

use DataPart::{Bytes, Counted, Name, Options, Rest, Strings, Uint};

/// OPT pseudo-record (RFC 6891).
pub(super) const OPT: u16 = 41;
/// SIG; with no type covered, a transaction signature (RFC 2931).
pub(super) const SIG: u16 = 24;
/// TSIG (RFC 8945).
pub(super) const TSIG: u16 = 250;

/// Two bytes at `at`, big-endian.
pub(super) fn uint16(message: &[u8], at: u32) -> Option<u16> {
    Some(u16::from_be_bytes(*message.get(index(at)..)?.first_chunk()?))
}

/// A question: its name, then four bytes. Offsets count from the message's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// Name, type and class.
    pub(super) span: Span,
    /// Where the name ends.
    pub(super) name_end: u32,
    /// Type.
    pub(super) kind: u16,
    /// Class.
    pub(super) class: u16,
}

impl Question {
    /// The question whose name, beginning at `start`, ends at `name_end`.
    #[inline]
    pub(super) fn behind(message: &[u8], start: u32, name_end: u32) -> Option<Self> {
        let rest = message.get(index(name_end)..)?;
        let [a, b, c, d] = *rest.first_chunk::<4>()?;
        Some(Self {
            span: Span { start, end: name_end.checked_add(4)? },
            name_end,
            kind: u16::from_be_bytes([a, b]),
            class: u16::from_be_bytes([c, d]),
        })
    }

    /// The question at `start`.
    pub(super) fn at(message: &[u8], start: u32) -> Option<Self> {
        Self::behind(message, start, skip(message, start)?)
    }
}

/// A resource record: its name, ten bytes, its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// All of it.
    pub(super) span: Span,
    /// Where the owner's name ends and the ten bytes begin.
    pub(super) name_end: u32,
    /// Type.
    pub(super) kind: u16,
    /// Class.
    pub(super) class: u16,
    /// Time to live.
    pub(super) ttl: u32,
    /// Its data, wholly inside the message.
    pub(super) data: Span,
}

impl Record {
    /// The record at `start`; `None` where it does not fit into the message.
    #[inline]
    pub(super) fn at(message: &[u8], start: u32) -> Option<Self> {
        let name_end = skip(message, start)?;
        let rest = message.get(index(name_end)..)?;
        let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = *rest.first_chunk::<10>()?;
        let data_start = name_end.checked_add(10)?;
        let end = data_start.checked_add(u32::from(u16::from_be_bytes([l0, l1])))?;
        if index(end) > message.len() {
            return None;
        }
        Some(Self {
            span: Span { start, end },
            name_end,
            kind: u16::from_be_bytes([k0, k1]),
            class: u16::from_be_bytes([c0, c1]),
            ttl: u32::from_be_bytes([t0, t1, t2, t3]),
            data: Span { start: data_start, end },
        })
    }

    /// The two bytes of its data length.
    pub(super) fn data_len_at(&self) -> Span {
        Span { start: self.data.start.saturating_sub(2), end: self.data.start }
    }

    /// It signs the message it stands in.
    pub(super) fn signs_message(&self, message: &[u8]) -> bool {
        self.kind == TSIG || (self.kind == SIG && uint16(message, self.data.start) == Some(0))
    }
}

/// One part of a record's data. What has no field is there to be stepped over.
#[derive(Clone, Copy, Debug)]
pub(super) enum DataPart {
    /// A domain name.
    Name(Option<Id>),
    /// A number of this many bytes.
    Uint(u32, Option<Id>),
    /// This many bytes.
    Bytes(u32, Option<Id>),
    /// A length of this many bytes, and bytes.
    Counted(u32, Option<Id>, Option<Id>),
    /// Strings with a one-byte length each, to the end.
    Strings(Option<Id>, Option<Id>),
    /// Options with a two-byte code and a two-byte length each, to the end.
    Options,
    /// All that is left.
    Rest(Option<Id>),
}

const SIGNATURE: &[DataPart] = &[
    Uint(2, Some(Id::RrsigCovered)),
    Uint(1, Some(Id::RrsigAlgorithm)),
    Uint(1, Some(Id::RrsigLabels)),
    Uint(4, Some(Id::RrsigTtl)),
    Uint(4, Some(Id::RrsigExpiration)),
    Uint(4, Some(Id::RrsigInception)),
    Uint(2, Some(Id::RrsigKeyTag)),
    Name(Some(Id::RrsigSigner)),
    Rest(Some(Id::RrsigSignature)),
];

const SOA: &[DataPart] = &[
    Name(Some(Id::SoaMname)),
    Name(Some(Id::SoaRname)),
    Uint(4, Some(Id::SoaSerial)),
    Uint(4, Some(Id::SoaRefresh)),
    Uint(4, Some(Id::SoaRetry)),
    Uint(4, Some(Id::SoaExpire)),
    Uint(4, Some(Id::SoaMinimum)),
];

const HINFO: &[DataPart] = &[
    Counted(1, Some(Id::HinfoCpuLength), Some(Id::HinfoCpu)),
    Counted(1, Some(Id::HinfoOsLength), Some(Id::HinfoOs)),
];

const DNSKEY: &[DataPart] = &[
    Uint(2, Some(Id::DnskeyFlags)),
    Uint(1, Some(Id::DnskeyProtocol)),
    Uint(1, Some(Id::DnskeyAlgorithm)),
    Rest(Some(Id::DnskeyKey)),
];

const SRV: &[DataPart] = &[
    Uint(2, Some(Id::SrvPriority)),
    Uint(2, Some(Id::SrvWeight)),
    Uint(2, Some(Id::SrvPort)),
    Name(Some(Id::SrvTarget)),
];

const NAPTR: &[DataPart] = &[
    Uint(2, Some(Id::NaptrOrder)),
    Uint(2, Some(Id::NaptrPreference)),
    Counted(1, None, Some(Id::NaptrFlags)),
    Counted(1, None, Some(Id::NaptrService)),
    Counted(1, None, Some(Id::NaptrRegex)),
    Name(Some(Id::NaptrReplacement)),
];

const DS: &[DataPart] = &[
    Uint(2, Some(Id::DsKeyTag)),
    Uint(1, Some(Id::DsAlgorithm)),
    Uint(1, Some(Id::DsDigestType)),
    Rest(Some(Id::DsDigest)),
];

const NSEC3: &[DataPart] = &[
    Uint(1, Some(Id::Nsec3Algorithm)),
    Uint(1, Some(Id::Nsec3Flags)),
    Uint(2, Some(Id::Nsec3Iterations)),
    Counted(1, Some(Id::Nsec3SaltLength), Some(Id::Nsec3Salt)),
    Counted(1, Some(Id::Nsec3HashLength), None),
    Rest(None),
];

const NSEC3PARAM: &[DataPart] = &[
    Uint(1, Some(Id::Nsec3Algorithm)),
    Uint(1, Some(Id::Nsec3Flags)),
    Uint(2, Some(Id::Nsec3Iterations)),
    Counted(1, Some(Id::Nsec3SaltLength), Some(Id::Nsec3Salt)),
];

const TKEY: &[DataPart] = &[
    Name(Some(Id::TkeyAlgorithm)),
    Uint(4, None),
    Uint(4, None),
    Uint(2, Some(Id::TkeyMode)),
    Uint(2, Some(Id::TkeyError)),
    Counted(2, None, None),
    Counted(2, None, None),
];

const TSIG_DATA: &[DataPart] = &[
    Name(Some(Id::TsigAlgorithm)),
    Bytes(6, None),
    Uint(2, Some(Id::TsigFudge)),
    Counted(2, Some(Id::TsigMacSize), Some(Id::TsigMac)),
    Uint(2, Some(Id::TsigOriginal)),
    Uint(2, Some(Id::TsigError)),
    Counted(2, Some(Id::TsigOtherLen), Some(Id::TsigOther)),
];

/// The parts that the data of records of a type is made of. Types that are not here are opaque (RFC
/// 3597).
pub(super) const fn shape(kind: u16) -> &'static [DataPart] {
    match kind {
        1 => &[Bytes(4, Some(Id::A))],
        2 => &[Name(Some(Id::Ns))],
        3 | 4 | 7 | 8 | 9 | 23 => &[Name(None)],
        5 => &[Name(Some(Id::Cname))],
        6 => SOA,
        10 => &[Rest(Some(Id::Null))],
        12 => &[Name(Some(Id::Ptr))],
        13 => HINFO,
        14 | 17 => &[Name(None), Name(None)],
        15 => &[Uint(2, Some(Id::MxPreference)), Name(Some(Id::MxExchange))],
        16 => &[Strings(Some(Id::TxtLength), Some(Id::Txt))],
        18 | 21 | 36 => &[Uint(2, None), Name(None)],
        SIG | 46 => SIGNATURE,
        25 | 48 => DNSKEY,
        26 => &[Uint(2, None), Name(None), Name(None)],
        28 => &[Bytes(16, Some(Id::Aaaa))],
        30 => &[Name(Some(Id::NxtNext)), Rest(None)],
        33 => SRV,
        35 => NAPTR,
        39 => &[Name(Some(Id::Dname))],
        OPT => &[Options],
        43 | 59 => DS,
        47 => &[Name(Some(Id::NsecNext)), Rest(None)],
        50 => NSEC3,
        51 => NSEC3PARAM,
        64 | 65 => &[Uint(2, Some(Id::SvcbPriority)), Name(Some(Id::SvcbTarget)), Rest(None)],
        99 => &[Strings(Some(Id::SpfLength), Some(Id::Spf))],
        249 => TKEY,
        TSIG => TSIG_DATA,
        257 => &[Uint(1, Some(Id::CaaFlags)), Counted(1, None, Some(Id::CaaTag)), Rest(None)],
        _ => &[Rest(None)],
    }
}

/// What stands in a record's data, one piece after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordPiece {
    /// A name begins here and ends there, in place.
    Name(Option<Id>, Span),
    /// A number.
    Uint(Option<Id>, Span),
    /// Bytes.
    Bytes(Option<Id>, Span),
    /// A length and the bytes it counts.
    Counted {
        /// The length's field.
        len_id: Option<Id>,
        /// The bytes of the length.
        len_at: Span,
        /// The bytes' field.
        id: Option<Id>,
        /// The bytes.
        value: Span,
    },
    /// An EDNS option.
    Option {
        /// Code, length and data.
        span: Span,
        /// The data.
        value: Span,
    },
    /// What follows does not fit into the data.
    Overrun {
        /// An option does not: from its first byte to the end.
        option: Option<Span>,
    },
}

/// Walks a record's data. Every step takes at least a byte or ends the walk.
pub(super) struct RecordPieces<'a> {
    message: &'a [u8],
    parts: &'static [DataPart],
    at: u32,
    end: u32,
}

impl<'a> RecordPieces<'a> {
    /// Over the data of `record`.
    pub(super) fn of(message: &'a [u8], record: &Record) -> Self {
        // RFC 2136 sections 2.4 and 2.5: records that say "any" or "none" have no data.
        let parts = if record.data.is_empty() { &[] } else { shape(record.kind) };
        Self { message, parts, at: record.data.start, end: record.data.end }
    }

    fn take(&mut self, len: u32) -> Option<Span> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.end)?;
        let span = Span { start: self.at, end };
        self.at = end;
        Some(span)
    }

    fn counted(&mut self, width: u32, len_id: Option<Id>, id: Option<Id>) -> Option<RecordPiece> {
        let len_at = self.take(width)?;
        let len = match width {
            1 => u32::from(byte(self.message, len_at.start)?),
            _ => u32::from(uint16(self.message, len_at.start)?),
        };
        Some(RecordPiece::Counted { len_id, len_at, id, value: self.take(len)? })
    }

    fn option(&mut self) -> Option<RecordPiece> {
        let head = self.take(4)?;
        let len = uint16(self.message, head.start.saturating_add(2))?;
        let value = self.take(u32::from(len))?;
        Some(RecordPiece::Option { span: Span { start: head.start, end: value.end }, value })
    }

    /// The piece that `part` describes; `None` where it does not fit.
    fn piece(&mut self, part: DataPart) -> Option<RecordPiece> {
        Some(match part {
            Name(id) => {
                let end = skip(self.message, self.at).filter(|end| *end <= self.end)?;
                let span = Span { start: self.at, end };
                self.at = end;
                RecordPiece::Name(id, span)
            }
            Uint(len, id) => RecordPiece::Uint(id, self.take(len)?),
            Bytes(len, id) => RecordPiece::Bytes(id, self.take(len)?),
            Counted(width, len_id, id) => self.counted(width, len_id, id)?,
            Strings(len_id, id) => self.counted(1, len_id, id)?,
            Options => self.option()?,
            Rest(id) => RecordPiece::Bytes(id, self.take(self.end.saturating_sub(self.at))?),
        })
    }
}

impl Iterator for RecordPieces<'_> {
    type Item = RecordPiece;

    fn next(&mut self) -> Option<RecordPiece> {
        let (&part, later) = self.parts.split_first()?;
        let repeats = matches!(part, Strings(..) | Options);
        if repeats && self.at >= self.end {
            return None;
        }
        let start = self.at;
        match self.piece(part) {
            Some(piece) => {
                if !repeats {
                    self.parts = later;
                }
                Some(piece)
            }
            None => {
                self.parts = &[];
                let option = Span { start, end: self.end };
                Some(RecordPiece::Overrun { option: matches!(part, Options).then_some(option) })
            }
        }
    }
}
