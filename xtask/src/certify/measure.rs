//! Processes of cases in an order of chance: of the cases themselves, of the same model at other shapes, and under load.

use super::live::{Known, LOADED};
use super::load::Load;
use crate::clock::{self, Stopwatch};
use crate::gate::runs;
use crate::output::tell;
use crate::suites::Suite;
use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use jiff::Timestamp;
use proofmark::CaseId;
use proofmark::protocol::Listed;
use proofmark::record::{Outcome, Record};
use proofmark_lab::certify::records::is_sibling;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

/// Processes of a case under load, and of the same model at another shape.
const UNDER_LOAD: usize = 2;
const OF_SIBLING: usize = 3;
/// Other shapes that are measured for a case.
const SIBLINGS: usize = 2;
/// A process has at least so many samples that it has a course and a spectrum.
const FEWEST_SAMPLES: usize = 25;
/// Samples are fewer where all of them would take longer than this.
const LONG: Duration = Duration::from_secs(5);

/// Measuring under way.
struct Session<'k, 'a> {
    known: &'k mut Known<'a>,
    random: fastrand::Rng,
    since: Stopwatch,
    bar: ProgressBar,
    took: BTreeMap<CaseId, Duration>,
    /// Cases of which a process did not pass: no more of them are run.
    failed: BTreeSet<CaseId>,
    /// Processes that the budget had no room for.
    left_out: usize,
}

impl<'a> Known<'a> {
    /// Measures what is needed to judge these cases.
    pub(super) fn measure(&mut self, wanted: &[&Listed]) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let seed = self.args.seed.unwrap_or_else(|| fastrand::u64(..));
        tell!("note: the order of the processes is that of --seed {seed}");
        let others = self.siblings(wanted);
        let own = wanted.iter().map(|case| (case.id.clone(), self.needed(case))).collect();
        let under_load: Vec<_> =
            wanted.iter().map(|case| (case.id.clone(), self.needed_under_load(case))).collect();
        let mut session = Session {
            known: self,
            random: fastrand::Rng::with_seed(seed),
            since: Stopwatch::start(),
            bar: runs::spinner(),
            took: BTreeMap::new(),
            failed: BTreeSet::new(),
            left_out: 0,
        };
        session.rounds(own, false)?;
        session.rounds(others, false)?;
        session.rounds(under_load, true)?;
        session.bar.finish_and_clear();
        if session.left_out > 0 {
            let (count, budget) = (session.left_out, session.known.args.budget);
            tell!("note: {count} processes are left for want of budget ({budget:?})");
        }
        Ok(())
    }

    /// How many more processes of a case this day and boot should have.
    fn needed(&self, case: &Listed) -> usize {
        let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
        let (kind, today) = (self.kind(case), day(clock::now()));
        let is_here = |record: &&Record| {
            record.outcome == Outcome::Passed
                && record.environment.boot == self.boot
                && day(record.recorded_at) == today
                && record.samples.latency_ns.len() >= FEWEST_SAMPLES.min(self.args.samples)
                && kind.holds(record)
        };
        let there = self.records.iter().filter(is_here).count();
        let there = if self.args.renew { 0 } else { there };
        self.args.processes.saturating_sub(there)
    }

    fn needed_under_load(&self, case: &Listed) -> usize {
        let kind = self.kind(case);
        let there = self.loaded.iter().filter(|record| kind.holds(record)).count();
        let there = if self.args.renew { 0 } else { there };
        UNDER_LOAD.saturating_sub(there)
    }

    /// Cases at other shapes that are measured for those of which nothing says how their time grows with work.
    fn siblings(&self, wanted: &[&Listed]) -> Vec<(CaseId, usize)> {
        let is_wanted = |id: &CaseId| wanted.iter().any(|case| case.id == *id);
        let mut chosen = BTreeSet::new();
        for case in wanted {
            let known = !self.kind(case).gather(&self.records, &[]).benchmark.scaling.is_empty();
            let listed = self.cases.listed.iter().filter(|other| other.absence.is_none());
            let related = listed.filter(|other| is_sibling(&other.id, &case.id));
            let siblings: Vec<&CaseId> = related.map(|other| &other.id).collect();
            if known || siblings.iter().any(|id| is_wanted(id)) {
                continue;
            }
            // Suites list shapes by size: the first and the last differ most.
            let ends = siblings.first().into_iter().chain(siblings.last());
            chosen.extend(ends.take(SIBLINGS).map(|id| (*id).clone()));
        }
        chosen.into_iter().map(|id| (id, OF_SIBLING)).collect()
    }

    fn suite(&self, case: &CaseId) -> Result<&Suite> {
        let suite = self.cases.suite_of(case).and_then(|index| self.suites.get(index));
        suite.with_context(|| format!("no suite makes {case}"))
    }

    /// A suite whose results go elsewhere. It finds there what was found here.
    fn suite_apart(&self, case: &CaseId) -> Result<Suite> {
        let (here, apart) = (&self.context.state, self.context.state.join(LOADED));
        let failed = || format!("failed to make {}", apart.display());
        fs::create_dir_all(&apart).with_context(failed)?;
        for entry in fs::read_dir(here).with_context(failed)? {
            let path = entry.with_context(failed)?.path();
            let name = path.file_name().unwrap_or_default();
            let text = name.to_string_lossy();
            if text.starts_with("findings-") && path.is_file() {
                fs::copy(&path, apart.join(name)).with_context(failed)?;
            } else if ["references", "digests"].contains(&&*text) && !apart.join(name).exists() {
                std::os::unix::fs::symlink(&path, apart.join(name)).with_context(failed)?;
            }
        }
        let mut suite = self.suite(case)?.clone();
        suite.variables.push((proofmark::env::STATE, apart.into_os_string()));
        Ok(suite)
    }

    /// So many that they do not take too long: of a case that was never timed, few.
    fn samples(&self, case: &CaseId) -> usize {
        let timed = self.records.iter().filter(|record| record.case == *case);
        let latency_ns = timed.rev().find_map(|r| r.samples.latency_ns.first().copied());
        let fits = latency_ns.is_some_and(|ns| {
            Duration::from_secs_f64(ns * 1e-9 * self.args.samples as f64) <= LONG
        });
        if fits { self.args.samples } else { self.args.samples.min(FEWEST_SAMPLES) }
    }
}

