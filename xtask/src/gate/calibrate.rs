//! What this machine can find: processes of equal code, split into two sides in many ways.

use super::{Args, Format, runs, tree};
use crate::cases::Cases;
use crate::clock::{self, Stopwatch};
use crate::context::Context;
use crate::lock::Lock;
use crate::outcome::absent;
use crate::output;
use crate::suites::Suite;
use anyhow::{Context as _, Result};
use proofmark::CaseId;
use proofmark_lab::figures::percent;
use proofmark_lab::gate::calibration::rates;
use proofmark_lab::gate::level::Process;
use proofmark_lab::gate::{Calibration, Options};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Cases that are measured, spread over the list.
const CASES: usize = 4;
/// Processes of each; half of them are a side.
const PROCESSES: usize = 16;
/// Of fewer no side could be made that can alarm.
const FEWEST: usize = 8;
/// Ways to split the processes of each case.
const SPLITS: usize = 25;

fn file(context: &Context) -> PathBuf {
    context.state.join("gate/calibration.json")
}

/// The calibration of this machine, if it was made.
pub(super) fn known(context: &Context, machine: &str) -> Option<Calibration> {
    let text = fs::read_to_string(file(context)).ok()?;
    let known: Calibration = serde_json::from_str(&text).ok()?;
    (known.machine == machine).then_some(known)
}

/// Measures, keeps and prints it.
pub(super) fn run(args: &Args, options: &Options, context: &Context) -> Result<ExitCode> {
    let _lock = Lock::take(context)?;
    let suites = tree::build(context, &context.workspace, "head")?;
    let cases = Cases::list(&suites, &args.case_flags())?;
    let there: Vec<_> = cases.listed.iter().filter(|case| case.absence.is_none()).collect();
    if there.is_empty() {
        return Err(absent("no case can run here; `cargo xtask doctor` says why"));
    }
    let step = there.len().div_ceil(CASES);
    let suite_of = |case: &CaseId| cases.suite_of(case).and_then(|index| suites.get(index));
    let chosen: Vec<(&CaseId, &Suite)> = there
        .into_iter()
        .step_by(step)
        .filter_map(|listed| Some((&listed.id, suite_of(&listed.id)?)))
        .collect();
    let mut random = fastrand::Rng::with_seed(args.seed.unwrap_or_else(|| fastrand::u64(..)));
    let (processes, machine) = measure(args, &chosen, &mut random)?;
    let found = rates(&processes, SPLITS, options, |count| {
        let mut of_base: Vec<bool> = (0..count).map(|index| index < count / 2).collect();
        random.shuffle(&mut of_base);
        of_base
    });
    let calibration = Calibration {
        machine,
        measured_at: clock::now(),
        cases: chosen.iter().map(|(case, _)| case.to_string()).collect(),
        processes: processes[0].len(),
        splits: found.splits,
        false_alarms: found.false_alarms,
        detectable_effect: found.detectable_effect,
    };
    let path = file(context);
    fs::write(&path, serde_json::to_string_pretty(&calibration)? + "\n")
        .with_context(|| format!("failed to write {}", path.display()))?;
    match args.format {
        Format::Json => output::print_json(&calibration)?,
        Format::Markdown | Format::Github => output::print(&told(&calibration, options))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Rounds over the cases, each in an order of chance: as many processes of each, an even number; and the machine.
fn measure(
    args: &Args,
    chosen: &[(&CaseId, &Suite)],
    random: &mut fastrand::Rng,
) -> Result<(Vec<Vec<Process>>, String)> {
    let (since, bar) = (Stopwatch::start(), runs::spinner());
    let mut processes: Vec<Vec<Process>> = vec![Vec::new(); chosen.len()];
    let mut machine = None;
    'rounds: for round in 0..PROCESSES {
        let mut order: Vec<usize> = (0..chosen.len()).collect();
        random.shuffle(&mut order);
        for index in order {
            if since.elapsed() >= args.budget {
                break 'rounds;
            }
            let (case, suite) = chosen[index];
            bar.set_message(format!("process {} of {PROCESSES}: {case}", round + 1));
            let (record, _) = runs::run(suite, case)?;
            let process = runs::process_of(&record).with_context(|| {
                let why = record.message.as_deref().unwrap_or("it left no times");
                format!("{case} cannot be calibrated with: {why}; choose others with --filter")
            })?;
            processes[index].push(process);
            machine = Some(record.environment.machine);
        }
    }
    bar.finish_and_clear();
    let fewest = processes.iter().map(Vec::len).min().unwrap_or(0) / 2 * 2;
    if fewest < FEWEST {
        return Err(absent(format!(
            "the budget ended after {fewest} processes of a case, and it takes {FEWEST}: give a larger --budget, or \
             fewer or shorter cases with --filter"
        )));
    }
    processes.iter_mut().for_each(|processes| processes.truncate(fewest));
    Ok((processes, machine.context("no process was run")?))
}

fn told(found: &Calibration, options: &Options) -> String {
    let Calibration { cases, processes, splits, false_alarms, detectable_effect, .. } = found;
    let detectable = detectable_effect.map_or("none up to 50 %".to_owned(), percent);
    format!(
        "# Calibration of this machine\n\n\
         | | |\n|---|---|\n\
         | false alarms on equal code | {} of {splits} splits |\n\
         | slowdown that is found in four of five splits | {detectable} |\n\
         | design | {} + {} processes, level {} for each case by itself |\n\
         | cases | {} |\n",
        percent(*false_alarms),
        processes / 2,
        processes / 2,
        percent(options.level),
        cases.join(", "),
    )
}
