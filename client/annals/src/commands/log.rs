//! `annals log`: one `{:t 5 :data [[e a v tx added] …]}` a line.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use annals_client::{Client, Edn, Row};
use annals_edn::Node;

use crate::args::LogArguments;
use crate::commands::{Outcome, read};

pub async fn run(client: &Client, arguments: &LogArguments) -> Outcome {
    let read = read(&arguments.view, None)?;
    let mut results = client.log(&arguments.database, arguments.from, arguments.to, &read).await?;
    let mut lines = Lines {
        out: BufWriter::new(std::io::stdout().lock()),
        skip: arguments.offset,
        left: arguments.limit.unwrap_or(u64::MAX),
    };
    let mut open: Option<(Edn, Vec<Edn>)> = None;
    while lines.left > 0
        && let Some(mut row) = results.next().await?
    {
        let t = take_first(&mut row);
        let datom = Edn::new(Node::Vector(row));
        match &mut open {
            Some((current, datoms)) if *current == t => datoms.push(datom),
            _ => {
                if let Some((t, datoms)) = open.replace((t, vec![datom])) {
                    lines.print(t, datoms)?;
                }
            }
        }
    }
    if let Some((t, datoms)) = open {
        lines.print(t, datoms)?;
    }
    lines.out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the transactions that are asked for. The stream counts datoms, so they are counted here.
struct Lines<W> {
    out: W,
    skip: u64,
    left: u64,
}

impl<W: Write> Lines<W> {
    fn print(&mut self, t: Edn, datoms: Vec<Edn>) -> std::io::Result<()> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let entry = Edn::map(vec![(Edn::keyword("t"), t), (Edn::keyword("data"), Edn::vector(datoms))]);
        writeln!(self.out, "{entry}")
    }
}

fn take_first(row: &mut Row) -> Edn {
    if row.is_empty() { Edn::new(Node::Nil) } else { row.remove(0) }
}
