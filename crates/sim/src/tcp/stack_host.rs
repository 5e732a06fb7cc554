//! A host: smoltcp's interface and one TCP socket, and the application that talks through it.

use std::cell::Cell;
use std::collections::VecDeque;

use offline::ConnectionSide;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};
use wire::options::TcpOption;
use wire::{Seq, TcpFlags};

use super::exchange::{Exchange, ExchangeMessage, HeardProgress};
use super::impaired_link::{self, ETHERNET_BYTES};
use super::option_bytes::{shifted_blocks, stamped};
use super::setup::{self, Closes};
use crate::packet_device::PacketDevice;

thread_local! {
    /// The clock of timestamps: smoltcp asks a function without arguments.
    static MILLISECONDS: Cell<u32> = const { Cell::new(0) };
}

/// Bytes of a segment sent in the stack's stead: every host takes that many.
const REMIND_BYTES: usize = 200;

/// Longer than a retransmission timer may be.
const SILENT_US: u64 = 90_000_000;

const CLIENT_PORT: u16 = 40_123;

/// One end.
pub(super) struct StackHost {
    side: ConnectionSide,
    setup: setup::HostSetup,
    interface: Interface,
    wire: PacketDevice,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    // The application.
    parts: VecDeque<ExchangeMessage>,
    /// Of the first part.
    written: usize,
    progress: HeardProgress,
    /// How far it has heard when it has heard each of the other's messages.
    ends: Vec<usize>,
    lines: usize,
    pub(super) received: Vec<u8>,
    next_write_us: u64,
    next_read_us: u64,
    closed: bool,
    aborted: bool,
    /// The first part has been waited for since.
    ready_us: Option<u64>,
    /// Added to every sequence number of its own on the wire, once its SYN is out.
    shift: Option<u32>,
    /// Position after everything it ever sent.
    pub(super) highest: Option<Seq>,
    /// Its last acknowledgement, and the end of the window that it granted, both as on the wire.
    expects: Option<Seq>,
    pub(super) granted: Option<Seq>,
    /// The last acknowledgement that it received, as on the wire.
    acknowledged: Option<Seq>,
    scale: u8,
    /// The last segment with bytes or FIN: the headers of one sent in the stack's stead.
    last: Vec<u8>,
    /// When something was acknowledged to it last.
    progress_us: u64,
    progressed: bool,
    /// All bytes it sent, from its first number on.
    sent: Vec<u8>,
    first: Option<Seq>,
    fin_sent: bool,
    remind_us: u64,
    reminders: u32,
}

fn address(side: ConnectionSide, v6: bool) -> IpAddress {
    let last = match side {
        ConnectionSide::Client => 1,
        ConnectionSide::Server => 2,
    };
    if v6 {
        IpAddress::v6(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)
    } else {
        IpAddress::v4(192, 0, 2, u8::try_from(last).unwrap_or(0))
    }
}

impl StackHost {
    pub(super) fn new(
        side: ConnectionSide,
        seed: u64,
        setup: &setup::Setup,
        exchange: &Exchange,
    ) -> Self {
        let of = *setup.host(side);
        let mut wire = PacketDevice::new(of.mtu);
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed ^ u64::from(side == ConnectionSide::Server);
        let mut interface = Interface::new(config, &mut wire, Instant::ZERO);
        let prefix = if setup.v6 { 64 } else { 24 };
        interface.update_ip_addrs(|list| {
            let _there_is_room = list.push(IpCidr::new(address(side, setup.v6), prefix));
        });
        let buffer = |bytes: usize| SocketBuffer::new(vec![0; bytes]);
        let mut socket = Socket::new(buffer(of.receive_bytes), buffer(of.send_bytes));
        if of.timestamps {
            socket.set_tsval_generator(Some(|| MILLISECONDS.get()));
        }
        socket.set_nagle_enabled(of.nagle);
        socket.set_ack_delay(some_ms(of.ack_delay_ms));
        socket.set_keep_alive(some_ms(of.keep_alive_ms));
        let to = (address(side.other(), setup.v6), exchange.port);
        let opened = match side {
            ConnectionSide::Client => socket.connect(interface.context(), to, CLIENT_PORT).is_ok(),
            ConnectionSide::Server => socket.listen(exchange.port).is_ok(),
        };
        debug_assert!(opened, "a fresh socket can be opened");
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(socket);
        let ends = exchange.ends(side.other());
        Self {
            side,
            setup: of,
            interface,
            wire,
            sockets,
            socket,
            parts: exchange.of_side(side).cloned().collect(),
            written: 0,
            progress: exchange.progress,
            ends,
            lines: 0,
            received: Vec::new(),
            next_write_us: 0,
            next_read_us: 0,
            closed: false,
            aborted: false,
            ready_us: None,
            shift: None,
            highest: None,
            expects: None,
            granted: None,
            acknowledged: None,
            scale: 0,
            last: Vec::new(),
            progress_us: 0,
            progressed: false,
            sent: Vec::new(),
            first: None,
            fin_sent: false,
            remind_us: 0,
            reminders: 0,
        }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    pub(super) fn state(&self) -> State {
        self.sockets.get::<Socket<'_>>(self.socket).state()
    }

    /// It has nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        matches!(socket.state(), State::Closed | State::TimeWait) && socket.recv_queue() == 0
    }

