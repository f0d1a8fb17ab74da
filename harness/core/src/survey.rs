//! Why an endpoint that no suite of the workspace drives is absent, and what would bring it. Looks, opens nothing.

use crate::endpoint::Endpoint;
use crate::env::find_program;
use crate::finding::Finding;
use std::path::Path;

/// The finding for an endpoint for which no suite has a device.
pub fn survey(endpoint: &Endpoint) -> Finding {
    let (seen, remedy) = look(endpoint.as_str());
    let reason = format!("no suite of this workspace has a device for it; {seen}. {remedy}");
    Finding::absent(endpoint.clone(), reason)
}

/// What is seen of the hardware or the program, and what a run would need.
fn look(endpoint: &str) -> (String, &'static str) {
    match endpoint {
        "cpu" => ("the processor is there".into(), "A suite brings it with a CPU device."),
        "cuda" => (
            file("/proc/driver/nvidia/version", "the NVIDIA driver"),
            "It needs an NVIDIA GPU with its driver, and a suite with a CUDA device.",
        ),
        "rocm" => (
            file("/dev/kfd", "the AMD compute driver"),
            "It needs an AMD GPU with ROCm, and a suite with a ROCm device.",
        ),
        "mps" => (
            format!("this is {}, and Metal is of macOS", std::env::consts::OS),
            "It needs a Mac, and a suite with an MPS device.",
        ),
        "openvino" => (
            file("/dev/accel/accel0", "an Intel NPU"),
            "It needs the OpenVINO runtime, which also has a CPU device, and a suite with an OpenVINO device.",
        ),
        "qnn" => (
            file("/dev/fastrpc-cdsp", "a Qualcomm Hexagon processor"),
            "It needs a Snapdragon with the QNN SDK, and a suite with a QNN device.",
        ),
        "webgpu-native" => {
            ("adapters were not looked for".into(), "A suite brings it with a wgpu device.")
        }
        browser => look_for_browser(browser),
    }
}

fn look_for_browser(endpoint: &str) -> (String, &'static str) {
    let (browser, programs, driver): (&str, &[&str], &[&str]) = match endpoint {
        "webgpu-chromium" | "webnn-chromium" => {
            ("Chromium", &["chromium", "chromium-browser", "google-chrome"], &["chromedriver"])
        }
        "webgpu-edge" | "webnn-edge" => ("Edge", &["microsoft-edge"], &["msedgedriver"]),
        "webgpu-firefox" => ("Firefox", &["firefox", "firefox-esr"], &["geckodriver"]),
        "webgpu-webkit" | "webnn-webkit" => {
            ("WebKit", &["MiniBrowser", "safari"], &["WebKitWebDriver", "safaridriver"])
        }
        _ => {
            return (
                "nothing is known of it".into(),
                "A suite brings it with a device of its own.",
            );
        }
    };
    let said = |what: &str, names: &[&str]| match find_program(names) {
        Some(path) => format!("{what} is {}", path.display()),
        None => format!("{what} is not in PATH ({})", names.join(", ")),
    };
    (
        format!("{}; {}", said(browser, programs), said("its WebDriver", driver)),
        "It needs the browser, its WebDriver, and a suite with a browser device.",
    )
}

fn file(path: &str, what: &str) -> String {
    let is = if Path::new(path).exists() { "exists" } else { "does not exist" };
    format!("{path} ({what}) {is}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_endpoint_has_its_own_reason() {
        let reasons: Vec<_> = Endpoint::KNOWN.iter().map(|e| survey(e).reason.unwrap()).collect();
        assert!(reasons.iter().all(|reason| !reason.contains("nothing is known")), "{reasons:#?}");
        assert!(survey(&"mine".parse().unwrap()).reason.unwrap().contains("nothing is known"));
    }
}
