//! The journey over frames in memory: `wirepatch test`, `replay` and `bench` need no DPDK for it.
//!
//! Holds:     the capture NIC ([`pcap`]), patches' test cases through the pipeline ([`cases`]),
//!            the load generator ([`load`]).
//! Promises:  the same input gives the same frames: time comes from the caller.
//! Never:     runs a TCP stack. Two stacks on a virtual clock are the simulator's (crate `sim`),
//!            which the product does not contain.

pub mod cases;
pub mod load;
pub mod pcap;
mod side;

pub use side::ConnectionSide;
