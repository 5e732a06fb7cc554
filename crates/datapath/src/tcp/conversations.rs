//! What the engine remembers of every connection: little of those between two messages, all of the others.
//!
//! Holds:     [`Kept`], one a connection; [`Conversations`], the conversations that are in the middle of something.
//! Promises:  there is room for every connection of the table to be in the middle of something at once.
//! Never:     looks into a conversation.

use engine::{Conversation, Resting};

/// Of one connection.
#[derive(Debug)]
pub(super) enum Kept {
    Resting(Resting),
    /// In the middle of something: its number in [`Conversations`].
    Awake(u32),
}

#[derive(Debug)]
pub(super) struct Conversations {
    awake: Vec<Conversation>,
    free: Vec<u32>,
}

impl Conversations {
    /// For so many connections. Memory that is not needed at once is not touched.
    pub(super) fn new(flows: usize) -> Self {
        Self { awake: Vec::with_capacity(flows), free: Vec::with_capacity(flows) }
    }

    /// Runs `f` on the conversation.
    pub(super) fn with<R>(&mut self, kept: &mut Kept, f: impl FnOnce(&mut Conversation) -> R) -> R {
        match *kept {
            Kept::Resting(resting) => {
                let mut conversation = resting.wake();
                let result = f(&mut conversation);
                *kept = match conversation.rest() {
                    Some(resting) => Kept::Resting(resting),
                    None => Kept::Awake(self.put(conversation)),
                };
                result
            }
            Kept::Awake(no) => {
                let Some(conversation) = self.awake.get_mut(index(no)) else {
                    return f(&mut Resting::default().wake());
                };
                let result = f(conversation);
                if let Some(resting) = conversation.rest() {
                    *kept = Kept::Resting(resting);
                    self.free.push(no);
                }
                result
            }
        }
    }

    /// Looks at the conversation.
    pub(super) fn look<R>(&self, kept: &Kept, f: impl FnOnce(&Conversation) -> R) -> R {
        match kept {
            Kept::Resting(resting) => f(&resting.wake()),
            Kept::Awake(no) => match self.awake.get(index(*no)) {
                Some(conversation) => f(conversation),
                None => f(&Resting::default().wake()),
            },
        }
    }

    /// The connection is over.
    pub(super) fn forget(&mut self, kept: &mut Kept) {
        if let Kept::Awake(no) = *kept {
            self.free.push(no);
        }
        *kept = Kept::Resting(Resting::default());
    }

    /// Each connection has at most one awake, so there is room.
    fn put(&mut self, conversation: Conversation) -> u32 {
        if let Some(no) = self.free.pop() {
            if let Some(place) = self.awake.get_mut(index(no)) {
                *place = conversation;
            }
            return no;
        }
        let no = u32::try_from(self.awake.len()).unwrap_or(u32::MAX);
        self.awake.push(conversation);
        no
    }
}

fn index(no: u32) -> usize {
    usize::try_from(no).unwrap_or(usize::MAX)
}
