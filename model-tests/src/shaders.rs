//! Every shader of every family is valid WGSL to every browser that is here, the tiles for hardware included, which
//! no software adapter runs.

use crate::catalogue::{MODELS, Origin};
use crate::targets::BROWSERS;
use proofmark_browser::{BrowserDevice, Wishes};
use proofmark_kernels::webgpu::{Plan, Target};
use proofmark_kernels::{Device as _, Error, Precision, fold};
use std::collections::BTreeSet;

/// The texts of all models of the repository at their goldens' shapes.
fn texts(precision: Precision) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    let own = MODELS.iter().filter(|model| matches!(model.origin, Origin::Repository(_)));
    for model in own {
        let checkpoint = model.open().unwrap();
        for (_, binding) in model.goldens().take(1) {
            let graph = checkpoint.graph(&binding).unwrap();
            let (graph, _) = fold(&graph, checkpoint.weights()).unwrap();
            let plan = Plan::new(&graph, precision, &Target::unlimited()).unwrap();
            texts.extend(plan.shaders.into_iter().map(|shader| shader.text));
        }
    }
    assert!(texts.len() > 20, "only {} texts: this test looks in the wrong place", texts.len());
    texts
}

#[test]
fn every_browser_takes_every_shader_of_every_family() {
    let all = [Precision::F32, Precision::F16].map(|precision| (precision, texts(precision)));
    for browser in &BROWSERS {
        let device = match browser.open(None, Wishes::default()) {
            Ok(BrowserDevice::WebGpu(device)) => device,
            Ok(BrowserDevice::WebNn(_)) => continue,
            Err(Error::Absent { detail, .. }) => {
                eprintln!("{} is not tested: {detail}", browser.name);
                continue;
            }
            Err(why) => panic!("{why}"),
        };
        let half = device.identity().features.iter().any(|feature| feature == "shader-f16");
        for (precision, texts) in &all {
            if *precision == Precision::F16 && !half {
                continue;
            }
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            let faults: Vec<_> = device.check(&texts).unwrap().into_iter().flatten().collect();
            assert!(faults.is_empty(), "{} {precision}: {}", browser.name, faults.join("\n\n"));
        }
        // The test can fail: what is no WGSL is complained of, with the line.
        let wrong = "@compute @workgroup_size(1)\nfn main() { let x: u32 = 1.5; }";
        let fault = device.check(&[wrong]).unwrap().remove(0).unwrap();
        assert!(fault.contains("2:"), "{fault}");
    }
}
