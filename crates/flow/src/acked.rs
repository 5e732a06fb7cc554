//! The acknowledgement of a segment: applied to the half-stream it acknowledges, and translated for
//! that half's sender.
//!
//! Holds:     [`Acked`].
//! Promises:  the acknowledgement that a sender gets never goes back, and never covers a byte while
//!            the receiver lacks an edited byte that came of it.
//! Never:     applies an acknowledgement that [`crate::acceptance`] does not accept.

use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::options::{self, OptionBytes, SackEdges, SackOption};
use crate::segment::{Outputs, Payload, SegmentIn};
use crate::seq_map::shifted;
use wire::options::TcpOption;
use wire::{Seq, TcpFlags};

/// What the acknowledgement of a segment became.
#[derive(Clone, Copy)]
pub(crate) struct Acked {
    pub(crate) ack: Seq,
    pub(crate) window: u16,
    /// The receiver learns something: more is acknowledged, or the window is another.
    pub(crate) news: bool,
}

impl Acked {
    /// Applies the acknowledgement of `segment` to the half-stream that it acknowledges, and
    /// translates it. The acknowledgement of a segment that is not `acceptable` is only translated.
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
        if !acceptable || !half.accepts_ack(ack) {
            // It acknowledges nothing new, or bytes that were never sent.
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
    /// The receiver acknowledges edited `ack`, and opens `window`.
    fn on_ack(&mut self, ack: Seq, window: u16, stores: &mut Stores) {
        if !self.accepts_ack(ack) {
            return;
        }
        self.note_backlog_sent(ack);
        self.window = window;
        let right = ack.advance(self.window_bytes());
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

    /// One past the last byte that was sent to the receiver: the number of an empty segment, made
    /// of one whose bytes do not go on.
    pub(crate) fn sent_end(&self) -> Seq {
        self.sent_e
    }

    /// Sends the payload of `segment` as it came, where nothing is inspected or moved any more. The
    /// receiver knows which of its bytes it has.
    pub(crate) fn send_as_it_is(&self, segment: &SegmentIn<'_>, out: &mut Outputs) -> Seq {
        out.push_bytes(segment.tcp.seq(), Payload::Frame(0, segment.payload.len()))
    }

    /// Its end is known, and bytes before it are in flight or held.
    pub(crate) const fn is_ending(&self) -> bool {
        self.has_buffers() && self.is(Facts::FIN_SEEN)
    }
}

/// The options of `segment` with its SACK blocks translated; `None` where they stay as they are.
/// The sender is told that everything before original `told` is acknowledged.
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
        TcpOption::Sack { at, blocks } => Some(SackOption { at, blocks }),
        TcpOption::MaxSegment(_)
        | TcpOption::WindowScale(_)
        | TcpOption::SackPermitted
        | TcpOption::Timestamps(..)
        | TcpOption::Other(..) => None,
    })?;
    let mut options = OptionBytes::from_slice(segment.tcp.option_bytes());
    let edges = SackEdges { ack_e: segment.tcp.ack(), told_o: told };
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
