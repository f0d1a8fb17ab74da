//! Series whose answers are known, and properties that hold for every series.

use super::*;
use proptest::prelude::*;

/// A generator that is the same on every machine: SplitMix64 and Box-Muller.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut state = seed;
    let mut unit = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    (0..n).map(|_| (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos()).collect()
}

/// Levels of so many points each, with noise of deviation 1 around 100.
fn levels(seed: u64, parts: &[(usize, f64)]) -> Vec<f64> {
    let plain = parts.iter().flat_map(|&(count, level)| std::iter::repeat_n(100.0 + level, count));
    let plain: Vec<f64> = plain.collect();
    plain.iter().zip(noise(seed, plain.len())).map(|(level, noise)| level + noise).collect()
}

fn found(values: &[f64]) -> History {
    analyse(values, &Options::default()).unwrap()
}

/// Each expected change is found within two points, and nothing else.
#[track_caller]
fn check(values: &[f64], expected: &[usize]) {
    let history = found(values);
    let places: Vec<usize> = history.change_points.iter().map(|c| c.index).collect();
    let near = places.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= 2);
    assert!(
        near && places.len() == expected.len(),
        "found {places:?}, not {expected:?}: {history:?}"
    );
}

#[test]
fn steps_are_found_in_both_directions() {
    check(&levels(1, &[(50, 0.0), (50, 4.0)]), &[50]);
    check(&levels(2, &[(50, 0.0), (50, -4.0)]), &[50]);
    check(&levels(3, &[(40, 0.0), (30, 5.0), (40, 0.0)]), &[40, 70]);
    check(&levels(4, &[(20, 0.0), (20, 5.0), (20, 10.0), (20, 3.0)]), &[20, 40, 60]);
}

#[test]
fn a_change_is_seen_three_points_after_it() {
    for lasted in 3..8 {
        check(&levels(5, &[(60, 0.0), (lasted, 8.0)]), &[60]);
    }
}

#[test]
fn outliers_and_bursts_are_no_changes() {
    for length in 1..=4 {
        let values = levels(6, &[(40, 0.0), (length, 20.0), (40, 0.0)]);
        check(&values, &[]);
        let spikes = found(&values).spikes;
        assert_eq!((spikes.len(), spikes[0].index, spikes[0].length), (1, 40, length));
    }
    check(&levels(7, &[(60, 0.0), (1, 30.0)]), &[]);
    check(&levels(7, &[(60, 0.0), (2, 30.0)]), &[]);
    check(&levels(8, &[(30, 0.0), (2, 30.0), (30, 0.0), (40, 5.0)]), &[62]);
}

#[test]
fn a_slope_is_a_drift() {
    let mut values = levels(9, &[(200, 0.0)]);
    values.iter_mut().enumerate().for_each(|(i, v)| *v += i as f64 * 0.05);
    check(&values, &[]);
    let drifts = found(&values).drifts;
    assert_eq!(drifts.len(), 1);
    assert!((drifts[0].slope - 0.05).abs() < 0.005 && drifts[0].p < 1e-6, "{drifts:?}");
}

#[test]
fn correlated_noise_is_no_change() {
    for seed in 10..20 {
        let mut last = 0.0;
        let values: Vec<f64> = noise(seed, 200)
            .into_iter()
            .map(|e| {
                last = 0.7 * last + e;
                last
            })
            .collect();
        check(&values, &[]);
    }
}

#[test]
fn noise_alone_rarely_changes() {
    let alarms: usize =
        (0..200).map(|seed| found(&levels(seed + 100, &[(100, 0.0)])).change_points.len()).sum();
    assert!(alarms <= 4, "{alarms} alarms in 200 series of noise, at alpha 0.01");
}

#[test]
fn values_without_noise() {
    check(&[5.0; 50], &[]);
    check(&[[5.0; 20], [6.0; 20]].concat(), &[20]);
    let mut values = vec![5.0; 50];
    values[20] = 9.0;
    check(&values, &[]);
    check(&[[-3.0; 9], [-3.0 - 1e-12; 9]].concat(), &[]);
    let tied: Vec<f64> = levels(21, &[(60, 0.0), (60, 2.5)]).iter().map(|v| v.round()).collect();
    check(&tied, &[60]);
}

#[test]
fn short_series_have_no_changes() {
    for n in 0..SHORTEST {
        check(&noise(22, n), &[]);
    }
    check(&levels(23, &[(6, 0.0), (6, 30.0)]), &[6]);
}

#[test]
fn what_is_said_of_a_change_is_right() {
    let history = found(&levels(24, &[(50, 0.0), (50, 10.0)]));
    let change = &history.change_points[0];
    assert!(
        (change.before - 100.0).abs() < 0.6 && (change.after - 110.0).abs() < 0.6,
        "{change:?}"
    );
    assert!((change.relative.unwrap() - 0.1).abs() < 0.01 && change.p < 1e-12, "{change:?}");
    assert!((history.noise.deviation - 1.0).abs() < 0.2, "{history:?}");
    assert!(change.severity > 0.7 && change.severity < 1.0, "{change:?}");
}

