//! The model: what devices sustain, boosted trees over the ratios of an outline, and the spread of its errors.

use super::device::{Device, DeviceError};
use super::interval::{Confidence, Spread, Spreads};
use super::level::Levels;
use super::operator::{Class, Measured, Operator, OperatorError};
use super::physics::{Outline, outline};
use super::validation::{Validation, validate};
use forust_ml::objective::ObjectiveType;
use forust_ml::{GradientBooster, Matrix};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the model and of what it stores. A change of the arithmetic changes it.
pub const VERSION: u32 = 1;
/// A row may exceed a published peak by this factor before the two contradict each other: clocks are boosted.
const ABOVE_PEAK: f64 = 1.15;

/// Logarithms that are no further outside of a range than this are at its edge.
const AT_THE_EDGE: f64 = 0.05;
/// A ratio that is further outside than by this factor has no validation near it, and an interval twice as wide.
const FAR: f64 = 4.0;
/// Intervals grow no further beyond this multiple of that distance.
const FURTHEST: f64 = 3.0;

/// Boosted trees, and the range of what they were shown.
#[derive(Serialize, Deserialize)]
struct Trees {
    booster: GradientBooster,
    /// Least and largest of each feature.
    ranges: Vec<(f64, f64)>,
}

/// What predicts a time, without saying how wrong it may be.
#[derive(Serialize, Deserialize)]
pub struct Core {
    levels: Levels,
    trees: BTreeMap<Class, Trees>,
}

/// A model with what is known of its errors.
#[derive(Serialize, Deserialize)]
pub struct Fit {
    /// [`VERSION`] when it was made.
    pub version: u32,
    /// A hash of the rows and the devices that it was made from.
    pub inputs: String,
    /// The devices that were measured.
    pub devices: Vec<Device>,
    core: Core,
    spreads: BTreeMap<Class, Spreads>,
}

/// A predicted time. It is no result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The prediction, ms.
    pub predicted_ms: f64,
    /// The interval of 90 %, ms.
    pub low_ms: f64,
    /// Its other end.
    pub high_ms: f64,
    /// By the validated error near it.
    pub confidence: Confidence,
    /// The mean absolute error that was validated near it, as a part of one; nothing if none was.
    pub validated_error: Option<f64>,
    /// The measured device that is most like it.
    pub nearest_device: String,
    /// Whether the device or the operator lies outside of what was measured.
    pub extrapolates: bool,
}

/// Why nothing could be fitted or predicted.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// An operator means nothing.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A device does, or contradicts what was measured.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// One device teaches nothing about others.
    #[error(
        "{0} devices were measured well enough: two are needed, one to learn from and one to be wrong about; a device counts with 5 products and 5 pointwise operators of 3 ms at its peak"
    )]
    Devices(usize),
    /// A class was never measured.
    #[error("no {0} operator was measured, so none can be predicted")]
    Class(&'static str),
    /// The trees could not be grown.
    #[error("growing the trees failed: {0}")]
    Trees(String),
}

/// A row with its class, checked.
pub type Row<'a> = (&'a Measured, Class);

