//! The contract in Rust: the generated types of `proto/annals/v1`, and the conversions between them and the
//! product's own types. Only this crate knows prost; it knows neither sockets nor TLS.
//!
//! Layout: [`v1`] generated code, kept in the tree so that a build needs no protobuf compiler.

pub mod v1;
