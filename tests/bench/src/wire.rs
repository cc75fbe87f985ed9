//! The suite `wire`: one durable node, reached as applications reach it, over gRPC and TLS on loopback.
//!
//! The node is the command `annals dev` in a process of its own, built by the same profile; the floor is a bare tonic
//! server in another. What is compared is measured in turns, so that both sides see the same machine.

pub mod floor;
mod load;
mod node;
mod points;
mod socket;

use anyhow::{Context, Result};

use crate::measure::Figure;
use crate::report::Report;
use node::Node;

const SUITE: &str = "wire";
/// The database of points and rows.
const DATABASE: &str = "bench";

/// Point queries, durable transactions, an import, a large result.
pub fn wire(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let node = Node::start()?;
        let measured = measure(report, &node).await;
        measured.with_context(|| format!("the node says:\n{}", node.last_words()))
    })
}

async fn measure(report: &mut Report, node: &Node) -> Result<()> {
    let client = node.client()?;
    load::prepare(&client).await?;
    points::queries(report, node, &client).await?;
    points::transactions(report, node, &client).await?;
    load::import(report, node, &client).await?;
    load::rows(report, &client).await
}

/// The middle one of times in microseconds.
fn p50(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A figure of the middles of several batches.
fn figure(middles: Vec<f64>) -> Figure {
    Figure::of(middles)
}
