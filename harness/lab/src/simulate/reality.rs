//! Predictions beside the results that may grade them. A result grades a prediction if it is of the same case and place,
//! if its mark is the reality that the prediction is about, and if it was recorded after the prediction was made or is none
//! of those that taught it.

use super::grade::{Choice, Grade, Judged, choice, grade};
use super::interval::Confidence;
use super::learned::Learned;
use super::recorded::Recorded;
use crate::trend::{Kind, Point, Row};
use proofmark::{Endpoint, Mark};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Timed results of one kind in the order of time, with what a prediction must match.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Their suite.
    pub suite: String,
    /// Case, machine and mark.
    pub kind: Kind,
    /// The results.
    pub points: Vec<Fact>,
}

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What trends know of it.
    pub point: Point,
    /// The most memory that it took.
    pub peak_memory_bytes: Option<u64>,
}

/// A prediction with the results that grade it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair<'a> {
    /// The newest prediction that the latest result may grade.
    pub prediction: &'a Recorded,
    /// All results of this kind that may grade it.
    pub facts: Vec<&'a Fact>,
    /// The latest of them.
    pub latest: &'a Fact,
    /// Where they come from.
    pub series: &'a Series,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairing<'a> {
    /// The pairs, in the order of the series.
    pub pairs: Vec<Pair<'a>>,
    /// What could not be paired.
    pub left: Left,
}

/// How many were not graded, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Cases whose predictions all learned from their results, or were made after them by a fit of unknown records.
    pub learned: usize,
    /// Cases whose results have another mark than the reality that their predictions are about.
    pub other_mark: usize,
    /// Cases that ran, in part, elsewhere than on the device.
    pub fell_back: usize,
    /// Predictions of which no result is known.
    pub without_result: usize,
}

/// Puts predictions beside results.
pub fn pair<'a>(
    predictions: &'a [Recorded],
    lessons: &[Learned],
    all: &'a [Series],
) -> Pairing<'a> {
    let taught: HashMap<&str, &Learned> = lessons.iter().map(|l| (l.id.as_str(), l)).collect();
    let mut by_case: HashMap<[&str; 3], Vec<&Recorded>> = HashMap::new();
    for p in predictions {
        by_case.entry([&p.model, &p.shape, &p.precision]).or_default().push(p);
    }
    let (mut pairs, mut left) = (Vec::new(), Left::default());
    let mut with_result: Vec<&str> = Vec::new();
    for series in all {
        let case = &series.kind.case_id;
        let (shape, precision) = (case.shape.to_string(), case.precision.to_string());
        let key = [case.model.as_str(), shape.as_str(), precision.as_str()];
        let same = by_case.get(&key).into_iter().flatten().copied();
        let here: Vec<&Recorded> = same.filter(|p| is_of_place(p, series)).collect();
        if here.is_empty() {
            continue;
        }
        with_result.extend(here.iter().map(|p| p.id.as_str()));
        let of_mark: Vec<&Recorded> =
            here.into_iter().filter(|p| p.reality == series.kind.mark).collect();
        if of_mark.is_empty() {
            left.other_mark += 1;
        } else if series.kind.fallbacks {
            left.fell_back += 1;
        } else if let Some(found) = pair_of(&of_mark, &taught, series) {
            pairs.push(found);
        } else {
            left.learned += 1;
        }
    }
    with_result.sort_unstable();
    let has_none = |p: &&Recorded| with_result.binary_search(&p.id.as_str()).is_err();
    left.without_result = predictions.iter().filter(has_none).count();
    Pairing { pairs, left }
}

fn pair_of<'a>(
    predictions: &[&'a Recorded],
    taught: &HashMap<&str, &Learned>,
    series: &'a Series,
) -> Option<Pair<'a>> {
    let may_grade = |fact: &Fact, p: &Recorded| {
        let is_later = fact.point.recorded_at > p.made_at;
        let left_out = |lesson: &&Learned| !lesson.records.contains(&fact.point.record);
        // What learned from no record at all (a fit of operators) has its whole models left out, wherever they ran.
        is_later || p.machine.is_none() || taught.get(p.fit.as_str()).is_some_and(left_out)
    };
    let last = series.points.last()?;
    let admitted = predictions.iter().filter(|p| may_grade(last, p));
    let prediction = *admitted.max_by_key(|p| (p.made_at, &p.id))?;
    let facts: Vec<&Fact> =
        series.points.iter().filter(|fact| may_grade(fact, prediction)).collect();
    Some(Pair { prediction, latest: last, facts, series })
}

