//! Do times come back with a period? Periodograms of all processes, averaged, so that it does not matter at which point
//! of the period a process begins.

use super::check::{Check, Part, Status};
use super::course::RELEVANT;
use crate::figures::percent;
use crate::stats::median;
use realfft::RealFftPlanner;
use statrs::distribution::{ContinuousCDF, Gamma};

/// Fewer samples have no spectrum.
const FEWEST: usize = 24;
/// A period comes back at least so often within a process: slower ones are its course.
const LEAST_CYCLES: usize = 3;
/// A period is significant at this level.
const ALPHA: f64 = 1e-4;
/// It explains at least this part of the variance.
const SHARE: f64 = 0.15;
/// The neighbourhood of a frequency reaches at least so far on either side.
const REACH: usize = 5;

/// `series`: logarithms of the samples of each process around its median, trend removed, all of one length.
pub(super) fn check(series: &[Vec<f64>]) -> Check {
    let part = Part::Period;
    let long: Vec<&Vec<f64>> = series.iter().filter(|samples| samples.len() >= FEWEST).collect();
    if long.is_empty() {
        return Check::unknown(part, format!("it takes {FEWEST} samples of a process"));
    }
    let Some(spectrum) = Spectrum::of(&long) else {
        return Check::plain(part, Status::Pass, "the samples of a process are all equal");
    };
    let (frequency, p) = spectrum.peak();
    let share = spectrum.share(frequency);
    // A sinusoid of amplitude a has the variance a² ÷ 2.
    let amplitude = (2.0 * share * spectrum.variance).sqrt();
    let length = spectrum.samples as f64 / frequency as f64;
    if p > ALPHA || share < SHARE {
        let says = "no frequency stands out of its neighbourhood".to_owned();
        return Check::new(part, Status::Pass, 0.0, RELEVANT, says);
    }
    let says = format!(
        "times swing by {} every {length:.1} samples, which explains {} of their variance",
        percent(amplitude),
        percent(share)
    );
    Check::graded(part, amplitude, [RELEVANT / 4.0, RELEVANT], says)
}

/// The mean of normalised periodograms.
struct Spectrum {
    /// Ordinates of the frequencies 1, 2, … per process length, below half the sampling rate; their mean is 1.
    ordinates: Vec<f64>,
    /// The same by the spectrum of an autoregression that fits them: what is left has no slope.
    flat: Vec<f64>,
    /// How many periodograms were averaged.
    processes: f64,
    /// Samples of a process.
    samples: usize,
    /// The mean variance of the samples.
    variance: f64,
}

impl Spectrum {
    /// Nothing if no process has two different samples.
    fn of(series: &[&Vec<f64>]) -> Option<Self> {
        let samples = series.iter().map(|samples| samples.len()).min()?;
        let count = (samples - 1) / 2;
        let fourier = RealFftPlanner::<f64>::new().plan_fft_forward(samples);
        let (mut sum, mut variance, mut processes) = (vec![0.0; count], 0.0, 0.0);
        for samples in series.iter().map(|series| &series[..samples]) {
            let mean = samples.iter().sum::<f64>() / samples.len() as f64;
            let mut input: Vec<f64> = samples.iter().map(|x| x - mean).collect();
            let square = input.iter().map(|x| x * x).sum::<f64>() / samples.len() as f64;
            let mut output = fourier.make_output_vec();
            if square <= 0.0 || fourier.process(&mut input, &mut output).is_err() {
                continue;
            }
            let powers: Vec<f64> = output[1..=count].iter().map(|value| value.norm_sqr()).collect();
            let whole: f64 = powers.iter().sum();
            sum.iter_mut().zip(&powers).for_each(|(sum, power)| {
                *sum += power / whole * count as f64;
            });
            variance += square;
            processes += 1.0;
        }
        let ordinates: Vec<f64> = sum.iter().map(|sum| sum / processes).collect();
        let flat = flatten(&ordinates, samples);
        let variance = variance / processes;
        (processes > 0.0).then_some(Self { ordinates, flat, processes, samples, variance })
    }

    fn at(&self, frequency: usize) -> f64 {
        self.ordinates.get(frequency - 1).copied().unwrap_or(0.0)
    }

    /// By how much an ordinate stands out: by the median of its neighbours, and that by the median of a mean of so many
    /// exponential variables of mean 1.
    fn ratio(&self, frequency: usize) -> f64 {
        let count = self.flat.len();
        let reach = REACH.max(count / 6);
        let (from, to) = (frequency.saturating_sub(reach).max(1), (frequency + reach).min(count));
        let near = (from..=to).filter(|f| f.abs_diff(frequency) > 1).map(|f| self.flat[f - 1]);
        let usual = median(&near.collect::<Vec<_>>()).unwrap_or(1.0);
        self.flat[frequency - 1] * (1.0 - 1.0 / (3.0 * self.processes)) / usual.max(1e-12)
    }

