//! What the engine remembers of every connection: next to nothing of those between two messages,
//! all of the others.
//!
//! Holds:     [`Kept`], one a connection; [`Conversations`]: those in the middle of something, and
//!            what the others have in common.
//! Promises:  there is room for every connection of the table to be in the middle of something at
//!            once.
//! Never:     looks into a conversation.

use engine::{Conversation, Resting};
use stage::position::{index, len32};

use super::interned::{Interner, ValueNo};

/// Of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    Nothing,
    /// Between two messages, like many others.
    Resting(ValueNo),
    /// In the middle of something, or at a place where few are: its number in [`Conversations`].
    Awake(u32),
}

#[derive(Debug)]
pub(crate) struct Conversations {
    resting: Interner<Resting>,
    awake: Vec<Conversation>,
    free: Vec<u32>,
}

impl Conversations {
    /// For so many connections. Memory that is not needed at once is not touched.
    pub(crate) fn new(flows: usize) -> Self {
        let (awake, free) = (Vec::with_capacity(flows), Vec::with_capacity(flows));
        Self { resting: Interner::new(), awake, free }
    }

    /// A new connection's.
    pub(crate) fn begin(&mut self, conversation: Conversation) -> Kept {
        match conversation.rest().and_then(|resting| self.resting.take(resting)) {
            Some(no) => Kept::Resting(no),
            None => Kept::Awake(self.put(conversation)),
        }
    }

    /// Runs `f` on the conversation.
    pub(crate) fn with<R>(&mut self, kept: &mut Kept, f: impl FnOnce(&mut Conversation) -> R) -> R {
        match *kept {
            Kept::Awake(no) => {
                let Some(conversation) = self.awake.get_mut(index(no)) else {
                    return f(&mut Resting::default().wake());
                };
                let result = f(conversation);
                if let Some(now) = conversation.rest().and_then(|now| self.resting.take(now)) {
                    *kept = Kept::Resting(now);
                    self.free.push(no);
                }
                result
            }
            Kept::Resting(was) => {
                let mut conversation = self.resting.get(was).copied().unwrap_or_default().wake();
                let result = f(&mut conversation);
                let now = match conversation.rest() {
                    Some(now) => self.resting.change(was, now),
                    None => {
                        self.resting.give(was);
                        None
                    }
                };
                *kept = match now {
                    Some(now) => Kept::Resting(now),
                    None => Kept::Awake(self.put(conversation)),
                };
                result
            }
            Kept::Nothing => f(&mut Resting::default().wake()),
        }
    }

    /// Looks at the conversation.
    pub(crate) fn look<R>(&self, kept: &Kept, f: impl FnOnce(&Conversation) -> R) -> R {
        let awake = match kept {
            Kept::Awake(no) => self.awake.get(index(*no)),
            Kept::Nothing | Kept::Resting(_) => None,
        };
        let resting = match kept {
            Kept::Resting(no) => self.resting.get(*no),
            Kept::Nothing | Kept::Awake(_) => None,
        };
        match awake {
            Some(conversation) => f(conversation),
            None => f(&resting.copied().unwrap_or_default().wake()),
        }
    }

    /// The connection is over.
    pub(crate) fn forget(&mut self, kept: &mut Kept) {
        match core::mem::replace(kept, Kept::Nothing) {
            Kept::Nothing => {}
            Kept::Resting(no) => self.resting.give(no),
            Kept::Awake(no) => self.free.push(no),
        }
    }

    /// Each connection has at most one awake, so there is room.
    fn put(&mut self, conversation: Conversation) -> u32 {
        if let Some(no) = self.free.pop() {
            if let Some(place) = self.awake.get_mut(index(no)) {
                *place = conversation;
            }
            return no;
        }
        let no = len32(self.awake.len());
        self.awake.push(conversation);
        no
    }
}
