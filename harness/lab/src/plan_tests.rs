//! Properties of plans, against a tiny model: a workspace whose cases change, fail, vanish and are measured.

use super::*;
use proofmark::Fingerprint;
use proptest::prelude::*;

const NOW: i64 = 1_800_000_000;

/// One case of the model, and how it behaves when it is run.
#[derive(Clone, Debug)]
struct Model {
    listed: Listed,
    noise: f64,
    passes: bool,
}

fn model(index: usize, version: u8, absent: bool, noise: f64, passes: bool) -> Model {
    let id = CaseId::new(&format!("m{index}"), "cpu".parse().unwrap(), "f32", "b1").unwrap();
    let fingerprint = Fingerprint::new([Part::text("code", version.to_string())]);
    let absence = absent.then(|| Absence::Endpoint { reason: "not here".into() });
    Model { listed: Listed { id, fingerprint, absence }, noise, passes }
}

fn models() -> impl Strategy<Value = Vec<Model>> {
    let one = (0u8..3, prop::bool::weighted(0.2), 0.0..0.2, prop::bool::weighted(0.8));
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let each = |(index, (version, absent, noise, passes))| {
            model(index, version, absent, noise, passes)
        };
        all.into_iter().enumerate().map(each).collect()
    })
}

/// What running a case leaves in the store.
fn measure(model: &Model, stored: &mut Stored) {
    let id = model.listed.id.to_string();
    let fingerprint = model.listed.fingerprint.digest.clone();
    let mut noise = stored.remove(&id).filter(|p| p.fingerprint == fingerprint);
    let mut noise = noise.take().map(|past| past.noise).unwrap_or_default();
    if model.passes {
        noise.insert(0, model.noise);
        noise.truncate(NOISY_RUNS);
    }
    let outcome = if model.passes { Outcome::Passed } else { Outcome::Failed };
    stored.insert(id, past(fingerprint, outcome, noise));
}

fn past(fingerprint: String, outcome: Outcome, noise: Vec<f64>) -> Past {
    let recorded_at = Timestamp::from_second(NOW).unwrap();
    let (parts, mark, seconds, fell_back) = (Vec::new(), None, 1.0, false);
    Past { fingerprint, parts, recorded_at, outcome, mark, noise, seconds, fell_back }
}

fn options() -> Options {
    Options::new(Timestamp::from_second(NOW + 60).unwrap())
}

fn wanted(models: &[Model]) -> Vec<Listed> {
    models.iter().map(|model| model.listed.clone()).collect()
}

fn ids(plan: &Plan) -> Vec<String> {
    plan.entries.iter().map(|entry| entry.case_id.to_string()).collect()
}

proptest! {
    #[test]
    fn measuring_what_is_planned_leaves_nothing_but_failures(before in models(), after in models()) {
        let mut stored = Stored::new();
        before.iter().for_each(|model| measure(model, &mut stored));
        // A case that is noisy is planned again until it has shown its noise floor, and not for ever.
        for _ in 0..NOISY_RUNS {
            for entry in plan(&wanted(&after), &stored, &options()).entries {
                let model = after.iter().find(|model| model.listed.id == entry.case_id).unwrap();
                measure(model, &mut stored);
            }
        }
        let rest = plan(&wanted(&after), &stored, &options());
        for entry in &rest.entries {
            let model = after.iter().find(|model| model.listed.id == entry.case_id).unwrap();
            prop_assert!(!model.passes, "{entry:?}");
            prop_assert_eq!(&entry.reason, &Reason::Failed { outcome: Outcome::Failed });
        }
    }

    #[test]
    fn each_case_is_planned_skipped_or_valid_and_only_once(before in models(), after in models()) {
        let mut stored = Stored::new();
        before.iter().for_each(|model| measure(model, &mut stored));
        let plan = plan(&wanted(&after), &stored, &options());
        prop_assert_eq!(plan.entries.len() + plan.skipped.len() + plan.valid, after.len());
        let mut unique = ids(&plan);
        unique.sort();
        unique.dedup();
        prop_assert_eq!(unique.len(), plan.entries.len());
        for model in &after {
            let planned = ids(&plan).contains(&model.listed.id.to_string());
            prop_assert!(!(planned && model.listed.absence.is_some()), "an absent case is planned");
        }
    }

    #[test]
    fn forcing_plans_all_that_is_there(before in models(), after in models()) {
        let mut stored = Stored::new();
        before.iter().for_each(|model| measure(model, &mut stored));
        let forced = plan(&wanted(&after), &stored, &Options { force: true, ..options() });
        let there = after.iter().filter(|model| model.listed.absence.is_none()).count();
        prop_assert_eq!(forced.entries.len(), there);
        prop_assert_eq!(forced.valid, 0);
    }

    #[test]
    fn critical_cases_come_first_and_value_decides_the_rest(before in models(), after in models()) {
        let mut stored = Stored::new();
        before.iter().for_each(|model| measure(model, &mut stored));
        let critical = Critical::new(["m7/*", "m1*"]).unwrap();
        let plan = plan(&wanted(&after), &stored, &Options { critical: critical.clone(), ..options() });
        let rate = |entry: &Entry| entry.value / entry.expected_s;
        for pair in plan.entries.windows(2) {
            let rank = |entry: &Entry| critical.rank(&entry.case_id.to_string());
            prop_assert!(rank(&pair[0]) <= rank(&pair[1]));
            if rank(&pair[0]) == rank(&pair[1]) {
                prop_assert!(rate(&pair[0]) >= rate(&pair[1]));
            }
        }
    }
}

