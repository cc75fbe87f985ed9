//! Tidiness: the arrows between crates, licences, lengths and headers, read from `cargo metadata` and the tree itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The most lines a source file may have.
const FILE_LINES: usize = 600;
/// The most lines a function may have, signature and closing brace included.
const FUNCTION_LINES: usize = 70;

/// What each crate may depend on directly, among the crates of the workspace. What lies below an arrow is allowed too.
const ARROWS: &[(&str, &[&str])] = &[
    ("annals-edn", &[]),
    ("annals-db", &["annals-edn"]),
    ("annals-query", &["annals-db"]),
    ("annals-store", &["annals-db"]),
    ("annals-wire", &["annals-edn", "annals-db"]),
    ("annals-transport", &["annals-wire"]),
    ("annals-peer", &["annals-query", "annals-store", "annals-wire", "annals-transport"]),
    ("annals-transactor", &["annals-query", "annals-store", "annals-wire", "annals-transport"]),
    ("annals-peer-server", &["annals-peer"]),
    ("annals-client", &["annals-edn", "annals-wire", "annals-transport"]),
    ("annals", &["annals-client", "annals-transactor", "annals-peer-server"]),
];

/// Packages of tests: anything goes, nothing depends on them.
const TEST_PACKAGES: &[&str] = &["annals-suite", "annals-bench"];

/// What the engine's core must not know, at any depth.
const CORE: &[&str] = &["annals-edn", "annals-db", "annals-query"];
const CORE_ABSENT: &[&str] = &["tokio", "tonic", "moka", "rand", "chrono", "time", "jiff"];

/// What the thin client must not contain, at any depth.
const CLIENT_ABSENT: &[&str] = &["annals-db", "annals-query", "annals-store", "openraft"];

/// Licences that a dependency may offer.
const LICENCES: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
    "OpenSSL",
];

const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".config",
    ".git",
    ".github",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "client",
    "clippy.toml",
    "deploy",
    "docs",
    "engine",
    "peer",
    "peer-server",
    "proto",
    "rustfmt.toml",
    "tests",
    "transactor",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace root exists")
}

struct Metadata(Value);

impl Metadata {
    fn read() -> Metadata {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root())
            .output()
            .expect("cargo metadata runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Metadata(serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON"))
    }

    fn packages(&self) -> impl Iterator<Item = &Value> {
        self.0["packages"].as_array().into_iter().flatten()
    }

    fn workspace(&self) -> Vec<&Value> {
        self.packages().filter(|package| package["source"].is_null()).collect()
    }

    /// Names of everything `start` is built from, itself excluded, development dependencies left out.
    fn below(&self, start: &str) -> BTreeSet<String> {
        let names: BTreeMap<&str, &str> =
            self.packages().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
        let nodes: BTreeMap<&str, &Value> = self.0["resolve"]["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|node| (text(&node["id"]), node))
            .collect();
        let first =
            names.iter().find(|(_, name)| **name == start).map(|(id, _)| *id).expect("a known package");
        let mut open = vec![first];
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            for dependency in nodes[id]["deps"].as_array().into_iter().flatten() {
                let normal = dependency["dep_kinds"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|kind| kind["kind"].is_null());
                let package = text(&dependency["pkg"]);
                if normal && seen.insert(package) {
                    open.push(package);
                }
            }
        }
        seen.iter().map(|id| names[id].to_string()).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// Everything reachable over the arrows of `name`.
fn allowed(name: &str) -> BTreeSet<&'static str> {
    let mut open: Vec<&str> = vec![name];
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        for below in ARROWS.iter().filter(|(from, _)| *from == next).flat_map(|(_, to)| to.iter()) {
            if seen.insert(*below) {
                open.push(below);
            }
        }
    }
    seen
}

