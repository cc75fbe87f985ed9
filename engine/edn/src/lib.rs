//! EDN, the notation that queries, tx-data, schema and results are written in, and the product's one error type.
//!
//! What it is: a reader with spans and limits, a writer, and the value tree between them. What it is not: it knows
//! nothing of databases, attributes or queries. Called by every crate. Owns nothing, keeps no state, does no I/O.
//! Reading fails with a spanned [`Error`]; depth and size are limited, so hostile input costs time linear in its length.
//!
//! Layout: [`tree`] the values, [`reader`] text to tree, [`instant`] dates and times, [`writer`] tree to text, [`error`]
//! kinds, codes and errors, [`mod@render`] an error shown under its line of source.

pub mod error;
pub mod instant;
pub mod reader;
pub mod render;
pub mod tree;
pub mod writer;

pub use error::{Code, Error, Kind};
pub use reader::{Forms, is_name, read_all, read_one};
pub use render::render;
pub use tree::{Edn, Keyword, Node, Span, Symbol};
pub use writer::write;
