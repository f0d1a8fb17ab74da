// Normalisation of rows, then a scale and a shift: layer, group and root-mean-square normalisation.
// A workgroup per row. The variance is a second pass over centred values, because a difference of squares cancels.
// Header: T, WG, RMS (no mean and no shift), CHANNELS (one scale for `inner` neighbours, and rows take turns).

struct Params {
    rows: u32,
    width: u32,
    epsilon: f32,
    // If CHANNELS: rows of one example, and neighbours that share a scale.
    groups: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> weight: array<T>;
@group(0) @binding(3) var<storage, read> bias: array<T>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

var<workgroup> partial: array<f32, WG>;

// Where the sum of all partial values is after the next barrier: in the first of them.
fn sum_partial(local: u32) {
    for (var step = WG / 2u; step > 0u; step = step / 2u) {
        workgroupBarrier();
        if local < step {
            partial[local] += partial[local + step];
        }
    }
    workgroupBarrier();
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
    var mean = 0.0;
    if !RMS {
        var sum = 0.0;
        for (var j = local; j < p.width; j += WG) {
            sum += f32(x[start + j]);
        }
        partial[local] = sum;
        sum_partial(local);
        mean = partial[0] / f32(p.width);
        workgroupBarrier();
    }
    var squares = 0.0;
    for (var j = local; j < p.width; j += WG) {
        let centred = f32(x[start + j]) - mean;
        squares += centred * centred;
    }
    partial[local] = squares;
    sum_partial(local);
    let inverse = 1.0 / sqrt(partial[0] / f32(p.width) + p.epsilon);
    for (var j = local; j < p.width; j += WG) {
        var at = j;
        if CHANNELS {
            at = row % p.groups * (p.width / p.inner) + j / p.inner;
        }
        var value = (f32(x[start + j]) - mean) * inverse * f32(weight[at]);
        if !RMS {
            value += f32(bias[at]);
        }
        y[start + j] = T(value);
    }
}