impl Session<'_, '_> {
    /// A process of each case that still needs one, in an order of chance; again, until none does.
    fn rounds(&mut self, cases: Vec<(CaseId, usize)>, loaded: bool) -> Result<()> {
        let most = cases.iter().map(|(_, needed)| *needed).max().unwrap_or(0);
        for round in 0..most {
            let mut order: Vec<&CaseId> =
                cases.iter().filter(|(_, needed)| *needed > round).map(|(id, _)| id).collect();
            self.random.shuffle(&mut order);
            for case in order {
                if !self.failed.contains(case) {
                    self.step(case, loaded)?;
                }
            }
        }
        Ok(())
    }

    /// One process of a case, if the budget has room for it.
    fn step(&mut self, case: &CaseId, loaded: bool) -> Result<()> {
        let expected = self.took.get(case).copied().unwrap_or_default();
        if self.since.elapsed() + expected > self.known.args.budget {
            self.left_out += 1;
            return Ok(());
        }
        let mut flags = self.known.args.batch_flags();
        flags.extend(["--samples".to_owned(), self.known.samples(case).to_string()]);
        self.bar.set_message(format!("{case}{}", if loaded { " under load" } else { "" }));
        let (record, took) = if loaded {
            let suite = self.known.suite_apart(case)?;
            let _load = Load::put();
            runs::run_with(&suite, case, &flags)?
        } else {
            runs::run_with(self.known.suite(case)?, case, &flags)?
        };
        self.took.insert(case.clone(), took);
        if record.outcome != Outcome::Passed {
            self.failed.insert(case.clone());
        }
        if loaded {
            self.known.loaded.push(record)
        } else {
            self.known.records.push(record)
        }
        Ok(())
    }
}
