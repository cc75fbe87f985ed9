//! Walking an index and pulling what it finds.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use annals_db::{
    Attribute, Batch, Cardinality, Columns, Db, EntityId, Index, Key, Range, Scan, Value, ValueRef, ValueType,
};
use annals_edn::{Code, Edn, Error};

use super::{Pattern, Pull};
use crate::datum::Datum;
use crate::resolve;

/// A walk along one attribute: in `:avet` its entities in the order of its values, in `:aevt` its values, which are
/// references, in the order of its entities.
#[derive(Clone, Debug)]
pub struct IndexPull {
    /// the attribute
    pub attribute: Arc<Attribute>,
    /// [`Index::Avet`] or [`Index::Aevt`]
    pub index: Index,
    /// where it starts, inclusive: a value, or an entity as a ref; `None`: at the end it comes from
    pub start: Option<Value>,
    /// greatest first
    pub reverse: bool,
    /// without the first so many, in the direction of the walk
    pub offset: usize,
    /// at most so many
    pub limit: Option<usize>,
    /// what is pulled
    pub selector: Pattern,
}

/// Pulls as the request map `{:index :avet :selector […] :start [:a v?] :reverse b :offset n :limit n}` says.
///
/// # Errors
/// `INVALID_PULL`, `ATTRIBUTE_NOT_INDEXED`, and those of [`Pattern::parse`] and [`Pull`].
pub fn index_pull(db: &Db, request: &Edn) -> Result<Vec<Edn>, Error> {
    IndexPull::parse(db, request)?.run(db)
}

impl IndexPull {
    /// Reads a request map.
    ///
    /// # Errors
    /// As [`index_pull`].
    pub fn parse(db: &Db, request: &Edn) -> Result<IndexPull, Error> {
        let invalid = |message: &str| Error::new(Code::InvalidPull, message).at(request.span);
        let index = match request.get("index").and_then(Edn::as_keyword).map(|name| name.as_str()) {
            Some("avet") => Index::Avet,
            Some("aevt") => Index::Aevt,
            _ => return Err(invalid("index-pull walks :avet or :aevt")),
        };
        let selector = request.get("selector").ok_or_else(|| invalid("index-pull has a :selector"))?;
        let Some(start) = request.get("start").and_then(Edn::as_seq) else {
            return Err(invalid("the :start of index-pull is a vector of an attribute and a value"));
        };
        let reverse =
            ["reverse", "reverse?"].iter().any(|key| request.get(key).and_then(Edn::as_bool) == Some(true));
        let number = |key: &str| match request.get(key).filter(|form| !form.is_nil()) {
            None => Ok(None),
            Some(form) => match form.as_long() {
                Some(n) if n >= 0 => Ok(Some(n as usize)),
                Some(-1) => Ok(None),
                _ => Err(invalid("offset and limit are whole numbers")),
            },
        };
        let (offset, limit) = (number("offset")?.unwrap_or(0), number("limit")?);
        let asked = IndexPull::new(db, index, selector, start)?;
        Ok(IndexPull { reverse, offset, limit, ..asked })
    }

    /// The walk along `index` from `start`, an attribute and a value or entity where wanted: forwards, to the end.
    ///
    /// # Errors
    /// As [`index_pull`].
    pub fn new(db: &Db, index: Index, selector: &Edn, start: &[Edn]) -> Result<IndexPull, Error> {
        let selector = Pattern::parse(selector)?;
        let [attribute, rest @ ..] = start else {
            let message = "index-pull starts at an attribute, and a value where one is given";
            return Err(Error::new(Code::InvalidPull, message));
        };
        let attribute =
            resolve::attribute(db, &Datum::from_edn(attribute)?).map_err(|e| e.at(attribute.span))?;
        check(index, &attribute, rest)?;
        let start = match rest {
            [] => None,
            [start] => Some(start_value(db, index, &attribute, start)?),
            [_, extra, ..] => {
                let message =
                    format!("{extra} is one too many: index-pull starts at an attribute and a value");
                return Err(Error::new(Code::InvalidPull, message).at(extra.span));
            }
        };
        Ok(IndexPull { attribute, index, start, reverse: false, offset: 0, limit: None, selector })
    }

    /// Walks and pulls.
    ///
    /// # Errors
    /// As [`Pull`].
    pub fn run(&self, db: &Db) -> Result<Vec<Edn>, Error> {
        let mut pull = Pull::new(db, &self.selector)?;
        let (mut walk, mut forms) = (self.walk(db)?, Vec::new());
        loop {
            match walk.next(WALKED)? {
                entities if entities.is_empty() => return Ok(forms),
                entities => forms.append(&mut pull.run(&entities)?),
            }
        }
    }

