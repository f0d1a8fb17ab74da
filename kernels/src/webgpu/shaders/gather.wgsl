// Rows of a table by index; one invocation per element of the result. A bad index is told to the host.
// Header: T, WG.

struct Params {
    total: u32,
    width: u32,
    rows: u32,
    // Where this gather reports: a flag, then the bad index.
    slot: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> table: array<T>;
@group(0) @binding(2) var<storage, read> indices: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;
@group(0) @binding(4) var<storage, read_write> status: array<atomic<i32>>;

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
    let index = indices[i / p.width];
    if index < 0 || u32(index) >= p.rows {
        atomicStore(&status[p.slot + 1u], index);
        atomicStore(&status[p.slot], 1);
        y[i] = T(0.0);
        return;
    }
    y[i] = table[u32(index) * p.width + i % p.width];
}
