// Sums of products in tiles. A workgroup of WX by WY invocations makes a tile of BM by BN results; an invocation makes
// a block of four by four, eight by eight if LARGE, in registers. Tiles of both operands pass through workgroup memory,
// TK deep. What the right operand is, the kernel says: `Columns`, `columns`, `right`.
// Registers are variables of their own: an array that a loop indexes costs a check per access where it is not unrolled.
// Header: WX, WY, TK, LARGE. WY is at least 2 if LARGE, so that an invocation loads the same columns all the time.

const WG: u32 = WX * WY;
// Vectors of four rows and of four columns in a tile.
const AV: u32 = select(WY, WY * 2u, LARGE);
const BV: u32 = select(WX, WX * 2u, LARGE);
const BM: u32 = AV * 4u;
const BN: u32 = BV * 4u;
// Vectors of four results of an invocation.
const BLOCK: u32 = select(4u, 16u, LARGE);

// [TK][AV] and [TK][BV].
var<workgroup> a_tile: array<vec4<f32>, TK * AV>;
var<workgroup> b_tile: array<vec4<f32>, TK * BV>;

// Reads are selected rather than branched around: where there is nothing, the first element is read.
fn left(start: u32, m: u32, k: u32) -> f32 {
    let here = m < p.m && k < p.k;
    return select(0.0, f32(a[select(0u, start + m * p.k + k, here)]), here);
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
    let start = starts(batch);
    let loaded = columns(n0 + local % BV * 4u);

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
                left(start.left, m, k),
                left(start.left, m + 1u, k),
                left(start.left, m + 2u, k),
                left(start.left, m + 3u, k),
            );
        }
        for (var i = local; i < TK * BV; i += WG) {
            b_tile[i] = right(start.right, k0 + i / BV, loaded);
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

    // A loop whose vectors move up by one, because 64 copies of the stores are a second of compilation on a CPU.
    for (var i = 0u; i < BLOCK; i++) {
        let m = m0 + i / 4u % 2u * WY * 4u + row * 4u + i % 4u;
        let n = n0 + i / 8u * WX * 4u + column * 4u;
        store(start, m, n, l0.x);
        store(start, m, n + 1u, l0.y);
        store(start, m, n + 2u, l0.z);
        store(start, m, n + 3u, l0.w);
        l0 = l1;
        l1 = l2;
        l2 = l3;
        if LARGE {
            l3 = l4;
            l4 = l5;
            l5 = l6;
            l6 = l7;
            l7 = r0;
            r0 = r1;
            r1 = r2;
            r2 = r3;
            r3 = r4;
            r4 = r5;
            r5 = r6;
            r6 = r7;
        }
    }
}
