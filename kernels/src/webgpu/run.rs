//! Runs a plan with wgpu: weights are uploaded once, a run is one submission, outputs come back in one buffer.

use super::bytes::encode;
use super::context::{Context, Pipeline, device_error};
use super::plan::{Dispatch, PARAMETER_BYTES, Plan};
use super::timer::Timer;
use crate::device::{OpTime, Program, Timing};
use crate::{Error, Graph, Tensor, Weights, clock};
use std::sync::Arc;
use std::time::Duration;
use wgpu::BufferUsages;

/// Copies end at multiples of this, and so do the parts of the buffer that is read back.
const COPY_ALIGNMENT: u64 = 8;

/// A prepared graph.
pub(super) struct WgpuProgram {
    context: Arc<Context>,
    graph: Graph,
    plan: Plan,
    buffers: Vec<wgpu::Buffer>,
    pipelines: Vec<Arc<Pipeline>>,
    bind_groups: Vec<wgpu::BindGroup>,
    /// Outputs one after the other, then the gathers' status.
    readback: wgpu::Buffer,
    outputs: Vec<Tensor>,
    /// Input bytes on their way.
    bytes: Vec<u8>,
    timer: Option<Timer>,
}

impl WgpuProgram {
    /// Makes buffers and pipelines and uploads the weights.
    pub(super) fn new(
        context: Arc<Context>,
        graph: &Graph,
        weights: &Weights,
        plan: Plan,
    ) -> Result<Self, Error> {
        let shared = Arc::clone(&context);
        shared.guarded(move || {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
            let buffers: Vec<_> =
                plan.buffers.iter().map(|b| buffer(&context, b.bytes, usage)).collect();
            upload(&context, &plan, weights, &buffers)?;
            let parameters = parameters(&context, &plan);
            let pipelines: Vec<_> =
                plan.shaders.iter().map(|shader| context.pipeline(shader)).collect();
            let bind_groups = plan
                .dispatches
                .iter()
                .enumerate()
                .map(|(index, dispatch)| {
                    let layout = &pipelines[dispatch.shader].layout;
                    bind_group(&context, layout, &parameters, index, dispatch, &buffers)
                })
                .collect();
            let read_bytes = parts(&plan).last().map_or(0, |(_, start, bytes)| start + bytes);
            let read_usage = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
            let readback = buffer(&context, read_bytes, read_usage);
            let outputs = plan.outputs.iter().map(|port| Tensor::zeros(&port.of)).collect();
            let graph = graph.clone();
            let bytes = Vec::new();
            let timer = None;
            Ok(Self {
                context,
                graph,
                plan,
                buffers,
                pipelines,
                bind_groups,
                readback,
                outputs,
                bytes,
                timer,
            })
        })
    }

    fn write_inputs(&mut self, inputs: &[Tensor]) {
        for (port, input) in self.plan.inputs.iter().zip(inputs) {
            self.bytes.clear();
            encode(input, self.plan.precision, &mut self.bytes);
            let buffer = &self.buffers[port.buffer];
            self.context.queue.write_buffer(buffer, 0, &self.bytes);
        }
    }

    /// All dispatches in one pass, or each in a pass of its own between timestamps.
    fn record(&self, timer: Option<&Timer>) -> wgpu::CommandEncoder {
        let mut encoder = self.context.device.create_command_encoder(&Default::default());
        if let Some(status) = &self.plan.status {
            encoder.clear_buffer(&self.buffers[status.buffer], 0, None);
        }
        let dispatch = |pass: &mut wgpu::ComputePass<'_>, index: usize| {
            let Dispatch { shader, workgroups: [x, y], .. } = &self.plan.dispatches[index];
            pass.set_pipeline(&self.pipelines[*shader].pipeline);
            pass.set_bind_group(0, &self.bind_groups[index], &[]);
            pass.dispatch_workgroups(*x, *y, 1);
        };
        let count = self.plan.dispatches.len();
        match timer {
            None => {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                (0..count).for_each(|index| dispatch(&mut pass, index));
            }
            Some(timer) => {
                for index in 0..count {
                    let descriptor = wgpu::ComputePassDescriptor {
                        label: None,
                        timestamp_writes: Some(timer.writes(index)),
                    };
                    dispatch(&mut encoder.begin_compute_pass(&descriptor), index);
                }
                timer.resolve(&mut encoder);
            }
        }
        for (buffer, start, bytes) in parts(&self.plan) {
            encoder.copy_buffer_to_buffer(&self.buffers[buffer], 0, &self.readback, start, bytes);
        }
        encoder
    }

    fn execute(&mut self, inputs: &[Tensor], timer: Option<&Timer>) -> Result<(), Error> {
        self.graph.check_inputs(inputs)?;
        let context = Arc::clone(&self.context);
        context.guarded(|| {
            self.write_inputs(inputs);
            let encoder = self.record(timer);
            context.queue.submit([encoder.finish()]);
            let bytes = read(&context, &self.readback)?;
            for ((port, output), (_, start, _)) in
                self.plan.outputs.iter().zip(&mut self.outputs).zip(parts(&self.plan))
            {
                let start = usize::try_from(start).expect("it was read into memory");
                port.decode(&bytes[start..], self.plan.precision, output);
            }
            let status = self.plan.status.as_ref();
            let result = status.map_or(Ok(()), |s| s.check(&bytes[bytes.len() - s.bytes()..]));
            drop(bytes);
            self.readback.unmap();
            result
        })
    }
}

