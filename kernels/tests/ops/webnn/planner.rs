//! Plans themselves: every stand-in is reached and right, what cannot be done is named, nothing is made in vain.

use super::limits::{change, chromium, chromium_json, limits, without};
use super::{PlanDevice, contents, follow};
use crate::attention::{Sizes, attention};
use crate::check::{Case, Operand, Recipe, float, index, run_on};
use crate::endpoints::Endpoint;
use crate::rotary::rotary;
use crate::windows;
use proofmark_kernels::webnn::{Limits, OPERATORS, Plan, supports};
use proofmark_kernels::{
    Activation, BinaryOp, Binding, Builder, Kind, Op, Precision, Reduction, Tensor, UnaryOp,
    Weights, Window, fold,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::F16];

/// A case of one op on inputs, with its name.
fn case((op, operands): (Op, Vec<Operand>)) -> (&'static str, Case) {
    let name = op.name();
    let mut recipe = Recipe::new(3);
    let values: Vec<_> = operands.iter().map(|operand| recipe.operand(operand, false)).collect();
    let value = recipe.builder.push(op, &values).expect("a node");
    recipe.output(value);
    (name, recipe.finish())
}

fn products() -> Vec<(Op, Vec<Operand>)> {
    let layer = [float([2, 3, 5]), Operand::Float(vec![4, 5], (-0.5, 0.5)), float([4])];
    let linear = |bias: bool, activation| {
        (Op::Linear { bias, activation }, layer[..2 + usize::from(bias)].to_vec())
    };
    let mut all: Vec<_> = Activation::ALL.map(|activation| linear(true, activation)).into();
    all.push(linear(false, Activation::Identity));
    let matmul = |transpose_right, a: &[usize], b: &[usize]| {
        (Op::MatMul { transpose_right }, vec![float(a), float(b)])
    };
    all.extend([
        matmul(false, &[2, 1, 3, 5], &[3, 5, 4]),
        matmul(true, &[2, 3, 3, 5], &[2, 1, 4, 5]),
        matmul(false, &[3, 5], &[5, 4]),
    ]);
    let s = Sizes { batch: 4, queries: 3, keys: 5, heads: 4, kv_heads: 2, width: 3 };
    all.extend([
        attention(s, false, false, None),
        attention(s, true, false, None),
        attention(s, false, true, Some([1, 4])),
        attention(s, true, true, Some([2, 1])),
        attention(Sizes { queries: 1, ..s }, true, true, None),
    ]);
    let (window, step) = (Window::new([3, 2]).padding([1, 0]), [2, 1]);
    let s = windows::Sizes { batch: 2, channels: [2, 3], groups: 2, plane: [6, 5] };
    all.push(windows::conv(s, window.stride(step), true, Activation::Relu));
    let pool = |window| (Op::MaxPool { window }, vec![float([2, 3, 7, 6])]);
    let apart = Window { dilation: [2, 1], padding: [[1, 2], [0, 1]], ..window };
    all.extend([pool(window.stride([2, 2])), pool(apart), pool(apart.stride([1, 3]))]);
    all
}

fn rows() -> Vec<(Op, Vec<Operand>)> {
    let x = || float([2, 3, 6]);
    let mut all = vec![
        (Op::LayerNorm { epsilon: 1e-5 }, vec![x(), float([6]), float([6])]),
        (Op::RmsNorm { epsilon: 1e-5 }, vec![x(), float([6])]),
        (
            Op::GroupNorm { groups: 2, epsilon: 1e-5 },
            vec![float([2, 6, 3, 2]), float([6]), float([6])],
        ),
        (Op::Softmax, vec![x()]),
        rotary([2, 3, 2, 3], true),
        (Op::Gather, vec![float([7, 3]), index([2, 2], 7)]),
        (Op::Transpose { order: vec![2, 0, 1] }, vec![x()]),
        (Op::Slice { axis: 1, start: 1, end: 3 }, vec![x()]),
        (Op::Concat { axis: 1 }, vec![x(), float([2, 2, 6])]),
        (Op::Reshape { shape: vec![6, 6] }, vec![x()]),
        (Op::ToFloat, vec![index([2, 3], 9)]),
    ];
    for op in Reduction::ALL {
        all.extend([false, true].map(|keep| (Op::Reduce { op, axis: 1, keep }, vec![x()])));
    }
    let unary = UnaryOp::all().into_iter();
    all.extend(unary.map(|op| (Op::Unary(op), vec![Operand::Float(vec![2, 5], (0.25, 2.0))])));
    let pair = || vec![float([2, 1, 3]), Operand::Float(vec![4, 1], (0.5, 2.0))];
    all.extend(BinaryOp::ALL.map(|op| (Op::Binary(op), pair())));
    all
}

