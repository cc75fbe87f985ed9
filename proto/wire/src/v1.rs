//! Generated from `proto/annals/v1/*.proto`. Never edited: `tests/generated.rs` says whether it is current, and with
//! `ANNALS_REGENERATE=1` brings it up to date.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used, rustdoc::all)]

include!("generated/annals.v1.rs");

/// The encoded `FileDescriptorSet` of all files, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/annals.v1.bin");