    /// The entities to pull, in order, as they are asked for.
    ///
    /// # Errors
    /// `INVALID_VIEW` for a history; those of the store.
    pub fn walk<'a>(&self, db: &'a Db) -> Result<Walk<'a>, Error> {
        if db.view().history {
            return Err(Error::new(Code::InvalidView, "a history has no entities to pull")
                .hint("walk the database or an as-of view"));
        }
        let columns = if self.index == Index::Avet { Columns::E } else { Columns::V };
        let batch = Batch::new((self.index == Index::Aevt).then_some(ValueType::Ref));
        let scan = db.scan(&self.range(), columns);
        let left = self.limit.unwrap_or(usize::MAX);
        let mut walk = Walk {
            scan: Some(scan),
            batch,
            index: self.index,
            found: VecDeque::new(),
            skip: self.offset,
            left,
        };
        if self.reverse {
            walk.turn()?;
        }
        Ok(walk)
    }

    fn range(&self) -> Range {
        let whole = Key { a: Some(self.attribute.id), ..Key::default() };
        let start = match (&self.start, self.index) {
            (None, _) => whole.clone(),
            (Some(value), Index::Avet) => Key { v: Some(value.clone()), ..whole.clone() },
            (Some(value), _) => {
                Key { e: value.as_ref().as_integer().map(|e| EntityId(e as u64)), ..whole.clone() }
            }
        };
        let (start, end) = if self.reverse { (whole, start) } else { (start, whole) };
        Range { index: self.index, start: Bound::Included(start), end: Bound::Included(end) }
    }
}

/// Entities pulled in one go.
const WALKED: usize = 8192;

/// The entities of a walk, as they are asked for.
pub struct Walk<'a> {
    /// none when it is at its end
    scan: Option<Scan<'a>>,
    batch: Batch,
    index: Index,
    /// read and not yet given
    found: VecDeque<u64>,
    skip: usize,
    left: usize,
}

impl Walk<'_> {
    /// At most `most` entities; none at the end.
    ///
    /// # Errors
    /// Those of the store, and of filters.
    pub fn next(&mut self, most: usize) -> Result<Vec<u64>, Error> {
        let most = most.min(self.left);
        loop {
            let skipped = self.skip.min(self.found.len());
            self.found.drain(..skipped);
            self.skip -= skipped;
            if self.found.len() >= most || !self.read()? {
                break;
            }
        }
        let given: Vec<u64> = self.found.drain(..most.min(self.found.len())).collect();
        self.left -= given.len();
        Ok(given)
    }

    /// Reads a batch; false at the end.
    fn read(&mut self) -> Result<bool, Error> {
        let Some(scan) = &mut self.scan else { return Ok(false) };
        if !scan.next(&mut self.batch)? {
            self.scan = None;
            return Ok(false);
        }
        let batch = &self.batch;
        match self.index {
            Index::Avet => self.found.extend(&batch.e),
            _ => self.found.extend((0..batch.rows).filter_map(|row| match batch.v.get(row) {
                ValueRef::Ref(e) => Some(e.0),
                _ => None,
            })),
        }
        Ok(true)
    }

    /// Reads to the end and turns round. No more is held than is wanted: the last ones.
    fn turn(&mut self) -> Result<(), Error> {
        let wanted = self.left.saturating_add(self.skip);
        while self.read()? {
            let over = self.found.len().saturating_sub(wanted);
            self.found.drain(..over);
        }
        self.found.make_contiguous().reverse();
        Ok(())
    }
}

fn check(index: Index, attribute: &Attribute, rest: &[Edn]) -> Result<(), Error> {
    let name = &attribute.ident;
    let many = attribute.cardinality == Cardinality::Many;
    match index {
        Index::Avet if !attribute.in_avet() => {
            Err(Error::new(Code::AttributeNotIndexed, format!("{name} is not indexed by value"))
                .with("attribute", name)
                .hint("set :db/index or :db/unique on it"))
        }
        Index::Avet if many && rest.is_empty() => {
            Err(Error::new(Code::InvalidPull, format!("{name} has many values, so :start needs a value too")))
        }
        Index::Aevt if !attribute.is_ref() || !many => {
            Err(Error::new(Code::InvalidPull, format!("{name} is no reference with many values"))
                .hint("along :aevt the entities referred to are pulled"))
        }
        _ => Ok(()),
    }
}

fn start_value(db: &Db, index: Index, attribute: &Attribute, form: &Edn) -> Result<Value, Error> {
    let datum = Datum::from_edn(form)?;
    let value = match index {
        Index::Avet => resolve::value(db, attribute, &datum)?,
        _ => resolve::entity(db, &datum)?.map(Value::Ref),
    };
    value.ok_or_else(|| {
        let message = format!("{form} is no value of {} to start from", attribute.ident);
        Error::new(Code::WrongTypeForAttribute, message).at(form.span).with("attribute", &attribute.ident)
    })
}
