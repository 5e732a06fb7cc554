//! YAML with places: a tree of nodes that know where they are, and a serde deserializer over it. It
//! reports every unknown key and every bad list item, not only the first.
//!
//! Holds:     the tree ([`Node`]), [`Spanned`], and [`from_source`].
//! Promises:  an error names the exact columns of the scalar it is about.
//! Never:     follows aliases or tags: files for this box need neither, and both let a small file
//!            mean a large one.

mod align;
mod de;
mod node;
mod spanned;

pub(crate) use align::place_within;
pub(crate) use de::{BYTES, LITERAL};
pub use de::{from_node, from_source};
pub use node::{Node, NodeValue, Style};
pub use spanned::{List, Spanned};

#[cfg(test)]
mod tests;
