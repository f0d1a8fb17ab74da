//! Loops over rows of floats: functions of each element, sums, products, normalisations.
//!
//! The tests hold each function to a few units in the last place of its f64 counterpart. What is computed of one
//! vector lives in `elementary`.

use super::elementary::{activation, exp, sigmoid};
use crate::{Activation, BinaryOp, UnaryOp};
use pulp::Simd;

/// Replaces every vector `$x` of a row by an expression of it; the last vector may be short.
///
/// A macro and not a closure: a closure that the compiler leaves as a function of its own would lose the
/// vector instructions of its surroundings.
macro_rules! map {
    ($simd:ident: $S:ident, $row:expr, |$x:ident| $value:expr) => {{
        let (vectors, rest) = $S::as_mut_simd_f32s($row);
        for vector in vectors {
            let $x = *vector;
            *vector = $value;
        }
        if !rest.is_empty() {
            let $x = $simd.partial_load_f32s(rest);
            $simd.partial_store_f32s(rest, $value);
        }
    }};
}

/// Replaces every vector `$x` of a row by an expression of it and of the vector `$y` of another row of its length.
macro_rules! zip {
    ($simd:ident: $S:ident, $row:expr, $other:expr, |$x:ident, $y:ident| $value:expr) => {{
        let (vectors, rest) = $S::as_mut_simd_f32s($row);
        let (others, other_rest) = $S::as_simd_f32s($other);
        for (vector, other) in vectors.iter_mut().zip(others) {
            let ($x, $y) = (*vector, *other);
            *vector = $value;
        }
        if !rest.is_empty() {
            let ($x, $y) = ($simd.partial_load_f32s(rest), $simd.partial_load_f32s(other_rest));
            $simd.partial_store_f32s(rest, $value);
        }
    }};
}

/// The sum over a row of an expression of its vectors `$x` that is zero where `$x` is: four vectors of sums.
macro_rules! sum {
    ($simd:ident: $S:ident, $row:expr, |$x:ident| $value:expr) => {{
        let (vectors, rest) = $S::as_simd_f32s($row);
        let mut sums = [$simd.splat_f32s(0.0); 4];
        let (groups, others) = vectors.as_chunks::<4>();
        for group in groups {
            for i in 0..4 {
                let $x = group[i];
                sums[i] = $simd.add_f32s(sums[i], $value);
            }
        }
        for vector in others {
            let $x = *vector;
            sums[0] = $simd.add_f32s(sums[0], $value);
        }
        let $x = $simd.partial_load_f32s(rest);
        sums[1] = $simd.add_f32s(sums[1], $value);
        let (left, right) = ($simd.add_f32s(sums[0], sums[1]), $simd.add_f32s(sums[2], sums[3]));
        $simd.reduce_sum_f32s($simd.add_f32s(left, right))
    }};
}

/// `out += other`.
#[inline(always)]
pub(super) fn add_assign<S: Simd>(simd: S, out: &mut [f32], other: &[f32]) {
    zip!(simd: S, out, other, |a, b| simd.add_f32s(a, b));
}

/// Applies an activation in place.
#[inline(always)]
pub(super) fn activate<S: Simd>(simd: S, which: Activation, out: &mut [f32]) {
    // The choice stands outside the loops, so that each of them is one function's.
    match which {
        Activation::Identity => {}
        Activation::Relu => map!(simd: S, out, |x| activation(simd, Activation::Relu, x)),
        Activation::Gelu => map!(simd: S, out, |x| activation(simd, Activation::Gelu, x)),
        Activation::GeluTanh => map!(simd: S, out, |x| activation(simd, Activation::GeluTanh, x)),
        Activation::QuickGelu => map!(simd: S, out, |x| activation(simd, Activation::QuickGelu, x)),
        Activation::Silu => map!(simd: S, out, |x| activation(simd, Activation::Silu, x)),
        Activation::Tanh => map!(simd: S, out, |x| activation(simd, Activation::Tanh, x)),
    }
}

