//! `verify`: a checkpoint on an endpoint against a golden file of an independent implementation.

use super::{open, table};
use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::execution::{run_with, target};
use crate::golden::{Golden, Numbers, compare};
use crate::targets::Target;
use clap::Parser;
use proofmark_browser::Fallback;
use proofmark_kernels::{Fallback as Lacking, Precision, Tensor};
use std::path::PathBuf;

/// Checks a checkpoint against the outputs in a golden file. Exit code 0 only if every output matches.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
pub(super) struct Args {
    /// A folder with config.json and model.safetensors, or shards of it
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// A safetensors file with `input.<forward argument>` and `output.<name>`
    #[arg(long, value_name = "FILE")]
    golden: PathBuf,
    /// Where to run it
    #[arg(long, default_value = "cpu")]
    endpoint: String,
    /// The format of its floats: f32 or f16
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// Let what WebNN of a browser lacks run elsewhere; each such op is told
    #[arg(long)]
    allow_fallback: bool,
}

pub(super) fn run(args: &Args) -> Result<bool, Error> {
    let target = target(&args.endpoint)?;
    let golden = Golden::open(&args.golden)?;
    let checkpoint = open(&args.checkpoint)?;
    let fallback = if args.allow_fallback { Fallback::Allowed } else { Fallback::Refused };
    Ok(table::print(&check(&checkpoint, &golden, target, (args.precision, fallback))?))
}

/// Runs the checkpoint on the golden's inputs and compares every output that the golden holds.
pub(super) fn check(
    checkpoint: &Checkpoint,
    golden: &Golden,
    target: &Target,
    (precision, fallback): (Precision, Fallback),
) -> Result<Vec<table::Row>, Error> {
    let (binding, given) = golden.inputs(checkpoint.family())?;
    let graph = checkpoint.graph(&binding)?;
    let inputs = checkpoint.tensors(&graph, &binding, &given)?;
    let names: Vec<_> = graph.outputs().iter().map(|(name, _)| name.as_str()).collect();
    golden.check_outputs(checkpoint.family(), &names)?;
    let run = run_with(target, (precision, fallback), checkpoint, &graph, &inputs)?;
    for Lacking { op, why, to } in &run.fallbacks {
        println!("fallback: {op} ran on {to}: {why}");
    }
    let family = checkpoint.family().name();
    println!(
        "{family} {binding} in {precision} on {}: {}",
        target.endpoint,
        table::device(&run.device)
    );
    let tolerance = target.tolerance(precision);
    let expected = |name: &str| golden.outputs.get(name);
    let found = run.outputs.iter().filter_map(|(name, found)| Some((name, found, expected(name)?)));
    Ok(found.map(|(name, found, expected)| row(name, found, expected, tolerance)).collect())
}

fn row(name: &str, found: &Tensor, expected: &Numbers, tolerance: f64) -> table::Row {
    let check = compare(name, found, expected, tolerance);
    let not_finite = |values: &[f64]| values.iter().filter(|v| !v.is_finite()).count();
    let values = found.to_f64();
    let fault = if found.shape() != expected.shape {
        Some(format!("the golden's shape is {:?}", expected.shape))
    } else {
        match (not_finite(&values), not_finite(&expected.values)) {
            (0, 0) => None,
            (0, n) => Some(format!("{n} elements of the golden are not finite")),
            (n, _) => Some(format!("{n} elements are not finite")),
        }
    };
    let differences = values.iter().zip(&expected.values).map(|(f, e)| (f - e).abs());
    let max_abs = check.error.map(|_| differences.fold(0.0, f64::max));
    table::Row { check, max_abs, fault }
}

#[cfg(test)]
mod tests {
    use super::super::code;
    use super::*;
    use crate::testing::{Copy, Tensors, change, read, write};
    use half::{bf16, f16};
    use proofmark_kernels::{Weights, evaluate};
    use safetensors::Dtype;
    use serde_json::{Value, json};

