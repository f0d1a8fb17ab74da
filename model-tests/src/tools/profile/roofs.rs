//! The roofs of a device: its own tests, and what two graphs attain that do little but move or multiply.

use crate::error::Error;
use proofmark_kernels::{
    Activation, AdapterClass, Binding, Builder, Device, Error as KernelError, Graph, Kind, Limit,
    Precision, Roof, Tensor, Value, Weights,
};

/// Elements of each operand of the addition: 64 MiB in f32, more than most last-level caches.
const ELEMENTS: usize = 1 << 24;
/// Timed runs of a graph, after one that warms up; the best counts.
const RUNS: usize = 7;

/// The device's own tests, then the two graphs through the device's own kernels.
pub(super) fn measure(device: &dyn Device, precision: Precision) -> Result<Vec<Roof>, Error> {
    let mut roofs = device.roofs()?;
    roofs.push(addition(device, precision)?);
    roofs.push(product(device, precision)?);
    Ok(roofs)
}

/// The best of each kind: bytes per second, operations per second.
pub(super) fn best(roofs: &[Roof]) -> (f64, f64) {
    let best = |limit: Limit| {
        let of = roofs.iter().filter(|roof| roof.limit == limit).map(|roof| roof.per_s);
        of.fold(f64::MIN_POSITIVE, f64::max)
    };
    (best(Limit::Bandwidth), best(Limit::Arithmetic))
}

fn addition(device: &dyn Device, precision: Precision) -> Result<Roof, Error> {
    let graph = |b: &mut Builder| {
        let sizes = [ELEMENTS.into()];
        let x = b.input("x", Kind::Float, &sizes)?;
        let y = b.input("y", Kind::Float, &sizes)?;
        let sum = b.add(x, y)?;
        // One element: what is read back is not what is timed, and takes long.
        let first = b.slice(sum, 0, 0, 1)?;
        b.output("first", first)?;
        Ok(sum)
    };
    let inputs = [1.0, 2.0].map(|value| Tensor::f32([ELEMENTS], vec![value; ELEMENTS]));
    let (graph, seconds) = seconds(device, precision, graph, &inputs)?;
    let cost = graph.cost(precision);
    let test = format!("graph: addition of 2 × {ELEMENTS} elements in {precision}");
    let bytes = cost.bytes_read + cost.bytes_written;
    Ok(Roof { limit: Limit::Bandwidth, test, per_s: bytes as f64 / seconds })
}

fn product(device: &dyn Device, precision: Precision) -> Result<Roof, Error> {
    let identity = device.identity();
    // Large enough to fill the device, small enough to end soon on it.
    let size = match (identity.device.as_str(), identity.class) {
        (_, AdapterClass::Software) => 512,
        ("cpu", _) => 1024,
        _ => 2048,
    };
    let graph = |b: &mut Builder| {
        let x = b.input("x", Kind::Float, &[size.into(), size.into()])?;
        let weight = b.weight("weight", &[size, size])?;
        let y = b.linear(x, weight, None, Activation::Identity)?;
        b.output("y", y)?;
        Ok(y)
    };
    let inputs = [Tensor::f32([size, size], vec![0.5; size * size])];
    let (graph, seconds) = seconds(device, precision, graph, &inputs)?;
    let operations = graph.cost(precision).operations;
    let test = format!("graph: dense layer of {size} × {size} × {size} in {precision}");
    Ok(Roof { limit: Limit::Arithmetic, test, per_s: operations as f64 / seconds })
}

/// Builds a graph of which the closure names a node, and times that node alone: seconds of its fastest run.
fn seconds(
    device: &dyn Device,
    precision: Precision,
    make: impl FnOnce(&mut Builder) -> Result<Value, KernelError>,
    inputs: &[Tensor],
) -> Result<(Graph, f64), Error> {
    let mut builder = Builder::new(Binding::default());
    let node = make(&mut builder)?;
    let graph = builder.finish()?;
    let mut program = device.prepare(&graph, &Weights::seeded(1), precision)?;
    let mut best = u64::MAX;
    program.run_timed(inputs)?;
    for _ in 0..RUNS {
        let timing = program.run_timed(inputs)?;
        let steps = timing.ops.iter().filter(|op| op.nodes.contains(&node));
        best = best.min(steps.map(|op| op.time_ns).sum());
    }
    // A clock too coarse to see the node would give a roof without end.
    Ok((graph, best.max(1) as f64 * 1e-9))
}
