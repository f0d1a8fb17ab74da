//! The table of names and units. The book shows it (`docs/migrate.md`), and a test compares them.

/// What a metric is measured in, here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nanoseconds.
    Time,
    /// Bytes.
    Memory,
    /// Things per second.
    Rate,
    /// A part of one.
    Share,
    /// Watts.
    Power,
    /// Joules.
    Energy,
}

/// A metric and its legacy names.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Ours.
    pub name: &'static str,
    /// Its dimension.
    pub kind: Kind,
    /// Legacy names that need a unit at their end, with spaces between them; `-` is none, where the unit is all.
    pub with_unit: &'static str,
    /// Legacy names that have none: times are seconds, as Python's `time.time()` gives them; shares are parts of one.
    pub bare: &'static str,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    with_unit: &'static str,
    bare: &'static str,
) -> Metric {
    Metric { name, kind, with_unit, bare }
}

/// All metrics. A name is compared without what names an endpoint, a statistic or a unit in it.
pub const METRICS: &[Metric] = &[
    metric(
        "latency",
        Kind::Time,
        "latency inference inference_latency inference_time processing_time forward_time \
         response_time time latencies inference_times times",
        "inference_time processing_time forward_time inference_times",
    ),
    metric("generation", Kind::Time, "generation_time decode_time", "generation_time"),
    metric(
        "first_token",
        Kind::Time,
        "first_token_latency first_token_time first_token time_to_first_token ttft",
        "time_to_first_token",
    ),
    metric(
        "first_run",
        Kind::Time,
        "first_inference_time first_inference first_run_time cold_start_time",
        "first_inference_time",
    ),
    metric("warm_up", Kind::Time, "warmup_time warmup", "warmup_time"),
    metric(
        "preprocess",
        Kind::Time,
        "preprocess_time preprocessing_time",
        "preprocess_time preprocessing_time",
    ),
    metric(
        "postprocess",
        Kind::Time,
        "postprocess_time postprocessing_time",
        "postprocess_time postprocessing_time",
    ),
    metric(
        "embedding",
        Kind::Time,
        "embedding_time text_embedding_time image_embedding_time audio_embedding_time \
         video_embedding_time",
        "embedding_time text_embedding_time image_embedding_time audio_embedding_time \
         video_embedding_time",
    ),
    metric("similarity_time", Kind::Time, "similarity_time", "similarity_time"),
    metric(
        "load",
        Kind::Time,
        "load_time model_load_time loading_time model_loading_time load",
        "load_time model_load_time loading_time model_loading_time",
    ),
    metric(
        "tokenizer_load",
        Kind::Time,
        "tokenizer_load_time processor_load_time",
        "tokenizer_load_time processor_load_time",
    ),
    metric(
        "init",
        Kind::Time,
        "init_time initialization_time startup_time",
        "init_time initialization_time startup_time",
    ),
    metric(
        "compile",
        Kind::Time,
        "compile_time compilation_time shader_compilation_time shader_compile_time",
        "compile_time compilation_time",
    ),
    metric(
        "run",
        Kind::Time,
        "total_time execution_time total_execution_time elapsed_time elapsed duration \
         total_duration wall_time runtime time_taken test_time end_to_end_latency \
         end_to_end_time",
        "total_time execution_time total_execution_time elapsed_time time_taken wall_time",
    ),
    metric(
        "memory",
        Kind::Memory,
        "memory memory_usage memory_used memory_consumption ram_usage memory_footprint",
        "",
    ),
    metric(
        "peak_memory",
        Kind::Memory,
        "peak_memory memory_peak peak_memory_usage max_memory peak_memory_used",
        "",
    ),
    metric(
        "device_memory",
        Kind::Memory,
        "gpu_memory gpu_memory_used gpu_memory_usage vram_used vram_usage device_memory",
        "",
    ),
    metric(
        "memory_allocated",
        Kind::Memory,
        "memory_allocated gpu_memory_allocated allocated_memory",
        "",
    ),
    metric(
        "memory_reserved",
        Kind::Memory,
        "memory_reserved gpu_memory_reserved reserved_memory memory_cached",
        "",
    ),
    metric("model_size", Kind::Memory, "model_size weights_size", ""),
    metric(
        "throughput",
        Kind::Rate,
        "throughput - average_throughput speed rate generation inference processing \
         generation_speed",
        "",
    ),
    metric("realtime_factor", Kind::Share, "", "realtime_factor real_time_factor"),
    metric("similarity", Kind::Share, "", "similarity similarity_score similarity_value"),
    metric("speedup", Kind::Share, "", "speedup speedup_factor"),
    metric("cpu_utilization", Kind::Share, "cpu_util cpu_utilization cpu_usage cpu", ""),
    metric("gpu_utilization", Kind::Share, "gpu_util gpu_utilization gpu_usage gpu", ""),
    metric("memory_utilization", Kind::Share, "memory_util memory_utilization memory_usage", ""),
    metric("power", Kind::Power, "power power_usage power_consumption power_draw", ""),
    metric("energy", Kind::Energy, "energy energy_usage energy_consumption", ""),
];