impl Program for WgpuProgram {
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error> {
        let (result, time) = clock::timed(|| self.execute(inputs, None));
        result?;
        Ok((&self.outputs, time))
    }

    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Timing, Error> {
        if self.timer.is_none() {
            let context = Arc::clone(&self.context);
            let count = self.plan.dispatches.len();
            self.timer = context.guarded(|| Ok(Timer::new(&context, count)))?;
        }
        let timer = self.timer.take();
        let (result, whole) = clock::timed(|| self.execute(inputs, timer.as_ref()));
        self.timer = timer;
        result?;
        let Some(timer) = &self.timer else { return Ok(Timing { whole, ops: Vec::new() }) };
        let times = self.context.guarded(|| timer.read(&self.context))?;
        let ops = self.plan.dispatches.iter().zip(times).map(|(dispatch, time_ns)| OpTime {
            name: dispatch.name.clone(),
            nodes: dispatch.nodes.clone(),
            time_ns,
            live_bytes: dispatch.live_bytes,
        });
        Ok(Timing { whole, ops: ops.collect() })
    }
}

/// What is read back: buffer, where it lies in the read-back buffer, bytes.
fn parts(plan: &Plan) -> Vec<(usize, u64, u64)> {
    let outputs = plan.outputs.iter().map(|port| (port.buffer, plan.bytes(&port.of)));
    let status = plan.status.iter().map(|status| (status.buffer, status.bytes() as u64));
    let mut start = 0;
    outputs
        .chain(status)
        .map(|(buffer, bytes)| {
            let part = (buffer, start, bytes);
            start += bytes.next_multiple_of(COPY_ALIGNMENT);
            part
        })
        .collect()
}

fn buffer(context: &Context, bytes: u64, usage: BufferUsages) -> wgpu::Buffer {
    context.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes,
        usage,
        mapped_at_creation: false,
    })
}

fn parameters(context: &Context, plan: &Plan) -> wgpu::Buffer {
    let bytes = plan.parameter_bytes();
    let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
    let parameters = buffer(context, bytes.len() as u64, usage);
    context.queue.write_buffer(&parameters, 0, &bytes);
    parameters
}

fn bind_group(
    context: &Context,
    layout: &wgpu::BindGroupLayout,
    parameters: &wgpu::Buffer,
    index: usize,
    dispatch: &Dispatch,
    buffers: &[wgpu::Buffer],
) -> wgpu::BindGroup {
    let block = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer: parameters,
        offset: index as u64 * PARAMETER_BYTES,
        size: wgpu::BufferSize::new(PARAMETER_BYTES),
    });
    let tensors = dispatch.bindings.iter().map(|&b| buffers[b].as_entire_binding());
    let entries: Vec<_> = std::iter::once(block)
        .chain(tensors)
        .zip(0..)
        .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
        .collect();
    let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
    context.device.create_bind_group(&descriptor)
}

/// Writes what buffers hold from the beginning. Each weight is handed over before the next is read, so that
/// host memory holds one at a time.
fn upload(
    context: &Context,
    plan: &Plan,
    weights: &Weights,
    buffers: &[wgpu::Buffer],
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for (planned, buffer) in plan.buffers.iter().zip(buffers) {
        let Some(content) = &planned.content else { continue };
        bytes.clear();
        content.encode(weights, plan.precision, &mut bytes)?;
        context.queue.write_buffer(buffer, 0, &bytes);
        context.queue.submit([]);
    }
    Ok(())
}

/// Waits for what was submitted and maps a buffer of results. The caller drops the view and unmaps.
pub(super) fn read(context: &Context, buffer: &wgpu::Buffer) -> Result<wgpu::BufferView, Error> {
    let (sender, receiver) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| {
        // The receiver is gone only if this call has failed already.
        let _ = sender.send(result);
    });
    context.device.poll(wgpu::PollType::wait_indefinitely()).map_err(device_error)?;
    // Another thread that polls the device may be the one that delivers, so this waits for it.
    let mapped = receiver.recv().map_err(|_| device_error("the results never came back"))?;
    mapped.map_err(device_error)?;
    buffer.get_mapped_range(..).map_err(device_error)
}

#[cfg(test)]
mod tests {
    use super::super::WgpuDevice;
    use super::*;
    use crate::{Binding, Builder, Device, Kind, Precision, UnaryOp};

    /// A lost device costs the run that meets it: an error, no panic, and no answer.
    #[test]
    fn a_lost_device_is_an_error_of_the_run() {
        let device = match WgpuDevice::open() {
            Ok(device) => device,
            Err(why) => {
                eprintln!("not tested: {why}");
                return;
            }
        };
        let mut builder = Builder::new(Binding::default());
        let x = builder.input("x", Kind::Float, &[4.into()]).unwrap();
        let y = builder.unary(UnaryOp::Neg, x).unwrap();
        builder.output("y", y).unwrap();
        let graph = builder.finish().unwrap();
        let weights = Weights::seeded(1);
        let mut program = device.prepare(&graph, &weights, Precision::F32).unwrap();
        let inputs = [Tensor::f32([4], vec![1.0, 2.0, 3.0, 4.0])];
        program.run(&inputs).unwrap();
        device.context.device.destroy();
        for _ in 0..2 {
            let error = program.run(&inputs).map(drop).expect_err("the device is gone");
            assert!(matches!(error, Error::Device { .. }), "{error}");
        }
        let error = device.prepare(&graph, &weights, Precision::F32).map(drop);
        assert!(matches!(error, Err(Error::Device { .. })), "{error:?}");
    }
}
