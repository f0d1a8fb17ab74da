//! One model on one endpoint in one precision at one shape: identified without being run, and opened to be run.

use crate::catalogue::Model;
use crate::challenge;
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::files;
use crate::golden::{self, Golden};
use crate::inputs;
use crate::references;
use crate::targets::{self, Target};
use proofmark::clock::timed;
use proofmark::fingerprint::digest;
use proofmark::record::{self, DeviceFacts, Metrics, OpTime, OutputCheck};
use proofmark::toolchain::{build_parts, crate_parts};
use proofmark::{Case, Fingerprint, Part, Session, Subject};
use proofmark_browser::Fallback;
use proofmark_kernels::{
    BATCH, Binding, Device, Graph, Precision, Program, Tensor, Weights, fold, reference_version,
};
use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What the cases of one model share: its folder is read once, its graphs are built once.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The model.
    pub(crate) model: &'static Model,
    state: PathBuf,
    absence: OnceLock<Option<String>>,
    checkpoint: OnceLock<Result<Checkpoint, String>>,
    weights_digest: OnceLock<Result<String, String>>,
    graphs: Mutex<HashMap<String, Arc<(Graph, String)>>>,
}

impl Opened {
    /// A model whose references and digests are remembered below `state`.
    pub(crate) fn new(model: &'static Model, state: &Path) -> Self {
        Self {
            model,
            state: state.to_owned(),
            absence: OnceLock::new(),
            checkpoint: OnceLock::new(),
            weights_digest: OnceLock::new(),
            graphs: Mutex::default(),
        }
    }

    /// Why it cannot run, if it cannot; looked up once, because a published size is built to tell.
    pub(crate) fn absence(&self) -> Option<&str> {
        self.absence.get_or_init(|| self.model.absence()).as_deref()
    }

    fn checkpoint(&self) -> Result<&Checkpoint, String> {
        let opened = self.checkpoint.get_or_init(|| self.model.open().map_err(failed));
        opened.as_ref().map_err(Clone::clone)
    }

    /// A digest over all files of weights.
    fn weights_digest(&self) -> Result<&str, String> {
        let compute = || {
            let files = self.checkpoint()?.weights().files();
            let digests = files.map(|file| files::remembered_digest(file, &self.state));
            let digests = digests.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            Ok(digest(digests.concat()))
        };
        let known = self.weights_digest.get_or_init(compute);
        known.as_ref().map(String::as_str).map_err(Clone::clone)
    }

    /// The graph for a binding, with its digest.
    fn graph(&self, binding: &Binding) -> Result<Arc<(Graph, String)>, String> {
        let checkpoint = self.checkpoint()?;
        let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(graph) = graphs.get(&binding.to_string()) {
            return Ok(Arc::clone(graph));
        }
        let graph = checkpoint.graph(binding).map_err(failed)?;
        let digest = graph.digest();
        let graph = Arc::new((graph, digest));
        graphs.insert(binding.to_string(), Arc::clone(&graph));
        Ok(graph)
    }
}

fn failed(error: Error) -> String {
    format!("failed to {error}")
}

/// Where the inputs of a case come from.
#[derive(Clone, Debug)]
pub(crate) enum Inputs {
    /// The same on every machine, made for the shape.
    Made,
    /// A golden file, whose outputs are compared as well.
    Golden(PathBuf),
}

/// One case.
#[derive(Debug)]
pub(crate) struct ModelCase {
    /// The model.
    pub(crate) opened: Arc<Opened>,
    /// Where it runs.
    pub(crate) target: &'static Target,
    /// In which format.
    pub(crate) precision: Precision,
    /// At which shape.
    pub(crate) binding: Binding,
    /// On what.
    pub(crate) inputs: Inputs,
    /// The adapter and the driver that the probe found.
    pub(crate) device: [String; 2],
    /// What happens with what the device lacks.
    pub(crate) fallback: Fallback,
}

impl ModelCase {
    fn golden(&self) -> Result<Option<Golden>, String> {
        match &self.inputs {
            Inputs::Made => Ok(None),
            Inputs::Golden(path) => Golden::open(path).map(Some).map_err(failed),
        }
    }

    /// The fingerprint names the device that the probe found, so no other may be measured under it.
    fn expect_probed(&self, device: &dyn Device) -> Result<(), String> {
        let identity = device.identity();
        let [adapter, driver] = &self.device;
        if identity.adapter == *adapter && identity.driver == *driver {
            return Ok(());
        }
        Err(format!(
            "the device that opened is {} ({}), the probe found {adapter} ({driver}): probe again with \
             `cargo xtask doctor`",
            identity.adapter, identity.driver
        ))
    }

