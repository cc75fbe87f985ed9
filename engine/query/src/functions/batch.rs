//! Calls over columns. Longs, ids, doubles, instants and text are compared and calculated in place; everything else
//! goes row by row through [`Function::call`].

use annals_db::{Column, Value, ValueRef};
use annals_edn::{Code, Error};

use super::compare::{equal, equal_values, same_number};
use super::number::{double, fold, long_op};
use super::scalar::TABLE;
use super::{Arithmetic, Comparison, Evaluated, Function, Nested, Operand, Scalar, database};
use crate::datum::{Datum, DatumColumn};

/// The longest text that a function makes, in bytes.
const MAX_TEXT: usize = 16 << 20;
/// The most bits of a bigint that a function makes.
const MAX_BITS: u64 = 1 << 20;
/// The most values in a collection that a function makes.
const MAX_PARTS: usize = 4 << 20;

/// The rows that failed and why.
type Errors = Vec<(u32, Error)>;

impl Function {
    /// Calls the function once a row, `rows` times.
    #[must_use]
    pub fn eval_batch(self, args: &[Operand<'_>], rows: usize, nested: &dyn Nested) -> Evaluated {
        match (self, args) {
            (Function::Compare(comparison), [x, y]) => {
                if let Some(truths) = compare_lanes(comparison, x, y, rows) {
                    return evaluated(Column::Boolean(truths), Errors::new());
                }
            }
            (Function::Arithmetic(operation), [x, y]) => {
                if let Some(done) = calculate_lanes(operation, x, y, rows) {
                    return done;
                }
            }
            _ => {}
        }
        match self.reads() {
            true => database::eval(self, args, rows, nested),
            false => by_row(self, args, rows),
        }
    }

    /// As [`Function::eval_batch`] for predicates: the rows, ascending, for which the answer is neither nil nor
    /// false, and the rows that failed.
    #[must_use]
    pub fn filter_batch(self, args: &[Operand<'_>], rows: usize, nested: &dyn Nested) -> (Vec<u32>, Errors) {
        let fast = match (self, args) {
            (Function::Compare(comparison), [x, y]) => filter_comparison(comparison, x, y, rows),
            (Function::Equal, [x, y]) => filter_equal(x, y, rows, true),
            (Function::NotEqual, [x, y]) => filter_equal(x, y, rows, false),
            _ => None,
        };
        if let Some(selected) = fast {
            return (selected, Errors::new());
        }
        let Evaluated { column, errors } = self.eval_batch(args, rows, nested);
        let failed: rustc_hash::FxHashSet<u32> = errors.iter().map(|(row, _)| *row).collect();
        let truthy = |row: &u32| match &column {
            DatumColumn::Stored(Column::Boolean(truths)) => truths[*row as usize],
            column => column.get(*row as usize).truthy(),
        };
        let selected = (0..rows as u32).filter(|row| truthy(row) && !failed.contains(row)).collect();
        (selected, errors)
    }

    /// One call of a function that reads nothing.
    ///
    /// # Errors
    /// `FUNCTION_FAILED` and its kin.
    pub fn call(self, args: &[Datum]) -> Result<Datum, Error> {
        match self {
            Function::Compare(comparison) => Ok(Datum::bool(comparison.holds_of(&args[0], &args[1]))),
            Function::Equal => Ok(Datum::bool(args.windows(2).all(|pair| equal(&pair[0], &pair[1])))),
            Function::NotEqual => Ok(Datum::bool(!args.windows(2).all(|pair| equal(&pair[0], &pair[1])))),
            Function::SameNumber => same_numbers(args),
            Function::Arithmetic(operation) => fold(operation, args),
            Function::Ground => Ok(args[0].clone()),
            Function::Tuple => Ok(Datum::vector(args.to_vec())),
            Function::Untuple => untuple(&args[0]),
            Function::Scalar(Scalar(at)) => (TABLE[at as usize].eval)(args),
            _ => Err(Error::new(Code::Internal, format!("{} is no pure function", self.name()))),
        }
    }
}

fn same_numbers(args: &[Datum]) -> Result<Datum, Error> {
    for pair in args.windows(2) {
        if !same_number(&pair[0], &pair[1])? {
            return Ok(Datum::bool(false));
        }
    }
    Ok(Datum::bool(true))
}

fn untuple(datum: &Datum) -> Result<Datum, Error> {
    match datum {
        Datum::Value(Value::Tuple(_)) | Datum::Vector(_) => Ok(datum.clone()),
        _ => Err(super::scalar::wrong("untuple", "a tuple", datum)),
    }
}

fn evaluated(column: Column, errors: Errors) -> Evaluated {
    Evaluated { column: DatumColumn::Stored(column), errors }
}

fn by_row(function: Function, operands: &[Operand<'_>], rows: usize) -> Evaluated {
    let mut args: Vec<Datum> = operands.iter().map(constant).collect();
    let (mut data, mut errors) = (Vec::with_capacity(rows), Errors::new());
    let varies = operands.iter().any(|operand| matches!(operand, Operand::Column(_)));
    if !varies && rows > 0 {
        // One answer for all rows, shared.
        return match function.call(&args).and_then(bounded) {
            // A typed column would copy a tuple for every row.
            Ok(datum @ Datum::Value(Value::Tuple(_))) => {
                Evaluated { column: DatumColumn::Any(vec![datum; rows]), errors }
            }
            Ok(datum) => Evaluated { column: DatumColumn::from_data(vec![datum; rows]), errors },
            Err(error) => {
                let errors = (0..rows as u32).map(|row| (row, error.clone())).collect();
                Evaluated { column: DatumColumn::Any(vec![Datum::Nil; rows]), errors }
            }
        };
    }
    for row in 0..rows {
        refresh(&mut args, operands, row);
        data.push(function.call(&args).and_then(bounded).unwrap_or_else(|error| {
            errors.push((row as u32, error));
            Datum::Nil
        }));
    }
    Evaluated { column: DatumColumn::from_data(data), errors }
}

/// Refuses a value so large that a few more calls would fill the memory.
fn bounded(datum: Datum) -> Result<Datum, Error> {
    let small = match &datum {
        Datum::Value(Value::String(text)) => text.len() <= MAX_TEXT,
        Datum::Value(Value::BigInt(n)) => n.bits() <= MAX_BITS,
        Datum::Value(Value::BigDec(n)) => n.digits() <= MAX_BITS / 3,
        Datum::Value(Value::Tuple(_)) | Datum::Vector(_) | Datum::Set(_) | Datum::Map(_) => {
            let mut left = MAX_PARTS;
            fits(&datum, &mut left)
        }
        _ => true,
    };
    match small {
        true => Ok(datum),
        false => Err(Error::new(Code::FunctionFailed, "the result of the function is too large")
            .with("limit", format!("{MAX_TEXT} bytes, {MAX_BITS} bits, {MAX_PARTS} parts"))),
    }
}

/// Whether a value has at most `left` parts, parts of parts included; parts that are shared count each time.
fn fits(datum: &Datum, left: &mut usize) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    match datum {
        Datum::Value(Value::Tuple(slots)) => slots.iter().flatten().all(|slot| fits_value(slot, left)),
        Datum::Vector(items) | Datum::Set(items) => items.iter().all(|item| fits(item, left)),
        Datum::Map(entries) => entries.iter().all(|(key, value)| fits(key, left) && fits(value, left)),
        _ => true,
    }
}

fn fits_value(value: &Value, left: &mut usize) -> bool {
    if *left == 0 {
        return false;
    }
    *left -= 1;
    match value {
        Value::Tuple(slots) => slots.iter().flatten().all(|slot| fits_value(slot, left)),
        _ => true,
    }
}

fn constant(operand: &Operand<'_>) -> Datum {
    match operand {
        Operand::Const(datum) | Operand::Relation(datum) => (*datum).clone(),
        _ => Datum::Nil,
    }
}

/// Puts the values of `row` among the constants.
pub(super) fn refresh(args: &mut [Datum], operands: &[Operand<'_>], row: usize) {
    for (arg, operand) in args.iter_mut().zip(operands) {
        if let Operand::Column(column) = operand {
            *arg = column.get(row);
        }
    }
}

/// Integers without a value a row: longs, ids, instants.
enum Longs<'a> {
    Column(&'a [i64]),
    Ids(&'a [u64]),
    Const(i64),
}

impl Longs<'_> {
    #[inline]
    fn at(&self, row: usize) -> i64 {
        match self {
            Longs::Column(column) => column[row],
            Longs::Ids(column) => column[row] as i64,
            Longs::Const(number) => *number,
        }
    }
}

fn longs<'a>(operand: &Operand<'a>) -> Option<Longs<'a>> {
    match operand {
        Operand::Column(DatumColumn::Stored(Column::Long(column))) => Some(Longs::Column(column)),
        Operand::Column(DatumColumn::Stored(Column::Ref(column))) => Some(Longs::Ids(column)),
        Operand::Const(Datum::Value(value)) => value.as_ref().as_integer().map(Longs::Const),
        _ => None,
    }
}

fn instants<'a>(operand: &Operand<'a>) -> Option<Longs<'a>> {
    match operand {
        Operand::Column(DatumColumn::Stored(Column::Instant(column))) => Some(Longs::Column(column)),
        Operand::Const(Datum::Value(Value::Instant(instant))) => Some(Longs::Const(*instant)),
        _ => None,
    }
}

