//! The evaluator that is too simple to be wrong: rows are maps from variable to value, patterns are tried on every
//! datom, rules are computed whole, round by round.

use std::collections::{BTreeMap, HashSet};

use annals_db::{Batch, Columns, Db, EntityId, Index, Range, Value};
use annals_edn::Edn;
use annals_query::ast::{Arg, Binding, Call, Clause, FindElem, Input, Pattern, Query, Term, VarId};
use annals_query::functions::{Aggregate, Function};
use annals_query::{Argument, CheckedQuery, Datum, DatumColumn, resolve};

type Row = BTreeMap<VarId, Datum>;

/// More rows than this on the way and a query is too large for nested loops.
const MAX_ROWS: usize = 3000;

/// Why a clause has no answer.
enum Unready {
    /// it must wait until more is bound
    Wait,
    /// there are too many rows
    TooMany,
}

/// A database as nested loops see it: every datom, and all rows of every rule.
pub struct Known {
    /// e a v tx op
    datoms: Vec<[Datum; 5]>,
    rules: Option<Vec<HashSet<Vec<Datum>>>>,
}

impl Known {
    /// Reads a database whole.
    pub fn new(db: &Db) -> Known {
        Known { datoms: datoms(db), rules: None }
    }
}

struct Naive<'a> {
    query: &'a Query,
    db: &'a Db,
    datoms: &'a [[Datum; 5]],
    rules: Vec<HashSet<Vec<Datum>>>,
}

/// All rows of a query on one database, a datum a find element; `None` when there are too many on the way. All queries
/// on one [`Known`] have the same rules.
pub fn answer(
    checked: &CheckedQuery,
    db: &Db,
    known: &mut Known,
    args: &[Argument],
) -> Option<Vec<Vec<Datum>>> {
    let query = &checked.query;
    let computed = known.rules.take();
    let rules = query.rules.iter().map(|_| HashSet::new()).collect();
    let mut naive = Naive { query, db, datoms: &known.datoms, rules };
    match computed {
        Some(rules) => naive.rules = rules,
        None => naive.compute_rules(),
    }
    let start = inputs(checked, db, args);
    let rows = match naive.conjunction(&query.clauses, start) {
        Ok(rows) => Some(project(query, &rows)),
        Err(Unready::TooMany) => None,
        Err(Unready::Wait) => panic!("a checked query can run"),
    };
    known.rules = Some(naive.rules);
    rows
}

/// Every datom that a view shows.
pub fn datoms(db: &Db) -> Vec<[Datum; 5]> {
    let mut all = Vec::new();
    let mut scan = db.scan(&Range::all(Index::Eavt), Columns::ALL);
    let mut batch = Batch::new(None);
    while scan.next(&mut batch).expect("a database in memory reads") {
        for row in 0..batch.rows {
            let id = |e: EntityId| Datum::Value(Value::Ref(e));
            all.push([
                id(EntityId(batch.e[row])),
                id(annals_db::AttrId(batch.a[row]).entity()),
                Datum::Value(batch.v.get(row).to_value()),
                id(EntityId::of_tx(annals_db::T(batch.t[row]))),
                Datum::bool(batch.added[row]),
            ]);
        }
    }
    all
}

fn datum(argument: &Argument) -> Datum {
    match argument {
        Argument::Form(form) => Datum::from_edn(form).expect("generated arguments are data"),
        Argument::Data(datum) => datum.clone(),
        _ => Datum::Nil,
    }
}

/// The rows that the inputs bind, ids beside the identifiers given for them.
fn inputs(checked: &CheckedQuery, db: &Db, args: &[Argument]) -> Vec<Row> {
    let mut rows = vec![Row::new()];
    for (input, arg) in checked.query.inputs.iter().zip(args) {
        if let Input::Binding(binding, _) = input {
            let datum = datum(arg);
            rows = rows.iter().flat_map(|row| bind(row, binding, &datum)).collect();
        }
    }
    for twin in &checked.given {
        for row in &mut rows {
            let given = row[&twin.given].clone();
            let resolved = match given.items() {
                Some(_) => resolve::entity(db, &given).ok().flatten().map(|e| Datum::Value(Value::Ref(e))),
                None => Some(given),
            };
            row.insert(twin.resolved, resolved.unwrap_or(Datum::Nil));
        }
    }
    rows
}

