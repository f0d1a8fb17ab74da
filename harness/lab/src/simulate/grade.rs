//! How wrong predictions were: errors with bootstrap intervals, model families being the unit that is drawn.

use super::interval::ape;
use fastrand::Rng;
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics, RankTieBreaker, Statistics};
use std::collections::BTreeMap;

/// Resamples of families.
const RESAMPLES: usize = 1000;
/// With fewer families than this an interval would say nothing.
const FAMILIES: usize = 3;

/// A result beside what was predicted of it, in one unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The case.
    pub case: String,
    /// The family of its model.
    pub family: String,
    /// What was measured.
    pub real: f64,
    /// What was predicted.
    pub predicted: f64,
    /// The interval of 90 %; nothing for a prediction that has none.
    pub interval: Option<[f64; 2]>,
}

impl Judged {
    /// The logarithm of real / predicted.
    pub fn residual(&self) -> f64 {
        (self.real / self.predicted).ln()
    }

    /// |predicted - real| / real.
    pub fn error(&self) -> f64 {
        ape(self.residual())
    }
}

/// A statistic with its interval of 95 %, from families drawn with replacement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Of all.
    pub value: f64,
    /// The 2.5 % quantile of the resamples; nothing with fewer than three families.
    pub low: Option<f64>,
    /// The 97.5 % quantile.
    pub high: Option<f64>,
}

/// Errors over some results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grade {
    /// The results.
    pub results: usize,
    /// The families of their models.
    pub families: usize,
    /// Mean of |predicted - real| / real.
    pub mape: Estimate,
    /// Median of predicted / real, less 1.
    pub bias: Estimate,
    /// The 90 % quantile of |predicted - real| / real.
    pub p90: f64,
    /// The largest.
    pub worst: f64,
    /// The case that has it.
    pub worst_case: String,
    /// Spearman's rank correlation of predicted and real; nothing for fewer than three results, or if all are equal.
    pub rank_correlation: Option<Estimate>,
    /// The part inside intervals of 90 %, if all predictions have one.
    pub coverage: Option<Estimate>,
    /// The part of results that are quicker than their intervals: 5 % if these are calibrated.
    pub below: Option<f64>,
    /// The part that is slower: 5 % if these are calibrated.
    pub above: Option<f64>,
    /// The slope of the least squares line of log real over log predicted: 1 if predictions are calibrated, less if what
    /// is predicted to be long is overstated. Nothing where nothing differs.
    pub slope: Option<f64>,
}

/// Grades results; nothing if there are none.
pub fn grade(judged: &[&Judged]) -> Option<Grade> {
    let worst = judged.iter().max_by(|a, b| a.error().total_cmp(&b.error()))?;
    let has_intervals = judged.iter().all(|one| one.interval.is_some());
    let by_interval = |side: fn(&Judged) -> bool| has_intervals.then(|| share(judged, side));
    Some(Grade {
        results: judged.len(),
        families: families(judged).len(),
        mape: estimate(judged, mape)?,
        bias: estimate(judged, bias)?,
        p90: Data::new(errors(judged)).quantile(0.9),
        worst: worst.error(),
        worst_case: worst.case.clone(),
        rank_correlation: estimate(judged, rank_correlation),
        coverage: has_intervals.then(|| estimate(judged, coverage)).flatten(),
        below: by_interval(is_below),
        above: by_interval(is_above),
        slope: slope(judged),
    })
}

fn is_below(one: &Judged) -> bool {
    one.interval.is_some_and(|[low, _]| one.real < low)
}

fn is_above(one: &Judged) -> bool {
    one.interval.is_some_and(|[_, high]| one.real > high)
}

fn share(judged: &[&Judged], of: impl Fn(&Judged) -> bool) -> f64 {
    judged.iter().filter(|one| of(one)).count() as f64 / judged.len() as f64
}

fn errors(judged: &[&Judged]) -> Vec<f64> {
    judged.iter().map(|one| one.error()).collect()
}

fn mape(judged: &[&Judged]) -> Option<f64> {
    Some(errors(judged).mean())
}

fn bias(judged: &[&Judged]) -> Option<f64> {
    let signed: Vec<f64> = judged.iter().map(|one| -one.residual()).collect();
    Some(Data::new(signed).median().exp() - 1.0)
}

fn coverage(judged: &[&Judged]) -> Option<f64> {
    Some(1.0 - share(judged, |one| is_below(one) || is_above(one)))
}

/// Spearman's: Pearson's, of the ranks.
fn rank_correlation(judged: &[&Judged]) -> Option<f64> {
    if judged.len() < 3 {
        return None;
    }
    let ranks = |of: fn(&Judged) -> f64| {
        let values: Vec<f64> = judged.iter().map(|one| of(one)).collect();
        Data::new(values).ranks(RankTieBreaker::Average)
    };
    let (real, predicted) = (ranks(|one| one.real), ranks(|one| one.predicted));
    let scale = (&real).std_dev() * (&predicted).std_dev();
    (scale > 0.0).then(|| (&real).covariance(&predicted) / scale)
}