#[test]
fn arrows_between_crates() {
    let metadata = Metadata::read();
    let mut wrong = Vec::new();
    for package in metadata.workspace() {
        let name = text(&package["name"]);
        if TEST_PACKAGES.contains(&name) {
            continue;
        }
        assert!(ARROWS.iter().any(|(known, _)| *known == name), "{name} is not in the table of arrows");
        let allowed = allowed(name);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = text(&dependency["name"]);
            let ours = to == "annals" || to.starts_with("annals-");
            if ours && dependency["kind"].is_null() && !allowed.contains(to) {
                wrong.push(format!("{name} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the design does not have: {wrong:?}");
}

#[test]
fn the_core_knows_no_runtime_clock_or_randomness() {
    let metadata = Metadata::read();
    for name in CORE {
        let below = metadata.below(name);
        let found: Vec<&str> = CORE_ABSENT.iter().copied().filter(|absent| below.contains(*absent)).collect();
        assert!(found.is_empty(), "{name} contains {found:?}");
    }
}

#[test]
fn the_core_reads_no_clock() {
    let mut found = Vec::new();
    for file in sources().into_iter().filter(|file| is_core(file) && !is_test(file)) {
        let source = fs::read_to_string(&file).expect("a source file is readable");
        if source.contains("SystemTime") || source.contains("Instant::now") {
            found.push(file);
        }
    }
    assert!(found.is_empty(), "the core reads a clock in {found:?}");
}

fn is_core(file: &Path) -> bool {
    let path = file.to_string_lossy().replace('\\', "/");
    ["engine/edn/src", "engine/db/src", "engine/query/src"].iter().any(|part| path.contains(part))
}

#[test]
fn the_thin_client_has_no_engine() {
    let below = Metadata::read().below("annals-client");
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "annals-client", "-e", "normal", "--prefix", "none", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    assert!(tree.starts_with("annals-client"), "cargo tree printed {tree:?}");
    assert!(!below.is_empty());
    for absent in CLIENT_ABSENT {
        let held = tree.lines().any(|line| line.split_whitespace().next() == Some(absent));
        assert!(!held, "annals-client contains {absent}");
    }
}

#[test]
fn licences_are_permissive() {
    let mut wrong = Vec::new();
    for package in Metadata::read().packages() {
        let licence = package["license"].as_str().unwrap_or("");
        if !permissive(licence) {
            wrong.push(format!("{} {licence:?}", text(&package["name"])));
        }
    }
    assert!(wrong.is_empty(), "licences to look at: {wrong:?}");
}

/// True when one alternative of an SPDX expression asks only for licences of the list.
fn permissive(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = expression.replace(['(', ')'], "");
    expression.split(" OR ").any(|choice| choice.split(" AND ").all(|one| LICENCES.contains(&one.trim())))
}

#[test]
fn the_top_level_holds_what_the_design_names() {
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output().expect("git runs");
    let mut unknown = BTreeSet::new();
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let first = line.split('/').next().unwrap_or(line);
        if !TOP_LEVEL.contains(&first) {
            unknown.insert(first.to_string());
        }
    }
    assert!(unknown.is_empty(), "unexpected at the top level: {unknown:?}");
}

/// Every Rust file of the tree that people write.
fn sources() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let files: Vec<PathBuf> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .map(|line| root().join(line))
        .filter(|file| file.exists() && !file.to_string_lossy().contains("/generated/"))
        .collect();
    assert!(files.len() > 20, "the source files were not found");
    files
}

fn is_test(file: &Path) -> bool {
    let path = file.to_string_lossy();
    path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || path.contains("/examples/")
        || path.contains("/benches/")
}

/// Every code of the table: its variant and its text.
fn error_codes() -> Vec<(String, String)> {
    let table = fs::read_to_string(root().join("engine/edn/src/error/code.rs")).expect("the table of codes");
    let named = |line: &str| {
        let (name, rest) = line.trim().split_once(" => \"")?;
        let text = rest.strip_suffix("\",")?;
        name.chars().all(char::is_alphanumeric).then(|| (name.to_owned(), text.to_owned()))
    };
    let codes: Vec<_> = table.lines().filter_map(named).collect();
    assert!(codes.len() > 100, "{} codes were found", codes.len());
    codes
}

fn holds_word(text: &str, word: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    text.match_indices(word).any(|(at, _)| ends(&text[at + word.len()..]))
}

/// What tests are made of: files of tests, tests within sources, and cases.
fn test_texts() -> Vec<String> {
    let read = |file: &PathBuf| fs::read_to_string(file).ok();
    let within = |text: String| text.split_once("#[cfg(test)]").map(|(_, tests)| tests.to_owned());
    let mut texts: Vec<String> = sources()
        .iter()
        .filter_map(|file| if is_test(file) { read(file) } else { read(file).and_then(within) })
        .collect();
    for folder in ["oracle", "annals", "mbrainz"] {
        let cases = fs::read_dir(root().join("tests/conformance").join(folder)).expect("the cases are there");
        texts.extend(cases.filter_map(Result::ok).filter_map(|entry| read(&entry.path())));
    }
    texts
}

#[test]
fn every_error_code_is_raised_by_a_test() {
    let texts = test_texts();
    let raised = |(variant, text): &(String, String)| {
        let (code, quoted) = (format!("Code::{variant}"), format!("\"{text}\""));
        texts.iter().any(|tests| holds_word(tests, &code) || tests.contains(&quoted))
    };
    let silent: Vec<_> = error_codes().into_iter().filter(|code| !raised(code)).collect();
    assert!(silent.is_empty(), "codes that no test expects: {silent:?}");
}

#[test]
fn every_error_code_is_said_somewhere() {
    let codes: Vec<String> = error_codes().into_iter().map(|(variant, _)| variant).collect();
    let is_source = |file: &PathBuf| !is_test(file) && !file.ends_with("error/code.rs");
    let sources: Vec<String> = sources()
        .iter()
        .filter(|file| is_source(file))
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let said = |code: &String| {
        let name = format!("Code::{code}");
        sources.iter().any(|source| holds_word(source, &name))
    };
    let silent: Vec<&String> = codes.iter().filter(|code| !said(code)).collect();
    assert!(silent.is_empty(), "codes that nothing says: {silent:?}");
}

#[test]
fn files_have_headers_and_lengths() {
    let mut wrong = Vec::new();
    for file in sources() {
        let source = fs::read_to_string(&file).expect("a source file is readable");
        let lines = source.lines().count();
        if lines > FILE_LINES {
            wrong.push(format!("{} has {lines} lines", file.display()));
        }
        if !source.starts_with("//!") {
            wrong.push(format!("{} does not start with //!", file.display()));
        }
        if file.ends_with("mod.rs") {
            wrong.push(format!("{} is a mod.rs", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    let marks =
        [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat(), ["#[ig", "nore"].concat()];
    let mut found = Vec::new();
    for file in sources() {
        let source = fs::read_to_string(&file).expect("a source file is readable");
        for (number, line) in source.lines().enumerate() {
            if marks.iter().any(|mark| has_word(line, mark)) {
                found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !inside(before) && !inside(after)
    })
}

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for file in sources() {
        let source = fs::read_to_string(&file).expect("a source file is readable");
        for (name, start, lines) in functions(&source) {
            if lines > FUNCTION_LINES {
                long.push(format!("{}:{start}: fn {name} has {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// Name, first line and length of every function, by indentation: rustfmt closes a function at the indentation of its
/// `fn`, so no parser is needed.
fn functions(source: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let one_line = line.trim_end().ends_with('}') || line.trim_end().ends_with(';');
        let end = if one_line {
            Some(at)
        } else {
            (at + 1..lines.len()).find(|&i| {
                let same_indent = lines[i].starts_with(&close);
                same_indent && (lines[i].trim_end() == close || lines[i].trim_end() == format!("{close},"))
            })
        };
        if let Some(end) = end {
            found.push((name, at + 1, end - at + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("fn ")?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(rest[..end].to_string())
}
