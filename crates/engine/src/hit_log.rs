//! Counts what every patch did in one call.

use plan::PatchNo;

use crate::outcome::Hit;

/// Patches with hits in one unit. They count once the unit is known to go on.
const PENDING_MAX: usize = 1024;

pub(crate) struct HitLog {
    hits: Vec<Hit>,
    /// By patch: place in `hits` plus one.
    place: Vec<u16>,
    pending: Vec<Hit>,
}

impl HitLog {
    pub(crate) fn new() -> Self {
        Self {
            hits: Vec::with_capacity(usize::from(u16::MAX)),
            place: vec![0; 1 << 16],
            pending: Vec::with_capacity(PENDING_MAX),
        }
    }

    /// Forgets the last call.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        if !self.hits.is_empty() {
            self.clear_hits();
        }
    }

    #[inline(never)]
    fn clear_hits(&mut self) {
        for hit in self.hits.drain(..) {
            if let Some(place) = self.place.get_mut(usize::from(hit.patch.0)) {
                *place = 0;
            }
        }
    }

    pub(crate) fn hits(&self) -> &[Hit] {
        &self.hits
    }

    pub(crate) fn edit(&mut self, patch: PatchNo, removed_bytes: u32, inserted_bytes: u32) {
        self.note(Hit { patch, edits: 1, removed_bytes, inserted_bytes, verdicts: 0 });
    }

    /// Counts an edit at once, where nothing else can become of the unit.
    pub(crate) fn only_edit(&mut self, patch: PatchNo, removed_bytes: u32) {
        self.count(Hit { patch, edits: 1, removed_bytes, inserted_bytes: 0, verdicts: 0 });
    }

    pub(crate) fn verdict(&mut self, patch: PatchNo) {
        self.note(Hit { patch, edits: 0, removed_bytes: 0, inserted_bytes: 0, verdicts: 1 });
    }

    fn note(&mut self, hit: Hit) {
        let full = self.pending.len() >= PENDING_MAX;
        match self.pending.last_mut() {
            Some(last) if last.patch == hit.patch => add(last, hit),
            // A unit with edits of so many patches. The count is wrong only if the unit's edits are
            // given up.
            _ if full => self.count(hit),
            _ => self.pending.push(hit),
        }
    }

    /// Counts what was noted: the unit goes on as decided.
    pub(crate) fn commit(&mut self) {
        while let Some(hit) = self.pending.pop() {
            self.count(hit);
        }
    }

    /// Forgets what was noted: the unit goes on as it came.
    pub(crate) fn abandon(&mut self) {
        self.pending.clear();
    }

    fn count(&mut self, hit: Hit) {
        let Some(place) = self.place.get_mut(usize::from(hit.patch.0)) else { return };
        if let Some(known) = place.checked_sub(1).and_then(|at| self.hits.get_mut(usize::from(at)))
        {
            add(known, hit);
        } else if self.hits.len() < usize::from(u16::MAX) {
            self.hits.push(hit);
            *place = u16::try_from(self.hits.len()).unwrap_or(0);
        }
    }
}

fn add(hit: &mut Hit, more: Hit) {
    hit.edits = hit.edits.saturating_add(more.edits);
    hit.removed_bytes = hit.removed_bytes.saturating_add(more.removed_bytes);
    hit.inserted_bytes = hit.inserted_bytes.saturating_add(more.inserted_bytes);
    hit.verdicts = hit.verdicts.saturating_add(more.verdicts);
}
