//! Patterns on a database value.
//!
//! A known attribute is read from AEVT, from AVET where its values are kept there, or from EAVT for one entity; an
//! unknown one from EAVT, or from the ranges of every attribute that can hold the value. Look-ups go to the database's
//! batched probes; what these cannot answer (retractions, unknown attributes) is scanned key by key.

use std::ops::Bound;
use std::sync::Arc;

use annals_db::range::{Batch, Key};
use annals_db::{
    AttrId, Attribute, Column, Columns, Db, EntityId, Index, Probe, Range, Scan, T, Value, ValueRef,
    ValueType,
};
use annals_edn::Error;

use crate::datum::{Datum, DatumColumn};
use crate::resolve;
use crate::run::frame;

use super::{A, Cursor, E, Fields, Found, OP, Request, Source, TX, V};

/// From so many keys on a scan beside them is considered.
const MERGE_KEYS: usize = 64;
/// Rows that a scan may pass for each key and still be cheaper than a search for it.
const MERGE_ROWS: u64 = 10;

/// A database value as a source.
#[derive(Clone, Copy)]
pub(crate) struct Database<'a>(pub &'a Db);

/// One range of a scan.
#[derive(Debug)]
struct Part {
    range: Range,
    ty: Option<ValueType>,
    /// rows must have this value
    value: Option<Value>,
}

/// What rows must have beside lying in their range.
#[derive(Clone, Debug, Default)]
struct Residual {
    attribute: Option<u32>,
    t: Option<u64>,
    added: Option<bool>,
}

struct DatabaseCursor<'a> {
    db: &'a Db,
    parts: std::vec::IntoIter<Part>,
    open: Option<(Scan<'a>, Option<Value>, Batch)>,
    residual: Residual,
    wanted: Vec<bool>,
    columns: Columns,
}

impl<'a> Source<'a> for Database<'a> {
    fn scan(&self, request: &Request) -> Result<Box<dyn Cursor + Send + 'a>, Error> {
        let (parts, residual) = self.parts(request)?.unwrap_or_default();
        let columns = columns(request, &residual, parts.iter().any(|part| part.value.is_some()));
        let wanted = request.wanted.clone();
        let parts = parts.into_iter();
        Ok(Box::new(DatabaseCursor { db: self.0, parts, open: None, residual, wanted, columns }))
    }

    fn lookup(&self, request: &Request, by: usize, keys: &DatumColumn) -> Result<Option<Found>, Error> {
        let plain = !self.0.view().history
            && !request.wanted[OP]
            && request.fixed[OP].is_none()
            && (by == V || request.fixed[V].is_none() || request.attribute.is_some());
        match (&request.attribute, by) {
            (Some(attribute), E) if plain => self.by_entity(request, attribute, keys).map(Some),
            (Some(attribute), V)
                if plain
                    && request.fixed[E].is_none()
                    && attribute.value_type.is_some()
                    && attribute.kept_in_avet() =>
            {
                self.by_value(request, attribute, keys).map(Some)
            }
            _ => self.one_by_one(request, by, keys).map(Some),
        }
    }

    fn weight(&self, request: &Request, by: usize, keys: &DatumColumn) -> Result<u64, Error> {
        let Some(a) = &request.attribute else { return Ok(0) };
        let mut rows = 0;
        match by {
            E => {
                for e in entities(keys).0 {
                    rows += self.0.count(&Range::entity_attr(EntityId(e), a.id))?;
                }
            }
            V if a.kept_in_avet() => {
                let Some((values, _)) = a.value_type.and_then(|ty| values_of(keys, ty)) else { return Ok(0) };
                for i in 0..values.len() {
                    rows += self.0.count(&Range::attr_value(a.id, values.get(i).to_value()))?;
                }
            }
            _ => {}
        }
        Ok(rows)
    }
}

