//! What is known of the difference of two groups of processes, for each scale that the noise may have.
//!
//! The model: levels of processes lie about the level of their group as a scaled Student t with few degrees of
//! freedom, so that a process which lies far off, or a second mode, is what it is and does not pull the rest along
//! (Lange, Little & Taylor, "Robust Statistical Modeling Using the t Distribution", JASA 84 (1989)). The level of
//! each group is unknown (a flat prior); the scale is common to both. Integrals are by quadrature; which scale is
//! likely is said by the likelihood and by `prior`.

use super::density::Density;
use statrs::function::gamma::ln_gamma;

/// The smallest scale of the grid: less is below what clocks and file formats resolve.
const FIRST_SCALE: f64 = 4e-5;
/// The step between two scales, in logarithms; well below the width of a posterior of ten processes.
const SCALE_STEP: f64 = 0.48;
/// How many scales; the last is 0.6.
const SCALES: i32 = 21;
/// Points on each side of each process, and how far they reach, in units of the scale.
const OFFSETS: i32 = 18;
const REACH: f64 = 3000.0;
/// Points of the difference on each side of the observed one.
const DIFFERENCES: i32 = 44;

/// The logarithms of the scales of the grid.
pub fn log_scales() -> impl Iterator<Item = f64> + Clone {
    (0..SCALES).map(|index| FIRST_SCALE.ln() + f64::from(index) * SCALE_STEP)
}

/// `2 count + 1` points from `-reach` to `reach`, about `finest` apart near zero, growing as a sinh does.
fn sinh_spaced(count: i32, finest: f64, reach: f64) -> impl Iterator<Item = f64> + Clone {
    let steps = f64::from(count);
    // sinh(b) ≈ exp(b) / 2 and sinh(b / n) ≈ b / n: solved for the first step by iteration.
    let bend = (0..8).fold(8.0, |b: f64, _| (2.0 * reach / finest * b / steps).ln().max(0.5));
    (-count..=count).map(move |i| reach * (bend * f64::from(i) / steps).sinh() / bend.sinh())
}

/// The likelihood of the level of one group, as logarithms with slopes at points about its processes.
struct Group {
    points: Vec<f64>,
    logs: Vec<f64>,
    slopes: Vec<f64>,
    /// The logarithm of the integral of the likelihood; it is already taken off `logs`.
    log_marginal: f64,
    /// How fast the tails fall.
    power: f64,
}

impl Group {
    fn new(levels: &[f64], scale: f64, freedom: f64) -> Self {
        let offsets = sinh_spaced(OFFSETS, 0.2, REACH);
        let about = |x: &f64| {
            let x = *x;
            offsets.clone().map(move |offset| x + scale * offset)
        };
        let mut points: Vec<f64> = levels.iter().flat_map(about).collect();
        points.sort_by(f64::total_cmp);
        points.dedup();
        let (mut logs, slopes): (Vec<_>, Vec<_>) =
            points.iter().map(|&point| log_likelihood(levels, point, scale, freedom)).unzip();
        let log_marginal = Density::new(points.clone(), logs.clone()).log_total();
        logs.iter_mut().for_each(|log| *log -= log_marginal);
        let power = (freedom + 1.0) * levels.len() as f64;
        Self { points, logs, slopes, log_marginal, power }
    }

    /// What is added to the logarithm from an end of the points to a place beyond it, where all processes are so far
    /// away that the tails of Student's t are a power of the distance.
    fn beyond(&self, end: f64, x: f64) -> f64 {
        let middle = 0.5 * (self.points[0] + self.points[self.points.len() - 1]);
        -self.power * ((x - middle) / (end - middle)).ln()
    }
}

/// The logarithm of the likelihood of a level, and its slope.
fn log_likelihood(levels: &[f64], level: f64, scale: f64, freedom: f64) -> (f64, f64) {
    let constant = log_t_constant(freedom) - scale.ln();
    levels.iter().fold((0.0, 0.0), |(log, slope), x| {
        let z = (level - x) / scale;
        let term = constant - 0.5 * (freedom + 1.0) * (z * z / freedom).ln_1p();
        (log + term, slope - (freedom + 1.0) * z / (freedom + z * z) / scale)
    })
}

