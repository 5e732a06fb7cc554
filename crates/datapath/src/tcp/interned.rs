//! Values that many connections have in common, kept once.
//!
//! Holds:     [`Interner`]: the values there are, and how many have each.
//! Promises:  a value stays as long as somebody has it; there are never more than [`VALUES_MAX`].
//! Never:     allocates after it was made, or looks at more than all of them.

/// Different values at once. Most connections of a protocol are at one of two places in it: idle,
/// or waiting for an answer.
const VALUES_MAX: usize = 64;

/// Number of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueNo(u8);

#[derive(Debug)]
pub(crate) struct Interner<T> {
    values: Vec<InternedValue<T>>,
}

#[derive(Debug)]
struct InternedValue<T> {
    value: T,
    /// How many have it. 0: its place is free.
    holders: u32,
    /// What the last who gave it up took instead: the next one most likely does, too.
    next: ValueNo,
}

impl<T: Copy + PartialEq> Interner<T> {
    pub(crate) fn new() -> Self {
        Self { values: Vec::with_capacity(VALUES_MAX) }
    }

    pub(crate) fn get(&self, no: ValueNo) -> Option<&T> {
        self.values.get(usize::from(no.0)).map(|place| &place.value)
    }

    /// One more has `value`. `None`: there are too many others.
    pub(crate) fn take(&mut self, value: T) -> Option<ValueNo> {
        let same = self.values.iter().position(|place| place.value == value);
        let found = same.or_else(|| self.values.iter().position(|place| place.holders == 0));
        let at = found.unwrap_or(self.values.len());
        let no = ValueNo(u8::try_from(at).ok().filter(|_| at < VALUES_MAX)?);
        match self.values.get_mut(at) {
            Some(place) => {
                place.value = value;
                place.holders = place.holders.saturating_add(1);
            }
            None => self.values.push(InternedValue { value, holders: 1, next: no }),
        }
        Some(no)
    }

    /// One fewer has this value.
    pub(crate) fn give(&mut self, no: ValueNo) {
        if let Some(place) = self.values.get_mut(usize::from(no.0)) {
            place.holders = place.holders.saturating_sub(1);
        }
    }

    /// One that had `was` has `value` instead. `None`: it has neither.
    pub(crate) fn change(&mut self, was: ValueNo, value: T) -> Option<ValueNo> {
        let place = self.values.get(usize::from(was.0))?;
        if place.value == value {
            return Some(was);
        }
        let next = place.next;
        self.give(was);
        if let Some(likely) =
            self.values.get_mut(usize::from(next.0)).filter(|it| it.value == value)
        {
            likely.holders = likely.holders.saturating_add(1);
            return Some(next);
        }
        let now = self.take(value)?;
        if let Some(place) = self.values.get_mut(usize::from(was.0)) {
            place.next = now;
        }
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_history_against_a_list() {
        let mut interner = Interner::new();
        let mut model: Vec<(ValueNo, u32)> = Vec::new();
        let mut state = 9_u32;
        let (mut refused, mut most) = (0, 0);
        for _ in 0..40_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (value, who) = ((state >> 8) % 90, (state >> 16) as usize % (model.len() + 1));
            match state >> 30 {
                0 | 1 => match interner.take(value) {
                    Some(no) => model.push((no, value)),
                    None => refused += 1,
                },
                2 if who < model.len() => match interner.change(model[who].0, value) {
                    Some(no) => model[who] = (no, value),
                    None => {
                        model.swap_remove(who);
                        refused += 1;
                    }
                },
                _ if who < model.len() => {
                    let (no, _) = model.swap_remove(who);
                    interner.give(no);
                }
                _ => {}
            }
            if model.len() > 200 {
                model.drain(..).for_each(|(no, _)| interner.give(no));
            }
            for (no, value) in &model {
                assert_eq!(interner.get(*no), Some(value));
            }
            let mut values: Vec<u32> = model.iter().map(|(_, value)| *value).collect();
            values.sort_unstable();
            values.dedup();
            most = values.len().max(most);
            assert!(interner.values.len() <= VALUES_MAX);
        }
        assert!(refused > 100 && most == VALUES_MAX, "{refused} {most}");
    }

    #[test]
    fn the_usual_change_is_found_at_once() {
        let mut interner = Interner::new();
        let idle = interner.take(1).unwrap();
        let busy = interner.change(idle, 2).unwrap();
        assert_eq!(interner.change(busy, 1), Some(idle));
        assert_eq!(interner.values[usize::from(idle.0)].next, busy);
        assert_eq!(interner.change(idle, 2), Some(busy));
        assert_eq!(interner.change(busy, 2), Some(busy), "no change");
    }
}
