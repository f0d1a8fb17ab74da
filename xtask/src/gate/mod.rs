//! `gate`: verdicts about a change, from processes of base and head. What is decided, and how, is in the lab's `gate`.
//!
//! `live` builds both and runs them, `tree` has the checkout of a revision, `replay` judges what is in a file,
//! `calibrate` asks what this machine can find, `instructions` counts them.

mod calibrate;
mod instructions;
mod live;
mod replay;
pub(crate) mod runs;
pub(crate) mod tree;

use crate::context::Context;
use anyhow::{Result, bail};
use proofmark::Endpoint;
use proofmark::settings::parse_duration;
use proofmark_lab::gate::{Family, Options};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Flags of `gate`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Args {
    /// The revision that the change starts from; it is built in a worktree of its own
    #[arg(long, value_name = "REV", group = "what")]
    base: Option<String>,
    /// The revision that it leads to, instead of the tree as it stands
    #[arg(long, value_name = "REV", requires = "base")]
    head: Option<String>,
    /// Judge the processes in this file: {"cases": [{"id": …, "base": [[seconds, …], …], "head": [[…], …]}]}
    #[arg(long, value_name = "FILE", group = "what")]
    replay: Option<PathBuf>,
    /// Measure how often this machine makes equal code look changed, and which change it can find
    #[arg(long, group = "what")]
    calibrate: bool,
    /// The relative change below which a difference does not matter
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = part)]
    min_effect: f64,
    /// The share of alarms that may be false where one case in six changed; intervals hold with 1 - ALPHA
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Over what false alarms are controlled: each case by itself, which is how a replay is judged unless told
    /// otherwise, or all cases together, which is how a change is judged
    #[arg(long, value_enum)]
    family: Option<FamilyArg>,
    /// Begin no process that would not end within this time of measuring; building is not counted
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10m")]
    budget: Duration,
    /// A glob over case ids, in which `*` crosses `/`; may be repeated
    #[arg(long, value_name = "GLOB")]
    filter: Vec<String>,
    /// Only this endpoint; it is an error if it is absent; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// Run cases as well of which nothing differs that they depend on
    #[arg(long)]
    all: bool,
    /// Compare how long the suites take to build, too: each is built anew four times
    #[arg(long)]
    compile_time: bool,
    /// Count the instructions of the cases that were run on the CPU by valgrind, too: exact, and slow
    #[arg(long, requires = "base")]
    instructions: bool,
    /// Of the order of the processes; chosen anew each time and told, unless given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// A case that could not be decided counts as a regression
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
    /// Write gate.json, gate.md, gate.junit.xml and gate.sarif into this folder
    #[arg(long, value_name = "DIR", requires = "base")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FamilyArg {
    None,
    All,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// For programs
    Json,
    /// For people
    Markdown,
    /// Markdown, and annotations as GitHub's workflow commands on the error output
    Github,
}

/// `1%` or `0.01`.
pub(crate) fn part(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 0.01),
        None => (text.trim(), 1.0),
    };
    let number: f64 = number.parse().map_err(|_| {
        format!("`{text}` is neither a percentage such as 1% nor a part such as 0.01")
    })?;
    Ok(number * scale)
}

impl Args {
    /// `open` reads the workspace, which a replay does without.
    pub(crate) fn run(self, open: impl FnOnce() -> Result<Context>) -> Result<ExitCode> {
        let options = Options::new(self.min_effect, self.alpha)?;
        let by_default = if self.replay.is_some() { FamilyArg::None } else { FamilyArg::All };
        let family = match self.family.unwrap_or(by_default) {
            FamilyArg::None => Family::None,
            FamilyArg::All => Family::All,
        };
        let options = Options { family, ..options };
        match (&self.replay, &self.base) {
            (Some(file), _) => replay::run(file, &options, self.format, self.strict),
            (None, Some(base)) => live::run(&self, base, &options, &open()?),
            (None, None) if self.calibrate => calibrate::run(&self, &options, &open()?),
            (None, None) => bail!("nothing was asked: give --base, --replay or --calibrate"),
        }
    }

    /// The flags that decide which cases there are.
    fn case_flags(&self) -> Vec<String> {
        runs::case_flags(&self.filter, &self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_percentages_or_parts() {
        assert_eq!(part("1%"), Ok(0.01));
        assert_eq!(part(" 2.5 % "), Ok(0.025));
        assert_eq!(part("0.03"), Ok(0.03));
        assert!(part("one").unwrap_err().contains("neither"));
        assert!(part("%").is_err());
    }
}
