//! What bounds a case: the memory or the arithmetic of its device, by the roof that was measured on it.
//!
//! Source: Williams, Waterman & Patterson, "Roofline: An Insightful Visual Performance Model for Multicore Architectures",
//! Communications of the ACM 52 (2009). Operations and bytes of a run come from its shapes: the bytes are the least that
//! must be moved, so that the intensity is the most that it can be.

use super::Row;
use proofmark::roof::{Limit, Roofs};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What bounds a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// Its bytes take longer at the roof than its operations.
    Memory,
    /// Its operations take at least as long.
    Compute,
}

impl Bound {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Compute => "compute",
        }
    }
}

/// Where a case is below the roof of its device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Below {
    /// The line of the roof.
    pub roof: String,
    /// Operations per byte.
    pub intensity: f64,
    /// What bounds it.
    pub bound: Bound,
    /// The time at the roof ÷ the latency. Above 1 where operands come from a cache.
    pub of_roof: f64,
}

/// The newest line of each machine, endpoint, mark, adapter, precision and of a fixture or not, if it has both limits.
pub(super) fn newest(roofs: &[Roofs]) -> Vec<Roofs> {
    let mut found: BTreeMap<_, &Roofs> = BTreeMap::new();
    for line in roofs {
        let whole = line.best(Limit::Bandwidth).is_some() && line.best(Limit::Arithmetic).is_some();
        let newest = found.entry(key(line)).or_insert(line);
        if whole && (newest.recorded_at <= line.recorded_at || limits(newest).is_none()) {
            *newest = line;
        }
    }
    found.into_values().filter(|line| limits(line).is_some()).cloned().collect()
}

type Key = (String, String, &'static str, String, String, bool);

fn key(line: &Roofs) -> Key {
    let of = [&line.machine, line.endpoint.as_str(), &line.adapter, &line.precision];
    let [machine, endpoint, adapter, precision] = of.map(str::to_owned);
    (machine, endpoint, line.mark.name(), adapter, precision, crate::basis::is_fixture(&line.suite))
}

/// Bytes and operations per second.
fn limits(line: &Roofs) -> Option<[f64; 2]> {
    Some([line.best(Limit::Bandwidth)?, line.best(Limit::Arithmetic)?])
}

/// The operations per byte from which on arithmetic bounds; nothing without both limits.
pub fn ridge(line: &Roofs) -> Option<f64> {
    limits(line).map(|[bandwidth, arithmetic]| arithmetic / bandwidth)
}

/// Where a row is below the roof of its own device, if that was measured.
pub(super) fn below(row: &Row, roofs: &[Roofs]) -> Option<Below> {
    let mark = row.kind.mark?;
    if row.kind.fallbacks || row.latency_ns <= 0.0 {
        return None;
    }
    let own = (
        row.machine.clone(),
        row.endpoint.clone(),
        mark.name(),
        row.device.clone(),
        row.precision.clone(),
        row.kind.fixture,
    );
    let line = roofs.iter().find(|line| key(line) == own)?;
    let [bandwidth, arithmetic] = limits(line)?;
    let operations = row.operations_per_run? as f64;
    let bytes = row.bytes_per_run.filter(|bytes| *bytes > 0)? as f64;
    let (moving, computing) = (1e9 * bytes / bandwidth, 1e9 * operations / arithmetic);
    Some(Below {
        roof: line.id.clone(),
        intensity: operations / bytes,
        bound: if moving > computing { Bound::Memory } else { Bound::Compute },
        of_roof: moving.max(computing) / row.latency_ns,
    })
}

/// The roofs that rows are below.
pub(super) fn used(roofs: Vec<Roofs>, rows: &[Row]) -> Vec<Roofs> {
    let ids: BTreeSet<&str> =
        rows.iter().filter_map(|row| Some(row.below.as_ref()?.roof.as_str())).collect();
    roofs.into_iter().filter(|line| ids.contains(line.id.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::measured;
    use super::super::{Measurement, timing};
    use super::*;
    use jiff::Timestamp;
    use proofmark::Mark;
    use proofmark::roof::{FORMAT, Roof};

    /// 1 GB/s and 10 G operations per second: the ridge is at ten operations per byte.
    fn roofs(id: &str, day: i64) -> Roofs {
        let roof = |limit, per_s| Roof { limit, test: "a test".into(), per_s };
        Roofs {
            format: FORMAT,
            id: id.into(),
            recorded_at: Timestamp::from_second(86_400 * day).unwrap(),
            suite: "s".into(),
            machine: "here".into(),
            endpoint: "cpu".parse().unwrap(),
            mark: Mark::Real,
            adapter: "wood".into(),
            precision: "f32".into(),
            roofs: vec![roof(Limit::Bandwidth, 1e9), roof(Limit::Arithmetic, 1e10)],
        }
    }

    fn found(measured: Measurement, roofs: &[Roofs]) -> Option<Below> {
        timing(&[measured], roofs, &[], Timestamp::UNIX_EPOCH).rows.remove(0).below
    }

    fn with(operations: u64, bytes: u64) -> Measurement {
        let mut one = measured("m/cpu/f32/b1", Mark::Real, 1000.0);
        (one.operations_per_run, one.bytes_per_run) = (Some(operations), Some(bytes));
        one
    }

    #[test]
    fn the_longer_of_the_two_times_is_the_bound() {
        // 500 bytes take 500 ns, 1000 operations 100 ns.
        let below = found(with(1000, 500), &[roofs("r", 1)]).unwrap();
        assert_eq!((below.bound, &*below.roof), (Bound::Memory, "r"));
        assert!((below.of_roof - 0.5).abs() < 1e-9 && (below.intensity - 2.0).abs() < 1e-9);
        let below = found(with(8000, 500), &[roofs("r", 1)]).unwrap();
        assert_eq!(below.bound, Bound::Compute);
        assert!((below.of_roof - 0.8).abs() < 1e-9);
        assert_eq!(ridge(&roofs("r", 1)), Some(10.0));
    }

    #[test]
    fn only_the_roof_of_the_very_device_counts_and_the_newest_of_it() {
        let one = with(1000, 500);
        let mut other = [(); 6].map(|()| roofs("other", 9));
        other[0].machine = "there".into();
        other[1].endpoint = "cuda".parse().unwrap();
        other[2].mark = Mark::Software;
        other[3].adapter = "iron".into();
        other[4].precision = "f16".into();
        other[5].suite = proofmark::record::FIXTURE.into();
        for line in &other {
            assert_eq!(found(one.clone(), std::slice::from_ref(line)), None, "{line:?}");
        }
        let mut torn = roofs("torn", 8);
        torn.roofs.truncate(1);
        let all = [&[torn.clone(), roofs("new", 7), roofs("old", 1), torn][..], &other].concat();
        assert_eq!(found(one.clone(), &all).unwrap().roof, "new");
        let report = timing(&[one], &all, &[], Timestamp::UNIX_EPOCH);
        assert_eq!(report.roofs.iter().map(|line| &*line.id).collect::<Vec<_>>(), ["new"]);
    }
}
