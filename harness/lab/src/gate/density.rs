//! A probability density on a grid of points, linear between them on the logarithmic scale.
//!
//! What is kept is the logarithm: tails many orders below the peak are what evidence is made of.

/// A density over points in ascending order.
#[derive(Clone, Debug)]
pub struct Density {
    points: Vec<f64>,
    logs: Vec<f64>,
}

/// ∫ of a function that is log-linear from `a` to `b` (given as logarithms) over a width.
fn piece(a: f64, b: f64, width: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let step = high - low;
    if high == f64::NEG_INFINITY || width <= 0.0 {
        0.0
    } else if step < 1e-6 {
        high.exp() * width
    } else {
        high.exp() * width * -(-step).exp_m1() / step
    }
}

impl Density {
    /// Makes a density of logarithms at points in ascending order, two at least. It is not normalised yet.
    pub fn new(points: Vec<f64>, logs: Vec<f64>) -> Self {
        Self { points, logs }
    }

    /// The logarithm of the integral over all points.
    pub fn log_total(&self) -> f64 {
        let peak = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let pieces = self.points.windows(2).zip(self.logs.windows(2));
        let sum: f64 = pieces.map(|(p, l)| piece(l[0] - peak, l[1] - peak, p[1] - p[0])).sum();
        peak + sum.ln()
    }

    /// The density whose integral is one.
    pub fn normalised(mut self) -> Self {
        let total = self.log_total();
        self.logs.iter_mut().for_each(|log| *log -= total);
        self
    }

    /// The points.
    pub fn points(&self) -> &[f64] {
        &self.points
    }

    /// The logarithm of the density at `x`; minus infinity outside of the grid.
    pub fn log_at(&self, x: f64) -> f64 {
        let after = self.points.partition_point(|point| *point < x);
        match after.checked_sub(1) {
            Some(before) => self.log_between(before, x),
            None => self.log_between(0, x),
        }
    }

    /// The logarithm of the density at `x`, which lies between the point `before` and the next.
    fn log_between(&self, before: usize, x: f64) -> f64 {
        let (Some(&left), Some(&right)) = (self.points.get(before), self.points.get(before + 1))
        else {
            return f64::NEG_INFINITY;
        };
        if x < left || x > right {
            return f64::NEG_INFINITY;
        }
        if self.logs[before].min(self.logs[before + 1]) == f64::NEG_INFINITY {
            return f64::NEG_INFINITY;
        }
        let share = (x - left) / (right - left);
        self.logs[before] + share * (self.logs[before + 1] - self.logs[before])
    }

    /// The probability of less than `x`.
    pub fn mass_below(&self, x: f64) -> f64 {
        self.mass_between(f64::NEG_INFINITY, x)
    }

    /// The probability of what lies between two points; exact to many digits in the tails, too.
    pub fn mass_between(&self, from: f64, to: f64) -> f64 {
        let first = self.points.partition_point(|point| *point <= from).saturating_sub(1);
        let mut mass = 0.0;
        for (index, pair) in self.points.windows(2).enumerate().skip(first) {
            let (left, right) = (pair[0].max(from), pair[1].min(to));
            if pair[0] >= to {
                break;
            }
            if left < right {
                let (a, b) = (self.log_between(index, left), self.log_between(index, right));
                mass += piece(a, b, right - left);
            }
        }
        mass
    }

    /// The expectation of a function of which it is enough to know the values at some points, in ascending order,
    /// and at the points of this density.
    pub fn expectation(&self, knots: &[f64], function: impl Fn(f64) -> f64) -> f64 {
        let (Some(&first), Some(&last)) = (knots.first(), knots.last()) else { return 0.0 };
        let within = self.points.iter().copied().filter(|point| (first..=last).contains(point));
        let mut points: Vec<f64> = within.chain(knots.iter().copied()).collect();
        points.sort_by(f64::total_cmp);
        let value = |x: f64| self.log_at(x).exp() * function(x);
        let values: Vec<f64> = points.iter().map(|&x| value(x)).collect();
        let areas = points.windows(2).zip(values.windows(2));
        areas.map(|(x, y)| 0.5 * (y[0] + y[1]) * (x[1] - x[0])).sum()
    }

    /// The point below which this much probability lies.
    pub fn quantile(&self, probability: f64) -> f64 {
        let mut mass = 0.0;
        for (points, logs) in self.points.windows(2).zip(self.logs.windows(2)) {
            let width = points[1] - points[0];
            let next = piece(logs[0], logs[1], width);
            if mass + next >= probability {
                let wanted = ((probability - mass) / next).clamp(0.0, 1.0);
                let tilt = logs[1] - logs[0];
                // The inverse of the distribution function of a truncated exponential.
                let share = if tilt.abs() < 1e-6 {
                    wanted
                } else {
                    (wanted * tilt.exp_m1()).ln_1p() / tilt
                };
                return points[0] + share * width;
            }
            mass += next;
        }
        self.points.last().copied().unwrap_or(f64::NAN)
    }

    /// The same density, moved to the right.
    pub fn shifted(&self, by: f64) -> Self {
        let points = self.points.iter().map(|point| point + by).collect();
        Self { points, logs: self.logs.clone() }
    }

    /// A mixture of densities with weights. With equal weights, the linear opinion pool (Stone, "The Opinion Pool",
    /// Annals of Mathematical Statistics 32 (1961)).
    pub fn mix<'a>(members: impl Iterator<Item = (f64, &'a Self)> + Clone) -> Self {
        let mut points: Vec<f64> = members.clone().flat_map(|(_, d)| d.points.clone()).collect();
        points.sort_by(f64::total_cmp);
        points.dedup();
        let at = |&x: &f64| {
            members.clone().map(|(weight, d)| weight * d.log_at(x).exp()).sum::<f64>().ln()
        };
        let logs = points.iter().map(at).collect();
        Self::new(points, logs).normalised()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    fn normal(mean: f64, deviation: f64) -> Density {
        let points: Vec<f64> =
            (-400..=400).map(|i| mean + deviation * f64::from(i) / 50.0).collect();
        let logs = points.iter().map(|x| -0.5 * ((x - mean) / deviation).powi(2)).collect();
        Density::new(points, logs).normalised()
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_normal_distribution(
            mean in -1.0..1.0_f64, deviation in 0.001..1.0_f64, p in 0.001..0.999_f64,
        ) {
            let exact = Normal::new(mean, deviation).unwrap();
            let density = normal(mean, deviation);
            prop_assert!((density.quantile(p) - exact.inverse_cdf(p)).abs() < 1e-3 * deviation);
            let x = exact.inverse_cdf(p);
            prop_assert!((density.mass_below(x) - p).abs() < 1e-4);
            prop_assert!((density.shifted(1.0).quantile(p) - 1.0 - density.quantile(p)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_pool_lies_between_its_members() {
        let members = [normal(0.0, 1.0), normal(4.0, 1.0)];
        let pool = Density::mix(members.iter().map(|member| (0.5, member)));
        assert!((pool.quantile(0.5) - 2.0).abs() < 1e-2, "{}", pool.quantile(0.5));
        assert!((pool.mass_below(f64::INFINITY) - 1.0).abs() < 1e-9);
    }
}
