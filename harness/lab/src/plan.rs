//! What has to be run: wanted cases minus those with a valid result, each with its reason, most valuable first.
//!
//! Pure: what is stored comes from `store`, what is wanted from the suites, the time from the caller.
//!
//! # Order
//! Cases that a critical glob matches come first, in the order of the globs. The rest, and equals, are ordered
//! by value per expected second, then by id. The value is a weight of the reason: 4 for a case without a result
//! and for one whose result no longer describes the code or what is allowed, 2 for a failure, age ÷ allowed age (at most 4) for a
//! stale result, noise ÷ allowed noise (at most 2) for a noisy one, 1 if it is only forced. The expected time is
//! what the last run of the case took and [`OVERHEAD_SECONDS`], the timeout if it ended there, or
//! [`DEFAULT_SECONDS`].

use globset::{Glob, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use proofmark::fingerprint::changed_parts;
use proofmark::protocol::Listed;
use proofmark::record::Outcome;
use proofmark::settings::Settings;
use proofmark::{Absence, CaseId, Mark, Part};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Expected seconds of a case that never ran: warm-up, measured phase and start of the process.
pub const DEFAULT_SECONDS: f64 = 3.5;
/// What a run takes besides what its record tells: start, verification, warm-up.
pub const OVERHEAD_SECONDS: f64 = 1.0;
/// Spread above which a result is measured again, as [`crate::stats::relative_noise`] has it.
pub const NOISE_LIMIT: f64 = 0.05;
/// So many noisy results in a row are the noise floor of the case: another run would not help.
pub const NOISY_RUNS: usize = 3;

/// What is stored of a case on this machine: its latest measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// Digest of its fingerprint.
    pub fingerprint: String,
    /// Parts of its fingerprint; filled only where the digest is not the wanted one.
    pub parts: Vec<Part>,
    /// When it ended.
    pub recorded_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What its numbers prove; nothing if it opened no device.
    pub mark: Option<Mark>,
    /// Relative noise of the latest results with this fingerprint, newest first, at most [`NOISY_RUNS`].
    pub noise: Vec<f64>,
    /// What the run took, in seconds, as far as its record tells.
    pub seconds: f64,
    /// Ops ran elsewhere than on the device.
    pub fell_back: bool,
}

/// What is stored, by case id.
pub type Stored = HashMap<String, Past>;

/// What a plan depends on besides the cases.
#[derive(Clone, Debug)]
pub struct Options {
    /// Now.
    pub now: Timestamp,
    /// Results older than this are stale.
    pub max_age: Option<Duration>,
    /// Every case that is there is planned.
    pub force: bool,
    /// Results noisier than this are measured again.
    pub noise_limit: f64,
    /// Which cases come first.
    pub critical: Critical,
    /// The time after which a case is killed.
    pub timeout: Duration,
    /// Ops that a device cannot do may run elsewhere.
    pub allow_fallback: bool,
}

impl Options {
    /// No age limit, nothing forced or critical, [`NOISE_LIMIT`].
    pub fn new(now: Timestamp) -> Self {
        let critical = Critical::default();
        let timeout = Settings::default().timeout;
        let (max_age, force, allow_fallback) = (None, false, false);
        Self { now, max_age, force, noise_limit: NOISE_LIMIT, critical, timeout, allow_fallback }
    }
}

/// Globs over case ids, most critical first.
#[derive(Clone, Debug, Default)]
pub struct Critical(GlobSet);

impl Critical {
    /// Compiles the globs.
    pub fn new<S: AsRef<str>>(globs: impl IntoIterator<Item = S>) -> Result<Self, globset::Error> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(Glob::new(glob.as_ref())?);
        }
        set.build().map(Self)
    }

    /// The place of the first glob that matches; the largest number for a case that is not critical.
    fn rank(&self, id: &str) -> usize {
        self.0.matches(id).first().copied().unwrap_or(usize::MAX)
    }
}

/// Why a case is planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Reason {
    /// It has no result on this machine.
    Missing,
    /// Its result is of other code, weights, drivers or tools.
    Changed {
        /// The names of the parts of the fingerprint that differ.
        parts: Vec<String>,
    },
    /// It did not pass.
    Failed {
        /// How it ended.
        outcome: Outcome,
    },
    /// Ops ran elsewhere than on the device, which the user does not allow now: another kind of result.
    Fallback,
    /// Its result is older than allowed.
    Stale {
        /// How old, in seconds.
        age_s: f64,
    },
    /// Its result spreads more than allowed.
    Noisy {
        /// Its relative noise.
        noise: f64,
    },
    /// Its result is valid, and the user wants another.
    Forced,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Changed { parts } if parts.is_empty() => f.write_str("changed"),
            Self::Changed { parts } => write!(f, "changed: {}", parts.join(", ")),
            Self::Failed { outcome } => write!(f, "failed before: {}", outcome.name()),
            Self::Fallback => f.write_str("ran in part elsewhere"),
            Self::Stale { age_s } if *age_s < 86_400.0 => write!(f, "stale: {age_s:.0} s old"),
            Self::Stale { age_s } => write!(f, "stale: {:.1} days old", age_s / 86_400.0),
            Self::Noisy { noise } => write!(f, "noisy: {:.1} %", 100.0 * noise),
            Self::Forced => f.write_str("forced"),
        }
    }
}

