//! What stays of old results: a summary of their samples, and of each series of readings the few that say most.

use crate::stats;
use proofmark::record::{Record, Samples, Series, Summary};

/// What stays of a series: the first, the lowest, the highest and the last reading.
const READINGS: usize = 4;

/// A record without its raw samples and most of its readings; nothing if it has none that could be dropped.
pub fn thin(record: &Record) -> Option<Record> {
    let mut thinned = record.clone();
    if let Some(summary) = summary(&record.samples) {
        thinned.samples = Samples { summary: Some(summary), ..Samples::default() };
    }
    if let Some(telemetry) = &mut thinned.metrics.telemetry {
        telemetry.series.values_mut().for_each(thin_series);
    }
    (thinned != *record).then_some(thinned)
}

/// What samples say; nothing for none.
fn summary(samples: &Samples) -> Option<Summary> {
    let latency_ns = &samples.latency_ns;
    let runs = latency_ns.iter().zip(&samples.iterations);
    let (median, max) = (stats::median(latency_ns)?, stats::quantile(latency_ns, 1.0)?);
    Some(Summary {
        samples: latency_ns.len() as u64,
        runs: samples.iterations.iter().fold(0, |sum, runs| sum.saturating_add(*runs)),
        total_ns: runs.map(|(latency, &runs)| latency * runs as f64).sum(),
        latency_ns_min: stats::quantile(latency_ns, 0.0)?,
        latency_ns_median: median,
        // Between two samples that are nearly the same, rounding may lead beyond them.
        latency_ns_p95: stats::quantile(latency_ns, 0.95)?.clamp(median, max),
        latency_ns_max: max,
        relative_noise: stats::relative_noise(latency_ns),
    })
}

/// Keeps of a series true readings alone, in their order.
fn thin_series(series: &mut Series) {
    let values = &series.values;
    if values.len() <= READINGS {
        return;
    }
    let by_value = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
    let lowest = (0..values.len()).min_by(by_value);
    let highest = (0..values.len()).max_by(by_value);
    let mut kept: Vec<usize> =
        [Some(0), lowest, highest, values.len().checked_sub(1)].into_iter().flatten().collect();
    kept.sort_unstable();
    kept.dedup();
    *series = Series {
        at_ns: kept.iter().map(|&place| series.at_ns[place]).collect(),
        values: kept.iter().map(|&place| values[place]).collect(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        Series { at_ns: (0..values.len() as u64).collect(), values: values.to_vec() }
    }

    #[test]
    fn a_summary_says_what_the_samples_said() {
        let latency_ns = vec![3.0, 1.0, 2.0, 10.0, 4.0];
        let noise = stats::relative_noise(&latency_ns);
        let found = summary(&Samples::new(latency_ns, vec![2; 5])).unwrap();
        assert_eq!((found.samples, found.runs, found.total_ns), (5, 10, 40.0));
        let order = [found.latency_ns_min, found.latency_ns_median, found.latency_ns_max];
        assert_eq!(order, [1.0, 3.0, 10.0]);
        assert!((found.latency_ns_p95 - 8.8).abs() < 1e-9, "{found:?}");
        assert_eq!(found.relative_noise, noise);
        assert_eq!(summary(&Samples::default()), None);
    }

    #[test]
    fn samples_that_are_nearly_the_same_have_a_sound_summary() {
        let mut random = fastrand::Rng::with_seed(95);
        for _ in 0..2000 {
            let level = 10f64.powf(random.f64() * 12.0);
            let sample = |random: &mut fastrand::Rng| {
                f64::from_bits(level.to_bits() + u64::from(random.u8(..3)))
            };
            let latency_ns: Vec<f64> =
                (0..random.usize(1..25)).map(|_| sample(&mut random)).collect();
            let runs = vec![1; latency_ns.len()];
            let found = summary(&Samples::new(latency_ns, runs)).unwrap();
            let order = [
                found.latency_ns_min,
                found.latency_ns_median,
                found.latency_ns_p95,
                found.latency_ns_max,
            ];
            assert!(order.is_sorted(), "{found:?}");
        }
    }

    #[test]
    fn the_readings_that_stay_are_true_ones() {
        let thinned = |values: &[f64]| {
            let mut series = series(values);
            thin_series(&mut series);
            series
        };
        let left = thinned(&[5.0, 7.0, 1.0, 6.0, 5.5, 5.5]);
        assert_eq!(left.values, [5.0, 7.0, 1.0, 5.5]);
        assert_eq!(left.at_ns, [0, 1, 2, 5]);
        assert_eq!(thinned(&[1.0; 5]).values, [1.0; 2], "the first and the last of equal ones");
        assert_eq!(thinned(&[2.0, 1.0]), series(&[2.0, 1.0]));
    }
}
