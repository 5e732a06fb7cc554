//! The framing of capture files, as ranges of the file.
//!
//! Formats: pcap (draft-ietf-opsawg-pcap: microseconds and nanoseconds, both byte orders, and the
//! variant with longer record headers that old Linux distributions wrote) and pcapng
//! (draft-ietf-opsawg-pcapng).

use std::ops::Range;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureFormat {
    /// pcap.
    Pcap,
    /// pcapng.
    PcapNg,
    /// Neither: it is handed through as it is.
    Unknown,
}

/// A LINKTYPE_ number of the tcpdump registry. `fcs_bytes` of every packet are its frame check
/// sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkType {
    /// The number.
    pub number: u16,
    /// Length of the check sequence behind each packet.
    pub fcs_bytes: u8,
}

/// A piece of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureItem {
    /// Bytes that hold no packet.
    Verbatim(Range<usize>),
    /// The header of a pcapng section.
    Section {
        /// Its block.
        range: Range<usize>,
        /// The offset of the eight bytes of the section's length.
        length_at: usize,
    },
    /// A packet.
    Packet(PacketRecord),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordKind {
    /// A pcap record, with lengths at 8.
    Classic,
    /// An enhanced (or obsolete) packet block, with lengths at 20.
    Enhanced,
    /// A simple packet block, with the original length at 8.
    Simple,
}

/// One packet's record or block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketRecord {
    /// All of it, in the file.
    pub range: Range<usize>,
    /// Its packet bytes, in the file.
    pub data: Range<usize>,
    /// How long the packet was before it was cut to the capture's snap length.
    pub original_bytes: u32,
    /// The link type of its first header.
    pub link: LinkType,
    /// When, in microseconds; 0 where the record has no time.
    pub time_us: u64,
    kind: RecordKind,
    big_endian: bool,
}

impl PacketRecord {
    /// The capture has only the beginning of the packet.
    pub fn is_cut(&self) -> bool {
        u32::try_from(self.data.len()).map_or(true, |len| len < self.original_bytes)
    }

    /// Appends this record with other packet bytes. Its time, interface and options stay; an option
    /// that is a hash of the old bytes goes. An `inserted` record gets no options.
    pub fn write(&self, file: &[u8], packet: &[u8], inserted: bool, out: &mut Vec<u8>) {
        let bytes = |range: Range<usize>| file.get(range).unwrap_or_default();
        let start = self.range.start;
        let len = self.u32_bytes(u32::try_from(packet.len()).unwrap_or(u32::MAX));
        match self.kind {
            RecordKind::Classic => {
                out.extend_from_slice(bytes(start..start.saturating_add(8)));
                out.extend_from_slice(&len);
                out.extend_from_slice(&len);
                out.extend_from_slice(bytes(start.saturating_add(16)..self.data.start));
                out.extend_from_slice(packet);
            }
            RecordKind::Enhanced | RecordKind::Simple => {
                let header = if self.kind == RecordKind::Enhanced { 20 } else { 8 };
                let block_at = out.len();
                out.extend_from_slice(bytes(start..start.saturating_add(header)));
                out.extend_from_slice(&len);
                if self.kind == RecordKind::Enhanced {
                    out.extend_from_slice(&len);
                }
                out.extend_from_slice(packet);
                out.resize(out.len().next_multiple_of(4), 0);
                if !inserted {
                    let options_at = self.data.start.saturating_add(padded(self.data.len()));
                    let options = bytes(options_at..self.range.end.saturating_sub(4));
                    write_options(options, self.big_endian, out);
                }
                let total = out.len().saturating_sub(block_at).saturating_add(4);
                let total = self.u32_bytes(u32::try_from(total).unwrap_or(u32::MAX));
                out.extend_from_slice(&total);
                if let Some(field) =
                    out.get_mut(block_at.saturating_add(4)..).and_then(<[u8]>::first_chunk_mut)
                {
                    *field = total;
                }
            }
        }
    }

