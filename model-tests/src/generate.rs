//! The greedy continuation of a prompt: the likeliest token, and again from there. What a family takes and gives is
//! its [`Decoding`]; tokenizers and the words around a prompt are not here.
//!
//! Two graphs run. The first takes the prompt and gives the first token and the cache. The second takes one token and
//! is prepared once for the capacity that the longest continuation needs, so that no step packs a weight again. Its
//! cache begins with hidden slots. The newest token stands at the right end: a step moves what is there by one slot
//! to the left, as if the prompt were padded by one less, and puts what is new behind it. So distances between
//! tokens, which windows and relative positions go by, are those of the text.
//!
//! The program of the prompt is gone before that of the steps is made: never are there two copies of the weights.

use crate::checkpoint::Checkpoint;
use crate::error::Error;
use crate::families::{Decoding, Given, PAST, bind, complete};
use proofmark_kernels::{
    BATCH, Binding, Data, Device, Graph, Precision, Program, Tensor, TensorType,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is to be continued.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The arguments of the first call: for a decoder alone the text, else what its encoder takes and the tokens that
    /// a continuation begins with. Rows are padded at their left.
    pub prompt: &'a Given,
    /// How many tokens are added at most.
    pub max_new_tokens: usize,
    /// Tokens that end a row.
    pub ends: &'a [i32],
}

/// What follows a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// The new tokens of each row, the one that ends it included.
    pub rows: Vec<Vec<i32>>,
    /// The run that gives the first token of every row, from inputs in host memory to outputs in host memory.
    pub first: Duration,
    /// The runs that give the others.
    pub steps: Vec<Duration>,
}

/// Continues a prompt on a device.
pub fn generate(
    device: &dyn Device,
    precision: Precision,
    checkpoint: &Checkpoint,
    request: &Request<'_>,
) -> Result<Continuation, Error> {
    let call = Call::new(checkpoint, request)?;
    let (found, first) = call.prefill(device, precision)?;
    let mut rows = Rows::new(request, call.batch);
    let logits = found.get("logits").ok_or_else(|| call.has_no_logits())?;
    rows.extend(&call.decoding, logits)?;
    let mut steps = Vec::new();
    if rows.are_open() {
        let mut step = Step::new(device, precision, &call, &found)?;
        drop(found);
        while rows.are_open() {
            steps.push(step.run(&call, &mut rows)?);
        }
    }
    Ok(Continuation { rows: rows.tokens, first, steps })
}

/// A checked request.
struct Call<'a> {
    checkpoint: &'a Checkpoint,
    decoding: Decoding,
    /// The sizes of the first call.
    binding: Binding,
    given: Given,
    batch: usize,
    /// Tokens in a row of the prompt.
    length: usize,
    /// Tokens that the cache has room for.
    capacity: usize,
}

impl<'a> Call<'a> {
    fn new(checkpoint: &'a Checkpoint, request: &Request<'_>) -> Result<Self, Error> {
        let family = checkpoint.family();
        let architecture = family.architecture();
        let decoding = architecture.decoding().ok_or_else(|| {
            let detail = format!("{} does not continue texts", family.name());
            Error::Input { name: "max_new_tokens".into(), detail }
        })?;
        let fail = |name: &str, detail: String| Error::Input { name: name.into(), detail };
        if !request.prompt.contains_key(decoding.tokens) {
            return Err(fail(decoding.tokens, "is missing: there is nothing to continue".into()));
        }
        if request.max_new_tokens == 0 {
            return Err(fail("max_new_tokens", "is 0: at least one is needed".into()));
        }
        let arguments = architecture.arguments();
        let shape_of = |name: &str| request.prompt.get(name).map(Tensor::shape);
        let binding = bind(&arguments, shape_of)?.with(PAST, 0);
        let (batch, length) = (binding.get(&BATCH)?, binding.get(&decoding.length)?);
        let all = length.saturating_add(request.max_new_tokens);
        if all > decoding.limit {
            let detail = format!(
                "{length} tokens and {} new ones are {all}: the model has positions for at most {}",
                request.max_new_tokens, decoding.limit
            );
            return Err(fail(decoding.tokens, detail));
        }
        let mut given = request.prompt.clone();
        let mask = given.entry(decoding.mask.into());
        let mask = mask.or_insert_with(|| Tensor::i32([batch, length], vec![1; batch * length]));
        if mask.indices().is_some_and(|mask| mask.chunks(length).any(|row| row.ends_with(&[0]))) {
            let detail =
                "it hides the last token of a row, which is to be continued: pad at the left";
            return Err(fail(decoding.mask, detail.into()));
        }
        if let Some(name) = decoding.positions.filter(|name| !given.contains_key(*name)) {
            let positions = positions(&given[decoding.mask]);
            given.insert(name.into(), positions);
        }
        let given = complete(&arguments, &binding, given)?;
        let capacity = all - 1;
        Ok(Self { checkpoint, decoding, binding, given, batch, length, capacity })
    }

