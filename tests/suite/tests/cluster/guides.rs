//! The examples of the guides. Each fenced `console` block is typed into a shell beside a fresh `annals dev --sample`, and
//! what it prints is compared with what the guide shows; `…` there stands for anything. `ANNALS_REGENERATE=1` writes
//! what was printed into the guides.
//!
//! In a block, `$ ` begins a command, which goes on while a single quote is open, behind a backslash, and to the end of
//! a here-document. What follows is its output, errors included. The commands of a guide share a folder and a server.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::{Folder, annals};

#[test]
fn the_guides_show_what_is_printed() {
    let mut wrong = String::new();
    for guide in ["query.md", "transactions.md", "functions.md"] {
        let file = docs().join(guide);
        // Not every guide has examples, or is there.
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if !text.contains("```console") {
            continue;
        }
        let (printed, differences) = typed(&text, guide);
        if std::env::var_os("ANNALS_REGENERATE").is_some() {
            std::fs::write(&file, printed).expect("the guide is writable");
        } else {
            wrong.push_str(&differences);
        }
    }
    assert!(wrong.is_empty(), "run with ANNALS_REGENERATE=1, and read what changed:\n{wrong}");
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The guide with what its commands print now, and how that differs from what it shows.
fn typed(guide: &str, name: &str) -> (String, String) {
    let folder = Folder::new(&name.replace('.', "-"));
    let _server = folder.dev(&["--memory", "--sample"]);
    let (mut text, mut differences) = (String::new(), String::new());
    let mut lines = guide.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        text.push_str(line);
        text.push('\n');
        inside = if inside { line != "```" } else { line == "```console" };
        let Some(first) = line.strip_prefix("$ ").filter(|_| inside) else { continue };
        let mut command = first.to_string();
        while is_open(&command) {
            let more = lines.next().expect("a command ends");
            text.push_str(more);
            text.push('\n');
            command.push('\n');
            command.push_str(more);
        }
        let mut shown = String::new();
        while let Some(line) = lines.next_if(|line| *line != "```" && !line.starts_with("$ ")) {
            shown.push_str(line);
            shown.push('\n');
        }
        let printed = printed(&command, &folder);
        if matches(&shown, &printed) {
            text.push_str(&shown);
        } else {
            text.push_str(&printed);
            differences.push_str(&format!("{name}: $ {command}\n-- shown\n{shown}-- printed\n{printed}\n"));
        }
    }
    (text, differences)
}

fn is_open(command: &str) -> bool {
    let first = command.lines().next().unwrap_or_default();
    let here = first.split_once("<<").and_then(|(_, rest)| rest.split_whitespace().next());
    match here {
        Some(end) => command.lines().last() != Some(end.trim_matches('\'')),
        None => command.matches('\'').count() % 2 == 1 || command.ends_with('\\'),
    }
}

/// What a command prints, without blanks at line ends.
fn printed(command: &str, folder: &Folder) -> String {
    let beside = annals().parent().expect("a file lies in a folder");
    let path = format!("{}:{}", beside.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("exec 2>&1\n{command}"))
        .current_dir(folder.path())
        .env("PATH", path)
        .env("ANNALS_PROFILE", folder.profile_file())
        .output()
        .expect("a shell is there");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Whether `printed` is what is `shown`, in which `…` stands for anything.
fn matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    match last {
        None => rest.is_empty(),
        Some(part) => rest.is_empty() || printed.ends_with(part),
    }
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(matches("a … c\n", "a b c\n"));
    assert!(matches("a\n…\nc\n", "a\nb\nb\nc\nc\n"));
    assert!(!matches("a … c\n", "a b d\n"));
    assert!(!matches("a\n", "a\nb\n"));
    assert!(is_open("annals query x '[:find"));
    assert!(is_open("cat <<'END' | wc\n'"));
    assert!(!is_open("cat <<'END' | wc\n'\nEND"));
}
