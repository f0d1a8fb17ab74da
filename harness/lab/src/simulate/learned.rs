//! What the results of an endpoint of a machine taught, as it is kept: in versions that are never overwritten, each
//! with the records that it learned from, so that a prediction is graded only by others.

use super::grade::{Comparison, compare};
use super::interval::{Confidence, Spread, ape};
use super::machine::{Known, Lesson, Work, predict, work};
use super::recorded::{FORMAT, Recorded};
use super::whole::Outline;
use crate::lines;
use jiff::Timestamp;
use proofmark::Mark;
use proofmark::fingerprint::digest;
use proofmark::journal::Fault;
use serde::{Deserialize, Serialize};
use statrs::statistics::Statistics;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The version of the way of learning and predicting.
pub const MODEL_VERSION: u32 = 1;
/// The file of a folder that lessons are appended to.
const FILE: &str = "lessons.jsonl";
/// Errors count as near a prediction if they are of results that took between a quarter of its time and four times it.
const NEAR: f64 = 4.0;
/// Fewer results near a prediction, or fewer families, validate nothing.
const NEAR_RESULTS: usize = 5;
const NEAR_FAMILIES: usize = 2;

/// The endpoint of a machine whose results teach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The machine.
    pub machine: String,
    /// The endpoint.
    pub endpoint: String,
    /// What runs there: the adapter, or the processor.
    pub device: String,
    /// The mark of the results; real and software teach apart.
    pub reality: Mark,
}

/// The error of a result that was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Near {
    /// Its family.
    pub family: String,
    /// What it took, ns.
    pub latency_ns: f64,
    /// The logarithm of real / predicted.
    pub residual: f64,
}

/// A line of a file of lessons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// 1.
    pub format: u32,
    /// A hash of all that predictions follow from.
    pub id: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// Counts the lessons of a place from 1. Lessons without a family have the number of the lesson that they belong to.
    pub version: u32,
    /// Whose results taught.
    pub place: Place,
    /// [`MODEL_VERSION`].
    pub model_version: u32,
    /// The family whose results did not teach; null if all did.
    pub without: Option<String>,
    /// The costs of the parts of a run, ns.
    pub rates: Work,
    /// The interval of the logarithm of real / predicted, for a family that is none of these.
    pub spread: Spread,
    /// The least and the largest of each part that was seen.
    pub range: Vec<[f64; 2]>,
    /// The errors of results whose family was left out.
    pub near: Vec<Near>,
    /// The records of the results that taught.
    pub records: Vec<String>,
}

/// A predicted run, ns.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The prediction.
    pub predicted_ns: f64,
    /// The interval of 90 %.
    pub interval_ns: [f64; 2],
    /// The validated error near it.
    pub validated_error: Option<f64>,
    /// Whether a part of the run is smaller or larger than all that were seen.
    pub extrapolates: bool,
}

impl Learned {
    /// The lesson of all results, followed by those without each family.
    pub fn all(
        place: &Place,
        version: u32,
        made_at: Timestamp,
        lesson: &Lesson,
        known: &[Known],
    ) -> Vec<Self> {
        let near = |errors: &[(usize, f64)]| -> Vec<Near> {
            let of = |(at, residual): &(usize, f64)| Near {
                family: known[*at].family.clone(),
                latency_ns: known[*at].latency_ns,
                residual: *residual,
            };
            errors.iter().map(of).collect()
        };
        let make = |without: Option<&String>, rates: Work, spread: Spread, near: Vec<Near>| {
            let taught: Vec<&Known> =
                known.iter().filter(|result| Some(&result.family) != without).collect();
            let mut learned = Self {
                format: 1,
                id: String::new(),
                made_at,
                version,
                place: place.clone(),
                model_version: MODEL_VERSION,
                without: without.cloned(),
                rates,
                spread,
                range: range(&taught),
                near,
                records: taught.iter().map(|result| result.record.clone()).collect(),
            };
            learned.id = learned.hash();
            learned
        };
        let left_out: Vec<_> =
            lesson.without.values().flat_map(|without| without.residuals.iter().copied()).collect();
        let whole = make(None, lesson.rates, lesson.spread, near(&left_out));
        let parts = lesson.without.iter().map(|(family, without)| {
            make(Some(family), without.rates, without.spread, near(&without.others))
        });
        std::iter::once(whole).chain(parts).collect()
    }

