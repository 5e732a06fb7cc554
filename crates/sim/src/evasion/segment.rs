//! The client's frames, with whatever is to be wrong about them.

use wire::{Layers, TcpFlags, checksum};

/// The client's first number, the server's as the frames have it, and both clocks of timestamps
/// when they begin. Whoever plays the frames puts in the server's real numbers.
pub(super) const CLIENT_ISN: u32 = 0x1234_5000;
pub(super) const SERVER_ISN: u32 = 0x5000_0000;
pub(super) const CLIENT_STAMP: u32 = 10_000_000;
pub(super) const SERVER_STAMP: u32 = 20_000_000;

pub(super) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(super) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const CLIENT: [u8; 4] = [198, 18, 1, 1];
const SERVER: [u8; 4] = [198, 19, 1, 2];
const SERVER_PORT: u16 = 80;

/// Bytes of the Ethernet header.
const ETHERNET: usize = 14;

/// Maximum segment size 1460, SACK permitted, window scale 7 (RFC 9293, 2018, 7323).
const SYN_OPTIONS: &[u8] = &[2, 4, 0x05, 0xb4, 4, 2, 1, 3, 3, 7, 1, 1];

/// A signature that nobody made (RFC 2385).
pub(super) const MD5: &[u8] = &[19, 18, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 1, 1];

/// The same in a SYN, with a maximum segment size.
pub(super) const MD5_SYN: &[u8] =
    &[2, 4, 0x05, 0xb4, 19, 18, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 1, 1];

pub(super) const SYN: TcpFlags = TcpFlags::SYN;
pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const RST: TcpFlags = TcpFlags::RST;
pub(super) const FIN_ACK: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);
pub(super) const RST_ACK: TcpFlags = TcpFlags::RST.with(TcpFlags::ACK);
pub(super) const SYN_ACK: TcpFlags = TcpFlags::SYN.with(TcpFlags::ACK);
pub(super) const PSH_ACK: TcpFlags = TcpFlags::PSH.with(TcpFlags::ACK);

/// The value of a checksum field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChecksumForm {
    Right,
    Wrong,
    Zero,
}

/// The timestamps option (RFC 7323).
#[derive(Clone, Copy, Debug)]
pub(super) enum TimestampForm {
    None,
    /// The time of the client's clock.
    Now,
    /// So many milliseconds before.
    Old(u32),
    /// With an echo of a time that the server never sent.
    Echo(u32),
}

/// The port and the first sequence number of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientNumbers {
    pub(super) port: u16,
    pub(super) isn: u32,
}

/// A TCP segment in an IPv4 packet.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Of its first byte: 0 is the SYN, 1 the first byte of the stream.
    pub(super) at: u32,
    /// The acknowledged position of the server's stream: 1 is its SYN.
    pub(super) ack: u32,
    pub(super) flags: TcpFlags,
    pub(super) window: u16,
    pub(super) stamp: TimestampForm,
    /// In front of the timestamps; a multiple of four bytes.
    pub(super) options: &'static [u8],
    pub(super) urgent: u16,
    pub(super) data: Vec<u8>,
    /// The data offset in words, if it is wrong.
    pub(super) words: Option<u8>,
    /// The reserved bits (RFC 9293 section 3.1).
    pub(super) reserved: u8,
    pub(super) sum: ChecksumForm,
    pub(super) ttl: u8,
    /// Flags and fragment offset.
    pub(super) fragment: u16,
    pub(super) ip_options: &'static [u8],
    /// The header length in words, if it is wrong.
    pub(super) ip_words: Option<u8>,
    /// Added to the total length of the IP header.
    pub(super) longer: i16,
    pub(super) ip_sum: ChecksumForm,
    pub(super) to: [u8; 6],
    pub(super) vlan: Option<u16>,
}

impl Segment {
    /// The client's SYN.
    pub(super) fn syn() -> Self {
        Self { flags: SYN, at: 0, ack: 0, options: SYN_OPTIONS, ..Self::ack(0) }
    }

    /// Nothing but an acknowledgement.
    pub(super) const fn ack(at: u32) -> Self {
        Self {
            at,
            ack: 1,
            flags: ACK,
            window: 64_240,
            stamp: TimestampForm::Now,
            options: &[],
            urgent: 0,
            data: Vec::new(),
            words: None,
            reserved: 0,
            sum: ChecksumForm::Right,
            ttl: 64,
            fragment: 0x4000,
            ip_options: &[],
            ip_words: None,
            longer: 0,
            ip_sum: ChecksumForm::Right,
            to: SERVER_MAC,
            vlan: None,
        }
    }

    pub(super) fn of(at: u32, flags: TcpFlags) -> Self {
        Self { flags, ..Self::ack(at) }
    }

    /// Bytes of the stream.
    pub(super) fn data(at: u32, data: &[u8]) -> Self {
        Self { flags: PSH_ACK, data: data.to_vec(), ..Self::ack(at) }
    }

