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
}

impl Report {
    /// Prints tabs, or a table.
    pub fn new(tsv: bool) -> Report {
        if !tsv {
            println!("{:<10} {:<24} {:>14} {:>14}  unit", "suite", "row", "median", "min");
        }
        Report { tsv }
    }

    /// One of our figures.
    pub fn figure(&mut self, suite: &str, row: &str, figure: Figure, unit: &str) {
        self.system(suite, row, ANNALS, figure, unit);
    }

    /// A figure of another system, taken in the same run.
    pub fn system(&mut self, suite: &str, row: &str, system: &str, figure: Figure, unit: &str) {
        let (median, min) = (number(figure.median), number(figure.min));
        let name = if system == ANNALS { row.to_string() } else { format!("{row} ({system})") };
        match self.tsv {
            true => println!("{suite}\t{row}\t{system}\t{median}\t{min}\t{unit}"),
            false => println!("{suite:<10} {name:<24} {median:>14} {min:>14}  {unit}"),
        }
        let _ = std::io::stdout().flush();
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

fn line_of(line: &str) -> Result<Line> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [suite, row, system, median, min, unit] = fields[..] else { bail!("six fields belong there") };
    let [suite, row, system, unit] = [suite, row, system, unit].map(str::to_string);
    Ok(Line { suite, row, system, median: median.parse()?, min: min.parse()?, unit })
}

/// A Markdown table of all systems; beside each other system's median how many times ours it is (for rates: ours by
/// theirs), so that more than 1 always means that we are faster.
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
    let mut table = format!("| suite | row | {} |\n|---|---|", systems.join(" | "));
    table.push_str(&"---|".repeat(systems.len()));
    for (suite, row) in rows {
        table.push_str(&format!("\n| {suite} | {row} |"));
        let ours = cells.get(&(suite, row, ANNALS));
        for system in &systems {
            let cell = cells.get(&(suite, row, *system)).map_or_else(|| "–".to_string(), |it| cell(it, ours));
            table.push_str(&format!(" {cell} |"));
        }
    }
    table.push('\n');
    table
}

fn cell(line: &Line, ours: Option<&&Line>) -> String {
    let text = format!("{} {}", number(line.median), line.unit);
    match ours {
        Some(ours) if line.system != ANNALS && ours.median > 0.0 && line.median > 0.0 => {
            let rate = line.unit.ends_with("/s");
            let ratio = if rate { ours.median / line.median } else { line.median / ours.median };
            format!("{text} ({}x)", number_short(ratio))
        }
        _ => text,
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
                    people20k\tq1\tother\t4\t3\tms\npeople20k\tq1\tannals\t0.5\t0.4\tms\n";
        let table = comparison(&read(text).unwrap());
        assert!(table.contains("| suite | row | annals | other |"), "{table}");
        assert!(table.contains("| writes | import | 300.0 datoms/s | 100.0 datoms/s (3.0x) |"), "{table}");
        assert!(table.contains("| people20k | q1 | 0.5000 ms | 4.000 ms (8.0x) |"), "{table}");
    }

    #[test]
    fn a_malformed_line_is_named() {
        assert!(read("a\tb\n").unwrap_err().to_string().contains("not a line of figures"));
    }
}
