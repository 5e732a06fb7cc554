//! The acknowledgement of a segment: applied to the half it speaks of, and translated for that half's sender.
//!
//! Holds:     [`Acked`].
//! Promises:  what the sender is told never goes back, and never speaks of a byte whose successors in the edited stream the
//!            receiver still lacks.
//! Never:     believes an acknowledgement of what cannot have been sent.

use crate::blocks::len32;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::WAITING_BYTES_MAX;
use crate::options::{self, OptionBytes};
use crate::segment::{Outputs, Payload, SegmentIn};
use crate::seq_map::shifted;
use wire::options::TcpOption;
use wire::{Seq, TcpFlags};

/// An acknowledgement older than the receiver's window, and than the widest without scaling, is of another time.
const OLD_ACK_BYTES: u32 = 65_535;

/// What the acknowledgement of a segment became.
pub(crate) struct Acked {
    pub(crate) ack: Seq,
    pub(crate) window: u16,
    /// The receiver learns something: more is acknowledged, or the window is another.
    pub(crate) news: bool,
}

impl Acked {
    /// Applies the acknowledgement to the half it speaks of, and translates it. Not `believed`: it is only translated.
    pub(crate) fn on_ack(
        half: &mut Half,
        acceptable: bool,
        segment: &SegmentIn<'_>,
        stores: &mut Stores,
        out: &mut Outputs,
    ) -> Self {
        let tcp = &segment.tcp;
        let (ack, window) = (tcp.ack(), tcp.window());
        let unchanged = Self { ack, window, news: false };
        if !tcp.flags().has(TcpFlags::ACK) || !half.is(Facts::KNOWN) {
            return unchanged;
        }
        if half.is_transparent() {
            if !acceptable {
                return unchanged;
            }
            let news = ack.is_after(half.una_e) || window != half.window;
            half.on_ack(ack, window, stores);
            half.acked_o = half.una_e;
            return Self { news, ..unchanged };
        }
        if !acceptable || ack.is_before(half.una_e) || ack.is_after(half.furthest_e()) {
            // It says nothing new, or nothing that can be true.
            out.onward_options = translated_options(half, segment, stores, half.acked_o);
            return Self { ack: half.to_original(stores, ack), ..unchanged };
        }
        let before = (half.acked_o, half.window);
        half.on_ack(ack, window, stores);
        half.acked_o = half.acked_o.max(half.acknowledgeable(stores));
        let told = half.acked_o;
        out.onward_options = translated_options(half, segment, stores, told);
        let window = half.tell_window(stores);
        let news = told.is_after(before.0) || before.1 != half.window;
        Self { ack: told, window, news }
    }
}

impl Half {
    //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
    //# The ACK value is considered acceptable only if it is in the range of ((SND.UNA - MAX.SND.WND) <= SEG.ACK <=
    //# SND.NXT).
    /// The furthest edited position that may be acknowledged: no further than can have been sent, nor than the receiver's window
    /// has let in, and a little, since an acknowledgement that opened it may have been lost on its way here.
    fn furthest_e(&self) -> Seq {
        let end = self.edge_e().advance(u32::from(self.is(Facts::FIN_OUT)));
        if !self.is(Facts::WINDOW) {
            return end;
        }
        end.min(self.right_e.max(self.sent_e).advance(WAITING_BYTES_MAX))
    }

