//! Pull: trees of data about entities, in batches.
//!
//! A pattern is parsed once ([`parse`]), laid out for a database's schema ([`layout`]) and then run over any number of
//! entities at once ([`run`]): every attribute of a level is read for all its entities by one pass over the index.
//! [`index`] walks an index and pulls what it finds.

pub mod index;
mod layout;
mod parse;
pub mod pattern;
mod run;
#[cfg(test)]
mod tests;
mod xform;

pub use index::{IndexPull, index_pull};
pub use pattern::Pattern;
pub(crate) use run::{MAX_DEPTH, identify};
pub use run::{Pull, pull, pull_many, pull_many_until};
