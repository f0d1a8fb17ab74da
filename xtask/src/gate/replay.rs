//! Verdicts about processes that are in a file. Needs no workspace.

use super::Format;
use crate::outcome::absent;
use crate::output;
use crate::output::tell;
use anyhow::{Context as _, Result, bail};
use proofmark::exit;
use proofmark_lab::gate::{self, Judgement, Options, Verdict};
use proofmark_lab::report;
use std::path::Path;
use std::process::ExitCode;

/// Judges the cases of a file and prints the verdicts.
pub(super) fn run(
    file: &Path,
    options: &Options,
    format: Format,
    strict: bool,
) -> Result<ExitCode> {
    let path = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read the replay {path}"))?;
    let cases =
        gate::read(&text).with_context(|| format!("failed to understand the replay {path}"))?;
    let judged = gate::judge(&cases, options);
    match format {
        Format::Json => {
            let marked = judged.iter().map(output::claimed).collect::<Result<Vec<_>>>()?;
            output::print_json(&marked)?;
        }
        Format::Markdown => output::print(&report::gate::markdown(&judged, options))?,
        Format::Github => bail!("a replay is no change of a repository: use json or markdown"),
    }
    let mut faults = 0;
    for case in &cases {
        if let Err(fault) = &case.sides {
            tell!("error: case {} cannot be read: {fault}", case.id);
            faults += 1;
        }
    }
    code(&judged, faults, strict)
}

/// Regressions count most, then cases that could not be read, then that nothing could be judged.
fn code(judged: &[Judgement], faults: usize, strict: bool) -> Result<ExitCode> {
    let is_bad = |judgement: &Judgement| match judgement.verdict {
        Verdict::Regressed => true,
        Verdict::Undecided => strict,
        _ => false,
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