/// The row with `value` bound, as often as the binding takes it apart.
fn bind(row: &Row, binding: &Binding, value: &Datum) -> Vec<Row> {
    let slots = |row: &Row, slots: &[Option<VarId>], value: &Datum| {
        let items = value.items()?;
        let pairs = slots.iter().zip(items);
        pairs.into_iter().try_fold(row.clone(), |row, (var, item)| match var {
            Some(var) => unify(row, *var, &item),
            None => Some(row),
        })
    };
    match binding {
        Binding::Blank => vec![row.clone()],
        Binding::Scalar(var) => unify(row.clone(), *var, value).into_iter().collect(),
        Binding::Tuple(vars) => slots(row, vars, value).into_iter().collect(),
        Binding::Collection(var) => {
            let each = |item: Datum| var.map_or(Some(row.clone()), |var| unify(row.clone(), var, &item));
            value.items().unwrap_or_default().into_iter().filter_map(each).collect()
        }
        Binding::Relation(vars) => {
            value.items().unwrap_or_default().iter().filter_map(|item| slots(row, vars, item)).collect()
        }
    }
}

fn unify(mut row: Row, var: VarId, value: &Datum) -> Option<Row> {
    match row.get(&var) {
        Some(known) => (known == value).then_some(row),
        None => {
            row.insert(var, value.clone());
            Some(row)
        }
    }
}

