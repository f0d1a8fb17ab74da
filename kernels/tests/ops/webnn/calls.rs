//! What the calls of `MLGraphBuilder` mean, by the definitions of the standard (W3C Web Neural Network API), in f64.
//! Written from the standard and not from the planner, so that both must be right to agree. What slides is in `windows`.

mod windows;

use half::f16;
use proofmark_kernels::webnn::{Argument, Call, DataType, Typed};
use serde_json::Value;
use std::collections::BTreeMap;

/// An operand with its elements.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) of: Typed,
    data: Vec<f64>,
}

impl Held {
    /// Rounds every element to the format.
    fn new(data_type: DataType, shape: Vec<usize>, data: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "elements of {shape:?}");
        let data = data.into_iter().map(|v| rounded(v, data_type)).collect();
        Self { of: Typed { data_type, shape }, data }
    }

    pub(super) fn read(of: &Typed, bytes: &[u8]) -> Self {
        let size = of.data_type.bytes();
        assert_eq!(of.bytes(), bytes.len() as u64, "{of}");
        let element = |bytes: &[u8]| match of.data_type {
            DataType::Float32 => {
                f64::from(f32::from_le_bytes(bytes.try_into().expect("as the test makes it")))
            }
            DataType::Float16 => {
                f16::from_le_bytes(bytes.try_into().expect("as the test makes it")).to_f64()
            }
            DataType::Int32 => {
                f64::from(i32::from_le_bytes(bytes.try_into().expect("as the test makes it")))
            }
            DataType::Int64 => {
                i64::from_le_bytes(bytes.try_into().expect("as the test makes it")) as f64
            }
            DataType::Uint8 => f64::from(bytes[0]),
        };
        Self { of: of.clone(), data: bytes.chunks(size).map(element).collect() }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let element = |v: &f64| match self.of.data_type {
            DataType::Float32 => (*v as f32).to_le_bytes().to_vec(),
            DataType::Float16 => f16::from_f64(*v).to_le_bytes().to_vec(),
            DataType::Int32 => (*v as i32).to_le_bytes().to_vec(),
            DataType::Int64 => (*v as i64).to_le_bytes().to_vec(),
            DataType::Uint8 => vec![*v as u8],
        };
        self.data.iter().flat_map(element).collect()
    }

    fn rank(&self) -> usize {
        self.of.shape.len()
    }

    fn at(&self, index: &[usize]) -> f64 {
        let offset = index.iter().zip(&self.of.shape).fold(0, |offset, (i, n)| {
            assert!(i < n, "{index:?} of {}", self.of);
            offset * n + i
        });
        self.data[offset]
    }

    /// The element that is broadcast to an index of a shape of as many axes or more.
    fn broadcast_at(&self, index: &[usize]) -> f64 {
        let own = &index[index.len() - self.rank()..];
        let clipped: Vec<_> =
            own.iter().zip(&self.of.shape).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
        self.at(&clipped)
    }

    fn same(&self, f: impl Fn(f64) -> f64) -> Self {
        let data = self.data.iter().map(|&v| f(v)).collect();
        Self::new(self.of.data_type, self.of.shape.clone(), data)
    }

    fn build(data_type: DataType, shape: Vec<usize>, f: impl Fn(&[usize]) -> f64) -> Self {
        let data = indices(&shape).iter().map(|index| f(index)).collect();
        Self::new(data_type, shape, data)
    }
}

fn rounded(v: f64, data_type: DataType) -> f64 {
    match data_type {
        DataType::Float32 => f64::from(v as f32),
        DataType::Float16 => f16::from_f64(v).to_f64(),
        DataType::Int32 | DataType::Int64 | DataType::Uint8 => v.trunc(),
    }
}

/// All indices of a shape in order.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |all, &n| {
        all.iter().flat_map(|head| (0..n).map(move |i| [&head[..], &[i]].concat())).collect()
    })
}

fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        if axis + shape.len() < rank { 1 } else { shape[axis + shape.len() - rank] }
    };
    let joint = |axis| match (size(a, axis), size(b, axis)) {
        (x, y) if x == y || y == 1 => x,
        (1, y) => y,
        other => panic!("{a:?} and {b:?} do not broadcast: {other:?}"),
    };
    (0..rank).map(joint).collect()
}

