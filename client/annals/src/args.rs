//! The command line as clap reads it. Nothing here acts.

use std::path::PathBuf;
use std::time::Duration;

use annals_wire::v1;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::point::{duration, time_point};

const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nprotocol annals.v1\ndata directory format 1\nraft entry format 1\nsegment format 1\nresume token format 1"
);

/// Annals: an immutable, time-aware Datalog database for clusters.
#[derive(Parser)]
#[command(name = "annals", version, long_version = LONG_VERSION, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    /// The profile: where the servers are and which certificate to show [default: $ANNALS_PROFILE, else
    /// ./.annals/profile.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a filter such as info,openraft=debug
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a whole database on this machine, with TLS, for development
    #[cfg(feature = "dev")]
    Dev(DevArguments),
    /// Run a transactor: a member of the Raft group
    #[cfg(feature = "dev")]
    Transactor(ServerArguments),
    /// Run a peer server
    #[cfg(feature = "dev")]
    PeerServer(ServerArguments),
    /// Make certificates
    Cert {
        #[command(subcommand)]
        command: CertCommand,
    },
    /// Create, list and delete databases
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Commit transactions: each top-level vector of the input is one
    Transact(TransactArguments),
    /// Ask about transactions by their id
    Tx {
        #[command(subcommand)]
        command: TxCommand,
    },
    /// Import entity maps, one a line; may be interrupted and run again
    Import(ImportArguments),
    /// Run a Datalog query
    Query(QueryArguments),
    /// Show how a query would be run: steps, indexes, ranges, estimates; with --analyze run it and show what each took
    Explain(ExplainArguments),
    /// Pull an entity
    Pull(PullArguments),
    /// Show an entity: everything about it, or what it has under some keys
    Entity(EntityArguments),
    /// List datoms of an index, one [e a v tx added] a line
    Datoms(DatomsArguments),
    /// List datoms of an attribute by value, one [e a v tx added] a line
    IndexRange(IndexRangeArguments),
    /// Pull a pattern for entity after entity along an index, one map a line
    IndexPull(IndexPullArguments),
    /// List committed transactions, one map a line
    Log(LogArguments),
    /// Members and peers of the cluster
    Status {
        /// How the answer is printed
        #[arg(long, value_enum, default_value = "text")]
        format: StatusFormat,
    },
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum StatusFormat {
    Text,
    Json,
}

#[derive(Args)]
pub struct DevArguments {
    /// Where the data is kept
    #[arg(long, value_name = "DIR", default_value = ".annals")]
    pub data: PathBuf,
    /// Keep nothing on disk but certificates and the profile
    #[arg(long)]
    pub memory: bool,
    /// Where the peer server listens; port 0 is any free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7070")]
    pub listen: String,
    /// Load the sample database: a small music catalogue named 'sample'
    #[arg(long)]
    pub sample: bool,
    /// Transactors, each a process of its own when more than one
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=7))]
    pub nodes: u16,
    /// Peer servers, each a process of its own when there are several processes
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub peers: u16,
}

#[derive(Args)]
pub struct ServerArguments {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Stop when standard input closes, as a child of 'annals dev' does
    #[arg(long, hide = true)]
    pub stop_with_input: bool,
}

#[derive(Subcommand)]
pub enum CertCommand {
    /// Make a certificate authority: ca.pem and ca.key
    Ca {
        /// The cluster the certificates are for
        #[arg(long, value_name = "ID", default_value = "annals")]
        cluster: String,
        #[command(flatten)]
        place: CertPlace,
    },
    /// Make a certificate for a transactor or a peer server
    Node {
        /// The node's name in its certificate
        name: String,
        /// Host names and addresses that clients reach it by
        #[arg(long, value_name = "HOST", default_values = ["localhost", "127.0.0.1", "::1"])]
        host: Vec<String>,
        #[command(flatten)]
        place: CertPlace,
    },
    /// Make a certificate for a client
    Client {
        /// The client's name in its certificate
        name: String,
        #[command(flatten)]
        place: CertPlace,
    },
}

#[derive(Args)]
pub struct CertPlace {
    /// The folder of the authority, and where the new files go
    #[arg(long, value_name = "DIR", default_value = "pki")]
    pub dir: PathBuf,
}

