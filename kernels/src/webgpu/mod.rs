//! The native WebGPU device (wgpu).
