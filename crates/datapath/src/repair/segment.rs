//! Step 9 for a segment: frames out of `flow`'s outputs.
//!
//! Holds:     [`segment`], [`segment_apart`] and [`reset_both`], which the journey calls;
//!            [`SegmentBuilder`], the one place where a TCP segment is made.
//! Promises:  a segment that goes on in the place of the frame that came has its link header, tags,
//!            IP header and options. Every other segment has fresh headers. All lengths and
//!            checksums are right.
//! Never:     decides about numbers: `flow` did.

use flow::{FlowKey, Output, Outputs, Payload, To};
use plan::Endpoint;
use stage::Direction;
use stage::position::{index, minus, plus};
use wire::{IpVersion, Layers, TcpFlags, TcpMut, Transport, checksum, number};

use crate::config::{CoreConfig, Lane, LinkLayer};
use crate::core::Parts;
use crate::counters::CoreCounters;
use crate::events::Event;
use crate::headers::{IpHeader, is_mapped, swap_ends, u16_at, write_ip_len, write_u16};
use crate::limits;
use crate::nic::{Frame, FramePool, PortNo};
use crate::packet::Packet;
use crate::reasons::Reason;
use crate::tcp::state::{ConnectionSlot, TcpState, Tracked};
use crate::transmit::Outgoing;

const TCP_BYTES: usize = 20;

/// "Don't fragment" (RFC 791).
const DONT_FRAGMENT: u16 = 0x4000;

/// Sends the outputs of the segment that came in `frame`. An error: the pool was empty, and
/// something was not sent; TCP resends it.
pub(crate) fn segment<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    frame: P::Frame,
    packet: &Packet,
    tracked: Tracked,
    out: &mut Outgoing<P::Frame>,
) -> Result<(), Reason> {
    let Tracked { id, direction } = tracked;
    let TcpState { table, stores, outputs, .. } = &*parts.tcp;
    let copy = |to, at, room: &mut [u8]| {
        table.get(id).map_or(0, |connection| connection.copy_out(direction, to, stores, at, room))
    };
    let builder = SegmentBuilder { outputs, copy, config: parts.config };
    let came = FrameAtHand { packet, lane: parts.lane, next_id: parts.next_id };
    builder.send_with(frame, came, SegmentSink { pool, work: parts.work, out })
}

/// Sends the outputs of a segment in frames of our own, with fresh headers; the frame that came
/// goes no further.
#[cold]
#[inline(never)]
pub(crate) fn segment_apart<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    tracked: Tracked,
    out: &mut Outgoing<P::Frame>,
) {
    let TcpState { table, slots, outputs, .. } = &*parts.tcp;
    let Tracked { id, direction } = tracked;
    if let (Some(key), Some(slot)) = (table.key(id), slots.get(id.index())) {
        let builder = SegmentBuilder::without_copies(outputs, parts.config);
        let sink = SegmentSink { pool, work: parts.work, out };
        builder.send_own(OwnSegments { slot, key, direction }, sink, parts.counters);
    }
}

/// Resets both ends of a connection that is not tracked; the frame goes no further.
#[cold]
#[inline(never)]
pub(crate) fn reset_both<P: FramePool>(
    parts: &mut Parts<'_>,
    pool: &mut P,
    frame: P::Frame,
    packet: &Packet,
    out: &mut Outgoing<P::Frame>,
) -> Reason {
    let Some(segment) = crate::parse::segment(frame.as_ref(), &packet.layers) else {
        return Reason::BadTransportHeader;
    };
    let outputs = &mut parts.tcp.outputs;
    flow::reset_untracked(&segment, outputs);
    let builder = SegmentBuilder::without_copies(outputs, parts.config);
    let came = FrameAtHand { packet, lane: parts.lane, next_id: parts.next_id };
    let sent = builder.send_with(frame, came, SegmentSink { pool, work: parts.work, out });
    // The next segment brings again what was lost.
    sent.err().unwrap_or(Reason::TcpMidstreamReset)
}

/// Where segments are put together, and where they go.
pub(crate) struct SegmentSink<'a, P: FramePool> {
    pub(crate) pool: &'a mut P,
    pub(crate) work: &'a mut Vec<u8>,
    pub(crate) out: &'a mut Outgoing<P::Frame>,
}

/// The frame that came.
pub(crate) struct FrameAtHand<'a> {
    packet: &'a Packet,
    lane: Lane,
    /// Identification of the next frame that needs one of its own.
    next_id: &'a mut u32,
}

impl FrameAtHand<'_> {
    const fn port(&self, output: &Output) -> PortNo {
        match output.to {
            To::Receiver => self.lane.to,
            To::Sender => self.lane.from,
        }
    }
}

/// A connection of which no frame is at hand, and the direction of the segment that would have
/// caused the outputs.
pub(crate) struct OwnSegments<'a> {
    pub(crate) slot: &'a ConnectionSlot,
    pub(crate) key: &'a FlowKey,
    pub(crate) direction: Direction,
}

