//! The states between the layers of one forward pass.

use burn::tensor::Tensor;
use widthwise_theory::architecture::Node;

use super::dense;

/// States of a forward pass, each kept until its last reader has read it.
pub(super) struct States {
    states: Vec<Option<Tensor<2>>>,
    /// Nodes that have yet to read each state.
    readers: Vec<usize>,
}

impl States {
    pub(super) fn new(nodes: &[Node], input: Tensor<2>) -> Self {
        let mut readers = vec![0; nodes.len() + 1];
        nodes.iter().flat_map(|node| &node.inputs).for_each(|&state| readers[state] += 1);
        Self { states: vec![Some(input)], readers }
    }

    pub(super) fn push(&mut self, state: Tensor<2>) {
        self.states.push(Some(state));
    }

    pub(super) fn read(&mut self, index: usize) -> Tensor<2> {
        self.readers[index] -= 1;
        let state = if self.readers[index] == 0 { self.states[index].take() } else { self.states[index].clone() };
        let Some(state) = state else { unreachable!("made before it is read, and kept until its last reader") };
        state
    }

    pub(super) fn last(mut self) -> Tensor<2> {
        let Some(Some(state)) = self.states.pop() else { unreachable!("the state made last") };
        state
    }
}

/// `sum_k scale_k state_k`.
pub(super) fn sum(states: impl Iterator<Item = Tensor<2>>, scales: &[f64]) -> Tensor<2> {
    let scaled = states.zip(scales).map(|(state, &scale)| dense::scale(state, scale));
    let Some(total) = scaled.reduce(|total, state| total + state) else { unreachable!("at least one branch") };
    total
}
