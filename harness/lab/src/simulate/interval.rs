//! How wrong a prediction may be: intervals of 90 % from residuals, wider the further a device is from what was measured.
//!
//! On a device that was measured, residuals are those of operators that were left out; on others, those of whole devices
//! that were left out, each device counting alike. In between they are interpolated by distance, and beyond the typical
//! distance of a device left out they go on growing.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::statistics::{Data, OrderStatistics, Statistics};

/// The share of real times that an interval should hold.
pub const NOMINAL: f64 = 0.9;
/// Intervals grow no further beyond this multiple of the typical distance.
const FURTHEST: f64 = 3.0;
/// Distances beyond this multiple of the typical one have no validation near them.
const UNVALIDATED: f64 = 2.0;

/// Residuals of predictions, logarithms of real / predicted, summarised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The 5 % quantile.
    pub low: f64,
    /// The 95 % quantile.
    pub high: f64,
    /// Mean absolute error relative to the real time.
    pub mape: f64,
}

impl Spread {
    /// Of residuals of one population; nothing if there are none.
    pub fn of(residuals: &[f64]) -> Option<Self> {
        if residuals.is_empty() {
            return None;
        }
        let mut data = Data::new(residuals.to_vec());
        let tail = 0.5 * (1.0 - NOMINAL);
        Some(Self {
            low: data.quantile(tail),
            high: data.quantile(1.0 - tail),
            mape: residuals.iter().map(|residual| ape(*residual)).mean(),
        })
    }

    /// For a new group, from groups of residuals, each counting alike; nothing if there are fewer than two.
    ///
    /// The level of a new group lies about the mean of the levels (medians) of those seen, as far as the prediction
    /// interval of a normal mean says: t(0.95, G - 1) · s · sqrt(1 + 1 / G). Around it lie the residuals within groups,
    /// by their quantiles. Both are independent, so their squares add.
    pub fn of_groups(groups: &[Vec<f64>]) -> Option<Self> {
        let groups: Vec<&Vec<f64>> = groups.iter().filter(|group| !group.is_empty()).collect();
        let levels: Vec<f64> =
            groups.iter().map(|group| Data::new(group.to_vec()).median()).collect();
        let count = levels.len() as f64;
        let t = StudentsT::new(0.0, 1.0, count - 1.0).ok()?;
        let reach = t.inverse_cdf(0.5 + 0.5 * NOMINAL)
            * levels.iter().std_dev()
            * (1.0 + 1.0 / count).sqrt();
        let of_each =
            |statistic: &dyn Fn(&[f64]) -> f64| groups.iter().map(|g| statistic(g)).mean();
        let tail = 0.5 * (1.0 - NOMINAL);
        let within = |share: f64| {
            of_each(&|group| {
                let mut data = Data::new(group.to_vec());
                data.quantile(share) - data.median()
            })
        };
        let level = levels.iter().mean();
        Some(Self {
            low: level - reach.hypot(within(tail)),
            high: level + reach.hypot(within(1.0 - tail)),
            mape: of_each(&|group| group.iter().map(|residual| ape(*residual)).mean()),
        })
    }

    /// The interval about a prediction; the prediction itself is always inside.
    pub fn about(&self, predicted: f64) -> [f64; 2] {
        [predicted * self.low.min(0.0).exp(), predicted * self.high.max(0.0).exp()]
    }

    /// As wide again as this says.
    pub fn wider(&self, factor: f64) -> Self {
        Self { low: self.low * factor, high: self.high * factor, ..*self }
    }

    fn between(&self, other: &Self, share: f64) -> Self {
        let mix = |a: f64, b: f64| a + share * (b - a);
        Self {
            low: mix(self.low, other.low),
            high: mix(self.high, other.high),
            mape: mix(self.mape, other.mape),
        }
    }
}

/// The absolute error relative to the real time, of a residual.
pub fn ape(residual: f64) -> f64 {
    ((-residual).exp() - 1.0).abs()
}

/// How sure one may be of a prediction, by the validated error near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The mean error near it is at most 10 %.
    High,
    /// At most 25 %.
    Medium,
    /// More.
    Low,
    /// Nothing near it was validated.
    Unvalidated,
}

