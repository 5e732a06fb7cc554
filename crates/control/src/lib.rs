//! Appliance configuration, reload, control socket: the slow side of the box.
//!
//! Holds:     the rows of the configuration's keys ([`Settings`]), [`Config`] (checked), the loader
//!            that makes a plan of it, the control socket.
//! Promises:  bad input changes nothing that runs. Its message has file, line, column and the text
//!            to write instead.
//! Never:     touches a packet, or runs on a data-plane core.

mod audit;
mod config;
mod effective;
mod forms;
mod groups;
mod host;
mod keys;
mod manual;
mod ports;
mod problems;
pub mod protocol;
mod reload;
mod schema;
mod server;
mod settings;
mod words;

pub use config::Config;
pub use effective::sample;
pub use forms::{AddressPrefix, FilePermissions, PortDevice};
pub use host::problems_here;
pub use keys::{KeyWord, Malformed};
pub use manual::{configuration_page, wrap};
pub use reload::{LoadedPlan, known_group, load_plan, wants_restart};
pub use schema::schema;
pub use server::ControlServer;
pub use settings::{
    BLOCKS_PER_MIB, CONTROL_SOCKET, ControlSettings, EalSettings, GroupSettings, LimitSettings,
    LogSettings, MetricsSettings, PortSettings, Settings, WorkerSettings,
};
pub use words::{Choice, Layout, LogFormat, LogLevel, Words};
