//! How wrong the model is: on devices that were left out, and on operators that were.

use super::device::Device;
use super::interval::{NOMINAL, Spread, Spreads, ape};
use super::level::Levels;
use super::model::{Core, FitError, Row};
use super::operator::Class;
use rayon::prelude::*;
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics, Statistics};
use std::collections::BTreeMap;

/// Parts into which the operators are cut to leave each out once.
const FOLDS: u64 = 4;
/// Rows that are told as the worst.
const WORST: usize = 5;

/// Errors of a class on a device that was left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Errors {
    /// The device.
    pub device: String,
    /// The class of operators.
    pub class: Class,
    /// The operators.
    pub rows: usize,
    /// Mean of |predicted - real| / real.
    pub mape: f64,
    /// Median of predicted / real, less 1.
    pub bias: f64,
    /// The 90 % quantile of |predicted - real| / real.
    pub p90: f64,
    /// The part of real times inside the interval that the other devices' errors gave; nothing if there are fewer than
    /// two others.
    pub coverage: Option<f64>,
    /// Mean of |roofline - real| / real, with published peaks: what one would have without a model.
    pub roofline_mape: f64,
}

/// A row that was predicted badly.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worst {
    /// The device that was left out.
    pub device: String,
    /// The operator with its time.
    pub row: String,
    /// What was predicted, ms.
    pub predicted_ms: f64,
}

/// Everything that was found by leaving out.
#[derive(Clone, Debug, Serialize)]
pub struct Validation {
    /// By device and class.
    pub errors: Vec<Errors>,
    /// The mean error over all rows of devices left out.
    pub mape: f64,
    /// The part of all rows inside their intervals; nothing with fewer than three devices.
    pub coverage: Option<f64>,
    /// What the intervals should hold.
    pub nominal_coverage: f64,
    /// Mean error over operators left out on devices that were measured.
    pub mape_within: f64,
    /// The worst rows.
    pub worst: Vec<Worst>,
    #[serde(skip)]
    spreads: BTreeMap<Class, Spreads>,
}

impl Validation {
    pub(super) fn spreads(&self) -> BTreeMap<Class, Spreads> {
        self.spreads.clone()
    }
}

/// Residuals, logarithms of real / predicted, by class; each with the index of its row.
type Residuals = BTreeMap<Class, Vec<(usize, f64)>>;

/// What was found without a device: how wrong one would have thought predictions for it to be.
struct Without {
    /// Residuals of each other device, by models that saw neither.
    beyond: Vec<Residuals>,
    /// Residuals of operators that were left out on the other devices, by a model that did not see this one.
    within: Residuals,
}

