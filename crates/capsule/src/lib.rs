//! DPDK made safe