/// Applies a function of one element in place.
#[inline(always)]
pub(super) fn unary<S: Simd>(simd: S, op: UnaryOp, out: &mut [f32]) {
    match op {
        UnaryOp::Neg => map!(simd: S, out, |x| simd.neg_f32s(x)),
        UnaryOp::Abs => map!(simd: S, out, |x| simd.abs_f32s(x)),
        UnaryOp::Sqrt => map!(simd: S, out, |x| simd.sqrt_f32s(x)),
        UnaryOp::Exp => map!(simd: S, out, |x| exp(simd, x)),
        UnaryOp::Reciprocal => map!(simd: S, out, |x| simd.div_f32s(simd.splat_f32s(1.0), x)),
        UnaryOp::Sigmoid => map!(simd: S, out, |x| sigmoid(simd, x)),
        UnaryOp::Activate(which) => activate(simd, which, out),
    }
}

/// `out = op(out, other)` for rows of one length.
#[inline(always)]
pub(super) fn binary<S: Simd>(simd: S, op: BinaryOp, out: &mut [f32], other: &[f32]) {
    match op {
        BinaryOp::Add => add_assign(simd, out, other),
        BinaryOp::Sub => zip!(simd: S, out, other, |a, b| simd.sub_f32s(a, b)),
        BinaryOp::Mul => zip!(simd: S, out, other, |a, b| simd.mul_f32s(a, b)),
        BinaryOp::Div => zip!(simd: S, out, other, |a, b| simd.div_f32s(a, b)),
        BinaryOp::Max => zip!(simd: S, out, other, |a, b| simd.max_f32s(a, b)),
        BinaryOp::Min => zip!(simd: S, out, other, |a, b| simd.min_f32s(a, b)),
    }
}

/// The sum of a row.
#[inline(always)]
pub(super) fn sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    sum!(simd: S, row, |x| x)
}

/// The largest element of a row that is not empty.
#[inline(always)]
pub(super) fn max<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(row);
    let least = simd.splat_f32s(f32::NEG_INFINITY);
    let mut largest = least;
    for vector in vectors {
        largest = simd.max_f32s(largest, *vector);
    }
    rest.iter().copied().fold(simd.reduce_max_f32s(largest), f32::max)
}

/// Moves a row to mean zero and gives the reciprocal of its deviation.
#[inline(always)]
pub(super) fn centre<S: Simd>(simd: S, row: &[f32], epsilon: f32, out: &mut [f32]) -> f32 {
    let n = count(row);
    let mean = simd.splat_f32s(sum(simd, row) / n);
    out.copy_from_slice(row);
    map!(simd: S, out, |x| simd.sub_f32s(x, mean));
    let variance = sum!(simd: S, out, |x| simd.mul_f32s(x, x)) / n;
    1.0 / (variance + epsilon).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "beyond 2^24 elements a mean is off by a roundoff")]
fn count(row: &[f32]) -> f32 {
    row.len() as f32
}

/// Normalisation of one row by its root mean square, then the scale.
#[inline(always)]
pub(super) fn rms_norm<S: Simd>(
    simd: S,
    row: &[f32],
    weight: &[f32],
    epsilon: f32,
    out: &mut [f32],
) {
    let square = sum!(simd: S, row, |x| simd.mul_f32s(x, x)) / count(row);
    let scale = simd.splat_f32s(1.0 / (square + epsilon).sqrt());
    out.copy_from_slice(row);
    zip!(simd: S, out, weight, |x, w| simd.mul_f32s(simd.mul_f32s(x, scale), w));
}

/// `row · factor + shift`.
#[inline(always)]
pub(super) fn scale_and_shift<S: Simd>(simd: S, row: &mut [f32], factor: f32, shift: f32) {
    let (factor, shift) = (simd.splat_f32s(factor), simd.splat_f32s(shift));
    map!(simd: S, row, |x| simd.mul_add_e_f32s(x, factor, shift));
}

/// Rotates the halves of one head by the angles with these cosines and sines.
#[inline(always)]
pub(super) fn rotate<S: Simd>(
    simd: S,
    head: &[f32],
    [cosines, sines]: [&[f32]; 2],
    out: &mut [f32],
) {
    let (left, right) = head.split_at(cosines.len());
    let (out_left, out_right) = out.split_at_mut(cosines.len());
    out_left.copy_from_slice(right);
    zip!(simd: S, out_left, sines, |b, sin| simd.neg_f32s(simd.mul_f32s(b, sin)));
    multiply_add(simd, out_left, left, cosines);
    out_right.copy_from_slice(left);
    zip!(simd: S, out_right, sines, |a, sin| simd.mul_f32s(a, sin));
    multiply_add(simd, out_right, right, cosines);
}

