//! Values of one core that no step changes: its clock, its ports, its settings.

use crate::limits::Limits;
use crate::nic::PortNo;

/// Milliseconds on the caller's clock. Only differences count.
pub type Tick = u64;

/// Two ports joined: a frame that comes in at one leaves at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// One port.
    pub left: PortNo,
    /// The other port.
    pub right: PortNo,
}

impl Bridge {
    /// Both ways across.
    pub const fn lanes(self) -> [Lane; 2] {
        [Lane { from: self.left, to: self.right }, Lane { from: self.right, to: self.left }]
    }
}

/// One way across a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Where the frame came in. Answers to its sender leave here.
    pub from: PortNo,
    /// Where it leaves.
    pub to: PortNo,
}

/// The header in front of IP. Ports are Ethernet; a capture may have any of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkLayer {
    /// Ethernet, VLAN, QinQ.
    #[default]
    Ethernet,
    /// No header: the frame is the IP packet.
    Ip,
    /// Linux cooked capture.
    Cooked,
    /// Linux cooked capture, second version.
    Cooked2,
    /// BSD loopback: four bytes of address family.
    Null,
    /// Not understood: every frame passes.
    Unknown,
}

/// The operator's settings of one core.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// The number of the core: its row of every [`ActivePlan`](crate::ActivePlan).
    pub core: usize,
    /// The bridges that it serves.
    pub bridges: Box<[Bridge]>,
    /// The header in front of IP.
    pub link: LinkLayer,
    /// Takes the IP and transport checksums of received packets for right. veth and tap pass
    /// packets whose checksum the NIC was to fill in. An edited packet then leaves with a right
    /// one.
    pub trust_checksums: bool,
    /// Bounds.
    pub limits: Limits,
}

impl Default for CoreConfig {
    /// One bridge of ports 0 and 1.
    fn default() -> Self {
        Self {
            core: 0,
            bridges: Box::new([Bridge { left: PortNo(0), right: PortNo(1) }]),
            link: LinkLayer::Ethernet,
            trust_checksums: false,
            limits: Limits::default(),
        }
    }
}