impl Naive<'_> {
    /// Round by round until nothing is new, called components first.
    fn compute_rules(&mut self) {
        let last = self.query.rules.iter().map(|rule| rule.component).max().unwrap_or(0);
        for component in 0..=last {
            loop {
                let before: usize = self.rules.iter().map(HashSet::len).sum();
                for (at, rule) in
                    self.query.rules.iter().enumerate().filter(|(_, rule)| rule.component == component)
                {
                    for branch in &rule.branches {
                        let rows = self.conjunction(&branch.clauses, vec![Row::new()]).ok();
                        let rows = rows.expect("the rules of the test need nothing bound");
                        let heads =
                            rows.iter().map(|row| branch.head.iter().map(|var| row[var].clone()).collect());
                        let heads: Vec<Vec<Datum>> = heads.collect();
                        self.rules[at].extend(heads);
                    }
                }
                if self.rules.iter().map(HashSet::len).sum::<usize>() == before {
                    break;
                }
            }
        }
    }

    /// Every row with every clause, the first clause that can run at each turn.
    fn conjunction(&self, clauses: &[Clause], mut rows: Vec<Row>) -> Result<Vec<Row>, Unready> {
        let mut pending: Vec<&Clause> = clauses.iter().collect();
        // Patterns and rules first: they bind, and never need anything.
        pending.sort_by_key(|clause| match clause {
            Clause::Pattern(_) | Clause::Rule(_) => 0,
            Clause::Function(..) => 1,
            Clause::Predicate(_) => 2,
            Clause::Or(_) => 3,
            Clause::Not(_) => 4,
        });
        while !pending.is_empty() {
            if rows.is_empty() {
                return Ok(rows);
            }
            let mut next = None;
            for (at, clause) in pending.iter().enumerate() {
                match self.clause(clause, &rows) {
                    Ok(found) => {
                        next = Some((at, found));
                        break;
                    }
                    Err(Unready::Wait) => {}
                    Err(Unready::TooMany) => return Err(Unready::TooMany),
                }
            }
            let (at, found) = next.ok_or(Unready::Wait)?;
            rows = found;
            pending.remove(at);
        }
        Ok(rows)
    }

    fn clause(&self, clause: &Clause, rows: &[Row]) -> Result<Vec<Row>, Unready> {
        let mut found = Vec::new();
        for row in rows {
            if found.len() > MAX_ROWS {
                return Err(Unready::TooMany);
            }
            match clause {
                Clause::Pattern(pattern) => found.extend(self.pattern(pattern, row)),
                Clause::Rule(call) => {
                    let args: Vec<Term> = call.args.clone();
                    found.extend(
                        self.rules[call.rule].iter().filter_map(|tuple| self.matches(&args, tuple, row)),
                    );
                }
                Clause::Predicate(call) => {
                    if self.call(call, row)?.truthy() {
                        found.push(row.clone());
                    }
                }
                Clause::Function(call, binding) => {
                    let value = self.call(call, row)?;
                    if value != Datum::Nil {
                        found.extend(bind(row, binding, &value));
                    }
                }
                Clause::Not(not) => {
                    let inside = only(row, &not.join);
                    if inside.len() < not.join.len() {
                        return Err(Unready::Wait);
                    }
                    if self.conjunction(&not.clauses, vec![inside])?.is_empty() {
                        found.push(row.clone());
                    }
                }
                Clause::Or(or) => {
                    for branch in &or.branches {
                        for solved in self.conjunction(branch, vec![only(row, &or.join)])? {
                            let joined: Row = or
                                .join
                                .iter()
                                .map(|var| solved.get(var).map(|value| (*var, value.clone())))
                                .collect::<Option<_>>()
                                .ok_or(Unready::Wait)?;
                            found.push(
                                row.iter().map(|(var, value)| (*var, value.clone())).chain(joined).collect(),
                            );
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    fn pattern(&self, pattern: &Pattern, row: &Row) -> Vec<Row> {
        self.datoms.iter().filter_map(|datom| self.matches(&pattern.terms, datom, row)).collect()
    }

    fn matches(&self, terms: &[Term], values: &[Datum], row: &Row) -> Option<Row> {
        terms.iter().zip(values).try_fold(row.clone(), |row, (term, value)| match term {
            Term::Blank => Some(row),
            Term::Var(var) => unify(row, *var, value),
            Term::Const(id) => self.same(self.query.constant(*id), value).then_some(row),
        })
    }

    /// A constant and a value; keywords and lookup refs stand for the entities they identify.
    fn same(&self, form: &Edn, value: &Datum) -> bool {
        let constant = Datum::from_edn(form).expect("constants are data");
        let identifies = form.as_keyword().is_some() || form.as_seq().is_some();
        match value {
            Datum::Value(Value::Ref(e)) if identifies => {
                resolve::entity(self.db, &constant).ok().flatten() == Some(*e)
            }
            value => constant == *value,
        }
    }

    fn call(&self, call: &Call, row: &Row) -> Result<Datum, Unready> {
        let mut args = Vec::new();
        for arg in &call.args {
            args.push(match arg {
                Arg::Var(var) => row.get(var).cloned().ok_or(Unready::Wait)?,
                Arg::Const(id) => Datum::from_edn(self.query.constant(*id)).expect("constants are data"),
                Arg::Source(_) => Datum::Nil,
            });
        }
        Ok(match call.function {
            Function::GetElse => self.get_else(&args)?,
            function => function.call(&args).expect("the functions of the test do not fail"),
        })
    }

    fn get_else(&self, args: &[Datum]) -> Result<Datum, Unready> {
        let attribute = resolve::attribute(self.db, &args[2]).expect("the attribute is known");
        let a = Datum::Value(Value::Ref(attribute.id.entity()));
        // In a history, where an entity may have several, the least.
        // What cannot identify, as a number with a point, fails in its row; which rows that are is another test.
        let Ok(found) = resolve::entity(self.db, &args[1]) else { return Err(Unready::TooMany) };
        let Some(e) = found else { return Ok(args[3].clone()) };
        let e = Datum::Value(Value::Ref(e));
        let found = self
            .datoms
            .iter()
            .filter(|datom| datom[0] == e && datom[1] == a)
            .min_by(|x, y| x[2].cmp_index(&y[2]));
        Ok(found.map_or_else(|| args[3].clone(), |datom| datom[2].clone()))
    }
}

fn only(row: &Row, vars: &[VarId]) -> Row {
    vars.iter().filter_map(|var| row.get(var).map(|value| (*var, value.clone()))).collect()
}

/// Distinct by the find and `:with` variables, grouped and aggregated, `:with` dropped.
fn project(query: &Query, rows: &[Row]) -> Vec<Vec<Datum>> {
    let basis = query.basis();
    let mut seen = HashSet::new();
    let tuples: Vec<Row> =
        rows.iter().map(|row| only(row, &basis)).filter(|row| seen.insert(row.clone())).collect();
    if !query.aggregates() {
        let cells = |row: &Row| query.find.elements.iter().map(|elem| row[&elem.var()].clone()).collect();
        return tuples.iter().map(cells).collect();
    }
    let mut groups: Vec<(Vec<Datum>, Vec<Row>)> = Vec::new();
    for row in tuples {
        let plain = query.find.elements.iter().filter(|elem| matches!(elem, FindElem::Var(..)));
        let key: Vec<Datum> = plain.map(|elem| row[&elem.var()].clone()).collect();
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups.iter().map(|(_, rows)| query.find.elements.iter().map(|elem| cell(elem, rows)).collect()).collect()
}

fn cell(elem: &FindElem, rows: &[Row]) -> Datum {
    let values: Vec<Datum> = rows.iter().map(|row| row[&elem.var()].clone()).collect();
    match elem {
        FindElem::Aggregate { aggregate: Aggregate::Count, .. } => Datum::long(values.len() as i64),
        FindElem::Aggregate { aggregate: Aggregate::Distinct, .. } => Datum::set(values),
        FindElem::Aggregate { aggregate: Aggregate::CountDistinct, .. } => {
            Datum::long(values.into_iter().collect::<HashSet<_>>().len() as i64)
        }
        FindElem::Aggregate { aggregate, .. } => {
            let all: Vec<u32> = (0..values.len() as u32).collect();
            aggregate.apply(&DatumColumn::from_data(values), &all, 0).expect("min and max take anything")
        }
        _ => values[0].clone(),
    }
}
