//! Several processes: this executable started again, once a transactor and once a peer server.
//!
//! Each child has a configuration file that stays as it was first written, so that addresses survive restarts and a
//! killed child can be started again by hand. A child stops when its standard input closes, so none outlives its
//! parent; it says on standard output when it is ready.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use annals_edn::{Code, Error};
use annals_transport::CancellationToken;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;

use super::config::{self, Member};
use super::layout::Layout;
use crate::args::DevArguments;

/// How long a child may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a child may take to drain.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How a child says that it is ready, and where it listens.
pub const READY_PREFIX: &str = "ready at ";

/// The processes of a cluster on this machine.
pub struct Children {
    transactors: Vec<Process>,
    peers: Vec<Process>,
}

/// Starts the transactors, then the peer servers. They become ready in their own time.
pub fn start(layout: &Layout, arguments: &DevArguments) -> Result<Children, Error> {
    let members = config::transactors(layout, arguments.nodes)?;
    let addresses: Vec<String> = members.iter().map(|member| member.address.clone()).collect();
    let peers = config::peers(layout, arguments.peers, &arguments.listen, &addresses)?;
    let spawn = |members: Vec<Member>, command| -> Result<Vec<Process>, Error> {
        members.into_iter().map(|member| Process::spawn(layout, member, command)).collect()
    };
    Ok(Children { transactors: spawn(members, "transactor")?, peers: spawn(peers, "peer-server")? })
}

impl Children {
    /// Waits until every process has said that it is ready.
    pub async fn ready(&mut self) -> Result<(), Error> {
        for process in self.transactors.iter_mut().chain(&mut self.peers) {
            process.ready().await?;
        }
        Ok(())
    }

    /// Where the peer servers and the transactors listen.
    pub fn endpoints(&self) -> (Vec<String>, Vec<String>) {
        let of =
            |processes: &[Process]| processes.iter().map(|process| process.member.address.clone()).collect();
        (of(&self.peers), of(&self.transactors))
    }

    /// A lost process is reported, not mourned: the cluster is there to survive it. Ends when none is left.
    pub async fn failed(&mut self) -> Error {
        let mut ends = Vec::new();
        for process in self.transactors.iter_mut().chain(&mut self.peers) {
            ends.push((process.member.clone(), process.ended.clone()));
        }
        let mut watches = tokio::task::JoinSet::new();
        for (member, mut ended) in ends {
            watches.spawn(async move {
                let status = ended.wait_for(Option::is_some).await.ok().and_then(|status| status.clone());
                (member, status.unwrap_or_default())
            });
        }
        while let Some(Ok((member, status))) = watches.join_next().await {
            eprintln!("{} ended: {status}; its configuration is {}", member.name, member.config.display());
        }
        Error::new(Code::Unreachable, "every process of the cluster has ended")
    }

    /// Tells every process to stop and waits: peer servers first, then the transactor at `leader`, which publishes a
    /// last index while the others are there to agree, then those.
    pub async fn stop(mut self, leader: Option<&str>) {
        stop_all(&mut self.peers).await;
        let leads = |process: &Process| leader.is_some_and(|leader| process.member.address == leader);
        let (mut leaders, mut others): (Vec<_>, Vec<_>) = self.transactors.into_iter().partition(leads);
        stop_all(&mut leaders).await;
        stop_all(&mut others).await;
    }
}

async fn stop_all(processes: &mut [Process]) {
    for process in &mut *processes {
        drop(process.input.take());
    }
    for process in processes {
        let mut ended = process.ended.clone();
        if tokio::time::timeout(STOP_TIMEOUT, ended.wait_for(Option::is_some)).await.is_err() {
            process.kill.cancel();
        }
    }
}

/// One child process and the task that waits for its end.
struct Process {
    member: Member,
    /// Closing it tells the child to stop.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    ended: watch::Receiver<Option<String>>,
    kill: CancellationToken,
}

impl Process {
    fn spawn(layout: &Layout, member: Member, command: &str) -> Result<Process, Error> {
        let cannot = |error: std::io::Error| {
            Error::new(Code::Internal, format!("{} cannot be started: {error}", member.name))
        };
        let log = layout.at(&format!("{}.log", member.name));
        let log = File::options().create(true).append(true).open(log).map_err(cannot)?;
        let mut child = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg(command)
            .arg("--config")
            .arg(&member.config)
            .arg("--stop-with-input")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // A group of its own: Ctrl-C is for the parent, which stops its children in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let input = child.stdin.take();
        let output = child.stdout.take().expect("standard output is piped");
        let (sender, ended) = watch::channel(None);
        let kill = CancellationToken::new();
        tokio::spawn(wait(child, sender, kill.clone()));
        Ok(Process { member, input, output: BufReader::new(output).lines(), ended, kill })
    }

    async fn ready(&mut self) -> Result<(), Error> {
        let name = &self.member.name;
        let failed = |why: &str| {
            Error::new(Code::Unreachable, format!("{name} {why}"))
                .hint(format!("its output is in {name}.log"))
        };
        loop {
            let line = tokio::time::timeout(READY_TIMEOUT, self.output.next_line()).await;
            match line.map_err(|_| failed("did not become ready in time"))? {
                Ok(Some(line)) => {
                    if let Some(address) = line.strip_prefix(READY_PREFIX) {
                        self.member.address = address.to_string();
                        return Ok(());
                    }
                }
                _ => return Err(failed("ended before it was ready")),
            }
        }
    }
}

async fn wait(mut child: Child, ended: watch::Sender<Option<String>>, kill: CancellationToken) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.cancelled() => {
            let _ = child.start_kill();
            child.wait().await
        }
    };
    ended.send_replace(Some(status.map_or_else(|error| error.to_string(), |status| status.to_string())));
}
