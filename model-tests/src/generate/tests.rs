//! Steps give what the whole text gives at once, in f64, and a continuation is that of the whole text's logits.

use super::{Call, Continuation, Request, generate, positions};
use crate::checkpoint::Checkpoint;
use crate::families::{Decoding, Given, PAST, Values, complete};
use crate::testing::{Copy, difference};
use proofmark_kernels::{
    AdapterClass, Array, BATCH, Binding, Device, Error, Graph, Identity, Op, Precision, Program,
    SEQUENCE, Tensor, Timing, Weights, evaluate,
};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// Every checkpoint that continues a text.
const NAMES: [&str; 8] = [
    "llama-tiny",
    "llama-odd",
    "qwen2-tiny",
    "qwen2-odd",
    "t5-tiny",
    "t5-odd",
    "whisper-tiny",
    "whisper-odd",
];
const ROWS: usize = 3;
const LENGTH: usize = 10;
/// A row that is seen whole, one that is padded at its left, and one whose prompt is padded at its right.
const MASK: [[i32; LENGTH]; ROWS] =
    [[1; LENGTH], [0, 0, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]];

fn decoding(checkpoint: &Checkpoint) -> Decoding {
    checkpoint.family().architecture().decoding().unwrap()
}

/// Columns `from..to` of equally long rows.
fn columns(rows: &[Vec<i32>], from: usize, to: usize) -> Tensor {
    let data = rows.iter().flat_map(|row| row[from..to].to_vec()).collect();
    Tensor::i32([rows.len(), to - from], data)
}

fn mask() -> Vec<Vec<i32>> {
    MASK.iter().map(|row| row.to_vec()).collect()
}

/// Token ids that no two rows have in common for long.
fn ids(checkpoint: &Checkpoint, name: &str, length: usize) -> Vec<Vec<i32>> {
    let arguments = checkpoint.family().architecture().arguments();
    let argument = arguments.iter().find(|argument| argument.name == name).unwrap();
    let Values::Ids { below, .. } = argument.values else { panic!("{name} has no ids") };
    let id = |row: usize, i: usize| i32::try_from((row * 41 + i * i * 17 + i * 5 + 3) % below);
    (0..ROWS).map(|row| (0..length).map(|i| id(row, i).unwrap()).collect()).collect()
}

/// What the encoder takes, where there is one: the last row's source is padded.
fn source(checkpoint: &Checkpoint) -> (Binding, Given) {
    let binding = Binding::default().with(BATCH, ROWS);
    if decoding(checkpoint).length == SEQUENCE {
        return (binding, Given::new());
    }
    if checkpoint.family().name() == "whisper" {
        let arguments = checkpoint.family().architecture().arguments();
        let features = arguments.iter().find(|argument| argument.name == "input_features");
        let of = features.unwrap().tensor_type(&binding).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let wave = (0..of.len()).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
        let given = Given::from([("input_features".to_owned(), Tensor::f32(of.shape, wave))]);
        return (binding, given);
    }
    let mut mask = vec![vec![1; 7]; ROWS];
    mask[ROWS - 1][4..].fill(0);
    let given = Given::from([
        ("input_ids".to_owned(), columns(&ids(checkpoint, "input_ids", 7), 0, 7)),
        ("attention_mask".to_owned(), columns(&mask, 0, 7)),
    ]);
    (binding.with(SEQUENCE, 7), given)
}

/// The outputs of one call in f64, by name.
fn outputs(checkpoint: &Checkpoint, binding: &Binding, given: Given) -> BTreeMap<String, Array> {
    let arguments = checkpoint.family().architecture().arguments();
    let given = complete(&arguments, binding, given).unwrap();
    let graph = checkpoint.graph(binding).unwrap();
    let inputs = checkpoint.tensors(&graph, binding, &given).unwrap();
    let names = graph.outputs().iter().map(|(name, _)| name.clone());
    names.zip(evaluate(&graph, checkpoint.weights(), &inputs).unwrap()).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "devices take inputs as f32")]
fn tensor(array: &Array) -> Tensor {
    Tensor::f32(array.shape.clone(), array.data.iter().map(|&v| v as f32).collect())
}

/// The arguments for the tokens `from..to`.
fn tokens(decoding: &Decoding, ids: &[Vec<i32>], from: usize, to: usize) -> Given {
    let mut given = Given::from([
        (decoding.tokens.to_owned(), columns(ids, from, to)),
        (decoding.mask.to_owned(), columns(&mask(), from, to)),
    ]);
    if let Some(name) = decoding.positions {
        let all = positions(&columns(&mask(), 0, LENGTH));
        let all: Vec<_> = all.indices().unwrap().chunks(LENGTH).map(<[i32]>::to_vec).collect();
        given.insert(name.into(), columns(&all, from, to));
    }
    given
}

/// Two arrays `[b, m, w]` and `[b, n, w]` side by side.
fn joined(left: &Array, right: &Array) -> Array {
    let (a, b) = (left.shape[1] * left.shape[2], right.shape[1] * right.shape[2]);
    let rows = left.data.chunks(a.max(1)).zip(right.data.chunks(b));
    let data = rows.flat_map(|(left, right)| [left, right].concat()).collect();
    Array::new([left.shape[0], left.shape[1] + right.shape[1], left.shape[2]], data)
}

