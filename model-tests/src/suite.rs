//! The suite: every model at its shapes on every endpoint, as cases that are made by one explicit function.

use crate::catalogue::{MODELS, Model, find};
use crate::subject::{Inputs, ModelCase, Opened};
use crate::targets::{TARGETS, Target};
use crate::tools;
use proofmark::{Absence, Case, CaseId, Expectation, Finding, Isolation, Mark, Request, Suite};
use proofmark_kernels::{Binding, Precision};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Failures that are known. None is.
const EXPECTATIONS: &[Expectation] = &[];

/// The suite that `cargo test`, `cargo bench` and `cargo xtask` run.
pub fn suite() -> Suite {
    let suite = Suite::new("models", env!("CARGO_MANIFEST_DIR"), cases)
        .fetch(|name| {
            let fetched = find(name).and_then(Model::fetch);
            fetched.map(drop).map_err(|e| format!("failed to {e}"))
        })
        .snapshots("../snapshots")
        .expectations(EXPECTATIONS);
    let suite = TARGETS.iter().fold(suite, |suite, target| suite.driver(target.driver()));
    tools::add(suite)
}

/// The cases in the order in which they are shown: by model, endpoint, precision, shape.
fn cases(request: &Request<'_>) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for model in &MODELS {
        let opened = Arc::new(Opened::new(model, request.state));
        let missing = model.absence();
        for target in &TARGETS {
            let finding = request.finding(&target.endpoint);
            for &precision in target.precisions {
                let absence = absence(&finding, precision).or_else(|| {
                    let reason = missing.clone()?;
                    Some(Absence::Resource { name: model.name.into(), reason })
                });
                for shape in shapes(model, &finding, request.batches) {
                    let inputs = if shape == model.golden_shape {
                        Inputs::Golden(model.golden_path())
                    } else {
                        Inputs::Made
                    };
                    let subject = ModelCase {
                        opened: Arc::clone(&opened),
                        target,
                        precision,
                        binding: Binding::batch_sequence(shape.0, shape.1),
                        inputs,
                        device: device(&finding),
                    };
                    cases.push(case(model, target, subject, absence.clone())?);
                }
            }
        }
    }
    Ok(cases)
}

fn device(finding: &Finding) -> [String; 2] {
    [&finding.adapter, &finding.driver].map(|text| text.clone().unwrap_or_default())
}

fn case(
    model: &'static Model,
    target: &'static Target,
    subject: ModelCase,
    absence: Option<Absence>,
) -> Result<Case, String> {
    let shape = subject.binding.to_string();
    // Only shapes of the suite's own have accepted outputs; others are asked for by batch sizes of the user.
    let own = [model.shapes, model.software_shapes, &[model.golden_shape]].concat();
    let own = own.iter().any(|&(b, s)| Binding::batch_sequence(b, s) == subject.binding);
    Ok(Case {
        id: CaseId::new(model.name, target.endpoint.clone(), subject.precision.name(), &shape)?,
        isolation: Isolation::Process,
        absence,
        snapshot: own.then(|| format!("{}.{shape}", model.name)),
        subject: Arc::new(subject),
    })
}

/// Why nothing can run on an endpoint in a precision.
fn absence(finding: &Finding, precision: Precision) -> Option<Absence> {
    if let Some(reason) = finding.absence() {
        return Some(Absence::Endpoint { reason: reason.to_owned() });
    }
    let plain = |name: &String| name.to_lowercase().replace(['_', '-'], "");
    let half = finding.features.iter().any(|name| plain(name) == "shaderf16");
    (precision == Precision::F16 && !half).then(|| {
        let adapter = finding.adapter.as_deref().unwrap_or("the adapter");
        Absence::Endpoint { reason: format!("{adapter} has no shader-f16, which f16 needs") }
    })
}

/// The golden's shape, then the model's own; with batch sizes of the user, every sequence length at those.
fn shapes(model: &Model, finding: &Finding, batches: Option<&[usize]>) -> Vec<(usize, usize)> {
    let software = finding.mark == Some(Mark::Software);
    let own = if software { model.software_shapes } else { model.shapes };
    let Some(batches) = batches else {
        return [&[model.golden_shape], own].concat();
    };
    let sequences: BTreeSet<_> = own.iter().map(|&(_, sequence)| sequence).collect();
    let pairs = sequences.iter().flat_map(|&s| batches.iter().map(move |&b| (b, s)));
    pairs.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_their_family_and_no_shape_is_given_twice() {
        for model in &MODELS {
            assert_eq!(model.family(), "bert");
            for own in [model.shapes, model.software_shapes] {
                let all: BTreeSet<_> = own.iter().chain([&model.golden_shape]).collect();
                assert_eq!(all.len(), own.len() + 1, "{}", model.name);
            }
        }
    }

    #[test]
    fn batch_sizes_of_the_user_replace_the_suites_own() {
        let model = find("bert-minilm").unwrap();
        let cpu =
            Finding { mark: Some(Mark::Real), ..Finding::absent(TARGETS[0].endpoint.clone(), "") };
        let shapes = |batches| shapes(model, &cpu, batches);
        assert_eq!(shapes(None), [(2, 11), (1, 16), (1, 128), (8, 128)]);
        assert_eq!(shapes(Some(&[2, 4][..])), [(2, 16), (2, 128), (4, 16), (4, 128)]);
    }

    #[test]
    fn half_precision_needs_the_adapter_to_have_it() {
        let mut finding =
            Finding { mark: Some(Mark::Real), ..Finding::absent(TARGETS[1].endpoint.clone(), "") };
        assert!(
            absence(&finding, Precision::F16).is_some_and(|a| a.reason().contains("shader-f16"))
        );
        assert_eq!(absence(&finding, Precision::F32), None);
        finding.features = vec!["SHADER_F16".into()];
        assert_eq!(absence(&finding, Precision::F16), None);
    }
}
