//! The test runner: a libtest-mimic trial per case. `cargo test` and nextest see the same ids and the same skips.

use crate::case::{Case, Isolation};
use crate::env;
use crate::exit;
use crate::expectation::{Verdict, judge};
use crate::probing::{self, Refresh};
use crate::protocol;
use crate::record::{Outcome, OutputCheck, Purpose};
use crate::run::Runner;
use crate::settings::Settings;
use crate::snapshot;
use crate::suite::Suite;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::process::ExitCode;
use std::sync::Arc;

/// Runs a suite as tests. Call it from `main` of a test target with `harness = false`.
pub fn conformance(suite: Suite) -> ExitCode {
    protocol::intercept(&suite).unwrap_or_else(|| exit::report(run(suite)))
}

fn run(suite: Suite) -> Result<ExitCode, exit::Failure> {
    let (settings, rest) = Settings::take(env::args())?;
    let program = std::iter::once("conformance".to_owned());
    let arguments = Arguments::from_iter(program.chain(rest));
    let selection = settings.selection()?;
    let mut journal = probing::journal(&suite);
    let findings = if arguments.list {
        probing::known(&suite)
    } else {
        probing::probe(&suite, Refresh::Missing, &mut journal)?
    };
    exit::require(probing::missing_endpoints(&findings, &settings.endpoints))?;
    let mut cases = suite.cases(&findings, &settings.choices)?;
    cases.retain(|case| selection.holds(&case.id));
    // The trials outlive this function's borrows as far as the compiler knows, so they own what they share.
    let suite: &'static Suite = Box::leak(Box::new(suite));
    let settings: &'static Settings = Box::leak(Box::new(settings));
    let runner = Arc::new(Runner::new(suite, settings, Purpose::Test, journal));
    // An ignored test prints no reason, so the reason goes into a record. A run of chosen tests, such as each of
    // nextest's processes, leaves that to a run of the whole.
    if !arguments.list && arguments.filter.is_none() {
        for case in &cases {
            if let Some(absence) = &case.absence {
                runner.skip(case, absence.reason())?;
            }
        }
    }
    let trials = cases.into_iter().map(|case| {
        let driver = findings.get(&case.id.endpoint).driver.unwrap_or_default();
        trial(case, driver, Arc::clone(&runner))
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    runner.services.end();
    Ok(conclusion.exit_code())
}

/// `probed` is the driver that the probe found.
fn trial(case: Case, probed: String, runner: Arc<Runner<'static>>) -> Trial {
    let name = case.id.to_string();
    // Ignored at listing time, so that nextest counts it as skipped too. If it is run in spite of that
    // (`--ignored`), it says why it cannot pass.
    let ignored = case.absence.is_some();
    Trial::ignorable_test(name, move || test(&case, &probed, &runner)).with_ignored_flag(ignored)
}

fn test(case: &Case, probed: &str, runner: &Runner<'_>) -> Result<Completion, Failed> {
    if let Some(absence) = &case.absence {
        runner.skip(case, absence.reason())?;
        return Err(absence.reason().into());
    }
    let (report, outcome) = runner.execute(case)?;
    // A pass in this process leaves no record: it costs nothing but itself.
    if case.isolation == Isolation::Process || outcome != Outcome::Passed {
        runner.write(&runner.record(case, report.clone(), outcome))?;
    }
    // A case that failed before its device had opened ran on the one that the probe found.
    let driver = report.device.map_or_else(|| probed.to_owned(), |device| device.driver);
    let expectations = runner.suite.expectations;
    let failure = report.failure.as_deref();
    if let Verdict::Bad(message) = judge(expectations, &case.id, &driver, failure) {
        return Err(message.into());
    }
    if failure.is_none() {
        compare_with_snapshot(case, runner.suite, &report.outputs);
    }
    Ok(Completion::Completed)
}

fn compare_with_snapshot(case: &Case, suite: &Suite, outputs: &[OutputCheck]) {
    if let (Some(folder), Some(name)) = (&suite.snapshots, &case.snapshot) {
        snapshot::check(folder, name, outputs);
    }
}
