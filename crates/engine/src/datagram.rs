//! One datagram: dissect, decide, repair.

use plan::{DirectionRules, FailMode, Mode, Module, Reply, Verdict};
use proto::{Dissection, Refusal, Refused, Transport, ValueCut, View};
use stage::Direction;

use crate::decide::{Unit, decide};
use crate::outcome::{DatagramResult, DatagramVerdict, Peer, Undecided};
use crate::scratch::Scratch;

/// Runs `module` over one datagram.
pub fn datagram(
    module: &Module,
    from: Direction,
    payload: &[u8],
    peer: &Peer,
    scratch: &mut Scratch,
) -> DatagramResult {
    scratch.clear();
    let direction_rules = module.direction(from);
    let mut result =
        DatagramResult { verdict: DatagramVerdict::Pass, undecided: None, messages: 1 };
    if direction_rules.rules.is_empty() {
        return result;
    }
    scratch.fields.clear();
    let view = || View { input: payload, from, open: false, ended: true };
    match module.decoder.datagram(&direction_rules.wanted, view(), &mut scratch.fields) {
        Dissection::Message => {}
        Dissection::Cut(cut) => return shortened(module, direction_rules, &cut, scratch, result),
        Dissection::NotThisProtocol => {
            result.messages = 0;
            return undecided(module, Undecided::NotThisProtocol, result);
        }
    }
    // Most messages concern no rule. A decoder often sees that before it makes fields of them.
    if scratch.fields.is_empty() && direction_rules.index.every_unit().is_empty() {
        return result;
    }
    decided(module, direction_rules, view(), peer, scratch, result)
}

/// Applies a truncation that the decoder has found to be the only effect of the rules.
fn shortened(
    module: &Module,
    direction_rules: &DirectionRules,
    cut: &ValueCut,
    scratch: &mut Scratch,
    mut result: DatagramResult,
) -> DatagramResult {
    let program = direction_rules.index.slot(cut.slot).and_then(|slot| slot.program());
    let rule =
        program.and_then(|program| program.truncate).and_then(|(_, no)| direction_rules.rule(no));
    if let Some(rule) = rule {
        scratch.unit_scratch.hit_log.only_edit(rule.patch, cut.removed_bytes);
        if module.mode == Mode::Enforce {
            scratch.edits.cut(cut);
            result.verdict = DatagramVerdict::Edited;
        }
    }
    result
}

/// Runs the rules over what the decoder found.
#[inline(never)]
fn decided(
    module: &Module,
    direction_rules: &DirectionRules,
    view: View<'_>,
    peer: &Peer,
    scratch: &mut Scratch,
    mut result: DatagramResult,
) -> DatagramResult {
    let Scratch { fields, edits, reply, unit_scratch } = scratch;
    let unit = Unit { module, direction_rules, transport: Transport::Udp, view, fields, peer };
    let decision = decide(unit, unit_scratch);
    let enforce = module.mode == Mode::Enforce;
    let rule = decision.verdict.and_then(|no| direction_rules.rule(no));
    if let Some(verdict) = rule.and_then(|rule| rule.transform.verdict()) {
        unit_scratch.hit_log.commit();
        if enforce {
            result.verdict = match verdict {
                Verdict::Drop | Verdict::Close(None) => DatagramVerdict::Drop,
                Verdict::Refuse(with) | Verdict::Close(Some(with)) => {
                    answer(module, view, with, reply)
                }
            };
        }
        return result;
    }
    if !unit_scratch.edits.is_empty() {
        unit_scratch.hit_log.commit();
        if enforce {
            core::mem::swap(edits, &mut unit_scratch.edits);
            result.verdict = DatagramVerdict::Edited;
        }
    }
    match decision.undecided {
        Some(why) => undecided(module, why, result),
        None => result,
    }
}

/// Applies the fail mode. Open: the datagram goes on with the edits of the other rules.
fn undecided(module: &Module, why: Undecided, result: DatagramResult) -> DatagramResult {
    let verdict = match (module.mode, module.fail) {
        (Mode::Enforce, FailMode::Closed) => DatagramVerdict::Drop,
        (Mode::Observe, _) | (_, FailMode::Open) => result.verdict,
    };
    DatagramResult { verdict, undecided: Some(why), ..result }
}

fn answer(module: &Module, view: View<'_>, with: &Reply, reply: &mut Vec<u8>) -> DatagramVerdict {
    reply.clear();
    let refusal = match with {
        Reply::Protocol(which) => module.decoder.refuse(Refused::Datagram, *which, view, reply),
        Reply::Custom(bytes) if bytes.len() <= reply.capacity() => {
            module.decoder.shape_custom_reply(Refused::Datagram, bytes, view, reply)
        }
        Reply::Custom(_) => Refusal::Silence,
    };
    match refusal {
        Refusal::Reply | Refusal::Last => DatagramVerdict::Reply,
        Refusal::Silence => DatagramVerdict::Drop,
    }
}
