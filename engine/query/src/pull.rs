//! Pull: trees of data about entities.

pub mod pattern;

pub use pattern::Pattern;
