//! Predictions of how long an operator takes on a device that was not measured, and how wrong they may be.
//!
//! `operator` says what work an operator is, `device` what a device can do, `level` what share of it a device sustains,
//! `physics` how the two make a time and the ratios that shape it, `model` learns the rest and predicts, `interval` says
//! how wrong that may be, `validation` measures it by leaving devices out, `whole` adds up the kernels of a model,
//! `recorded` keeps that; `machine` learns the endpoints of a machine from its own results, `learned` keeps what they taught
//! and predicts from it; `reality` puts predictions beside the results that may grade
//! them, and `grade` says how wrong they were. A prediction is no record of a run.

pub mod device;
pub mod grade;
pub mod interval;
pub mod learned;
pub mod level;
pub mod machine;
pub mod model;
pub mod operator;
pub mod physics;
pub mod reality;
pub mod recorded;
pub mod table;
pub mod validation;
pub mod whole;

pub use device::{Device, DeviceError};
pub use interval::{Confidence, Spread};
pub use model::{Fit, FitError, Prediction};
pub use operator::{Class, Measured, Operator, OperatorError};
pub use validation::{Errors, Validation};

#[cfg(test)]
mod tests;
