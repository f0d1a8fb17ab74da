//! A graph in parts computes what the whole does: random graphs of ops that are exact on small whole numbers, and
//! random parts of them.

use proofmark_kernels::{
    BinaryOp, Binding, Builder, Data, Error, Graph, Kind, Op, Part, Reduction, Tensor, UnaryOp,
    Value, Weights, evaluate, run_parts, split,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeSet;

/// Rows and columns of every float value.
const SIZE: usize = 3;

/// A graph from numbers: each makes a node whose operands are values before it, and each of `outputs` names one.
fn graph(nodes: &[[usize; 4]], outputs: &[usize]) -> Graph {
    let mut b = Builder::new(Binding::default());
    let shape = [SIZE.into(), SIZE.into()];
    let mut floats: Vec<_> = ["x", "y"]
        .map(|name| b.input(name, Kind::Float, &shape).expect("as the test makes it"))
        .into();
    floats.push(b.weight("w", &[SIZE, SIZE]).expect("as the test makes it"));
    floats.push(
        b.constant(Tensor::f32([SIZE, SIZE], vec![2.0; SIZE * SIZE]))
            .expect("as the test makes it"),
    );
    let mut indices =
        vec![b.input("ids", Kind::Index, &[SIZE.into()]).expect("as the test makes it")];
    let scalar = b.scalar(-1.0);
    for &[what, i, j, k] in nodes {
        let (x, y) = (floats[i % floats.len()], floats[j % floats.len()]);
        let ids = indices[k % indices.len()];
        let made = match what % 9 {
            0 => b.binary(BinaryOp::ALL[[0, 1, 4, 5][k % 4]], x, y),
            1 => b.binary(BinaryOp::Mul, x, scalar),
            2 => b.unary(UnaryOp::Neg, x),
            3 => b.transpose(x, &[1, 0]),
            4 => b.gather(x, ids),
            5 => b.reduce(Reduction::Max, x, k % 2, true).and_then(|max| b.add(max, y)),
            6 => b.slice(x, 0, 1, SIZE).and_then(|part| {
                let first = b.slice(y, 0, 0, 1)?;
                b.concat(&[part, first], 0)
            }),
            7 => b.reshape(x, &[SIZE * SIZE]).and_then(|flat| b.reshape(flat, &[SIZE, SIZE])),
            _ => {
                let part = b.slice(ids, 0, 1, SIZE).expect("as the test makes it");
                let first = b.slice(ids, 0, 0, 1).expect("as the test makes it");
                indices.push(b.concat(&[part, first], 0).expect("as the test makes it"));
                continue;
            }
        };
        floats.push(made.expect("a node"));
    }
    let all: Vec<_> = floats.into_iter().chain(indices).collect();
    for (number, output) in outputs.iter().enumerate() {
        b.output(&number.to_string(), all[output % all.len()]).expect("as the test makes it");
    }
    b.finish().expect("as the test makes it")
}

fn data() -> (Weights, Vec<(&'static str, Tensor)>) {
    let float = |first: f32| {
        let values = (0..SIZE * SIZE).map(|i| first + i as f32);
        Tensor::f32([SIZE, SIZE], values.collect())
    };
    let weights = Weights::given([("w".to_owned(), float(-5.0))]);
    let ids = Tensor::i32([SIZE], vec![2, 0, 1]);
    (weights, vec![("x", float(1.0)), ("y", float(-3.0)), ("ids", ids)])
}

/// What the reference gives, as tensors: whole numbers stay what they are.
fn run(graph: &Graph, weights: &Weights, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    let arrays = evaluate(graph, weights, inputs)?;
    let tensors = graph.outputs().iter().zip(arrays).map(|((_, value), array)| {
        let mut tensor = Tensor::zeros(&graph.node(*value).output);
        match tensor.data_mut() {
            Data::F32(values) => {
                values.iter_mut().zip(&array.data).for_each(|(v, d)| *v = *d as f32)
            }
            Data::I32(values) => {
                values.iter_mut().zip(&array.data).for_each(|(v, d)| *v = *d as i32)
            }
            Data::F16(_) => unreachable!("zeros are f32 or i32"),
        }
        tensor
    });
    Ok(tensors.collect())
}

/// Runs of nodes that are alike in the order of the graph: what a split that moves nothing would have.
fn runs_in_order(graph: &Graph, supported: &dyn Fn(Value) -> bool) -> usize {
    let computed = graph.values().filter(|(_, node)| !node.op.is_leaf());
    let kinds: Vec<_> = computed.map(|(value, _)| supported(value)).collect();
    kinds.chunk_by(|a, b| a == b).count()
}

fn check(graph: &Graph, supported: &dyn Fn(Value) -> bool) -> Result<Vec<Part>, TestCaseError> {
    let (weights, given) = data();
    let inputs: Vec<_> = graph
        .inputs()
        .map(|(name, _)| {
            given.iter().find(|(other, _)| *other == name).expect("as the test makes it").1.clone()
        })
        .collect();
    let parts = split(graph, supported);
    let found = run_parts(graph, &parts, &inputs, |number, inputs| {
        parts[number].graph.check_inputs(inputs)?;
        run(&parts[number].graph, &weights, inputs)
    });
    prop_assert_eq!(
        found.expect("as the test makes it"),
        run(graph, &weights, &inputs).expect("as the test makes it")
    );
    let computed = |graph: &Graph| graph.nodes().iter().filter(|n| !n.op.is_leaf()).count();
    let in_parts: usize = parts.iter().map(|part| computed(&part.graph)).sum();
    prop_assert_eq!(in_parts, computed(graph), "each node is computed once");
    let fixed_outputs =
        graph.outputs().iter().filter(|(_, v)| graph.node(*v).op.is_fixed()).count();
    prop_assert!(parts.len() <= runs_in_order(graph, supported) + fixed_outputs);
    for (number, part) in parts.iter().enumerate() {
        prop_assert!(number == 0 || part.supported != parts[number - 1].supported);
        prop_assert!(part.outputs.iter().all(|&value| supported(value) == part.supported));
        prop_assert!(!part.outputs.is_empty(), "a part that nobody needs");
        let names: BTreeSet<_> = part.graph.inputs().map(|(name, _)| name.to_owned()).collect();
        prop_assert_eq!(names.len(), part.inputs.len());
    }
    Ok(parts)
}

#[test]
fn parts_compute_what_the_whole_does() {
    let number = || 0..1000_usize;
    let nodes = proptest::collection::vec([number(), number(), number(), number()], 0..16);
    let outputs = proptest::collection::vec(number(), 1..4);
    let drawn = (nodes, outputs, any::<u64>());
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&drawn, |(nodes, outputs, mask)| {
        let graph = graph(&nodes, &outputs);
        check(&graph, &|value| mask >> (value.index() % 64) & 1 == 1).map(drop)
    });
    result.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn independent_branches_do_not_make_more_parts() {
    let mut b = Builder::new(Binding::default());
    let x = b.input("x", Kind::Float, &[SIZE.into(), SIZE.into()]).expect("as the test makes it");
    let mut sums = Vec::new();
    for _ in 0..3 {
        let hard = b.transpose(x, &[1, 0]).expect("as the test makes it");
        let easy = b.unary(UnaryOp::Neg, hard).expect("as the test makes it");
        sums.push(easy);
    }
    let joined = b.concat(&sums, 0).expect("as the test makes it");
    b.output("joined", joined).expect("as the test makes it");
    let graph = b.finish().expect("as the test makes it");
    let is_hard = |value: Value| matches!(graph.node(value).op, Op::Transpose { .. });
    let parts = check(&graph, &|value| !is_hard(value)).expect("as the test makes it");
    let kinds: Vec<_> = parts.iter().map(|part| part.supported).collect();
    assert_eq!(kinds, [false, true]);
    assert_eq!(parts[1].graph.inputs().map(|(name, _)| name).collect::<Vec<_>>().len(), 3);
    let all = check(&graph, &|_| true).expect("as the test makes it");
    assert_eq!((all.len(), &all[0].graph.nodes().len()), (1, &graph.nodes().len()));
}

#[test]
fn a_part_that_gives_too_little_is_an_error() {
    let graph = graph(&[[0, 0, 1, 0]], &[4]);
    let parts = split(&graph, |_| true);
    let (_, given) = data();
    let inputs: Vec<_> = given.into_iter().map(|(_, tensor)| tensor).collect();
    let error = run_parts(&graph, &parts, &inputs, |_, _| Ok(Vec::new())).unwrap_err().to_string();
    assert!(error.contains("part 0 gave 0 outputs, it has 1"), "{error}");
}
