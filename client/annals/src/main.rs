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

/// Queries take and drop many blocks of a few kilobytes, on which the C library's allocator spends a third of a small
/// query's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(arguments) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
