//! `annals-bench`: figures of Annals on data that others are measured on, and data of any size to try it with.
//!
//! `annals-bench SUITE…` runs suites and prints a table, or lines for programs with `--tsv`. A query whose number of
//! rows is wrong fails the run. What each suite does is told in docs/benchmarks.md.

mod cases;
mod data;
mod generate;
mod measure;
mod opponents;
mod orders;
mod places;
mod random;
mod report;
mod store;
mod suites;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use measure::Timing;
use opponents::Opponents;
use places::Place;
use report::Report;

/// Queries take and drop many blocks of a few kilobytes, on which the C library's allocator spends a third of a small
/// query's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Figures of Annals, and data to try it with.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Write a catalogue of releases as files of entity maps, to be imported in the order they are named
    Gen {
        /// About how many datoms
        #[arg(long, value_name = "N", default_value = "1000000")]
        datoms: u64,
        /// Where to
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Other seeds make other data
        #[arg(long, default_value_t = generate::SEED)]
        seed: u64,
    },
    /// Write the data and the queries of the suites as files, for the runners of other systems
    Export {
        /// Where to
        dir: PathBuf,
    },
    /// Compare the figures of several systems, given as --tsv prints them, in a Markdown table
    Compare {
        /// One or more files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// A gRPC server that does nothing but answer, started by the suite wire
    #[command(hide = true)]
    Floor {
        /// Where its certificates are
        pki: PathBuf,
    },
}

#[derive(Args)]
struct Run {
    /// What to measure
    #[arg(value_enum, required = true)]
    suites: Vec<Suite>,
    /// Print `suite row system median min unit` separated by tabs
    #[arg(long)]
    tsv: bool,
    /// Run each query this long before it is measured, milliseconds
    #[arg(long, value_name = "MS", default_value = "500")]
    warm_up: u64,
    /// The largest database of the suite growth, datoms; 10,000,000 takes about 4 GiB
    #[arg(long, value_name = "N", default_value = "1000000")]
    largest: u64,
    /// Measure the queries on the same data in these places too; comma-separated
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PLACE")]
    also: Vec<Place>,
    /// Length of each of the seven batches, milliseconds
    #[arg(long, value_name = "MS", default_value = "200")]
    batch: u64,
    /// Run other databases beside Annals, suite by suite, on the same data and queries, and end with a table of ratios.
    /// They are installed from their registries first, each that can be had: Datalevin (pip; it brings a Java), Datomic
    /// (Maven and Java 17), DuckDB (pip), SQLite (Python's)
    #[arg(long)]
    opponents: bool,
    /// Which of them; there is also postgres, where the server's programs are installed
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = opponents::SYSTEMS.map(String::from))]
    systems: Vec<String>,
    /// Where they and their data are kept [default: `opponents` in the target folder]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Suite {
    /// q1 to q5, predicates and aggregation on 20,000 people
    People20k,
    /// closures of small graphs, both ends free
    Rules,
    /// recursion with one end bound on a graph of packages
    Debian,
    /// m1 to m11 and a pull on a catalogue of releases
    Mbrainz,
    /// two thousand small reads, a tree, and the past beside the present
    Reads,
    /// transactions in memory
    Writes,
    /// one small transaction of each kind as the database grows
    Growth,
    /// one durable node, over gRPC and TLS
    Wire,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        None => run(&arguments.run),
        Some(Command::Gen { datoms, dir, seed }) => {
            for file in generate::write(&dir, datoms, seed)? {
                println!("{}", file.display());
            }
            Ok(())
        }
        Some(Command::Export { dir }) => suites::export(&dir),
        Some(Command::Compare { files }) => {
            let texts = files.iter().map(|file| data::text(file)).collect::<Result<Vec<_>>>()?;
            print!("{}", report::comparison(&report::read(&texts.concat())?));
            Ok(())
        }
        Some(Command::Floor { pki }) => wire::floor::serve(&pki),
    }
}

fn run(run: &Run) -> Result<()> {
    let mut report = Report::new(run.tsv);
    let timing =
        Timing { warm_up: Duration::from_millis(run.warm_up), batch: Duration::from_millis(run.batch) };
    let opponents = if run.opponents {
        opponents::check(&run.systems)?;
        Some(Opponents::install(&mut report, &run.systems, run.work.as_deref(), timing)?)
    } else {
        None
    };
    // Suite by suite, so that what is compared runs within minutes of each other.
    for suite in &run.suites {
        match suite {
            Suite::People20k => suites::people(&mut report, timing, &run.also)?,
            Suite::Rules => suites::rules(&mut report, timing, &run.also)?,
            Suite::Debian => suites::debian(&mut report, timing, &run.also)?,
            Suite::Mbrainz => suites::mbrainz(&mut report, timing, &run.also)?,
            Suite::Reads => suites::reads(&mut report, timing, &run.also)?,
            Suite::Writes => suites::writes(&mut report)?,
            Suite::Growth => suites::growth(&mut report, run.largest)?,
            Suite::Wire => wire::wire(&mut report)?,
        }
        if let Some(opponents) = &opponents {
            let name = suite.to_possible_value().map(|value| value.get_name().to_string());
            opponents.run(&mut report, &name.unwrap_or_default())?;
        }
    }
    if opponents.is_some() {
        let table = report.comparison();
        report.table(&table);
    }
    Ok(())
}
