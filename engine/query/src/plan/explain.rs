//! A plan as text: a line a step, inner pipelines indented, with what the planner expects of each.

use std::fmt::Write;

use annals_db::Index;

use crate::ast::{Query, VarId};

use super::logic::{Attr, Call, CallArg, DataPattern};
use super::physical::{By, Edge, Part, Pipeline, Plan, Reading, Step, StepKind};

/// Writes `plan`, with the names of `query`.
pub(crate) fn explain(plan: &Plan, query: &Query) -> String {
    let mut writer = Writer { query, text: String::new() };
    let order = match plan.lead {
        Some(lead) => format!("in order of {}", writer.var(lead)),
        None => "sorted at the end".to_owned(),
    };
    let repeats = if plan.distinct { "no repeats possible" } else { "repeats dropped" };
    let (steps, micros, rows) = (plan.steps, plan.root.cost / 1e3, plan.root.rows);
    let _ =
        writeln!(writer.text, "{steps} steps, about {micros:.0} µs and {rows:.0} rows, {order}, {repeats}");
    writer.pipeline(&plan.root, 0);
    writer.text
}

/// What step number `id` does, in the words of [`explain`].
pub(crate) fn operator(plan: &Plan, query: &Query, id: usize) -> Option<String> {
    let writer = Writer { query, text: String::new() };
    let mut open: Vec<&Pipeline> = vec![&plan.root];
    while let Some(pipeline) = open.pop() {
        for step in &pipeline.steps {
            if step.id == id {
                return Some(writer.step(step));
            }
            open.extend(inner(step));
        }
    }
    None
}

/// The pipelines within a step.
fn inner(step: &Step) -> Vec<&Pipeline> {
    match &step.kind {
        StepKind::Hash(hash) => vec![&hash.build],
        StepKind::Not(not) => vec![&not.body],
        StepKind::Union(union) => union.branches.iter().collect(),
        StepKind::Fix(fix) => fix.program.rules.iter().map(|rule| &rule.body).collect(),
        StepKind::Closure(closure) => match &closure.edge {
            Edge::Attribute(_) => Vec::new(),
            Edge::Body { forward, backward, whole, .. } => vec![forward, backward, whole],
        },
        _ => Vec::new(),
    }
}

struct Writer<'q> {
    query: &'q Query,
    text: String,
}

impl Writer<'_> {
    fn pipeline(&mut self, pipeline: &Pipeline, depth: usize) {
        for step in &pipeline.steps {
            let (indent, id, what) = ("  ".repeat(depth), step.id, self.step(step));
            let _ = writeln!(self.text, "{indent}#{id} {what}  ~{:.0} rows", step.rows.max(0.0));
            self.inner(step, depth + 1);
        }
    }

    fn inner(&mut self, step: &Step, depth: usize) {
        match &step.kind {
            StepKind::Hash(hash) => self.pipeline(&hash.build, depth),
            StepKind::Not(not) => self.pipeline(&not.body, depth),
            StepKind::Union(union) => union.branches.iter().for_each(|branch| self.pipeline(branch, depth)),
            StepKind::Fix(fix) => fix.program.rules.iter().for_each(|rule| self.pipeline(&rule.body, depth)),
            StepKind::Closure(closure) => match &closure.edge {
                Edge::Attribute(_) => {}
                Edge::Body { forward, .. } => self.pipeline(forward, depth),
            },
            _ => {}
        }
    }

    fn step(&self, step: &Step) -> String {
        match &step.kind {
            StepKind::Scan(scan) => match &scan.pattern {
                Reading::Data(pattern) => format!("scan {} {}", index(scan.index), self.pattern(pattern)),
                Reading::Tuple(pattern) => {
                    let terms: Vec<String> = pattern.terms.iter().map(|term| self.term(*term)).collect();
                    format!("scan relation [{}]", terms.join(" "))
                }
            },
            StepKind::Lookup(lookup) => {
                let by = match lookup.by {
                    By::Entity => "entity",
                    By::Value => "value",
                    By::Attribute => "attribute",
                };
                format!("look up by {by} {}", self.pattern(&lookup.pattern))
            }
            StepKind::Rows(rows) => format!("join input {}", rows.input + 1),
            StepKind::Hash(hash) => format!("hash join on {}", self.vars(&hash.keys)),
            StepKind::Same(x, y) => format!("same {} {}", self.var(*x), self.var(*y)),
            StepKind::Filter(call) => format!("filter {}", self.call(call)),
            StepKind::Bind(call, binding) => {
                let vars: Vec<VarId> = binding.vars().collect();
                format!("bind {} from {}", self.vars(&vars), self.call(call))
            }
            StepKind::Distinct(vars) => format!("distinct {}", self.vars(vars)),
            StepKind::Not(not) => format!("not, on {}", self.vars(&not.join)),
            StepKind::Union(union) => {
                format!("or, from {} to {}", self.vars(&union.bound), self.vars(&union.outs))
            }
            StepKind::Fix(fix) => {
                format!("fixpoint of {} rules for {}", fix.program.rules.len(), self.vars(&fix.args))
            }
            StepKind::Closure(closure) => {
                format!("closure from {} to {}", self.var(closure.from), self.var(closure.to))
            }
            StepKind::Table(table) => {
                let part = match table.part {
                    Part::Old => "older rows",
                    Part::Delta => "newest rows",
                    Part::Whole => "all rows",
                };
                format!("{part} of table {} {}", table.table, self.vars(&table.args))
            }
        }
    }

    fn pattern(&self, pattern: &DataPattern) -> String {
        let a = match &pattern.a {
            Attr::Known(attribute) => attribute.ident.to_string(),
            Attr::Var(var) => self.var(*var),
            Attr::Blank => "_".to_owned(),
        };
        let mut terms = vec![self.term(pattern.e), a, self.term(pattern.v)];
        if pattern.tx.is_some() || pattern.op.is_some() {
            terms.extend([self.term(pattern.tx), self.term(pattern.op)]);
        }
        format!("[{}]", terms.join(" "))
    }

    fn call(&self, call: &Call) -> String {
        let arg = |arg: &CallArg| match arg {
            CallArg::Var(var) => self.var(*var),
            CallArg::Source(source) => format!("${}", source.0),
            CallArg::Form(_) => "query".to_owned(),
        };
        let args: Vec<String> = call.args.iter().map(arg).collect();
        format!("({} {})", call.function.name(), args.join(" "))
    }

    fn vars(&self, vars: &[VarId]) -> String {
        let names: Vec<String> = vars.iter().map(|var| self.var(*var)).collect();
        format!("[{}]", names.join(" "))
    }

    fn term(&self, term: Option<VarId>) -> String {
        term.map_or_else(|| "_".to_owned(), |var| self.var(var))
    }

    /// The name of a variable; constants and variables of inlined rules are numbered.
    fn var(&self, var: VarId) -> String {
        match self.query.vars.get(var.0 as usize) {
            Some(known) => known.name.to_string(),
            None => format!("%{}", var.0),
        }
    }
}

fn index(index: Index) -> &'static str {
    match index {
        Index::Eavt => "eavt",
        Index::Aevt => "aevt",
        Index::Avet => "avet",
    }
}
