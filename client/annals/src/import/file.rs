//! A file of entity maps, one a line: its digest, its lines and their ids.

use std::ops::Range;
use std::path::{Path, PathBuf};

use annals_client::TxId;
use annals_edn::{Code, Error};

/// One file to import, read whole.
pub struct ImportFile {
    /// as named on the command line
    pub path: PathBuf,
    text: String,
    lines: Vec<Range<usize>>,
    digest: [u8; 32],
}

impl ImportFile {
    /// Reads the file. Lines without anything but blanks and comments are kept, to number the others.
    pub fn read(path: &Path) -> Result<ImportFile, Error> {
        let wrong =
            |why: String| Error::new(Code::FileNotFound, format!("{} cannot be read: {why}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let digest = *blake3::hash(&bytes).as_bytes();
        let text = String::from_utf8(bytes)
            .map_err(|error| wrong(format!("it is not UTF-8 (byte {})", error.utf8_error().valid_up_to())))?;
        let lines = lines_of(&text);
        Ok(ImportFile { path: path.to_path_buf(), text, lines, digest })
    }

    /// Lines, blank ones included.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// The text of line `at`, counted from 0, without its end.
    pub fn line(&self, at: usize) -> &str {
        let line = &self.text[self.lines[at].clone()];
        if at == 0 { line.trim_start_matches('\u{feff}') } else { line }
    }

    /// The id of the transaction that holds exactly `lines` of this file, imported into `database`.
    pub fn id(&self, database: &str, lines: Range<usize>) -> TxId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"annals import 1\0").update(database.as_bytes()).update(b"\0").update(&self.digest);
        hasher.update(&(lines.start as u64).to_le_bytes()).update(&(lines.end as u64).to_le_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        TxId::of_digest(id)
    }

    /// The id of one line's own transaction: never that of a batch, not even of a batch of one line.
    pub fn line_id(&self, database: &str, at: usize) -> TxId {
        self.id(database, at..usize::MAX - at)
    }
}

fn lines_of(text: &str) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('\n') {
        lines.push(start..at);
        start = at + 1;
    }
    if start < text.len() {
        lines.push(start..text.len());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_numbers() {
        let lines = lines_of("a\n\nb");
        assert_eq!(lines, [0..1, 2..2, 3..4]);
        assert_eq!(lines_of("a\n"), std::slice::from_ref(&(0..1)));
        assert!(lines_of("").is_empty());
    }

    #[test]
    fn ids_follow_from_content_database_and_range() {
        let folder = std::env::temp_dir().join(format!("annals-import-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.edn");
        std::fs::write(&path, "{:a 1}\n{:a 2}\n").unwrap();
        let file = ImportFile::read(&path).unwrap();
        let again = ImportFile::read(&path).unwrap();
        assert_eq!(file.id("x", 0..2), again.id("x", 0..2));
        assert_ne!(file.id("x", 0..2), file.id("y", 0..2));
        assert_ne!(file.id("x", 0..2), file.id("x", 0..1));
        assert_ne!(file.id("x", 0..1), file.line_id("x", 0));
        std::fs::write(&path, "{:a 1}\n{:a 3}\n").unwrap();
        assert_ne!(ImportFile::read(&path).unwrap().id("x", 0..2), file.id("x", 0..2));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