    fn hash(&self) -> String {
        let follows_from = (
            (&self.place, self.model_version, &self.without),
            (&self.rates, &self.spread, &self.range, &self.near, &self.records),
        );
        digest(serde_json::to_string(&follows_from).unwrap_or_default())
    }

    /// Predicts a run of this work. An interval grows with the logarithm of how far a part of the work lies outside of
    /// what was seen: four times the largest doubles it.
    pub fn forecast(&self, work: &Work) -> Forecast {
        let outside = work.iter().zip(&self.range).filter(|(part, _)| **part > 0.0);
        let beyond = outside
            .map(|(part, [least, largest])| (part / largest).ln().max((least / part).ln()))
            .filter(|beyond| beyond.is_finite())
            .fold(0.0, f64::max);
        // A part that was never seen has no cost at all.
        let is_new = |(part, range): (&f64, &[f64; 2])| *part > 0.0 && range[1] <= 0.0;
        let has_new = work.iter().zip(&self.range).any(is_new);
        let predicted_ns = predict(&self.rates, work);
        let is_near = |near: &&Near| (near.latency_ns / predicted_ns).ln().abs() <= NEAR.ln();
        let near: Vec<&Near> = self.near.iter().filter(is_near).collect();
        let families: BTreeMap<&str, ()> = near.iter().map(|n| (n.family.as_str(), ())).collect();
        let is_validated = near.len() >= NEAR_RESULTS
            && families.len() >= NEAR_FAMILIES
            && beyond <= NEAR.ln()
            && !has_new;
        Forecast {
            predicted_ns,
            interval_ns: self.spread.wider(1.0 + beyond / NEAR.ln()).about(predicted_ns),
            validated_error: is_validated.then(|| near.iter().map(|n| ape(n.residual)).mean()),
            extrapolates: beyond > 0.0 || has_new,
        }
    }

    /// The prediction of a model, as it is kept.
    pub fn predict(&self, outline: &Outline, made_at: Timestamp) -> Recorded {
        let forecast = self.forecast(&work(outline));
        let inputs = digest(serde_json::to_string(&outline.kernels).unwrap_or_default());
        let id = digest(format!("{} {} {} {inputs}", outline.model, outline.shape, self.id));
        let ms = |ns: f64| ns / 1e6;
        Recorded {
            format: FORMAT,
            id,
            made_at,
            model: outline.model.clone(),
            shape: outline.shape.clone(),
            precision: "f32".to_owned(),
            device: self.place.device.clone(),
            endpoint: Some(self.place.endpoint.clone()),
            machine: Some(self.place.machine.clone()),
            reality: self.place.reality,
            mark: Mark::Simulated,
            model_version: self.model_version,
            fit: self.id.clone(),
            inputs,
            predicted_ms: ms(forecast.predicted_ns),
            low_ms: ms(forecast.interval_ns[0]),
            high_ms: ms(forecast.interval_ns[1]),
            confidence: Confidence::of(forecast.validated_error),
            validated_error: forecast.validated_error,
            nearest_device: self.place.device.clone(),
            extrapolated_share: if forecast.extrapolates { 1.0 } else { 0.0 },
            memory_bytes: outline.weight_bytes + outline.value_bytes,
            fits: true,
        }
    }
}

fn range(taught: &[&Known]) -> Vec<[f64; 2]> {
    let of = |part: usize| {
        let sizes = taught.iter().map(|result| result.work[part]).filter(|size| *size > 0.0);
        let ends = |[least, largest]: [f64; 2], size: f64| [least.min(size), largest.max(size)];
        let found = sizes.fold([f64::MAX, 0.0], ends);
        if found[1] > 0.0 { found } else { [0.0, 0.0] }
    };
    (0..super::machine::PARTS.len()).map(of).collect()
}

/// The newest lesson of all results of a place.
pub fn newest<'a>(lessons: &'a [Learned], place: &Place) -> Option<&'a Learned> {
    let own = lessons.iter().filter(|l| l.place == *place && l.without.is_none());
    own.max_by_key(|lesson| lesson.version)
}

