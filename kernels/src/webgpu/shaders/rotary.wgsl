// Rotation of the two halves of every head by angles that are given as cosines and sines; an invocation per pair.
// Header: T, WG.

struct Params {
    // Pairs.
    total: u32,
    half: u32,
    heads: u32,
    // Rows of angles; examples take turns where they share them.
    rows: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read> cosines: array<T>;
@group(0) @binding(3) var<storage, read> sines: array<T>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;

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
    let head = i / p.half;
    let pair = i - head * p.half;
    let angle = head / p.heads % p.rows * p.half + pair;
    let first = head * 2u * p.half + pair;
    let second = first + p.half;
    let a = f32(x[first]);
    let b = f32(x[second]);
    let cosine = f32(cosines[angle]);
    let sine = f32(sines[angle]);
    y[first] = T(a * cosine - b * sine);
    y[second] = T(b * cosine + a * sine);
}
