//! One run of one case: opened, verified, and only then timed. In this process or in a child; a record either way.

use crate::case::{Case, Isolation, Session};
use crate::clock;
use crate::env;
use crate::environment::{environment, load, peak_memory_bytes};
use crate::fingerprint::{Fingerprint, Part};
use crate::job::{self, Effort, Job, Report};
use crate::journal::Journal;
use crate::probing;
use crate::process::{Ended, Output};
use crate::record::{Environment, FORMAT, Line, Measured, Outcome, Purpose, Record};
use crate::sampling;
use crate::service::{Lease, Services};
use crate::settings::Settings;
use crate::suite::Suite;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What all runs of one process share: the suite, the user's choices, the journal, the machine.
#[derive(Debug)]
pub(crate) struct Runner<'a> {
    pub(crate) suite: &'a Suite,
    pub(crate) settings: &'a Settings,
    pub(crate) purpose: Purpose,
    /// Arguments of criterion that a child gets.
    pub(crate) criterion_args: Vec<String>,
    /// Where the child's standard output goes.
    pub(crate) output: Output,
    pub(crate) journal: Mutex<Journal>,
    pub(crate) services: Services,
    environment: OnceLock<Environment>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(
        suite: &'a Suite,
        settings: &'a Settings,
        purpose: Purpose,
        journal: Journal,
    ) -> Self {
        Self {
            suite,
            settings,
            purpose,
            criterion_args: Vec::new(),
            output: Output::Drop,
            journal: Mutex::new(journal),
            services: Services::new(suite),
            environment: OnceLock::new(),
        }
    }

    /// Runs a case where its isolation asks for, and makes its record. Does not write it.
    pub(crate) fn run(&self, case: &Case) -> Result<Record, String> {
        // Taken before the run: what is changed meanwhile must not be credited with its result.
        let fingerprint = identify(case);
        let (report, outcome) = self.execute(case)?;
        Ok(self.record_with(case, report, outcome, fingerprint))
    }

    /// Runs a case where its isolation asks for.
    pub(crate) fn execute(&self, case: &Case) -> Result<(Report, Outcome), String> {
        match case.isolation {
            // Criterion prints even where nobody may: a case that is timed in silence has its own output.
            Isolation::InProcess
                if self.purpose == Purpose::Test || matches!(self.output, Output::Inherit) =>
            {
                Ok(self.run_here(case))
            }
            Isolation::InProcess | Isolation::Process => self.run_with_service(case),
        }
    }

    fn run_here(&self, case: &Case) -> (Report, Outcome) {
        let effort = self.effort();
        // A panic costs this case alone, as it would in a process of its own.
        let report = catch_unwind(AssertUnwindSafe(|| perform(case, effort, &|_| {})));
        let report = report.unwrap_or_else(|panic| Report {
            failure: Some(format!("the case panicked: {}", words_of(&*panic))),
            ..Report::default()
        });
        let outcome = if report.failure.is_some() { Outcome::Failed } else { Outcome::Passed };
        (report, outcome)
    }

    fn job(&self, case: &Case) -> Job {
        Job::Run {
            case: case.id.clone(),
            effort: self.effort(),
            choices: self.settings.choices.clone(),
        }
    }

    fn effort(&self) -> Effort {
        Effort {
            purpose: self.purpose,
            samples: self.settings.samples,
            measure_for: self.settings.measure_for,
            quiet: matches!(self.output, Output::Drop),
        }
    }

    /// Runs a case in a child process, and beside it the service of its endpoint if that has one. A service is not
    /// trusted after a case that did not pass.
    fn run_with_service(&self, case: &Case) -> Result<(Report, Outcome), String> {
        let Some(mut service) = self.services.claim(case) else {
            return self.run_in_child(case, None);
        };
        let lease = match service.lease() {
            Ok(lease) => lease,
            Err(message) => {
                let report = Report { failure: Some(message), ..Report::default() };
                return Ok((report, Outcome::Failed));
            }
        };
        let (mut report, outcome) = self.run_in_child(case, Some(&lease))?;
        if outcome != Outcome::Passed
            && let Some(how) = service.end()
        {
            let failure = report.failure.unwrap_or_default();
            report.failure = Some(format!("{failure}\n{how}"));
        }
        Ok((report, outcome))
    }

    fn run_in_child(
        &self,
        case: &Case,
        lease: Option<&Lease>,
    ) -> Result<(Report, Outcome), String> {
        let timeout = self.settings.timeout;
        let (report, finished) = job::in_child::<Report>(
            &self.suite.state(),
            &self.job(case),
            &self.criterion_args,
            self.output,
            timeout,
            lease,
        )?;
        if let (None, Ended::Exited(_), false) =
            (&report, &finished.ended, self.criterion_args.is_empty())
        {
            return Err(format!("criterion did not take the arguments: {}", finished.stderr_tail));
        }
        let mut report = report.unwrap_or_default();
        let outcome = match (report.finished, &report.failure, &finished.ended) {
            (true, None, _) => Outcome::Passed,
            (true, Some(_), _) => Outcome::Failed,
            (false, _, Ended::TimedOut) => Outcome::TimedOut,
            (false, _, _) => Outcome::Crashed,
        };
        if !report.finished {
            report.failure = Some(format!("the run {}", finished.describe(timeout)));
        }
        Ok((report, outcome))
    }

    /// The record of a run.
    pub(crate) fn record(&self, case: &Case, report: Report, outcome: Outcome) -> Record {
        self.record_with(case, report, outcome, identify(case))
    }

    fn record_with(
        &self,
        case: &Case,
        report: Report,
        outcome: Outcome,
        fingerprint: Fingerprint,
    ) -> Record {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        Record {
            format: FORMAT,
            id: journal.next_id(),
            run: journal.run().to_owned(),
            recorded_at: clock::now(),
            suite: self.suite.name.into(),
            case: case.id.clone(),
            purpose: self.purpose,
            outcome,
            mark: report.device.as_ref().map(|device| device.mark),
            device: report.device,
            message: report.failure,
            samples: report.samples,
            metrics: report.metrics,
            op_times: report.op_times,
            fallbacks: report.fallbacks,
            outputs: report.outputs,
            environment: self.environment().clone(),
            fingerprint,
        }
    }

    fn environment(&self) -> &Environment {
        self.environment.get_or_init(|| environment(self.suite.manifest_dir))
    }

    /// Writes a record to the journal of this process.
    pub(crate) fn write(&self, record: &Record) -> Result<(), String> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal.append(&Line::Result(record.clone())).map_err(|e| e.to_string())
    }

    /// Records that a case cannot run here, and why.
    pub(crate) fn skip(&self, case: &Case, reason: &str) -> Result<Record, String> {
        let fingerprint = identify(case);
        let report = Report { failure: Some(reason.to_owned()), ..Report::default() };
        let record = self.record_with(case, report, Outcome::Skipped, fingerprint);
        self.write(&record)?;
        Ok(record)
    }
}