/// Every op, in the forms that are planned differently.
fn cases() -> Vec<(&'static str, Case)> {
    let mut all: Vec<_> = products().into_iter().chain(rows()).map(case).collect();
    let mut recipe = Recipe::new(1);
    let x = recipe.input(&[2, 3]);
    recipe.output(x);
    all.push(("an input", recipe.finish()));
    all
}

fn endpoint(limits: &Limits) -> Endpoint {
    let device = Box::leak(Box::new(PlanDevice::new(limits.clone())));
    Endpoint { name: "webnn plans", device, precisions: PRECISIONS.to_vec() }
}

/// The methods that a plan calls.
fn methods(case: &Case, precision: Precision, limits: &Limits) -> BTreeSet<String> {
    let plan = Plan::new(&case.graph, precision, limits).expect("a plan");
    plan.script.calls.into_iter().map(|call| call.method).collect()
}

/// What is lost with each operator alone, by the ops that need it. All else is done in another way, and right.
#[test]
fn each_operator_that_is_missing_has_a_stand_in_or_is_named() {
    let cases = cases();
    let mut lost: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut called: BTreeSet<String> = BTreeSet::new();
    let mut vary = |limits: &Limits, missing: Option<&'static str>| {
        let endpoint = endpoint(limits);
        for (name, case) in &cases {
            for precision in PRECISIONS {
                match run_on(&endpoint, precision, case) {
                    Ok(()) => called.extend(methods(case, precision, limits)),
                    Err(why) => {
                        let named = |operator| why.contains(&format!("no `{operator}`"));
                        assert!(missing.is_some_and(named), "{missing:?} {precision}: {why}");
                        lost.entry(missing.unwrap_or_default()).or_default().insert(name);
                    }
                }
            }
        }
    };
    vary(&chromium(), None);
    for operator in OPERATORS {
        let mut json = chromium_json();
        without(&mut json, &[operator]);
        vary(&limits(&json), Some(operator));
    }
    vary(&super::poor(), None);
    let found: Vec<_> = lost
        .iter()
        .map(|(operator, ops)| (*operator, ops.iter().copied().collect::<Vec<_>>().join(" ")))
        .collect();
    let found: Vec<_> = found.iter().map(|(operator, ops)| (*operator, ops.as_str())).collect();
    let expected = [
        ("cast", "attention to_float"),
        ("concat", "concat rotary"),
        ("conv2d", "conv"),
        ("mul", "attention gelu_tanh group_norm linear mul quick_gelu rms_norm rotary silu"),
        ("pad", "max_pool"),
        ("reshape", "attention group_norm linear reshape rms_norm rotary"),
        ("transpose", "attention matmul transpose"),
    ];
    assert_eq!(found, expected);
    let all: BTreeSet<_> = OPERATORS.iter().map(|&operator| operator.to_owned()).collect();
    assert_eq!(called, all, "what is never called is not needed, what is called must be listed");
}

/// One node on its own is judged as the plan judges it.
#[test]
fn what_is_said_to_be_supported_can_be_planned() {
    for operator in OPERATORS {
        let mut json = chromium_json();
        without(&mut json, &[operator]);
        let limits = limits(&json);
        for (name, case) in cases() {
            for precision in PRECISIONS {
                let refused = |(value, _)| supports(&case.graph, value, precision, &limits).err();
                let refused = case.graph.values().find_map(refused).map(|e| e.to_string());
                let planned = Plan::new(&case.graph, precision, &limits).err();
                let planned = planned.map(|e| e.to_string());
                // What is an input and an output is renamed, which is no op of the graph.
                if name != "an input" {
                    assert_eq!(refused, planned, "{name} without {operator}");
                }
            }
        }
    }
}

