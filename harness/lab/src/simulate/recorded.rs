//! A prediction of a model as it is kept: in files of its own, never among the records of runs.

use super::device::Device;
use super::interval::Confidence;
use super::whole::{Outline, Whole};
use crate::lines;
use jiff::Timestamp;
use proofmark::Mark;
use proofmark::fingerprint::digest;
use proofmark::journal::Fault;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The version of the format. Format 1 had no endpoint, machine and reality.
pub const FORMAT: u32 = 2;
/// The file of a folder that predictions are appended to.
const FILE: &str = "predictions.jsonl";

/// A line of a file of predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// [`FORMAT`].
    pub format: u32,
    /// A hash of what the prediction follows from: made twice, it is one prediction.
    pub id: String,
    /// When it was made first.
    pub made_at: Timestamp,
    /// The model.
    pub model: String,
    /// The shape.
    pub shape: String,
    /// Of its floats.
    pub precision: String,
    /// The device.
    pub device: String,
    /// The endpoint; null if it is any that runs on the device.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The machine; null if it is any that has the device.
    #[serde(default)]
    pub machine: Option<String>,
    /// The mark of the results that may grade it: software results are no reality for hardware.
    #[serde(default = "real")]
    pub reality: Mark,
    /// Always `simulated`.
    pub mark: Mark,
    /// The version of the program that predicted.
    pub model_version: u32,
    /// The hash of what was fitted.
    pub fit: String,
    /// The hash of the kernels and of the device's figures.
    pub inputs: String,
    /// ms.
    pub predicted_ms: f64,
    /// The interval of 90 %, ms.
    pub low_ms: f64,
    /// Its other end.
    pub high_ms: f64,
    /// By the validated error near it.
    pub confidence: Confidence,
    /// The mean absolute error that was validated near it; null if none was.
    pub validated_error: Option<f64>,
    /// The measured device that is most like it.
    pub nearest_device: String,
    /// The part of the time that is of kernels or devices unlike what was measured.
    pub extrapolated_share: f64,
    /// Of weights and values together.
    pub memory_bytes: u64,
    /// Whether they are less than the memory of the device.
    pub fits: bool,
}

fn real() -> Mark {
    Mark::Real
}

impl Recorded {
    /// What is kept of a prediction of a device that is absent.
    pub fn new(whole: &Whole, outline: &Outline, device: &Device, made_at: Timestamp) -> Self {
        let text = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
        let kernels = text(serde_json::to_string(&outline.kernels));
        let inputs = digest(format!("{kernels}\n{}", text(serde_json::to_string(device))));
        let id = digest(format!(
            "{} {} {} {} {} {inputs}",
            whole.model, whole.shape, whole.device, whole.model_version, whole.fit
        ));
        Self {
            format: FORMAT,
            id,
            made_at,
            model: whole.model.clone(),
            shape: whole.shape.clone(),
            precision: "f32".to_owned(),
            device: whole.device.clone(),
            endpoint: None,
            machine: None,
            reality: Mark::Real,
            mark: whole.mark,
            model_version: whole.model_version,
            fit: whole.fit.clone(),
            inputs,
            predicted_ms: whole.predicted_ms,
            low_ms: whole.low_ms,
            high_ms: whole.high_ms,
            confidence: whole.confidence,
            validated_error: whole.validated_error,
            nearest_device: whole.nearest_device.clone(),
            extrapolated_share: whole.extrapolated_share,
            memory_bytes: whole.memory_bytes,
            fits: whole.fits,
        }
    }
}

impl Recorded {
    /// What of it cannot be, if anything: the table of predictions refuses the same.
    fn fault(&self) -> Option<String> {
        if self.mark != Mark::Simulated {
            return Some(format!("is marked {}, and a prediction is simulated", self.mark));
        }
        if !matches!(self.reality, Mark::Real | Mark::Software) {
            return Some(format!("would be graded by results that are {}", self.reality));
        }
        let is_interval = self.low_ms > 0.0
            && self.low_ms <= self.predicted_ms
            && self.predicted_ms <= self.high_ms
            && self.high_ms.is_finite();
        if !is_interval {
            return Some(format!(
                "predicts {} ms in an interval from {} to {} ms",
                self.predicted_ms, self.low_ms, self.high_ms
            ));
        }
        let names = [&self.id, &self.model, &self.shape, &self.precision, &self.device];
        if names.iter().any(|name| name.is_empty()) {
            return Some("has an empty id, model, shape, precision or device".to_owned());
        }
        if self.endpoint.is_some() != self.machine.is_some() {
            return Some("has an endpoint without a machine, or a machine without".to_owned());
        }
        if !(0.0..=1.000_001).contains(&self.extrapolated_share) {
            return Some(format!("has an extrapolated share of {}", self.extrapolated_share));
        }
        let is_validated = match self.validated_error {
            None => true,
            Some(error) => {
                self.confidence != Confidence::Unvalidated && error.is_finite() && error >= 0.0
            }
        };
        (!is_validated).then(|| "has a validated error that cannot be".to_owned())
    }
}

/// Appends predictions to the file of a folder, which is made if it is not there.
///
/// # Errors
/// The folder or the file cannot be written.
pub fn append(folder: &Path, predictions: &[Recorded]) -> io::Result<()> {
    lines::append(folder, FILE, predictions)
}

