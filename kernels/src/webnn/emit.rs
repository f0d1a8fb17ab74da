//! Emits calls within a browser's limits. A call that the browser cannot take is a [`Lack`]; `either` then takes back
//! what was emitted since and tries another way.

use super::constants::{Content, INLINE_BYTES_MAX, Origin, Permutation, encoded, fits, put};
use super::limits::Limits;
use super::script::{Argument, Call, Constant, DataType, Operand, Options, Typed};
use crate::{Precision, Value};

/// What the browser lacks, in words.
pub(super) type Lack = String;

/// What was emitted, or why the browser cannot do it.
pub(super) type Made<T = Operand> = Result<T, Lack>;

/// A value that is the same in every run and becomes a constant where it is needed, in the order that suits.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub(super) origin: Origin,
    pub(super) of: Typed,
}

/// A value of the graph.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// Given at run time or computed.
    Made(Operand),
    /// Not yet anywhere.
    Fixed(Fixed),
}

/// A call in the making.
#[derive(Clone, Debug)]
pub(super) struct Calling {
    method: &'static str,
    arguments: Vec<Argument>,
    options: Options,
    named: Vec<(&'static str, Operand)>,
}

/// A call of this method.
pub(super) fn call(method: &'static str) -> Calling {
    Calling { method, arguments: Vec::new(), options: Options::new(), named: Vec::new() }
}

impl Calling {
    /// With an operand as its next argument; the standard has a name for it.
    pub(super) fn on(mut self, name: &'static str, operand: Operand) -> Self {
        self.arguments.push(operand.into());
        self.named.push((name, operand));
        self
    }

    /// With a list of operands as its next argument.
    pub(super) fn on_all(mut self, name: &'static str, operands: &[Operand]) -> Self {
        self.arguments.push(Argument::Operands(operands.to_vec()));
        self.named.extend(operands.iter().map(|&operand| (name, operand)));
        self
    }

    /// With plain data as its next argument.
    pub(super) fn with(mut self, value: impl Into<serde_json::Value>) -> Self {
        self.arguments.push(Argument::Value(value.into()));
        self
    }

    /// With an option.
    pub(super) fn option(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.options.insert(name.to_owned(), Argument::Value(value.into()));
        self
    }

    /// With an option that is an operand.
    pub(super) fn option_on(mut self, name: &'static str, operand: Operand) -> Self {
        self.options.insert(name.to_owned(), operand.into());
        self.named.push((name, operand));
        self
    }
}

struct Emitted {
    of: Typed,
    /// What this is another shape of.
    reshaped: Option<Operand>,
}

/// How much had been emitted.
#[derive(Clone, Copy)]
struct Mark {
    operands: usize,
    constants: usize,
    calls: usize,
}

/// A script in the making.
pub(super) struct Emitter<'a> {
    pub(super) limits: &'a Limits,
    pub(super) precision: Precision,
    operands: Vec<Emitted>,
    pub(super) constants: Vec<Constant>,
    pub(super) contents: Vec<Content>,
    pub(super) calls: Vec<Call>,
    node: Option<Value>,
    label: String,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(limits: &'a Limits, precision: Precision) -> Self {
        Self {
            limits,
            precision,
            operands: Vec::new(),
            constants: Vec::new(),
            contents: Vec::new(),
            calls: Vec::new(),
            node: None,
            label: String::new(),
        }
    }

    /// From here on calls are part of this node.
    pub(super) fn begin(&mut self, node: Option<Value>, label: String) {
        (self.node, self.label) = (node, label);
    }

    pub(super) fn type_of(&self, operand: Operand) -> &Typed {
        &self.operands[operand].of
    }

    pub(super) fn shape(&self, operand: Operand) -> Vec<usize> {
        self.operands[operand].of.shape.clone()
    }

    pub(super) fn data_type(&self, operand: Operand) -> DataType {
        self.operands[operand].of.data_type
    }

    /// What this is another shape of, if it is.
    pub(super) fn origin_of_reshape(&self, operand: Operand) -> Option<Operand> {
        self.operands[operand].reshaped
    }

    fn push(&mut self, of: Typed) -> Operand {
        self.operands.push(Emitted { of, reshaped: None });
        self.operands.len() - 1
    }

    /// A value that is given at run time.
    pub(super) fn input(&mut self, of: Typed) -> Made {
        self.limits.check_tensor("input", &of)?;
        Ok(self.push(of))
    }

