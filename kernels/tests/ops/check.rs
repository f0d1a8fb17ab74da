//! Recipes (graphs with their data) and the comparison of a device's outputs with the reference.
//!
//! Tolerance. For an op whose operands are exact in the format it is [`Op::error_bound`]. In a chain the error of
//! the operands is carried on: the op's reference is evaluated several times with every operand element moved
//! by its own bound, up or down at random (Monte Carlo arithmetic, Parker 1997). The largest change seen, twice,
//! is added to the op's bound. The bounds are eight standard deviations of a rounding error and more, so moves
//! of their full size with random signs reach further than the errors that they stand for.
//!
//! A precision of weights alone changes them and not the tolerance: in bf16 the weights of a case are exact, in int8
//! the reference computes with the integers that a device must make of them, and the step of the activations' own
//! integers is added to the bound.

use crate::endpoints::{Endpoint, endpoints};
use crate::int8;
use half::{bf16, f16};
use proofmark_kernels::{
    Array, Binding, Builder, Data, Error, Graph, Kind, Op, Precision, Tensor, Value, Weights,
};

/// How often operands are moved to see what becomes of their errors.
const DRAWS: usize = 16;

/// A repeatable sequence (SplitMix64, Steele et al. 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..1`.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn sign(&mut self) -> f64 {
        if self.bits() & 1 == 0 { 1.0 } else { -1.0 }
    }

    /// Values in a range, never so small that a format has them subnormal.
    fn floats(&mut self, len: usize, (low, high): (f32, f32)) -> Vec<f32> {
        let value = |random: &mut Self| {
            let value = low + (high - low) * random.unit() as f32;
            if value.abs() < 1e-3 { 0.0 } else { value }
        };
        (0..len).map(|_| value(self)).collect()
    }

    fn indices(&mut self, len: usize, bound: usize) -> Vec<i32> {
        (0..len).map(|_| (self.bits() % bound as u64) as i32).collect()
    }
}

/// The range of values that most cases use.
pub(crate) const USUAL: (f32, f32) = (-2.0, 2.0);

/// One operand of a one-op case.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// Floats of a shape, in a range.
    Float(Vec<usize>, (f32, f32)),
    /// Indices of a shape, below a bound.
    Index(Vec<usize>, usize),
}

/// Floats in the usual range.
pub(crate) fn float(shape: impl Into<Vec<usize>>) -> Operand {
    Operand::Float(shape.into(), USUAL)
}

/// Indices below a bound.
pub(crate) fn index(shape: impl Into<Vec<usize>>, bound: usize) -> Operand {
    Operand::Index(shape.into(), bound)
}

/// A graph in the making, with the data of its inputs and weights.
pub(crate) struct Recipe {
    pub(crate) builder: Builder,
    weights: Vec<(String, Tensor)>,
    inputs: Vec<Tensor>,
    random: Random,
    outputs: usize,
}

impl Recipe {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            builder: Builder::new(Binding::default()),
            weights: Vec::new(),
            inputs: Vec::new(),
            random: Random::new(seed),
            outputs: 0,
        }
    }

    /// A float input in the usual range.
    pub(crate) fn input(&mut self, shape: &[usize]) -> Value {
        self.operand(&float(shape), false)
    }

    /// An index input.
    pub(crate) fn indices(&mut self, shape: &[usize], bound: usize) -> Value {
        self.operand(&index(shape, bound), false)
    }

    /// A float weight in the usual range.
    pub(crate) fn weight(&mut self, shape: &[usize]) -> Value {
        self.operand(&float(shape), true)
    }

    pub(crate) fn operand(&mut self, operand: &Operand, as_weight: bool) -> Value {
        let (shape, kind, tensor) = match operand {
            Operand::Float(shape, range) => {
                let data = self.random.floats(shape.iter().product(), *range);
                (shape, Kind::Float, Tensor::f32(shape.clone(), data))
            }
            Operand::Index(shape, bound) => {
                let data = self.random.indices(shape.iter().product(), *bound);
                (shape, Kind::Index, Tensor::i32(shape.clone(), data))
            }
        };
        if as_weight && kind == Kind::Float {
            let name = format!("weight{}", self.weights.len());
            self.weights.push((name.clone(), tensor));
            return self.builder.weight(&name, shape).expect("a weight");
        }
        let sizes: Vec<_> = shape.iter().map(|&size| size.into()).collect();
        let name = format!("input{}", self.inputs.len());
        self.inputs.push(tensor);
        self.builder.input(&name, kind, &sizes).expect("an input")
    }

    /// Names the next output.
    pub(crate) fn output(&mut self, value: Value) {
        self.builder.output(&format!("output{}", self.outputs), value).expect("an output");
        self.outputs += 1;
    }

    /// Sets the elements of the last input.
    pub(crate) fn set_last_input(&mut self, tensor: Tensor) {
        *self.inputs.last_mut().expect("an input") = tensor;
    }

    /// The finished case.
    pub(crate) fn finish(self) -> Case {
        let graph = self.builder.finish().expect("a graph");
        Case { graph, weights: self.weights, inputs: self.inputs }
    }
}

