//! The configuration of a peer server: one TOML file.

use std::path::{Path, PathBuf};

use annals_edn::{Code, Error};
use annals_peer::query::QueryLimits;
use annals_transport::TlsFiles;
use serde::Deserialize;

use crate::Result;

/// What a peer server is started with. Relative paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// the cluster it belongs to
    pub cluster_id: String,
    /// its name in that cluster, as in its certificate
    pub id: String,
    /// where it listens, `host:port`; port 0 takes any free one
    pub listen: String,
    /// where clients reach it, if not where it listens
    #[serde(default)]
    pub advertise: Option<String>,
    /// transactors, `host:port`
    pub transactors: Vec<String>,
    /// where segments are: `file:///dir`
    pub store: String,
    /// the databases to serve; every one of the group if there is no such line
    #[serde(default)]
    pub databases: Option<Vec<String>>,
    /// what each query may take
    #[serde(default)]
    pub limits: Limits,
    /// its certificate
    pub tls: Tls,
}

/// What one query may take at most; its time is named by the request.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// rows that its steps together may make
    pub rows: u64,
    /// bytes that rows held at one time may take, about
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        let QueryLimits { rows, bytes, .. } = QueryLimits::default();
        Limits { rows, bytes }
    }
}

impl From<Limits> for QueryLimits {
    fn from(limits: Limits) -> QueryLimits {
        QueryLimits { rows: limits.rows, bytes: limits.bytes, ..QueryLimits::default() }
    }
}

/// Certificate files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// the authority, PEM
    pub ca: PathBuf,
    /// the certificate, PEM
    pub cert: PathBuf,
    /// its key, PEM
    pub key: PathBuf,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`, or `CONFIG` with line and key.
    pub fn load(file: &Path) -> Result<Config> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::new(Code::FileNotFound, format!("{} cannot be read: {error}", file.display()))
        })?;
        let mut config: Config = toml::from_str(&text)
            .map_err(|error| Error::new(Code::Config, format!("{}: {error}", file.display())))?;
        if config.transactors.is_empty() {
            return Err(Error::new(Code::Config, format!("{}: 'transactors' names none", file.display())));
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        for path in [&mut config.tls.ca, &mut config.tls.cert, &mut config.tls.key] {
            *path = folder.join(&*path);
        }
        Ok(config)
    }

    /// The certificate files as the transport takes them.
    #[must_use]
    pub fn tls_files(&self) -> TlsFiles {
        TlsFiles { ca: self.tls.ca.clone(), cert: self.tls.cert.clone(), key: self.tls.key.clone() }
    }
}
