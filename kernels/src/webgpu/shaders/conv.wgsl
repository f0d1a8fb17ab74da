// The right operand of a convolution as a matrix product: in row `k` what one tap of one channel sees, in column `n`
// what one position sees, read where it lies in the input. The left operand are the filters.

// The first row and column that four positions see. Above and before the plane they wrap around, beyond every size;
// a position that is none sees rows that are beyond every size as well.
struct Columns {
    top: vec4<u32>,
    left: vec4<u32>,
}

const NOWHERE: u32 = 0x40000000u;

// a / d for a below 2^22 - 1, by 1 / d in f32: an integer division is dear, here above all.
// (a + 1/2) / d is at least 1 / (2 d) away from every integer, and two roundings move it by less.
fn quotient(a: u32, per_d: f32) -> u32 {
    return u32((f32(a) + 0.5) * per_d);
}

fn columns(n: u32) -> Columns {
    var result: Columns;
    for (var i = 0u; i < 4u; i++) {
        let row = quotient(n + i, p.per_columns);
        let top = row * p.stride_y - p.above;
        result.top[i] = select(NOWHERE, top, n + i < p.n);
        result.left[i] = (n + i - row * p.columns) * p.stride_x - p.before;
    }
    return result;
}

fn right(start: u32, k: u32, columns: Columns) -> vec4<f32> {
    let channel = quotient(k, p.per_taps);
    let tap = k - channel * p.taps;
    let tap_row = quotient(tap, p.per_size_x);
    let row = columns.top + tap_row * p.dilation_y;
    let column = columns.left + (tap - tap_row * p.size_x) * p.dilation_x;
    let here = (row < vec4<u32>(p.height)) & (column < vec4<u32>(p.width)) & vec4<bool>(k < p.k);
    let at = start + (channel * p.height + row) * p.width + column;
    let read = select(vec4<u32>(), at, here);
    let values = vec4<f32>(f32(b[read.x]), f32(b[read.y]), f32(b[read.z]), f32(b[read.w]));
    return select(vec4<f32>(), values, here);
}
