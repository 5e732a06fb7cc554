//! Two hosts, impaired links and the datapath on one virtual clock; pcap NIC.

pub mod cases;
mod device;
pub mod evasion;
pub mod load;
pub mod pcap;
pub mod tcp;
