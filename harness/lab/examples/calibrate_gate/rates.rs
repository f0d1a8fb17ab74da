//! What is counted, and how certain it is: benchmarks are the unit, projects are drawn with replacement.

use super::table::Table;
use super::{ALPHA, MIN_EFFECT};
use proofmark_lab::gate::evidence::{Model, Weighed};
use std::fmt;

/// How often projects are drawn anew.
const DRAWS: usize = 4000;

/// What is counted of the splits of a benchmark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// The verdict `regressed`.
    Regressed,
    /// The verdict `improved`.
    Improved,
    /// The verdict `equivalent`.
    Equivalent,
    /// An interval of 95 % that does not hold the true change.
    Missed,
}

impl Count {
    /// Everything that is counted.
    pub(crate) const ALL: [Self; 4] =
        [Self::Regressed, Self::Improved, Self::Equivalent, Self::Missed];

    /// What the table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Equivalent => "equivalent",
            Self::Missed => "interval misses the change",
        }
    }

    fn of(self, weighed: &Weighed, model: &Model) -> bool {
        let [above, below, positive] = weighed.masses;
        match self {
            Self::Regressed => weighed.slower > model.threshold && above > 0.5,
            Self::Improved => weighed.faster > model.threshold && below > 0.5,
            Self::Equivalent => above < ALPHA && below < ALPHA,
            Self::Missed => (positive - 0.5).abs() > 0.475,
        }
    }

    fn of_peer(self, p: f64, difference: f64) -> Option<bool> {
        match self {
            Self::Regressed => Some(p < ALPHA && difference.exp_m1() > MIN_EFFECT),
            Self::Improved => Some(p < ALPHA && (-difference).exp_m1() > MIN_EFFECT),
            Self::Equivalent | Self::Missed => None,
        }
    }
}

/// A rate with an interval of 95 %.
pub(crate) struct Rate {
    mean: f64,
    low: f64,
    high: f64,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mean, low, high] = [self.mean, self.low, self.high].map(|rate| 100.0 * rate);
        write!(f, "{mean:.2} % ({low:.2} to {high:.2})")
    }
}

/// Rates of all benchmarks, each judged with constants that do not know its project.
pub(crate) struct Rates<'a> {
    table: &'a Table,
    models: &'a [Model],
    folds: &'a [Vec<usize>],
}

impl<'a> Rates<'a> {
    /// `models` has the constants for each benchmark.
    pub(crate) fn new(table: &'a Table, models: &'a [Model], folds: &'a [Vec<usize>]) -> Self {
        Self { table, models, folds }
    }

    /// How often this gate says so.
    pub(crate) fn gate(&self, shift: usize, count: Count) -> Rate {
        self.rate(|index| self.of_benchmark(index, shift, count))
    }

    /// How often the exact permutation test says so, if it can.
    pub(crate) fn peer(&self, shift: usize, count: Count) -> Option<Rate> {
        count.of_peer(1.0, 0.0)?;
        let of = |index| {
            let said =
                self.table.peers(index, shift).map(|(p, d)| count.of_peer(p, d) == Some(true));
            share(&said.collect::<Vec<_>>())
        };
        Some(self.rate(of))
    }

    /// The largest rate of false alarms of one benchmark.
    pub(crate) fn worst(&self) -> f64 {
        let of = |index| self.of_benchmark(index, 0, Count::Regressed);
        (0..self.table.len()).map(of).fold(0.0, f64::max)
    }

    fn of_benchmark(&self, index: usize, shift: usize, count: Count) -> f64 {
        // Whether an interval holds the change does not depend on the change.
        let shift = if count == Count::Missed { 0 } else { shift };
        let model = &self.models[index];
        let splits = self.table.weighed(index, shift, model);
        share(&splits.iter().map(|weighed| count.of(weighed, model)).collect::<Vec<_>>())
    }

    fn rate(&self, of: impl Fn(usize) -> f64) -> Rate {
        let rates: Vec<f64> = (0..self.table.len()).map(of).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        let mut random = Random(7);
        let mut draws: Vec<f64> = (0..DRAWS).map(|_| self.drawn(&rates, &mut random)).collect();
        draws.sort_by(f64::total_cmp);
        Rate { mean, low: draws[DRAWS / 40], high: draws[DRAWS - 1 - DRAWS / 40] }
    }

    /// The mean over as many projects, drawn with replacement (Efron, "Bootstrap Methods", Annals of Statistics 7
    /// (1979)).
    fn drawn(&self, rates: &[f64], random: &mut Random) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for _ in 0..self.folds.len() {
            let fold = &self.folds[random.below(self.folds.len())];
            sum += fold.iter().map(|&index| rates[index]).sum::<f64>();
            count += fold.len() as f64;
        }
        sum / count
    }
}

fn share(said: &[bool]) -> f64 {
    said.iter().filter(|yes| **yes).count() as f64 / said.len() as f64
}

/// SplitMix64 (Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}
