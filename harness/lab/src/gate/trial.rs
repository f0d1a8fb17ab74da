//! A live gate under way: which processes to run next, what they left behind, and what follows from it.
//!
//! Pure: the caller runs the processes, in an order of chance, and hands in their records. Per case the path is
//!
//! ```text
//! running ──look──► clear verdict, or all looks used, or out of budget
//!    └── a record that fails or cannot be compared ──► broken, incomparable
//! ```
//!
//! The control is a case whose base stands on both sides; it is chosen after the first round, when costs are known.

use super::case::{Case, Sides};
use super::control::unfit;
use super::judge::{Judgement, Options, Processes, Verdict, judge};
use super::level::Process;
use super::metric::{Finding, Metric, SIZE_MIN_EFFECT, exact_findings, other_outputs};
use super::pairing::{Affected, Pairing};
use super::sequential::Design;
use crate::stats::median;
use proofmark::Mark;
use proofmark::record::{Environment, Outcome, Record};
use std::time::Duration;

/// Processes a side at each look. The first is the smallest design that can alarm at α = 0.05.
pub const LOOKS: [usize; 6] = [4, 6, 9, 13, 19, 28];
/// Why a case that passed cannot be judged.
const NO_TIMES: &str = "a process left no times";
/// Metrics of a case that need statistics: latency and memory.
const STATISTICAL: usize = 2;

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What the change starts from.
    Base,
    /// What it leads to.
    Head,
}

/// A process to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// The place of its case among the affected ones; nothing for the control.
    case: Option<usize>,
    side: Side,
}

impl Task {
    /// On which side its record counts.
    pub fn side(self) -> Side {
        self.side
    }
}

/// How a case stands.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Running,
    /// No more processes are needed.
    Stopped,
    /// There is a verdict that needs no statistics, and its reason.
    Settled(Verdict, String),
}

/// A case with all its records.
#[derive(Clone, Debug)]
struct Subject {
    affected: Affected,
    base: Vec<Record>,
    head: Vec<Record>,
    state: State,
    /// Latency and memory at the last look.
    judged: Vec<Finding>,
    /// Why it ended before a verdict was clear.
    stopped: Option<String>,
    cost: Duration,
}

/// A gate under way.
#[derive(Clone, Debug)]
pub struct Trial {
    options: Options,
    latency: Design,
    memory: Design,
    subjects: Vec<Subject>,
    /// Which case the control runs, and its records.
    control: Option<(usize, Subject)>,
    settled: Vec<Finding>,
    round: usize,
}

/// What a gate found.
#[derive(Clone, Debug)]
pub struct Conclusion {
    /// All findings: of affected cases in their order, then of the others.
    pub findings: Vec<Finding>,
    /// The control, if one was run.
    pub control: Option<Finding>,
    /// Why the machine was unfit for verdicts, if it was.
    pub unfit: Option<String>,
}