impl Database<'_> {
    /// The ranges of a scan; `None` when nothing can match.
    fn parts(&self, request: &Request) -> Result<Option<(Vec<Part>, Residual)>, Error> {
        let mut residual = Residual::default();
        if let Some(datum) = &request.fixed[TX] {
            let Some(t) = self.transaction(datum)? else { return Ok(None) };
            residual.t = Some(t.0);
        }
        if let Some(datum) = &request.fixed[OP] {
            let Datum::Value(Value::Boolean(added)) = datum else { return Ok(None) };
            residual.added = Some(*added);
        }
        let entity = match &request.fixed[E] {
            Some(datum) => match resolve::entity(self.0, datum)? {
                Some(entity) => Some(entity),
                None => return Ok(None),
            },
            None => None,
        };
        let attribute = match (&request.attribute, &request.fixed[A]) {
            (Some(attribute), _) => Some(attribute.clone()),
            (None, Some(datum)) => match self.attribute(datum) {
                Some(attribute) => Some(attribute),
                None => return Ok(None),
            },
            (None, None) => None,
        };
        let parts = match attribute {
            // Where a variable names the attribute, an identifier that names nothing matches nothing of it.
            Some(attribute) if request.attribute.is_none() => {
                unless_unidentified(self.known(request, entity, &attribute))?.into_iter().collect()
            }
            Some(attribute) => self.known(request, entity, &attribute)?.into_iter().collect(),
            None => self.unknown(request, entity)?,
        };
        Ok(Some((parts, residual)))
    }

    fn transaction(&self, datum: &Datum) -> Result<Option<T>, Error> {
        Ok(resolve::entity(self.0, datum)?.and_then(EntityId::as_t))
    }

    fn attribute(&self, datum: &Datum) -> Option<Arc<Attribute>> {
        resolve::attribute(self.0, datum).ok()
    }

    /// A fixed value as one of the attribute; `None` when none can be equal to it.
    fn value(&self, request: &Request, a: &Attribute, datum: &Datum) -> Result<Option<Value>, Error> {
        if !request.identity {
            return resolve::value(self.0, a, datum);
        }
        let Some(ty) = a.value_type else { return Ok(datum.value().cloned()) };
        let held = values_of(&DatumColumn::from_data(vec![datum.clone()]), ty);
        Ok(held.map(|(column, _)| column.get(0).to_value()))
    }

    fn known(
        &self,
        request: &Request,
        entity: Option<EntityId>,
        attribute: &Attribute,
    ) -> Result<Option<Part>, Error> {
        let value = match &request.fixed[V] {
            Some(datum) => match self.value(request, attribute, datum)? {
                Some(value) => Some(value),
                None => return Ok(None),
            },
            None => None,
        };
        let a = attribute.id;
        let ty = attribute.value_type;
        let by_value = is_found_by_value(attribute);
        let range = match (entity, &value) {
            (Some(e), _) => Range::entity_attr(e, a),
            (None, Some(value)) if by_value => {
                let range = Range::attr_value(a, value.clone());
                return Ok(Some(Part { range: from_entity(range, request, a), ty, value: None }));
            }
            (None, Some(_)) => from_entity(Range::attr(a), request, a),
            (None, None) if request.index == Index::Avet && attribute.kept_in_avet() => {
                from_value(request, attribute)
            }
            (None, None) => from_entity(Range::attr(a), request, a),
        };
        Ok(Some(Part { range, ty, value }))
    }

    fn unknown(&self, request: &Request, entity: Option<EntityId>) -> Result<Vec<Part>, Error> {
        let part = |range| vec![Part { range, ty: None, value: None }];
        let Some(datum) = &request.fixed[V] else {
            return Ok(match (entity, &request.start) {
                (Some(entity), _) => part(Range::entity(entity)),
                (None, Some(Datum::Value(value))) if value.as_ref().as_integer().is_some() => {
                    let e = value.as_ref().as_integer().and_then(EntityId::from_long);
                    part(Range::seek(Index::Eavt, Key { e, ..Key::default() }))
                }
                (None, _) => part(Range::all(Index::Eavt)),
            });
        };
        let mut attributes: Vec<&Arc<Attribute>> = self.0.schema().attributes().collect();
        attributes.sort_by_key(|attribute| attribute.id);
        let mut parts = Vec::new();
        for attribute in attributes {
            let Some(value) = unless_unidentified(self.value(request, attribute, datum))? else { continue };
            let ty = attribute.value_type;
            let part = match entity {
                Some(e) => Part { range: Range::entity_attr(e, attribute.id), ty, value: Some(value) },
                None if is_found_by_value(attribute) => {
                    Part { range: Range::attr_value(attribute.id, value), ty, value: None }
                }
                None => Part { range: Range::attr(attribute.id), ty, value: Some(value) },
            };
            parts.push(part);
        }
        Ok(parts)
    }

    fn by_entity(&self, request: &Request, a: &Attribute, keys: &DatumColumn) -> Result<Found, Error> {
        let (entities, numbers) = entities(keys);
        let with_t = request.wanted[TX] || request.fixed[TX].is_some();
        let value = match &request.fixed[V] {
            Some(datum) => match resolve::value(self.0, a, datum)? {
                Some(value) => Some(value),
                None => return Ok(Found::default()),
            },
            None => None,
        };
        if let Some(value) = value.as_ref().filter(|_| is_found_by_value(a) && !request.wanted[V])
            && let Some(range) = self.dense(a, &entities, Some(value))?
        {
            let probe = self.merge(a, &range, &entities, with_t)?;
            return self.found(request, probe, &numbers, None);
        }
        // Runs of novelty lie in columns; a tree is better scanned than sought in where keys are dense.
        let dense = if self.0.base().is_some() { self.dense(a, &entities, None)? } else { None };
        let probe = match dense {
            Some(range) => self.merge(a, &range, &entities, with_t)?,
            None => self.0.probe_entities(a.id, &entities, with_t)?,
        };
        self.found(request, probe, &numbers, value)
    }

    /// The range from the first to the last of many entities (with one value, if it is given), if they are a good
    /// part of what lies in it: then one scan beside them is cheaper than a search for each.
    fn dense(&self, a: &Attribute, entities: &[u64], value: Option<&Value>) -> Result<Option<Range>, Error> {
        let (Some(first), Some(last)) = (entities.first(), entities.last()) else { return Ok(None) };
        if entities.len() < MERGE_KEYS {
            return Ok(None);
        }
        let key = |e: &u64| Bound::Included(Key { e: Some(EntityId(*e)), a: Some(a.id), v: value.cloned() });
        let index = if value.is_some() { Index::Avet } else { Index::Aevt };
        let range = Range { index, start: key(first), end: key(last) };
        let rows = self.0.count(&range)?;
        Ok((rows <= entities.len() as u64 * MERGE_ROWS).then_some(range))
    }

    /// What a probe would find, by one scan of `range`; from AVET without the value, which is known.
    fn merge(&self, a: &Attribute, range: &Range, entities: &[u64], with_t: bool) -> Result<Probe, Error> {
        let empty = Column::of(a.value_type);
        let mut probe = Probe { input: Vec::new(), e: Vec::new(), v: empty, t: Vec::new() };
        let valued = range.index == Index::Aevt;
        let columns = if valued { Columns::E.with(Columns::V) } else { Columns::E };
        let columns = if with_t { columns.with(Columns::T) } else { columns };
        let mut batch = Batch::new(a.value_type);
        let mut scan = self.0.scan(range, columns);
        let (mut at, mut rows) = (0, Vec::new());
        while scan.next(&mut batch)? {
            rows.clear();
            for (row, e) in batch.e.iter().enumerate() {
                while at < entities.len() && entities[at] < *e {
                    at += 1;
                }
                if entities.get(at) == Some(e) {
                    probe.input.push(at as u32);
                    rows.push(row as u32);
                }
            }
            match rows.len() == batch.rows {
                _ if !valued => {}
                true => probe.v.extend_range(&batch.v, 0..batch.rows),
                false => probe.v.extend_rows(&batch.v, &rows),
            }
            if with_t {
                probe.t.extend(rows.iter().map(|row| batch.t[*row as usize]));
            }
        }
        Ok(probe)
    }

    fn by_value(&self, request: &Request, a: &Attribute, keys: &DatumColumn) -> Result<Found, Error> {
        let Some((values, numbers)) = a.value_type.and_then(|ty| values_of(keys, ty)) else {
            return Ok(Found::default());
        };
        let with_t = request.wanted[TX] || request.fixed[TX].is_some();
        let probe = self.0.probe_values(a.id, &values, with_t)?;
        self.found(request, probe, &numbers, None)
    }

    /// Filters what a probe found, and numbers it by the keys as they were given.
    fn found(
        &self,
        request: &Request,
        probe: Probe,
        numbers: &Option<Vec<u32>>,
        value: Option<Value>,
    ) -> Result<Found, Error> {
        let t = match &request.fixed[TX] {
            Some(datum) => match self.transaction(datum)? {
                Some(t) => Some(t.0),
                None => return Ok(Found::default()),
            },
            None => None,
        };
        let Probe { mut input, mut e, mut v, t: mut ts } = probe;
        if value.is_some() || t.is_some() {
            let mut rows = equal_rows(&v, value.as_ref(), input.len());
            rows.retain(|row| t.is_none_or(|t| ts[*row as usize] == t));
            let pick = |from: &[u64]| match from.is_empty() {
                true => Vec::new(),
                false => rows.iter().map(|&row| from[row as usize]).collect(),
            };
            let (es, tts) = (pick(&e), pick(&ts));
            v = if v.is_empty() || !request.wanted[V] { v } else { v.gather(&rows) };
            input = rows.iter().map(|&row| input[row as usize]).collect();
            (e, ts) = (es, tts);
        }
        if let Some(numbers) = numbers {
            input.iter_mut().for_each(|number| *number = numbers[*number as usize]);
        }
        let rows = input.len();
        let mut cols = vec![None; 5];
        cols[E] = (request.wanted[E] && !e.is_empty()).then(|| Column::Ref(e).into());
        cols[V] = (request.wanted[V]).then(|| v.into());
        cols[TX] = request.wanted[TX].then(|| transactions(ts));
        Ok(Found { input, fields: Fields { rows, cols } })
    }

    fn one_by_one(&self, request: &Request, by: usize, keys: &DatumColumn) -> Result<Found, Error> {
        let mut found = Found::default();
        let mut request = request.clone();
        request.identity = by == V;
        for i in 0..keys.len() {
            let key = keys.get(i);
            let is_id = key.value().is_some_and(|value| value.as_ref().as_integer().is_some());
            if by != V && !is_id {
                continue;
            }
            request.fixed[by] = Some(key);
            let mut cursor = self.scan(&request)?;
            while let Some(fields) = cursor.next()? {
                found.input.extend(std::iter::repeat_n(i as u32, fields.rows));
                found.fields.append(fields);
            }
        }
        Ok(found)
    }
}

