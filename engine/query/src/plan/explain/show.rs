//! An explanation as text, a line an operator with what belongs to it below, and as EDN.

use std::fmt::{self, Write};

use annals_edn::{Edn, Node, Symbol};

use super::{Actual, Explanation, Inner, Operator};
use crate::run::meter::Spent;

/// Lines longer than this do not push the numbers of the others further to the right.
const WIDEST: usize = 72;

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeats = if self.distinct { "no repeats possible" } else { "repeats looked for" };
        let order = match &self.streams {
            Some(lead) => format!("in order of {lead} while they are found"),
            None => "sorted at the end".to_owned(),
        };
        let (steps, rows, cost) = (counted(self.steps as u64, "step"), about(self.rows), time(self.nanos));
        writeln!(out, "{steps}, about {rows} rows and {cost} expected; {order}; {repeats}")?;
        if let Some(planned) = &self.planned {
            let from = if planned.cached { ", the plan was known" } else { "" };
            writeln!(out, "planned in {}{from}", time(planned.nanos as f64))?;
        }
        if let Some(ran) = &self.ran {
            let (rows, read) = (counted(ran.rows, "row"), counted(ran.datoms, "row"));
            let (made, segments) = (counted(ran.produced, "row"), counted(ran.segments, "segment"));
            writeln!(
                out,
                "{rows} in {}; {read} read, {made} made; {segments}, {} bytes",
                time(ran.nanos as f64),
                ran.bytes
            )?;
        }
        writeln!(out)?;
        let mut lines = Vec::new();
        self.operators.iter().for_each(|operator| add(&mut lines, operator, 0));
        self.result.iter().for_each(|operator| add(&mut lines, operator, 0));
        let width = |line: &Line| line.head.chars().count();
        let width =
            lines.iter().filter(|line| !line.tail.is_empty()).map(width).filter(|w| *w <= WIDEST).max();
        for Line { head, tail } in &lines {
            let gap = width.unwrap_or(0).saturating_sub(head.chars().count());
            match tail.is_empty() {
                true => writeln!(out, "{head}")?,
                false => writeln!(out, "{head}{}  {tail}", " ".repeat(gap))?,
            }
        }
        Ok(())
    }
}

struct Line {
    head: String,
    tail: String,
}

fn add(lines: &mut Vec<Line>, operator: &Operator, depth: usize) {
    let indent = "  ".repeat(depth);
    let number = operator.step.map_or_else(|| "=>".to_owned(), |step| format!("#{step}"));
    let mut tail = String::new();
    if let Some((rows, nanos)) = operator.expected {
        let _ = write!(tail, "~{} rows  ~{}", about(rows), time(nanos));
    }
    if let Some(actual) = &operator.actual {
        let gap = if tail.is_empty() { "" } else { "  | " };
        let _ = write!(tail, "{gap}{}", took(actual));
    }
    lines.push(Line { head: format!("{indent}{number} {}", operator.text), tail });
    let mut below = Vec::new();
    if let Some(range) = &operator.range {
        below.push(format!("reads {range}"));
    }
    if !operator.keys.is_empty() && operator.kind == "look-up" {
        below.push(format!("by {}", operator.keys.join(" ")));
    }
    if !operator.binds.is_empty() {
        below.push(format!("binds {}", operator.binds.join(" ")));
    }
    if let Some(clause) = operator.clause.as_ref().filter(|clause| !operator.text.contains(*clause)) {
        below.push(format!("from {clause}"));
    }
    if let Some(rule) = &operator.rule {
        below.push(format!("in rule {rule}"));
    }
    if !below.is_empty() {
        lines.push(Line { head: format!("{indent}     {}", below.join("; ")), tail: String::new() });
    }
    for Inner { label, operators } in &operator.inner {
        lines.push(Line { head: format!("{indent}   {label}:"), tail: String::new() });
        operators.iter().for_each(|operator| add(lines, operator, depth + 2));
    }
}

fn took(actual: &Actual) -> String {
    let mut text = format!("{} -> {} rows", actual.rows_in, actual.rows_out);
    let Some(spent) = &actual.spent else { return text };
    let _ = write!(text, "  {}", time(spent.nanos as f64));
    if spent.calls > 1 {
        let _ = write!(text, " in {} batches", spent.calls);
    }
    if spent.segments > 0 {
        let _ = write!(text, "  {}, {} bytes", counted(spent.segments, "segment"), spent.bytes);
    }
    text
}

fn counted(n: u64, what: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{n} {what}{plural}")
}