/// A graph with its data.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) graph: Graph,
    pub(crate) weights: Vec<(String, Tensor)>,
    pub(crate) inputs: Vec<Tensor>,
}

impl Case {
    /// The same case with data that are exact in a precision.
    pub(crate) fn rounded(&self, precision: Precision) -> Self {
        let mut case = self.clone();
        if precision == Precision::Bf16 {
            for (_, tensor) in &mut case.weights {
                if let Data::F32(values) = tensor.data_mut() {
                    values.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32());
                }
            }
        }
        let weights = case.weights.iter_mut().map(|(_, tensor)| tensor);
        for tensor in weights.chain(&mut case.inputs) {
            if let (Data::F32(values), Precision::F16) = (tensor.data_mut(), precision) {
                values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32());
            }
        }
        case
    }

    /// The same graph and weights with other inputs of the same kinds.
    pub(crate) fn with_other_inputs(&self, seed: u64) -> Self {
        let mut case = self.clone();
        let mut random = Random::new(seed);
        for tensor in &mut case.inputs {
            match tensor.data_mut() {
                Data::F32(values) => *values = random.floats(values.len(), USUAL),
                Data::I32(values) => {
                    let bound = values.iter().max().map_or(1, |&max| max as usize + 1);
                    *values = random.indices(values.len(), bound);
                }
                Data::F16(_) => unreachable!("recipes make f32"),
            }
        }
        case
    }

    pub(crate) fn weights(&self) -> Weights {
        Weights::given(self.weights.iter().cloned())
    }

    /// Every output in f64 with the bound of each element.
    pub(crate) fn expected(&self, precision: Precision) -> Vec<(Array, Vec<f64>)> {
        let u = precision.unit_roundoff();
        let mut values: Vec<(Array, Vec<f64>)> = Vec::new();
        let mut fixed: Vec<bool> = Vec::new();
        for (value, node) in self.graph.values() {
            let all_fixed = node.operands.iter().all(|operand| fixed[operand.index()]);
            fixed.push(all_fixed && !matches!(node.op, Op::Input { .. }));
            let mut operands: Vec<_> = node.operands.iter().map(|v| &values[v.index()]).collect();
            let is_fixed = |position: usize| fixed[node.operands[position].index()];
            let table = match node.op {
                Op::Linear { .. } => 1,
                _ => 0,
            };
            let quantised = (precision == Precision::Int8 && !all_fixed)
                .then(|| matches!(node.op, Op::Linear { .. } | Op::Gather) && is_fixed(table))
                .filter(|is_quantised| *is_quantised)
                .map(|_| int8::integers(operands[table]));
            if let Some(quantised) = &quantised {
                operands[table] = quantised;
            }
            let next = match &node.op {
                Op::Input { .. } => {
                    let at = self.graph.input_values().iter().position(|v| *v == value);
                    exact(&self.inputs[at.expect("listed")])
                }
                Op::Weight { name } => {
                    exact(&self.weights.iter().find(|(n, _)| n == name).expect("given").1)
                }
                // What rounds floats leaves indices as they are.
                Op::Constant { tensor } if tensor.kind() == Kind::Index => exact(tensor),
                op => {
                    let arrays: Vec<_> = operands.iter().map(|(array, _)| array).collect();
                    let result = op.reference(&arrays, &node.output).expect("a reference");
                    let own = op.error_bound(&arrays, &result, u);
                    let carried = carried(op, &operands, &result, &node.output);
                    let mut bound: Vec<_> = own.iter().zip(carried).map(|(a, b)| a + b).collect();
                    if quantised.is_some() {
                        int8::add_steps(op, &arrays, &result, &mut bound);
                    }
                    (result, bound)
                }
            };
            values.push(next);
        }
        self.graph.outputs().iter().map(|(_, value)| values[value.index()].clone()).collect()
    }
}

fn exact(tensor: &Tensor) -> (Array, Vec<f64>) {
    let array = Array::from(tensor);
    let bound = vec![0.0; array.data.len()];
    (array, bound)
}

