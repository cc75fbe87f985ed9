//! The runner against a system that answers from a script: what it substitutes, names, sorts, and takes for a failure.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Mutex;

use annals_edn::{Code, Edn, Error, Keyword, read_one};

use super::{Outcome, run_case};
use crate::case::Case;
use crate::system::{
    Attribute, Committed, Count, Database, Datom, Datoms, Options, Point, Source, System, View,
};

const ALICE: i64 = (3 << 42) | 7;
const BOB: i64 = (3 << 42) | 8;
const TX: i64 = 2 << 42;

/// Answers to reads, in order; the text of an error is its code. What it was asked is kept.
struct Script {
    answers: Mutex<Option<VecDeque<&'static str>>>,
}

struct Scripted {
    answers: RefCell<VecDeque<&'static str>>,
    asked: RefCell<Vec<String>>,
    t: i64,
}

impl System for Script {
    fn create(&self, _options: Options) -> Result<Box<dyn Database>, Error> {
        let answers = self.answers.lock().expect("no panic holds it").take().unwrap_or_default();
        Ok(Box::new(Scripted { answers: RefCell::new(answers), asked: RefCell::default(), t: 0 }))
    }
}

impl Scripted {
    fn next(&self, asked: String) -> Result<Edn, Error> {
        self.asked.borrow_mut().push(asked);
        let answer = self.answers.borrow_mut().pop_front().expect("the script has an answer");
        match answer {
            "panic" => panic!("as scripted"),
            "echo" => Ok(Edn::string(self.asked.borrow().last().cloned().unwrap_or_default())),
            _ => Code::from_name(answer).map_or_else(
                || Ok(read_one(answer).expect("the script reads")),
                |code| Err(Error::new(code, "as scripted")),
            ),
        }
    }

    fn committed(&self, t: i64, tx_data: &Edn) -> Committed {
        let tempids = vec![("alice".to_owned(), ALICE), ("bob".to_owned(), BOB), ("alias".to_owned(), BOB)];
        let tx = TX + t;
        let datom = |e: i64, a: &str, v: Edn| Datom { e, a: Keyword::new(a), v, tx, added: true };
        let datoms =
            vec![datom(tx, "db/txInstant", Edn::instant(1000 + t)), datom(ALICE, "p/friend", Edn::long(BOB))];
        let _ = tx_data;
        Committed { t, tx, instant: 1000 + t, tempids, datoms }
    }
}

impl Database for Scripted {
    fn transact(&mut self, tx_data: &Edn) -> Result<Committed, Error> {
        if tx_data.as_seq().is_some_and(<[Edn]>::is_empty) {
            return Err(Error::new(Code::NotTransactionData, "as scripted"));
        }
        self.t += 1;
        Ok(self.committed(self.t, tx_data))
    }

    fn with(&self, _view: &View, tx_data: &Edn) -> Result<Committed, Error> {
        Ok(self.committed(self.t + 1, tx_data))
    }

    fn query(&self, source: &Source, query: &Edn, args: &[Edn]) -> Result<Edn, Error> {
        self.next(format!("{:?} {query} {}", source.view, Edn::vector(args.to_vec())))
    }

    fn pull(&self, _source: &Source, pattern: &Edn, entities: &[Edn]) -> Result<Vec<Edn>, Error> {
        entities.iter().map(|entity| self.next(format!("{pattern} {entity}"))).collect()
    }

    fn datoms(&self, _source: &Source, request: &Datoms<'_>) -> Result<Vec<Datom>, Error> {
        let datom =
            |e, v: &str| Datom { e, a: Keyword::new("p/name"), v: Edn::string(v), tx: TX + 1, added: true };
        let names = request.components.iter().any(|form| form.as_long() == Some(ALICE));
        Ok(if names { vec![datom(ALICE, "a")] } else { vec![datom(BOB, "b"), datom(ALICE, "a")] })
    }

    fn index_range(&self, source: &Source, a: &Edn, _: &Edn, _: &Edn) -> Result<Vec<Datom>, Error> {
        self.datoms(
            source,
            &Datoms { index: "avet", components: std::slice::from_ref(a), seek: false, limit: None },
        )
    }

    fn index_pull(&self, _source: &Source, request: &Edn) -> Result<Vec<Edn>, Error> {
        self.next(request.to_string()).map(|answer| vec![answer])
    }

    fn entity(&self, _source: &Source, _entity: &Edn, _keys: &[Edn]) -> Result<Edn, Error> {
        Err(Error::new(Code::Unsupported, "no entities here"))
    }

    fn stats(&self, _source: &Source) -> Result<Vec<Count>, Error> {
        Err(Error::new(Code::Unsupported, "no counts here"))
    }

