//! `annals dev`: a whole database on this machine. One process holds a transactor and a peer server, the same parts
//! that run apart elsewhere; `--nodes` and `--peers` start this executable again, once a part.

pub mod children;
mod config;
mod layout;
mod parts;
mod sample;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use annals_client::{Client, Profile};
use annals_edn::{Code, Error};
use annals_transport::process::Signals;

use crate::args::DevArguments;
use crate::commands::Outcome;
use crate::failure::Failure;
use layout::Layout;

/// How long a cluster that is told to stop may take to name its leader.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

pub async fn run(arguments: DevArguments) -> Outcome {
    let started = Instant::now();
    let layout = Layout::open(&arguments.data)?;
    let many = arguments.nodes > 1 || arguments.peers > 1;
    if many && arguments.memory {
        return Err(Error::new(Code::Unsupported, "--memory is for one process")
            .hint("leave out --nodes and --peers, or --memory")
            .into());
    }
    let mut signals = Signals::listen()?;
    let mut running = if many {
        Running::Children(children::start(&layout, &arguments)?)
    } else {
        Running::Here(parts::start(&layout, &arguments).await?)
    };
    let outcome = tokio::select! {
        outcome = serve(&layout, &arguments, &mut running, started) => outcome,
        () = signals.received() => Ok(()),
    };
    running.stop(&layout).await;
    layout.remove_profile();
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The servers, in this process or in others.
enum Running {
    Here(parts::Parts),
    Children(children::Children),
}

impl Running {
    /// Waits until clients are served.
    async fn ready(&mut self) -> Result<(), Error> {
        match self {
            Running::Here(parts) => parts.ready().await,
            Running::Children(children) => children.ready().await,
        }
    }

    /// Where peer servers and transactors listen.
    fn endpoints(&self) -> (Vec<String>, Vec<String>) {
        match self {
            Running::Here(parts) => parts.endpoints(),
            Running::Children(children) => children.endpoints(),
        }
    }

    /// Waits until the servers end by themselves.
    async fn failed(&mut self) -> Error {
        match self {
            Running::Here(parts) => parts.failed().await,
            Running::Children(children) => children.failed().await,
        }
    }

    /// Drains and stops everything.
    async fn stop(self, layout: &Layout) {
        match self {
            Running::Here(parts) => parts.stop().await,
            Running::Children(children) => children.stop(leader(layout).await.as_deref()).await,
        }
    }
}

/// Where the leader listens, if the cluster can say so at once.
async fn leader(layout: &Layout) -> Option<String> {
    let client = Client::new(&Profile::load(&layout.profile_file()).ok()?).ok()?;
    let status = tokio::time::timeout(ASK_TIMEOUT, client.status()).await.ok()?.ok()?;
    let leader = status.members.iter().find(|member| member.id == status.leader_id.to_string())?;
    Some(leader.endpoint.clone())
}

/// Announces the servers once they are ready, loads the sample, and waits for a failure.
async fn serve(
    layout: &Layout,
    arguments: &DevArguments,
    running: &mut Running,
    started: Instant,
) -> Result<(), Failure> {
    running.ready().await?;
    let (endpoints, transactors) = running.endpoints();
    let profile = layout.profile(endpoints, transactors);
    profile.save(&layout.profile_file())?;
    if arguments.sample {
        let client = Client::new(&Profile::load(&layout.profile_file())?)?;
        sample::load(&client).await?;
    }
    print!("{}", announcement(layout, arguments, &profile, started));
    Err(running.failed().await.into())
}

fn announcement(layout: &Layout, arguments: &DevArguments, profile: &Profile, started: Instant) -> String {
    let file = layout.profile_file();
    let with_profile = if file.as_path() == std::path::Path::new(annals_client::profile::DEFAULT_PROFILE) {
        String::new()
    } else {
        format!(" --profile {}", file.display())
    };
    let kept = if arguments.memory {
        "nothing is kept (--memory)".to_string()
    } else {
        layout.data().display().to_string()
    };
    let commands = if arguments.sample {
        format!(
            "  annals{with_profile} query sample '[:find ?title ?year :where [?r :release/title ?title] [?r :release/year ?year]]'\n  \
             annals{with_profile} pull sample '[* {{:release/artists [:artist/name]}}]' '[:release/code \"BK-117\"]'\n  \
             annals{with_profile} log sample\n"
        )
    } else {
        format!(
            "  annals{with_profile} db create notes\n  \
             echo '[{{:db/ident :note/text :db/valueType :db.type/string :db/cardinality :db.cardinality/one}}] [{{:note/text \"hello\"}}]' | annals{with_profile} transact notes\n  \
             annals{with_profile} query notes '[:find ?text :where [_ :note/text ?text]]'\n"
        )
    };
    format!(
        "annals is ready after {:.2} s\n\n  endpoint  {}\n  data      {kept}\n  profile   {}\n\nTry, in another terminal:\n\n{commands}\nCtrl-C stops it.\n",
        started.elapsed().as_secs_f64(),
        profile.endpoints.join(", "),
        file.display(),
    )
}