#[derive(Subcommand)]
pub enum DbCommand {
    /// Create a database
    Create {
        /// Letters, digits and hyphens, at most 128
        name: String,
        /// write: attributes are declared before use; read: first use declares them
        #[arg(long, value_enum, default_value = "write")]
        schema_flexibility: Flexibility,
        /// Whether superseded facts stay readable
        #[arg(long, value_name = "BOOL", default_value = "true", action = clap::ArgAction::Set)]
        keep_history: bool,
        /// Succeed if it is there already
        #[arg(long)]
        if_not_exists: bool,
    },
    /// List the databases, one name a line
    List,
    /// Count the datoms of a database, by attribute
    Stats {
        /// Its name
        name: String,
        #[command(flatten)]
        view: ViewArguments,
        /// How the answer is printed
        #[arg(long, value_enum, default_value = "edn")]
        format: PullFormat,
    },
    /// Delete a database
    Delete {
        /// Its name
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum Flexibility {
    Read,
    Write,
}

#[derive(Args)]
pub struct TransactArguments {
    /// The database
    pub database: String,
    /// A file of EDN; '-' is standard input
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// Commit under this id, by which it is done once however often it is sent; the input is one transaction
    #[arg(long, value_name = "UUID", conflicts_with = "dry_run")]
    pub id: Option<String>,
    /// Commit nothing; report what would be committed
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Subcommand)]
pub enum TxCommand {
    /// Say 'committed T', or 'unknown' (exit code 15) for one that is not committed so far
    Status {
        /// The database
        database: String,
        /// The id that the transaction was sent under, a UUID
        id: String,
    },
}

#[derive(Args)]
pub struct ImportArguments {
    /// The database
    pub database: String,
    /// Files of entity maps, one a line, imported in this order
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Lines in one transaction
    #[arg(long, value_name = "LINES", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
}

#[derive(Args)]
pub struct ViewArguments {
    /// The database as of a t, a transaction's id or an #inst, inclusive
    #[arg(long, value_name = "X", value_parser = time_point)]
    pub as_of: Option<v1::TimePoint>,
    /// Only what came after a t, a transaction's id or an #inst
    #[arg(long, value_name = "X", value_parser = time_point)]
    pub since: Option<v1::TimePoint>,
    /// Every assertion and retraction
    #[arg(long)]
    pub history: bool,
    /// Only datoms of which this predicate holds: its name, or a call over ?e ?a ?v ?tx ?added, as
    /// '(doc/visible? ?e "ana")'; may be given several times
    #[arg(long, value_name = "EDN")]
    pub filter: Vec<String>,
    /// As if the transactions of this file, an EDN vector each, were committed first; may be given several times
    #[arg(long, value_name = "FILE")]
    pub with: Vec<PathBuf>,
    /// Give up after this long: 250ms, 30s, 2m
    #[arg(long, value_name = "D", value_parser = duration)]
    pub timeout: Option<Duration>,
}

#[derive(Args)]
pub struct PageArguments {
    /// At most this many rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub limit: Option<i64>,
    /// Leave out this many rows first
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: i64,
}

/// What is asked of which database.
#[derive(Args)]
pub struct AskArguments {
    /// The database, which is the query's $
    pub database: String,
    /// The query: EDN, vector or map form
    pub query: String,
    /// A further input, EDN, in the order of :in; #annals/db {:name "x" :as-of 5} is a database
    #[arg(long = "arg", value_name = "EDN")]
    pub args: Vec<String>,
    /// A file of further inputs, each one EDN form
    #[arg(long, value_name = "FILE")]
    pub args_file: Option<PathBuf>,
    #[command(flatten)]
    pub view: ViewArguments,
    #[command(flatten)]
    pub page: PageArguments,
}

#[derive(Args)]
pub struct QueryArguments {
    #[command(flatten)]
    pub asked: AskArguments,
    /// How the answer is printed [default: table on a terminal, else edn]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Print rows, time, and the steps of the plan with their clauses and rows in and out to standard error
    #[arg(long)]
    pub stats: bool,
}

#[derive(Args)]
pub struct ExplainArguments {
    #[command(flatten)]
    pub asked: AskArguments,
    /// Run the query to its end, drop its rows, and show rows, time and segments of each step
    #[arg(long)]
    pub analyze: bool,
    /// How the plan is printed
    #[arg(long, value_enum, default_value = "text")]
    pub format: ExplainFormat,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum ExplainFormat {
    Text,
    Edn,
    Json,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq, Debug)]
pub enum Format {
    Table,
    Edn,
    Json,
    Ndjson,
    Csv,
}

#[derive(Args)]
pub struct PullArguments {
    /// The database
    pub database: String,
    /// The pull pattern: EDN
    pub pattern: String,
    /// The entity: an id, an ident or a lookup ref
    #[arg(allow_negative_numbers = true)]
    pub entity: String,
    #[command(flatten)]
    pub view: ViewArguments,
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "edn")]
    pub format: PullFormat,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum PullFormat {
    Edn,
    Json,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum IndexName {
    Eavt,
    Aevt,
    Avet,
    Vaet,
}

#[derive(Args)]
pub struct DatomsArguments {
    /// The database
    pub database: String,
    /// The index
    #[arg(value_enum)]
    pub index: IndexName,
    /// Leading components in the order of the index: EDN
    #[arg(allow_negative_numbers = true)]
    pub components: Vec<String>,
    /// From the components on to the end of the index, not only what begins with them
    #[arg(long)]
    pub seek: bool,
    #[command(flatten)]
    pub view: ViewArguments,
    #[command(flatten)]
    pub page: PageArguments,
}

#[derive(Args)]
pub struct EntityArguments {
    /// The database
    pub database: String,
    /// The entity: an id, an ident or a lookup ref
    #[arg(allow_negative_numbers = true)]
    pub entity: String,
    /// Only what it has under these keys: attributes, or ':p/_friend' for what refers to it
    #[arg(value_name = "KEY")]
    pub keys: Vec<String>,
    #[command(flatten)]
    pub view: ViewArguments,
    /// How the answer is printed
    #[arg(long, value_enum, default_value = "edn")]
    pub format: PullFormat,
}

#[derive(Args)]
pub struct IndexRangeArguments {
    /// The database
    pub database: String,
    /// The attribute, unique or indexed: EDN
    pub attribute: String,
    /// The least value, inclusive: EDN
    #[arg(long, value_name = "EDN", default_value = "nil", allow_negative_numbers = true)]
    pub start: String,
    /// The value to stop before: EDN
    #[arg(long, value_name = "EDN", default_value = "nil", allow_negative_numbers = true)]
    pub end: String,
    #[command(flatten)]
    pub view: ViewArguments,
    #[command(flatten)]
    pub page: PageArguments,
}

#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub enum WalkedIndex {
    Aevt,
    Avet,
}