    fn u32_bytes(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

/// epb_hash.
const OPTION_HASH: u16 = 3;

/// Copies options, all but hashes of the packet.
fn write_options(options: &[u8], big_endian: bool, out: &mut Vec<u8>) {
    let mut at = 0;
    while let (Some(code), Some(len)) =
        (u16_at(options, at, big_endian), u16_at(options, at.saturating_add(2), big_endian))
    {
        let end = at.saturating_add(4).saturating_add(padded(len.into())).min(options.len());
        if code != OPTION_HASH {
            out.extend_from_slice(options.get(at..end).unwrap_or_default());
        }
        at = end;
    }
    out.extend_from_slice(options.get(at..).unwrap_or_default());
}

/// A capture file, read front to back.
#[derive(Debug)]
pub struct Capture<'a> {
    file: &'a [u8],
    format: CaptureFormat,
    at: usize,
    big_endian: bool,
    /// pcap only.
    link: LinkType,
    nanoseconds: bool,
    record_header_bytes: usize,
    /// pcapng only: the section's interfaces.
    interfaces: Vec<CaptureInterface>,
}

#[derive(Clone, Copy, Debug)]
struct CaptureInterface {
    link: LinkType,
    snap_bytes: u32,
    /// Units of a second.
    resolution: u64,
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

impl<'a> Capture<'a> {
    /// Looks at the first bytes only; a file that is no capture yields one
    /// [`CaptureItem::Verbatim`].
    pub fn new(file: &'a [u8]) -> Self {
        let mut capture = Self {
            file,
            format: CaptureFormat::Unknown,
            at: 0,
            big_endian: false,
            link: LinkType::default(),
            nanoseconds: false,
            record_header_bytes: 16,
            interfaces: Vec::new(),
        };
        let magic = file.first_chunk::<4>().copied().unwrap_or_default();
        let (format, big_endian, nanoseconds, record_header_bytes) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (CaptureFormat::Pcap, true, false, 16),
            [0xd4, 0xc3, 0xb2, 0xa1] => (CaptureFormat::Pcap, false, false, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (CaptureFormat::Pcap, true, true, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (CaptureFormat::Pcap, false, true, 16),
            [0xa1, 0xb2, 0xcd, 0x34] => (CaptureFormat::Pcap, true, false, 24),
            [0x34, 0xcd, 0xb2, 0xa1] => (CaptureFormat::Pcap, false, false, 24),
            [0x0a, 0x0d, 0x0d, 0x0a] => (CaptureFormat::PcapNg, false, false, 0),
            _ => (CaptureFormat::Unknown, false, false, 0),
        };
        if format == CaptureFormat::Pcap && file.len() < 24 {
            return capture;
        }
        capture.format = format;
        capture.big_endian = big_endian;
        capture.nanoseconds = nanoseconds;
        capture.record_header_bytes = record_header_bytes;
        if format == CaptureFormat::Pcap {
            let word = u32_at(file, 20, big_endian).unwrap_or(0);
            // Bit 26 says that bits 28 to 31 are the length of the check sequence in 16-bit words.
            let fcs_words = if word & 1 << 26 == 0 { 0 } else { word >> 28 };
            capture.link = LinkType {
                number: u16::try_from(word & 0xffff).unwrap_or(0),
                fcs_bytes: u8::try_from(fcs_words.saturating_mul(2)).unwrap_or(0),
            };
        }
        capture
    }

    /// The format of the file.
    pub fn format(&self) -> CaptureFormat {
        self.format
    }

    /// All that is left, as it is: the framing cannot be followed any further.
    fn rest(&mut self) -> CaptureItem {
        let range = self.at..self.file.len();
        self.at = self.file.len();
        CaptureItem::Verbatim(range)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        u32_at(self.file, at, self.big_endian)
    }

    fn next_classic(&mut self) -> Option<CaptureItem> {
        if self.at == 0 {
            self.at = 24;
            return Some(CaptureItem::Verbatim(0..24));
        }
        let start = self.at;
        let data_start = start.checked_add(self.record_header_bytes)?;
        let seconds = self.u32(start)?;
        let fraction = self.u32(start.checked_add(4)?)?;
        let len = usize::try_from(self.u32(start.checked_add(8)?)?).ok()?;
        let original_bytes = self.u32(start.checked_add(12)?)?;
        let end = data_start.checked_add(len).filter(|&end| end <= self.file.len())?;
        let fraction_us = if self.nanoseconds { fraction / 1_000 } else { fraction };
        self.at = end;
        Some(CaptureItem::Packet(PacketRecord {
            range: start..end,
            data: data_start..end,
            original_bytes,
            link: self.link,
            time_us: u64::from(seconds)
                .saturating_mul(1_000_000)
                .saturating_add(fraction_us.into()),
            kind: RecordKind::Classic,
            big_endian: self.big_endian,
        }))
    }

    fn next_block(&mut self) -> Option<CaptureItem> {
        let start = self.at;
        // A section's type reads the same in both byte orders; what follows says which it is.
        if u32_at(self.file, start, false)? == SECTION {
            self.big_endian = match self.file.get(start.checked_add(8)?..)?.first_chunk::<4>()? {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return None,
            };
            self.interfaces.clear();
        }
        let kind = self.u32(start)?;
        let total = usize::try_from(self.u32(start.checked_add(4)?)?).ok()?;
        let end = start.checked_add(total).filter(|&end| end <= self.file.len())?;
        if total < 12 || total % 4 != 0 {
            return None;
        }
        let item = match kind {
            SECTION if total >= 28 => {
                CaptureItem::Section { range: start..end, length_at: start.checked_add(16)? }
            }
            ENHANCED_PACKET | OBSOLETE_PACKET => self
                .packet(start..end, kind)
                .map_or(CaptureItem::Verbatim(start..end), CaptureItem::Packet),
            SIMPLE_PACKET => self
                .simple(start..end)
                .map_or(CaptureItem::Verbatim(start..end), CaptureItem::Packet),
            _ => {
                if kind == INTERFACE
                    && let Some(interface) = self.interface(start..end)
                {
                    self.interfaces.push(interface);
                }
                CaptureItem::Verbatim(start..end)
            }
        };
        self.at = end;
        Some(item)
    }

    fn interface(&self, block: Range<usize>) -> Option<CaptureInterface> {
        let number = u16_at(self.file, block.start.checked_add(8)?, self.big_endian)?;
        let snap_bytes = self.u32(block.start.checked_add(12)?)?;
        let mut interface = CaptureInterface {
            link: LinkType { number, fcs_bytes: 0 },
            snap_bytes,
            resolution: 1_000_000,
        };
        let options = self.file.get(block.start.checked_add(16)?..block.end.checked_sub(4)?)?;
        let mut at = 0_usize;
        while let (Some(code), Some(len)) =
            (u16_at(options, at, self.big_endian), u16_at(options, at + 2, self.big_endian))
        {
            let value = options.get(at.saturating_add(4)).copied().unwrap_or(0);
            match code {
                // if_tsresol: a power of ten, or of two with the high bit set.
                9 if value & 0x80 == 0 => {
                    interface.resolution = 10_u64.checked_pow(value.into()).unwrap_or(u64::MAX);
                }
                9 => {
                    interface.resolution =
                        1_u64.checked_shl((value & 0x7f).into()).unwrap_or(u64::MAX)
                }
                // if_fcslen.
                13 => interface.link.fcs_bytes = value,
                _ => {}
            }
            at = at.saturating_add(4).saturating_add(padded(len.into()));
        }
        Some(interface)
    }

    fn packet(&self, block: Range<usize>, kind: u32) -> Option<PacketRecord> {
        let number = if kind == ENHANCED_PACKET {
            usize::try_from(self.u32(block.start.checked_add(8)?)?).ok()?
        } else {
            usize::from(u16_at(self.file, block.start.checked_add(8)?, self.big_endian)?)
        };
        let interface = self.interfaces.get(number)?;
        let high = self.u32(block.start.checked_add(12)?)?;
        let low = self.u32(block.start.checked_add(16)?)?;
        let len = usize::try_from(self.u32(block.start.checked_add(20)?)?).ok()?;
        let original_bytes = self.u32(block.start.checked_add(24)?)?;
        let data = block.start.checked_add(28)?;
        let end = data.checked_add(len)?;
        if data.checked_add(padded(len))? > block.end.checked_sub(4)? {
            return None;
        }
        let units = u128::from(u64::from(high) << 32 | u64::from(low));
        let time_us = units.saturating_mul(1_000_000) / u128::from(interface.resolution.max(1));
        Some(PacketRecord {
            range: block,
            data: data..end,
            original_bytes,
            link: interface.link,
            time_us: u64::try_from(time_us).unwrap_or(u64::MAX),
            kind: RecordKind::Enhanced,
            big_endian: self.big_endian,
        })
    }

    /// A simple packet block belongs to the first interface and says how long the packet was, not
    /// how much of it is there.
    fn simple(&self, block: Range<usize>) -> Option<PacketRecord> {
        let interface = self.interfaces.first()?;
        let original_bytes = self.u32(block.start.checked_add(8)?)?;
        let data = block.start.checked_add(12)?;
        let snapped = match interface.snap_bytes {
            0 => original_bytes,
            snap_bytes => original_bytes.min(snap_bytes),
        };
        let end = data.checked_add(usize::try_from(snapped).ok()?)?;
        if end > block.end.checked_sub(4)? {
            return None;
        }
        Some(PacketRecord {
            range: block,
            data: data..end,
            original_bytes,
            link: interface.link,
            time_us: 0,
            kind: RecordKind::Simple,
            big_endian: self.big_endian,
        })
    }
}

impl Iterator for Capture<'_> {
    type Item = CaptureItem;

    fn next(&mut self) -> Option<CaptureItem> {
        if self.at >= self.file.len() {
            return None;
        }
        let item = match self.format {
            CaptureFormat::Pcap => self.next_classic(),
            CaptureFormat::PcapNg => self.next_block(),
            CaptureFormat::Unknown => None,
        };
        Some(item.unwrap_or_else(|| self.rest()))
    }
}

const fn padded(len: usize) -> usize {
    len.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u16> {
    let bytes = *bytes.get(at..)?.first_chunk::<2>()?;
    Some(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

fn u32_at(bytes: &[u8], at: usize, big_endian: bool) -> Option<u32> {
    let bytes = *bytes.get(at..)?.first_chunk::<4>()?;
    Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
}
