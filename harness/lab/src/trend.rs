//! Trends: the stored results of one kind in the order of time, and where they changed.
//!
//! Pure: rows come from `store`, change points from `history`, and why there was a change is `attribution`. Results of
//! different cases, machines or marks are never in one trend, nor are those with and without fallbacks.

use crate::attribution::Attribution;
use crate::history::input::Series;
use crate::history::{ChangePoint, Drift, HistoryError, Noise, Options, SHORTEST, Spike};
use globset::{Glob, GlobMatcher};
use jiff::Timestamp;
use proofmark::{CaseId, Mark};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// One result that passed and was timed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The id of its record.
    pub record: String,
    /// When its run ended.
    pub recorded_at: Timestamp,
    /// The median of its samples, in nanoseconds.
    pub latency_ns_median: f64,
    /// Their scaled median absolute deviation, in nanoseconds; nothing where the median is zero.
    pub latency_ns_spread: Option<f64>,
    /// The commit of the workspace as it was recorded: with `-dirty` if files differed, empty outside git.
    pub commit: String,
    /// The digest of its fingerprint.
    pub fingerprint: String,
    /// What it was measured with.
    #[serde(skip)]
    pub facts: Facts,
}

/// What a result was measured with, besides the code. The machine is the same within a trend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The compiler.
    pub rustc: String,
    /// The optimisation.
    pub profile: String,
    /// The adapter's own name.
    pub adapter: String,
    /// The driver and its version.
    pub driver: String,
}

/// What results must have in common to be comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The case; it names the endpoint.
    pub case_id: CaseId,
    /// The key of the machine.
    pub machine: String,
    /// The mark.
    pub mark: Mark,
    /// Whether ops ran elsewhere than on the device.
    pub fallbacks: bool,
}

/// A stored result: its suite, its kind, and the point that it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The name of the suite.
    pub suite: String,
    /// What it is comparable with.
    pub kind: Kind,
    /// The result.
    pub point: Point,
}

/// The results of one kind, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// The suite of the newest of them.
    pub suite: String,
    /// What they have in common.
    #[serde(flatten)]
    pub kind: Kind,
    /// The results in the order in which they were recorded.
    pub points: Vec<Point>,
}

/// A trend, and what was found in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysed {
    /// The results.
    #[serde(flatten)]
    pub trend: Trend,
    /// It has fewer than [`SHORTEST`] results, so nothing can be said of it.
    pub too_short: bool,
    /// Steps from one lasting level to another, in order.
    pub change_points: Vec<Change>,
    /// Slow slopes, in order.
    pub drifts: Vec<Drift>,
    /// Single outliers and short bursts, in order.
    pub spikes: Vec<Spike>,
    /// The noise around the levels; nothing where the trend is too short.
    pub noise: Option<Noise>,
}

/// A change point between two results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What was found.
    #[serde(flatten)]
    pub found: ChangePoint,
    /// The last result before it.
    pub last_before: Point,
    /// Its first result.
    pub first_after: Point,
    /// What may have been the cause.
    pub attribution: Attribution,
}

/// Puts results of one kind together, in the order in which they were recorded. The trends are in the order of their
/// cases, machines and marks.
pub fn trends(rows: Vec<Row>) -> Vec<Trend> {
    let mut by_kind: BTreeMap<_, Trend> = BTreeMap::new();
    let mut rows = rows;
    rows.sort_by(|a, b| {
        let key = |row: &Row| row.point.recorded_at;
        key(a).cmp(&key(b)).then_with(|| a.point.record.cmp(&b.point.record))
    });
    for Row { suite, kind, point } in rows {
        let key = (kind.case_id.to_string(), kind.machine.clone(), kind.mark, kind.fallbacks);
        let new = || Trend { suite: String::new(), kind, points: Vec::new() };
        let trend = by_kind.entry(key).or_insert_with(new);
        trend.suite = suite;
        trend.points.push(point);
    }
    by_kind.into_values().collect()
}

/// Finds the change points, drifts and spikes of each, on all processors.
///
/// # Errors
/// See [`crate::history::analyse`].
pub fn analyse(trends: Vec<Trend>, options: &Options) -> Result<Vec<Analysed>, HistoryError> {
    trends.into_par_iter().map(|trend| trend.analyse(options)).collect()
}