/// Γ((ν+1)/2) / (Γ(ν/2) √(νπ)), as a logarithm: the constant of the density of Student's t.
fn log_t_constant(freedom: f64) -> f64 {
    let gammas = ln_gamma(0.5 * (freedom + 1.0)) - ln_gamma(0.5 * freedom);
    gammas - 0.5 * (freedom * std::f64::consts::PI).ln()
}

/// The logarithm of the probability of levels about one unknown level, for each scale of [`log_scales`]: what a
/// prior of the scale is fitted to.
pub fn log_marginals(levels: &[f64], freedom: f64) -> Vec<f64> {
    log_scales().map(|scale| Group::new(levels, scale.exp(), freedom).log_marginal).collect()
}

/// Reads a group at points in ascending order, without a search for each; cubic Hermite between its points, as its
/// tails are far from linear there.
struct Cursor<'a> {
    group: &'a Group,
    at: usize,
}

impl Cursor<'_> {
    fn log_at(&mut self, x: f64) -> f64 {
        let points = &self.group.points;
        while self.at + 2 < points.len() && points[self.at + 1] < x {
            self.at += 1;
        }
        let (left, right) = (points[self.at], points[self.at + 1]);
        let width = right - left;
        if x < left {
            return self.group.logs[self.at] + self.group.beyond(left, x);
        }
        if x > right {
            return self.group.logs[self.at + 1] + self.group.beyond(right, x);
        }
        let t = (x - left) / width;
        let (a, b) = (self.group.logs[self.at], self.group.logs[self.at + 1]);
        let (u, v) = (width * self.group.slopes[self.at], width * self.group.slopes[self.at + 1]);
        let s = 1.0 - t;
        s * s * ((1.0 + 2.0 * t) * a + t * u) + t * t * ((3.0 - 2.0 * t) * b - s * v)
    }
}

/// The logarithm of the density of a difference of two levels: ∫ head(μ) base(μ - δ) dμ, by the trapezoidal rule
/// over the points of both.
fn log_convolution(base: &Group, head: &Group, difference: f64) -> f64 {
    let (mut bases, mut heads) = (Cursor { group: base, at: 0 }, Cursor { group: head, at: 0 });
    let (mut of_head, mut of_base) = (0, 0);
    let mut sum = 0.0;
    let (mut before, mut height) = (0.0, None);
    loop {
        // The next point of either; its own value is known, that of the other lies between two points.
        let next = (head.points.get(of_head), base.points.get(of_base).map(|x| x + difference));
        let (point, log) = match next {
            (Some(&h), b) if b.is_none_or(|b| h <= b) => {
                of_head += 1;
                (h, head.logs[of_head - 1] + bases.log_at(h - difference))
            }
            (_, Some(b)) => {
                of_base += 1;
                (b, base.logs[of_base - 1] + heads.log_at(b))
            }
            (_, None) => return f64::ln(sum),
        };
        let value = log.exp();
        if let Some(height) = height {
            sum += 0.5 * (value + height) * (point - before);
        }
        (before, height) = (point, Some(value));
    }
}

/// The posterior of the difference of two groups, head minus base, if the noise had one certain scale.
#[derive(Clone, Debug)]
pub struct Component {
    /// The index of the scale in [`log_scales`].
    pub index: usize,
    /// The logarithm of the probability of both groups, each about a level of its own.
    pub log_marginal: f64,
    /// The posterior probability of the scale.
    pub weight: f64,
    /// The posterior of the difference, in logarithms of a ratio.
    pub difference: Density,
}

