//! `gate`: verdicts about the processes of a base and a head. What is decided, and how, is in the lab's `gate`.
//!
//! So far it judges measurements that are in a file (`--replay`).

use crate::outcome::absent;
use crate::output;
use anyhow::{Context as _, Result};
use proofmark::exit;
use proofmark_lab::gate::{self, Family, Judgement, Options, Verdict};
use proofmark_lab::report;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `gate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Judge the processes in this file: {"cases": [{"id": …, "base": [[seconds, …], …], "head": [[…], …]}]}
    #[arg(long, value_name = "FILE")]
    replay: PathBuf,
    /// The relative change below which a difference does not matter
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = part)]
    min_effect: f64,
    /// The share of alarms that may be false where one case in eleven changed; intervals hold with 1 - ALPHA
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Over what false alarms are controlled: each case by itself, or all cases of the file together (Holm)
    #[arg(long, value_enum, default_value_t = FamilyArg::None)]
    family: FamilyArg,
    /// A case that could not be decided counts as a regression
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Markdown)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FamilyArg {
    None,
    All,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Json,
    Markdown,
}

/// `1%` or `0.01`.
fn part(text: &str) -> Result<f64, String> {
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
    /// Judges the cases of a file and prints the verdicts.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let family = match self.family {
            FamilyArg::None => Family::None,
            FamilyArg::All => Family::All,
        };
        let options = Options { family, ..Options::new(self.min_effect, self.alpha)? };
        let path = self.replay.display();
        let text = std::fs::read_to_string(&self.replay)
            .with_context(|| format!("failed to read the replay {path}"))?;
        let cases =
            gate::read(&text).with_context(|| format!("failed to understand the replay {path}"))?;
        let judged = gate::judge(&cases, &options);
        match self.format {
            Format::Json => output::print_json(&judged)?,
            Format::Markdown => output::print(&report::gate::markdown(&judged, &options))?,
        }
        let mut faults = 0;
        for case in &cases {
            if let Err(fault) = &case.sides {
                eprintln!("error: case {} cannot be read: {fault}", case.id);
                faults += 1;
            }
        }
        code(&judged, faults, self.strict)
    }
}

/// Regressions count most, then cases that could not be read, then that nothing could be judged.
fn code(judged: &[Judgement], faults: usize, strict: bool) -> Result<ExitCode> {
    let is_bad = |judgement: &Judgement| match judgement.verdict {
        Verdict::Regressed => true,
        Verdict::Undecided => strict,
        Verdict::Improved | Verdict::Equivalent => false,
    };
    if judged.iter().any(is_bad) {
        return Ok(ExitCode::from(exit::FAILED));
    }
    if faults > 0 {
        return Ok(ExitCode::from(exit::USAGE));
    }
    if judged.iter().all(|judgement| judgement.p.is_none()) {
        return Err(absent("no case could be judged; the reasons stand beside the cases"));
    }
    Ok(ExitCode::SUCCESS)
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

    /// The exit code for cases of five processes whose heads are slower by a factor, besides so many faults.
    #[track_caller]
    fn check(factors: &[f64], processes: usize, faults: usize, strict: bool, expected: Option<u8>) {
        let side = |factor: f64| {
            let of = |index: usize| vec![factor * (1.0 + 1e-4 * (index % 3) as f64); 9];
            (0..processes).map(of).collect::<Vec<_>>()
        };
        let case = |(index, factor): (usize, &f64)| serde_json::json!({"id": index.to_string(), "base": side(1.0), "head": side(*factor)});
        let cases: Vec<_> = factors.iter().enumerate().map(case).collect();
        let cases = gate::read(&serde_json::json!({ "cases": cases }).to_string()).unwrap();
        let judged = gate::judge(&cases, &Options::new(0.01, 0.05).unwrap());
        let found = code(&judged, faults, strict).ok();
        assert_eq!(found, expected.map(ExitCode::from));
    }

    #[test]
    fn exit_codes() {
        check(&[1.0, 0.5], 5, 0, false, Some(0));
        check(&[1.0, 1.5], 5, 0, false, Some(1));
        check(&[1.0, 1.5], 5, 1, false, Some(1));
        check(&[1.0], 5, 1, false, Some(2));
        check(&[1.0, 1.5], 3, 0, false, None);
        check(&[1.0, 1.5], 3, 0, true, Some(1));
    }
}