/// Measures a case in this process, in silence as far as criterion can be silent, and writes its record: for tools
/// whose device only they can open.
pub fn measure_here(suite: &Suite, case: &Case) -> Result<Record, String> {
    let settings = Settings::take(Vec::new())?.0;
    let runner = Runner::new(suite, &settings, Purpose::Measure, probing::journal(suite));
    let fingerprint = identify(case);
    let (report, outcome) = runner.run_here(case);
    let record = runner.record_with(case, report, outcome, fingerprint);
    runner.write(&record)?;
    Ok(record)
}

/// What a case depends on. One that cannot be identified is planned and fails alone, with the reason, when it is
/// opened; its fingerprint is the reason, so that it is not confused with another.
pub(crate) fn identify(case: &Case) -> Fingerprint {
    let unidentified = |reason| Fingerprint::new([Part::text("unidentified", reason)]);
    case.subject.fingerprint().unwrap_or_else(unidentified)
}

/// What a panic says, if it says something.
fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

/// Opens, verifies and, if asked, times a case. `progress` sees the report after every stage.
pub(crate) fn perform(case: &Case, effort: Effort, progress: &dyn Fn(&Report)) -> Report {
    let mut report = Report::default();
    if effort.purpose == Purpose::Measure && !effort.quiet {
        sampling::take_arguments();
    }
    // From here on a child that ends has ended in its case.
    progress(&report);
    if let Err(message) = stages(case, effort, &mut report, progress) {
        report.failure = Some(message);
    }
    // With a service the work is done elsewhere, and this process's memory says nothing of it.
    if case.isolation == Isolation::Process && report.device.is_some() && env::service().is_none() {
        report.metrics.peak_memory_bytes =
            report.metrics.peak_memory_bytes.or_else(peak_memory_bytes);
    }
    report.finished = true;
    progress(&report);
    report
}

fn stages(
    case: &Case,
    effort: Effort,
    report: &mut Report,
    progress: &dyn Fn(&Report),
) -> Result<(), String> {
    let load = load();
    let mut session = case.subject.open()?;
    report.describe(&*session);
    progress(report);
    report.outputs = session.verify()?;
    report.describe(&*session);
    check(report)?;
    progress(report);
    if effort.purpose == Purpose::Test {
        return Ok(());
    }
    let session: &mut dyn Session = &mut *session;
    let is_own = env::service().is_none();
    let sampled = sampling::sample(&case.id, session, &effort, is_own)?;
    report.samples = sampled.samples;
    progress(report);
    report.op_times = session.op_times()?;
    // Memory and stages may have come to be known meanwhile.
    report.describe(session);
    report.metrics.measured = Some(Measured { load, ..sampled.measured });
    report.metrics.telemetry = sampled.telemetry;
    Ok(())
}

/// Whether all outputs are right. A session that checked nothing proved nothing.
fn check(report: &Report) -> Result<(), String> {
    if report.outputs.is_empty() {
        return Err("no output was compared with a reference: a pass would prove nothing".into());
    }
    let wrong: Vec<_> = report.outputs.iter().filter(|output| !output.passes()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let describe = |output: &&crate::record::OutputCheck| {
        let error = output.error.map_or("not finite".to_owned(), |error| format!("{error:.3e}"));
        format!(
            "{}: error {error} of the largest magnitude, tolerance {:.0e}",
            output.name, output.tolerance
        )
    };
    let wrong: Vec<_> = wrong.iter().map(describe).collect();
    Err(format!("outputs differ from the reference: {}", wrong.join("; ")))
}

/// Keeps the child's report where the parent will look for it.
pub(crate) fn report_to(path: &Path) -> impl Fn(&Report) + '_ {
    move |report| {
        if let Ok(text) = serde_json::to_string(report)
            && let Err(message) = job::write_atomically(path, &text)
        {
            eprintln!("{message}");
        }
    }
}
