//! Plans as thin clients see them, and the limits of a query.

use annals_client::{Code, Edn, Error, Read};
use annals_edn::Node;
use annals_wire::v1;

use crate::load::{self, DATABASE, ITEMS};
use crate::server::{Folder, errors};

/// Makes 27 thousand million rows of 3,000 items and keeps none, so that time is what runs out.
const PRODUCT: &str = "[:find ?a :where [?a :item/n ?x] [?b :item/n ?y] [?c :item/n ?z]
                                [(+ ?x ?y ?z) ?s] [(< ?s 0)]]";

fn entry<'a>(map: &'a Edn, name: &str) -> &'a Edn {
    let Node::Map(entries) = &map.node else { panic!("{map} is no map") };
    let is_it = |(key, _): &&(Edn, Edn)| *key == Edn::keyword(name);
    &entries.iter().find(is_it).unwrap_or_else(|| panic!("{map} has no {name}")).1
}

fn detail<'a>(error: &'a Error, name: &str) -> &'a str {
    let found = error.details().iter().find(|(known, _)| *known == name);
    found.map_or_else(|| panic!("{error:?} has no {name}"), |(_, value)| value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_explained_and_its_run_measured() {
    let folder = Folder::new("explain");
    let _dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    load::fill(&client, 2_000).await;
    let query = "[:find ?e :in $ ?n :where [?e :item/n ?n]]";
    let (args, read) = (["7".to_string()], Read::default());
    let plan = client.explain(DATABASE, query, &args, &read, false).await.expect("it is planned");
    assert!(plan.text.contains("#0 scan aevt [?e :item/n ?n]"), "{}", plan.text);
    let Node::Vector(operators) = &entry(&plan.data, "operators").node else { panic!("{}", plan.data) };
    assert_eq!(entry(&operators[0], "clause"), &Edn::string("[?e :item/n ?n]".to_string()));
    assert!(!plan.text.contains("->"), "nothing was run: {}", plan.text);

    let run = client.explain(DATABASE, query, &args, &read, true).await.expect("it runs");
    let Node::Vector(operators) = &entry(&run.data, "operators").node else { panic!("{}", run.data) };
    assert_eq!(entry(entry(&operators[0], "actual"), "out"), &Edn::new(Node::Long(1)));
    assert_eq!(entry(entry(&run.data, "run"), "rows"), &Edn::new(Node::Long(1)));
    assert_eq!(entry(entry(&run.data, "plan"), "cached"), &Edn::new(Node::Bool(true)), "{}", run.data);

    let refused = client.explain(DATABASE, "[:find ?x :where [?e :item/n ?n]]", &[], &read, false).await;
    assert_eq!(refused.expect_err("nothing binds ?x").code(), Code::UnboundQueryVariables);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_a_query_is_a_limit_that_names_its_step() {
    let folder = Folder::new("deadline");
    let _dev = folder.dev(&[]);
    let client = folder.client();
    load::create(&client).await;
    load::fill(&client, 3_000).await;
    let options = v1::StreamOptions { timeout_ms: 400, ..v1::StreamOptions::default() };
    let read = Read { options, ..Read::default() };
    let plan = client.explain(DATABASE, PRODUCT, &[], &Read::default(), false).await.expect("it is planned");
    for analyze in [None, Some(true)] {
        let refused = match analyze {
            None => client.query(DATABASE, PRODUCT, &[], &read).await.err(),
            Some(analyze) => client.explain(DATABASE, PRODUCT, &[], &read, analyze).await.err(),
        };
        let error = refused.expect("27 thousand million rows take longer");
        assert_eq!(error.code(), Code::DeadlineExceeded, "{error:?}");
        assert_eq!(detail(&error, "limit"), "400 ms");
        assert!(plan.text.contains(detail(&error, "operator")), "{error:?}\n{}", plan.text);
        assert!(PRODUCT.contains(detail(&error, "clause")), "{error:?}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("--timeout")), "{error:?}");
    }
}

#[test]
fn the_command_line_explains_and_names_steps() {
    let folder = Folder::new("explaining");
    let _dev = folder.dev(&["--sample"]);
    let query = "[:find ?n :in $ ?y :where [?a :artist/name ?n] [?a :artist/since ?y]]";
    let explained = folder.run(&["explain", "sample", query, "--arg", "1960"], "");
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.status.success(), "{}", errors(&explained));
    assert!(text.contains("2 steps") && text.contains(":artist/since"), "{text}");

    let explained =
        folder.run(&["explain", "sample", query, "--arg", "1960", "--analyze", "--format", "json"], "");
    let data: serde_json::Value = serde_json::from_slice(&explained.stdout).expect("it is JSON");
    let operators = data["operators"].as_array().expect("operators");
    assert_eq!(operators.len(), 2, "{data}");
    assert!(operators.iter().all(|operator| operator["actual"]["out"].is_u64()), "{data}");
    assert!(operators.iter().any(|operator| operator["clause"] == "[?a :artist/since ?y]"), "{data}");

    let answer = folder.run(&["query", "sample", query, "--arg", "1960", "--stats"], "");
    let stats = errors(&answer);
    assert!(stats.contains("[?a :artist/name ?n]") && stats.contains(" -> "), "{stats}");
    let plain = folder.run(&["explain", "items", ITEMS], "");
    assert_eq!(plain.status.code(), Some(15), "there is no such database");
}
