// The right operand of a matrix product, by strides.

struct Columns {
    n: u32,
}

fn columns(n: u32) -> Columns {
    return Columns(n);
}

fn right_one(start: u32, k: u32, n: u32) -> f32 {
    let here = k < p.k && n < p.n;
    let at = start + k * p.right_row + n * p.right_column;
    return select(0.0, f32(b[select(0u, at, here)]), here);
}

fn right(start: u32, k: u32, columns: Columns) -> vec4<f32> {
    return vec4<f32>(
        right_one(start, k, columns.n),
        right_one(start, k, columns.n + 1u),
        right_one(start, k, columns.n + 2u),
        right_one(start, k, columns.n + 3u),
    );
}
