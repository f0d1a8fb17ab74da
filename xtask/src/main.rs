//! `cargo xtask`: the command line of Proofmark. One file per command; this one only chooses among them.

mod bisect;
mod cases;
mod certify;
mod clock;
mod context;
mod doctor;
mod env;
mod export;
mod gate;
mod history;
mod import;
mod incremental;
mod lock;
mod migrate;
mod notify;
mod outcome;
mod output;
mod process;
mod query;
mod rebuild;
mod report;
mod scan;
mod simulate;
mod store;
mod suites;
mod tool;
mod validate;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tests and benchmarks of AI models across hardware: run what is out of date, keep it, ask about it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, after_help = context::EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    global: context::Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure what is missing, changed, stale, failed or noisy, and store it
    Incremental(incremental::Args),
    /// List every endpoint with its mark, or the reason why it is absent
    Doctor(doctor::Args),
    /// Judge whether a change made cases slower or faster
    Gate(gate::Args),
    /// Find the commit that made a case slower
    Bisect(bisect::Args),
    /// Judge whether the numbers of cases deserve trust, and keep certificates of those that do
    Certify(certify::Args),
    /// Ask the store in SQL; read-only
    Query(query::Args),
    /// Take in what other tools measured, marked claimed
    Import(import::Args),
    /// Write rows of the store for other programs, each with its mark
    Export(export::Args),
    /// Show what is known
    Report(report::Args),
    /// Find where results changed over time, and which commits may have changed them
    History(history::Args),
    /// Tell people of verdicts: a comment, issues, e-mail, a webhook; each regression once
    Notify(notify::Args),
    /// Predict how long operators and models take on devices that are absent; never a result of a run
    Simulate(simulate::Args),
    /// Show how wrong predictions were, by the results that may grade them
    Validate(validate::Args),
    /// Find code and reports that present simulation as measurement
    Scan(scan::Args),
    /// Take in legacy results in JSON, each number with its path and its mark
    Migrate(migrate::Args),
    /// Make the database anew from the record files
    Rebuild(rebuild::Args),
    /// Keep the files of the store: back up, restore, check, put old ones together
    Store(store::Args),
    /// A tool of a suite: models, verify, infer, …
    #[command(external_subcommand)]
    Tool(Vec<String>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    outcome::exit_code(run(cli))
}

fn run(Cli { global, command }: Cli) -> anyhow::Result<ExitCode> {
    let open = || context::Context::open(global);
    match command {
        Command::History(args) => args.run(open),
        Command::Incremental(args) => args.run(&open()?),
        Command::Doctor(args) => args.run(&open()?),
        Command::Gate(args) => args.run(open),
        Command::Bisect(args) => args.run(&open()?),
        Command::Certify(args) => args.run(open),
        Command::Query(args) => args.run(&open()?),
        Command::Import(args) => args.run(&open()?),
        Command::Export(args) => args.run(&open()?),
        Command::Report(args) => args.run(&open()?),
        Command::Notify(args) => args.run(&open()?),
        Command::Simulate(args) => args.run(open),
        Command::Validate(args) => args.run(&open()?),
        Command::Scan(args) => args.run(),
        Command::Migrate(args) => args.run(open),
        Command::Store(args) => args.run(&open()?),
        Command::Rebuild(args) => args.run(&open()?),
        Command::Tool(words) => tool::run(&words, &open()?),
    }
}
