//! No segment comes: bytes that were held past a deadline go on, and proxy-acknowledged bytes are
//! sent again.
//!
//! Holds:     [`Connection::on_timeout`], and when it is due.
//! Promises:  nothing that may begin a pattern is held past its deadline, unless bytes before its
//!            end are missing, which their sender will resend. Bytes that were released so reach
//!            the receiver, however often they are lost.
//! Never:     reads a clock, or sends where either end has something outstanding that will make it
//!            send.
//!
//! ```text
//! 1000..1003 come, "${j" of a pattern: they are held, and acknowledged to their sender.
//! Nothing comes for 400 ms: 1000..1003 go to the receiver, and are lost.
//! Their sender has the acknowledgement 1003, and does not resend them.
//! 1 s later 1000..1003 are sent again, 2 s after that again, until the receiver acknowledges them.
//! ```

use super::synchronized::send_end;
use super::to_sender::{ForSender, send_back};
use super::{Connection, ConnectionState};
use crate::Tick;
use crate::assembler::Assembler;
use crate::half::{Facts, Half};
use crate::in_flight::{Resend, Stores};
use crate::limits::{
    MSS_MIN, OPTION_BYTES_MAX, RESEND_DOUBLINGS_MAX, RESEND_MS, SEGMENT_BYTES_MIN,
};
use crate::options::{self, Timestamps};
use crate::segment::{Outputs, SegmentOutcome};
use stage::{Direction, Stage};
use wire::TcpFlags;

impl Connection {
    /// The caller must call [`Self::on_timeout`] for this direction every
    /// [`crate::limits::LOOK_AGAIN_MS`].
    pub fn awaits_timeout(&self, direction: Direction, stores: &Stores) -> bool {
        let [server, client] = &self.halves;
        let half = match direction {
            Direction::Request => server,
            Direction::Response => client,
        };
        half.has_buffers()
            && (half.held_since(stores).is_some() || half.has_proxy_acknowledged(stores))
    }

    /// Does what is due in bytes that travel in `direction`. [`SegmentOutcome::Rebuilt`]: bytes
    /// were sent again; another outcome: a hold has reached its deadline; `None`: nothing is due.
    ///
    /// There is no frame. The outputs take their bytes from the copy only, and `out` has all
    /// options of a segment made here.
    pub fn on_timeout<S: Stage>(
        &mut self,
        direction: Direction,
        stores: &mut Stores,
        stage: &mut S,
        now: Tick,
        out: &mut Outputs,
    ) -> Option<SegmentOutcome> {
        out.clear();
        if matches!(self.state, ConnectionState::Dead | ConnectionState::Signed) {
            return None;
        }
        let (half, other) = self.pair(direction);
        let (ack, window) = (other.acked_o, other.tell_window(stores));
        let stamped = half.is(Facts::STAMPS) && other.is(Facts::STAMPS);
        let stamps = stamped.then_some(Timestamps { value: half.stamp, echo: other.stamp });
        // The path may be narrower than the MSS of the receiver.
        let room = u32::from(half.mss).saturating_sub(OPTION_BYTES_MAX).max(u32::from(MSS_MIN));
        out.chunk = SEGMENT_BYTES_MIN.min(room);
        let is_over =
            half.held_since(stores).is_some_and(|since| now.since(since) >= half.hold_ms(stores));
        let outcome = if is_over {
            let (start, payload) = (half.edge_o(), [].as_slice());
            let mut assembler =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            let result = assembler.on_deadline();
            if result.close {
                self.reset(direction, now, stores, out);
                return Some(result.outcome);
            }
            result.outcome
        } else if is_resend_due(half, stores, now) {
            let (start, payload) = (half.acked_o, [].as_slice());
            let mut assembler =
                Assembler { half, other, stores, stage, out, direction, now, start, payload };
            assembler.resend_proxy_acknowledged();
            SegmentOutcome::Rebuilt
        } else {
            return None;
        };
        let (half, other) = self.pair(direction);
        let again = if half.is(Facts::FINISHED) { TcpFlags::FIN } else { TcpFlags::ACK };
        let ended = send_end(half, stores, out, again);
        out.fill_headers(ack, window, TcpFlags::ACK);
        out.mark_last(true, ended);
        out.onward_options = Some(options::of_an_ack(stamps, None));
        let echo = stamps.map(|stamps| stamps.value);
        send_back(half, other, stores, out, ForSender { due: false, ahead: None, echo });
        Some(outcome)
    }
}

/// Times the receiver's acknowledgement of proxy-acknowledged bytes. The wait doubles each time
/// (RFC 6298 section 5).
fn is_resend_due(half: &Half, stores: &mut Stores, now: Tick) -> bool {
    if !half.has_proxy_acknowledged(stores) {
        return false;
    }
    let una_e = half.una_e;
    let Some((buffers, _)) = stores.buffers_mut(half.buffers_id()) else { return false };
    let resend = &mut buffers.resend;
    if !resend.runs || resend.una_e != una_e {
        *resend = Resend { una_e, since: now, times: 0, runs: true };
        return false;
    }
    if now.since(resend.since) < RESEND_MS << resend.times.min(RESEND_DOUBLINGS_MAX) {
        return false;
    }
    resend.since = now;
    // It only matters up to RESEND_DOUBLINGS_MAX.
    resend.times = resend.times.saturating_add(1);
    true
}