/// The headers that a segment begins with.
enum Headers<'a> {
    /// Those of the frame that came.
    Kept {
        frame: &'a [u8],
        layers: &'a Layers,
    },
    Fresh(FreshHeaders<'a>),
}

struct FreshHeaders<'a> {
    link: &'a [u8],
    /// The link header is that of the other direction.
    turned: bool,
    version: IpVersion,
    source: Endpoint,
    destination: Endpoint,
    options: &'a [u8],
}

/// Makes segments. `copy` gets bytes that `flow` has kept: for whom, from which position, into how
/// much room; how many there are.
pub(crate) struct SegmentBuilder<'a, C> {
    pub(crate) outputs: &'a Outputs,
    pub(crate) copy: C,
    pub(crate) config: &'a CoreConfig,
}

impl<'a> SegmentBuilder<'a, fn(To, u32, &mut [u8]) -> usize> {
    /// For outputs of which none names a copy.
    pub(crate) fn without_copies(outputs: &'a Outputs, config: &'a CoreConfig) -> Self {
        Self { outputs, copy: |_, _, _| 0, config }
    }
}

impl<C: Fn(To, u32, &mut [u8]) -> usize> SegmentBuilder<'_, C> {
    /// Sends all outputs; the frame that came is used for the last of them.
    fn send_with<P: FramePool>(
        &self,
        mut frame: P::Frame,
        came: FrameAtHand<'_>,
        sink: SegmentSink<'_, P>,
    ) -> Result<(), Reason> {
        let SegmentSink { pool, work, out } = sink;
        let packet = came.packet;
        if let [only] = self.outputs.list()
            && self.is_whole(only, frame.as_ref(), packet, work)
            && self.outputs.onward_options().is_none()
        {
            self.write_numbers(frame.as_mut(), only, packet.layers);
            out.send(came.lane.to, frame);
            return Ok(());
        }
        let Some((last, others)) = self.outputs.list().split_last() else { return Ok(()) };
        let mut sent = Ok(());
        for output in others {
            self.build_from(frame.as_ref(), packet, output, work);
            write_id(work, &packet.layers, came.next_id);
            match pool.alloc().and_then(|mut fresh| fresh.load(work).then_some(fresh)) {
                Some(fresh) => out.send(came.port(output), fresh),
                None => sent = Err(Reason::NoFrames),
            }
        }
        self.build_from(frame.as_ref(), packet, last, work);
        if frame.load(work) {
            out.send(came.port(last), frame);
        } else {
            sent = Err(Reason::NoFrames);
        }
        sent
    }

    /// Sends all outputs in frames of our own. A segment that finds no free frame is counted.
    pub(crate) fn send_own<P: FramePool>(
        &self,
        own: OwnSegments<'_>,
        sink: SegmentSink<'_, P>,
        counters: &CoreCounters,
    ) {
        let OwnSegments { slot, key, direction } = own;
        let version = if is_mapped(&key.client) && is_mapped(&key.server) {
            IpVersion::V4
        } else {
            IpVersion::V6
        };
        let client = Endpoint { address: key.client, port: key.client_port };
        let server = Endpoint { address: key.server, port: key.server_port };
        for output in self.outputs.list() {
            let (direction, options) = match output.to {
                To::Receiver => (direction, self.outputs.onward_options().unwrap_or_default()),
                To::Sender => (direction.opposite(), self.outputs.back_options()),
            };
            let (source, destination) = match direction {
                Direction::Request => (client, server),
                Direction::Response => (server, client),
            };
            let (link, turned) = (slot.link.as_slice(), direction == Direction::Response);
            let headers = FreshHeaders { link, turned, version, source, destination, options };
            self.build(&Headers::Fresh(headers), output, &[], sink.work);
            match sink.pool.alloc().and_then(|mut frame| frame.load(sink.work).then_some(frame)) {
                Some(frame) => sink.out.send(slot.port(direction), frame),
                None => counters.count_event(Event::TcpFrameless),
            }
        }
    }

    /// The output is the frame with other numbers. A segment that is sent again, and was not
    /// edited, comes out of the copy as it is: it leaves as it came.
    fn is_whole(&self, output: &Output, frame: &[u8], packet: &Packet, work: &mut Vec<u8>) -> bool {
        let payload = packet.layers.payload_of(frame);
        output.to == To::Receiver
            && match output.payload {
                Payload::None => payload.is_empty(),
                Payload::Frame(from, to) => from == 0 && to == payload.len(),
                Payload::Copy { at, len } => {
                    work.clear();
                    work.resize(payload.len().min(work.capacity()), 0);
                    index(len) == payload.len()
                        && (self.copy)(output.to, at, work) == payload.len()
                        && work == payload
                }
            }
    }

    /// Puts an output of the frame that came together in `work`.
    fn build_from(&self, frame: &[u8], packet: &Packet, output: &Output, work: &mut Vec<u8>) {
        let layers = &packet.layers;
        let headers = match output.to {
            To::Receiver => Headers::Kept { frame, layers },
            To::Sender => Headers::Fresh(FreshHeaders {
                link: frame.get(..layers.ip).unwrap_or_default(),
                turned: true,
                version: layers.version,
                source: packet.destination,
                destination: packet.source,
                options: self.outputs.back_options(),
            }),
        };
        self.build(&headers, output, layers.payload_of(frame), work);
    }

    /// Puts a segment together in `work`; `payload` is that of the frame that came.
    fn build(&self, headers: &Headers<'_>, output: &Output, payload: &[u8], work: &mut Vec<u8>) {
        work.clear();
        let (ip, l4, version) = match *headers {
            Headers::Kept { frame, layers } => self.push_kept(frame, layers, work),
            Headers::Fresh(ref fresh) => push_fresh(fresh, self.config.link, work),
        };
        let payload_at = work.len();
        match output.payload {
            Payload::None => {}
            Payload::Frame(from, to) => {
                work.extend_from_slice(payload.get(from..to).unwrap_or_default());
            }
            Payload::Copy { at, len } => {
                let end = plus(payload_at, index(len));
                // A segment is no longer than its receiver's MSS, and `work` holds the longest
                // packet.
                work.resize(end.min(work.capacity()), 0);
                let room = work.get_mut(payload_at..).unwrap_or_default();
                let got = (self.copy)(output.to, at, room);
                work.truncate(plus(payload_at, got));
            }
        }
        let end = work.len();
        let made = Layers {
            ip,
            tags: [0; 4],
            tag_count: 0,
            version,
            fragment: None,
            protocol: number::TCP,
            transport: Transport::Tcp,
            l4,
            payload: payload_at,
            payload_end: end,
            ip_end: end,
        };
        write_ip_len(work, version, ip, minus(end, ip));
        checksum::fill_ip(work, &made);
        self.write_numbers(work, output, made);
        checksum::fill_transport(work, &made);
        if self.config.link == LinkLayer::Ethernet && end < limits::ETHERNET_BYTES_MIN {
            work.resize(limits::ETHERNET_BYTES_MIN, 0);
        }
    }

    /// Appends the headers of the frame that came; where IP and TCP begin, and which IP it is.
    fn push_kept(
        &self,
        frame: &[u8],
        layers: &Layers,
        work: &mut Vec<u8>,
    ) -> (usize, usize, IpVersion) {
        work.extend_from_slice(frame.get(..layers.payload).unwrap_or_default());
        let options_at = plus(layers.l4, TCP_BYTES);
        if let Some(options) = self.outputs.onward_options()
            && let Some(place) = work.get_mut(options_at..layers.payload)
            && place.len() == options.len()
        {
            place.copy_from_slice(options);
        }
        (layers.ip, layers.l4, layers.version)
    }

    /// Numbers, bits and window. The checksum is kept right, or is made right where that of the
    /// frame was only taken on trust.
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
        if self.config.trust_checksums {
            checksum::fill_transport(bytes, &layers);
        }
    }
}