    /// The frequency that stands out most, and the probability that one of as many would in noise: a mean of `processes`
    /// ordinates of noise, by its background, has a gamma distribution (Bartlett, "Periodogram analysis and continuous
    /// spectra", Biometrika 37, 1950), and there are as many chances as frequencies (Bonferroni).
    fn peak(&self) -> (usize, f64) {
        let frequencies = LEAST_CYCLES..=self.ordinates.len();
        let best = frequencies.clone().max_by(|a, b| self.ratio(*a).total_cmp(&self.ratio(*b)));
        let Some(best) = best else { return (LEAST_CYCLES, 1.0) };
        let single =
            Gamma::new(self.processes, self.processes).map_or(1.0, |g| g.sf(self.ratio(best)));
        (best, (single * frequencies.count() as f64).min(1.0))
    }

    /// The part of the variance at a frequency, its neighbours into which it leaks, and its harmonics.
    fn share(&self, frequency: usize) -> f64 {
        let count = self.ordinates.len();
        let harmonics = (1..).map(|n| n * frequency).take_while(|f| *f <= count);
        let mut taken = vec![false; count + 2];
        for harmonic in harmonics {
            let stands_out = self.ratio(harmonic) > 2.0;
            if harmonic == frequency || stands_out {
                taken[harmonic - 1..=harmonic + 1].fill(true);
            }
        }
        let found: f64 = (1..=count).filter(|f| taken[*f]).map(|f| self.at(f)).sum();
        found / count as f64
    }
}

/// Ordinates by the spectrum of the first-order autoregression that fits them best: noise that is autocorrelated has a
/// slope, at whose steep end every frequency would stand out. The fit is of least absolute differences of logarithms, which
/// a few peaks do not move.
fn flatten(ordinates: &[f64], samples: usize) -> Vec<f64> {
    let flat = |phi: f64| -> Vec<f64> {
        let by_frequency = |(index, ordinate): (usize, &f64)| {
            let angle = std::f64::consts::TAU * (index + 1) as f64 / samples as f64;
            ordinate * (1.0 - 2.0 * phi * angle.cos() + phi * phi)
        };
        ordinates.iter().enumerate().map(by_frequency).collect()
    };
    let misfit = |flat: &[f64]| {
        let logs: Vec<f64> = flat.iter().map(|ordinate| ordinate.max(1e-300).ln()).collect();
        let middle = median(&logs).unwrap_or_default();
        logs.iter().map(|log| (log - middle).abs()).sum::<f64>()
    };
    let fits = (-9..=19).map(|step| flat(f64::from(step) * 0.05));
    fits.min_by(|a, b| misfit(a).total_cmp(&misfit(b))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    fn series(seed: u64, length: usize, at: impl Fn(&mut Random, f64) -> f64) -> Vec<Vec<f64>> {
        let mut random = Random::new(seed);
        let one = |_| {
            let start = random.between(0.0, 100.0);
            (0..length).map(|i| at(&mut random, start + i as f64)).collect()
        };
        (0..8).map(one).collect()
    }

    #[test]
    fn periods_are_found_wherever_a_process_begins() {
        for length in [4.0, 7.3, 12.0] {
            let swing = |random: &mut Random, i: f64| {
                0.03 * (std::f64::consts::TAU * i / length).sin() + 0.01 * random.normal()
            };
            let found = check(&series(5, 60, swing));
            assert_eq!(found.status, Status::Fail, "{length}: {found:?}");
            assert!((found.value.unwrap() - 0.03).abs() < 0.01, "{found:?}");
        }
        let pulse =
            |r: &mut Random, i: f64| if i % 10.0 < 1.0 { 0.2 } else { 0.0 } + 0.01 * r.normal();
        let found = check(&series(5, 60, pulse));
        assert_eq!(found.status, Status::Fail, "{found:?}");
        assert!(found.says.contains("every 10.0 samples"), "{found:?}");
    }

    #[test]
    fn small_periods_are_told_and_no_more() {
        let swing = |r: &mut Random, i: f64| 0.005 * (i * 0.9).sin() + 0.001 * r.normal();
        assert_eq!(check(&series(5, 60, swing)).status, Status::Warn);
    }

    #[test]
    fn noise_has_no_period() {
        let mut alarms = 0;
        for seed in 0..300 {
            let white = series(seed, 50, |random, _| 0.05 * random.normal());
            let mut last = 0.0;
            let mut red = white.clone();
            for x in red.iter_mut().flatten() {
                last = 0.7 * last + *x;
                *x = last;
            }
            for series in [white, red] {
                alarms += usize::from(check(&series).status != Status::Pass);
            }
        }
        assert!(alarms <= 3, "{alarms} of 600");
    }

    #[test]
    fn what_is_too_short_or_constant_has_none() {
        assert_eq!(check(&[vec![0.0; 23]]).status, Status::Unknown);
        assert_eq!(check(&[vec![0.0; 24]]).status, Status::Pass);
    }
}
