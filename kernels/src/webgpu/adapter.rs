//! The adapter: opening it, what it says of itself, and whether it is hardware.

use super::NAME;
use super::context::{Context, Faults, block_on};
use super::plan::{Lanes, Target};
use crate::Error;
use crate::device::{AdapterClass, Identity};
use std::collections::BTreeMap;
use std::sync::Arc;
use wgpu::{DeviceType, Features};

/// Programs that imitate a GPU on the CPU, as they stand in the names of adapters and drivers.
const IMITATIONS: [&str; 5] =
    ["llvmpipe", "lavapipe", "swiftshader", "microsoft basic render driver", "warp"];

/// Whether the name of an adapter, a driver or a renderer is that of a program on the CPU.
pub fn imitates(name: &str) -> bool {
    let words = name.to_lowercase();
    IMITATIONS.iter().any(|imitation| words.contains(imitation))
}

/// Whether an adapter is hardware. Nothing but what the adapter says of itself decides.
pub(super) fn classify(device_type: DeviceType, names: [&str; 3]) -> AdapterClass {
    match device_type {
        // A virtual GPU is a share of a real one. `Other` cannot show that it is hardware, so it is not called so.
        DeviceType::DiscreteGpu | DeviceType::IntegratedGpu | DeviceType::VirtualGpu
            if !names.into_iter().any(imitates) =>
        {
            AdapterClass::Hardware
        }
        _ => AdapterClass::Software,
    }
}

/// Opens the adapter that the driver prefers for work.
pub(super) fn open() -> Result<(Context, Identity, Target), Error> {
    let absent = |detail: String| Error::Absent { device: NAME.into(), detail };
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // The same flags in every profile: validation layers of the driver would only slow a measurement down.
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        ..wgpu::RequestAdapterOptions::default()
    };
    let adapter = block_on(instance.request_adapter(&options)).map_err(|why| {
        absent(format!(
            "there is no WebGPU adapter ({why}); install a Vulkan driver, or mesa's lavapipe"
        ))
    })?;
    let wanted = Features::SHADER_F16 | Features::TIMESTAMP_QUERY;
    let features = adapter.features() & wanted;
    let limits = adapter.limits();
    let request = wgpu::DeviceDescriptor {
        label: Some(NAME),
        required_features: features,
        required_limits: limits.clone(),
        ..wgpu::DeviceDescriptor::default()
    };
    let (device, queue) = block_on(adapter.request_device(&request))
        .map_err(|why| absent(format!("the adapter gives no device: {why}")))?;
    let info = adapter.get_info();
    let class = classify(info.device_type, [&info.name, &info.driver, &info.driver_info]);
    let identity = Identity {
        device: "webgpu".into(),
        adapter: info.name,
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        class,
        limits: named_limits(&limits),
        features: feature_names(features),
        details: BTreeMap::new(),
    };
    let target = Target {
        device: NAME.into(),
        binding_bytes_max: limits.max_storage_buffer_binding_size,
        buffer_bytes_max: limits.max_buffer_size,
        workgroups_max: limits.max_compute_workgroups_per_dimension,
        software: (class == AdapterClass::Software).then(|| Lanes::of(&identity.adapter)),
    };
    let faults = Faults::watch(&device);
    Ok((Context::new(device, queue, Arc::clone(&faults)), identity, target))
}

/// The limits that kernels depend on, by their WebGPU names.
fn named_limits(limits: &wgpu::Limits) -> BTreeMap<String, u64> {
    let named = [
        ("maxBufferSize", limits.max_buffer_size),
        ("maxStorageBufferBindingSize", limits.max_storage_buffer_binding_size),
        ("maxStorageBuffersPerShaderStage", limits.max_storage_buffers_per_shader_stage.into()),
        ("maxUniformBufferBindingSize", limits.max_uniform_buffer_binding_size),
        ("maxComputeWorkgroupStorageSize", limits.max_compute_workgroup_storage_size.into()),
        ("maxComputeInvocationsPerWorkgroup", limits.max_compute_invocations_per_workgroup.into()),
        ("maxComputeWorkgroupsPerDimension", limits.max_compute_workgroups_per_dimension.into()),
    ];
    named.into_iter().map(|(name, limit)| (name.to_owned(), limit)).collect()
}

/// The WebGPU names of the features that the device was opened with.
fn feature_names(features: Features) -> Vec<String> {
    let named =
        [(Features::SHADER_F16, "shader-f16"), (Features::TIMESTAMP_QUERY, "timestamp-query")];
    named.iter().filter(|(f, _)| features.contains(*f)).map(|(_, name)| (*name).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(device_type: DeviceType, names: [&str; 3], expected: AdapterClass) {
        assert_eq!(classify(device_type, names), expected);
    }

    #[test]
    fn only_what_shows_itself_as_a_gpu_is_hardware() {
        use AdapterClass::{Hardware, Software};
        let gpu = ["NVIDIA H100", "NVIDIA", "580.1"];
        check(DeviceType::DiscreteGpu, gpu, Hardware);
        check(DeviceType::IntegratedGpu, ["Intel Iris Xe", "Intel", ""], Hardware);
        check(DeviceType::VirtualGpu, ["Virtio-GPU Venus (AMD)", "venus", ""], Hardware);
        check(DeviceType::Cpu, gpu, Software);
        check(DeviceType::Other, gpu, Software);
        check(DeviceType::Cpu, ["llvmpipe (LLVM 15)", "llvmpipe", "Mesa 22"], Software);
        // An imitation that calls itself a GPU.
        check(DeviceType::DiscreteGpu, ["LLVMPIPE", "", ""], Software);
        check(DeviceType::IntegratedGpu, ["x", "SwiftShader driver", ""], Software);
        check(DeviceType::VirtualGpu, ["x", "y", "lavapipe"], Software);
        check(DeviceType::DiscreteGpu, ["Microsoft Basic Render Driver", "", ""], Software);
        check(DeviceType::VirtualGpu, ["Virtio-GPU Venus (llvmpipe)", "venus", ""], Software);
    }
}