#[derive(Args)]
pub struct IndexPullArguments {
    /// The database
    pub database: String,
    /// avet: entities by value; aevt: those that a reference attribute of many values leads to
    #[arg(value_enum)]
    pub index: WalkedIndex,
    /// The pull pattern: EDN
    pub pattern: String,
    /// The attribute, then the value or entity to start from, inclusive: EDN
    #[arg(required = true, num_args = 1..=2, value_name = "START", allow_negative_numbers = true)]
    pub start: Vec<String>,
    /// From the start, or the end, downwards
    #[arg(long)]
    pub reverse: bool,
    #[command(flatten)]
    pub view: ViewArguments,
    #[command(flatten)]
    pub page: PageArguments,
    /// How the maps are printed
    #[arg(long, value_enum, default_value = "edn")]
    pub format: PullFormat,
}

#[derive(Args)]
pub struct LogArguments {
    /// The database
    pub database: String,
    /// The first transaction: a t, a transaction's id or an #inst
    #[arg(long, value_name = "T", value_parser = time_point)]
    pub from: Option<v1::TimePoint>,
    /// The transaction to stop before
    #[arg(long, value_name = "T", value_parser = time_point)]
    pub to: Option<v1::TimePoint>,
    #[command(flatten)]
    pub view: ViewArguments,
    /// At most this many transactions
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Leave out this many transactions first
    #[arg(long, value_name = "N", default_value = "0")]
    pub offset: u64,
}
