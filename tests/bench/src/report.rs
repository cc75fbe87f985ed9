//! Rows of figures, as a table for people or separated by tabs for programs, and the comparison of several systems.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, bail};

use crate::measure::Figure;

/// The name of this system among others.
pub const ANNALS: &str = "annals";

/// One figure of one system.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// people20k, rules, …
    pub suite: String,
    /// the query or the work
    pub row: String,
    /// whose figure it is
    pub system: String,
    /// over the batches or runs
    pub median: f64,
    /// the least: the best time, the worst rate
    pub min: f64,
    /// ms, us, tx/s, …
    pub unit: String,
}

/// Takes figures as they come and prints them at once.
pub struct Report {
    tsv: bool,
    lines: Vec<Line>,
}

impl Report {
    /// Prints tabs, or a table.
    pub fn new(tsv: bool) -> Report {
        if !tsv {
            println!("{:<10} {:<28} {:>14} {:>14}  unit", "suite", "row", "median", "min");
        }
        Report { tsv, lines: Vec::new() }
    }

    /// One of our figures.
    pub fn figure(&mut self, suite: &str, row: &str, figure: Figure, unit: &str) {
        self.system(suite, row, ANNALS, figure, unit);
    }

    /// A figure of another system, taken in the same run.
    pub fn system(&mut self, suite: &str, row: &str, system: &str, figure: Figure, unit: &str) {
        let [suite, row, system, unit] = [suite, row, system, unit].map(str::to_string);
        self.line(Line { suite, row, system, median: figure.median, min: figure.min, unit });
    }

    /// A figure as it was read.
    pub fn line(&mut self, line: Line) {
        let Line { suite, row, system, unit, .. } = &line;
        let (median, min) = (number(line.median), number(line.min));
        let name = if system == ANNALS { row.clone() } else { format!("{row} ({system})") };
        match self.tsv {
            true => println!("{suite}\t{row}\t{system}\t{median}\t{min}\t{unit}"),
            false => println!("{suite:<10} {name:<28} {median:>14} {min:>14}  {unit}"),
        }
        let _ = std::io::stdout().flush();
        self.lines.push(line);
    }

    /// A Markdown table; among lines for programs it is a note.
    pub fn table(&self, table: &str) {
        let mark = if self.tsv { "# " } else { "" };
        println!();
        table.lines().for_each(|line| println!("{mark}{line}"));
    }

    /// All figures so far, system beside system.
    pub fn comparison(&self) -> String {
        comparison(&self.lines)
    }

    /// What a reader must know of a suite: where its data come from, what was left out.
    pub fn note(&mut self, suite: &str, text: &str) {
        match self.tsv {
            true => println!("# {suite}: {text}"),
            false => println!("{suite:<10} {text}"),
        }
    }
}

/// Four digits that count.
fn number(figure: f64) -> String {
    let digits = (3 - figure.abs().max(1e-9).log10().floor() as i32).clamp(0, 5);
    format!("{figure:.*}", digits as usize)
}

/// Reads what `--tsv` printed; lines that begin with `#` are notes.
///
/// # Errors
/// A line that has not six fields, or no numbers where numbers belong.
pub fn read(text: &str) -> Result<Vec<Line>> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line_of(line).with_context(|| format!("not a line of figures: {line}"))).collect()
}

/// One line of them.
///
/// # Errors
/// As [`read`].
pub fn line_of(line: &str) -> Result<Line> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [suite, row, system, median, min, unit] = fields[..] else { bail!("six fields belong there") };
    let [suite, row, system, unit] = [suite, row, system, unit].map(str::to_string);
    Ok(Line { suite, row, system, median: median.parse()?, min: min.parse()?, unit })
}

/// A Markdown table of all systems; beside each other system's median how many times ours it is (for rates: ours by
/// theirs), so that more than 1 always means that we are faster. The last column has the least of these; that of a row
/// `…-worst-order` is taken from the others' row without it, for their order of clauses is the one that suits them.
pub fn comparison(lines: &[Line]) -> String {
    let mut systems: Vec<&str> = Vec::new();
    let mut rows: Vec<(&str, &str)> = Vec::new();
    let mut cells: BTreeMap<(&str, &str, &str), &Line> = BTreeMap::new();
    for line in lines {
        if !systems.contains(&line.system.as_str()) {
            systems.push(&line.system);
        }
        if !rows.contains(&(&line.suite, &line.row)) {
            rows.push((&line.suite, &line.row));
        }
        cells.insert((&line.suite, &line.row, &line.system), line);
    }
    systems.sort_by_key(|system| *system != ANNALS);
    let mut table = format!("| suite | row | {} | least |\n|---|---|", systems.join(" | "));
    table.push_str(&"---|".repeat(systems.len() + 1));
    for (suite, row) in rows {
        table.push_str(&format!("\n| {suite} | {row} |"));
        let ours = cells.get(&(suite, row, ANNALS));
        for system in &systems {
            let cell = cells.get(&(suite, row, *system)).map_or_else(|| "–".to_string(), |it| cell(it, ours));
            table.push_str(&format!(" {cell} |"));
        }
        let theirs = row.strip_suffix("-worst-order").unwrap_or(row);
        let others = systems.iter().filter_map(|system| cells.get(&(suite, theirs, *system)));
        let least = others.filter_map(|other| ratio(other, ours?)).min_by(f64::total_cmp);
        table.push_str(
            &least.map_or_else(|| " – |".to_string(), |least| format!(" {}x |", number_short(least))),
        );
    }
    table.push('\n');
    table
}

/// How many times better ours is; `None` for our own line.
fn ratio(other: &Line, ours: &Line) -> Option<f64> {
    let known = other.system != ANNALS && ours.median > 0.0 && other.median > 0.0;
    let ratio = other.median / ours.median;
    known.then_some(if other.unit.ends_with("/s") { 1.0 / ratio } else { ratio })
}

fn cell(line: &Line, ours: Option<&&Line>) -> String {
    let text = format!("{} {}", number(line.median), line.unit);
    match ours.and_then(|ours| ratio(line, ours)) {
        Some(ratio) => format!("{text} ({}x)", number_short(ratio)),
        None => text,
    }
}

fn number_short(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.1}") } else { format!("{ratio:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_means_that_we_are_faster() {
        let text = "# a note\nwrites\timport\tannals\t300\t290\tdatoms/s\nwrites\timport\tother\t100\t90\tdatoms/s\n\
                    people20k\tq1\tother\t4\t3\tms\npeople20k\tq1\tannals\t0.5\t0.4\tms\n\
                    people20k\tq1-worst-order\tannals\t2\t1\tms\n";
        let table = comparison(&read(text).unwrap());
        assert!(table.contains("| suite | row | annals | other | least |"), "{table}");
        assert!(
            table.contains("| writes | import | 300.0 datoms/s | 100.0 datoms/s (3.0x) | 3.0x |"),
            "{table}"
        );
        assert!(table.contains("| people20k | q1 | 0.5000 ms | 4.000 ms (8.0x) | 8.0x |"), "{table}");
        assert!(table.contains("| people20k | q1-worst-order | 2.000 ms | – | 2.0x |"), "{table}");
    }

    #[test]
    fn a_malformed_line_is_named() {
        assert!(read("a\tb\n").unwrap_err().to_string().contains("not a line of figures"));
    }
}