/// Leaves each device out, then parts of the operators.
///
/// The interval that a device is held against comes from models that never saw it: with all but one of the others left
/// out in turn beside it, and with a part of the operators.
pub(super) fn validate(devices: &[Device], rows: &[Row<'_>]) -> Result<Validation, FitError> {
    let levels = Levels::learn(devices, rows.iter().copied());
    let known: Vec<usize> =
        (0..devices.len()).filter(|index| levels.knows(&devices[*index].device)).collect();
    if known.len() < 2 {
        return Err(FitError::Devices(known.len()));
    }
    let beyond: Vec<Residuals> = known
        .par_iter()
        .map(|out| residuals(devices, rows, |row| row.0.device == *out))
        .collect::<Result<_, _>>()?;
    let within: Vec<Residuals> = (0..FOLDS)
        .into_par_iter()
        .map(|fold| residuals(devices, rows, |row| fold_of(row) == fold))
        .collect::<Result<_, _>>()?;
    let without = without(devices, rows, &known)?;
    let distances: Vec<f64> = known
        .iter()
        .map(|out| {
            let others = known.iter().filter(|other| *other != out);
            others
                .map(|other| devices[*other].distance(&devices[*out]))
                .fold(f64::INFINITY, f64::min)
        })
        .collect();
    let found = Found { beyond, within, without, distances };
    Ok(found.summarise(devices, rows, &known))
}

/// Leaves out each device together with each other one, and with a part of the operators.
fn without(
    devices: &[Device],
    rows: &[Row<'_>],
    known: &[usize],
) -> Result<Vec<Without>, FitError> {
    let pairs: Vec<[usize; 2]> = known
        .iter()
        .flat_map(|a| known.iter().filter(move |b| a < b).map(move |b| [*a, *b]))
        .collect();
    let of_pairs: Vec<Residuals> = pairs
        .par_iter()
        .map(|pair| residuals(devices, rows, |row| pair.contains(&row.0.device)))
        .collect::<Result<_, _>>()?;
    let of_parts: Vec<Residuals> = known
        .par_iter()
        .map(|out| residuals(devices, rows, |row| row.0.device == *out || fold_of(row) == 0))
        .collect::<Result<_, _>>()?;
    let but = |residuals: &Residuals, out: usize| -> Residuals {
        let keep = |(index, _): &&(usize, f64)| rows[*index].0.device != out;
        let of = |(class, all): (&Class, &Vec<_>)| {
            (*class, all.iter().filter(keep).copied().collect::<Vec<_>>())
        };
        residuals.iter().map(of).filter(|(_, kept)| !kept.is_empty()).collect()
    };
    let of = |(out, within): (&usize, &Residuals)| {
        let own = pairs.iter().zip(&of_pairs).filter(|(pair, _)| pair.contains(out));
        Without { beyond: own.map(|(_, of)| but(of, *out)).collect(), within: but(within, *out) }
    };
    Ok(known.iter().zip(&of_parts).map(of).collect())
}

/// Learns without some rows and predicts them.
fn residuals(
    devices: &[Device],
    rows: &[Row<'_>],
    is_out: impl Fn(&Row<'_>) -> bool,
) -> Result<Residuals, FitError> {
    let kept: Vec<Row<'_>> = rows.iter().filter(|row| !is_out(row)).copied().collect();
    let core = Core::learn(devices, &kept)?;
    let mut residuals = Residuals::new();
    for class in Class::ALL {
        let out: Vec<usize> = (0..rows.len())
            .filter(|index| rows[*index].1 == class && is_out(&rows[*index]))
            .collect();
        let is_known = kept.iter().any(|(_, of)| *of == class);
        if out.is_empty() || !is_known {
            continue;
        }
        let asked: Vec<_> = out
            .iter()
            .map(|index| (&rows[*index].0.operator, &devices[rows[*index].0.device]))
            .collect();
        let predicted = core.predict(class, &asked)?;
        let pairs = out.iter().zip(predicted);
        let of = pairs.map(|(index, (ms, _))| (*index, (rows[*index].0.latency_ms / ms).ln()));
        residuals.insert(class, of.collect());
    }
    Ok(residuals)
}

/// The part that an operator belongs to: the same on all devices.
fn fold_of((row, _): &Row<'_>) -> u64 {
    let operator = &row.operator;
    let sizes = [operator.b, operator.m, operator.n, operator.k, operator.h];
    let mixed = sizes.iter().fold(0x9E37_79B9_7F4A_7C15_u64, |hash, size| {
        (hash ^ size.to_bits()).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(23)
    });
    mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32 & (FOLDS - 1)
}

/// The residuals of everything that was left out.
struct Found {
    beyond: Vec<Residuals>,
    within: Vec<Residuals>,
    without: Vec<Without>,
    /// Of each device from its nearest neighbour.
    distances: Vec<f64>,
}

impl Found {
    /// What is known of the errors of a class of operators on devices that were not measured.
    fn spreads(&self, class: Class) -> Option<Spreads> {
        let inner: Vec<f64> = self.within.iter().flat_map(|fold| group(fold, class)).collect();
        self.spreads_of(class, &inner, &self.beyond)
    }

    /// The same, as it was before the device at a place was seen.
    fn spreads_without(&self, class: Class, place: usize) -> Option<Spreads> {
        let Without { beyond, within } = &self.without[place];
        self.spreads_of(class, &group(within, class), beyond)
    }

    fn spreads_of(&self, class: Class, within: &[f64], beyond: &[Residuals]) -> Option<Spreads> {
        let groups: Vec<Vec<f64>> = beyond.iter().map(|of| group(of, class)).collect();
        let distance = Data::new(self.distances.clone()).median();
        Some(Spreads { within: Spread::of(within)?, beyond: Spread::of_groups(&groups)?, distance })
    }

    fn summarise(&self, devices: &[Device], rows: &[Row<'_>], known: &[usize]) -> Validation {
        let (mut errors, mut worst, mut inside) = (Vec::new(), Vec::new(), Vec::new());
        for (place, device) in known.iter().enumerate() {
            for (class, residuals) in &self.beyond[place] {
                let spreads = self.spreads_without(*class, place);
                let held = spreads.map(|spreads| {
                    let (spread, _) = spreads.at(self.distances[place]);
                    let inside = |(_, r): &(usize, f64)| (spread.low..=spread.high).contains(r);
                    residuals.iter().map(inside).collect::<Vec<bool>>()
                });
                let coverage = held.as_deref().and_then(share);
                errors.push(errors_of(&devices[*device], *class, rows, residuals, coverage));
                inside.extend(held.into_iter().flatten());
                worst.extend(residuals.iter().map(|(index, residual)| (*index, *residual)));
            }
        }
        worst.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        worst.truncate(WORST);
        let worst = worst.iter().map(|(index, residual)| Worst {
            device: devices[rows[*index].0.device].device.clone(),
            row: rows[*index].0.to_string(),
            predicted_ms: rows[*index].0.latency_ms * (-residual).exp(),
        });
        let spreads =
            Class::ALL.into_iter().filter_map(|class| Some((class, self.spreads(class)?)));
        Validation {
            errors,
            mape: self.beyond.iter().flat_map(apes).mean(),
            coverage: share(&inside),
            nominal_coverage: NOMINAL,
            mape_within: self.within.iter().flat_map(apes).mean(),
            worst: worst.collect(),
            spreads: spreads.collect(),
        }
    }
}

/// The part that is so; nothing of nothing.
fn share(so: &[bool]) -> Option<f64> {
    (!so.is_empty()).then(|| so.iter().filter(|so| **so).count() as f64 / so.len() as f64)
}

/// The residuals of a class.
fn group(residuals: &Residuals, class: Class) -> Vec<f64> {
    residuals.get(&class).map_or_else(Vec::new, |of| of.iter().map(|(_, r)| *r).collect())
}

fn errors_of(
    device: &Device,
    class: Class,
    rows: &[Row<'_>],
    residuals: &[(usize, f64)],
    coverage: Option<f64>,
) -> Errors {
    let roofline = |(index, _): &(usize, f64)| {
        let row = rows[*index].0;
        let roof = super::physics::ideal_compute_ms(&row.operator, device)
            .max(super::physics::ideal_memory_ms(&row.operator, device));
        (roof / row.latency_ms - 1.0).abs()
    };
    let errors: Vec<f64> = residuals.iter().map(|(_, residual)| ape(*residual)).collect();
    let signed: Vec<f64> = residuals.iter().map(|(_, residual)| -residual).collect();
    Errors {
        device: device.device.clone(),
        class,
        rows: residuals.len(),
        mape: errors.iter().mean(),
        bias: Data::new(signed).median().exp() - 1.0,
        p90: Data::new(errors).quantile(0.9),
        coverage,
        roofline_mape: residuals.iter().map(roofline).mean(),
    }
}

fn apes(residuals: &Residuals) -> impl Iterator<Item = f64> {
    residuals.values().flatten().map(|(_, residual)| ape(*residual))
}
