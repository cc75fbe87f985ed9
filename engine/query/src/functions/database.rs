//! Functions that read: `get-else`, `get-some`, `missing?`, nested `q`, and those of the log.

use annals_db::{Attribute, Cardinality, Column, Db, EntityId, Range, T, Value};
use annals_edn::{Code, Error};

use super::batch::refresh;
use super::scalar::wrong;
use super::{Evaluated, Function, Nested, Operand};
use crate::datum::{Datum, DatumColumn};
use crate::resolve;

/// The most transactions that one call of a function of the log reads.
const MAX_LOG_TRANSACTIONS: usize = 100_000;

/// Calls `function` once a row.
pub(super) fn eval(function: Function, args: &[Operand<'_>], rows: usize, nested: &dyn Nested) -> Evaluated {
    if let (Function::GetElse, Some(done)) = (function, get_else_column(args)) {
        return done;
    }
    let (mut data, mut errors): (Vec<Datum>, Vec<(u32, Error)>) = (Vec::with_capacity(rows), Vec::new());
    let varies = args.iter().any(|arg| matches!(arg, Operand::Column(_)));
    let mut scratch: Vec<Datum> = args.iter().map(constant).collect();
    for row in 0..rows {
        if row > 0 && !varies {
            let repeated: Datum = data[0].clone();
            data.push(repeated);
            if let Some((_, error)) = errors.first().cloned() {
                errors.push((row as u32, error));
            }
            continue;
        }
        refresh(&mut scratch, args, row);
        data.push(one(function, args, &scratch, row, nested).unwrap_or_else(|error| {
            errors.push((row as u32, error));
            Datum::Nil
        }));
    }
    Evaluated { column: DatumColumn::from_data(data), errors }
}

fn constant(operand: &Operand<'_>) -> Datum {
    match operand {
        Operand::Const(datum) => (*datum).clone(),
        _ => Datum::Nil,
    }
}

fn one(
    function: Function,
    operands: &[Operand<'_>],
    args: &[Datum],
    row: usize,
    nested: &dyn Nested,
) -> Result<Datum, Error> {
    match function {
        Function::GetElse => get_else(database(function, operands)?, &args[1], &args[2], &args[3]),
        Function::GetSome => get_some(database(function, operands)?, &args[1], &args[2..]),
        Function::Missing => missing(database(function, operands)?, &args[1], &args[2]),
        Function::TxIds => tx_ids(database(function, operands)?, &args[1], &args[2]),
        Function::TxData => tx_data(database(function, operands)?, &args[1]),
        Function::Query => query(operands, row, args, nested),
        _ => Err(Error::new(Code::Unsupported, format!("{} is not offered", function.name()))),
    }
}

fn database<'a>(function: Function, operands: &[Operand<'a>]) -> Result<&'a Db, Error> {
    match operands.first() {
        Some(Operand::Db(db)) => Ok(db),
        _ => Err(Error::new(Code::InvalidDataSource, format!("{} reads a database", function.name()))
            .hint(format!("write ({} $ …)", function.name()))),
    }
}

/// The values of an attribute of an entity under the database's view, in index order, retracted ones too if it is a
/// history: of these `get-else` and `get-some` take the first.
fn values(db: &Db, e: EntityId, attribute: &Attribute) -> Result<Vec<Value>, Error> {
    if !db.view().history {
        return Ok(db.values(e, attribute.id)?.into_iter().map(|(value, _)| value).collect());
    }
    let mut found = Vec::new();
    let mut scan = db.scan(&Range::entity_attr(e, attribute.id), annals_db::Columns::V);
    let mut batch = annals_db::Batch::new(attribute.value_type);
    while scan.next(&mut batch)? {
        found.extend((0..batch.rows).map(|row| batch.v.get(row).to_value()));
    }
    Ok(found)
}

fn first_value(db: &Db, e: EntityId, attribute: &Attribute) -> Result<Option<Value>, Error> {
    Ok(values(db, e, attribute)?.into_iter().next())
}

fn one_valued(db: &Db, attribute: &Datum) -> Result<std::sync::Arc<Attribute>, Error> {
    let attribute = resolve::attribute(db, attribute)?;
    match attribute.cardinality {
        Cardinality::One => Ok(attribute),
        Cardinality::Many => {
            let message = format!("{} has many values", attribute.ident);
            Err(Error::new(Code::FunctionFailed, message)
                .hint("get-else and get-some take attributes of one value"))
        }
    }
}

fn get_else(db: &Db, e: &Datum, attribute: &Datum, default: &Datum) -> Result<Datum, Error> {
    let attribute = one_valued(db, attribute)?;
    if *default == Datum::Nil {
        return Err(nil_default());
    }
    let Some(e) = resolve::entity(db, e)? else { return Ok(default.clone()) };
    Ok(first_value(db, e, &attribute)?.map_or_else(|| default.clone(), Datum::Value))
}

fn nil_default() -> Error {
    Error::new(Code::FunctionFailed, "nil is no default").hint("use missing?, or another default")
}

