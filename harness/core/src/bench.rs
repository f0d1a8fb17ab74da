//! The bench runner: every case under criterion, each verified before it is timed, each device case in its own process.

use crate::case::{Case, Isolation};
use crate::env;
use crate::exit;
use crate::probing::{self, Refresh};
use crate::process::Output;
use crate::protocol;
use crate::record::{Outcome, Purpose};
use crate::run::Runner;
use crate::settings::Settings;
use crate::suite::Suite;
use std::process::ExitCode;

/// Runs a suite as benches. Call it from `main` of a bench target with `harness = false`.
pub fn bench(suite: Suite) -> ExitCode {
    protocol::intercept(&suite).unwrap_or_else(|| exit::report(run(&suite)))
}

fn run(suite: &Suite) -> Result<ExitCode, exit::Failure> {
    let (settings, rest) = Settings::take(env::args())?;
    let selection = settings.selection()?;
    let listing = rest.iter().any(|arg| arg == "--list");
    let mut journal = probing::journal(suite);
    let findings = if listing {
        probing::known(suite)
    } else {
        probing::probe(suite, Refresh::Missing, &mut journal)?
    };
    exit::require(probing::missing_endpoints(&findings, &settings.endpoints))?;
    let mut cases = suite.cases(&findings, &settings.choices)?;
    cases.retain(|case| selection.holds(&case.id));
    if listing {
        cases.iter().for_each(|case| println!("{}: benchmark", case.id));
        return Ok(ExitCode::SUCCESS);
    }
    let purpose =
        if rest.iter().any(|arg| arg == "--test") { Purpose::Test } else { Purpose::Measure };
    let mut runner = Runner::new(suite, &settings, purpose, journal);
    runner.output = Output::Inherit;
    runner.criterion_args = rest;
    let mut failed = 0;
    for case in &cases {
        failed += usize::from(!measure(&runner, case)?);
    }
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{failed} of {} cases failed", cases.len());
    Ok(ExitCode::from(exit::FAILED))
}

/// Whether the case passed or was skipped.
fn measure(runner: &Runner<'_>, case: &Case) -> Result<bool, String> {
    if !named(&runner.criterion_args, case) {
        return Ok(true);
    }
    if let Some(absence) = &case.absence {
        println!("{}: ignored, {}", case.id, absence.reason());
        runner.skip(case, absence.reason())?;
        return Ok(true);
    }
    let record = runner.run(case)?;
    runner.write(&record)?;
    if let Some(message) = &record.message {
        eprintln!("{}: {}: {message}", case.id, record.outcome.name());
    }
    if case.isolation == Isolation::Process {
        println!();
    }
    Ok(record.outcome == Outcome::Passed)
}

/// A word on its own is criterion's filter; a case that it leaves out need not be opened.
fn named(args: &[String], case: &Case) -> bool {
    let own: Vec<_> =
        args.iter().filter(|arg| !["--bench", "--test"].contains(&arg.as_str())).collect();
    match own.as_slice() {
        [word] if !word.starts_with('-') => case.id.to_string().contains(word.as_str()),
        _ => true,
    }
}
