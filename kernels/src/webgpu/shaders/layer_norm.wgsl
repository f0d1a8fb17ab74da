// Layer normalisation of the last axis with scale and shift: a workgroup per row.
// The variance is a second pass over centred values, because a difference of squares cancels.
// Header: T, WG.

struct Params {
    rows: u32,
    width: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> weight: array<T>;
@group(0) @binding(3) var<storage, read> bias: array<T>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

var<workgroup> partial: array<f32, WG>;

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
    var sum = 0.0;
    for (var j = local; j < p.width; j += WG) {
        sum += f32(x[start + j]);
    }
    partial[local] = sum;
    for (var step = WG / 2u; step > 0u; step = step / 2u) {
        workgroupBarrier();
        if local < step {
            partial[local] += partial[local + step];
        }
    }
    workgroupBarrier();
    let mean = partial[0] / f32(p.width);
    workgroupBarrier();
    var squares = 0.0;
    for (var j = local; j < p.width; j += WG) {
        let centred = f32(x[start + j]) - mean;
        squares += centred * centred;
    }
    partial[local] = squares;
    for (var step = WG / 2u; step > 0u; step = step / 2u) {
        workgroupBarrier();
        if local < step {
            partial[local] += partial[local + step];
        }
    }
    workgroupBarrier();
    let inverse = 1.0 / sqrt(partial[0] / f32(p.width) + p.epsilon);
    for (var j = local; j < p.width; j += WG) {
        let normalised = (f32(x[start + j]) - mean) * inverse;
        y[start + j] = T(normalised * f32(weight[j]) + f32(bias[j]));
    }
}
