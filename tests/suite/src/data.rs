//! The data of loaded databases: files of tx-data beside the repository, read in the order in which they build on one
//! another.

use std::path::{Path, PathBuf};

use annals_edn::{Edn, Error, Forms};

/// Maps that one transaction takes.
const BATCH: usize = 1_000;

const MBRAINZ: &[&str] = &[
    "schema",
    "enums",
    "super-enums",
    "artists",
    "areleases",
    "areleases-artists",
    "labels",
    "releases",
    "releases-artists",
];

/// The folder of shared data, which may not be there.
#[must_use]
pub fn shared() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os("ANNALS_SHARED").map_or_else(beside, PathBuf::from)
}

/// The files of the loaded database `name`, nothing where they are not at hand.
#[must_use]
pub fn files(name: &str) -> Option<Vec<PathBuf>> {
    let folder = shared().join("data").join(name);
    let known = name == "mbrainz" && folder.is_dir();
    known.then(|| MBRAINZ.iter().map(|file| folder.join(file).with_extension("edn")).collect())
}

/// Hands the tx-data of the loaded database `name` to `transact`, a batch at a time; false where it is not at hand.
///
/// # Errors
/// Those of `transact`, and of reading.
pub fn load(name: &str, mut transact: impl FnMut(&Edn) -> Result<(), Error>) -> Result<bool, Error> {
    let Some(files) = files(name) else { return Ok(false) };
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Error::new(annals_edn::Code::FileNotFound, format!("{}: {error}", file.display()))
        })?;
        let mut forms = Forms::new(&text);
        loop {
            let batch = forms.by_ref().take(BATCH).collect::<Result<Vec<Edn>, Error>>()?;
            if batch.is_empty() {
                break;
            }
            transact(&Edn::vector(batch))?;
        }
    }
    Ok(true)
}
