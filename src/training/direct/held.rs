//! Parameters taken out of their tensors.

use burn::tensor::{Device, Tensor, TensorData};

use super::fused::Real;
use crate::host::aligned::Aligned;
use crate::network::Parameters;
use crate::training::optimizer::OptimizerState;

/// Parameters of a weight layer, or a moment of theirs, in host memory.
pub(super) struct Held<T> {
    pub(super) weight: Aligned<T>,
    pub(super) shape: [usize; 2],
    pub(super) bias: Option<Aligned<T>>,
}

impl<T: Real> Held<T> {
    /// Takes the numbers out of the tensors.
    pub(super) fn take(parameters: Parameters) -> Self {
        let shape = parameters.weight.dims();
        Self { weight: Aligned::of(parameters.weight), shape, bias: parameters.bias.map(Aligned::of) }
    }

    pub(super) fn give(self) -> Parameters {
        Parameters { weight: self.weight.give(), bias: self.bias.map(Aligned::give) }
    }
}

/// A network and its moments in host memory: every layer's, and for every moment every layer's.
pub(super) struct Taken<T> {
    pub(super) layers: Vec<Held<T>>,
    pub(super) moments: Vec<Vec<Held<T>>>,
}

impl<T: Real> Taken<T> {
    pub(super) fn take(parameters: &mut Vec<Parameters>, state: &mut OptimizerState) -> Self {
        let take = |set: &mut Vec<Parameters>| std::mem::take(set).into_iter().map(Held::take).collect();
        Self { layers: take(parameters), moments: state.moments.iter_mut().map(take).collect() }
    }

    pub(super) fn give(self, parameters: &mut Vec<Parameters>, state: &mut OptimizerState) {
        let give = |set: Vec<Held<T>>| set.into_iter().map(Held::give).collect();
        *parameters = give(self.layers);
        for (set, moments) in state.moments.iter_mut().zip(self.moments) {
            *set = give(moments);
        }
    }
}

/// Row-major numbers as a tensor of `rows` rows on the CPU.
pub(super) fn as_tensor<T: Real>(values: Vec<T>, rows: usize) -> Tensor<2> {
    let columns = values.len() / rows;
    Tensor::from_data(TensorData::new(values, [rows, columns]), (&Device::flex(), T::DTYPE))
}
