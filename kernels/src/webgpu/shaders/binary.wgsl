// One function of every broadcast pair; one invocation per element of the result.
// Header: T, WG, FUNCTION (add, sub, mul, div, max, min). A broadcast axis has stride 0.

struct Params {
    total: u32,
    rank: u32,
    shape: array<vec4<u32>, 2>,
    a_strides: array<vec4<u32>, 2>,
    b_strides: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;

fn combine(left: f32, right: f32) -> f32 {
    switch FUNCTION {
        case 0u: { return left + right; }
        case 1u: { return left - right; }
        case 2u: { return left * right; }
        case 3u: { return left / right; }
        case 4u: { return max(left, right); }
        default: { return min(left, right); }
    }
}

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
    var rest = i;
    var a_at = 0u;
    var b_at = 0u;
    for (var left = p.rank; left > 0u; left--) {
        let axis = left - 1u;
        let size = p.shape[axis / 4u][axis % 4u];
        let coordinate = rest % size;
        rest = rest / size;
        a_at += coordinate * p.a_strides[axis / 4u][axis % 4u];
        b_at += coordinate * p.b_strides[axis / 4u][axis % 4u];
    }
    y[i] = T(combine(f32(a[a_at]), f32(b[b_at])));
}
