//! The steps of a plan with the rows that went in and came out, as `--stats` prints them.

use std::fmt::Write;

use annals_client::Edn;
use annals_edn::Node;

/// A line a step, those inside another indented; `plan` is the data of an explanation.
pub fn lines(plan: &Edn) -> String {
    let mut text = String::new();
    if let Some(run) = entry(plan, "run") {
        let count = |name| entry(run, name).map_or_else(|| "0".to_string(), Edn::to_string);
        let _ = writeln!(text, "{} rows read, {} made", count("datoms"), count("produced"));
    }
    for part in ["operators", "result"] {
        all(&mut text, entry(plan, part), 0);
    }
    text
}

fn all(text: &mut String, operators: Option<&Edn>, depth: usize) {
    let Some(Node::Vector(operators)) = operators.map(|form| &form.node) else { return };
    for operator in operators {
        line(text, operator, depth);
        let Some(Node::Vector(inner)) = entry(operator, "inner").map(|form| &form.node) else { continue };
        inner.iter().for_each(|inner| all(text, entry(inner, "operators"), depth + 1));
    }
}

fn line(text: &mut String, operator: &Edn, depth: usize) {
    let step = entry(operator, "step").map_or_else(|| "=>".to_string(), |step| format!("#{step}"));
    let (what, clause) = (plain(operator, "text"), plain(operator, "clause"));
    let _ = write!(text, "{}{step} {what}", "  ".repeat(depth));
    if let Some(actual) = entry(operator, "actual") {
        let count = |name| entry(actual, name).map_or_else(|| "?".to_string(), Edn::to_string);
        let _ = write!(text, ": {} -> {} rows", count("in"), count("out"));
    }
    if !clause.is_empty() && !what.contains(clause) {
        let _ = write!(text, ", from {clause}");
    }
    text.push('\n');
}

fn plain<'a>(map: &'a Edn, name: &str) -> &'a str {
    match entry(map, name).map(|form| &form.node) {
        Some(Node::Str(text)) => text,
        _ => "",
    }
}

fn entry<'a>(map: &'a Edn, name: &str) -> Option<&'a Edn> {
    let Node::Map(entries) = &map.node else { return None };
    let is_it = |(key, _): &&(Edn, Edn)| matches!(&key.node, Node::Keyword(key) if key.as_str() == name);
    entries.iter().find(is_it).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use annals_edn::read_one;

    use super::*;

    #[test]
    fn steps_name_clauses_and_rows() {
        let plan = "{:run {:datoms 3 :produced 4}
                     :operators [{:step 1 :text \"filter (< ?x 2)\" :clause \"[(< ?x 2)]\" :actual {:in 3 :out 1}
                                  :inner [{:label \"body\" :operators [{:step 0 :text \"scan [?e :a ?x]\"
                                                                       :clause \"[?e :a ?x]\"}]}]}]
                     :result [{:text \"sort\" :actual {:in 1 :out 1}}]}";
        let text = lines(&read_one(plan).unwrap());
        let expected = "3 rows read, 4 made\n#1 filter (< ?x 2): 3 -> 1 rows, from [(< ?x 2)]\n  #0 scan [?e :a ?x]\n\
                        => sort: 1 -> 1 rows\n";
        assert_eq!(text, expected);
    }
}
