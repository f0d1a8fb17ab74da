//! Random numbers for generated benchmarks. The same seed gives the same numbers.

/// A source of random numbers.
pub(crate) struct Random(fastrand::Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// In [low, high).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.f64()
    }

    /// In [low, high), of even logarithms.
    pub(crate) fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.0.f64() < p
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.0.usize(..count)
    }

    /// Standard normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.f64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.0.f64()).cos()
    }

    /// Student's t with three degrees of freedom, of variance 1.
    pub(crate) fn heavy(&mut self) -> f64 {
        let chi = (0..3).map(|_| self.normal().powi(2)).sum::<f64>();
        self.normal() / (chi / 3.0).sqrt() / 3f64.sqrt()
    }

    /// Log-normal with a skew to the right, of mean 0 and variance 1.
    pub(crate) fn skewed(&mut self) -> f64 {
        let s2: f64 = 0.36;
        let mean = (s2 / 2.0).exp();
        ((0.6 * self.normal()).exp() - mean) / (mean * s2.exp_m1().sqrt())
    }
}
