//! Recursive rules: tables filled round by round, each round from what the last one added (semi-naive).
//!
//! The tables live as long as the step: a later batch adds its demands to what is known and goes on from there.
//! Iteration ends because tables hold distinct rows of values that exist; where a rule computes new values without
//! end, the budget of rows stops it. No recursion on the native stack, whatever the depth of the data.

use std::cell::RefCell;
use std::sync::Arc;

use annals_edn::Error;
use rustc_hash::FxHashMap;

use crate::ast::VarId;
use crate::datum::DatumColumn;
use crate::plan::physical::{FixPlan, FixStep, Step, StepKind};
use crate::run::bulk::{self, Pairs};
use crate::run::context::{Env, Run};
use crate::run::frame::{self, Col, Frame, SOUND};
use crate::run::keys::{KeyTable, NONE};
use crate::run::pipe::{Map, collect};

/// The rows of one table; ids of rows are in order of arrival.
#[derive(Debug)]
pub(crate) struct Table {
    keys: KeyTable,
    /// by position
    pub cols: Vec<DatumColumn>,
    /// rows before the last round
    pub old: usize,
    /// rows after the last round; later ones belong to the next
    pub seen: usize,
}

/// All tables of a recursive rule.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// by number
    pub tables: Vec<Table>,
    indexes: RefCell<FxHashMap<(usize, Vec<usize>), Index>>,
    /// the mark of a row that failed inside, for all
    mark: Option<u32>,
}

/// Rows of a table by some of its columns.
#[derive(Debug)]
struct Index {
    keys: KeyTable,
    rows: Vec<Vec<u32>>,
    upto: usize,
}

impl Table {
    fn new(arity: usize) -> Table {
        let cols = vec![DatumColumn::empty(); arity];
        Table { keys: KeyTable::new(arity), cols, old: 0, seen: 0 }
    }

    /// Adds the rows that are not there.
    fn insert(&mut self, env: &Env<'_>, cols: &[Col], rows: usize) -> Result<(), Error> {
        let mut fresh = Vec::new();
        let borrowed: Vec<&Col> = cols.iter().collect();
        bulk::insert(env, &mut self.keys, &borrowed, rows, |row, _, new| {
            if new {
                fresh.push(row as u32);
            }
        })?;
        if fresh.is_empty() {
            return Ok(());
        }
        for (mine, theirs) in self.cols.iter_mut().zip(cols) {
            let data = match theirs {
                Col::Data(data) => bulk::column(env, data, &fresh)?,
                other => frame::spread(other, fresh.len()),
            };
            if mine.is_empty() {
                *mine = data;
            } else {
                frame::append(mine, &data);
            }
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.keys.len()
    }

    /// Begins a round: what has been added since the last is the newest part. True if there is any.
    fn advance(&mut self) -> bool {
        self.old = self.seen;
        self.seen = self.len();
        self.seen > self.old
    }
}

impl Tables {
    fn new(plan: &FixPlan) -> Tables {
        let tables = plan.arities.iter().map(|arity| Table::new(*arity)).collect();
        Tables { tables, indexes: RefCell::default(), mark: None }
    }

    /// Calls `each` with every row that has matches, and the rows of the table that it matches by these columns.
    pub(crate) fn probe(
        &self,
        table: usize,
        positions: &[usize],
        cols: &[&Col],
        rows: usize,
        mut each: impl FnMut(u32, &[u32]),
    ) {
        let mut indexes = self.indexes.borrow_mut();
        let index = indexes.entry((table, positions.to_vec())).or_insert_with(|| Index {
            keys: KeyTable::new(positions.len()),
            rows: Vec::new(),
            upto: 0,
        });
        index.extend(&self.tables[table], positions);
        let ids = index.keys.find(cols, rows);
        for (row, id) in ids.iter().enumerate().filter(|(_, id)| **id != NONE) {
            each(row as u32, &index.rows[*id as usize]);
        }
    }
}

impl Index {
    /// Takes in the rows that the table has gained.
    fn extend(&mut self, table: &Table, positions: &[usize]) {
        let len = table.len();
        if self.upto == len {
            return;
        }
        let fresh: Vec<u32> = (self.upto as u32..len as u32).collect();
        let cols: Vec<Col> = positions.iter().map(|i| Col::Data(table.cols[*i].gather(&fresh))).collect();
        let borrowed: Vec<&Col> = cols.iter().collect();
        let (rows, upto) = (&mut self.rows, self.upto);
        self.keys.insert(&borrowed, fresh.len(), |row, id, new| {
            if new {
                rows.push(Vec::new());
            }
            rows[id as usize].push((upto + row) as u32);
        });
        self.upto = len;
    }
}

/// A join with the result of a recursive rule.
pub(crate) struct FixMap {
    step: Arc<Step>,
    tables: Option<Tables>,
}

impl FixMap {
    /// Of a fix step.
    pub(crate) fn new(step: Arc<Step>) -> FixMap {
        FixMap { step, tables: None }
    }