#[test]
fn severity_grows_with_size_certainty_and_reach() {
    let base = severity::severity(100.0, 110.0, 1e-3, 10);
    assert!(severity::severity(100.0, 130.0, 1e-3, 10) > base);
    assert!(severity::severity(100.0, 110.0, 1e-5, 10) > base);
    assert!(severity::severity(100.0, 110.0, 1e-3, 40) > base);
    assert!((0.0..=1.0).contains(&severity::severity(0.0, 5.0, 0.0, 1_000_000)));
    assert_eq!(severity::severity(5.0, 5.0, 1e-9, 100), 0.0);
}

#[test]
fn bad_input_is_told() {
    let options = Options::default();
    let error = analyse(&[1.0, f64::NAN, 2.0], &options).unwrap_err();
    assert_eq!(error.to_string(), "point 1 of the series is NaN: leave out runs without a result");
    let error = analyse(&[1.0], &Options { alpha: 1.5, ..options }).unwrap_err();
    assert_eq!(error.to_string(), "alpha is 1.5: it must be between 0 and 1");
}

/// What `parse` says of a text.
#[track_caller]
fn refused(text: &str, message: &str) {
    let error = input::parse(text).unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}

#[test]
fn files_are_read_or_refused() {
    assert_eq!(input::parse("[1, -2.5, 3e4]").unwrap().values, [1.0, -2.5, 3e4]);
    assert_eq!(input::parse("[]").unwrap().values, [0.0; 0]);
    let sorted = input::parse(r#"[{"value": 1, "time": 20}, {"value": 2, "time": 3}]"#).unwrap();
    assert_eq!((sorted.values, sorted.sorted), (vec![2.0, 1.0], true));
    refused("[1, NaN]", "NaN and Infinity are not JSON either");
    refused("{\"value\": 1}", "it is an object, where a list");
    refused("[1, null]", "point 1 is null: it must be a finite number");
    refused("[1, {\"value\": 1}]", "point 1 is {\"value\":1}: it must be a finite number");
    refused("[{\"value\": \"x\", \"time\": 1}]", "point 0 is");
    refused("[{\"value\": 1}]", "point 0 is no time");
    refused(
        r#"[{"value": 1, "time": 1}, {"value": 1, "time": "a"}]"#,
        "point 1 has the time \"a\"",
    );
}

fn stepped() -> impl Strategy<Value = Vec<f64>> {
    let part = (8usize..40, -8.0..8.0f64);
    (any::<u64>(), prop::collection::vec(part, 1..4)).prop_map(|(seed, parts)| levels(seed, &parts))
}

fn places(history: &History) -> Vec<usize> {
    history.change_points.iter().map(|c| c.index).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn the_unit_of_a_series_does_not_matter(values in stepped(), scale in 1e-6..1e6f64, shift in -10.0..10.0f64) {
        let other: Vec<f64> = values.iter().map(|v| scale * (v + shift)).collect();
        let (one, two) = (found(&values), found(&other));
        prop_assert_eq!(places(&one), places(&two));
        for (a, b) in one.change_points.iter().zip(&two.change_points) {
            prop_assert!((scale * (a.before + shift) - b.before).abs() <= 1e-6 * scale * 100.0);
            prop_assert!((a.p.ln() - b.p.ln()).abs() <= 1e-3 * (1.0 + a.p.ln().abs()));
        }
    }

    #[test]
    fn mirrored_values_have_the_same_changes(values in stepped()) {
        let mirrored: Vec<f64> = values.iter().map(|v| -v).collect();
        prop_assert_eq!(places(&found(&values)), places(&found(&mirrored)));
    }

    #[test]
    fn reports_are_sound_for_any_values(values in prop::collection::vec(-1e9..1e9f64, 0..80)) {
        let history = found(&values);
        prop_assert_eq!(&history, &found(&values));
        prop_assert!(history.change_points.is_sorted_by(|a, b| a.index < b.index));
        for change in &history.change_points {
            prop_assert!(change.index > 0 && change.index < values.len());
            prop_assert!(change.p > 0.0 && change.p <= Options::default().alpha);
            prop_assert!((0.0..=1.0).contains(&change.severity));
            prop_assert!(change.before.is_finite() && change.after.is_finite());
        }
    }

    #[test]
    fn a_large_step_is_found_from_both_ends(seed in any::<u64>(), left in 15usize..60, right in 15usize..60) {
        let mut values = levels(seed, &[(left, 0.0), (right, 9.0)]);
        let forwards = places(&found(&values));
        values.reverse();
        let backwards: Vec<usize> = places(&found(&values)).iter().map(|i| values.len() - i).collect();
        prop_assert!(forwards.contains(&left), "{:?}", forwards);
        prop_assert_eq!(forwards, backwards);
    }
}
