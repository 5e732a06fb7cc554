//! Two hosts, impaired links and the datapath on one virtual clock; pcap NIC.

pub mod cases;
pub mod pcap;
