//! What programs of one device share: the device, its queue, its compiled pipelines, and its faults.
//! Every failure of the driver becomes an [`Error`] of the call that it happened in.

use super::NAME;
use super::plan::{Access, PARAMETER_BYTES, Shader};
use crate::Error;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use wgpu::{BindGroupLayout, ComputePipeline, ErrorFilter};

/// What the driver reported outside of any call: a lost device, an error that no scope took.
#[derive(Debug, Default)]
pub(super) struct Faults {
    lost: Mutex<Option<String>>,
    uncaptured: Mutex<Option<String>>,
}

impl Faults {
    /// Sets the handlers of a device.
    pub(super) fn watch(device: &wgpu::Device) -> Arc<Self> {
        let faults = Arc::new(Self::default());
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, message| {
            let text = format!("the device is lost ({reason:?}): {message}");
            lost.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
        });
        let uncaptured = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let mut first = uncaptured.uncaptured.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error.to_string());
        }));
        faults
    }

    /// A loss stays; another error is told once, to the run in which it came.
    fn take(&self) -> Option<String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lost.or_else(|| self.uncaptured.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

/// A compiled pipeline with its layout.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: ComputePipeline,
    pub(super) layout: BindGroupLayout,
}

/// The shared part of a device.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    faults: Arc<Faults>,
    pipelines: Mutex<HashMap<Shader, Arc<Pipeline>>>,
}

/// A failure of the driver.
pub(super) fn device_error(detail: impl ToString) -> Error {
    Error::Device { device: NAME.into(), detail: detail.to_string() }
}

impl Context {
    pub(super) fn new(device: wgpu::Device, queue: wgpu::Queue, faults: Arc<Faults>) -> Self {
        Self { device, queue, faults, pipelines: Mutex::default() }
    }

    /// Does `work` and turns what the driver reports meanwhile into an error.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let scopes = [ErrorFilter::Validation, ErrorFilter::OutOfMemory, ErrorFilter::Internal]
            .map(|filter| self.device.push_error_scope(filter));
        let result = work();
        let mut reported = None;
        // Scopes are a stack: the last one opened is closed first.
        for scope in scopes.into_iter().rev() {
            if let Some(error) = block_on(scope.pop()) {
                reported.get_or_insert(error.to_string());
            }
        }
        match reported.or_else(|| self.faults.take()) {
            Some(detail) => Err(device_error(detail)),
            None => result,
        }
    }

    /// The pipeline of a shader, compiled at its first use.
    pub(super) fn pipeline(&self, shader: &Shader) -> Arc<Pipeline> {
        let mut known = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = known.get(shader) {
            return Arc::clone(pipeline);
        }
        let pipeline = Arc::new(self.compile(shader));
        known.insert(shader.clone(), Arc::clone(&pipeline));
        pipeline
    }

    fn compile(&self, shader: &Shader) -> Pipeline {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(shader.text.as_str().into()),
        });
        let entry =
            |binding: usize, ty: wgpu::BufferBindingType, size: u64| wgpu::BindGroupLayoutEntry {
                binding: u32::try_from(binding).expect("a few bindings"),
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty,
                    has_dynamic_offset: false,
                    min_binding_size: wgpu::BufferSize::new(size),
                },
                count: None,
            };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, PARAMETER_BYTES)];
        for (i, access) in shader.access.iter().enumerate() {
            let read_only = *access == Access::Read;
            entries.push(entry(i + 1, wgpu::BufferBindingType::Storage { read_only }, 4));
        }
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: None,
            entries: &entries,
        });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Kernels write workgroup memory before they read it.
                zero_initialize_workgroup_memory: false,
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}

/// Waits for a future of wgpu. On native backends these are ready, or become so on another thread.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = std::task::Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::yield_now();
    }
}
