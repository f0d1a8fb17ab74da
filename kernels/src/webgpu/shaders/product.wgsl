// What every kernel of sums of products shares: operands, and what becomes of a sum.
// Header: T, FUNCTION, AFTER. What differs between ops, but costs no time as a parameter, is a parameter: each text
// is compiled once more.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    tiles_m: u32,
    tiles_n: u32,
    batches: u32,
    // How far the right operand moves from one row and from one column to the next.
    right_row: u32,
    right_column: u32,
    // 1 if there is one.
    has_bias: u32,
    has_residual: u32,
    // How far the bias moves from one row and from one column of the result to the next.
    bias_row: u32,
    bias_column: u32,
    // Batches take turns with as many parts of the bias.
    groups: u32,
    // Leading sizes, innermost last, and how far each operand moves along them.
    lead: vec4<u32>,
    a_strides: vec4<u32>,
    b_strides: vec4<u32>,
    // Of a convolution: positions in a row, the plane, how the window slides.
    columns: u32,
    height: u32,
    width: u32,
    taps: u32,
    size_x: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    above: u32,
    before: u32,
    // 1 / columns, 1 / taps, 1 / size_x.
    per_columns: f32,
    per_taps: f32,
    per_size_x: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read> bias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

// Where what belongs to a batch begins.
struct Starts {
    left: u32,
    right: u32,
    bias: u32,
    result: u32,
}

fn starts(batch: u32) -> Starts {
    var rest = batch;
    var start = Starts(0u, 0u, batch % p.groups * p.m * p.bias_row, batch * p.m * p.n);
    for (var left = 4u; left > 0u; left--) {
        let coordinate = rest % p.lead[left - 1u];
        rest = rest / p.lead[left - 1u];
        start.left += coordinate * p.a_strides[left - 1u];
        start.right += coordinate * p.b_strides[left - 1u];
    }
    return start;
}

fn store(start: Starts, m: u32, n: u32, sum: f32) {
    if m < p.m && n < p.n {
        let at = start.result + m * p.n + n;
        var value = sum;
        if p.has_bias != 0u {
            value += f32(bias[start.bias + m * p.bias_row + n * p.bias_column]);
        }
        value = apply(FUNCTION, value);
        if p.has_residual != 0u {
            value = apply(AFTER, value + f32(residual[at]));
        }
        y[at] = T(value);
    }
}
