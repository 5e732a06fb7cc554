//! The journey over frames in memory, under plans made by hand.

mod identity;
mod lab;
mod limits;
mod lines;
mod page;
mod patched;
mod shortened;
mod stages;
mod strangers;
mod streams;
mod tunnels;
