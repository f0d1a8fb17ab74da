//! Limits for the tests: what a real browser said, and poorer ones.

use proofmark_kernels::webnn::Limits;
use serde_json::{Value, json};

const CHROMIUM: &str = include_str!("chromium-147.json");

/// What Chromium 147's CPU backend says.
pub(crate) fn chromium() -> Limits {
    limits(&chromium_json())
}

pub(super) fn limits(json: &Value) -> Limits {
    json.to_string().parse().expect("what a browser gives")
}

/// The same as JSON, to change it.
pub(super) fn chromium_json() -> Value {
    let file: Value = serde_json::from_str(CHROMIUM).expect("JSON");
    assert!(file["browser"].as_str().is_some_and(|name| name.contains("147")));
    file["limits"].clone()
}

/// Without these operators.
pub(super) fn without(json: &mut Value, operators: &[&str]) {
    let map = json.as_object_mut().expect("an object");
    for operator in operators {
        assert!(map.remove(*operator).is_some(), "there was no {operator}");
    }
}

/// Changes the limits of every operand of every operator but these.
pub(super) fn change(json: &mut Value, but: &[&str], f: impl Fn(&mut Value)) {
    for (name, operator) in json.as_object_mut().expect("an object") {
        let Some(operands) = operator.as_object_mut() else { continue };
        if !but.contains(&name.as_str()) && !operands.contains_key("dataTypes") {
            operands.values_mut().for_each(&f);
        }
    }
}

/// A browser that has little: no operator that others can stand in for, few axes, one format for floats and one for
/// indices, which is not that of the inputs.
pub(crate) fn poor() -> Limits {
    let mut json = chromium_json();
    let missing = [
        "abs",
        "div",
        "equal",
        "exp",
        "gelu",
        "gemm",
        "identity",
        "layerNormalization",
        "max",
        "maxPool2d",
        "neg",
        "reduceMax",
        "reduceMean",
        "relu",
        "sigmoid",
        "slice",
        "softmax",
        "sqrt",
        "sub",
        "tanh",
        "where",
    ];
    without(&mut json, &missing);
    let moved = ["reshape", "cast"];
    change(&mut json, &moved, |operand| {
        let types = operand["dataTypes"].as_array_mut().expect("a list");
        types.retain(|of| of != "float16" && of != "int32");
    });
    // What computes takes three axes at most, and none of them no axis at all.
    let many = ["reshape", "cast", "conv2d", "pad", "expand"];
    change(&mut json, &many, |operand| {
        let max = operand["rankRange"]["max"].as_u64().expect("a number").min(3);
        let min = operand["rankRange"]["min"].as_u64().expect("a number").max(1);
        operand["rankRange"] = json!({"min": min, "max": max});
    });
    limits(&json)
}
