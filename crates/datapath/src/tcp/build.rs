//! Frames out of `flow`'s outputs. The frame that came is the template: link header, tags, IP header and options of what goes on
//! are its own; what goes back has fresh headers, with the addresses swapped.

use flow::{FlowKey, Output, Outputs, Payload, SegmentOutcome, To};
use stage::Direction;
use wire::{IpVersion, Layers, TcpFlags, TcpMut, Transport, checksum, number};

use crate::classify::Packet;
use crate::core::Lane;
use crate::counters::CoreCounters;
use crate::events::Event;
use crate::limits;
use crate::nic::{Frame, FramePool, PortNo};
use crate::parse;
use crate::repair::write_ip_len;
use crate::transmit::Outgoing;

const TCP_BYTES: usize = 20;

/// Hops a segment made here may take: the default of IANA's IP parameters (RFC 1700).
const HOPS: u8 = 64;

/// "Don't fragment" (RFC 791).
const DONT_FRAGMENT: u16 = 0x4000;

/// What stands before IP, towards the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkHeader {
    bytes: [u8; limits::LINK_BYTES_MAX],
    len: u8,
}

impl LinkHeader {
    /// That of a frame which travels `way`.
    pub(super) fn of(
        frame: &[u8],
        layers: &Layers,
        link: parse::LinkLayer,
        way: Direction,
    ) -> Self {
        let mut header = Self { bytes: [0; limits::LINK_BYTES_MAX], len: 0 };
        let source = frame.get(..layers.ip).unwrap_or_default();
        if let Some(place) = header.bytes.get_mut(..source.len()) {
            place.copy_from_slice(source);
            header.len = u8::try_from(source.len()).unwrap_or(0);
        }
        if way == Direction::Response {
            swap_ends(&mut header.bytes, link);
        }
        header
    }

    /// A frame goes to another Ethernet address than this header is for.
    pub(super) fn leads_elsewhere(&self, frame: &[u8], link: parse::LinkLayer) -> bool {
        link == parse::LinkLayer::Ethernet
            && frame.first_chunk::<6>() != self.as_slice().first_chunk()
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The frame that came, and how frames are made of it.
pub(super) struct Template<'a> {
    pub(super) packet: &'a Packet,
    pub(super) link: parse::LinkLayer,
    pub(super) trust_checksums: bool,
    pub(super) lane: Lane,
}

impl Template<'_> {
    /// Sends all outputs; the frame itself is used for the last of them. `false`: the pool was empty, and something was not
    /// sent; TCP resends it.
    pub(super) fn send<P: FramePool>(
        &self,
        pool: &mut P,
        mut frame: P::Frame,
        (outputs, outcome): (&Outputs, SegmentOutcome),
        copy: impl Fn(To, u32, &mut [u8]) -> usize,
        (work, next_id): (&mut Vec<u8>, &mut u32),
        out: &mut Outgoing<P::Frame>,
    ) -> bool {
        if outcome == SegmentOutcome::Untouched || outcome == SegmentOutcome::Signed {
            out.send(self.lane.to, frame);
            return true;
        }
        if let [only] = outputs.list()
            && self.is_whole(only, frame.as_ref(), &copy, work)
            && outputs.onward_options().is_none()
        {
            self.write_numbers(frame.as_mut(), only, self.packet.layers);
            out.send(self.lane.to, frame);
            return true;
        }
        let Some((last, others)) = outputs.list().split_last() else { return true };
        let mut complete = true;
        for output in others {
            self.build(frame.as_ref(), output, outputs, &copy, work);
            self.write_id(work, next_id);
            let fresh = pool.alloc().and_then(|mut fresh| fresh.load(work).then_some(fresh));
            match fresh {
                Some(fresh) => out.send(self.port(output), fresh),
                None => complete = false,
            }
        }
        self.build(frame.as_ref(), last, outputs, &copy, work);
        if frame.load(work) {
            out.send(self.port(last), frame);
        } else {
            complete = false;
        }
        complete
    }

    const fn port(&self, output: &Output) -> PortNo {
        match output.to {
            To::Receiver => self.lane.to,
            To::Sender => self.lane.from,
        }
    }

    /// The output is the frame with other numbers. A segment that is sent again, and was not edited, comes out of the copy as it
    /// is: it leaves as it came.
    fn is_whole(
        &self,
        output: &Output,
        frame: &[u8],
        copy: &impl Fn(To, u32, &mut [u8]) -> usize,
        work: &mut Vec<u8>,
    ) -> bool {
        let payload = self.packet.layers.payload_of(frame);
        output.to == To::Receiver
            && match output.payload {
                Payload::None => payload.is_empty(),
                Payload::Frame(from, to) => from == 0 && to == payload.len(),
                Payload::Copy { at, len } => {
                    work.clear();
                    work.resize(payload.len().min(work.capacity()), 0);
                    usize::try_from(len).is_ok_and(|len| len == payload.len())
                        && copy(output.to, at, work) == payload.len()
                        && work == payload
                }
            }
    }

