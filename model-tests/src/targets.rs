//! The endpoints that this suite drives: how each is opened, how exact it is, and what its results depend on.
//!
//! A mark comes only from the class that the opened device states of its adapter.

use crate::{env, vulkan};
use proofmark::fingerprint::digest;
use proofmark::record::DeviceFacts;
use proofmark::{Driver, Endpoint, Finding, Isolation, Mark, Service};
use proofmark_browser::{BrowserEndpoint, Fallback, Interface, Kind, WebGpuDevice, Wishes};
use proofmark_kernels::{
    AdapterClass, Binding, Builder, Device, Error as KernelError, Graph, Identity, Precision,
    Source, cpu, webgpu,
};
use std::sync::{Arc, OnceLock};

/// One endpoint.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub endpoint: Endpoint,
    /// The precisions that are measured there.
    pub precisions: &'static [Precision],
    /// Opens the device.
    pub open: fn(Fallback) -> Result<Box<dyn Device>, KernelError>,
    /// The sources that a graph runs there.
    pub sources: fn(&Graph, Precision) -> Vec<Source>,
    /// The crates below them.
    pub crates: &'static [&'static str],
    /// Tolerance for f32, relative to the largest magnitude of an output.
    f32_tolerance: f64,
    isolation: Isolation,
    probe: fn() -> Finding,
    signals: fn() -> String,
    service: Option<Service>,
    /// Whether it is another program that could make its numbers up.
    challenged: bool,
}

/// Tolerance for f16 on every endpoint, relative to the largest magnitude of an output.
///
/// An estimate, not a bound. A value that is stored in f16 is rounded by at most `u = 4.9e-4` of itself, evenly
/// spread, which is `u/√3 = 2.8e-4` in the quadratic mean. The longest path through an encoder of 6 layers stores 57
/// values: 3 in the embeddings and 9 in each layer (projection, attention, and the product behind it, the two of the
/// wide part, two sums, two norms). Independent roundings add up with the root of their number, and the norms keep
/// them from growing from layer to layer: `√57 · 2.8e-4 = 2.1e-3`. The rest is a factor of safety of 2.3, for the
/// roundings of the weights and for the worst of many elements.
/// An element that is wrong by 1 % of the scale is twice the tolerance away.
const F16_TOLERANCE: f64 = 5e-3;

/// Tolerance for weights in bf16: twice the largest error that was seen, 1.2e-2 over the small random checkpoints of
/// all families (3.5e-3 on MiniLM). A weight is rounded by at most 2⁻⁹ of itself.
const BF16_TOLERANCE: f64 = 2.5e-2;

/// Tolerance for weights in int8: twice the largest error that was seen, 3.9e-2 on MiniLM (2.7e-2 over the small random
/// checkpoints). A weight is rounded by at most 1/254 of the largest of its row.
const INT8_TOLERANCE: f64 = 8e-2;

/// The endpoints in browsers, in the order of [`TARGETS`].
pub static BROWSERS: [BrowserEndpoint; 6] = [
    BrowserEndpoint::new("webgpu-chromium", Kind::Chromium, Interface::WebGpu),
    BrowserEndpoint::new("webgpu-edge", Kind::Edge, Interface::WebGpu),
    BrowserEndpoint::new("webgpu-firefox", Kind::Firefox, Interface::WebGpu),
    BrowserEndpoint::new("webgpu-webkit", Kind::WebKit, Interface::WebGpu),
    BrowserEndpoint::new("webnn-chromium", Kind::Chromium, Interface::WebNn),
    BrowserEndpoint::new("webnn-edge", Kind::Edge, Interface::WebNn),
];

/// The device of a page that somebody opened by hand, as long as `browsers serve` runs.
pub(crate) static VISITOR: OnceLock<Arc<WebGpuDevice>> = OnceLock::new();

/// The endpoint of such a page. It is in no listing: only the tool that served the page can open it.
pub(crate) static BY_HAND: Target = Target {
    endpoint: Endpoint::WEBGPU_NATIVE,
    precisions: &[Precision::F32],
    open: |_| {
        let absent = || KernelError::Absent {
            device: "a page".into(),
            detail: "nobody has opened it; `cargo xtask browsers serve` prints a link".into(),
        };
        let device = VISITOR.get().ok_or_else(absent)?;
        Ok(Box::new(Arc::clone(device)))
    },
    sources: |graph, precision| BROWSERS[0].sources(graph, precision),
    crates: &["half", "safetensors"],
    f32_tolerance: 1e-3,
    isolation: Isolation::InProcess,
    probe: || Finding::absent(Endpoint::WEBGPU_NATIVE, "nobody has opened the page"),
    signals: String::new,
    service: None,
    challenged: true,
};

/// An endpoint in a browser, by its indices in [`TARGETS`] and in [`BROWSERS`]: functions cannot hold it.
macro_rules! browser {
    ($index:literal, $browser:literal, $endpoint:ident, $precisions:expr) => {{
        Target {
            endpoint: Endpoint::$endpoint,
            precisions: $precisions,
            open: |fallback| {
                let device_type = env::webnn_device_type()?;
                let wishes = Wishes { device_type, fallback };
                let service = proofmark::env::service();
                Ok(BROWSERS[$browser].open(service.as_deref(), wishes)?.boxed())
            },
            sources: |graph, precision| BROWSERS[$browser].sources(graph, precision),
            crates: &["half", "safetensors"],
            f32_tolerance: 1e-3,
            isolation: Isolation::Process,
            probe: || TARGETS[$index].find(),
            signals: || {
                format!("{}{}", BROWSERS[$browser].signals(), env::settings(&[env::WEBNN_DEVICE]))
            },
            service: Some(Service {
                start: |folder| {
                    let served =
                        BROWSERS[$browser].serve(folder).map_err(|e| format!("failed to {e}"))?;
                    Ok((served.0, Box::new(served.1)))
                },
                sweep: proofmark_browser::sweep,
                patience: Service::PATIENCE,
            }),
            challenged: true,
        }
    }};
}

