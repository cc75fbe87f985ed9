//! The conformance cases through the thin client, against `annals dev` in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use annals_client::{Client, Profile};
use annals_suite::remote::Remote;
use annals_suite::{Pending, Selection, run_files};

/// A running `annals dev`, stopped when dropped, and its directory.
struct Dev {
    process: Child,
    data: PathBuf,
}

impl Dev {
    /// Starts and waits until it says that it is ready; its output ends when it fails.
    fn start() -> Dev {
        let data = std::env::temp_dir().join(format!("annals-conformance-{}", std::process::id()));
        let mut process = Command::new(env!("CARGO_BIN_EXE_annals"))
            .args(["dev", "--memory", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("annals starts");
        let output = process.stdout.take().expect("its output is a pipe");
        let ready = BufReader::new(output).lines().map_while(Result::ok).any(|line| line.contains("ready"));
        let dev = Dev { process, data };
        assert!(ready, "annals dev ended before it was ready");
        dev
    }

    fn client(&self) -> Client {
        let profile = Profile::load(&self.data.join("profile.toml")).expect("the profile is written");
        Client::new(&profile).expect("the certificates are there")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

#[test]
fn the_thin_client_answers_the_cases() {
    let dev = Dev::start();
    let remote = Remote::new(dev.client()).expect("a runtime");
    let mut files = Vec::new();
    for folder in ["oracle", "annals", "mbrainz"] {
        let entries = std::fs::read_dir(cases().join(folder)).expect("the case files are there");
        files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    let pending = Pending::read(&cases().join("pending.edn")).expect("the list of pending cases");
    let selection = Selection { only: std::env::var("ANNALS_CASE").ok(), pending };
    let tally = run_files(Arc::new(remote), &files, &selection).expect("the case files");
    assert!(tally.is_good(), "cases failed, or passed although pending; see above");
}
