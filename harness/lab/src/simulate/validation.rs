//! How wrong the model is: on devices that were left out, and on operators that were.

use super::device::Device;
use super::interval::{NOMINAL, Spread, Spreads, ape};
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
    /// The part of real times inside the interval that the other devices' errors gave.
    pub coverage: f64,
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
    /// The part of all rows inside their intervals.
    pub coverage: f64,
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

/// Leaves each device out, then parts of the operators.
pub(super) fn validate(devices: &[Device], rows: &[Row<'_>]) -> Result<Validation, FitError> {
    let core = Core::learn(devices, rows)?;
    let known: Vec<usize> =
        (0..devices.len()).filter(|index| core.levels().knows(&devices[*index].device)).collect();
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
    let distances: Vec<f64> = known
        .iter()
        .map(|out| {
            let others = known.iter().filter(|other| *other != out);
            others
                .map(|other| devices[*other].distance(&devices[*out]))
                .fold(f64::INFINITY, f64::min)
        })
        .collect();
    Ok(summarise(devices, rows, &known, &beyond, &within, &distances))
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

fn summarise(
    devices: &[Device],
    rows: &[Row<'_>],
    known: &[usize],
    beyond: &[Residuals],
    within: &[Residuals],
    distances: &[f64],
) -> Validation {
    let typical = Data::new(distances.to_vec()).median();
    let group = |residuals: &Residuals, class: Class| -> Vec<f64> {
        residuals.get(&class).map_or_else(Vec::new, |of| of.iter().map(|(_, r)| *r).collect())
    };
    let spreads_without = |class: Class, out: Option<usize>| {
        let others = (0..beyond.len()).filter(|place| Some(*place) != out);
        let groups: Vec<Vec<f64>> = others.map(|place| group(&beyond[place], class)).collect();
        let inner: Vec<f64> = within.iter().flat_map(|fold| group(fold, class)).collect();
        let beyond = Spread::of_groups(&groups)?;
        Some(Spreads { within: Spread::of(&inner)?, beyond, distance: typical })
    };
    let (mut errors, mut worst, mut inside) = (Vec::new(), Vec::new(), Vec::new());
    for (place, device) in known.iter().enumerate() {
        for (class, residuals) in &beyond[place] {
            let Some(spreads) = spreads_without(*class, Some(place)) else { continue };
            let (spread, _) = spreads.at(distances[place]);
            let is_inside = |(_, r): &(usize, f64)| *r >= spread.low && *r <= spread.high;
            inside.extend(residuals.iter().map(is_inside));
            errors.push(errors_of(&devices[*device], *class, rows, residuals, is_inside));
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
    Validation {
        errors,
        mape: beyond.iter().flat_map(apes).mean(),
        coverage: inside.iter().map(|inside| if *inside { 1.0 } else { 0.0 }).mean(),
        nominal_coverage: NOMINAL,
        mape_within: within.iter().flat_map(apes).mean(),
        worst: worst.collect(),
        spreads: Class::ALL
            .into_iter()
            .filter_map(|class| Some((class, spreads_without(class, None)?)))
            .collect(),
    }
}

fn errors_of(
    device: &Device,
    class: Class,
    rows: &[Row<'_>],
    residuals: &[(usize, f64)],
    is_inside: impl Fn(&(usize, f64)) -> bool,
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
        coverage: residuals.iter().map(|pair| if is_inside(pair) { 1.0 } else { 0.0 }).mean(),
        roofline_mape: residuals.iter().map(roofline).mean(),
    }
}

fn apes(residuals: &Residuals) -> impl Iterator<Item = f64> {
    residuals.values().flatten().map(|(_, residual)| ape(*residual))
}