    /// It has said everything.
    pub(super) fn is_done(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn describe(&self) -> String {
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        format!(
            "{}: {}, {} bytes heard, {} messages unsaid, {} bytes unacknowledged",
            self.side.name(),
            socket.state(),
            self.received.len(),
            self.parts.len(),
            socket.send_queue()
        )
    }

    pub(super) fn abort(&mut self) {
        self.aborted = true;
        self.socket().abort();
    }

    /// A frame arrives.
    pub(super) fn take(&mut self, frame: &[u8]) {
        let mut frame = frame.to_vec();
        if let Some((layers, tcp)) = impaired_link::read(&frame) {
            let ack = tcp.ack();
            let (mine, has_ack) = (self.shift.unwrap_or(0), tcp.flags().has(TcpFlags::ACK));
            let blocks = shifted_blocks(&tcp, 0_u32.wrapping_sub(mine));
            let mut payload = layers.payload_of(&frame);
            let mut seq = tcp.seq();
            let mut flags = tcp.flags();
            // It drops what is not acceptable, and what that acknowledges with it: a keep-alive,
            // say (RFC 9293 section 3.10.7.4).
            let end = seq.advance(count(payload.len()));
            let old = self.expects.is_some_and(|expects| end.is_before(expects));
            if has_ack && !flags.has(TcpFlags::RST) && !old {
                let edge = self.acknowledged.map_or(ack, |before| before.max(ack));
                self.progressed |= self.acknowledged != Some(edge);
                self.acknowledged = Some(edge);
            }
            if flags.has(TcpFlags::FIN) {
                // smoltcp misses the FIN of a segment whose bytes it has, and takes the FIN of one
                // whose bytes it cuts off.
                let old = self.expects.map_or(0, |expects| expects.distance_from(seq));
                let old = usize::try_from(old).unwrap_or(0).min(payload.len());
                payload = payload.get(old..).unwrap_or_default();
                seq = seq.advance(count(old));
                let room = self.granted.map_or(i32::MAX, |granted| granted.distance_from(seq));
                let room = usize::try_from(room).unwrap_or(0);
                if room < payload.len() {
                    payload = payload.get(..room).unwrap_or_default();
                    flags = flags.without(TcpFlags::FIN);
                }
            }
            let payload = payload.to_vec();
            let rewritten = |seq, flags, payload: &[u8]| {
                impaired_link::rewrite(&frame, &layers, payload, |tcp| {
                    tcp.set_seq(seq);
                    tcp.set_flags(flags);
                    if has_ack {
                        tcp.set_ack(ack.retreat(mine));
                    }
                    for (at, bytes) in &blocks {
                        tcp.set_option_bytes(*at, bytes);
                    }
                })
            };
            let mut changed = rewritten(seq, flags, &payload);
            if flags.has(TcpFlags::FIN) && !payload.is_empty() {
                // It may take fewer bytes than it said it would: the FIN comes by itself, behind
                // all of them.
                let bytes = rewritten(seq, flags.without(TcpFlags::FIN), &payload);
                let packet = bytes.as_ref().and_then(|frame| frame.get(ETHERNET_BYTES..));
                self.wire.input.extend(packet.map(<[u8]>::to_vec));
                changed = rewritten(seq.advance(count(payload.len())), flags, b"");
            }
            frame = changed.unwrap_or(frame);
        }
        let packet = frame.get(ETHERNET_BYTES..).unwrap_or_default();
        self.wire.input.push_back(packet.to_vec());
    }

    /// Something of it is unacknowledged, and its stack waits for nothing: smoltcp's timers are at
    /// times forgotten (after a zero window, and when all but a FIN is acknowledged).
    fn has_forgotten(&mut self, now: u64) -> bool {
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        let fin = matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck);
        let open = !matches!(socket.state(), State::Closed | State::Listen | State::TimeWait);
        let outstanding = fin || (open && socket.send_queue() > 0);
        // With keep-alives it waits for those, and nothing else.
        let silent = self.progress_us + SILENT_US <= now;
        outstanding && (silent || self.interface.poll_at(instant(now), &self.sockets).is_none())
    }

