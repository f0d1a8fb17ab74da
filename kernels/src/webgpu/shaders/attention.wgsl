// Scaled dot-product attention in blocks of keys with a running softmax (Milakov and Gimelshein 2018):
// no memory of queries by keys. A workgroup makes QT queries by DV columns of one head.
// An invocation holds four queries by four keys of the scores, then four queries by four columns of the result.
// What is done for each of four rows is a loop whose rows move up by one. A GPU's compiler unrolls it, as its bound is
// known; if ROLLED the bound is a parameter, because on a CPU four copies of everything take a second to compile.
// Header: T, WK, WQ, DC, ROLLED.

struct Params {
    batch: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    group: u32,
    width: u32,
    query_tiles: u32,
    column_tiles: u32,
    scale: f32,
    // How many examples have a bias of their own before they repeat, and how far it moves per example and per head.
    bias_examples: u32,
    bias_batch: u32,
    bias_head: u32,
    total: u32,
    // 1 if there is one, if it is so.
    has_mask: u32,
    has_bias: u32,
    causal: u32,
    // DC, WK and four, as bounds that the compiler does not know.
    depth: u32,
    lanes: u32,
    four: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> query: array<T>;
@group(0) @binding(2) var<storage, read> key: array<T>;
@group(0) @binding(3) var<storage, read> value: array<T>;
@group(0) @binding(4) var<storage, read> mask: array<i32>;
@group(0) @binding(5) var<storage, read> bias: array<T>;
@group(0) @binding(6) var<storage, read_write> y: array<T>;

const WG: u32 = WK * WQ;
const QT: u32 = WQ * 4u;
const KT: u32 = WK * 4u;
// A hidden score: far below all others, yet finite, so that a row of hidden keys stays defined.
const HIDDEN: f32 = -3.4028234e38;

// [DC][QT]; [DC][KT] of keys, later of values; [QT][KT] of probabilities; [QT / 4][WK] of four rows' partial results.
var<workgroup> query_tile: array<vec4<f32>, DC * WQ>;
var<workgroup> tile: array<vec4<f32>, DC * WK>;
var<workgroup> probabilities: array<vec4<f32>, QT * WK>;
var<workgroup> partial: array<vec4<f32>, WQ * WK>;

fn exp_difference(d: vec4<f32>) -> vec4<f32> {
    return select(exp(max(d, vec4<f32>(-87.0))), vec4<f32>(), d < vec4<f32>(-87.0));
}

// The scores of one row, of whose keys those exist that are `visible` by the mask, and that order lets it see.
fn scores(products: vec4<f32>, visible: vec4<bool>, bias_start: u32, i: u32, j: vec4<u32>) -> vec4<f32> {
    var result = products * p.scale;
    var seen = visible & vec4<bool>(i < p.queries);
    if p.causal != 0u {
        seen = seen & (j + p.queries <= vec4<u32>(i + p.keys));
    }
    if p.has_bias != 0u {
        let at = select(vec4<u32>(), bias_start + i * p.keys + j, seen);
        result += vec4<f32>(f32(bias[at.x]), f32(bias[at.y]), f32(bias[at.z]), f32(bias[at.w]));
    }
    return select(vec4<f32>(HIDDEN), result, seen);
}

fn highest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let linear = group.x + group.y * groups.x;
    if linear >= p.total {
        return;
    }
    let d0 = linear % p.column_tiles * KT;
    let i0 = linear / p.column_tiles % p.query_tiles * QT;
    let head = linear / (p.column_tiles * p.query_tiles) % p.heads;
    let b = linear / (p.column_tiles * p.query_tiles * p.heads);
    let query_stride = p.heads * p.width;
    let key_stride = p.heads / p.group * p.width;
    let query_start = b * p.queries * query_stride + head * p.width;
    let key_start = b * p.keys * key_stride + head / p.group * p.width;
    let bias_start = b % p.bias_examples * p.bias_batch + head * p.bias_head;
    let column = local % WK;
    let quad = local / WK;
    let depth = select(DC, p.depth, ROLLED);
    let lanes = select(WK, p.lanes, ROLLED);
    let four = select(4u, p.four, ROLLED);