fn slope(judged: &[&Judged]) -> Option<f64> {
    let logs = |of: fn(&Judged) -> f64| judged.iter().map(|one| of(one).ln()).collect::<Vec<_>>();
    let (real, predicted) = (logs(|one| one.real), logs(|one| one.predicted));
    let variance = (&predicted).variance();
    (judged.len() > 2 && variance > 1e-12).then(|| (&predicted).covariance(&real) / variance)
}

fn families<'a>(judged: &[&'a Judged]) -> Vec<Vec<&'a Judged>> {
    let mut found: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for one in judged {
        found.entry(&one.family).or_default().push(one);
    }
    found.into_values().collect()
}

/// A statistic with the percentiles of its bootstrap (Efron and Tibshirani, "An introduction to the bootstrap", 1993).
fn estimate(judged: &[&Judged], statistic: impl Fn(&[&Judged]) -> Option<f64>) -> Option<Estimate> {
    let value = statistic(judged)?;
    let families = families(judged);
    let interval = (families.len() >= FAMILIES)
        .then(|| percentiles(&families, |drawn| statistic(&drawn.concat())))
        .flatten();
    Some(Estimate { value, low: interval.map(|i| i[0]), high: interval.map(|i| i[1]) })
}

/// The percentiles of a statistic over groups drawn with replacement, of 2.5 and 97.5 %.
fn percentiles<T: Clone>(
    groups: &[T],
    statistic: impl Fn(&[T]) -> Option<f64>,
) -> Option<[f64; 2]> {
    let mut random = Rng::with_seed(8);
    let mut values: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let drawn: Vec<T> =
                (0..groups.len()).map(|_| groups[random.usize(..groups.len())].clone()).collect();
            statistic(&drawn)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let tail = values.len() / 40;
    Some([*values.get(tail)?, *values.get(values.len() - 1 - tail)?])
}

/// By how much the mean absolute residual of one predictor is above another's on the same results, family by family.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The results that both predicted.
    pub results: usize,
    /// The mean of |ln(real / predicted)| of the first.
    pub before: f64,
    /// Of the second.
    pub after: f64,
    /// Second less first: below zero if the second is better.
    pub difference: Estimate,
}

impl Comparison {
    /// What may be said: nothing while the interval holds zero.
    pub fn verdict(&self) -> Verdict {
        match (self.difference.low, self.difference.high) {
            (_, Some(high)) if high < 0.0 => Verdict::Better,
            (Some(low), _) if low > 0.0 => Verdict::Worse,
            _ => Verdict::NoDifference,
        }
    }
}

/// Whether the second of two predictors is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It errs less, and not by chance.
    Better,
    /// It errs more, and not by chance.
    Worse,
    /// Chance explains the difference.
    NoDifference,
}

impl Verdict {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no-difference",
        }
    }
}

/// Compares two predictors by pairs of residuals of the same results, each with its family; nothing if there are none.
pub fn compare(pairs: &[(String, [f64; 2])]) -> Option<Comparison> {
    let mut families: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for (family, residuals) in pairs {
        families.entry(family).or_default().push(*residuals);
    }
    let families: Vec<Vec<[f64; 2]>> = families.into_values().collect();
    let mean = |place: usize| pairs.iter().map(|(_, of)| of[place].abs()).mean();
    let difference = |drawn: &[Vec<[f64; 2]>]| {
        Some(drawn.iter().flatten().map(|of| of[1].abs() - of[0].abs()).mean())
    };
    let interval = (families.len() >= FAMILIES).then(|| percentiles(&families, difference));
    let interval = interval.flatten();
    (!pairs.is_empty()).then(|| Comparison {
        results: pairs.len(),
        before: mean(0),
        after: mean(1),
        difference: Estimate {
            value: mean(1) - mean(0),
            low: interval.map(|i| i[0]),
            high: interval.map(|i| i[1]),
        },
    })
}

/// Whether predictions choose the right device for a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// Models at a shape that were measured and predicted on at least two devices.
    pub models: usize,
    /// The part of them whose device with the least predicted time really is the quickest.
    pub right: f64,
    /// The mean of what the chosen one takes more than the quickest, by the quickest.
    pub loss: f64,
}

