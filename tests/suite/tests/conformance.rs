//! The case files against the systems that answer them.
//!
//! `ANNALS_CASE=area/id` runs one case and prints each step with its answer; `ANNALS_PENDING=write` rewrites
//! tests/conformance/pending.edn after a run, keeping the reasons that stand there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_suite::case::read_cases;
use annals_suite::data::shared;
use annals_suite::engine::Engine;
use annals_suite::{Differences, Pending, Selection, run_files};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn case_files(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/conformance").join(folder);
    let entries =
        std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "edn")).collect();
    files.sort();
    files
}

fn all_files() -> Vec<PathBuf> {
    ["oracle", "annals", "mbrainz"].iter().flat_map(|folder| case_files(folder)).collect()
}

#[test]
fn the_engine_answers_the_cases() {
    let path = root().join("tests/conformance/pending.edn");
    let pending = Pending::read(&path).expect("the list of pending cases");
    let selection =
        Selection { only: std::env::var("ANNALS_CASE").ok(), pending, differences: differences() };
    let tally = run_files(Arc::new(Engine::default()), &all_files(), &selection).expect("the case files");
    if std::env::var("ANNALS_PENDING").is_ok_and(|mode| mode == "write") {
        let text = tally.new_pending(&selection.pending).to_text();
        std::fs::write(&path, text).expect("the list of pending cases can be written");
    } else {
        assert!(tally.is_good(), "cases failed, or passed although pending; see above");
    }
}

fn differences() -> Differences {
    Differences::read(&root().join("tests/conformance/differences.edn")).expect("the list of differences")
}

/// The same answers from an index that is written after every transaction.
#[test]
fn the_engine_answers_the_cases_from_an_index() {
    let pending = Pending::read(&root().join("tests/conformance/pending.edn")).expect("the list");
    let only = std::env::var("ANNALS_CASE").ok();
    let files: Vec<PathBuf> = ["oracle", "annals"].iter().flat_map(|folder| case_files(folder)).collect();
    let selection = Selection { only, pending, differences: differences() };
    let tally = run_files(Arc::new(Engine::that_indexes()), &files, &selection).expect("the case files");
    assert!(tally.is_good(), "cases failed, or passed although pending; see above");
}

#[test]
fn the_differences_are_few_known_and_explained() {
    let recorded: Vec<String> = case_files("oracle")
        .iter()
        .flat_map(|file| read_cases(file).expect("a case file"))
        .map(|case| case.id)
        .collect();
    let note = std::fs::read_to_string(root().join("docs/design/writing.md")).expect("the note is there");
    let differences = differences();
    for (id, difference) in differences.all() {
        assert!(recorded.iter().any(|known| known == id), "no recorded case is {id}");
        assert!(note.contains(&format!("`{id}`")), "docs/design/writing.md does not explain {id}");
        assert!(difference.why.len() > 20, "{id} does not say why");
    }
    assert!(differences.all().count() <= 5, "at most five cases may be answered otherwise");
}

#[test]
fn the_copies_of_the_oracle_cases_are_current() {
    let originals = shared().join("oracle/cases");
    if !originals.is_dir() {
        println!("SKIPPED the_copies_of_the_oracle_cases_are_current");
        return;
    }
    let names = |files: Vec<PathBuf>| -> Vec<_> {
        files.iter().filter_map(|f| f.file_name().map(ToOwned::to_owned)).collect()
    };
    let copies = case_files("oracle");
    let entries = std::fs::read_dir(&originals).expect("the folder is there").filter_map(Result::ok);
    let mut sources: Vec<_> = entries.map(|entry| entry.path()).collect();
    sources.sort();
    assert_eq!(names(copies.clone()), names(sources.clone()));
    for (copy, source) in copies.iter().zip(&sources) {
        let read = |path: &Path| std::fs::read(path).expect("a case file reads");
        assert!(read(copy) == read(source), "{} differs from its original", copy.display());
    }
}

#[test]
fn every_case_reads_and_has_an_id_of_its_own() {
    let files: Vec<_> =
        ["oracle", "annals", "mbrainz"].iter().flat_map(|folder| case_files(folder)).collect();
    let mut ids: Vec<String> = Vec::new();
    for file in &files {
        let cases = read_cases(file).expect("a case file");
        for case in &cases {
            for step in &case.steps {
                annals_suite::case::Step::of(step).unwrap_or_else(|message| panic!("{}: {message}", case.id));
            }
        }
        ids.extend(cases.into_iter().map(|case| case.id));
    }
    assert!(ids.len() >= 345, "{} cases", ids.len());
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands twice");
}
