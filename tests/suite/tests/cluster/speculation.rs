//! Speculation and stored functions from the thin client: the values that transactions would leave, and nothing written.

use annals_client::{Client, Code, Edn, Read, With};
use annals_wire::v1;

use crate::server::{Folder, errors};

const SCHEMA: &str = r#"[
  {:db/ident :c/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/identity}
  {:db/ident :c/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}
  {:db/ident :c/inc :db/fn {:params [?e ?by] :where [[(get-else $ ?e :c/n 0) ?n] [(+ ?n ?by) ?m]] :tx [[:db/add ?e :c/n ?m]]}}
  {:db/ident :c/positive? :db/fn {:params [?e] :where [[?e :c/n ?n] [(<= 0 ?n)]]}}
  {:db/ident :c/spec :db.entity/preds [c/positive?] :db.entity/always [:c/n]}]"#;
const ALL: &str = "[:find ?name ?n :where [?e :c/name ?name] [?e :c/n ?n]]";

async fn answer(client: &Client, query: &str, args: &[String], read: &Read) -> String {
    let results = client.query("drafts", query, args, read).await.expect("the query is sound");
    results.answer().await.expect("the query is answered").to_string()
}

fn reading(with: With) -> Read {
    Read { with, ..Read::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_drafts_is_read_and_forgotten() {
    let folder = Folder::new("speculation");
    let _dev = folder.dev(&["--nodes", "1", "--peers", "2"]);
    let client = folder.client();
    client.create_database("drafts", v1::DatabaseOptions::default(), false).await.expect("a new database");
    client.transact("drafts", SCHEMA).await.expect("the schema");
    let t = client.transact("drafts", r#"[{:c/name "a" :c/n 1}]"#).await.expect("a counter").t;

    let first = With::new().and(r#"[{:db/id "b" :c/name "b"} [:c/inc "b" 5]]"#);
    let (basis, reports) = client.with("drafts", &reading(first.clone())).await.expect("it is decided");
    assert_eq!((basis, reports.len(), reports[0].t), (t, 1, t + 1));
    let b = reports[0].tempids[0].1;
    let chain = first.and(r#"[[:c/inc [:c/name "a"] 10] [:c/inc [:c/name "b"] 1]]"#).at(basis);
    let read = reading(chain.clone());

    // Something is committed meanwhile; the chain stands where it stood, on any peer.
    client.transact("drafts", r#"[{:c/name "z" :c/n 9}]"#).await.expect("another counter");
    assert_eq!(answer(&client, ALL, &[], &read).await, r#"#{["a" 11] ["b" 6]}"#);
    let pulled = client.pull("drafts", "[:db/id :c/n]", &[r#"[:c/name "b"]"#.to_string()], &read).await;
    let pulled = pulled.expect("the pull is answered");
    assert_eq!(pulled[0].get("db/id").and_then(Edn::as_long), i64::try_from(b).ok());
    let mut datoms = client
        .datoms("drafts", v1::IndexKind::Aevt, v1::DatomsMode::Datoms, &[":c/n".to_string()], &read)
        .await
        .expect("datoms");
    let mut values = Vec::new();
    while let Some(row) = datoms.next().await.expect("a datom") {
        values.push(row[2].as_long());
    }
    assert_eq!(values, [Some(11), Some(6)]);
    // With, then as-of; a history of what never was.
    let view = v1::View { as_of: Some(point(t)), ..v1::View::default() };
    assert_eq!(answer(&client, ALL, &[], &Read { view, ..read.clone() }).await, r#"#{["a" 1]}"#);
    let history = v1::View { history: true, ..v1::View::default() };
    let changes = "[:find ?v ?op :where [[:c/name \"a\"] :c/n ?v _ ?op]]";
    let changed = answer(&client, changes, &[], &Read { view: history, ..read.clone() }).await;
    assert_eq!(changed, "#{[1 false] [1 true] [11 true]}");
    // A speculation among the arguments, beside the database itself.
    let both = "[:find ?x ?y :in $ $with :where [?a :c/name \"a\"] [?a :c/n ?x] [$with ?a :c/n ?y]]";
    let drafted =
        r#"#annals/db {:name "drafts" :with [[[:c/inc [:c/name "a"] 2]] [[:c/inc [:c/name "a"] 3]]]}"#;
    assert_eq!(answer(&client, both, &[drafted.to_string()], &Read::default()).await, "#{[1 6]}");

    assert_eq!(answer(&client, ALL, &[], &Read::default()).await, r#"#{["a" 1] ["z" 9]}"#);
    assert_eq!(
        client.sync("drafts", None, std::time::Duration::from_secs(10)).await.expect("in time"),
        t + 1
    );
    refusals(&client).await;
    schemas_of_branches_are_kept_apart(&client).await;
    from_the_command_line(&folder);
}

fn point(t: u64) -> v1::TimePoint {
    let t = i64::try_from(t).expect("a small t");
    v1::TimePoint { point: Some(v1::time_point::Point::TOrTx(t)) }
}

async fn refusals(client: &Client) {
    let refused = async |with: With| client.with("drafts", &reading(with)).await.expect_err("it is refused");
    let error = refused(With::new().and("[]").and(r#"[[:c/inc [:c/name "a"] -5]]"#)).await;
    let with = error.details().iter().find(|(name, _)| name == "with").map(|(_, at)| at.as_str());
    assert_eq!((error.code(), with), (Code::EntityPred, Some("1")));
    let error = refused((0..65).fold(With::new(), |with, _| with.and("[]"))).await;
    assert_eq!(error.code(), Code::InvalidArgument);
    let error = refused(With::new().and("[[:no/function 1]]")).await;
    assert_eq!(error.code(), Code::NotADataFunction);
    let unread = reading(With::new().and("[[:db/add"));
    let error = client.query("drafts", ALL, &[], &unread).await.err().expect("text that ends early");
    assert_eq!(error.code(), Code::EdnUnexpectedEof);
}

/// Two branches of one basis have schemas of one revision, and the same query means another attribute in each.
async fn schemas_of_branches_are_kept_apart(client: &Client) {
    let query = "[:find [?v ...] :where [?e :d/v ?v]]";
    for (ty, value) in [("long", "7"), ("string", "\"seven\""), ("keyword", ":seven")] {
        let schema = format!(
            "[{{:db/ident :d/v :db/valueType :db.type/{ty} :db/cardinality :db.cardinality/one}} {{:db/ident :d/e}}]"
        );
        let with = With::new().and(schema).and(format!("[[:db/add :d/e :d/v {value}]]"));
        assert_eq!(answer(client, query, &[], &reading(with)).await, format!("[{value}]"));
    }
}

fn from_the_command_line(folder: &Folder) {
    let draft = folder.path().join("draft.edn");
    std::fs::write(&draft, r#"[[:c/inc [:c/name "a"] 1]] [[:c/inc [:c/name "a"] 1]]"#).expect("a file");
    let draft = draft.to_str().expect("a path of UTF-8");
    let query = "[:find ?n . :where [?e :c/name \"a\"] [?e :c/n ?n]]";
    let output = folder.run(&["query", "--format", "edn", "--with", draft, "drafts", query], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n", "{}", errors(&output));
    let output = folder.run(&["transact", "--dry-run", "drafts", draft], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2, "{}", errors(&output));
    let output = folder.run(&["query", "--format", "edn", "drafts", query], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "{}", errors(&output));
}