impl Trial {
    /// A gate over these cases. False alarms are controlled over all of them together, latency and memory alike
    /// (Bonferroni), unless `options` say that each case is judged by itself.
    pub fn new(options: Options, pairing: Pairing) -> Self {
        let family = match options.family {
            super::judge::Family::All => STATISTICAL * pairing.affected.len().max(1),
            super::judge::Family::None => 1,
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of cases")]
        let level = options.level / family as f64;
        // The design has shared the level among the cases already.
        let latency = Options { level, family: super::judge::Family::None, ..options };
        let min_effect = options.min_effect.max(SIZE_MIN_EFFECT);
        let memory = Options { min_effect, ..latency };
        let settled = pairing.settled.into_iter().map(|settled| {
            let none = Processes::default();
            let (id, reason) = (settled.id.to_string(), Some(settled.reason));
            let judgement = Judgement::without_numbers(&id, settled.verdict, reason, none);
            Finding::new(Metric::Latency, judgement, None)
        });
        Self {
            options,
            latency: Design::new(latency, &LOOKS),
            memory: Design::new(memory, &LOOKS),
            settled: settled.collect(),
            subjects: pairing.affected.into_iter().map(Subject::new).collect(),
            control: None,
            round: 0,
        }
    }

    /// The processes of the next round, in no order; none when all is decided. Each case has one of each side; the
    /// control, which starts later, two until it has as many as the cases.
    pub fn next_round(&self) -> Vec<Task> {
        let running = self.subjects.iter().enumerate().filter(|(_, s)| s.state == State::Running);
        let both = [Side::Base, Side::Head];
        let mut tasks: Vec<_> = running
            .flat_map(|(case, _)| both.map(|side| Task { case: Some(case), side }))
            .collect();
        if let Some((_, control)) = &self.control
            && control.state == State::Running
            && (!tasks.is_empty() || control.pairs() < LOOKS[0])
            && self.subjects.iter().any(|s| !matches!(s.state, State::Settled(..)))
        {
            let lag = (self.round + 1).max(LOOKS[0]) - control.pairs().min(self.round + 1);
            let pairs = lag.clamp(1, 2);
            tasks.extend((0..pairs).flat_map(|_| both.map(|side| Task { case: None, side })));
        }
        tasks
    }

    /// The case of a process, and which program it runs: the control runs the base's on both sides.
    pub fn program(&self, task: Task) -> (&Affected, Side) {
        match (task.case, &self.control) {
            (Some(case), _) => (&self.subjects[case].affected, task.side),
            (None, Some((_, control))) => (&control.affected, Side::Base),
            (None, None) => unreachable!("only a control that is there has processes"),
        }
    }

    /// Whether the process is one of the control.
    pub fn is_control(task: Task) -> bool {
        task.case.is_none()
    }

    /// What a process of the same case took before, on average.
    pub fn expected(&self, task: Task) -> Option<Duration> {
        let subject = &self.subjects[task.case.or(self.control.as_ref().map(|(case, _)| *case))?];
        let ran = u32::try_from(subject.base.len() + subject.head.len()).ok()?;
        subject.cost.checked_div(ran)
    }

    /// Whether the case of a process still waits for more: a round that has begun may have settled it.
    pub fn wants(&self, task: Task) -> bool {
        let subject = match task.case {
            Some(case) => Some(&self.subjects[case]),
            None => self.control.as_ref().map(|(_, control)| control),
        };
        subject.is_some_and(|subject| subject.state == State::Running)
    }

    /// Takes in what a process left behind.
    pub fn add(&mut self, task: Task, record: Record, took: Duration) {
        let subject = match (task.case, &mut self.control) {
            (Some(case), _) => &mut self.subjects[case],
            (None, Some((_, control))) => control,
            (None, None) => return,
        };
        subject.add(task.side, record, took);
    }

    /// A round has ended: cases are judged if it was one with a look, and a control is chosen after the first.
    pub fn end_round(&mut self) {
        self.round += 1;
        if let Some(look) = LOOKS.iter().position(|&count| count == self.round) {
            for subject in self.subjects.iter_mut().filter(|s| s.state == State::Running) {
                subject.look(look, &self.latency, &self.memory);
            }
        }
        if self.control.is_none() {
            let runs = self.subjects.iter().enumerate();
            let runs = runs.filter(|(_, s)| s.base.iter().any(|r| r.outcome == Outcome::Passed));
            let cheapest = runs.min_by_key(|(_, subject)| subject.cost);
            self.control =
                cheapest.map(|(case, subject)| (case, Subject::new(subject.affected.clone())));
        }
    }

    /// No more processes: cases that still run are judged by what they have, at the level that their next look would
    /// have spent. `reason` says why it ended.
    pub fn stop(&mut self, reason: &str) {
        for subject in self.subjects.iter_mut().filter(|s| s.state == State::Running) {
            subject.stop(reason, &self.latency, &self.memory);
        }
    }

    /// The cases that come last in their order are given up until a first look at the others fits into `left`.
    pub fn shorten(&mut self, left: Duration) {
        let mut needed = Duration::ZERO;
        let missing = u32::try_from(LOOKS[0].saturating_sub(self.round)).unwrap_or(0);
        for subject in self.subjects.iter_mut().filter(|s| s.state == State::Running) {
            let rest = subject.cost / u32::try_from(self.round.max(1)).unwrap_or(1) * missing;
            needed += rest;
            if needed > left {
                let reason = format!(
                    "the budget does not reach for it: a first look takes {:.0} s more",
                    rest.as_secs_f64()
                );
                subject.stop(&reason, &self.latency, &self.memory);
                needed -= rest;
            }
        }
    }

    /// Where the processes ran; nothing if none did.
    pub fn environment(&self) -> Option<&Environment> {
        self.subjects
            .iter()
            .flat_map(|s| s.base.iter().chain(&s.head))
            .map(|r| &r.environment)
            .next()
    }

    /// How many cases still run, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        let running = self.subjects.iter().filter(|s| s.state == State::Running).count();
        (running, self.subjects.len())
    }