    /// Runs the prompt: its outputs by name, and what it took.
    fn prefill(
        &self,
        device: &dyn Device,
        precision: Precision,
    ) -> Result<(BTreeMap<String, Tensor>, Duration), Error> {
        let graph = self.checkpoint.graph(&self.binding)?;
        let inputs = self.checkpoint.tensors(&graph, &self.binding, &self.given)?;
        let mut program = prepare(device, precision, self.checkpoint, &graph)?;
        let (found, took) = program.run(&inputs)?;
        let names = graph.outputs().iter().map(|(name, _)| name.clone());
        Ok((names.zip(found.iter().cloned()).collect(), took))
    }

    fn has_no_logits(&self) -> Error {
        let detail = "no logits come of it: there is nothing to choose a token by";
        Error::Input { name: self.decoding.tokens.into(), detail: detail.into() }
    }

    /// The position behind the last one of each row.
    fn next_positions(&self) -> Option<Vec<i32>> {
        let positions = self.given.get(self.decoding.positions?)?.indices()?;
        Some(positions.chunks(self.length).map(|row| row[self.length - 1] + 1).collect())
    }
}

/// Positions that count what a mask shows, from 0; hidden tokens before it are at 0.
fn positions(mask: &Tensor) -> Tensor {
    let width = mask.shape().last().copied().unwrap_or(1);
    let rows = mask.indices().unwrap_or_default().chunks(width);
    let count = |sum: &mut i32, seen: &i32| {
        *sum += seen;
        Some((*sum - 1).max(0))
    };
    Tensor::i32(mask.shape(), rows.flat_map(|row| row.iter().scan(0, count)).collect())
}

fn prepare(
    device: &dyn Device,
    precision: Precision,
    checkpoint: &Checkpoint,
    graph: &Graph,
) -> Result<Box<dyn Program>, Error> {
    for node in graph.nodes() {
        device.supports(&node.op, precision)?;
    }
    Ok(device.prepare(graph, checkpoint.weights(), precision)?)
}

/// The tokens so far.
struct Rows {
    tokens: Vec<Vec<i32>>,
    ends: Vec<i32>,
    max_new_tokens: usize,
}

impl Rows {
    fn new(request: &Request<'_>, batch: usize) -> Self {
        let tokens = vec![Vec::new(); batch];
        Self { tokens, ends: request.ends.to_vec(), max_new_tokens: request.max_new_tokens }
    }

    fn has_ended(&self, row: &[i32]) -> bool {
        row.last().is_some_and(|last| self.ends.contains(last))
    }

    /// Whether a row may grow.
    fn are_open(&self) -> bool {
        let mut rows = self.tokens.iter();
        rows.any(|row| row.len() < self.max_new_tokens && !self.has_ended(row))
    }

    /// The token that each row goes on from; a row that has ended repeats its last one, which nobody reads.
    fn last(&self) -> Vec<i32> {
        self.tokens.iter().map(|row| row.last().copied().unwrap_or_default()).collect()
    }

    /// Adds the likeliest token to every row that has not ended; of equals the first.
    fn extend(&mut self, decoding: &Decoding, logits: &Tensor) -> Result<(), Error> {
        let width = logits.shape().last().copied().unwrap_or(1);
        let values = logits.to_f32();
        for (row, logits) in values.chunks(width).enumerate() {
            if logits.iter().any(|logit| !logit.is_finite()) {
                let detail = format!("row {row} has logits that are not finite");
                return Err(Error::Input { name: decoding.tokens.into(), detail });
            }
            let larger = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
            let best = (1..width).fold(0, larger);
            if !self.has_ended(&self.tokens[row]) {
                self.tokens[row].push(i32::try_from(best).unwrap_or(i32::MAX));
            }
        }
        Ok(())
    }
}

/// The prepared graph of one more token.
struct Step {
    program: Box<dyn Program>,
    graph: Graph,
    binding: Binding,
    /// In the order of the graph. Keys and values stay here from step to step.
    inputs: Vec<Tensor>,
    /// Of each input that stays, which output is put behind it, if it grows.
    stays: BTreeMap<usize, Option<usize>>,
    logits: usize,
    /// Which slots of the cache are seen, row by row.
    seen: Tensor,
    positions: Option<Vec<i32>>,
}