/// Appends fresh headers, without lengths, checksums and numbers; where IP and TCP begin, and which
/// IP it is.
fn push_fresh(
    headers: &FreshHeaders<'_>,
    link: LinkLayer,
    work: &mut Vec<u8>,
) -> (usize, usize, IpVersion) {
    let FreshHeaders { source, destination, version, options, .. } = headers;
    work.extend_from_slice(headers.link);
    if headers.turned {
        swap_ends(work, link);
    }
    let ip = work.len();
    let [high, low] = DONT_FRAGMENT.to_be_bytes();
    let header = IpHeader {
        version: *version,
        protocol: number::TCP,
        source: &source.address,
        destination: &destination.address,
        id_and_flags: [0, 0, high, low],
    };
    let l4 = plus(ip, header.push(work));
    // Options are whole words.
    let words = u8::try_from(plus(options.len(), TCP_BYTES) / 4).unwrap_or(5);
    work.extend_from_slice(&source.port.to_be_bytes());
    work.extend_from_slice(&destination.port.to_be_bytes());
    work.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, words << 4, 0, 0, 0, 0, 0, 0, 0]);
    work.extend_from_slice(options);
    (ip, l4, *version)
}

//= https://www.rfc-editor.org/rfc/rfc6864#section-4.3
//# non-atomic datagrams MUST NOT repeat IPv4 ID values within one MDL for a given source
//# address/destination address/protocol tuple
fn write_id(bytes: &mut [u8], layers: &Layers, next_id: &mut u32) {
    if layers.version == IpVersion::V6 {
        return;
    }
    let at = |offset| plus(layers.ip, offset);
    let word = |offset| u16_at(bytes, at(offset));
    let (Some(old), Some(flags), Some(sum)) = (word(4), word(6), word(10)) else { return };
    if flags & DONT_FRAGMENT != 0 {
        return;
    }
    let [.., high, low] = next_id.to_be_bytes();
    *next_id = next_id.wrapping_add(1);
    let id = u16::from_be_bytes([high, low]);
    write_u16(bytes, at(4), id);
    write_u16(bytes, at(10), checksum::update(sum, old, id));
}
