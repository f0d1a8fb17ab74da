//! The browsers under test. Each is kept by a process of its own, which ends with this one, however that ends.

use proofmark_browser::{BrowserDevice, BrowserEndpoint, Interface, Kind as Browser, Wishes};
use proofmark_kernels::{Activation, Binding, Builder, Device, Kind, Precision, Tensor, Weights};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// A device under test and the precisions that it is tested in.
pub(crate) struct Endpoint {
    pub(crate) name: &'static str,
    pub(crate) device: &'static dyn Device,
    pub(crate) precisions: Vec<Precision>,
}

const BROWSERS: [BrowserEndpoint; 3] = [
    BrowserEndpoint::new("webgpu-chromium", Browser::Chromium, Interface::WebGpu),
    BrowserEndpoint::new("webgpu-firefox", Browser::Firefox, Interface::WebGpu),
    BrowserEndpoint::new("webnn-chromium", Browser::Chromium, Interface::WebNn),
];

/// Names the endpoint to the process that keeps it.
const KEEP: &str = "PROOFMARK_OPS_KEEP";
/// What stands before the address that such a process prints.
const ADDRESS: &str = "address: ";

/// A browser with the process that keeps it: it ends when our end of its standard input is closed.
struct Kept {
    device: BrowserDevice,
    _keeper: Child,
    /// Held open: libtest ends a process that cannot say that its test takes long.
    _output: BufReader<ChildStdout>,
}

/// The devices that are here.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    static KEPT: OnceLock<Vec<(&str, Kept)>> = OnceLock::new();
    let open = |browser: &BrowserEndpoint| match keep(browser) {
        Ok(kept) => Some((browser.name, kept)),
        Err(why) => {
            eprintln!("{} is not tested: {why}", browser.name);
            None
        }
    };
    let kept = KEPT.get_or_init(|| BROWSERS.iter().filter_map(open).collect());
    let endpoints = kept.iter().map(|(name, kept)| {
        let device: &dyn Device = match &kept.device {
            BrowserDevice::WebGpu(device) => &**device,
            BrowserDevice::WebNn(device) => &**device,
        };
        let mut precisions = vec![Precision::F32];
        if device.identity().features.iter().any(|feature| feature == "shader-f16") {
            precisions.push(Precision::F16);
        }
        Endpoint { name, device, precisions }
    });
    endpoints.collect()
}

/// Starts a browser in a process of its own and opens its device.
fn keep(browser: &BrowserEndpoint) -> Result<Kept, String> {
    let failed = |e: std::io::Error| e.to_string();
    let mut keeper = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["--exact", "endpoints::keeper", "--ignored", "--nocapture"])
        .env(KEEP, browser.name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut output = BufReader::new(keeper.stdout.take().ok_or("no output")?);
    let mut said = String::new();
    let mut line = String::new();
    while output.read_line(&mut line).map_err(failed)? > 0 {
        if let Some((_, address)) = line.trim_end().split_once(ADDRESS) {
            let device = browser.open(Some(address), Wishes::default());
            let device = device.map_err(|e| format!("failed to {e}"))?;
            return Ok(Kept { device, _keeper: keeper, _output: output });
        }
        said.push_str(&line);
        line.clear();
    }
    Err(said)
}

/// Not a test: the process that keeps a browser until its standard input ends.
#[test]
#[ignore = "keeps a browser for the other tests"]
fn keeper() {
    let Ok(name) = std::env::var(KEEP) else { return };
    let browser = BROWSERS.iter().find(|browser| browser.name == name).expect("a known name");
    let folder = tempfile::tempdir().expect("a folder");
    match browser.serve(folder.path()) {
        Err(why) => println!("failed to {why}"),
        Ok((address, service)) => {
            println!("{ADDRESS}{address}");
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(service);
        }
    }
    proofmark_browser::sweep(folder.path());
}

/// The memory of a browser is a part of what is known of a program; it holds at least the program's weights.
#[test]
fn a_program_knows_what_its_browser_holds() {
    let is_told = cfg!(target_os = "linux") && rustix::process::geteuid().is_root();
    for endpoint in endpoints() {
        let width = 2048;
        let mut builder = Builder::new(Binding::default());
        let x = builder.input("x", Kind::Float, &[1.into(), width.into()]).unwrap();
        let weight = builder.weight("w", &[width, width]).unwrap();
        let y = builder.linear(x, weight, None, Activation::Identity).unwrap();
        builder.output("y", y).unwrap();
        let graph = builder.finish().unwrap();
        let weights = Weights::seeded(1);
        let mut program = endpoint.device.prepare(&graph, &weights, Precision::F32).unwrap();
        let inputs = [Tensor::f32([1, width], vec![1.0; width])];
        program.run_timed(&inputs).unwrap();
        let bytes = program.peak_memory_bytes();
        eprintln!("{}: {bytes:?} bytes", endpoint.name);
        assert!(bytes.is_some() || !is_told, "{}", endpoint.name);
        let least = (4 * width * width) as u64;
        assert!(bytes.is_none_or(|bytes| (least..64 << 30).contains(&bytes)), "{bytes:?}");
    }
}

/// The devices were really there: where browsers are installed, nothing is left out in silence.
#[test]
fn browsers_that_are_required_are_tested() {
    let Ok(required) = std::env::var("PROOFMARK_REQUIRE_BROWSERS") else { return };
    let tested: Vec<_> = endpoints().iter().map(|endpoint| endpoint.name).collect();
    for name in required.split(',').filter(|name| !name.is_empty()) {
        assert!(tested.contains(&name), "{name} is required and was not tested");
    }
}
