//! Two hosts, impaired links and the datapath on one virtual clock. For development only.

mod device;
pub mod evasion;
pub mod tcp;
