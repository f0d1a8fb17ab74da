//! The native WebGPU device (wgpu).

use crate::device::{Device, Identity, Program, Source};
use crate::{Error, Graph, Op, Precision, Weights};

/// Crates whose versions a result of this device depends on.
pub const CRATES: &[&str] = &["wgpu", "half"];

/// The sources of the kernels that this graph runs here.
pub fn sources(_graph: &Graph, _precision: Precision) -> Vec<Source> {
    vec![Source { name: "webgpu/mod.rs", text: include_str!("mod.rs") }]
}

/// The first WebGPU adapter of the machine.
#[derive(Debug)]
pub struct WgpuDevice {
    identity: Identity,
}

impl WgpuDevice {
    /// Opens the adapter, or says why there is none.
    pub fn open() -> Result<Self, Error> {
        Err(Error::Absent { device: "webgpu-native".into(), detail: "not built yet".into() })
    }
}

impl Device for WgpuDevice {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn supports(&self, _op: &Op, _precision: Precision) -> Result<(), Error> {
        Ok(())
    }

    fn prepare(&self, _: &Graph, _: &Weights, _: Precision) -> Result<Box<dyn Program>, Error> {
        Err(Error::Device { device: "webgpu-native".into(), detail: "not built yet".into() })
    }
}
