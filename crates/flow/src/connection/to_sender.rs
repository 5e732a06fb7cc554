//! What goes back to the sender of a segment: acknowledgements of what its receiver will not acknowledge, and what waited for
//! its own window in the other half-stream.

use crate::answer::CopiedRange;
use crate::half::{Facts, Half};
use crate::in_flight::Stores;
use crate::options;
use crate::segment::{Output, Outputs, Payload, To};
use wire::{Seq, TcpFlags};

/// Tells the sender what it may forget, where its receiver will not: all that is before a deletion or a hold is
/// acknowledged, or the segment brought nothing new. What the other half-stream has for the sender goes with it.
pub(super) fn send_back(
    half: &mut Half,
    other: &mut Half,
    stores: &mut Stores,
    out: &mut Outputs,
    (answer, ahead): (bool, Option<Seq>),
    stamps: Option<u32>,
) {
    if !other.is(Facts::KNOWN) || !half.is(Facts::KNOWN) {
        return;
    }
    // Whoever asks again may have missed what nobody else resends.
    let backlog =
        other.backlog(stores).or_else(|| other.proxy_acknowledged(stores).filter(|_| answer));
    let ends = ends_here(other, stores, backlog);
    let (mut news, mut asked) = (false, false);
    if !half.is_transparent() {
        let promised = half.acknowledgeable(stores);
        // While something is outstanding the receiver's own acknowledgement will tell, unless the sender asks again.
        let due = answer || half.una_e == half.sent_e;
        news = due && promised.is_after(half.acked_o);
        asked = answer;
        if news {
            half.acked_o = promised;
            // What was deleted and acknowledged is past.
            half.acknowledge(stores, half.una_e);
        }
    }
    if !news && !asked && backlog.is_none() && !ends {
        return;
    }
    let window = half.tell_window(stores);
    let timestamps = stamps.map(|echo| (other.stamp, echo));
    let sack = ahead.filter(|_| half.is(Facts::SACK) && other.is(Facts::SACK)).and_then(|at| {
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

/// The end that was told from here has not gone out, and everything before it has, or goes with `backlog`.
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
    let options = u32::try_from(out.back_options().len()).unwrap_or(0);
    // Where the path is narrower, they are sent again in smaller ones.
    let chunk = u32::from(half.mss).saturating_sub(options).max(64);
    let CopiedRange { mut seq, mut at, mut len } = run;
    let before = out.list().len();
    while len > 0 {
        let bytes = len.min(chunk);
        let payload = Payload::Copy { at, len: bytes };
        if !out.push(Output { seq, payload, ..empty }) {
            break;
        }
        seq = seq.advance(bytes);
        at = at.wrapping_add(bytes);
        len = len.wrapping_sub(bytes);
    }
    half.note_backlog_sent(seq);
    let due = half.end_is_due(stores) && seq == half.edge_e();
    // Where there was no room for any, the last output is another's.
    if out.list().len() > before
        && let Some(last) = out.list_mut().last_mut()
    {
        last.flags = last.flags.with(TcpFlags::PSH);
        if due {
            last.flags = last.flags.with(TcpFlags::FIN);
        }
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
