//! A page that lies: it claims a GPU, made-up times and made-up outputs. The device is refused, or marked.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proofmark_browser::{Browsing, Opens, WebGpuDevice};
use proofmark_kernels::{
    Activation, AdapterClass, Binding, Builder, Device, Error, Kind, Precision, Program, Tensor,
    Weights,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tungstenite::{Message, client::IntoClientRequest as _};

/// What a page claims.
#[derive(Clone)]
struct Liar {
    /// Answer to `webgpu.open`, besides features and limits.
    info: Value,
    fallback: Value,
    renderer: Value,
    /// What a run is said to take, in milliseconds.
    claimed_ms: f64,
    /// What it takes.
    takes: Duration,
    /// What is told to have gone wrong once all has settled.
    fault: Value,
}

/// A fine card, an instant answer, and zeros for outputs.
fn liar() -> Liar {
    Liar {
        info: json!({"vendor": "nvidia", "architecture": "hopper", "device": "", "description": ""}),
        fallback: json!(false),
        renderer: json!("ANGLE (NVIDIA, NVIDIA H100, OpenGL 4.6)"),
        claimed_ms: 0.2,
        takes: Duration::ZERO,
        fault: Value::Null,
    }
}

impl Liar {
    fn answer(&self, command: &Value) -> (Value, Vec<Vec<u8>>) {
        let name = command["command"].as_str().unwrap_or_default();
        match name {
            "facts" => (
                json!({"facts": {
                    "user_agent": "Mozilla/5.0 (Macintosh) Safari/26", "secure": true, "isolated": true,
                    "threads": 8, "shared_memory": true, "wasm_simd": true, "memory_gb": null,
                    "heap_bytes": null, "webgpu": true, "webnn": false, "renderer": self.renderer,
                }}),
                Vec::new(),
            ),
            "webgpu.open" => (
                json!({
                    "info": self.info, "fallback": self.fallback, "features": [], "opened": [],
                    "nudge": {"nudged": false, "nudged_ms": 0.1, "alone_ms": 0.1},
                    "limits": {
                        "maxStorageBufferBindingSize": 1e9, "maxBufferSize": 1e9,
                        "maxComputeWorkgroupsPerDimension": 65535,
                    },
                }),
                Vec::new(),
            ),
            "clock" => (json!({"resolution_ms": 0.005}), Vec::new()),
            "rate" => (json!({"operations_per_s": 1e9}), Vec::new()),
            "webgpu.prepare" => (json!({"stages": {"compile_ms": 1.0}}), Vec::new()),
            "webgpu.run" | "webgpu.times" => {
                std::thread::sleep(self.takes);
                let output = vec![0; 4 * 1024 * 1024];
                (json!({"elapsed_ms": self.claimed_ms}), vec![output])
            }
            "webgpu.settle" => (json!({"error": self.fault}), Vec::new()),
            _ => (json!({}), Vec::new()),
        }
    }
}

impl Opens for Liar {
    fn open(&mut self, url: &str) -> Result<(), String> {
        let host = url.split('/').nth(2).ok_or("no host")?.to_owned();
        let address = format!("{}channel", url.replace("http://", "ws://"));
        let liar = self.clone();
        std::thread::spawn(move || {
            let mut request = address.into_client_request().expect("as the test makes it");
            let origin = format!("http://{host}").parse().expect("as the test makes it");
            request.headers_mut().insert("origin", origin);
            let stream = std::net::TcpStream::connect(&host).expect("as the test makes it");
            let (mut socket, _) =
                tungstenite::client(request, stream).expect("as the test makes it");
            while let Ok(Message::Binary(bytes)) = socket.read() {
                let length =
                    u32::from_le_bytes(bytes[..4].try_into().expect("as the test makes it"))
                        as usize;
                let command: Value =
                    serde_json::from_slice(&bytes[4..4 + length]).expect("as the test makes it");
                let (mut header, parts) = liar.answer(&command);
                header["id"] = command["id"].clone();
                header["parts"] = json!(parts.iter().map(Vec::len).collect::<Vec<_>>());
                let text = header.to_string();
                let mut answer =
                    u32::try_from(text.len()).expect("as the test makes it").to_le_bytes().to_vec();
                answer.extend(text.as_bytes());
                parts.iter().for_each(|part| answer.extend(part));
                if socket.send(Message::Binary(answer.into())).is_err() {
                    return;
                }
            }
        });
        Ok(())
    }
}

fn open(liar: &Liar) -> Result<WebGpuDevice, Error> {
    let browser =
        Browsing { label: "Chromium 156 (chromedriver 156)".into(), ..Browsing::default() };
    WebGpuDevice::open("webgpu-chromium", browser, Box::new(liar.clone()))
}

#[track_caller]
fn check_refused(liar: &Liar, words: &str) {
    let why =
        open(liar).map(|device| format!("{:?}", device.identity())).expect_err("a lie").to_string();
    assert!(why.contains(words), "`{words}` in `{why}`");
}

#[test]
fn a_fine_name_without_a_computation_behind_it_is_refused() {
    check_refused(&liar(), "nothing was computed");
}

#[test]
fn times_that_our_clock_contradicts_are_refused() {
    check_refused(&Liar { claimed_ms: 5000.0, ..liar() }, "not believed");
    check_refused(&Liar { claimed_ms: -1.0, ..liar() }, "not believed");
}

#[test]
fn one_witness_against_it_makes_an_adapter_software() {
    let google =
        json!({"vendor": "google", "architecture": "swiftshader", "device": "", "description": ""});
    let nothing = json!({"vendor": "", "architecture": "", "device": "", "description": ""});
    for liar in [
        Liar { fallback: json!(true), ..liar() },
        Liar { info: google, ..liar() },
        Liar { renderer: json!("llvmpipe (LLVM 15.0.6, 256 bits)"), ..liar() },
        Liar { info: nothing, renderer: json!(null), ..liar() },
    ] {
        let device = open(&liar).unwrap();
        assert_eq!(device.identity().class, AdapterClass::Software);
        assert!(device.identity().details.contains_key("class-because"));
    }
}

/// Whatever a page says of itself, the browser is the one that the driver started.
#[test]
fn the_users_agent_names_no_browser() {
    let device = open(&Liar { fallback: json!(true), ..liar() }).unwrap();
    let identity = device.identity();
    assert_eq!(identity.driver, "Chromium 156 (chromedriver 156)");
    assert!(identity.details["user-agent"].contains("Safari"));
}

/// A program of 1024 by 1024 weights, and inputs for it.
fn product(device: &WebGpuDevice) -> (Box<dyn Program>, [Tensor; 1]) {
    let mut builder = Builder::new(Binding::default());
    let x = builder.input("x", Kind::Float, &[2048.into(), 1024.into()]).unwrap();
    let weight = builder.weight("w", &[1024, 1024]).unwrap();
    let y = builder.linear(x, weight, None, Activation::Identity).unwrap();
    builder.output("y", y).unwrap();
    let graph = builder.finish().unwrap();
    let program = device.prepare(&graph, &Weights::seeded(1), Precision::F32).unwrap();
    (program, [Tensor::f32([2048, 1024], vec![0.0; 2048 * 1024])])
}

#[test]
fn outputs_of_another_size_and_claimed_times_cost_the_run() {
    let honest = Liar { fallback: json!(true), ..liar() };
    let (mut program, inputs) = product(&open(&honest).unwrap());
    let why = program.run(&inputs).unwrap_err().to_string();
    assert!(why.contains("4194304 bytes of the output y"), "{why}");
    let slow = Liar { takes: Duration::from_millis(400), ..honest };
    let (mut program, inputs) = product(&open(&slow).unwrap());
    let why = program.run_times(&inputs, 10).unwrap_err().to_string();
    assert!(why.contains("not believed"), "{why}");
}

#[test]
fn what_went_wrong_in_runs_that_were_timed_costs_the_run() {
    let honest = Liar { fallback: json!(true), ..liar() };
    let (mut program, inputs) = product(&open(&honest).unwrap());
    program.run_times(&inputs, 10).unwrap();
    let (mut program, inputs) =
        product(&open(&Liar { fault: json!("it burns"), ..honest }).unwrap());
    let why = program.run_times(&inputs, 10).unwrap_err().to_string();
    assert!(why.contains("it burns"), "{why}");
}

/// A browser that ended after it had taken the address.
struct Ended;

impl Opens for Ended {
    fn open(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn alive(&mut self) -> Result<(), String> {
        Err("it ended".into())
    }
}

#[test]
fn a_page_of_a_browser_that_is_gone_is_not_waited_for() {
    let begin = Instant::now();
    let opened = WebGpuDevice::open("webgpu-chromium", Browsing::default(), Box::new(Ended));
    let why = opened.map(drop).unwrap_err().to_string();
    assert!(why.contains("it ended"), "{why}");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}