/// The posterior of the difference for every scale that has a probability of at least `least`.
///
/// `base` and `head` hold the logarithms of levels, one per process, at least one each. `log_prior` is the logarithm
/// of the prior density of the logarithm of the scale, up to a constant.
pub fn components(
    base: &[f64],
    head: &[f64],
    freedom: f64,
    log_prior: impl Fn(f64) -> f64,
    least: f64,
) -> Vec<Component> {
    let groups = |log_scale: f64| {
        let scale = log_scale.exp();
        (log_scale, Group::new(base, scale, freedom), Group::new(head, scale, freedom))
    };
    let all: Vec<_> = log_scales().map(groups).collect();
    let logs: Vec<f64> =
        all.iter().map(|(s, b, h)| log_prior(*s) + b.log_marginal + h.log_marginal).collect();
    let weights = softmax(&logs);
    let middle = middle(head) - middle(base);
    let reach = 1.5 + 1.5 * middle.abs();
    let mut kept = Vec::new();
    for (index, ((log_scale, b, h), weight)) in all.iter().zip(weights).enumerate() {
        if weight < least {
            continue;
        }
        let spaced = sinh_spaced(DIFFERENCES, 0.1 * log_scale.exp(), reach);
        let points: Vec<f64> = spaced.map(|point| middle + point).collect();
        let logs = points.iter().map(|&d| log_convolution(b, h, d)).collect();
        let difference = Density::new(points, logs).normalised();
        let log_marginal = b.log_marginal + h.log_marginal;
        kept.push(Component { index, log_marginal, weight, difference });
    }
    kept
}

/// Probabilities in proportion to the exponentials of these logarithms.
pub fn softmax(logs: &[f64]) -> Vec<f64> {
    let peak = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let raised: Vec<f64> = logs.iter().map(|log| (log - peak).exp()).collect();
    let total: f64 = raised.iter().sum();
    raised.iter().map(|value| value / total).collect()
}

fn middle(levels: &[f64]) -> f64 {
    crate::stats::median(levels).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    /// With many degrees of freedom and a known scale, the difference is normal with a known variance.
    fn known_scale(base: &[f64], head: &[f64], index: usize) -> Density {
        let wanted = log_scales().nth(index).unwrap();
        let prior = |log: f64| if log == wanted { 0.0 } else { f64::NEG_INFINITY };
        components(base, head, 1e7, prior, 0.5).remove(0).difference
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn normal_noise_gives_the_normal_answer(
            base in prop::collection::vec(-1.5..1.5_f64, 2..7),
            head in prop::collection::vec(-1.5..1.5_f64, 2..7),
            shift in -0.3..0.3_f64, p in 0.01..0.99_f64,
        ) {
            let scale = log_scales().nth(12).unwrap().exp();
            let base: Vec<f64> = base.iter().map(|z| z * scale).collect();
            let head: Vec<f64> = head.iter().map(|z| shift + z * scale).collect();
            let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
            let deviation = scale * (1.0 / base.len() as f64 + 1.0 / head.len() as f64).sqrt();
            let exact = Normal::new(mean(&head) - mean(&base), deviation).unwrap();
            let found = known_scale(&base, &head, 12);
            let error = (found.quantile(p) - exact.inverse_cdf(p)) / deviation;
            prop_assert!(error.abs() < 0.05, "{error}");
        }
    }

    /// One process a side: the difference of two Cauchy levels is Cauchy with twice the scale.
    #[test]
    fn cauchy_noise_gives_the_cauchy_answer() {
        let wanted = log_scales().nth(10).unwrap();
        let prior = |log: f64| if log == wanted { 0.0 } else { f64::NEG_INFINITY };
        let found = components(&[0.0], &[0.02], 1.0, prior, 0.5).remove(0).difference;
        let scale = 2.0 * wanted.exp();
        for x in [-3.0, -1.0, 0.0, 1.0, 5.0_f64] {
            let exact = 0.5 + (x).atan() / std::f64::consts::PI;
            let got = found.mass_below(0.02 + scale * x);
            assert!((got - exact).abs() < 0.02, "{x}: {got} {exact}");
        }
    }

    #[test]
    fn the_scale_is_found() {
        let levels = [-0.01, -0.004, 0.0, 0.005, 0.011];
        let logs = log_marginals(&levels, 3.0);
        let best = (0..logs.len()).max_by(|&a, &b| logs[a].total_cmp(&logs[b])).unwrap();
        let scale = log_scales().nth(best).unwrap().exp();
        assert!((0.003..0.02).contains(&scale), "{scale}");
    }
}
