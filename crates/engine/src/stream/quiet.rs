//! Units that concern nobody, passed over before the decoder makes fields of them.
//!
//! Holds:     nothing.
//! Promises:  what is passed over would have gone on as it came, and leaves the conversation as the long way would have.
//! Never:     passes over anything while a field is open or a message is taken away.

use proto::{Step, View};

use super::Run;
use crate::decide::{Unit, concerns_nobody};
use crate::scratch::Scratch;

impl Run<'_> {
    /// The units at the front of `rest` that nobody is concerned by: their bytes.
    #[inline]
    pub(super) fn quiet(&mut self, rest: &[u8]) -> Option<usize> {
        let side = self.side;
        side.wanted.sieve()?;
        if self.mine.inside_field || self.mine.discarding {
            return None;
        }
        let input = rest.get(..self.bound()).unwrap_or(rest);
        let ended = self.ended && input.len() == rest.len();
        let view = View { input, from: self.from, open: false, ended };
        let before = *self.state;
        let Scratch { fields, desk, .. } = &mut *self.scratch;
        fields.clear();
        let step = self.module.decoder.sift(&side.wanted, self.state, view, fields)?;
        if let Step::Unit { bytes, first, last } = step
            && let Some(unit) = input.get(..bytes).filter(|unit| !unit.is_empty())
            && side.index.is_calm(unit)
            && (fields.is_empty()
                || concerns_nobody(
                    Unit {
                        module: self.module,
                        side,
                        transport: proto::Transport::Tcp,
                        view: View { input: unit, ..view },
                        fields,
                        peer: self.peer,
                    },
                    desk,
                ))
        {
            self.mine.inside_message = !last;
            self.messages = self.messages.saturating_add(u32::from(first));
            return Some(bytes);
        }
        *self.state = before;
        None
    }
}
