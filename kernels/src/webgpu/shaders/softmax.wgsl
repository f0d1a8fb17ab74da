// Softmax of the last axis: a workgroup per row.
// Header: T, WG.

struct Params {
    rows: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

var<workgroup> partial: array<f32, WG>;

const LOWEST: f32 = -3.4028234e38;

// The exponential of a difference that is never positive; what is below every normal number is zero.
fn exp_difference(d: f32) -> f32 {
    return select(exp(max(d, -87.0)), 0.0, d < -87.0);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.x + group.y * groups.x;
    if row >= p.rows {
        return;
    }
    let start = row * p.width;
    var highest = LOWEST;
    for (var j = local; j < p.width; j += WG) {
        highest = max(highest, f32(x[start + j]));
    }
    partial[local] = highest;
    for (var step = WG / 2u; step > 0u; step = step / 2u) {
        workgroupBarrier();
        if local < step {
            partial[local] = max(partial[local], partial[local + step]);
        }
    }
    workgroupBarrier();
    highest = partial[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var j = local; j < p.width; j += WG) {
        sum += exp_difference(f32(x[start + j]) - highest);
    }
    partial[local] = sum;
    for (var step = WG / 2u; step > 0u; step = step / 2u) {
        workgroupBarrier();
        if local < step {
            partial[local] += partial[local + step];
        }
    }
    workgroupBarrier();
    sum = partial[0];
    for (var j = local; j < p.width; j += WG) {
        y[start + j] = T(exp_difference(f32(x[start + j]) - highest) / sum);
    }
}
