//! What is known, how well, and what is not: the matrix of models and endpoints. Pure.
//!
//! Every count of results stands beside its mark; results with different marks are never in one number, nor are
//! those with and those without fallbacks.
//! How it looks as Markdown or HTML is `report`.

use crate::plan::Stored;
use proofmark::Mark;
use proofmark::protocol::Listed;
use proofmark::record::Outcome;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Results of one kind: with one mark, and all with or all without fallbacks. The three counts exclude each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// What these results prove; null for runs that opened no device.
    pub mark: Option<Mark>,
    /// Whether ops of these results ran elsewhere than on the device.
    pub fallback: bool,
    /// All of them.
    pub measured: usize,
    /// Passed, and still of this code.
    pub passed: usize,
    /// Did not pass, and still of this code.
    pub failed: usize,
    /// Of other code, weights, drivers or tools.
    pub stale: usize,
}

/// One model on one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// Cases that the suites make.
    pub known: usize,
    /// Those that cannot run here.
    pub absent: usize,
    /// Those that could run and never did.
    pub unmeasured: usize,
    /// Those that ran, by mark.
    pub results: Vec<Counts>,
    /// Why cases are absent.
    pub reasons: BTreeSet<String>,
}

/// The matrix, in the order of models and then of endpoints.
pub fn coverage(cases: &[Listed], stored: &Stored) -> Vec<Cell> {
    let mut cells: BTreeMap<(String, String), Cell> = BTreeMap::new();
    for case in cases {
        let (model, endpoint) = (case.id.model.clone(), case.id.endpoint.to_string());
        let key = (model.clone(), endpoint.clone());
        let cell = cells.entry(key).or_insert_with(|| Cell {
            model,
            endpoint,
            known: 0,
            absent: 0,
            unmeasured: 0,
            results: Vec::new(),
            reasons: BTreeSet::new(),
        });
        add(cell, case, stored);
    }
    cells.into_values().collect()
}

fn add(cell: &mut Cell, case: &Listed, stored: &Stored) {
    cell.known += 1;
    if let Some(absence) = &case.absence {
        cell.absent += 1;
        cell.reasons.insert(absence.reason().to_owned());
        return;
    }
    let Some(past) = stored.get(&case.id.to_string()) else {
        cell.unmeasured += 1;
        return;
    };
    let place =
        cell.results.iter().position(|c| (c.mark, c.fallback) == (past.mark, past.fell_back));
    let place = place.unwrap_or_else(|| {
        cell.results.push(Counts {
            mark: past.mark,
            fallback: past.fell_back,
            ..Counts::default()
        });
        cell.results.len() - 1
    });
    let counts = &mut cell.results[place];
    counts.measured += 1;
    match past.outcome {
        _ if past.fingerprint != case.fingerprint.digest => counts.stale += 1,
        Outcome::Passed => counts.passed += 1,
        _ => counts.failed += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Past;
    use proofmark::{Absence, Fingerprint, Part};

    fn listed(id: &str, absence: Option<Absence>) -> Listed {
        let fingerprint = Fingerprint::new([Part::text("code", "1")]);
        Listed { id: id.parse().unwrap(), fingerprint, absence }
    }

    fn past(digest: &str, outcome: Outcome, mark: Option<Mark>) -> Past {
        let (parts, recorded_at) = (Vec::new(), jiff::Timestamp::UNIX_EPOCH);
        let fingerprint = digest.to_owned();
        let (noise, seconds, fell_back) = (Vec::new(), 1.0, false);
        Past { fingerprint, parts, recorded_at, outcome, mark, noise, seconds, fell_back }
    }

    #[test]
    fn marks_are_counted_apart() {
        let absent = Absence::Endpoint { reason: "no GPU".into() };
        let ids = ["b1", "b2", "b3", "b4", "b5", "b6"].map(|shape| format!("m/cpu/f32/{shape}"));
        let mut cases: Vec<_> = ids.iter().map(|id| listed(id, None)).collect();
        cases.push(listed("m/cuda/f32/b1", Some(absent)));
        let now = cases[0].fingerprint.digest.clone();
        let elsewhere = past(&now, Outcome::Passed, Some(Mark::Real));
        let stored = Stored::from([
            (ids[0].clone(), past(&now, Outcome::Passed, Some(Mark::Real))),
            (ids[1].clone(), past(&now, Outcome::Passed, Some(Mark::Software))),
            (ids[2].clone(), past("other", Outcome::Passed, Some(Mark::Real))),
            (ids[3].clone(), past(&now, Outcome::TimedOut, None)),
            (ids[5].clone(), Past { fell_back: true, ..elsewhere }),
        ]);
        let cells = coverage(&cases, &stored);
        assert_eq!((cells.len(), cells[0].known, cells[0].unmeasured), (2, 6, 1));
        let counts = |mark, passed, failed, stale| Counts {
            mark,
            fallback: false,
            measured: passed + failed + stale,
            passed,
            failed,
            stale,
        };
        let expected = [
            counts(Some(Mark::Real), 1, 0, 1),
            counts(Some(Mark::Software), 1, 0, 0),
            counts(None, 0, 1, 0),
            Counts { fallback: true, ..counts(Some(Mark::Real), 1, 0, 0) },
        ];
        assert_eq!(cells[0].results, expected);
        assert_eq!((cells[1].absent, cells[1].results.len()), (1, 0));
        assert_eq!(cells[1].reasons, BTreeSet::from(["no GPU".to_owned()]));
    }
}
