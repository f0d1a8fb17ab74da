// Functions of one element, in f32: activations and unary ops, by the codes that the planner gives them.

// e^x held within the normal numbers of f32: for every number, infinities too, it is finite and above zero, so
// that what saturates makes no NaN. A clamp may drop a NaN that comes in, so that is handed on by itself, as far as
// the adapter knows NaN: WGSL lets it assume that there is none (§15.7.2).
fn exp_normal(x: f32) -> f32 {
    return select(exp(clamp(x, -87.0, 88.0)), x, x != x);
}

fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp_normal(-x));
}

// By the exponential of a negative number: WGSL's own tanh may overflow inside for large arguments.
fn tanh_normal(x: f32) -> f32 {
    let t = exp_normal(-2.0 * abs(x));
    let magnitude = (1.0 - t) / (1.0 + t);
    return select(magnitude, -magnitude, x < 0.0);
}

// 1 + erf(x/√2), by Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7, 2.5 units of roundoff.
fn one_plus_erf(x: f32) -> f32 {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let polynomial =
        t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let complement = polynomial * exp_normal(-z * z);
    return select(2.0 - complement, complement, x < 0.0);
}

fn apply(code: u32, x: f32) -> f32 {
    switch code {
        // Not a maximum, which may drop a NaN.
        case 1u: { return select(x, 0.0, x < 0.0); }
        case 2u: { return 0.5 * x * one_plus_erf(x); }
        case 3u: { return 0.5 * x * (1.0 + tanh_normal(0.79788456 * (x + 0.044715 * x * x * x))); }
        case 4u: { return x * sigmoid(1.702 * x); }
        case 5u: { return x * sigmoid(x); }
        case 6u: { return tanh_normal(x); }
        case 7u: { return -x; }
        case 8u: { return abs(x); }
        case 9u: { return sqrt(x); }
        case 10u: { return exp(x); }
        case 11u: { return 1.0 / x; }
        case 12u: { return sigmoid(x); }
        default: { return x; }
    }
}