impl Cursor for DatabaseCursor<'_> {
    fn next(&mut self) -> Result<Option<Fields>, Error> {
        loop {
            let (scan, value, batch) = match &mut self.open {
                Some((scan, value, batch)) => (scan, value, batch),
                None => {
                    let Some(part) = self.parts.next() else { return Ok(None) };
                    let scan = self.db.scan(&part.range, self.columns);
                    self.open = Some((scan, part.value, Batch::new(part.ty)));
                    continue;
                }
            };
            if !scan.next(batch)? {
                self.open = None;
                continue;
            }
            return Ok(Some(self.residual.fields(batch, value.as_ref(), &self.wanted)));
        }
    }
}

impl Residual {
    /// Takes the rows that fit out of a batch.
    fn fields(&self, batch: &mut Batch, value: Option<&Value>, wanted: &[bool]) -> Fields {
        let open = self.attribute.is_none() && self.t.is_none() && self.added.is_none() && value.is_none();
        if open {
            let mut cols = vec![None; 5];
            cols[E] = wanted[E].then(|| Column::Ref(std::mem::take(&mut batch.e)).into());
            cols[A] = wanted[A].then(|| attributes(&batch.a));
            cols[V] = wanted[V].then(|| take_values(batch).into());
            cols[TX] = wanted[TX].then(|| transactions(std::mem::take(&mut batch.t)));
            cols[OP] = wanted[OP].then(|| Column::Boolean(std::mem::take(&mut batch.added)).into());
            return Fields { rows: batch.rows, cols };
        }
        let fits = |i: &usize| {
            let i = *i;
            self.attribute.is_none_or(|a| batch.a[i] == a)
                && self.t.is_none_or(|t| batch.t[i] == t)
                && self.added.is_none_or(|added| batch.added[i] == added)
                && value.is_none_or(|value| batch.v.get(i).identical(&value.as_ref()))
        };
        let rows: Vec<u32> = (0..batch.rows).filter(fits).map(|i| i as u32).collect();
        let pick = |from: &[u64]| rows.iter().map(|&row| from[row as usize]).collect::<Vec<u64>>();
        let mut cols = vec![None; 5];
        cols[E] = wanted[E].then(|| Column::Ref(pick(&batch.e)).into());
        cols[A] = wanted[A].then(|| {
            let all: Vec<u32> = rows.iter().map(|&row| batch.a[row as usize]).collect();
            attributes(&all)
        });
        cols[V] = wanted[V].then(|| batch.v.gather(&rows).into());
        cols[TX] = wanted[TX].then(|| transactions(pick(&batch.t)));
        cols[OP] = wanted[OP].then(|| {
            let all = rows.iter().map(|&row| batch.added[row as usize]).collect();
            Column::Boolean(all).into()
        });
        Fields { rows: rows.len(), cols }
    }
}

