//! Every text that plans can hold is valid WGSL within the limits that every adapter has, and plans keep their
//! promises; no adapter is needed for it.

use super::plan::{Access, Content, Lanes, Plan, Target};
use super::texts::Kernel;
use crate::{
    Activation, BinaryOp, Binding, Builder, Error, Graph, Kind, Op, Precision, Reduction, Tensor,
    UnaryOp, Value, Window,
};
use std::collections::BTreeSet;
use wgpu::naga::front::wgsl;
use wgpu::naga::proc::Layouter;
use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};
use wgpu::naga::{AddressSpace, Module};

/// WebGPU's default limits, which no adapter may fall below.
const STORAGE_BUFFERS_MAX: usize = 8;
const INVOCATIONS_MAX: u32 = 256;
const WORKGROUP_BYTES_MAX: u32 = 16_384;

fn input(b: &mut Builder, name: &str, kind: Kind, shape: &[usize]) -> Value {
    let sizes: Vec<_> = shape.iter().map(|&size| size.into()).collect();
    b.input(name, kind, &sizes).expect("an input")
}

/// Every op with every attribute that chooses a variant, at a small and at a large size.
fn graph(size: usize) -> Result<Graph, Error> {
    let mut b = Builder::new(Binding::default());
    let x = input(&mut b, "x", Kind::Float, &[2, size, 2 * size]);
    let ids = input(&mut b, "ids", Kind::Index, &[2, size]);
    let weight = b.weight("weight", &[size, 2 * size])?;
    let (row, wide) = (b.weight("row", &[size])?, b.weight("wide", &[2 * size])?);
    let mut made = vec![b.gather(weight, ids)?, b.to_float(ids)?];
    for activation in Activation::ALL {
        made.push(b.linear(x, weight, Some(row), activation)?);
        made.push(b.linear(x, weight, None, activation)?);
        let plain = b.linear(x, weight, None, Activation::Identity)?;
        let residual = made[made.len() - 1];
        made.push(b.add(plain, residual)?);
    }
    made.push(b.matmul(x, weight, true)?);
    let turned = b.transpose(weight, &[1, 0])?;
    made.push(b.matmul(x, turned, false)?);
    for options in 0..8 {
        let (causal, mask, bias) = (options & 1 != 0, options & 2 != 0, options & 4 != 0);
        let heads = if size == 1 { 1 } else { 2 };
        let op = Op::Attention { heads, kv_heads: heads, scale: 0.5, causal, mask, bias };
        let mut operands = vec![x, x, x];
        operands.extend(mask.then_some(ids));
        if bias {
            operands.push(b.weight("bias", &[1, 1, size, size])?);
        }
        made.push(b.push(op, &operands)?);
    }
    made.push(b.layer_norm(x, wide, wide, 1e-5)?);
    made.push(b.rms_norm(x, wide, 1e-5)?);
    made.push(b.group_norm(x, [row, row], 1, 1e-5)?);
    let angles = b.constant(Tensor::f32([1, size, size], vec![0.5; size * size]))?;
    made.push(b.rotary(x, [angles, angles], 1)?);
    windows(&mut b, x, &mut made)?;
    made.push(b.softmax(x)?);
    UnaryOp::all().into_iter().try_for_each(|op| b.unary(op, x).map(|y| made.push(y)))?;
    BinaryOp::ALL.into_iter().try_for_each(|op| b.binary(op, x, wide).map(|y| made.push(y)))?;
    for (op, axis) in Reduction::ALL.into_iter().flat_map(|op| [(op, 1), (op, 2)]) {
        made.push(b.reduce(op, x, axis, false)?);
    }
    made.push(b.slice(ids, 1, 0, 1)?);
    made.push(b.concat(&[x, x], 1)?);
    for (i, value) in made.into_iter().enumerate() {
        b.output(&i.to_string(), value)?;
    }
    b.finish()
}

/// Convolutions of one group, of a few groups and of each channel alone, with all that is fused behind them.
fn windows(b: &mut Builder, x: Value, made: &mut Vec<Value>) -> Result<(), Error> {
    let &[batch, rows, columns] = b.type_of(x).shape.as_slice() else { unreachable!() };
    let image = b.reshape(x, &[batch, rows, 1, columns])?;
    made.push(b.max_pool(image, Window::new([1, 2]))?);
    let bias = b.weight("row", &[rows])?;
    for (window, groups) in [([1, 1], 1), ([1, 2], 1), ([1, 2], rows)] {
        let name = format!("filter {window:?} {groups}");
        let weight = b.weight(&name, &[rows, rows / groups, window[0], window[1]])?;
        let conv = |b: &mut Builder, bias: Option<Value>, activation: Activation| {
            b.conv([image, weight], bias, Window::new(window), groups, activation)
        };
        for activation in Activation::ALL {
            let bare = conv(b, None, activation)?;
            let full = conv(b, Some(bias), Activation::Identity)?;
            let sum = b.add(full, bare)?;
            made.extend([bare, b.unary(UnaryOp::Activate(activation), sum)?]);
        }
    }
    Ok(())
}

fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for size in [1, 2, 40, 600] {
        let graph = graph(size).expect("a graph");
        for precision in [Precision::F32, Precision::F16] {
            for software in [None, Some(Lanes::Four), Some(Lanes::Eight)] {
                let target = Target { software, ..Target::unlimited() };
                plans.push(Plan::new(&graph, precision, &target).expect("a plan"));
            }
        }
    }
    plans
}

/// Bytes of workgroup memory that a module declares.
fn workgroup_bytes(module: &Module) -> u32 {
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx()).expect("a layout");
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
    shared.map(|(_, variable)| layouter[variable.ty].size).sum()
}

#[test]
fn every_text_is_valid_and_within_the_limits_of_every_adapter() {
    let mut seen = BTreeSet::new();
    let plans = plans();
    let kernels: BTreeSet<_> = plans.iter().flat_map(Plan::kernels).collect();
    assert!(kernels.iter().eq(&Kernel::ALL.into_iter().collect::<BTreeSet<_>>()), "{kernels:?}");
    for plan in &plans {
        for shader in plan.shaders.iter().filter(|shader| seen.insert(shader.text.clone())) {
            let text = &shader.text;
            let module = wgsl::parse_str(text)
                .unwrap_or_else(|why| panic!("{}\n{text}", why.emit_to_string(text)));
            let mut validator =
                Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16);
            if let Err(why) = validator.validate(&module) {
                panic!("{why:?}\n{text}");
            }
            assert!(shader.access.len() <= STORAGE_BUFFERS_MAX, "{text}");
            assert!(workgroup_bytes(&module) <= WORKGROUP_BYTES_MAX, "{text}");
            let invocations: u32 = module.entry_points[0].workgroup_size.iter().product();
            assert!(invocations <= INVOCATIONS_MAX, "{invocations} invocations\n{text}");
        }
    }
    assert!(seen.len() > 60, "only {} variants were made", seen.len());
}

/// A dispatch that writes what it reads would race, and WebGPU refuses it.
#[test]
fn no_dispatch_writes_a_buffer_that_it_reads() {
    for plan in plans() {
        for dispatch in &plan.dispatches {
            let access = &plan.shaders[dispatch.shader].access;
            assert_eq!(access.len(), dispatch.bindings.len(), "{}", dispatch.name);
            for (i, buffer) in dispatch.bindings.iter().enumerate() {
                let shared = dispatch.bindings.iter().filter(|other| *other == buffer).count();
                assert!(access[i] == Access::Read || shared == 1, "{}", dispatch.name);
                let constant = plan.buffers[*buffer].content.is_some();
                assert!(access[i] == Access::Read || !constant, "{}", dispatch.name);
            }
        }
    }
}

#[test]
fn a_plan_survives_serialisation() {
    let plan = &plans()[0];
    let text = serde_json::to_string(plan).expect("plain data");
    let back: Plan = serde_json::from_str(&text).expect("the same data");
    assert_eq!(*plan, back);
}

/// Twelve layers need the memory of two values, and a layer with a residual is one dispatch.
#[test]
fn memory_is_reused_and_residuals_are_fused() {
    let mut b = Builder::new(Binding::default());
    let mut x = input(&mut b, "x", Kind::Float, &[8, 16]);
    for layer in 0..12 {
        let weight = b.weight(&format!("w{layer}"), &[16, 16]).expect("a weight");
        let y = b.linear(x, weight, None, Activation::Gelu).expect("a layer");
        x = b.add(y, x).expect("a sum");
    }
    b.output("y", x).expect("an output");
    let graph = b.finish().expect("a graph");
    let plan = Plan::new(&graph, Precision::F32, &Target::unlimited()).expect("a plan");
    assert_eq!(plan.dispatches.len(), 12);
    let working = plan.buffers.iter().filter(|buffer| buffer.content.is_none()).count();
    assert_eq!(working, 3, "the input and two in turn");
    let uploaded: Vec<_> = plan.buffers.iter().filter_map(|b| b.content.as_ref()).collect();
    assert_eq!(uploaded.len(), 12, "each weight once");
    let transposed =
        |content: &Content| matches!(content, Content::Weight { transposed, .. } if *transposed);
    assert!(uploaded.into_iter().all(transposed));
}

