//! Text to tree.
use crate::{Edn, Error};

/// Reads exactly one form.
///
/// # Errors
/// `EDN_*` codes with the span at fault.
pub fn read_one(_text: &str) -> Result<Edn, Error> {
    unimplemented!()
}

/// Reads all top-level forms of `text`.
///
/// # Errors
/// As [`read_one`].
pub fn read_all(_text: &str) -> Result<Vec<Edn>, Error> {
    unimplemented!()
}
