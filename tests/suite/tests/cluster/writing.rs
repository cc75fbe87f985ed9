//! Writing through the command line: transaction ids and their status, resends, and databases made with options.

use std::process::Output;

use crate::server::{Folder, errors};

const ID: &str = "019aa0d0-0000-7000-8000-000000000001";
const OTHER: &str = "019aa0d0-0000-7000-8000-000000000002";
const SCHEMA: &str = "[{:db/ident :n/v :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
                       {:db/ident :n/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}]";
const FIRST: &str =
    r#"[{:db/id "a" :n/name "a" :n/v 1} [:db/add "annals.tx" :db/doc "the first"] {:db/id "b" :n/name "b"}]"#;

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", errors(output));
    String::from_utf8(output.stdout.clone()).expect("answers are UTF-8")
}

fn refused(output: &Output, exit: i32, code: &str) {
    assert_eq!(output.status.code(), Some(exit), "{}", errors(output));
    assert!(errors(output).contains(code), "{}", errors(output));
}

fn transact(folder: &Folder, database: &str, tx_data: &str) -> String {
    ok(&folder.run(&["transact", database], tx_data))
}

fn query(folder: &Folder, database: &str, query: &str, view: &[&str]) -> String {
    let mut arguments = vec!["query", "--format", "edn", database, query];
    arguments.extend(view);
    ok(&folder.run(&arguments, ""))
}

#[test]
fn a_resend_answers_the_first_report_for_ever() {
    let folder = Folder::new("resend");
    let dev = folder.dev(&["--nodes", "1"]);
    ok(&folder.run(&["db", "create", "notes"], ""));
    transact(&folder, "notes", SCHEMA);
    let send = |text: &str| folder.run(&["transact", "--id", ID, "notes"], text);
    let status = |id: &str| folder.run(&["tx", "status", "notes", id], "");

    let unknown = status(ID);
    assert_eq!((unknown.status.code(), unknown.stdout.as_slice()), (Some(15), b"unknown\n".as_slice()));
    let report = ok(&send(FIRST));
    assert_eq!(ok(&status(ID)), "committed 2\n");
    assert_eq!(ok(&send(FIRST)), report, "sent again at once");
    refused(&send("[{:n/v 2}]"), 12, "TX_ID_REUSED");
    refused(&folder.run(&["transact", "--id", OTHER, "notes"], "[] []"), 12, "INVALID_ARGUMENT");
    refused(&status("no-uuid"), 12, "TX_ID_INVALID");
    refused(&folder.run(&["tx", "status", "nothing", ID], ""), 15, "DB_NOT_FOUND");

    // What the report names is changed, renamed and gone by the time that it is asked for again.
    let mut later = String::new();
    for n in 0..500 {
        later.push_str(&format!("[{{:n/name \"a\" :n/v {n}}}]\n"));
    }
    transact(&folder, "notes", &later);
    transact(&folder, "notes", "[[:db/retractEntity [:n/name \"b\"]]] [{:db/id :n/v :db/ident :n/value}]");
    assert_eq!(ok(&send(FIRST)), report, "after its attributes and entities changed");
    // Stopping writes an index, from which the next start reads.
    assert_eq!(dev.terminate(), Some(0));

    let dev = folder.dev(&["--nodes", "1"]);
    assert_eq!(ok(&status(ID)), "committed 2\n");
    assert_eq!(ok(&send(FIRST)), report, "after a restart, from the index");
    refused(&send("[{:n/value 2}]"), 12, "TX_ID_REUSED");
    assert_eq!(query(&folder, "notes", "[:find (count ?t) . :where [?t :db/txInstant]]", &[]).trim(), "504");
    dev.kill();

    let _dev = folder.dev(&["--nodes", "1"]);
    assert_eq!(ok(&send(FIRST)), report, "after a kill");
}