/// How a legacy unit becomes ours: a power of ten, and a power of two.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// What it measures.
    pub kind: Kind,
    /// How it stands at the end of a name.
    pub names: &'static [&'static str],
    /// Ours.
    pub ours: &'static str,
    /// Ours = legacy × 10^ten × 2^two.
    pub ten: i32,
    /// The power of two.
    pub two: u32,
}

const fn unit(
    kind: Kind,
    names: &'static [&'static str],
    ours: &'static str,
    ten: i32,
    two: u32,
) -> Unit {
    Unit { kind, names, ours, ten, two }
}

/// All units. Memory is in powers of two, for the legacy programs divide by 1024.
pub const UNITS: &[Unit] = &[
    unit(Kind::Time, &["ns", "nanoseconds"], "ns", 0, 0),
    unit(Kind::Time, &["us", "microseconds"], "ns", 3, 0),
    unit(Kind::Time, &["ms", "msec", "millis", "milliseconds"], "ns", 6, 0),
    unit(Kind::Time, &["s", "sec", "secs", "seconds"], "ns", 9, 0),
    unit(Kind::Memory, &["bytes"], "bytes", 0, 0),
    unit(Kind::Memory, &["kb", "kib"], "bytes", 0, 10),
    unit(Kind::Memory, &["mb", "mib"], "bytes", 0, 20),
    unit(Kind::Memory, &["gb", "gib"], "bytes", 0, 30),
    unit(
        Kind::Rate,
        &[
            "items_per_second",
            "items_per_sec",
            "items_per_s",
            "samples_per_second",
            "samples_per_sec",
            "inferences_per_second",
        ],
        "items/s",
        0,
        0,
    ),
    unit(
        Kind::Rate,
        &["tokens_per_second", "tokens_per_sec", "tokens_per_s", "tok_per_s"],
        "tokens/s",
        0,
        0,
    ),
    unit(Kind::Rate, &["fps", "frames_per_second"], "frames/s", 0, 0),
    unit(Kind::Rate, &["requests_per_second", "queries_per_second", "qps"], "requests/s", 0, 0),
    unit(Kind::Share, &["percent", "percentage", "pct"], "1", -2, 0),
    unit(Kind::Power, &["watts", "w"], "W", 0, 0),
    unit(Kind::Power, &["mw", "milliwatts"], "W", -3, 0),
    unit(Kind::Energy, &["joules", "j"], "J", 0, 0),
    unit(Kind::Energy, &["mj", "millijoules"], "J", -3, 0),
];

/// Words of statistics, and ours.
pub const STATISTICS: &[(&[&str], &str)] = &[
    (&["avg", "average", "mean"], "mean"),
    (&["median", "p50"], "median"),
    (&["min", "minimum", "fastest"], "min"),
    (&["max", "maximum", "slowest"], "max"),
    (&["p90"], "p90"),
    (&["p95"], "p95"),
    (&["p99"], "p99"),
    (&["std", "stddev", "stdev"], "std"),
];
