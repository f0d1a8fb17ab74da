//! What there is to tell: regressions and broken cases, and what has become well again; from a gate's result or from
//! change points.

use anyhow::{Context as _, Result, bail};
use proofmark_lab::figures::{bytes, duration_ns, percent, three_digits};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// The newest format of `gate.json`, and of change points, that is known here.
const FORMAT: u64 = 1;

/// How many commits are shown of one change.
const SHOWN: usize = 3;

/// Everything that a file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// What is to be told once.
    pub(super) news: Vec<News>,
    /// What may end an issue.
    pub(super) recoveries: Vec<Recovery>,
}

/// A regression, or a case that does not run any more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct News {
    pub(super) kind: Kind,
    pub(super) case: String,
    pub(super) metric: String,
    /// The machine and the mark, where there is a series for each; nothing for a gate.
    pub(super) series: Option<String>,
    /// By what it is known again: the head of a gate, or the commits of a change point.
    pub(super) points: Vec<String>,
    pub(super) before: Option<f64>,
    pub(super) after: Option<f64>,
    pub(super) unit: Option<String>,
    /// Relative: after / before - 1.
    pub(super) effect: Option<f64>,
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    pub(super) p: Option<f64>,
    pub(super) severity: Option<f64>,
    pub(super) reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Regressed,
    Broken,
}

/// A case that ran, and was not slower.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recovery {
    pub(super) case: String,
    pub(super) metric: String,
    pub(super) points: Vec<String>,
    /// The relative change against the base of a gate; nothing if no regression of the whole history stands.
    pub(super) effect: Option<f64>,
}

#[derive(Deserialize)]
struct Gate {
    head: Head,
    cases: Vec<Judged>,
}

#[derive(Deserialize)]
struct Head {
    commit: String,
    #[serde(default)]
    dirty: bool,
}

#[derive(Deserialize)]
struct Judged {
    id: String,
    metric: String,
    verdict: String,
    reason: Option<String>,
    effect: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    p: Option<f64>,
    base_value: Option<f64>,
    head_value: Option<f64>,
    unit: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(alias = "case_id")]
    case: String,
    metric: Option<String>,
    unit: Option<String>,
    machine: Option<String>,
    mark: Option<String>,
    #[serde(default)]
    fallbacks: bool,
    change_points: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    before: f64,
    after: f64,
    p: Option<f64>,
    severity: Option<f64>,
    time: Option<Value>,
    index: Option<u64>,
    #[serde(default)]
    commits: Vec<Value>,
    /// The first result after it.
    first_after: Option<Value>,
    attribution: Option<Attribution>,
}

/// Whatever may have been the cause.
#[derive(Deserialize)]
struct Attribution {
    #[serde(default)]
    commits: Vec<Value>,
}

/// Reads the result of a gate.
pub(super) fn of_gate(path: &Path) -> Result<Found> {
    let value = read(path)?;
    if !(value["format"].is_u64() && value["cases"].is_array()) {
        bail!("{} is not a gate.json: it has no `format` or no list `cases`", path.display());
    }
    refuse_newer(&value, path)?;
    let gate = Gate::deserialize(value)
        .with_context(|| format!("failed to understand the gate.json {}", path.display()))?;
    Ok(judge(gate))
}

/// Reads series with their change points.
pub(super) fn of_history(path: &Path) -> Result<Found> {
    let mut value = read(path)?;
    refuse_newer(&value, path)?;
    if let Some(series) = value.get_mut("series") {
        value = series.take();
    }
    let series = Vec::<Series>::deserialize(value).with_context(|| {
        format!(
            "{} is not what `cargo xtask history --format json` prints of the store",
            path.display()
        )
    })?;
    Ok(follow(&series))
}