/// The logits of a token, of the rows that show it.
fn shown(logits: &Array, at: usize, token: usize) -> Array {
    let width = logits.shape[2];
    let row =
        |row: &usize| logits.data[(row * logits.shape[1] + at) * width..][..width].iter().copied();
    let rows: Vec<_> = (0..ROWS).filter(|&row| MASK[row][token] == 1).collect();
    Array::new([rows.len(), width], rows.iter().flat_map(row).collect())
}

/// Checks calls over the tokens `0..5`, `5..6`, and so on against one over all; the cache begins with so many
/// hidden slots of nonsense.
fn check_steps(name: &str, spare: usize) {
    let copy = Copy::of(name);
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let decoding = decoding(&checkpoint);
    let (source_binding, source) = source(&checkpoint);
    let ids = ids(&checkpoint, decoding.tokens, LENGTH);
    let binding = |length: usize| source_binding.clone().with(decoding.length.clone(), length);
    let given = |from, to| {
        let mut given = source.clone();
        given.extend(tokens(&decoding, &ids, from, to));
        given
    };
    let whole = &outputs(&checkpoint, &binding(LENGTH), given(0, LENGTH))["logits"];
    let mut cache = outputs(&checkpoint, &binding(5).with(PAST, 0), given(0, 5));
    let check = |found: &BTreeMap<String, Array>, token: usize| {
        let difference =
            difference(&shown(whole, token, token), &shown(&found["logits"], 0, token));
        // The cache between two steps is f32 here.
        assert!(difference < 1e-6, "{name}, token {token}: {difference:e}");
    };
    check(&cache, 4);
    for (from, to) in [(5, 6), (6, 8), (8, 9), (9, 10)] {
        let mut step = given(from, to);
        let hidden = vec![vec![0; spare]; ROWS];
        let seen: Vec<_> = hidden.into_iter().zip(mask()).map(|(a, b)| [a, b].concat()).collect();
        step.insert("cache.mask".into(), columns(&seen, 0, spare + from));
        for (name, array) in cache.iter().filter(|(name, _)| *name != "logits") {
            let spare = if name.starts_with("cache.") { spare } else { 0 };
            let width = array.shape[2];
            let nonsense = Array::new([ROWS, spare, width], vec![7.0; ROWS * spare * width]);
            let wide = if spare == 0 { array.clone() } else { joined(&nonsense, array) };
            step.insert(name.clone(), tensor(&wide));
        }
        let found = outputs(&checkpoint, &binding(to - from).with(PAST, spare + from), step);
        check(&found, to - 1);
        for (name, new) in found.iter().filter(|(name, _)| name.starts_with("cache.")) {
            let all = joined(&cache[name], new);
            cache.insert(name.clone(), all);
        }
    }
}

#[test]
fn tokens_decoded_by_steps_are_those_of_the_whole() {
    NAMES.iter().for_each(|name| check_steps(name, 0));
}

#[test]
fn hidden_slots_at_the_left_of_a_cache_are_padding() {
    NAMES.iter().for_each(|name| check_steps(name, 3));
}

/// The interpreter as a device; it counts its programs.
#[derive(Debug)]
struct Reference {
    identity: Identity,
    prepared: Cell<usize>,
    living: Rc<Cell<usize>>,
}

impl Reference {
    fn new() -> Self {
        let identity = Identity {
            device: "reference".into(),
            adapter: String::new(),
            driver: String::new(),
            class: AdapterClass::Software,
            limits: BTreeMap::new(),
            features: Vec::new(),
            details: BTreeMap::new(),
        };
        Self { identity, prepared: Cell::new(0), living: Rc::default() }
    }
}

impl Device for Reference {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn supports(&self, _op: &Op, _precision: Precision) -> Result<(), Error> {
        Ok(())
    }

    fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        _precision: Precision,
    ) -> Result<Box<dyn Program>, Error> {
        self.prepared.set(self.prepared.get() + 1);
        self.living.set(self.living.get() + 1);
        assert_eq!(self.living.get(), 1, "two copies of the weights at a time");
        let living = Rc::clone(&self.living);
        let (graph, weights) = (graph.clone(), weights.clone());
        Ok(Box::new(Interpreted { graph, weights, outputs: Vec::new(), living }))
    }
}

struct Interpreted {
    graph: Graph,
    weights: Weights,
    outputs: Vec<Tensor>,
    living: Rc<Cell<usize>>,
}

impl Drop for Interpreted {
    fn drop(&mut self) {
        self.living.set(self.living.get() - 1);
    }
}

impl Program for Interpreted {
    fn run(&mut self, inputs: &[Tensor]) -> Result<(&[Tensor], Duration), Error> {
        let arrays = evaluate(&self.graph, &self.weights, inputs)?;
        self.outputs = arrays.iter().map(tensor).collect();
        Ok((&self.outputs, Duration::from_millis(1)))
    }

