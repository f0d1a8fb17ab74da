//! The weights and constants of a CPU program: which forms its steps need of each, where these lie, and their
//! making. What the forms are is `forms`' affair.

use super::forms::{Form, Format};
use super::level::Level;
use super::memory::{ALIGNMENT, Floats, Place, Slot};
use super::schedule::Schedule;
use crate::{Error, Graph, Op, Precision, Tensor, Weights};
use half::bf16;
use std::collections::BTreeMap;

/// What is given and the same in every run: of each node the forms in which it is used, and where they lie.
pub(super) struct Constants {
    forms: BTreeMap<usize, Vec<(Form, Slot)>>,
    level: Level,
    len: usize,
}

impl Constants {
    pub(super) fn new(
        graph: &Graph,
        schedule: &Schedule,
        level: Level,
        precision: Precision,
    ) -> Self {
        let mut constants = Self { forms: BTreeMap::new(), level, len: 0 };
        for node in graph.nodes().iter().filter(|node| !matches!(node.op, Op::Reshape { .. })) {
            for (position, operand) in node.operands.iter().enumerate() {
                let index = schedule.home[operand.index()];
                if graph.nodes()[index].op.is_fixed() {
                    let form = Form::of(graph, node, position, precision);
                    constants.add(graph, index, form);
                }
            }
        }
        for (_, value) in graph.outputs() {
            let index = schedule.home[value.index()];
            if graph.nodes()[index].op.is_fixed() {
                constants.add(graph, index, Form::Plain);
            }
        }
        constants
    }

    fn add(&mut self, graph: &Graph, index: usize, form: Form) {
        let forms = self.forms.entry(index).or_default();
        if forms.iter().all(|(other, _)| *other != form) {
            let len = form.len(self.level, graph.nodes()[index].output.len());
            forms.push((form, Slot { place: Place::Constants, offset: self.len, len }));
            self.len += len.next_multiple_of(ALIGNMENT);
        }
    }

    /// Where a constant lies in a form; none for what is no constant.
    pub(super) fn find(&self, index: usize, form: Form) -> Option<Slot> {
        let forms = self.forms.get(&index)?;
        forms.iter().find(|(other, _)| *other == form).map(|(_, slot)| *slot)
    }

    /// Reads every constant once and writes it in its forms.
    pub(super) fn fill(&self, graph: &Graph, weights: &Weights) -> Result<Floats, Error> {
        let mut floats = Floats::zeroed(self.len, "the weights")?;
        for (index, node) in graph.nodes().iter().enumerate() {
            let values = match &node.op {
                Op::Weight { name } => elements(weights.tensor(name, &node.output)?),
                Op::Scalar { value } => vec![*value],
                Op::Constant { tensor } => elements(Tensor::clone(tensor)),
                _ => continue,
            };
            for (form, slot) in self.forms.get(&index).into_iter().flatten() {
                if let (Op::Weight { name }, Some(Format::Bf16)) = (&node.op, form.format()) {
                    check_halves(name, weights, &values)?;
                }
                let to = &mut floats.as_mut_slice()[slot.offset..][..slot.len];
                form.write(self.level, &values, to);
            }
        }
        Ok(floats)
    }
}

/// Refuses what bf16 rounds to an infinity.
fn check_halves(name: &str, weights: &Weights, values: &[f32]) -> Result<(), Error> {
    let found = values.iter().position(|&value| !bf16::from_f32(value).is_finite());
    let Some(index) = found else { return Ok(()) };
    Err(Error::WeightNotFinite {
        name: name.to_owned(),
        origin: weights.origin_name(),
        index,
        value: format!("{}, which does not fit bf16; use f32", values[index]),
    })
}

/// The elements as a program keeps them: indices keep their bits.
fn elements(tensor: Tensor) -> Vec<f32> {
    match tensor.indices() {
        Some(indices) => indices.iter().map(|&i| f32::from_bits(i.cast_unsigned())).collect(),
        None => tensor.into_f32(),
    }
}
