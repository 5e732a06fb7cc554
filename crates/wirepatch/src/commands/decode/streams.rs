//! TCP connections of a capture, each direction put in order and handed to its decoder.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use proto::{DecoderState, Fields, Step, View};
use stage::Direction;
use wire::{Seq, Tcp, TcpFlags};

use super::KnownProtocol;
use super::message::{DecodedMessage, MessageOrigin};

/// A unit longer than this is decoded open, in pieces.
const UNIT_BYTES_MAX: usize = 1 << 20;

/// Bytes of one half-stream kept ahead of a gap; past it the gap is taken for lost.
const AHEAD_BYTES_MAX: usize = 8 << 20;

type SocketAddress = ([u8; 16], u16);
type WriteMessage<'a> = &'a mut dyn FnMut(&DecodedMessage) -> Result<()>;

/// All connections of a capture.
#[derive(Default)]
pub(super) struct CaptureStreams {
    by_ends: HashMap<(SocketAddress, SocketAddress), usize>,
    list: Vec<CaptureStream>,
    lost: u64,
}

struct CaptureStream {
    /// Which of the known protocols.
    no: usize,
    state: DecoderState,
    sides: [HalfStream; 2],
}

#[derive(Default)]
struct HalfStream {
    /// The next sequence number.
    next: Option<Seq>,
    /// In order, not decoded yet.
    buffer: Vec<u8>,
    /// Ahead of a gap: the bytes and what is to be said of them, by how far they are ahead of where
    /// this side began.
    ahead: BTreeMap<u64, (Vec<u8>, MessageOrigin)>,
    ahead_bytes: usize,
    /// Bytes in order so far, and where in them each packet's begin.
    position: u64,
    marks: Vec<(u64, MessageOrigin)>,
    finished_at: Option<u64>,
    skip: u64,
    done: bool,
    gap: bool,
    message: Option<DecodedMessage>,
}

impl CaptureStreams {
    /// Takes one segment.
    pub(super) fn segment(
        &mut self,
        known: &KnownProtocol,
        about: MessageOrigin,
        tcp: &Tcp<'_>,
        payload: &[u8],
        fields: &mut Fields,
        say: WriteMessage<'_>,
    ) -> Result<()> {
        let ends = match about.from {
            Direction::Request => (about.source, about.destination),
            Direction::Response => (about.destination, about.source),
        };
        let flags = tcp.flags();
        let starts = flags.has(TcpFlags::SYN) && !flags.has(TcpFlags::ACK);
        if starts
            && let Some(&at) = self.by_ends.get(&ends)
            && let Some(stream) = self.list.get_mut(at)
            && stream.sides.iter().any(|side| side.position > 0)
        {
            // The ports are used again.
            self.lost += stream.finish(known, fields, say)?;
            self.by_ends.remove(&ends);
        }
        let at = *self.by_ends.entry(ends).or_insert(self.list.len());
        if at == self.list.len() {
            let sides = [HalfStream::default(), HalfStream::default()];
            self.list.push(CaptureStream { no: known.no, state: known.decoder.start(), sides });
        }
        let Some(stream) = self.list.get_mut(at) else { return Ok(()) };
        let [request, response] = &mut stream.sides;
        let (side, other) = match about.from {
            Direction::Request => (request, response),
            Direction::Response => (response, request),
        };
        if flags.has(TcpFlags::SYN) {
            side.next = Some(tcp.seq().advance(1));
            return Ok(());
        }
        // Bytes that the other end has acknowledged and that are missing here were not captured.
        if flags.has(TcpFlags::ACK)
            && !other.ahead.is_empty()
            && other.next.is_some_and(|next| tcp.ack().is_after(next))
        {
            other.gap = true;
        }
        if flags.has(TcpFlags::RST) {
            self.lost += stream.finish(known, fields, say)?;
            self.by_ends.remove(&ends);
            return Ok(());
        }
        side.take(about, tcp, payload);
        stream.decode(about.from, known, fields, say)
    }

    /// The capture ends. How many half-streams had gaps.
    pub(super) fn finish(
        mut self,
        known: &[KnownProtocol],
        fields: &mut Fields,
        say: WriteMessage<'_>,
    ) -> Result<u64> {
        for stream in &mut self.list {
            if let Some(known) = known.get(stream.no) {
                self.lost += stream.finish(known, fields, say)?;
            }
        }
        Ok(self.lost)
    }
}

impl HalfStream {
    fn take(&mut self, about: MessageOrigin, tcp: &Tcp<'_>, payload: &[u8]) {
        let next = *self.next.get_or_insert(tcp.seq());
        let distance = i64::from(tcp.seq().distance_from(next));
        let start = i64::try_from(self.position).unwrap_or(i64::MAX).saturating_add(distance);
        let end = start.saturating_add(i64::try_from(payload.len()).unwrap_or(0));
        if tcp.flags().has(TcpFlags::FIN) {
            self.finished_at = u64::try_from(end).ok();
        }
        if self.done || self.gap {
            return;
        }
        if let Ok(start) = u64::try_from(start)
            && start > self.position
        {
            self.ahead_bytes = self.ahead_bytes.saturating_add(payload.len());
            self.gap = self.ahead_bytes > AHEAD_BYTES_MAX;
            if !payload.is_empty() {
                self.ahead.entry(start).or_insert_with(|| (payload.to_vec(), about));
            }
            return;
        }
        self.append(start, payload, about);
        while let Some(first) = self.ahead.first_entry()
            && *first.key() <= self.position
        {
            let (start, (bytes, about)) = first.remove_entry();
            self.ahead_bytes = self.ahead_bytes.saturating_sub(bytes.len());
            self.append(i64::try_from(start).unwrap_or(i64::MAX), &bytes, about);
        }
    }

