//! `annals status`: members and peers with their databases.

use std::process::ExitCode;

use annals_client::Client;
use annals_wire::v1;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use crate::args::StatusFormat;
use crate::commands::Outcome;

pub async fn run(client: &Client, format: StatusFormat) -> Outcome {
    let status = client.status().await?;
    match format {
        StatusFormat::Json => println!("{}", as_json(&status)),
        StatusFormat::Text => print_table(&status),
    }
    Ok(ExitCode::SUCCESS)
}

fn role(process: &v1::ProcessStatus) -> &'static str {
    match process.role() {
        v1::ProcessRole::Leader => "leader",
        v1::ProcessRole::Follower => "follower",
        v1::ProcessRole::Learner => "learner",
        v1::ProcessRole::Peer => "peer",
        v1::ProcessRole::Unspecified => "unknown",
    }
}

fn processes(status: &v1::StatusResponse) -> impl Iterator<Item = &v1::ProcessStatus> {
    status.members.iter().chain(&status.peers)
}

fn as_json(status: &v1::StatusResponse) -> Value {
    let process = |process: &v1::ProcessStatus| {
        let databases: Vec<Value> = process
            .databases
            .iter()
            .map(|db| json!({"name": db.name, "t": db.t, "lag": db.lag, "root_t": db.root_t}))
            .collect();
        json!({
            "id": process.id,
            "role": role(process),
            "endpoint": process.endpoint,
            "pid": (process.pid != 0).then_some(process.pid),
            "term": process.term,
            "version": process.version,
            "reachable": process.reachable,
            "databases": databases,
        })
    };
    let members: Vec<Value> = status.members.iter().map(process).collect();
    let peers: Vec<Value> = status.peers.iter().map(process).collect();
    json!({
        "cluster_id": status.cluster_id,
        "term": status.term,
        "epoch": status.epoch,
        "leader_id": (status.leader_id != 0).then_some(status.leader_id),
        "members": members,
        "peers": peers,
    })
}

fn print_table(status: &v1::StatusResponse) {
    println!("cluster {}  term {}", status.cluster_id, status.term);
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["id", "role", "endpoint", "pid", "term", "databases"]);
    for process in processes(status) {
        let databases: Vec<String> = process
            .databases
            .iter()
            .map(|db| {
                if db.lag == 0 {
                    format!("{} t={}", db.name, db.t)
                } else {
                    format!("{} t={} lag={}", db.name, db.t, db.lag)
                }
            })
            .collect();
        let role = if process.reachable { role(process).to_string() } else { "unreachable".to_string() };
        let pid = if process.pid == 0 { String::new() } else { process.pid.to_string() };
        table.add_row([
            process.id.clone(),
            role,
            process.endpoint.clone(),
            pid,
            process.term.to_string(),
            databases.join(", "),
        ]);
    }
    println!("{table}");
}
