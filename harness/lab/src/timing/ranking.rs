//! Orders what is comparable: results of one kind, on machines of one class, of one precision and shape, without fallbacks.
//! Of a model its endpoints are ranked, and on an endpoint the models of a family.
//!
//! A place is one more than the number of those that are surely quicker: whose interval ends before this one begins. So
//! several share a place where nothing tells them apart. Two intervals of 95 % that do not overlap differ at a level of
//! less than 5 %. Source: Schenker & Gentleman, "On Judging the Significance of Differences by Examining the Overlap
//! Between Confidence Intervals", The American Statistician 55 (2001).

use super::Row;
use crate::basis::Kind;
use proofmark::Mark;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Among {
    /// The endpoints of one model.
    Endpoints,
    /// The models of one family on one endpoint.
    Models,
}

impl Among {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Models => "models",
        }
    }
}

/// Equals in their order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// What is ranked.
    pub among: Among,
    /// The model, or the family, the endpoint and the device.
    pub of: String,
    /// What all numbers are.
    #[serde(flatten)]
    pub kind: Kind,
    /// Platform, processor and threads of all machines.
    pub class: String,
    /// The precision of all.
    pub precision: String,
    /// The shape of all.
    pub shape: String,
    /// The quickest first; at least two.
    pub entries: Vec<Entry>,
}

/// One of several equals.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The endpoint and its device, or the model.
    pub name: String,
    /// Where its numbers stand.
    pub record: String,
    /// From 1; shared where intervals overlap.
    pub place: usize,
    /// Nanoseconds.
    pub latency_ns: f64,
    /// Of 95 %.
    pub interval: [f64; 2],
    /// Its interval meets that of the one before or after it.
    pub too_close: bool,
}

/// A place of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Among what.
    pub among: Among,
    /// From 1.
    pub place: usize,
    /// Of how many.
    pub of: usize,
    /// Too close to a neighbour to be told from it.
    pub too_close: bool,
}

/// The rankings in which at least two take part.
pub fn rankings(rows: &[Row]) -> Vec<Ranking> {
    type Key<'a> = (Among, String, Kind, &'a str, &'a str, &'a str);
    let mut groups: BTreeMap<Key<'_>, Vec<(String, &Row)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_ranked(row)) {
        let key = |among, of| {
            (among, of, row.kind, row.class.as_str(), row.precision.as_str(), row.shape.as_str())
        };
        let place = format!("{} ({})", row.endpoint, row.device);
        let endpoints = key(Among::Endpoints, row.model.clone());
        groups.entry(endpoints).or_default().push((place.clone(), row));
        let models = key(Among::Models, format!("{} on {place}", row.family));
        groups.entry(models).or_default().push((row.model.clone(), row));
    }
    let several = groups
        .into_iter()
        .filter(|(_, members)| members.iter().any(|(name, _)| *name != members[0].0));
    several
        .map(|((among, of, kind, class, precision, shape), members)| Ranking {
            among,
            of,
            kind,
            class: class.to_owned(),
            precision: precision.to_owned(),
            shape: shape.to_owned(),
            entries: entries(members),
        })
        .collect()
}

/// What has an interval, was not helped, and is not merely claimed: what a claim means by its number is not known.
fn is_ranked(row: &Row) -> bool {
    row.latency_ns_interval.is_some()
        && !row.kind.fallbacks
        && row.kind.mark.is_some_and(|mark| mark != Mark::Claimed)
}

fn entries(members: Vec<(String, &Row)>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = members
        .into_iter()
        .filter_map(|(name, row)| {
            let (record, latency_ns) = (row.record.clone(), row.latency_ns);
            let interval = row.latency_ns_interval?;
            Some(Entry { name, record, place: 0, latency_ns, interval, too_close: false })
        })
        .collect();
    entries.sort_by(|a, b| a.latency_ns.total_cmp(&b.latency_ns).then_with(|| a.name.cmp(&b.name)));
    // One name on several machines of the class is one that takes part: its interval holds those of all.
    let mut intervals: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    for Entry { name, interval: [low, high], .. } in &entries {
        let all = intervals.entry(name.clone()).or_insert([*low, *high]);
        *all = [all[0].min(*low), all[1].max(*high)];
    }
    let meet = |a: [f64; 2], b: [f64; 2]| a[0] <= b[1] && b[0] <= a[1];
    for entry in &mut entries {
        let own = intervals[&entry.name];
        entry.place = 1 + intervals.values().filter(|other| other[1] < own[0]).count();
        entry.too_close =
            intervals.iter().any(|(name, other)| *name != entry.name && meet(*other, own));
    }
    entries
}

impl Ranking {
    /// How many take part.
    fn names(&self) -> usize {
        self.entries.iter().map(|entry| &entry.name).collect::<BTreeSet<_>>().len()
    }

    /// The quickest of another name than this one.
    pub(super) fn next_to(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name != name)
    }
}

