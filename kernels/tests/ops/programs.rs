//! Programs over time: run twice, interleaved, timed.

use crate::check::{Case, Recipe, compare};
use crate::endpoints::endpoints;
use proofmark_kernels::{Activation, Precision};

fn small_model(seed: u64, width: usize) -> Case {
    let mut r = Recipe::new(seed);
    let ids = r.indices(&[3], 10);
    let x = r.input(&[3, width]);
    let (table, weight, bias) =
        (r.weight(&[10, width]), r.weight(&[width, width]), r.weight(&[width]));
    let rows = r.builder.gather(table, ids).expect("a gather");
    let sum = r.builder.add(rows, x).expect("a sum");
    let y = r.builder.linear(sum, weight, Some(bias), Activation::Relu).expect("a layer");
    r.output(y);
    r.finish()
}

#[test]
fn one_program_with_other_inputs_and_the_first_again() {
    for endpoint in endpoints() {
        let first = small_model(1, 17).rounded(Precision::F32);
        let second = first.with_other_inputs(2);
        let device = endpoint.device;
        let mut program = device.prepare(&first.graph, &first.weights(), Precision::F32).unwrap();
        for case in [&first, &second, &first, &second] {
            let (found, _) = program.run(&case.inputs).unwrap();
            compare(&case.expected(Precision::F32), found, &case.graph).unwrap();
        }
    }
}

#[test]
fn two_programs_of_one_device_take_turns() {
    for endpoint in endpoints() {
        let cases = [small_model(1, 17), small_model(2, 33)];
        let mut programs = cases.each_ref().map(|case| {
            endpoint.device.prepare(&case.graph, &case.weights(), Precision::F32).unwrap()
        });
        for _ in 0..2 {
            for (case, program) in cases.iter().zip(&mut programs) {
                let (found, _) = program.run(&case.inputs).unwrap();
                compare(&case.expected(Precision::F32), found, &case.graph).unwrap();
            }
        }
    }
}

#[test]
fn a_timed_run_names_its_nodes_and_spoils_nothing() {
    for endpoint in endpoints() {
        let case = small_model(1, 17);
        let device = endpoint.device;
        let mut program = device.prepare(&case.graph, &case.weights(), Precision::F32).unwrap();
        let timing = program.run_timed(&case.inputs).unwrap();
        assert!(!timing.whole.is_zero());
        if !timing.ops.is_empty() {
            let names: Vec<_> = timing.ops.iter().map(|op| op.name.as_str()).collect();
            assert!(
                names.iter().any(|n| n.contains("linear") && n.contains("weight1")),
                "{names:?}"
            );
        }
        let (found, time) = program.run(&case.inputs).unwrap();
        compare(&case.expected(Precision::F32), found, &case.graph).unwrap();
        assert!(!time.is_zero());
    }
}