    /// Puts the output together in `work`.
    fn build(
        &self,
        frame: &[u8],
        output: &Output,
        outputs: &Outputs,
        copy: &impl Fn(To, u32, &mut [u8]) -> usize,
        work: &mut Vec<u8>,
    ) {
        let layers = &self.packet.layers;
        work.clear();
        let ip_header = match output.to {
            To::Receiver => {
                work.extend_from_slice(frame.get(..layers.payload).unwrap_or_default());
                let options_at = layers.l4.saturating_add(TCP_BYTES);
                if let Some(options) = outputs.onward_options()
                    && let Some(place) = work.get_mut(options_at..layers.payload)
                    && place.len() == options.len()
                {
                    place.copy_from_slice(options);
                }
                layers.l4.saturating_sub(layers.ip)
            }
            To::Sender => {
                work.extend_from_slice(frame.get(..layers.ip).unwrap_or_default());
                swap_ends(work, self.link);
                let (source, destination) = (self.packet.destination, self.packet.source);
                let addresses = (&source.address, &destination.address);
                let header = push_ip(work, layers.version, addresses);
                push_tcp(work, (source.port, destination.port), outputs.back_options());
                header
            }
        };
        let payload = work.len();
        match output.payload {
            Payload::None => {}
            Payload::Frame(from, to) => {
                let bytes = layers.payload_of(frame).get(from..to).unwrap_or_default();
                work.extend_from_slice(bytes);
            }
            Payload::Copy { at, len } => {
                let end = payload.saturating_add(usize::try_from(len).unwrap_or(0));
                // A segment is no longer than its receiver's MSS, and `work` holds the longest packet.
                work.resize(end.min(work.capacity()), 0);
                let room = work.get_mut(payload..).unwrap_or_default();
                let got = copy(output.to, at, room);
                work.truncate(payload.saturating_add(got));
            }
        }
        let l4 = layers.ip.saturating_add(ip_header);
        let end = work.len();
        let made = Layers {
            l4,
            payload,
            payload_end: end,
            ip_end: end,
            fragment: None,
            protocol: number::TCP,
            transport: Transport::Tcp,
            ..*layers
        };
        write_ip_len(work, made.version, made.ip, end.saturating_sub(made.ip));
        checksum::fill_ip(work, &made);
        self.write_numbers(work, output, made);
        checksum::fill_transport(work, &made);
        if self.link == parse::LinkLayer::Ethernet && end < limits::ETHERNET_BYTES_MIN {
            work.resize(limits::ETHERNET_BYTES_MIN, 0);
        }
    }

    /// Numbers, bits and window, with the checksum kept right, or made so where that which came was only taken on trust.
    fn write_numbers(&self, bytes: &mut [u8], output: &Output, layers: Layers) {
        let Some(mut tcp) = bytes.get_mut(layers.l4..).and_then(TcpMut::parse) else { return };
        let had_urgent = tcp.view().flags().has(TcpFlags::URG);
        tcp.set_seq(output.seq);
        tcp.set_ack(output.ack);
        tcp.set_window(output.window);
        tcp.set_flags(output.flags);
        if had_urgent && !output.flags.has(TcpFlags::URG) {
            tcp.set_urgent(0);
        }
        if self.trust_checksums {
            checksum::fill_transport(bytes, &layers);
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc6864#section-4.3
    //# non-atomic datagrams MUST NOT repeat IPv4 ID values within one MDL for a given source address/destination
    //# address/protocol tuple
    fn write_id(&self, bytes: &mut [u8], next_id: &mut u32) {
        let layers = &self.packet.layers;
        if layers.version == IpVersion::V6 {
            return;
        }
        let field = |at: usize| {
            layers.ip.saturating_add(at)..layers.ip.saturating_add(at).saturating_add(2)
        };
        let word = |at| bytes.get(field(at)).and_then(|bytes| bytes.first_chunk::<2>().copied());
        let (Some(old), Some(flags), Some(sum)) = (word(4), word(6), word(10)) else { return };
        if u16::from_be_bytes(flags) & DONT_FRAGMENT != 0 {
            return;
        }
        let [.., high, low] = next_id.to_be_bytes();
        *next_id = next_id.wrapping_add(1);
        let sum = checksum::update_words(u16::from_be_bytes(sum), &old, &[high, low]);
        for (at, value) in [(4, [high, low]), (10, sum.to_be_bytes())] {
            if let Some(place) = bytes.get_mut(field(at)) {
                place.copy_from_slice(&value);
            }
        }
    }
}

/// Whose segment is made while no frame of its connection is at hand, and which way it goes.
pub(super) struct Absent<'a> {
    pub(super) header: &'a LinkHeader,
    pub(super) link: parse::LinkLayer,
    pub(super) key: &'a FlowKey,
    pub(super) way: Direction,
}

impl Absent<'_> {
    /// Builds the segment and sends it from `port`; without a free frame it is counted.
    pub(super) fn send<P: FramePool>(
        &self,
        (output, options): (&Output, &[u8]),
        copy: impl Fn(To, u32, &mut [u8]) -> usize,
        (pool, work): (&mut P, &mut Vec<u8>),
        (out, port): (&mut Outgoing<P::Frame>, PortNo),
        counters: &CoreCounters,
    ) {
        self.build(output, options, copy, work);
        match pool.alloc().and_then(|mut frame| frame.load(work).then_some(frame)) {
            Some(frame) => out.send(port, frame),
            None => counters.count_event(Event::TcpFrameless),
        }
    }