#[test]
fn configured_limits_hold_for_what_is_committed_and_what_is_not() {
    let folder = Folder::new("tx-limits");
    let dev = folder.dev(&["--nodes", "1"]);
    ok(&folder.run(&["db", "create", "notes"], ""));
    transact(&folder, "notes", SCHEMA);
    assert_eq!(dev.terminate(), Some(0));
    let file = folder.path().join("node-1.toml");
    let config = std::fs::read_to_string(&file).expect("the configuration is kept");
    let limits = "\n[limits]\ntransaction_datoms = 3\nstring_bytes = 100\nnesting = 1024\nfuel = 50000\n";
    std::fs::write(&file, config + limits).expect("the folder is writable");

    let _dev = folder.dev(&["--nodes", "1"]);
    let draft = folder.path().join("draft.edn");
    let long = format!("[{{:n/name \"{}\"}}]", "x".repeat(101));
    for (text, code, says) in [
        ("[{:n/v 1} {:n/v 2} {:n/v 3} {:n/v 4}]", "TX_TOO_LARGE", ["4 datoms or more", "may have 3"]),
        (&long, "VALUE_OUT_OF_RANGE", ["has 101 bytes", "may have 100"]),
    ] {
        std::fs::write(&draft, text).expect("the folder is writable");
        let draft = draft.to_str().expect("a path of UTF-8");
        for output in [
            folder.run(&["transact", "notes"], text),
            folder.run(&["transact", "--dry-run", "notes", draft], ""),
            folder.run(&["query", "--with", draft, "notes", "[:find ?v :where [_ :n/v ?v]]"], ""),
        ] {
            refused(&output, 12, code);
            assert!(says.iter().all(|size| errors(&output).contains(size)), "{}", errors(&output));
        }
    }
    // The deepest recursion that may be asked for ends where it is decided, and harms nobody.
    let recursion = "[{:db/ident :f/down :db/fn {:params [?n] :where [[(inc ?n) ?m]] :tx [[:f/down ?m]]}}]";
    transact(&folder, "notes", recursion);
    std::fs::write(&draft, "[[:f/down 0]]").expect("the folder is writable");
    let draft = draft.to_str().expect("a path of UTF-8");
    refused(&folder.run(&["transact", "notes"], "[[:f/down 0]]"), 12, "TX_TOO_LARGE");
    refused(&folder.run(&["transact", "--dry-run", "notes", draft], ""), 12, "TX_TOO_LARGE");
    transact(&folder, "notes", "[{:n/v 1}]");
}

#[test]
fn databases_are_made_with_options() {
    let folder = Folder::new("options");
    let dev = folder.dev(&[]);
    ok(&folder.run(&["db", "create", "free", "--schema-flexibility", "read"], ""));
    ok(&folder.run(&["db", "create", "brief", "--keep-history", "false"], ""));
    transact(&folder, "free", r#"[{:db/id 1 :name "Ann" :age 34} {:name "Bob" :age "unknown" :friend 1}]"#);
    transact(&folder, "free", "[{:db/id 1 :age 35.5}]");
    transact(&folder, "brief", SCHEMA);
    transact(&folder, "brief", r#"[{:n/name "a" :n/v 1}] [{:n/name "a" :n/v 2}]"#);
    refused(&folder.run(&["transact", "brief"], "[{:age 1}]"), 12, "NOT_AN_ENTITY");

    let check = |when: &str| {
        let ages = query(&folder, "free", "[:find ?n ?a :where [?e :name ?n] [?e :age ?a]]", &[]);
        assert!(ages.contains(r#"["Ann" 35.5]"#) && ages.contains(r#"["Bob" "unknown"]"#), "{when}: {ages}");
        let friend = "[:find ?n . :where [_ :friend ?f] [?f :name ?n]]";
        assert_eq!(query(&folder, "free", friend, &[]).trim(), "\"Ann\"", "{when}");
        let age = "[:find ?a . :where [1 :age ?a]]";
        assert_eq!(query(&folder, "free", age, &["--as-of", "1"]).trim(), "34", "{when}");
        let values = "[:find [?v ...] :where [_ :n/v ?v]]";
        assert_eq!(query(&folder, "brief", values, &[]).trim(), "[2]", "{when}");
        assert_eq!(query(&folder, "brief", values, &["--as-of", "2"]).trim(), "[]", "{when}");
        assert_eq!(query(&folder, "brief", values, &["--history"]).trim(), "[2]", "{when}");
    };
    check("from novelty");
    assert_eq!(dev.terminate(), Some(0));
    let _dev = folder.dev(&[]);
    check("from the index");
    transact(&folder, "free", r#"[{:name "Cid" :age 7N}]"#);
    assert_eq!(
        query(&folder, "free", "[:find ?e . :where [?e :name \"Cid\"]]", &[]).trim(),
        "3",
        "ids go on"
    );
}
