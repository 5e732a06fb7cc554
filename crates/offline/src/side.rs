//! The two sides of the box.

use datapath::PortNo;

/// A side of the box: every connection has its client on one and its server on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionSide {
    /// The clients' side.
    Client,
    /// The servers' side.
    Server,
}

impl ConnectionSide {
    /// Client first.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// The opposite side.
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Its place in an array of both.
    pub const fn index(self) -> usize {
        match self {
            Self::Client => 0,
            Self::Server => 1,
        }
    }

    /// The box's port on this side.
    pub const fn port(self) -> PortNo {
        match self {
            Self::Client => PortNo(0),
            Self::Server => PortNo(1),
        }
    }

    /// For messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "the client",
            Self::Server => "the server",
        }
    }

    /// For traces.
    pub const fn letter(self) -> char {
        match self {
            Self::Client => 'C',
            Self::Server => 'S',
        }
    }
}
