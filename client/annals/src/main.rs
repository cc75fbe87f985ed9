//! The `annals` command: a table of contents over its subcommands.

mod args;
mod commands;
mod failure;
mod import;
mod output;
mod point;

use std::process::ExitCode;

use clap::Parser;

use args::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(arguments) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