/// What becomes of the operands' errors; see the head of this file.
fn carried(
    op: &Op,
    operands: &[&(Array, Vec<f64>)],
    result: &Array,
    of: &proofmark_kernels::TensorType,
) -> Vec<f64> {
    let mut largest = vec![0.0_f64; result.data.len()];
    if operands.iter().all(|(_, bound)| bound.iter().all(|b| *b == 0.0)) {
        return largest;
    }
    let mut random = Random::new(1);
    for _ in 0..DRAWS {
        let moved: Vec<_> = operands
            .iter()
            .map(|(array, bound)| {
                let data = array.data.iter().zip(bound).map(|(v, b)| v + random.sign() * b);
                Array::new(array.shape.clone(), data.collect())
            })
            .collect();
        let moved = op.reference(&moved.iter().collect::<Vec<_>>(), of).expect("a reference");
        for (max, (a, b)) in largest.iter_mut().zip(moved.data.iter().zip(&result.data)) {
            *max = max.max(2.0 * (a - b).abs());
        }
    }
    largest
}

/// Compares outputs with what is expected; the error names the first element out of bounds.
pub(crate) fn compare(
    expected: &[(Array, Vec<f64>)],
    found: &[Tensor],
    graph: &Graph,
) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} outputs, expected {}", found.len(), expected.len()));
    }
    for ((name, _), ((array, bound), tensor)) in
        graph.outputs().iter().zip(expected.iter().zip(found))
    {
        if tensor.shape() != array.shape {
            return Err(format!("{name} is {:?}, expected {:?}", tensor.shape(), array.shape));
        }
        let found = tensor.to_f64();
        for (i, ((e, b), f)) in array.data.iter().zip(bound).zip(&found).enumerate() {
            // The stored f32 of an exact f64 rounds once more.
            let allowed = b + e.abs() * Precision::F32.unit_roundoff();
            let off = (e - f).abs();
            if off > allowed || off.is_nan() {
                return Err(format!(
                    "{name}[{i}] of {:?} is {f:e}, expected {e:e}: off by {:e}, bound {b:e}",
                    array.shape, off
                ));
            }
        }
    }
    Ok(())
}

/// Runs a case once on a device and compares.
pub(crate) fn run_on(endpoint: &Endpoint, precision: Precision, case: &Case) -> Result<(), String> {
    let case = case.rounded(precision);
    let run = || -> Result<Vec<Tensor>, Error> {
        for (_, node) in case.graph.values().filter(|(_, node)| !node.op.is_leaf()) {
            endpoint.device.supports(&node.op, precision)?;
        }
        let mut program = endpoint.device.prepare(&case.graph, &case.weights(), precision)?;
        Ok(program.run(&case.inputs)?.0.to_vec())
    };
    let found = run().map_err(|e| format!("failed to {e}"))?;
    compare(&case.expected(precision), &found, &case.graph)
}

/// Checks a case on every device in every precision.
#[track_caller]
pub(crate) fn check_case(case: &Case) {
    if let Err(why) = try_case(case) {
        panic!("{why}");
    }
}

/// Like [`check_case`], as a value.
pub(crate) fn try_case(case: &Case) -> Result<(), String> {
    for endpoint in endpoints() {
        for &precision in &endpoint.precisions {
            run_on(&endpoint, precision, case).map_err(|why| {
                let ops: Vec<_> = case.graph.nodes().iter().map(|n| format!("{:?}", n)).collect();
                format!("{} {precision}: {why}\n{}", endpoint.name, ops.join("\n"))
            })?;
        }
    }
    Ok(())
}

/// Checks one op with all its operands as inputs, then with its float operands as weights: all but
/// the first, and of a gather the first, because devices pack weights.
#[track_caller]
pub(crate) fn check(op: &Op, operands: &[Operand]) {
    if let Err(why) = try_op(op, operands, 7) {
        panic!("{why}");
    }
}

/// Like [`check`], as a value, with a seed for the data.
pub(crate) fn try_op(op: &Op, operands: &[Operand], seed: u64) -> Result<(), String> {
    let packed = |position: usize| (position > 0) != matches!(op, Op::Gather);
    for as_weights in [false, true] {
        let mut recipe = Recipe::new(seed);
        let values: Vec<_> = operands
            .iter()
            .enumerate()
            .map(|(i, operand)| recipe.operand(operand, as_weights && packed(i)))
            .collect();
        let value = recipe.builder.push(op.clone(), &values).map_err(|e| e.to_string())?;
        recipe.output(value);
        try_case(&recipe.finish())?;
        if operands.len() == 1 {
            break;
        }
    }
    Ok(())
}