    /// The case as its suite made it, if it is one of this suite.
    pub(crate) fn of(case: &Case) -> Option<&Self> {
        (&*case.subject as &dyn Any).downcast_ref()
    }

    /// Opens the device and makes what [`Subject::open`] makes a session of, for tools that look inside.
    pub(crate) fn parts(&self) -> Result<Parts, Error> {
        let said = |message: String| {
            Error::Case(message.strip_prefix("failed to ").unwrap_or(&message).to_owned())
        };
        let golden = self.golden().map_err(said)?;
        let graph = self.opened.graph(&self.binding).map_err(said)?;
        let inputs = self.tensors(&graph.0, golden.as_ref()).map_err(said)?;
        // What a device folds before it prepares a graph: its steps name the nodes of the folded one.
        let weights = self.opened.checkpoint().map_err(said)?.weights();
        let (graph, weights) = fold(&graph.0, weights)?;
        Ok(Parts { graph, inputs, weights, device: (self.target.open)(self.fallback)? })
    }

    fn tensors(&self, graph: &Graph, golden: Option<&Golden>) -> Result<Vec<Tensor>, String> {
        let checkpoint = self.opened.checkpoint()?;
        let given = match golden {
            Some(golden) => golden.inputs(checkpoint.family()).map(|(_, given)| given),
            None => inputs::deterministic(checkpoint.family(), &self.binding),
        };
        given.and_then(|given| checkpoint.tensors(graph, &self.binding, &given)).map_err(failed)
    }
}

/// What a case is made of.
pub(crate) struct Parts {
    /// The folded graph.
    pub(crate) graph: Graph,
    /// In the order of the graph's inputs.
    pub(crate) inputs: Vec<Tensor>,
    /// Of the checkpoint, and what was folded.
    pub(crate) weights: Weights,
    /// Opened.
    pub(crate) device: Box<dyn Device>,
}

