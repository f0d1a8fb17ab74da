//! From steps to dispatches: buffers with planned reuse, uploads, interned pipelines. Each op's own dispatches
//! are in `kernels`.

use super::plan::{
    Access, Buffer, Content, Dispatch, PARAMETER_BYTES, Plan, Port, Shader, Status, Target, word,
};
use super::schedule::{Schedule, Step};
use super::texts::{Header, Kernel};
use crate::{Error, Graph, Kind, Op, Precision, TensorType, Value};
use half::f16;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A plan in the making.
pub(super) struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    pub(super) target: &'a Target,
    schedule: &'a Schedule,
    plan: Plan,
    /// Where the memory of each root value is.
    places: Vec<Option<usize>>,
    transposed: BTreeMap<Value, usize>,
    /// Buffers whose value has died.
    free: Vec<usize>,
    /// Bytes of the values that live now.
    live_bytes: u64,
    name: String,
    covers: Vec<Value>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        precision: Precision,
        target: &'a Target,
        schedule: &'a Schedule,
    ) -> Self {
        let plan = Plan {
            precision,
            shaders: Vec::new(),
            buffers: Vec::new(),
            inputs: Vec::new(),
            dispatches: Vec::new(),
            outputs: Vec::new(),
            status: None,
        };
        let places = vec![None; graph.nodes().len()];
        Self {
            graph,
            target,
            schedule,
            plan,
            places,
            transposed: BTreeMap::new(),
            free: Vec::new(),
            live_bytes: 0,
            name: String::new(),
            covers: Vec::new(),
        }
    }

    /// Gives every input its buffer.
    pub(super) fn inputs(&mut self) -> Result<(), Error> {
        for (&value, (name, of)) in self.graph.input_values().iter().zip(self.graph.inputs()) {
            let buffer = self.buffer(of, None, || format!("the input `{name}`"))?;
            self.places[value.index()] = Some(buffer);
            self.live_bytes += self.plan.bytes(of);
            self.plan.inputs.push(Port { name: name.to_owned(), of: of.clone(), buffer });
        }
        Ok(())
    }

    /// Plans one step, then gives back the memory of what it read last.
    pub(super) fn step(&mut self, index: usize, step: &Step) -> Result<(), Error> {
        let node = self.graph.node(step.node);
        let weight = node.operands.iter().find_map(|operand| match &self.graph.node(*operand).op {
            Op::Weight { name } => Some(name.as_str()),
            _ => None,
        });
        self.name =
            weight.map_or_else(|| node.op.name().to_owned(), |w| format!("{} {w}", node.op.name()));
        self.covers.clone_from(&step.covers);
        // Operands first: a weight may need its buffer. Then the result, while the operands still live.
        let dense = matches!(node.op, Op::Linear { .. });
        for (position, operand) in node.operands.iter().enumerate() {
            // The weight of a dense layer is uploaded transposed; as it is only if another op wants it so.
            let packs =
                dense && position == 1 && matches!(self.graph.node(*operand).op, Op::Weight { .. });
            if !packs {
                self.place(*operand)?;
            }
        }
        if let Some(residual) = step.residual {
            self.place(residual)?;
        }
        let output = self.allocate(step)?;
        super::kernels::lower(self, step, output)?;
        for operand in node.operands.iter().chain(&step.residual) {
            let root = self.schedule.root[operand.index()];
            let op = &self.graph.node(root).op;
            let place = self.places[root.index()];
            if self.schedule.last_use[root.index()] == index && !op.is_leaf() {
                let buffer = place.expect("an operand has a place");
                if !self.free.contains(&buffer) {
                    self.free.push(buffer);
                    self.live_bytes -= self.plan.bytes(self.of(root));
                }
            }
        }
        Ok(())
    }

    /// The finished plan.
    pub(super) fn finish(mut self) -> Result<Plan, Error> {
        for (name, value) in self.graph.outputs() {
            let buffer = self.place(*value)?;
            let of = self.graph.node(*value).output.clone();
            self.plan.outputs.push(Port { name: name.clone(), of, buffer });
        }
        if let Some(status) = &mut self.plan.status {
            status.buffer = self.plan.buffers.len();
            let bytes = 8 * status.rows.len() as u64;
            self.plan.buffers.push(Buffer { bytes, content: None });
            for dispatch in &mut self.plan.dispatches {
                if dispatch.kernel == Kernel::Gather {
                    dispatch.bindings.push(status.buffer);
                }
            }
        }
        Ok(self.plan)
    }

    pub(super) fn of(&self, value: Value) -> &'a TensorType {
        &self.graph.node(value).output
    }

    pub(super) fn header(&self) -> Header {
        Header::new(self.plan.precision)
    }

    /// The element type of a value in WGSL.
    pub(super) fn element(&self, kind: Kind) -> &'static str {
        match kind {
            Kind::Float => "T",
            Kind::Index => "i32",
        }
    }

    /// An op that the kernels cannot take.
    pub(super) fn unsupported(&self, op: &Op, detail: String) -> Error {
        let (device, precision) = (self.target.device.clone(), self.plan.precision);
        Error::Unsupported { device, op: op.name(), precision, detail }
    }

    /// The buffers of several values, in their order.
    pub(super) fn place_all(&mut self, values: &[Value]) -> Result<Vec<usize>, Error> {
        values.iter().map(|&value| self.place(value)).collect()
    }

    /// The buffer of a value that is made already, or that is a weight, a scalar or a constant.
    pub(super) fn place(&mut self, value: Value) -> Result<usize, Error> {
        let root = self.schedule.root[value.index()];
        if let Some(buffer) = self.places[root.index()] {
            return Ok(buffer);
        }
        let node = self.graph.node(root);
        let buffer = match &node.op {
            Op::Weight { name } => {
                let (name, of) = (name.clone(), node.output.clone());
                let what = format!("the weight `{name}`");
                let content = Content::Weight { name, of, transposed: false };
                self.buffer(&node.output, Some(content), || what)?
            }
            Op::Constant { tensor } => {
                if tensor.kind() == Kind::Float {
                    self.check_fits(&node.op, &tensor.to_f64())?;
                }
                let content = Content::Constant(Arc::clone(tensor));
                self.buffer(&node.output, Some(content), || "a constant".into())?
            }
            Op::Scalar { value } => {
                self.check_fits(&node.op, &[f64::from(*value)])?;
                self.buffer(&node.output, Some(Content::Scalar(*value)), || "a scalar".into())?
            }
            other => unreachable!("{} is used before it is made", other.name()),
        };
        self.places[root.index()] = Some(buffer);
        Ok(buffer)
    }

    /// Refuses a constant that would become infinite in the precision of the plan.
    fn check_fits(&self, op: &Op, values: &[f64]) -> Result<(), Error> {
        let finite =
            |v: &f64| self.plan.precision != Precision::F16 || f16::from_f64(*v).is_finite();
        match values.iter().find(|v| !finite(v)) {
            None => Ok(()),
            Some(value) => {
                let detail =
                    format!("{value} does not fit f16: its largest number is {}", f16::MAX);
                Err(self.unsupported(op, detail))
            }
        }
    }

    /// The buffer of a weight of two axes, transposed at upload; none if the value is no weight.
    pub(super) fn transposed(&mut self, value: Value) -> Result<Option<usize>, Error> {
        let node = self.graph.node(value);
        let Op::Weight { name } = &node.op else { return Ok(None) };
        if let Some(&buffer) = self.transposed.get(&value) {
            return Ok(Some(buffer));
        }
        let content =
            Content::Weight { name: name.clone(), of: node.output.clone(), transposed: true };
        let what = || format!("the weight `{name}`");
        let buffer = self.buffer(&node.output, Some(content), what)?;
        self.transposed.insert(value, buffer);
        Ok(Some(buffer))
    }

    fn buffer(
        &mut self,
        of: &TensorType,
        content: Option<Content>,
        what: impl FnOnce() -> String,
    ) -> Result<usize, Error> {
        let bytes = self.checked_bytes(of, what)?;
        self.plan.buffers.push(Buffer { bytes, content });
        Ok(self.plan.buffers.len() - 1)
    }

    /// Bytes of a value; an error if the adapter cannot bind as much, or kernels cannot count as far.
    fn checked_bytes(&self, of: &TensorType, what: impl FnOnce() -> String) -> Result<u64, Error> {
        let needed = self.plan.bytes(of);
        let limits = [
            ("maxStorageBufferBindingSize", self.target.binding_bytes_max),
            ("maxBufferSize", self.target.buffer_bytes_max),
            ("32-bit addressing", u64::from(u32::MAX)),
        ];
        match limits.into_iter().find(|&(_, limit)| needed > limit) {
            None => Ok(needed),
            Some((limit_name, limit)) => Err(Error::TooLarge {
                device: self.target.device.clone(),
                what: format!("{} ({of})", what()),
                needed,
                limit_name,
                limit,
            }),
        }
    }

    /// Memory for the result of a step: the smallest free buffer that holds it, or the largest one grown.
    fn allocate(&mut self, step: &Step) -> Result<usize, Error> {
        let of = self.of(step.result);
        let name = &self.name;
        let bytes = self.checked_bytes(of, || format!("the result of {name}"))?;
        let size = |&position: &usize| self.plan.buffers[self.free[position]].bytes;
        let positions = 0..self.free.len();
        let fitting = positions.clone().filter(|p| size(p) >= bytes).min_by_key(size);
        let buffer = match fitting.or_else(|| positions.max_by_key(size)) {
            Some(position) => {
                let buffer = self.free.swap_remove(position);
                self.plan.buffers[buffer].bytes = self.plan.buffers[buffer].bytes.max(bytes);
                buffer
            }
            None => {
                self.plan.buffers.push(Buffer { bytes, content: None });
                self.plan.buffers.len() - 1
            }
        };
        self.places[step.result.index()] = Some(buffer);
        self.live_bytes += bytes;
        Ok(buffer)
    }

    /// The slot in which a gather from a table of so many rows reports.
    pub(super) fn status_slot(&mut self, rows: usize) -> u32 {
        let status = self.plan.status.get_or_insert(Status { buffer: 0, rows: Vec::new() });
        status.rows.push(rows);
        2 * word(status.rows.len() - 1)
    }

    /// Adds a dispatch of `total` workgroups, folded where one axis does not hold them.
    pub(super) fn dispatch(
        &mut self,
        kernel: Kernel,
        header: Header,
        bindings: Vec<usize>,
        parameters: Vec<u32>,
        total: usize,
    ) {
        assert!(parameters.len() as u64 * 4 <= PARAMETER_BYTES, "{kernel:?}");
        let mut access = vec![Access::Read; bindings.len() - 1];
        access.push(Access::Write);
        if kernel == Kernel::Gather {
            // Its status, whose buffer is made when all gathers are known.
            access.push(Access::Write);
        }
        let shader = Shader { text: header.text(kernel), access };
        let known = self.plan.shaders.iter().position(|other| *other == shader);
        let shader = known.unwrap_or_else(|| {
            self.plan.shaders.push(shader);
            self.plan.shaders.len() - 1
        });
        let x = total.min(self.target.workgroups_max as usize);
        let workgroups = [word(x), word(total.div_ceil(x))];
        self.plan.dispatches.push(Dispatch {
            name: self.name.clone(),
            nodes: self.covers.clone(),
            live_bytes: self.live_bytes,
            kernel,
            shader,
            bindings,
            parameters,
            workgroups,
        });
    }
}
