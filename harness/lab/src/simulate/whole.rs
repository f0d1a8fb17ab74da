//! A whole model on a device: the sum of its kernels, and whether it fits into the memory.

use super::device::Device;
use super::interval::Confidence;
use super::model::{Fit, FitError, VERSION};
use super::operator::{Class, Operator};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Kernels with less of the time than this do not decide how sure the whole is.
const COUNTS: f64 = 0.1;

/// A kernel of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// The op of the graph that it is part of.
    pub node: String,
    /// What runs.
    #[serde(flatten)]
    pub operator: Operator,
}

/// The kernels of a model at a shape, in f32, and its memory.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Outline {
    /// Its name.
    pub model: String,
    /// The shape.
    pub shape: String,
    /// Of the weights.
    pub weight_bytes: u64,
    /// Of the values that are alive together.
    pub value_bytes: u64,
    /// In the order in which they run.
    pub kernels: Vec<Kernel>,
}

/// The predicted time of one kernel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The op of the graph that it is part of.
    pub node: String,
    /// What runs, with its sizes.
    pub kernel: String,
    /// ms.
    pub predicted_ms: f64,
}

/// A predicted run of a model. It is no result of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Whole {
    /// The model.
    pub model: String,
    /// The shape.
    pub shape: String,
    /// The device.
    pub device: String,
    /// Always `simulated`.
    pub mark: proofmark::Mark,
    /// [`VERSION`].
    pub model_version: u32,
    /// The hash of the inputs of the fit.
    pub fit: String,
    /// The sum of the kernels, ms.
    pub predicted_ms: f64,
    /// The interval of 90 %, ms.
    pub low_ms: f64,
    /// Its other end.
    pub high_ms: f64,
    /// The least of the kernels that count.
    pub confidence: Confidence,
    /// The validated error of the kernels that have one, weighted by their time; nothing if the whole is not validated.
    pub validated_error: Option<f64>,
    /// The measured device that is most like it.
    pub nearest_device: String,
    /// The part of the time that is of kernels or devices unlike what was measured.
    pub extrapolated_share: f64,
    /// The part of the time of each class.
    pub shares: BTreeMap<Class, f64>,
    /// Of weights and values together.
    pub memory_bytes: u64,
    /// Whether they are less than the memory of the device.
    pub fits: bool,
    /// Each kernel.
    pub parts: Vec<Part>,
}

/// Predicts a model on a device.
///
/// Kernels on one device are wrong together, so the ends of their intervals are added: independent errors would make
/// the sum surer than it is.
pub fn predict(fit: &Fit, device: &Device, outline: &Outline) -> Result<Whole, FitError> {
    let asked: Vec<_> = outline.kernels.iter().map(|kernel| (&kernel.operator, device)).collect();
    let predictions = fit.predict(&asked)?;
    let total: f64 = predictions.iter().map(|p| p.predicted_ms).sum();
    let mut whole = Whole {
        model: outline.model.clone(),
        shape: outline.shape.clone(),
        device: device.device.clone(),
        mark: proofmark::Mark::Simulated,
        model_version: VERSION,
        fit: fit.inputs.clone(),
        predicted_ms: total,
        low_ms: predictions.iter().map(|p| p.low_ms).sum(),
        high_ms: predictions.iter().map(|p| p.high_ms).sum(),
        confidence: Confidence::Unvalidated,
        validated_error: None,
        nearest_device: String::new(),
        extrapolated_share: 0.0,
        shares: BTreeMap::new(),
        memory_bytes: outline.weight_bytes + outline.value_bytes,
        fits: ((outline.weight_bytes + outline.value_bytes) as f64) < device.memory_gb * 1e9,
        parts: Vec::new(),
    };
    let mut of_confidence: BTreeMap<Confidence, f64> = BTreeMap::new();
    let (mut sum, mut validated) = (0.0, 0.0);
    for (kernel, prediction) in outline.kernels.iter().zip(predictions) {
        let share = prediction.predicted_ms / total;
        *whole.shares.entry(kernel.operator.class()?).or_default() += share;
        *of_confidence.entry(prediction.confidence).or_default() += share;
        if let Some(error) = prediction.validated_error {
            sum += share * error;
            validated += share;
        }
        if prediction.extrapolates {
            whole.extrapolated_share += share;
        }
        whole.nearest_device = prediction.nearest_device;
        whole.parts.push(Part {
            node: kernel.node.clone(),
            kernel: kernel.operator.to_string(),
            predicted_ms: prediction.predicted_ms,
        });
    }
    whole.confidence = least_sure(&of_confidence);
    whole.validated_error = (whole.confidence != Confidence::Unvalidated).then(|| sum / validated);
    Ok(whole)
}

/// The least confidence that a share of the time worth counting has.
fn least_sure(shares: &BTreeMap<Confidence, f64>) -> Confidence {
    let counting = shares.iter().filter(|(_, share)| **share >= COUNTS);
    counting.map(|(confidence, _)| *confidence).max().unwrap_or(Confidence::Unvalidated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_is_as_sure_as_its_least_sure_part_that_counts() {
        use Confidence::{High, Low, Medium, Unvalidated};
        let of = |shares: &[(Confidence, f64)]| least_sure(&shares.iter().copied().collect());
        assert_eq!(of(&[(High, 0.5), (Low, 0.5)]), Low);
        assert_eq!(of(&[(High, 0.7), (Medium, 0.25), (Unvalidated, 0.05)]), Medium);
        assert_eq!(of(&[(High, 0.2), (Unvalidated, 0.8)]), Unvalidated);
    }
}
