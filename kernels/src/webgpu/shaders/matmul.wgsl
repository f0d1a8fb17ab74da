// Tiled matrix product with fused bias, activation and residual; dense layers and batched products.
// A workgroup of WX by WY invocations makes a tile of BM by BN results; an invocation makes a block of four by
// four, eight by eight if LARGE, in registers. Tiles of both operands pass through workgroup memory, TK deep.
// Registers are variables of their own: an array that a loop indexes costs a check per access where it is not unrolled.
// Header: T, WX, WY, TK, LARGE, RIGHT_TRANSPOSED, HAS_BIAS, HAS_RESIDUAL, FUNCTION, AFTER.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    tiles_m: u32,
    tiles_n: u32,
    batches: u32,
    // Leading sizes, innermost last, and how far each operand moves along them, in matrices.
    lead: vec4<u32>,
    a_strides: vec4<u32>,
    b_strides: vec4<u32>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<T>;
@group(0) @binding(2) var<storage, read> b: array<T>;
@group(0) @binding(3) var<storage, read> bias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<T>;

const WG: u32 = WX * WY;
// Vectors of four rows and of four columns in a tile.
const AV: u32 = select(WY, WY * 2u, LARGE);
const BV: u32 = select(WX, WX * 2u, LARGE);
const BM: u32 = AV * 4u;
const BN: u32 = BV * 4u;

// [TK][AV] and [TK][BV].
var<workgroup> a_tile: array<vec4<f32>, TK * AV>;
var<workgroup> b_tile: array<vec4<f32>, TK * BV>;

fn left(start: u32, m: u32, k: u32) -> f32 {
    if k >= p.k || m >= p.m {
        return 0.0;
    }
    return f32(a[start + m * p.k + k]);
}

fn right(start: u32, k: u32, n: u32) -> f32 {
    if k >= p.k || n >= p.n {
        return 0.0;
    }
    if RIGHT_TRANSPOSED {
        return f32(b[start + n * p.k + k]);
    }
    return f32(b[start + k * p.n + n]);
}

fn store(batch: u32, m: u32, n: u32, sums: vec4<f32>) {
    if m >= p.m {
        return;
    }
    let at = (batch * p.m + m) * p.n + n;
    store_one(at, n, sums.x);
    store_one(at + 1u, n + 1u, sums.y);
    store_one(at + 2u, n + 2u, sums.z);
    store_one(at + 3u, n + 3u, sums.w);
}

fn store_one(at: u32, n: u32, sum: f32) {
    if n >= p.n {
        return;
    }
    var value = sum;
    if HAS_BIAS {
        value += f32(bias[n]);
    }
    value = apply(FUNCTION, value);
    if HAS_RESIDUAL {
        value = apply(AFTER, value + f32(residual[at]));
    }
    y[at] = T(value);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tile = group.x + group.y * groups.x;
    let batch = tile / (p.tiles_m * p.tiles_n);
    if batch >= p.batches {
        return;
    }
    let m0 = tile / p.tiles_n % p.tiles_m * BM;
    let n0 = tile % p.tiles_n * BN;
    var rest = batch;
    var a_start = 0u;
    var b_start = 0u;
    for (var left = 4u; left > 0u; left--) {
        let coordinate = rest % p.lead[left - 1u];
        rest = rest / p.lead[left - 1u];
        a_start += coordinate * p.a_strides[left - 1u];
        b_start += coordinate * p.b_strides[left - 1u];
    }
    a_start *= p.m * p.k;
    b_start *= p.k * p.n;

    let column = local % WX;
    let row = select(local / WX, 0u, WY == 1u);
    // Rows of the left and, if LARGE, of the right half of the block.
    var l0 = vec4<f32>();
    var l1 = vec4<f32>();
    var l2 = vec4<f32>();
    var l3 = vec4<f32>();
    var l4 = vec4<f32>();
    var l5 = vec4<f32>();
    var l6 = vec4<f32>();
    var l7 = vec4<f32>();
    var r0 = vec4<f32>();
    var r1 = vec4<f32>();
    var r2 = vec4<f32>();
    var r3 = vec4<f32>();
    var r4 = vec4<f32>();
    var r5 = vec4<f32>();
    var r6 = vec4<f32>();
    var r7 = vec4<f32>();
    for (var k0 = 0u; k0 < p.k; k0 += TK) {
        for (var i = local; i < TK * AV; i += WG) {
            let k = k0 + i % TK;
            let m = m0 + i / TK * 4u;
            a_tile[i % TK * AV + i / TK] = vec4<f32>(
                left(a_start, m, k),
                left(a_start, m + 1u, k),
                left(a_start, m + 2u, k),
                left(a_start, m + 3u, k),
            );
        }
        for (var i = local; i < TK * BV; i += WG) {
            let k = k0 + i / BV;
            let n = n0 + i % BV * 4u;
            b_tile[i] = vec4<f32>(
                right(b_start, k, n),
                right(b_start, k, n + 1u),
                right(b_start, k, n + 2u),
                right(b_start, k, n + 3u),
            );
        }
        workgroupBarrier();
        for (var k = 0u; k < TK; k++) {
            let b_left = b_tile[k * BV + column];
            let upper = a_tile[k * AV + row];
            l0 += upper.x * b_left;
            l1 += upper.y * b_left;
            l2 += upper.z * b_left;
            l3 += upper.w * b_left;
            if LARGE {
                let b_right = b_tile[k * BV + WX + column];
                let lower = a_tile[k * AV + WY + row];
                r0 += upper.x * b_right;
                r1 += upper.y * b_right;
                r2 += upper.z * b_right;
                r3 += upper.w * b_right;
                l4 += lower.x * b_left;
                l5 += lower.y * b_left;
                l6 += lower.z * b_left;
                l7 += lower.w * b_left;
                r4 += lower.x * b_right;
                r5 += lower.y * b_right;
                r6 += lower.z * b_right;
                r7 += lower.w * b_right;
            }
        }
        workgroupBarrier();
    }

    let m = m0 + row * 4u;
    let n = n0 + column * 4u;
    store(batch, m, n, l0);
    store(batch, m + 1u, n, l1);
    store(batch, m + 2u, n, l2);
    store(batch, m + 3u, n, l3);
    if LARGE {
        let right = n + WX * 4u;
        let lower = m + WY * 4u;
        store(batch, m, right, r0);
        store(batch, m + 1u, right, r1);
        store(batch, m + 2u, right, r2);
        store(batch, m + 3u, right, r3);
        store(batch, lower, n, l4);
        store(batch, lower + 1u, n, l5);
        store(batch, lower + 2u, n, l6);
        store(batch, lower + 3u, n, l7);
        store(batch, lower, right, r4);
        store(batch, lower + 1u, right, r5);
        store(batch, lower + 2u, right, r6);
        store(batch, lower + 3u, right, r7);
    }
}