/// Whether a new lesson is better than an earlier one, on results whose family neither saw. Nothing if there are none.
pub fn improvement(
    lessons: &[Learned],
    earlier: &Learned,
    lesson: &Lesson,
    known: &[Known],
) -> Option<Comparison> {
    let of_earlier = |family: &str| {
        let belongs = |l: &&Learned| l.place == earlier.place && l.version == earlier.version;
        let without = lessons.iter().filter(belongs).find(|l| l.without.as_deref() == Some(family));
        // A family that the earlier one had never seen needs no leaving out.
        without.unwrap_or(earlier)
    };
    let pairs: Vec<(String, [f64; 2])> = lesson
        .without
        .iter()
        .flat_map(|(family, without)| {
            let before = of_earlier(family);
            without.residuals.iter().map(move |(at, after)| {
                let result = &known[*at];
                let before = (result.latency_ns / predict(&before.rates, &result.work)).ln();
                (family.clone(), [before, *after])
            })
        })
        .collect();
    compare(&pairs)
}

/// Appends lessons to the file of a folder.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn append(folder: &Path, lessons: &[Learned]) -> io::Result<()> {
    lines::append(folder, FILE, lessons)
}

/// Reads the lessons of a folder, and tells of lines that are none.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(folder: &Path) -> io::Result<(Vec<Learned>, Vec<Fault>)> {
    lines::read(folder, FILE, parse)
}

