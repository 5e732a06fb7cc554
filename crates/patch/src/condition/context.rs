//! The protocol, direction and slots that a rule is checked against.

use proto::{FieldDef, Protocol, Slot, Wanted};
use stage::Direction;

use super::lexer::Complaint;
use super::tree::TextRange;
use crate::names;

/// Shared by a rule's condition and its target.
pub(crate) struct RuleContext<'a> {
    pub(crate) protocol: &'static Protocol,
    /// Every protocol, to name the one that has an unknown field.
    pub(crate) others: &'a [&'static Protocol],
    /// Collects slots.
    pub(crate) wanted: &'a mut Wanted,
    /// The direction that the rule has to have, and the word that fixes it.
    pub(crate) direction: Option<(Direction, String)>,
}

impl RuleContext<'_> {
    /// The slot of a field by name and key, and its definition.
    pub(crate) fn field(
        &mut self,
        name: &str,
        key: Option<&[u8]>,
        at: TextRange,
    ) -> Result<(Slot, &'static FieldDef), Complaint> {
        let Some((id, def)) = self.protocol.field(name) else {
            let (message, help) = names::unknown(name, self.protocol, self.others);
            return Err(Complaint { help, ..Complaint::new(at, message) });
        };
        match (def.keyed, key) {
            // The bare name of a field that may repeat means each of them, with any key.
            (true, None) if !def.repeated => {
                return Err(Complaint::new(at, format!("`{name}` needs a key"))
                    .help(format!("write {name}[\"…\"]")));
            }
            (false, Some(_)) => {
                return Err(Complaint::new(at, format!("`{name}` takes no key"))
                    .help("only keyed fields do; `wirepatch fields` says which they are"));
            }
            (true, Some([])) => return Err(Complaint::new(at, "the key is empty")),
            (true, Some(_) | None) | (false, None) => {}
        }
        if let Some(direction) = def.direction {
            match &self.direction {
                Some((fixed, why)) if *fixed != direction => {
                    return Err(Complaint::new(
                        at,
                        format!("`{name}` is a field of {}", names::messages(direction)),
                    )
                    .note(format!("{why} makes this a rule for {}", names::messages(*fixed)))
                    .help("a rule sees the fields of one message only"));
                }
                Some(_) => {}
                None => self.direction = Some((direction, format!("`{name}`"))),
            }
        }
        let slot = match key {
            Some(key) => self.wanted.want_key(id, key),
            None => self.wanted.want(id),
        };
        Ok((slot, def))
    }
}
