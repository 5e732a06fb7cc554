//! Appliance configuration, reload, control socket
