//! Certifying the cases of the workspace: what its certificates still say, what has to be measured for that, and what
//! all records together are worth.

use super::{Args, shelf};
use crate::cases::Cases;
use crate::clock;
use crate::context::{Context, warn_of};
use crate::lock::Lock;
use crate::process;
use crate::suites::Suite;
use anyhow::{Context as _, Result, bail};
use proofmark::protocol::Listed;
use proofmark::record::{Line, Record};
use proofmark::{CaseId, Finding, journal};
use proofmark_lab::certify::certificate::{Certificate, Revocation, Standing};
use proofmark_lab::certify::records::Kind;
use proofmark_lab::certify::{Assessment, judge};
use proofmark_lab::report::certify::Told;
use std::collections::HashSet;
use std::path::Path;

/// What is known of a workspace: its cases, and what was measured.
pub(super) struct Known<'a> {
    pub(super) args: &'a Args,
    pub(super) context: &'a Context,
    pub(super) suites: Vec<Suite>,
    pub(super) cases: Cases,
    /// All results in the record files, and those that are measured meanwhile.
    pub(super) records: Vec<Record>,
    /// Results of processes that ran while the machine was loaded on purpose.
    pub(super) loaded: Vec<Record>,
    /// The key of this machine, and its boot.
    pub(super) machine: String,
    pub(super) boot: String,
}

/// Where the state of processes under load is: their results must not become the latest ones of the workspace.
pub(super) const LOADED: &str = "certify";

/// Says of every case that is asked for what its numbers are worth.
pub(super) fn run(args: &Args, context: &Context) -> Result<Vec<Told>> {
    let _lock = Lock::take(context)?;
    let suites = build(args, context)?;
    let mut flags = args.batch_flags();
    let cases = Cases::list(&suites, &flags)?;
    flags.extend(args.case.iter().flat_map(|glob| ["--filter".to_owned(), glob.clone()]));
    let chosen = Cases::list(&suites, &flags)?.listed;
    if chosen.is_empty() {
        bail!(
            "no case matches --case {:?}: `cargo xtask report coverage` shows what there is",
            args.case
        );
    }
    let here = proofmark::environment::environment(&context.root);
    let mut known = Known {
        args,
        context,
        suites,
        cases,
        records: read(&context.folders.records)?,
        loaded: read(&context.state.join(LOADED).join("records"))?,
        machine: here.machine,
        boot: here.boot,
    };
    let kept: Vec<Option<Certificate>> = chosen.iter().map(|case| known.kept(case)).collect();
    let cases = || chosen.iter().zip(&kept);
    if !args.dry_run {
        let wanted = cases().filter(|(case, kept)| known.is_wanted(case, kept.as_ref()));
        let wanted: Vec<&Listed> = wanted.map(|(case, _)| case).collect();
        known.measure(&wanted)?;
    }
    let told = cases().map(|(case, kept)| known.told(case, kept.clone())).collect();
    if !args.dry_run {
        // Results of this session are results like all others, and certificates are asked about beside them.
        drop(context.ingest()?);
    }
    told
}

/// Builds the suites and lets them probe.
fn build(args: &Args, context: &Context) -> Result<Vec<Suite>> {
    let mut suites = context.workspace.build()?;
    for suite in &mut suites {
        let length = format!("{}ms", args.measure_for.as_millis().max(1));
        suite.variables.push((proofmark::env::MEASURE_FOR, length.into()));
        let _: Vec<Finding> = process::ask(suite, &["probe".to_owned()])?;
    }
    Ok(suites)
}

/// All results in the record files of a folder, each once: what was put together or thinned may be there twice after a
/// kill, and of two the one with its samples says more.
fn read(folder: &Path) -> Result<Vec<Record>> {
    let failed = || format!("failed to read the records in {}", folder.display());
    let mut records = Vec::new();
    for path in journal::files(folder).with_context(failed)? {
        let chunk = journal::read(&path, 0).with_context(failed)?;
        warn_of(&chunk.faults);
        records.extend(chunk.lines.into_iter().filter_map(|line| match line {
            Line::Result(record) => Some(record),
            Line::Probe(_) => None,
        }));
    }
    records.sort_by_key(|record: &Record| record.samples.summary.is_some());
    let mut seen = HashSet::new();
    records.retain(|record| seen.insert(record.id.clone()));
    Ok(records)
}

