//! Appliance configuration, reload, control socket: the slow side of the box.
//!
//! Holds:     [`Config`] (checked), the loader that makes a plan of it, the control socket.
//! Promises:  bad input changes nothing that runs, and says file, line, column and what to do.
//! Never:     touches a packet, or runs on a data-plane core.

mod config;
mod host;
mod limits;
pub mod protocol;
mod raw;
mod reload;
mod server;

pub use config::{
    Config, ControlSocket, Device, Eal, Group, Layout, LogFormat, LogLevel, Midstream, Port,
    Tunnels, Workers, schema,
};
pub use host::problems_here;
pub use limits::Limits;
pub use reload::{Loaded, known_group, load_plan, wants_restart};
pub use server::ControlServer;
