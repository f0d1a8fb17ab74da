//! Where a case runs. The names that exist are here; whether one exists on this machine is in `finding`.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The name of a place where cases run: `cpu`, `cuda`, `webgpu-chromium`, or one that a suite brings.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(Cow<'static, str>);

impl Endpoint {
    /// The machine's own processor.
    pub const CPU: Self = Self(Cow::Borrowed("cpu"));
    /// Native WebGPU, without a browser.
    pub const WEBGPU_NATIVE: Self = Self(Cow::Borrowed("webgpu-native"));
    /// WebGPU in Chromium or Chrome.
    pub const WEBGPU_CHROMIUM: Self = Self(Cow::Borrowed("webgpu-chromium"));
    /// WebGPU in Edge.
    pub const WEBGPU_EDGE: Self = Self(Cow::Borrowed("webgpu-edge"));
    /// WebGPU in Firefox.
    pub const WEBGPU_FIREFOX: Self = Self(Cow::Borrowed("webgpu-firefox"));
    /// WebGPU in WebKit: Safari, or WebKitGTK.
    pub const WEBGPU_WEBKIT: Self = Self(Cow::Borrowed("webgpu-webkit"));
    /// WebNN in Chromium or Chrome.
    pub const WEBNN_CHROMIUM: Self = Self(Cow::Borrowed("webnn-chromium"));
    /// WebNN in Edge.
    pub const WEBNN_EDGE: Self = Self(Cow::Borrowed("webnn-edge"));

    /// Every endpoint that Proofmark has a name for, in the order of reports.
    pub const KNOWN: [Self; 14] = [
        Self::CPU,
        Self(Cow::Borrowed("cuda")),
        Self(Cow::Borrowed("rocm")),
        Self(Cow::Borrowed("mps")),
        Self(Cow::Borrowed("openvino")),
        Self(Cow::Borrowed("qnn")),
        Self::WEBGPU_NATIVE,
        Self::WEBGPU_CHROMIUM,
        Self::WEBGPU_EDGE,
        Self::WEBGPU_FIREFOX,
        Self::WEBGPU_WEBKIT,
        Self::WEBNN_CHROMIUM,
        Self::WEBNN_EDGE,
        Self(Cow::Borrowed("webnn-webkit")),
    ];

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || !text.chars().all(ok) {
            return Err(format!(
                "`{text}` is not an endpoint: use lowercase letters, digits and `-`"
            ));
        }
        let known = Self::KNOWN.into_iter().find(|known| known.as_str() == text);
        Ok(known.unwrap_or_else(|| Self(Cow::Owned(text.to_owned()))))
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0.into_owned()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
