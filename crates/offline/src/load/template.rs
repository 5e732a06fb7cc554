//! A frame with holes: client address and port, numbers, words that differ, and the checksums that
//! depend on them.

use crate::ConnectionSide;

/// Payload of a full segment on Ethernet, without TCP options.
pub(super) const SEGMENT_BYTES: usize = 1_460;

const ETHERNET_BYTES: usize = 14;
const IP_BYTES: usize = 20;
const L4: usize = ETHERNET_BYTES + IP_BYTES;
const UDP_BYTES: usize = 8;
const SERVER: [u8; 4] = [192, 0, 2, 80];
const HTTP_PORT: u16 = 80;

/// Clients come from 10.0.0.0/8 and the upper half of the ports.
const CLIENTS: u32 = 0x0a00_0000;
const CLIENTS_MASK: u32 = 0x00ff_ffff;
const PORT_BASE: u16 = 0x8000;

/// TCP control bits (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ControlBits(u8);

impl ControlBits {
    pub(super) const SYN: Self = Self(0x02);
    pub(super) const SYN_ACK: Self = Self(0x12);
    pub(super) const ACK: Self = Self(0x10);
    pub(super) const PSH_ACK: Self = Self(0x18);
    pub(super) const FIN_ACK: Self = Self(0x11);
}

/// The client of a frame, and its sequence and acknowledgement numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct PacketNumbers {
    /// Number of the client.
    pub(super) client: u32,
    pub(super) seq: u32,
    pub(super) ack: u32,
}

/// What stands where a payload has one of [`PAYLOAD_WORDS`], each eight bytes long at an even
/// place.
#[derive(Clone, Copy, Debug)]
enum PayloadWord {
    /// Its client.
    Client,
    /// One of 32 kinds of client.
    Agent,
    /// The sequence number: another in every message.
    Number,
}

const WORD_BYTES: usize = 8;
const PAYLOAD_WORDS: [(&[u8; WORD_BYTES], PayloadWord); 3] = [
    (b"{client}", PayloadWord::Client),
    (b"{agents}", PayloadWord::Agent),
    (b"{number}", PayloadWord::Number),
];

impl PayloadWord {
    fn of(self, numbers: PacketNumbers) -> [u8; WORD_BYTES] {
        let number = match self {
            Self::Client => numbers.client.wrapping_mul(0x9e37_79b9),
            Self::Agent => 0x2010_0100 | (numbers.client % 32),
            Self::Number => numbers.seq,
        };
        let digits = [28, 24, 20, 16, 12, 8, 4, 0].map(|shift| number.wrapping_shr(shift) & 0xf);
        digits.map(|digit| b"0123456789abcdef"[usize::try_from(digit).unwrap_or(0)])
    }
}

/// A frame with holes.
#[derive(Debug)]
pub(super) struct FrameTemplate {
    bytes: Vec<u8>,
    side: ConnectionSide,
    tcp: Option<ControlBits>,
    /// Sums over the bytes that the template already has.
    ip_sum: u32,
    transport_sum: u32,
    client_at: usize,
    port_at: usize,
    words: Vec<(usize, PayloadWord)>,
}

impl FrameTemplate {
    /// A client's datagram to a port of the server.
    pub(super) fn udp(port: u16, payload: &[u8]) -> Self {
        let len = u16::try_from(UDP_BYTES + payload.len()).unwrap_or(u16::MAX);
        let mut l4 = Vec::new();
        l4.extend([0, 0]);
        l4.extend(port.to_be_bytes());
        l4.extend(len.to_be_bytes());
        l4.extend([0, 0]);
        l4.extend(payload);
        Self::new(ConnectionSide::Client, 17, None, &l4)
    }

    /// A segment of an HTTP connection.
    pub(super) fn tcp(side: ConnectionSide, flags: ControlBits, payload: &[u8]) -> Self {
        let mut l4 = Vec::new();
        let (source, destination) = match side {
            ConnectionSide::Client => (0, HTTP_PORT),
            ConnectionSide::Server => (HTTP_PORT, 0),
        };
        l4.extend(source.to_be_bytes());
        l4.extend(destination.to_be_bytes());
        l4.extend([0; 8]);
        l4.extend([0x50, flags.0, 0xff, 0xff, 0, 0, 0, 0]);
        l4.extend(payload);
        Self::new(side, 6, Some(flags), &l4)
    }

    fn new(side: ConnectionSide, protocol: u8, tcp: Option<ControlBits>, l4: &[u8]) -> Self {
        let ip_len = u16::try_from(IP_BYTES + l4.len()).unwrap_or(u16::MAX);
        let (client_mac, server_mac) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let mut bytes = Vec::new();
        let (client_at, port_at) = match side {
            ConnectionSide::Client => {
                bytes.extend(server_mac);
                bytes.extend(client_mac);
                (ETHERNET_BYTES + 12, L4)
            }
            ConnectionSide::Server => {
                bytes.extend(client_mac);
                bytes.extend(server_mac);
                (ETHERNET_BYTES + 16, L4 + 2)
            }
        };
        bytes.extend([0x08, 0x00, 0x45, 0]);
        bytes.extend(ip_len.to_be_bytes());
        bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
        let (source, destination) = match side {
            ConnectionSide::Client => ([0; 4], SERVER),
            ConnectionSide::Server => (SERVER, [0; 4]),
        };
        bytes.extend(source);
        bytes.extend(destination);
        let ip_sum = sum(&bytes[ETHERNET_BYTES..L4]);
        let pseudo = sum(&SERVER) + u32::from(protocol) + u32::try_from(l4.len()).unwrap_or(0);
        bytes.extend(l4);
        let mut words = Vec::new();
        for at in (L4..bytes.len()).step_by(2) {
            let word = bytes.get_mut(at..at + WORD_BYTES).unwrap_or_default();
            if let Some((_, kind)) = PAYLOAD_WORDS.iter().find(|(name, _)| word == *name) {
                word.fill(0);
                words.push((at, *kind));
            }
        }
        let transport_sum = pseudo + sum(&bytes[L4..]);
        Self { bytes, side, tcp, ip_sum, transport_sum, client_at, port_at, words }
    }