impl Core {
    /// Learns from rows.
    pub fn learn(devices: &[Device], rows: &[Row<'_>]) -> Result<Self, FitError> {
        let levels = Levels::learn(devices, rows.iter().copied());
        let mut trees = BTreeMap::new();
        for class in Class::ALL {
            let own: Vec<&Measured> =
                rows.iter().filter(|(_, of)| *of == class).map(|(row, _)| *row).collect();
            if !own.is_empty() {
                trees.insert(class, Trees::grow(&levels, devices, class, &own)?);
            }
        }
        Ok(Self { levels, trees })
    }

    /// Times of operators of one class on devices, ms, and how far each lies outside of what was shown: the logarithm of
    /// the factor, 0 inside.
    pub fn predict(
        &self,
        class: Class,
        operators: &[(&Operator, &Device)],
    ) -> Result<Vec<(f64, f64)>, FitError> {
        let trees = self.trees.get(&class).ok_or(FitError::Class(class.name()))?;
        let mut shares = BTreeMap::new();
        for (_, device) in operators {
            shares.entry(device.device.as_str()).or_insert_with(|| self.levels.of(device));
        }
        let outlines: Vec<Outline> = operators
            .par_iter()
            .map(|(operator, device)| {
                outline(operator, class, device, shares[device.device.as_str()])
            })
            .collect();
        if outlines.is_empty() {
            return Ok(Vec::new());
        }
        let columns = columns(&outlines);
        let matrix = Matrix::new(&columns, outlines.len(), trees.ranges.len());
        let departures = trees.booster.predict(&matrix, true);
        Ok(outlines
            .iter()
            .zip(departures)
            .map(|(outline, departure)| (outline.roof_ms * departure.exp(), trees.beyond(outline)))
            .collect())
    }

    /// What the devices sustain.
    pub fn levels(&self) -> &Levels {
        &self.levels
    }
}

impl Trees {
    fn grow(
        levels: &Levels,
        devices: &[Device],
        class: Class,
        rows: &[&Measured],
    ) -> Result<Self, FitError> {
        let (mut outlines, mut departures) = (Vec::new(), Vec::new());
        for row in rows {
            let device = &devices[row.device];
            let outline = outline(&row.operator, class, device, levels.of(device));
            departures.push((row.latency_ms / outline.roof_ms).ln());
            outlines.push(outline);
        }
        let columns = columns(&outlines);
        let features = outlines[0].features.len();
        let mut booster = GradientBooster::default()
            .set_objective_type(ObjectiveType::SquaredLoss)
            .set_iterations(150)
            .set_learning_rate(0.08)
            .set_max_leaves(15)
            .set_max_depth(8)
            .set_l2(1.0)
            .set_min_leaf_weight(20.0);
        let matrix = Matrix::new(&columns, outlines.len(), features);
        let grown = booster.fit_unweighted(&matrix, &departures, None);
        grown.map_err(|error| FitError::Trees(error.to_string()))?;
        let ranges = columns.chunks(outlines.len()).map(|column| {
            let fold = |(low, high): (f64, f64), value: &f64| (low.min(*value), high.max(*value));
            column.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold)
        });
        Ok(Self { booster, ranges: ranges.collect() })
    }

    /// How far the feature that is furthest outside of its range is from it.
    fn beyond(&self, outline: &Outline) -> f64 {
        let pairs = outline.features.iter().zip(&self.ranges);
        let beyond = pairs.map(|(feature, (low, high))| (low - feature).max(feature - high));
        beyond.filter(|beyond| *beyond > AT_THE_EDGE).fold(0.0, f64::max)
    }
}

/// Features, column after column.
fn columns(outlines: &[Outline]) -> Vec<f64> {
    let features = outlines.first().map_or(0, |outline| outline.features.len());
    (0..features)
        .flat_map(|column| outlines.iter().map(move |outline| outline.features[column]))
        .collect()
}

impl Fit {
    /// Learns from rows, leaves devices and operators out to see how wrong it is, and keeps both.
    pub fn new(
        devices: &[Device],
        measured: &[Measured],
        inputs: String,
    ) -> Result<(Self, Validation), FitError> {
        let rows = check(devices, measured)?;
        let validation = validate(devices, &rows)?;
        let core = Core::learn(devices, &rows)?;
        let known = |device: &&Device| core.levels.knows(&device.device);
        let devices = devices.iter().filter(known).cloned().collect();
        let spreads = validation.spreads();
        Ok((Self { version: VERSION, inputs, devices, core, spreads }, validation))
    }

    /// Predicts times of operators, each on a device.
    pub fn predict(&self, operators: &[(&Operator, &Device)]) -> Result<Vec<Prediction>, FitError> {
        let classes: Vec<Class> =
            operators.iter().map(|(operator, _)| operator.class()).collect::<Result<_, _>>()?;
        let mut predictions: Vec<Option<Prediction>> = vec![None; operators.len()];
        let mut near = BTreeMap::new();
        for class in Class::ALL {
            let places: Vec<usize> =
                (0..operators.len()).filter(|index| classes[*index] == class).collect();
            if places.is_empty() {
                continue;
            }
            let own: Vec<_> = places.iter().map(|index| operators[*index]).collect();
            for (place, (predicted_ms, beyond)) in
                places.iter().zip(self.core.predict(class, &own)?)
            {
                let device = operators[*place].1;
                let near =
                    near.entry((class, &device.device)).or_insert_with(|| self.near(class, device));
                predictions[*place] = Some(near.prediction(predicted_ms, beyond));
            }
        }
        Ok(predictions.into_iter().flatten().collect())
    }