/// A number of rows that is an estimate.
fn about(rows: f64) -> String {
    if rows > 0.0 && rows < 0.95 { format!("{rows:.1}") } else { format!("{rows:.0}") }
}

/// Nanoseconds for people.
fn time(nanos: f64) -> String {
    match nanos {
        n if n < 99_950.0 => format!("{:.1} µs", n / 1e3),
        n if n < 99_950_000.0 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

impl Explanation {
    /// As data: maps with keywords. Times are microseconds, estimates doubles, counts longs.
    #[must_use]
    pub fn to_edn(&self) -> Edn {
        let mut entries = vec![
            ("steps", long(self.steps as u64)),
            ("rows", double(self.rows)),
            ("us", double(self.nanos / 1e3)),
            ("order", Edn::keyword(if self.streams.is_some() { "streamed" } else { "sorted" })),
            ("distinct", Edn::new(Node::Bool(self.distinct))),
        ];
        if let Some(lead) = &self.streams {
            entries.push(("by", symbol(lead)));
        }
        if let Some(planned) = &self.planned {
            let us = double(planned.nanos as f64 / 1e3);
            entries.push(("plan", map(vec![("cached", Edn::new(Node::Bool(planned.cached))), ("us", us)])));
        }
        if let Some(ran) = &self.ran {
            let run = vec![
                ("rows", long(ran.rows)),
                ("us", double(ran.nanos as f64 / 1e3)),
                ("datoms", long(ran.datoms)),
                ("produced", long(ran.produced)),
                ("segments", long(ran.segments)),
                ("bytes", long(ran.bytes)),
            ];
            entries.push(("run", map(run)));
        }
        entries.push(("operators", all(&self.operators)));
        entries.push(("result", all(&self.result)));
        map(entries)
    }
}

fn all(operators: &[Operator]) -> Edn {
    Edn::vector(operators.iter().map(operator).collect())
}

fn operator(operator: &Operator) -> Edn {
    let mut entries = Vec::new();
    if let Some(step) = operator.step {
        entries.push(("step", long(step as u64)));
    }
    entries.push(("operator", Edn::keyword(operator.kind)));
    entries.push(("text", Edn::string(operator.text.clone())));
    let texts = [("clause", &operator.clause), ("rule", &operator.rule), ("range", &operator.range)];
    for (name, text) in texts {
        if let Some(text) = text {
            entries.push((name, Edn::string(text.clone())));
        }
    }
    if let Some(index) = operator.index {
        entries.push(("index", Edn::keyword(index)));
    }
    for (name, vars) in [("keys", &operator.keys), ("binds", &operator.binds)] {
        if !vars.is_empty() {
            entries.push((name, Edn::vector(vars.iter().map(|var| symbol(var)).collect())));
        }
    }
    if let Some((rows, nanos)) = operator.expected {
        entries.extend([("rows", double(rows)), ("us", double(nanos / 1e3))]);
    }
    if let Some(actual) = &operator.actual {
        entries.push(("actual", taken(actual)));
    }
    if !operator.inner.is_empty() {
        let inner = |inner: &Inner| {
            map(vec![("label", Edn::string(inner.label.clone())), ("operators", all(&inner.operators))])
        };
        entries.push(("inner", Edn::vector(operator.inner.iter().map(inner).collect())));
    }
    map(entries)
}

fn taken(actual: &Actual) -> Edn {
    let mut entries = vec![("in", long(actual.rows_in)), ("out", long(actual.rows_out))];
    if let Some(Spent { calls, nanos, segments, bytes }) = actual.spent {
        entries.extend([
            ("batches", long(calls)),
            ("us", double(nanos as f64 / 1e3)),
            ("segments", long(segments)),
            ("bytes", long(bytes)),
        ]);
    }
    map(entries)
}

fn map(entries: Vec<(&'static str, Edn)>) -> Edn {
    Edn::map(entries.into_iter().map(|(name, value)| (Edn::keyword(name), value)).collect())
}

fn long(n: u64) -> Edn {
    Edn::new(Node::Long(n.try_into().unwrap_or(i64::MAX)))
}

/// A tenth is exact enough for what is a guess or a time.
fn double(x: f64) -> Edn {
    Edn::new(Node::Double((x * 10.0).round() / 10.0))
}

/// A variable; a constant that stands for one keeps its text.
fn symbol(name: &str) -> Edn {
    match name.starts_with('?') {
        true => Edn::new(Node::Symbol(Symbol::new(name))),
        false => Edn::string(name.to_owned()),
    }
}
