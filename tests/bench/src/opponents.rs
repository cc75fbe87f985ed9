//! Other databases on the same data and the same queries, in the same run.
//!
//! `tests/bench/opponents` has a script that installs each of them from its registry and one that runs it on the files
//! of [`crate::suites::export`]. A system that cannot be installed or that fails is named and left out; a wrong number
//! of rows fails its row.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::measure::Timing;
use crate::report::{Report, line_of};
use crate::suites;

/// Those that are run unless others are named.
pub const SYSTEMS: [&str; 4] = ["datalevin", "datomic", "duckdb", "sqlite"];
/// The suites that they have.
pub const SUITES: [&str; 6] = ["people20k", "rules", "debian", "mbrainz", "reads", "writes"];

/// The systems that are installed, and where.
pub struct Opponents {
    work: PathBuf,
    systems: Vec<String>,
    timing: Timing,
}

impl Opponents {
    /// Writes the data for them and installs those of `systems` that can be had, in `work` (default: `opponents` in
    /// the folder of the executable's profile), where they are found again by later runs.
    ///
    /// # Errors
    /// Data that cannot be written, a script that cannot be started.
    pub fn install(
        report: &mut Report,
        systems: &[String],
        work: Option<&Path>,
        timing: Timing,
    ) -> Result<Opponents> {
        let work = match work {
            Some(work) => work.to_path_buf(),
            None => beside_executable()?,
        };
        suites::export(&work.join("data"))?;
        let mut opponents = Opponents { work, systems: Vec::new(), timing };
        for system in systems {
            let log = opponents.log(system)?;
            let status =
                opponents.script("install").arg(system).stdout(log.try_clone()?).stderr(log).status();
            match status.context("cannot run opponents/install")?.success() {
                true => opponents.systems.push(system.clone()),
                false => report.note("opponents", &opponents.left_out(system, "cannot be installed here")),
            }
        }
        Ok(opponents)
    }

    /// Runs `suite` on each system in turn; its figures go to `report` as they come.
    ///
    /// # Errors
    /// A script that cannot be started, or that prints what is no line of figures.
    pub fn run(&self, report: &mut Report, suite: &str) -> Result<()> {
        if !SUITES.contains(&suite) {
            return Ok(());
        }
        for system in &self.systems {
            let mut child = self
                .script("run")
                .args([system, suite])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(self.log(system)?)
                .spawn()
                .with_context(|| format!("cannot run {system}"))?;
            let output = child.stdout.take().context("the output is a pipe")?;
            for line in BufReader::new(output).lines() {
                let line = line?;
                match line.strip_prefix("# ") {
                    Some(note) => report.note(suite, &format!("{system}: {note}")),
                    None => report.line(line_of(&line)?),
                }
            }
            if !child.wait()?.success() {
                report.note(suite, &self.left_out(system, "failed"));
            }
        }
        Ok(())
    }

    fn left_out(&self, system: &str, why: &str) -> String {
        format!("SKIPPED {system}: {why}; see {system}.log in the folder of the opponents")
    }

    fn log(&self, system: &str) -> Result<File> {
        let path = self.work.join(format!("{system}.log"));
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn script(&self, name: &str) -> Command {
        let mut script = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("opponents").join(name));
        script.env("WORK", &self.work);
        script.env("WARM_UP_MS", self.timing.warm_up.as_millis().to_string());
        script.env("BATCH_MS", self.timing.batch.as_millis().to_string());
        script
    }
}

fn beside_executable() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent).context("an executable is in a profile's folder")?;
    Ok(folder.join("opponents"))
}

/// Refuses a name that no script knows.
///
/// # Errors
/// An unknown name.
pub fn check(systems: &[String]) -> Result<()> {
    const KNOWN: [&str; 5] = ["datalevin", "datomic", "duckdb", "sqlite", "postgres"];
    for system in systems {
        ensure!(KNOWN.contains(&system.as_str()), "{system} is not among {}", KNOWN.join(", "));
    }
    Ok(())
}
