//! The order of the steps of a CPU program, what is fused, and how long each value lives.
//! Where values are placed follows from that; what a step computes is made in `lower`.

use super::forms::{Form, Format, is_packed_conv};
use super::memory::{ALIGNMENT, Place, Slot};
use crate::{Activation, BinaryOp, Graph, Node, Op, Precision, UnaryOp};
use std::collections::BTreeMap;

/// Something that takes room in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    /// The value of the node with this index.
    Value(usize),
    /// The packed right operand of the node with this index, or its quantised left one.
    Packed(usize),
}

/// One step to be made.
#[derive(Debug)]
pub(super) struct Item {
    /// The node that is computed.
    pub(super) node: usize,
    pub(super) work: Work,
    reads: Vec<Id>,
    writes: Id,
}

/// What a step does for its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// All of it.
    Compute,
    /// Packs its right operand.
    Pack,
    /// Quantises its left operand.
    Quantise,
    /// A product and what follows it.
    Fused(Fusion),
    /// Copies its operand of this number.
    Join(usize),
}

/// A product whose step also does the next ops: `activation(product + other)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fusion {
    /// The node with the matrices.
    pub(super) product: usize,
    /// The node of what is added.
    pub(super) other: Option<usize>,
    pub(super) activation: Activation,
}

/// The steps of a graph in order.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) items: Vec<Item>,
    /// For each node the node whose memory it shares: itself, or the operand of a reshape.
    pub(super) home: Vec<usize>,
    precision: Precision,
}

impl Schedule {
    pub(super) fn new(graph: &Graph, precision: Precision) -> Self {
        let nodes = graph.nodes();
        let mut home: Vec<usize> = (0..nodes.len()).collect();
        for (index, node) in nodes.iter().enumerate() {
            if matches!(node.op, Op::Reshape { .. }) {
                home[index] = home[node.operands[0].index()];
            }
        }
        let (fused, absorbed) = fusions(graph, &home);
        let mut schedule = Self { items: Vec::new(), home, precision };
        for (index, node) in nodes.iter().enumerate() {
            if node.op.is_leaf() || schedule.home[index] != index || absorbed[index] {
                continue;
            }
            match fused.get(&index) {
                Some(&fusion) => {
                    let product = &nodes[fusion.product];
                    schedule.push_product(graph, index, product, Work::Fused(fusion));
                }
                None => schedule.push(graph, index, node),
            }
        }
        schedule
    }

    fn push(&mut self, graph: &Graph, index: usize, node: &Node) {
        match node.op {
            Op::Linear { .. } | Op::MatMul { .. } | Op::Conv { .. } => {
                self.push_product(graph, index, node, Work::Compute);
            }
            Op::Concat { .. } => {
                for (part, operand) in node.operands.iter().enumerate() {
                    let reads = vec![Id::Value(self.home[operand.index()])];
                    self.items.push(Item {
                        node: index,
                        work: Work::Join(part),
                        reads,
                        writes: Id::Value(index),
                    });
                }
            }
            _ => {
                let reads = node.operands.iter().map(|v| Id::Value(self.home[v.index()])).collect();
                let writes = Id::Value(index);
                self.items.push(Item { node: index, work: Work::Compute, reads, writes });
            }
        }
    }

    /// A product for the node `index`; `product` is the node with the matrices. A right operand that is only
    /// known at run time is packed first.
    fn push_product(&mut self, graph: &Graph, index: usize, product: &Node, work: Work) {
        let mut reads: Vec<Id> =
            product.operands.iter().map(|v| Id::Value(self.home[v.index()])).collect();
        let right = self.home[product.operands[1].index()];
        let packs = !matches!(product.op, Op::Conv { .. }) || is_packed_conv(graph, product);
        if packs && !graph.nodes()[right].op.is_fixed() {
            let packed = Id::Packed(index);
            let reads_right = vec![Id::Value(right)];
            self.items.push(Item {
                node: index,
                work: Work::Pack,
                reads: reads_right,
                writes: packed,
            });
            reads[1] = packed;
        } else if self.quantises(graph, product) {
            let (packed, left) = (Id::Packed(index), reads[0]);
            let work = Work::Quantise;
            self.items.push(Item { node: index, work, reads: vec![left], writes: packed });
            reads[0] = packed;
        }
        if let Work::Fused(Fusion { other: Some(other), .. }) = work {
            reads.push(Id::Value(self.home[other]));
        }
        self.items.push(Item { node: index, work, reads, writes: Id::Value(index) });
    }