    /// What is known near a device.
    fn near(&self, class: Class, device: &Device) -> Near {
        let distance = |known: &&Device| known.distance(device);
        let order = |a: &&Device, b: &&Device| distance(a).total_cmp(&distance(b));
        let nearest = self.devices.iter().min_by(order);
        let distance = nearest.map_or(f64::INFINITY, |known| known.distance(device));
        let (spread, confidence) = match self.spreads.get(&class) {
            Some(spreads) => spreads.at(distance),
            None => (UNKNOWN, Confidence::Unvalidated),
        };
        Near {
            spread,
            confidence,
            device: nearest.map_or_else(String::new, |known| known.device.clone()),
            outside: !self.devices.iter().any(|known| known.device == device.device)
                && self.is_outside(device),
        }
    }

    /// Whether a figure of a device is less or more than those of all devices that were measured.
    fn is_outside(&self, device: &Device) -> bool {
        let figures: [fn(&Device) -> f64; 5] = [
            |d| d.memory_bandwidth_gb_s,
            |d| d.f32_matrix_gflop_s,
            |d| d.compute_units,
            |d| d.clock_mhz,
            |d| d.l2_mb,
        ];
        figures.iter().any(|figure| {
            let value = figure(device);
            self.devices.iter().all(|known| figure(known) < 0.95 * value)
                || self.devices.iter().all(|known| figure(known) > 1.05 * value)
        })
    }

    /// What the devices sustain.
    pub fn levels(&self) -> &Levels {
        self.core.levels()
    }
}

/// What a class that was never validated may be wrong by: threefold either way.
const UNKNOWN: Spread = Spread { low: -1.1, high: 1.1, mape: f64::NAN };

struct Near {
    spread: Spread,
    confidence: Confidence,
    device: String,
    outside: bool,
}

impl Near {
    /// The prediction of an operator that lies this far outside of what was shown: its interval grows with the distance,
    /// and nothing was validated near one that is too far.
    fn prediction(&self, predicted_ms: f64, beyond: f64) -> Prediction {
        let distance = beyond / FAR.ln();
        let confidence = if distance > 1.0 { Confidence::Unvalidated } else { self.confidence };
        let [low_ms, high_ms] = self.spread.wider(1.0 + distance.min(FURTHEST)).about(predicted_ms);
        Prediction {
            predicted_ms,
            low_ms,
            high_ms,
            confidence,
            validated_error: (confidence != Confidence::Unvalidated).then_some(self.spread.mape),
            nearest_device: self.device.clone(),
            extrapolates: beyond > 0.0 || self.outside,
        }
    }
}

/// Rows with their classes; refuses what contradicts a device's figures.
fn check<'a>(devices: &[Device], measured: &'a [Measured]) -> Result<Vec<Row<'a>>, FitError> {
    let mut rows = Vec::with_capacity(measured.len());
    for row in measured {
        let class = row.operator.class()?;
        let device = &devices[row.device];
        let too_fast = |measured: f64, unit, field, peak: f64| {
            (measured > ABOVE_PEAK * peak).then(|| DeviceError::TooFast {
                device: device.device.clone(),
                row: row.to_string(),
                measured,
                unit,
                field,
                peak,
            })
        };
        let seconds = row.latency_ms / 1e3;
        if class == Class::Product {
            let reached = row.operator.flop() / 1e9 / seconds;
            let peak = device.f32_matrix_gflop_s;
            if let Some(error) = too_fast(reached, "Gflop/s", "f32_matrix_gflop_s", peak) {
                return Err(error.into());
            }
        }
        // What fits into the cache may never reach the memory.
        if row.operator.bytes() > 4.0 * device.l2_bytes() {
            let reached = row.operator.bytes() / 1e9 / seconds;
            let peak = device.memory_bandwidth_gb_s;
            if let Some(error) = too_fast(reached, "GB/s", "memory_bandwidth_gb_s", peak) {
                return Err(error.into());
            }
        }
        rows.push((row, class));
    }
    Ok(rows)
}
