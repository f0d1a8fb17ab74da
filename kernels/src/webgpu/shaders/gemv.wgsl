// A product with few rows on the left: nothing is read twice, so nothing passes through workgroup memory but
// the partial sums of the parts of k. An invocation makes ROWS by COLUMNS results of every PARTS-th k.
// Header: ROWS, COLUMNS (1 or 4), WX, PARTS.

const WG: u32 = WX * PARTS;

var<workgroup> partial: array<vec4<f32>, select(1u, WG * ROWS, PARTS > 1u)>;

fn left(start: u32, m: u32, k: u32) -> f32 {
    return f32(a[start + min(m, p.m - 1u) * p.k + k]);
}

// Beyond the last column it is read once more, for results that are not stored.
fn right(start: u32, k: u32, n: u32) -> f32 {
    return f32(b[start + k * p.right_row + min(n, p.n - 1u) * p.right_column]);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tile = group.x + group.y * groups.x;
    let batch = tile / p.tiles_n;
    if batch >= p.batches {
        return;
    }
    // Neighbours read neighbours: the columns of an invocation are WX apart.
    let n = tile % p.tiles_n * WX * COLUMNS + local % WX;
    let start = starts(batch);
    var sums: array<vec4<f32>, ROWS>;
    for (var k = local / WX; k < p.k; k += PARTS) {
        var read = vec4<f32>(right(start.right, k, n));
        if COLUMNS == 4u {
            read.y = right(start.right, k, n + WX);
            read.z = right(start.right, k, n + 2u * WX);
            read.w = right(start.right, k, n + 3u * WX);
        }
        for (var m = 0u; m < ROWS; m++) {
            sums[m] += left(start.left, m, k) * read;
        }
    }
    if PARTS > 1u {
        for (var m = 0u; m < ROWS; m++) {
            partial[m * WG + local] = sums[m];
        }
        for (var step = PARTS / 2u; step > 0u; step = step / 2u) {
            workgroupBarrier();
            if local < step * WX {
                for (var m = 0u; m < ROWS; m++) {
                    partial[m * WG + local] += partial[m * WG + local + step * WX];
                }
            }
        }
        if local >= WX {
            return;
        }
        for (var m = 0u; m < ROWS; m++) {
            sums[m] = partial[m * WG + local];
        }
    }
    for (var m = 0u; m < ROWS; m++) {
        store(start, m, n, sums[m].x);
        if COLUMNS == 4u {
            store(start, m, n + WX, sums[m].y);
            store(start, m, n + 2u * WX, sums[m].z);
            store(start, m, n + 3u * WX, sums[m].w);
        }
    }
}
