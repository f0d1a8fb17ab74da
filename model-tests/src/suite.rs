//! The suite: every model at its shapes on every endpoint, as cases that are made by one explicit function.

use crate::catalogue::{MODELS, Model, Origin, binding, find};
use crate::subject::{Inputs, ModelCase, Opened};
use crate::targets::{TARGETS, Target};
use crate::tools;
use proofmark::{
    Absence, Case, CaseId, Endpoint, Expectation, Finding, Isolation, Mark, Request, Suite,
};
use proofmark_browser::Fallback;
use proofmark_kernels::{BATCH, Binding, Precision};
use std::path::PathBuf;
use std::sync::Arc;

/// Failures that are known.
const EXPECTATIONS: &[Expectation] = &[Expectation {
    endpoint: Endpoint::WEBNN_CHROMIUM,
    model: "detr-odd",
    driver: "chrome-headless-shell 147.",
    message: "the page is gone",
    link: "docs/webnn.md",
}];

/// The suite's name, as records have it.
pub(crate) const NAME: &str = "models";

/// The suite that `cargo test`, `cargo bench` and `cargo xtask` run.
pub fn suite() -> Suite {
    let suite = Suite::new(NAME, env!("CARGO_MANIFEST_DIR"), cases)
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
        let missing = opened.absence();
        for target in &TARGETS {
            let finding = request.finding(&target.endpoint);
            for &precision in target.precisions {
                let absence = absence(&finding, precision).or_else(|| {
                    let reason = missing?.to_owned();
                    Some(Absence::Resource { name: model.name.into(), reason })
                });
                for (binding, golden) in shapes(model, target, &finding, precision, request.batches)
                {
                    let subject = ModelCase {
                        opened: Arc::clone(&opened),
                        target,
                        precision,
                        binding,
                        inputs: golden.map_or(Inputs::Made, Inputs::Golden),
                        device: device(&finding),
                        fallback: match request.allow_fallback {
                            true => Fallback::Allowed,
                            false => Fallback::Refused,
                        },
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
    let goldens = model.goldens.iter().map(|&(_, shape)| shape);
    let own = model.shapes.iter().chain(model.software_shapes).copied().chain(goldens);
    let own = own.into_iter().any(|own| own == shape);
    // Right outputs below f32 lie anywhere within their tolerance, so that no summary of theirs serves every endpoint;
    // and weights from a seed give outputs that mean nothing. Both are held to the reference only.
    let own = own && subject.precision == Precision::F32 && !model.is_seeded();
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

/// The shapes of the goldens, then the model's own; with batch sizes of the user, its own at those.
///
/// Precisions below f32, and browsers, are measured at the first of them: kernels differ in them, shapes do not.
/// Models with real weights are measured in browsers at their own shapes too.
fn shapes(
    model: &Model,
    target: &Target,
    finding: &Finding,
    precision: Precision,
    batches: Option<&[usize]>,
) -> Vec<(Binding, Option<PathBuf>)> {
    let software = finding.mark == Some(Mark::Software);
    let own = if software { model.software_shapes } else { model.shapes };
    let own = own.iter().map(|shape| binding(shape));
    let Some(batches) = batches else {
        let goldens = model.goldens().map(|(path, binding)| (binding, Some(path)));
        let all = goldens.chain(own.map(|binding| (binding, None)));
        let full = !target.is_in_browser() || matches!(model.origin, Origin::Wheel(_));
        let count = if precision == Precision::F32 && full { usize::MAX } else { 1 };
        return all.take(count).collect();
    };
    let mut asked: Vec<(Binding, Option<PathBuf>)> = Vec::new();
    for own in own {
        for &batch in batches {
            let wanted = own.clone().with(BATCH, batch);
            if asked.iter().all(|(other, _)| *other != wanted) {
                asked.push((wanted, None));
            }
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;
    use std::collections::BTreeSet;

    #[test]
    fn names_begin_with_their_family_and_no_shape_is_given_twice() {
        for model in &MODELS {
            if let Ok(checkpoint) = model.open() {
                assert_eq!(model.family(), checkpoint.family().name());
            }
            let goldens = model.goldens.iter().map(|&(_, shape)| shape);
            for own in [model.shapes, model.software_shapes] {
                let all: Vec<_> = own.iter().copied().chain(goldens.clone()).collect();
                let distinct: BTreeSet<_> = all.iter().collect();
                assert_eq!(all.len(), distinct.len(), "{}", model.name);
                // What the catalogue writes is what ids show.
                assert!(all.iter().all(|shape| binding(shape).to_string() == **shape));
            }
        }
    }

    #[test]
    fn goldens_have_the_shapes_that_the_catalogue_says() {
        for model in &MODELS {
            let Ok(checkpoint) = model.open() else { continue };
            for (path, expected) in model.goldens() {
                let golden = Golden::open(&path).unwrap();
                let (found, _) = golden.inputs(checkpoint.family()).unwrap();
                assert_eq!(found, expected, "{}", path.display());
            }
        }
    }

    #[test]
    fn batch_sizes_of_the_user_replace_the_suites_own() {
        let model = find("bert-minilm").unwrap();
        let cpu =
            Finding { mark: Some(Mark::Real), ..Finding::absent(TARGETS[0].endpoint.clone(), "") };
        let shapes = |precision, batches| {
            let shapes = shapes(model, &TARGETS[0], &cpu, precision, batches).into_iter();
            shapes.map(|(binding, _)| binding.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(shapes(Precision::F32, None), ["b2-s11", "b1-s16", "b1-s128", "b8-s128"]);
        assert_eq!(shapes(Precision::Int8, None), ["b2-s11"]);
        let asked = shapes(Precision::Bf16, Some(&[2, 4][..]));
        assert_eq!(asked, ["b2-s16", "b4-s16", "b2-s128", "b4-s128"]);
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
