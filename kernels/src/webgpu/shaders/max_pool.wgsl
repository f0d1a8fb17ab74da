// The maximum of every window over the last two axes; an invocation per element of the result.
// Header: T, WG.

struct Params {
    total: u32,
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
    // Elements of padding before the first row and column.
    above: u32,
    before: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

const LOWEST: f32 = -3.4028234e38;

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
    let start = i / (p.rows * p.columns) * p.height * p.width;
    // Above and before the plane these wrap around, beyond every size.
    let top = i / p.columns % p.rows * p.stride_y - p.above;
    let left = i % p.columns * p.stride_x - p.before;
    var highest = LOWEST;
    for (var ky = 0u; ky < p.size_y; ky++) {
        let row = top + ky * p.dilation_y;
        if row < p.height {
            for (var kx = 0u; kx < p.size_x; kx++) {
                let column = left + kx * p.dilation_x;
                if column < p.width {
                    highest = max(highest, f32(x[start + row * p.width + column]));
                }
            }
        }
    }
    y[i] = T(highest);
}