/// Whether the prediction is about where these results come from. What is predicted for a device is right on every
/// machine and endpoint that runs on it.
fn is_of_place(p: &Recorded, series: &Series) -> bool {
    match (&p.endpoint, &p.machine) {
        (Some(endpoint), Some(machine)) => {
            endpoint == series.kind.case_id.endpoint.as_str() && *machine == series.kind.machine
        }
        _ => {
            let adapter = series.points.last().map(|fact| fact.point.facts.adapter.as_str());
            adapter == Some(p.device.as_str())
        }
    }
}

/// The kind of device that an endpoint runs on.
pub fn class(endpoint: &Endpoint) -> &'static str {
    match endpoint.as_str() {
        "cpu" => "processor",
        "cuda" | "webgpu-native" => "graphics",
        name if name.starts_with("webgpu-") || name.starts_with("webnn-") => "browser",
        _ => "other",
    }
}

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Median latency, ms.
    Latency,
    /// Weights and values alive together against the most that was taken, bytes.
    Memory,
}

impl Metric {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Memory => "memory",
        }
    }
}

/// What is graded together: never results of two marks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Group {
    /// The mark of the results.
    pub reality: &'static str,
    /// What is predicted.
    pub metric: Metric,
    /// The class of the device.
    pub class: &'static str,
    /// The device; empty for all of the class.
    pub device: String,
}

/// A pair as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// Of what.
    #[serde(flatten)]
    pub group: Group,
    /// The endpoint.
    pub endpoint: String,
    /// The machine.
    pub machine: String,
    /// The result's record.
    pub record: String,
    /// The prediction.
    pub prediction: String,
    /// What made it.
    pub fit: String,
    /// What it said of itself.
    pub confidence: Confidence,
    /// The two times, ms, or sizes, bytes.
    #[serde(flatten)]
    pub judged: Judged,
}