impl Step {
    fn new(
        device: &dyn Device,
        precision: Precision,
        call: &Call<'_>,
        found: &BTreeMap<String, Tensor>,
    ) -> Result<Self, Error> {
        let arguments = call.checkpoint.family().architecture().arguments();
        let decoding = &call.decoding;
        let kept = |name: &str| decoding.kept.contains(&name).then(|| call.given[name].shape());
        let binding = bind(&arguments, kept)?
            .with(BATCH, call.batch)
            .with(decoding.length.clone(), 1)
            .with(PAST, call.capacity);
        let graph = call.checkpoint.graph(&binding)?;
        let output = |name: &str| graph.outputs().iter().position(|(other, _)| other == name);
        let mut inputs = Vec::new();
        let mut stays = BTreeMap::new();
        for (i, (name, of)) in graph.inputs().enumerate() {
            let grows = output(name);
            inputs.push(match found.get(name) {
                Some(tensor) if grows.is_some() => at_the_right(tensor, of),
                Some(tensor) => tensor.clone(),
                None => Tensor::zeros(of),
            });
            if found.contains_key(name) {
                stays.insert(i, grows);
            }
        }
        let logits = output("logits").ok_or_else(|| call.has_no_logits())?;
        let seen = TensorType::index([call.batch, call.capacity]);
        let seen = at_the_right(&call.given[decoding.mask], &seen);
        let positions = call.next_positions();
        let program = prepare(device, precision, call.checkpoint, &graph)?;
        Ok(Self { program, graph, binding, inputs, stays, logits, seen, positions })
    }

    /// Adds a token to every row that has not ended, and tells what the run took.
    fn run(&mut self, call: &Call<'_>, rows: &mut Rows) -> Result<Duration, Error> {
        self.take(call, rows.last())?;
        let (found, took) = self.program.run(&self.inputs)?;
        rows.extend(&call.decoding, &found[self.logits])?;
        for (&input, &output) in &self.stays {
            if let Some(output) = output {
                push(&mut self.inputs[input], &found[output]);
            }
        }
        push(&mut self.seen, &Tensor::i32([call.batch, 1], vec![1; call.batch]));
        self.positions.iter_mut().flatten().for_each(|position| *position += 1);
        Ok(took)
    }

    /// Puts the tokens, and what is derived from them, into the inputs.
    fn take(&mut self, call: &Call<'_>, tokens: Vec<i32>) -> Result<(), Error> {
        let (decoding, shape) = (&call.decoding, [call.batch, 1]);
        let mut given = Given::from([
            (decoding.tokens.to_owned(), Tensor::i32(shape, tokens)),
            (decoding.mask.to_owned(), Tensor::i32(shape, vec![1; call.batch])),
            ("cache.mask".to_owned(), self.seen.clone()),
        ]);
        if let (Some(name), Some(positions)) = (decoding.positions, &self.positions) {
            given.insert(name.into(), Tensor::i32(shape, positions.clone()));
        }
        for name in decoding.kept {
            given.insert((*name).into(), call.given[*name].clone());
        }
        let architecture = call.checkpoint.family().architecture();
        let given = complete(&architecture.arguments(), &self.binding, given)?;
        let derived = architecture.derive(&self.binding, &given)?;
        for (i, (name, _)) in self.graph.inputs().enumerate() {
            match derived.get(name).or_else(|| given.get(name)) {
                _ if self.stays.contains_key(&i) => {}
                Some(tensor) => self.inputs[i] = tensor.clone(),
                None => {
                    let detail = "is needed by every step, which nothing gives".into();
                    return Err(Error::Input { name: name.into(), detail });
                }
            }
        }
        Ok(())
    }
}

/// A tensor `[b, n, ..]` at the right end of one `[b, m, ..]` with more slots, whose others are 0.
fn at_the_right(tensor: &Tensor, of: &TensorType) -> Tensor {
    let mut wide = Tensor::zeros(of);
    let rows = of.shape[0];
    match (wide.data_mut(), tensor.data()) {
        (Data::F32(wide), Data::F32(data)) => copy_rows(wide, data, rows),
        (Data::I32(wide), Data::I32(data)) => copy_rows(wide, data, rows),
        _ => unreachable!("devices give floats as f32, and masks are indices"),
    }
    wide
}

/// Moves the rows of `[b, m, ..]` by one slot to the left and puts those of `[b, 1, ..]` behind them, in place.
fn push(tensor: &mut Tensor, new: &Tensor) {
    let rows = new.shape()[0];
    match (tensor.data_mut(), new.data()) {
        (Data::F32(data), Data::F32(new)) => push_rows(data, new, rows),
        (Data::I32(data), Data::I32(new)) => push_rows(data, new, rows),
        _ => unreachable!("devices give floats as f32, and masks are indices"),
    }
}

fn copy_rows<T: Copy>(wide: &mut [T], data: &[T], rows: usize) {
    let (long, short) = (wide.len() / rows, data.len() / rows);
    for (wide, data) in wide.chunks_mut(long).zip(data.chunks(short)) {
        wide[long - short..].copy_from_slice(data);
    }
}

fn push_rows<T: Copy>(data: &mut [T], new: &[T], rows: usize) {
    let (long, short) = (data.len() / rows, new.len() / rows);
    for (data, new) in data.chunks_mut(long).zip(new.chunks(short)) {
        data.copy_within(short.., 0);
        data[long - short..].copy_from_slice(new);
    }
}

#[cfg(test)]
mod tests;