impl Fields {
    /// Appends rows of the same positions.
    pub(crate) fn append(&mut self, other: Fields) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        self.rows += other.rows;
        for (mine, theirs) in self.cols.iter_mut().zip(&other.cols) {
            if let (Some(mine), Some(theirs)) = (mine, theirs) {
                frame::append(mine, theirs);
            }
        }
    }
}

/// Nothing in place of the refusal of an identifier.
fn unless_unidentified<T>(found: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(error) if resolve::is_unidentified(error.code()) => Ok(None),
        other => other,
    }
}

/// The rows of a column that are identical to `value`; all without one.
fn equal_rows(column: &Column, value: Option<&Value>, rows: usize) -> Vec<u32> {
    let Some(value) = value else { return (0..rows as u32).collect() };
    let all = 0..rows as u32;
    match (column, value.as_ref()) {
        (Column::Keyword(texts), ValueRef::Keyword(text))
        | (Column::String(texts), ValueRef::String(text)) => {
            all.filter(|row| texts.bytes(*row as usize) == text.as_bytes()).collect()
        }
        (Column::Long(x), ValueRef::Long(y)) | (Column::Instant(x), ValueRef::Instant(y)) => {
            all.filter(|row| x[*row as usize] == y).collect()
        }
        (Column::Ref(x), ValueRef::Ref(y)) => all.filter(|row| x[*row as usize] == y.0).collect(),
        (column, value) => all.filter(|row| column.get(*row as usize).identical(&value)).collect(),
    }
}