    fn run_timed(&mut self, _inputs: &[Tensor]) -> Result<Timing, Error> {
        unreachable!("a continuation is not timed by ops")
    }
}

/// A prompt of four tokens, its second row padded at the left, and what the encoder takes.
fn prompt(checkpoint: &Checkpoint) -> (Vec<Vec<i32>>, Vec<Vec<i32>>, Given) {
    let decoding = decoding(checkpoint);
    let ids = ids(checkpoint, decoding.tokens, 4);
    let mask = vec![vec![1, 1, 1, 1], vec![0, 0, 1, 1], vec![1, 1, 1, 1]];
    let (_, mut given) = source(checkpoint);
    given.insert(decoding.tokens.into(), columns(&ids, 0, 4));
    given.insert(decoding.mask.into(), columns(&mask, 0, 4));
    (ids, mask, given)
}

/// The likeliest tokens by the logits of the whole text, computed anew for each.
fn expected(checkpoint: &Checkpoint, count: usize) -> Vec<Vec<i32>> {
    let decoding = decoding(checkpoint);
    let (mut ids, mut mask, prompt) = prompt(checkpoint);
    for length in 4..4 + count {
        let mut given = prompt.clone();
        given.insert(decoding.tokens.into(), columns(&ids, 0, length));
        given.insert(decoding.mask.into(), columns(&mask, 0, length));
        if let Some(name) = decoding.positions {
            given.insert(name.into(), positions(&given[decoding.mask]));
        }
        let (binding, _) = source(checkpoint);
        let binding = binding.with(decoding.length.clone(), length);
        let logits = &outputs(checkpoint, &binding, given)["logits"];
        let width = logits.shape[2];
        for (row, logits) in logits.data.chunks(length * width).enumerate() {
            let last = logits[(length - 1) * width..].iter().enumerate();
            let (best, _) = last.max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            ids[row].push(i32::try_from(best).unwrap());
            mask[row].push(1);
        }
    }
    ids.into_iter().map(|row| row[4..].to_vec()).collect()
}

fn continued(
    checkpoint: &Checkpoint,
    max_new_tokens: usize,
    ends: &[i32],
) -> (Continuation, usize) {
    let (_, _, prompt) = prompt(checkpoint);
    let device = Reference::new();
    let request = Request { prompt: &prompt, max_new_tokens, ends };
    let found = generate(&device, Precision::F32, checkpoint, &request).unwrap();
    assert_eq!(device.living.get(), 0);
    (found, device.prepared.get())
}

#[test]
fn a_continuation_takes_the_likeliest_tokens_with_two_programs() {
    for name in NAMES {
        let copy = Copy::of(name);
        let checkpoint = Checkpoint::open(copy.folder()).unwrap();
        let (found, prepared) = continued(&checkpoint, 5, &[]);
        assert_eq!(found.rows, expected(&checkpoint, 5), "{name}");
        assert_eq!((found.steps.len(), prepared), (4, 2));
        let (found, prepared) = continued(&checkpoint, 1, &[]);
        assert_eq!(found.rows, expected(&checkpoint, 1), "{name}");
        assert_eq!((found.steps.len(), prepared), (0, 1));
    }
}

#[test]
fn a_row_ends_with_a_token_that_ends_it_and_the_others_go_on() {
    let copy = Copy::of("llama-odd");
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let whole = expected(&checkpoint, 6);
    let end = whole[0][1];
    let (found, _) = continued(&checkpoint, 6, &[end, -1]);
    for (whole, found) in whole.iter().zip(&found.rows) {
        let last = whole.iter().position(|token| *token == end).unwrap_or(5);
        assert_eq!(*found, whole[..=last]);
    }
    let longest = found.rows.iter().map(Vec::len).max().unwrap();
    assert_eq!(found.steps.len(), longest - 1);
}

/// Why a request is refused.
fn refusal(name: &str, max_new_tokens: usize, change: impl FnOnce(&mut Given)) -> String {
    let copy = Copy::of(name);
    let checkpoint = Checkpoint::open(copy.folder()).unwrap();
    let mut prompt = Given::from([("input_ids".to_owned(), Tensor::i32([1, 2], vec![1, 2]))]);
    change(&mut prompt);
    let request = Request { prompt: &prompt, max_new_tokens, ends: &[] };
    Call::new(&checkpoint, &request).err().unwrap().to_string()
}

#[test]
fn what_cannot_be_continued_is_refused() {
    assert!(refusal("bert-tiny", 1, |_| {}).contains("bert does not continue texts"));
    assert!(refusal("llama-tiny", 0, |_| {}).contains("at least one is needed"));
    let empty = |given: &mut Given| given.clear();
    assert!(refusal("llama-tiny", 1, empty).contains("nothing to continue"));
    assert!(refusal("t5-tiny", 1, |_| {}).contains("`decoder_input_ids`: is missing"));
    let hidden = |given: &mut Given| {
        given.insert("attention_mask".into(), Tensor::i32([1, 2], vec![1, 0]));
    };
    assert!(refusal("qwen2-tiny", 1, hidden).contains("pad at the left"));
}
