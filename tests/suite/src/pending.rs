//! The cases that do not pass yet: a map of case id to what it waits for, kept as a file that is rewritten by itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use annals_edn::{Edn, read_one, render};

/// Cases that must fail, with what each waits for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pending(BTreeMap<String, String>);

impl Pending {
    /// Reads a pending file.
    ///
    /// # Errors
    /// A message, for a file that cannot be read or is no map of strings.
    pub fn read(path: &Path) -> Result<Pending, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let form = read_one(&text).map_err(|error| render(&error, &text))?;
        let entries = form.as_map().ok_or("pending: not a map")?;
        let entry = |(key, value): &(Edn, Edn)| Some((key.as_str()?.to_owned(), value.as_str()?.to_owned()));
        let read: Option<BTreeMap<_, _>> = entries.iter().map(entry).collect();
        read.map(Pending).ok_or_else(|| "pending: not a map of strings".to_owned())
    }

    /// What the case waits for; nothing when it must pass.
    #[must_use]
    pub fn reason(&self, case: &str) -> Option<&str> {
        self.0.get(case).map(String::as_str)
    }

    /// Every pending case, by id.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Sets what the case waits for.
    pub fn set(&mut self, case: &str, reason: &str) {
        self.0.insert(case.to_owned(), reason.to_owned());
    }

    /// The text of the file: one case a line, sorted.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::from("; Cases that do not pass yet, and what each waits for.\n{");
        for (at, (case, reason)) in self.0.iter().enumerate() {
            let indent = if at == 0 { "" } else { "\n " };
            let _ = write!(text, "{indent}{} {}", Edn::string(case.as_str()), Edn::string(reason.as_str()));
        }
        text.push_str("}\n");
        text
    }
}