    /// Adds what is new of bytes that begin at or before the end.
    fn append(&mut self, start: i64, payload: &[u8], about: MessageOrigin) {
        let known = i64::try_from(self.position).unwrap_or(i64::MAX).saturating_sub(start);
        let new = payload.get(usize::try_from(known).unwrap_or(0)..).unwrap_or_default();
        if new.is_empty() {
            return;
        }
        self.marks.push((self.position, about));
        self.buffer.extend_from_slice(new);
        let len = u32::try_from(new.len()).unwrap_or(0);
        self.position = self.position.saturating_add(len.into());
        self.next = self.next.map(|next| next.advance(len));
    }

    /// The packet that brought the first byte of the buffer.
    fn about(&self) -> Option<MessageOrigin> {
        let buffered = u64::try_from(self.buffer.len()).unwrap_or(0);
        let at = self.position.saturating_sub(buffered);
        let mark = self.marks.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        self.marks.get(mark).map(|(_, about)| *about)
    }

    fn consume(&mut self, bytes: usize) {
        self.buffer.drain(..bytes.min(self.buffer.len()));
        let buffered = u64::try_from(self.buffer.len()).unwrap_or(0);
        let at = self.position.saturating_sub(buffered);
        let old = self.marks.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.marks.drain(..old);
    }

    fn say(&mut self, say: WriteMessage<'_>) -> Result<()> {
        match self.message.take() {
            Some(message) => say(&message),
            None => Ok(()),
        }
    }

    fn ended(&self) -> bool {
        self.finished_at.is_some_and(|at| self.position >= at)
    }
}

impl CaptureStream {
    fn decode(
        &mut self,
        from: Direction,
        known: &KnownProtocol,
        fields: &mut Fields,
        say: WriteMessage<'_>,
    ) -> Result<()> {
        let ended = self.side(from).ended();
        self.decode_until(from, known, ended, fields, say)
    }

    fn side(&mut self, from: Direction) -> &mut HalfStream {
        let [request, response] = &mut self.sides;
        match from {
            Direction::Request => request,
            Direction::Response => response,
        }
    }

    fn decode_until(
        &mut self,
        from: Direction,
        known: &KnownProtocol,
        ended: bool,
        fields: &mut Fields,
        say: WriteMessage<'_>,
    ) -> Result<()> {
        let [request, response] = &mut self.sides;
        let side = match from {
            Direction::Request => request,
            Direction::Response => response,
        };
        let mut open = false;
        loop {
            let skipped = side.skip.min(u64::try_from(side.buffer.len()).unwrap_or(0));
            side.skip -= skipped;
            side.consume(usize::try_from(skipped).unwrap_or(0));
            if side.done || side.skip > 0 || side.buffer.is_empty() {
                break;
            }
            let Some(about) = side.about() else { break };
            fields.clear();
            open |= side.buffer.len() > UNIT_BYTES_MAX;
            let view = View { input: &side.buffer, from, open, ended };
            match known.decoder.stream(&known.wanted, &mut self.state, view, fields) {
                Step::Unit { bytes, first, last } if bytes > 0 => {
                    if first {
                        side.say(say)?;
                    }
                    let message = side.message.get_or_insert_with(|| DecodedMessage::new(about));
                    message.add(&known.wanted, fields, &side.buffer);
                    side.consume(bytes);
                    if last {
                        side.say(say)?;
                    }
                }
                Step::Skip { bytes, last } => {
                    side.skip = bytes;
                    if last {
                        side.say(say)?;
                    }
                }
                Step::SkipRest | Step::NotThisProtocol => side.done = true,
                // What is there at the end is shown, complete or not.
                Step::More(_) if ended && !open => open = true,
                Step::More(_) | Step::Unit { .. } => break,
            }
        }
        if side.done {
            side.buffer = Vec::new();
            side.ahead.clear();
            side.say(say)?;
        }
        Ok(())
    }

    /// Nothing more comes. How many of its directions had gaps.
    fn finish(
        &mut self,
        known: &KnownProtocol,
        fields: &mut Fields,
        say: WriteMessage<'_>,
    ) -> Result<u64> {
        let mut lost = 0;
        for from in Direction::BOTH {
            self.decode_until(from, known, true, fields, say)?;
            let side = self.side(from);
            lost += u64::from(!side.done && (side.gap || !side.ahead.is_empty()));
            side.say(say)?;
            side.done = true;
        }
        Ok(lost)
    }
}
