// Reduction of one axis: a workgroup per line where lines are contiguous, else an invocation per line.
// Header: T, WG, FUNCTION (sum, mean, max), CONTIGUOUS.

struct Params {
    lines: u32,
    size: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

var<workgroup> partial: array<f32, WG>;

const LOWEST: f32 = -3.4028234e38;

fn combine(a: f32, b: f32) -> f32 {
    if FUNCTION == 2u {
        return max(a, b);
    }
    return a + b;
}

fn finish(total: f32) -> f32 {
    if FUNCTION == 1u {
        return total / f32(p.size);
    }
    return total;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let linear = group.x + group.y * groups.x;
    var total = select(0.0, LOWEST, FUNCTION == 2u);
    if CONTIGUOUS {
        if linear >= p.lines {
            return;
        }
        for (var k = local; k < p.size; k += WG) {
            total = combine(total, f32(x[linear * p.size + k]));
        }
        partial[local] = total;
        for (var step = WG / 2u; step > 0u; step = step / 2u) {
            workgroupBarrier();
            if local < step {
                partial[local] = combine(partial[local], partial[local + step]);
            }
        }
        if local == 0u {
            y[linear] = T(finish(partial[0]));
        }
    } else {
        let line = linear * WG + local;
        if line >= p.lines {
            return;
        }
        let start = line / p.inner * p.size * p.inner + line % p.inner;
        for (var k = 0u; k < p.size; k++) {
            total = combine(total, f32(x[start + k * p.inner]));
        }
        y[line] = T(finish(total));
    }
}
