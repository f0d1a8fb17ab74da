//! How latency grows with one size of a shape while the others stay: the exponent of a power law, with its interval.
//!
//! Latency is taken for c·sizeᵏ; k is the slope of ln latency over ln size by least squares ([`crate::stats::slope`]).
//! Below 1 a larger batch is cheaper per item; 2 is what attention tends to for long sequences.

use super::{LEVEL, Row};
use crate::basis::Kind;
use crate::stats::slope;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Different sizes that a fit needs: two leave nothing to tell its error by.
const SIZES: usize = 3;

/// How the latency of a model on a device grows with one of its sizes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scaling {
    /// The model.
    pub model: String,
    /// The endpoint.
    pub endpoint: String,
    /// The adapter's own name.
    pub device: String,
    /// The precision.
    pub precision: String,
    /// What all its numbers are.
    #[serde(flatten)]
    pub kind: Kind,
    /// The key of the machine.
    pub machine: String,
    /// Platform, processor and threads.
    pub class: String,
    /// The size that grows, as shapes name it: `b` is the batch, `s` the sequence.
    pub size: String,
    /// The rest of the shape, with `*` for the size.
    pub shape: String,
    /// The sizes, with the latency in nanoseconds and the record of each.
    pub points: Vec<(u64, f64, String)>,
    /// The exponent.
    pub exponent: f64,
    /// Its interval of 95 %.
    pub interval: [f64; 2],
}

/// The sizes of a shape like `b8-s128`, each with its name; nothing if it is no such shape.
pub fn sizes(shape: &str) -> Option<Vec<(&str, u64)>> {
    let size = |part: &'_ str| {
        let digits = part.find(|c: char| c.is_ascii_digit())?;
        Some(digits).filter(|digits| *digits > 0)
    };
    shape
        .split('-')
        .map(|part| {
            let (name, number) = part.split_at(size(part)?);
            Some((name, number.parse().ok().filter(|number| *number > 0)?))
        })
        .collect()
}

/// The growth of everything that was measured at three sizes.
pub(super) fn scaling(rows: &[Row]) -> Vec<Scaling> {
    type Key<'a> = ([&'a str; 6], Kind, &'a str, String);
    let mut groups: BTreeMap<Key<'_>, Vec<(u64, &Row)>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.kind.mark.is_some() && row.latency_ns > 0.0) {
        let Some(sizes) = sizes(&row.shape) else { continue };
        for (index, (name, size)) in sizes.iter().enumerate() {
            let rest = sizes.iter().enumerate().map(|(other, (name, size))| {
                if other == index { format!("{name}*") } else { format!("{name}{size}") }
            });
            let of =
                [&row.model, &row.endpoint, &row.device, &row.precision, &row.machine, &row.class];
            let key = (of.map(String::as_str), row.kind, *name, rest.collect::<Vec<_>>().join("-"));
            groups.entry(key).or_default().push((*size, row));
        }
    }
    groups
        .into_iter()
        .filter_map(|((of, kind, size, shape), members)| {
            let different: BTreeSet<u64> = members.iter().map(|(size, _)| *size).collect();
            if different.len() < SIZES {
                return None;
            }
            let logs: Vec<[f64; 2]> = members
                .iter()
                .map(|(size, row)| [(*size as f64).ln(), row.latency_ns.ln()])
                .collect();
            let (exponent, interval) = slope(&logs, LEVEL)?;
            let mut points: Vec<_> = members
                .iter()
                .map(|(size, row)| (*size, row.latency_ns, row.record.clone()))
                .collect();
            points.sort_by_key(|(size, ..)| *size);
            let [model, endpoint, device, precision, machine, class] = of.map(str::to_owned);
            let (size, kind) = (size.to_owned(), kind);
            Some(Scaling {
                model,
                endpoint,
                device,
                precision,
                kind,
                machine,
                class,
                size,
                shape,
                points,
                exponent,
                interval,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::measured;
    use super::super::{Measurement, timing};
    use super::*;
    use proofmark::Mark;

    fn at(shape: &str, latency_ns: f64) -> Measurement {
        measured(&format!("m/cpu/f32/{shape}"), Mark::Real, latency_ns)
    }

    fn found(all: &[Measurement]) -> Vec<Scaling> {
        timing(all, &[], &[], jiff::Timestamp::UNIX_EPOCH).scaling
    }

    #[test]
    fn the_exponent_is_that_of_the_power() {
        let batch = [1.0, 2.0, 4.0, 8.0].map(|b: f64| at(&format!("b{b}-s16"), 10.0 * b.powf(0.5)));
        let sequence =
            [32.0, 64.0].map(|s: f64| at(&format!("b1-s{s}"), 10.0 * (s / 16.0).powi(2)));
        let all = found(&[&batch[..], &sequence].concat());
        let told: Vec<_> =
            all.iter().map(|one| (&*one.size, &*one.shape, one.points.len())).collect();
        assert_eq!(told, [("b", "b*-s16", 4), ("s", "b1-s*", 3)]);
        for (one, expected) in all.iter().zip([0.5, 2.0]) {
            assert!((one.exponent - expected).abs() < 1e-9, "{one:?}");
            assert!(one.interval[0] <= one.exponent && one.exponent <= one.interval[1]);
        }
    }

    #[test]
    fn two_sizes_say_nothing_and_marks_are_not_mixed() {
        let mut all = [at("b1", 1.0), at("b2", 2.0), at("b4", 4.0)];
        assert_eq!(found(&all).len(), 1);
        assert_eq!(found(&all[..2]), []);
        all[2].kind.mark = Some(Mark::Software);
        assert_eq!(found(&all), []);
    }

    #[test]
    fn shapes_are_read() {
        assert_eq!(sizes("b8-s128"), Some(vec![("b", 8), ("s", 128)]));
        assert_eq!(sizes("b1"), Some(vec![("b", 1)]));
        for shape in ["odd", "b1-odd", "8", "", "b0", "b1x2"] {
            assert_eq!(sizes(shape), None, "{shape}");
        }
    }
}