    fn join(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        let StepKind::Fix(fix) = &self.step.kind else { return Ok(frame) };
        let first = self.tables.is_none();
        let tables = self.tables.get_or_insert_with(|| Tables::new(&fix.program));
        let bound: Vec<VarId> =
            fix.args.iter().zip(&fix.bound).filter(|(_, b)| **b).map(|(v, _)| *v).collect();
        if let Some(demand) = fix.program.demand {
            let cols: Vec<Col> = bound.iter().map(|var| frame.col(*var).clone()).collect();
            tables.tables[demand].insert(run.env, &cols, frame.rows)?;
        }
        saturate(run, &fix.program, tables, first)?;
        answer(run, fix, tables, frame, &bound, &self.step)
    }
}

/// Rows beside the answers that match what they bind.
fn answer(
    run: Run<'_, '_>,
    fix: &FixStep,
    tables: &Tables,
    frame: Frame,
    bound: &[VarId],
    step: &Step,
) -> Result<Frame, Error> {
    let goal = &tables.tables[0];
    let at = |var: &VarId| fix.args.iter().position(|arg| arg == var);
    let positions: Vec<usize> = bound.iter().filter_map(at).collect();
    let mut pairs = Pairs::default();
    if positions.is_empty() {
        for row in 0..frame.rows as u32 {
            pairs.add_range(run.env, row, 0, goal.len() as u32)?;
        }
    } else {
        let cols: Vec<&Col> = bound.iter().map(|var| frame.col(*var)).collect();
        tables.probe(0, &positions, &cols, frame.rows, |row, matches| {
            pairs.left.extend(std::iter::repeat_n(row, matches.len()));
            pairs.right.extend_from_slice(matches);
        });
    }
    let mut joined = bulk::gather(run.env, &frame, &pairs.left, &step.keep)?;
    for (i, var) in fix.args.iter().enumerate() {
        if step.keep.has(*var) && !bound.contains(var) {
            joined.set(*var, Col::Data(bulk::column(run.env, &goal.cols[i], &pairs.right)?));
        }
    }
    if let Some(mark) = tables.mark {
        joined.marks = vec![SOUND; joined.rows];
        (0..joined.rows).for_each(|row| joined.mark(row, mark));
    }
    Ok(joined)
}

/// Runs rules until nothing new is found.
fn saturate(run: Run<'_, '_>, plan: &FixPlan, tables: &mut Tables, first: bool) -> Result<(), Error> {
    if first {
        for rule in plan.rules.iter().filter(|rule| rule.delta.is_none()) {
            fire(run, rule, tables)?;
        }
    }
    loop {
        run.env.check()?;
        let grown: Vec<bool> = tables.tables.iter_mut().map(Table::advance).collect();
        if !grown.contains(&true) {
            return Ok(());
        }
        for rule in &plan.rules {
            if rule.delta.is_some_and(|table| grown[table]) {
                fire(run, rule, tables)?;
            }
        }
        let held: usize = tables.tables.iter().map(|table| table.len() * table.cols.len() * 24).sum();
        run.env.hold(held)?;
    }
}

fn fire(run: Run<'_, '_>, rule: &crate::plan::physical::FixRule, tables: &mut Tables) -> Result<(), Error> {
    let inner = Run { env: run.env, tables: Some(tables) };
    let found = collect(inner, &rule.body, run.env.base.clone())?;
    if found.rows == 0 {
        return Ok(());
    }
    let mark = found.marks.iter().copied().min().filter(|mark| *mark != SOUND);
    let cols: Vec<Col> = rule.head.iter().map(|var| found.col(*var).clone()).collect();
    tables.tables[rule.table].insert(run.env, &cols, found.rows)?;
    if let Some(mark) = mark {
        tables.mark = Some(tables.mark.map_or(mark, |known| known.min(mark)));
    }
    Ok(())
}

impl Map for FixMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        self.join(run, frame)
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        match &self.step.kind {
            StepKind::Fix(fix) => (fix.args.clone(), fix.args.clone()),
            _ => Default::default(),
        }
    }
}
