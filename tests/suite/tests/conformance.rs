//! The case files against the systems that answer them.
//!
//! `ANNALS_CASE=area/id` runs one case and prints each step with its answer; `ANNALS_PENDING=write` rewrites
//! tests/conformance/pending.edn after a run, keeping the reasons that stand there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_suite::case::read_cases;
use annals_suite::data::shared;
use annals_suite::engine::Engine;
use annals_suite::{Pending, Selection, run_files};

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
    let selection = Selection { only: std::env::var("ANNALS_CASE").ok(), pending };
    let tally = run_files(Arc::new(Engine::default()), &all_files(), &selection).expect("the case files");
    if std::env::var("ANNALS_PENDING").is_ok_and(|mode| mode == "write") {
        let text = tally.new_pending(&selection.pending).to_text();
        std::fs::write(&path, text).expect("the list of pending cases can be written");
    } else {
        assert!(tally.is_good(), "cases failed, or passed although pending; see above");
    }
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
