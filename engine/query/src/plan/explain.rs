//! A plan explained: a tree of operators with what the planner expects of each, and what a measured run took.
//!
//! [`words`] says what a step does, [`show`] makes text and EDN of the tree.

mod show;
mod words;

use annals_edn::Span;

use crate::ast::{FindElem, Query, VarId};
use crate::check::CheckedQuery;
use crate::run::context::Counters;
use crate::run::meter::Spent;

use super::logic::{Call, Logic, Origin};
use super::physical::{Edge, Pipeline, Plan, Step, StepKind};
use super::vars::VarSet;
use super::written;
use words::Names;

/// What a query would do, or has done. `Display` shows it as text, [`Explanation::to_edn`] as data.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// how many steps, those of inner pipelines included
    pub steps: usize,
    /// rows that are expected
    pub rows: f64,
    /// what it is expected to take, nanoseconds
    pub nanos: f64,
    /// the variable in whose order rows leave while they are found; without one they are sorted at the end
    pub streams: Option<String>,
    /// repeats are impossible, so nobody looks for them
    pub distinct: bool,
    /// how the plan came about
    pub planned: Option<Planned>,
    /// what the run took
    pub ran: Option<Ran>,
    /// the steps, first to last
    pub operators: Vec<Operator>,
    /// what makes the result of their rows
    pub result: Vec<Operator>,
}

/// How a plan came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// it was known from an earlier run
    pub cached: bool,
    /// nanoseconds; of one that is known what it took to find it
    pub nanos: u64,
}

/// What a whole run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// rows of the result
    pub rows: u64,
    /// nanoseconds, planning and pulls aside
    pub nanos: u64,
    /// rows that scans and look-ups read
    pub datoms: u64,
    /// rows that all steps produced
    pub produced: u64,
    /// segments that were read, from the cache or the store
    pub segments: u64,
    /// bytes of these, decoded
    pub bytes: u64,
}

/// One operator.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// number of the step; none for what makes the result
    pub step: Option<usize>,
    /// one word: scan, look-up, hash-join, …
    pub kind: &'static str,
    /// what it does
    pub text: String,
    /// the clause that it comes from
    pub clause: Option<String>,
    /// the rule in whose body that stands
    pub rule: Option<String>,
    /// the index that is read
    pub index: Option<&'static str>,
    /// which part of it
    pub range: Option<String>,
    /// what it joins by
    pub keys: Vec<String>,
    /// variables that it binds and somebody needs
    pub binds: Vec<String>,
    /// rows that are expected, and nanoseconds; none for what is not estimated
    pub expected: Option<(f64, f64)>,
    /// what it took, inner operators included
    pub actual: Option<Actual>,
    /// what runs inside it
    pub inner: Vec<Inner>,
}

/// What an operator took in a measured run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actual {
    /// rows it was given
    pub rows_in: u64,
    /// rows it made
    pub rows_out: u64,
    /// time, batches and segments; none where only rows were counted
    pub spent: Option<Spent>,
}

/// A pipeline inside an operator.
#[derive(Clone, Debug, Default)]
pub struct Inner {
    /// which: "branch 1", "body", …
    pub label: String,
    /// its steps
    pub operators: Vec<Operator>,
}

/// What a run has measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    pub counters: Counters,
    /// by number of step, then making the result, then everything; empty where time was not taken
    pub spent: Vec<Spent>,
    /// rows of the result
    pub rows: u64,
}

impl Measured {
    /// Adds another run of the same plan.
    pub(crate) fn add(&mut self, other: &Measured) {
        self.rows += other.rows;
        self.counters.add(&other.counters);
        self.spent.resize(self.spent.len().max(other.spent.len()), Spent::default());
        self.spent.iter_mut().zip(&other.spent).for_each(|(mine, theirs)| mine.add(theirs));
    }
}

/// What the pipelines of a nested query's call are.
pub(crate) type NestedPlans<'a> = &'a dyn Fn(&Call) -> Vec<Inner>;

/// A plan and what is known of its query.
pub(crate) struct Explain<'a> {
    checked: &'a CheckedQuery,
    logic: &'a Logic,
    plan: &'a Plan,
    names: Names<'a>,
    measured: Option<&'a Measured>,
    nested: NestedPlans<'a>,
}