impl Trend {
    /// Finds its change points, drifts and spikes. What caused them is still to be said.
    ///
    /// # Errors
    /// See [`crate::history::analyse`].
    pub fn analyse(self, options: &Options) -> Result<Analysed, HistoryError> {
        let times = self.points.iter().map(|p| p.recorded_at.to_string().into()).collect();
        let values = self.points.iter().map(|point| point.latency_ns_median).collect();
        let found = Series { values, times, sorted: false }.analyse(options)?;
        let too_short = self.points.len() < SHORTEST;
        let change = |found: ChangePoint| Change {
            last_before: self.points[found.index - 1].clone(),
            first_after: self.points[found.index].clone(),
            attribution: Attribution::default(),
            found,
        };
        Ok(Analysed {
            change_points: found.change_points.into_iter().map(change).collect(),
            drifts: found.drifts,
            spikes: found.spikes,
            noise: (!too_short).then_some(found.noise),
            too_short,
            trend: self,
        })
    }
}

/// Which cases are asked for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    globs: Vec<GlobMatcher>,
    endpoints: Vec<String>,
}

/// Why a selection selects nothing.
#[derive(Debug, Error)]
pub enum SelectionError {
    /// No glob.
    #[error("the glob `{glob}` cannot be read")]
    Glob {
        /// What was given.
        glob: String,
        /// Why.
        source: globset::Error,
    },
    /// A glob over nothing.
    #[error(
        "no timed result is of a case that `{0}` matches: ids are model/endpoint/precision/shape"
    )]
    NoCase(String),
    /// An endpoint without results.
    #[error("there is no timed result of the endpoint `{name}`; there are some of {known}")]
    NoEndpoint {
        /// What was given.
        name: String,
        /// Those that have results.
        known: String,
    },
    /// Cases and endpoints that do not meet.
    #[error("none of the cases that --case matches is of an endpoint that --endpoint names")]
    Apart,
}

impl Selection {
    /// Cases that one of the globs matches, on one of the endpoints; an empty list leaves nothing out.
    ///
    /// # Errors
    /// A glob cannot be read.
    pub fn new(globs: &[String], endpoints: Vec<String>) -> Result<Self, SelectionError> {
        // A `*` crosses `/`, as in every other filter over case ids.
        let compile = |glob: &String| match Glob::new(glob) {
            Ok(compiled) => Ok(compiled.compile_matcher()),
            Err(source) => Err(SelectionError::Glob { glob: glob.clone(), source }),
        };
        Ok(Self { globs: globs.iter().map(compile).collect::<Result<_, _>>()?, endpoints })
    }

    /// Whether a glob matches this id, or nothing was said of cases.
    pub fn takes(&self, case: &str) -> bool {
        self.globs.is_empty() || self.globs.iter().any(|glob| glob.is_match(case))
    }

    /// The ids of the stored cases that are asked for.
    ///
    /// # Errors
    /// A glob or an endpoint that no stored case has, or no case that has both.
    pub fn choose(&self, stored: &[CaseId]) -> Result<BTreeSet<String>, SelectionError> {
        let ids: Vec<String> = stored.iter().map(ToString::to_string).collect();
        for glob in &self.globs {
            if !ids.iter().any(|id| glob.is_match(id)) {
                return Err(SelectionError::NoCase(glob.glob().to_string()));
            }
        }
        let known: BTreeSet<_> = stored.iter().map(|case| case.endpoint.as_str()).collect();
        for name in &self.endpoints {
            if !known.contains(name.as_str()) {
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(SelectionError::NoEndpoint { name: name.clone(), known });
            }
        }
        let there = |case: &CaseId| {
            self.endpoints.is_empty() || self.endpoints.iter().any(|e| e == case.endpoint.as_str())
        };
        let chosen = ids.into_iter().zip(stored).filter(|(id, case)| self.takes(id) && there(case));
        let chosen: BTreeSet<_> = chosen.map(|(id, _)| id).collect();
        if chosen.is_empty() && !stored.is_empty() {
            Err(SelectionError::Apart)
        } else {
            Ok(chosen)
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of this kind, so many hours after the epoch.
    pub(crate) fn row(case: &str, machine: &str, mark: Mark, hour: i64, latency_ns: f64) -> Row {
        let point = Point {
            record: format!("r-{hour:03}"),
            recorded_at: Timestamp::from_second(3600 * hour).unwrap(),
            latency_ns_median: latency_ns,
            latency_ns_spread: Some(0.01 * latency_ns),
            commit: format!("{hour:040x}"),
            fingerprint: "f".into(),
            facts: Facts::default(),
        };
        let case_id = case.parse().unwrap();
        let kind = Kind { case_id, machine: machine.into(), mark, fallbacks: false };
        Row { suite: "s".into(), kind, point }
    }

    const CASE: &str = "m/cpu/f32/b1";

    #[test]
    fn marks_machines_cases_and_fallbacks_are_never_joined() {
        let plain = row(CASE, "here", Mark::Real, 1, 1.0);
        let mut helped = plain.clone();
        helped.kind.fallbacks = true;
        let rows = vec![
            plain.clone(),
            helped,
            row(CASE, "there", Mark::Real, 2, 2.0),
            row(CASE, "here", Mark::Software, 3, 3.0),
            row("m/cpu/f32/b2", "here", Mark::Real, 4, 4.0),
            row(CASE, "here", Mark::Real, 5, 5.0),
        ];
        let found = trends(rows);
        let sizes: Vec<_> = found.iter().map(|trend| trend.points.len()).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1], "{found:?}");
        assert_eq!((&found[0].kind, found[0].points[1].latency_ns_median), (&plain.kind, 5.0));
    }