    /// What was found; the verdicts that rest on a machine that was unfit are taken back.
    pub fn conclude(self) -> Conclusion {
        let control = self.control.map(|(_, control)| control.as_control(&self.options));
        let unfit = control.as_ref().and_then(|control| unfit(&control.judgement));
        let mut findings: Vec<_> =
            self.subjects.into_iter().flat_map(|s| s.findings(&self.options)).collect();
        if let Some(reason) = &unfit {
            for finding in findings.iter_mut().filter(|finding| finding.judgement.p.is_some()) {
                finding.judgement.verdict = Verdict::Undecided;
                finding.judgement.reason = Some(format!("the machine was unfit: {reason}"));
            }
        }
        findings.extend(self.settled);
        Conclusion { findings, control, unfit }
    }
}

impl Subject {
    fn new(affected: Affected) -> Self {
        Self {
            affected,
            base: Vec::new(),
            head: Vec::new(),
            state: State::Running,
            judged: Vec::new(),
            stopped: None,
            cost: Duration::ZERO,
        }
    }

    fn pairs(&self) -> usize {
        self.base.len().min(self.head.len())
    }

    fn add(&mut self, side: Side, record: Record, took: Duration) {
        self.cost += took;
        match side {
            Side::Base => self.base.push(record),
            Side::Head => self.head.push(record),
        }
        // Of what fails on both sides the change is not to blame, so both have to be heard.
        if self.pairs() > 0 {
            self.settle();
        }
    }

    /// Ends the case if its records show something that needs no statistics.
    fn settle(&mut self) {
        if let Some((verdict, reason)) = self.fault() {
            self.state = State::Settled(verdict, reason);
        }
    }

    /// What the records show that needs no statistics.
    fn fault(&self) -> Option<(Verdict, String)> {
        let failed = |records: &[Record]| {
            let record = records.iter().find(|record| record.outcome != Outcome::Passed)?;
            let message = record.message.as_deref().unwrap_or("without a message");
            Some(format!("{}: {message}", record.outcome.name()))
        };
        match (failed(&self.base), failed(&self.head)) {
            (Some(_), Some(how)) => {
                return Some((Verdict::Incomparable, format!("base and head fail: {how}")));
            }
            (Some(how), None) => {
                return Some((Verdict::Incomparable, format!("the base fails: {how}")));
            }
            (None, Some(how)) => return Some((Verdict::Broken, format!("the head fails: {how}"))),
            (None, None) => {}
        }
        let mut all = self.base.iter().chain(&self.head);
        let first = all.next()?;
        if let Some(reason) = all.find_map(|record| incomparable(first, record)) {
            return Some((Verdict::Incomparable, reason));
        }
        let (base, head) = (self.base.first()?, self.head.last()?);
        other_outputs(&base.outputs, &head.outputs).map(|reason| (Verdict::Broken, reason))
    }

    /// Judges the latency, and the memory once the latency needs no more processes.
    fn look(&mut self, look: usize, latency: &Design, memory: &Design) {
        let Some(finding) = self.judge(Metric::Latency, &latency.options_at(look)) else {
            // Without an end here it would be run for ever.
            self.state = State::Settled(Verdict::Incomparable, NO_TIMES.to_owned());
            return;
        };
        let is_over = latency.is_over(look, &finding.judgement);
        self.judged = vec![finding];
        if !is_over {
            return;
        }
        self.judged.extend(self.judge(Metric::PeakMemory, &memory.options_at(look)));
        self.state = State::Stopped;
    }

    fn stop(&mut self, reason: &str, latency: &Design, memory: &Design) {
        // A head that failed before its base was heard is told as what it is.
        self.settle();
        if self.state != State::Running {
            return;
        }
        // Processes since the last look must not be judged at the level that it has spent.
        let most = self.base.len().max(self.head.len());
        let next = LOOKS.iter().position(|&count| count >= most).unwrap_or(LOOKS.len() - 1);
        if self.pairs() == 0 {
            (self.state, self.stopped) = (State::Stopped, Some(reason.to_owned()));
            return;
        }
        self.look(next, latency, memory);
        if self.state == State::Running {
            self.judged.extend(self.judge(Metric::PeakMemory, &memory.options_at(next)));
            self.state = State::Stopped;
            self.stopped = Some(reason.to_owned());
        }
    }