/// Looks at groups of results of one model on several devices, each with its real and its predicted time.
pub fn choice(groups: impl Iterator<Item = Vec<[f64; 2]>>) -> Option<Choice> {
    let least = |group: &[[f64; 2]], place: usize| {
        group.iter().copied().min_by(|a, b| a[place].total_cmp(&b[place]))
    };
    let losses: Vec<f64> = groups
        .filter(|group| group.len() > 1)
        .filter_map(|group| Some(least(&group, 1)?[0] / least(&group, 0)?[0] - 1.0))
        .collect();
    (!losses.is_empty()).then(|| Choice {
        models: losses.len(),
        right: losses.iter().filter(|loss| **loss == 0.0).count() as f64 / losses.len() as f64,
        loss: losses.iter().mean(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(family: &str, real: f64, predicted: f64) -> Judged {
        Judged {
            case: format!("{family}-{real}"),
            family: family.to_owned(),
            real,
            predicted,
            interval: Some([predicted / 2.0, predicted * 2.0]),
        }
    }

    fn of(all: &[Judged]) -> Grade {
        grade(&all.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn errors_are_those_that_a_hand_computes() {
        let all = [judged("a", 10.0, 11.0), judged("b", 20.0, 16.0), judged("c", 40.0, 100.0)];
        let grade = of(&all);
        assert_eq!((grade.results, grade.families), (3, 3));
        assert!((grade.mape.value - (0.1 + 0.2 + 1.5) / 3.0).abs() < 1e-12, "{grade:?}");
        assert!((grade.bias.value - 0.1).abs() < 1e-12, "{grade:?}");
        assert!((grade.worst - 1.5).abs() < 1e-12 && grade.worst_case == "c-40");
        assert_eq!(grade.rank_correlation.unwrap().value, 1.0);
        assert!((grade.coverage.unwrap().value - 2.0 / 3.0).abs() < 1e-12);
        assert!((grade.below.unwrap() - 1.0 / 3.0).abs() < 1e-12 && grade.above == Some(0.0));
        let [low, high] = [grade.mape.low.unwrap(), grade.mape.high.unwrap()];
        assert!(low < grade.mape.value && grade.mape.value < high, "{grade:?}");
        assert!(grade.slope.unwrap() < 1.0, "what is predicted long is overstated: {grade:?}");
        assert_eq!(super::grade(&[]), None);
    }

    #[test]
    fn two_families_make_no_interval_and_a_prediction_without_one_no_coverage() {
        let mut all = [judged("a", 10.0, 11.0), judged("b", 20.0, 16.0)];
        assert_eq!((of(&all).mape.low, of(&all).rank_correlation), (None, None));
        assert!(of(&all).coverage.is_some());
        all[0].interval = None;
        assert_eq!((of(&all).coverage, of(&all).below), (None, None));
    }

    #[test]
    fn ranks_agree_whatever_the_scale() {
        let up = [judged("a", 1.0, 10.0), judged("b", 2.0, 500.0), judged("c", 3.0, 501.0)];
        assert!((of(&up).rank_correlation.unwrap().value - 1.0).abs() < 1e-12);
        let down = [judged("a", 1.0, 3.0), judged("b", 2.0, 2.0), judged("c", 3.0, 1.0)];
        assert!((of(&down).rank_correlation.unwrap().value + 1.0).abs() < 1e-12);
        let flat = [judged("a", 1.0, 2.0), judged("b", 2.0, 2.0), judged("c", 3.0, 2.0)];
        assert_eq!((of(&flat).rank_correlation, of(&flat).slope), (None, None));
    }

    #[test]
    fn families_and_not_results_are_what_is_drawn() {
        // One family of a thousand results that are all wrong alike, and three that are right.
        let wrong = (0..1000).map(|_| judged("wrong", 1.0, 2.0));
        let right = ["a", "b", "c"].map(|family| judged(family, 1.0, 1.0));
        let all: Vec<Judged> = wrong.chain(right).collect();
        let mape = of(&all).mape;
        assert!(mape.low == Some(0.0) && mape.high.unwrap() > 0.99, "{mape:?}");
    }

    #[test]
    fn a_predictor_is_better_only_if_chance_does_not_explain_it() {
        let pairs = |residuals: [[f64; 2]; 6]| {
            let named = residuals.iter().enumerate();
            compare(&named.map(|(i, r)| (i.to_string(), *r)).collect::<Vec<_>>()).unwrap()
        };
        let better =
            pairs([[0.5, 0.1], [-0.4, 0.1], [0.6, -0.2], [0.5, 0.2], [0.4, 0.1], [0.3, 0.1]]);
        assert_eq!(better.verdict(), Verdict::Better);
        assert!((better.before - 0.45).abs() < 1e-12, "{better:?}");
        let equal = pairs([[0.5, 0.1], [0.1, 0.5], [0.3, 0.2], [0.2, 0.3], [0.1, 0.2], [0.2, 0.1]]);
        assert_eq!(equal.verdict(), Verdict::NoDifference);
        let worse = pairs([[0.1, 0.2], [0.1, 0.3], [0.1, 0.2], [0.0, 0.3], [0.1, 0.4], [0.2, 0.3]]);
        assert_eq!(worse.verdict(), Verdict::Worse);
        assert_eq!(compare(&[]), None);
        let few = compare(&[("a".into(), [0.5, 0.1]), ("b".into(), [0.5, 0.1])]).unwrap();
        assert_eq!(few.verdict(), Verdict::NoDifference, "two families show nothing");
    }

    #[test]
    fn a_wrong_choice_costs_what_the_best_would_have_saved() {
        let groups = [
            vec![[10.0, 9.0], [20.0, 30.0]],
            vec![[10.0, 30.0], [15.0, 20.0]],
            // One device is no choice.
            vec![[10.0, 10.0]],
        ];
        let found = choice(groups.into_iter()).unwrap();
        assert_eq!((found.models, found.right), (2, 0.5));
        assert!((found.loss - 0.25).abs() < 1e-12);
        assert_eq!(choice(std::iter::empty()), None);
    }
}
