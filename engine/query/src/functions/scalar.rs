//! The table of scalar functions: name, number of arguments, what is called. One line a function.

use annals_edn::{Code, Error};

use super::{Scalar, collections as coll, math, regexes, text};
use crate::datum::{Datum, show};

/// A pure function of values.
pub(super) type Eval = fn(&[Datum]) -> Result<Datum, Error>;

/// One function of the table.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) arity: (usize, usize),
    pub(super) eval: Eval,
}

const ANY: usize = usize::MAX;

const fn entry(name: &'static str, least: usize, most: usize, eval: Eval) -> Entry {
    Entry { name, arity: (least, most), eval }
}

/// Its place in the table.
pub(super) fn find(name: &str) -> Option<Scalar> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    TABLE.iter().position(|entry| entry.name == name).map(|at| Scalar(at as u16))
}

/// Other names that people write.
const ALIASES: [(&str, &str); 6] = [
    (".startsWith", "clojure.string/starts-with?"),
    (".endsWith", "clojure.string/ends-with?"),
    (".contains", "clojure.string/includes?"),
    (".toUpperCase", "clojure.string/upper-case"),
    (".toLowerCase", "clojure.string/lower-case"),
    ("Math/sqrt", "clojure.math/sqrt"),
];

/// All scalar functions.
#[rustfmt::skip]
pub(super) static TABLE: &[Entry] = &[
    entry("identity", 1, 1, |args| Ok(args[0].clone())),
    entry("not", 1, 1, |args| Ok(Datum::bool(!args[0].truthy()))),
    entry("boolean", 1, 1, |args| Ok(Datum::bool(args[0].truthy()))),
    entry("nil?", 1, 1, |args| Ok(Datum::bool(matches!(args[0], Datum::Nil)))),
    entry("some?", 1, 1, |args| Ok(Datum::bool(!matches!(args[0], Datum::Nil)))),
    entry("true?", 1, 1, |args| Ok(Datum::bool(args[0] == Datum::bool(true)))),
    entry("false?", 1, 1, |args| Ok(Datum::bool(args[0] == Datum::bool(false)))),
    entry("compare", 2, 2, math::compare),
    entry("quot", 2, 2, math::quot),
    entry("rem", 2, 2, math::rem),
    entry("mod", 2, 2, math::modulo),
    entry("inc", 1, 1, math::inc),
    entry("dec", 1, 1, math::dec),
    entry("min", 1, ANY, math::min),
    entry("max", 1, ANY, math::max),
    entry("abs", 1, 1, math::abs),
    entry("zero?", 1, 1, math::is_zero),
    entry("pos?", 1, 1, math::is_positive),
    entry("neg?", 1, 1, math::is_negative),
    entry("even?", 1, 1, math::is_even),
    entry("odd?", 1, 1, math::is_odd),
    entry("long", 1, 1, math::long),
    entry("int", 1, 1, math::long),
    entry("double", 1, 1, math::double),
    entry("float", 1, 1, math::float),
    entry("bigint", 1, 1, math::bigint),
    entry("bigdec", 1, 1, math::bigdec),
    entry("bit-and", 2, ANY, math::bit_and),
    entry("bit-or", 2, ANY, math::bit_or),
    entry("bit-xor", 2, ANY, math::bit_xor),
    entry("bit-shift-left", 2, 2, math::bit_shift_left),
    entry("bit-shift-right", 2, 2, math::bit_shift_right),
    entry("clojure.math/sqrt", 1, 1, |args| math::on_double(args, f64::sqrt)),
    entry("clojure.math/floor", 1, 1, |args| math::on_double(args, f64::floor)),
    entry("clojure.math/ceil", 1, 1, |args| math::on_double(args, f64::ceil)),
    entry("clojure.math/round", 1, 1, math::round),
    entry("clojure.math/pow", 2, 2, math::pow),
    entry("number?", 1, 1, math::is_number),
    entry("integer?", 1, 1, math::is_integer),
    entry("int?", 1, 1, math::is_int),
    entry("double?", 1, 1, math::is_double),
    entry("decimal?", 1, 1, math::is_decimal),
    entry("string?", 1, 1, text::is_string),
    entry("keyword?", 1, 1, text::is_keyword),
    entry("symbol?", 1, 1, text::is_symbol),
    entry("boolean?", 1, 1, text::is_boolean),
    entry("inst?", 1, 1, text::is_inst),
    entry("uuid?", 1, 1, text::is_uuid),
    entry("inst-ms", 1, 1, text::inst_ms),
    entry("str", 0, ANY, text::str),
    entry("subs", 2, 3, text::subs),
    entry("name", 1, 1, text::name),
    entry("namespace", 1, 1, text::namespace),
    entry("keyword", 1, 2, text::keyword),
    entry("symbol", 1, 2, text::symbol),
    entry("clojure.string/starts-with?", 2, 2, text::starts_with),
    entry("clojure.string/ends-with?", 2, 2, text::ends_with),
    entry("clojure.string/includes?", 2, 2, text::includes),
    entry("clojure.string/upper-case", 1, 1, text::upper_case),
    entry("clojure.string/lower-case", 1, 1, text::lower_case),
    entry("clojure.string/capitalize", 1, 1, text::capitalize),
    entry("clojure.string/trim", 1, 1, text::trim),
    entry("clojure.string/triml", 1, 1, text::triml),
    entry("clojure.string/trimr", 1, 1, text::trimr),
    entry("clojure.string/blank?", 1, 1, text::is_blank),
    entry("clojure.string/reverse", 1, 1, text::reverse),
    entry("clojure.string/join", 1, 2, text::join),
    entry("clojure.string/split", 2, 2, regexes::split),
    entry("clojure.string/replace", 3, 3, text::replace),
    entry("clojure.string/index-of", 2, 2, text::index_of),
    entry("re-pattern", 1, 1, regexes::re_pattern),
    entry("re-find", 2, 2, regexes::re_find),
    entry("re-matches", 2, 2, regexes::re_matches),
    entry("re-seq", 2, 2, regexes::re_seq),
    entry("vector", 0, ANY, |args| Ok(Datum::vector(args.to_vec()))),
    entry("list", 0, ANY, |args| Ok(Datum::vector(args.to_vec()))),
    entry("hash-set", 0, ANY, |args| Ok(Datum::set(args.to_vec()))),
    entry("hash-map", 0, ANY, coll::hash_map),
    entry("vec", 1, 1, coll::vec),
    entry("set", 1, 1, coll::set),
    entry("count", 1, 1, coll::count),
    entry("empty?", 1, 1, coll::is_empty),
    entry("first", 1, 1, coll::first),
    entry("second", 1, 1, coll::second),
    entry("last", 1, 1, coll::last),
    entry("rest", 1, 1, coll::rest),
    entry("nth", 2, 3, coll::nth),
    entry("get", 2, 3, coll::get),
    entry("get-in", 2, 3, coll::get_in),
    entry("contains?", 2, 2, coll::contains),
    entry("keys", 1, 1, coll::keys),
    entry("vals", 1, 1, coll::vals),
    entry("conj", 1, ANY, coll::conj),
    entry("concat", 0, ANY, coll::concat),
    entry("distinct", 1, 1, coll::distinct),
    entry("sort", 1, 1, coll::sort),
    entry("reverse", 1, 1, coll::reverse),
    entry("take", 2, 2, coll::take),
    entry("drop", 2, 2, coll::drop),
    entry("range", 1, 3, coll::range),
    entry("vector?", 1, 1, coll::is_vector),
    entry("map?", 1, 1, coll::is_map),
    entry("set?", 1, 1, coll::is_set),
    entry("coll?", 1, 1, coll::is_coll),
];

/// `FUNCTION_FAILED`: `datum` is not what `function` takes.
pub(super) fn wrong(function: &str, wanted: &str, datum: &Datum) -> Error {
    let message = format!("{function} takes {wanted}, not {}", show(datum));
    Error::new(Code::FunctionFailed, message).with("function", function)
}