fn read(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn refuse_newer(value: &Value, path: &Path) -> Result<()> {
    match value["format"].as_u64() {
        Some(format) if format > FORMAT => bail!(
            "{} is of format {format}, this version reads up to {FORMAT}: use a newer Proofmark",
            path.display()
        ),
        _ => Ok(()),
    }
}

fn judge(gate: Gate) -> Found {
    let dirty = if gate.head.dirty { "+dirty" } else { "" };
    let points = vec![format!("{}{dirty}", gate.head.commit)];
    let mut found = Found::default();
    for case in gate.cases {
        let kind = match case.verdict.as_str() {
            "regressed" => Kind::Regressed,
            "broken" => Kind::Broken,
            verdict @ ("improved" | "equivalent") => {
                // A difference that is equivalent to none is noise, and must not add up.
                let effect = case.effect.filter(|_| verdict == "improved").unwrap_or(0.0);
                found.recoveries.push(Recovery {
                    case: case.id,
                    metric: case.metric,
                    points: points.clone(),
                    effect: Some(effect),
                });
                continue;
            }
            _ => continue,
        };
        found.news.push(News {
            kind,
            case: case.id,
            metric: case.metric,
            series: None,
            points: points.clone(),
            before: case.base_value,
            after: case.head_value,
            unit: case.unit,
            effect: case.effect,
            low: case.low,
            high: case.high,
            p: case.p,
            severity: None,
            reason: case.reason,
        });
    }
    found
}

fn follow(all: &[Series]) -> Found {
    let mut found = Found::default();
    for series in all {
        found.news.extend(standing(series).map(|change| regression(series, change)));
    }
    for series in all {
        let metric = series.metric();
        let same = |case: &str, other: &str| case == series.case && other == metric;
        if !found.news.iter().any(|news| same(&news.case, &news.metric))
            && !found.recoveries.iter().any(|known| same(&known.case, &known.metric))
        {
            found.recoveries.push(Recovery {
                case: series.case.clone(),
                metric: metric.to_owned(),
                points: Vec::new(),
                effect: None,
            });
        }
    }
    found
}

/// The regressions of which at least half is left at the end of the series.
fn standing(series: &Series) -> impl Iterator<Item = &Change> {
    let now = series.change_points.last().map(|change| change.after);
    series.change_points.iter().filter(move |change| {
        // Of everything that a history holds, less is better.
        let step = change.after - change.before;
        let left = now.map(|now| now - change.before);
        step > 0.0 && left.is_some_and(|left| left > step / 2.0)
    })
}

fn regression(series: &Series, change: &Change) -> News {
    let fallbacks = series.fallbacks.then_some("with fallbacks");
    let place = [series.machine.as_deref(), series.mark.as_deref(), fallbacks];
    let place: Vec<_> = place.into_iter().flatten().collect();
    News {
        kind: Kind::Regressed,
        case: series.case.clone(),
        metric: series.metric().to_owned(),
        series: (!place.is_empty()).then(|| place.join(", ")),
        points: change.points(),
        before: Some(change.before),
        after: Some(change.after),
        unit: series.unit().map(str::to_owned),
        effect: (change.before != 0.0).then(|| change.after / change.before - 1.0),
        low: None,
        high: None,
        p: change.p,
        severity: change.severity,
        reason: None,
    }
}

impl Series {
    /// A series without one is of latencies.
    fn metric(&self) -> &str {
        self.metric.as_deref().unwrap_or("latency")
    }

    fn unit(&self) -> Option<&str> {
        self.unit.as_deref().or((self.metric() == "latency").then_some("ns"))
    }
}

impl Change {
    /// Its commits: of its first result, those that may be the cause, and those that are named; else its time; else its
    /// place in the series.
    fn points(&self) -> Vec<String> {
        let first = self.first_after.iter();
        let causes = self.attribution.iter().flat_map(|found| &found.commits);
        let mut commits: Vec<String> = Vec::new();
        for commit in first.chain(causes).chain(&self.commits) {
            let id = [commit, &commit["commit"], &commit["id"]].into_iter().find_map(Value::as_str);
            match id {
                Some(id) if !id.is_empty() && !commits.iter().any(|known| known == id) => {
                    commits.push(id.to_owned());
                }
                _ => {}
            }
        }
        match (&self.time, self.index) {
            _ if !commits.is_empty() => commits,
            (Some(Value::String(time)), _) => vec![time.clone()],
            (Some(time), _) => vec![time.to_string()],
            (None, Some(index)) => vec![format!("point {index}")],
            (None, None) => vec![format!("{} to {}", self.before, self.after)],
        }
    }
}

impl News {
    /// `bert-tiny/cpu/f32/b1-s16: latency regressed by 5.00 %`
    pub(super) fn title(&self) -> String {
        let (case, metric) = (plain(&self.case), plain(&self.metric));
        match (self.kind, self.effect) {
            (Kind::Broken, _) => format!("{case}: {metric} is broken"),
            (Kind::Regressed, None) => format!("{case}: {metric} regressed"),
            (Kind::Regressed, Some(effect)) => {
                format!("{case}: {metric} regressed by {}", percent(effect.abs()))
            }
        }
    }

    /// What else is known, one line each.
    pub(super) fn details(&self) -> Vec<String> {
        let value = |value| figure(value, self.unit.as_deref());
        let mut lines = Vec::new();
        if let (Some(before), Some(after)) = (self.before, self.after) {
            lines.push(format!("from {} to {}", value(before), value(after)));
        }
        if let (Some(low), Some(high)) = (self.low, self.high) {
            lines.push(format!("change between {} and {}", percent(low), percent(high)));
        }
        // Three digits of a small p would be zeros.
        lines.extend(self.p.map(|p| match p {
            0.01.. => format!("p {}", three_digits(p)),
            _ => format!("p {p:.1e}"),
        }));
        lines.extend(self.severity.map(|severity| format!("severity {severity:.2}")));
        lines.extend(self.reason.as_deref().map(|reason| format!("reason: {}", plain(reason))));
        lines.extend(self.series.as_deref().map(|series| format!("on {}", plain(series))));
        let more = self.points.len().saturating_sub(SHOWN);
        let shown = plain(&self.points[..self.points.len() - more].join(", "));
        lines.push(match more {
            0 => format!("at {shown}"),
            more => format!("at {shown} and {more} more"),
        });
        lines
    }
}

/// A value as people read it.
fn figure(value: f64, unit: Option<&str>) -> String {
    match unit {
        Some("ns") => duration_ns(value),
        Some("B" | "bytes") if value >= 0.0 => bytes(value as u64),
        None | Some("") => three_digits(value),
        Some(unit) => format!("{} {}", three_digits(value), plain(unit)),
    }
}

/// Text of others on one line, without what Markdown would take for the end of code.
pub(super) fn plain(text: &str) -> String {
    let safe = |c: char| match c {
        '`' => '\'',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn series(metric: &str, levels: &[f64]) -> Series {
        let change = |(index, pair): (usize, &[f64])| json!({ "before": pair[0], "after": pair[1], "p": 0.001, "commits": [{ "commit": format!("c{index}") }] });
        let changes: Vec<_> = levels.windows(2).enumerate().map(change).collect();
        serde_json::from_value(
            json!({ "case": "a/cpu/f32/b1", "metric": metric, "change_points": changes }),
        )
        .unwrap()
    }

    /// The commits of the regressions that stand.
    #[track_caller]
    fn check(levels: &[f64], expected: &[&str]) {
        let found = follow(&[series("latency", levels)]);
        let points: Vec<_> = found.news.iter().flat_map(|news| news.points.clone()).collect();
        assert_eq!(points, expected);
        assert_eq!(found.recoveries.len(), usize::from(expected.is_empty()));
    }

    #[test]
    fn a_regression_stands_until_more_than_half_of_it_is_undone() {
        check(&[100.0, 110.0], &["c0"]);
        check(&[100.0, 110.0, 120.0], &["c0", "c1"]);
        check(&[100.0, 110.0, 108.0], &["c0"]);
        check(&[100.0, 110.0, 104.0], &[]);
        check(&[100.0, 110.0, 120.0, 100.0], &[]);
        check(&[100.0, 90.0], &[]);
    }

    #[test]
    fn what_history_prints_is_understood() {
        let point =
            |commit: &str| json!({ "record": "r", "commit": commit, "latency_ns_median": 1.0 });
        let causes = json!([{ "id": "c3", "subject": "x", "rank": "other-code" }, { "id": "c2" }, { "id": "c1" }, { "id": "c0" }]);
        let change = json!({ "index": 7, "time": "t", "before": 1e6, "after": 2e6, "relative": 1.0, "p": 0.001, "severity": 0.5,
            "last_before": point("c9"), "first_after": point("c3"),
            "attribution": { "environment": [], "parts": [], "commits": causes, "notes": [] } });
        let series = json!([{ "suite": "s", "case_id": "a/cpu/f32/b1", "machine": "m", "mark": "real", "fallbacks": true,
            "points": [], "too_short": false, "change_points": [change], "drifts": [], "spikes": [], "noise": null }]);
        let found = follow(&Vec::<Series>::deserialize(series).unwrap());
        let news = &found.news[0];
        assert_eq!(
            (&*news.case, news.series.as_deref()),
            ("a/cpu/f32/b1", Some("m, real, with fallbacks"))
        );
        assert_eq!(news.points, ["c3", "c2", "c1", "c0"]);
        let details = news.details().join("; ");
        assert!(
            details.contains("from 1.00 ms to 2.00 ms")
                && details.ends_with("at c3, c2, c1 and 1 more"),
            "{details}"
        );
    }

    #[test]
    fn one_machine_that_is_slower_keeps_a_case_from_being_well() {
        let found = follow(&[series("latency", &[1.0, 2.0]), series("latency", &[1.0, 0.9])]);
        assert_eq!((found.news.len(), found.recoveries.len()), (1, 0));
    }

    #[test]
    fn only_what_is_worse_is_news() {
        let case = |verdict: &str| json!({ "id": verdict, "metric": "latency", "verdict": verdict, "effect": 0.05 });
        let verdicts = [
            "regressed",
            "improved",
            "equivalent",
            "undecided",
            "unaffected",
            "broken",
            "incomparable",
        ];
        let cases: Vec<_> = verdicts.iter().map(|verdict| case(verdict)).collect();
        let gate = json!({ "head": { "commit": "abc", "dirty": true }, "cases": cases });
        let found = judge(serde_json::from_value(gate).unwrap());
        let names = |cases: Vec<&String>| cases.into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(names(found.news.iter().map(|n| &n.case).collect()), ["regressed", "broken"]);
        assert_eq!(
            names(found.recoveries.iter().map(|r| &r.case).collect()),
            ["improved", "equivalent"]
        );
        assert_eq!(found.news[0].points, ["abc+dirty"]);
        assert_eq!(found.news[0].title(), "regressed: latency regressed by 5.00 %");
    }

    #[test]
    fn text_of_others_ends_no_line_and_no_code() {
        assert_eq!(plain("a`b\r\nBcc: c"), "a'b  Bcc: c");
    }
}