    fn verify_on(copy: &Copy, endpoint: &str) -> Result<bool, Error> {
        run(&Args {
            checkpoint: copy.folder().into(),
            golden: copy.path("golden.safetensors"),
            endpoint: endpoint.into(),
            precision: Precision::F32,
            allow_fallback: false,
        })
    }

    fn verify(copy: &Copy) -> Result<bool, Error> {
        verify_on(copy, "cpu")
    }

    /// Bad input: exit code 2 and a message that says this.
    #[track_caller]
    fn check_refused(copy: &Copy, says: &str) {
        let result = verify(copy);
        assert_eq!(code(&result), 2, "{result:?}");
        let message = result.unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    /// Changed goldens: exit code 1.
    #[track_caller]
    fn check_fails(edit: impl FnOnce(&mut Tensors)) {
        let copy = Copy::of("bert-tiny");
        copy.edit("golden.safetensors", edit);
        let result = verify(&copy);
        assert_eq!(code(&result), 1, "{result:?}");
    }

    #[test]
    fn the_committed_checkpoints_match_their_goldens_wherever_they_can_run() {
        for name in ["bert-tiny", "bert-odd"] {
            let copy = Copy::of(name);
            assert!(verify(&copy).unwrap(), "{name}");
            match verify_on(&copy, "webgpu-native") {
                Ok(passed) => assert!(passed, "{name}"),
                Err(error) if error.is_absence() => eprintln!("{name} not checked there: {error}"),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }

    #[test]
    fn one_wrong_element_fails() {
        let scale = 4.0;
        for index in [0, 500, 3 * 12 * 32 - 1] {
            check_fails(|t| {
                change(t, "output.last_hidden_state", index, |v| v + 0.01 * scale);
            });
        }
        check_fails(|t| change(t, "output.pooler_output", 95, |v| v - 0.01));
    }

    #[test]
    fn what_is_not_a_number_and_another_shape_fail() {
        for index in [0, 3 * 12 * 32 - 1] {
            check_fails(|t| change(t, "output.last_hidden_state", index, |_| f32::NAN));
        }
        check_fails(|t| {
            t.get_mut("output.last_hidden_state").unwrap().1 = vec![12, 3, 32];
        });
    }

    #[test]
    fn every_input_counts() {
        let names = ["input_ids", "attention_mask", "token_type_ids"];
        for (name, index) in names.into_iter().zip([0, 1, 2]) {
            check_fails(|tensors| {
                let (dtype, _, bytes) = tensors.get_mut(&format!("input.{name}")).unwrap();
                assert_eq!(*dtype, Dtype::I64);
                bytes[8 * index] ^= 1;
            });
        }
    }

    #[test]
    fn optional_inputs_have_the_defaults_of_the_model_class() {
        let copy = Copy::of("bert-tiny");
        let all = |tensors: &mut Tensors, name: &str, value: u8| {
            let (_, _, bytes) = tensors.get_mut(name).unwrap();
            bytes.chunks_mut(8).for_each(|chunk| chunk[0] = value);
        };
        // What the checkpoint computes for explicit defaults must be what it computes without them.
        copy.edit("golden.safetensors", |t| {
            all(t, "input.attention_mask", 1);
            all(t, "input.token_type_ids", 0);
        });
        let outputs = |copy: &Copy| {
            let checkpoint = Checkpoint::open(copy.folder()).unwrap();
            let golden = Golden::open(&copy.path("golden.safetensors")).unwrap();
            let (binding, given) = golden.inputs(checkpoint.family()).unwrap();
            let graph = checkpoint.graph(&binding).unwrap();
            let inputs = checkpoint.tensors(&graph, &binding, &given).unwrap();
            let cpu = target("cpu").unwrap();
            run_with(cpu, (Precision::F32, Fallback::Refused), &checkpoint, &graph, &inputs)
                .unwrap()
                .outputs
        };
        let explicit = outputs(&copy);
        copy.edit("golden.safetensors", |t| {
            t.remove("input.attention_mask");
            t.remove("input.token_type_ids");
        });
        assert_eq!(outputs(&copy), explicit);
    }

    #[test]
    fn bad_goldens_say_what_is_possible() {
        let check = |says: &str, edit: &dyn Fn(&mut Tensors)| {
            let copy = Copy::of("bert-tiny");
            copy.edit("golden.safetensors", edit);
            check_refused(&copy, says);
        };
        let renamed = |from: &'static str, to: &'static str| {
            move |t: &mut Tensors| {
                let tensor = t.remove(from).unwrap();
                t.insert(to.into(), tensor);
            }
        };
        check(
            "`input.pixels` is not supported: the inputs of bert are input_ids, attention_mask",
            &renamed("input.token_type_ids", "input.pixels"),
        );
        check(
            "`output.logits` is not supported: this checkpoint's outputs are last_hidden_state, pooler_output",
            &renamed("output.pooler_output", "output.logits"),
        );
        check(
            "heads of BertFor… classes are not run; last_hidden_state is possible, and pooler_output",
            &renamed("output.pooler_output", "output.logits"),
        );
        check("neither `input.…` nor `output.…`", &renamed("output.pooler_output", "pooler"));
        check("`input.input_ids` is missing", &|t| drop(t.remove("input.input_ids")));
        // Without any input nothing binds the sizes; that must not be what is told.
        check("`input.input_ids` is missing", &|t| t.retain(|name, _| name.starts_with("output.")));
        check("holds no `output.…`", &|t| t.retain(|name, _| name.starts_with("input.")));
        check("element 0 is 255: whole numbers in 0..104", &|t| {
            t.get_mut("input.input_ids").unwrap().2[0] = 255;
        });
        check("take the input `attention_mask`: its shape is [12, 3]", &|t| {
            t.get_mut("input.attention_mask").unwrap().1 = vec![12, 3];
        });
        check("2 axes are needed", &|t| t.get_mut("input.input_ids").unwrap().1 = vec![36]);
    }

    /// `input.position_ids` of this shape, which counts from `first` in rows of 12.
    fn positions(shape: &[usize], first: usize) -> (Dtype, Vec<usize>, Vec<u8>) {
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| i32::try_from(i % 12 + first).unwrap());
        (Dtype::I32, shape.to_vec(), values.flat_map(i32::to_le_bytes).collect())
    }

    #[test]
    fn positions_that_count_from_0_are_the_models_own() {
        let with = |shape: &[usize], first: usize| {
            let copy = Copy::of("bert-tiny");
            copy.edit("golden.safetensors", |t| {
                t.insert("input.position_ids".into(), positions(shape, first));
            });
            copy
        };
        for shape in [&[12][..], &[1, 12], &[3, 12]] {
            assert!(verify(&with(shape, 0)).unwrap(), "{shape:?}");
            let says = "positions other than counting from 0 in every row are not supported";
            check_refused(&with(shape, 1), says);
        }
        let says =
            "`input.position_ids` has the shape [2, 12]: possible are [12], [1, 12], [3, 12]";
        check_refused(&with(&[2, 12], 0), says);
    }

    #[test]
    fn sizes_that_no_file_holds_are_refused_before_anything_is_made_of_them() {
        let check = |key: &str, size: u64, says: &str| {
            let copy = Copy::of("bert-tiny");
            copy.configure(key, Some(json!(size)));
            check_refused(&copy, says);
        };
        for size in [1_000_000_000_000, 1 << 57] {
            for (key, weight) in [
                ("vocab_size", "embeddings.word_embeddings.weight"),
                ("hidden_size", "embeddings.word_embeddings.weight"),
                ("type_vocab_size", "embeddings.token_type_embeddings.weight"),
                ("max_position_embeddings", "embeddings.position_embeddings.weight"),
                ("intermediate_size", "encoder.layer.0.intermediate.dense.weight"),
                ("num_hidden_layers", "encoder.layer.2.attention.self.query.weight"),
            ] {
                check(key, size, &format!("the weight `{weight}`"));
            }
            check("num_attention_heads", size, "`num_attention_heads` is");
        }
        check("vocab_size", 1 << 57, "[144115188075855872, 32]");
        check("num_hidden_layers", 1_000_000, "find the weight `encoder.layer.2.");
    }

    /// bert-odd with its weights in another format, and those weights as f32 numbers.
    fn encoded(format: Dtype, encode: impl Fn(f32) -> (Vec<u8>, f32)) -> (Copy, Weights) {
        let copy = Copy::of("bert-odd");
        let mut kept = Vec::new();
        copy.edit("model.safetensors", |tensors| {
            for (name, (dtype, shape, bytes)) in tensors {
                assert_eq!(*dtype, Dtype::F32);
                let chunks = bytes.as_chunks::<4>().0.iter();
                let values = chunks.map(|&chunk| encode(f32::from_le_bytes(chunk)));
                let (encoded, values): (Vec<_>, Vec<_>) = values.unzip();
                kept.push((name.clone(), Tensor::f32(shape.clone(), values)));
                (*dtype, *bytes) = (format, encoded.concat());
            }
        });
        (copy, Weights::given(kept))
    }

    #[test]
    fn weights_in_f64_match_the_golden() {
        let encode = |v: f32| (f64::from(v).to_le_bytes().to_vec(), v);
        assert!(verify(&encoded(Dtype::F64, encode).0).unwrap());
    }

    #[test]
    fn weights_in_half_formats_are_the_numbers_that_they_hold() {
        let of_f16 = |v: f32| {
            let kept = f16::from_f32(v);
            (kept.to_le_bytes().to_vec(), kept.to_f32())
        };
        let of_bf16 = |v: f32| {
            let kept = bf16::from_f32(v);
            (kept.to_le_bytes().to_vec(), kept.to_f32())
        };
        for (copy, kept) in [encoded(Dtype::F16, of_f16), encoded(Dtype::BF16, of_bf16)] {
            let checkpoint = Checkpoint::open(copy.folder()).unwrap();
            let golden = Golden::open(&copy.path("golden.safetensors")).unwrap();
            let (binding, given) = golden.inputs(checkpoint.family()).unwrap();
            let graph = checkpoint.graph(&binding).unwrap();
            let inputs = checkpoint.tensors(&graph, &binding, &given).unwrap();
            let cpu = target("cpu").unwrap();
            let run =
                run_with(cpu, (Precision::F32, Fallback::Refused), &checkpoint, &graph, &inputs)
                    .unwrap();
            let expected = evaluate(&graph, &kept, &inputs).unwrap().remove(0);
            let expected = Numbers { shape: expected.shape, values: expected.data };
            let (name, found) = &run.outputs[0];
            let tolerance = cpu.tolerance(Precision::F32);
            assert!(compare(name, found, &expected, tolerance).passes());
            // The rounding is far larger than the tolerance, so numbers of the first weights would be told apart.
            assert!(!compare(name, found, &golden.outputs[name], tolerance).passes());
        }
    }

    #[test]
    fn damaged_files_say_so() {
        for (file, keep) in [("model.safetensors", 90_000), ("model.safetensors", 5)] {
            let copy = Copy::of("bert-tiny");
            copy.truncate(file, keep);
            check_refused(&copy, "the file is damaged or incomplete, fetch it again");
        }
        let copy = Copy::of("bert-tiny");
        copy.truncate("golden.safetensors", 3000);
        check_refused(&copy, "damaged or incomplete");
        let copy = Copy::of("bert-tiny");
        std::fs::remove_file(copy.path("model.safetensors")).unwrap();
        check_refused(&copy, "there is no such file, nor an index of shards");
        std::fs::remove_file(copy.path("config.json")).unwrap();
        check_refused(&copy, "config.json");
    }

    #[test]
    fn bad_weights_are_named() {
        let copy = Copy::of("bert-tiny");
        let name = "encoder.layer.1.output.dense.weight";
        copy.edit("model.safetensors", |t| change(t, name, 7, |_| f32::NAN));
        check_refused(&copy, "`encoder.layer.1.output.dense.weight` of");
        check_refused(&copy, "element 7 is NaN");
        let copy = Copy::of("bert-tiny");
        copy.edit("model.safetensors", |t| t.get_mut(name).unwrap().1.reverse());
        check_refused(&copy, "its shape is [64, 32], the model's configuration asks for [32, 64]");
        copy.edit("model.safetensors", |t| drop(t.remove(name)));
        check_refused(&copy, "find the weight `encoder.layer.1.output.dense.weight`");
    }

    #[test]
    fn every_key_that_is_read_is_needed_or_held_to_what_can_be_done() {
        let check = |key: &str, value: Option<Value>, says: &str| {
            let copy = Copy::of("bert-tiny");
            copy.configure(key, value);
            check_refused(&copy, says);
        };
        for key in [
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
            "hidden_act",
        ] {
            check(key, None, &format!("config.json: `{key}` is missing"));
            check(key, Some(json!([])), &format!("config.json: `{key}` is []"));
        }
        check("model_type", Some(json!("gpt")), "\"gpt\", an unknown architecture: known are bert");
        check("architectures", Some(json!(["BertX"])), "\"BertX\", an unknown architecture");
        check("position_embedding_type", Some(json!("relative_key")), "possible are \"absolute\"");
        check("is_decoder", Some(json!(true)), "`is_decoder` is true, which is not supported");
        check("add_cross_attention", Some(json!(true)), "possible are false");
        check("hidden_act", Some(json!("swiglu")), "possible are gelu, ");
        check("num_attention_heads", Some(json!(5)), "must divide hidden_size, which is 32");
        check("quantization_config", Some(json!({"bits": 4})), "leave it out");
        check("max_position_embeddings", Some(json!(8)), "positions for at most 8");
    }

    #[test]
    fn a_configuration_that_names_no_family_is_refused() {
        let copy = Copy::of("bert-tiny");
        copy.configure("model_type", None);
        assert!(verify(&copy).unwrap());
        copy.configure("architectures", None);
        check_refused(&copy, "`model_type` is missing: known are bert");
    }

    #[test]
    fn shards_are_one_checkpoint() {
        let copy = Copy::of("bert-odd");
        let whole = copy.path("model.safetensors");
        let mut map = serde_json::Map::new();
        let mut shards = [Tensors::new(), Tensors::new(), Tensors::new()];
        for (i, (name, tensor)) in read(&whole).into_iter().enumerate() {
            map.insert(
                name.clone(),
                format!("model-0000{}-of-00003.safetensors", i % 3 + 1).into(),
            );
            shards[i % 3].insert(name, tensor);
        }
        for (i, shard) in shards.iter().enumerate() {
            write(&copy.path(&format!("model-0000{}-of-00003.safetensors", i + 1)), shard);
        }
        std::fs::remove_file(whole).unwrap();
        let index = json!({"metadata": {}, "weight_map": map}).to_string();
        std::fs::write(copy.path("model.safetensors.index.json"), index).unwrap();
        assert!(verify(&copy).unwrap());
        std::fs::remove_file(copy.path("model-00002-of-00003.safetensors")).unwrap();
        check_refused(&copy, "model-00002-of-00003.safetensors");
    }

    #[test]
    fn an_absent_endpoint_is_not_a_pass() {
        let copy = Copy::of("bert-tiny");
        let result = verify_on(&copy, "cuda");
        assert_eq!(code(&result), 3);
        assert!(result.unwrap_err().to_string().contains("cuda is absent"));
        let result = verify_on(&copy, "gpu-9");
        assert_eq!(code(&result), 2);
        assert!(result.unwrap_err().to_string().contains("there are cpu, cuda"));
    }
}