    var out0 = vec4<f32>();
    var out1 = vec4<f32>();
    var out2 = vec4<f32>();
    var out3 = vec4<f32>();
    // Of four rows each.
    var top = vec4<f32>(HIDDEN);
    var sum = vec4<f32>();
    for (var j0 = 0u; j0 < p.keys; j0 += KT) {
        var s0 = vec4<f32>();
        var s1 = vec4<f32>();
        var s2 = vec4<f32>();
        var s3 = vec4<f32>();
        for (var c0 = 0u; c0 < p.width; c0 += DC) {
            for (var t = local; t < DC * QT; t += WG) {
                let i = i0 + t / DC;
                let d = c0 + t % DC;
                let here = i < p.queries && d < p.width;
                let at = select(0u, query_start + i * query_stride + d, here);
                query_tile[t % DC * WQ + t / DC / 4u][t / DC % 4u] = select(0.0, f32(query[at]), here);
            }
            for (var t = local; t < DC * KT; t += WG) {
                let j = j0 + t / DC;
                let d = c0 + t % DC;
                let here = j < p.keys && d < p.width;
                let at = select(0u, key_start + j * key_stride + d, here);
                tile[t % DC * WK + t / DC / 4u][t / DC % 4u] = select(0.0, f32(key[at]), here);
            }
            workgroupBarrier();
            for (var d = 0u; d < depth; d++) {
                let q = query_tile[d * WQ + quad];
                let k = tile[d * WK + column];
                s0 += q.x * k;
                s1 += q.y * k;
                s2 += q.z * k;
                s3 += q.w * k;
            }
            workgroupBarrier();
        }

        let j = vec4<u32>(0u, 1u, 2u, 3u) + (j0 + column * 4u);
        let exists = j < vec4<u32>(p.keys);
        var visible = exists;
        if p.has_mask != 0u {
            let at = select(vec4<u32>(), b * p.keys + j, exists);
            let shown = vec4<i32>(mask[at.x], mask[at.y], mask[at.z], mask[at.w]) != vec4<i32>();
            visible = exists & shown;
        }
        var peaks = vec4<f32>();
        for (var i = 0u; i < four; i++) {
            let s = scores(s0, visible, bias_start, i0 + quad * 4u + i, j);
            peaks = vec4<f32>(peaks.yzw, highest(s));
            s0 = s1;
            s1 = s2;
            s2 = s3;
            s3 = s;
        }
        partial[local] = peaks;
        workgroupBarrier();
        var block = top;
        for (var c = 0u; c < lanes; c++) {
            block = max(block, partial[quad * WK + c]);
        }
        let correction = exp_difference(top - block);
        top = block;
        var scale = correction;
        for (var i = 0u; i < four; i++) {
            // A key beyond the last has no share even of a row that sees none.
            let share = select(vec4<f32>(), exp_difference(s0 - block.x), exists);
            probabilities[(quad * 4u + i) * WK + column] = share;
            let total = sum.x * scale.x + share.x + share.y + share.z + share.w;
            sum = vec4<f32>(sum.yzw, total);
            let out = out0 * scale.x;
            out0 = out1;
            out1 = out2;
            out2 = out3;
            out3 = out;
            scale = scale.yzwx;
            block = block.yzwx;
            s0 = s1;
            s1 = s2;
            s2 = s3;
        }
        for (var c0 = 0u; c0 < KT; c0 += DC) {
            for (var t = local; t < DC * KT; t += WG) {
                let v = j0 + c0 + t / KT;
                let d = d0 + t % KT;
                let here = v < p.keys && d < p.width;
                let at = select(0u, key_start + v * key_stride + d, here);
                tile[t / 4u][t % 4u] = select(0.0, f32(value[at]), here);
            }
            workgroupBarrier();
            for (var k = 0u; k < depth; k += 4u) {
                let v0 = tile[k * WK + column];
                let v1 = tile[(k + 1u) * WK + column];
                let v2 = tile[(k + 2u) * WK + column];
                let v3 = tile[(k + 3u) * WK + column];
                for (var i = 0u; i < four; i++) {
                    let share = probabilities[(quad * 4u + i) * WK + (c0 + k) / 4u];
                    let out = out0 + share.x * v0 + share.y * v1 + share.z * v2 + share.w * v3;
                    out0 = out1;
                    out1 = out2;
                    out2 = out3;
                    out3 = out;
                }
            }
            workgroupBarrier();
        }
    }

    partial[local] = sum;
    workgroupBarrier();
    var total = vec4<f32>();
    for (var c = 0u; c < lanes; c++) {
        total += partial[quad * WK + c];
    }
    for (var i = 0u; i < four; i++) {
        let row = i0 + quad * 4u + i;
        let d = d0 + column * 4u;
        let start = query_start + row * query_stride + d;
        var rest = out0 / total.x;
        if row < p.queries {
            for (var c = 0u; c < four; c++) {
                if d + c < p.width {
                    y[start + c] = T(rest.x);
                }
                rest = rest.yzwx;
            }
        }
        out0 = out1;
        out1 = out2;
        out2 = out3;
        total = total.yzwx;
    }
}