impl Confidence {
    /// Of a prediction near which this mean absolute error was validated.
    pub fn of(error: Option<f64>) -> Self {
        match error {
            None => Self::Unvalidated,
            Some(error) if error <= 0.10 => Self::High,
            Some(error) if error <= 0.25 => Self::Medium,
            Some(_) => Self::Low,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Unvalidated => "unvalidated",
        }
    }
}

/// What is known of the errors of a class of operators.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spreads {
    /// On devices that were measured.
    pub within: Spread,
    /// On devices that were left out.
    pub beyond: Spread,
    /// The typical distance of those from their nearest neighbour.
    pub distance: f64,
}

impl Spreads {
    /// At a distance from the nearest device that was measured.
    pub fn at(&self, distance: f64) -> (Spread, Confidence) {
        let share = distance / self.distance;
        let grown = share.min(FURTHEST);
        let spread = self.within.between(&self.beyond, grown);
        // A bias of the devices left out is no interval on one side of the prediction, and a spread of theirs that
        // happens to be small is no reason to be as sure of a stranger as of them.
        let least = |end: f64, within: f64| end.abs().max((1.0 + grown) * within.abs());
        let spread = Spread {
            low: -least(spread.low.min(0.0), self.within.low.min(0.0)),
            high: least(spread.high.max(0.0), self.within.high.max(0.0)),
            ..spread
        };
        (spread, Confidence::of((share <= UNVALIDATED).then_some(spread.mape)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::Rng;
    use proptest::test_runner::{RngAlgorithm, TestRng};
    use statrs::distribution::Normal;

    #[test]
    fn a_population_has_its_quantiles() {
        let residuals: Vec<f64> = (0..=100).map(|step| f64::from(step - 50) / 500.0).collect();
        let spread = Spread::of(&residuals).unwrap();
        assert!(
            (spread.low + 0.09).abs() < 2e-3 && (spread.high - 0.09).abs() < 2e-3,
            "{spread:?}"
        );
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn an_interval_for_a_new_group_holds_what_it_says() {
        // Groups whose levels are normal, with normal residuals about them; the next group is what counts.
        let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut normal = move || {
            let uniform = (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
            Normal::standard().inverse_cdf(uniform)
        };
        let (mut inside, mut all) = (0.0, 0.0);
        for _ in 0..400 {
            let mut group = || {
                let level = 0.2 * normal();
                (0..40).map(|_| level + 0.1 * normal()).collect::<Vec<f64>>()
            };
            let seen: Vec<Vec<f64>> = (0..5).map(|_| group()).collect();
            let spread = Spread::of_groups(&seen).unwrap();
            let next = group();
            inside +=
                next.iter().filter(|r| **r >= spread.low && **r <= spread.high).count() as f64;
            all += next.len() as f64;
        }
        let coverage = inside / all;
        assert!((0.87..0.95).contains(&coverage), "{coverage}");
        assert_eq!(Spread::of_groups(&[vec![0.1; 9]]), None);
    }

    #[test]
    fn an_interval_grows_with_distance() {
        let spreads = Spreads {
            within: Spread { low: -0.05, high: 0.05, mape: 0.03 },
            beyond: Spread { low: -0.3, high: 0.2, mape: 0.15 },
            distance: 0.8,
        };
        let mut last = 0.0;
        for step in 0..40 {
            let (spread, _) = spreads.at(0.1 * f64::from(step));
            assert!(spread.high - spread.low >= last && spread.low < 0.0 && spread.high > 0.0);
            last = spread.high - spread.low;
        }
        let confidence = |distance: f64| spreads.at(distance).1;
        assert_eq!(confidence(0.0), Confidence::High);
        assert_eq!(confidence(0.8), Confidence::Medium);
        assert_eq!(confidence(1.5), Confidence::Low);
        assert_eq!(confidence(1.7), Confidence::Unvalidated);
        assert!((spreads.at(9.0).0.high - spreads.at(2.4).0.high).abs() < 1e-12);
    }
}