    /// Sends the first unacknowledged bytes again.
    fn remind(&mut self, now: u64) -> Option<Vec<u8>> {
        self.reminders += 1;
        self.remind_us = now + 500_000 * u64::from(self.reminders.min(4));
        let (layers, tcp) = impaired_link::read(&self.last)?;
        let edge = self.acknowledged?;
        let at = usize::try_from(edge.distance_from(self.first?)).ok()?;
        let rest = self.sent.get(at..)?;
        let payload = rest.get(..REMIND_BYTES).unwrap_or(rest);
        let mut flags = TcpFlags::ACK;
        if self.fin_sent && payload.len() == rest.len() {
            flags = flags.with(TcpFlags::FIN);
        }
        let expects = self.expects.unwrap_or(tcp.ack());
        let options = stamped(tcp.option_bytes(), MILLISECONDS.get());
        impaired_link::rewrite(&self.last, &layers, payload, |tcp| {
            tcp.set_seq(edge);
            tcp.set_flags(flags);
            tcp.set_ack(expects);
            tcp.set_option_bytes(0, &options);
        })
    }

    /// When it wants to be asked again.
    pub(super) fn next_us(&mut self, now: u64) -> Option<u64> {
        let stack = self.interface.poll_at(instant(now), &self.sockets);
        let stack = stack.map(|at| u64::try_from(at.total_micros()).unwrap_or(0).max(now + 100));
        let remind = self.has_forgotten(now).then_some(self.remind_us);
        let wants_write = self.wants_write(now).map(|at| at.max(self.next_write_us));
        let socket = self.sockets.get::<Socket<'_>>(self.socket);
        let wants_write = wants_write.filter(|_| socket.can_send());
        let wants_read = (socket.recv_queue() > 0).then_some(self.next_read_us);
        [stack, remind, wants_write, wants_read]
            .into_iter()
            .flatten()
            .map(|at| at.max(now + 1))
            .min()
    }

    /// The time of the next message, if the messages that it waits for have arrived.
    fn wants_write(&mut self, now: u64) -> Option<u64> {
        let part = self.parts.front()?;
        let heard = match self.progress {
            HeardProgress::Lines => self.lines,
            HeardProgress::Bytes => self.received.len(),
        };
        let heard = self.ends.partition_point(|end| *end <= heard);
        if heard < part.after {
            return None;
        }
        let since = *self.ready_us.get_or_insert(now);
        Some(since + part.pause_ms * 1_000)
    }

    /// Runs the stack and the application; appends the frames that leave to `frames`.
    pub(super) fn poll(&mut self, now: u64, frames: &mut Vec<Vec<u8>>) {
        MILLISECONDS.set(u32::try_from(now / 1_000).unwrap_or(u32::MAX));
        loop {
            self.interface.poll(instant(now), &mut self.wire, &mut self.sockets);
            if !self.application(now) {
                break;
            }
        }
        let output = std::mem::take(&mut self.wire.output);
        for packet in output {
            frames.push(self.leave(now, &packet));
        }
        if std::mem::take(&mut self.progressed) {
            self.progress_us = now;
            self.reminders = 0;
        }
        if self.remind_us <= now && self.has_forgotten(now) {
            frames.extend(self.remind(now));
        }
    }

    /// Lets the application write and read. `true`: it touched the socket.
    fn application(&mut self, now: u64) -> bool {
        if self.aborted {
            return false;
        }
        let mut touched = false;
        // Ten seconds later smoltcp forgets bytes that were not read.
        let hurry = self.state() == State::TimeWait;
        if (hurry || self.next_read_us <= now)
            && self.sockets.get::<Socket<'_>>(self.socket).can_recv()
        {
            let most = self.setup.read_bytes;
            let mut bytes = vec![0; most.min(self.setup.receive_bytes)];
            let read = self.socket().recv_slice(&mut bytes).unwrap_or(0);
            bytes.truncate(read);
            self.lines += bytes.iter().filter(|&&byte| byte == b'\n').count();
            self.received.extend_from_slice(&bytes);
            self.next_read_us = now + self.setup.read_ms * 1_000;
            touched = read > 0;
        }
        let due = self.wants_write(now).is_some_and(|at| at <= now) && self.next_write_us <= now;
        let can = self.sockets.get::<Socket<'_>>(self.socket).can_send();
        if due
            && can
            && let Some(part) = self.parts.front()
        {
            let rest = part.bytes.get(self.written..).unwrap_or_default();
            let piece = rest.get(..self.setup.write_bytes).unwrap_or(rest).to_vec();
            let wrote = self.socket().send_slice(&piece).unwrap_or(0);
            self.written += wrote;
            self.next_write_us = now + self.setup.write_ms * 1_000;
            if self.parts.front().is_some_and(|part| self.written >= part.bytes.len()) {
                self.parts.pop_front();
                self.written = 0;
                self.ready_us = None;
            }
            touched |= wrote > 0;
        }
        touched | self.close_if_due()
    }

