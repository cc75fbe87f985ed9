//! Case files run against a system: what passed, what failed, what is pending, and a report of it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::case::{Case, read_cases};
use crate::differences::Differences;
use crate::pending::Pending;
use crate::runner::{Failure, Outcome, run_case};
use crate::system::{Feature, System};

/// How long a case may take before it counts as hung.
const CASE_TIMEOUT: Duration = Duration::from_secs(20);
/// Stack of the thread that runs a case, so that a deep recursion shows as a failure of the engine and not of the runner.
const STACK_BYTES: usize = 16 << 20;
/// Characters of an answer that a report shows.
const SHOWN: usize = 4_000;

/// Which cases run, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// only the case of this id, each step printed
    pub only: Option<String>,
    /// the cases that must fail
    pub pending: Pending,
    /// the cases that are answered otherwise than recorded
    pub differences: Differences,
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// cases that passed
    pub passed: Vec<String>,
    /// pending cases that failed as they must
    pub pending: Vec<(String, Failure)>,
    /// cases that failed and are not pending
    pub failed: Vec<(String, Failure)>,
    /// pending cases that passed
    pub surprising: Vec<String>,
    /// cases that only the oracle can run, or whose data is not at hand
    pub skipped: Vec<String>,
}

impl Tally {
    /// True when nothing failed that must pass and nothing passed that is pending.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed.is_empty() && self.surprising.is_empty()
    }

    /// The pending list that fits this run: reasons are kept, a new one says how the case failed.
    #[must_use]
    pub fn new_pending(&self, old: &Pending) -> Pending {
        let mut pending = Pending::default();
        for (case, failure) in self.pending.iter().chain(&self.failed) {
            let how =
                || format!("step {}: {}", failure.step, failure.got.chars().take(90).collect::<String>());
            pending.set(case, &old.reason(case).map_or_else(how, str::to_owned));
        }
        pending
    }

    fn count(&mut self, case: &Case, outcome: Outcome, is_pending: bool) {
        let id = case.id.clone();
        match (outcome, is_pending) {
            (Outcome::Skipped, _) => {
                println!("SKIPPED {id}");
                self.skipped.push(id);
            }
            (Outcome::Passed, false) => self.passed.push(id),
            (Outcome::Passed, true) => self.surprising.push(id),
            (Outcome::Failed(failure), false) => self.failed.push((id, failure)),
            (Outcome::Failed(failure), true) => self.pending.push((id, failure)),
        }
    }

    fn add(&mut self, other: Tally) {
        self.passed.extend(other.passed);
        self.pending.extend(other.pending);
        self.failed.extend(other.failed);
        self.surprising.extend(other.surprising);
        self.skipped.extend(other.skipped);
    }

    fn line(&self) -> String {
        format!(
            "{} passed, {} failed, {} pending, {} pending but passed, {} skipped",
            self.passed.len(),
            self.failed.len(),
            self.pending.len(),
            self.surprising.len(),
            self.skipped.len()
        )
    }
}

/// Runs the cases of `files` and prints a line a file, then each failure with step, expected and got.
///
/// # Errors
/// A message for a file that is no case file.
pub fn run_files(system: Arc<dyn System>, files: &[PathBuf], selection: &Selection) -> Result<Tally, String> {
    let mut total = Tally::default();
    for file in files {
        let tally = run_file(&system, file, selection)?;
        println!("{}: {}", file.file_name().unwrap_or_default().to_string_lossy(), tally.line());
        total.add(tally);
    }
    println!("all: {}", total.line());
    print!("{}", failures_text(&total));
    Ok(total)
}

fn failures_text(tally: &Tally) -> String {
    let mut text = String::new();
    let cut = |shown: &str| shown.chars().take(SHOWN).collect::<String>();
    for (case, failure) in &tally.failed {
        let Failure { step, asked, expected, got } = failure;
        let _ = writeln!(text, "\nFAILED {case}, step {step}: {}", cut(asked));
        let _ = writeln!(text, "  expected {}\n  got      {}", cut(expected), cut(got));
    }
    for case in &tally.surprising {
        let _ = writeln!(text, "\nPASSED although pending: {case}; take it out of pending.edn");
    }
    text
}

fn run_file(system: &Arc<dyn System>, file: &Path, selection: &Selection) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for mut case in read_cases(file)? {
        selection.differences.apply(&mut case)?;
        if selection.only.as_ref().is_some_and(|only| *only != case.id) {
            continue;
        }
        let missing = |feature| !system.offers(feature) && case.needs(feature);
        if case.datomic_only || missing(Feature::Unindexed) {
            tally.skipped.push(case.id);
            continue;
        }
        let outcome = run_guarded(system, &case, selection.only.is_some());
        tally.count(&case, outcome, selection.pending.reason(&case.id).is_some());
    }
    Ok(tally)
}

/// Runs a case in a thread of its own; one that hangs is left behind.
fn run_guarded(system: &Arc<dyn System>, case: &Case, verbose: bool) -> Outcome {
    let (done, result) = mpsc::channel();
    let (system, moved) = (Arc::clone(system), case.clone());
    let run = move || {
        let mut trace = |step: &annals_edn::Edn, answer: &str| {
            if verbose {
                println!("{step}\n  => {answer}");
            }
        };
        // The receiver is gone when the case took too long.
        let _ = done.send(run_case(&*system, &moved, &mut trace));
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(run);
    thread.map_err(|error| error.to_string()).expect("a thread starts");
    let hung = || Outcome::Failed(Failure::before_steps(format!("no answer within {CASE_TIMEOUT:?}")));
    result.recv_timeout(CASE_TIMEOUT).unwrap_or_else(|_| hung())
}
