//! `browsers serve`: a link for any browser. Whoever opens it lends its WebGPU to the chosen cases.

use super::super::table;
use crate::catalogue::{Model, binding};
use crate::error::Error;
use crate::subject::{Inputs, ModelCase, Opened};
use crate::suite::suite;
use crate::targets::{BY_HAND, VISITOR};
use proofmark::record::Record;
use proofmark::{Case, CaseId, Endpoint, Isolation, measure_here};
use proofmark_browser::{Fallback, Opens, Stand, WebGpuDevice};
use proofmark_kernels::{Device as _, Precision};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Models to run, at their first shapes
    #[arg(default_values = ["bert-tiny", "vit-tiny", "bert-minilm"])]
    models: Vec<String>,
    /// The name of the endpoint in records
    #[arg(long, default_value = "webgpu-page")]
    endpoint: String,
    /// Where to listen. Beyond this machine, browsers give WebGPU only over HTTPS: put a tunnel before it
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The name by which the browser reaches it, if it is not the address: that of a tunnel
    #[arg(long)]
    host: Option<String>,
    /// Minutes for which the link is good
    #[arg(long, default_value_t = 10)]
    expires: u64,
}

/// Shows the link to the person at the terminal.
struct Link;

impl Opens for Link {
    fn open(&mut self, url: &str) -> Result<(), String> {
        println!("open this link in the browser; it works once:\n\n  {url}\n");
        Ok(())
    }
}

/// Serves the page, waits for a browser, and measures the cases there.
pub(super) fn run(args: &Args) -> Result<bool, Error> {
    let endpoint: Endpoint = args.endpoint.parse().map_err(Error::Case)?;
    let models = args.models.iter().map(|name| crate::catalogue::find(name));
    let models = models.collect::<Result<Vec<_>, _>>()?;
    let stand = Stand {
        address: args.listen,
        host: args.host.clone(),
        patience: Duration::from_secs(60 * args.expires),
    };
    let device = WebGpuDevice::by_hand(endpoint.as_str(), &stand, Box::new(Link))?;
    let device = VISITOR.get_or_init(|| Arc::new(device));
    let identity = device.identity();
    println!("{}\nadapter: {} ({:?})", identity.driver, identity.adapter, identity.class);
    let mut rows = table::table(&["case", "mark", "median ms", "outcome"]);
    let mut passed = true;
    for model in models {
        let case = case(model, &endpoint, device)?;
        device.say(&format!("Running {}.", case.id), false)?;
        let record = measure_here(&suite(), &case).map_err(Error::Case)?;
        device.say(&format!("{}: {}", case.id, record.outcome.name()), true)?;
        passed &= record.message.is_none();
        rows.add_row(row(&record));
    }
    device.say("Done. This page can be closed.", false)?;
    println!("{rows}");
    Ok(passed)
}

fn row(record: &Record) -> [String; 4] {
    let mut samples = record.samples.latency_ns.clone();
    samples.sort_unstable_by(f64::total_cmp);
    let median = samples.get(samples.len() / 2);
    [
        record.case.to_string(),
        record.mark.map_or("none".into(), |mark| mark.name().to_owned()),
        median.map_or("none".into(), |ns| format!("{:.3}", ns / 1e6)),
        record.message.clone().unwrap_or_else(|| record.outcome.name().to_owned()),
    ]
}

fn case(model: &'static Model, endpoint: &Endpoint, device: &WebGpuDevice) -> Result<Case, Error> {
    if let Some(why) = model.absence() {
        return Err(Error::Absent(why));
    }
    let shape = model.goldens.iter().map(|&(_, shape)| shape).chain(model.shapes.iter().copied());
    let shape = shape.into_iter().next();
    let shape = shape.ok_or_else(|| Error::Case(format!("run {}: it has no shape", model.name)))?;
    let identity = device.identity();
    let subject = ModelCase {
        opened: Arc::new(Opened::new(
            model,
            &proofmark::env::state_dir(Path::new(env!("CARGO_MANIFEST_DIR"))),
        )),
        target: &BY_HAND,
        precision: Precision::F32,
        binding: binding(shape),
        inputs: model.goldens().next().map_or(Inputs::Made, |(path, _)| Inputs::Golden(path)),
        device: [identity.adapter.clone(), identity.driver.clone()],
        fallback: Fallback::Refused,
    };
    let id = CaseId::new(model.name, endpoint.clone(), "f32", shape).map_err(Error::Case)?;
    Ok(Case {
        id,
        isolation: Isolation::InProcess,
        absence: None,
        snapshot: None,
        subject: Arc::new(subject),
    })
}
