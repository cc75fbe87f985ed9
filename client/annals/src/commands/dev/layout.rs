//! The data directory of `annals dev`: what lies where, and the lock that keeps a second process out.
//!
//! ```text
//! DIR/lock             held while running
//! DIR/profile.toml     there while ready
//! DIR/pki/             the authority and the certificates
//! DIR/store/           segments and roots, shared by all processes
//! DIR/NAME.toml        configuration of a process
//! DIR/NAME/            data of a transactor
//! DIR/NAME.log         output of a process, with several
//! ```

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use annals_client::Profile;
use annals_edn::{Code, Error};
use annals_transport::identity::Role;
use annals_transport::{Authority, Identity, TlsFiles};

/// The cluster id of every development cluster.
pub const CLUSTER: &str = "annals-dev";

/// A locked data directory.
pub struct Layout {
    data: PathBuf,
    authority: Authority,
    client: TlsFiles,
    /// Locked until it is dropped.
    _lock: File,
}

impl Layout {
    /// Makes the directory if need be, locks it, and has certificates ready.
    ///
    /// # Errors
    /// `DATA_DIR_LOCKED` while another process uses it; `STORAGE`, `CONFIG`.
    pub fn open(data: &Path) -> Result<Layout, Error> {
        let storage = |error: io::Error| {
            Error::new(Code::Storage, format!("{} cannot be used: {error}", data.display()))
        };
        std::fs::create_dir_all(data).map_err(storage)?;
        let lock = File::create(data.join("lock")).map_err(storage)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    Code::DataDirLocked,
                    format!("{} is in use by another process", data.display()),
                )
                .hint("stop it, or choose another directory with --data DIR"));
            }
            Err(TryLockError::Error(error)) => return Err(storage(error)),
        }
        let pki = data.join("pki");
        let authority = Authority::open_or_create(&pki, CLUSTER)?;
        let identity = Identity::client(CLUSTER, "dev", &[Role::Admin])?;
        let client = authority.ensure(&identity, &[], &pki, "client")?;
        let layout = Layout { data: data.to_path_buf(), authority, client, _lock: lock };
        layout.remove_profile();
        Ok(layout)
    }

    /// The directory itself.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A path inside it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// The certificate of a process, made or renewed.
    pub fn node(&self, name: &str) -> Result<TlsFiles, Error> {
        let identity = Identity::node(CLUSTER, name)?;
        self.authority.ensure(&identity, &[], &self.data.join("pki"), name)
    }

    /// Where the shared store is, as configuration names it.
    pub fn store(&self) -> Result<String, Error> {
        let folder = self.data.join("store");
        std::fs::create_dir_all(&folder)
            .and_then(|()| folder.canonicalize())
            .map(|folder| format!("file://{}", folder.display()))
            .map_err(|error| {
                Error::new(Code::Storage, format!("{} cannot be made: {error}", folder.display()))
            })
    }

    /// Where the profile is written.
    pub fn profile_file(&self) -> PathBuf {
        self.data.join("profile.toml")
    }

    /// The profile of this cluster, its paths relative to the data directory.
    pub fn profile(&self, endpoints: Vec<String>, transactors: Vec<String>) -> Profile {
        let relative = |path: &Path| path.strip_prefix(&self.data).unwrap_or(path).to_path_buf();
        Profile {
            endpoints,
            transactors,
            ca: relative(&self.client.ca),
            cert: relative(&self.client.cert),
            key: relative(&self.client.key),
        }
    }

    /// Takes the profile away: nobody is ready.
    pub fn remove_profile(&self) {
        let _ = std::fs::remove_file(self.profile_file());
    }
}
