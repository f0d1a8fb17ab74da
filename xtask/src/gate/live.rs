//! Builds base and head, runs processes of both in an order of chance, and tells what was found.
//!
//! What to run next, and the verdicts, are `proofmark_lab::gate::trial`.

use super::instructions::Counter;
use super::{Args, Format, calibrate, runs, tree};
use crate::cases::Cases;
use crate::clock::{self, Stopwatch};
use crate::context::Context;
use crate::lock::Lock;
use crate::outcome::{absent, with_code};
use crate::output;
use crate::output::tell;
use crate::suites::{Suite, Workspace};
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use proofmark::{CaseId, Endpoint, Mark, exit};
use proofmark_lab::gate::metric::{SIZE_MIN_EFFECT, compile_time};
use proofmark_lab::gate::result::{FORMAT, outcome};
use proofmark_lab::gate::{
    Conclusion, Finding, Gate, Metric, Options, Outcome, Ran, Revision, Setup, Side, Task, Trial,
    pair,
};
use proofmark_lab::report::{gate as report, gate_exchange};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often each side is built anew for its building time: the smallest design that can alarm.
const BUILDS: usize = 4;

/// One side, built.
struct Built {
    revision: Revision,
    workspace: Option<Workspace>,
    suites: Vec<Suite>,
    cases: Cases,
}

impl Built {
    fn suite(&self, case: &CaseId) -> Result<&Suite> {
        let suite = self.cases.suite_of(case).and_then(|index| self.suites.get(index));
        suite.with_context(|| format!("no suite makes {case}"))
    }
}

/// Gates the change from `base` to the head that is asked for.
pub(super) fn run(
    args: &Args,
    base: &str,
    options: &Options,
    context: &Context,
) -> Result<ExitCode> {
    let _lock = Lock::take(context)?;
    let counter = args.instructions.then(|| Counter::new(&context.state)).transpose()?;
    let [base_revision, head_revision] = revisions(args, base, context)?;
    let base = build(args, context, base_revision, "base").map_err(|error| {
        absent(format!("the base cannot be run, so nothing can be judged: {error:#}"))
    })?;
    let head = build(args, context, head_revision, "head")
        .map_err(|error| with_code(exit::FAILED, format!("the head is broken: {error:#}")))?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let pairing = pair(&base.cases.listed, &head.cases.listed, args.all);
    let began = (clock::now(), Stopwatch::start());
    let mut live = Live {
        args,
        sides: [&base, &head],
        random: fastrand::Rng::with_seed(seed),
        since: began.1,
        trial: Trial::new(*options, pairing),
        order: Vec::new(),
    };
    live.measure()?;
    let builds = if args.compile_time { live.build_times(context, options)? } else { Vec::new() };
    let Live { trial, order, .. } = live;
    let environment = trial.environment().cloned();
    let mut found = trial.conclude();
    found.findings.extend(sizes(&base, &head, options)?);
    found.findings.extend(builds);
    if let Some(counter) = &counter {
        let counted = instructions(counter, [&base, &head], &found.findings, options);
        found.findings.extend(counted);
    }
    let ended = outcome(&found, args.strict);
    let Conclusion { findings, control, unfit } = found;
    let gate = Gate {
        format: FORMAT,
        id: format!("gate-{}-{:08x}", began.0.strftime("%Y%m%dT%H%M%S"), seed >> 32),
        started_at: began.0,
        took_s: began.1.elapsed().as_secs_f64(),
        base: base.revision,
        head: head.revision,
        calibration: environment.as_ref().and_then(|e| calibrate::known(context, &e.machine)),
        environment,
        options: Setup::new(options, args.budget.as_secs_f64(), seed, args.strict),
        control,
        unfit,
        outcome: ended,
        exit_code: code(ended),
        cases: findings,
        order,
    };
    tell(&gate, args, context)
}

/// The revisions of base and head: whatever is wrong with them is told before anything is built.
fn revisions(args: &Args, base: &str, context: &Context) -> Result<[Revision; 2]> {
    let root = &context.root;
    let of = |revision: &str| -> Result<Revision> {
        let commit = tree::resolve(root, revision)?;
        Ok(Revision { revision: Some(revision.to_owned()), commit, dirty: false })
    };
    let base = of(base)?;
    let head = args.head.as_deref().map_or_else(|| tree::here(root), of)?;
    if head.dirty {
        tell!("note: the head has uncommitted changes, which are a part of it");
    } else if base.commit == head.commit {
        tell!("note: base and head are the same commit");
    }
    Ok([base, head])
}

/// Keeps and prints the result.
fn tell(gate: &Gate, args: &Args, context: &Context) -> Result<ExitCode> {
    keep(gate, &context.state.join("gate/results").join(&gate.id))?;
    if let Some(out) = &args.out {
        keep(gate, out)?;
    }
    match args.format {
        Format::Json => output::print_json(gate)?,
        Format::Markdown => output::print(&report::live(gate))?,
        Format::Github => {
            output::print(&report::live(gate))?;
            tell!("{}", gate_exchange::annotations(gate).trim_end());
        }
    }
    Ok(ExitCode::from(gate.exit_code))
}

fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Passed => 0,
        Outcome::Failed => exit::FAILED,
        Outcome::Unjudged | Outcome::Unfit => exit::ABSENT,
    }
}

/// Checks out, builds and lists one side.
fn build(args: &Args, context: &Context, revision: Revision, name: &str) -> Result<Built> {
    let workspace = match &revision.revision {
        Some(_) => Some(tree::checkout(context, name, &revision.commit)?),
        None => None,
    };
    let suites = tree::build(context, workspace.as_ref().unwrap_or(&context.workspace), name)?;
    let cases = Cases::list(&suites, &args.case_flags())?;
    Ok(Built { revision, workspace, suites, cases })
}

