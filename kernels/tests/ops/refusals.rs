//! What a device refuses: an error that says what was wrong, never a panic, never garbage.

use crate::check::{Case, Recipe, compare};
use crate::endpoints::{Endpoint, endpoints};
use proofmark_kernels::{Binding, Builder, Error, Kind, Precision, Tensor};

/// Runs a case with these inputs and gives the error. A good run must follow, as if nothing had been.
#[track_caller]
fn refused(endpoint: &Endpoint, case: &Case, inputs: &[Tensor]) -> String {
    let device = endpoint.device;
    let mut program =
        device.prepare(&case.graph, &case.weights(), Precision::F32).expect("a program");
    let error = match program.run(inputs) {
        Ok(_) => panic!("{} took {inputs:?}", endpoint.name),
        Err(error) => error.to_string(),
    };
    let (found, _) = program.run(&case.inputs).expect("a good run");
    compare(&case.expected(Precision::F32), found, &case.graph).expect("a good run");
    error
}

fn gather() -> Case {
    let mut r = Recipe::new(1);
    let table = r.weight(&[7, 3]);
    let ids = r.indices(&[2, 2], 7);
    let y = r.builder.gather(table, ids).expect("a gather");
    r.output(y);
    r.finish()
}

#[test]
fn an_index_outside_the_table() {
    for endpoint in endpoints() {
        for bad in [7, -1, i32::MAX, i32::MIN] {
            let message = refused(&endpoint, &gather(), &[Tensor::i32([2, 2], vec![0, 1, bad, 2])]);
            assert!(message.contains(&bad.to_string()) && message.contains("0..7"), "{message}");
        }
    }
}

/// Only rows that are gathered must exist: an index that a slice drops is nobody's business.
#[test]
fn an_index_that_is_not_used_is_not_refused() {
    let mut r = Recipe::new(1);
    let table = r.weight(&[7, 3]);
    let ids = r.indices(&[4], 7);
    r.set_last_input(Tensor::i32([4], vec![1, 2, 99, -5]));
    let ids = r.builder.slice(ids, 0, 0, 2).unwrap();
    let y = r.builder.gather(table, ids).unwrap();
    r.output(y);
    crate::check::check_case(&r.finish());
}

#[test]
fn inputs_that_do_not_fit() {
    for endpoint in endpoints() {
        let case = gather();
        let wrong = [
            vec![],
            vec![Tensor::i32([2, 2], vec![0; 4]); 2],
            vec![Tensor::i32([4], vec![0; 4])],
            vec![Tensor::i32([2, 3], vec![0; 6])],
            vec![Tensor::f32([2, 2], vec![0.0; 4])],
        ];
        for inputs in wrong {
            let message = refused(&endpoint, &case, &inputs);
            assert!(message.contains("input0"), "{message}");
        }
    }
}

#[test]
fn weights_that_are_missing_misshapen_of_another_kind_or_not_finite() {
    let name = "weight0".to_owned();
    let given = [
        vec![],
        vec![(name.clone(), Tensor::f32([3, 7], vec![0.0; 21]))],
        vec![(name.clone(), Tensor::i32([7, 3], vec![0; 21]))],
        vec![(name.clone(), Tensor::f32([7, 3], vec![f32::NAN; 21]))],
        vec![(name, Tensor::f32([7, 3], vec![f32::INFINITY; 21]))],
    ];
    for endpoint in endpoints() {
        for weights in given.clone() {
            let case = Case { weights, ..gather() };
            let prepared =
                endpoint.device.prepare(&case.graph, &case.weights(), Precision::F32).map(drop);
            let error = prepared.expect_err("weights that do not fit");
            assert!(error.to_string().contains("weight0"), "{error}");
        }
    }
}

