//! Batched look-ups: the keys of a batch, sorted and made distinct, are asked of the source in one pass, and what is
//! found is put beside the rows in their own order.

use std::sync::Arc;

use annals_db::Column;
use annals_edn::{Code, Error};

use crate::ast::VarId;
use crate::datum::DatumColumn;
use crate::order::{self, SortKey};
use crate::plan::logic::{Attr, DataPattern};
use crate::plan::physical::{By, LookupStep, Reading, Step, StepKind};
use crate::plan::vars::VarSet;
use crate::run::bulk::{self, Pairs};
use crate::run::context::Run;
use crate::run::frame::{Col, Frame};
use crate::run::keys;
use crate::run::pipe::{Map, positions};
use crate::source::{self, Found, Request, Source};

/// So few keys are asked how much they have, before they are looked up in one go.
const FEW_KEYS: usize = 16;
/// More rows than this are not looked up in one go.
const HEAVY: u64 = 1 << 17;

/// A join with what a source finds by a bound variable.
pub(crate) struct LookupMap {
    step: Arc<Step>,
}

impl LookupMap {
    /// Of a lookup step.
    pub(crate) fn new(step: Arc<Step>) -> LookupMap {
        LookupMap { step }
    }
}

impl Map for LookupMap {
    fn apply(&mut self, run: Run<'_, '_>, frame: Frame) -> Result<Frame, Error> {
        let StepKind::Lookup(lookup) = &self.step.kind else { return Ok(frame) };
        let Some(key) = key_var(lookup) else { return Ok(frame) };
        let ask = Ask::new(&frame, &lookup.pattern, key, &self.step.keep);
        let keys = Keys::of(run, frame.col(key), frame.rows)?;
        let source = run.env.source(lookup.pattern.source);
        let source = source.ok_or_else(|| Error::new(Code::InvalidDataSource, "no such source"))?;
        let found = ask.found(run, source.as_ref(), &keys.distinct, lookup.many);
        let found = found.map_err(|error| error.at(lookup.pattern.at))?;
        run.env.read(found.input.len());
        run.env.hold(found.input.len() * 16)?;
        ask.join(run, frame, &keys, found, &self.step.keep)
    }

    fn joins(&self) -> (Vec<VarId>, Vec<VarId>) {
        match &self.step.kind {
            StepKind::Lookup(lookup) => {
                let vars: Vec<VarId> = lookup.pattern.vars().collect();
                (key_var(lookup).into_iter().collect(), vars)
            }
            _ => Default::default(),
        }
    }
}

fn key_var(lookup: &LookupStep) -> Option<VarId> {
    match lookup.by {
        By::Entity => lookup.pattern.e,
        By::Value => lookup.pattern.v,
        By::Attribute => match lookup.pattern.a {
            Attr::Var(var) => Some(var),
            _ => None,
        },
    }
}

/// What is asked, and what is done with the answer.
struct Ask {
    request: Request,
    by: usize,
    /// positions that become variables
    outs: Vec<(usize, VarId)>,
    /// positions that must equal a variable that is bound a row
    tests: Vec<(usize, VarId)>,
}

impl Ask {
    fn new(frame: &Frame, pattern: &DataPattern, key: VarId, keep: &VarSet) -> Ask {
        let (attribute, terms) = positions(&Reading::Data(pattern.clone()));
        let by = terms.iter().position(|term| *term == Some(key)).unwrap_or(source::E);
        let mut fixed = vec![None; terms.len()];
        let (mut outs, mut tests) = (Vec::new(), Vec::new());
        for (i, term) in terms.iter().enumerate() {
            let Some(var) = term.filter(|_| i != by) else { continue };
            match frame.col(var) {
                Col::Const(datum) => fixed[i] = Some(datum.clone()),
                Col::Data(_) => tests.push((i, var)),
                Col::Absent if keep.has(var) => outs.push((i, var)),
                Col::Absent => {}
            }
        }
        let mut wanted = vec![false; terms.len()];
        outs.iter().chain(&tests).for_each(|(i, _)| wanted[*i] = true);
        let open = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let index = annals_db::Index::Aevt;
        let request = Request { attribute, fixed, wanted, index, bounds: open, identity: false, start: None };
        Ask { request, by, outs, tests }
    }

    /// What `source` has of `keys`. Where few of them have very much, that is read batch by batch.
    fn found(
        &self,
        run: Run<'_, '_>,
        source: &dyn Source<'_>,
        keys: &DatumColumn,
        may_be_many: bool,
    ) -> Result<Found, Error> {
        let few = may_be_many && keys.len() <= FEW_KEYS;
        let heavy = few && source.weight(&self.request, self.by, keys)? > HEAVY;
        if !heavy {
            let found = source.lookup(&self.request, self.by, keys)?;
            return found.ok_or_else(|| Error::new(Code::Internal, "the source has no such look-up"));
        }
        let (mut found, mut request) = (Found::default(), self.request.clone());
        request.identity = self.by == source::V;
        for i in 0..keys.len() {
            request.fixed[self.by] = Some(keys.get(i));
            let mut cursor = source.scan(&request)?;
            while let Some(fields) = cursor.next()? {
                run.env.moved(fields.rows)?;
                run.env.make_room(found.input.len() + fields.rows, self.outs.len())?;
                found.input.extend(std::iter::repeat_n(i as u32, fields.rows));
                found.fields.append(fields);
            }
        }
        Ok(found)
    }

