//! What any bytes must do: be answered, the same way twice, and come back as they were when they are taken.

use std::sync::{Arc, OnceLock};

use annals_db::{Context, Db, Incarnation, Limits, NoFunctions, Options, TxBody, transact};
use annals_edn::reader::Forms;
use annals_edn::{Error, Kind, read_one};
use annals_wire::db::{value_from_wire, value_to_wire};
use annals_wire::v1;
use prost::Message;

const SCHEMA: &str = r#"[
  {:db/ident :p/email :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :p/age :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :p/nick :db/valueType :db.type/keyword :db/cardinality :db.cardinality/many}
  {:db/ident :p/friend :db/valueType :db.type/ref :db/cardinality :db.cardinality/many}
  {:db/ident :p/phones :db/valueType :db.type/ref :db/cardinality :db.cardinality/many :db/isComponent true}
  {:db/ident :c/x :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :c/y :db/valueType :db.type/string :db/cardinality :db.cardinality/one}
  {:db/ident :t/pair :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one :db/tupleTypes [:db.type/ref :db.type/double]}]"#;
const COMPOSITE: &str = "[{:db/ident :c/x+y :db/valueType :db.type/tuple :db/cardinality :db.cardinality/one
                           :db/tupleAttrs [:c/x :c/y] :db/unique :db.unique/identity}]";
const DATA: &str = r#"[{:db/id "a" :p/email "a" :p/age 1 :p/nick [:x :y] :p/phones [{:c/x 1 :c/y "1"}]} {:p/email "b" :p/friend "a"}]"#;

/// The reader: an error points into the text; what is read prints as it reads, and reads as it prints.
pub fn edn(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for form in Forms::new(text) {
        match form {
            Err(error) => {
                sound(&error);
                let span = error.span().expect("an error of the reader points at the text");
                assert!(span.start <= span.end && span.end as usize <= text.len(), "{error:?}");
                break;
            }
            Ok(form) => {
                let printed = form.to_string();
                let again =
                    read_one(&printed).unwrap_or_else(|error| panic!("{printed:?} does not read: {error:?}"));
                assert_eq!(again.to_string(), printed);
            }
        }
    }
}

/// Tx-data, on a database with declared attributes and on one without: decided alike twice; what commits survives its
/// bytes and applies.
pub fn tx(bytes: &[u8]) {
    static WORLDS: OnceLock<[Db; 2]> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(tx_data) = read_one(text) else { return };
    for db in WORLDS.get_or_init(worlds) {
        let decide = || transact(db, &tx_data, &context());
        match (decide(), decide()) {
            (Ok(body), Ok(again)) => {
                assert_eq!(body, again);
                let read = TxBody::decode(&body.encode()).expect("what was written reads");
                assert_eq!(*body, read);
                db.fork().apply(&body).expect("what was decided applies");
            }
            (Err(error), Err(again)) => {
                sound(&error);
                assert_eq!((error.code(), error.message()), (again.code(), again.message()));
            }
            (one, other) => panic!("decided twice, differently: {one:?} {other:?}"),
        }
    }
}

/// A value as a message, and a committed transaction as bytes: refused, or the same again after a round.
pub fn value(bytes: &[u8]) {
    if let Ok(message) = v1::Value::decode(bytes) {
        match value_from_wire(&message) {
            Ok(Some(value)) => {
                let back = value_from_wire(&value_to_wire(value.as_ref())).expect("what was written reads");
                let back = back.expect("a value is not nil");
                assert!(back.cmp_index(&value).is_eq(), "{value:?} came back as {back:?}");
            }
            Ok(None) => {}
            Err(error) => sound(&error),
        }
        if let Err(error) = annals_wire::value::to_edn(&message) {
            sound(&error);
        }
    }
    if let Ok(column) = v1::Column::decode(bytes) {
        for rows in [0, 1, 3] {
            match annals_wire::db::column_from_wire(&column, rows) {
                Ok(column) => assert_eq!(column.len(), rows),
                Err(error) => sound(&error),
            }
        }
    }
    if let Ok(body) = TxBody::decode(bytes) {
        assert_eq!(TxBody::decode(&body.encode()).expect("what was written reads"), body);
    }
}

/// Bad input is the caller's fault, never ours.
fn sound(error: &Error) {
    assert!(error.kind() != Kind::Fault, "{error:?}");
    assert!(!error.message().is_empty(), "{error:?}");
}

fn context() -> Context<'static> {
    let limits = Limits { datoms: 5_000, bytes: 1 << 18, ..Limits::default() };
    Context { now: 1_700_000_000_000, limits, functions: &NoFunctions, client_id: None, request_hash: 0 }
}

fn worlds() -> [Db; 2] {
    [true, false].map(|schema_on_write| {
        let options = Options { schema_on_write, keep_history: true };
        let empty = Db::empty(Incarnation(1), options);
        [SCHEMA, COMPOSITE, DATA].iter().fold(empty, |db, text| {
            let body: Arc<TxBody> =
                transact(&db, &read_one(text).expect("it is EDN"), &context()).expect("it commits");
            db.apply(&body).expect("it applies")
        })
    })
}
