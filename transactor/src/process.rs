//! The process by itself: a configuration file in, a running member out.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use annals_edn::Error;

use crate::config::Config;
use crate::engine_db::DbEngine;
use crate::node::Node;

/// Runs the transactor that the file `config` describes until `stop` resolves; `ready` hears where it listens once it
/// writes or follows a leader.
///
/// # Errors
/// Those of [`Config::read`] and [`Node::start`].
pub async fn run(
    config: &Path,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let config = Config::read(config)?;
    let engine = Arc::new(DbEngine::of(&config)?);
    let node = Node::start(&config, engine).await?;
    tokio::select! {
        () = async {
            node.ready().await;
            ready(node.local_addr());
            std::future::pending().await
        } => {}
        () = stop => {}
    }
    node.stop().await;
    Ok(())
}