/// The crates below an endpoint, read from the lock file once per process.
fn crates(target: &'static Target) -> Result<Vec<Part>, String> {
    static KNOWN: Mutex<Vec<(&str, Vec<Part>)>> = Mutex::new(Vec::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = target.endpoint.as_str();
    if let Some((_, parts)) = known.iter().find(|(other, _)| *other == name) {
        return Ok(parts.clone());
    }
    let parts = crate_parts(Path::new(env!("CARGO_MANIFEST_DIR")), target.crates)?;
    known.push((name, parts.clone()));
    Ok(parts)
}

impl Subject for ModelCase {
    fn fingerprint(&self) -> Result<Fingerprint, String> {
        let mut parts = build_parts().to_vec();
        parts.extend(crates(self.target)?);
        let [adapter, driver] = &self.device;
        parts.extend([Part::text("adapter", adapter), Part::text("driver", driver)]);
        if self.fallback == Fallback::Allowed && self.target.is_in_browser() {
            parts.push(Part::text("fallback", "allowed"));
        }
        // A model that is still to be fetched has no graph yet, and one that nobody asked for is not worth building
        // at every listing; once it is here, the parts are others.
        if self.opened.absence().is_some() {
            parts.push(Part::text("weights", format!("{}, absent", self.opened.model.source())));
            return Ok(Fingerprint::new(parts));
        }
        let graph = self.opened.graph(&self.binding)?;
        parts.push(Part::text("graph", &graph.1));
        parts.push(Part::text("weights", self.opened.weights_digest()?));
        for source in (self.target.sources)(&graph.0, self.precision) {
            parts.push(Part::hashed(format!("kernel {}", source.name), source.text));
        }
        let golden = self.golden()?;
        let inputs = self.tensors(&graph.0, golden.as_ref())?;
        parts.push(Part::text("reference", reference_version()));
        let tolerance = self.target.tolerance(self.precision);
        parts.push(Part::text("tolerance", format!("{tolerance:e}")));
        parts.push(Part::text("inputs", references::inputs_digest(&inputs)));
        if let Inputs::Golden(path) = &self.inputs {
            parts.push(Part::text("golden", files::digest(path).map_err(failed)?));
        }
        Ok(Fingerprint::new(parts))
    }

    fn open(&self) -> Result<Box<dyn Session>, String> {
        let (loaded, load) = timed(|| {
            let device = (self.target.open)(self.fallback).map_err(|e| format!("failed to {e}"))?;
            self.opened.checkpoint()?;
            Ok::<_, String>(device)
        });
        let device = loaded?;
        self.expect_probed(&*device)?;
        let graph = self.opened.graph(&self.binding)?;
        let golden = self.golden()?;
        let inputs = self.tensors(&graph.0, golden.as_ref())?;
        let weights = self.opened.checkpoint()?.weights();
        let (program, compile) = timed(|| device.prepare(&graph.0, weights, self.precision));
        let program = program.map_err(|e| format!("failed to {e}"))?;
        let cost = graph.0.cost(self.precision);
        let metrics = Metrics {
            load_ns: Some(ns(load)),
            compile_ns: Some(ns(compile)),
            items_per_run: self.binding.get(&BATCH).ok().map(|batch| batch as u64),
            operations_per_run: Some(cost.operations),
            bytes_per_run: Some(cost.bytes_read + cost.bytes_written),
            stages: stages(&*device),
            ..Metrics::default()
        };
        let tolerance = self.target.tolerance(self.precision);
        let challenge = self.target.is_in_browser();
        Ok(Box::new(ModelSession {
            opened: Arc::clone(&self.opened),
            graph,
            golden,
            inputs,
            facts: targets::facts(&*device),
            program,
            tolerance,
            challenge: challenge.then(|| challenge::tolerance(self.precision, tolerance)),
            binding: self.binding.clone(),
            metrics,
        }))
    }
}

/// What opening the device took by its stages, and starting the browser of a service, if it was started for this case.
fn stages(device: &dyn Device) -> BTreeMap<String, u64> {
    let started = proofmark::env::service_start().map(|time| ("browser".to_owned(), time));
    let all = device.stages().into_iter().chain(started);
    all.map(|(name, time)| (name, ns(time))).collect()
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A case whose program is ready to run.
struct ModelSession {
    opened: Arc<Opened>,
    graph: Arc<(Graph, String)>,
    golden: Option<Golden>,
    inputs: Vec<Tensor>,
    facts: DeviceFacts,
    program: Box<dyn Program>,
    tolerance: f64,
    /// Where outputs could have been made up, how far off those of a challenge may be.
    challenge: Option<f64>,
    binding: Binding,
    metrics: Metrics,
}

impl Session for ModelSession {
    fn device(&self) -> &DeviceFacts {
        &self.facts
    }

    fn verify(&mut self) -> Result<Vec<OutputCheck>, String> {
        let graph = &self.graph.0;
        let (own, first) = self.program.run(&self.inputs).map_err(|e| format!("failed to {e}"))?;
        self.metrics.first_run_ns = Some(ns(first));
        if let Some(tolerance) = self.challenge {
            let own = own.to_vec();
            let checkpoint = self.opened.checkpoint()?;
            let of = (graph, &self.binding);
            let program = &mut *self.program;
            let told = challenge::run(checkpoint, of, (&self.inputs, &own), program, tolerance)?;
            self.facts.details.insert("challenge".into(), told);
        }
        let found = self.program.run(&self.inputs).map_err(|e| format!("failed to {e}"))?.0;
        let references = references::outputs(
            graph,
            self.opened.checkpoint()?.weights(),
            self.opened.weights_digest()?,
            &self.inputs,
            &self.opened.state.join("references"),
        );
        let references = references.map_err(failed)?;
        let named = graph.outputs().iter().zip(found).zip(&references);
        let mut checks = Vec::new();
        for (((name, _), found), reference) in named {
            let (shape, values) = (found.shape(), found.to_f64());
            checks.push(OutputCheck::compare(
                name,
                shape,
                &values,
                &reference.data,
                self.tolerance,
            ));
            if let Some(expected) = self.golden.as_ref().and_then(|g| g.outputs.get(name)) {
                let name = format!("golden {name}");
                checks.push(golden::compare(&name, found, expected, self.tolerance));
            }
        }
        Ok(checks)
    }

    fn run(&mut self) -> Result<Duration, String> {
        let ran = self.program.run(&self.inputs).map_err(|e| format!("failed to {e}"))?;
        Ok(ran.1)
    }

    fn run_times(&mut self, count: u64) -> Result<Duration, String> {
        self.program.run_times(&self.inputs, count).map_err(|e| format!("failed to {e}"))
    }

    fn metrics(&self) -> Metrics {
        let mut metrics = self.metrics.clone();
        let stages = self.program.stages();
        metrics.stages.extend(stages.into_iter().map(|(name, time)| (name, ns(time))));
        metrics.peak_memory_bytes = self.program.peak_memory_bytes();
        metrics
    }

    fn fallbacks(&self) -> Vec<record::Fallback> {
        let ran_elsewhere = self.program.fallbacks().into_iter();
        let told = ran_elsewhere.map(|f| record::Fallback { op: f.op, why: f.why, to: f.to });
        told.collect()
    }

    fn op_times(&mut self) -> Result<Vec<OpTime>, String> {
        let timing = self.program.run_timed(&self.inputs).map_err(|e| format!("failed to {e}"))?;
        let times = timing.ops.into_iter();
        Ok(times.map(|op| OpTime { name: op.name, time_ns: op.time_ns }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Origin;
    use crate::targets::TARGETS;
    use crate::testing::{Copy, change};
    use proofmark_kernels::cpu::CpuDevice;
    use serde_json::json;
    use tempfile::TempDir;

    /// A case over a copy of `bert-tiny` at this shape.
    fn case(copy: &Copy, state: &TempDir, shape: (usize, usize)) -> ModelCase {
        let folder = copy.folder().to_str().unwrap().to_owned();
        let model = Box::leak(Box::new(Model {
            name: "bert-copy",
            origin: Origin::Repository(Box::leak(folder.into_boxed_str())),
            goldens: &[],
            sentences: None,
            shapes: &[],
            software_shapes: &[],
        }));
        let identity = CpuDevice::identify(None);
        ModelCase {
            opened: Arc::new(Opened::new(model, state.path())),
            target: &TARGETS[0],
            precision: Precision::F32,
            binding: Binding::batch_sequence(shape.0, shape.1),
            inputs: Inputs::Made,
            device: [identity.adapter, identity.driver],
            fallback: Fallback::Refused,
        }
    }

    #[test]
    fn a_fingerprint_changes_with_what_a_result_depends_on_and_names_it() {
        let (copy, state) = (Copy::of("bert-tiny"), tempfile::tempdir().unwrap());
        let base = case(&copy, &state, (2, 5)).fingerprint().unwrap();
        let changes = |case: ModelCase| base.changes(&case.fingerprint().unwrap());
        let none: [&str; 0] = [];
        assert_eq!(changes(case(&copy, &state, (2, 5))), none);
        assert_eq!(changes(case(&copy, &state, (2, 6))), ["graph", "inputs"]);
        let newer = [case(&copy, &state, (2, 5)).device[0].clone(), "a newer driver".into()];
        assert_eq!(changes(ModelCase { device: newer, ..case(&copy, &state, (2, 5)) }), ["driver"]);
        copy.configure("hidden_dropout_prob", Some(json!(0.3)));
        assert_eq!(changes(case(&copy, &state, (2, 5))), none);
        copy.configure("layer_norm_eps", Some(json!(1e-5)));
        assert_eq!(changes(case(&copy, &state, (2, 5))), ["graph"]);
        copy.configure("layer_norm_eps", Some(json!(1e-12)));
        copy.edit("model.safetensors", |t| change(t, "pooler.dense.bias", 0, |v| v + 1.0));
        assert_eq!(changes(case(&copy, &state, (2, 5))), ["weights"]);
    }

    #[test]
    fn another_device_than_the_probed_one_is_not_measured() {
        let (copy, state) = (Copy::of("bert-tiny"), tempfile::tempdir().unwrap());
        let device = ["a GPU".into(), "its driver".into()];
        let other = ModelCase { device, ..case(&copy, &state, (2, 5)) };
        let message = other.open().err().unwrap();
        assert!(message.contains("a GPU (its driver)") && message.contains("doctor"), "{message}");
    }

    #[test]
    fn a_session_checks_every_output_and_knows_its_cost() {
        let (copy, state) = (Copy::of("bert-tiny"), tempfile::tempdir().unwrap());
        let mut session = case(&copy, &state, (2, 5)).open().unwrap();
        let checks = session.verify().unwrap();
        let names: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["last_hidden_state", "pooler_output"]);
        assert!(checks.iter().all(OutputCheck::passes), "{checks:?}");
        let metrics = session.metrics();
        assert_eq!(metrics.items_per_run, Some(2));
        assert!(metrics.first_run_ns > Some(0) && metrics.operations_per_run > Some(100_000));
        assert!(session.run().unwrap() > Duration::ZERO);
    }

    #[test]
    fn a_reference_of_other_numbers_fails_the_session() {
        let (copy, state) = (Copy::of("bert-tiny"), tempfile::tempdir().unwrap());
        let mut session = case(&copy, &state, (2, 5)).open().unwrap();
        assert!(session.verify().unwrap().iter().all(OutputCheck::passes));
        // The same weights by digest, others by content: what the reference remembers no longer fits.
        copy.edit("model.safetensors", |t| change(t, "pooler.dense.bias", 0, |v| v + 1.0));
        let other = case(&copy, &state, (2, 5));
        let fresh = Copy::of("bert-tiny");
        let digest = case(&fresh, &state, (2, 5));
        other.opened.weights_digest.set(digest.opened.weights_digest().map(Into::into)).unwrap();
        let checks = other.open().unwrap().verify().unwrap();
        let wrong: Vec<_> = checks.iter().filter(|c| !c.passes()).map(|c| &c.name).collect();
        assert_eq!(wrong, ["pooler_output"]);
    }
}