/// Reads the predictions of a folder, and tells of lines that are none.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(folder: &Path) -> io::Result<(Vec<Recorded>, Vec<Fault>)> {
    lines::read(folder, FILE, parse)
}

fn parse(line: &[u8]) -> Result<Recorded, String> {
    let read: Recorded =
        serde_json::from_slice(line).map_err(|error| format!("is no prediction: {error}"))?;
    if !(1..=FORMAT).contains(&read.format) {
        return Err(format!("is of format {}, and this program knows {FORMAT}", read.format));
    }
    read.fault().map_or(Ok(()), Err)?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::super::operator::Operator;
    use super::super::whole::Kernel;
    use super::*;
    use std::fs;

    fn prediction(id: &str) -> Recorded {
        Recorded {
            format: FORMAT,
            id: id.to_owned(),
            made_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            model: "m".into(),
            shape: "b1".into(),
            precision: "f32".into(),
            device: "Tesla P4".into(),
            endpoint: None,
            machine: None,
            reality: Mark::Real,
            mark: Mark::Simulated,
            model_version: 1,
            fit: "f".into(),
            inputs: "i".into(),
            predicted_ms: 2.0,
            low_ms: 1.0,
            high_ms: 3.0,
            confidence: Confidence::Low,
            validated_error: None,
            nearest_device: "Tesla T4".into(),
            extrapolated_share: 0.5,
            memory_bytes: 7,
            fits: true,
        }
    }

    #[test]
    fn predictions_come_back_and_damage_costs_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions");
        assert_eq!(read(&path).unwrap(), Default::default());
        append(&path, &[prediction("1"), prediction("2")]).unwrap();
        // A kill in the middle of a line.
        let file = path.join(FILE);
        let mut bytes = fs::read(&file).unwrap();
        bytes.truncate(bytes.len() - 10);
        fs::write(&file, bytes).unwrap();
        append(&path, &[prediction("3")]).unwrap();
        let (found, faults) = read(&path).unwrap();
        assert_eq!(found, [prediction("1"), prediction("3")]);
        assert_eq!(faults.len(), 1);
        let line = serde_json::to_string(&prediction("1")).unwrap().len() as u64 + 1;
        assert_eq!((&faults[0].path, faults[0].offset), (&file, line));
    }

    #[test]
    fn what_claims_to_be_measured_is_refused() {
        let text = serde_json::to_string(&prediction("1")).unwrap();
        let real = text.replace("\"simulated\"", "\"real\"");
        assert!(parse(real.as_bytes()).unwrap_err().contains("is marked real"));
        let newer = text.replace("\"format\":2", "\"format\":3");
        assert!(parse(newer.as_bytes()).unwrap_err().contains("is of format 3"));
        let claimed = text.replace("\"reality\":\"real\"", "\"reality\":\"claimed\"");
        assert!(parse(claimed.as_bytes()).unwrap_err().contains("results that are claimed"));
    }

    #[test]
    fn predictions_of_format_1_are_of_real_hardware() {
        let text = serde_json::to_string(&Recorded { format: 1, ..prediction("1") }).unwrap();
        let old = text.replace("\"endpoint\":null,\"machine\":null,\"reality\":\"real\",", "");
        assert!(old.len() < text.len());
        assert_eq!(parse(old.as_bytes()).unwrap(), Recorded { format: 1, ..prediction("1") });
    }

    #[test]
    fn a_prediction_is_another_if_anything_that_it_follows_from_is() {
        let device = Device::published().unwrap().remove(0);
        let outline = Outline {
            model: "m".into(),
            shape: "b1".into(),
            weight_bytes: 1,
            value_bytes: 1,
            kernels: Vec::new(),
        };
        let whole = Whole {
            model: "m".into(),
            shape: "b1".into(),
            device: device.device.clone(),
            mark: Mark::Simulated,
            model_version: 1,
            fit: "f".into(),
            predicted_ms: 2.0,
            low_ms: 1.0,
            high_ms: 3.0,
            confidence: Confidence::Low,
            validated_error: None,
            nearest_device: "d".into(),
            extrapolated_share: 0.0,
            shares: Default::default(),
            memory_bytes: 2,
            fits: true,
            parts: Vec::new(),
        };
        let now = Timestamp::UNIX_EPOCH;
        let id = |whole: &Whole, outline: &Outline, device: &Device| {
            Recorded::new(whole, outline, device, now).id
        };
        let first = id(&whole, &outline, &device);
        assert_eq!(Recorded::new(&whole, &outline, &device, Timestamp::MAX).id, first);
        for other in [
            Whole { model: "n".into(), ..whole.clone() },
            Whole { shape: "b2".into(), ..whole.clone() },
            Whole { device: "e".into(), ..whole.clone() },
            Whole { fit: "g".into(), ..whole.clone() },
            Whole { model_version: 2, ..whole.clone() },
        ] {
            assert_ne!(id(&other, &outline, &device), first, "{other:?}");
        }
        let operator = Operator { op: "relu".into(), b: 1.0, m: 0.0, n: 0.0, k: 0.0, h: 1.0 };
        let kernels = vec![Kernel { node: "relu".into(), operator }];
        assert_ne!(id(&whole, &Outline { kernels, ..outline.clone() }, &device), first);
        let faster = Device { clock_mhz: 9.0, ..device.clone() };
        assert_ne!(id(&whole, &outline, &faster), first);
    }
}
