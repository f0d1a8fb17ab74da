//! Whether an adapter that a browser offers is hardware. What the browser says decides, and what it says is checked:
//! an adapter that calls itself a GPU has to be as fast as one.

use proofmark_kernels::AdapterClass;
use proofmark_kernels::webgpu::imitates;
use serde::Deserialize;

/// What a browser tells of its adapter (`GPUAdapterInfo`); each may be empty.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct AdapterInfo {
    /// Who made it: `nvidia`, `google`.
    pub vendor: String,
    /// Its generation: `ampere`, `swiftshader`.
    pub architecture: String,
    /// The device, if the browser tells.
    pub device: String,
    /// A text of the driver, if the browser tells.
    pub description: String,
}

impl AdapterInfo {
    /// What is known of it in one line; empty if nothing is.
    pub fn name(&self) -> String {
        let parts = [&self.vendor, &self.architecture, &self.device, &self.description];
        let known: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).cloned().collect();
        known.join(" ")
    }
}

/// Measured operations per second.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of a large matrix product on the adapter.
    pub adapter: f64,
    /// Of one thread of plain JavaScript in the same page.
    pub scalar: f64,
    /// Logical processors, as the page counts them.
    pub threads: f64,
}

/// How many times as fast as plain code on all threads an adapter must be to be called hardware. SwiftShader and
/// lavapipe run on the same threads and were seen at 0.1 to 0.6 times; the weakest GPUs are beyond ten times.
const HARDWARE_FACTOR: f64 = 2.0;

/// What is known of an adapter.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What the browser says of it.
    pub info: AdapterInfo,
    /// `isFallbackAdapter`, where the browser has it.
    pub fallback: Option<bool>,
    /// The renderer behind WebGL in the same page.
    pub renderer: Option<String>,
    /// A test of speed; needed before an adapter is called hardware.
    pub rates: Option<Rates>,
}

/// The class of an adapter with the reason. Without [`Evidence::rates`] the answer for what claims to be hardware is
/// preliminary: the reason says so.
pub fn classify(evidence: &Evidence) -> (AdapterClass, String) {
    let software = |why: String| (AdapterClass::Software, why);
    if evidence.fallback == Some(true) {
        return software("the browser says that it is a fallback adapter".into());
    }
    let name = evidence.info.name();
    if imitates(&name) {
        return software(format!("it calls itself `{name}`"));
    }
    let renderer = evidence.renderer.as_deref().unwrap_or_default();
    if imitates(renderer) {
        return software(format!("WebGL of the same browser runs on `{renderer}`"));
    }
    if name.is_empty() && renderer.is_empty() {
        return software("nothing names it, so nothing shows that it is hardware".into());
    }
    let Some(Rates { adapter, scalar, threads }) = evidence.rates else {
        return (AdapterClass::Hardware, "it was not timed yet".into());
    };
    let factor = adapter / (scalar * threads.max(1.0));
    let measured = format!(
        "a matrix product ran at {:.1} GFLOP/s, {factor:.1} times plain code on all threads",
        adapter / 1e9
    );
    // A rate that is no number fails the comparison, and so counts as slow.
    if factor >= HARDWARE_FACTOR {
        (AdapterClass::Hardware, measured)
    } else {
        software(format!("{measured}: hardware reaches {HARDWARE_FACTOR}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AdapterClass::{Hardware, Software};

    fn gpu() -> Evidence {
        Evidence {
            info: AdapterInfo {
                vendor: "nvidia".into(),
                architecture: "ampere".into(),
                ..AdapterInfo::default()
            },
            fallback: Some(false),
            renderer: Some("ANGLE (NVIDIA, NVIDIA GeForce RTX 3080, OpenGL 4.5)".into()),
            rates: Some(Rates { adapter: 2e12, scalar: 1e9, threads: 16.0 }),
        }
    }

    #[track_caller]
    fn check(evidence: Evidence, class: AdapterClass, reason: &str) {
        let (found, why) = classify(&evidence);
        assert!(found == class && why.contains(reason), "{found:?}: {why}");
    }

    #[test]
    fn a_fast_adapter_with_a_name_is_hardware() {
        check(gpu(), Hardware, "125.0 times");
        check(Evidence { info: AdapterInfo::default(), ..gpu() }, Hardware, "times");
        check(Evidence { rates: None, ..gpu() }, Hardware, "not timed");
    }

    #[test]
    fn one_witness_of_an_imitation_is_enough() {
        let named =
            |architecture: &str| AdapterInfo { architecture: architecture.into(), ..gpu().info };
        check(Evidence { fallback: Some(true), ..gpu() }, Software, "fallback");
        check(Evidence { info: named("swiftshader"), ..gpu() }, Software, "swiftshader");
        let renderer = Some("ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)))".into());
        check(Evidence { renderer, ..gpu() }, Software, "WebGL");
        let renderer = Some("llvmpipe (LLVM 15.0.6, 256 bits)".into());
        check(Evidence { renderer, ..gpu() }, Software, "llvmpipe");
        let blank = Evidence { info: AdapterInfo::default(), renderer: None, ..gpu() };
        check(blank, Software, "nothing names it");
    }

    /// A nice name does not make a program a GPU.
    #[test]
    fn an_adapter_that_is_slow_is_not_hardware() {
        let slow = |adapter: f64| Evidence {
            rates: Some(Rates { adapter, scalar: 1e9, threads: 2.0 }),
            ..gpu()
        };
        check(slow(1.2e9), Software, "hardware reaches");
        check(slow(3.9e9), Software, "hardware reaches");
        check(slow(f64::NAN), Software, "hardware reaches");
        check(slow(4.1e9), Hardware, "times");
    }
}
