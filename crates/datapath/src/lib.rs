//! The journey of a packet, its reasons and per-core state