/// A case to be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The case.
    pub case_id: CaseId,
    /// Why it is run.
    pub reason: Reason,
    /// What a result is worth; see the order of plans.
    pub value: f64,
    /// What it is expected to take.
    pub expected_s: f64,
}

/// A case that cannot be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Skipped {
    /// The case.
    pub case_id: CaseId,
    /// Why not.
    pub reason: Absence,
}

/// What is run, what cannot be run, and how many need not be.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Cases to be run, in this order.
    pub entries: Vec<Entry>,
    /// Cases that are absent here.
    pub skipped: Vec<Skipped>,
    /// How many cases have a valid result.
    pub valid: usize,
}

/// Plans the wanted cases.
pub fn plan(wanted: &[Listed], stored: &Stored, options: &Options) -> Plan {
    let mut plan = Plan::default();
    let mut ranked = Vec::new();
    for case in wanted {
        if let Some(reason) = &case.absence {
            plan.skipped.push(Skipped { case_id: case.id.clone(), reason: reason.clone() });
            continue;
        }
        let id = case.id.to_string();
        let past = stored.get(&id);
        match reason(case, past, options) {
            None => plan.valid += 1,
            Some(reason) => {
                ranked.push((options.critical.rank(&id), entry(case, reason, past, options), id));
            }
        }
    }
    ranked.sort_unstable_by(|(rank_a, a, id_a), (rank_b, b, id_b)| {
        rank_a.cmp(rank_b).then_with(|| by_value(a, b)).then_with(|| id_a.cmp(id_b))
    });
    plan.entries = ranked.into_iter().map(|(_, entry, _)| entry).collect();
    plan
}

/// Why a case that is there has to be run, if it has to be: the first reason that holds.
fn reason(case: &Listed, past: Option<&Past>, options: &Options) -> Option<Reason> {
    let Some(past) = past else { return Some(Reason::Missing) };
    if past.fingerprint != case.fingerprint.digest {
        let parts = changed_parts(&past.parts, &case.fingerprint.parts);
        return Some(Reason::Changed { parts });
    }
    if past.outcome != Outcome::Passed {
        return Some(Reason::Failed { outcome: past.outcome });
    }
    if past.fell_back && !options.allow_fallback {
        return Some(Reason::Fallback);
    }
    let age = options.now.duration_since(past.recorded_at);
    if options.max_age.is_some_and(|max| age.as_secs_f64() > max.as_secs_f64()) {
        return Some(Reason::Stale { age_s: age.as_secs_f64() });
    }
    let noisy = |noise: &f64| *noise > options.noise_limit;
    let at_its_floor = past.noise.len() >= NOISY_RUNS && past.noise.iter().all(noisy);
    if let Some(&noise) = past.noise.first().filter(|noise| noisy(noise) && !at_its_floor) {
        return Some(Reason::Noisy { noise });
    }
    options.force.then_some(Reason::Forced)
}

fn entry(case: &Listed, reason: Reason, past: Option<&Past>, options: &Options) -> Entry {
    let value = match &reason {
        Reason::Missing | Reason::Changed { .. } | Reason::Fallback => 4.0,
        Reason::Failed { .. } => 2.0,
        Reason::Stale { age_s } => {
            let max = options.max_age.map_or(f64::INFINITY, |max| max.as_secs_f64());
            (age_s / max).min(4.0)
        }
        Reason::Noisy { noise } => (noise / options.noise_limit).min(2.0),
        Reason::Forced => 1.0,
    };
    let expected_s = match past {
        None => DEFAULT_SECONDS,
        Some(past) => match past.outcome {
            Outcome::Passed => past.seconds + OVERHEAD_SECONDS,
            // It told nothing of its time, and may well hang again.
            Outcome::TimedOut => options.timeout.as_secs_f64(),
            _ => past.seconds.max(DEFAULT_SECONDS),
        },
    };
    Entry { case_id: case.id.clone(), reason, value, expected_s }
}

/// More value per second first. Times are at least a millisecond, so that the quotient is finite.
fn by_value(a: &Entry, b: &Entry) -> Ordering {
    let rate = |entry: &Entry| entry.value / entry.expected_s.max(1e-3);
    rate(b).total_cmp(&rate(a))
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
