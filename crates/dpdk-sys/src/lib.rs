//! Bindings to the system's libdpdk.
//!
//! Holds:     what bindgen made of an allow-list (`build.rs`), and the C shim's functions
//!            (`dpdk_*`), offsets and 64-bit constants (`DPDK_*`).
//! Promises:  nothing beyond DPDK's own documentation. All of it is unsafe to call.
//! Never:     has logic. `capsule` is its only user.

#![allow(unsafe_code, reason = "this crate is where DPDK is declared; see docs/unsafe.md")]
#![allow(
    non_camel_case_types,
    non_upper_case_globals,
    non_snake_case,
    unused_qualifications,
    unnecessary_transmutes,
    reason = "the names and the code are bindgen's"
)]
#![allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::allow_attributes_without_reason,
    reason = "the code is bindgen's"
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
