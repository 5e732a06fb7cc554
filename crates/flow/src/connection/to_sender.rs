//! Segments to the sender of a segment: acknowledgements of bytes that its receiver will not
//! acknowledge, and bytes of the other half-stream that waited for the sender's window.

use crate::answer::CopiedRange;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::limits::MSS_MIN;
use crate::options::{self, Timestamps};
use crate::segment::{Output, Outputs, Payload, To};
use stage::position::{len32, minus, plus};
use wire::{Seq, TcpFlags};

/// What the sender of a segment is to be told.
#[derive(Clone, Copy)]
pub(super) struct ForSender {
    /// It is to be told what is acknowledged, though its receiver will not acknowledge anything.
    pub(super) due: bool,
    /// A position ahead of order that was just stored, for a selective acknowledgement.
    pub(super) ahead: Option<Seq>,
    /// The timestamp to echo.
    pub(super) echo: Option<u32>,
}

/// Tells the sender of `half` which bytes it may forget, where its receiver will not: everything
/// before a deletion or a hold is acknowledged, or the segment brought nothing new. Bytes that the
/// other half-stream has for the sender go with it.
pub(super) fn send_back(
    half: &mut Half,
    other: &mut Half,
    stores: &mut Stores,
    out: &mut Outputs,
    what: ForSender,
) {
    if !other.is(Facts::KNOWN) || !half.is(Facts::KNOWN) {
        return;
    }
    // A sender that sends again may lack bytes that nobody else resends.
    let backlog =
        other.backlog(stores).or_else(|| other.proxy_acknowledged(stores).filter(|_| what.due));
    let ends = ends_here(other, stores, backlog);
    let (mut news, mut asked) = (false, false);
    if !half.is_transparent() {
        let acknowledgeable = half.acknowledgeable(stores);
        // While bytes are outstanding the receiver's own acknowledgement will tell, unless the
        // sender sends again.
        let due = what.due || half.una_e == half.sent_e;
        news = due && acknowledgeable.is_after(half.acked_o);
        asked = what.due;
        if news {
            half.acked_o = acknowledgeable;
            // Bytes that were deleted and are acknowledged now are past.
            half.acknowledge(stores, half.una_e);
        }
    }
    if !news && !asked && backlog.is_none() && !ends {
        return;
    }
    let window = half.tell_window(stores);
    let timestamps = what.echo.map(|echo| Timestamps { value: other.stamp, echo });
    let sack =
        what.ahead.filter(|_| half.is(Facts::SACK) && other.is(Facts::SACK)).and_then(|at| {
            stores.buffers(half.buffers_id()).and_then(|buffers| buffers.waiting.run_at(at))
        });
    out.back_options = options::of_an_ack(timestamps, sack);
    let empty = Output {
        to: To::Sender,
        seq: other.sent_e,
        ack: half.acked_o,
        flags: TcpFlags::ACK,
        window,
        payload: Payload::None,
    };
    match backlog {
        Some(run) => send_backlog(other, stores, run, empty, out),
        None if ends => send_end(other, empty, out),
        None => {
            out.push(empty);
        }
    }
}

/// The end that is told from here has not gone out, and everything before it has.
fn ends_here(half: &Half, stores: &Stores, backlog: Option<CopiedRange>) -> bool {
    half.is(Facts::FINISHED)
        && !half.is(Facts::FIN_OUT)
        && backlog.is_none()
        && half.end_is_due(stores)
}

fn send_backlog(
    half: &mut Half,
    stores: &Stores,
    run: CopiedRange,
    empty: Output,
    out: &mut Outputs,
) {
    let options = len32(out.back_options().len());
    // Where the path is narrower, they are sent again in smaller ones.
    let chunk = u32::from(half.mss).saturating_sub(options).max(u32::from(MSS_MIN));
    let CopiedRange { mut seq, mut at, mut len } = run;
    let before = out.list().len();
    while len > 0 {
        let bytes = len.min(chunk);
        let payload = Payload::Copy { at, len: bytes };
        if !out.push(Output { seq, payload, ..empty }) {
            break;
        }
        seq = seq.advance(bytes);
        at = plus(at, bytes);
        len = minus(len, bytes);
    }
    half.note_backlog_sent(seq);
    let due = half.end_is_due(stores) && seq == half.edge_e();
    // Where there was no room for any, the last output is another's.
    if out.list().len() > before {
        out.mark_last(true, due);
    }
    if due {
        note_end_sent(half);
    }
}

fn send_end(half: &mut Half, empty: Output, out: &mut Outputs) {
    let seq = half.edge_e();
    if out.push(Output { seq, flags: empty.flags.with(TcpFlags::FIN), ..empty }) {
        note_end_sent(half);
    }
}

fn note_end_sent(half: &mut Half) {
    half.note(Facts::FIN_OUT);
    half.sent_e = half.sent_e.max(half.edge_e().advance(1));
}