impl Args {
    /// The flags that decide which cases there are.
    pub(super) fn batch_flags(&self) -> Vec<String> {
        if self.batch.is_empty() {
            return Vec::new();
        }
        let sizes: Vec<_> = self.batch.iter().map(ToString::to_string).collect();
        vec!["--batch".to_owned(), sizes.join(",")]
    }
}

impl Known<'_> {
    /// The certificate of a case on this machine.
    fn kept(&self, case: &Listed) -> Option<Certificate> {
        shelf::read(self.context, &case.id).filter(|kept| kept.machine == self.machine)
    }

    /// Whether a case has to be measured.
    fn is_wanted(&self, case: &Listed, kept: Option<&Certificate>) -> bool {
        let holds = kept.is_some_and(|kept| self.standing(case, kept) == Standing::Holds);
        case.absence.is_none() && (self.args.renew || !holds)
    }

    fn standing(&self, case: &Listed, kept: &Certificate) -> Standing {
        kept.standing(clock::now(), &case.fingerprint, &self.records, &self.loaded)
    }

    /// What makes results of a case as it is now comparable.
    pub(super) fn kind<'c>(&'c self, case: &'c Listed) -> Kind<'c> {
        Kind { case: &case.id, machine: &self.machine, fingerprint: &case.fingerprint.digest }
    }

    /// What is said of a case; its certificate is issued, renewed or revoked.
    fn told(&self, case: &Listed, kept: Option<Certificate>) -> Result<Told> {
        if let Some(absence) = &case.absence {
            return Ok(Told::fault(case.id.to_string(), absence.reason()));
        }
        let standing = kept.as_ref().map(|kept| self.standing(case, kept));
        let id = case.id.to_string();
        if standing == Some(Standing::Holds) && !self.args.renew && !self.args.dry_run {
            let mark = kept.as_ref().map(|kept| kept.mark);
            return Ok(Told {
                id,
                mark,
                fault: None,
                assessment: None,
                certificate: kept,
                standing,
            });
        }
        let gathered = self.kind(case).gather(&self.records, &self.loaded);
        let found = judge(&gathered.benchmark);
        let fault = (found.processes == 0).then(|| self.why_nothing(&case.id));
        let mark = gathered.mark;
        let told = Told { id, mark, fault, assessment: Some(found), certificate: kept, standing };
        if self.args.dry_run {
            return Ok(told);
        }
        let found = told.assessment.as_ref().context("it was judged")?;
        let (kind, now) = (self.kind(case), clock::now());
        match Certificate::issue(found, &gathered, &kind, &case.fingerprint, now) {
            Some(issued) => {
                shelf::keep(self.context, &issued)?;
                Ok(Told { certificate: Some(issued), standing: Some(Standing::Holds), ..told })
            }
            None => self.revoke(told),
        }
    }

    /// Revokes the certificate of a case that gets no new one.
    fn revoke(&self, told: Told) -> Result<Told> {
        let (Some(mut kept), Some(standing)) = (told.certificate.clone(), told.standing.clone())
        else {
            return Ok(told);
        };
        if kept.revoked.is_some() {
            return Ok(told);
        }
        let reason = match standing {
            Standing::Revoked(reason) => reason,
            Standing::Holds | Standing::Expired => again(told.assessment.as_ref()),
        };
        kept.revoked = Some(Revocation { at: clock::now(), reason: reason.clone() });
        shelf::keep(self.context, &kept)?;
        Ok(Told { certificate: Some(kept), standing: Some(Standing::Revoked(reason)), ..told })
    }

    /// Why there is no process of a case.
    fn why_nothing(&self, case: &CaseId) -> String {
        let runs = self.records.iter().filter(|record| record.case == *case);
        match runs.max_by_key(|record| record.recorded_at).and_then(|run| run.message.as_deref()) {
            Some(why) => format!("no process passed: {}", why.lines().next().unwrap_or(why)),
            None => "no process of this code was measured on this machine".to_owned(),
        }
    }
}

/// Why a case that was judged again lost its certificate.
fn again(found: Option<&Assessment>) -> String {
    let Some(found) = found else { return "it was not judged".to_owned() };
    let why = match (&found.reasons[..], found.missing.first()) {
        ([], Some(missing)) => missing.clone(),
        (reasons, _) => reasons.join(", "),
    };
    format!("judged again it is {}: {why}", found.level.name())
}