/// Equal values lie together in AVET. Decimals, which attributes without a type may have too, may lie apart (scale), so they are compared row by row.
fn is_found_by_value(attribute: &Attribute) -> bool {
    use ValueType::{BigDec, Tuple};
    attribute.kept_in_avet() && !matches!(attribute.value_type, None | Some(BigDec | Tuple))
}

/// Takes the values and leaves an empty column of the same type.
fn take_values(batch: &mut Batch) -> Column {
    let empty = match &batch.v {
        Column::Boolean(_) => Column::Boolean(Vec::new()),
        Column::Long(_) => Column::Long(Vec::new()),
        Column::Ref(_) => Column::Ref(Vec::new()),
        Column::Double(_) => Column::Double(Vec::new()),
        Column::Instant(_) => Column::Instant(Vec::new()),
        Column::Uuid(_) => Column::Uuid(Vec::new()),
        Column::Keyword(_) => Column::of(ValueType::Keyword),
        Column::String(_) => Column::of(ValueType::String),
        Column::Mixed(_) => Column::Mixed(Vec::new()),
    };
    std::mem::replace(&mut batch.v, empty)
}

fn transactions(mut ts: Vec<u64>) -> DatumColumn {
    ts.iter_mut().for_each(|t| *t = EntityId::of_tx(T(*t)).0);
    Column::Ref(ts).into()
}

fn attributes(ids: &[u32]) -> DatumColumn {
    Column::Ref(ids.iter().map(|&a| AttrId(a).entity().0).collect()).into()
}