/// A step that an error is blamed on.
pub(crate) struct Blamed {
    /// what it does
    pub operator: String,
    /// its clause
    pub clause: Option<String>,
    /// where that stands, in the query's own text
    pub at: Option<Span>,
}

/// What is said of step number `id` in an error.
pub(crate) fn blamed(checked: &CheckedQuery, logic: &Logic, plan: &Plan, id: usize) -> Option<Blamed> {
    let names = Names::new(&checked.query, logic);
    let mut open: Vec<&Pipeline> = vec![&plan.root];
    while let Some(pipeline) = open.pop() {
        for step in &pipeline.steps {
            if step.id == id {
                let origin = logic.written.get(step.origin.0 as usize);
                let at = origin.filter(|origin| origin.rule.is_none()).map(|origin| origin.clause.span());
                return Some(Blamed {
                    operator: names.step(step),
                    clause: origin.map(|origin| written::clause(&checked.query, &origin.clause)),
                    at: at.filter(|at| at.end > at.start),
                });
            }
            open.extend(inner(step).into_iter().map(|(_, pipeline, _)| pipeline));
        }
    }
    None
}

/// The pipelines within a step, what they are, and what is bound where they start.
fn inner(step: &Step) -> Vec<(String, &Pipeline, VarSet)> {
    let seeded = |vars: &[VarId], seed: VarId| vars.iter().copied().chain([seed]).collect::<VarSet>();
    match &step.kind {
        StepKind::Hash(hash) => vec![("built from".to_owned(), &hash.build, VarSet::default())],
        StepKind::Not(not) => vec![("without".to_owned(), &not.body, seeded(&not.join, not.seed))],
        StepKind::Union(union) => {
            let branch =
                |(i, branch)| (format!("branch {}", i + 1), branch, seeded(&union.bound, union.seed));
            union.branches.iter().enumerate().map(branch).collect()
        }
        StepKind::Fix(fix) => {
            let rule = |rule: &crate::plan::physical::FixRule| match rule.delta {
                Some(delta) => format!("into table {}, for new rows of table {delta}", rule.table),
                None => format!("into table {}, once", rule.table),
            };
            let rules = fix.program.rules.iter();
            rules.map(|each| (rule(each), &each.body, VarSet::default())).collect()
        }
        StepKind::Closure(closure) => match &closure.edge {
            Edge::Attribute(_) => Vec::new(),
            Edge::Body { ends, forward, backward, whole } => match closure.bound {
                (true, _) => vec![("each step".to_owned(), &**forward, [ends.0].into_iter().collect())],
                (false, true) => {
                    vec![("each step back".to_owned(), &**backward, [ends.1].into_iter().collect())]
                }
                (false, false) => vec![("every step".to_owned(), &**whole, VarSet::default())],
            },
        },
        _ => Vec::new(),
    }
}

