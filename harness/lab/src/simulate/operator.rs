//! An operator in f32 with its sizes, and the work that it is: operations, and bytes that it must move at least.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a number in f32.
const F32: f64 = 4.0;

/// What kind of kernel an operator runs; kernels of one class share what limits them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Matrix products.
    Product,
    /// One number of the output from one number of each input.
    Pointwise,
    /// Rows that are reduced and then scaled: softmax, layer normalisation.
    Row,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Product, Self::Pointwise, Self::Row];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Pointwise => "pointwise",
            Self::Row => "row",
        }
    }
}

/// An operator and its sizes; those that it does not have are 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operator {
    /// Its name, such as `bmm`.
    pub op: String,
    /// Products of a batch, or rows.
    #[serde(default)]
    pub b: f64,
    /// Rows of the left matrix.
    #[serde(default)]
    pub m: f64,
    /// Columns of the right matrix.
    #[serde(default)]
    pub n: f64,
    /// The common size.
    #[serde(default)]
    pub k: f64,
    /// Length of a row.
    #[serde(default)]
    pub h: f64,
}

/// An operator that was measured on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What was run.
    pub operator: Operator,
    /// Where: an index into the devices.
    pub device: usize,
    /// How long it took, ms.
    pub latency_ms: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} ms", self.operator, self.latency_ms)
    }
}

/// Why an operator means nothing.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OperatorError {
    /// Nobody knows it.
    #[error("there is no operator `{0}`; there are bmm, linear, softmax, ln, {names}", names = POINTWISE.map(|(name, _)| name).join(", "))]
    Unknown(String),
    /// It lacks a size.
    #[error("{op} needs {field}, a whole number from 1; it is {value}")]
    Size {
        /// The operator.
        op: String,
        /// Which size.
        field: &'static str,
        /// What it is.
        value: f64,
    },
}

/// Pointwise operators and how many inputs are as large as the output: a name in u takes a scalar as second operand.
const POINTWISE: [(&str, f64); 12] = [
    ("add", 2.0),
    ("mul", 2.0),
    ("div", 2.0),
    ("pow", 2.0),
    ("addu", 1.0),
    ("mulu", 1.0),
    ("divu", 1.0),
    ("powu", 1.0),
    ("relu", 1.0),
    ("gelu", 1.0),
    ("tanh", 1.0),
    ("copy", 1.0),
];

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, b, m, n, k, h } = self;
        match op.as_str() {
            "bmm" | "linear" => write!(f, "{op} {b}×{m}×{n}×{k}"),
            _ => write!(f, "{op} {b}×{h}"),
        }
    }
}

impl Operator {
    /// The class of its kernels; an error if the operator is unknown or lacks a size.
    pub fn class(&self) -> Result<Class, OperatorError> {
        let (class, needs) = match self.op.as_str() {
            "bmm" | "linear" => {
                (Class::Product, vec![("b", self.b), ("m", self.m), ("n", self.n), ("k", self.k)])
            }
            "softmax" | "ln" => (Class::Row, vec![("b", self.b), ("h", self.h)]),
            op if POINTWISE.iter().any(|(name, _)| *name == op) => {
                (Class::Pointwise, vec![("b", self.b), ("h", self.h)])
            }
            op => return Err(OperatorError::Unknown(op.to_owned())),
        };
        let bad = needs.into_iter().find(|(_, value)| !(*value >= 1.0 && value.fract() == 0.0));
        match bad {
            Some((field, value)) => Err(OperatorError::Size { op: self.op.clone(), field, value }),
            None => Ok(class),
        }
    }

    /// Whether all products of a batch share the right matrix, so that they are one product of more rows.
    pub fn shares_weights(&self) -> bool {
        self.op == "linear"
    }

    /// The product as a device runs it: (products, rows, columns, common size).
    pub fn product(&self) -> (f64, f64, f64, f64) {
        match self.shares_weights() {
            true => (1.0, self.b * self.m, self.n, self.k),
            false => (self.b, self.m, self.n, self.k),
        }
    }

    /// Inputs as large as the output.
    pub fn operands(&self) -> f64 {
        POINTWISE.iter().find(|(name, _)| *name == self.op).map_or(1.0, |(_, operands)| *operands)
    }

    /// Floating-point operations. Of operators other than products a rough count: it is never what limits them.
    pub fn flop(&self) -> f64 {
        match self.op.as_str() {
            "bmm" | "linear" => 2.0 * self.b * self.m * self.n * self.k,
            "softmax" | "ln" => 8.0 * self.b * self.h,
            _ => self.b * self.h,
        }
    }

    /// Bytes that are read and written if each input is read once.
    pub fn bytes(&self) -> f64 {
        match self.op.as_str() {
            "bmm" | "linear" => {
                let (b, m, n, k) = self.product();
                F32 * b * (m * k + k * n + m * n)
            }
            _ => F32 * self.b * self.h * (self.operands() + 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(op: &str, [b, m, n, k, h]: [f64; 5]) -> Operator {
        Operator { op: op.to_owned(), b, m, n, k, h }
    }

    #[test]
    fn work_is_counted() {
        let check = |op: &str, sizes: [f64; 5], class: Class, flop: f64, bytes: f64| {
            let operator = operator(op, sizes);
            assert_eq!(operator.class(), Ok(class), "{op}");
            assert_eq!((operator.flop(), operator.bytes()), (flop, bytes), "{op}");
        };
        let sizes = [2.0, 3.0, 5.0, 7.0, 0.0];
        check("bmm", sizes, Class::Product, 420.0, 4.0 * 2.0 * (21.0 + 35.0 + 15.0));
        check("linear", sizes, Class::Product, 420.0, 4.0 * (42.0 + 35.0 + 30.0));
        check("add", [2.0, 0.0, 0.0, 0.0, 8.0], Class::Pointwise, 16.0, 192.0);
        check("addu", [2.0, 0.0, 0.0, 0.0, 8.0], Class::Pointwise, 16.0, 128.0);
        check("softmax", [2.0, 0.0, 0.0, 0.0, 8.0], Class::Row, 128.0, 128.0);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let error = operator("conv9", [1.0; 5]).class().unwrap_err().to_string();
        assert!(
            error.contains("no operator `conv9`") && error.contains("softmax, ln, add"),
            "{error}"
        );
        for value in [0.0, -1.0, 1.5, f64::NAN] {
            let error = operator("bmm", [1.0, 1.0, value, 1.0, 0.0]).class().unwrap_err();
            assert!(error.to_string().starts_with("bmm needs n"), "{error}");
        }
    }
}
