//! Steps in words: names of variables, what is read, what is bound.

use std::cell::RefCell;
use std::ops::Bound;

use annals_db::Index;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ast::{Query, VarId};
use crate::plan::logic::{Attr, Call, CallArg, DataPattern, Fixed, Logic};
use crate::plan::physical::{By, Part, Reading, ScanStep, Step, StepKind};
use crate::plan::vars::VarSet;
use crate::plan::written::{constant, joined};

/// Names of variables as people know them.
///
/// A constant is itself. A variable of a rule that stands in several places has a name for each: `?x`, `?x%2`.
pub(super) struct Names<'a> {
    query: &'a Query,
    logic: &'a Logic,
    given: RefCell<(FxHashMap<VarId, String>, FxHashSet<String>)>,
}

impl<'a> Names<'a> {
    /// Of one query; those that it names itself come first.
    pub(super) fn new(query: &'a Query, logic: &'a Logic) -> Names<'a> {
        let names = Names { query, logic, given: RefCell::default() };
        let own = logic.main.iter().flat_map(|node| node.vars().iter().collect::<Vec<_>>());
        for var in query.basis().into_iter().chain(own) {
            if (var.0 as usize) < query.vars.len() {
                names.of(var);
            }
        }
        names
    }

    /// The name of a variable, or the constant that it stands for.
    pub(super) fn of(&self, var: VarId) -> String {
        let fixed = self.logic.fixed.iter().find(|(known, _)| *known == var);
        if let Some((_, Fixed::Const(id))) = fixed {
            return constant(self.query.constant(*id));
        }
        let mut given = self.given.borrow_mut();
        let (known, taken) = &mut *given;
        if let Some(name) = known.get(&var) {
            return name.clone();
        }
        let written = self.logic.names.get(&var).copied().unwrap_or(var);
        let base = match self.query.vars.get(written.0 as usize) {
            Some(known) => known.name.to_string(),
            None => format!("?{}", var.0),
        };
        let later = (2..).map(|n| format!("{base}%{n}"));
        let free = std::iter::once(base.clone()).chain(later).find(|name| !taken.contains(name));
        let name = free.expect("numbers do not end");
        taken.insert(name.clone());
        known.insert(var, name.clone());
        name
    }

    pub(super) fn all(&self, vars: impl IntoIterator<Item = VarId>) -> Vec<String> {
        vars.into_iter().map(|var| self.of(var)).collect()
    }

    fn list(&self, vars: &[VarId]) -> String {
        format!("[{}]", joined(vars.iter().map(|var| self.of(*var))))
    }

    fn term(&self, term: Option<VarId>) -> String {
        term.map_or_else(|| "_".to_owned(), |var| self.of(var))
    }

    fn is_fixed(&self, var: VarId) -> bool {
        self.logic.fixed.iter().any(|(fixed, _)| *fixed == var)
    }

    /// What `step` does.
    pub(super) fn step(&self, step: &Step) -> String {
        match &step.kind {
            StepKind::Scan(scan) => match &scan.pattern {
                Reading::Data(pattern) => format!("scan {} {}", index(scan.index), self.pattern(pattern)),
                Reading::Tuple(pattern) => {
                    let terms = joined(pattern.terms.iter().map(|term| self.term(*term)));
                    format!("scan relation [{terms}]")
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
            StepKind::Hash(hash) => match hash.keys.is_empty() {
                true => "hash join on nothing: every row with every other".to_owned(),
                false => format!("hash join on {}", self.list(&hash.keys)),
            },
            StepKind::Same(x, y) => format!("same {} {}", self.of(*x), self.of(*y)),
            StepKind::Filter(call) => format!("filter {}", self.call(call)),
            StepKind::Bind(call, binding) => {
                format!("bind {} from {}", self.list(&binding.vars().collect::<Vec<_>>()), self.call(call))
            }
            StepKind::Distinct(vars) => format!("distinct {}", self.list(vars)),
            StepKind::Not(not) => format!("not, on {}", self.list(&not.join)),
            StepKind::Union(union) => {
                format!("or, from {} to {}", self.list(&union.bound), self.list(&union.outs))
            }
            StepKind::Fix(fix) => {
                format!("fixpoint of {} rules for {}", fix.program.rules.len(), self.list(&fix.args))
            }
            StepKind::Closure(closure) => {
                format!("closure from {} to {}", self.of(closure.from), self.of(closure.to))
            }
            StepKind::Table(table) => {
                let part = match table.part {
                    Part::Old => "older rows",
                    Part::Delta => "newest rows",
                    Part::Whole => "all rows",
                };
                format!("{part} of table {} {}", table.table, self.list(&table.args))
            }
        }
    }

    fn pattern(&self, pattern: &DataPattern) -> String {
        let a = match &pattern.a {
            Attr::Known(attribute) => attribute.ident.to_string(),
            Attr::Var(var) => self.of(*var),
            Attr::Blank => "_".to_owned(),
        };
        let mut terms = vec![self.term(pattern.e), a, self.term(pattern.v)];
        if pattern.tx.is_some() || pattern.op.is_some() {
            terms.extend([self.term(pattern.tx), self.term(pattern.op)]);
        }
        format!("[{}]", terms.join(" "))
    }

    fn call(&self, call: &Call) -> String {
        let args = call.args.iter().map(|arg| match arg {
            CallArg::Var(var) => self.of(*var),
            CallArg::Source(source) => match self.query.sources.get(usize::from(source.0)) {
                Some(source) => source.name.as_str().to_owned(),
                None => "$".to_owned(),
            },
            CallArg::Form(_) => "query".to_owned(),
        });
        format!("({})", joined(std::iter::once(call.function.name().to_owned()).chain(args)))
    }

    /// Index and range of what a scan reads in a database.
    pub(super) fn range(&self, scan: &ScanStep) -> Option<(&'static str, String)> {
        let Reading::Data(pattern) = &scan.pattern else { return None };
        let fixed = |var: Option<VarId>| var.filter(|var| self.is_fixed(*var)).map(|var| self.of(var));
        let a = match &pattern.a {
            Attr::Known(attribute) => attribute.ident.to_string(),
            Attr::Var(var) if self.is_fixed(*var) => self.of(*var),
            _ => "every attribute".to_owned(),
        };
        let by_value = matches!(&pattern.a, Attr::Known(attribute) if attribute.kept_in_avet());
        let of = match (fixed(pattern.e), fixed(pattern.v)) {
            (Some(e), Some(v)) => format!("{a} of {e}, rows with {v} kept"),
            (Some(e), None) => format!("{a} of {e}"),
            (None, Some(v)) if by_value => format!("{a} = {v}"),
            (None, Some(v)) => format!("all of {a}, rows with {v} kept"),
            (None, None) => self.bounded(&a, scan),
        };
        Some((index(scan.index), of))
    }

    fn bounded(&self, a: &str, scan: &ScanStep) -> String {
        let low = match scan.bounds.0 {
            Bound::Included(var) => Some(format!(">= {}", self.of(var))),
            Bound::Excluded(var) => Some(format!("> {}", self.of(var))),
            Bound::Unbounded => None,
        };
        let high = match scan.bounds.1 {
            Bound::Included(var) => Some(format!("<= {}", self.of(var))),
            Bound::Excluded(var) => Some(format!("< {}", self.of(var))),
            Bound::Unbounded => None,
        };
        let bounds: Vec<String> = low.into_iter().chain(high).collect();
        match scan.index == Index::Avet && !bounds.is_empty() {
            true => format!("{a} {}", bounds.join(" and ")),
            false => format!("all of {a}"),
        }
    }

    /// What a step is joined by.
    pub(super) fn keys(&self, step: &Step) -> Vec<String> {
        match &step.kind {
            StepKind::Lookup(lookup) => {
                let key = match (lookup.by, &lookup.pattern.a) {
                    (By::Entity, _) => lookup.pattern.e,
                    (By::Value, _) => lookup.pattern.v,
                    (By::Attribute, Attr::Var(var)) => Some(*var),
                    (By::Attribute, _) => None,
                };
                self.all(key)
            }
            StepKind::Hash(hash) => self.all(hash.keys.iter().copied()),
            StepKind::Not(not) => self.all(not.join.iter().copied()),
            StepKind::Union(union) => self.all(union.bound.iter().copied()),
            StepKind::Table(table) => self.all(table.keys.iter().copied()),
            StepKind::Distinct(vars) => self.all(vars.iter().copied()),
            StepKind::Fix(fix) => {
                let bound = fix.args.iter().zip(&fix.bound).filter(|(_, bound)| **bound);
                self.all(bound.map(|(var, _)| *var))
            }
            StepKind::Closure(closure) => {
                let ends = [(closure.from, closure.bound.0), (closure.to, closure.bound.1)];
                self.all(ends.into_iter().filter(|(_, bound)| *bound).map(|(var, _)| var))
            }
            _ => Vec::new(),
        }
    }

    /// What a step binds of what is kept, given what is bound before; all of it is bound afterwards.
    pub(super) fn binds(&self, step: &Step, bound: &mut VarSet) -> Vec<String> {
        let vars: VarSet = vars(&step.kind).into_iter().filter(|var| !self.is_fixed(*var)).collect();
        let new = vars.without(bound);
        bound.join(&vars);
        self.all(new.iter().filter(|var| step.keep.has(*var)))
    }
}

/// Every variable that a step reads or binds.
fn vars(kind: &StepKind) -> Vec<VarId> {
    match kind {
        StepKind::Scan(scan) => match &scan.pattern {
            Reading::Data(pattern) => pattern.vars().collect(),
            Reading::Tuple(pattern) => pattern.terms.iter().flatten().copied().collect(),
        },
        StepKind::Lookup(lookup) => lookup.pattern.vars().collect(),
        StepKind::Rows(rows) => rows.slots.iter().flatten().copied().collect(),
        StepKind::Hash(hash) => hash.keys.iter().chain(&hash.outs).copied().collect(),
        StepKind::Same(x, y) => vec![*x, *y],
        StepKind::Bind(_, binding) => binding.vars().collect(),
        StepKind::Union(union) => union.outs.clone(),
        StepKind::Fix(fix) => fix.args.clone(),
        StepKind::Closure(closure) => vec![closure.from, closure.to],
        StepKind::Table(table) => table.args.clone(),
        StepKind::Filter(_) | StepKind::Distinct(_) | StepKind::Not(_) => Vec::new(),
    }
}

fn index(index: Index) -> &'static str {
    match index {
        Index::Eavt => "eavt",
        Index::Aevt => "aevt",
        Index::Avet => "avet",
    }
}

/// The kind of a step, one word.
pub(super) fn kind(kind: &StepKind) -> &'static str {
    match kind {
        StepKind::Scan(_) => "scan",
        StepKind::Lookup(_) => "look-up",
        StepKind::Rows(_) => "input",
        StepKind::Hash(_) => "hash-join",
        StepKind::Same(..) => "same",
        StepKind::Filter(_) => "filter",
        StepKind::Bind(..) => "function",
        StepKind::Distinct(_) => "distinct",
        StepKind::Not(_) => "not",
        StepKind::Union(_) => "or",
        StepKind::Fix(_) => "fixpoint",
        StepKind::Closure(_) => "closure",
        StepKind::Table(_) => "table",
    }
}
