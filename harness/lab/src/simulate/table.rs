//! Tables of operators: measured ones to learn from, and those to predict, to which columns are added.

use super::device::{Device, DeviceError};
use super::model::{Fit, FitError, Prediction};
use super::operator::{Measured, Operator};
use csv::StringRecord;
use rayon::prelude::*;
use serde::Deserialize;
use std::io::{Read, Write};

/// Columns that a prediction adds.
pub const ADDED: [&str; 6] =
    ["predicted_ms", "low_ms", "high_ms", "confidence", "nearest_device", "extrapolates"];
/// Rows that are predicted at once.
const BATCH: usize = 16_384;

/// What is wrong with a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is not CSV.
    #[error("{0}")]
    Csv(#[from] csv::Error),
    /// A row means nothing.
    #[error("line {line}: {why}")]
    Row {
        /// Its line, the header being 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// There is no row.
    #[error("there is no row")]
    Empty,
    /// A column that would be added is there already.
    #[error("there is a column `{0}` already: give a table without predictions")]
    Column(String),
    /// Predicting failed.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// A row as it is written; sizes that an operator does not have are empty.
#[derive(Deserialize)]
struct Line {
    op: String,
    device: String,
    b: Option<f64>,
    m: Option<f64>,
    n: Option<f64>,
    k: Option<f64>,
    h: Option<f64>,
    latency_ms: Option<f64>,
}

impl Line {
    fn operator(&self) -> Operator {
        let size = |size: Option<f64>| size.unwrap_or(0.0);
        Operator {
            op: self.op.clone(),
            b: size(self.b),
            m: size(self.m),
            n: size(self.n),
            k: size(self.k),
            h: size(self.h),
        }
    }
}

/// Reads measured operators. Every row must say how long it took, and on which of the devices.
pub fn read_measured(table: impl Read, devices: &[Device]) -> Result<Vec<Measured>, TableError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let headers = reader.headers()?.clone();
    let mut measured = Vec::new();
    for record in reader.records() {
        let record = record?;
        let (line, operator, device) = parse(&record, &headers, devices)?;
        let latency = line.latency_ms.filter(|ms| ms.is_finite() && *ms > 0.0);
        let latency_ms = latency.ok_or_else(|| {
            row_error(
                &record,
                match line.latency_ms {
                    None => "it has no latency_ms, and only measured operators teach anything"
                        .to_owned(),
                    Some(ms) => format!("latency_ms is {ms}; it must be a positive number"),
                },
            )
        })?;
        measured.push(Measured { operator, device, latency_ms });
    }
    if measured.is_empty() {
        return Err(TableError::Empty);
    }
    Ok(measured)
}

/// Copies a table and adds predictions to each row. Gives the number of rows.
pub fn predict(
    fit: &Fit,
    devices: &[Device],
    table: impl Read,
    out: impl Write,
) -> Result<usize, TableError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(table);
    let mut writer = csv::Writer::from_writer(out);
    let headers = reader.headers()?.clone();
    if let Some(taken) = headers.iter().find(|header| ADDED.contains(header)) {
        return Err(TableError::Column(taken.to_owned()));
    }
    writer.write_record(headers.iter().chain(ADDED))?;
    let (mut rows, mut records) = (0, reader.records());
    loop {
        let batch: Vec<StringRecord> = records.by_ref().take(BATCH).collect::<Result<_, _>>()?;
        if batch.is_empty() {
            break;
        }
        rows += batch.len();
        let parsed: Vec<(Operator, usize)> = batch
            .par_iter()
            .map(|record| {
                parse(record, &headers, devices).map(|(_, operator, device)| (operator, device))
            })
            .collect::<Result<_, _>>()?;
        let asked: Vec<_> =
            parsed.iter().map(|(operator, device)| (operator, &devices[*device])).collect();
        for (record, prediction) in batch.iter().zip(fit.predict(&asked)?) {
            let added = written(&prediction);
            writer.write_record(record.iter().chain(added.iter().map(String::as_str)))?;
        }
    }
    writer.flush().map_err(csv::Error::from)?;
    if rows == 0 {
        return Err(TableError::Empty);
    }
    Ok(rows)
}

fn written(prediction: &Prediction) -> [String; 6] {
    let ms = |value: f64| format!("{value:.6e}").parse::<f64>().unwrap_or(value).to_string();
    [
        ms(prediction.predicted_ms),
        ms(prediction.low_ms),
        ms(prediction.high_ms),
        prediction.confidence.name().to_owned(),
        prediction.nearest_device.clone(),
        prediction.extrapolates.to_string(),
    ]
}

/// A row, its operator, and the index of its device.
fn parse(
    record: &StringRecord,
    headers: &StringRecord,
    devices: &[Device],
) -> Result<(Line, Operator, usize), TableError> {
    let line: Line = record.deserialize(Some(headers)).map_err(|error| {
        row_error(
            record,
            match error.kind() {
                csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
                _ => error.to_string(),
            },
        )
    })?;
    let operator = line.operator();
    operator.class().map_err(|error| row_error(record, error.to_string()))?;
    let device = devices.iter().position(|device| device.device == line.device);
    let device = device.ok_or_else(|| {
        let listed = devices.iter().map(|d| d.device.as_str()).collect::<Vec<_>>().join(", ");
        row_error(record, DeviceError::Unknown { name: line.device.clone(), listed }.to_string())
    })?;
    Ok((line, operator, device))
}

fn row_error(record: &StringRecord, why: String) -> TableError {
    TableError::Row { line: record.position().map_or(0, csv::Position::line), why }
}
