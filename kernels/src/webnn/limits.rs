//! What a browser says that it can do: the JSON of `MLContext.opSupportLimits()`.
//!
//! An operator that is not listed is not there. An operand of an operator that is not listed is not limited, because
//! names of operands have changed between drafts of the standard.

use super::script::Typed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;

/// The limits of one WebNN context, by the standard's own names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(BTreeMap<String, Entry>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Entry {
    /// Of inputs, constants and outputs.
    Tensor(TensorLimits),
    /// Of one operator, by operand.
    Operator(BTreeMap<String, TensorLimits>),
    /// `maxTensorByteLength`.
    Number(u64),
    /// What later drafts add, such as `preferredInputLayout`.
    Other(serde_json::Value),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TensorLimits {
    data_types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rank_range: Option<RankRange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct RankRange {
    #[serde(default)]
    min: usize,
    #[serde(default = "any_rank")]
    max: usize,
}

const fn any_rank() -> usize {
    usize::MAX
}

impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| format!("not what opSupportLimits() gives: {e}"))
    }
}

impl TensorLimits {
    /// Why a tensor is beyond these limits.
    fn refusal(&self, of: &Typed) -> Option<String> {
        let name = of.data_type.name();
        if !self.data_types.iter().any(|other| other == name) {
            return Some(format!("is {name}, which is none of {}", self.data_types.join(", ")));
        }
        let RankRange { min, max } = self.rank_range?;
        let rank = of.shape.len();
        let beyond = !(min..=max).contains(&rank);
        beyond.then(|| format!("has {rank} axes, of {min} to {max} that are possible"))
    }
}

impl Limits {
    /// Whether an operator takes (or gives) these tensors, by the names that the standard has for them; if not, why.
    pub(super) fn check(&self, operator: &str, operands: &[(&str, &Typed)]) -> Result<(), String> {
        let by_operand = match self.0.get(operator) {
            Some(Entry::Operator(by_operand)) => by_operand,
            _ => return Err(format!("the browser has no `{operator}`")),
        };
        operands.iter().try_for_each(|(operand, of)| {
            let refusal = by_operand.get(*operand).and_then(|limits| limits.refusal(of));
            refusal.map_or(Ok(()), |why| Err(format!("`{operand}` of `{operator}` {why}")))?;
            self.check_bytes(of)
        })
    }

    /// Whether a tensor can be an `input`, a `constant` or an `output` of a graph; if not, why.
    pub(super) fn check_tensor(&self, role: &str, of: &Typed) -> Result<(), String> {
        match self.0.get(role) {
            Some(Entry::Tensor(limits)) => match limits.refusal(of) {
                Some(why) => Err(format!("an {role} of the browser's graphs {why}")),
                None => self.check_bytes(of),
            },
            _ => Err(format!("the browser says nothing of `{role}`")),
        }
    }

    fn check_bytes(&self, of: &Typed) -> Result<(), String> {
        let Some(Entry::Number(limit)) = self.0.get("maxTensorByteLength") else { return Ok(()) };
        let bytes = of.bytes();
        if bytes <= *limit {
            return Ok(());
        }
        Err(format!("{of} needs {bytes} bytes, the browser's maxTensorByteLength is {limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::DataType;
    use super::*;

    const TEXT: &str = r#"{
        "maxTensorByteLength": 64, "preferredInputLayout": "nhwc",
        "input": {"dataTypes": ["float32", "int4"], "rankRange": {"min": 0, "max": 8}},
        "gelu": {"input": {"dataTypes": ["float32"], "rankRange": {"min": 1, "max": 2}},
                 "output": {"dataTypes": ["float32"]}},
        "exp": {}
    }"#;

    #[track_caller]
    fn check(operator: &str, operand: &str, (data_type, shape): (DataType, &[usize]), says: &str) {
        let limits: Limits = TEXT.parse().unwrap();
        let of = Typed { data_type, shape: shape.to_vec() };
        let found = match operand {
            "" => limits.check_tensor(operator, &of),
            _ => limits.check(operator, &[(operand, &of)]),
        };
        match found {
            Ok(()) => assert_eq!(says, "", "{operator}"),
            Err(why) => assert!(!says.is_empty() && why.contains(says), "{why}"),
        }
    }

    #[test]
    fn what_the_browser_says_is_held_to() {
        use DataType::{Float16, Float32};
        check("gelu", "input", (Float32, &[2, 3]), "");
        check("gelu", "input", (Float16, &[2, 3]), "is float16, which is none of float32");
        check("gelu", "input", (Float32, &[2, 3, 1]), "has 3 axes, of 1 to 2");
        check("gelu", "input", (Float32, &[]), "has 0 axes, of 1 to 2");
        check("gelu", "output", (Float32, &[1, 1, 1]), "");
        check("gelu", "output", (Float32, &[17]), "maxTensorByteLength is 64");
        check("exp", "x", (Float16, &[16]), "");
        check("erf", "x", (Float32, &[1]), "no `erf`");
        check("input", "", (Float32, &[1]), "");
        check("input", "", (Float16, &[1]), "is float16");
        check("output", "", (Float32, &[1]), "says nothing of `output`");
    }

    #[test]
    fn limits_are_written_as_they_were_read() {
        let limits: Limits = TEXT.parse().unwrap();
        let written: serde_json::Value = serde_json::to_value(&limits).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(TEXT).unwrap());
        assert!("[1]".parse::<Limits>().unwrap_err().contains("opSupportLimits"));
    }
}
