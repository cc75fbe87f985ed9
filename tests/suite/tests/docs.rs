//! The examples of the guide: every block of docs/*.md that says what it is, run in order against a database a document.
//!
//! A block is fenced with ```` ```clojure tx ```` (it commits), ```` ```clojure tx CODE ```` (it is refused so), or
//! ```` ```clojure query ````, whose answer is the next ```` ```clojure result ````. A comment
//! `<!-- new database {…} -->` begins another database with those options. Other blocks are not looked at.

use std::path::Path;

use annals_edn::{Edn, Node, read_one};
use annals_suite::case::options;
use annals_suite::engine::Engine;
use annals_suite::system::{Database, Options, Source, System};

/// A block: its number of line, what it is, and its text.
struct Block {
    line: usize,
    kind: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in document.lines().enumerate() {
        let begun = line.strip_prefix("```clojure ").filter(|_| !open);
        if let Some(kind) = begun {
            blocks.push(Block { line: at + 1, kind: kind.trim().to_owned(), text: String::new() });
            open = true;
        } else if line.starts_with("```") {
            open = false;
        } else if open {
            let text = &mut blocks.last_mut().expect("a block is open").text;
            text.push_str(line);
            text.push('\n');
        } else if let Some(made) = line.strip_prefix("<!-- new database ") {
            let text = made.trim_end_matches("-->").trim().to_owned();
            blocks.push(Block { line: at + 1, kind: "new".to_owned(), text });
        }
    }
    blocks
}

/// Rows of a relation or collection compare in any order.
fn sorted(form: Edn) -> Vec<String> {
    match form.node {
        Node::Set(rows) | Node::Vector(rows) | Node::List(rows) => {
            let mut rows: Vec<String> = rows.iter().map(Edn::to_string).collect();
            rows.sort();
            rows
        }
        _ => vec![form.to_string()],
    }
}

fn run(name: &str, document: &str) -> usize {
    let engine = Engine::default();
    let mut database: Box<dyn Database> = engine.create(Options::default()).expect("a database");
    let mut answer = None;
    let blocks = blocks(document);
    for Block { line, kind, text } in &blocks {
        let form = read_one(text).unwrap_or_else(|error| panic!("{name}:{line}: {error:?}"));
        match kind.split_once(' ').map_or((kind.as_str(), ""), |(kind, rest)| (kind, rest)) {
            ("new", _) => {
                database = engine.create(options(Some(&form)).expect("options")).expect("a database")
            }
            ("tx", "") => {
                drop(database.transact(&form).unwrap_or_else(|error| panic!("{name}:{line}: {error:?}")))
            }
            ("tx", code) => {
                let error = database.transact(&form).expect_err("it is refused");
                assert_eq!(error.code().as_str(), code, "{name}:{line}: {error:?}");
            }
            ("query", _) => answer = Some(database.query(&Source::default(), &form, &[])),
            ("result", _) => {
                let answer = answer.take().unwrap_or_else(|| panic!("{name}:{line}: a result of nothing"));
                let answer = answer.unwrap_or_else(|error| panic!("{name}:{line}: {error:?}"));
                assert_eq!(sorted(answer), sorted(form), "{name}:{line}");
            }
            (other, _) => panic!("{name}:{line}: a block of the kind '{other}'"),
        }
        assert!(answer.is_none() || kind.starts_with("query"), "{name}:{line}: a query without its result");
    }
    blocks.len()
}

#[test]
fn the_examples_of_the_guide_work() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut ran = 0;
    for entry in std::fs::read_dir(docs).expect("the guide is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "md") {
            let document = std::fs::read_to_string(&path).expect("a document reads");
            ran += run(&path.display().to_string(), &document);
        }
    }
    assert!(ran >= 15, "{ran} examples were found");
}
