//! The contract in Rust: the generated types of `proto/annals/v1`, and the conversions between them and the
//! product's own types, one border a file. Only this crate knows prost; it knows neither sockets nor TLS.
//!
//! Layout: [`error`] errors as gRPC statuses; [`value`] EDN as values; [`rows`] reading chunks; [`v1`] generated code,
//! kept in the tree so that a build needs no protobuf compiler; with the feature `db`, for those who hold a database,
//! [`db`] values, columns and datoms. The thin client builds without that feature.

#[cfg(feature = "db")]
pub mod db;
pub mod error;
pub mod feed;
pub mod rows;
pub mod v1;
pub mod value;

pub use error::{from_status, is_broken, to_status};
pub use prost::Message;
pub use rows::{Cell, Rows};