    fn tx_range(
        &self,
        _source: &Source,
        start: Option<Point>,
        _end: Option<Point>,
    ) -> Result<Vec<(i64, Vec<Datom>)>, Error> {
        let from = if let Some(Point::T(t)) = start { t } else { 0 };
        Ok((from..=self.t).map(|t| (t, self.committed(t, &Edn::nil()).datoms)).collect())
    }

    fn entid(&self, _source: &Source, entity: &Edn) -> Result<Option<i64>, Error> {
        Ok(entity.as_keyword().map(|_| 63))
    }

    fn ident(&self, _source: &Source, entity: &Edn) -> Result<Option<Keyword>, Error> {
        Ok((entity.as_long() == Some(63)).then(|| Keyword::new("p/name")))
    }

    fn attribute(&self, _source: &Source, ident: &Keyword) -> Result<Option<Attribute>, Error> {
        let attribute = |ty: &str, many| Attribute { value_type: ty.to_owned(), many, slots: Vec::new() };
        Ok(match ident.as_str() {
            "p/name" => Some(attribute("string", false)),
            "p/age" => Some(attribute("long", false)),
            "p/friend" => Some(attribute("ref", true)),
            _ => None,
        })
    }
}

/// Runs one step after a transaction, on a scripted answer.
fn outcome(step: &str, answer: &'static str, expected: &str) -> Outcome {
    let text = format!("{{:id \"t\" :steps [{{:tx [1]}} {step}] :expect [{{:tx :ok}} {expected}]}}");
    let case = Case::of(&read_one(&text).expect(&text)).expect("a case");
    let script = Script { answers: Mutex::new(Some(VecDeque::from([answer, answer]))) };
    run_case(&script, &case, &mut |_, _| {})
}

fn passes(step: &str, answer: &'static str, expected: &str) {
    assert_eq!(outcome(step, answer, expected), Outcome::Passed, "{step}");
}

fn fails(step: &str, answer: &'static str, expected: &str) -> String {
    match outcome(step, answer, expected) {
        Outcome::Failed(failure) => failure.got,
        other => panic!("{step}: {other:?}"),
    }
}

#[test]
fn ids_are_named_in_entity_columns_only() {
    let answer = "#{[13194139533319 13194139533319 8796093022209 #inst \"1970-01-01T00:00:01.001-00:00\"]}";
    let expected = "{:result #{[#annals/id \"alice\" #annals/id \"alice\" #annals/tx 1 #annals/now 1]}}";
    passes("{:q [:find ?e ?x ?tx ?i :where [?e :p/age ?x ?tx] [?tx :db/txInstant ?i]]}", answer, expected);
    passes("{:q [:find ?e :where [?e :p/friend]]}", "[[5]]", "{:result #{[#annals/id \"?\"]}}");
    passes("{:q [:find ?v :where [_ :p/age ?v]]}", "[[5]]", "{:result #{[5]}}");
    passes("{:q [:find ?v :where [_ :p/friend ?v]]}", "[[63]]", "{:result #{[#annals/id :p/name]}}");
    passes(
        "{:q [:find ?v . :where (or [?v :p/age] (not-join [?v] [?v :p/age]))]}",
        "5",
        "{:result #annals/id \"?\"}",
    );
}

#[test]
fn names_become_values_on_the_way_in() {
    let step = "{:q [:find ?x :in $ ?a ?b :where [?x :p/age #annals/id :p/name]] :view {:as-of 1} \
                 :args [[#annals/id \"bob\" #annals/tx 1 #annals/now 1] #annals/db {:since 1}]}";
    let got = fails(step, "echo", "{:result nil}");
    for part in ["T(1)", "63", "13194139533320 8796093022209", "00:00:01.001", "#annals/db {:since 1}"] {
        assert!(got.contains(part), "{part} in {got}");
    }
}

#[test]
fn relations_are_multisets_and_order_counts_when_asked() {
    let query = ":q [:find ?n :where [_ :p/name ?n]]";
    passes(&format!("{{{query}}}"), "[[\"b\"] [\"a\"]]", "{:result #{[\"a\"] [\"b\"]}}");
    fails(&format!("{{{query}}}"), "[[\"b\"] [\"a\"] [\"a\"]]", "{:result #{[\"a\"] [\"b\"]}}");
    fails(&format!("{{{query} :ordered true}}"), "[[\"b\"] [\"a\"]]", "{:result [[\"a\"] [\"b\"]]}");
    passes(&format!("{{{query} :ordered true}}"), "[[\"b\"] [\"a\"]]", "{:result [[\"b\"] [\"a\"]]}");
    fails(&format!("{{{query}}}"), "[[1]]", "{:result #{[1N]}}");
    passes("{:q [:find [?n ...] :where [_ :p/name ?n]]}", "[2 1]", "{:result [1 2]}");
    fails("{:q [:find [?n ?m] :where [?m :p/name ?n]]}", "[2 1]", "{:result [1 2]}");
    passes("{:q [:find ?n :keys n :where [?m :p/name ?n]]}", "#{{:n 1}}", "{:result #{{:n 1}}}");
}