    fn join(
        &self,
        run: Run<'_, '_>,
        frame: Frame,
        keys: &Keys,
        found: Found,
        keep: &VarSet,
    ) -> Result<Frame, Error> {
        let Found { input, mut fields } = found;
        if input.is_empty() {
            // A source that finds nothing may answer without columns.
            let mut nothing = frame.gather(&[], keep);
            self.outs.iter().for_each(|(_, var)| nothing.set(*var, Col::Data(DatumColumn::empty())));
            return Ok(nothing);
        }
        if self.tests.is_empty() && keys.is_identity(&input) {
            let mut frame = frame;
            frame.keep(keep);
            for (position, var) in &self.outs {
                if let Some(col) = fields.cols[*position].take() {
                    frame.set(*var, Col::Data(col));
                }
            }
            return Ok(frame);
        }
        let Pairs { mut left, mut right, .. } = keys.pairs(run, &input, frame.rows)?;
        if !self.tests.is_empty() {
            self.test(&frame, &fields.cols, &mut left, &mut right);
        }
        let in_place =
            right.len() == input.len() && right.iter().enumerate().all(|(i, row)| i == *row as usize);
        let mut joined = frame.gather_or_keep(run, left, keep)?;
        for (position, var) in &self.outs {
            let Some(col) = fields.cols[*position].take() else { continue };
            let col = if in_place { col } else { bulk::column(run.env, &col, &right)? };
            joined.set(*var, Col::Data(col));
        }
        Ok(joined)
    }

    /// Leaves only pairs whose tested positions are identical.
    fn test(&self, frame: &Frame, cols: &[Option<DatumColumn>], left: &mut Vec<u32>, right: &mut Vec<u32>) {
        let held: Vec<(Col, &Col)> = self
            .tests
            .iter()
            .filter_map(|(i, var)| cols.get(*i)?.clone().map(|col| (Col::Data(col), frame.col(*var))))
            .collect();
        let same = |x: u32, y: u32| {
            held.iter().all(|(found, bound)| {
                bound.failed(x as usize) || keys::identical(bound, x as usize, found, y as usize)
            })
        };
        let kept: Vec<(u32, u32)> =
            left.iter().copied().zip(right.iter().copied()).filter(|(x, y)| same(*x, *y)).collect();
        (*left, *right) = kept.into_iter().unzip();
    }
}

impl Frame {
    /// As [`Frame::gather`], without a copy when `rows` are all rows in order.
    fn gather_or_keep(mut self, run: Run<'_, '_>, rows: Vec<u32>, keep: &VarSet) -> Result<Frame, Error> {
        if rows.len() == self.rows && rows.iter().enumerate().all(|(i, row)| i == *row as usize) {
            self.keep(keep);
            return Ok(self);
        }
        bulk::gather(run.env, &self, &rows, keep)
    }
}

/// The distinct keys of a batch, ascending, and which of them each row has; `None`: row `i` has key `i`.
struct Keys {
    distinct: DatumColumn,
    of_row: Option<Vec<u32>>,
}

impl Keys {
    fn of(run: Run<'_, '_>, col: &Col, rows: usize) -> Result<Keys, Error> {
        match keys::ints(col) {
            Some(ints) => Ok(Keys::integers(ints.to_vec(rows))),
            None => Keys::values(run, col, rows),
        }
    }

    fn integers(keys: Vec<u64>) -> Keys {
        if keys.windows(2).all(|pair| pair[0] < pair[1]) {
            return Keys { distinct: Column::Ref(keys).into(), of_row: None };
        }
        let mut order: Vec<(u64, u32)> =
            keys.iter().enumerate().map(|(row, key)| (*key, row as u32)).collect();
        if !keys.is_sorted() {
            order.sort_unstable();
        }
        let mut of_row = vec![0; keys.len()];
        let mut distinct: Vec<u64> = Vec::with_capacity(keys.len());
        for (key, row) in order {
            if distinct.last() != Some(&key) {
                distinct.push(key);
            }
            of_row[row as usize] = distinct.len() as u32 - 1;
        }
        Keys { distinct: Column::Ref(distinct).into(), of_row: Some(of_row) }
    }

    fn values(run: Run<'_, '_>, col: &Col, rows: usize) -> Result<Keys, Error> {
        let data = crate::run::frame::spread(col, rows);
        let cols = [Col::Data(data.clone())];
        let order = order::sorted(&cols, rows, &[SortKey::index(0)], false, &|| run.env.moved(order::CHUNK))?;
        let mut of_row = vec![0; rows];
        let mut first: Vec<u32> = Vec::new();
        for row in order {
            let new = first
                .last()
                .is_none_or(|last| !keys::identical(&cols[0], *last as usize, &cols[0], row as usize));
            if new {
                first.push(row);
            }
            of_row[row as usize] = first.len() as u32 - 1;
        }
        Ok(Keys { distinct: data.gather(&first), of_row: Some(of_row) })
    }

    /// True when every row found exactly one answer.
    fn is_identity(&self, input: &[u32]) -> bool {
        self.of_row.is_none()
            && input.len() == self.distinct.len()
            && input.iter().enumerate().all(|(i, key)| i == *key as usize)
    }

    /// Rows beside answers, in the order of rows.
    fn pairs(&self, run: Run<'_, '_>, input: &[u32], rows: usize) -> Result<Pairs, Error> {
        let Some(of_row) = &self.of_row else {
            let (left, right) = (input.to_vec(), (0..input.len() as u32).collect());
            return Ok(Pairs { left, right, ..Pairs::default() });
        };
        let mut starts = vec![0u32; self.distinct.len() + 1];
        input.iter().for_each(|key| starts[*key as usize + 1] += 1);
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let (left, right) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let mut pairs = Pairs { left, right, ..Pairs::default() };
        for (row, key) in of_row.iter().enumerate() {
            pairs.add_range(run.env, row as u32, starts[*key as usize], starts[*key as usize + 1])?;
        }
        Ok(pairs)
    }
}
