//! docs/errors: a page for each error code, made from the table of codes. `ANNALS_REGENERATE=1` writes them anew.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use annals_edn::{Code, Kind};

const INTRODUCTION: &str = "\
# Errors

Every error has a *kind*, which says what the caller must do, a *code*, which says what happened, a message, and where
there is source text the place at fault and a hint. Facts of the message also stand by name in the details of the
status: `form` and `path` (which form of a transaction, counted from 0, and the attributes on the way into it),
`attribute`, `value`, `expected`, `entity`, `holder` (the entity that has a unique value already), `limit`, `seen`.

These pages are made from the table of codes in engine/edn/src/error/code.rs:
`ANNALS_REGENERATE=1 cargo test -p annals-edn --test error_pages`.
";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors")
}

/// Every page by file name.
fn pages() -> BTreeMap<String, String> {
    let mut pages: BTreeMap<String, String> =
        Code::ALL.iter().map(|code| (format!("{}.md", code.as_str()), page(*code))).collect();
    pages.insert("README.md".to_owned(), contents());
    pages
}

fn page(code: Code) -> String {
    let kind = code.kind();
    format!(
        "# {}\n\n{}\n\n**What to do.** {}\n\nKind: *{}*. {}\n",
        code.as_str(),
        code.meaning(),
        code.remedy(),
        kind.name(),
        kind.meaning(),
    )
}

fn contents() -> String {
    let mut text = String::from(INTRODUCTION);
    for kind in Kind::ALL {
        let _ = write!(text, "\n## {}\n\n{}\n\n", kind.name(), kind.meaning());
        for code in Code::ALL.iter().filter(|code| code.kind() == kind) {
            let name = code.as_str();
            let _ = writeln!(text, "- [{name}]({name}.md): {}", code.meaning());
        }
    }
    text
}

#[test]
fn the_pages_are_current() {
    let (folder, pages) = (folder(), pages());
    if std::env::var("ANNALS_REGENERATE").is_ok() {
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        for (name, text) in &pages {
            std::fs::write(folder.join(name), text).expect("a page can be written");
        }
    }
    for (name, text) in &pages {
        let held = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(held == *text, "docs/errors/{name} is not current: run with ANNALS_REGENERATE=1");
    }
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    for name in entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()) {
        assert!(pages.contains_key(&name), "docs/errors/{name} is the page of no code");
    }
}

#[test]
fn every_code_says_what_it_means_and_what_to_do() {
    let mut names = HashSet::new();
    for code in Code::ALL {
        let name = code.as_str();
        assert!(names.insert(name), "{name} twice");
        assert!(name.chars().all(|c| c.is_ascii_uppercase() || c == '_'), "{name}");
        assert_eq!(Code::from_name(name), Some(*code));
        for text in [code.meaning(), code.remedy()] {
            assert!(text.len() > 12 && text.ends_with('.'), "{name}: {text:?} is no sentence");
        }
    }
}