    //= https://www.rfc-editor.org/rfc/rfc5961#section-5.2
    //# All incoming segments whose ACK value doesn't satisfy the above condition MUST be discarded and an ACK sent back.
    /// The receiver of this half-stream says in a segment that it has what it cannot have, or had not for longer than a window: its
    /// peer discards the segment, whatever it carries.
    ///
    /// Acknowledged 9000, sent up to 9500, window 64 KiB: 9600 is refused, and 9000 less 65,536; 8000 is merely late. With a window
    /// of 1 MiB what is late by as much is taken: on a fast path a segment may be overtaken by many.
    pub(crate) fn refuses(&self, segment: &SegmentIn<'_>) -> bool {
        if !segment.tcp.flags().has(TcpFlags::ACK) || !self.is(Facts::KNOWN) {
            return false;
        }
        let ack = segment.tcp.ack();
        let window = u32::from(self.window) << self.scale.min(14);
        ack.is_after(self.furthest_e().max(self.sent_e))
            || ack.is_before(self.una_e.retreat(window.max(OLD_ACK_BYTES)))
    }

    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.10.7.4
    //# If an incoming segment is not acceptable, an acknowledgment should be sent in reply ... After sending the
    //# acknowledgment, drop the unacceptable segment and return.
    /// A segment of this half-stream that its receiver would not discard for its sequence number: it ends no earlier than what
    /// its sender was told is acknowledged, and begins no later than its window lets in. A keep-alive (one before) counts.
    ///
    /// Acknowledged 5000, window up to 9000: 4999 with no byte is believed, 4990 with nine is not; 9000 is, 9001 is not
    /// (but for what may be held, which the sender was told of before its receiver).
    pub(crate) fn is_acceptable(&self, segment: &SegmentIn<'_>) -> bool {
        if !self.is(Facts::KNOWN) || !self.is(Facts::WINDOW) {
            return true;
        }
        let seq = segment.tcp.seq();
        let end = seq.advance(len32(segment.payload.len()));
        let last = self.right_e.max(self.sent_e).advance(WAITING_BYTES_MAX);
        let at = shifted(seq, self.next_o, self.next_e);
        !end.is_before(self.acked_o.retreat(1)) && !at.is_after(last)
    }

    /// What the sender of an empty segment, made of one whose bytes do not go on, has sent last.
    pub(crate) fn sent_end(&self) -> Seq {
        self.sent_e
    }

    /// The receiver acknowledges `ack`, not before `una_e`, and opens `window`.
    fn on_ack(&mut self, ack: Seq, window: u16, stores: &mut Stores) {
        if ack.is_before(self.una_e) || ack.is_after(self.furthest_e()) {
            return;
        }
        self.note_backlog_sent(ack);
        self.window = window;
        let open = u32::from(window) << self.scale.min(14);
        let right = ack.advance(open);
        self.right_e = if self.is(Facts::WINDOW) { self.right_e.max(right) } else { right };
        self.note(Facts::WINDOW);
        if ack != self.una_e || self.has_buffers() {
            self.acknowledge(stores, ack);
        }
    }

    /// The same where both sides have the same numbers.
    pub(crate) fn on_plain_ack(&mut self, ack: Seq, window: u16, stores: &mut Stores) {
        self.on_ack(ack, window, stores);
        self.acked_o = self.acked_o.max(self.una_e);
    }

    /// Neither inspected nor moved any more: the receiver sorts out what it has already.
    pub(crate) fn send_as_it_is(&self, segment: &SegmentIn<'_>, out: &mut Outputs) -> Seq {
        out.push_bytes(segment.tcp.seq(), Payload::Frame(0, segment.payload.len()))
    }

    /// Its end is known, and there are bytes in flight or held before it.
    pub(crate) const fn is_ending(&self) -> bool {
        self.has_buffers() && self.is(Facts::FIN_SEEN)
    }
}

fn translated_options(
    half: &Half,
    segment: &SegmentIn<'_>,
    stores: &Stores,
    told: Seq,
) -> Option<OptionBytes> {
    let unedited = !half.is(Facts::EDITED) && told == segment.tcp.ack();
    if unedited || (!half.has_buffers() && half.next_o == half.next_e) {
        return None;
    }
    let sack = segment.tcp.options().find_map(|option| match option {
        TcpOption::Sack { at, blocks } => Some((at, blocks)),
        TcpOption::MaxSegment(_)
        | TcpOption::WindowScale(_)
        | TcpOption::SackPermitted
        | TcpOption::Timestamps(..)
        | TcpOption::Other(..) => None,
    })?;
    let mut options = OptionBytes::from_slice(segment.tcp.option_bytes());
    let edges = (segment.tcp.ack(), told);
    match stores.buffers(half.buffers_id()) {
        Some(buffers) => {
            let through = |left, right| options::sack_through(&buffers.map, left, right);
            options::translate_sack(&mut options, sack, edges, &through);
        }
        None => {
            let plain = |left, right| {
                (shifted(left, half.next_e, half.next_o), shifted(right, half.next_e, half.next_o))
            };
            options::translate_sack(&mut options, sack, edges, &plain);
        }
    }
    (options.as_slice() != segment.tcp.option_bytes()).then_some(options)
}
