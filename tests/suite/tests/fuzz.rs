//! Fuzzing on stable Rust: each target on its corpus (tests/fuzz/corpus), and on seeded mutations of it.
//!
//! `ANNALS_FUZZ_RUNS=1000000 cargo test -p annals-suite --test fuzz` runs more mutations, `ANNALS_FUZZ_SEED` others.
//! tests/fuzz is a package for cargo-fuzz with the same targets. `ANNALS_REGENERATE=1` writes the corpus of values.

#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use annals_edn::{Edn, read_one};
use annals_wire::value::from_edn;
use prost::Message;

use fastrand::Rng;
use mutate::mutated;

/// Mutations a target, unless told otherwise.
const RUNS: usize = 500_000;

fn corpus_of(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn read_corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(corpus_of(target)).expect("the corpus is committed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: PathBuf| (path.display().to_string(), std::fs::read(&path).expect("a file reads"));
    files.into_iter().map(read).collect()
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs `target` on every file of its corpus and on mutations; an input that fails is shown as text and as bytes.
fn run(name: &str, target: fn(&[u8])) {
    let corpus = read_corpus(name);
    assert!(corpus.len() >= 10, "the corpus of {name} has {} files", corpus.len());
    let check = |input: &[u8], from: &str| {
        let answered = catch_unwind(AssertUnwindSafe(|| target(input)));
        assert!(answered.is_ok(), "{name} failed on {from}: {:?} {input:?}", String::from_utf8_lossy(input));
    };
    corpus.iter().for_each(|(file, input)| check(input, file));
    let mut random = Rng::with_seed(number("ANNALS_FUZZ_SEED", 1) as u64);
    let mut pool: Vec<Vec<u8>> = corpus.into_iter().map(|(_, input)| input).collect();
    let first = pool.len();
    for at in 0..number("ANNALS_FUZZ_RUNS", RUNS) {
        let known = if random.usize(..4) == 0 { pool.len() } else { first };
        let (one, other) = (random.usize(..known), random.usize(..known));
        let input = mutated(&mut random, &pool[one], &pool[other]);
        check(&input, &format!("mutation {at}"));
        // Some mutations are mutated on.
        if random.usize(..16) == 0 {
            let place =
                if pool.len() < first * 4 { pool.len() } else { first + random.usize(..pool.len() - first) };
            pool.resize(pool.len().max(place + 1), Vec::new());
            pool[place] = input;
        }
    }
}

#[test]
fn the_reader_answers_any_text() {
    run("edn", targets::edn);
}

#[test]
fn transactions_answer_any_form() {
    run("tx", targets::tx);
}

#[test]
fn values_and_logs_answer_any_bytes() {
    run("value", targets::value);
}

/// Literals whose messages are the corpus of values, by file name.
const VALUES: [(&str, &str); 17] = [
    ("nil", "nil"),
    ("true", "true"),
    ("long", "-42"),
    ("long-least", "-9223372036854775808"),
    ("bigint", "123456789012345678901234567890N"),
    ("double", "1.5"),
    ("double-nan", "##NaN"),
    ("bigdec", "-1.250M"),
    ("bigdec-exponent", "1E+30M"),
    ("string", "\"a \\\"text\\\" ü\""),
    ("keyword", ":a.b/c"),
    ("symbol", "f/g"),
    ("instant", "#inst \"1969-12-31T23:59:59.999Z\""),
    ("uuid", "#uuid \"0189aabb-ccdd-7eef-8123-456789abcdef\""),
    ("uri", "#uri \"http://example.org\""),
    ("bytes", "#bytes \"AAEC/w==\""),
    ("tuple", "[1 \"two\" nil :three]"),
];

#[test]
fn the_corpus_of_values_is_current() {
    let folder = corpus_of("value");
    for (name, text) in VALUES {
        let form: Edn = read_one(text).expect("it is EDN");
        let message = from_edn(&form).encode_to_vec();
        let file = folder.join(name);
        if std::env::var("ANNALS_REGENERATE").is_ok() {
            std::fs::write(&file, &message).expect("the corpus can be written");
        }
        assert_eq!(std::fs::read(&file).unwrap_or_default(), message, "{name} is not current");
    }
}
