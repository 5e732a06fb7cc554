//! What the engine remembers of every connection: little of those between two messages, all of the others.
//!
//! Holds:     [`Mind`], one a connection; [`Minds`], the conversations that are in the middle of something.
//! Promises:  there is room for every connection of the table to be in the middle of something at once.
//! Never:     looks into a conversation.

use engine::{Conversation, Resting};

/// Of one connection.
#[derive(Debug)]
pub(super) enum Mind {
    Resting(Resting),
    /// In the middle of something: its number in [`Minds`].
    Awake(u32),
}

#[derive(Debug)]
pub(super) struct Minds {
    awake: Vec<Conversation>,
    free: Vec<u32>,
}

impl Minds {
    /// For so many connections. Memory that is not needed at once is not touched.
    pub(super) fn new(flows: usize) -> Self {
        Self { awake: Vec::with_capacity(flows), free: Vec::with_capacity(flows) }
    }

    /// Runs `f` on the conversation.
    pub(super) fn with<R>(&mut self, mind: &mut Mind, f: impl FnOnce(&mut Conversation) -> R) -> R {
        match *mind {
            Mind::Resting(resting) => {
                let mut conversation = resting.wake();
                let result = f(&mut conversation);
                *mind = match conversation.rest() {
                    Some(resting) => Mind::Resting(resting),
                    None => Mind::Awake(self.put(conversation)),
                };
                result
            }
            Mind::Awake(no) => {
                let Some(conversation) = self.awake.get_mut(index(no)) else {
                    return f(&mut Resting::default().wake());
                };
                let result = f(conversation);
                if let Some(resting) = conversation.rest() {
                    *mind = Mind::Resting(resting);
                    self.free.push(no);
                }
                result
            }
        }
    }

    /// Looks at the conversation.
    pub(super) fn look<R>(&self, mind: &Mind, f: impl FnOnce(&Conversation) -> R) -> R {
        match mind {
            Mind::Resting(resting) => f(&resting.wake()),
            Mind::Awake(no) => match self.awake.get(index(*no)) {
                Some(conversation) => f(conversation),
                None => f(&Resting::default().wake()),
            },
        }
    }

    /// The connection is over.
    pub(super) fn forget(&mut self, mind: &mut Mind) {
        if let Mind::Awake(no) = *mind {
            self.free.push(no);
        }
        *mind = Mind::Resting(Resting::default());
    }

    /// Each connection has one mind, so there is room.
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
