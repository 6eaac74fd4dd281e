//! An architecture as a graph: nested branches unfolded into a list of nodes, each reading states made before it.
//!
//! State 0 is the input; node `i` makes state `i + 1`. Without branches node `i` is layer `i` and reads state `i`.

use crate::architecture::{Architecture, InputShape, Layer, Padding};
use crate::error::TheoryError;

/// What a node does to the states that it reads.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// One layer, never [`Layer::Branches`], on one state.
    Layer(Layer),
    /// `sum_k scales[k] x_k` of several states, the ends of branches.
    Sum {
        /// One factor an input.
        scales: Vec<f64>,
    },
}

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it does.
    pub operation: Operation,
    /// The states that it reads: one, or one a branch.
    pub inputs: Vec<usize>,
    /// Shape of the state that it makes.
    pub shape: InputShape,
}

impl Architecture {
    /// The nodes in an order in which every state is made before it is read; the last one is the readout.
    ///
    /// # Errors
    /// A window that does not fit, branches of different shapes, a layer list that is empty or does not end in a dense
    /// layer, a gated layer without gates, a number out of its range.
    pub fn nodes(&self) -> Result<Vec<Node>, TheoryError> {
        let mut nodes = Vec::new();
        self.unfold(&self.layers, 0, &mut nodes)?;
        match self.layers.last() {
            Some(Layer::Dense { .. } | Layer::GatedDense { .. }) => Ok(nodes),
            _ => Err(TheoryError::NoReadout),
        }
    }

    /// Shapes of all states: the input's, then one a node.
    ///
    /// # Errors
    /// As [`Architecture::nodes`].
    pub fn shapes(&self) -> Result<Vec<InputShape>, TheoryError> {
        Ok(std::iter::once(self.input).chain(self.nodes()?.into_iter().map(|node| node.shape)).collect())
    }

    /// Appends `layers`, the first of which reads state `input`; returns the state that the last one makes.
    fn unfold(&self, layers: &[Layer], input: usize, nodes: &mut Vec<Node>) -> Result<usize, TheoryError> {
        let mut state = input;
        for layer in layers {
            let before = if state == 0 { self.input } else { nodes[state - 1].shape };
            let node = if let Layer::Branches { branches } = layer {
                let mut ends = Vec::with_capacity(branches.len());
                for branch in branches {
                    let end = self.unfold(&branch.layers, state, nodes)?;
                    ends.push((end, if end == 0 { self.input } else { nodes[end - 1].shape }));
                }
                let index = nodes.len();
                let Some(&(_, shape)) = ends.first() else { return Err(TheoryError::NoBranches { index }) };
                if let Some(&(_, other)) = ends.iter().find(|(_, other)| *other != shape) {
                    return Err(TheoryError::BranchShapes { index, left: shape.sizes(), right: other.sizes() });
                }
                let scales = branches.iter().map(|branch| branch.scale).collect();
                Node { operation: Operation::Sum { scales }, inputs: ends.iter().map(|end| end.0).collect(), shape }
            } else {
                let shape = self.shape_after(layer, before, nodes.len())?;
                Node { operation: Operation::Layer(layer.clone()), inputs: vec![state], shape }
            };
            nodes.push(node);
            state = nodes.len();
        }
        Ok(state)
    }

    fn shape_after(&self, layer: &Layer, shape: InputShape, index: usize) -> Result<InputShape, TheoryError> {
        let window = |size: [usize; 2], stride: [usize; 2], padding: Padding| {
            let rows = padding.geometry(0, shape.height, size[0], stride[0]);
            let columns = padding.geometry(1, shape.width, size[1], stride[1]);
            match (rows, columns) {
                (Some((height, _)), Some((width, _))) => Ok(InputShape { channels: shape.channels, height, width }),
                _ => Err(TheoryError::WindowDoesNotFit { index, window: size, image: [shape.height, shape.width] }),
            }
        };
        let range = |what, is_inside, found: f64, allowed| {
            if is_inside { Ok(shape) } else { Err(TheoryError::OutOfRange { index, what, found, allowed }) }
        };
        match layer {
            Layer::Dense { width, .. } => Ok(InputShape::flat(*width)),
            Layer::GatedDense { .. } if self.gates.is_none() => Err(TheoryError::MissingGates { index }),
            Layer::GatedDense { width, .. } => Ok(InputShape::flat(*width)),
            Layer::Convolution { width, filter_size, stride, padding, .. } => {
                Ok(InputShape { channels: *width, ..window(*filter_size, *stride, *padding)? })
            }
            Layer::AveragePool { window: size, stride, padding } | Layer::SumPool { window: size, stride, padding } => {
                window(*size, *stride, *padding)
            }
            Layer::GlobalAveragePool => Ok(InputShape::flat(shape.channels)),
            Layer::Flatten => Ok(InputShape::flat(shape.features())),
            Layer::Activation { .. } => Ok(shape),
            Layer::LayerNorm { epsilon } | Layer::RmsNorm { epsilon } => {
                range("epsilon", *epsilon >= 0.0 && epsilon.is_finite(), *epsilon, "at least 0")
            }
            Layer::Dropout { keep } => range("keep", *keep > 0.0 && *keep <= 1.0, *keep, "above 0 and at most 1"),
            Layer::Branches { .. } => unreachable!("unfolded into nodes before"),
        }
    }
}
