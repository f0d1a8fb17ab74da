//! Which cases a change can have touched: the listings of base and head, case by case.

use super::judge::Verdict;
use proofmark::CaseId;
use proofmark::protocol::Listed;
use std::collections::HashMap;

/// A case that has to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    /// The case.
    pub id: CaseId,
    /// The parts of its fingerprint that differ; none where it is run although nothing differs.
    pub changed: Vec<String>,
}

/// A case about which everything is known without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The case.
    pub id: CaseId,
    /// What is known.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}

/// All cases of two listings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairing {
    /// In the order of the head.
    pub affected: Vec<Affected>,
    /// In the order of the head; what only the base has comes last.
    pub settled: Vec<Settled>,
}

/// Pairs the cases of base and head. With `all`, those are run as well that nothing touched.
pub fn pair(base: &[Listed], head: &[Listed], all: bool) -> Pairing {
    let old: HashMap<&CaseId, &Listed> = base.iter().map(|listed| (&listed.id, listed)).collect();
    let mut pairing = Pairing::default();
    for new in head {
        match old.get(&new.id).map_or_else(|| Err(lone("base")), |old| compare(old, new, all)) {
            Ok(changed) => pairing.affected.push(Affected { id: new.id.clone(), changed }),
            Err((verdict, reason)) => {
                pairing.settled.push(Settled { id: new.id.clone(), verdict, reason });
            }
        }
    }
    let kept: HashMap<&CaseId, ()> = head.iter().map(|listed| (&listed.id, ())).collect();
    for old in base.iter().filter(|old| !kept.contains_key(&old.id)) {
        let (verdict, reason) = lone("head");
        pairing.settled.push(Settled { id: old.id.clone(), verdict, reason });
    }
    pairing
}

fn lone(lacking: &str) -> (Verdict, String) {
    (Verdict::Incomparable, format!("the {lacking} has no such case"))
}

/// The parts that differ, or why there is nothing to run.
fn compare(old: &Listed, new: &Listed, all: bool) -> Result<Vec<String>, (Verdict, String)> {
    match (&old.absence, &new.absence) {
        (Some(_), Some(absence)) => {
            return Err((Verdict::Incomparable, format!("it cannot run: {}", absence.reason())));
        }
        (Some(absence), None) => {
            let why = absence.reason();
            return Err((Verdict::Incomparable, format!("it could not run in the base: {why}")));
        }
        // What the base can run and the head cannot is broken: nothing absent may look like a pass.
        (None, Some(absence)) => {
            let why = absence.reason();
            return Err((Verdict::Broken, format!("it can no longer run: {why}")));
        }
        (None, None) => {}
    }
    let changed = old.fingerprint.changes(&new.fingerprint);
    if changed.is_empty() && !all {
        let parts = new.fingerprint.parts.len();
        let reason = format!("nothing differs that it depends on ({parts} parts)");
        return Err((Verdict::Unaffected, reason));
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proofmark::{Absence, Fingerprint, Part};

    fn listed(id: &str, code: &str, absent: bool) -> Listed {
        let absence = absent.then(|| Absence::Endpoint { reason: "no such card".into() });
        let fingerprint = Fingerprint::new([Part::text("code", code), Part::text("driver", "1")]);
        Listed { id: id.parse().unwrap(), fingerprint, absence }
    }

    #[test]
    fn only_what_was_touched_is_run_and_nothing_goes_missing() {
        let case = |name: &str| format!("{name}/cpu/f32/b1");
        let base = [
            listed(&case("same"), "1", false),
            listed(&case("changed"), "1", false),
            listed(&case("gone"), "1", false),
            listed(&case("lost"), "1", false),
            listed(&case("found"), "1", true),
            listed(&case("never"), "1", true),
        ];
        let head = [
            listed(&case("new"), "1", false),
            listed(&case("same"), "1", false),
            listed(&case("changed"), "2", false),
            listed(&case("lost"), "1", true),
            listed(&case("found"), "1", false),
            listed(&case("never"), "1", true),
        ];
        let found = pair(&base, &head, false);
        let affected =
            Affected { id: case("changed").parse().unwrap(), changed: vec!["code".into()] };
        assert_eq!(found.affected, [affected]);
        let settled: Vec<_> = found
            .settled
            .iter()
            .map(|s| (s.id.model.as_str(), s.verdict, s.reason.as_str()))
            .collect();
        assert_eq!(
            settled,
            [
                ("new", Verdict::Incomparable, "the base has no such case"),
                ("same", Verdict::Unaffected, "nothing differs that it depends on (2 parts)"),
                ("lost", Verdict::Broken, "it can no longer run: no such card"),
                ("found", Verdict::Incomparable, "it could not run in the base: no such card"),
                ("never", Verdict::Incomparable, "it cannot run: no such card"),
                ("gone", Verdict::Incomparable, "the head has no such case"),
            ]
        );
        let all = pair(&base, &head, true);
        let names: Vec<_> = all.affected.iter().map(|a| a.id.model.as_str()).collect();
        assert_eq!(names, ["same", "changed"]);
        assert!(all.affected[0].changed.is_empty());
    }
}