impl<'a> Explain<'a> {
    /// Of `plan`; `measured` is what a run of it took.
    pub(crate) fn new(
        checked: &'a CheckedQuery,
        logic: &'a Logic,
        plan: &'a Plan,
        measured: Option<&'a Measured>,
        nested: NestedPlans<'a>,
    ) -> Explain<'a> {
        let names = Names::new(&checked.query, logic);
        Explain { checked, logic, plan, names, measured, nested }
    }

    /// The whole.
    pub(crate) fn explanation(&self) -> Explanation {
        let (plan, query) = (self.plan, &self.checked.query);
        let streams = self.lead().map(|lead| self.names.of(lead));
        Explanation {
            steps: plan.steps,
            rows: plan.root.rows,
            nanos: plan.root.cost,
            distinct: plan.distinct,
            planned: None,
            ran: self.measured.map(|measured| self.ran(measured)),
            operators: self.pipeline(&plan.root, VarSet::default()),
            result: self.result(query, streams.as_deref()),
            streams,
        }
    }

    fn ran(&self, measured: &Measured) -> Ran {
        let whole = measured.spent.get(self.plan.steps + 1).copied().unwrap_or_default();
        Ran {
            rows: measured.rows,
            nanos: whole.nanos,
            datoms: measured.counters.datoms,
            produced: measured.counters.produced,
            segments: whole.segments,
            bytes: whole.bytes,
        }
    }

    /// The variable in whose order rows leave as they come.
    fn lead(&self) -> Option<VarId> {
        let fixed = |var: VarId| self.logic.fixed.iter().any(|(fixed, _)| *fixed == var);
        crate::rows::lead(self.checked, self.plan, fixed)
    }

    fn pipeline(&self, pipeline: &Pipeline, mut bound: VarSet) -> Vec<Operator> {
        pipeline.steps.iter().map(|step| self.step(step, &mut bound)).collect()
    }

    fn step(&self, step: &Step, bound: &mut VarSet) -> Operator {
        let (clause, rule) = self.origin(step.origin);
        let (index, range) = match &step.kind {
            StepKind::Scan(scan) => self.names.range(scan).unzip(),
            _ => (None, None),
        };
        let mut inside: Vec<Inner> = inner(step)
            .into_iter()
            .map(|(label, pipeline, bound)| Inner { label, operators: self.pipeline(pipeline, bound) })
            .collect();
        if let StepKind::Bind(call, _) | StepKind::Filter(call) = &step.kind {
            inside.extend((self.nested)(call));
        }
        Operator {
            step: Some(step.id),
            kind: words::kind(&step.kind),
            text: self.names.step(step),
            clause,
            rule,
            index,
            range,
            keys: self.names.keys(step),
            binds: self.names.binds(step, bound),
            expected: Some((step.rows.max(0.0), step.cost)),
            actual: self.measured.map(|measured| Actual::of(measured, step.id)),
            inner: inside,
        }
    }

    fn origin(&self, origin: Origin) -> (Option<String>, Option<String>) {
        match self.logic.written.get(origin.0 as usize) {
            Some(origin) => {
                let rule = origin.rule.as_ref().map(|name| name.as_str().to_owned());
                (Some(written::clause(&self.checked.query, &origin.clause)), rule)
            }
            None => (None, None),
        }
    }

    /// What happens to the rows of the last step.
    fn result(&self, query: &Query, streams: Option<&str>) -> Vec<Operator> {
        let actual = self.measured.map(|measured| {
            let rows_in = match self.plan.root.steps.last() {
                Some(last) => Actual::of(measured, last.id).rows_out,
                None => measured.rows,
            };
            let spent = measured.spent.get(self.plan.steps).copied();
            Actual { rows_in, rows_out: measured.rows, spent }
        });
        let repeats = if self.plan.distinct { "" } else { ", repeats dropped" };
        let (kind, text) = match streams {
            _ if query.aggregates() => {
                let is_key = |elem: &&FindElem| !matches!(elem, FindElem::Aggregate { .. });
                let keys = self.names.all(query.find.elements.iter().filter(is_key).map(FindElem::var));
                ("aggregate", format!("aggregate by [{}]{repeats}, groups sorted", keys.join(" ")))
            }
            Some(lead) if self.plan.single => ("stream", format!("rows leave in order of {lead} as found")),
            Some(lead) => {
                ("stream", format!("rows leave in order of {lead}, those of one {lead} sorted{repeats}"))
            }
            None => ("sort", format!("sort all rows{}{repeats}", self.sorted_by(query))),
        };
        let mut result = vec![Operator { kind, text, actual, ..Operator::default() }];
        if query.limit.is_some() || query.offset > 0 {
            let limit = query.limit.map_or_else(String::new, |limit| format!(" {limit}"));
            let offset = if query.offset > 0 { format!(" after {}", query.offset) } else { String::new() };
            let text = format!("at most{limit} rows{offset}");
            result.push(Operator { kind: "limit", text, ..Operator::default() });
        }
        for elem in &query.find.elements {
            if let FindElem::Pull { var, .. } = elem {
                let text = format!("pull for each {}", self.names.of(*var));
                result.push(Operator { kind: "pull", text, ..Operator::default() });
            }
        }
        result
    }

    fn sorted_by(&self, query: &Query) -> String {
        let name = |key: &crate::ast::OrderKey| {
            let var = match query.find.elements.get(key.column) {
                Some(elem) => elem.var(),
                None => query.with[key.column - query.find.elements.len()],
            };
            format!("{}{}", self.names.of(var), if key.descending { " descending" } else { "" })
        };
        let keys: Vec<String> = query.order_by.iter().map(name).collect();
        if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) }
    }
}

impl Actual {
    fn of(measured: &Measured, step: usize) -> Actual {
        let (rows_in, rows_out) = measured.counters.steps.get(step).copied().unwrap_or_default();
        Actual { rows_in, rows_out, spent: measured.spent.get(step).copied() }
    }
}