enum Doubles<'a> {
    Column(&'a [f64]),
    Const(f64),
}

impl Doubles<'_> {
    #[inline]
    fn at(&self, row: usize) -> f64 {
        match self {
            Doubles::Column(column) => column[row],
            Doubles::Const(number) => *number,
        }
    }
}

fn doubles<'a>(operand: &Operand<'a>) -> Option<Doubles<'a>> {
    match operand {
        Operand::Column(DatumColumn::Stored(Column::Double(column))) => Some(Doubles::Column(column)),
        Operand::Const(Datum::Value(Value::Double(number))) => Some(Doubles::Const(*number)),
        _ => None,
    }
}

/// Two sides that compare as integers.
fn integer_sides<'a>(x: &Operand<'a>, y: &Operand<'a>) -> Option<(Longs<'a>, Longs<'a>)> {
    match (longs(x), longs(y)) {
        (Some(x), Some(y)) => Some((x, y)),
        _ => Some((instants(x)?, instants(y)?)),
    }
}

fn compare_lanes(comparison: Comparison, x: &Operand<'_>, y: &Operand<'_>, rows: usize) -> Option<Vec<bool>> {
    if let Some((x, y)) = integer_sides(x, y) {
        return Some((0..rows).map(|row| comparison.holds(x.at(row).cmp(&y.at(row)))).collect());
    }
    let (x, y) = (doubles(x)?, doubles(y)?);
    Some((0..rows).map(|row| comparison.holds_of_doubles(x.at(row), y.at(row))).collect())
}