/// The reason for a case whose stored result is `past`.
#[track_caller]
fn check(past: Past, options: &Options, expected: Option<Reason>) {
    let model = model(0, 1, false, 0.0, true);
    let stored = Stored::from([(model.listed.id.to_string(), past)]);
    let plan = plan(&[model.listed], &stored, options);
    assert_eq!(plan.entries.first().map(|entry| entry.reason.clone()), expected);
}

#[test]
fn each_reason_is_named() {
    let digest = || model(0, 1, false, 0.0, true).listed.fingerprint.digest;
    let passed = |noise: &[f64]| past(digest(), Outcome::Passed, noise.to_vec());
    check(passed(&[0.01]), &options(), None);
    let parts = vec![Part::text("code", "0"), Part::text("driver", "1")];
    let other = Past { fingerprint: "other".into(), parts, ..passed(&[0.01]) };
    let parts = vec!["code".into(), "driver".into()];
    check(other, &options(), Some(Reason::Changed { parts }));
    let crashed = past(digest(), Outcome::Crashed, Vec::new());
    check(crashed, &options(), Some(Reason::Failed { outcome: Outcome::Crashed }));
    let old = Options { max_age: Some(Duration::from_secs(59)), ..options() };
    check(passed(&[0.01]), &old, Some(Reason::Stale { age_s: 60.0 }));
    let young = Options { max_age: Some(Duration::from_secs(60)), ..options() };
    check(passed(&[0.01]), &young, None);
    check(passed(&[0.5]), &options(), Some(Reason::Noisy { noise: 0.5 }));
    check(passed(&[0.5, 0.5]), &options(), Some(Reason::Noisy { noise: 0.5 }));
    check(passed(&[0.5, 0.5, 0.5]), &options(), None);
    check(passed(&[0.5, 0.01, 0.5]), &options(), Some(Reason::Noisy { noise: 0.5 }));
    let elsewhere = Past { fell_back: true, ..passed(&[0.01]) };
    check(elsewhere.clone(), &options(), Some(Reason::Fallback));
    check(elsewhere, &Options { allow_fallback: true, ..options() }, None);
    let forced = Options { force: true, ..options() };
    check(passed(&[0.01]), &forced, Some(Reason::Forced));
}

#[test]
fn a_cheap_case_goes_before_a_dear_one_of_the_same_worth() {
    let models = [model(0, 1, false, 0.0, false), model(1, 1, false, 0.0, false)];
    let mut stored = Stored::new();
    models.iter().for_each(|model| measure(model, &mut stored));
    stored.get_mut("m0/cpu/f32/b1").unwrap().seconds = 9.0;
    let plan = plan(&wanted(&models), &stored, &options());
    assert_eq!(ids(&plan), ["m1/cpu/f32/b1", "m0/cpu/f32/b1"]);
}
