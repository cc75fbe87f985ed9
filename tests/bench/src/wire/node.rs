//! `annals dev` as a child process with a data directory of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use annals_client::{Client, Profile};
use anyhow::{Context, Result, bail, ensure};

use crate::data::Scratch;

/// How long the node may take until it serves.
const START: Duration = Duration::from_secs(30);
/// Lines of the node's log that an error shows.
const LAST_WORDS: usize = 20;
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(20);

/// A running node; killed and wiped when dropped.
pub struct Node {
    annals: PathBuf,
    child: Child,
    folder: Scratch,
}

impl Node {
    /// Builds the command `annals` if it is not there, and starts a node.
    pub fn start() -> Result<Node> {
        let annals = annals()?;
        let beside = annals.parent().context("an executable is in a folder")?;
        let folder = Scratch::new_in(beside, "node")?;
        let log = File::create(folder.path().join("node.log"))?;
        let child = Command::new(&annals)
            .args(["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", annals.display()))?;
        let mut node = Node { annals, child, folder };
        node.wait()?;
        Ok(node)
    }

    /// A client of it.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::new(&Profile::load(&self.profile())?)?)
    }

    /// Runs `annals` with `arguments` as this node's client; what it prints.
    pub fn annals(&self, arguments: &[&str], files: &[PathBuf]) -> Result<String> {
        let ran = Command::new(&self.annals)
            .arg("--profile")
            .arg(self.profile())
            .args(arguments)
            .args(files)
            .output()?;
        let errors = String::from_utf8_lossy(&ran.stderr);
        ensure!(ran.status.success(), "annals {} failed: {errors}", arguments.join(" "));
        Ok(String::from_utf8(ran.stdout)?)
    }

    /// The last lines that the node wrote.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }

    /// A folder on the disk that the node writes to.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("node.log")
    }

    fn profile(&self) -> PathBuf {
        self.folder.path().join("data/profile.toml")
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + START;
        while !self.profile().exists() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the node ended with {status}: {}", std::fs::read_to_string(self.log())?);
            }
            if Instant::now() > deadline {
                bail!("the node does not serve after {} s:\n{}", START.as_secs(), self.last_words());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command beside this one, of the same profile; built now, so that it is of the same sources too.
fn annals() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let beside = this.parent().context("an executable is in a folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "annals", "--bin", "annals", "--manifest-path"]);
    build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    build.arg("--target-dir").arg(beside.parent().context("a profile's folder is in a target folder")?);
    // Warnings of a build that has been seen before are no news.
    build.stderr(Stdio::null());
    if beside.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    ensure!(
        build.status().context("cannot run cargo")?.success(),
        "the command annals cannot be built: try cargo build --package annals"
    );
    Ok(beside.join("annals"))
}
