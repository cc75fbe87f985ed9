//! Walking an index and pulling what it finds.

use std::ops::Bound;
use std::sync::Arc;

use annals_db::{
    Attribute, Batch, Cardinality, Columns, Db, EntityId, Index, Key, Range, Value, ValueRef, ValueType,
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
        let selector =
            Pattern::parse(request.get("selector").ok_or_else(|| invalid("index-pull has a :selector"))?)?;
        let Some([attribute, rest @ ..]) = request.get("start").and_then(Edn::as_seq) else {
            return Err(invalid("the :start of index-pull is a vector of an attribute and a value"));
        };
        let attribute =
            resolve::attribute(db, &Datum::from_edn(attribute)?).map_err(|e| e.at(attribute.span))?;
        check(index, &attribute, rest)?;
        let start = match rest {
            [] => None,
            [start, ..] => Some(start_value(db, index, &attribute, start)?),
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
        Ok(IndexPull { attribute, index, start, reverse, offset, limit, selector })
    }

    /// Walks and pulls.
    ///
    /// # Errors
    /// As [`Pull`].
    pub fn run(&self, db: &Db) -> Result<Vec<Edn>, Error> {
        let mut pull = Pull::new(db, &self.selector)?;
        pull.run(&self.walk(db)?)
    }

    /// The entities to pull, in order.
    fn walk(&self, db: &Db) -> Result<Vec<u64>, Error> {
        let wanted = self.limit.map_or(usize::MAX, |limit| limit.saturating_add(self.offset));
        let columns = if self.index == Index::Avet { Columns::E } else { Columns::V };
        let mut scan = db.scan(&self.range(), columns);
        let mut batch = Batch::new((self.index == Index::Aevt).then_some(ValueType::Ref));
        let mut found: Vec<u64> = Vec::new();
        while (self.reverse || found.len() < wanted) && scan.next(&mut batch)? {
            match self.index {
                Index::Avet => found.extend_from_slice(&batch.e),
                _ => found.extend((0..batch.rows).filter_map(|row| match batch.v.get(row) {
                    ValueRef::Ref(e) => Some(e.0),
                    _ => None,
                })),
            }
        }
        if self.reverse {
            found.reverse();
        }
        Ok(found.into_iter().skip(self.offset).take(self.limit.unwrap_or(usize::MAX)).collect())
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
