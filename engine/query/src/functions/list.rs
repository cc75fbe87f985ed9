//! docs/query-functions.md: the functions that queries may call, made from the tables. `ANNALS_REGENERATE=1` writes it
//! anew.

use std::path::Path;

use super::names::{AGGREGATES, SPECIAL};
use super::scalar::{ALIASES, TABLE};

const INTRODUCTION: &str = "\
# Functions of queries

What a query may call, in `[(f ?x …) ?y]` and, as a predicate, in `[(f ?x …)]`, besides the functions that the database
holds (docs/functions.md). They mean what they mean in Clojure and Datomic; regular expressions are matched in linear
time, without backreferences and look-around. The namespaces `clojure.core`, `datomic.api` and `annals` need not be
written; static methods of `Math` are found under the names of `clojure.math`. `fulltext` is refused as unsupported.

Made from the tables of engine/query/src/functions: `ANNALS_REGENERATE=1 cargo test -p annals-query --lib list`.
";

fn arguments((least, most): (usize, usize)) -> String {
    match most {
        usize::MAX => format!("{least} or more"),
        _ if least == most => least.to_string(),
        _ => format!("{least} to {most}"),
    }
}

fn page() -> String {
    let special = SPECIAL.iter().map(|(name, _, arity)| (*name, *arity));
    let mut all: Vec<_> = special.chain(TABLE.iter().map(|entry| (entry.name, entry.arity))).collect();
    all.sort_unstable();
    let mut page = format!("{INTRODUCTION}\n| function | arguments | also written |\n|---|---|---|\n");
    for (name, arity) in all {
        let others = ALIASES.iter().filter(|(_, meant)| *meant == name);
        let others: Vec<String> = others.map(|(alias, _)| format!("`{alias}`")).collect();
        page.push_str(&format!("| `{name}` | {} | {} |\n", arguments(arity), others.join(" ")));
    }
    let aggregates: Vec<String> = AGGREGATES.iter().map(|name| format!("`{name}`")).collect();
    page.push_str(&format!(
        "\n# Aggregates\n\nIn `:find`: {} of a variable; `min`, `max` and `rand` also with a number before it, `sample` \
         only so.\n",
        aggregates.join(", ")
    ));
    page
}

#[test]
fn the_list_of_functions_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/query-functions.md");
    if std::env::var_os("ANNALS_REGENERATE").is_some() {
        std::fs::write(&file, page()).expect("the list can be written");
    }
    let found = std::fs::read_to_string(&file).expect("the list is committed");
    assert!(found == page(), "docs/query-functions.md is not what the tables say: see its head");
}
