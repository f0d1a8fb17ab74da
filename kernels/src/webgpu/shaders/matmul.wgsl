// Tiled matrix product with fused bias, activation and residual; dense layers and batched products.
// A workgroup of WX by WY invocations makes a tile of BM by BN results; an invocation makes TM rows of
// TN vectors of four columns in registers. Tiles of both operands pass through workgroup memory, TK deep.
// Header: T, WX, WY, TM, TN, TK, RIGHT_TRANSPOSED, HAS_BIAS, HAS_RESIDUAL, FUNCTION.

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
const BM: u32 = WY * TM;
const BN: u32 = WX * TN * 4u;

// [TK][BM], and [TK][BN] in vectors of four.
var<workgroup> a_tile: array<f32, TK * BM>;
var<workgroup> b_tile: array<vec4<f32>, TK * BN / 4u>;

fn right(start: u32, k: u32, n: u32) -> f32 {
    if k >= p.k || n >= p.n {
        return 0.0;
    }
    if RIGHT_TRANSPOSED {
        return f32(b[start + n * p.k + k]);
    }
    return f32(b[start + k * p.n + n]);
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
    let row = local / WX * TM;
    var sums: array<vec4<f32>, TM * TN>;
    for (var k0 = 0u; k0 < p.k; k0 += TK) {
        for (var i = local; i < TK * BM; i += WG) {
            let k = k0 + i % TK;
            let m = m0 + i / TK;
            var value = 0.0;
            if k < p.k && m < p.m {
                value = f32(a[a_start + m * p.k + k]);
            }
            a_tile[i % TK * BM + i / TK] = value;
        }
        for (var i = local; i < TK * BN / 4u; i += WG) {
            let k = k0 + i / (BN / 4u);
            let n = n0 + i % (BN / 4u) * 4u;
            b_tile[i] = vec4<f32>(
                right(b_start, k, n),
                right(b_start, k, n + 1u),
                right(b_start, k, n + 2u),
                right(b_start, k, n + 3u),
            );
        }
        workgroupBarrier();
        for (var k = 0u; k < TK; k++) {
            var columns: array<vec4<f32>, TN>;
            for (var j = 0u; j < TN; j++) {
                columns[j] = b_tile[k * (BN / 4u) + j * WX + column];
            }
            for (var i = 0u; i < TM; i++) {
                let left = a_tile[k * BM + row + i];
                for (var j = 0u; j < TN; j++) {
                    sums[i * TN + j] = fma(vec4<f32>(left), columns[j], sums[i * TN + j]);
                }
            }
        }
        workgroupBarrier();
    }

    for (var i = 0u; i < TM; i++) {
        let m = m0 + row + i;
        for (var j = 0u; j < TN; j++) {
            for (var c = 0u; c < 4u; c++) {
                let n = n0 + (j * WX + column) * 4u + c;
                if m < p.m && n < p.n {
                    let at = (batch * p.m + m) * p.n + n;
                    var value = sums[i * TN + j][c];
                    if HAS_BIAS {
                        value += f32(bias[n]);
                    }
                    value = apply(FUNCTION, value);
                    if HAS_RESIDUAL {
                        value += f32(residual[at]);
                    }
                    y[at] = T(value);
                }
            }
        }
    }
}
