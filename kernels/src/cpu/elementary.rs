//! Elementary functions of vectors of floats. Loops over rows, and the tests of both, live in `math`.

use crate::Activation;
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
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
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

/// `max(x, 0)`.
#[inline(always)]
pub(super) fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let positive = simd.max_f32s(x, simd.splat_f32s(0.0));
    // As in `exp`: the maximum alone would make zero of what is not a number.
    simd.select_f32s(simd.equal_f32s(x, x), positive, x)
}

/// The activation of one vector.
#[inline(always)]
pub(super) fn activation<S: Simd>(simd: S, activation: Activation, x: S::f32s) -> S::f32s {
    match activation {
        Activation::Identity => x,
        Activation::Relu => relu(simd, x),
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