    /// Puts the segment together in `work`; `copy` gets the bytes an output names.
    fn build(
        &self,
        output: &Output,
        options: &[u8],
        copy: impl Fn(To, u32, &mut [u8]) -> usize,
        work: &mut Vec<u8>,
    ) {
        let Self { header, link, key, way } = *self;
        let mapped =
            |address: &[u8; 16]| address.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
        let version =
            if mapped(&key.client) && mapped(&key.server) { IpVersion::V4 } else { IpVersion::V6 };
        let client = (&key.client, key.client_port);
        let server = (&key.server, key.server_port);
        let (source, destination) = match way {
            Direction::Request => (client, server),
            Direction::Response => (server, client),
        };
        work.clear();
        work.extend_from_slice(header.as_slice());
        if way == Direction::Response {
            swap_ends(work, link);
        }
        let ip = work.len();
        let l4 = ip.saturating_add(push_ip(work, version, (source.0, destination.0)));
        push_tcp(work, (source.1, destination.1), options);
        let payload = work.len();
        if let Payload::Copy { at, len } = output.payload {
            let end = payload.saturating_add(usize::try_from(len).unwrap_or(0));
            work.resize(end.min(work.capacity()), 0);
            let got = copy(output.to, at, work.get_mut(payload..).unwrap_or_default());
            work.truncate(payload.saturating_add(got));
        }
        let end = work.len();
        write_ip_len(work, version, ip, end.saturating_sub(ip));
        if let Some(mut tcp) = work.get_mut(l4..).and_then(TcpMut::parse) {
            tcp.set_seq(output.seq);
            tcp.set_ack(output.ack);
            tcp.set_window(output.window);
            tcp.set_flags(output.flags);
        }
        let layers = Layers {
            ip,
            tags: [0; 4],
            tag_count: 0,
            version,
            fragment: None,
            protocol: number::TCP,
            transport: Transport::Tcp,
            l4,
            payload,
            payload_end: end,
            ip_end: end,
        };
        checksum::fill_ip(work, &layers);
        checksum::fill_transport(work, &layers);
        if link == parse::LinkLayer::Ethernet && end < limits::ETHERNET_BYTES_MIN {
            work.resize(limits::ETHERNET_BYTES_MIN, 0);
        }
    }
}

/// An IP header without length and checksum; its own length.
fn push_ip(
    work: &mut Vec<u8>,
    version: IpVersion,
    (source, destination): (&[u8; 16], &[u8; 16]),
) -> usize {
    match version {
        IpVersion::V4 => {
            let [high, low] = DONT_FRAGMENT.to_be_bytes();
            work.extend_from_slice(&[0x45, 0, 0, 0, 0, 0, high, low, HOPS, number::TCP, 0, 0]);
            work.extend_from_slice(source.last_chunk::<4>().map_or(&[][..], |four| four));
            work.extend_from_slice(destination.last_chunk::<4>().map_or(&[][..], |four| four));
            20
        }
        IpVersion::V6 => {
            work.extend_from_slice(&[0x60, 0, 0, 0, 0, 0, number::TCP, HOPS]);
            work.extend_from_slice(source);
            work.extend_from_slice(destination);
            40
        }
    }
}

/// A TCP header with ports and options (whole words), and nothing else.
fn push_tcp(work: &mut Vec<u8>, (source, destination): (u16, u16), options: &[u8]) {
    let words = u8::try_from(options.len().saturating_add(TCP_BYTES) / 4).unwrap_or(5);
    work.extend_from_slice(&source.to_be_bytes());
    work.extend_from_slice(&destination.to_be_bytes());
    work.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, words << 4, 0, 0, 0, 0, 0, 0, 0]);
    work.extend_from_slice(options);
}

/// Turns an Ethernet header round.
fn swap_ends(bytes: &mut [u8], link: parse::LinkLayer) {
    if link == parse::LinkLayer::Ethernet
        && let Some((addresses, _)) = bytes.split_first_chunk_mut::<12>()
    {
        addresses.rotate_left(6);
    }
}
