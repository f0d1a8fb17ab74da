//! What a timed run says of itself: every node has its step, the times are within the whole, values live.

use crate::endpoints::endpoints;
use proofmark_kernels::{
    Activation, Binding, Builder, Graph, Kind, Op, Precision, Tensor, Timing, Value, Weights,
};
use std::collections::BTreeSet;

/// A fused addition, a product whose right operand is packed first, a join of two parts, a reshape.
fn graph() -> Graph {
    let mut b = Builder::new(Binding::default());
    let x = b.input("x", Kind::Float, &[16.into(), 16.into()]).expect("it fits");
    let weight = b.weight("w", &[16, 16]).expect("it fits");
    let layer = b.linear(x, weight, None, Activation::Identity).expect("it fits");
    let sum = b.add(layer, x).expect("it fits");
    let product = b.matmul(sum, x, false).expect("it fits");
    let joined = b.concat(&[sum, product], 1).expect("it fits");
    let flat = b.reshape(joined, &[512]).expect("it fits");
    let soft = b.softmax(flat).expect("it fits");
    b.output("soft", soft).expect("it fits");
    b.finish().expect("it fits")
}

/// The name of each endpoint that can tell times, with the timing of one run.
fn timings(graph: &Graph) -> Vec<(String, Timing)> {
    let inputs = [Tensor::f32([16, 16], vec![0.25; 256])];
    let run = |endpoint: crate::endpoints::Endpoint| {
        let device = endpoint.device;
        let mut program =
            device.prepare(graph, &Weights::seeded(1), Precision::F32).expect("it fits");
        let timing = program.run_timed(&inputs).expect("it fits");
        (endpoint.name.to_owned(), timing)
    };
    endpoints().into_iter().map(run).filter(|(_, timing)| !timing.ops.is_empty()).collect()
}

#[test]
fn every_computed_node_has_a_step_and_fused_ones_share_it() {
    let graph = graph();
    let computed = |op: &Op| !op.is_leaf() && !matches!(op, Op::Reshape { .. });
    let expected: BTreeSet<Value> =
        graph.values().filter(|(_, node)| computed(&node.op)).map(|(value, _)| value).collect();
    for (device, timing) in timings(&graph) {
        let covered: BTreeSet<Value> = timing.ops.iter().flat_map(|op| op.nodes.clone()).collect();
        assert_eq!(covered, expected, "{device}");
        // No node is of two different groups.
        let groups: BTreeSet<_> = timing.ops.iter().map(|op| &op.nodes).collect();
        assert_eq!(groups.iter().map(|g| g.len()).sum::<usize>(), expected.len(), "{device}");
        let fused: Vec<_> = groups.iter().filter(|group| group.len() > 1).collect();
        let names = |group: &[Value]| -> Vec<_> {
            group.iter().map(|value| graph.node(*value).op.name()).collect()
        };
        assert_eq!(fused.iter().map(|g| names(g)).collect::<Vec<_>>(), [["linear", "add"]]);
    }
}

#[test]
fn values_live_within_what_the_graph_can_need() {
    let graph = graph();
    let all: u64 = graph.nodes().iter().map(|node| node.output.bytes(Precision::F32)).sum();
    for (device, timing) in timings(&graph) {
        let steps: Vec<_> = timing.ops.iter().filter(|op| !op.nodes.is_empty()).collect();
        // At least its own result; at most everything, with a packed operand as large as any.
        for step in &steps {
            let own = graph.node(*step.nodes.last().unwrap()).output.bytes(Precision::F32);
            assert!((own..=2 * all).contains(&step.live_bytes), "{device}: {step:?}");
        }
        // In the end only the result and what the last step reads are left.
        assert!(steps.last().unwrap().live_bytes <= 3 * 2048, "{device}: {steps:?}");
    }
}

/// A GPU's clock is another than the host's, and passes may overlap; so only the processor is held to this.
#[test]
fn on_the_processor_all_parts_of_a_run_are_timed() {
    for (device, timing) in timings(&graph()).iter().filter(|(name, _)| name.starts_with("cpu")) {
        let sum: u64 = timing.ops.iter().map(|op| op.time_ns).sum();
        assert!(u128::from(sum) <= timing.whole.as_nanos(), "{device}: {timing:?}");
        let others = timing.ops.iter().filter(|op| op.nodes.is_empty());
        let others: Vec<_> = others.map(|op| op.name.as_str()).collect();
        assert_eq!(others, ["read the inputs", "wake the threads", "give the outputs"]);
    }
}
