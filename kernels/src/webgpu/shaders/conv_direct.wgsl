// Convolution one result at a time: for groups of so few channels that tiles would stay empty.
// Header: T, WG, HAS_BIAS, HAS_RESIDUAL, FUNCTION, AFTER.

struct Params {
    total: u32,
    // Channels of the result, and of it and of the input in one group.
    out: u32,
    group_out: u32,
    group_in: u32,
    // Channels of the input.
    channels: u32,
    rows: u32,
    columns: u32,
    height: u32,
    width: u32,
    size_y: u32,
    size_x: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    // Zeros before the first row and column.
    above: u32,
    before: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> weight: array<T>;
@group(0) @binding(3) var<storage, read> bias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = (group.x + group.y * groups.x) * WG + local;
    if i >= p.total {
        return;
    }
    let plane = i / (p.rows * p.columns);
    let channel = plane % p.out;
    // Above and before the plane these wrap around, beyond every size.
    let top = i / p.columns % p.rows * p.stride_y - p.above;
    let left = i % p.columns * p.stride_x - p.before;
    let first = plane / p.out * p.channels + channel / p.group_out * p.group_in;
    var tap = channel * p.group_in * p.size_y * p.size_x;
    var sum = 0.0;
    for (var c = 0u; c < p.group_in; c++) {
        let start = (first + c) * p.height * p.width;
        for (var ky = 0u; ky < p.size_y; ky++) {
            let row = top + ky * p.dilation_y;
            for (var kx = 0u; kx < p.size_x; kx++) {
                let column = left + kx * p.dilation_x;
                if row < p.height && column < p.width {
                    sum += f32(weight[tap]) * f32(x[start + row * p.width + column]);
                }
                tap++;
            }
        }
    }
    if HAS_BIAS {
        sum += f32(bias[channel]);
    }
    sum = apply(FUNCTION, sum);
    if HAS_RESIDUAL {
        sum = apply(AFTER, sum + f32(residual[i]));
    }
    y[i] = T(sum);
}