fn columns(request: &Request, residual: &Residual, valued: bool) -> Columns {
    let mut columns = Columns::NONE;
    let mut add = |wanted: bool, column| {
        if wanted {
            columns = columns.with(column);
        }
    };
    add(request.wanted[E], Columns::E);
    add(request.wanted[A] || residual.attribute.is_some(), Columns::A);
    add(request.wanted[V] || valued, Columns::V);
    add(request.wanted[TX] || residual.t.is_some(), Columns::T);
    add(request.wanted[OP] || residual.added.is_some(), Columns::ADDED);
    columns
}

/// The range without the entities before the request's start.
fn from_entity(mut range: Range, request: &Request, a: AttrId) -> Range {
    let start = request.start.as_ref().and_then(Datum::value).and_then(|value| value.as_ref().as_integer());
    if let Some(e) = start.and_then(EntityId::from_long) {
        let v = match &range.start {
            Bound::Included(key) => key.v.clone(),
            _ => None,
        };
        range.start = Bound::Included(Key { e: Some(e), a: Some(a), v });
    }
    range
}

/// The values of an attribute within the request's bounds and not before its start.
fn from_value(request: &Request, attribute: &Attribute) -> Range {
    let (mut start, end) = request.bounds.clone();
    if let Some(Datum::Value(value)) = &request.start
        && Some(value.value_type()) == attribute.value_type
    {
        let later = match &start {
            Bound::Included(bound) | Bound::Excluded(bound) => value.cmp_index(bound).is_gt(),
            Bound::Unbounded => true,
        };
        if later {
            start = Bound::Included(value.clone());
        }
    }
    if (&start, &end) == (&Bound::Unbounded, &Bound::Unbounded) {
        return Range::attr_by_value(attribute.id);
    }
    let empty = match (&start, &end) {
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            x.cmp_index(y).is_gt()
        }
        _ => false,
    };
    let mut range = Range::attr_values(attribute.id, start, end);
    if empty {
        range.end = range.start.clone();
        range.start = match range.start {
            Bound::Included(key) | Bound::Excluded(key) => Bound::Excluded(key),
            Bound::Unbounded => Bound::Unbounded,
        };
    }
    range
}

/// Keys as entity ids, ascending, and their numbers where some were left out.
fn entities(keys: &DatumColumn) -> (Vec<u64>, Option<Vec<u32>>) {
    match keys {
        DatumColumn::Stored(Column::Ref(ids)) => (ids.clone(), None),
        _ => {
            let id = |i: usize| keys.get_ref(i).and_then(|v| v.as_integer()).filter(|id| *id >= 0);
            let found: Vec<(u64, u32)> =
                (0..keys.len()).filter_map(|i| id(i).map(|id| (id as u64, i as u32))).collect();
            let numbers = found.iter().map(|(_, number)| *number).collect();
            (found.into_iter().map(|(id, _)| id).collect(), Some(numbers))
        }
    }
}

/// Keys as values of a type, and their numbers where some were left out; `None` when none can be.
fn values_of(keys: &DatumColumn, ty: ValueType) -> Option<(Column, Option<Vec<u32>>)> {
    match (keys, ty) {
        (DatumColumn::Stored(Column::Ref(x)), ValueType::Ref) => return Some((Column::Ref(x.clone()), None)),
        (DatumColumn::Stored(column), _) if column.is_empty() => return None,
        (DatumColumn::Stored(column), _)
            if !matches!(column, Column::Mixed(_)) && column.get(0).value_type() == ty =>
        {
            return Some((column.clone(), None));
        }
        _ => {}
    }
    let (mut column, mut numbers) = (Column::of(ty), Vec::new());
    for i in 0..keys.len() {
        let Some(value) = keys.get_ref(i) else { continue };
        let value = match (value, ty) {
            (ValueRef::Long(x), ValueType::Ref) => match EntityId::from_long(x) {
                Some(entity) => ValueRef::Ref(entity),
                None => continue,
            },
            (ValueRef::Ref(entity), ValueType::Long) => ValueRef::Long(entity.as_long()),
            (value, ty) if value.value_type() == ty => value,
            _ => continue,
        };
        column.push(value);
        numbers.push(i as u32);
    }
    (!numbers.is_empty()).then_some((column, Some(numbers)))
}
