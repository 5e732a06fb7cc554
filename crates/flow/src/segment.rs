//! One segment in, segments out.
//!
//! Holds:     [`SegmentIn`], the part of a frame that the editor reads; [`Outputs`], the segments
//!            to send for it; [`SegmentOutcome`], why.
//! Promises:  an output names its bytes by place (the frame's payload, or the copy), so nothing is
//!            copied twice.
//! Never:     builds a frame: the frame that came is the template of those that go.

use crate::limits::OUTPUTS_MAX;
use crate::options::OptionBytes;
use stage::position::{len32, minus, plus};
use wire::{Seq, Tcp, TcpFlags};

/// A segment as it came.
#[derive(Clone, Copy, Debug)]
pub struct SegmentIn<'a> {
    /// Its header.
    pub tcp: Tcp<'a>,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Whom an output goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The receiver of the segment that came.
    Receiver,
    /// Its sender: addresses and ports of the template are swapped.
    Sender,
}

/// Where an output's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// There are none.
    None,
    /// In the payload of the frame that came, from..to.
    Frame(usize, usize),
    /// In the copy of the half-stream that goes to the output's receiver:
    /// [`crate::Connection::copy_out`] gets them. Valid until the next segment is handled.
    Copy {
        /// Place in the copy.
        at: u32,
        /// How many.
        len: u32,
    },
}

impl Payload {
    /// How many bytes.
    pub fn len(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Frame(from, to) => len32(minus(to, from)),
            Self::Copy { len, .. } => len,
        }
    }

    /// There are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// A segment to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// To whom.
    pub to: To,
    /// Sequence number.
    pub seq: Seq,
    /// Acknowledgement number.
    pub ack: Seq,
    /// Control bits. Where URG is gone, the urgent pointer goes as well.
    pub flags: TcpFlags,
    /// Window field.
    pub window: u16,
    /// Payload.
    pub payload: Payload,
}

/// The segments to send for one that came; owned and reused by the caller.
#[derive(Debug)]
pub struct Outputs {
    list: Vec<Output>,
    /// The options of the segments to the receiver, where they differ from those that came.
    pub(crate) onward_options: Option<OptionBytes>,
    /// The options of the segments to the sender.
    pub(crate) back_options: OptionBytes,
    /// Longest payload of an output to the receiver that comes out of the copy.
    pub(crate) chunk: u32,
}

impl Outputs {
    /// Allocates once, for good.
    pub fn new() -> Self {
        Self {
            list: Vec::with_capacity(OUTPUTS_MAX),
            onward_options: None,
            back_options: OptionBytes::EMPTY,
            chunk: 0,
        }
    }

    /// In the order in which they are to be sent.
    pub fn list(&self) -> &[Output] {
        &self.list
    }

    /// The options of the segments to the receiver; `None`: as they came.
    pub fn onward_options(&self) -> Option<&[u8]> {
        self.onward_options.as_ref().map(OptionBytes::as_slice)
    }

    /// The options of the segments to the sender.
    pub fn back_options(&self) -> &[u8] {
        self.back_options.as_slice()
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.onward_options = None;
        self.back_options = OptionBytes::EMPTY;
    }

    pub(crate) fn list_mut(&mut self) -> &mut [Output] {
        &mut self.list
    }

    /// `false`: there are too many; TCP resends what is missing.
    pub(crate) fn push(&mut self, output: Output) -> bool {
        if self.list.len() >= OUTPUTS_MAX {
            return false;
        }
        self.list.push(output);
        true
    }