    /// Whether a product takes its right operand in integers, and therefore its left one quantised.
    pub(super) fn quantises(&self, graph: &Graph, product: &Node) -> bool {
        let right = self.home[product.operands[1].index()];
        let form = || Form::of(graph, product, 1, self.precision);
        graph.nodes()[right].op.is_fixed() && form().format() == Some(Format::Int8)
    }

    /// Places everything that lives in the arena. `len` gives the elements of each.
    /// Returns the places and the length of the arena.
    pub(super) fn place(
        &self,
        graph: &Graph,
        len: impl Fn(Id) -> usize,
    ) -> (BTreeMap<Id, Slot>, usize) {
        let mut placed: Vec<(Life, Slot)> = Vec::new();
        let mut slots = BTreeMap::new();
        let mut end = 0;
        for (id, life) in self.lives(graph) {
            let len = len(id);
            let room = len.next_multiple_of(ALIGNMENT);
            let mut busy: Vec<&Slot> = placed
                .iter()
                .filter(|(other, _)| other.meets(life))
                .map(|(_, slot)| slot)
                .collect();
            busy.sort_unstable_by_key(|slot| slot.offset);
            let mut offset = 0;
            for slot in busy {
                if offset + room <= slot.offset {
                    break;
                }
                offset = offset.max((slot.offset + slot.len).next_multiple_of(ALIGNMENT));
            }
            let slot = Slot { place: Place::Arena, offset, len };
            end = end.max(offset + room);
            placed.push((life, slot));
            slots.insert(id, slot);
        }
        (slots, end)
    }

    /// The node with the matrices of the product for node `index`.
    pub(super) fn product(&self, index: usize) -> usize {
        let fused = self.items.iter().find_map(|item| match item.work {
            Work::Fused(fusion) if item.node == index => Some(fusion.product),
            _ => None,
        });
        fused.unwrap_or(index)
    }

    /// The nodes that a step computes or prepares, in order. A step that packs has those of its product.
    pub(super) fn covers(&self, graph: &Graph, item: &Item) -> Vec<usize> {
        let product = match item.work {
            Work::Fused(fusion) => fusion.product,
            Work::Pack | Work::Quantise => self.product(item.node),
            Work::Compute | Work::Join(_) => item.node,
        };
        let mut covers = vec![item.node];
        let mut at = item.node;
        // Behind a product stands an activation, or an addition, or an addition and its activation.
        while let (true, Op::Unary(_)) = (at != product, &graph.nodes()[at].op) {
            at = graph.nodes()[at].operands[0].index();
            covers.push(at);
        }
        if at != product {
            covers.push(product);
        }
        covers.reverse();
        covers
    }

    /// The bytes that live in the arena during each step; `bytes` gives those of each.
    pub(super) fn live(&self, graph: &Graph, bytes: impl Fn(Id) -> u64) -> Vec<u64> {
        let mut live = vec![0; self.items.len()];
        for (id, life) in self.lives(graph) {
            let end = self.items.len().min(life.last + 1);
            live[life.first.min(end)..end].iter_mut().for_each(|sum| *sum += bytes(id));
        }
        live
    }

    /// Everything that lives in the arena with the steps of its life, in the order of birth.
    fn lives(&self, graph: &Graph) -> Vec<(Id, Life)> {
        let mut lives: BTreeMap<Id, Life> = BTreeMap::new();
        for value in graph.input_values() {
            lives.insert(Id::Value(value.index()), Life { first: 0, last: 0 });
        }
        for (step, item) in self.items.iter().enumerate() {
            lives.entry(item.writes).or_insert(Life { first: step, last: step });
            for id in item.reads.iter().chain([&item.writes]) {
                // What is not alive is a constant.
                if let Some(life) = lives.get_mut(id) {
                    life.last = step;
                }
            }
        }
        for (_, value) in graph.outputs() {
            if let Some(life) = lives.get_mut(&Id::Value(self.home[value.index()])) {
                life.last = self.items.len();
            }
        }
        let mut lives: Vec<_> = lives.into_iter().collect();
        lives.sort_by_key(|(_, life)| life.first);
        lives
    }
}

/// The steps in which something is needed, both included.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: usize,
    last: usize,
}