/// `out += a · b` for rows of one length.
#[inline(always)]
fn multiply_add<S: Simd>(simd: S, out: &mut [f32], a: &[f32], b: &[f32]) {
    let (outs, out_rest) = S::as_mut_simd_f32s(out);
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    for (out, (a, b)) in outs.iter_mut().zip(a.iter().zip(b)) {
        *out = simd.mul_add_e_f32s(*a, *b, *out);
    }
    let [a, b, sum] = [a_rest, b_rest, &*out_rest].map(|rest| simd.partial_load_f32s(rest));
    simd.partial_store_f32s(out_rest, simd.mul_add_e_f32s(a, b, sum));
}

/// The largest magnitude of a row, and zero: or what is not a number, if an element is not finite.
#[inline(always)]
pub(super) fn largest_magnitude<S: Simd>(simd: S, row: &[f32]) -> (f32, f32) {
    let (vectors, rest) = S::as_simd_f32s(row);
    let mut largest = simd.abs_f32s(simd.partial_load_f32s(rest));
    let mut zero = simd.sub_f32s(largest, largest);
    for vector in vectors {
        largest = simd.max_f32s(largest, simd.abs_f32s(*vector));
        zero = simd.add_f32s(zero, simd.sub_f32s(*vector, *vector));
    }
    (simd.reduce_max_f32s(largest), simd.reduce_sum_f32s(zero))
}

/// `out += factor · a` for rows of one length.
#[inline(always)]
pub(super) fn add_scaled<S: Simd>(simd: S, out: &mut [f32], factor: f32, a: &[f32]) {
    let factor = simd.splat_f32s(factor);
    zip!(simd: S, out, a, |sum, a| simd.mul_add_e_f32s(factor, a, sum));
}

