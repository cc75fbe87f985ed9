//! How the contract is carried: TLS, HTTP/2, health, certificates, and the stack every call passes.
//!
//! Only this crate knows rustls and tower. It knows no service and no database: processes give a [`Server`] their
//! services as [`Routes`], clients get a [`Channel`] from [`mod@connect`].
//!
//! Layout: [`identity`] who calls, [`access`] what they may; [`authority`] and [`tls`] certificates; [`server`] the
//! listener, [`health`] its readiness, `stack` what calls pass; [`mod@connect`](mod@connect) the client's end;
//! [`telemetry`] logs, [`process`] a server's `main`.

pub mod access;
pub mod authority;
mod certificate;
pub mod connect;
pub mod health;
pub mod identity;
pub mod process;
pub mod server;
mod stack;
pub mod telemetry;
pub mod tls;

pub use authority::Authority;
pub use connect::{ConnectOptions, connect};
pub use health::{Readiness, State};
pub use identity::{Identity, Principal, Role};
pub use server::connection::RemoteAddr;
pub use server::limits::Limits;
pub use server::{Handle, Server};
pub use stack::deadline::Deadline;
pub use tls::{TlsFiles, TlsIdentity};
pub use tokio_util::sync::CancellationToken;
pub use tonic::service::Routes;
pub use tonic::transport::Channel;
