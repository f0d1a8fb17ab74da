//! What is known before a case is looked at: how far processes lie apart, and how large changes are.
//!
//! The prior of the noise is empirical Bayes: its constants are fitted to many benchmarks (`calibration`), and its
//! mean follows the spread within processes. Smyth, "Linear Models and Empirical Bayes Methods", Statistical
//! Applications in Genetics and Molecular Biology 3 (2004), does this for one variance per gene; Law et al., "voom",
//! Genome Biology 15 (2014), lets the prior follow a covariate.

use super::density::Density;

/// Added to the spread within processes before its logarithm is taken: 0.01 %, about what clocks resolve.
const SPREAD_FLOOR: f64 = 1e-4;

/// The distribution of the logarithm of the scale of the noise between processes: normal, with a mean that is
/// linear in the logarithm of the spread within processes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoisePrior {
    /// Mean where the spread within processes is 1 %.
    pub at_one_percent: f64,
    /// How the mean follows the logarithm of the spread.
    pub slope: f64,
    /// Standard deviation about that mean.
    pub deviation: f64,
}

impl NoisePrior {
    /// The logarithm of the prior density at a logarithm of a scale, up to a constant.
    ///
    /// Where the spread within processes is unknown, the mean is that at 1 %, and the deviation is twice as large.
    pub fn log_density(&self, log_scale: f64, spread: Option<f64>) -> f64 {
        let (mean, deviation) = match spread {
            Some(spread) => (self.at_one_percent + self.slope * covariate(spread), self.deviation),
            None => (self.at_one_percent, 2.0 * self.deviation),
        };
        -0.5 * ((log_scale - mean) / deviation).powi(2)
    }
}

/// What the mean of the prior is linear in: zero at a spread of 1 %.
pub fn covariate(spread: f64) -> f64 {
    ((spread + SPREAD_FLOOR) / (0.01 + SPREAD_FLOOR)).ln()
}

/// How much of the prior of a change lies about the design effect; the rest is for changes of any size.
const ABOUT_DESIGN: f64 = 0.9;
/// Standard deviation about the design effect, relative to it.
const DESIGN_WIDTH: f64 = 0.2;
/// The design effect in units of the minimal effect.
const DESIGN_MINIMA: f64 = 5.0;
/// The smallest design effect: where a minimal effect is a formality, changes are not smaller for it.
const DESIGN_LEAST: f64 = 0.05;
/// The largest change that is thought of, as a ratio: from seconds to nanoseconds.
const LARGEST: f64 = 1e9;

/// The two hypotheses about a difference, in logarithms of a ratio.
///
/// If nothing relevant changed, the difference is uniform within the minimal effect. If the head is slower, it is
/// about the design effect, which is what the gate is meant to find, or anything from the minimal effect up with a
/// density that falls as its reciprocal. That the alternative is narrow makes the gate spend its false alarms where
/// they buy the most: not on cases so noisy that a change of the design effect would not show (the lemma of Neyman
/// and Pearson, over all cases together).
#[derive(Clone, Debug)]
pub struct Hypotheses {
    /// Half the width of the null hypothesis.
    null: f64,
    design: f64,
    knots: Vec<f64>,
}

impl Hypotheses {
    /// For a minimal relative effect: 0.01 is one percent.
    pub fn new(min_effect: f64) -> Self {
        let null = min_effect.ln_1p();
        let design = (DESIGN_MINIMA * min_effect).max(DESIGN_LEAST).ln_1p();
        let least = null.max(1e-3);
        let ratio = LARGEST.ln() / least;
        let broad = (0..=50).map(|i| least * ratio.powf(f64::from(i) / 50.0));
        let narrow = (-16..=16).map(|i| design * (1.0 + DESIGN_WIDTH * f64::from(i) / 4.0));
        let mut knots: Vec<f64> = broad.chain(narrow).filter(|&x| x >= least).collect();
        knots.sort_by(f64::total_cmp);
        Self { null, design, knots }
    }

    /// Half the width of the null hypothesis: the logarithm of one plus the minimal effect.
    pub fn null(&self) -> f64 {
        self.null
    }

    /// The density of a change to the worse.
    fn slower(&self, x: f64) -> f64 {
        let width = DESIGN_WIDTH * self.design;
        let z = (x - self.design) / width;
        let narrow = (-0.5 * z * z).exp() / (width * std::f64::consts::TAU.sqrt());
        let (first, last) = (self.knots[0], LARGEST.ln());
        ABOUT_DESIGN * narrow + (1.0 - ABOUT_DESIGN) / (x * (last / first).ln())
    }

    /// How likely a posterior under a flat prior makes each hypothesis, up to a common factor: nothing relevant
    /// changed, the head is slower, the head is faster (Dickey, "The Weighted Likelihood Ratio, Linear Hypotheses on
    /// Normal Location Parameters", Annals of Mathematical Statistics 42 (1971)).
    pub fn likelihoods(&self, difference: &Density) -> [f64; 3] {
        let same = match self.null > 0.0 {
            true => difference.mass_between(-self.null, self.null) / (2.0 * self.null),
            false => difference.log_at(0.0).exp(),
        };
        let mirrored: Vec<f64> = self.knots.iter().rev().map(|knot| -knot).collect();
        let slower = difference.expectation(&self.knots, |x| self.slower(x));
        let faster = difference.expectation(&mirrored, |x| self.slower(-x));
        [same, slower, faster]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(about: f64, scale: f64) -> Density {
        let points: Vec<f64> = (-300..=300).map(|i| about + f64::from(i) * scale / 20.0).collect();
        let logs = points.iter().map(|x| -(1.0 + ((x - about) / scale).powi(2)).ln()).collect();
        Density::new(points, logs).normalised()
    }

    #[test]
    fn the_alternative_is_a_density() {
        for min_effect in [0.0, 0.005, 0.01, 0.1] {
            let hypotheses = Hypotheses::new(min_effect);
            let areas = hypotheses
                .knots
                .windows(2)
                .map(|x| 0.5 * (hypotheses.slower(x[0]) + hypotheses.slower(x[1])) * (x[1] - x[0]));
            let total: f64 = areas.sum();
            assert!((total - 1.0).abs() < 0.02, "{min_effect}: {total}");
        }
    }

    #[test]
    fn the_hypotheses_are_told_apart() {
        let hypotheses = Hypotheses::new(0.01);
        let [same, slower, faster] = hypotheses.likelihoods(&narrow(0.0, 0.002));
        assert!(same > 20.0 * slower && same > 20.0 * faster, "{same} {slower} {faster}");
        for change in [0.03, 0.05, 0.1, 0.3, 1.0, 3.0_f64] {
            let [same, slower, faster] = hypotheses.likelihoods(&narrow(change.ln_1p(), 0.0003));
            assert!(slower > 5.0 * same && slower > 5.0 * faster, "{change}: {slower} {same}");
        }
        let [same, slower, faster] = hypotheses.likelihoods(&narrow(-0.05, 0.002));
        assert!(faster > 5.0 * same && faster > 5.0 * slower, "{same} {slower} {faster}");
    }

    #[test]
    fn quiet_processes_make_a_quiet_prior() {
        let prior = NoisePrior { at_one_percent: -4.5, slope: 0.6, deviation: 1.0 };
        let lean = |spread| prior.log_density(-7.0, spread) - prior.log_density(-3.0, spread);
        assert!(lean(Some(0.0005)) > lean(Some(0.01)) && lean(Some(0.01)) > lean(Some(0.1)));
        assert!(lean(None).abs() < lean(Some(0.01)).abs());
    }
}
