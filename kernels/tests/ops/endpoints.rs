//! The devices under test: those that this build has and this machine can open. Absent ones say why.

use proofmark_kernels::{Device, Precision};
use std::sync::OnceLock;

/// A device under test and the precisions that it is tested in.
pub(crate) struct Endpoint {
    pub(crate) name: &'static str,
    pub(crate) device: &'static dyn Device,
    pub(crate) precisions: Vec<Precision>,
}

/// The devices that are here.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let mut found = Vec::new();
    #[cfg(feature = "cpu")]
    {
        use proofmark_kernels::cpu::{CpuDevice, Level};
        static CPUS: OnceLock<Vec<(Level, CpuDevice)>> = OnceLock::new();
        // An odd number of threads, which is more than some machines have: tasks must not depend on it.
        let open = |level: Level| (level, CpuDevice::open_at(level, Some(3)).expect("it is here"));
        let cpus =
            CPUS.get_or_init(|| Level::ALL.into_iter().filter(|l| l.is_here()).map(open).collect());
        for (level, device) in cpus {
            found.push(Endpoint {
                name: match level {
                    Level::Portable => "cpu portable",
                    Level::Avx2 => "cpu avx2",
                    Level::Avx512 => "cpu avx512",
                },
                device,
                precisions: vec![Precision::F32, Precision::Bf16, Precision::Int8],
            });
        }
    }
    #[cfg(feature = "webgpu")]
    {
        use proofmark_kernels::webgpu::WgpuDevice;
        static WEBGPU: OnceLock<Option<WgpuDevice>> = OnceLock::new();
        let opened = WEBGPU.get_or_init(|| {
            WgpuDevice::open().inspect_err(|why| eprintln!("webgpu is not tested: {why}")).ok()
        });
        if let Some(device) = opened {
            let mut precisions = vec![Precision::F32];
            if device.identity().features.iter().any(|feature| feature == "shader-f16") {
                precisions.push(Precision::F16);
            }
            found.push(Endpoint { name: "webgpu", device, precisions });
        }
    }
    {
        use crate::webnn::{PlanDevice, chromium, poor};
        static PLANS: OnceLock<[PlanDevice; 2]> = OnceLock::new();
        let [usual, narrow] = PLANS.get_or_init(|| [chromium(), poor()].map(PlanDevice::new));
        for (name, device) in [("webnn plans", usual), ("webnn plans, poor", narrow)] {
            found.push(Endpoint { name, device, precisions: vec![Precision::F32, Precision::F16] });
        }
    }
    found
}