/// The arguments and options of one call.
struct Given<'a> {
    call: &'a Call,
    held: &'a BTreeMap<usize, Held>,
}

impl<'a> Given<'a> {
    fn operand(&self, at: usize) -> &'a Held {
        match &self.call.arguments[at] {
            Argument::Operand(operand) => &self.held[operand],
            other => panic!("{} has no operand at {at}: {other:?}", self.call.method),
        }
    }

    fn operands(&self, at: usize) -> Vec<&'a Held> {
        match &self.call.arguments[at] {
            Argument::Operands(operands) => operands.iter().map(|o| &self.held[o]).collect(),
            other => panic!("{} has no operands at {at}: {other:?}", self.call.method),
        }
    }

    fn value(&self, at: usize) -> &'a Value {
        match &self.call.arguments[at] {
            Argument::Value(value) => value,
            other => panic!("{} has no value at {at}: {other:?}", self.call.method),
        }
    }

    fn sizes(&self, at: usize) -> Vec<usize> {
        serde_json::from_value(self.value(at).clone()).expect("as the test makes it")
    }

    fn option<T: serde::de::DeserializeOwned>(&self, name: &str, default: T) -> T {
        match self.call.options.get(name) {
            None => default,
            Some(Argument::Value(value)) => {
                serde_json::from_value(value.clone()).expect("as the test makes it")
            }
            Some(other) => panic!("{name} of {}: {other:?}", self.call.method),
        }
    }

    fn operand_option(&self, name: &str) -> Option<&'a Held> {
        self.call.options.get(name).map(|argument| match argument {
            Argument::Operand(operand) => &self.held[operand],
            other => panic!("{name} of {}: {other:?}", self.call.method),
        })
    }

    /// Only what the standard has may be given, so that nothing is silently left out.
    fn only_options(&self, names: &[&str]) {
        for name in self.call.options.keys() {
            assert!(names.contains(&name.as_str()), "{} has no option {name}", self.call.method);
        }
    }

    fn pair(&self, data_type: Option<DataType>, f: impl Fn(f64, f64) -> f64) -> Held {
        let (a, b) = (self.operand(0), self.operand(1));
        assert_eq!(a.of.data_type, b.of.data_type, "{:?}", self.call);
        let shape = broadcast(&a.of.shape, &b.of.shape);
        let data_type = data_type.unwrap_or(a.of.data_type);
        Held::build(data_type, shape, |i| f(a.broadcast_at(i), b.broadcast_at(i)))
    }
}