    /// The frame.
    pub(super) fn frame(&self, client: ClientNumbers, ip_id: u16, clock_ms: u32) -> Vec<u8> {
        let tcp = self.tcp(client, clock_ms);
        let mut frame = self.to.to_vec();
        frame.extend(CLIENT_MAC);
        if let Some(vlan) = self.vlan {
            frame.extend([0x81, 0x00]);
            frame.extend(vlan.to_be_bytes());
        }
        frame.extend([0x08, 0x00]);
        let ip = frame.len();
        let header = 20 + self.ip_options.len();
        let total = length(header + tcp.len());
        frame.extend([0x45, 0]);
        frame.extend(total.to_be_bytes());
        frame.extend(ip_id.to_be_bytes());
        frame.extend(self.fragment.to_be_bytes());
        frame.extend([self.ttl, 6, 0, 0]);
        frame.extend(CLIENT);
        frame.extend(SERVER);
        frame.extend(self.ip_options);
        frame[ip] = 0x40 | words(header);
        frame.extend(tcp);
        // The sum is that of a packet of the right lengths.
        if let Ok(layers) = Layers::ethernet(&frame) {
            checksum::fill_transport(&mut frame, &layers);
        }
        let sum = ip + header + 16;
        match self.sum {
            ChecksumForm::Right => {}
            ChecksumForm::Wrong => frame[sum] ^= 0x5a,
            ChecksumForm::Zero => frame[sum..sum + 2].fill(0),
        }
        if let Some(words) = self.words {
            let before = [frame[ip + header + 12], 0];
            frame[ip + header + 12] = words << 4 | self.reserved;
            let after = [frame[ip + header + 12], 0];
            let old = u16::from_be_bytes([frame[sum], frame[sum + 1]]);
            let new = checksum::update_words(old, &before, &after);
            frame[sum..sum + 2].copy_from_slice(&new.to_be_bytes());
        }
        frame[ip] = 0x40 | self.ip_words.unwrap_or_else(|| words(header));
        frame[ip + 2..ip + 4]
            .copy_from_slice(&total.wrapping_add_signed(self.longer).to_be_bytes());
        if self.ip_sum != ChecksumForm::Zero {
            let shown = frame.get(ip..ip + header).unwrap_or_default();
            let sum = checksum::Sum::default().bytes(shown).finish();
            frame[ip + 10..ip + 12].copy_from_slice(&sum.to_be_bytes());
        }
        if self.ip_sum == ChecksumForm::Wrong {
            frame[ip + 10] ^= 0x5a;
        }
        frame
    }

    fn tcp(&self, client: ClientNumbers, clock_ms: u32) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(client.port.to_be_bytes());
        tcp.extend(SERVER_PORT.to_be_bytes());
        tcp.extend(client.isn.wrapping_add(self.at).to_be_bytes());
        let acknowledges = self.flags.has(ACK) || self.ack != 0;
        let ack = if acknowledges { SERVER_ISN.wrapping_add(self.ack) } else { 0 };
        tcp.extend(ack.to_be_bytes());
        tcp.extend([0, self.flags.raw()]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0, 0]);
        tcp.extend(self.urgent.to_be_bytes());
        tcp.extend(self.options);
        let said = CLIENT_STAMP.wrapping_add(clock_ms);
        let heard = if acknowledges { SERVER_STAMP } else { 0 };
        let stamps = match self.stamp {
            TimestampForm::None => None,
            TimestampForm::Now => Some((said, heard)),
            TimestampForm::Old(ms) => Some((said.wrapping_sub(ms), heard)),
            TimestampForm::Echo(echo) => Some((said, SERVER_STAMP.wrapping_add(echo))),
        };
        if let Some((said, heard)) = stamps {
            tcp.extend([1, 1, 8, 10]);
            tcp.extend(said.to_be_bytes());
            tcp.extend(heard.to_be_bytes());
        }
        tcp[12] = words(tcp.len()) << 4 | self.reserved;
        tcp.extend(&self.data);
        tcp
    }
}

/// What is said of one piece of a packet that is cut by hand: its bytes in the packet's body, and
/// whether more follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct FragmentRange {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) more: bool,
}

/// A fragment of a whole frame without IP options: the bytes of `piece`, said to stand at
/// `piece.from`.
pub(super) fn fragment(frame: &[u8], piece: FragmentRange) -> Vec<u8> {
    let body = ETHERNET + 20;
    let bytes = frame.get(body + piece.from..body + piece.to).unwrap_or_default();
    let mut cut = frame[..body].to_vec();
    cut.extend_from_slice(bytes);
    at(&mut cut, piece.from, piece.more);
    cut
}

/// Sets the offset, the length and the checksum of a fragment.
pub(super) fn at(fragment: &mut [u8], from: usize, more: bool) {
    let total = length(fragment.len() - ETHERNET);
    fragment[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&total.to_be_bytes());
    let field = length(from / 8) | if more { 0x2000 } else { 0 };
    fragment[ETHERNET + 6..ETHERNET + 8].copy_from_slice(&field.to_be_bytes());
    fragment[ETHERNET + 10..ETHERNET + 12].fill(0);
    let sum = checksum::Sum::default().bytes(&fragment[ETHERNET..ETHERNET + 20]).finish();
    fragment[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

fn words(bytes: usize) -> u8 {
    u8::try_from(bytes / 4).unwrap_or(15)
}
