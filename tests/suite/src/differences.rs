//! Recorded answers that Annals knowingly gives otherwise: by case, the steps and what replaces their answers, and why.
//!
//! The recorded files are copies that nobody edits, so this lies beside them. A difference that is none any more fails
//! like any wrong answer.

use std::collections::BTreeMap;
use std::path::Path;

use annals_edn::{Edn, read_one, render};

use crate::case::Case;

/// One case that is answered otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// the reason, a sentence
    pub why: String,
    /// `{step answer}`
    answers: Edn,
}

/// The cases that are answered otherwise, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences(BTreeMap<String, Difference>);

impl Differences {
    /// Reads the file of differences.
    ///
    /// # Errors
    /// A message, for a file that cannot be read or is not built so.
    pub fn read(path: &Path) -> Result<Differences, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let form = read_one(&text).map_err(|error| render(&error, &text))?;
        let entry = |(id, difference): &(Edn, Edn)| {
            let why = difference.get("why")?.as_str()?.to_owned();
            let answers = difference.get("annals").filter(|answers| answers.as_map().is_some())?.clone();
            Some((id.as_str()?.to_owned(), Difference { why, answers }))
        };
        let read: Option<BTreeMap<_, _>> =
            form.as_map().ok_or("differences: not a map")?.iter().map(entry).collect();
        read.map(Differences).ok_or_else(|| "differences: an entry is not {:why text :annals {…}}".to_owned())
    }

    /// Every case that is answered otherwise, by id.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Difference)> {
        self.0.iter().map(|(id, difference)| (id.as_str(), difference))
    }

    /// Replaces what `case` expects where it is answered otherwise.
    ///
    /// # Errors
    /// A message when a step is replaced that the case does not have.
    pub fn apply(&self, case: &mut Case) -> Result<(), String> {
        self.0.get(&case.id).map_or(Ok(()), |difference| case.replace(&difference.answers))
    }
}