#[track_caller]
fn refused(case: &Case, precision: Precision, limits: &Limits, says: &[&str]) {
    let error = Plan::new(&case.graph, precision, limits).expect_err("a refusal").to_string();
    for part in says {
        assert!(error.contains(part), "{error} says nothing of {part}");
    }
}

#[test]
fn what_cannot_be_done_is_told_with_the_limit() {
    let (_, concat) = case((Op::Concat { axis: 0 }, vec![float([2, 3]), float([4, 3])]));
    let mut json = chromium_json();
    json["concat"]["inputs"]["dataTypes"] = json!(["float16"]);
    let says =
        ["run concat in f32 on webnn", "node 2", "`inputs` of `concat` is float32", "float16"];
    refused(&concat, Precision::F32, &limits(&json), &says);
    assert!(Plan::new(&concat.graph, Precision::F16, &limits(&json)).is_ok());
    let mut json = chromium_json();
    json["concat"]["inputs"]["rankRange"] = json!({"min": 0, "max": 1});
    refused(&concat, Precision::F32, &limits(&json), &["`concat` has 2 axes, of 0 to 1"]);
    let mut json = chromium_json();
    json["maxTensorByteLength"] = json!(71);
    let says = ["float32[6, 3] needs 72 bytes", "maxTensorByteLength is 71"];
    refused(&concat, Precision::F32, &limits(&json), &says);
    json["maxTensorByteLength"] = json!(72);
    assert!(Plan::new(&concat.graph, Precision::F32, &limits(&json)).is_ok());
    let mut json = chromium_json();
    json["input"]["dataTypes"] = json!(["float32"]);
    let says = ["run input in f16", "an input of the browser's graphs is float16"];
    refused(&concat, Precision::F16, &limits(&json), &says);
    refused(&concat, Precision::Int8, &chromium(), &["int8", "f32 and f16"]);
    refused(&concat, Precision::F32, &Limits::default(), &["says nothing of `input`"]);
}

/// f16 where the browser has it only for what moves: all is computed in f32, and nothing is lost on the way.
#[test]
fn formats_that_an_operator_lacks_are_converted() {
    let mut json = chromium_json();
    change(&mut json, &["cast", "reshape"], |operand| {
        operand["dataTypes"].as_array_mut().expect("a list").retain(|of| of != "float16");
    });
    let limits = limits(&json);
    let (_, layer) = products().into_iter().map(case).next().expect("a layer");
    let found = methods(&layer, Precision::F16, &limits);
    assert!(found.contains("cast") && found.contains("gemm"), "{found:?}");
    run_on(&endpoint(&limits), Precision::F16, &layer).expect("a run");
}

#[test]
fn a_layer_is_one_product_that_takes_its_weight_as_it_is() {
    let mut recipe = Recipe::new(1);
    let x = recipe.input(&[2, 3, 5]);
    let (weight, bias) = (recipe.weight(&[4, 5]), recipe.weight(&[4]));
    let y = recipe
        .builder
        .linear(x, weight, Some(bias), Activation::Gelu)
        .expect("as the test makes it");
    let z = recipe.builder.linear(y, weight, Some(bias), Activation::Gelu);
    assert!(z.is_err(), "the sizes differ");
    let square = recipe.weight(&[4, 4]);
    let z =
        recipe.builder.linear(y, square, None, Activation::Identity).expect("as the test makes it");
    recipe.output(z);
    let case = recipe.finish();
    let plan = Plan::new(&case.graph, Precision::F32, &chromium()).expect("as the test makes it");
    let called: Vec<_> = plan.script.calls.iter().map(|call| call.method.as_str()).collect();
    // Rows stay rows between layers.
    assert_eq!(called, ["reshape", "gemm", "gelu", "gemm", "reshape"]);
    let shapes: Vec<_> = plan.script.constants.iter().map(|c| c.of.shape.clone()).collect();
    assert_eq!(shapes, [vec![4, 5], vec![4], vec![4, 4]]);
    assert_eq!(plan.script.calls[1].label, "linear weight1");
}