/// Such a weight would be an infinity on the device.
#[test]
fn a_weight_that_f16_does_not_hold() {
    let mut values = vec![0.5; 21];
    values[4] = 70_000.0;
    let weights = vec![("weight0".to_owned(), Tensor::f32([7, 3], values))];
    let case = Case { weights, ..gather() };
    let has_f16 = |endpoint: &Endpoint| endpoint.precisions.contains(&Precision::F16);
    for endpoint in endpoints().into_iter().filter(has_f16) {
        let prepared = endpoint.device.prepare(&case.graph, &case.weights(), Precision::F16);
        let error = prepared.map(drop).expect_err("a weight that does not fit");
        assert!(
            error.to_string().contains("element 4 is 70000, which does not fit f16"),
            "{error}"
        );
    }
}

#[test]
fn a_weight_that_bf16_does_not_hold() {
    let mut values = vec![0.5; 21];
    values[3] = f32::MAX;
    let weights = vec![("weight0".to_owned(), Tensor::f32([7, 3], values))];
    let case = Case { weights, ..gather() };
    let has_bf16 = |endpoint: &Endpoint| endpoint.precisions.contains(&Precision::Bf16);
    for endpoint in endpoints().into_iter().filter(has_bf16) {
        let prepared = endpoint.device.prepare(&case.graph, &case.weights(), Precision::Bf16);
        let error = prepared.map(drop).expect_err("a weight that does not fit").to_string();
        assert!(error.contains("element 3") && error.contains("does not fit bf16"), "{error}");
    }
}

#[test]
fn a_precision_that_a_device_lacks() {
    let case = gather();
    for endpoint in endpoints() {
        let lacking = |precision: &Precision| !endpoint.precisions.contains(precision);
        for precision in Precision::ALL.into_iter().filter(lacking) {
            let prepared = endpoint.device.prepare(&case.graph, &case.weights(), precision);
            let error = prepared.map(drop).expect_err("a precision that is not there").to_string();
            assert!(error.contains(precision.name()), "{}: {error}", endpoint.name);
        }
    }
}

/// An infinity among activations must not become a number by way of integers.
#[test]
fn what_is_not_finite_stays_so_in_every_precision() {
    let mut r = Recipe::new(1);
    let x = r.input(&[2, 3]);
    let weight = r.weight(&[4, 3]);
    let y = r.builder.linear(x, weight, None, proofmark_kernels::Activation::Identity).unwrap();
    r.output(y);
    let case = r.finish();
    let inputs = [Tensor::f32([2, 3], vec![1.0, f32::INFINITY, 2.0, 0.5, 0.25, f32::NAN])];
    for endpoint in endpoints() {
        for &precision in &endpoint.precisions {
            let prepared = endpoint.device.prepare(&case.graph, &case.weights(), precision);
            let mut program = prepared.expect("a program");
            let (found, _) = program.run(&inputs).expect("a run");
            let found = found[0].to_f64();
            assert!(
                found.iter().all(|y| !y.is_finite()),
                "{} {precision}: {found:?}",
                endpoint.name
            );
        }
    }
}

#[test]
fn a_value_that_no_address_space_holds_is_refused_before_any_device() {
    let mut builder = Builder::new(Binding::default());
    let huge = 1_usize << 40;
    let refused = builder.input("x", Kind::Float, &[huge.into(), huge.into()]);
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
    let refused = builder.weight("w", &[huge, huge]);
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
    let column = builder.input("column", Kind::Float, &[huge.into(), 1.into()]).unwrap();
    let row = builder.input("row", Kind::Float, &[huge.into()]).unwrap();
    let refused = builder.add(column, row);
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
}

#[test]
fn an_empty_input_is_refused_before_any_device() {
    let mut builder = Builder::new(Binding::batch_sequence(0, 3));
    let sizes = [proofmark_kernels::BATCH.into(), proofmark_kernels::SEQUENCE.into()];
    let refused = builder.input("ids", Kind::Index, &sizes);
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
    let refused = builder.weight("w", &[3, 0]);
    assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
}