/// Tells each row its places.
pub(super) fn add_places(rows: &mut [Row], rankings: &[Ranking]) {
    let mut places: BTreeMap<(&str, Kind), Vec<Place>> = BTreeMap::new();
    for ranking in rankings {
        for entry in &ranking.entries {
            let place = Place {
                among: ranking.among,
                place: entry.place,
                of: ranking.names(),
                too_close: entry.too_close,
            };
            places.entry((&entry.record, ranking.kind)).or_default().push(place);
        }
    }
    for row in rows {
        row.places = places.get(&(row.record.as_str(), row.kind)).cloned().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::measured;
    use super::super::{Measurement, timing};
    use super::*;

    fn ranked(measurements: &[Measurement]) -> Vec<Ranking> {
        timing(measurements, &[], &[], "2026-01-02T00:00:00Z".parse().unwrap()).rankings
    }

    fn on(endpoint: &str, latency_ns: f64) -> Measurement {
        measured(&format!("bert-a/{endpoint}/f32/b1"), Mark::Real, latency_ns)
    }

    #[test]
    fn equals_are_ranked_and_what_overlaps_shares_a_place() {
        let all = [on("cpu", 300.0), on("cuda", 100.0), on("rocm", 104.0), on("mps", 200.0)];
        let found = ranked(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        let told: Vec<_> =
            found[0].entries.iter().map(|e| (e.name.as_str(), e.place, e.too_close)).collect();
        assert_eq!(
            told,
            [
                ("cuda (wood)", 1, true),
                ("rocm (wood)", 1, true),
                ("mps (wood)", 3, false),
                ("cpu (wood)", 4, false)
            ]
        );
    }

    #[test]
    fn one_endpoint_on_two_machines_of_a_class_takes_part_once() {
        let machine = |machine: &str, measured: Measurement| Measurement {
            machine: machine.into(),
            record: format!("{}-{machine}", measured.record),
            ..measured
        };
        let [quick, slow] = [machine("a", on("cpu", 100.0)), machine("b", on("cpu", 400.0))];
        assert_eq!(ranked(&[quick.clone(), slow.clone()]), [], "nothing to rank it among");
        let found =
            ranked(&[quick, slow, machine("a", on("mps", 300.0)), machine("a", on("cuda", 900.0))]);
        let told: Vec<_> =
            found[0].entries.iter().map(|e| (e.name.as_str(), e.place, e.too_close)).collect();
        assert_eq!(
            told,
            [
                ("cpu (wood)", 1, true),
                ("mps (wood)", 1, true),
                ("cpu (wood)", 1, true),
                ("cuda (wood)", 3, false)
            ]
        );
    }

    #[test]
    fn nothing_that_differs_in_kind_class_shape_or_precision_is_in_one_ranking() {
        let base = on("cpu", 300.0);
        let with = |change: fn(&mut Measurement)| {
            let mut other = on("cuda", 100.0);
            change(&mut other);
            other
        };
        assert_eq!(ranked(&[base.clone(), with(|_| {})]).len(), 1);
        for other in [
            with(|m| m.kind.mark = Some(Mark::Software)),
            with(|m| m.kind.fixture = true),
            with(|m| m.kind.fallbacks = true),
            with(|m| m.class = "linux · other · 2 threads".into()),
            with(|m| m.parts[2] = "f16".into()),
            with(|m| m.parts[3] = "b2".into()),
            with(|m| m.parts[0] = "vit-a".into()),
            with(|m| m.samples.truncate(5)),
        ] {
            assert_eq!(ranked(&[base.clone(), other.clone()]), [], "{other:?}");
        }
        // Claims are of no order, and what had help is not even among its own.
        for change in [
            (|m: &mut Measurement| m.kind.mark = Some(Mark::Claimed)) as fn(&mut Measurement),
            |m| m.kind.fallbacks = true,
        ] {
            let mut both = [on("cpu", 300.0), on("cuda", 100.0)];
            both.iter_mut().for_each(change);
            assert_eq!(ranked(&both), []);
        }
    }

    #[test]
    fn models_of_a_family_are_ranked_on_one_device() {
        let model = |name: &str, device: &str, latency| {
            let one = measured(&format!("{name}/cpu/f32/b1"), Mark::Real, latency);
            Measurement { device: device.into(), ..one }
        };
        let all = [
            model("bert-b", "wood", 900.0),
            model("bert-a", "wood", 100.0),
            model("bert-c", "iron", 1.0),
            model("vit-a", "wood", 1.0),
        ];
        let found = ranked(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].among, &*found[0].of), (Among::Models, "bert on cpu (wood)"));
        assert_eq!(found[0].entries[0].name, "bert-a");
        let report = timing(&all, &[], &[], "2026-01-02T00:00:00Z".parse().unwrap());
        let places: Vec<_> =
            report.rows.iter().map(|row| (&*row.model, row.places.len())).collect();
        assert_eq!(places, [("bert-a", 1), ("bert-b", 1), ("bert-c", 0), ("vit-a", 0)]);
    }
}
