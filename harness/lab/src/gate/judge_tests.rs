//! Tests of the verdicts: what each case is said to be, and that nothing passes silently.

use super::*;
use proptest::prelude::*;

/// Levels of calm processes, and of processes with a second mode.
const CALM: [f64; 5] = [1.0, 1.0011, 0.9993, 1.0004, 0.9989];
const MODES: [f64; 5] = [1.0, 1.12, 1.001, 1.11, 0.999];

fn side(levels: &[f64]) -> Vec<Process> {
    let wobble = |level: f64| (0..20).map(move |i| level * (1.0 + 1e-4 * f64::from(i % 5)));
    levels.iter().map(|&level| Process::new(&wobble(level).collect::<Vec<_>>()).unwrap()).collect()
}

fn case(base: &[f64], head: &[f64]) -> Case {
    Case { id: "case".into(), sides: Ok(Sides { base: side(base), head: side(head) }) }
}

fn options() -> Options {
    Options::new(0.01, 0.05).unwrap()
}

#[track_caller]
fn check(base: &[f64], head: &[f64], expected: Verdict) -> Judgement {
    let found = judge(&[case(base, head)], &options()).remove(0);
    assert_eq!(found.verdict, expected, "{found:#?}");
    found
}

fn times(levels: &[f64], factor: f64) -> Vec<f64> {
    levels.iter().map(|level| level * factor).collect()
}

#[test]
fn plain_cases() {
    let found = check(&CALM, &times(&CALM, 1.05), Verdict::Regressed);
    assert!((found.effect.unwrap() - 0.05).abs() < 2e-3, "{found:?}");
    assert!(found.low.unwrap() > 0.04 && found.high.unwrap() < 0.06, "{found:?}");
    assert!(found.p.unwrap() <= 0.005 && (found.p_exact.unwrap() - 2.0 / 252.0).abs() < 1e-9);
    check(&CALM, &times(&CALM, 0.95), Verdict::Improved);
    check(&CALM, &CALM, Verdict::Equivalent);
    let found = check(&MODES, &times(&MODES, 1.01), Verdict::Undecided);
    assert!(found.reason.unwrap().contains("run more processes"));
}

#[test]
fn changes_below_the_minimal_effect_are_no_regressions() {
    check(&CALM, &times(&CALM, 1.005), Verdict::Equivalent);
}

#[test]
fn one_process_far_off_decides_nothing() {
    let mut head = CALM.to_vec();
    head[2] = 1.5;
    let found = judge(&[case(&CALM, &head)], &options()).remove(0);
    assert!(found.verdict != Verdict::Regressed && found.effect.unwrap() < 0.01, "{found:?}");
    check(&CALM, &times(&head, 1.1), Verdict::Regressed);
}

#[test]
fn sides_may_have_unequal_numbers_of_processes() {
    check(&CALM[..2], &times(&[CALM, CALM].concat(), 1.1), Verdict::Regressed);
    check(&CALM, &CALM[..4], Verdict::Equivalent);
}

#[test]
fn a_design_that_can_never_alarm_is_refused() {
    let found = check(&CALM[..3], &times(&CALM[..3], 2.0), Verdict::Undecided);
    let reason = found.reason.unwrap();
    assert!(
        reason.contains("never goes below 0.100") && reason.contains("4 processes"),
        "{reason}"
    );
    for (base, head) in [(1, 5), (5, 1), (0, 5), (5, 0), (1, 1)] {
        let found = check(&CALM[..base], &times(&CALM[..head], 2.0), Verdict::Undecided);
        assert!(found.reason.is_some() && found.p.is_none(), "{found:?}");
    }
}

#[test]
fn a_fault_is_told_and_hides_no_other_case() {
    let bad = Case { id: "bad".into(), sides: Err("sample 1 is NaN".into()) };
    let found = judge(&[bad, case(&CALM, &times(&CALM, 1.1))], &options());
    assert_eq!(found[0].reason.as_deref(), Some("sample 1 is NaN"));
    assert_eq!(found[0].verdict, Verdict::Undecided);
    assert_eq!(found[1].verdict, Verdict::Regressed);
}

#[test]
fn a_family_is_judged_more_strictly() {
    let all = Options { family: Family::All, ..options() };
    let mut cases = vec![case(&CALM, &times(&CALM, 1.1))];
    let alone = judge(&cases, &all)[0].p.unwrap();
    cases.extend(std::iter::repeat_n(case(&CALM, &CALM), 9));
    let together = judge(&cases, &all)[0].p.unwrap();
    assert!((together / alone - 10.0).abs() < 1e-6, "{alone} {together}");
    assert_eq!(judge(&cases, &options())[0].p, Some(alone));
}

#[test]
fn options_are_checked() {
    for (min_effect, alpha) in [(-0.1, 0.05), (f64::NAN, 0.05), (0.9, 0.05), (0.01, 0.0)] {
        assert!(Options::new(min_effect, alpha).is_err(), "{min_effect} {alpha}");
    }
    assert!(Options::new(0.01, f64::NAN).is_err() && Options::new(0.01, 0.5).is_err());
    assert!(Options::new(0.0, 0.05).is_ok());
}

#[test]
fn identical_samples_are_judged() {
    let same = [2e-9; 5];
    check(&same, &same, Verdict::Equivalent);
    check(&same, &times(&same, 1.05), Verdict::Regressed);
    check(&same, &times(&same, 1e6), Verdict::Regressed);
    check(&same, &times(&same, 1e-6), Verdict::Improved);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Another unit of time, or another order of processes, changes no verdict.
    #[test]
    fn the_unit_and_the_order_do_not_matter(
        base in prop::collection::vec(0.9..1.1_f64, 5),
        head in prop::collection::vec(0.9..1.2_f64, 5),
        unit in 1e-6..1e3_f64,
    ) {
        let plain = judge(&[case(&base, &head)], &options()).remove(0);
        let (mut base, mut head) = (times(&base, unit), times(&head, unit));
        base.reverse();
        head.rotate_left(2);
        let other = judge(&[case(&base, &head)], &options()).remove(0);
        prop_assert_eq!(plain.verdict, other.verdict);
        prop_assert!((plain.effect.unwrap() - other.effect.unwrap()).abs() < 1e-6);
        prop_assert!((plain.p.unwrap() / other.p.unwrap() - 1.0).abs() < 1e-3);
    }

    /// The interval holds the effect, and equal halves show none.
    #[test]
    fn the_numbers_agree(
        base in prop::collection::vec(0.5..2.0_f64, 4..8),
        head in prop::collection::vec(0.5..2.0_f64, 4..8),
    ) {
        let found = judge(&[case(&base, &head)], &options()).remove(0);
        let (effect, low, high) = (found.effect.unwrap(), found.low.unwrap(), found.high.unwrap());
        prop_assert!(low <= effect && effect <= high);
        prop_assert!((0.0..=1.0).contains(&found.p.unwrap()));
        prop_assert!((0.0..=1.0).contains(&found.power.unwrap()));
        let same = judge(&[case(&base, &base)], &options()).remove(0);
        prop_assert!(matches!(same.verdict, Verdict::Equivalent | Verdict::Undecided));
    }
}
