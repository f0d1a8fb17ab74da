//! What int8 makes of weights and activations, written down a second time: the reference for `check`.

use proofmark_kernels::{Array, Op, Precision};

/// The rows of a weight as integers with a factor, in f64: each row's largest magnitude is 127.
pub(crate) fn integers((array, bound): &(Array, Vec<f64>)) -> (Array, Vec<f64>) {
    let width = array.shape[array.shape.len() - 1];
    let mut data = Vec::new();
    for row in array.data.chunks(width) {
        let row: Vec<f32> = row.iter().map(|&v| v as f32).collect();
        let factor = row.iter().fold(0.0_f32, |max, v| max.max(v.abs())) / 127.0;
        let integer = |v: &f32| if factor > 0.0 { (v / factor).round() } else { 0.0 };
        data.extend(row.iter().map(|v| f64::from(integer(v)) * f64::from(factor)));
    }
    (Array::new(array.shape.clone(), data), bound.clone())
}

/// Adds what the integers of the activations are off by: half a step each, with a little for their own rounding.
pub(crate) fn add_steps(op: &Op, operands: &[&Array], result: &Array, bound: &mut [f64]) {
    let Op::Linear { .. } = op else {
        // A row of a table is a product of two numbers.
        let products = bound.iter_mut().zip(&result.data);
        products.for_each(|(b, y)| *b += 2.0 * Precision::F32.unit_roundoff() * y.abs());
        return;
    };
    let (x, weight) = (operands[0], operands[1]);
    let (n, k) = (weight.shape[0], weight.shape[1]);
    // So many that no sum overflows; 16 bits hold them.
    let most = (f64::from(i32::MAX) / (127.0 * k as f64)).floor().min(32767.0);
    for (row, bound) in x.data.chunks(k).zip(bound.chunks_mut(n)) {
        let step = row.iter().fold(0.0_f64, |max, v| max.max(v.abs())) / most;
        for (bound, weights) in bound.iter_mut().zip(weight.data.chunks(k)) {
            let magnitude: f64 = weights.iter().map(|w| w.abs()).sum();
            // No activation function is steeper than 1.2.
            *bound += 1.2 * 0.51 * step * magnitude;
        }
    }
}
