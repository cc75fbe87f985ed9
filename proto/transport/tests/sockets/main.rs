//! The transport over real sockets on the loopback: who gets in, what a call may do, how it ends.

#![allow(clippy::unwrap_used)]

mod calls;
mod drain;
mod roles;
mod stand;
mod tls;
