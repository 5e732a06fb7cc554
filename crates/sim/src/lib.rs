//! Two hosts, impaired links and the datapath on one virtual clock; pcap NIC.

pub mod cases;
pub mod load;
pub mod pcap;
pub mod tcp;
