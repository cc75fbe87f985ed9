//! The product's engine behind the writer: schema, data, resends, refusals, restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use annals_db::EntityId;
use tokio::time::Instant;

use super::*;
use crate::committed::Committed;
use crate::feed::Subscribers;
use crate::group::{Group, Parts};
use crate::intake::{Answer, Intake, Phase};
use crate::raft::{Channels, Member, RaftConfig, RaftHandle};
use crate::replica::Replica;
use crate::service::ProcessInfo;

const DEADLINE: Duration = Duration::from_secs(10);
const DB: Incarnation = Incarnation(7);
const SCHEMA: &str = "[{:db/ident :p/name :db/valueType :db.type/string :db/cardinality :db.cardinality/one :db/unique :db.unique/value}
  {:db/ident :p/n :db/valueType :db.type/long :db/cardinality :db.cardinality/one}]";

async fn group(dir: Option<&Path>) -> Group<DbEngine> {
    let engine = Arc::new(DbEngine::default());
    let committed = Arc::new(Committed::default());
    let replica = Replica::new(Arc::clone(&engine), Arc::clone(&committed));
    let channels = Channels::new(Arc::new(|_, _: &Member| {
        tonic::transport::Channel::from_static("http://127.0.0.1:9").connect_lazy()
    }));
    let config = RaftConfig::new("test", 1, dir.map(Path::to_owned));
    let raft = RaftHandle::start(config, Box::new(replica.clone()), channels.clone()).await.unwrap();
    raft.initialize(BTreeMap::from([(1, Member::default())])).await.unwrap();
    let intake = Intake::start(Arc::clone(&engine), committed, raft.clone(), 1, None);
    let process = ProcessInfo { endpoint: String::new(), version: "" };
    let subscribers = Subscribers::default();
    let group = Group::new(Parts { engine, replica, raft, intake, channels, subscribers, process });
    let mut phase = group.parts().intake.phase();
    let serving = phase.wait_for(|phase| matches!(phase, Phase::Serving(_)));
    drop(tokio::time::timeout(DEADLINE, serving).await.unwrap().unwrap());
    group
        .create("people", Options::default(), DB)
        .await
        .or_else(|error| {
            let exists = error.code() == Code::DbExists;
            if exists { group.database("people", None) } else { Err(error) }
        })
        .unwrap();
    group
}

async fn transact(group: &Group<DbEngine>, id: u128, text: &str) -> Answer {
    let request = Request::new(id, Bytes::copy_from_slice(text.as_bytes()));
    group.transact(DB, request, Instant::now() + DEADLINE).await
}

async fn stop(group: Group<DbEngine>) {
    group.parts().intake.stop();
    group.parts().raft.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_come_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let running = group(Some(dir.path())).await;
    transact(&running, 1, SCHEMA).await.unwrap();
    let ada = transact(&running, 2, r#"[{:db/id "ada" :p/name "Ada" :p/n 1}]"#).await.unwrap();
    let report = running
        .parts()
        .engine
        .report(&running.database("people", None).unwrap().tip().value, &ada, true)
        .unwrap();
    let entity = report.tempids[0].entity;
    let refused = transact(&running, 3, r#"[{:p/name "Ada"}]"#).await.unwrap_err();
    assert_eq!(refused.code(), Code::UniqueConflict);
    stop(running).await;

    let running = group(Some(dir.path())).await;
    let again = transact(&running, 2, r#"[{:db/id "ada" :p/name "Ada" :p/n 1}]"#).await.unwrap();
    assert_eq!((again.t, again.replayed, &again.body), (2, true, &ada.body));
    let next = transact(&running, 4, &format!("[[:db/add {entity} :p/n 2]]")).await.unwrap();
    assert_eq!(next.t, 3);
    let db = running.database("people", None).unwrap().tip().value;
    let n = db.schema().attribute_of(&annals_edn::Keyword::new("p/n")).unwrap().id;
    let values = db.values(EntityId(entity), n).unwrap();
    assert_eq!(
        values.iter().map(|(value, t)| (value.clone(), t.0)).collect::<Vec<_>>(),
        [(annals_db::Value::Long(2), 3)]
    );
    stop(running).await;
}