/// What a call makes.
pub(super) fn compute(call: &Call, held: &BTreeMap<usize, Held>) -> Vec<Held> {
    let g = Given { call, held };
    let x = || g.operand(0);
    let truth = Some(DataType::Uint8);
    let one = match call.method.as_str() {
        "abs" => x().same(f64::abs),
        "neg" => x().same(|v| -v),
        "sqrt" => x().same(f64::sqrt),
        "exp" => x().same(f64::exp),
        "reciprocal" => x().same(|v| 1.0 / v),
        "sigmoid" => x().same(|v| 1.0 / (1.0 + (-v).exp())),
        "tanh" => x().same(f64::tanh),
        "erf" => x().same(erf),
        "relu" => x().same(|v| if v < 0.0 { 0.0 } else { v }),
        "gelu" => x().same(|v| 0.5 * v * (1.0 + erf(v / 2.0_f64.sqrt()))),
        "identity" => x().clone(),
        "logicalNot" => x().same(|v| f64::from(u8::from(v == 0.0))),
        "add" => g.pair(None, |a, b| a + b),
        "sub" => g.pair(None, |a, b| a - b),
        "mul" => g.pair(None, |a, b| a * b),
        "div" => g.pair(None, |a, b| a / b),
        "max" => g.pair(None, f64::max),
        "min" => g.pair(None, f64::min),
        "pow" => g.pair(None, f64::powf),
        "equal" => g.pair(truth, |a, b| f64::from(u8::from(a == b))),
        "notEqual" => g.pair(truth, |a, b| f64::from(u8::from(a != b))),
        "logicalAnd" => g.pair(truth, |a, b| f64::from(u8::from(a != 0.0 && b != 0.0))),
        "where" => chosen(&g),
        "cast" => {
            let to: DataType =
                serde_json::from_value(g.value(1).clone()).expect("as the test makes it");
            Held::new(to, x().of.shape.clone(), x().data.clone())
        }
        "reshape" => Held::new(x().of.data_type, g.sizes(1), x().data.clone()),
        "expand" => Held::build(x().of.data_type, g.sizes(1), |i| x().broadcast_at(i)),
        "transpose" => transpose(&g),
        "slice" => slice(&g),
        "concat" => concat(&g),
        "pad" => pad(&g),
        "gather" => gather(&g),
        "gatherND" => gather_nd(&g),
        "matmul" => matmul(&g),
        "gemm" => gemm(&g),
        "conv2d" => windows::conv2d(&g),
        "maxPool2d" => windows::max_pool(&g),
        "softmax" => softmax(&g),
        "layerNormalization" => layer_normalization(&g),
        "reduceSum" => reduce(&g, |line| line.iter().sum()),
        "reduceMean" => reduce(&g, |line| line.iter().sum::<f64>() / line.len() as f64),
        "reduceMax" => reduce(&g, |line| line.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "reduceMin" => reduce(&g, |line| line.iter().copied().fold(f64::INFINITY, f64::min)),
        other => panic!("`{other}` is not known here"),
    };
    vec![one]
}

/// By Simpson's rule over the integral that defines it, so that it is not the reference's own.
fn erf(x: f64) -> f64 {
    const STEPS: u32 = 1_000;
    let end = x.clamp(-7.0, 7.0);
    let h = end / f64::from(STEPS);
    let f = |i: u32| (-(f64::from(i) * h).powi(2)).exp();
    let inner: f64 = (1..STEPS).map(|i| if i % 2 == 0 { 2.0 } else { 4.0 } * f(i)).sum();
    let integral = h / 3.0 * (f(0) + inner + f(STEPS));
    if x.is_nan() { x } else { 2.0 / std::f64::consts::PI.sqrt() * integral }
}

fn chosen(g: &Given<'_>) -> Held {
    let (condition, yes, no) = (g.operand(0), g.operand(1), g.operand(2));
    assert_eq!(condition.of.data_type, DataType::Uint8);
    assert_eq!(yes.of.data_type, no.of.data_type);
    let shape = broadcast(&condition.of.shape, &broadcast(&yes.of.shape, &no.of.shape));
    Held::build(yes.of.data_type, shape, |i| match condition.broadcast_at(i) {
        0.0 => no.broadcast_at(i),
        _ => yes.broadcast_at(i),
    })
}

fn transpose(g: &Given<'_>) -> Held {
    let x = g.operand(0);
    g.only_options(&["permutation"]);
    let order: Vec<usize> = g.option("permutation", (0..x.rank()).rev().collect());
    let shape = order.iter().map(|&axis| x.of.shape[axis]).collect();
    Held::build(x.of.data_type, shape, |i| {
        let mut from = vec![0; i.len()];
        order.iter().zip(i).for_each(|(&axis, &i)| from[axis] = i);
        x.at(&from)
    })
}

fn slice(g: &Given<'_>) -> Held {
    let x = g.operand(0);
    g.only_options(&["strides"]);
    let (starts, sizes) = (g.sizes(1), g.sizes(2));
    let strides = g.option("strides", vec![1; x.rank()]);
    for axis in 0..x.rank() {
        assert!(sizes[axis] > 0 && starts[axis] + sizes[axis] <= x.of.shape[axis], "{:?}", g.call);
    }
    let shape = sizes.iter().zip(&strides).map(|(size, stride)| size.div_ceil(*stride)).collect();
    Held::build(x.of.data_type, shape, |i| {
        let from: Vec<_> =
            (0..i.len()).map(|axis| starts[axis] + i[axis] * strides[axis]).collect();
        x.at(&from)
    })
}

fn concat(g: &Given<'_>) -> Held {
    let parts = g.operands(0);
    let axis: usize = serde_json::from_value(g.value(1).clone()).expect("as the test makes it");
    let mut shape = parts[0].of.shape.clone();
    for part in &parts {
        let mut other = part.of.shape.clone();
        other[axis] = shape[axis];
        assert!(other == shape && part.of.data_type == parts[0].of.data_type, "{:?}", g.call);
        shape = other;
    }
    shape[axis] = parts.iter().map(|part| part.of.shape[axis]).sum();
    Held::build(parts[0].of.data_type, shape, |i| {
        let mut i = i.to_vec();
        for part in &parts {
            let size = part.of.shape[axis];
            if i[axis] < size {
                return part.at(&i);
            }
            i[axis] -= size;
        }
        unreachable!("beyond all parts")
    })
}

fn pad(g: &Given<'_>) -> Held {
    let x = g.operand(0);
    g.only_options(&["mode", "value"]);
    assert_eq!(g.option("mode", "constant".to_owned()), "constant");
    let (before, after) = (g.sizes(1), g.sizes(2));
    let value = g.option("value", 0.0);
    let shape: Vec<_> =
        (0..x.rank()).map(|axis| before[axis] + x.of.shape[axis] + after[axis]).collect();
    Held::build(x.of.data_type, shape, |i| {
        let own = |axis: usize| i[axis].checked_sub(before[axis]);
        let from: Option<Vec<_>> =
            (0..i.len()).map(|axis| own(axis).filter(|&at| at < x.of.shape[axis])).collect();
        from.map_or(value, |from| x.at(&from))
    })
}

/// An index that is negative counts from the end, and one that is outside is the nearest.
fn clamped(index: f64, size: usize) -> usize {
    let size = size as f64;
    let from_start = if index < 0.0 { index + size } else { index };
    from_start.clamp(0.0, size - 1.0) as usize
}

fn gather(g: &Given<'_>) -> Held {
    let (x, indices) = (g.operand(0), g.operand(1));
    g.only_options(&["axis"]);
    let axis: usize = g.option("axis", 0);
    let (head, tail) = (&x.of.shape[..axis], &x.of.shape[axis + 1..]);
    let shape = [head, &indices.of.shape, tail].concat();
    Held::build(x.of.data_type, shape, |i| {
        let (first, rest) = i.split_at(axis);
        let (middle, last) = rest.split_at(indices.rank());
        let at = clamped(indices.at(middle), x.of.shape[axis]);
        x.at(&[first, &[at], last].concat())
    })
}

fn gather_nd(g: &Given<'_>) -> Held {
    let (x, indices) = (g.operand(0), g.operand(1));
    g.only_options(&[]);
    let (lead, &[depth]) = indices.of.shape.split_at(indices.rank() - 1) else {
        panic!("gatherND takes indices of one axis and more")
    };
    let shape = [lead, &x.of.shape[depth..]].concat();
    Held::build(x.of.data_type, shape, |i| {
        let (first, last) = i.split_at(lead.len());
        let at = (0..depth).map(|d| clamped(indices.at(&[first, &[d]].concat()), x.of.shape[d]));
        x.at(&at.chain(last.iter().copied()).collect::<Vec<_>>())
    })
}

fn matmul(g: &Given<'_>) -> Held {
    let (a, b) = (g.operand(0), g.operand(1));
    g.only_options(&[]);
    assert_eq!(a.of.data_type, b.of.data_type);
    let (a_lead, a_tail) = a.of.shape.split_at(a.rank() - 2);
    let (b_lead, b_tail) = b.of.shape.split_at(b.rank() - 2);
    assert_eq!(a_tail[1], b_tail[0], "{:?}", g.call);
    let mut shape = broadcast(a_lead, b_lead);
    shape.extend([a_tail[0], b_tail[1]]);
    let rank = shape.len();
    let (rows, k, columns) = (a_tail[0], a_tail[1], b_tail[1]);
    let mut data = Vec::with_capacity(shape.iter().product());
    for lead in indices(&shape[..rank - 2]) {
        // Where the two matrices of this batch begin.
        let first = |x: &Held| {
            let own = &lead[lead.len() - (x.rank() - 2)..];
            let place = |at: usize, (i, n): (&usize, &usize)| at * n + if *n == 1 { 0 } else { *i };
            own.iter().zip(&x.of.shape).fold(0, place)
        };
        let (a, b) = (&a.data[first(a) * rows * k..], &b.data[first(b) * k * columns..]);
        for i in 0..rows {
            let sum = |j| (0..k).map(|p| a[i * k + p] * b[p * columns + j]).sum::<f64>();
            data.extend((0..columns).map(sum));
        }
    }
    Held::new(a.of.data_type, shape, data)
}

fn gemm(g: &Given<'_>) -> Held {
    let (a, b) = (g.operand(0), g.operand(1));
    g.only_options(&["c", "alpha", "beta", "aTranspose", "bTranspose"]);
    let (alpha, beta) = (g.option("alpha", 1.0), g.option("beta", 1.0));
    let turned = [g.option("aTranspose", false), g.option("bTranspose", false)];
    let size =
        |x: &Held, turned: bool, axis: usize| x.of.shape[if turned { 1 - axis } else { axis }];
    let at =
        |x: &Held, turned: bool, [i, j]: [usize; 2]| x.at(&if turned { [j, i] } else { [i, j] });
    assert!(a.rank() == 2 && b.rank() == 2);
    assert_eq!(size(a, turned[0], 1), size(b, turned[1], 0), "{:?}", g.call);
    let shape = vec![size(a, turned[0], 0), size(b, turned[1], 1)];
    let c = g.operand_option("c");
    if let Some(c) = c {
        assert_eq!(broadcast(&c.of.shape, &shape), shape);
    }
    Held::build(a.of.data_type, shape, |i| {
        let term = |k| at(a, turned[0], [i[0], k]) * at(b, turned[1], [k, i[1]]);
        let sum: f64 = (0..size(a, turned[0], 1)).map(term).sum();
        alpha * sum + beta * c.map_or(0.0, |c| c.broadcast_at(i))
    })
}

fn softmax(g: &Given<'_>) -> Held {
    let x = g.operand(0);
    let axis: usize = serde_json::from_value(g.value(1).clone()).expect("as the test makes it");
    let line = |i: &[usize]| {
        let mut i = i.to_vec();
        let element = move |k| {
            i[axis] = k;
            x.at(&i)
        };
        (0..x.of.shape[axis]).map(element).collect::<Vec<_>>()
    };
    Held::build(x.of.data_type, x.of.shape.clone(), |i| {
        let line = line(i);
        let max = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (x.at(i) - max).exp() / line.iter().map(|v| (v - max).exp()).sum::<f64>()
    })
}

fn layer_normalization(g: &Given<'_>) -> Held {
    let x = g.operand(0);
    g.only_options(&["scale", "bias", "axes", "epsilon"]);
    let axes: Vec<usize> = g.option("axes", (1..x.rank()).collect());
    assert_eq!(axes, [x.rank() - 1], "only the last axis is normalised here");
    let epsilon: f64 = g.option("epsilon", 1e-5);
    let (scale, bias) = (g.operand_option("scale"), g.operand_option("bias"));
    let width = x.of.shape[x.rank() - 1];
    let rows = x.data.chunks(width).flat_map(|row| {
        let mean = row.iter().sum::<f64>() / width as f64;
        let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
        let element = move |(j, v): (usize, &f64)| {
            let normalised = (v - mean) / (variance + epsilon).sqrt();
            normalised * scale.map_or(1.0, |scale| scale.at(&[j]))
                + bias.map_or(0.0, |bias| bias.at(&[j]))
        };
        row.iter().enumerate().map(element).collect::<Vec<_>>()
    });
    Held::new(x.of.data_type, x.of.shape.clone(), rows.collect())
}

fn reduce(g: &Given<'_>, f: impl Fn(&[f64]) -> f64) -> Held {
    let x = g.operand(0);
    g.only_options(&["axes", "keepDimensions"]);
    let axes: Vec<usize> = g.option("axes", (0..x.rank()).collect());
    let keep = g.option("keepDimensions", false);
    let mut kept = x.of.shape.clone();
    axes.iter().for_each(|&axis| kept[axis] = 1);
    let mut lines = BTreeMap::<Vec<usize>, Vec<f64>>::new();
    for (i, v) in indices(&x.of.shape).into_iter().zip(&x.data) {
        let mut i = i;
        axes.iter().for_each(|&axis| i[axis] = 0);
        lines.entry(i).or_default().push(*v);
    }
    let data = lines.values().map(|line| f(line)).collect();
    let shape = match keep {
        true => kept,
        false => (0..x.rank()).filter(|axis| !axes.contains(axis)).map(|a| kept[a]).collect(),
    };
    Held::new(x.of.data_type, shape, data)
}
