//! WebGPU and WebNN in real browsers.