/// `get-else` of one attribute over a column of ids, in one pass over the index.
fn get_else_column(args: &[Operand<'_>]) -> Option<Evaluated> {
    let [Operand::Db(db), Operand::Column(entities), Operand::Const(attribute), Operand::Const(default)] =
        args
    else {
        return None;
    };
    let DatumColumn::Stored(Column::Ref(entities)) = entities else { return None };
    if **default == Datum::Nil || db.view().history {
        return None;
    }
    let attribute = one_valued(db, attribute).ok()?;
    let mut keys = entities.clone();
    keys.sort_unstable();
    keys.dedup();
    let probe = db.probe_entities(attribute.id, &keys, false).ok()?;
    let row_of = |e: &u64| {
        let key = keys.binary_search(e).expect("every entity is a key") as u32;
        probe.input.binary_search(&key).ok()
    };
    let value =
        |e: &u64| row_of(e).map_or_else(|| (*default).clone(), |at| probe.v.get(at).to_value().into());
    let column = DatumColumn::from_data(entities.iter().map(value).collect());
    Some(Evaluated { column, errors: Vec::new() })
}

fn get_some(db: &Db, e: &Datum, attributes: &[Datum]) -> Result<Datum, Error> {
    let attributes = attributes.iter().map(|a| one_valued(db, a)).collect::<Result<Vec<_>, _>>()?;
    let Some(e) = resolve::entity(db, e)? else { return Ok(Datum::Nil) };
    for attribute in attributes {
        if let Some(value) = first_value(db, e, &attribute)? {
            let a = Datum::Value(Value::Ref(attribute.id.entity()));
            return Ok(Datum::vector(vec![a, Datum::Value(value)]));
        }
    }
    Ok(Datum::Nil)
}

fn missing(db: &Db, e: &Datum, attribute: &Datum) -> Result<Datum, Error> {
    let attribute = match resolve::attribute(db, attribute) {
        Ok(attribute) => attribute,
        Err(error) if error.code() == Code::NotAnEntity => return Ok(Datum::bool(true)),
        Err(error) => return Err(error),
    };
    let Some(e) = resolve::entity(db, e)? else { return Ok(Datum::bool(true)) };
    Ok(Datum::bool(values(db, e, &attribute)?.is_empty()))
}

fn query(operands: &[Operand<'_>], row: usize, args: &[Datum], nested: &dyn Nested) -> Result<Datum, Error> {
    let Some(Operand::Form(form)) = operands.first() else {
        return Err(
            Error::new(Code::InvalidQuery, "the query of q is written out").hint("write (q [:find …] $)")
        );
    };
    let inputs: Vec<Operand<'_>> = operands
        .iter()
        .zip(args)
        .skip(1)
        .map(|(operand, arg)| if let Operand::Column(_) = operand { Operand::Const(arg) } else { *operand })
        .collect();
    nested.run(form, &inputs).map_err(|error| error.with("row", row))
}

/// A t, a transaction's entity or an instant, as the first transaction from there on; nil is `open`.
fn point(function: &str, db: &Db, datum: &Datum, open: T) -> Result<T, Error> {
    match datum {
        Datum::Nil => Ok(open),
        Datum::Value(Value::Long(n)) if *n >= 0 => Ok(EntityId(*n as u64).as_t().unwrap_or(T(*n as u64))),
        Datum::Value(Value::Ref(e)) => Ok(e.as_t().unwrap_or(T(e.0))),
        Datum::Value(Value::Instant(ms)) => {
            let before = db.point(annals_db::Point::Instant(ms - 1))?;
            Ok(T(before.0 + 1))
        }
        _ => Err(wrong(function, "a t, a transaction, an instant or nil", datum)),
    }
}

fn tx_ids(db: &Db, start: &Datum, end: &Datum) -> Result<Datum, Error> {
    let past = T(db.basis().0 + 1);
    let (start, end) = (point("tx-ids", db, start, T(1))?, point("tx-ids", db, end, past)?);
    let (start, end) = db.log_range(start, end);
    if end.0.saturating_sub(start.0) > MAX_LOG_TRANSACTIONS as u64 {
        let message = format!("a call of tx-ids reads at most {MAX_LOG_TRANSACTIONS} transactions");
        return Err(Error::new(Code::FunctionFailed, message));
    }
    let ids = (start.0.max(1)..end.0).map(|t| Datum::Value(Value::Ref(EntityId::of_tx(T(t)))));
    Ok(Datum::vector(ids.collect()))
}

fn tx_data(db: &Db, tx: &Datum) -> Result<Datum, Error> {
    let t = point("tx-data", db, tx, T(0))?;
    let (start, end) = db.log_range(t, T(t.0.saturating_add(1)));
    let mut rows = Vec::new();
    for body in db.log(start, end, 1)? {
        let tx = Datum::Value(Value::Ref(EntityId::of_tx(body.t)));
        for datom in &db.log_datoms(&body)? {
            let (e, a) = (Value::Ref(datom.e), Value::Ref(datom.a.entity()));
            let row = vec![e.into(), a.into(), datom.v.clone().into(), tx.clone(), Datum::bool(datom.added)];
            rows.push(Datum::vector(row));
        }
    }
    Ok(Datum::vector(rows))
}
