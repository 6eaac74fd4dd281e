//! Examples as a network reads them.

use std::ops::Range;

use burn::tensor::{Int, Tensor};

/// Examples on the device: inputs `[N, d]`, for gated networks gate values `[N, M]`, and masks of dropout while it is on.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Inputs.
    pub inputs: Tensor<2>,
    /// Gate values.
    pub gates: Option<Tensor<2>>,
    /// Masks `[N, features]`, one a dropout layer in the order of the nodes; none while dropout is off.
    pub masks: Vec<Tensor<2>>,
}

impl Batch {
    /// The examples with the given indices, `[n]` integers.
    pub fn select(&self, indices: Tensor<1, Int>) -> Self {
        Self {
            inputs: self.inputs.clone().select(0, indices.clone()),
            gates: self.gates.clone().map(|gates| gates.select(0, indices.clone())),
            masks: self.masks.iter().map(|mask| mask.clone().select(0, indices.clone())).collect(),
        }
    }

    /// The first `n` examples.
    pub fn first(&self, n: usize) -> Self {
        self.range(0..n)
    }

    /// Some neighbouring examples.
    pub fn range(&self, range: Range<usize>) -> Self {
        let part = |tensor: &Tensor<2>| tensor.clone().narrow(0, range.start, range.len());
        Self {
            inputs: part(&self.inputs),
            gates: self.gates.as_ref().map(part),
            masks: self.masks.iter().map(part).collect(),
        }
    }

    /// Number of examples.
    pub fn examples(&self) -> usize {
        self.inputs.dims()[0]
    }
}
