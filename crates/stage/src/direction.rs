//! The two directions of a conversation.

/// The direction that bytes travel in, by scope: to the server's port, or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// To the server.
    Request,
    /// To the client.
    Response,
}

impl Direction {
    /// Both, request first: the order of every `[T; 2]` that a direction indexes.
    pub const BOTH: [Self; 2] = [Self::Request, Self::Response];

    /// 0 for a request, 1 for a response.
    #[inline]
    pub const fn index(self) -> usize {
        match self {
            Self::Request => 0,
            Self::Response => 1,
        }
    }

    /// The other direction.
    #[inline]
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Request => Self::Response,
            Self::Response => Self::Request,
        }
    }
}