    pub(super) const fn side(&self) -> ConnectionSide {
        self.side
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// One frame about to be written.
#[derive(Clone, Copy, Debug)]
pub struct LoadPacket<'a> {
    template: &'a FrameTemplate,
    numbers: PacketNumbers,
}

impl<'a> LoadPacket<'a> {
    pub(super) const fn new(template: &'a FrameTemplate, numbers: PacketNumbers) -> Self {
        Self { template, numbers }
    }

    /// From which side of the box it comes.
    pub const fn side(&self) -> ConnectionSide {
        self.template.side
    }

    /// Bytes of the frame.
    pub const fn frame_bytes(&self) -> usize {
        self.template.bytes.len()
    }

    /// Writes it into `room`, which has [`Self::frame_bytes`].
    pub fn write(&self, room: &mut [u8]) {
        let Self { template, numbers } = *self;
        let Some(room) = room.get_mut(..template.bytes.len()) else { return };
        room.copy_from_slice(&template.bytes);
        let address = CLIENTS | (numbers.client & CLIENTS_MASK);
        // A client that has used up its address space goes on with other ports.
        let [high, low, ..] = numbers.client.to_be_bytes();
        let port = PORT_BASE | (u16::from_be_bytes([low, high]) & !PORT_BASE);
        room[template.client_at..template.client_at + 4].copy_from_slice(&address.to_be_bytes());
        room[template.port_at..template.port_at + 2].copy_from_slice(&port.to_be_bytes());
        let client_sum = halves(address);
        put(room, ETHERNET_BYTES + 10, template.ip_sum + client_sum);
        let mut transport_sum = template.transport_sum + client_sum + u32::from(port);
        for (at, word) in &template.words {
            let word = word.of(numbers);
            room[*at..*at + WORD_BYTES].copy_from_slice(&word);
            transport_sum += sum(&word);
        }
        let checksum_at = match template.tcp {
            Some(flags) => {
                let ack = if flags == ControlBits::SYN { 0 } else { numbers.ack };
                room[L4 + 4..L4 + 8].copy_from_slice(&numbers.seq.to_be_bytes());
                room[L4 + 8..L4 + 12].copy_from_slice(&ack.to_be_bytes());
                transport_sum += halves(numbers.seq) + halves(ack);
                L4 + 16
            }
            None => L4 + 6,
        };
        put(room, checksum_at, transport_sum);
    }
}

/// Writes the checksum of a sum. A UDP checksum of zero would mean that there is none (RFC 768);
/// all ones is the same number.
fn put(room: &mut [u8], at: usize, sum: u32) {
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    let [_, _, high, low] = (!folded).to_be_bytes();
    let field = if [high, low] == [0, 0] { [0xff, 0xff] } else { [high, low] };
    room[at..at + 2].copy_from_slice(&field);
}

fn halves(number: u32) -> u32 {
    (number >> 16) + (number & 0xffff)
}

/// Of 16-bit words; an odd last byte is the high half of one (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    };
    bytes.chunks(2).map(word).sum()
}

/// A query for the addresses of `name`.
pub(super) fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// A request of exactly `bytes` bytes with ten headers: each asks for another page, each client has
/// a cookie of its own, and there are a few kinds of clients.
pub(super) fn request(bytes: usize) -> Vec<u8> {
    let mut request =
        b"GET /articles/2026/07/a-page-of-ordinary-length.html?from=index&pages={number} HTTP/1.1\r\n\
Host: www.example.com\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/{agents} Firefox/128.0\r\n\
Accept: text/html,application/xhtml+xml;q=0.9\r\n\
Accept-Language: en-US,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br\r\n\
Referer: http://www.example.com/\r\n\
Connection: keep-alive\r\n\
Cache-Control: max-age=0\r\n\
DNT: 1\r\n\
Cookie: session={client}"
            .to_vec();
    let left = bytes.saturating_sub(request.len() + 4);
    request.extend((0..left).map(|at| b"0123456789abcdef"[at % 16]));
    request.extend(b"\r\n\r\n");
    request
}

/// A response of exactly `bytes` bytes.
pub(super) fn response(bytes: usize) -> Vec<u8> {
    let head = |length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Length: {length:05}\r\nConnection: keep-alive\r\n\r\n"
        )
    };
    let length = bytes.saturating_sub(head(0).len());
    let mut response = head(length).into_bytes();
    response.extend((0..length).map(|at| b"<p>Words, and more of them.</p>\n"[at % 32]));
    response
}
