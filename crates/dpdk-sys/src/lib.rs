//! Bindings to the system's libdpdk; no logic