    /// Emits a call that makes one operand of this type, which the standard calls `output`.
    pub(super) fn make(&mut self, calling: Calling, of: Typed) -> Made {
        let mut named: Vec<_> =
            calling.named.iter().map(|&(name, operand)| (name, self.type_of(operand))).collect();
        named.push(("output", &of));
        self.limits.check(calling.method, &named)?;
        let result = self.push(of);
        self.calls.push(Call {
            label: self.label.clone(),
            node: self.node,
            method: calling.method.to_owned(),
            arguments: calling.arguments,
            options: calling.options,
            results: vec![result],
        });
        Ok(result)
    }

    /// Emits a reshape.
    pub(super) fn make_reshape(&mut self, x: Operand, shape: &[usize]) -> Made {
        let of = self.type_of(x).shaped(shape);
        let result = self.make(call("reshape").on("input", x).with(shape), of)?;
        self.operands[result].reshaped = Some(x);
        Ok(result)
    }

    /// Emits a constant, or finds the same one again.
    fn constant(&mut self, content: Content, of: Typed, inline: Option<Vec<u8>>) -> Made {
        self.limits.check_tensor("constant", &of)?;
        let is_same = |(constant, other): &(&Constant, &Content)| {
            constant.of == of && constant.inline == inline && other.is(&content)
        };
        if let Some((found, _)) = self.constants.iter().zip(&self.contents).find(is_same) {
            return Ok(found.operand);
        }
        let operand = self.push(of.clone());
        self.constants.push(Constant { operand, of, inline });
        self.contents.push(content);
        Ok(operand)
    }

    /// A constant of this value and of the empty shape. It is rounded to its own format only.
    pub(super) fn scalar(&mut self, value: f64, data_type: DataType) -> Made {
        let mut bytes = Vec::new();
        put(value, data_type, &mut bytes);
        let content = Content { origin: Origin::Inline, permuted: None };
        self.constant(content, Typed { data_type, shape: Vec::new() }, Some(bytes))
    }

    /// A value that is the same in every run, as an operand, with its axes in this order if one is given.
    pub(super) fn fixed(&mut self, fixed: &Fixed, order: Option<&[usize]>) -> Made {
        let Fixed { origin, of } = fixed;
        let permuted =
            order.map(|order| Permutation { shape: of.shape.clone(), order: order.to_vec() });
        let shape = order.map_or_else(
            || of.shape.clone(),
            |order| order.iter().map(|&axis| of.shape[axis]).collect(),
        );
        let of = of.shaped(shape);
        if let Origin::Tensor(tensor) = origin {
            fits(tensor, self.precision)?;
            if of.bytes() <= INLINE_BYTES_MAX {
                let bytes = encoded(tensor, permuted.as_ref(), of.data_type, self.precision);
                let content = Content { origin: Origin::Inline, permuted: None };
                return self.constant(content, of, Some(bytes));
            }
        }
        self.constant(Content { origin: origin.clone(), permuted }, of, None)
    }

    /// A value of the graph as an operand.
    pub(super) fn operand(&mut self, source: &Source) -> Made {
        match source {
            Source::Made(operand) => Ok(*operand),
            Source::Fixed(fixed) => self.fixed(fixed, None),
        }
    }

    /// The type of a value of the graph.
    pub(super) fn source_type<'s>(&'s self, source: &'s Source) -> &'s Typed {
        match source {
            Source::Made(operand) => self.type_of(*operand),
            Source::Fixed(fixed) => &fixed.of,
        }
    }

    /// What the first way emits, or else what the second does.
    pub(super) fn either<T>(
        &mut self,
        first: impl FnOnce(&mut Self) -> Made<T>,
        second: impl FnOnce(&mut Self) -> Made<T>,
    ) -> Made<T> {
        let mark = Mark {
            operands: self.operands.len(),
            constants: self.constants.len(),
            calls: self.calls.len(),
        };
        let why = match first(self) {
            Ok(made) => return Ok(made),
            Err(why) => why,
        };
        self.rewind(mark);
        second(self).map_err(|also| joined(&why, &also))
    }

    fn rewind(&mut self, mark: Mark) {
        self.operands.truncate(mark.operands);
        self.constants.truncate(mark.constants);
        self.contents.truncate(mark.constants);
        self.calls.truncate(mark.calls);
    }
}

/// Both reasons, each of their parts once.
fn joined(why: &str, also: &str) -> Lack {
    let mut parts: Vec<&str> = Vec::new();
    for part in why.split("; ").chain(also.split("; ")) {
        if !part.is_empty() && !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join("; ")
}
