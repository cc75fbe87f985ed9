//! Processes under test: the built `annals`, started and waited for, and killed when dropped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use annals_client::{Client, Profile};

/// How long a server may take to be ready, or to end once told to.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The `annals` executable of the profile that this test is built with; built first if it is missing.
pub fn annals() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own file");
        let folder = test.parent().and_then(Path::parent).expect("tests lie in PROFILE/deps");
        let file = folder.join("annals");
        if !file.exists() {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["build", "-p", "annals", "--bin", "annals", "--target-dir"]);
            cargo.arg(folder.parent().expect("a profile's folder lies in the target folder"));
            if folder.file_name() == Some(OsStr::new("release")) {
                cargo.arg("--release");
            }
            assert!(cargo.status().expect("cargo runs").success(), "annals cannot be built");
        }
        file
    })
}

/// A process that says "ready" on standard output, killed when dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `annals` and waits until it is ready.
    pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Process {
        let mut child = Command::new(annals())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("annals starts");
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let process = Process { child };
        let (sender, lines) = mpsc::channel();
        // Reads on to the end, so that the process never writes into a closed pipe.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) if line.contains("ready") => return process,
                Ok(_) => {}
                Err(error) => panic!("annals was not ready: {error}"),
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    /// SIGTERM; the exit code.
    pub fn terminate(mut self) -> Option<i32> {
        signal("TERM", self.pid());
        self.child.wait().expect("it is ours").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, by name.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill is there").success(), "no process {pid}");
}

/// A data directory, removed when dropped. It names the test, so that no two share it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("annals-cluster-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts `annals dev` on this directory.
    pub fn dev(&self, more: &[&str]) -> Process {
        let data = self.0.to_str().expect("the temporary directory is named in UTF-8");
        let mut arguments = vec!["dev", "--listen", "127.0.0.1:0", "--data", data];
        arguments.extend(more);
        Process::start(&arguments)
    }

    pub fn profile_file(&self) -> PathBuf {
        self.0.join("profile.toml")
    }

    pub fn profile(&self) -> Profile {
        Profile::load(&self.profile_file()).expect("the profile is written when ready")
    }

    pub fn client(&self) -> Client {
        Client::new(&self.profile()).expect("the certificates are there")
    }

    /// A client that knows one peer server only.
    pub fn client_of(&self, peer: usize) -> Client {
        let mut profile = self.profile();
        profile.endpoints = vec![profile.endpoints[peer].clone()];
        Client::new(&profile).expect("the certificates are there")
    }

    /// A command of the command line, not yet started.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(annals());
        command.arg("--profile").arg(self.profile_file()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command with `input` on standard input.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S], input: &str) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("annals starts");
        let mut stdin = child.stdin.take().expect("its input is a pipe");
        // A command may refuse before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it is ours")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Children of a killed process end by themselves, and may write until then.
        let deadline = Instant::now() + PATIENCE;
        while std::fs::remove_dir_all(&self.0).is_err_and(|error| error.kind() != ErrorKind::NotFound)
            && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a command wrote to standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
