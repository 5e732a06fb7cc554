//! The scratch of conditions: where the occurrences of a slot are, and buffers for the steps of
//! sources.

use proto::{Fields, Slot};

/// The occurrences of every slot in a unit, in wire order.
pub(crate) struct Chains {
    first: Vec<u16>,
    next: Vec<u16>,
    slots: Vec<Slot>,
}

/// No field has this number.
const NONE: u16 = u16::MAX;

impl Chains {
    pub(crate) fn new() -> Self {
        Self {
            first: vec![NONE; 1 << 16],
            next: Vec::with_capacity(proto::limits::FIELDS_MAX),
            slots: Vec::with_capacity(proto::limits::FIELDS_MAX),
        }
    }

    /// Forgets the last unit.
    pub(crate) fn clear(&mut self) {
        for slot in self.slots.drain(..) {
            if let Some(first) = self.first.get_mut(usize::from(slot)) {
                *first = NONE;
            }
        }
        self.next.clear();
    }

    /// Links the fields of a unit.
    pub(crate) fn link(&mut self, fields: &Fields) {
        self.clear();
        self.next.resize(fields.items().len(), NONE);
        for (at, field) in fields.items().iter().enumerate().rev() {
            let (Some(first), Some(next)) =
                (self.first.get_mut(usize::from(field.slot)), self.next.get_mut(at))
            else {
                continue;
            };
            *next = *first;
            *first = u16::try_from(at).unwrap_or(NONE);
            self.slots.push(field.slot);
        }
    }

    /// Field numbers of a slot's occurrences.
    pub(crate) fn of(&self, slot: Slot) -> impl Iterator<Item = usize> + '_ {
        let mut at = self.first.get(usize::from(slot)).copied().unwrap_or(NONE);
        core::iter::from_fn(move || {
            let field = usize::from(at);
            at = *self.next.get(field)?;
            Some(field)
        })
    }
}

/// Buffers for the values of sources after their steps.
pub(crate) struct Buffers {
    pub(super) left: Vec<u8>,
    pub(super) right: Vec<u8>,
    pub(crate) visits: u32,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self {
            left: Vec::with_capacity(proto::limits::TEXT_BYTES_MAX),
            right: Vec::with_capacity(proto::limits::TEXT_BYTES_MAX),
            visits: 0,
        }
    }
}