    /// Bytes for the receiver. Header fields but the sequence number are filled in at the end.
    /// Answers where the last byte that found room ends.
    pub(crate) fn push_bytes(&mut self, seq: Seq, payload: Payload) -> Seq {
        if let Some(last) = self.list.last_mut()
            && let Payload::Frame(from, to) = last.payload
            && let Payload::Frame(next, end) = payload
            && to == next
            && last.seq.advance(last.payload.len()) == seq
        {
            last.payload = Payload::Frame(from, end);
            return seq.advance(payload.len());
        }
        match payload {
            Payload::None => seq,
            Payload::Frame(..) => self.push_one(seq, payload),
            Payload::Copy { mut at, mut len } => {
                let mut seq = seq;
                while len > 0 {
                    let now = len.min(self.chunk.max(1));
                    let end = self.push_one(seq, Payload::Copy { at, len: now });
                    if end == seq {
                        break;
                    }
                    seq = end;
                    at = plus(at, now);
                    len = minus(len, now);
                }
                seq
            }
        }
    }

    /// Writes the header fields that the outputs so far have in common.
    pub(crate) fn fill_headers(&mut self, ack: Seq, window: u16, flags: TcpFlags) {
        for output in &mut self.list {
            output.ack = ack;
            output.window = window;
            output.flags = flags;
        }
    }

    /// Adds PSH and FIN to the last output, if there is one.
    pub(crate) fn mark_last(&mut self, push: bool, fin: bool) {
        let Some(last) = self.list.last_mut() else { return };
        if push {
            last.flags = last.flags.with(TcpFlags::PSH);
        }
        if fin {
            last.flags = last.flags.with(TcpFlags::FIN);
        }
    }

    /// One of the outputs carries bytes.
    pub(crate) fn has_bytes(&self) -> bool {
        self.list.iter().any(|output| !output.payload.is_empty())
    }

    /// The last output carries bytes.
    pub(crate) fn ends_in_bytes(&self) -> bool {
        self.list.last().is_some_and(|last| !last.payload.is_empty())
    }

    /// The end of the stream, without bytes.
    #[must_use]
    pub(crate) fn push_end(&mut self, seq: Seq) -> bool {
        let before = self.list.len();
        self.push_one(seq, Payload::None);
        self.list.len() > before
    }

    fn push_one(&mut self, seq: Seq, payload: Payload) -> Seq {
        let flags = TcpFlags::ACK;
        let output =
            Output { to: To::Receiver, seq, ack: Seq::default(), flags, window: 0, payload };
        if self.push(output) { seq.advance(payload.len()) } else { seq }
    }
}

impl Default for Outputs {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of a segment. The outputs are the segments to send; this is the reason, for the
/// counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentOutcome {
    /// The frame goes on exactly as it came.
    Untouched,
    /// The frame goes on with its numbers moved.
    Moved,
    /// Bytes of it were changed, or deleted.
    Edited,
    /// Its bytes were sent before. They were sent again out of the copy, or answered with an
    /// acknowledgement.
    Rebuilt,
    /// Its bytes wait for the rest of their unit.
    Held,
    /// It is ahead of a gap and waits.
    Ahead,
    /// It released bytes that were held.
    Released,
    /// Dropped: too far ahead, or one gap too many.
    AheadDropped,
    /// Dropped: no block is free.
    NoBlocks,
    /// Dropped: as many half-streams have bytes in flight as can be kept track of.
    NoInFlightBuffers,
    /// Dropped: more unacknowledged bytes, or pieces of them, than one half-stream may have.
    InFlightFull,
    /// Dropped: its control bits contradict each other, or none of SYN, ACK and RST is set.
    BadFlags,
    /// Dropped: its timestamp is older than one that came in order before, so its receiver would
    /// discard it.
    TooOld,
    /// Dropped: it came before the handshake was answered, so its receiver would discard it.
    Early,
    /// A SYN whose data was taken off.
    SynDataStripped,
    /// The stage asked for the end of the connection: both ends are reset.
    Closed,
    /// The connection could not be kept consistent: both ends are reset.
    Broken,
    /// Its connection was reset from here. It was answered with a reset.
    Dead,
    /// The connection is signed (TCP-MD5, TCP-AO): it is not edited.
    Signed,
}
