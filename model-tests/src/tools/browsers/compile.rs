//! `browsers compile`: what compiling a model's shaders takes, and what doing it all at once, or again, saves.

use super::super::{Format, table};
use super::named;
use crate::catalogue::{binding, find};
use crate::error::Error;
use proofmark_browser::{BrowserDevice, BrowserEndpoint, CompileTimes, WebGpuDevice, Wishes};
use proofmark_kernels::webgpu::{Kernel, Plan};
use proofmark_kernels::{Device as _, Precision, fold};
use serde_json::json;

/// One way of compiling, and what it took.
struct Way {
    name: &'static str,
    times: CompileTimes,
}

/// Compiles the shaders of a model at its first shape, and prints what each way took.
pub(super) fn run(model: &str, endpoint: &str, format: Format) -> Result<bool, Error> {
    let model = find(model)?;
    let browser = *named(endpoint)?.first().expect("a name means one endpoint at least");
    let checkpoint = model.open()?;
    let goldens = model.goldens.iter().map(|&(_, shape)| shape);
    let shape = goldens.chain(model.shapes.iter().copied()).next();
    let shape = shape.ok_or_else(|| Error::Case(format!("{} has no shape", model.name)))?;
    let graph = checkpoint.graph(&binding(shape))?;
    let (graph, _) = fold(&graph, checkpoint.weights())?;
    let device = open(browser)?;
    let plan = Plan::new(&graph, Precision::F32, device.target())?;
    let ways = ways(browser, device, &plan)?;
    let kernels = kernels(&plan);
    match format {
        Format::Json => println!(
            "{}",
            json!({
                "model": model.name,
                "shape": shape,
                "endpoint": browser.name,
                "shaders": kernels,
                "ways": ways.iter().map(|way| json!({
                    "way": way.name,
                    "whole_ms": way.times.whole_ms,
                    "each_ms": way.times.each_ms,
                })).collect::<Vec<_>>(),
            })
        ),
        Format::Text => print(&ways, &kernels),
    }
    Ok(true)
}

fn open(browser: &BrowserEndpoint) -> Result<Box<WebGpuDevice>, Error> {
    match browser.open(None, Wishes::default())? {
        BrowserDevice::WebGpu(device) => Ok(device),
        BrowserDevice::WebNn(_) => {
            Err(Error::Case(format!("compile shaders on {}: WebNN has none", browser.name)))
        }
    }
}

/// Each browser is started twice: what it keeps of a first time must not help the other way.
fn ways(
    browser: &BrowserEndpoint,
    device: Box<WebGpuDevice>,
    plan: &Plan,
) -> Result<Vec<Way>, Error> {
    println!("compiling {} shaders on {}", plan.shaders.len(), device.identity().driver);
    let mut ways = vec![
        Way { name: "one by one, fresh browser", times: device.compile(plan, false)? },
        Way { name: "one by one, again", times: device.compile(plan, false)? },
    ];
    drop(device);
    let device = open(browser)?;
    ways.push(Way { name: "all at once, fresh browser", times: device.compile(plan, true)? });
    ways.push(Way { name: "all at once, again", times: device.compile(plan, true)? });
    Ok(ways)
}

/// The kernel of each shader.
fn kernels(plan: &Plan) -> Vec<Option<Kernel>> {
    let of = |shader: usize| plan.dispatches.iter().find(|dispatch| dispatch.shader == shader);
    (0..plan.shaders.len()).map(|shader| of(shader).map(|dispatch| dispatch.kernel)).collect()
}

fn print(ways: &[Way], kernels: &[Option<Kernel>]) {
    let mut whole = table::table(&["compiling", "ms"]);
    for way in ways {
        whole.add_row([way.name.to_owned(), format!("{:.0}", way.times.whole_ms)]);
    }
    println!("{whole}");
    let mut each = table::table(&["shader", "kernel", "ms in a fresh browser", "ms again"]);
    for (index, kernel) in kernels.iter().enumerate() {
        let ms = |way: usize| {
            let time = ways.get(way).and_then(|way| way.times.each_ms.get(index));
            time.map_or(String::new(), |ms| format!("{ms:.0}"))
        };
        let kernel = kernel.map_or(String::new(), |kernel| format!("{kernel:?}"));
        each.add_row([index.to_string(), kernel, ms(0), ms(1)]);
    }
    println!("{each}");
}
