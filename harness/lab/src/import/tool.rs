//! The tools whose results are read, by their names.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A tool whose results are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// criterion.rs, the folders that it leaves.
    Criterion,
    /// hyperfine, `--export-json`.
    Hyperfine,
    /// Google Benchmark, its JSON.
    GoogleBenchmark,
    /// pytest-benchmark, `--benchmark-json`.
    PytestBenchmark,
    /// JMH, `-rf json`.
    Jmh,
    /// `go test -bench`, its text or its `-json`.
    Go,
    /// MLPerf's load generator, its summary or its detailed log.
    Mlperf,
    /// ONNX Runtime's profile.
    OnnxRuntime,
    /// The trace of PyTorch's profiler.
    Pytorch,
    /// Android's `dumpsys`: battery, thermalservice, cpuinfo, meminfo.
    Dumpsys,
    /// Android's `getprop`.
    Getprop,
    /// macOS's `powermetrics`, its text or its property lists.
    Powermetrics,
    /// `nvidia-smi`, its tables or its XML.
    NvidiaSmi,
    /// Counters of perfetto's `trace_processor`, as CSV.
    Perfetto,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Criterion,
        Self::Hyperfine,
        Self::GoogleBenchmark,
        Self::PytestBenchmark,
        Self::Jmh,
        Self::Go,
        Self::Mlperf,
        Self::OnnxRuntime,
        Self::Pytorch,
        Self::Dumpsys,
        Self::Getprop,
        Self::Powermetrics,
        Self::NvidiaSmi,
        Self::Perfetto,
    ];

    /// As it stands on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Criterion => "criterion",
            Self::Hyperfine => "hyperfine",
            Self::GoogleBenchmark => "google-benchmark",
            Self::PytestBenchmark => "pytest-benchmark",
            Self::Jmh => "jmh",
            Self::Go => "go",
            Self::Mlperf => "mlperf",
            Self::OnnxRuntime => "onnx-runtime",
            Self::Pytorch => "pytorch",
            Self::Dumpsys => "dumpsys",
            Self::Getprop => "getprop",
            Self::Powermetrics => "powermetrics",
            Self::NvidiaSmi => "nvidia-smi",
            Self::Perfetto => "perfetto",
        }
    }

    /// Whether it tells of a device instead of measuring a benchmark.
    pub const fn is_of_device(self) -> bool {
        matches!(
            self,
            Self::Dumpsys | Self::Getprop | Self::Powermetrics | Self::NvidiaSmi | Self::Perfetto
        )
    }

    /// The names of all, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Tool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|tool| tool.name() == text);
        found
            .ok_or_else(|| format!("is no tool that is known here: it is one of {}", Self::names()))
    }
}