fn select(rows: usize, holds: impl Fn(usize) -> bool) -> Vec<u32> {
    let mut selected = vec![0; rows];
    let mut count = 0;
    for row in 0..rows {
        selected[count] = row as u32;
        count += usize::from(holds(row));
    }
    selected.truncate(count);
    selected
}

fn filter_comparison(
    comparison: Comparison,
    x: &Operand<'_>,
    y: &Operand<'_>,
    rows: usize,
) -> Option<Vec<u32>> {
    if let Some((x, y)) = integer_sides(x, y) {
        return Some(match comparison {
            Comparison::Less => select(rows, |row| x.at(row) < y.at(row)),
            Comparison::LessOrEqual => select(rows, |row| x.at(row) <= y.at(row)),
            Comparison::Greater => select(rows, |row| x.at(row) > y.at(row)),
            Comparison::GreaterOrEqual => select(rows, |row| x.at(row) >= y.at(row)),
        });
    }
    if let (Some(x), Some(y)) = (doubles(x), doubles(y)) {
        return Some(select(rows, |row| comparison.holds_of_doubles(x.at(row), y.at(row))));
    }
    let (x, y) = (stored(x)?, stored(y)?);
    Some(select(rows, |row| comparison.holds_of_values(&x.at(row), &y.at(row))))
}

fn filter_equal(x: &Operand<'_>, y: &Operand<'_>, rows: usize, wanted: bool) -> Option<Vec<u32>> {
    if let Some((x, y)) = integer_sides(x, y) {
        return Some(select(rows, |row| (x.at(row) == y.at(row)) == wanted));
    }
    let (x, y) = (stored(x)?, stored(y)?);
    Some(select(rows, |row| equal_values(&x.at(row), &y.at(row)) == wanted))
}

/// Stored values of any type, borrowed.
enum Stored<'a> {
    Column(&'a Column),
    Const(&'a Value),
}

impl<'a> Stored<'a> {
    fn at(&self, row: usize) -> ValueRef<'a> {
        match self {
            Stored::Column(column) => column.get(row),
            Stored::Const(value) => value.as_ref(),
        }
    }
}

fn stored<'a>(operand: &Operand<'a>) -> Option<Stored<'a>> {
    match operand {
        Operand::Column(DatumColumn::Stored(column)) => Some(Stored::Column(column)),
        Operand::Const(Datum::Value(value)) => Some(Stored::Const(value)),
        _ => None,
    }
}

fn calculate_lanes(
    operation: Arithmetic,
    x: &Operand<'_>,
    y: &Operand<'_>,
    rows: usize,
) -> Option<Evaluated> {
    let mut errors = Errors::new();
    if let (Some(x), Some(y)) = (longs(x), longs(y)) {
        let results = (0..rows).map(|row| {
            long_op(operation, x.at(row), y.at(row)).unwrap_or_else(|error| {
                errors.push((row as u32, error));
                0
            })
        });
        let results = results.collect();
        return Some(evaluated(Column::Long(results), errors));
    }
    let (x, y) = (doubles(x)?, doubles(y)?);
    let results = (0..rows).map(|row| {
        double(operation, x.at(row), y.at(row)).unwrap_or_else(|error| {
            errors.push((row as u32, error));
            0.0
        })
    });
    let results = results.collect();
    Some(evaluated(Column::Double(results), errors))
}
