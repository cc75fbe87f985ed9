//! `annals query`.

use std::io::IsTerminal;
use std::process::ExitCode;

use annals_client::Client;
use annals_client::answer::Shape;
use annals_edn::reader::Forms;

use crate::args::{AskArguments, Format, QueryArguments};
use crate::commands::transact::text_of;
use crate::commands::{Outcome, read};
use crate::failure::Failure;
use crate::output;

pub async fn run(client: &Client, arguments: &QueryArguments) -> Outcome {
    let asked = &arguments.asked;
    let args = inputs(asked)?;
    let mut read = read(&asked.view, Some(&asked.page))?;
    read.options.want_stats = arguments.stats;
    let in_query = |error| Failure::in_query(error, &asked.query, &args);
    let mut results = client.query(&asked.database, &asked.query, &args, &read).await.map_err(in_query)?;
    let default = if std::io::stdout().is_terminal() { Format::Table } else { Format::Edn };
    let mut printer = output::printer(arguments.format.unwrap_or(default), results.header());
    let shape = Shape::of(results.header());
    while let Some(row) = results.next().await.map_err(in_query)? {
        printer.row(&shape, row)?;
    }
    printer.end()?;
    if let Some(trailer) = results.trailer().filter(|_| arguments.stats) {
        eprintln!("{} rows, {} us at t {}", trailer.row_count, trailer.elapsed_us, trailer.basis_t);
        if !trailer.stats.is_empty() {
            eprint!("{}", output::steps::lines(&annals_edn::read_one(&trailer.stats)?));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The further inputs of a query as EDN texts.
pub fn inputs(asked: &AskArguments) -> Result<Vec<String>, Failure> {
    let mut args = asked.args.clone();
    if let Some(file) = &asked.args_file {
        args.extend(forms_of(&text_of(file)?)?);
    }
    Ok(args)
}

fn forms_of(text: &str) -> Result<Vec<String>, Failure> {
    let mut forms = Vec::new();
    for form in Forms::new(text) {
        let span = form.map_err(|error| Failure::in_source(error, text))?.span;
        forms.push(text[span.start as usize..span.end as usize].to_string());
    }
    Ok(forms)
}
