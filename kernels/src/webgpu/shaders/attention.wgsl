// Scaled dot-product attention in blocks of keys with a running softmax (Milakov and Gimelshein 2018):
// no memory of queries by keys. A workgroup makes QT queries by DV columns of one head.
// An invocation holds four queries by four keys of the scores, then four queries by four columns of the result.
// Header: T, WK, WQ, DC, MASK, BIAS, CAUSAL.

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

// [DC][QT]; [DC][KT] of keys, later of values; [QT][KT] of probabilities; [QT][WK] of partial results.
var<workgroup> query_tile: array<f32, DC * QT>;
var<workgroup> tile: array<vec4<f32>, DC * WK>;
var<workgroup> probabilities: array<vec4<f32>, QT * WK>;
var<workgroup> partial: array<f32, QT * WK>;

fn exp_difference(d: f32) -> f32 {
    return select(exp(max(d, -87.0)), 0.0, d < -87.0);
}

fn key_at(start: u32, stride: u32, j: u32, d: u32) -> f32 {
    if j >= p.keys || d >= p.width {
        return 0.0;
    }
    return f32(key[start + j * stride + d]);
}

fn value_at(start: u32, stride: u32, j: u32, d: u32) -> f32 {
    if j >= p.keys || d >= p.width {
        return 0.0;
    }
    return f32(value[start + j * stride + d]);
}

fn score(product: f32, b: u32, head: u32, i: u32, j: u32) -> f32 {
    if i >= p.queries || j >= p.keys {
        return HIDDEN;
    }
    if MASK {
        if mask[b * p.keys + j] == 0 {
            return HIDDEN;
        }
    }
    if CAUSAL {
        if j + p.queries > i + p.keys {
            return HIDDEN;
        }
    }
    var result = product * p.scale;
    if BIAS {
        result += f32(bias[b % p.bias_examples * p.bias_batch + head * p.bias_head + i * p.keys + j]);
    }
    return result;
}

fn scores(products: vec4<f32>, b: u32, head: u32, i: u32, j: u32) -> vec4<f32> {
    return vec4<f32>(
        score(products.x, b, head, i, j),
        score(products.y, b, head, i, j + 1u),
        score(products.z, b, head, i, j + 2u),
        score(products.w, b, head, i, j + 3u),
    );
}

fn highest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

// Exponentials of the keys that exist; a key beyond the last has no share even of a row that sees none.
fn shares(s: vec4<f32>, top: f32, j: u32) -> vec4<f32> {
    let all = vec4<f32>(
        exp_difference(s.x - top),
        exp_difference(s.y - top),
        exp_difference(s.z - top),
        exp_difference(s.w - top),
    );
    return select(vec4<f32>(0.0), all, vec4<u32>(j, j + 1u, j + 2u, j + 3u) < vec4<u32>(p.keys));
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
    let column = local % WK;
    let row = local / WK * 4u;

    var out: array<vec4<f32>, 4>;
    var top = vec4<f32>(HIDDEN);
    var sum = vec4<f32>(0.0);
    for (var j0 = 0u; j0 < p.keys; j0 += KT) {
        var s: array<vec4<f32>, 4>;
        for (var c0 = 0u; c0 < p.width; c0 += DC) {
            for (var t = local; t < DC * QT; t += WG) {
                let i = i0 + t / DC;
                let d = c0 + t % DC;
                var q = 0.0;
                if i < p.queries && d < p.width {
                    q = f32(query[query_start + i * query_stride + d]);
                }
                query_tile[t % DC * QT + t / DC] = q;
            }
            for (var t = local; t < DC * WK; t += WG) {
                let j = j0 + t / DC * 4u;
                let d = c0 + t % DC;
                tile[t % DC * WK + t / DC] = vec4<f32>(
                    key_at(key_start, key_stride, j, d),
                    key_at(key_start, key_stride, j + 1u, d),
                    key_at(key_start, key_stride, j + 2u, d),
                    key_at(key_start, key_stride, j + 3u, d),
                );
            }
            workgroupBarrier();
            for (var d = 0u; d < DC; d++) {
                let k = tile[d * WK + column];
                for (var i = 0u; i < 4u; i++) {
                    s[i] = fma(vec4<f32>(query_tile[d * QT + row + i]), k, s[i]);
                }
            }
            workgroupBarrier();
        }

        let j = j0 + column * 4u;
        for (var i = 0u; i < 4u; i++) {
            s[i] = scores(s[i], b, head, i0 + row + i, j);
            partial[(row + i) * WK + column] = highest(s[i]);
        }
        workgroupBarrier();
        for (var i = 0u; i < 4u; i++) {
            var block = top[i];
            for (var c = 0u; c < WK; c++) {
                block = max(block, partial[(row + i) * WK + c]);
            }
            let correction = exp_difference(top[i] - block);
            top[i] = block;
            let share = shares(s[i], block, j);
            probabilities[(row + i) * WK + column] = share;
            sum[i] = sum[i] * correction + share.x + share.y + share.z + share.w;
            out[i] *= correction;
        }
        for (var c0 = 0u; c0 < KT; c0 += DC) {
            for (var t = local; t < DC * WK; t += WG) {
                let v = j0 + c0 + t / WK;
                let d = d0 + t % WK * 4u;
                tile[t] = vec4<f32>(
                    value_at(key_start, key_stride, v, d),
                    value_at(key_start, key_stride, v, d + 1u),
                    value_at(key_start, key_stride, v, d + 2u),
                    value_at(key_start, key_stride, v, d + 3u),
                );
            }
            workgroupBarrier();
            for (var k = 0u; k < DC; k += 4u) {
                for (var i = 0u; i < 4u; i++) {
                    let share = probabilities[(row + i) * WK + (c0 + k) / 4u];
                    out[i] = fma(vec4<f32>(share.x), tile[k * WK + column], out[i]);
                    out[i] = fma(vec4<f32>(share.y), tile[(k + 1u) * WK + column], out[i]);
                    out[i] = fma(vec4<f32>(share.z), tile[(k + 2u) * WK + column], out[i]);
                    out[i] = fma(vec4<f32>(share.w), tile[(k + 3u) * WK + column], out[i]);
                }
            }
            workgroupBarrier();
        }
    }

    for (var i = 0u; i < 4u; i++) {
        partial[(row + i) * WK + column] = sum[i];
    }
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
        var total = 0.0;
        for (var c = 0u; c < WK; c++) {
            total += partial[(row + i) * WK + c];
        }
        for (var c = 0u; c < 4u; c++) {
            let d = d0 + column * 4u + c;
            if i0 + row + i < p.queries && d < p.width {
                y[query_start + (i0 + row + i) * query_stride + d] = T(out[i][c] / total);
            }
        }
    }
}