/// A text is compiled once more for each variant, so what only moves data otherwise is a parameter.
#[test]
fn products_of_every_kind_share_a_text() {
    let mut b = Builder::new(Binding::default());
    let x = input(&mut b, "x", Kind::Float, &[2, 16, 16]);
    let (weight, bias) = (b.weight("w", &[16, 16]).unwrap(), b.weight("b", &[16]).unwrap());
    let made = [
        b.linear(x, weight, None, Activation::Identity).unwrap(),
        b.linear(x, weight, Some(bias), Activation::Identity).unwrap(),
        b.matmul(x, x, true).unwrap(),
        b.matmul(x, x, false).unwrap(),
    ];
    let image = b.reshape(x, &[2, 16, 4, 4]).unwrap();
    let filters = b.reshape(weight, &[16, 16, 1, 1]).unwrap();
    let window = Window::new([1, 1]);
    let y = b.conv([image, filters], Some(bias), window, 1, Activation::Identity).unwrap();
    let y = b.add(y, image).unwrap();
    for (i, value) in made.into_iter().chain([y]).enumerate() {
        b.output(&i.to_string(), value).unwrap();
    }
    let plan = Plan::new(&b.finish().unwrap(), Precision::F32, &Target::unlimited()).unwrap();
    assert_eq!((plan.dispatches.len(), plan.shaders.len()), (5, 1));
}

/// A sum behind a convolution and the activation behind the sum cost no dispatch of their own.
#[test]
fn a_residual_and_what_bends_it_are_fused() {
    let mut b = Builder::new(Binding::default());
    let x = input(&mut b, "x", Kind::Float, &[1, 8, 6, 6]);
    let weight = b.weight("w", &[8, 8, 3, 3]).expect("a weight");
    let window = Window::new([3, 3]).padding([1, 1]);
    let y = b.conv([x, weight], None, window, 1, Activation::Identity).expect("a convolution");
    let sum = b.add(x, y).expect("a sum");
    let y = b.unary(UnaryOp::Activate(Activation::Relu), sum).expect("an activation");
    b.output("y", y).expect("an output");
    let graph = b.finish().expect("a graph");
    let plan = Plan::new(&graph, Precision::F32, &Target::unlimited()).expect("a plan");
    assert_eq!(plan.dispatches.len(), 1);
}

/// A constant is in the plan itself; one that the precision cannot hold is refused.
#[test]
fn a_constant_is_part_of_the_plan() {
    let plan = |value: f32, precision: Precision| {
        let mut b = Builder::new(Binding::default());
        let x = input(&mut b, "x", Kind::Float, &[2]);
        let constant = b.constant(Tensor::f32([2], vec![1.5, value])).expect("a constant");
        let y = b.add(x, constant).expect("a sum");
        let y = b.add(y, constant).expect("a sum");
        b.output("y", y).expect("an output");
        Plan::new(&b.finish().expect("a graph"), precision, &Target::unlimited())
    };
    let text = serde_json::to_string(&plan(7e4, Precision::F32).expect("a plan")).expect("a text");
    assert_eq!(text.matches("70000").count(), 1, "{text}");
    let error = plan(7e4, Precision::F16).expect_err("f16 ends at 65504").to_string();
    assert!(error.contains("constant in f16") && error.contains("65504"), "{error}");
}

#[test]
fn a_tensor_beyond_a_limit_is_refused_by_name() {
    let graph = graph(40).expect("a graph");
    let target = Target { binding_bytes_max: 10_000, ..Target::unlimited() };
    let error = Plan::new(&graph, Precision::F32, &target).expect_err("x has 25600 bytes");
    let text = error.to_string();
    let needed = "the input `x`";
    assert!(matches!(error, Error::TooLarge { needed: 25_600, limit: 10_000, .. }), "{text}");
    assert!(text.contains(needed) && text.contains("maxStorageBufferBindingSize"), "{text}");
}

#[test]
fn workgroups_beyond_a_dimension_are_folded() {
    let graph = graph(40).expect("a graph");
    let target = Target { workgroups_max: 7, ..Target::unlimited() };
    let plan = Plan::new(&graph, Precision::F32, &target).expect("a plan");
    let wide = Plan::new(&graph, Precision::F32, &Target::unlimited()).expect("a plan");
    for (folded, whole) in plan.dispatches.iter().zip(&wide.dispatches) {
        let [x, y] = folded.workgroups;
        assert!(x <= 7 && x * y >= whole.workgroups[0] && x * (y - 1) < whole.workgroups[0]);
    }
}

/// A shader that a graph does not run must not make its results stale.
#[test]
fn sources_are_those_of_the_kernels_that_run() {
    let mut b = Builder::new(Binding::default());
    let x = input(&mut b, "x", Kind::Float, &[8, 16]);
    let y = b.softmax(x).expect("a softmax");
    b.output("y", y).expect("an output");
    let graph = b.finish().expect("a graph");
    let sources = super::sources(&graph, Precision::F32);
    let shaders: Vec<_> =
        sources.iter().map(|s| s.name).filter(|name| name.ends_with(".wgsl")).collect();
    assert_eq!(shaders, ["webgpu/shaders/softmax.wgsl"]);
    assert!(sources.iter().any(|source| source.name == "webgpu/lower.rs"));
}
