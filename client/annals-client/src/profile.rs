//! The profile: where the processes of a cluster are and which certificate to show them.

use std::path::{Path, PathBuf};

use annals_edn::{Code, Error};
use serde::{Deserialize, Serialize};

use crate::Result;

/// The environment variable that names a profile file.
pub const PROFILE_VARIABLE: &str = "ANNALS_PROFILE";
/// Where a profile lies when nothing else names one.
pub const DEFAULT_PROFILE: &str = ".annals/profile.toml";

/// Where to connect and as whom. Paths are relative to the profile's own file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// peer servers, `host:port`: queries and transactions go here
    pub endpoints: Vec<String>,
    /// transactors, `host:port`: the catalog and administration
    #[serde(default)]
    pub transactors: Vec<String>,
    /// PEM file of the authority that signs the servers' certificates
    pub ca: PathBuf,
    /// PEM file of the client's certificate
    pub cert: PathBuf,
    /// PEM file of the client's key
    pub key: PathBuf,
}

impl Profile {
    /// The file to read: `given`, else `$ANNALS_PROFILE`, else `./.annals/profile.toml`.
    #[must_use]
    pub fn locate(given: Option<&Path>) -> PathBuf {
        match (given, std::env::var_os(PROFILE_VARIABLE)) {
            (Some(path), _) => path.to_path_buf(),
            (None, Some(path)) => path.into(),
            (None, None) => DEFAULT_PROFILE.into(),
        }
    }

    /// Reads a profile and makes its paths absolute to its own folder.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND`, or `CONFIG` with the line at fault.
    pub fn load(file: &Path) -> Result<Profile> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::new(Code::FileNotFound, format!("the profile {} cannot be read: {error}", file.display()))
                .hint("start a server with 'annals dev', or name a profile with --profile FILE or $ANNALS_PROFILE")
        })?;
        let mut profile: Profile = toml::from_str(&text).map_err(|error| {
            Error::new(Code::Config, format!("the profile {} is malformed: {error}", file.display()))
        })?;
        if profile.endpoints.is_empty() && profile.transactors.is_empty() {
            return Err(Error::new(
                Code::Config,
                format!("the profile {} names no endpoint", file.display()),
            ));
        }
        let folder = file.parent().unwrap_or(Path::new("."));
        for path in [&mut profile.ca, &mut profile.cert, &mut profile.key] {
            *path = folder.join(&*path);
        }
        Ok(profile)
    }

    /// Writes the profile whole or not at all.
    ///
    /// # Errors
    /// `STORAGE` when the folder cannot be written.
    pub fn save(&self, file: &Path) -> Result<()> {
        let text = toml::to_string(self).expect("a profile is plain data");
        let draft = file.with_extension("toml.new");
        std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, file)).map_err(|error| {
            Error::new(Code::Storage, format!("the profile {} cannot be written: {error}", file.display()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_profile_loads_with_paths_beside_it() {
        let folder = std::env::temp_dir().join(format!("annals-profile-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("profile.toml");
        let profile = Profile {
            endpoints: vec!["127.0.0.1:1".into()],
            transactors: vec!["127.0.0.1:2".into()],
            ca: "ca.pem".into(),
            cert: "client.pem".into(),
            key: "client.key".into(),
        };
        profile.save(&file).unwrap();
        let loaded = Profile::load(&file).unwrap();
        assert_eq!(loaded.endpoints, profile.endpoints);
        assert_eq!(loaded.ca, folder.join("ca.pem"));
        std::fs::write(&file, "endpoints = [\"a:1\"]\nport = 1\n").unwrap();
        let error = Profile::load(&file).unwrap_err();
        assert_eq!(error.code(), Code::Config);
        assert!(error.message().contains("port"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
