//! Elementary functions on vectors of floats, and loops that apply them to rows.
//!
//! The tests hold each function to a few units in the last place of its f64 counterpart.

use crate::{Activation, BinaryOp, UnaryOp};
use pulp::Simd;

/// Adding this to a float of magnitude below 2²² rounds it to the nearest integer, which then stands in
/// the low bits of the sum.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has so few bits that its product with an exponent is exact (Cody and Waite 1980).
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `eˣ`: 2ⁿ times a polynomial in the remainder. Overflows to infinity, underflows gradually to zero.
#[inline(always)]
pub(super) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let bounded = simd.min_f32s(x, simd.splat_f32s(89.0));
    let bounded = simd.max_f32s(bounded, simd.splat_f32s(-105.0));
    let log2_e = simd.splat_f32s(std::f32::consts::LOG2_E);
    let n = round(simd, simd.mul_f32s(bounded, log2_e));
    let rest = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN2_HIGH), bounded);
    let rest = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN2_LOW), rest);
    // Taylor's series up to the seventh power: |rest| <= ln 2 / 2, the rest of the series is below 6e-9.
    let mut sum = simd.splat_f32s(1.0 / 5040.0);
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = simd.mul_add_e_f32s(sum, rest, simd.splat_f32s(coefficient));
    }
    // Two factors, because 2ⁿ itself may be too large or too small for a float.
    let half = round(simd, simd.mul_f32s(n, simd.splat_f32s(0.5)));
    let power = power_of_two(simd, half);
    let other = power_of_two(simd, simd.sub_f32s(n, half));
    let result = simd.mul_f32s(simd.mul_f32s(sum, power), other);
    // A maximum or minimum drops what is not a number; it must not vanish here.
    simd.select_f32s(simd.equal_f32s(x, x), result, x)
}

/// The nearest integer of a magnitude below 2²².
#[inline(always)]
fn round<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let offset = simd.splat_f32s(ROUND);
    simd.sub_f32s(simd.add_f32s(x, offset), offset)
}

/// `2ⁿ` for an integer `n` in -126..=127.
#[inline(always)]
fn power_of_two<S: Simd>(simd: S, n: S::f32s) -> S::f32s {
    let biased = simd.add_f32s(n, simd.splat_f32s(ROUND + 127.0));
    let bits = simd.transmute_u32s_f32s(biased);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    simd.transmute_f32s_u32s(exponent)
}

/// `1/(1 + e⁻ˣ)`.
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// `tanh x = sign(x)·(1 - t)/(1 + t)` with `t = e^(-2|x|)`; its absolute error is a few units of 1.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let magnitude = simd.abs_f32s(x);
    let t = exp(simd, simd.mul_f32s(magnitude, simd.splat_f32s(-2.0)));
    let positive = simd.div_f32s(simd.sub_f32s(one, t), simd.add_f32s(one, t));
    let sign = simd.and_f32s(x, simd.splat_f32s(-0.0));
    simd.or_f32s(positive, sign)
}

/// From here on the error function is 1 as a float.
const ERF_END: f32 = 3.93;
/// The numerator (odd powers, highest first) and the denominator (even powers) of a rational approximation of
/// erf on -4..=4, where floats reach 1; the coefficients are those that the Eigen library publishes.
const ERF_NUMERATOR: [f32; 7] = [
    -2.726_142_3e-10,
    2.770_681_4e-8,
    -2.101_024e-6,
    -5.692_506_5e-5,
    -7.349_906e-4,
    -2.954_6e-3,
    -1.609_603_3e-2,
];
const ERF_DENOMINATOR: [f32; 5] =
    [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2];

/// The error function.
#[inline(always)]
fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let square = simd.mul_f32s(x, x);
    let numerator = simd.mul_f32s(x, horner(simd, &ERF_NUMERATOR, square));
    let inside = simd.div_f32s(numerator, horner(simd, &ERF_DENOMINATOR, square));
    let sign = simd.and_f32s(x, simd.splat_f32s(-0.0));
    let outside = simd.or_f32s(simd.splat_f32s(1.0), sign);
    let is_inside = simd.less_than_f32s(square, simd.splat_f32s(ERF_END * ERF_END));
    simd.select_f32s(is_inside, inside, outside)
}

/// A polynomial by Horner's rule, highest power first.
#[inline(always)]
fn horner<S: Simd, const N: usize>(simd: S, coefficients: &[f32; N], x: S::f32s) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(coefficient));
    }
    sum
}

/// The activation of one vector.
#[inline(always)]
fn activation<S: Simd>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    match activation {
        Activation::Identity => x,
        Activation::Relu => {
            let positive = simd.max_f32s(x, simd.splat_f32s(0.0));
            // As in `exp`: the maximum alone would make zero of what is not a number.
            simd.select_f32s(simd.equal_f32s(x, x), positive, x)
        }
        Activation::Gelu => {
            let erf = erf(simd, simd.mul_f32s(x, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2)));
            let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
            simd.mul_add_e_f32s(half, erf, half)
        }
        Activation::GeluTanh => {
            let square = simd.mul_f32s(x, x);
            // √(2/π)·x·(1 + 0.044715·x²)
            let inner =
                simd.mul_add_e_f32s(square, simd.splat_f32s(0.044_715), simd.splat_f32s(1.0));
            let inner = simd.mul_f32s(simd.mul_f32s(x, simd.splat_f32s(0.797_884_6)), inner);
            let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
            simd.mul_add_e_f32s(half, tanh(simd, inner), half)
        }
        Activation::QuickGelu => {
            simd.mul_f32s(x, sigmoid(simd, simd.mul_f32s(x, simd.splat_f32s(1.702))))
        }
        Activation::Silu => simd.mul_f32s(x, sigmoid(simd, x)),
        Activation::Tanh => tanh(simd, x),
    }
}

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