    fn close_if_due(&mut self) -> bool {
        if self.closed || !self.parts.is_empty() {
            return false;
        }
        let open = matches!(self.state(), State::Established | State::CloseWait);
        let other_closed = self.state() == State::CloseWait;
        let heard = match self.progress {
            HeardProgress::Lines => self.lines,
            HeardProgress::Bytes => self.received.len(),
        };
        let heard = self.ends.last().is_none_or(|end| heard >= *end);
        let due = match self.setup.closes {
            Closes::RunTotals => true,
            Closes::Heard => heard,
            Closes::AfterOther => other_closed,
        };
        if due && open {
            self.closed = true;
            self.socket().close();
        }
        due && open
    }

    /// A packet in its frame, numbered as the setup says.
    fn leave(&mut self, now: u64, packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        if self.side == ConnectionSide::Server {
            frame.rotate_left(6);
        }
        let six = packet.first().is_some_and(|byte| byte >> 4 == 6);
        frame.extend(if six { [0x86, 0xdd] } else { [0x08, 0x00] });
        frame.extend_from_slice(packet);
        if let Some((layers, tcp)) = impaired_link::read(&frame) {
            let (seq, flags) = (tcp.seq(), tcp.flags());
            if flags.has(TcpFlags::SYN) && self.shift.is_none() {
                let wanted = Seq::new(0).retreat(self.setup.wraps_in);
                let shift = wanted.raw().wrapping_sub(seq.raw());
                self.shift = Some(if self.setup.wraps_in > 0 { shift } else { 0 });
            }
            let mine = self.shift.unwrap_or(0);
            let payload = layers.payload_of(&frame).to_vec();
            let numbers = flags.has(TcpFlags::SYN) || flags.has(TcpFlags::FIN);
            let bytes = count(payload.len()) + u32::from(numbers);
            let end = seq.advance(mine).advance(bytes);
            if flags.has(TcpFlags::SYN) {
                self.first = Some(seq.advance(mine).advance(1));
                let scales = tcp.options().filter_map(|option| {
                    if let TcpOption::WindowScale(shift) = option { Some(shift) } else { None }
                });
                self.scale = scales.last().unwrap_or(0);
                // A window in a SYN is not scaled (RFC 7323 section 2.2).
                let granted = tcp.ack().advance(u32::from(tcp.window()));
                self.granted = flags.has(TcpFlags::ACK).then_some(granted);
            } else if flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::RST) {
                let granted = tcp.ack().advance(u32::from(tcp.window()) << self.scale);
                self.granted = Some(self.granted.map_or(granted, |before| before.max(granted)));
                self.expects = Some(tcp.ack());
            }
            let newer = self.highest.is_none_or(|highest| end.is_after(highest));
            self.highest = Some(self.highest.map_or(end, |highest| highest.max(end)));
            let changed = impaired_link::rewrite(&frame, &layers, &payload, |tcp| {
                tcp.set_seq(seq.advance(mine));
            });
            frame = changed.unwrap_or(frame);
            let at = self.first.map_or(-1, |first| seq.advance(mine).distance_from(first));
            if let Ok(at) = usize::try_from(at)
                && let Some(fresh) =
                    self.sent.len().checked_sub(at).and_then(|old| payload.get(old..))
            {
                self.sent.extend_from_slice(fresh);
                self.fin_sent |= flags.has(TcpFlags::FIN);
            }
            // A keep-alive's byte is not one of its own. (smoltcp's stands before what it sent
            // last, acknowledged or not.)
            let own = newer || numbers || payload.len() > 1;
            if bytes > 0 && own && !flags.has(TcpFlags::RST) && self.highest == Some(end) {
                self.last.clone_from(&frame);
                self.remind_us = now + 1_000_000;
            }
        }
        // Ethernet's shortest frame is 60 bytes.
        frame.resize(frame.len().max(60), 0);
        frame
    }
}

fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn instant(us: u64) -> Instant {
    Instant::from_micros(i64::try_from(us).unwrap_or(i64::MAX))
}

const fn some_ms(ms: u64) -> Option<Duration> {
    if ms == 0 { None } else { Some(Duration::from_millis(ms)) }
}
