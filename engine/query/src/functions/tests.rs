//! Functions and aggregates called with written values.

use annals_edn::{Code, Edn, Error, Symbol, read_one};

use super::{Aggregate, Function, Nested, Operand};
use crate::datum::{Datum, DatumColumn};

struct NoQueries;

impl Nested for NoQueries {
    fn run(&self, _: &Edn, _: &[Operand<'_>]) -> Result<Datum, Error> {
        Ok(Datum::Nil)
    }
}

fn data(text: &str) -> Vec<Datum> {
    let forms = read_one(text).expect("test data read");
    forms.as_vector().expect("a vector").iter().map(|form| Datum::from_edn(form).expect("a datum")).collect()
}

/// `(name args…)`, as the text of its answer or the code of its error.
fn call(name: &str, args: &str) -> String {
    let args = data(&format!("[{args}]"));
    let answer = Function::resolve(&Symbol::new(name), args.len()).and_then(|function| function.call(&args));
    answer.map_or_else(|error| error.code().as_str().to_owned(), |datum| datum.to_edn().to_string())
}

#[test]
fn arithmetic_widens_and_refuses() {
    for (name, args, wanted) in [
        ("/", "7 2", "3"),
        ("/", "-7 2", "-3"),
        ("/", "7N 2", "3N"),
        ("/", "7M 2", "3.5M"),
        ("/", "7.0 2", "3.5"),
        ("/", "1.0 0", "DIVISION_BY_ZERO"),
        ("/", "1M 3", "FUNCTION_FAILED"),
        ("+", "9223372036854775807 1", "INTEGER_OVERFLOW"),
        ("+", "9223372036854775807 1N", "9223372036854775808N"),
        ("+", "1 1.5M", "2.5M"),
        ("+", "\"a\" 1", "FUNCTION_FAILED"),
        ("+", "", "0"),
        ("-", "5", "-5"),
        ("mod", "-7 2", "1"),
        ("rem", "-7 2", "-1"),
        ("quot", "7.5 2", "3.0"),
        ("abs", "-9223372036854775808", "INTEGER_OVERFLOW"),
        ("max", "1 2.5 2", "2.5"),
    ] {
        assert_eq!(call(name, args), wanted, "({name} {args})");
    }
}

#[test]
fn comparison_and_equality() {
    for (name, args, wanted) in [
        ("<", "1 1.5", "true"),
        ("<", "9007199254740993 9007199254740992.0", "false"),
        ("<", "\"a\" 1", "false"),
        ("<", ":a \"b\"", "true"),
        (">", "##NaN 1.0", "false"),
        ("=", "1 1N", "true"),
        ("=", "1 1.0", "false"),
        ("=", "1.0M 1.00M", "true"),
        ("=", "##NaN ##NaN", "false"),
        ("=", "[1 2] [1N 2]", "true"),
        ("==", "1 1.0 1M 1N", "true"),
        ("not=", "1 2 2", "true"),
        ("compare", "1 2", "-1"),
    ] {
        assert_eq!(call(name, args), wanted, "({name} {args})");
    }
}

#[test]
fn text_names_and_collections() {
    for (name, args, wanted) in [
        ("str", "\"a\" 1 nil :b", "\"a1:b\""),
        ("name", ":a/b", "\"b\""),
        ("namespace", ":b", "nil"),
        ("keyword", "\"a\" \"b\"", ":a/b"),
        ("subs", "\"häuser\" 1 3", "\"äu\""),
        ("subs", "\"abc\" 2 9", "FUNCTION_FAILED"),
        ("clojure.string/join", "\", \" [1 2]", "\"1, 2\""),
        ("clojure.string/split", "\"a1b22\" \"[0-9]\"", "[\"a\" \"b\"]"),
        ("re-find", "\"(a)(x)?\" \"ba\"", "[\"a\" \"a\" nil]"),
        ("re-matches", "\"a|ab\" \"ab\"", "\"ab\""),
        ("re-find", "\"(?=a)\" \"a\"", "FUNCTION_FAILED"),
        ("count", "\"abc\"", "3"),
        ("get", "{1 :y} 1", ":y"),
        ("get-in", "{:a {:b 2}} [:a :b]", "2"),
        ("nth", "[1 2] 5 :none", ":none"),
        ("range", "1 6 2", "[1 3 5]"),
        ("range", "5 1 -2", "[5 3]"),
        ("sort", "[3 1N 2.5]", "[1N 2.5 3]"),
        ("untuple", "5", "FUNCTION_FAILED"),
    ] {
        assert_eq!(call(name, args), wanted, "({name} {args})");
    }
}

#[test]
fn a_failing_row_is_marked_and_the_rest_goes_on() {
    let divisors = DatumColumn::from_data(data("[1 0 2]"));
    let ten = Datum::long(10);
    let args = [Operand::Const(&ten), Operand::Column(&divisors)];
    let function = Function::resolve(&Symbol::new("/"), 2).expect("known");
    let done = function.eval_batch(&args, 3, &NoQueries);
    let codes: Vec<_> = done.errors.iter().map(|(row, error)| (*row, error.code())).collect();
    assert_eq!(codes, [(1, Code::DivisionByZero)]);
    assert_eq!((done.column.get(0), done.column.get(2)), (Datum::long(10), Datum::long(5)));
}

#[test]
fn columns_and_single_calls_agree() {
    let sides = ["[1 5 3 3]", "[1.5 ##NaN 3.0 -0.0]", "[\"a\" \"b\" \"\" \"c\"]", "[:a 1 2.5 \"x\"]"];
    let constants = data("[3 3.0 \"b\" :a]");
    for side in sides {
        let items = data(side);
        let column = DatumColumn::from_data(items.clone());
        for (constant, name) in
            constants.iter().flat_map(|c| ["<", "<=", ">", ">=", "=", "!="].map(|name| (c, name)))
        {
            let function = Function::resolve(&Symbol::new(name), 2).expect("known");
            let args = [Operand::Column(&column), Operand::Const(constant)];
            let (selected, errors) = function.filter_batch(&args, items.len(), &NoQueries);
            let one =
                |item: &Datum| function.call(&[item.clone(), constant.clone()]).expect("compares").truthy();
            let wanted: Vec<u32> = (0..items.len() as u32).filter(|row| one(&items[*row as usize])).collect();
            assert_eq!((selected, errors.len()), (wanted, 0), "({name} {side} {constant:?})");
        }
    }
}

fn aggregate(name: &str, number: Option<u64>, values: &str) -> String {
    let column = DatumColumn::from_data(data(values));
    let rows: Vec<u32> = (0..column.len() as u32).collect();
    let answer =
        Aggregate::resolve(&Symbol::new(name), number).and_then(|found| found.apply(&column, &rows, 7));
    answer.map_or_else(|error| error.code().as_str().to_owned(), |datum| datum.to_edn().to_string())
}

#[test]
fn aggregates_of_one_group() {
    for (name, number, values, wanted) in [
        ("sum", None, "[1 2 3]", "6"),
        ("sum", None, "[1N 2]", "3N"),
        ("sum", None, "[1 2.5]", "3.5"),
        ("sum", None, "[9223372036854775807 1]", "INTEGER_OVERFLOW"),
        ("sum", None, "[9223372036854775807 1 -1]", "9223372036854775807"),
        ("sum", None, "[\"a\"]", "FUNCTION_FAILED"),
        ("avg", None, "[8 12 34 42]", "24.0"),
        ("avg", None, "[1M 2]", "1.5"),
        ("median", None, "[8 12 34 42]", "23"),
        ("median", None, "[1 2.5]", "1.75"),
        ("variance", None, "[8 12 34 42]", "206.0"),
        ("stddev", None, "[8 12 34 42]", "14.352700094407323"),
        ("min", None, "[\"a\" 1]", "1"),
        ("max", None, "[##NaN 1.0]", "##NaN"),
        ("min", None, "[1N 1]", "1"),
        ("min", Some(2), "[199 260 199]", "[199 199]"),
        ("max", Some(2), "[1 3 2]", "[3 2]"),
        ("count-distinct", None, "[1 1 2]", "2"),
        ("distinct", None, "[2 1 1]", "#{1 2}"),
    ] {
        assert_eq!(aggregate(name, number, values), wanted, "({name} {values})");
    }
}

#[test]
fn sums_of_doubles_do_not_depend_on_their_order() {
    for (name, wanted) in [("sum", "2.0"), ("avg", "0.5")] {
        assert_eq!(aggregate(name, None, "[1e100 1.0 -1e100 1.0]"), wanted);
        assert_eq!(aggregate(name, None, "[1.0 1e100 1.0 -1e100]"), wanted);
    }
    assert_eq!(aggregate("avg", None, "[0.1 0.2 0.3]"), "0.2");
    assert_eq!(aggregate("sum", None, "[0.1 0.2]"), "0.30000000000000004");
    assert_eq!(aggregate("sum", None, "[1.7976931348623157e308 1.7976931348623157e308]"), "##Inf");
    assert_eq!(aggregate("sum", None, "[5e-324 5e-324]"), "1e-323");
    assert_eq!(aggregate("variance", None, "[1e308 1e308]"), "0.0");
}

#[test]
fn draws_follow_the_seed_and_not_the_order() {
    assert_eq!(aggregate("rand", Some(5), "[1 2 3]"), aggregate("rand", Some(5), "[3 2 1]"));
    let sample = aggregate("sample", Some(5), "[1 2 2 3]");
    assert_eq!(sample.matches(char::is_numeric).count(), 3, "{sample}");
}
