//! A transactor's configuration, as its TOML file says it.
//!
//! ```toml
//! cluster_id = "music"
//! node_id = 1
//! listen = "0.0.0.0:4401"
//! health_listen = "0.0.0.0:4402" # probes over plain HTTP; left out: none
//! data_dir = "data"            # left out: nothing is kept
//! store = "file:///srv/annals" # where segments are published; left out: under the data directory
//! bootstrap = true             # founds the group if the data directory is empty; on one member only
//! members = [{ id = 1, addr = "a.example:4401" }, { id = 2, addr = "b.example:4401" }]
//!
//! [tls]
//! ca = "ca.pem"
//! cert = "node-1.pem"
//! key = "node-1.key"
//!
//! [limits]                      # what one transaction may be; left out: these
//! transaction_datoms = 200000   # assertions and retractions, after expansion
//! transaction_bytes = 4194304   # bytes, after expansion
//! string_bytes = 1048576        # bytes of a string, uri, keyword or symbol
//! blob_bytes = 1048576          # bytes of a value of type bytes
//! nesting = 128                 # maps and calls within one another; at most 1024
//! fuel = 1000000                # units of work of stored functions: rows read or made, parts of forms
//! ```
//!
//! Members with different limits decide differently as they lead: give all of them the same.
//!
//! Relative paths are relative to the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use annals_db::Limits;
use annals_edn::{Code, Error};
use annals_transport::TlsFiles;
use serde::Deserialize;

use crate::raft::{Member, NodeId};

/// Everything a transactor is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The cluster; certificates carry it too.
    pub cluster_id: String,
    /// This member. Never given to another member, ever.
    pub node_id: NodeId,
    /// Host and port; port 0 takes any free one.
    pub listen: String,
    /// Host and port for probes over plain HTTP; none where absent.
    #[serde(default)]
    pub health_listen: Option<String>,
    /// Where log and snapshot are kept; nothing is kept without.
    #[serde(default)]
    pub data_dir: Option<PathBuf>,
    /// Where segments are published: a `file://` URL.
    #[serde(default)]
    pub store: Option<String>,
    /// Founds the group if the data directory is empty.
    #[serde(default)]
    pub bootstrap: bool,
    /// The members of a new group. Empty: this one alone.
    #[serde(default)]
    pub members: Vec<MemberConfig>,
    /// Where the certificates are.
    pub tls: TlsConfig,
    /// When the index is built.
    #[serde(default)]
    pub index: IndexConfig,
    /// What one transaction may be.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// The most that one transaction may be, and a value of it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Assertions and retractions, after expansion.
    pub transaction_datoms: usize,
    /// Bytes, after expansion.
    pub transaction_bytes: usize,
    /// Bytes of a string, uri, keyword or symbol.
    pub string_bytes: usize,
    /// Bytes of a value of type bytes.
    pub blob_bytes: usize,
    /// Maps and calls within one another; at most [`MAX_NESTING`].
    pub nesting: usize,
    /// Units of work that stored functions may do.
    pub fuel: u64,
}

/// Deeper nesting would need more stack than evaluation has.
pub const MAX_NESTING: usize = 1024;

impl Default for LimitsConfig {
    fn default() -> Self {
        let Limits { datoms, bytes, string_bytes, blob_bytes, nesting, fuel } = Limits::default();
        Self { transaction_datoms: datoms, transaction_bytes: bytes, string_bytes, blob_bytes, nesting, fuel }
    }
}

impl LimitsConfig {
    /// As evaluation takes them.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let Self { transaction_datoms: datoms, transaction_bytes: bytes, string_bytes, blob_bytes, .. } =
            *self;
        Limits { datoms, bytes, string_bytes, blob_bytes, nesting: self.nesting, fuel: self.fuel }
    }
}

/// One member of the group.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberConfig {
    /// Its number.
    pub id: NodeId,
    /// Host and port where the others reach it.
    pub addr: String,
}

/// PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The authorities to trust.
    pub ca: PathBuf,
    /// This member's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// When novelty becomes segments, and when writers have to wait for that.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexConfig {
    /// An index job starts at so many bytes of novelty.
    pub threshold_bytes: u64,
    /// Beyond it new transactions are refused as busy.
    pub max_bytes: u64,
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self { threshold_bytes: 32 << 20, max_bytes: 256 << 20 }
    }
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`; `CONFIG`, naming line and field.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::new(Code::FileNotFound, format!("{}: {error}", path.display())))?;
        let mut config: Config = toml::from_str(&text)
            .map_err(|error| Error::new(Code::Config, format!("{}: {error}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let tls = &mut config.tls;
        for file in [&mut tls.ca, &mut tls.cert, &mut tls.key] {
            *file = folder.join(&file);
        }
        config.data_dir = config.data_dir.map(|dir| folder.join(dir));
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// `CONFIG`: this member is not among the members, an id is given twice, or nesting may go too deep.
    pub fn check(&self) -> Result<(), Error> {
        let members = self.members();
        if members.len() != self.members.len() {
            return Err(Error::new(Code::Config, "two members have the same id").with("field", "members"));
        }
        if !members.is_empty() && !members.contains_key(&self.node_id) {
            let message = format!("node {} is not among the members", self.node_id);
            return Err(Error::new(Code::Config, message).with("field", "node_id"));
        }
        if self.limits.nesting > MAX_NESTING {
            let message = format!("nesting is {}, and may be {MAX_NESTING}", self.limits.nesting);
            return Err(Error::new(Code::Config, message).with("field", "limits.nesting"));
        }
        Ok(())
    }

    /// The configured members by id.
    #[must_use]
    pub fn members(&self) -> BTreeMap<NodeId, Member> {
        let member = |member: &MemberConfig| {
            (member.id, Member { addr: member.addr.clone(), name: format!("transactor-{}", member.id) })
        };
        self.members.iter().map(member).collect()
    }

    /// The certificate files.
    #[must_use]
    pub fn tls_files(&self) -> TlsFiles {
        TlsFiles { ca: self.tls.ca.clone(), cert: self.tls.cert.clone(), key: self.tls.key.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        cluster_id = "music"
        node_id = 2
        listen = "127.0.0.1:0"
        data_dir = "data"
        members = [{ id = 1, addr = "a:1" }, { id = 2, addr = "b:1" }]
        tls = { ca = "ca.pem", cert = "/etc/n.pem", key = "n.key" }
    "#;

    fn read(text: &str) -> Result<Config, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = read(TEXT).unwrap();
        assert_eq!(config.tls.cert, Path::new("/etc/n.pem"));
        assert!(config.tls.ca.is_absolute() && config.data_dir.unwrap().ends_with("data"));
        assert_eq!(config.index.threshold_bytes, 32 << 20);
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| read(text).unwrap_err().message().to_owned();
        assert!(message(&TEXT.replace("listen", "lisen")).contains("lisen"));
        assert!(message(&TEXT.replace("node_id = 2", "node_id = 3")).contains("not among the members"));
        assert!(message(&TEXT.replace("id = 2, addr", "id = 1, addr")).contains("same id"));
        assert!(message(&format!("{TEXT}[limits]\nnesting = 5000")).contains("may be 1024"));
    }

    #[test]
    fn limits_are_given_one_by_one() {
        let limits = read(&format!("{TEXT}[limits]\ntransaction_datoms = 10")).unwrap().limits.limits();
        assert_eq!((limits.datoms, limits.bytes, limits.nesting), (10, 4 << 20, 128));
    }
}