    #[test]
    fn results_are_in_the_order_of_their_times_and_the_newest_names_the_suite() {
        let mut rows: Vec<_> =
            [3, 1, 2].map(|hour| row(CASE, "here", Mark::Real, hour, 1.0)).into();
        rows[0].suite = "renamed".into();
        // Of one time, ids decide, so that the order does not depend on that of the rows.
        let mut twin = row(CASE, "here", Mark::Real, 2, 1.0);
        twin.point.record = "r-000".into();
        rows.push(twin);
        let found = trends(rows);
        let records: Vec<_> = found[0].points.iter().map(|p| p.record.as_str()).collect();
        assert_eq!(records, ["r-001", "r-000", "r-002", "r-003"]);
        assert_eq!(found[0].suite, "renamed");
    }

    #[test]
    fn a_change_stands_between_its_two_results() {
        let level = |hour: i64| if hour < 20 { 100.0 } else { 130.0 };
        let noise = |hour: i64| (hour * 37 % 11) as f64 / 10.0;
        let rows = (0..40).map(|h| row(CASE, "here", Mark::Real, h, level(h) + noise(h))).collect();
        let found = trends(rows).remove(0).analyse(&Options::default()).unwrap();
        let [change] = &found.change_points[..] else { panic!("{found:?}") };
        assert_eq!((&*change.last_before.record, &*change.first_after.record), ("r-019", "r-020"));
        assert_eq!(change.found.time, Some("1970-01-01T20:00:00Z".into()));
        assert!(!found.too_short && found.noise.is_some());
    }

    #[test]
    fn a_short_trend_says_so() {
        let short = |count: i64| {
            let rows = (0..count).map(|h| row(CASE, "here", Mark::Real, h, 1.0)).collect();
            trends(rows).remove(0).analyse(&Options::default()).unwrap()
        };
        assert!(short(5).too_short && short(5).noise.is_none());
        assert!(!short(6).too_short);
    }

    #[track_caller]
    fn check(globs: &[&str], endpoints: &[&str], expected: Result<&[&str], &str>) {
        let stored =
            ["a/cpu/f32/b1", "b/cpu/f32/b1", "b/abacus/f32/b1"].map(|id| id.parse().unwrap());
        let owned =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let chosen =
            Selection::new(&owned(globs), owned(endpoints)).and_then(|s| s.choose(&stored));
        match (chosen, expected) {
            (Ok(chosen), Ok(expected)) => assert!(chosen.iter().eq(expected), "{chosen:?}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (chosen, expected) => panic!("{chosen:?}, not {expected:?}"),
        }
    }

    #[test]
    fn globs_and_endpoints_select_what_they_name_and_nothing_is_an_error() {
        check(&[], &[], Ok(&["a/cpu/f32/b1", "b/abacus/f32/b1", "b/cpu/f32/b1"]));
        check(&["b/*"], &["cpu"], Ok(&["b/cpu/f32/b1"]));
        check(&["a/*", "*abacus*"], &[], Ok(&["a/cpu/f32/b1", "b/abacus/f32/b1"]));
        check(&["b/[*"], &[], Err("`b/[*` cannot be read"));
        check(&["b/*", "c/*"], &[], Err("`c/*`"));
        check(&[], &["gpu"], Err("there are some of abacus, cpu"));
        check(&["a/*"], &["abacus"], Err("none of the cases"));
    }
}