#[test]
fn outputs_are_made_each_on_its_own_and_unused_inputs_are_told() {
    let mut b = Builder::new(Binding::default());
    let x = b.input("x", Kind::Float, &[2.into()]).expect("as the test makes it");
    let ids = b.input("ids", Kind::Index, &[2.into()]).expect("as the test makes it");
    b.input("unused", Kind::Index, &[3.into()]).expect("as the test makes it");
    let weight = b.weight("w", &[2]).expect("as the test makes it");
    let sum = b.add(x, weight).expect("as the test makes it");
    for (name, value) in [("x", x), ("sum", sum), ("again", sum), ("w", weight), ("ids", ids)] {
        b.output(name, value).expect("as the test makes it");
    }
    let graph = b.finish().expect("as the test makes it");
    let weights = Weights::given([("w".to_owned(), Tensor::f32([2], vec![10.0, 20.0]))]);
    for limits in [chromium(), super::poor()] {
        let plan = Plan::new(&graph, Precision::F32, &limits).expect("as the test makes it");
        let used: Vec<_> = plan.script.inputs.iter().map(|i| (i.name.as_str(), i.used)).collect();
        assert_eq!(used, [("x", true), ("ids", true), ("unused", false)]);
        let made: BTreeSet<_> = plan.script.calls.iter().flat_map(|c| c.results.clone()).collect();
        let outputs: BTreeSet<_> = plan.script.outputs.iter().map(|o| o.operand).collect();
        assert!(outputs.len() == 5 && outputs.is_subset(&made), "{:?}", plan.script);
        let inputs = [
            Tensor::f32([2], vec![1.0, 2.0]),
            Tensor::i32([2], vec![-7, 1 << 30]),
            Tensor::i32([3], vec![0; 3]),
        ];
        let bytes: Vec<_> = inputs.iter().map(|input| plan.input_bytes(input)).collect();
        let contents = contents(&plan, &weights).expect("as the test makes it");
        let found = follow(&plan.script, &contents, &bytes);
        let found: Vec<_> = found
            .iter()
            .enumerate()
            .map(|(at, bytes)| plan.output(at, bytes).expect("as the test makes it"))
            .collect();
        let sum = Tensor::f32([2], vec![11.0, 22.0]);
        let [x, ids, _] = inputs;
        let w = Tensor::f32([2], vec![10.0, 20.0]);
        assert_eq!(found, [x, sum.clone(), sum, w, ids]);
        assert!(plan.output(1, &[0; 7]).unwrap_err().to_string().contains("8 bytes, 7 came"));
    }
}

/// Indices are looked at where they reach a gather, however they were moved, in inputs and in constants.
#[test]
fn indices_of_constants_are_looked_at_once() {
    let mut b = Builder::new(Binding::default());
    let table = b.input("table", Kind::Float, &[3.into(), 2.into()]).expect("as the test makes it");
    let fixed = b.constant(Tensor::i32([4], vec![9, 2, 0, 3])).expect("as the test makes it");
    for (name, start) in [("good", 1), ("bad", 2)] {
        let part = b.slice(fixed, 0, start, start + 2).expect("as the test makes it");
        let rows = b.gather(table, part).expect("as the test makes it");
        b.output(name, rows).expect("as the test makes it");
    }
    let graph = b.finish().expect("as the test makes it");
    let check = |name: &str| {
        let part = graph.with_outputs(&[name]).expect("as the test makes it");
        let (part, weights) = fold(&part, &Weights::seeded(1)).expect("as the test makes it");
        Plan::new(&part, Precision::F32, &chromium())
            .expect("as the test makes it")
            .check_constants(&weights)
    };
    check("good").expect("as the test makes it");
    let error = check("bad").unwrap_err().to_string();
    assert!(error.contains("0..3") && error.contains("got 3"), "{error}");
}

#[test]
fn a_plan_is_plain_data() {
    for (_, case) in cases() {
        let plan =
            Plan::new(&case.graph, Precision::F16, &chromium()).expect("as the test makes it");
        let text = serde_json::to_string(&plan).expect("as the test makes it");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("as the test makes it"), plan);
    }
}
