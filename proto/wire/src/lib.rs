//! The contract in Rust: the generated types of `proto/annals/v1`, and the conversions between them and the
//! product's own types. Only this crate knows prost; it knows neither sockets nor TLS.
//!
//! Layout: [`error`] errors as gRPC statuses; [`v1`] generated code, kept in the tree so that a build needs no
//! protobuf compiler.

pub mod error;
pub mod v1;

pub use error::{from_status, to_status};
