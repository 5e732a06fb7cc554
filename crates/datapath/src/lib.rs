//! The journey of a packet: ten steps, each in the file of its name, over a burst.
//!
//! Holds:     [`turn`] and the ten steps, [`Core`] (what one core owns), the [`Reason`] every frame
//!            leaves with, the counters, and [`Nic`], the one door frames come in and go out by.
//! Promises:  a frame no patch concerns, or that is not understood, leaves exactly as it came;
//!            every received frame is counted under exactly one [`Reason`]; nothing is shared
//!            between cores but the plan and what telemetry reads.
//! Never:     allocates after start, reads a clock (of its own time it counts what [`Nic::cycles`]
//!            says of one burst in many), takes a lock, formats, logs, or panics on any bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::as_conversions)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "a test that panics has failed, which is what it is for"
    )
)]

// The ten steps, in order.
mod apply;
mod assemble;
mod classify;
mod decide;
mod dissect;
mod parse;
mod receive;
mod repair;
mod track;
mod transmit;

mod active_plan;
mod config;
mod core;
pub mod counters;
mod events;
mod headers;
mod journey;
pub mod limits;
pub mod memory;
mod nic;
mod packet;
mod reasons;
mod stages;
mod tcp;
mod tunnel;

pub use crate::active_plan::ActivePlan;
pub use crate::config::{Bridge, CoreConfig, Lane, LinkLayer, Tick};
pub use crate::core::Core;
pub use crate::counters::{CoreCounters, LcoreCycles, Lost, ModuleCells, PatchCells, PlanCounters};
pub use crate::events::{Event, EventUnit};
pub use crate::journey::turn;
pub use crate::limits::{Limits, Midstream, Tunnels};
pub use crate::nic::{Frame, FramePool, Nic, PortNo, RxChecksum};
pub use crate::packet::Packet;
pub use crate::reasons::{FrameFate, Reason};
pub use crate::stages::JourneyStage;
pub use crate::transmit::Outgoing;

// Types of the waist that stand in this interface, for crates above that have no other business
// with it.
pub use plan::{ModuleNo, PatchNo, Publisher};

#[cfg(test)]
mod tests;