/// What predictions are worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worth {
    /// The errors of each group; of each class first, of its devices after.
    pub groups: Vec<(Group, Grade)>,
    /// What predictions of latency said of themselves, and how they did.
    pub by_confidence: Vec<(&'static str, Confidence, Grade)>,
    /// Whether the right device is chosen among those of one reality.
    pub choices: Vec<(&'static str, Choice)>,
    /// Each pair.
    pub pairs: Vec<Told>,
    /// What was not graded.
    pub left: Left,
}

/// Grades pairs.
pub fn judge(pairing: &Pairing<'_>) -> Worth {
    let pairs: Vec<Told> = pairing.pairs.iter().flat_map(told).collect();
    let mut groups: BTreeMap<Group, Vec<&Judged>> = BTreeMap::new();
    let mut by_confidence: BTreeMap<(&'static str, Confidence), Vec<&Judged>> = BTreeMap::new();
    let mut models: BTreeMap<(&'static str, [&str; 3]), Vec<[f64; 2]>> = BTreeMap::new();
    for (told, pair) in pairs.iter().zip(pairing.pairs.iter().flat_map(twice)) {
        let whole = Group { device: String::new(), ..told.group.clone() };
        for group in [whole, told.group.clone()] {
            groups.entry(group).or_default().push(&told.judged);
        }
        if told.group.metric == Metric::Latency {
            let key = (told.group.reality, told.confidence);
            by_confidence.entry(key).or_default().push(&told.judged);
            let p = pair.prediction;
            let model = [p.model.as_str(), p.shape.as_str(), p.precision.as_str()];
            let times = [told.judged.real, told.judged.predicted];
            models.entry((told.group.reality, model)).or_default().push(times);
        }
    }
    let choices = [Mark::Real, Mark::Software].into_iter().filter_map(|mark| {
        let of_mark = models.iter().filter(|((reality, _), _)| *reality == mark.name());
        Some((mark.name(), choice(of_mark.map(|(_, times)| times.clone()))?))
    });
    Worth {
        choices: choices.collect(),
        by_confidence: by_confidence
            .into_iter()
            .filter_map(|((reality, confidence), of)| Some((reality, confidence, grade(&of)?)))
            .collect(),
        groups: groups.into_iter().filter_map(|(group, of)| Some((group, grade(&of)?))).collect(),
        left: pairing.left,
        pairs,
    }
}

/// A pair once for each metric that it has.
fn twice<'a, 'b>(pair: &'b Pair<'a>) -> impl Iterator<Item = &'b Pair<'a>> + use<'a, 'b> {
    std::iter::repeat_n(pair, 1 + usize::from(pair.latest.peak_memory_bytes.is_some()))
}

fn told(pair: &Pair<'_>) -> Vec<Told> {
    let (p, fact, kind) = (pair.prediction, pair.latest, &pair.series.kind);
    let family = p.model.split('-').next().unwrap_or_default();
    let one = |metric: Metric, real: f64, predicted: f64, interval| Told {
        group: Group {
            reality: kind.mark.name(),
            metric,
            class: class(&kind.case_id.endpoint),
            device: p.device.clone(),
        },
        endpoint: kind.case_id.endpoint.to_string(),
        machine: kind.machine.clone(),
        record: fact.point.record.clone(),
        prediction: p.id.clone(),
        fit: p.fit.clone(),
        confidence: p.confidence,
        judged: Judged {
            case: kind.case_id.to_string(),
            family: family.to_owned(),
            real,
            predicted,
            interval,
        },
    };
    let latency_ms = fact.point.latency_ns_median / 1e6;
    let interval = Some([p.low_ms, p.high_ms]);
    let latency = one(Metric::Latency, latency_ms, p.predicted_ms, interval);
    let memory = fact
        .peak_memory_bytes
        .map(|peak| one(Metric::Memory, peak as f64, p.memory_bytes as f64, None));
    std::iter::once(latency).chain(memory).collect()
}

/// The errors of a pair over time, as a trend of real / predicted: its change points are where reality left the
/// prediction, or came back to it.
pub fn drift(pairs: &[Pair<'_>]) -> Vec<Row> {
    let row = |pair: &Pair<'_>, fact: &Fact| {
        let ns = pair.prediction.predicted_ms * 1e6;
        let point = Point {
            latency_ns_median: fact.point.latency_ns_median / ns,
            latency_ns_spread: fact.point.latency_ns_spread.map(|spread| spread / ns),
            ..fact.point.clone()
        };
        Row { suite: pair.series.suite.clone(), kind: pair.series.kind.clone(), point }
    };
    pairs.iter().flat_map(|pair| pair.facts.iter().map(move |fact| row(pair, fact))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::interval::Spread;
    use crate::simulate::learned::Place;
    use crate::trend::tests::row;
    use jiff::Timestamp;

    const HOUR: i64 = 3_600;

    fn series(case: &str, mark: Mark, adapter: &str, times: &[(i64, f64)]) -> Series {
        let rows: Vec<Row> =
            times.iter().map(|(hour, ms)| row(case, "m", mark, *hour, ms * 1e6)).collect();
        let fact = |row: &Row| {
            let mut point = row.point.clone();
            point.record = format!("{case} {}", point.recorded_at);
            adapter.clone_into(&mut point.facts.adapter);
            Fact { point, peak_memory_bytes: Some(200) }
        };
        Series {
            suite: "s".into(),
            kind: rows[0].kind.clone(),
            points: rows.iter().map(fact).collect(),
        }
    }

    fn prediction(model: &str, device: &str, hour: i64, ms: f64) -> Recorded {
        Recorded {
            format: 2,
            id: format!("{model} {device} {hour} {ms}"),
            made_at: Timestamp::from_second(hour * HOUR).unwrap(),
            model: model.into(),
            shape: "b1".into(),
            precision: "f32".into(),
            device: device.into(),
            endpoint: None,
            machine: None,
            reality: Mark::Real,
            mark: Mark::Simulated,
            model_version: 1,
            fit: "operators".into(),
            inputs: "i".into(),
            predicted_ms: ms,
            low_ms: ms / 2.0,
            high_ms: ms * 2.0,
            confidence: Confidence::Medium,
            validated_error: Some(0.2),
            nearest_device: device.into(),
            extrapolated_share: 0.0,
            memory_bytes: 100,
            fits: true,
        }
    }

    /// A prediction for an endpoint of the machine, from a lesson.
    fn here(model: &str, fit: &str, hour: i64, ms: f64) -> Recorded {
        Recorded {
            endpoint: Some("cpu".into()),
            machine: Some("m".into()),
            fit: fit.into(),
            ..prediction(model, "A processor", hour, ms)
        }
    }

    fn lesson(id: &str, records: &[&Series]) -> Learned {
        let facts = records.iter().flat_map(|series| &series.points);
        Learned {
            format: 1,
            id: id.into(),
            made_at: Timestamp::UNIX_EPOCH,
            version: 1,
            place: Place {
                machine: "m".into(),
                endpoint: "cpu".into(),
                device: "A processor".into(),
                reality: Mark::Real,
            },
            model_version: 1,
            without: None,
            rates: [0.0; 6],
            spread: Spread { low: -0.1, high: 0.1, mape: 0.05 },
            range: Vec::new(),
            near: Vec::new(),
            records: facts.map(|fact| fact.point.record.clone()).collect(),
        }
    }

    #[test]
    fn nothing_is_graded_by_what_taught_it() {
        let all = [
            series("a-x/cpu/f32/b1", Mark::Real, "", &[(1, 10.0)]),
            series("b-x/cpu/f32/b1", Mark::Real, "", &[(1, 10.0)]),
        ];
        let lessons = [lesson("all", &[&all[0], &all[1]]), lesson("without b", &[&all[0]])];
        let made = [
            here("a-x", "all", 2, 11.0),
            here("b-x", "all", 3, 11.0),
            here("b-x", "without b", 2, 12.0),
            // Of a fit whose records nobody knows.
            here("a-x", "lost", 2, 13.0),
        ];
        let found = pair(&made, &lessons, &all);
        assert_eq!(found.pairs.len(), 1);
        assert_eq!(found.pairs[0].prediction, &made[2]);
        assert_eq!(found.left, Left { learned: 1, ..Left::default() });
        // What is measured later grades everything; of several the newest prediction counts.
        let later = [series("b-x/cpu/f32/b1", Mark::Real, "", &[(1, 10.0), (9, 10.0)])];
        let found = pair(&made, &lessons, &later);
        assert_eq!(found.pairs[0].prediction, &made[1]);
        assert_eq!(found.pairs[0].facts.len(), 1, "the one that taught it does not grade it");
        assert_eq!(found.left.without_result, 2);
    }

    #[test]
    fn software_is_no_reality_for_hardware() {
        let cuda = |mark| series("a-x/webgpu-native/f32/b1", mark, "Tesla T4", &[(1, 10.0)]);
        let made = [prediction("a-x", "Tesla T4", 5, 12.0)];
        let software = [cuda(Mark::Software)];
        let found = pair(&made, &[], &software);
        assert_eq!((found.pairs.len(), found.left.other_mark), (0, 1));
        // A fit of operators learned from no model, so that earlier results grade it too.
        let real = [cuda(Mark::Real)];
        let found = pair(&made, &[], &real);
        assert_eq!(found.pairs.len(), 1);
        let worth = judge(&found);
        assert_eq!(worth.pairs[0].group.class, "graphics");
        assert!((worth.groups[0].1.mape.value - 0.2).abs() < 1e-12);
        let memory = worth.pairs.iter().find(|t| t.group.metric == Metric::Memory).unwrap();
        assert_eq!((memory.judged.error(), memory.judged.interval), (0.5, None));
    }

    #[test]
    fn devices_and_classes_are_graded_and_the_choice_between_devices() {
        let all = [
            series("a-x/cuda/f32/b1", Mark::Real, "T4", &[(1, 10.0)]),
            series("a-x/webgpu-native/f32/b1", Mark::Real, "V100", &[(1, 5.0)]),
            series("b-x/cuda/f32/b1", Mark::Real, "T4", &[(1, 10.0)]),
        ];
        let made = [
            prediction("a-x", "T4", 0, 6.0),
            prediction("a-x", "V100", 0, 8.0),
            prediction("b-x", "T4", 0, 10.0),
        ];
        let worth = judge(&pair(&made, &[], &all));
        let names: Vec<(&str, &str)> =
            worth.groups.iter().map(|(g, _)| (g.metric.name(), g.device.as_str())).collect();
        assert_eq!(names[..3], [("latency", ""), ("latency", "T4"), ("latency", "V100")]);
        assert_eq!(worth.groups[0].1.results, 3);
        let (reality, choice) = worth.choices[0];
        assert_eq!((reality, choice.models, choice.right, choice.loss), ("real", 1, 0.0, 1.0));
        assert_eq!(worth.by_confidence.len(), 1);
    }

    #[test]
    fn a_drift_is_what_reality_takes_of_the_prediction() {
        let times: Vec<(i64, f64)> =
            (1..30).map(|hour| (hour, if hour < 15 { 10.0 } else { 15.0 })).collect();
        let all = [series("a-x/cuda/f32/b1", Mark::Real, "T4", &times)];
        let made = [prediction("a-x", "T4", 0, 10.0)];
        let found = pair(&made, &[], &all);
        let rows = drift(&found.pairs);
        assert_eq!((rows.len(), rows[0].point.latency_ns_median), (29, 1.0));
        let trends = crate::trend::trends(rows);
        let options = crate::history::Options::default();
        let analysed = crate::trend::analyse(trends, &options).unwrap();
        assert_eq!(analysed[0].change_points[0].found.index, 14);
    }
}
