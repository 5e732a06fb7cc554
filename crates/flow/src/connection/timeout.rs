//! What is to be done for a half-stream while nobody speaks.
//!
//! Holds:     [`Connection::on_timeout`], which lets go what was held too long, and sends again what nobody else will.
//! Promises:  nothing is held for a pattern or a unit past its deadline, unless bytes before its end are missing and will be
//!            resent by their sender; what was let go so reaches the receiver, however often it is lost.
//! Never:     reads a clock, or speaks where either end has something outstanding that will do it.
//!
//! ```text
//! 1000..1003 come, "${j" of a pattern: held, and acknowledged to their sender.
//! nothing comes for 400 ms: 1000..1003 go to the receiver. They are lost. Their sender, told 1003, is silent.
//! 1 s later 1000..1003 are sent again, 2 s after that again, and so on until the receiver acknowledges them.
//! ```

use super::{Connection, ConnectionState, send_end, to_sender};
use crate::Tick;
use crate::assembler::Assembler;
use crate::half::Facts;
use crate::half::Half;
use crate::in_flight::{Resend, Stores};
use crate::limits::{RESEND_DOUBLINGS_MAX, RESEND_MS, SEGMENT_BYTES_MIN};
use crate::options;
use crate::segment::{Outputs, SegmentOutcome};
use stage::{Direction, Stage};
use wire::TcpFlags;

impl Connection {
    /// [`Self::on_timeout`] is to be asked about this way, every [`crate::limits::LOOK_AGAIN_MS`].
    pub fn awaits_timeout(&self, direction: Direction, stores: &Stores) -> bool {
        let [server, client] = &self.halves;
        let half = match direction {
            Direction::Request => server,
            Direction::Response => client,
        };
        half.has_buffers()
            && (half.held_since(stores).is_some() || half.has_proxy_acknowledged(stores))
    }

    /// Does what is overdue in bytes that travel `way`: [`SegmentOutcome::Released`] and the like where a hold's deadline has come,
    /// [`SegmentOutcome::Rebuilt`] where something is sent again; `None` where nothing is due. There is no frame: outputs name
    /// the copy only, and `out` has all options of a segment made here.
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
        let stamps = stamped.then_some((half.stamp, other.stamp));
        // The path may be narrower than what the receiver said it takes.
        out.chunk = SEGMENT_BYTES_MIN.min(u32::from(half.mss).saturating_sub(40).max(64));
        let outcome = if half
            .held_since(stores)
            .is_some_and(|since| now.since(since) >= half.hold_ms(stores))
        {
            let start = half.edge_o();
            let mut turn =
                Assembler { half, other, stores, stage, out, direction, now, start, payload: &[] };
            let taken = turn.on_deadline();
            if taken.close {
                self.reset(direction, now, stores, out);
                return Some(taken.outcome);
            }
            taken.outcome
        } else if is_resend_due(half, stores, now) {
            let start = half.acked_o;
            let mut turn =
                Assembler { half, other, stores, stage, out, direction, now, start, payload: &[] };
            turn.resend_proxy_acknowledged();
            SegmentOutcome::Rebuilt
        } else {
            return None;
        };
        let (half, other) = self.pair(direction);
        let again = if half.is(Facts::FINISHED) { TcpFlags::FIN } else { TcpFlags::ACK };
        let ended = send_end(half, stores, out, again);
        for output in out.list_mut() {
            output.ack = ack;
            output.window = window;
            output.flags = TcpFlags::ACK;
        }
        if let Some(last) = out.list_mut().last_mut() {
            last.flags = last.flags.with(TcpFlags::PSH);
            if ended {
                last.flags = last.flags.with(TcpFlags::FIN);
            }
        }
        out.onward_options = Some(options::of_an_ack(stamps, None));
        let echo = stamps.map(|(mine, _)| mine);
        to_sender::send_back(half, other, stores, out, (false, None), echo);
        Some(outcome)
    }
}

/// Times the wait for the receiver's acknowledgement of what only we can send again (RFC 6298 section 5: doubled each time).
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
    resend.times = resend.times.saturating_add(1);
    true
}
