//! What is wrong with a query is said before it runs: code, place in the text, and what would mend it.

use annals_edn::{Code, Edn, Error};
use annals_query::{Prepared, QueryCtx};

use crate::support::{arguments, people};

/// A query, its arguments after the database, the code, the text that the error points at, and a part of message or hint.
type Case = (&'static str, &'static str, Code, &'static str, &'static str);

const CASES: &[Case] = &[
    ("[:find ?x :where [?e :p/name]]", "", Code::UnboundQueryVariables, "?x", "?x"),
    (
        "[:find ?e :where [?e :p/name ?n] [(< ?z 3)]]",
        "",
        Code::InsufficientBinding,
        "[(< ?z 3)]",
        "?z is not bound",
    ),
    (
        "[:find ?e :where [?e :p/name ?n] (not [?e :p/size ?s] [(< ?z 3)])]",
        "",
        Code::InsufficientBinding,
        "(not [?e :p/size ?s] [(< ?z 3)])",
        "?z",
    ),
    (
        "[:find ?e :where [?e :p/name ?n] (not-join [?q] [?q :p/size 3])]",
        "",
        Code::InsufficientBinding,
        "(not-join [?q] [?q :p/size 3])",
        "?q is not bound outside the not",
    ),
    (
        "[:find ?y :in $ % :where [?y :p/name] (r ?x ?y)]",
        "[[(r [?x] ?y) [?x :p/boss ?y]]]",
        Code::InsufficientBinding,
        "(r ?x ?y)",
        "?x is not bound in the call of the rule r",
    ),
    (
        "[:find ?e :where (or [?e :p/age ?v] (and [?e :p/boss ?b] [?b :p/size ?v]))]",
        "",
        Code::InvalidClause,
        "(and [?e :p/boss ?b] [?b :p/size ?v])",
        "?b",
    ),
    ("[:find ?e ?x :where [?e :p/name ?n] [(coutn ?n) ?x]]", "", Code::UnknownFunction, "coutn", "count"),
    ("[:find ?e :where [?e :p/age ?n] [(< ?n)]]", "", Code::ArgsMismatch, "(< ?n)", "<"),
    (
        "[:find ?e :in $ % :where (r ?e 1)]",
        "[[(r ?x) [?x :p/boss]]]",
        Code::ArgsMismatch,
        "(r ?e 1)",
        "takes 1 argument",
    ),
    ("[:find ?e :in $ % :where (rr ?e)]", "[[(r ?x) [?x :p/boss]]]", Code::UnknownRule, "(rr ?e)", "mean r?"),
    (
        "[:find ?e :in $ % :where (r ?e)]",
        "[[(r ?x) [?x :p/boss] (not (s ?x))] [(s ?x) [?x :p/size] (not (r ?x))]]",
        Code::Unstratifiable,
        "",
        "not",
    ),
    ("[:find ?e :where [?e :p/nmae \"Ann\"]]", "", Code::NotAnEntity, ":p/nmae", "did you mean :p/name?"),
    ("[:find ?e :where [?e :p/name ?n] (not [?e :p/aeg 3])]", "", Code::NotAnEntity, ":p/aeg", ":p/age"),
    ("[:find ?e :in $ % :where (r ?e)]", "[[(r ?x) [?x :p/bos]]]", Code::NotAnEntity, "", ":p/boss"),
    ("[:find ?e :where [[:p/naem 3] :p/boss ?e]]", "", Code::NotAnEntity, "[:p/naem 3]", ":p/name"),
    ("[:find ?e :where [?e :p/boss :who/ever]]", "", Code::NotAnEntity, ":who/ever", "names no entity"),
];

fn refused(query: &str, args: &str) -> Error {
    let db = people(10);
    let args = arguments(&db, args);
    match Prepared::new(&Edn::string(query.to_owned()), &args) {
        Err(error) => error,
        Ok(prepared) => match prepared.run(&args, QueryCtx::default()) {
            Err(error) => error,
            Ok(_) => panic!("{query} is accepted"),
        },
    }
}

#[test]
fn every_refusal_has_code_place_and_hint() {
    let mut wrong = Vec::new();
    for (query, args, code, at, says) in CASES {
        let error = refused(query, args);
        let place = error.span().map_or("", |span| &query[span.start as usize..span.end as usize]);
        let text = format!("{} {}", error.message(), error.hint_text().unwrap_or_default());
        if error.code() != *code || place != *at || !text.contains(says) || error.hint_text().is_none() {
            wrong.push(format!("{query}\n  {error}\n  {:?}, at {place:?}", error.code()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