impl Life {
    fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// What products can do themselves: for the node whose value a step gives the fusion, and for every node
/// whether another one's step does its work.
///
/// A node is absorbed if it has no activation of its own, serves the next op alone, and is no output; what is
/// added must have its shape.
fn fusions(graph: &Graph, home: &[usize]) -> (BTreeMap<usize, Fusion>, Vec<bool>) {
    let nodes = graph.nodes();
    let mut uses = vec![0usize; nodes.len()];
    let operands = nodes.iter().flat_map(|node| &node.operands);
    operands.for_each(|operand| uses[home[operand.index()]] += 1);
    graph.outputs().iter().for_each(|(_, value)| uses[home[value.index()]] += 1);
    let is_plain = |index: usize| match nodes[index].op {
        Op::Linear { activation, .. } | Op::Conv { activation, .. } => {
            activation == Activation::Identity && uses[index] == 1
        }
        Op::MatMul { .. } => uses[index] == 1,
        _ => false,
    };
    let mut fused: BTreeMap<usize, Fusion> = BTreeMap::new();
    let mut absorbed = vec![false; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        match node.op {
            Op::Binary(BinaryOp::Add) => {
                let [left, right] = [node.operands[0].index(), node.operands[1].index()];
                let fits = |product: usize, other: usize| {
                    let shapes = [&nodes[product].output, &nodes[other].output];
                    is_plain(product) && !absorbed[product] && shapes == [&node.output; 2]
                };
                let (product, other) = match (fits(left, right), fits(right, left)) {
                    (true, _) => (left, right),
                    (_, true) => (right, left),
                    _ => continue,
                };
                absorbed[product] = true;
                let activation = Activation::Identity;
                fused.insert(index, Fusion { product, other: Some(other), activation });
            }
            Op::Unary(UnaryOp::Activate(activation)) => {
                let operand = node.operands[0].index();
                let fusion = if is_plain(operand) {
                    Fusion { product: operand, other: None, activation }
                } else if let Some(sum) = fused.get(&operand).filter(|sum| sum.is_sum())
                    && uses[operand] == 1
                {
                    Fusion { activation, ..*sum }
                } else {
                    continue;
                };
                fused.remove(&operand);
                absorbed[operand] = true;
                fused.insert(index, fusion);
            }
            _ => {}
        }
    }
    (fused, absorbed)
}

impl Fusion {
    fn is_sum(&self) -> bool {
        self.activation == Activation::Identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Binding, Builder, Kind, UnaryOp};

    /// Three dense layers with additions, of which one can be fused.
    fn graph() -> Graph {
        let mut b = Builder::new(Binding::default());
        let x = b.input("x", Kind::Float, &[4.into(), 16.into()]).unwrap();
        let w = b.weight("w", &[16, 16]).unwrap();
        let first = b.linear(x, w, None, Activation::Identity).unwrap();
        let fused = b.add(first, x).unwrap();
        let second = b.linear(fused, w, None, Activation::Relu).unwrap();
        let after_activation = b.add(second, fused).unwrap();
        let third = b.linear(after_activation, w, None, Activation::Identity).unwrap();
        let used_twice = b.add(third, after_activation).unwrap();
        let flat = b.reshape(third, &[64]).unwrap();
        let flat = b.unary(UnaryOp::Neg, flat).unwrap();
        b.output("sum", used_twice).unwrap();
        b.output("flat", flat).unwrap();
        b.finish().unwrap()
    }

    #[test]
    fn only_a_plain_layer_that_serves_the_addition_alone_is_fused() {
        let schedule = Schedule::new(&graph(), Precision::F32);
        let fused = schedule.items.iter().filter(|i| matches!(i.work, Work::Fused(_))).count();
        assert_eq!((fused, schedule.items.len()), (1, 6));
    }

    #[test]
    fn values_that_live_together_do_not_overlap_and_room_is_used_again() {
        let graph = graph();
        let schedule = Schedule::new(&graph, Precision::F32);
        let (slots, end) = schedule.place(&graph, |_| 64);
        let lives = schedule.lives(&graph);
        for (id, life) in &lives {
            for (other, other_life) in lives.iter().filter(|(other, _)| other < id) {
                let (a, b) = (slots[id], slots[other]);
                let apart = a.offset + a.len <= b.offset || b.offset + b.len <= a.offset;
                assert!(apart || !life.meets(*other_life), "{id:?} and {other:?}");
            }
        }
        assert!(end < 64 * lives.len(), "{end} of {}", 64 * lives.len());
    }
}
