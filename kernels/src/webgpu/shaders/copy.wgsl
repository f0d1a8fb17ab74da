// Moves elements from one strided view to another: transpose, slice, a part of a concat, indices to floats.
// Header: WG, S (the source's element), D (the result's element).

struct Params {
    total: u32,
    rank: u32,
    from_start: u32,
    to_start: u32,
    shape: array<vec4<u32>, 2>,
    from_strides: array<vec4<u32>, 2>,
    to_strides: array<vec4<u32>, 2>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<S>;
@group(0) @binding(2) var<storage, read_write> y: array<D>;

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
    var from_at = p.from_start;
    var to_at = p.to_start;
    for (var left = p.rank; left > 0u; left--) {
        let axis = left - 1u;
        let size = p.shape[axis / 4u][axis % 4u];
        let coordinate = rest % size;
        rest = rest / size;
        from_at += coordinate * p.from_strides[axis / 4u][axis % 4u];
        to_at += coordinate * p.to_strides[axis / 4u][axis % 4u];
    }
    y[to_at] = D(x[from_at]);
}
