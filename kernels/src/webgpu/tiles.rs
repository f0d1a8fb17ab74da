//! The tiles that GPUs get give the right numbers too. On an adapter in software `tests/ops` sees only those
//! that are chosen for it, so here the plan is made as for a GPU, and run on whatever adapter there is.

use super::WgpuDevice;
use super::plan::{Plan, Target};
use super::run::WgpuProgram;
use crate::device::Program;
use crate::{
    Activation, Array, Binding, Builder, Error, Kind, Op, Precision, Reduction, Tensor, Value,
    Weights, Window, evaluate_all,
};
use std::sync::Arc;

fn small_numbers(shape: &[usize], phase: usize) -> Tensor {
    // Multiples of 1/8 below 1: exact in every format.
    let data =
        (0..shape.iter().product()).map(|i: usize| ((i * 7 + phase) % 15) as f32 / 8.0 - 0.875);
    Tensor::f32(shape, data.collect())
}

/// Runs one op as planned for a GPU and compares with the reference.
#[track_caller]
fn check(device: &WgpuDevice, shapes: &[&[usize]], op: &Op) {
    let mut builder = Builder::new(Binding::default());
    let inputs: Vec<_> = shapes.iter().zip(0..).map(|(s, i)| small_numbers(s, i)).collect();
    let operands: Vec<Value> = shapes
        .iter()
        .enumerate()
        .map(|(i, shape)| {
            let sizes: Vec<_> = shape.iter().map(|&size| size.into()).collect();
            builder.input(&format!("x{i}"), Kind::Float, &sizes).expect("an input")
        })
        .collect();
    let value = builder.push(op.clone(), &operands).expect("an op");
    builder.output("y", value).expect("an output");
    let graph = builder.finish().expect("a graph");
    let weights = Weights::seeded(1);
    let arrays = evaluate_all(&graph, &weights, &inputs).expect("a reference");
    let operands: Vec<&Array> = arrays[..shapes.len()].iter().collect();
    let expected = &arrays[shapes.len()];
    let half = device.identity.features.iter().any(|feature| feature == "shader-f16");
    let precisions = [Precision::F32, Precision::F16];
    for precision in &precisions[..1 + usize::from(half)] {
        let target = Target { software: None, ..device.target().clone() };
        let run = || -> Result<Vec<f64>, Error> {
            let plan = Plan::new(&graph, *precision, &target)?;
            let context = Arc::clone(&device.context);
            let mut program = WgpuProgram::new(context, &graph, &weights, plan)?;
            Ok(program.run(&inputs)?.0[0].to_f64())
        };
        let found = run().unwrap_or_else(|why| panic!("failed to {why}"));
        let bound = op.error_bound(&operands, expected, precision.unit_roundoff());
        for (i, (e, f)) in expected.data.iter().zip(&found).enumerate() {
            let off = (e - f).abs();
            let what = op.name();
            assert!(off <= bound[i], "{what} {precision} {shapes:?} [{i}]: {f:e}, expected {e:e}");
        }
    }
}

#[test]
fn the_tiles_of_gpus_are_right() {
    let device = match WgpuDevice::open() {
        Ok(device) => device,
        Err(why) => {
            eprintln!("not tested: {why}");
            return;
        }
    };
    // Few rows, few tiles, many tiles: each choice at sizes that fit no tile.
    for [m, n, k] in [[1, 301, 133], [3, 301, 33], [37, 131, 65], [517, 530, 19]] {
        let linear = Op::Linear { bias: true, activation: Activation::Gelu };
        check(&device, &[&[m, k], &[n, k], &[n]], &linear);
        check(&device, &[&[m, k], &[k, n]], &Op::MatMul { transpose_right: false });
        check(&device, &[&[m, k], &[n, k]], &Op::MatMul { transpose_right: true });
    }
    check(&device, &[&[2, 1, 2, 9], &[3, 9, 37]], &Op::MatMul { transpose_right: false });
    // Channels of the input and of the result, groups, height and width.
    for [c, o, groups, h, w] in [[3, 70, 1, 9, 11], [12, 34, 2, 5, 40], [6, 12, 6, 7, 9]] {
        let window = Window { dilation: [1, 2], padding: [[0, 2], [3, 1]], ..Window::new([3, 2]) };
        for window in [window, window.stride([2, 1]), Window::new([1, 1])] {
            let op = Op::Conv { window, groups, bias: true, activation: Activation::Silu };
            let filters = [o, c / groups, window.size[0], window.size[1]];
            check(&device, &[&[2, c, h, w], &filters, &[o]], &op);
        }
    }
    for (queries, keys, width, causal, bias) in
        [(1, 70, 7, false, false), (3, 65, 33, false, true), (21, 37, 40, true, true)]
    {
        let (scale, mask) = (0.25, false);
        let op = Op::Attention { heads: 4, kv_heads: 2, scale, causal, mask, bias };
        let (q, k, b) = ([4, queries, 4 * width], [4, keys, 2 * width], [2, 4, queries, keys]);
        let shapes: [&[usize]; 4] = [&q, &k, &k, &b];
        check(&device, &shapes[..3 + usize::from(bias)], &op);
    }
    for width in [7, 65, 1000] {
        let norm = Op::LayerNorm { epsilon: 1e-5 };
        check(&device, &[&[3, width], &[width], &[width]], &norm);
        check(&device, &[&[3, width], &[width]], &Op::RmsNorm { epsilon: 1e-5 });
        let norm = Op::GroupNorm { groups: 2, epsilon: 1e-5 };
        check(&device, &[&[2, 6, width], &[6], &[6]], &norm);
        check(&device, &[&[3, width]], &Op::Softmax);
        for op in Reduction::ALL {
            check(&device, &[&[3, width]], &Op::Reduce { op, axis: 1, keep: false });
        }
    }
}
