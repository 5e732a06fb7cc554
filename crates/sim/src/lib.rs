//! Two hosts, impaired links and the datapath on one virtual clock. For development only.

mod dice;
pub mod evasion;
mod packet_device;
pub mod tcp;
