//! `annals log`: one `{:t 5 :data [[e a v tx added] …]}` a line.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use annals_client::{Client, Edn, Row};
use annals_edn::{Keyword, Node};

use crate::args::LogArguments;
use crate::commands::{Outcome, read};

pub async fn run(client: &Client, arguments: &LogArguments) -> Outcome {
    let read = read(&arguments.view, Some(&arguments.page))?;
    let mut results = client.log(&arguments.database, arguments.from, arguments.to, &read).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut open: Option<(Edn, Vec<Edn>)> = None;
    while let Some(mut row) = results.next().await? {
        let t = take_first(&mut row);
        match &mut open {
            Some((current, datoms)) if *current == t => datoms.push(Edn::new(Node::Vector(row))),
            _ => {
                if let Some((t, datoms)) = open.replace((t, vec![Edn::new(Node::Vector(row))])) {
                    print(&mut out, t, datoms)?;
                }
            }
        }
    }
    if let Some((t, datoms)) = open {
        print(&mut out, t, datoms)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn take_first(row: &mut Row) -> Edn {
    if row.is_empty() { Edn::new(Node::Nil) } else { row.remove(0) }
}

fn print(out: &mut impl Write, t: Edn, datoms: Vec<Edn>) -> std::io::Result<()> {
    let key = |name: &str| Edn::new(Node::Keyword(Keyword::new(name)));
    let entry = Node::Map(vec![(key("t"), t), (key("data"), Edn::new(Node::Vector(datoms)))]);
    writeln!(out, "{}", Edn::new(entry))
}