/// The dot product of two rows of one length.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = [simd.splat_f32s(0.0); 4];
    let ((a4, a), (b4, b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a4.iter().zip(b4) {
        for i in 0..4 {
            sums[i] = simd.mul_add_e_f32s(a[i], b[i], sums[i]);
        }
    }
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        sums[i] = simd.mul_add_e_f32s(*a, *b, sums[i]);
    }
    let [a, b] = [a_rest, b_rest].map(|rest| simd.partial_load_f32s(rest));
    sums[3] = simd.mul_add_e_f32s(a, b, sums[3]);
    let (left, right) = (simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    simd.reduce_sum_f32s(simd.add_f32s(left, right))
}

/// Layer normalisation of one row: the mean first, then the variance of what is centred, then the scale.
#[inline(always)]
pub(super) fn layer_norm<S: Simd>(
    simd: S,
    row: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
    out: &mut [f32],
) {
    let scale = simd.splat_f32s(centre(simd, row, epsilon, out));
    zip!(simd: S, out, weight, |x, w| simd.mul_f32s(simd.mul_f32s(x, scale), w));
    add_assign(simd, out, bias);
}

/// Replaces a row by `e^(x - largest)` and gives the sum.
#[inline(always)]
pub(super) fn exponentials<S: Simd>(simd: S, row: &mut [f32], largest: f32) -> f32 {
    let largest = simd.splat_f32s(largest);
    let (vectors, rest) = S::as_mut_simd_f32s(row);
    let mut sums = [simd.splat_f32s(0.0); 2];
    let (pairs, others) = vectors.as_chunks_mut::<2>();
    for pair in pairs {
        for i in 0..2 {
            pair[i] = exp(simd, simd.sub_f32s(pair[i], largest));
            sums[i] = simd.add_f32s(sums[i], pair[i]);
        }
    }
    for vector in others {
        *vector = exp(simd, simd.sub_f32s(*vector, largest));
        sums[0] = simd.add_f32s(sums[0], *vector);
    }
    let mut sum = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
    for value in rest {
        let one = [*value];
        let vector = exp(simd, simd.sub_f32s(simd.partial_load_f32s(&one), largest));
        simd.partial_store_f32s(std::slice::from_mut(value), vector);
        sum += *value;
    }
    sum
}

/// `row · factor`.
#[inline(always)]
pub(super) fn scale<S: Simd>(simd: S, row: &mut [f32], factor: f32) {
    let factor = simd.splat_f32s(factor);
    map!(simd: S, row, |x| simd.mul_f32s(x, factor));
}

/// Replaces a row by `min(row · factor, cap)` and gives the largest; the rows fill their vectors.
#[inline(always)]
pub(super) fn scores<S: Simd>(simd: S, row: &mut [f32], factor: f32, cap: &[f32]) -> f32 {
    let factor = simd.splat_f32s(factor);
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    let (vectors, rest) = S::as_mut_simd_f32s(row);
    let (caps, _) = S::as_simd_f32s(cap);
    assert!(rest.is_empty());
    for (vector, cap) in vectors.iter_mut().zip(caps) {
        *vector = simd.min_f32s(simd.mul_f32s(*vector, factor), *cap);
        largest = simd.max_f32s(largest, *vector);
    }
    simd.reduce_max_f32s(largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Level;
    use pulp::WithSimd;

    struct Apply<'a>(UnaryOp, &'a mut [f32]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            unary(simd, self.0, self.1);
        }
    }

    /// Every level, over a dense sweep: the error is at most `units` roundoffs of `scale(x, f(x))`.
    #[track_caller]
    fn check(op: UnaryOp, range: (f32, f32), units: f64, scale: impl Fn(f64, f64) -> f64) {
        const STEPS: u16 = 20_011;
        let step = (range.1 - range.0) / f32::from(STEPS);
        let xs: Vec<f32> = (0..=STEPS).map(|i| range.0 + f32::from(i) * step).collect();
        for level in Level::ALL.into_iter().filter(|level| level.is_here()) {
            let mut found = xs.clone();
            level.run(Apply(op, &mut found));
            for (&x, &y) in xs.iter().zip(&found) {
                let expected = op.apply(f64::from(x));
                let bound = units * 2f64.powi(-24) * scale(f64::from(x), expected) + 1e-45;
                let error = (f64::from(y) - expected).abs();
                assert!(error <= bound, "{level:?} {op:?}({x}) = {y}, not {expected}: {error:e}");
            }
        }
    }

    #[test]
    fn functions_are_right_to_a_few_roundoffs() {
        let relative = |_: f64, y: f64| y.abs();
        check(UnaryOp::Exp, (-87.0, 88.5), 4.0, relative);
        check(UnaryOp::Sigmoid, (-80.0, 80.0), 6.0, relative);
        check(UnaryOp::Activate(Activation::Tanh), (-20.0, 20.0), 4.0, |_, _| 1.0);
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            check(UnaryOp::Activate(activation), (-9.0, 9.0), 6.0, |x, _| x.abs());
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for level in Level::ALL.into_iter().filter(|level| level.is_here()) {
            for op in UnaryOp::all() {
                // Whole vectors and a part of one.
                let mut found = [f32::NAN; 35];
                level.run(Apply(op, &mut found));
                assert!(found.iter().all(|y| y.is_nan()), "{level:?} {op:?}: {found:?}");
            }
        }
    }

    #[test]
    fn exp_at_its_ends() {
        let ends = [f32::NEG_INFINITY, -104.0, -90.0, 0.0, 88.8, 1000.0, f32::INFINITY, f32::NAN];
        for level in Level::ALL.into_iter().filter(|level| level.is_here()) {
            let mut found = ends;
            level.run(Apply(UnaryOp::Exp, &mut found));
            assert_eq!(found[..2], [0.0, 0.0]);
            // Gradual underflow: the result has fewer digits there.
            let subnormal = 2f64.powi(-149);
            assert!((f64::from(found[2]) - (-90f64).exp()).abs() <= 2.0 * subnormal, "{found:?}");
            assert_eq!(found[3..7], [1.0, f32::INFINITY, f32::INFINITY, f32::INFINITY]);
            assert!(found[7].is_nan());
        }
    }
}