    /// A verdict about a metric that varies; nothing if it was not measured.
    fn judge(&self, metric: Metric, options: &Options) -> Option<Finding> {
        let value = |record: &Record| -> Option<Vec<f64>> {
            match metric {
                Metric::Latency => {
                    Some(record.samples.latency_ns.iter().map(|ns| ns * 1e-9).collect())
                }
                #[expect(clippy::cast_precision_loss, reason = "bytes of memory are below 2^53")]
                _ => Some(vec![record.metrics.peak_memory_bytes? as f64]),
            }
        };
        let side = |records: &[Record]| -> Option<Vec<Process>> {
            records.iter().map(|record| Process::new(&value(record)?)).collect()
        };
        let sides = Sides { base: side(&self.base)?, head: side(&self.head)? };
        let scale = if metric == Metric::Latency { 1e9 } else { 1.0 };
        let middle = |side: &[Process]| {
            let levels: Vec<_> = side.iter().map(|process| process.levels[0]).collect();
            median(&levels).map(|level| level.exp() * scale)
        };
        let values = middle(&sides.base).zip(middle(&sides.head)).map(|(b, h)| [b, h]);
        let case = Case { id: self.affected.id.to_string(), sides: Ok(sides) };
        let judgement = judge(&[case], options).pop()?;
        Some(Finding::new(metric, judgement, values))
    }

    /// A verdict without numbers.
    fn told(&self, verdict: Verdict, reason: Option<String>) -> Finding {
        let processes = Processes { base: self.base.len(), head: self.head.len() };
        let id = self.affected.id.to_string();
        let judgement = Judgement::without_numbers(&id, verdict, reason, processes);
        Finding::new(Metric::Latency, judgement, None)
    }

    fn as_control(&self, options: &Options) -> Finding {
        let judged = match &self.state {
            State::Settled(_, reason) => Err(reason.as_str()),
            State::Running | State::Stopped => self.judge(Metric::Latency, options).ok_or(NO_TIMES),
        };
        let told = |reason: &str| self.told(Verdict::Undecided, Some(reason.to_owned()));
        judged.unwrap_or_else(told).marked(self.mark())
    }

    /// The mark of its records: where they have several, they are not compared.
    fn mark(&self) -> Option<Mark> {
        self.base.iter().chain(&self.head).find_map(|record| record.mark)
    }

    /// All that is said of the case.
    fn findings(self, options: &Options) -> Vec<Finding> {
        let mut findings = match &self.state {
            State::Settled(verdict, reason) => vec![self.told(*verdict, Some(reason.clone()))],
            // Not one process of each side was run.
            State::Running | State::Stopped if self.judged.is_empty() => {
                vec![self.told(Verdict::Undecided, self.stopped.clone())]
            }
            State::Running | State::Stopped => self.measured(options),
        };
        for finding in &mut findings {
            finding.changed.clone_from(&self.affected.changed);
            finding.mark = self.mark();
        }
        findings
    }

    /// What was judged, why some of it is undecided, and what is exact.
    fn measured(&self, options: &Options) -> Vec<Finding> {
        let mut findings = self.judged.clone();
        let undecided = |f: &&mut Finding| f.judgement.verdict == Verdict::Undecided;
        if let Some(why) = &self.stopped {
            for finding in findings.iter_mut().filter(undecided) {
                let reason = finding.judgement.reason.take().unwrap_or_default();
                finding.judgement.reason = Some(format!("{why}; {reason}"));
            }
        }
        if let (Some(base), Some(head)) = (self.base.first(), self.head.first()) {
            findings.extend(exact_findings(base, head, options.min_effect));
        }
        findings
    }
}

/// Why two records cannot be compared, if they cannot.
fn incomparable(a: &Record, b: &Record) -> Option<String> {
    let facts = |record: &Record| {
        let mark = record.mark.map(|mark| mark.name().to_owned()).unwrap_or_default();
        let (adapter, driver) = record
            .device
            .as_ref()
            .map(|device| (device.adapter.clone(), device.driver.clone()))
            .unwrap_or_default();
        let environment = &record.environment;
        [
            ("mark", mark),
            ("adapter", adapter),
            ("driver", driver),
            ("machine", environment.machine.clone()),
            ("processor", environment.cpu.clone()),
            ("number of threads", environment.threads.to_string()),
            ("platform", environment.platform.clone()),
            ("profile", environment.profile.clone()),
            (
                "fallback",
                record.fallbacks.iter().map(|f| f.op.as_str()).collect::<Vec<_>>().join(", "),
            ),
        ]
    };
    let (a, b) = (facts(a), facts(b));
    let (old, new) = a.iter().zip(&b).find(|(old, new)| old.1 != new.1)?;
    let shown = |value: &str| if value.is_empty() { "none".to_owned() } else { value.to_owned() };
    Some(format!("its {} changed: {} and {}", old.0, shown(&old.1), shown(&new.1)))
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