#[test]
fn pulled_references_are_sorted_and_named() {
    let answer =
        "{:db/id 13194139533319 :p/age 5 :p/friend [{:db/id 13194139533320} {:db/id 13194139533319}]}";
    let expected = "{:result {:p/friend [{:db/id #annals/id \"alice\"} {:db/id #annals/id \"alias\"}] :p/age 5 \
                     :db/id #annals/id \"alice\"}}";
    passes("{:pull [*] :eid #annals/id \"alice\"}", answer, expected);
    passes("{:pull [*] :eids [1]}", "nil", "{:result [nil]}");
    fails("{:pull [*] :eid 1}", "{:p/name \"a\"}", "{:result {:p/name \"b\"}}");
}

#[test]
fn refusals_pass_whatever_their_code_but_faults_and_panics_fail() {
    passes("{:pull [*] :eid 1}", "INVALID_PULL", "{:error :db.error/other :category :incorrect}");
    passes("{:pull [*] :eid 1}", "INVALID_PULL", ":any");
    passes("{:tx []}", "nil", "{:error :none :message \"x\"}");
    fails("{:tx [1]}", "nil", "{:error :none}");
    fails("{:pull [*] :eid 1}", "INVALID_PULL", "{:result nil}");
    assert!(fails("{:pull [*] :eid 1}", "INTERNAL", "{:error :none}").starts_with("fault"));
    assert!(fails("{:pull [*] :eid 1}", "panic", ":any").contains("as scripted"));
    assert!(fails("{:pull [*] :eid #annals/id \"nobody\"}", "nil", "{:error :none}").contains("nobody"));
    assert!(fails("{:pulls [*]}", "nil", "{:error :none}").contains("nothing known"));
}

#[test]
fn datoms_keep_index_order_for_avet_only() {
    let (a, b) = (
        "[#annals/id \"alice\" :p/name \"a\" #annals/tx 1 true]",
        "[#annals/id \"alias\" :p/name \"b\" #annals/tx 1 true]",
    );
    passes("{:datoms :eavt}", "nil", &format!("{{:result [{a} {b}] :unordered true}}"));
    fails("{:datoms :avet}", "nil", &format!("{{:result [{a} {b}]}}"));
    passes("{:datoms :avet}", "nil", &format!("{{:result [{b} {a}]}}"));
    passes("{:index-range :p/name}", "nil", &format!("{{:result [{b} {a}]}}"));
    passes("{:seek :eavt :limit 1}", "nil", &format!("{{:result [{b}]}}"));
    passes("{:datoms :eavt :components [#annals/id \"alice\"]}", "nil", &format!("{{:result [{a}]}}"));
}

#[test]
fn transactions_show_their_datoms_without_their_instant() {
    let datoms = "#{[#annals/id \"alice\" :p/friend #annals/id \"alias\" true]}";
    passes("{:tx [1] :show-datoms true}", "nil", &format!("{{:tx :ok :datoms {datoms}}}"));
    passes("{:with [1] :show-datoms true}", "nil", &format!("{{:tx :ok :datoms {datoms}}}"));
    passes("{:tx-range [1 nil]}", "nil", &format!("{{:result [{{:t 1 :data {datoms}}}]}}"));
    passes(
        "{:with [1] :q [:find ?t :where [_ :p/age _ ?t]]}",
        "[[8796093022210]]",
        "{:result #{[#annals/tx :with]}}",
    );
    passes("{:entid :p/name}", "nil", "{:result #annals/id :p/name}");
    passes("{:ident 63}", "nil", "{:result :p/name}");
}

#[test]
fn overrides_replace_what_the_oracle_answered() {
    let text = "{:id \"t\" :steps [{:tx [1]}] :annals {1 {:error :refused}} :expect [{:tx :ok}]}";
    let case = Case::of(&read_one(text).expect(text)).expect("a case");
    assert_eq!(case.expect[0].to_string(), "{:error :refused}");
    let beyond = text.replace("{1 ", "{2 ");
    assert!(Case::of(&read_one(&beyond).expect(&beyond)).is_err());
}