/// The endpoints, in the order of reports.
pub static TARGETS: [Target; 8] = [
    Target {
        endpoint: Endpoint::CPU,
        precisions: &[Precision::F32, Precision::Bf16, Precision::Int8],
        open: |_| Ok(Box::new(cpu::CpuDevice::open(None)?)),
        sources: cpu::sources,
        crates: cpu::CRATES,
        f32_tolerance: 1e-4,
        isolation: Isolation::InProcess,
        // The processor is always there, and a listing asks this probe: it starts no thread.
        probe: || TARGETS[0].present(&cpu::CpuDevice::identify(None)),
        signals: String::new,
        service: None,
        challenged: false,
    },
    Target {
        endpoint: Endpoint::WEBGPU_NATIVE,
        precisions: &[Precision::F32, Precision::F16],
        open: |_| Ok(Box::new(webgpu::WgpuDevice::open()?)),
        sources: webgpu::sources,
        crates: webgpu::CRATES,
        f32_tolerance: 1e-3,
        isolation: Isolation::Process,
        probe: || TARGETS[1].find(),
        signals: || format!("{}{}", vulkan::signals(), code_digest(webgpu::sources)),
        service: None,
        challenged: false,
    },
    browser!(2, 0, WEBGPU_CHROMIUM, &[Precision::F32, Precision::F16]),
    browser!(3, 1, WEBGPU_EDGE, &[Precision::F32, Precision::F16]),
    browser!(4, 2, WEBGPU_FIREFOX, &[Precision::F32, Precision::F16]),
    browser!(5, 3, WEBGPU_WEBKIT, &[Precision::F32, Precision::F16]),
    browser!(6, 4, WEBNN_CHROMIUM, &[Precision::F32]),
    browser!(7, 5, WEBNN_EDGE, &[Precision::F32]),
];

impl Target {
    /// The largest error of an output that passes, relative to its largest magnitude.
    pub const fn tolerance(&self, precision: Precision) -> f64 {
        match precision {
            Precision::F32 => self.f32_tolerance,
            Precision::F16 => F16_TOLERANCE,
            Precision::Bf16 => BF16_TOLERANCE,
            Precision::Int8 => INT8_TOLERANCE,
        }
    }

    /// Whether a browser runs it: another program, which could make its numbers up, so that sessions challenge it.
    pub const fn is_in_browser(&self) -> bool {
        self.challenged
    }

    /// How the suite reaches it.
    pub fn driver(&self) -> Driver {
        Driver {
            endpoint: self.endpoint.clone(),
            isolation: self.isolation,
            probe: self.probe,
            signals: self.signals,
            service: self.service,
        }
    }

    /// Opens the device and tells what it is, or exactly why it is not there.
    fn find(&self) -> Finding {
        let absent = |reason: String| Finding::absent(self.endpoint.clone(), reason);
        match (self.open)(Fallback::Refused) {
            Err(KernelError::Absent { detail, .. }) => absent(detail),
            Err(error) => absent(format!("failed to {error}")),
            Ok(device) => self.present(device.identity()),
        }
    }

    fn present(&self, identity: &Identity) -> Finding {
        Finding {
            endpoint: self.endpoint.clone(),
            mark: Some(mark(identity)),
            reason: None,
            adapter: Some(identity.adapter.clone()),
            driver: Some(identity.driver.clone()),
            limits: identity.limits.clone(),
            features: identity.features.clone(),
            details: identity.details.clone(),
        }
    }
}

/// A digest of the sources that every graph runs on a device: its finding holds for the code that made it.
fn code_digest(sources: fn(&Graph, Precision) -> Vec<Source>) -> String {
    let mut builder = Builder::new(Binding::default());
    let one = builder.scalar(1.0);
    let graph = builder.output("one", one).and_then(|()| builder.finish());
    let texts = graph.map(|graph| sources(&graph, Precision::F32)).unwrap_or_default();
    digest(texts.iter().map(|source| source.text).collect::<String>())
}

const fn mark(identity: &Identity) -> Mark {
    match identity.class {
        AdapterClass::Hardware => Mark::Real,
        AdapterClass::Software => Mark::Software,
    }
}

/// Details longer than this stand in the probe alone, and in a record as their digest.
const DETAIL_BYTES: usize = 2048;

/// The facts of an opened device for a record.
pub fn facts(device: &dyn Device) -> DeviceFacts {
    let identity = device.identity();
    DeviceFacts {
        details: identity.details.iter().map(|(n, v)| (n.clone(), brief(v))).collect(),
        ..DeviceFacts::new(mark(identity), &identity.adapter, &identity.driver)
    }
}

fn brief(value: &str) -> String {
    if value.len() <= DETAIL_BYTES { value.to_owned() } else { format!("sha256 {}", digest(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_details_are_digests_in_a_record() {
        let (short, long) = ("a".repeat(DETAIL_BYTES), "a".repeat(DETAIL_BYTES + 1));
        assert_eq!(brief(&short), short);
        assert_eq!(brief(&long), format!("sha256 {}", digest(&long)));
        assert_ne!(brief(&long), brief(&format!("{long}a")));
    }
}
