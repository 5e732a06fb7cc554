//! Skips units that concern no rule before the decoder makes fields of them.
//!
//! Holds:     nothing.
//! Promises:  a skipped unit would have gone on as it came, and the conversation is the same
//!            afterwards.
//! Never:     skips anything while a field is open or a message is being deleted.

use proto::{Step, Transport, View};
use stage::position::index;

use super::StreamRun;
use crate::decide::{Unit, first_affected};
use crate::scratch::Scratch;

impl StreamRun<'_> {
    /// Skips the units at the front of `rest` that concern no rule. Answers how many bytes they
    /// have.
    #[inline]
    pub(super) fn skip_unaffected(&mut self, rest: &[u8]) -> Option<usize> {
        let direction_rules = self.direction_rules;
        direction_rules.wanted.header_prefilter()?;
        let concerned = core::mem::take(&mut self.next_is_affected);
        if concerned || self.direction.inside_field || self.direction.discarding {
            return None;
        }
        let input = rest.get(..self.bound()).unwrap_or(rest);
        let ended = self.ended && input.len() == rest.len();
        let view = View { input, from: self.from, open: false, ended };
        let before = *self.state;
        let mut upto = usize::MAX;
        // The units in front of one that does concern a rule are skipped too.
        for again in [true, false] {
            let Scratch { fields, unit_scratch, .. } = &mut *self.scratch;
            fields.clear();
            let decoder = self.module.decoder;
            let step = decoder.stream_prefiltered(
                &direction_rules.wanted,
                self.state,
                view,
                upto,
                fields,
            )?;
            let Step::Unit { bytes, first, last } = step else { break };
            let Some(unit) = input.get(..bytes).filter(|unit| !unit.is_empty()) else { break };
            let concerned = if fields.is_empty() {
                None
            } else {
                let (module, peer) = (self.module, self.peer);
                let view = View { input: unit, ..view };
                let transport = Transport::Tcp;
                first_affected(
                    Unit { module, direction_rules, transport, view, fields, peer },
                    unit_scratch,
                )
            };
            let Some(at) = concerned else {
                self.direction.inside_message = !last;
                self.messages = self.messages.saturating_add(u32::from(first));
                self.next_is_affected = !again;
                return Some(bytes);
            };
            *self.state = before;
            upto = index(at);
            if !again || upto == 0 || direction_rules.wanted.whole() {
                return None;
            }
        }
        *self.state = before;
        None
    }
}