fn parse(line: &[u8]) -> Result<Learned, String> {
    let read: Learned =
        serde_json::from_slice(line).map_err(|error| format!("is no lesson: {error}"))?;
    if read.format != 1 {
        return Err(format!("is of format {}, and this program knows 1", read.format));
    }
    if read.id != read.hash() {
        return Err("is not what it was when it was written: its hash differs".to_owned());
    }
    let Place { endpoint, device, reality, .. } = &read.place;
    if read.version == 0 || endpoint.is_empty() || device.is_empty() {
        return Err("has no version, endpoint or device".to_owned());
    }
    if !matches!(reality, Mark::Real | Mark::Software) {
        return Err(format!("was taught by results that are {reality}"));
    }
    if read.rates.iter().any(|rate| !(rate.is_finite() && *rate >= 0.0)) {
        return Err("has a rate that is no time".to_owned());
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::super::grade::Verdict;
    use super::super::machine::learn;
    use super::super::operator::Operator;
    use super::super::whole::Kernel;
    use super::*;

    fn place() -> Place {
        Place {
            machine: "m".into(),
            endpoint: "cpu".into(),
            device: "A processor".into(),
            reality: Mark::Real,
        }
    }

    /// Results of families 0 to 5: 100 ns per kernel and 0.1 ns per operation, but for a factor of family and size.
    fn known(factor: impl Fn(usize, usize) -> f64) -> Vec<Known> {
        let one = |family: usize, size: usize| {
            let scale = 4.0_f64.powi(i32::try_from(size).unwrap());
            let work =
                [1.0, 50.0 + family as f64, 1e6 * scale, 1e5 * scale, 1e5 * scale, 1e4 * scale];
            Known {
                record: format!("r{family}-{size}"),
                case: format!("m{family}-{size}"),
                family: family.to_string(),
                work,
                latency_ns: (100.0 * work[1] + 0.1 * work[2]) * factor(family, size),
            }
        };
        (0..6).flat_map(|family| (0..5).map(move |size| one(family, size))).collect()
    }

    fn wobble(family: usize, size: usize) -> f64 {
        1.0 + 0.02 * ((family * 7 + size * 3) % 5) as f64
    }

    fn lessons(version: u32, known: &[Known]) -> (Lesson, Vec<Learned>) {
        let lesson = learn(known).unwrap();
        let all = Learned::all(&place(), version, Timestamp::UNIX_EPOCH, &lesson, known);
        (lesson, all)
    }

    #[test]
    fn a_lesson_without_a_family_learned_from_none_of_its_records() {
        let known = known(wobble);
        let (_, all) = lessons(1, &known);
        assert_eq!(all.len(), 7);
        assert_eq!((all[0].records.len(), &all[0].without), (30, &None));
        for part in &all[1..] {
            let family = part.without.clone().unwrap();
            let own = |record: &String| record.starts_with(&format!("r{family}-"));
            assert!(part.records.len() == 25 && !part.records.iter().any(own), "{family}");
            assert!(part.near.iter().all(|near| near.family != family));
        }
        let ids: std::collections::BTreeSet<_> = all.iter().map(|lesson| &lesson.id).collect();
        assert_eq!(ids.len(), 7);
    }

    #[test]
    fn what_is_unlike_all_that_was_seen_is_unvalidated_and_less_sure() {
        let known = known(wobble);
        let (_, all) = lessons(1, &known);
        let inside = all[0].forecast(&known[7].work);
        assert!((inside.predicted_ns / known[7].latency_ns - 1.0).abs() < 0.1, "{inside:?}");
        assert!(inside.validated_error.unwrap() < 0.1 && !inside.extrapolates, "{inside:?}");
        let width = |f: &Forecast| (f.interval_ns[1] / f.interval_ns[0]).ln();
        let mut huge = known[4].work;
        huge.iter_mut().for_each(|part| *part *= 64.0);
        let far = all[0].forecast(&huge);
        assert!(far.validated_error.is_none() && far.extrapolates, "{far:?}");
        assert!(width(&far) > 3.0 * width(&inside), "{far:?} {inside:?}");
        assert!(far.interval_ns[0] < far.predicted_ns && far.predicted_ns < far.interval_ns[1]);
    }

    #[test]
    fn a_prediction_says_where_it_holds_and_what_may_grade_it() {
        let (_, all) = lessons(3, &known(wobble));
        let kernel = Kernel {
            node: "MatMul".into(),
            operator: Operator {
                op: "linear".into(),
                b: 1.0,
                m: 256.0,
                n: 256.0,
                k: 256.0,
                h: 0.0,
            },
        };
        let outline = Outline {
            model: "new".into(),
            shape: "b1".into(),
            weight_bytes: 70,
            value_bytes: 7,
            kernels: vec![kernel],
        };
        let made = all[0].predict(&outline, Timestamp::UNIX_EPOCH);
        assert_eq!((made.mark, made.reality, made.memory_bytes), (Mark::Simulated, Mark::Real, 77));
        assert_eq!((made.endpoint.as_deref(), made.machine.as_deref()), (Some("cpu"), Some("m")));
        assert_eq!(made.fit, all[0].id);
        assert!(made.low_ms < made.predicted_ms && made.predicted_ms < made.high_ms);
        // Made again it is the same prediction, and from another lesson another.
        assert_eq!(all[0].predict(&outline, Timestamp::MAX).id, made.id);
        assert_ne!(all[1].predict(&outline, Timestamp::MAX).id, made.id);
    }

    #[test]
    fn a_lesson_from_a_changed_machine_is_better_than_that_of_before() {
        let before = known(wobble);
        let (_, earlier) = lessons(1, &before);
        let after = known(|family, size| 2.0 * wobble(family, size));
        let (lesson, _) = lessons(2, &after);
        let found = improvement(&earlier, &earlier[0], &lesson, &after).unwrap();
        assert_eq!((found.verdict(), found.results), (Verdict::Better, 30));
        let (lesson, _) = lessons(2, &before);
        let same = improvement(&earlier, &earlier[0], &lesson, &before).unwrap();
        assert_eq!((same.verdict(), same.difference.value), (Verdict::NoDifference, 0.0));
    }

    #[test]
    fn lessons_come_back_and_changed_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (_, all) = lessons(1, &known(wobble));
        append(folder.path(), &all).unwrap();
        let (found, faults) = read(folder.path()).unwrap();
        assert!(found == all && faults.is_empty());
        assert_eq!(newest(&found, &place()).unwrap().id, all[0].id);
        let file = folder.path().join(FILE);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("\"r0-0\",", "", 1)).unwrap();
        let (found, faults) = read(folder.path()).unwrap();
        assert!(found.len() == 6 && faults[0].detail.contains("its hash differs"), "{faults:?}");
    }
}