/// A gate that measures.
struct Live<'a> {
    args: &'a Args,
    /// Base and head.
    sides: [&'a Built; 2],
    random: fastrand::Rng,
    since: Stopwatch,
    trial: Trial,
    order: Vec<Ran>,
}

impl Live<'_> {
    /// Rounds of processes until all is decided or the budget is used.
    fn measure(&mut self) -> Result<()> {
        let bar = runs::spinner();
        let mut round = 0;
        loop {
            let mut tasks = self.trial.next_round();
            if tasks.is_empty() {
                bar.finish_and_clear();
                return Ok(());
            }
            self.random.shuffle(&mut tasks);
            for task in tasks {
                if !self.trial.wants(task) {
                    continue;
                }
                let expected = self.trial.expected(task).unwrap_or_default();
                // The control is short, and without it there is no verdict.
                if expected > self.left() && !Trial::is_control(task) {
                    self.trial.stop(&format!("the budget of {:?} is used up", self.args.budget));
                    continue;
                }
                self.step(task, round, &bar)?;
            }
            self.trial.end_round();
            round += 1;
            if round == 1 {
                self.trial.shorten(self.left());
            }
        }
    }

    fn left(&self) -> Duration {
        self.args.budget.saturating_sub(self.since.elapsed())
    }

    fn step(&mut self, task: Task, round: usize, bar: &ProgressBar) -> Result<()> {
        let (affected, program) = self.trial.program(task);
        let case = affected.id.clone();
        let (running, all) = self.trial.progress();
        bar.set_message(format!("round {}: {running} of {all} cases undecided; {case}", round + 1));
        let suite = self.sides[program as usize].suite(&case)?;
        let (record, took) = runs::run(suite, &case)?;
        self.order.push(Ran {
            case: case.to_string(),
            side: task.side(),
            control: Trial::is_control(task),
            record: record.id.clone(),
        });
        self.trial.add(task, record, took);
        Ok(())
    }

    /// Builds both sides anew, in an order of chance, and never in the target folder of the user: what is cleaned there
    /// goes by the names of targets, whoever else has such names.
    fn build_times(&mut self, context: &Context, options: &Options) -> Result<Vec<Finding>> {
        let head = tree::apart(context, &context.workspace, "head");
        let workspaces = self.sides.map(|side| side.workspace.as_ref().unwrap_or(&head));
        for workspace in workspaces {
            // What they depend on is no part of the time.
            workspace.build()?;
        }
        let mut times: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..BUILDS {
            let mut sides = [Side::Base, Side::Head];
            self.random.shuffle(&mut sides);
            for side in sides {
                let workspace = workspaces[side as usize];
                workspace.clean()?;
                let since = Stopwatch::start();
                workspace.build()?;
                times[side as usize].push(since.elapsed().as_secs_f64());
            }
        }
        Ok(vec![compile_time("all suites", &times[0], &times[1], options)])
    }
}

/// The instructions of the cases that both sides ran, but for those whose work another processor or program does. What
/// cannot be counted is told and left out: a base may be too old to be asked.
fn instructions(
    counter: &Counter,
    sides: [&Built; 2],
    findings: &[Finding],
    options: &Options,
) -> Vec<Finding> {
    let ran = |finding: &&Finding| {
        finding.metric == Metric::Latency && finding.judgement.processes.head > 0
    };
    let bar = runs::spinner();
    let mut counted = Vec::new();
    for finding in findings.iter().filter(ran) {
        let id = &finding.judgement.id;
        let Ok(case) = id.parse::<CaseId>() else { continue };
        let is_elsewhere =
            case.endpoint != Endpoint::CPU && Endpoint::KNOWN.contains(&case.endpoint);
        if is_elsewhere {
            continue;
        }
        bar.set_message(format!("counting instructions of {case}"));
        let count = |side: &Built| counter.per_run(side.suite(&case)?, &case);
        match (count(sides[0]), count(sides[1])) {
            (Ok(base), Ok(head)) => {
                let values = [base, head];
                let found = Finding::exact(Metric::Instructions, id, values, options.min_effect);
                // Valgrind imitates the processor.
                counted.push(found.marked(Some(Mark::Software)));
            }
            (Err(error), _) => tell!("note: {id}: no instructions of the base: {error:#}"),
            (_, Err(error)) => tell!("note: {id}: no instructions of the head: {error:#}"),
        }
    }
    bar.finish_and_clear();
    counted
}

/// The sizes of programs that both sides have.
fn sizes(base: &Built, head: &Built, options: &Options) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (name, suite) in head.cases.names.iter().zip(&head.suites) {
        let Some(old) = base.cases.names.iter().position(|old| old == name) else { continue };
        let size = |suite: &Suite| -> Result<f64> {
            #[expect(clippy::cast_precision_loss, reason = "a program is far below 2^53 bytes")]
            let size = fs::metadata(&suite.program)?.len() as f64;
            Ok(size)
        };
        let values = [size(&base.suites[old])?, size(suite)?];
        let min_effect = options.min_effect.max(SIZE_MIN_EFFECT);
        let id = format!("suite {name}");
        let found = Finding::exact(Metric::BinarySize, &id, values, min_effect);
        findings.push(found.marked(Some(Mark::Real)));
    }
    Ok(findings)
}

/// Writes all forms of the result into a folder.
fn keep(gate: &Gate, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let json = serde_json::to_string_pretty(gate)? + "\n";
    let sarif = serde_json::to_string_pretty(&gate_exchange::sarif(gate))? + "\n";
    let files = [
        ("gate.json", json),
        ("gate.md", report::live(gate)),
        ("gate.junit.xml", gate_exchange::junit(gate)),
        ("gate.sarif", sarif),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}
